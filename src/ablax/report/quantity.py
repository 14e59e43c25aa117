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
