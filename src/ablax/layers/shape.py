"""Layers without weights that move, select or resample elements."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Real

from ablax.layers.windows import (
    FieldError,
    Pair,
    ShapeError,
    checked,
    pair,
    positive,
    promoted,
    takes,
    whole,
    widened,
)


@takes("...", integers=True)
def concatenate(*maps: Real[Array, "..."], axis: int = -1) -> Real[Array, "..."]:
    """Lay maps behind one another, channel by channel unless another axis is named.

    (N, H, W, C1), (N, H, W, C2), ... -> (N, H, W, C1 + C2 + ...); the axis 1 lays rows below one
    another, the axis 2 columns side by side. The maps are promoted to one type.

    Raises:
        ShapeError: There is no map, or the maps differ in another axis.

    Example:
        >>> concatenate(jnp.ones((1, 7, 7, 64)), jnp.ones((1, 7, 7, 32))).shape
        (1, 7, 7, 96)
    """
    if len({each.shape[:axis] + each.shape[axis:][1:] for each in maps}) != 1:
        given = ", ".join(str(each.shape) for each in maps)
        where = "the last" if axis == -1 else f"axis {axis}"
        raise ShapeError(
            f"concatenate was given ({given}): expected arrays that agree in all axes but {where}"
        )
    return jnp.concatenate(promoted(*maps, integers=True), axis=axis)


@takes("...", integers=True)
def split(
    x: Real[Array, "..."], parts: int | tuple[int, ...], axis: int = -1
) -> tuple[Real[Array, "..."], ...]:
    """Cut maps into parts, along the channels unless another axis is named.

    `concatenate(*split(x, parts))` is x again. `parts` are how many equal ones, or their lengths,
    of which some may be 0.

    Raises:
        FieldError: A number of parts below 1, or a length that is negative or no integer.
        ShapeError: The axis does not divide into these parts.

    Example:
        >>> left, right = split(jnp.array([[1.0, 2.0, 3.0, 4.0]]), 2)
        >>> left, right
        (Array([[1., 2.]], dtype=float32), Array([[3., 4.]], dtype=float32))
    """
    if not isinstance(parts, tuple):
        positive("parts", parts)
    elif not all(whole(part) and part >= 0 for part in parts):
        raise FieldError(f"parts={parts!r}: expected lengths, integers of at least 0")
    length = x.shape[axis]
    sizes = parts if isinstance(parts, tuple) else (length // parts,) * parts
    if sum(sizes) != length:
        raise ShapeError(
            f"split was given {x.shape} to cut along axis {axis} into parts={parts!r}: expected "
            f"parts that add up to {length}"
        )
    return tuple(lax.split(x, sizes, axis=axis % x.ndim))


@takes("... C", integers=True)
def channel_shuffle(x: Real[Array, "... C"], groups: int) -> Real[Array, "... C"]:
    """Deal the channels of each group out to all groups, as one deals cards.

    y[..., i G + g] = x[..., g C / G + i] for G groups: channels (G, C / G), transposed. A grouped
    convolution behind it sees every group of the one before it. Its inverse is the shuffle in C / G
    groups (Zhang, Zhou, Lin, Sun 2017, ShuffleNet, section 3.1).

    Raises:
        FieldError: The groups are no positive integer.
        ShapeError: They do not divide the channels.

    Example:
        >>> channel_shuffle(jnp.arange(6.0), groups=2)
        Array([0., 3., 1., 4., 2., 5.], dtype=float32)
    """
    positive("groups", groups)
    channels = x.shape[-1]
    if channels % groups:
        raise ShapeError(
            f"channel_shuffle was given {x.shape} and groups={groups}: expected a number of "
            "channels that the groups divide"
        )
    dealt = x.reshape(*x.shape[:-1], groups, channels // groups)
    return dealt.swapaxes(-1, -2).reshape(x.shape)


@takes("N H W C", integers=True)
def space_to_depth(x: Real[Array, "N H W C"], block: int) -> Real[Array, "N H2 W2 C2"]:
    """Put the pixels of each block on top of one another: (N, H, W, C) -> (N, H/B, W/B, B^2 C).

    y[n, r, c, (a B + b) C + i] = x[n, B r + a, B c + b, i]: pixels row by row, the channels of a
    pixel together. The order is that of TensorFlow's `space_to_depth`; PyTorch's `pixel_unshuffle`
    has i B^2 + a B + b instead. `channel_to_space` is the inverse.

    Raises:
        FieldError: The block is no positive integer.
        ShapeError: It does not divide height and width.

    Example:
        >>> space_to_depth(jnp.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1), 2)
        Array([[[[1., 2., 3., 4.]]]], dtype=float32)
    """
    positive("block", block)
    n, height, width, channels = x.shape
    if height % block or width % block:
        raise ShapeError(
            f"space_to_depth was given {x.shape} and block={block}: expected a height and a "
            "width that the block divides"
        )
    blocks = x.reshape(n, height // block, block, width // block, block, channels)
    stacked = blocks.transpose(0, 1, 3, 2, 4, 5)
    return stacked.reshape(n, height // block, width // block, block**2 * channels)


@takes("N H W C", integers=True)
def channel_to_space(x: Real[Array, "N H W C"], block: int) -> Real[Array, "N H2 W2 C2"]:
    """Lay the channels of each pixel out as a block of pixels: the inverse of `space_to_depth`.

    y[n, B r + a, B c + b, i] = x[n, r, c, (a B + b) C / B^2 + i]

    (N, H, W, C) becomes (N, B H, B W, C / B^2), in the order of TensorFlow's `depth_to_space`.

    Raises:
        FieldError: The block is no positive integer.
        ShapeError: B^2 does not divide the channels.

    Example:
        >>> channel_to_space(jnp.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4), 2)[0, :, :, 0]
        Array([[1., 2.],
               [3., 4.]], dtype=float32)
    """
    positive("block", block)
    n, height, width, channels = x.shape
    if channels % block**2:
        raise ShapeError(
            f"channel_to_space was given {x.shape} and block={block}: expected a number of "
            f"channels that {block**2} divides"
        )
    blocks = x.reshape(n, height, width, block, block, channels // block**2)
    flat = blocks.transpose(0, 1, 3, 2, 4, 5)
    return flat.reshape(n, height * block, width * block, channels // block**2)


@checked()
class ChannelSplit(nn.Module):
    """One of several equal parts of the channels: `split(x, parts)[index]`.

    Ma, Zhang, Zheng, Sun 2018, ShuffleNet V2, section 3 (channel split, in two).

    Example:
        >>> ChannelSplit(1, parts=2).apply({}, jnp.array([[1.0, 2.0, 3.0, 4.0]]))
        Array([[3., 4.]], dtype=float32)
    """

    index: int
    parts: int

    def __post_init__(self) -> None:
        positive("parts", self.parts)
        if not whole(self.index) or not 0 <= self.index < self.parts:
            raise FieldError(
                f"index={self.index!r} of parts={self.parts}: expected an integer from 0 to "
                f"{self.parts - 1}"
            )
        super().__post_init__()

    @takes("... C", integers=True)
    def __call__(self, x: Real[Array, "... C"]) -> Real[Array, "... part"]:
        return split(x, self.parts)[self.index]


@checked(groups=positive)
class ChannelShuffle(nn.Module):
    """The module of `channel_shuffle`."""

    groups: int

    @takes("... C", integers=True)
    def __call__(self, x: Real[Array, "... C"]) -> Real[Array, "... C"]:
        return channel_shuffle(x, self.groups)


@checked(block=positive)
class SpaceToDepth(nn.Module):
    """The module of `space_to_depth`."""

    block: int

    @takes("N H W C", integers=True)
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N H2 W2 C2"]:
        return space_to_depth(x, self.block)


@checked(block=positive)
class ChannelToSpace(nn.Module):
    """The module of `channel_to_space`."""

    block: int

    @takes("N H W C", integers=True)
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N H2 W2 C2"]:
        return channel_to_space(x, self.block)


# Resampling: an image of another size, interpolated between pixels.
#
# A pixel is a square and its value stands at its middle: pixel i lies at i + 1/2 of an axis whose
# length is the number of pixels. So pixel o of a result lies at (o + 1/2) H / H2 - 1/2 between the
# pixels of the image; the corners of the images coincide, not the middles of the corner pixels
# (PyTorch's `align_corners=False`, which is also what `jax.image.resize` and TensorFlow 2 do).
# Beyond the outermost middles the outermost pixels go on.
#
# Nothing is smoothed before an image is made smaller (`antialias=False`).


@takes("N H W C", integers=True)
def resize_nearest(
    x: Real[Array, "N H W C"], factor: int | Pair | None = None, size: int | Pair | None = None
) -> Real[Array, "N H2 W2 C"]:
    """Each pixel takes the number of the pixel that lies nearest.

    y[o] = x[floor((o + 1/2) H / H2)] along each axis: PyTorch's "nearest-exact". By a whole factor
    every pixel becomes a block, and PyTorch's "nearest", which floors o H / H2, is the same.

    Either `factor` is given, H2 / H and W2 / W, or `size`, H2 and W2 in pixels.

    Raises:
        FieldError: Both or neither of `factor` and `size`, or not positive integers.

    Example:
        >>> resize_nearest(jnp.array([[1.0, 2.0]]).reshape(1, 1, 2, 1), factor=2)[0, :, :, 0]
        Array([[1., 1., 2., 2.],
               [1., 1., 2., 2.]], dtype=float32)
    """
    n, height, width, channels = x.shape
    rows, columns = _target(height, width, factor, size)
    if rows % height or columns % width:
        down = jnp.take(x, nearest_pixels(height, rows), axis=1)
        return jnp.take(down, nearest_pixels(width, columns), axis=2)
    # A broadcast rather than a gather, whose transpose adds element by element, slowly on a CPU.
    blocks = (n, height, rows // height, width, columns // width, channels)
    return jnp.broadcast_to(x[:, :, None, :, None, :], blocks).reshape(n, rows, columns, channels)


def nearest_pixels(before: int, after: int) -> Int[np.ndarray, " after"]:
    """floor((o + 1/2) H / H2) for each pixel o of a result, in integers.

    In floats the result is missed where the middle of o lies just between two pixels.

    Example:
        >>> nearest_pixels(2, 3)
        array([0, 1, 1])
    """
    return (2 * np.arange(after) + 1) * before // (2 * after)


@takes("N H W C")
def resize_bilinear(
    x: Float[Array, "N H W C"], factor: int | Pair | None = None, size: int | Pair | None = None
) -> Float[Array, "N H2 W2 C"]:
    """Each pixel takes a mean of the four around it, weighted linearly by nearness on both axes.

    y[o] = (1 - d) x[i] + d x[i + 1] with i + d = (o + 1/2) H / H2 - 1/2 along each axis; i and
    i + 1 beyond the ends are the ends. Computed in float32 at least.

    The arguments and refusals are those of `resize_nearest`.

    Example:
        >>> resize_bilinear(jnp.array([0.0, 4.0]).reshape(1, 1, 2, 1), factor=(1, 2))[0, 0, :, 0]
        Array([0., 1., 3., 4.], dtype=float32)
    """
    n, height, width, channels = x.shape
    rows, columns = _target(height, width, factor, size)
    y = jax.image.resize(widened(x), (n, rows, columns, channels), "linear", antialias=False)
    return y.astype(x.dtype)


@checked()
class _Resize(nn.Module):
    """The fields of both, which are the arguments of their functions."""

    factor: int | Pair | None = None
    size: int | Pair | None = None

    def __post_init__(self) -> None:
        _target(1, 1, self.factor, self.size)
        super().__post_init__()


class Nearest(_Resize):
    """The module of `resize_nearest`."""

    @takes("N H W C", integers=True)
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N H2 W2 C"]:
        return resize_nearest(x, self.factor, self.size)


class Bilinear(_Resize):
    """The module of `resize_bilinear`."""

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H2 W2 C"]:
        return resize_bilinear(x, self.factor, self.size)


def _target(height: int, width: int, factor: object, size: object) -> Pair:
    """Height and width of the result."""
    if (factor is None) == (size is None):
        raise FieldError(
            f"factor={factor!r} and size={size!r}: expected one of them, an integer or a pair"
        )
    if size is not None:
        return pair("size", size)
    down, right = pair("factor", factor)
    return height * down, width * right


def check_channels(name: str, channels: object) -> None:
    """Refuse what is no tuple of indices."""
    indices = isinstance(channels, tuple) and all(whole(c) and c >= 0 for c in channels)
    if not indices or not channels:
        raise FieldError(
            f"{name}={channels!r}: expected a tuple of at least one index, each an integer of at "
            "least 0"
        )


@takes("... C", integers=True)
def select_channels(
    x: Real[Array, "... C"], channels: tuple[int, ...]
) -> Real[Array, "... selected"]:
    """y[..., i] = x[..., channels[i]].

    In front of a convolution in groups it says which channels each feature sees: selecting
    (0, 1, 1, 2) for two groups of two gives one feature of the channels 0 and 1 and one of 1 and 2,
    with weights for these connections alone. The gradient of a channel is the sum over its copies.

    Raises:
        FieldError: No channel, or what is no index.
        ShapeError: `x` lacks one of them.

    Example:
        >>> select_channels(jnp.array([5.0, 6.0, 7.0]), (2, 0, 2))
        Array([7., 5., 7.], dtype=float32)
    """
    check_channels("channels", channels)
    if max(channels) >= x.shape[-1]:
        raise ShapeError(
            f"select_channels was given {x.shape} and channels={channels}: channel {max(channels)} "
            f"is not among 0 to {x.shape[-1] - 1}"
        )
    return jnp.take(x, np.array(channels), axis=-1)


@checked(channels=check_channels)
class SelectChannels(nn.Module):
    """The module of `select_channels`."""

    channels: tuple[int, ...]

    @takes("... C", integers=True)
    def __call__(self, x: Real[Array, "... C"]) -> Real[Array, "... selected"]:
        return select_channels(x, self.channels)
