"""Convolutions and matrix products: which elements of the image a weighted sum depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ablax.analysis.intervals import STILL, Intervals, changed, hull_along, reduced, union, windowed
from ablax.analysis.laws import with_laws_found
from ablax.analysis.operands import Found, Operand, Operands, Params, Shapes, transposed, unknown


def convolution(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """`conv_general_dilated`; exact where the kernel does not depend on the image."""
    images, kernel = operands
    if images.intervals is None or kernel.intervals is not None or params["batch_group_count"] > 1:
        return unknown(params, operands, shapes)
    numbers = params["dimension_numbers"]
    x = transposed(images.intervals, numbers.lhs_spec)
    channels, features = images.shape[numbers.lhs_spec[1]], kernel.shape[numbers.rhs_spec[0]]
    x = _grouped(x, params["feature_group_count"], channels, features)
    for place, axis in enumerate(numbers.rhs_spec[2:]):
        x = windowed(
            x,
            2 + place,
            kernel.shape[axis],
            int(params["window_strides"][place]),
            (int(params["padding"][place][0]), int(params["padding"][place][1])),
            int(params["lhs_dilation"][place]),
            int(params["rhs_dilation"][place]),
        )
    return [transposed(x, np.argsort(numbers.out_spec).tolist())]


def _grouped(x: Intervals, groups: int, channels: int, features: int) -> Intervals:
    """Each feature depends on the channels (axis 1) of its group."""
    if groups == 1 or x.low.shape[1] == 1:
        return hull_along(x, 1)
    shape = x.low.shape
    cut = (shape[0], groups, channels // groups, *shape[2:])
    low, high = x.low.reshape(cut).min(axis=2), x.high.reshape(cut).max(axis=2)
    low, high = (np.repeat(side, features // groups, axis=1) for side in (low, high))
    return changed(x, low, high, (x.laws[0], None, *x.laws[2:]), bounded=False)


def dot(params: Params, operands: Operands, _: Shapes) -> Found:
    """`dot_general`: all along the contracted axes, but for where a known matrix is 0."""
    contracted, batch = params["dimension_numbers"]
    free = [
        [axis for axis in range(len(x.shape)) if axis not in (*contracted[side], *batch[side])]
        for side, x in enumerate(operands)
    ]
    found = []
    for side, x in enumerate(operands):
        if x.intervals is None:
            continue
        other = 1 - side
        y, axes = x.intervals, contracted[side]
        matrix = _matrix(operands[other], contracted[other], batch[other])
        if matrix is not None and y.low.shape[axes[0]] > 1:
            y = _through(y, axes[0], matrix)
            order = [*free[side], axes[0]] if side == 0 else [axes[0], *free[side]]
            found.append(transposed(y, order))
            continue
        y = reduced(transposed(y, [*batch[side], *free[side], *axes]), _last(y, len(axes)))
        # the free axes of the left operand come first
        place = len(batch[side]) + (len(free[side]) if side == 0 else 0)
        found.append(_with_axes(y, place, len(free[other])))
    return [union(found)]


def _last(x: Intervals, count: int) -> range:
    return range(x.low.ndim - count, x.low.ndim)


def _with_axes(x: Intervals, place: int, count: int) -> Intervals:
    """Axes put in along which nothing changes."""
    axes = tuple(range(place, place + count))
    low, high = np.expand_dims(x.low, axes), np.expand_dims(x.high, axes)
    laws = (*x.laws[:place], *[STILL] * count, *x.laws[place:])
    return replace(x, low=low, high=high, laws=laws)


def _matrix(x: Operand, contracted: Sequence[int], batch: Sequence[int]) -> Any:
    """A known matrix as (what is contracted, what is free); None where there is none."""
    if x.value is None or len(x.shape) != 2 or len(contracted) != 1 or batch:
        return None
    value = np.asarray(x.value())
    return value if contracted[0] == 0 else value.T


def _through(x: Intervals, axis: int, matrix: Any) -> Intervals:
    """Along one axis each new place depends on the old ones whose weight is not 0."""
    low, high = (np.moveaxis(side, axis, 0) for side in (x.low, x.high))
    chosen = [np.flatnonzero(column) for column in matrix.T]
    low = np.stack([low[each].min(axis=0, initial=np.inf) for each in chosen])
    high = np.stack([high[each].max(axis=0, initial=-np.inf) for each in chosen])
    return with_laws_found(x, np.moveaxis(low, 0, axis), np.moveaxis(high, 0, axis))
