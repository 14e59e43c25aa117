"""Intervals of one axis of an image, one for each element of an array, and how they move.

An array that a network computes is described by two numbers an element: the first and the last row
of the image that the element depends on. Operations on arrays become operations on these numbers:
a window takes the least and the greatest of its taps, a concatenation concatenates.

Theory asks what a unit would see of an image without end, so padding is not nothing: it holds the
units that would be there. They are found from the law of an axis: `(period, advance)` says that
`period` elements further along the intervals lie `advance` rows further down. A convolution has
period 1, an upsampling by f has period f. On an axis without a law (`None`) padding holds nothing:
that is how the part of the real image is found that a unit sees.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

Ends = Float[np.ndarray, "..."]
"""The first or the last row that each element of an array depends on."""

Law = tuple[int, int] | None
"""(period, advance): elements along the array, rows of the image. None: no such law."""

STILL: Law = (1, 0)
"""The law of an axis along which nothing changes; it is stored with length 1."""


@dataclass(frozen=True, eq=False)
class Intervals:
    """For each element of an array the rows of the image from `low` to `high`, both included.

    Attributes:
        low: As many axes as the array; an axis along which nothing changes has length 1. Infinity
            where the element depends on no row.
        high: The same; minus infinity where the element depends on no row.
        laws: One for each axis.
        rows: The length of the image's axis.
        bounded: The intervals are not exact: the truth lies within, or there is no law.
    """

    low: Ends
    high: Ends
    laws: tuple[Law, ...]
    rows: int
    bounded: bool = False

    @property
    def moves(self) -> bool:
        """Whether some axis of the array runs along the image, by a law."""
        return any(law is not None and law[1] != 0 for law in self.laws)

    @property
    def everywhere_whole(self) -> bool:
        """Whether every element depends on every row."""
        return bool((self.low <= 0).all() and (self.high >= self.rows - 1).all())


def of_image(rank: int, axis: int, rows: int, *, endless: bool) -> Intervals:
    """Each pixel sees itself.

    Args:
        rank: Axes of the array that holds images.
        axis: Which of them this is about.
        rows: Its length.
        endless: Whether the image goes on behind its border, as theory has it.

    Returns:
        The intervals of the images.
    """
    shape = [1] * rank
    shape[axis] = rows
    place = np.arange(rows, dtype=float).reshape(shape)
    laws = [STILL] * rank
    laws[axis] = (1, 1) if endless else None
    return Intervals(place, place, tuple(laws), rows)


def whole(rank: int, rows: int, *, bounded: bool) -> Intervals:
    """Every element sees all rows."""
    zero = np.zeros((1,) * rank)
    return Intervals(zero, zero + rows - 1, (STILL,) * rank, rows, bounded)


def changed(x: Intervals, low: Ends, high: Ends, laws: Sequence[Law], bounded: bool) -> Intervals:
    """New intervals; where no axis runs along the image any more, they end at its border."""
    found = Intervals(low, high, tuple(laws), x.rows, x.bounded or bounded)
    if found.moves:
        return found
    low = np.where(low == np.inf, low, np.maximum(low, 0))
    high = np.where(high == -np.inf, high, np.minimum(high, x.rows - 1))
    return replace(found, low=low, high=high)


def still(x: Intervals, axis: int) -> bool:
    """Whether nothing changes along an axis."""
    return x.laws[axis] == STILL and x.low.shape[axis] == 1


def spread(x: Intervals, axis: int, length: int) -> Intervals:
    """The same with an axis written out in full."""
    shape = list(x.low.shape)
    if shape[axis] == length:
        return x
    shape[axis] = length
    return replace(x, low=np.broadcast_to(x.low, shape), high=np.broadcast_to(x.high, shape))


def merged_law(one: Law, other: Law) -> tuple[Law, bool]:
    """The law that holds for both, and whether one was lost."""
    if one == other:
        return one, False
    if one is None or other is None:
        kept = one or other
        return None, kept is not None and kept[1] != 0
    period = math.lcm(one[0], other[0])
    advances = [law[1] * (period // law[0]) for law in (one, other)]
    return ((period, advances[0]), False) if advances[0] == advances[1] else (None, True)


def union(xs: Sequence[Intervals]) -> Intervals:
    """What depends on all of them: the hull, element by element."""
    first = xs[0]
    for x in xs[1:]:
        if x is not first:
            first = _union(first, x)
    return first


def _union(a: Intervals, b: Intervals) -> Intervals:
    merged = [merged_law(*pair) for pair in zip(a.laws, b.laws, strict=True)]
    lost = any(each[1] for each in merged)
    if lost and (a.everywhere_whole or b.everywhere_whole):
        return whole(a.low.ndim, a.rows, bounded=a.bounded or b.bounded)
    low, high = np.minimum(a.low, b.low), np.maximum(a.high, b.high)
    return changed(a, low, high, [each[0] for each in merged], b.bounded or lost)


def extended(x: Intervals, axis: int, before: int, after: int) -> Intervals:
    """The axis continued at both ends: by its law, or by elements that depend on nothing."""
    if still(x, axis) or (before == 0 and after == 0):
        return x
    length, law = x.low.shape[axis], x.laws[axis]
    place = np.arange(-before, length + after)
    period, advance = law or (1, 0)
    # how many periods away the nearest element stands that exists
    behind = np.where(place >= length, (place - length) // period + 1, 0)
    away = np.where(place < 0, -(place // period), -behind)
    source = place + away * period
    there = (source >= 0) & (source < length) if law else (place >= 0) & (place < length)
    shape = [1] * x.low.ndim
    shape[axis] = len(place)
    shift, there = (-away * advance).reshape(shape), there.reshape(shape)
    taken = np.clip(source, 0, length - 1)
    low = np.where(there, np.take(x.low, taken, axis) + shift, np.inf)
    high = np.where(there, np.take(x.high, taken, axis) + shift, -np.inf)
    return replace(x, low=low, high=high, bounded=x.bounded or (bool(law) and not there.all()))


def padded(x: Intervals, axis: int, before: int, after: int, between: int = 0) -> Intervals:
    """`lax.pad` along one axis: elements before, after (negative: cut off) and between."""
    if still(x, axis):
        return x
    step = between + 1
    ends = [-(-max(side, 0) // step) if x.laws[axis] else max(side, 0) for side in (before, after)]
    if step == 1 or x.laws[axis]:
        x = extended(x, axis, *ends)
    length = x.low.shape[axis]
    if step > 1:
        shape = list(x.low.shape)
        # behind the last element of an endless axis stand the holes before the next one
        shape[axis] = length * step if x.laws[axis] else (length - 1) * step + 1
        low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
        where = tuple(
            slice(None, None, step) if each == axis else slice(None) for each in range(len(shape))
        )
        low[where], high[where] = x.low, x.high
        laws = list(x.laws)
        law = laws[axis]
        laws[axis] = law and (law[0] * step, law[1])
        x = replace(x, low=low, high=high, laws=tuple(laws))
        if law is None:
            return padded(x, axis, before, after)
    source = length - sum(ends)
    start = ends[0] * step - before
    return strided(x, axis, start, start + (source - 1) * step + 1 + before + after, 1)


def strided(x: Intervals, axis: int, start: int, stop: int, step: int) -> Intervals:
    """Every `step`-th element from `start` to before `stop`; a negative step counts down."""
    if still(x, axis):
        return x
    taken = np.arange(start, stop, step)
    laws = list(x.laws)
    laws[axis] = strided_law(laws[axis], step)
    return replace(
        x,
        low=np.take(x.low, taken, axis),
        high=np.take(x.high, taken, axis),
        laws=tuple(laws),
    )


def strided_law(law: Law, step: int) -> Law:
    """The law of every `step`-th element."""
    if law is None:
        return None
    period = law[0] // math.gcd(law[0], step)
    return period, law[1] * (step * period // law[0])


def windowed(
    x: Intervals,
    axis: int,
    window: int,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    base_dilation: int = 1,
    dilation: int = 1,
) -> Intervals:
    """A window of `window` taps slides along an axis: each place depends on all its taps."""
    if still(x, axis):
        return x
    x = padded(x, axis, *padding, between=base_dilation - 1)
    reach = x.low.shape[axis] - (window - 1) * dilation
    taps = [
        strided(x, axis, tap * dilation, tap * dilation + reach, stride) for tap in range(window)
    ]
    low = functools.reduce(np.minimum, [tap.low for tap in taps])
    high = functools.reduce(np.maximum, [tap.high for tap in taps])
    return changed(x, low, high, taps[0].laws, bounded=False)


def reduced(x: Intervals, axes: Sequence[int]) -> Intervals:
    """What depends on all elements along some axes, which disappear."""
    if not axes:
        return x
    laws = [law for axis, law in enumerate(x.laws) if axis not in axes]
    low, high = x.low.min(axis=tuple(axes)), x.high.max(axis=tuple(axes))
    return changed(x, np.asarray(low), np.asarray(high), laws, bounded=False)


def hull_along(x: Intervals, axis: int, *, bounded: bool = False) -> Intervals:
    """Every element depends on all of its axis, which stays."""
    if still(x, axis):
        return x
    laws = list(x.laws)
    laws[axis] = STILL
    low, high = x.low.min(axis=axis, keepdims=True), x.high.max(axis=axis, keepdims=True)
    return changed(x, low, high, laws, bounded)


def concatenated(xs: Sequence[Intervals | None], lengths: Sequence[int], axis: int) -> Intervals:
    """Arrays behind one another along an axis; None stands for one that depends on nothing."""
    present = [x for x in xs if x is not None]
    first = present[0]
    alike = all(
        x is not None
        and x.laws == first.laws
        and np.array_equal(x.low, first.low)
        and np.array_equal(x.high, first.high)
        for x in xs
    )
    if alike and still(first, axis):
        return replace(first, bounded=any(x.bounded for x in present))
    laws, lost = list(first.laws), False
    for other in present[1:]:
        merged = [merged_law(*pair) for pair in zip(laws, other.laws, strict=True)]
        lost = lost or any(each[1] for place, each in enumerate(merged) if place != axis)
        laws = [each[0] for each in merged]
    bounded = any(each.bounded for each in present)
    if lost and any(each.everywhere_whole for each in present):
        return whole(first.low.ndim, first.rows, bounded=bounded)
    shape = np.broadcast_shapes(*(np.take(each.low, [0], axis).shape for each in present))
    parts = []
    for x, length in zip(xs, lengths, strict=True):
        full = (*shape[:axis], length, *shape[axis + 1 :])
        low, high = (x.low, x.high) if x is not None else (np.array(np.inf), np.array(-np.inf))
        parts.append((np.broadcast_to(low, full), np.broadcast_to(high, full)))
    low, high = (np.concatenate(sides, axis) for sides in zip(*parts, strict=True))
    along = [each.laws[axis] for each in present]
    ran = any(law is not None and law[1] != 0 for law in along)
    laws[axis] = laws[axis] if ran and holds(laws[axis], low, high, axis) else None
    return changed(first, low, high, laws, bounded or lost or (ran and laws[axis] is None))


def holds(law: Law, low: Ends, high: Ends, axis: int) -> bool:
    """Whether the intervals obey a law along an axis."""
    if law is None:
        return False
    length = low.shape[axis]
    for side in (low, high):
        earlier = np.take(side, np.arange(0, max(length - law[0], 0)), axis)
        later = np.take(side, np.arange(law[0], max(length, law[0])), axis)
        if not np.array_equal(earlier + law[1], later):
            return False
    return True
