"""Where measured rows are kept: lines that only grow, a file for each measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablax.errors import AblaxError
from ablax.measurements.measurement import Measurement
from ablax.measurements.subject import Subject
from ablax.report.study import Row
from ablax.training.metrics import MetricsLog, read_metrics, write_csv

RUN_COLUMNS = ("variant", "seed")
"""The columns that tell runs apart, here and in the metrics."""
_TAKEN = {"variant", "seed", "step", "epoch", "attempt"}


class MeasurementLog:
    """The rows of every measurement of one experiment under one recipe.

    Args:
        folder: The results folder; rows go to `measurements/<name>/metrics.jsonl` in it.
        measurements: What is measured.
    """

    def __init__(self, folder: Path, measurements: tuple[Measurement, ...]) -> None:
        self._folder = folder
        self._measurements = measurements

    def take(self, measurement: Measurement, subject: Subject) -> None:
        """Measure a subject and write the rows down.

        Raises:
            AblaxError: A row has a column that is ours, or something else than numbers and strings.
        """
        rows = [_checked(measurement.name, row) for row in measurement.measure(subject)]
        with MetricsLog(self._place(measurement), tensorboard=False, by=RUN_COLUMNS) as log:
            for row in rows:
                log.write(
                    subject.step,
                    variant=subject.variant,
                    seed=subject.seed,
                    epoch=subject.epoch,
                    **row,
                )

    def rows(self) -> dict[str, tuple[Row, ...]]:
        """All rows that count, by measurement; what a run that went on measured again, once."""
        found: dict[str, tuple[Row, ...]] = {}
        for measurement in self._measurements:
            records = read_metrics(self._place(measurement), by=RUN_COLUMNS)
            found[measurement.name] = tuple(
                {name: value for name, value in record.items() if name != "attempt"}
                for record in records
            )
        return found

    def quantities(
        self, rows: Mapping[str, tuple[Row, ...]], variant: str, seed: int
    ) -> dict[str, float]:
        """The numbers that the measurements give of one run; only those that were measured.

        Args:
            rows: What `rows` gives.
            variant: Of the run.
            seed: Of the run.
        """
        found = {}
        for measurement in self._measurements:
            own = tuple(
                row
                for row in rows[measurement.name]
                if row["variant"] == variant and row["seed"] == seed
            )
            if own:
                for name, quantity in measurement.quantities.items():
                    found[name] = float(quantity.of(own))
        return {name: value for name, value in found.items() if not math.isnan(value)}

    def write_csv(self) -> None:
        """Write the rows of each measurement as `metrics.csv` beside them."""
        for measurement in self._measurements:
            if (self._place(measurement) / "metrics.jsonl").exists():
                write_csv(self._place(measurement), by=RUN_COLUMNS)

    def _place(self, measurement: Measurement) -> Path:
        return self._folder / "measurements" / measurement.name


def _checked(name: str, row: Mapping[str, Any]) -> dict[str, float | int | str]:
    """The row with NumPy's numbers as Python's."""
    if taken := sorted(_TAKEN & set(row)):
        raise AblaxError(
            f"the measurement {name} gives a column {taken[0]!r}, which every row has already: "
            "call it something else"
        )
    plain = {column: getattr(value, "item", lambda v=value: v)() for column, value in row.items()}
    for column, value in plain.items():
        if not isinstance(value, float | int | str):
            raise AblaxError(
                f"the measurement {name} gives {value!r} as {column!r}: a number or a string is "
                "expected"
            )
    return plain
