"""Comma-separated files for programs: a row a run, a row a variant.

The same runs give the same bytes, and floats are written so that reading them gives the same bits.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ablax.errors import ReportError
from ablax.report.files import write_atomically
from ablax.report.results import Run, Study, Variant
from ablax.report.statistics import comparisons_with_baseline, summary


@dataclass(frozen=True)
class Row:
    """One run, as `results.csv` holds it; the field names are the columns.

    Everything but `seconds` is the same whether or not the run was interrupted, so the number of
    attempts is not here.
    """

    variant: str
    seed: int
    test_error: float
    train_loss: float
    parameters: int
    macs: int
    seconds: float
    train_error: float
    epochs: float
    status: str


COLUMNS = tuple(field.name for field in fields(Row))
_NUMBERS = {"seed": int, "parameters": int, "macs": int} | dict.fromkeys(
    ("test_error", "train_loss", "seconds", "train_error", "epochs"), float
)


def result_rows(variants: Sequence[Variant], runs: Sequence[Run]) -> tuple[Row, ...]:
    """The rows in the order of the variants, then of the seeds."""
    return tuple(
        Row(
            variant=variant.name,
            seed=run.seed,
            test_error=float(run.test_error),
            train_loss=float(run.train_loss),
            parameters=variant.parameters,
            macs=variant.macs,
            seconds=float(run.seconds),
            train_error=float(run.train_error),
            epochs=float(run.curve.epochs[-1]) if run.curve.epochs else 0.0,
            status=run.status,
        )
        for variant in variants
        for run in sorted(runs, key=lambda run: run.seed)
        if run.variant == variant.name
    )


def write_results(path: Path, variants: Sequence[Variant], runs: Sequence[Run]) -> Path:
    """Writes `results.csv` in one step.

    Args:
        path: Where to write.
        variants: The variants, in the order wanted.
        runs: The runs made so far, in any order.

    Raises:
        ReportError: When the file cannot be written.
    """
    rows = [[getattr(row, c) for c in COLUMNS] for row in result_rows(variants, runs)]
    return write_atomically(path, _csv(COLUMNS, rows))


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([repr(v) if isinstance(v, float) else v for v in row] for row in rows)
    return text.getvalue()


def summary_csv(study: Study) -> str:
    """A row a variant: the figures of the report's tables, unrounded; nan where there is none."""
    compared = comparisons_with_baseline(study)
    columns = (
        *("variant", "label", "parameters", "macs", "n", "diverged", "test_error", "test_error_sd"),
        *("difference", "difference_low", "difference_high", "level", "correlation"),
        *("train_loss", "train_error", "seconds"),
    )
    rows: list[list[object]] = []
    for variant in study.variants:
        line = summary(study, variant.name)
        against = compared.get(variant.name)
        interval = against.interval if against else None
        paired = [against.difference if against else math.nan]
        paired += [interval.low, interval.high, interval.level] if interval else [math.nan] * 3
        paired += [against.correlation if against else math.nan]
        cost = [variant.name, variant.label, variant.parameters, variant.macs]
        errors = [line.n, line.diverged, line.error, line.error_sd]
        rows.append([*cost, *errors, *paired, line.train_loss, line.train_error, line.seconds])
    return _csv(columns, rows)


def read_results(path: Path) -> tuple[Row, ...]:
    """Reads `results.csv`; columns it does not know are passed over.

    Raises:
        ReportError: When the file cannot be read, a column is missing, or a number is not one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(
            f"{path} could not be read ({error}): give a results.csv that an experiment wrote"
        ) from error
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
    if missing:
        raise ReportError(
            f"{path} has no column {', '.join(missing)}: expected the columns {','.join(COLUMNS)}; "
            "run the experiment again to write it anew"
        )
    rows = []
    for line in reader:
        values: dict[str, object] = {}
        for column in COLUMNS:
            given = line[column]
            try:
                values[column] = _NUMBERS.get(column, str)(given)
            except (TypeError, ValueError) as error:
                raise ReportError(
                    f"{path}, line {reader.line_num}, column {column}: {given!r} is no number; "
                    "run the experiment again to write it anew"
                ) from error
        rows.append(Row(**values))  # type: ignore[arg-type]
    return tuple(rows)
