"""Dense layers, and weights for every element: scale and bias."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Real

from ablax.layers.initializers import HE_NORMAL, ONES, ZEROS, Initializer
from ablax.layers.windows import (
    FieldError,
    ShapeError,
    checked,
    finite,
    positive,
    promoted,
    takes,
    widened,
)


@checked(features=positive)
class Dense(nn.Module):
    """y = x K + b: every output sees every input.

    C inputs and F features have C F + F parameters.

    Example:
        >>> import jax
        >>> layer = Dense(features=2)
        >>> parameters = layer.init(jax.random.key(0), jnp.ones((1, 3)))["params"]
        >>> {name: value.shape for name, value in sorted(parameters.items())}
        {'bias': (2,), 'kernel': (3, 2)}
    """

    features: int
    use_bias: bool = True
    kernel_init: Initializer = HE_NORMAL
    bias_init: Initializer = ZEROS

    @takes("... C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "... C"]) -> Float[Array, "... F"]:
        shape = (x.shape[-1], self.features)
        remedy = (
            "what it was initialized with (behind a Flatten: images of that size, or take a "
            "pooling head)"
        )
        x, kernel = promoted(x, learned(self, "kernel", self.kernel_init, shape, x, remedy))
        return biased(self, x @ kernel, (self.features,))


def learned(
    layer: nn.Module,
    name: str,
    init: Callable[..., Array],
    shape: tuple[int, ...],
    x: Array,
    remedy: str = "",
) -> Array:
    """The parameter of a layer under a name, of the shape that `x` asks for.

    Called in its `nn.compact` method. The remedy is what to feed it otherwise.

    Raises:
        ShapeError: The parameter was initialized for other inputs.
    """
    check_kept(layer, "params", name, shape, x, remedy)
    return layer.param(name, init, shape, jnp.float32)


def check_kept(
    layer: nn.Module, collection: str, name: str, shape: tuple[int, ...], x: Array, remedy: str = ""
) -> None:
    """Refuse an input that asks for another shape of a variable than the layer keeps."""
    if not layer.has_variable(collection, name):
        return
    kept = layer.get_variable(collection, name).shape
    if kept != shape:
        other = f", or feed it {remedy}" if remedy else ""
        raise ShapeError(
            f"{type(layer).__name__} was given {x.shape}, which asks for a {name} of shape "
            f"{shape}: its {name} has shape {kept}; initialize it again{other}"
        )


def biased(layer: Any, y: Array, shape: tuple[int, ...]) -> Array:
    """A layer's result with its `bias` of a shape added, where the layer uses one."""
    if not layer.use_bias:
        return y
    y, bias = promoted(y, layer.param("bias", layer.bias_init, shape, jnp.float32))
    return broadcast_with(jnp.add, y, bias)


def broadcast_with(function: Callable[[Array, Array], Array], x: Array, values: Array) -> Array:
    """A function of an array and of values of its last axes, number by number, in the array's type.

    It is computed in float32 at least, and so is its derivative by the values, which is a sum over
    all other axes: sums of narrow numbers lose their last addends, and XLA takes them slowly.
    """
    wide = widened(x)
    return function(wide, per_channel(values, wide)).astype(x.dtype)


def per_channel(values: Array, x: Array) -> Array:
    """Values of the last axes, in the type of an array and with as many axes: (C) as (1 1 1 C).

    They broadcast as they would by themselves, also where JAX is told to refuse that.
    """
    return lax.expand_dims(values.astype(x.dtype), range(x.ndim - values.ndim))


class Flatten(nn.Module):
    """An image's maps as one vector, row by row, channels last: (N, H, W, C) -> (N, H W C).

    Example:
        >>> Flatten().apply({}, jnp.ones((2, 6, 6, 256))).shape
        (2, 9216)
    """

    @takes("N H W C", integers=True)
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N HWC"]:
        # Not -1, which cannot be worked out for a batch of none.
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


ALIKE = "at least one map, all of one shape"


@takes("...", integers=True)
def add(*maps: Real[Array, "..."]) -> Float[Array, "..."]:
    """x_1 + x_2 + ..., element by element.

    As `multiply`, `maximum` and `average`, whose refusals are the same, it takes any number of maps
    of one shape, so it can be the `merge` of a `Parallel`. The maps are promoted to one type.

    Raises:
        ShapeError: There is no map, or the shapes differ.

    Example:
        >>> add(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]))
        Array([4., 6.], dtype=float32)
    """
    check_alike("add", maps, ALIKE)
    return functools.reduce(jnp.add, promoted(*maps))


@takes("...", integers=True)
def multiply(*maps: Real[Array, "..."]) -> Float[Array, "..."]:
    """x_1 x_2 ..., element by element.

    Example:
        >>> multiply(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]))
        Array([3., 8.], dtype=float32)
    """
    check_alike("multiply", maps, ALIKE)
    return functools.reduce(jnp.multiply, promoted(*maps))


@takes("...", integers=True)
def maximum(*maps: Real[Array, "..."]) -> Real[Array, "..."]:
    """max(x_1, x_2, ...), element by element.

    The gradient of a number goes to the first map that holds the maximum, as in `max_pool`. Over
    branches that are affine it is a maxout unit (Goodfellow, Warde-Farley, Mirza, Courville, Bengio
    2013, Maxout networks, section 3). Not a number wherever one of them is not.

    Example:
        >>> maximum(jnp.array([1.0, 4.0]), jnp.array([3.0, 2.0]))
        Array([3., 4.], dtype=float32)
    """
    check_alike("maximum", maps, ALIKE)
    return functools.reduce(_first_maximum, promoted(*maps, integers=True))


def _first_maximum(x: Array, y: Array) -> Array:
    """The maximum of two; `jnp.maximum` would halve the gradient of a tie."""
    return jnp.where((y > x) | (jnp.isnan(y) & ~jnp.isnan(x)), y, x)


@takes("...", integers=True)
def average(*maps: Real[Array, "..."]) -> Float[Array, "..."]:
    """(x_1 + ... + x_n) / n, element by element.

    Example:
        >>> average(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]))
        Array([2., 3.], dtype=float32)
    """
    check_alike("average", maps, ALIKE)
    return functools.reduce(jnp.add, promoted(*maps)) / len(maps)


Constant = float | tuple[float, ...]
"""For all channels, or one for each."""


def _check_constant(name: str, constant: object) -> None:
    numbers = constant if isinstance(constant, tuple) else (constant,)
    if constant is not None and not (numbers and all(map(finite, numbers))):
        raise FieldError(
            f"{name}={constant!r}: expected a finite number, a tuple of one per channel, or None "
            "to learn it"
        )


@checked(factor=_check_constant)
class Scale(nn.Module):
    """y = s x, with a factor s that is learned, one `scale` per channel, or a constant.

    Example:
        >>> Scale(0.5).apply({}, jnp.array([[2.0, 6.0]]))
        Array([[1., 3.]], dtype=float32)
    """

    factor: Constant | None = None
    scale_init: Initializer = ONES

    @takes("... C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "... C"]) -> Float[Array, "... C"]:
        x, scale = _constant_or_learned(self, "scale", self.factor, self.scale_init, x)
        return broadcast_with(jnp.multiply, x, scale)


@checked(amount=_check_constant)
class Bias(nn.Module):
    """y = x + b, with a summand b that is learned, one `bias` per channel, or a constant.

    Example:
        >>> Bias((1.0, -1.0)).apply({}, jnp.array([[2.0, 6.0]]))
        Array([[3., 5.]], dtype=float32)
    """

    amount: Constant | None = None
    bias_init: Initializer = ZEROS

    @takes("... C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "... C"]) -> Float[Array, "... C"]:
        x, bias = _constant_or_learned(self, "bias", self.amount, self.bias_init, x)
        return broadcast_with(jnp.add, x, bias)


def _constant_or_learned(
    layer: nn.Module, name: str, constant: Constant | None, init: Initializer, x: Array
) -> tuple[Array, Array]:
    """What a layer takes, and what it does to each channel, in one type."""
    channels = x.shape[-1]
    if constant is not None:
        if isinstance(constant, tuple) and len(constant) != channels:
            raise ShapeError(
                f"{type(layer).__name__} was given {x.shape}: it has constants for "
                f"{len(constant)} channels"
            )
        (x,) = promoted(x)
        return x, jnp.asarray(constant, x.dtype)
    x, values = promoted(x, learned(layer, name, init, (channels,), x))
    return x, values


def check_alike(who: str, maps: tuple[Array, ...], expected: str) -> None:
    """Refuse arrays of different shapes, or none."""
    if len({each.shape for each in maps}) != 1:
        given = ", ".join(str(each.shape) for each in maps)
        raise ShapeError(f"{who} was given ({given}): expected {expected}")
