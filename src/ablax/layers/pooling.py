"""Pooling: each window of a map becomes one number, its maximum, minimum or mean."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from ablax.layers.first_maximum import first_maximum, taps
from ablax.layers.windows import (
    FieldError,
    Padding,
    Pair,
    Rounding,
    Windows,
    check_padding,
    check_rounding,
    explicit_padding,
    pair,
    place,
    takes,
)


@takes("N H W C")
def max_pool(
    x: Float[Array, "N H W C"],
    window: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = "VALID",
    rounding: Rounding = "floor",
    strict: bool = False,
) -> Float[Array, "N H2 W2 C"]:
    """The largest number of each window.

    W2 = (W - F + 2 P) / S + 1. The padding counts as minus infinity.

    The gradient of a window goes to its first maximum, row by row, on every platform: ties are
    common behind a ReLU, and nine equal inputs give all to the first.

    Args:
        x: Maps.
        window: Height and width of the window, F.
        stride: Steps down and to the right, S; the window when left out.
        padding: "SAME", "VALID", an integer for all sides, (vertical, horizontal), or
            ((above, below), (left, right)); less than the window.
        rounding: "floor" leaves the rest out, "ceil" adds a window that hangs over the end.
        strict: Refuse a window that does not fit exactly.

    Returns:
        Smaller maps.

    Raises:
        FieldError: A window, stride or padding that no pool can have.
        ShapeError: The window is larger than the padded image, or does not fit exactly.

    Example:
        >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> max_pool(x, window=2)[0, :, :, 0]
        Array([[ 5.,  7.],
               [13., 15.]], dtype=float32)
    """
    windows = _place("max_pool", x.shape, window, stride, padding, rounding, strict)
    return first_maximum(x, windows)


@takes("N H W C")
def min_pool(
    x: Float[Array, "N H W C"],
    window: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = "VALID",
    rounding: Rounding = "floor",
    strict: bool = False,
) -> Float[Array, "N H2 W2 C"]:
    """The smallest number of each window: -max_pool(-x), so the padding counts as infinity.

    The arguments and refusals are those of `max_pool`; the gradient of a window goes to its first
    minimum.

    Example:
        >>> min_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), window=2)[0, :, :, 0]
        Array([[ 0.,  2.],
               [ 8., 10.]], dtype=float32)
    """
    windows = _place("min_pool", x.shape, window, stride, padding, rounding, strict)
    return -first_maximum(-x, windows)


def _sums(x: Array, windows: Windows) -> Array:
    """The sum over windows, on a CPU along the rows and then down the columns.

    XLA writes the gradient as a sum over windows with holes, which is slow on a CPU. Measured
    2026-11-21 on 2 cores of an AMD EPYC, gradient of a 3x3/2 pool of (128, 32, 32, 32): 26 ms plain
    and 6.6 ms so on JAX 0.12.0.1, 24 and 4.7 on 0.10.2; in a `lax.scan` 3 times faster.
    `benchmarks/layers.py`, rows `average pool`, says when this may be deleted. The sum is linear,
    so a choice by platform keeps no residuals.
    """

    def on_cpu(x: Array) -> Array:
        for axis in (2, 1):
            where = (windows.window[axis - 1], windows.stride[axis - 1], windows.padding[axis - 1])
            x = functools.reduce(lax.add, taps(x, axis, *where, fill=0.0))
            # On the way back what comes from behind is computed once, not for every tap.
            x = lax.optimization_barrier(x)
        return x

    def elsewhere(x: Array) -> Array:
        return lax.reduce_window(
            x,
            0.0,
            lax.add,
            (1, *windows.window, 1),
            (1, *windows.stride, 1),
            ((0, 0), *windows.padding, (0, 0)),
        )

    return lax.platform_dependent(x, cpu=on_cpu, default=elsewhere)


@takes("N H W C")
def average_pool(
    x: Float[Array, "N H W C"],
    window: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = "VALID",
    rounding: Rounding = "floor",
    strict: bool = False,
    count_padding: bool = False,
) -> Float[Array, "N H2 W2 C"]:
    """The mean of each window.

    W2 = (W - F + 2 P) / S + 1. The sum is taken in float32 at least.

    Args:
        x: Maps.
        window: Height and width of the window, F.
        stride: Steps down and to the right, S; the window when left out.
        padding: As in `max_pool`.
        rounding: "floor" leaves the rest out, "ceil" adds a window that hangs over the end.
        strict: Refuse a window that does not fit exactly.
        count_padding: Whether the zeros of `padding` count as numbers. What hangs over a padded
            image by "ceil" rounding never does.

    Returns:
        Smaller maps.

    Raises:
        FieldError: A window, stride or padding that no pool can have.
        ShapeError: The window is larger than the padded image, or does not fit exactly.

    Example:
        >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> average_pool(x, window=2)[0, :, :, 0]
        Array([[ 2.5,  4.5],
               [10.5, 12.5]], dtype=float32)
    """
    windows = _place("average_pool", x.shape, window, stride, padding, rounding, strict)
    size = x.shape[1], x.shape[2]
    counted = explicit_padding(padding, size, windows.window, windows.stride)
    counts = [_counts(size[axis], windows, counted[axis], axis, count_padding) for axis in (0, 1)]
    weights = 1.0 / (np.array(counts[0])[:, None] * np.array(counts[1])[None, :])
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    means = _sums(wide, windows) * jnp.asarray(weights[None, :, :, None], wide.dtype)
    return means.astype(x.dtype)


def _counts(size: int, windows: Windows, sides: Pair, axis: int, count_padding: bool) -> list[int]:
    """How many numbers each position of a window holds along one axis."""
    low = windows.padding[axis][0]
    first, last = (-sides[0], size + sides[1]) if count_padding else (0, size)
    starts = [windows.stride[axis] * position - low for position in range(windows.output[axis])]
    reach = windows.window[axis]
    return [min(start + reach, last) - max(start, first) for start in starts]


@takes("N H W C")
def global_average_pool(x: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
    """The mean of each map.

    Args:
        x: Maps of any size.

    Returns:
        One number a channel.

    References:
        Lin, Chen, Yan 2014, Network in network, section 3.2.

    Example:
        >>> global_average_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
        Array([[3., 4.]], dtype=float32)
    """
    return x.mean(axis=(1, 2))


class MaxPool(nn.Module):
    """The module of `max_pool`.

    Attributes:
        window: Height and width of the window.
        stride: Steps down and to the right; the window when left out.
        padding: As in `max_pool`.
        rounding: "floor" or "ceil".
        strict: Refuse a window that does not fit exactly.

    Example:
        >>> MaxPool(window=3, stride=2).apply({}, jnp.ones((1, 55, 55, 96))).shape
        (1, 27, 27, 96)
    """

    window: int | Pair
    stride: int | Pair | None = None
    padding: Padding = "VALID"
    rounding: Rounding = "floor"
    strict: bool = False

    def __post_init__(self) -> None:
        _check(self.window, self.stride, self.padding, self.rounding)
        super().__post_init__()

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H2 W2 C"]:
        """Apply `max_pool`."""
        return max_pool(x, self.window, self.stride, self.padding, self.rounding, self.strict)


class MinPool(nn.Module):
    """The module of `min_pool`; its fields are those of `MaxPool`."""

    window: int | Pair
    stride: int | Pair | None = None
    padding: Padding = "VALID"
    rounding: Rounding = "floor"
    strict: bool = False

    def __post_init__(self) -> None:
        _check(self.window, self.stride, self.padding, self.rounding)
        super().__post_init__()

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H2 W2 C"]:
        """Apply `min_pool`."""
        return min_pool(x, self.window, self.stride, self.padding, self.rounding, self.strict)


class AveragePool(nn.Module):
    """The module of `average_pool`.

    Attributes:
        window: Height and width of the window.
        stride: Steps down and to the right; the window when left out.
        padding: As in `average_pool`.
        rounding: "floor" or "ceil".
        strict: Refuse a window that does not fit exactly.
        count_padding: Whether the zeros of the padding count.
    """

    window: int | Pair
    stride: int | Pair | None = None
    padding: Padding = "VALID"
    rounding: Rounding = "floor"
    strict: bool = False
    count_padding: bool = False

    def __post_init__(self) -> None:
        _check(self.window, self.stride, self.padding, self.rounding)
        super().__post_init__()

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H2 W2 C"]:
        """Apply `average_pool`."""
        return average_pool(
            x,
            self.window,
            self.stride,
            self.padding,
            self.rounding,
            self.strict,
            self.count_padding,
        )


class GlobalAveragePool(nn.Module):
    """The module of `global_average_pool`: (N, H, W, C) -> (N, C)."""

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
        """Apply `global_average_pool`."""
        return global_average_pool(x)


def _check(window: object, stride: object, padding: object, rounding: object) -> None:
    """Refuse fields that no pool can have."""
    windows = pair("window", window)
    if stride is not None:
        pair("stride", stride)
    check_padding(padding)
    check_rounding(rounding)
    if not isinstance(padding, str):
        sides = explicit_padding(padding, (1, 1), windows, (1, 1))  # type: ignore[arg-type]
        for reach, both in zip(windows, sides, strict=True):
            if max(both) >= reach:
                raise FieldError(
                    f"padding={padding!r} with window={window!r}: expected a padding smaller than "
                    "the window, or some windows hold nothing but padding"
                )


def _place(
    layer: str,
    shape: tuple[int, ...],
    window: int | Pair,
    stride: int | Pair | None,
    padding: Padding,
    rounding: Rounding,
    strict: bool,
) -> Windows:
    """Put a pool on an image."""
    _check(window, stride, padding, rounding)
    step = window if stride is None else stride
    return place(layer, shape, window, step, padding, rounding=rounding, strict=strict)
