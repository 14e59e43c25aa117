"""The laws of products: what a convolution and a matrix product cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from jax.extend.core import Jaxpr

from ablax.analysis.equations import Equation
from ablax.analysis.jax_versions import jaxprs_in_params


def convolution_macs(equation: Equation) -> int:
    """Multiply-accumulates of one `conv_general_dilated`: outputs × taps × channels a group.

    macs = (N · P · Q · features) · (R · S · C / groups)

    with an output of P × Q, a kernel of R × S and C input channels. Taps on padding count, as in
    the papers' tables; stride enters through the output size; dilation costs nothing. With
    `batch_group_count` the output has that many times fewer images, and the law is the same.

    Args:
        equation: An equation whose primitive is `conv_general_dilated`.

    Returns:
        The multiply-accumulates of one trip.

    References:
        V. Sze et al. (2017), "Efficient Processing of Deep Neural Networks: A Tutorial and
        Survey", the equation of a convolutional layer.
    """
    # The zeros of an input dilation (`lhs_dilation`, of a backward or transposed convolution) count
    # like those of the padding, outputs × taps: the law is the size of the sums as they are written
    # and does not guess which products with zero a device leaves out.
    kernel = equation.inputs[1].shape
    _, *reduced = equation.params["dimension_numbers"].rhs_spec  # all but the output features
    return math.prod(equation.outputs[0].shape) * math.prod(kernel[axis] for axis in reduced)


def product_macs(equation: Equation) -> int:
    """Multiply-accumulates of one `dot_general`: outputs × the length of the sums.

    macs = (batch · rows · columns) · inner

    Args:
        equation: An equation whose primitive is `dot_general`.

    Returns:
        The multiply-accumulates of one trip.
    """
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.inputs[0].shape
    return math.prod(equation.outputs[0].shape) * math.prod(left[axis] for axis in contracted)


#: What one trip of a product costs.
LAWS: Mapping[str, Callable[[Equation], int]] = MappingProxyType(
    {"conv_general_dilated": convolution_macs, "dot_general": product_macs}
)


def total_macs(equation: Equation) -> int:
    """Multiply-accumulates of all trips of one equation; 0 when it is no product.

    Raises:
        ValueError: A product stands where nobody can say how often it runs: in a `while` loop, or
            in a primitive that we do not look into.
    """
    law = LAWS.get(equation.primitive)
    where = "/".join(equation.scope) or "outside every layer"
    if law is None:
        if hidden := _first_product(equation.params):
            raise ValueError(
                f"a {hidden} stands inside `{equation.primitive}` ({where}), which is not looked "
                "into, so its cost is unknown; give a function that calls it directly"
            )
        return 0
    if equation.trips is None:
        raise ValueError(
            f"a {equation.primitive} stands in a `while` loop ({where}), whose number of trips is "
            "unknown; use `jax.lax.scan`, or `fori_loop` with constant bounds"
        )
    return law(equation) * equation.trips


def _first_product(params: Mapping[str, Any]) -> str | None:
    """The first product inside the jaxprs of a leaf equation, at any depth."""
    inner: list[Jaxpr] = list(jaxprs_in_params(dict(params)))
    for jaxpr in inner:
        for eqn in jaxpr.eqns:
            name = eqn.primitive.name
            if name in LAWS:
                return name
            if found := _first_product(eqn.params):
                return found
    return None
