"""`Measurement`: what an experiment measures beside the errors, and the log of its rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, UInt8

from ablax.config import Recipe
from ablax.core import Network, features
from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.losses import predictions
from ablax.report.study import Quantity, Row, Section
from ablax.training.loop import Moment
from ablax.training.metrics import MetricsLog, read_metrics, write_csv

# ------------------------------------------------------------------------------------------
# `Subject`: the network of one run at one moment, and the images it is measured on.

PORTION = 128
"""Images in one compiled forward pass."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured.

    Attributes:
        variant: Its name in the experiment.
        seed: Of its initial weights, and of all its training.
        step: Training steps taken; 0 before training.
        epoch: The same in epochs.
        network: The network.
        variables: Its parameters and statistics (`params`, `batch_stats`) at this moment.
        recipe: How it is trained.
        train: Training images: a random sample, the same for every variant and seed.
        test: Test images, in the data's order.
        classes: How many there are.
        mean: Of each channel over all training images, in [0, 1].
        std: Standard deviation of each channel.
        held_out: Training images kept apart for validation; None where the recipe asks for none.
    """

    variant: str
    seed: int
    step: int
    epoch: float
    network: Network
    variables: Mapping[str, Any]
    recipe: Recipe
    train: Split
    test: Split
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    held_out: Split | None = None

    def normalized(
        self, images: UInt8[np.ndarray, "N H W C"] | Float[np.ndarray, "N H W C"]
    ) -> Float[np.ndarray, "N H W C"]:
        """Levels of 0 to 255 as the network gets them: in [0, 1], standardized by mean and std."""
        pixels = np.asarray(images, np.float32) / 255
        return ((pixels - np.asarray(self.mean)) / np.asarray(self.std)).astype(np.float32)

    def scores(
        self, images: UInt8[np.ndarray, "N H W C"] | Float[np.ndarray, "N H W C"]
    ) -> Float[np.ndarray, "N classes"]:
        """Of raw images (levels 0 to 255), as in a test."""
        apply = partial(_scores, self.network)
        parts = [(apply(self.variables, part), count) for part, count in self._portions(images)]
        return np.concatenate([np.asarray(found)[:count] for found, count in parts])

    def error(
        self,
        images: UInt8[np.ndarray, "N H W C"] | Float[np.ndarray, "N H W C"],
        labels: Int32[np.ndarray, " N"],
    ) -> float:
        """Share of raw images whose highest score is not that of their class, in percent."""
        return 100 * float(np.mean(predictions(self.scores(images)) != labels))

    def features(
        self,
        images: UInt8[np.ndarray, "N H W C"] | Float[np.ndarray, "N H W C"],
        at: Sequence[str],
    ) -> dict[str, Float[np.ndarray, "N ..."]]:
        """What the named layers give for raw images, as in a test: one row per image.

        Raises:
            AblaxError: A name that no layer has.
        """
        found: dict[str, list[np.ndarray]] = {name: [] for name in at}
        for part, count in self._portions(images):
            given = jax.device_get(features(self.network, self.variables, part, at))
            for name in at:
                found[name].append(given[name][:count])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _portions(self, images: np.ndarray) -> Iterator[tuple[Array, int]]:
        """Normalized batches of one size, the last filled up with zeros, and how many count."""
        size = min(PORTION, len(images))
        for first in range(0, len(images), size):
            part = self.normalized(images[first : first + size])
            missing = size - len(part)
            padded = np.pad(part, [(0, missing), (0, 0), (0, 0), (0, 0)])
            yield jnp.asarray(padded), len(part)


@partial(jax.jit, static_argnums=0)
def _scores(network: Network, variables: Mapping[str, Any], images: Array) -> Array:
    return network.apply(variables, images)


# ------------------------------------------------------------------------------------------
# `Measurement`: what an experiment wants to know beside the errors, and when it is taken.


@dataclass(frozen=True)
class Measurement:
    """A function of a subject, called at given moments of every run.

    Its rows are kept in `measurements/<name>/` of the results folder, with the columns `variant`,
    `seed`, `step` and `epoch` beside their own; the study holds them as `study.rows(name)`.

    Attributes:
        name: Letters, digits and '_'.
        measure: Gives rows: mappings of a few columns to numbers or strings. It must be a pure
            function of the subject: a run that goes on repeats it.
        section: How the report shows the rows.
        moments: When.
        quantities: Name to the number that claims may speak of, such as `"full:svm_of_conv5"`; no
            two measurements of an experiment give the same name.
        every_seed: False where seeds make no difference: then only seed 0 is measured.
        only: The variants that are measured; all where it is empty.

    Raises:
        AblaxError: The name is no identifier, or no moment is given.
    """

    name: str
    measure: Callable[[Subject], Iterable[Row]]
    section: Section
    moments: tuple[Moment, ...] = ("end",)
    quantities: Mapping[str, Quantity] = field(default_factory=lambda: MappingProxyType({}))
    every_seed: bool = True
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise AblaxError(f"a measurement is named {self.name!r}: use letters, digits and '_'")
        if not self.moments:
            raise AblaxError(
                f"the measurement {self.name!r} has no moment: give one of "
                "'start', 'training', 'end'"
            )

    def wanted(self, variant: str, seed: int, moment: Moment) -> bool:
        """Whether this run is measured at this moment."""
        named = not self.only or variant in self.only
        return moment in self.moments and named and (self.every_seed or seed == 0)


# ------------------------------------------------------------------------------------------
# Where measured rows are kept: lines that only grow, a file for each measurement.

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
