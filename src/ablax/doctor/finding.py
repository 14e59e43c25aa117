"""What a check finds: a verdict, the measurement in a sentence, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scipy import stats

CONFIDENCE = 0.95
"""Of every interval of the doctor's."""


@dataclass(frozen=True, eq=False)
class Finding:
    """The outcome of one check.

    Attributes:
        check: Its name.
        sick: Whether the sickness is there; None where it cannot be told.
        sentence: What was measured, and the limit it was compared with.
        measurements: The figures, by name; those of a curve as tuples.
        advice: What to do if sick, or to be able to tell; empty if healthy.
    """

    check: str
    sick: bool | None
    sentence: str
    measurements: Mapping[str, Any] = field(default_factory=dict)
    advice: str = ""

    @property
    def verdict(self) -> str:
        """In words.

        Example:
            >>> Finding("speed", None, "no figure").verdict
            'cannot be told'
        """
        return {True: "sick", False: "healthy", None: "cannot be told"}[self.sick]


def share_interval(count: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, from `count` of `total`.

    Args:
        count: How many.
        total: Of how many, at least 1.

    References:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.

    Example:
        >>> low, high = share_interval(0, 100)
        >>> low, round(high, 3)
        (0.0, 0.037)
    """
    found = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def listed(names: Sequence[str], most: int = 3) -> str:
    """Some names, and how many more there are.

    Example:
        >>> listed(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
