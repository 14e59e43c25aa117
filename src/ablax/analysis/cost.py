"""What a JAX function costs, counted from its jaxpr and never measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from jax.extend.core import Jaxpr, jaxprs_in_params

from ablax.analysis.equations import Equation, equations


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


#: The usual convention: what one trip of a primitive costs; a primitive that is not here is free.
#: Another convention is another mapping.
USUAL: Mapping[str, Callable[[Equation], int]] = MappingProxyType(
    {"conv_general_dilated": convolution_macs, "dot_general": product_macs}
)


def macs(fn: Callable[..., Any], *args: Any) -> int:
    """Multiply-accumulates of `fn(*args)` in convolutions and matrix products; nothing is computed.

    The usual convention of the papers: biases, normalization, pooling and nonlinearities are free,
    padded taps count. A `scan` costs its length times its body, a `cond` its dearest branch, a
    `platform_dependent` choice its default branch.

    Args:
        fn: Any function that JAX can trace.
        *args: Its arguments: arrays, or `jax.ShapeDtypeStruct`, in any pytree.

    Returns:
        The sum over all equations; for a batch of one it is the figure the papers print.

    Raises:
        ValueError: A product stands where nobody can say how often it runs: in a `while` loop, or
            in a primitive that we do not look into.

    References:
        K. He et al. (2015), "Deep Residual Learning for Image Recognition", section 3.3: its
        "FLOPs" are multiply-adds.

    Example:
        A 3×3 kernel on a 7×7 image fits at 5×5 places:

        >>> import jax, jax.numpy as jnp
        >>> def conv(x, kernel):
        ...     return jax.lax.conv_general_dilated(
        ...         x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        >>> x = jax.ShapeDtypeStruct((1, 7, 7, 1), jnp.float32)
        >>> kernel = jax.ShapeDtypeStruct((3, 3, 1, 1), jnp.float32)
        >>> macs(conv, x, kernel)
        225
    """
    return sum(macs_by_scope(fn, *args).values())


def macs_by_scope(fn: Callable[..., Any], *args: Any) -> dict[str, int]:
    """Multiply-accumulates of `fn(*args)`, summed by layer.

    Args:
        fn: Any function that JAX can trace.
        *args: Its arguments: arrays, or `jax.ShapeDtypeStruct`, in any pytree.

    Returns:
        From the layer's path, such as `"AlexNet/conv1/conv"`, to its multiply-accumulates, in the
        order of execution. Layers without convolution or matrix product are left out; what stands
        outside every layer is under `""`.

    Raises:
        ValueError: As for `macs`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def two_layers(x, v, w):
        ...     with jax.named_scope("fc6"):
        ...         x = x @ v
        ...     with jax.named_scope("fc7"):
        ...         return x @ w
        >>> shapes = [(1, 2), (2, 3), (3, 4)]
        >>> macs_by_scope(two_layers, *(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes))
        {'fc6': 6, 'fc7': 12}
    """
    by_scope: dict[str, int] = {}
    for equation in equations(fn, *args, weight=_total):
        if total := _total(equation):
            path = "/".join(equation.scope)
            by_scope[path] = by_scope.get(path, 0) + total
    return by_scope


def _total(equation: Equation) -> int:
    """Multiply-accumulates of all trips of one equation."""
    law = USUAL.get(equation.primitive)
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
    """The first primitive of the convention inside the jaxprs of a leaf equation, at any depth."""
    inner: list[Jaxpr] = list(jaxprs_in_params(dict(params)))
    for jaxpr in inner:
        for eqn in jaxpr.eqns:
            name = eqn.primitive.name
            if name in USUAL:
                return name
            if found := _first_product(eqn.params):
                return found
    return None
