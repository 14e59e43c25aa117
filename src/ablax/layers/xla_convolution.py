"""Convolutions in other operations of XLA's, for CPUs without the native code."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from ablax.analysis.jax_versions import map_slices
from ablax.layers.pooling import taps
from ablax.layers.windows import Pair, Windows

# ------------------------------------------------------------------------------------------
# What it takes to write a convolution in a way of its own: a value and two tangents.

Bilinear = Callable[[Array, Array, Windows], Array]
"""(images (N H W C), kernel (h w C/G F) with G groups, windows) -> (N H2 W2 F)."""


class Form(NamedTuple):
    """Three ways of writing y = x * k, the same function of images and kernel.

    y is linear in each of the two. JAX transposes what is written, step by step, to get a gradient;
    so a tangent decides with its own wording how fast the gradient is.

    Attributes:
        value: Fast as it stands.
        along_images: y as a function of the images, whose transpose is fast.
        along_kernel: y as a function of the kernel, whose transpose is fast.
    """

    value: Bilinear
    along_images: Bilinear
    along_kernel: Bilinear


def plain(x: Array, kernel: Array, windows: Windows) -> Array:
    """The convolution as one XLA primitive.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w C/G F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    return lax.conv_general_dilated(
        x,
        kernel,
        windows.stride,
        windows.padding,
        rhs_dilation=windows.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[3] // kernel.shape[2],
    )


# ------------------------------------------------------------------------------------------
# Patches: what each position of a sliding window sees, laid out for a matrix product.


def patches(x: Float[Array, "N H W C"], windows: Windows) -> Float[Array, "H2 W2 N hwC"]:
    """What each position of a window sees, one row per image: positions first, channels last.

    p[r, c, n, (a, b, i)] = x[n, S r + D a - P, S c + D b - P, i], 0 outside the image.

    The taps of a window follow each other row by row, each with all its channels, as in a kernel
    (h, w, C, F) reshaped to (h w C, F).

    Args:
        x: Images.
        windows: Where the windows lie.

    Returns:
        The patches. With the positions in front every tap is a slice of whole runs of N C elements,
        and a product with weights of each position's own needs no transposition.

    Example:
        >>> from ablax.layers.windows import place
        >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
        >>> patches(x, place("patches", x.shape, 2, 1, "VALID"))[0, :, 0]
        Array([[0., 1., 3., 4.],
               [1., 2., 4., 5.]], dtype=float32)
    """
    none = (0, 0)
    high = jnp.pad(x.transpose(1, 2, 0, 3), (*windows.padding, none, none))
    rows, columns = (
        [range(tap * gap, tap * gap + (places - 1) * step + 1, step) for tap in range(taps)]
        for taps, gap, places, step in zip(
            windows.window, windows.dilation, windows.output, windows.stride, strict=True
        )
    )
    seen = [
        lax.slice(
            high,
            (row.start, column.start, 0, 0),
            (row.stop, column.stop, *high.shape[2:]),
            (row.step, column.step, 1, 1),
        )
        for row in rows
        for column in columns
    ]
    return jnp.concatenate(seen, axis=3)


# ------------------------------------------------------------------------------------------
# Convolution whose kernel is turned beforehand, so that its gradient is fast in a loop.
#
# JAX writes the transpose of a convolution with axes in an order that XLA's CPU compiler turns
# round first, but not inside a loop such as a `lax.scan` over the steps of an epoch, where the
# gradient of the images is then very slow. Here the kernel is turned beforehand, so
# that the transpose reads like a forward convolution, and a barrier keeps XLA from folding the turn
# back.
#
# The gain is inside loops alone; at the top level there is none. `benchmarks/layers.py`, rows
# `convolution, 3x3` and `convolution, 5x5`, says when this may be deleted: when the ratios in
# the scan are 1 or less.


def turned_along_images(x: Array, kernel: Array, windows: Windows) -> Array:
    """A convolution whose transpose in `x` is one of (N H W F) with (h w F i).

    Args:
        x: Images (N H W C).
        kernel: Weights (h w C F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    return lax.conv_general_dilated(
        x,
        lax.optimization_barrier(jnp.transpose(kernel, (0, 1, 3, 2))),
        windows.stride,
        windows.padding,
        rhs_dilation=windows.dilation,
        dimension_numbers=("NHWC", "HWOI", "NHWC"),
    )


# ------------------------------------------------------------------------------------------
# The gradient of a kernel as one matrix product, of images and gradient laid beside themselves.
#
# k'[a, b, i, f] = sum over n, r, c of x[n, S r + D a - P, S c + D b - P, i] y'[n, r, c, f]
#
# Every tap (a, b) is a product of matrices whose long axis is all pixels. A sliding window meets a
# pixel h w times, and XLA's CPU compiler copies it as often, in a slow loop. Here what the taps see
# is laid out once, and one product has all kernel matrices, in one of three ways:
#
# - by columns and rows: the w columns of a row of x beside each other (w C elements per pixel), the
#   h rows of a column of y' beside each other (h F elements); their product has every tap once;
# - by results: all taps of y' beside each other (h w F elements), times x as it is;
# - by taps: all taps of x beside each other (h w C elements), times y' as it is;
#   with a stride, too.
#
# The one that lays out the fewest elements is taken. An element is laid in its place by a choice
# between shifted images (`jnp.where` on the number of the shift), one vector loop in XLA;
# `jnp.stack` is slower. A loop that also merges axes is slower too, and XLA would compute what lies
# before the images, such as a normalization, once for every tap: hence the barriers.
#
# In a `lax.scan` this is faster on a CPU than the convolution that JAX derives.
# `benchmarks/layers.py`, rows `convolution`, says when it may be deleted: when the ratios in the
# scan are 1 or less.

PARTS = 4
"""The batch is cut into so many: XLA divides several products among the cores, but not one sum."""


def widened_along_kernel(x: Array, kernel: Array, windows: Windows) -> Array:
    """A convolution whose transpose in `kernel` is a matrix product.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w C F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    h, w, channels, features = kernel.shape
    laid_out = {
        _by_columns_and_rows: w * channels + h * features,
        _by_results: h * w * features,
        by_taps: h * w * channels,
    }
    form = min(laid_out, key=laid_out.__getitem__) if windows.stride == (1, 1) else by_taps
    return lax.optimization_barrier(form(lax.optimization_barrier(x), kernel, windows))


def _by_columns_and_rows(x: Array, kernel: Array, windows: Windows) -> Array:
    """Each pixel's row of columns times all rows of the kernel; the rows' results are added."""
    h, w, channels, features = kernel.shape
    matrix = jnp.transpose(kernel, (1, 2, 0, 3)).reshape(w * channels, h * features)
    columns = _beside([_moved(x, 2, -place, windows.output[1]) for place in _places(windows, 1)])
    return _added(_product(columns, matrix), 1, windows)


def _by_results(x: Array, kernel: Array, windows: Windows) -> Array:
    """Each pixel times the kernels of all taps; the taps' results are added where they belong."""
    matrix = jnp.transpose(kernel, (2, 0, 1, 3)).reshape(kernel.shape[2], -1)
    return _added(_added(_product(x, matrix), 1, windows), 2, windows)


def by_taps(x: Array, kernel: Array, windows: Windows) -> Array:
    """A convolution of everything a window sees, as one row, with the kernel as one matrix.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w C F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    (height, width), (down, right) = windows.output, windows.stride
    around = [(0, 0, 0), *((*sides, 0) for sides in windows.padding), (0, 0, 0)]
    x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), around))
    below, beside = (height - 1) * down + 1, (width - 1) * right + 1
    places = (range(0, n * d, d) for n, d in zip(windows.window, windows.dilation, strict=True))
    rows, columns = places
    x = _beside([x[:, :, column : column + beside : right] for column in columns])
    x = _beside([x[:, row : row + below : down] for row in rows])
    return _product(x, kernel.reshape(-1, kernel.shape[3]))


WIDENED = Form(plain, turned_along_images, widened_along_kernel)

LARGE_WINDOW = Form(by_taps, by_taps, widened_along_kernel)
"""Of windows higher and wider than the image, where XLA falls back to a naive loop."""


def _product(columns: Array, matrix: Array) -> Array:
    """(N H W A) times (A B), in parts of the batch that are multiplied side by side."""
    *places, wide = columns.shape
    parts = math.gcd(columns.shape[0], PARTS)
    each = jnp.broadcast_to(matrix, (parts, *matrix.shape))
    y = jnp.matmul(columns.reshape(parts, -1, wide), each)
    return y.reshape(*places, matrix.shape[1])


def _beside(images: Sequence[Array]) -> Array:
    """Images (N H W C) beside each other, pixel by pixel: (N H W number C), as (N H W A)."""
    number = lax.broadcasted_iota(jnp.int32, (len(images), 1), 0)
    *others, chosen = (image[..., None, :] for image in images)
    for place, image in reversed(list(enumerate(others))):
        chosen = jnp.where(number == place, image, chosen)
    return lax.optimization_barrier(chosen).reshape(*images[0].shape[:3], -1)


def _added(results: Array, axis: int, windows: Windows) -> Array:
    """The results of each tap along an axis (N H W taps F), moved to its place, and added.

    The transpose lays what the taps see beside each other, as `_beside` does.
    """
    places = _places(windows, axis - 1)
    results = results.reshape(*results.shape[:3], len(places), -1)
    results = lax.optimization_barrier(results)
    number = lax.broadcasted_iota(jnp.int32, (len(places), 1), 0)
    moved = []
    for tap, place in enumerate(places):
        own = jnp.where(number == tap, results, jnp.zeros((), results.dtype)).sum(axis=3)
        moved.append(_moved(own, axis, -place, windows.output[axis - 1]))
    return lax.optimization_barrier(functools.reduce(lax.add, moved))


def _places(windows: Windows, axis: int) -> list[int]:
    """Where the taps of the first window lie along an axis, -P to D (taps - 1) - P."""
    low, gap = windows.padding[axis][0], windows.dilation[axis]
    return [gap * tap - low for tap in range(windows.window[axis])]


def _moved(x: Array, axis: int, low: int, length: int) -> Array:
    """Moved by `low` along an axis, filled with zeros or cut off to a length."""
    sides = [(0, 0, 0)] * x.ndim
    sides[axis] = (low, length - x.shape[axis] - low, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), sides)


# ------------------------------------------------------------------------------------------
# Convolution of each channel alone: the sum of the shifted images, each times one weight per
# channel.
#
# y[n, r, c, f] = sum over a, b of kernel[a, b, 0, f] x[n, S r + D a - P, S c + D b - P, f // M]
#
# with M features per channel. Nothing is summed over channels, so this is no matrix product but a
# loop over the image that reads it once per tap. XLA's CPU compiler makes such loops of sums of
# products, where its own convolution takes a slow path. Each form below goes image by image in a
# `lax.map`: the image stays in the cache, and nothing before or after is computed again for every
# tap.
#
# `benchmarks/layers.py`, rows `convolution, depthwise`, says when this may be deleted: when the
# ratios are 1 or less.

MOST_TAPS = 64
"""A window of more taps makes a long program: it is left to the form for groups."""

STRIPS = 8
"""At most so many products are summed for each place of a strip, in the gradient of the kernel."""


def depthwise_value(x: Array, kernel: Array, windows: Windows) -> Array:
    """The sum of strided slices.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w 1 F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    weights = _weights(kernel)

    def one(image: Array) -> Array:
        products = map(jnp.multiply, _slices(image, windows), weights)
        return functools.reduce(lax.add, products).astype(x.dtype)

    return _each(one, x, kernel)


def depthwise_along_images(x: Array, kernel: Array, windows: Windows) -> Array:
    """The image cut into S x S phases, each tap laid on a canvas where it belongs.

    The transpose of laying on a canvas is cutting out, so the gradient is a sum of slices again;
    that of a strided slice would be an image with holes, which XLA fills element by element.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w 1 F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    weights = _weights(kernel)
    rows, columns = (_taps(windows, axis) for axis in (0, 1))
    places = [(row, column) for row in rows for column in columns]
    reach = [
        (max(tap.place for tap in taps), min(tap.place for tap in taps)) for taps in (rows, columns)
    ]

    def one(image: Array) -> Array:
        phases = _phases(image.astype(weights.dtype), windows)
        parts = []
        for (row, column), weight in zip(places, weights, strict=True):
            sides = [
                (last - tap.place, tap.place - first)
                for tap, (last, first) in zip((row, column), reach, strict=True)
            ]
            parts.append(_pad(phases[row.phase][column.phase] * weight, sides))
        canvas = lax.optimization_barrier(functools.reduce(lax.add, parts))
        sides = [
            (-last, last + positions - size)
            for (last, _), positions, size in zip(reach, windows.output, canvas.shape, strict=False)
        ]
        return _pad(canvas, sides).astype(x.dtype)

    return _each(one, x, kernel)


def depthwise_along_kernel(x: Array, kernel: Array, windows: Windows) -> Array:
    """The kernel spread over a strip of rows, which is laid on strip after strip of the image.

    The transpose of spreading is a sum over a strip, done once; that of the strips is a sum, for
    each place of a strip, over strips and images. So XLA adds whole rows of elements to each other
    where it would reduce, element by element, to one sum per channel.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w 1 F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    height, width = windows.output
    strips = max(number for number in range(1, STRIPS + 1) if height % number == 0)
    weights = _weights(kernel)
    strip = (height // strips, width, kernel.shape[3])
    spread = lax.optimization_barrier([jnp.broadcast_to(weight, strip) for weight in weights])

    def one(image: Array) -> Array:
        cut = [jnp.split(tap, strips) for tap in _slices(image, windows)]
        sums = [
            functools.reduce(lax.add, map(jnp.multiply, taps, spread))
            for taps in zip(*cut, strict=True)
        ]
        return jnp.concatenate(sums).astype(x.dtype)

    return _each(one, x, kernel)


DEPTHWISE = Form(depthwise_value, depthwise_along_images, depthwise_along_kernel)


def _weights(kernel: Array) -> Array:
    """The weights of one tap after the other, (h w, F), in float32 at least: they are summed so."""
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    return kernel.reshape(-1, kernel.shape[3]).astype(wide)


def _each(one: Callable[[Array], Array], x: Array, kernel: Array) -> Array:
    """A form for one image with a channel for each feature, on image after image.

    Of each image nothing but itself is kept for the way back.
    """
    x = jnp.repeat(x, kernel.shape[3] // x.shape[3], axis=3)
    return map_slices(jax.checkpoint(one, prevent_cse=False), x)


def _pad(image: Array, sides: Sequence[Pair]) -> Array:
    """Rows and columns of zeros around an image (H W F), or cut off where negative."""
    around = [*((low, high, 0) for low, high in sides), (0, 0, 0)]
    return lax.pad(image, jnp.zeros((), image.dtype), around)


def _slices(image: Array, windows: Windows) -> list[Array]:
    """What each tap sees of an image (H W F): (H2 W2 F).

    Behind the barrier the padded image is one array, which XLA does not pad again for every tap.
    """
    image = lax.optimization_barrier(_pad(image, windows.padding))
    (height, width), (down, right) = windows.output, windows.stride
    below, beside = (height - 1) * down + 1, (width - 1) * right + 1
    corners = [
        (row * windows.dilation[0], column * windows.dilation[1])
        for row in range(windows.window[0])
        for column in range(windows.window[1])
    ]
    return [
        image[row : row + below : down, column : column + beside : right] for row, column in corners
    ]


class _Tap(NamedTuple):
    """Where a tap meets an axis: x[S (r + place) + phase] for the position r of the window."""

    place: int
    phase: int


def _taps(windows: Windows, axis: int) -> list[_Tap]:
    (low, _), gap = windows.padding[axis], windows.dilation[axis]
    numbers = range(windows.window[axis])
    return [_Tap(*divmod(number * gap - low, windows.stride[axis])) for number in numbers]


def _phases(image: Array, windows: Windows) -> list[list[Array]]:
    """image[a::S, b::S] for all a and b, cut so that the transpose copies whole runs."""
    down, right = windows.stride
    image = _pad(
        image, [(0, -size % step) for size, step in zip(image.shape, (down, right), strict=False)]
    )
    h, w, f = image.shape
    rows = lax.split(image.reshape(h // down, down, w, f), (1,) * down, axis=1)
    return [
        list(lax.split(row.reshape(h // down, w // right, right * f), (f,) * right, axis=2))
        for row in rows
    ]


# ------------------------------------------------------------------------------------------
# Convolution with a window of one pixel: a matrix product over the channels.
#
# y[n, r, c, f] = sum over i of x[n, S r - P, S c - P, i] kernel[0, 0, i, f]


def pointwise_product(x: Array, kernel: Array, windows: Windows) -> Array:
    """Every pixel times the same matrix; the pixels that the stride leaves out are cut out first.

    Args:
        x: Images (N H W C).
        kernel: Weights (1 1 C F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    for axis in (1, 2):
        (x,) = taps(x, axis, 1, windows.stride[axis - 1], windows.padding[axis - 1], fill=0.0)
    rows = x.reshape(-1, x.shape[3])
    return jnp.matmul(rows, kernel[0, 0]).reshape(*x.shape[:3], kernel.shape[3])


POINTWISE = Form(pointwise_product, pointwise_product, pointwise_product)


# ------------------------------------------------------------------------------------------
# Convolution in groups, as some dense convolutions of neighboring groups.
#
# A dense convolution is fast on a CPU from about 16 channels on; XLA's grouped one is not, and its
# gradients less so. So neighboring groups are merged until a block has 16 channels: its kernel is
# block-diagonal, zero where an input belongs to another group. The zeros are multiplied too, 4
# times the products for groups of 4 channels, which costs less than narrow convolutions do.
#
# Up to 8 blocks are written one after the other, which runs fastest; more run in a loop, whose
# program does not grow with their number.
#
# `benchmarks/layers.py`, rows `convolution, ... groups`, says when this may be deleted: when the
# ratios are 1 or less.

WIDE = 16
"""Neighboring groups are merged until a block has so many channels or features."""

FEW = 8
"""Up to so many blocks are written one after the other."""


def by_blocks(one: Bilinear, x: Array, kernel: Array, windows: Windows) -> Array:
    """A convolution in groups as dense convolutions.

    Args:
        one: How a dense convolution is written.
        x: Images (N H W C).
        kernel: Weights (h w C/G F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    groups = x.shape[3] // kernel.shape[2]
    blocks = number_of_blocks(x.shape[3], kernel.shape[3], groups)
    kernel = block_diagonal(kernel, groups, blocks)
    if blocks <= FEW:
        pairs = zip(jnp.split(x, blocks, axis=3), jnp.split(kernel, blocks, axis=3), strict=True)
        return jnp.concatenate([one(*pair, windows) for pair in pairs], axis=3)

    def block(pair: tuple[Array, Array]) -> Array:
        return one(*pair, windows)

    each = _blocks_first(x, blocks), _blocks_first(kernel, blocks)
    y = map_slices(jax.checkpoint(block, prevent_cse=False), each)
    return jnp.moveaxis(y, 0, 3).reshape(*y.shape[1:4], kernel.shape[3])


def number_of_blocks(channels: int, features: int, groups: int) -> int:
    """The most blocks of whole groups that are at least `WIDE`; one when there are none.

    Args:
        channels: Number of channels, which the groups divide.
        features: Number of features, which the groups divide.
        groups: Number of groups.

    Returns:
        A divisor of `groups`.

    Example:
        >>> number_of_blocks(128, 128, 32), number_of_blocks(512, 512, 8), number_of_blocks(6, 6, 2)
        (8, 8, 1)
    """
    wide = max(channels, features)
    fit = [n for n in range(1, groups + 1) if groups % n == 0 and wide // n >= WIDE]
    return max(fit, default=1)


def block_diagonal(kernel: Array, groups: int, blocks: int) -> Array:
    """The kernels of `blocks` dense convolutions, side by side.

    Args:
        kernel: Weights (h w C/G F) of a convolution in G groups.
        groups: G.
        blocks: A divisor of G.

    Returns:
        (h w C/blocks F), zero where a feature does not see a channel.

    Example:
        >>> block_diagonal(jnp.array([[1, 2, 3, 4]]).reshape(1, 1, 1, 4), groups=4, blocks=2)[0, 0]
        Array([[1, 0, 3, 0],
               [0, 2, 0, 4]], dtype=int32)
    """
    inputs, features = kernel.shape[2:]
    merged = groups // blocks
    rows = jnp.arange(merged * inputs) // inputs
    columns = jnp.arange(features) // (features // groups) % merged
    own = rows[:, None] == columns
    return jnp.where(own, jnp.tile(kernel, (1, 1, merged, 1)), jnp.zeros((), kernel.dtype))


def _blocks_first(x: Array, blocks: int) -> Array:
    split = x.reshape(*x.shape[:3], blocks, x.shape[3] // blocks)
    return jnp.moveaxis(split, 3, 0)


def _grouped(form: Form) -> Form:
    return Form(*(functools.partial(by_blocks, one) for one in form))


GROUPED = _grouped(WIDENED)
GROUPED_POINTWISE = _grouped(POINTWISE)
