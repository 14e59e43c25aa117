"""What each primitive of JAX does to the intervals of an image that its operands depend on.

Structure alone counts: a unit depends on all that an operation reads for it, whatever the values,
except where they are known before the function runs (the weights of a resize, the indices of a
gather). What is not known here is answered by all of the image, and marked as bounded.
"""

from __future__ import annotations

import numpy as np
from jax.extend.core import Primitive

from ablax.analysis import moves, products
from ablax.analysis.intervals import Intervals, changed, reduced, union, windowed
from ablax.analysis.operands import (
    Found,
    Operands,
    Params,
    Rule,
    Shapes,
    given,
    of_rank,
    unknown,
)

_ELEMENTWISE = """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp
    clz complex conj convert_element_type copy copy_p cos cosh digamma div eq eq_to erf erf_inv erfc
    exp exp2 expm1 floor ge gt igamma igammac imag integer_pow is_finite le le_to lgamma log log1p
    logistic lt lt_to max min mul name ne neg nextafter not or polygamma population_count pow
    real reduce_precision regularized_incomplete_beta rem round rsqrt select_n shift_left
    shift_right_arithmetic shift_right_logical sign sin sinh sqrt square stop_gradient sub tan tanh
    xor zeta
"""
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
"""Primitives whose result at a place depends on the operands at that place alone."""

EACH_ALONE = frozenset({"optimization_barrier", "device_put", "sharding_constraint", "mesh_cast"})
"""Primitives that hand each operand on to the result of the same number."""

REDUCTIONS = frozenset(
    {"argmax", "argmin", "reduce", "reduce_and", "reduce_max", "reduce_min", "reduce_or"}
    | {"reduce_prod", "reduce_sum", "reduce_xor"}
)
CUMULATIVE = frozenset({"cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum"})


def dependence(primitive: Primitive, params: Params, operands: Operands, shapes: Shapes) -> Found:
    """The intervals of what a primitive gives.

    Args:
        primitive: Any primitive that calls no function.
        params: Its parameters.
        operands: What it is given.
        shapes: Of its results.

    Returns:
        Intervals for each result, or None where it does not depend on the image.
    """
    if not given(operands):
        return [None] * len(shapes)
    name = primitive.name
    if name in ("gather", "dynamic_slice") and moves.table_known(operands):
        return moves.by_table(primitive, params, operands)
    rule = RULES.get(name)
    if rule is None:
        rule = elementwise if name in ELEMENTWISE else unknown
    return rule(params, operands, shapes)


def elementwise(_: Params, operands: Operands, shapes: Shapes) -> Found:
    """The union of the operands, place by place; numbers go with every place."""
    return [union([of_rank(x, len(shapes[0])) for x in given(operands)])] * len(shapes)


def each_alone(_: Params, operands: Operands, __: Shapes) -> Found:
    """Each operand is handed on."""
    return [x.intervals for x in operands]


def reduction(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """All along some axes; what a reduction starts from is a number."""
    axes = [int(axis) for axis in params.get("axes", params.get("dimensions"))]
    rank = len(shapes[0])
    found = [
        reduced(x, axes) if x.low.ndim == rank + len(axes) else of_rank(x, rank)
        for x in given(operands)
    ]
    return [union(found)] * len(shapes)


def cumulative(params: Params, operands: Operands, _: Shapes) -> Found:
    """Each element depends on all before it, itself included."""
    (x,), axis = given(operands), params["axis"]
    if x.low.shape[axis] == 1:
        return [x]
    low, high = (np.flip(side, axis) if params["reverse"] else side for side in (x.low, x.high))
    low, high = np.minimum.accumulate(low, axis), np.maximum.accumulate(high, axis)
    low, high = (np.flip(side, axis) if params["reverse"] else side for side in (low, high))
    law = x.laws[axis]
    laws = [None if place == axis else each for place, each in enumerate(x.laws)]
    return [changed(x, low, high, laws, bounded=law is not None and law[1] != 0)]


def window_reduction(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """A window slides over every axis."""
    return [union([_windowed(params, x) for x in given(operands)])] * len(shapes)


def _windowed(params: Params, x: Intervals) -> Intervals:
    windows = params["window_dimensions"]
    if x.low.ndim != len(windows):  # what the reduction starts from
        return of_rank(x, len(windows))
    for axis, window in enumerate(windows):
        x = windowed(
            x,
            axis,
            int(window),
            int(params["window_strides"][axis]),
            (int(params["padding"][axis][0]), int(params["padding"][axis][1])),
            int(params["base_dilation"][axis]),
            int(params["window_dilation"][axis]),
        )
    return x


RULES: dict[str, Rule] = {
    "broadcast_in_dim": moves.broadcast,
    "concatenate": moves.concatenate,
    "conv_general_dilated": products.convolution,
    "dot_general": products.dot,
    "dynamic_slice": moves.dynamic_slice,
    "dynamic_update_slice": moves.dynamic_update_slice,
    "expand_dims": moves.reshape,
    "gather": moves.gather,
    "pad": moves.pad,
    "reshape": moves.reshape,
    "rev": moves.reverse,
    "slice": moves.slices,
    "sort": moves.sort,
    "split": moves.split,
    "squeeze": moves.reshape,
    "top_k": moves.top,
    "transpose": moves.transpose,
    **dict.fromkeys(EACH_ALONE, each_alone),
    **dict.fromkeys(REDUCTIONS, reduction),
    **dict.fromkeys(CUMULATIVE, cumulative),
    **dict.fromkeys(
        ("reduce_window", "reduce_window_max", "reduce_window_min", "reduce_window_sum"),
        window_reduction,
    ),
}
"""Every other primitive is elementwise, or unknown."""
