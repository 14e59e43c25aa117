"""Intervals through a reshape: axes split and merged, and what becomes of their laws."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ablax.analysis.intervals import STILL, Intervals, Law, still

Group = tuple[tuple[int, ...], tuple[int, ...]]


def reshaped(x: Intervals, old: Sequence[int], new: Sequence[int]) -> Intervals:
    """The intervals of `lax.reshape(array, new)`.

    Only axes that change are written out; those of a group that the image does not run along stay
    of length 1.

    Args:
        x: The intervals of the array.
        old: Its shape.
        new: The shape it gets; as many elements.

    Returns:
        Intervals with `len(new)` axes.
    """
    from_shape: list[int] = []
    to_shape: list[int] = []
    laws: list[Law] = []
    for before, after in groups(old, new):
        if all(still(x, axis) for axis in before):
            from_shape += [1] * len(before)
            to_shape += [1] * len(after)
            laws += [STILL] * len(after)
            continue
        sizes = [new[axis] for axis in after]
        from_shape += [old[axis] for axis in before]
        to_shape += sizes
        if len(before) == len(after) == 1:
            laws.append(x.laws[before[0]])
        else:
            merged = _merged(x.laws, before, old)
            laws += _split(merged, sizes)
    low = np.broadcast_to(x.low, from_shape).reshape(to_shape)
    high = np.broadcast_to(x.high, from_shape).reshape(to_shape)
    return replace(x, low=low, high=high, laws=tuple(laws))


def groups(old: Sequence[int], new: Sequence[int]) -> Iterator[Group]:
    """The smallest runs of axes, old and new, that hold equally many elements.

    Example:
        >>> list(groups((2, 6, 5), (2, 3, 2, 5)))
        [((0,), (0,)), ((1,), (1, 2)), ((2,), (3,))]
    """
    i = j = 0
    while i < len(old) and j < len(new):
        start, begin = i, j
        left, right = old[i], new[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right and i < len(old):
                left, i = left * old[i], i + 1
            else:
                right, j = right * new[j], j + 1
        if i < len(old) and j == len(new):  # axes of length 1 that are left over
            i = len(old)
        if j < len(new) and i == len(old):
            j = len(new)
        yield tuple(range(start, i)), tuple(range(begin, j))
    if i < len(old) or j < len(new):
        yield tuple(range(i, len(old))), tuple(range(j, len(new)))


def _merged(laws: Sequence[Law], axes: Sequence[int], shape: Sequence[int]) -> Law:
    """The law of several axes laid into one, the last running fastest."""
    whole: Law = STILL
    length = 1
    for axis in axes:
        law, size = laws[axis], shape[axis]
        whole = law if length == 1 else _behind(whole, law, size)
        length *= size
    return whole


def _behind(outer: Law, inner: Law, size: int) -> Law:
    """The law of an axis whose blocks of `size` elements are laid behind one another."""
    if outer is None or inner is None:
        return None
    period, advance = inner
    # the inner law goes on from block to block when a block moves as far as its elements do
    if outer[0] == 1 and size % period == 0 and outer[1] * period == advance * size:
        return inner
    return outer[0] * size, outer[1]


def _split(law: Law, sizes: Sequence[int]) -> list[Law]:
    """The laws of one axis cut into several, the last running fastest."""
    if law is None:
        return [None] * len(sizes)
    laws: list[Law] = []
    for place, size in enumerate(sizes):
        step = math.prod(sizes[place + 1 :])
        period = math.lcm(law[0], step)
        laws.append((period // step, law[1] * (period // law[0])) if size > 1 else STILL)
    return laws
