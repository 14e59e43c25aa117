"""The metrics of a run: JSON lines that only grow, a CSV made from them, and TensorBoard.

`metrics.jsonl` is the truth. A line is written whole and handed to the system at once, so `kill -9`
costs at most the line under way. A resumed run appends with a higher `attempt`; what it does again
replaces, for the reader, what the former attempt had done from there on.

JSON knows no NaN and no infinity: they are written as the strings `"NaN"`, `"Infinity"` and
`"-Infinity"`, and read back as floats.

Every line has the key of its run (`run_key`) and ends in `line_check`, the checksum of the line and
of the one before it of the same run. So no line can be changed, lost, added or moved to another
run, recipe or folder without a reader's notice, but for the last ones; and those are vouched for by
the checkpoint or the summary that was written after them (`Claim`).

What is kept of a run is `metrics.jsonl.gz`, which is read like the file itself and never grows.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import json
import math
import os
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ablax.errors import AblaxError
from ablax.files import make_folder, sync_folder, what_helps, write_atomic

LOG = "metrics.jsonl"
KEPT_LOG = f"{LOG}.gz"
_FLUSH_SECONDS = 10
"""How often TensorBoard sees what is new."""
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class MetricsError(AblaxError):
    """The metrics cannot be written or read."""


class Claim(NamedTuple):
    """What somebody vouches for in a log: how many lines a run has, and the `check` of the last."""

    lines: int
    check: str


class MetricsLog:
    """Appends records to `folder/metrics.jsonl` and scalars to `folder/tensorboard/`.

    Several processes may write to one file, each the lines of its own runs. A half line at the end,
    which a killed process left, is cut off before the next record; so are, before the first one,
    lines that no line stands on and that do not fit the ones before them, which a power cut leaves,
    unless others write at the same time (`mend` does it then, before they begin).

    `of` is the key of the run, which tells it from all other runs, recipes and folders. The attempt
    is by default one more than the highest of it in the file. `by` are the columns that tell runs
    in one file apart, e.g. `("variant", "seed")`: each run gets a TensorBoard folder of its own.
    Give the same `by` to `read_metrics`.

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
        of: str = "",
        tensorboard: bool = True,
        attempt: int | None = None,
        by: Sequence[str] = (),
        alone: bool = True,
    ) -> None:
        self._path, self._of, self._by = folder / LOG, of, tuple(by)
        self._alone = alone
        self._tensorboard = folder / "tensorboard" if tensorboard else None
        self._writers: dict[str, Any] = {}
        self._flushed = 0.0
        self._file: Any = None
        if (folder / KEPT_LOG).exists():
            raise MetricsError(
                f"{folder} is what was kept of a finished run, and nothing is added to it: give "
                "another place with --results FOLDER"
            )
        try:
            make_folder(folder)
            own = [line for line in _lines(self._path) if line.of == of and not line.flaw]
        except OSError as error:
            raise self._write_error(error) from error
        former = max((line.record["attempt"] for line in own), default=0)
        self._check = own[-1].check if own else ""
        self.attempt = former + 1 if attempt is None else attempt

    def write(self, step: int, **values: float | int | str) -> None:
        """Append one record; it is in the system's hands on return.

        A ValueError where a column is one of ours (`attempt`, say), or a text stands for what is
        not finite.
        """
        for name, value in values.items():
            if name in _OURS or (isinstance(value, str) and value in _NON_FINITE):
                raise ValueError(f"{name}={value!r} has a meaning of its own in metrics.jsonl")
        record: dict[str, Any] = {"step": step, "attempt": self.attempt, **values}
        encoded = {name: _encoded(value) for name, value in record.items()}
        encoded |= {"run_key": self._of} if self._of else {}
        told = json.dumps(encoded, allow_nan=False, ensure_ascii=False).encode()
        check = _check(self._check, told)
        self._append(told[:-1] + _ending(check) + b"\n")
        self._check = check
        if self._tensorboard is not None:
            shown = {
                n: v for n, v in values.items() if not isinstance(v, str) and n not in self._by
            }
            try:
                self._show(self._tensorboard, record, shown)
            except OSError as error:
                raise self._write_error(error) from error

    def close(self) -> None:
        """Close the files; closing twice does nothing."""
        if self._file is not None:
            self._file.close()
        while self._writers:
            try:
                self._writers.popitem()[1].close()
            except OSError as error:
                raise self._write_error(error) from error

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Close; an error of the block goes before one of closing."""
        try:
            self.close()
        except Exception:
            if kind is None:
                raise

    def _append(self, line: bytes) -> None:
        """All of `line` or nothing of it."""
        try:
            with self._opened() as file:
                end = _sound_end(file)
                try:
                    file.seek(end)
                    rest = line
                    while rest:  # a nearly full disk takes a part without an error
                        rest = rest[file.write(rest) :]
                except OSError:
                    file.truncate(end)
                    raise
        except OSError as error:
            raise self._write_error(error) from error

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        """The file, for this process alone as long as the block lasts."""
        if self._file is None:
            if self._alone:
                mend(self._path.parent)
            self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", 0)
        with _locked(self._file):
            yield self._file

    def _show(self, folder: Path, record: Mapping[str, Any], values: Mapping[str, float]) -> None:
        """Append to the events of the record's run; those of an earlier attempt are purged.

        By the writer below tensorboardX's SummaryWriter: that one's thread fails out of our sight.
        """
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.summary import scalar

        run = " ".join(str(record[name]) for name in self._by if name in record).replace("/", "_")
        step, now = record["step"], time.time()
        if run not in self._writers:
            (folder / run).mkdir(parents=True, exist_ok=True)
            writer = EventsWriter(str(folder / run / "events"), f".{self.attempt}")
            start = SessionLog(status=SessionLog.START)
            writer.write_event(Event(wall_time=now, step=step, session_log=start))
            self._writers[run] = writer
        for name, value in values.items():
            event = Event(wall_time=now, step=step, summary=scalar(name, value))
            self._writers[run].write_event(event)
        if now - self._flushed > _FLUSH_SECONDS:
            self._writers[run].flush()
            self._flushed = now

    def _write_error(self, error: OSError) -> MetricsError:
        place = self._path.parent
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        return MetricsError(
            f"the metrics cannot be written to {self._path} ({error.strerror or error}; {free:,} "
            f"bytes are free). {what_helps(error.errno)} or give another --results folder, then "
            "run the same command again."
        )


def mend(folder: Path) -> None:
    """Cut off what does not count of a log, as a power cut leaves it; nobody may write to it."""
    path = folder / LOG
    if not path.exists():
        return
    kept = b"".join(line.text + b"\n" for line in _lines(path) if not line.flaw)
    if path.read_bytes() != kept:
        write_atomic(path, kept)


def _sound_end(file: Any) -> int:
    """Where the last whole line ends; what follows is half a line of a process that was killed."""
    end = int(file.seek(0, os.SEEK_END))
    behind = end
    while behind > 0:
        start = max(behind - _BLOCK, 0)
        file.seek(start)
        newline = file.read(behind - start).rfind(b"\n")
        if newline >= 0:
            behind = start + newline + 1
            break
        behind = start
    if behind < end:
        file.truncate(behind)
    return behind


_BLOCK = 1 << 16


@contextlib.contextmanager
def _locked(file: Any) -> Iterator[None]:
    """Keep others from writing; the lock goes with the process, however that ends."""
    if os.name != "posix":
        yield
        return
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def read_metrics(folder: Path, *, by: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The records that count, in the order of the file; without a file there are none.

    A later attempt's records replace an earlier attempt's of the same run at the same and later
    steps: it started again from a checkpoint. A half-written last line is left out. The columns
    `by` tell runs in one file apart; without them the file holds one run.

    Raises:
        MetricsError: A line is damaged, or one is gone; its number is in the message.
    """
    records = _records(folder / LOG)

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
            f"{path} cannot be written ({error.strerror or error}). {what_helps(error.errno)} or "
            "give another --results folder."
        ) from error


def _encoded(value: float | int | str) -> float | int | str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


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


# ------------------------------------------------------------------------------------------
# Lines that stand on one another.

_OURS = ("attempt", "run_key", "line_check")
_ENDING = len(b', "line_check": "0123456789ab"}')


class _Line(NamedTuple):
    """A line as it stands in the file; `flaw` says why it does not count, empty where it does."""

    text: bytes
    record: dict[str, Any]
    of: str
    check: str
    flaw: str


def _check(before: str, told: bytes) -> str:
    """The checksum of a line without one, and of the line before it."""
    return hashlib.sha256(before.encode() + told).hexdigest()[:12]


def _ending(check: str) -> bytes:
    return f', "line_check": "{check}"}}'.encode()


def _lines(path: Path) -> list[_Line]:
    """Every line up to the last newline: what follows was cut short by a kill."""
    last: dict[str, str] = {}
    found = []
    for text in _content(path).split(b"\n")[:-1]:
        line = _read_line(text, last)
        if not line.flaw:
            last[line.of] = line.check
        found.append(line)
    return found


def _read_line(text: bytes, last: dict[str, str]) -> _Line:
    told = text[:-_ENDING] + b"}"
    try:
        record = json.loads(told)
        of = record.pop("run_key", "")
        whole = isinstance(record["step"], int) and isinstance(record["attempt"], int)
        check = _check(last.get(of, ""), told)
    except (ValueError, TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        return _Line(text, {}, "", "", f"{text[:60]!r} is no record of ours")
    if text[-_ENDING:] != _ending(check):
        return _Line(text, {}, of, "", "it, or a line before it, was changed or lost")
    plain = {
        name: _NON_FINITE.get(value, value) if isinstance(value, str) else value
        for name, value in record.items()
    }
    return _Line(text, plain, of, check, "")


def _records(path: Path) -> list[dict[str, Any]]:
    lines = _lines(path)
    for number, line in enumerate(lines, start=1):
        if line.flaw:
            raise MetricsError(
                f"{path}, line {number} is damaged ({line.flaw}): give the command again if the "
                "run was not at its end, which goes on from what is good, or run it again in "
                "another folder (--results FOLDER)"
            )
    return [line.record for line in lines]


def vouched(folder: Path, of: str) -> Claim | None:
    """Force a log to the disk, and tell what is in it of one run; None where there is nothing.

    Raises:
        MetricsError: The disk takes no more.
    """
    path = folder / LOG
    own = [line for line in _lines(path) if line.of == of and not line.flaw]
    if not own:
        return None
    try:
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        sync_folder(folder)
    except OSError as error:
        raise MetricsError(f"{path} cannot be written ({error.strerror or error})") from error
    return Claim(len(own), own[-1].check)


def contradiction(folder: Path, of: str, claim: Claim) -> str:
    """In what a log is not what was claimed of one run's lines, in words; empty where it is."""
    own = [line for line in _lines(folder / LOG) if line.of == of and not line.flaw]
    if len(own) < claim.lines:
        return f"{folder / LOG} has {len(own)} good lines of it, and it wrote {claim.lines}"
    if claim.lines and own[claim.lines - 1].check != claim.check:
        return f"{folder / LOG} has other lines than it wrote"
    return ""


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
