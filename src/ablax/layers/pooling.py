"""Pooling over windows, over a fixed number of windows, over a pyramid."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray
from jax.interpreters import ad
from jaxtyping import Array, Float, Int, Real

from ablax.layers.windows import (
    FieldError,
    Padding,
    Pair,
    ShapeError,
    Windows,
    check_ceil_mode,
    check_padding,
    checked,
    explicit_padding,
    pair,
    place,
    positive,
    takes,
    widened,
)
from ablax.layers.xla_convolution import pad, slices, transposed
from ablax.native import by_platform, operation

# The maximum of each window, with a gradient that goes to the first of several.
#
# XLA's derivative of a maximum over windows, select-and-scatter, obeys this rule everywhere but is
# slow on a CPU. There each result comes with a byte: the index of the tap it took, the first of
# equal ones. The tangent picks what was taken, and its transpose hands it back; each is the
# transpose of the other. All three are loops in C++ or, where these cannot be had
# (`ablax.native.why_not`), slices of what each tap sees.
#
# `benchmarks/layers.py`, rows `max pool`, says when the loops may be deleted: when ABLAX_NATIVE=0
# does not change them; and the slices: when the ratios with ABLAX_NATIVE=0 are 1 or less.

MOST_TAPS = 256
"""As many as a byte can tell apart; larger windows are left to XLA everywhere."""


def plain_maximum(x: Array, windows: Windows) -> Array:
    """The maximum over windows (N H2 W2 C) of maps (N H W C), as one XLA primitive."""
    floats = jnp.issubdtype(x.dtype, jnp.floating)
    least = -jnp.inf if floats else np.asarray(jnp.iinfo(x.dtype).min, x.dtype)
    return _reduced(x, least, lax.max, windows)


def _reduced(x: Array, start: Any, operation: Any, windows: Windows) -> Array:
    sides = ((0, 0), *windows.padding, (0, 0))
    return lax.reduce_window(
        x, start, operation, (1, *windows.window, 1), (1, *windows.stride, 1), sides
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def first_maximum(x: Array, windows: Windows) -> Array:
    """The maximum over windows; its derivative is that of the first maximum, row by row."""
    if math.prod(windows.window) > MOST_TAPS or not jnp.issubdtype(x.dtype, jnp.floating):
        return plain_maximum(x, windows)
    return by_platform(maximum, plain_maximum, windows, x)


@first_maximum.defjvp
def _first_maximum_jvp(
    windows: Windows, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    if math.prod(windows.window) > MOST_TAPS:
        return _plain_maximum_and_tangent(*primals, *tangents, windows)
    both = maximum_and_tangent, _plain_maximum_and_tangent
    return by_platform(*both, windows, *primals, *tangents)


def _plain_maximum_and_tangent(x: Array, dx: Array, windows: Windows) -> tuple[Array, Array]:
    return jax.jvp(lambda x: plain_maximum(x, windows), (x,), (dx,))


def maximum(x: Array, windows: Windows) -> Array:
    """The maximum over windows as a primitive."""
    return _with_taps(x, windows)[0]


def maximum_and_tangent(x: Array, dx: Array, windows: Windows) -> tuple[Array, Array]:
    """The maximum over windows, and of a tangent what lies where the maxima are."""
    y, taken = _with_taps(x, windows)
    return y, _tangent.bind(dx, taken, windows=windows, out=jax.typeof(y))


def _with_taps(x: Array, windows: Windows) -> tuple[Array, Array]:
    """The maxima, and in a byte the number of the tap that each took."""
    (y,) = jax.make_jaxpr(plain_maximum, static_argnums=1)(x, windows).out_avals
    taken = y.update(dtype=jnp.dtype(jnp.uint8), weak_type=False)
    maxima, taps_taken = _maximum.bind(x, windows=windows, out=(y, taken))
    return maxima, taps_taken


def _maximum_of_slices(x: Array, windows: Windows, out: object) -> tuple[Array, Array]:
    del out
    y = lax.optimization_barrier(plain_maximum(x, windows))
    taken = jnp.zeros(y.shape, jnp.uint8)
    for number, tap in reversed(list(enumerate(slices(x, windows, fill=-jnp.inf)))):
        taken = jnp.where((tap == y) | jnp.isnan(tap), jnp.uint8(number), taken)
    return y, lax.optimization_barrier(taken)


def _tangent_of_slices(dx: Array, taken: Array, windows: Windows, out: ShapedArray) -> Array:
    """What lies at the taps taken."""
    dy = jnp.zeros(out.shape, out.dtype)
    down, across = zip(*windows, strict=True)
    rows = taps(dx, 1, *down[:3], fill=0.0)
    seen = (tap for row in rows for tap in taps(row, 2, *across[:3], fill=0.0))
    for number, tap in enumerate(seen):
        dy = dy + jnp.where(taken == number, tap, jnp.zeros((), dy.dtype))
    return lax.optimization_barrier(dy)  # on the way back it is computed once, not for every tap


def _gradient_of_slices(dy: Array, taken: Array, windows: Windows, out: ShapedArray) -> Array:
    """Its transpose: each result's gradient at the tap it took."""
    like = ShapedArray(dy.shape, dy.dtype)
    return transposed(lambda dx: _tangent_of_slices(dx, taken, windows, like), dy, out)


def _attributes(*, windows: Windows) -> dict[str, Pair]:
    (above, _), (left, _) = windows.padding
    return {"window": windows.window, "stride": windows.stride, "padding": (above, left)}


_maximum = operation(
    "ablax_maximum", _maximum_of_slices, _maximum_of_slices, _attributes, several=True
)
_tangent = operation("ablax_taken_tangent", _tangent_of_slices, _tangent_of_slices, _attributes)
_gradient = operation("ablax_taken_gradient", _gradient_of_slices, _gradient_of_slices, _attributes)


def _maximum_jvp(primals: tuple[Array], tangents: tuple[Any], *, windows: Windows, out: Any) -> Any:
    y, taken = _maximum.bind(*primals, windows=windows, out=out)
    dy = _tangent.bind(*tangents, taken, windows=windows, out=out[0])
    return (y, taken), (dy, ad.Zero(jax.typeof(taken).to_tangent_aval()))


ad.primitive_jvps[_maximum] = _maximum_jvp
# The taps taken do not move with x, so both are linear in what they pick alone.
ad.defjvp(_tangent, lambda dx, _, taken, **fields: _tangent.bind(dx, taken, **fields), None)
ad.defjvp(_gradient, lambda dy, _, taken, **fields: _gradient.bind(dy, taken, **fields), None)
ad.primitive_transposes[_tangent] = lambda dy, dx, taken, windows, **_: (
    _gradient.bind(dy, taken, windows=windows, out=dx.aval),
    None,
)
ad.primitive_transposes[_gradient] = lambda dx, dy, taken, windows, **_: (
    _tangent.bind(dx, taken, windows=windows, out=dy.aval),
    None,
)


def taps(x: Array, axis: int, window: int, stride: int, sides: Pair, fill: float) -> list[Array]:
    """What each tap of a window sees along one axis, by splitting it into `stride` phases.

    The transpose of a strided slice is a pad with holes, which XLA evaluates element by element;
    that of a split is a concatenation, which it copies. The axis is 1 for rows, 2 for columns;
    the sides are padding with `fill` before and behind, and cut off where negative.
    """
    size, channels = x.shape[axis], x.shape[3]
    positions = (size + sum(sides) - window) // stride + 1
    length = positions + (window - 1) // stride
    x = pad(x, [(sides[0], length * stride - size - sides[0])], axis=axis, fill=fill)
    n, h, w, _ = x.shape
    if stride == 1:
        phases: Sequence[Array] = [x]
    elif axis == 2:
        # Beside each other in the channels, so that whole runs are copied.
        phases = lax.split(x.reshape(n, h, length, stride * channels), (channels,) * stride, axis=3)
    else:
        rows = lax.split(x.reshape(n, length, stride, w, channels), (1,) * stride, axis=2)
        phases = [row.reshape(n, length, w, channels) for row in rows]
    return [
        lax.slice_in_dim(phases[tap % stride], tap // stride, tap // stride + positions, axis=axis)
        for tap in range(window)
    ]


@takes("N H W C", integers=True)
def max_pool(
    x: Real[Array, "N H W C"],
    window: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    strict: bool = False,
) -> Real[Array, "N H2 W2 C"]:
    """The largest number of each window.

    W2 = (W - F + 2 P) / S + 1, with S = F where no stride is given; `ceil_mode` and `strict` say
    what becomes of a rest, as in `output_size`. The padding, given as to `convolution` and smaller
    than the window, counts as minus infinity. Integers stay integers.

    The gradient of a window goes to its first maximum, row by row, on every platform: ties are
    common behind a ReLU, and nine equal inputs give all to the first.

    Raises:
        FieldError: A window, stride or padding that no pool can have.
        ShapeError: The window is larger than the padded image, or does not fit exactly.

    Example:
        >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> max_pool(x, window=2)[0, :, :, 0]
        Array([[ 5.,  7.],
               [13., 15.]], dtype=float32)
    """
    windows = _place("max_pool", x.shape, window, stride, padding, ceil_mode, strict)
    return first_maximum(x, windows)


@takes("N H W C", integers=True)
def min_pool(
    x: Real[Array, "N H W C"],
    window: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    strict: bool = False,
) -> Real[Array, "N H2 W2 C"]:
    """The smallest number of each window: -max_pool(-x), so the padding counts as infinity.

    The arguments and refusals are those of `max_pool`; the gradient of a window goes to its first
    minimum.

    Example:
        >>> min_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), window=2)[0, :, :, 0]
        Array([[ 0.,  2.],
               [ 8., 10.]], dtype=float32)
    """
    windows = _place("min_pool", x.shape, window, stride, padding, ceil_mode, strict)
    # Not -x for integers: that of the smallest does not exist.
    turn = lax.neg if jnp.issubdtype(x.dtype, jnp.floating) else lax.bitwise_not
    return turn(first_maximum(turn(x), windows))


def _sums(x: Array, windows: Windows) -> Array:
    """The sum over windows, on a CPU along the rows and then down the columns.

    XLA writes the gradient as a sum over windows with holes, which is slow on a CPU;
    `benchmarks/layers.py`, rows `average pool`, says when this may be deleted. The sum is linear,
    so a choice by platform keeps no residuals.
    """

    def on_cpu(x: Array) -> Array:
        down, across = zip(*windows, strict=True)
        for axis, where in ((2, across), (1, down)):
            x = functools.reduce(lax.add, taps(x, axis, *where[:3], fill=0.0))
            # On the way back what comes from behind is computed once, not for every tap.
            x = lax.optimization_barrier(x)
        return x

    return lax.platform_dependent(
        x, cpu=on_cpu, default=lambda x: _reduced(x, 0.0, lax.add, windows)
    )


@takes("N H W C")
def average_pool(
    x: Float[Array, "N H W C"],
    window: int | Pair,
    stride: int | Pair | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
    strict: bool = False,
    count_include_pad: bool = False,
) -> Float[Array, "N H2 W2 C"]:
    """The mean of each window, summed up in float32 at least.

    The arguments and refusals are those of `max_pool`. With `count_include_pad` the zeros of
    `padding` count as elements; what hangs over a padded image by `ceil_mode` never does.

    Example:
        >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> average_pool(x, window=2)[0, :, :, 0]
        Array([[ 2.5,  4.5],
               [10.5, 12.5]], dtype=float32)
    """
    windows = _place("average_pool", x.shape, window, stride, padding, ceil_mode, strict)
    size = x.shape[1], x.shape[2]
    padded = explicit_padding(padding, size, windows.window, windows.stride)
    ends = [
        (-low, length + high) if count_include_pad else (0, length)
        for length, (low, high) in zip(size, padded, strict=True)
    ]
    rows, columns = (
        _counts(inside, reach, step, low, places)
        for inside, reach, step, (low, _), _, places in zip(ends, *windows, strict=True)
    )
    weights = 1.0 / (rows[:, None] * columns)
    wide = widened(x)
    means = _sums(wide, windows) * jnp.asarray(weights[None, :, :, None], wide.dtype)
    return means.astype(x.dtype)


def _counts(
    inside: Pair, window: int, stride: int, low: int, positions: int
) -> Int[np.ndarray, " positions"]:
    """How many elements between two ends each position of a window holds along one axis."""
    starts = stride * np.arange(positions) - low
    return np.minimum(starts + window, inside[1]) - np.maximum(starts, inside[0])


@takes("N H W C")
def global_average_pool(x: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
    """The mean of each map, one value per channel (Lin, Chen, Yan 2014, Network in network).

    Example:
        >>> global_average_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
        Array([[3., 4.]], dtype=float32)
    """
    return x.mean(axis=(1, 2))


@checked()
class _Pool(nn.Module):
    """The fields of a pool, which are the arguments of its function."""

    window: int | Pair
    stride: int | Pair | None = None
    padding: Padding = "VALID"
    ceil_mode: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        _check(self.window, self.stride, self.padding, self.ceil_mode)
        super().__post_init__()

    @property
    def _arguments(self) -> tuple[int | Pair, int | Pair | None, Padding, bool, bool]:
        return self.window, self.stride, self.padding, self.ceil_mode, self.strict


class MaxPool(_Pool):
    """The module of `max_pool`."""

    @takes("N H W C", integers=True)
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N H2 W2 C"]:
        return max_pool(x, *self._arguments)


class MinPool(_Pool):
    """The module of `min_pool`."""

    @takes("N H W C", integers=True)
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N H2 W2 C"]:
        return min_pool(x, *self._arguments)


class AveragePool(_Pool):
    """The module of `average_pool`."""

    count_include_pad: bool = False

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H2 W2 C"]:
        return average_pool(x, *self._arguments, self.count_include_pad)


class GlobalAveragePool(nn.Module):
    """The module of `global_average_pool`."""

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
        return global_average_pool(x)


def _check(window: object, stride: object, padding: object, ceil_mode: object) -> None:
    windows = pair("window", window)
    if stride is not None:
        pair("stride", stride)
    check_padding("padding", padding)
    check_ceil_mode(ceil_mode)
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
    ceil_mode: bool,
    strict: bool,
) -> Windows:
    _check(window, stride, padding, ceil_mode)
    step = window if stride is None else stride
    return place(layer, shape, window, step, padding, ceil_mode=ceil_mode, strict=strict)


@takes("N H W C", integers=True)
def spatial_pyramid_pool(
    x: Real[Array, "N H W C"], levels: tuple[int, ...] = (6, 3, 2, 1)
) -> Real[Array, "N L"]:
    """The largest number of each bin, for several grids of bins over the whole image.

    A level of n cuts the image into n x n bins. Bin i of 0 .. n - 1 along an axis of W pixels holds
    floor(i W / n) to ceil((i + 1) W / n) - 1: every pixel is in a bin, whatever W is, and bins
    share pixels where n does not divide W. The vector has L = C sum of n^2 elements, level by
    level, bin by bin in rows, channels last. The gradient of a bin goes to its first maximum, row
    by row.

    For images of one size the paper slides a window of ceil(W / n) by steps of floor(W / n)
    (section 2.3): the same bins for its 13 pixels, but others for 10, where 6 such windows end
    before the last 3 pixels.

    He, Zhang, Ren, Sun 2014, Spatial pyramid pooling in deep convolutional networks for visual
    recognition, section 2.2; the bins as in appendix A. L2, "Space".

    Raises:
        FieldError: No level, or one below 1.
        ShapeError: Maps without a pixel.

    Example:
        >>> spatial_pyramid_pool(jnp.arange(9.0).reshape(1, 3, 3, 1), levels=(2, 1))
        Array([[4., 5., 7., 8., 8.]], dtype=float32)
        >>> jax.eval_shape(spatial_pyramid_pool, jnp.ones((1, 13, 13, 256))).shape
        (1, 12800)
    """
    check_levels("levels", levels)
    _refuse_nothing("spatial_pyramid_pool", x)
    # Along the columns first: the first maximum of a bin is in the first row that holds one.
    grids = [_by_bins(_by_bins(x, 2, bins, _largest), 1, bins, _largest) for bins in levels]
    return jnp.concatenate([grid.reshape(x.shape[0], -1) for grid in grids], axis=1)


@takes("N H W C", integers=True)
def global_max_pool(x: Real[Array, "N H W C"]) -> Real[Array, "N C"]:
    """The largest number of each map, one value per channel: the pyramid's level of one bin.

    Raises:
        ShapeError: Maps without a pixel.

    Example:
        >>> global_max_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
        Array([[6., 7.]], dtype=float32)
    """
    return spatial_pyramid_pool(x, levels=(1,))


def check_levels(name: str, levels: object) -> None:
    """Refuse what is no tuple of numbers of bins."""
    if not isinstance(levels, tuple) or not levels:
        raise FieldError(f"{name}={levels!r}: expected a tuple of integers such as (6, 3, 2, 1)")
    for bins in levels:
        positive(name, bins)


def _refuse_nothing(who: str, x: Array) -> None:
    if not min(x.shape[1:3]):
        raise ShapeError(f"{who} was given {x.shape}: expected at least one pixel")


def bins_along(size: int, bins: int) -> tuple[tuple[int, int], ...]:
    """First pixel and first pixel behind of each bin along an axis.

    Example:
        >>> bins_along(13, 3)
        ((0, 5), (4, 9), (8, 13))
    """
    return tuple((i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins))


@checked(levels=check_levels)
class SpatialPyramidPool(nn.Module):
    """The module of `spatial_pyramid_pool`."""

    levels: tuple[int, ...] = (6, 3, 2, 1)

    @takes("N H W C", integers=True)
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N L"]:
        return spatial_pyramid_pool(x, self.levels)


class GlobalMaxPool(nn.Module):
    """The module of `global_max_pool`."""

    @takes("N H W C", integers=True)
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N C"]:
        return global_max_pool(x)


def _by_bins(x: Array, axis: int, bins: int, pool: Callable[[Array, int], Array]) -> Array:
    """What a function makes of each bin along an axis, in order."""
    spans = bins_along(x.shape[axis], bins)
    pooled = [pool(lax.slice_in_dim(x, *span, axis=axis), axis) for span in spans]
    return jnp.concatenate(pooled, axis=axis)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _largest(x: Array, axis: int) -> Array:
    """The maximum along an axis, whose derivative is that of the first one.

    `first_maximum` unrolls the taps of a window, which suits the small ones of a pool; for one bin
    over a whole map its gradient would compile for many seconds.
    """
    return x.max(axis, keepdims=True)


@_largest.defjvp
def _largest_jvp(axis: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y = x.max(axis, keepdims=True)
    place = lax.broadcasted_iota(jnp.int32, x.shape, axis)
    largest = (x == y) | jnp.isnan(x)  # a NaN is the maximum, and equals nothing
    first = jnp.where(largest, place, x.shape[axis]).min(axis, keepdims=True)
    return y, jnp.where(place == first, dx, jnp.zeros((), dx.dtype)).sum(axis, keepdims=True)


@takes("N H W C")
def adaptive_average_pool(x: Float[Array, "N H W C"], bins: int) -> Float[Array, "N B B C"]:
    """The mean of each of B x B bins that cover the image: (N, H, W, C) -> (N, B, B, C).

    The bins are those of `spatial_pyramid_pool`. One bin is `global_average_pool`; with a size that
    B divides it is `average_pool` with a window of W / B.

    Raises:
        FieldError: Fewer than one bin.
        ShapeError: Maps without a pixel.

    Example:
        >>> adaptive_average_pool(jnp.arange(9.0).reshape(1, 3, 3, 1), bins=2)[0, :, :, 0]
        Array([[2., 3.],
               [5., 6.]], dtype=float32)
    """
    positive("bins", bins)
    _refuse_nothing("adaptive_average_pool", x)
    for axis in (1, 2):
        x = _by_bins(x, axis, bins, functools.partial(jnp.mean, keepdims=True))
    return x


@checked(bins=positive)
class AdaptiveAveragePool(nn.Module):
    """The module of `adaptive_average_pool`."""

    bins: int

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N B B C"]:
        return adaptive_average_pool(x, self.bins)
