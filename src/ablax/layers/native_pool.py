"""The largest number of each window, and its derivative, as loops in C++ for a CPU.

Each result comes with a byte: the number of the tap it took, the first of equal ones. The tangent
picks what was taken, and its transpose hands it back; each is the transpose of the other.

`benchmarks/layers.py`, rows `max pool`, says when this may be deleted: when ABLAX_NATIVE=0 does not
change them.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.core import ShapedArray
from jax.interpreters import ad

from ablax.layers.windows import Pair, Windows
from ablax.native import operation, why_not

MOST_TAPS = 256
"""As many as a byte can tell apart."""


def usable(x: Array, windows: Windows) -> bool:
    """Whether the loops can be had in this process, and take these arguments."""
    few = math.prod(windows.window) <= MOST_TAPS
    return x.dtype == jnp.float32 and few and not why_not()


def maximum(x: Array, windows: Windows) -> Array:
    """The maximum over windows.

    Args:
        x: (N H W C), float32.
        windows: Where the windows lie.

    Returns:
        (N H2 W2 C).
    """
    return _maximum.bind(x, windows=windows)[0]


def maximum_and_tangent(x: Array, dx: Array, windows: Windows) -> tuple[Array, Array]:
    """The maximum over windows, and of a tangent what lies where the maxima are.

    Args:
        x: (N H W C), float32.
        dx: The same.
        windows: Where the windows lie.

    Returns:
        Twice (N H2 W2 C).
    """
    y, taken = _maximum.bind(x, windows=windows)
    return y, _tangent.bind(dx, taken, windows=windows, size=(x.shape[1], x.shape[2]))


def _shapes_of_maximum(x: ShapedArray, *, windows: Windows) -> tuple[ShapedArray, ShapedArray]:
    y = x.update(shape=(x.shape[0], *windows.output, x.shape[3]))
    return y, y.update(dtype=jnp.dtype(jnp.uint8), weak_type=False)


def _shape_of_tangent(
    dx: ShapedArray, taken: ShapedArray, *, windows: Windows, size: Pair
) -> ShapedArray:
    del windows, size
    return dx.update(shape=taken.shape)


def _shape_of_gradient(
    dy: ShapedArray, taken: ShapedArray, *, windows: Windows, size: Pair
) -> ShapedArray:
    del windows
    return dy.update(shape=(taken.shape[0], *size, taken.shape[3]))


def _attributes(*, windows: Windows, size: Pair | None = None) -> dict[str, Pair]:
    del size  # it follows from the shapes
    (above, _), (left, _) = windows.padding
    return {"window": windows.window, "stride": windows.stride, "padding": (above, left)}


_maximum = operation("ablax_maximum", _shapes_of_maximum, _attributes, several=True)
_tangent = operation("ablax_taken_tangent", _shape_of_tangent, _attributes)
_gradient = operation("ablax_taken_gradient", _shape_of_gradient, _attributes)


def _maximum_jvp(primals: tuple[Array], tangents: tuple[Any], *, windows: Windows) -> Any:
    (x,), (dx,) = primals, tangents
    y, taken = _maximum.bind(x, windows=windows)
    dy = _tangent.bind(dx, taken, windows=windows, size=(x.shape[1], x.shape[2]))
    return (y, taken), (dy, ad.Zero(jax.typeof(taken).to_tangent_aval()))


ad.primitive_jvps[_maximum] = _maximum_jvp
# The taps taken do not move with x, so both are linear in what they pick alone.
ad.defjvp(_tangent, lambda dx, _, taken, **fields: _tangent.bind(dx, taken, **fields), None)
ad.defjvp(_gradient, lambda dy, _, taken, **fields: _gradient.bind(dy, taken, **fields), None)
ad.primitive_transposes[_tangent] = lambda dy, _, taken, **fields: (
    _gradient.bind(dy, taken, **fields),
    None,
)
ad.primitive_transposes[_gradient] = lambda dx, _, taken, **fields: (
    _tangent.bind(dx, taken, **fields),
    None,
)
