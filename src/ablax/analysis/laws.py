"""Laws read off intervals, where an operation moves elements by a table rather than by a rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ablax.analysis.intervals import STILL, Ends, Intervals, Law, changed, extended, holds, strided


def with_laws_found(x: Intervals, low: Ends, high: Ends) -> Intervals:
    """New intervals, with the law that their middle obeys along each axis.

    A resize repeats its pattern in the middle of the image and bends it at the border; of an
    endless image the middle goes on.

    Args:
        x: What the new intervals were made of.
        low: The new ends; the axes need not be those of `x`.
        high: The same.

    Returns:
        The new intervals, bounded where `x` had a law and they have none.
    """
    for axis in range(low.ndim):
        firsts = [np.take(side, [0], axis) for side in (low, high)]
        if (low == firsts[0]).all() and (high == firsts[1]).all():
            low, high = firsts
    lawless = tuple(STILL if length == 1 else None for length in low.shape)
    if not x.moves:
        return changed(x, low, high, lawless, bounded=False)
    found = replace(x, low=low, high=high, laws=lawless)
    for axis, length in enumerate(low.shape):
        side = length // 4
        middle = strided(found, axis, side, length - side, 1)
        law = _law(middle.low, middle.high, axis) if length > 1 else None
        if law is not None:
            laws = tuple(law if place == axis else each for place, each in enumerate(found.laws))
            found = extended(replace(middle, laws=laws), axis, side, side)
    irregular = not found.moves and None in found.laws
    return changed(found, found.low, found.high, found.laws, bounded=irregular)


def _law(low: Ends, high: Ends, axis: int) -> Law:
    """The law of the shortest period, at most half the axis, that moves; None if there is none."""
    length = low.shape[axis]
    for period in range(1, length // 2 + 1):
        earlier = np.take(low, np.arange(length - period), axis)
        later = np.take(low, np.arange(period, length), axis)
        there = np.isfinite(earlier) & np.isfinite(later)
        moved = later[there] - earlier[there]
        law = (period, int(moved[0])) if moved.size and moved[0] else None
        if holds(law, low, high, axis):
            return law
    return None
