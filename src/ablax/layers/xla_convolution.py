"""Convolution and its two transposes in XLA's operations: plainly, and as a CPU computes them fast.

y = x * k is linear in images and in kernel; its transposes are x' from y' and k, and k' from x and
y'. `plain` is XLA's own convolution. On a CPU without the native code XLA computes three of its
cases naively in a loop such as a `lax.scan` over the steps of an epoch: what JAX derives as the
transposes, channels alone or in groups, and windows larger than the image. Those are written here
in operations that XLA has fast loops for. What gains less than a factor of three is not rewritten.

`benchmarks/layers.py`, rows `convolution`, with ABLAX_NATIVE=0, says when this may be deleted: when
the ratios in the scan are 1 or less.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.core import ShapedArray
from jaxtyping import Float

from ablax.analysis.jax_versions import map_slices
from ablax.layers.windows import Pair, Windows

AXES = ("NHWC", "HWIO", "NHWC")


def plain(x: Array, kernel: Array, windows: Windows) -> Array:
    """The convolution as one XLA primitive.

    x: (N H W C), kernel: (h w C/G F) of G groups, result: (N H2 W2 F).
    """
    return lax.conv_general_dilated(
        x,
        kernel,
        windows.stride,
        windows.padding,
        rhs_dilation=windows.dilation,
        dimension_numbers=AXES,
        feature_group_count=x.shape[3] // kernel.shape[2] if kernel.shape[2] else 1,
    )


def plain_image_gradient(y: Array, kernel: Array, windows: Windows, out: ShapedArray) -> Array:
    """The transpose of `plain` in the images, which have the shape `out`."""
    return transposed(lambda x: plain(x, kernel, windows), y, out)


def plain_kernel_gradient(x: Array, y: Array, windows: Windows, out: ShapedArray) -> Array:
    """The transpose of `plain` in the kernel, which has the shape `out`."""
    return transposed(lambda kernel: plain(x, kernel, windows), y, out)


def transposed(function: Callable[[Array], Array], y: Array, out: ShapedArray) -> Array:
    """The transpose of a linear function, whose argument has the shape `out`."""
    return jax.linear_transpose(function, jax.ShapeDtypeStruct(out.shape, out.dtype))(y)[0]


# The three for a CPU: as a product of matrices, channels alone, in groups, or dense.

FEW_PLACES = 4
"""With fewer pixels than this in a map of results, a product of all that windows see is as fast and
copies no weights: those of a dense layer written as a convolution are hundreds of megabytes."""

MOST_TAPS = 64
"""A window of more taps makes a long program for channels alone: it is left to blocks of groups."""


def value(x: Array, kernel: Array, windows: Windows) -> Array:
    """What `plain` computes."""
    inputs, channels = kernel.shape[2], x.shape[3]
    if inputs == channels:
        if is_product(windows):
            return product(x, kernel, windows)
        return _slide(x, kernel, windows.padding, windows.stride, windows.dilation)
    if _alone(kernel, channels, windows):
        return _channels_alone(x, kernel, windows, windows.padding, windows.stride)
    blocks = number_of_blocks(channels, kernel.shape[3], channels // inputs)
    merged = block_diagonal(kernel, channels // inputs, blocks)
    return _by_blocks(lambda a, b: value(a, b, windows), blocks, x, merged)


def image_gradient(y: Array, kernel: Array, windows: Windows, out: ShapedArray) -> Array:
    """What `plain_image_gradient` computes."""
    size, inputs, channels = (out.shape[1], out.shape[2]), kernel.shape[2], out.shape[3]
    if inputs == channels:
        if is_product(windows):
            return transposed(lambda x: product(x, kernel, windows), y, out)
        return _dense_image_gradient(y, kernel, windows, size)
    if _alone(kernel, channels, windows):
        turned, around = lax.rev(kernel, (0, 1)), _around(windows, size)
        dense = windows._replace(stride=(1, 1), output=size)
        return _channels_alone(y, turned, dense, around, windows.stride, holes=True)
    groups = channels // inputs
    blocks = number_of_blocks(channels, kernel.shape[3], groups)
    block = ShapedArray((*out.shape[:3], channels // blocks), out.dtype)
    merged = block_diagonal(kernel, groups, blocks)
    return _by_blocks(lambda a, b: image_gradient(a, b, windows, block), blocks, y, merged)


def kernel_gradient(x: Array, y: Array, windows: Windows, out: ShapedArray) -> Array:
    """What `plain_kernel_gradient` computes."""
    inputs, channels, features = out.shape[2], x.shape[3], out.shape[3]
    if inputs == channels:
        if is_product(windows):
            return transposed(lambda kernel: product(x, kernel, windows), y, out)
        return _dense_kernel_gradient(x, y, windows)
    if _alone(out, channels, windows):
        return _kernel_gradient_of_channels_alone(x, y, windows, out)
    groups = channels // inputs
    blocks = number_of_blocks(channels, features, groups)
    block = ShapedArray((*windows.window, channels // blocks, features // blocks), out.dtype)
    merged = _by_blocks(lambda a, b: kernel_gradient(a, b, windows, block), blocks, x, y)
    return transposed(lambda kernel: block_diagonal(kernel, groups, blocks), merged, out)


def is_product(windows: Windows) -> bool:
    """Whether a dense convolution is as fast as a product of all that the windows see."""
    return windows.window == (1, 1) or math.prod(windows.output) < FEW_PLACES


def _alone(kernel: Array | ShapedArray, channels: int, windows: Windows) -> bool:
    alone = kernel.shape[2:] == (1, channels)
    return alone and math.prod(windows.window) <= MOST_TAPS


def slices(x: Array, windows: Windows, axis: int = 1, fill: float = 0.0) -> list[Array]:
    """What each tap sees, row by row: slices of the padded images, whose rows lie along `axis`."""
    if windows.padding != ((0, 0), (0, 0)):
        # Behind the barrier it is one array, which XLA does not pad again for every tap.
        x = lax.optimization_barrier(pad(x, windows.padding, axis=axis, fill=fill))
    rows, columns = (
        [slice(tap * gap, tap * gap + (places - 1) * step + 1, step) for tap in range(taps)]
        for taps, step, _, gap, places in zip(*windows, strict=True)
    )
    before = (slice(None),) * axis
    return [x[(*before, row, column)] for row in rows for column in columns]


def patches(x: Float[Array, "N H W C"], windows: Windows) -> Float[Array, "H2 W2 N hwC"]:
    """What each position of a window sees, one row per image: positions first, channels last.

    p[r, c, n, (a, b, i)] = x[n, S r + D a - P, S c + D b - P, i], 0 outside the image.

    The taps follow each other row by row, each with all its channels, as in a kernel (h, w, C, F)
    reshaped to (h w C, F). With the positions in front every tap is a slice of whole runs of N C
    elements, and a product with weights of each position's own needs no transposition.

    Example:
        >>> from ablax.layers.windows import place
        >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
        >>> patches(x, place("patches", x.shape, 2, 1, "VALID"))[0, :, 0]
        Array([[0., 1., 3., 4.],
               [1., 2., 4., 5.]], dtype=float32)
    """
    return jnp.concatenate(slices(x.transpose(1, 2, 0, 3), windows, axis=0), axis=3)


def product(x: Array, kernel: Array, windows: Windows) -> Array:
    """A dense convolution as a product of all a window sees with the kernel as one matrix."""
    seen = slices(x, windows)
    rows = seen[0] if len(seen) == 1 else jnp.concatenate(seen, axis=3)
    y = rows.reshape(-1, rows.shape[3]) @ kernel.reshape(-1, kernel.shape[3])
    return y.reshape(*rows.shape[:3], -1)


# Dense: both transposes are convolutions, too, once their arguments are turned round.
#
# A barrier keeps XLA from folding the turn into a convolution that it has no fast loop for.


def _dense_image_gradient(y: Array, kernel: Array, windows: Windows, size: Pair) -> Array:
    """The gradient with holes between its pixels, and the kernel turned, its ends exchanged."""
    turned = lax.optimization_barrier(lax.rev(kernel, (0, 1)).transpose(0, 1, 3, 2))
    around = _around(windows, size)
    return _slide(y, turned, around, (1, 1), windows.dilation, holes=windows.stride)


def _dense_kernel_gradient(x: Array, y: Array, windows: Windows) -> Array:
    """A channel is an image, an image a channel, the gradient the kernel that slides over them."""
    channels = lax.optimization_barrier(x.transpose(3, 1, 2, 0))
    gradient = lax.optimization_barrier(y.transpose(1, 2, 0, 3))
    found = _slide(channels, gradient, windows.padding, windows.dilation, windows.stride)
    return found[:, : windows.window[0], : windows.window[1]].transpose(1, 2, 0, 3)


def _slide(
    x: Array,
    kernel: Array,
    sides: Sequence[Pair],
    stride: Pair,
    dilation: Pair,
    holes: Pair = (1, 1),
) -> Array:
    """A convolution; its images are padded beforehand where the window is larger than they are."""
    if kernel.shape[0] > x.shape[1] or kernel.shape[1] > x.shape[2]:
        x = lax.optimization_barrier(pad(x, sides, holes))
        sides, holes = ((0, 0), (0, 0)), (1, 1)
    return lax.conv_general_dilated(
        x, kernel, stride, sides, holes, dilation, dimension_numbers=AXES
    )


def _around(windows: Windows, size: Pair) -> tuple[Pair, Pair]:
    """The padding of a gradient with holes, whose windows then give an image of a size."""
    rows, columns = (
        ((taps - 1) * gap - low, length - 1 - (places - 1) * step + low)
        for length, taps, step, (low, _), gap, places in zip(size, *windows, strict=True)
    )
    return rows, columns


def pad(
    x: Array, sides: Sequence[Pair], holes: Pair = (1, 1), axis: int = 1, fill: float = 0.0
) -> Array:
    """Rows and columns around, or cut off where negative; steps of `holes` between pixels."""
    config = [(0, 0, 0)] * x.ndim
    for place, (low, high) in enumerate(sides):
        config[axis + place] = (low, high, holes[place] - 1)
    return lax.pad(x, jnp.asarray(fill, x.dtype), config)


# Each channel alone: the sum of the shifted images, each times one weight per channel.
#
# Nothing is summed over channels, so this is no product of matrices but a loop over the image that
# reads it once per tap. It goes image by image in a `lax.map`: the image stays in the cache, and
# nothing before or after is computed again for every tap.


def _channels_alone(
    x: Array,
    kernel: Array,
    windows: Windows,
    sides: tuple[Pair, Pair],
    stride: Pair,
    holes: bool = False,
) -> Array:
    """The windows over images (N H W F) with sides of their own, and holes of `stride` if asked."""
    wide = jnp.promote_types(kernel.dtype, jnp.float32)  # they are summed so
    weights = kernel.reshape(-1, 1, 1, kernel.shape[3]).astype(wide)
    inside = windows._replace(padding=((0, 0), (0, 0)))

    def one(image: Array) -> Array:
        around = pad(image.astype(wide), sides, stride if holes else (1, 1), axis=0)
        seen = slices(lax.optimization_barrier(around), inside, axis=0)
        return functools.reduce(lax.add, map(jnp.multiply, seen, weights)).astype(x.dtype)

    return map_slices(one, x)


def _kernel_gradient_of_channels_alone(
    x: Array, y: Array, windows: Windows, out: ShapedArray
) -> Array:
    """The products of each tap, added up image by image, and over rows and columns at the end."""
    wide = jnp.promote_types(y.dtype, jnp.float32)

    def step(sums: list[Array], pair: tuple[Array, Array]) -> tuple[list[Array], None]:
        image, gradient = (each.astype(wide) for each in pair)
        seen = slices(image, windows, axis=0)
        return [total + tap * gradient for total, tap in zip(sums, seen, strict=True)], None

    none = [jnp.zeros(y.shape[1:], wide)] * math.prod(windows.window)
    sums, _ = lax.scan(step, none, (x, y))
    return jnp.stack([total.sum(axis=(0, 1)) for total in sums]).astype(y.dtype).reshape(out.shape)


# In groups: some dense convolutions of neighboring groups.
#
# Neighboring groups are merged until a block has 16 channels, from which on a dense convolution is
# fast: its kernel is block-diagonal, zero where an input belongs to another group. The zeros are
# multiplied too, 4 times the products for groups of 4 channels, which costs less than narrow
# convolutions do.

WIDE = 16
"""Neighboring groups are merged until a block has so many channels or features."""


def number_of_blocks(channels: int, features: int, groups: int) -> int:
    """The most blocks of whole groups that are at least `WIDE`; one when there are none.

    Example:
        >>> number_of_blocks(128, 128, 32), number_of_blocks(512, 512, 8), number_of_blocks(6, 6, 2)
        (8, 8, 1)
    """
    wide = max(channels, features)
    fit = [n for n in range(1, groups + 1) if groups % n == 0 and wide // n >= WIDE]
    return max(fit, default=1)


def block_diagonal(kernel: Array, groups: int, blocks: int) -> Array:
    """The kernels of `blocks` dense convolutions, side by side; the blocks divide the groups.

    (h w C/G F) of G groups -> (h w C/blocks F), zero where a feature does not see a channel.

    Example:
        >>> block_diagonal(jnp.array([[1, 2, 3, 4]]).reshape(1, 1, 1, 4), groups=4, blocks=2)[0, 0]
        Array([[1, 0, 3, 0],
               [0, 2, 0, 4]], dtype=int32)
    """
    inputs, features = kernel.shape[2:]
    merged = groups // blocks
    rows = jnp.arange(merged * inputs) // inputs
    columns = jnp.arange(features) // (features // groups) % merged
    own = rows[:, None] == columns[None]
    return jnp.where(own, jnp.tile(kernel, (1, 1, merged, 1)), jnp.zeros((), kernel.dtype))


def _by_blocks(one: Callable[[Array, Array], Array], blocks: int, a: Array, b: Array) -> Array:
    """A function of the blocks of two arrays along their last axis, block after block."""
    if blocks == 1:
        return one(a, b)
    first = tuple(jnp.moveaxis(each.reshape(*each.shape[:3], blocks, -1), 3, 0) for each in (a, b))
    y = jnp.moveaxis(map_slices(lambda pair: one(*pair), first), 0, 3)
    return y.reshape(*y.shape[:3], -1)
