"""The metrics of a run: JSON lines that only grow, a CSV made from them, and TensorBoard.

`metrics.jsonl` is the truth. A line is written whole and handed to the system at once, so `kill -9`
costs at most the line under way. A resumed run appends with a higher `attempt`; what it does again
replaces, for the reader, what the former attempt had done from there on.

JSON knows no NaN and no infinity: they are written as the strings `"NaN"`, `"Infinity"` and
`"-Infinity"`, and read back as floats.

What is kept of a run is `metrics.jsonl.gz`, which is read like the file itself and never grows.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ablax.errors import AblaxError
from ablax.files import write_atomic

LOG = "metrics.jsonl"
KEPT_LOG = f"{LOG}.gz"
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class MetricsError(AblaxError):
    """The metrics cannot be written or read."""


class MetricsLog:
    """Appends records to `folder/metrics.jsonl` and scalars to `folder/tensorboard/`.

    A half-written last line of a killed process is cut off when the log is opened. The attempt is
    by default one more than the highest in the file. `by` are the columns that tell runs in one
    file apart, e.g. `("variant", "seed")`: each run gets a TensorBoard folder of its own. Give the
    same `by` to `read_metrics`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with MetricsLog(folder, tensorboard=False) as log:
        ...     log.write(10, loss=2.3)
        >>> read_metrics(folder)
        [{'step': 10, 'attempt': 1, 'loss': 2.3}]
    """

    def __init__(
        self,
        folder: Path,
        *,
        tensorboard: bool = True,
        attempt: int | None = None,
        by: Sequence[str] = (),
    ) -> None:
        self._path = folder / LOG
        self._tensorboard = folder / "tensorboard" if tensorboard else None
        self._by = tuple(by)
        self._writers: dict[str, Any] = {}
        if (folder / KEPT_LOG).exists():
            raise MetricsError(
                f"{folder} is what was kept of a finished run, and nothing is added to it: give "
                "another place with --results FOLDER"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            former = max((record["attempt"] for record in _records(self._path)), default=0)
            self._file = self._path.open("ab", buffering=0)
            os.truncate(self._path, len(_whole_lines(self._path)))
        except OSError as error:
            raise self._write_error(error) from error
        self.attempt = former + 1 if attempt is None else attempt

    def write(self, step: int, **values: float | int | str) -> None:
        """Append one record; it is in the system's hands on return.

        A ValueError where a column is `attempt`, or a text stands for what is not finite.
        """
        for name, value in values.items():
            if name == "attempt" or (isinstance(value, str) and value in _NON_FINITE):
                raise ValueError(f"{name}={value!r} has a meaning of its own in metrics.jsonl")
        record = {"step": step, "attempt": self.attempt, **values}
        encoded = {name: _encoded(value) for name, value in record.items()}
        line = json.dumps(encoded, allow_nan=False, ensure_ascii=False) + "\n"
        self._append(line.encode())
        if self._tensorboard is not None:
            writer = self._writer(self._tensorboard, record, step)
            for name, value in values.items():
                if not isinstance(value, str) and name not in self._by:
                    writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files; closing twice does nothing."""
        self._file.close()
        while self._writers:
            self._writers.popitem()[1].close()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        """All of `line` or nothing of it."""
        end = self._file.seek(0, os.SEEK_END)
        try:
            rest = line
            while rest:  # a nearly full disk takes a part without an error
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            os.truncate(self._path, end)
            raise self._write_error(error) from error

    def _writer(self, folder: Path, record: dict[str, Any], step: int) -> Any:
        """TensorBoard's writer for the run of `record`; events of an earlier attempt are purged."""
        run = " ".join(str(record[name]) for name in self._by if name in record)
        run = run.replace("/", "_")
        if run not in self._writers:
            from tensorboardX import SummaryWriter

            self._writers[run] = SummaryWriter(str(folder / run), purge_step=step, flush_secs=10)
        return self._writers[run]

    def _write_error(self, error: OSError) -> MetricsError:
        place = self._path.parent
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        return MetricsError(
            f"the metrics cannot be written to {self._path} ({error.strerror or error}; {free:,} "
            "bytes are free). Free some space or give another --results folder, then run the same "
            "command again."
        )


def read_metrics(folder: Path, *, by: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The records that count, in the order of the file; without a file there are none.

    A later attempt's records replace an earlier attempt's of the same run at the same and later
    steps: it started again from a checkpoint. A half-written last line is left out. The columns
    `by` tell runs in one file apart; without them the file holds one run.

    Raises:
        MetricsError: A line is damaged; its number is in the message.
    """
    records = list(_records(folder / LOG))

    def run(record: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(record.get(name) for name in by)

    starts: dict[tuple[Any, ...], dict[int, int]] = {}  # run -> attempt -> its first step
    for record in records:
        first = starts.setdefault(run(record), {})
        step, attempt = record["step"], record["attempt"]
        first[attempt] = min(step, first.get(attempt, step))

    def counts(record: dict[str, Any]) -> bool:
        later = (
            start for attempt, start in starts[run(record)].items() if attempt > record["attempt"]
        )
        return all(record["step"] < start for start in later)

    return [record for record in records if counts(record)]


def by_epoch(records: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """The records of the chunks of each epoch, counted from 1."""
    epochs: dict[int, list[dict[str, Any]]] = {}
    for record in records:
        epochs.setdefault(math.ceil(record["epoch"] - 1e-9), []).append(record)
    return epochs


def mean_of(figure: str, chunks: list[dict[str, Any]]) -> float:
    """The mean of a figure over chunks, weighted by their steps."""
    steps = sum(chunk["steps"] for chunk in chunks)
    return math.fsum(chunk[figure] * chunk["steps"] for chunk in chunks) / steps


def write_csv(folder: Path, *, by: Sequence[str] = ()) -> None:
    """Write `folder/metrics.csv` from `read_metrics`, atomically: the union of all columns."""
    records = read_metrics(folder, by=by)
    columns = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    path = folder / "metrics.csv"
    try:
        write_atomic(path, text.getvalue())
    except OSError as error:
        raise MetricsError(
            f"{path} cannot be written ({error.strerror or error}). Free some space or give "
            "another --results folder."
        ) from error


def _encoded(value: float | int | str) -> float | int | str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _whole_lines(path: Path) -> bytes:
    """The file up to its last newline: what follows was cut short by a kill."""
    content = _content(path)
    return content[: content.rfind(b"\n") + 1]


def _content(path: Path) -> bytes:
    """The file, or what was kept of it; nothing where there is neither."""
    if path.exists():
        return path.read_bytes()
    kept = path.with_name(KEPT_LOG)
    if not kept.exists():
        return b""
    try:
        return gzip.decompress(kept.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise MetricsError(
            f"{kept} is damaged ({error}): keep the run again with `ablax keep`"
        ) from error


def _records(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_whole_lines(path).split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
            whole = isinstance(record["step"], int) and isinstance(record["attempt"], int)
        except (ValueError, TypeError, KeyError):
            whole = False
        if not whole:
            raise MetricsError(
                f"{path}, line {number} is damaged: {line[:60]!r} is not a record with `step` and "
                "`attempt`. Delete that line, or the file to lose its curves."
            )
        yield {
            name: _NON_FINITE.get(value, value) if isinstance(value, str) else value
            for name, value in record.items()
        }


def seconds_by_run(folder: Path, *, by: Sequence[str]) -> dict[tuple[Any, ...], tuple[float, int]]:
    """What each run of a file really cost: seconds over all its attempts, and how many there were.

    Records that a later attempt replaced are counted too: that time was spent.
    """
    spent: dict[tuple[Any, ...], list[float]] = {}
    attempts: dict[tuple[Any, ...], set[int]] = {}
    for record in _records(folder / LOG):
        run = tuple(record.get(name) for name in by)
        spent.setdefault(run, []).append(float(record.get("seconds", 0.0)))
        attempts.setdefault(run, set()).add(record["attempt"])
    return {run: (math.fsum(spent[run]), len(attempts[run])) for run in spent}
