"""`Measurement`: what an experiment measures beside the errors, and the log of its rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from ablax.config import Recipe
from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.model import Model
from ablax.report.figures import over_seeds
from ablax.report.study import Quantity, Row, Section, matching
from ablax.training.loop import Moment
from ablax.training.metrics import MetricsLog, read_metrics, write_csv


@dataclass(frozen=True, eq=False)
class Sample:
    """Which run and moment are measured, and the images that the measurement is made on.

    Step and epoch count the training; `train` is a random sample, the same for every variant and
    seed, `test` in the data's order, and `held_out` None where the recipe keeps no images apart.
    """

    variant: str
    seed: int
    step: int
    epoch: float
    recipe: Recipe
    train: Split
    test: Split
    held_out: Split | None = None


@dataclass(frozen=True)
class Measurement:
    """A function of a model and a sample, called at given moments of every run.

    Its rows are kept in `measurements/<name>/` of the results folder, with the columns `variant`,
    `seed`, `step` and `epoch` beside their own; the study holds them as `study.rows(name)`.

    Attributes:
        name: Letters, digits and '_'.
        measure: Gives rows: mappings of a few columns to numbers or strings. It must be a pure
            function of both: a run that goes on repeats it.
        quantities: Name to the number that claims may speak of, such as `"full:svm_of_conv5"`; no
            two measurements of an experiment give the same name.
        every_seed: False where seeds make no difference: then only seed 0 is measured.
        only: The variants that are measured; all where it is empty.

    Raises:
        AblaxError: The name is no identifier, `measure` no function, or a moment is none.
    """

    name: str
    measure: Callable[[Model, Sample], Iterable[Row]]
    section: Section
    moments: tuple[Moment, ...] = ("end",)
    quantities: Mapping[str, Quantity] = field(default_factory=lambda: MappingProxyType({}))
    every_seed: bool = True
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise AblaxError(f"a measurement is named {self.name!r}: use letters, digits and '_'")
        if not callable(self.measure):
            raise AblaxError(
                f"the measurement {self.name!r} measures by {self.measure!r}: give a function of a "
                "model and a sample"
            )
        known = get_args(Moment)
        if not self.moments or isinstance(self.moments, str) or set(self.moments) - set(known):
            raise AblaxError(
                f"the measurement {self.name!r} has the moments {self.moments!r}: give a tuple of "
                "some of 'start', 'training', 'end'"
            )

    def wanted(self, variant: str, seed: int, moment: Moment) -> bool:
        """Whether this run is measured at this moment."""
        named = not self.only or variant in self.only
        return moment in self.moments and named and (self.every_seed or seed == 0)


Pick = Callable[[list[int]], int]
"""Picks a step among all: `min` the start, `max` the end."""


def at_moment(rows: Iterable[Row], pick: Pick) -> tuple[Row, ...]:
    """The rows of one step."""
    rows = tuple(rows)
    return matching(rows, step=pick([row["step"] for row in rows])) if rows else ()


def grouped(rows: Iterable[Row], by: str, column: str) -> dict[float, list[float]]:
    """From each number in the column `by`, ascending, to the finite numbers beside it in another.

    Example:
        >>> rows = ({"epoch": 2, "error": 1.0}, {"epoch": 1, "error": 3.0})
        >>> grouped(rows, "epoch", "error")
        {1.0: [3.0], 2.0: [1.0]}
    """
    return over_seeds({float(row[by]): float(row[column])} for row in rows)


RUN_COLUMNS = ("variant", "seed")
"""The columns that tell runs apart, here and in the metrics."""
_TAKEN = {"variant", "seed", "step", "epoch", "attempt"}


class MeasurementLog:
    """The rows of every measurement of one experiment under one recipe.

    They go to `measurements/<name>/metrics.jsonl` in the results folder; `key` gives the key of the
    run of a variant and seed.
    """

    def __init__(
        self,
        folder: Path,
        measurements: tuple[Measurement, ...],
        key: Callable[[str, int], str] = lambda *_: "",
    ) -> None:
        self._folder = folder
        self._measurements = measurements
        self._key = key
        self._attempts: dict[tuple[str, str, int], int] = {}

    def take(self, measurement: Measurement, model: Model, sample: Sample) -> None:
        """Measure a model on a sample and write the rows down.

        Raises:
            AblaxError: A row has a column that is ours, or something else than numbers and strings.
        """
        rows = [_checked(measurement.name, row) for row in measurement.measure(model, sample)]
        place, attempt = self._place(measurement), self._attempt(measurement, sample)
        of = self._key(sample.variant, sample.seed)
        with MetricsLog(
            place, of=of, tensorboard=False, attempt=attempt, by=RUN_COLUMNS, alone=False
        ) as log:
            run: dict[str, float | int | str] = {"variant": sample.variant, "seed": sample.seed}
            for row in rows:
                log.write(sample.step, **run, epoch=sample.epoch, **row)

    def _attempt(self, measurement: Measurement, sample: Sample) -> int:
        """How often this run was begun, as far as this measurement has seen it."""
        run = (measurement.name, sample.variant, sample.seed)
        if run not in self._attempts:
            records = read_metrics(self._place(measurement), by=RUN_COLUMNS)
            former = matching(records, variant=sample.variant, seed=sample.seed)
            self._attempts[run] = 1 + max((record["attempt"] for record in former), default=0)
        return self._attempts[run]

    def places(self) -> list[Path]:
        """The folder of every measurement's log."""
        return [self._place(measurement) for measurement in self._measurements]

    def rows(self) -> dict[str, tuple[Row, ...]]:
        """All rows that count, by measurement; what a run that went on measured again, once."""
        return {
            measurement.name: tuple(
                {name: value for name, value in record.items() if name != "attempt"}
                for record in read_metrics(self._place(measurement), by=RUN_COLUMNS)
            )
            for measurement in self._measurements
        }

    def quantities(
        self, rows: Mapping[str, tuple[Row, ...]], variant: str, seed: int
    ) -> dict[str, float]:
        """The numbers that the measurements' `rows` give of one run; only those measured."""
        found = {}
        for measurement in self._measurements:
            if own := matching(rows[measurement.name], variant=variant, seed=seed):
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
