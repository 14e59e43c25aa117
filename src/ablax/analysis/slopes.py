"""The slope of a function along a line, from its gradient and from finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["agrees", "disagrees", "cannot be told"]
Line = Callable[[float], float]
"""The function along a line: of the distance from the parameters."""

STEP = 2.0**-17
"""The first step, of the leaf's scale: near the cube root of float64's rounding unit 2^-52, where a
central difference errs least."""
SHORTER = (1, 8, 64, 512)
"""What the first step is divided by where a kink lies between; each is compared with its half."""
_ROUNDINGS = 16.0
"""Rounding of a value of the function, in units of 2^-52 of it."""


@dataclass(frozen=True)
class Slopes:
    """The slope along one direction, once from the gradient and once from differences.

    Attributes:
        along: `"direction 1"`, or the index of an entry such as `"[0, 2]"`.
        gradient: v . g for the direction v, from the gradient g.
        difference: (f(p + h v) - f(p - h v)) / 2h.
        step: The step h.
        noise: How far rounding alone may move the difference.
        kink: How far a kink between the points may have moved it; 0 where f is smooth.
        error: |gradient - difference| / max(|gradient|, |difference|), or 0 where both are
            within `noise` of 0.
        verdict: What follows from it.
        moved: Measured at a point nearby, because a kink may lie at the point itself.
    """

    along: str
    gradient: float
    difference: float
    step: float
    noise: float
    kink: float
    error: float
    verdict: Verdict
    moved: bool = False


def compare(
    label: str, line: Line, expected: float, scale: float, value: float, tolerance: float
) -> Slopes:
    """The slope along a line; with shorter steps as long as a kink leaves it open.

    Args:
        label: Of the line.
        line: The function along it, in float64.
        expected: The slope that the gradient gives.
        scale: Of the numbers that are moved; the first step is a share of it.
        value: Of the function at the point.
        tolerance: The largest relative error that agrees.
    """
    found = []
    for divisor in SHORTER:
        found.append(_measured(label, line, expected, STEP * scale / divisor, value, tolerance))
        if found[-1].kink <= tolerance * max(abs(expected), abs(found[-1].difference)):
            break
    return min(found, key=lambda each: each.kink + each.noise)


def _measured(
    label: str, line: Line, expected: float, step: float, value: float, tolerance: float
) -> Slopes:
    """The slope at half the step, and what a kink and rounding may do to it."""
    half = step / 2
    right, right_half = ((line(h) - value) / h for h in (step, half))
    left, left_half = ((value - line(-h)) / h for h in (step, half))
    slope = (right_half + left_half) / 2
    noise = _ROUNDINGS * float(np.finfo(np.float64).eps) * abs(value) / half
    bend = 2 * (right_half - left_half) - (right - left)
    kink = max(abs((right + left) / 2 - slope), abs(bend))
    kink = kink if kink > 4 * noise else 0.0
    apart, size = abs(expected - slope), max(abs(expected), abs(slope))
    if apart <= tolerance * size + noise:
        verdict: Verdict = "agrees"
    elif apart <= 2 * kink + noise:
        verdict = "cannot be told"
    else:
        verdict = "disagrees"
    error = apart / size if size > noise else 0.0
    return Slopes(label, expected, slope, half, noise, kink, error, verdict)
