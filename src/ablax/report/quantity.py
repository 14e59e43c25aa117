"""What can be compared between variants: a number a run, with its name and its unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
"""One measured figure and what it belongs to: column to a number or a string."""


@dataclass(frozen=True)
class Quantity:
    """A number that a measurement gives of each run, so that claims can speak of it.

    Args:
        label: What it is, as a noun: `"test error on images shifted by 4 pixels"`.
        of: From the rows that the measurement gave for one run to the number; nan where there
            is none.
        unit: Of differences: `"points"` for percentages, `""` for a bare number.
        digits: Behind the point, in sentences and tables.
    """

    label: str
    of: Callable[[tuple[Row, ...]], float]
    unit: str = ""
    digits: int = 2


def _of_run(name: str, label: str, unit: str, digits: int = 2) -> dict[str, Quantity]:
    """What `Run` itself has under that name, as a column of `results.csv`."""
    return {name: Quantity(label, lambda rows: float(rows[-1][name]), unit, digits)}


QUANTITIES: Mapping[str, Quantity] = {
    **_of_run("test_error", "test error", "points"),
    **_of_run("train_error", "training error", "points"),
    **_of_run("train_loss", "training loss", "nats", 3),
    **_of_run("mean_train_error", "training error over all epochs", "points"),
    **_of_run("seconds", "training time", "s", 1),
}
"""What every run has: of its last epoch, of all its epochs, and the time they took."""
