"""Slices, pads, concatenations and gathers: which elements of the image stand where afterwards."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from ablax.analysis.intervals import (
    STILL,
    Intervals,
    changed,
    concatenated,
    hull_along,
    padded,
    still,
    strided,
    union,
)
from ablax.analysis.laws import with_laws_found
from ablax.analysis.operands import (
    Found,
    Operands,
    Params,
    Shapes,
    given,
    transposed,
    unknown,
)
from ablax.analysis.regrouping import reshaped

LARGEST_TABLE = 2**22
"""Elements of an array that is worth moving to know what a gather reads."""


def broadcast(params: Params, operands: Operands, _: Shapes) -> Found:
    """`broadcast_in_dim`."""
    x, places = operands[0].intervals, params["broadcast_dimensions"]
    assert x is not None
    shape, laws = [1] * len(params["shape"]), [STILL] * len(params["shape"])
    for axis, place in enumerate(places):
        shape[place] = x.low.shape[axis]
        if operands[0].shape[axis] == params["shape"][place]:
            laws[place] = x.laws[axis]
    return [changed(x, x.low.reshape(shape), x.high.reshape(shape), laws, bounded=False)]


def reshape(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """`reshape`, `squeeze` and `expand_dims`."""
    if params.get("dimensions") and "new_sizes" in params:
        return unknown(params, operands, shapes)
    x = operands[0].intervals
    assert x is not None
    return [reshaped(x, operands[0].shape, shapes[0])]


def transpose(params: Params, operands: Operands, _: Shapes) -> Found:
    """`transpose`."""
    x = operands[0].intervals
    assert x is not None
    return [transposed(x, params["permutation"])]


def reverse(params: Params, operands: Operands, _: Shapes) -> Found:
    """`rev`: the law of an axis runs the other way."""
    x = operands[0].intervals
    assert x is not None
    for axis in params["dimensions"]:
        x = strided(x, axis, x.low.shape[axis] - 1, -1, -1)
    return [x]


def slices(params: Params, operands: Operands, _: Shapes) -> Found:
    """`slice`."""
    x = operands[0].intervals
    assert x is not None
    steps = params["strides"] or (1,) * len(operands[0].shape)
    spans = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    for axis, span in enumerate(spans):
        x = strided(x, axis, *map(int, span))
    return [x]


def pad(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """`pad`."""
    array, filling = operands
    if array.intervals is None or filling.intervals is not None:
        return unknown(params, operands, shapes)
    x = array.intervals
    for axis, sides in enumerate(params["padding_config"]):
        if any(sides):
            x = padded(x, axis, *map(int, sides))
    return [x]


def concatenate(params: Params, operands: Operands, _: Shapes) -> Found:
    """`concatenate`."""
    axis = int(params["dimension"])
    lengths = [x.shape[axis] for x in operands]
    return [concatenated([x.intervals for x in operands], lengths, axis)]


def split(params: Params, operands: Operands, _: Shapes) -> Found:
    """`split`."""
    x, axis = operands[0].intervals, params["axis"]
    assert x is not None
    ends = np.cumsum(params["sizes"]).tolist()
    return [
        strided(x, axis, end - size, end, 1)
        for end, size in zip(ends, params["sizes"], strict=True)
    ]


def sort(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """`sort`: every element depends on all along the axis, of all operands."""
    x = hull_along(union(given(operands)), params["dimension"])
    return [x] * len(shapes)


def top(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """`top_k`: the same."""
    x = operands[0].intervals
    assert x is not None
    return [hull_along(x, params.get("axis", -1) % x.low.ndim)] * len(shapes)


def dynamic_slice(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """`dynamic_slice`: along a sliced axis anything may be read."""
    x = operands[0].intervals
    if x is None or any(index.intervals is not None for index in operands[1:]):
        return unknown(params, operands, shapes)
    return [_anywhere(x, operands[0].shape, shapes[0])]


def _anywhere(x: Intervals, shape: tuple[int, ...], part: tuple[int, ...]) -> Intervals:
    """The hull along each axis of which a part is taken or changed, nobody knows where."""
    for axis, (length, size) in enumerate(zip(shape, part, strict=True)):
        if length != size and not still(x, axis):
            x = hull_along(x, axis, bounded=True)
    return x


def dynamic_update_slice(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """`dynamic_update_slice`: both arrays, along a changed axis anywhere."""
    array, update = operands[:2]
    if any(index.intervals is not None for index in operands[2:]):
        return unknown(params, operands, shapes)
    found = []
    for x in (array.intervals, update.intervals):
        if x is not None:
            found.append(_anywhere(x, array.shape, update.shape))
    return [union(found)]


def gather(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """`gather`: along an axis that is indexed anything may be read; others stay as they are."""
    x = operands[0].intervals
    if x is None or operands[1].intervals is not None:
        return unknown(params, operands, shapes)
    numbers = params["dimension_numbers"]
    kept = [
        axis
        for axis in range(len(operands[0].shape))
        if axis not in (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    ]
    x = _anywhere(x, operands[0].shape, params["slice_sizes"])
    shape, laws = [1] * len(shapes[0]), [STILL] * len(shapes[0])
    for axis, place in zip(kept, numbers.offset_dims, strict=True):
        shape[place], laws[place] = x.low.shape[axis], x.laws[axis]
    return [changed(x, x.low.reshape(shape), x.high.reshape(shape), laws, bounded=False)]


def table_known(operands: Operands) -> bool:
    """Whether it is known before the run which elements are read, and worth finding out."""
    array, *indices = operands
    fixed = all(index.value is not None for index in indices)
    return fixed and array.intervals is not None and int(np.prod(array.shape)) <= LARGEST_TABLE


def by_table(primitive: Any, params: Params, operands: Operands) -> Found:
    """A gather or dynamic slice with known indices: the same, of the intervals."""
    array, *indices = operands
    x = array.intervals
    assert x is not None
    where = [index.value() for index in indices if index.value is not None]
    sides = []
    for side, nothing in ((x.low, np.inf), (x.high, -np.inf)):
        full = jax.numpy.asarray(np.broadcast_to(side, array.shape), np.float32)
        taken = np.asarray(primitive.bind(full, *where, **params), float)
        sides.append(np.where(np.isnan(taken), nothing, taken))
    return [with_laws_found(x, *sides)]
