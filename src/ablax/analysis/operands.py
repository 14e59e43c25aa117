"""What a rule for a primitive is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ablax.analysis.intervals import STILL, Intervals, whole


@dataclass(frozen=True)
class Operand:
    """What is known of an operand of a primitive.

    Attributes:
        shape: Its shape.
        intervals: Of one axis of the image; None if it does not depend on the image.
        value: Computes it, where it is the same for all arguments; or None.
    """

    shape: tuple[int, ...]
    intervals: Intervals | None
    value: Callable[[], Any] | None = None


Params = Mapping[str, Any]
Operands = Sequence[Operand]
Shapes = Sequence[tuple[int, ...]]
Found = list[Intervals | None]
"""Intervals of each result; None where it does not depend on the image."""

Rule = Callable[[Params, Operands, Shapes], Found]


def given(operands: Operands) -> list[Intervals]:
    """The intervals of the operands that depend on the image."""
    return [x.intervals for x in operands if x.intervals is not None]


def unknown(_: Params, operands: Operands, shapes: Shapes) -> Found:
    """All of the image, which is surely enough."""
    rows = given(operands)[0].rows
    return [whole(len(shape), rows, bounded=True) for shape in shapes]


def transposed(x: Intervals, order: Sequence[int]) -> Intervals:
    """The axes in another order."""
    laws = tuple(x.laws[axis] for axis in order)
    return replace(x, low=x.low.transpose(order), high=x.high.transpose(order), laws=laws)


def of_rank(x: Intervals, rank: int) -> Intervals:
    """A number that every element of an array depends on, as intervals of that array."""
    if x.low.ndim == rank:
        return x
    shape = (1,) * rank
    return replace(x, low=x.low.reshape(shape), high=x.high.reshape(shape), laws=(STILL,) * rank)
