"""Convolution: plain, grouped, locally connected, by shifts, over time."""

from __future__ import annotations

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.core import ShapedArray
from jax.custom_derivatives import SymbolicZero
from jax.interpreters import ad
from jaxtyping import Array, Float, Real

from ablax.analysis.jax_versions import varying_alike
from ablax.layers.dense import biased, learned
from ablax.layers.initializers import HE_NORMAL, ZEROS, Initializer
from ablax.layers.windows import (
    FieldError,
    Padding,
    Pair,
    ShapeError,
    Windows,
    check_padding,
    checked,
    odd,
    output_size,
    pair,
    place,
    positive,
    promoted,
    takes,
    whole,
)
from ablax.layers.xla_convolution import (
    image_gradient,
    is_product,
    kernel_gradient,
    patches,
    plain,
    plain_image_gradient,
    plain_kernel_gradient,
    value,
)
from ablax.native import HALVES, by_platform, instructions, operation

# Convolution and its two transposes as primitives, which a CPU computes by oneDNN.
#
# y = x * k is linear in x and in k. With its transposes, x' from y' and k, and k' from x and y', it
# closes: each of the three is linear in both of its arguments, and the transpose of each in either
# is one of the other two. So derivatives of any order, forward and backward, are these three again.
#
# XLA's CPU compiler has no loop for the gradient of a kernel that reads images where they are, a
# slow one for few channels, and a naive one for channels alone or in groups. Where oneDNN cannot
# be had (`ablax.native.why_not`), `ablax.layers.xla_convolution` says how a CPU computes the three.
#
# `benchmarks/layers.py`, rows `convolution`, says when this may be deleted: when ABLAX_NATIVE=0
# does not change them.

MOST, FARTHEST = 2**30, 2**14
"""What oneDNN counts to: numbers in an array; a stride, a dilation or a padding."""

SMALL_KERNEL = 2**17
"""From so many weights on, XLA's product is as fast for the gradient of a 1x1 kernel of float32."""


def convolve(x: Array, kernel: Array, windows: Windows) -> Array:
    """The convolution as a primitive, whose derivatives of any order are primitives as well.

    A channel that several features see alone is repeated for each of them: then every channel has
    one feature, for which there are loops.
    """
    if kernel.shape[2] == 1 < x.shape[3] < kernel.shape[3]:
        x = jnp.repeat(x, kernel.shape[3] // x.shape[3], axis=3)
    (out,) = jax.make_jaxpr(plain, static_argnums=2)(x, kernel, windows).out_avals
    return _convolution.bind(*varying_alike(x, kernel), windows=windows, out=out)


def _attributes(*, windows: Windows) -> dict[str, Pair]:
    (above, _), (left, _) = windows.padding
    return {"stride": windows.stride, "padding": (above, left), "dilation": windows.dilation}


def _by_onednn(x: ShapedArray, kernel: ShapedArray, windows: Windows) -> bool:
    """Whether results and images are oneDNN's: not where a product of matrices is as fast."""
    return _is_near(x, windows) and (kernel.shape[2] < x.shape[3] or not is_product(windows))


def _is_near(x: ShapedArray, windows: Windows) -> bool:
    """Whether oneDNN can count what lies in the arrays, and each tap sees some pixel.

    It ends the process or forgets to write where a tap sees nothing but padding.
    """
    images, features = x.shape[0], x.shape[3] * math.prod(windows.window)
    largest = max(x.size, images * math.prod(windows.output) * features)
    sides = *windows.padding[0], *windows.padding[1]
    far = max(*sides, *windows.stride, *windows.dilation, *windows.window)
    return (
        largest <= MOST
        and far <= FARTHEST
        and all(
            any(0 <= place * step + tap * gap - low < length for place in range(places))
            for length, taps, step, (low, _), gap, places in zip(
                x.shape[1:3], *windows, strict=True
            )
            for tap in range(taps)
        )
    )


def _several(kernel: ShapedArray) -> bool:
    """Whether a feature sees several channels: channels alone oneDNN computes in float32."""
    return kernel.shape[2] > 1 and instructions() in HALVES


_convolution = operation(
    "ablax_convolution",
    lambda x, kernel, windows, **_: plain(x, kernel, windows),
    lambda x, kernel, windows, **_: value(x, kernel, windows),
    _attributes,
    served=lambda x, kernel, windows, **_: _by_onednn(x, kernel, windows),
    narrow=lambda _, kernel, **__: _several(kernel),
)
_image_gradient = operation(
    "ablax_image_gradient",
    plain_image_gradient,
    image_gradient,
    _attributes,
    served=lambda _, kernel, windows, out: _by_onednn(out, kernel, windows),
    narrow=lambda _, kernel, **__: _several(kernel),
)
_kernel_gradient = operation(
    "ablax_kernel_gradient",
    plain_kernel_gradient,
    kernel_gradient,
    _attributes,
    served=lambda x, _, windows, out: (
        _is_near(x, windows)
        and (
            out.shape[2] < x.shape[3]
            or windows.window != (1, 1)
            or out.size < SMALL_KERNEL
            or out.dtype == jnp.bfloat16
        )
    ),
    narrow=lambda *_, out, **__: _several(out),
)

# Each rule is given the cotangent, then both arguments, of which one is unknown but for its type.
ad.defbilinear(
    _convolution,
    lambda y, x, k, windows, **_: _image_gradient.bind(y, k, windows=windows, out=x.aval),
    lambda y, x, k, windows, **_: _kernel_gradient.bind(x, y, windows=windows, out=k.aval),
)
ad.defbilinear(
    _image_gradient,
    lambda x, y, k, windows, **_: _convolution.bind(x, k, windows=windows, out=y.aval),
    lambda x, y, k, windows, **_: _kernel_gradient.bind(x, y, windows=windows, out=k.aval),
)
ad.defbilinear(
    _kernel_gradient,
    lambda k, x, y, windows, **_: _image_gradient.bind(y, k, windows=windows, out=x.aval),
    lambda k, x, y, windows, **_: _convolution.bind(x, k, windows=windows, out=y.aval),
)


@takes("N H W C", integers=True)
def convolution(
    x: Real[Array, "N H W C"],
    kernel: Float[Array, "h w i F"],
    *,
    stride: int | Pair = 1,
    padding: Padding = "SAME",
    dilation: int | Pair = 1,
    groups: int = 1,
    strict: bool = False,
) -> Float[Array, "N H2 W2 F"]:
    """Slide a kernel over images and sum the products.

    y[n, r, c, f] = sum over a, b, i of kernel[a, b, i, f] x[n, S r + D a - P, S c + D b - P, i]

    with stride S, dilation D and padding P; the kernel is not flipped, so a signal engineer calls
    it a cross-correlation. With G groups the channels and the features are cut into G runs of equal
    length, and run g of the features sees run g of the channels alone.

    W2 = (W - (w - 1) D - 1 + 2 P) / S + 1, rounded down.

    Args:
        padding: "SAME", "VALID", an integer for all sides, (vertical, horizontal), or
            ((above, below), (left, right)).
        strict: Refuse a window that does not fit exactly instead of leaving rows out.

    Raises:
        FieldError: A stride, dilation, padding or number of groups that no convolution can have.
        ShapeError: The kernel is larger than the padded image, or does not fit the channels.

    Example:
        >>> x = jnp.array([[0.0, 80, 40], [20, 40, 0], [0, 0, 40]]).reshape(1, 3, 3, 1)
        >>> flipped = jnp.array([[1.0, 0.5], [0.25, 0]]).reshape(2, 2, 1, 1)
        >>> convolution(x, flipped, padding="VALID")[0, :, :, 0]
        Array([[ 45., 110.],
               [ 40.,  40.]], dtype=float32)
    """
    check_kernel("convolution", x.shape, kernel, groups)
    window = kernel.shape[0], kernel.shape[1]
    windows = place("convolution", x.shape, window, stride, padding, dilation, strict=strict)
    return _convolve(*promoted(x, kernel), windows)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _convolve(x: Array, kernel: Array, windows: Windows) -> Array:
    return by_platform(convolve, plain, windows, x, kernel)


@functools.partial(_convolve.defjvp, symbolic_zeros=True)
def _convolve_jvp(
    windows: Windows, primals: tuple[Array, Array], tangents: tuple[Any, Any]
) -> tuple[Array, Array]:
    """The derivative y' = x' * k + x * k'.

    A tangent that is zero costs nothing: a derivative in the weights alone is two convolutions.
    Nothing is kept for the way back but images and kernel: without `jax.checkpoint` a choice by
    platform would keep them once for each platform.
    """
    x, kernel = primals
    dx, dkernel = tangents
    y = _convolve(x, kernel, windows)
    linear = jax.checkpoint(
        functools.partial(by_platform, convolve, plain, windows), prevent_cse=False
    )
    parts = [
        linear(*pair)
        for pair in ((dx, kernel), (x, dkernel))
        if not any(isinstance(one, SymbolicZero) for one in pair)
    ]
    return y, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(y)


@checked(
    features=positive,
    groups=positive,
    window=pair,
    stride=pair,
    dilation=pair,
    padding=check_padding,
)
class Convolution(nn.Module):
    """The module of `convolution`, of F features: a `kernel` (h w C/G F) and a `bias` (F).

    h and w are the window's; there are h w (C / G) F + F parameters.

    Example:
        >>> import jax
        >>> layer = Convolution(features=96, window=11, stride=4, padding="VALID")
        >>> x = jnp.ones((1, 227, 227, 3))
        >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0].shape
        (1, 55, 55, 96)
    """

    features: int
    window: int | Pair
    stride: int | Pair = 1
    padding: Padding = "SAME"
    dilation: int | Pair = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = HE_NORMAL
    bias_init: Initializer = ZEROS
    strict: bool = False

    def __post_init__(self) -> None:
        if self.features % self.groups:
            raise FieldError(
                f"features={self.features} with groups={self.groups}: expected a number of "
                "features that the groups divide"
            )
        super().__post_init__()

    @takes("N H W C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N H W C"]) -> Float[Array, "N H2 W2 F"]:
        _check_groups("Convolution", x.shape, self.features, self.groups)
        window = pair("window", self.window)
        slide = window, self.stride, self.padding, self.dilation
        windows = place("Convolution", x.shape, *slide, strict=self.strict)
        shape = (*window, x.shape[3] // self.groups, self.features)
        kernel = learned(self, "kernel", self.kernel_init, shape, x)
        y = _convolve(*promoted(x, kernel), windows)
        return biased(self, y, (self.features,))


def check_kernel(who: str, shape: tuple[int, ...], kernel: Array, groups: int) -> None:
    """Refuse a kernel (h w i F) in groups that images of a shape do not have the channels for."""
    positive("groups", groups)
    if kernel.ndim != 4:
        raise ShapeError(f"{who} was given a kernel of shape {kernel.shape}: expected (h w i F)")
    _check_groups(who, shape, kernel.shape[3], groups)
    taken = kernel.shape[2] * groups
    if taken != shape[3]:
        raise ShapeError(
            f"{who} was given {shape} and a kernel of shape {kernel.shape} with {groups} "
            f"group(s): the kernel takes {taken} channels, the image has {shape[3]}"
        )


def _check_groups(layer: str, shape: tuple[int, ...], features: int, groups: int) -> None:
    if shape[3] % groups or features % groups:
        raise ShapeError(
            f"{layer} was given {shape}: {shape[3]} channels and {features} features in {groups} "
            "groups; expected numbers that the groups divide"
        )


@takes("N H W C", integers=True)
def locally_connected(
    x: Real[Array, "N H W C"],
    kernels: Float[Array, "H2 W2 h w i F"],
    *,
    stride: int | Pair = 1,
    padding: Padding = "SAME",
) -> Float[Array, "N H2 W2 F"]:
    """Sum the products of each window of an image with the weights of its own position.

    y[n, r, c, f] = sum over a, b, i of kernels[r, c, a, b, i, f] x[n, S r + a - P, S c + b - P, i]

    with stride S and padding P as in `convolution`: one whose kernel may differ from position to
    position, and that one where all kernels are the same.

    L0, "Local Connectivity"; LeCun 1989, Generalization and network design strategies.

    Raises:
        FieldError: A stride or padding that no window can have.
        ShapeError: The kernels are larger than the padded image, fit other channels, or are made
            for another number of positions.

    Example:
        >>> x, kernels = jnp.ones((1, 1, 3, 1)), jnp.arange(3.0).reshape(1, 3, 1, 1, 1, 1)
        >>> locally_connected(x, kernels)[0, 0, :, 0]
        Array([0., 1., 2.], dtype=float32)
    """
    if kernels.ndim != 6 or kernels.shape[4] != x.shape[3]:
        raise ShapeError(
            f"locally_connected was given {x.shape} and kernels of shape {kernels.shape}: expected "
            f"(H2 W2 h w i F) with i = {x.shape[3]} channels"
        )
    down, right, h, w, _, features = kernels.shape
    windows = place("locally_connected", x.shape, (h, w), stride, padding)
    if windows.output != (down, right):
        raise ShapeError(
            f"locally_connected was given {x.shape}, where the window has {windows.output} "
            f"positions, and kernels for {(down, right)}: a layer without weight sharing fits one "
            "image size alone"
        )
    # One product of patches with the weights of each position: its gradient is faster on a CPU than
    # that of `lax.conv_general_dilated_local`.
    x, kernels = promoted(x, kernels)
    seen = patches(x, windows)
    return (seen @ kernels.reshape(down, right, -1, features)).transpose(2, 0, 1, 3)


@checked(features=positive, window=pair, stride=pair, padding=check_padding)
class LocallyConnected(nn.Module):
    """The module of `locally_connected`, for images of one size, with a bias for each unit.

    With H2 W2 positions it has H2 W2 (h w C F + F) parameters, where the convolution has
    h w C F + F. Each position's kernel is initialized as the kernel of a convolution is (L0,
    "Decrease in # of parameters"; L1, "Convolution: Problem").

    Example:
        >>> layer = LocallyConnected(features=30, window=5, padding=1, use_bias=False)
        >>> x = jnp.ones((1, 32, 32, 3))
        >>> kernels = jax.eval_shape(layer.init, jax.random.key(0), x)["params"]["kernel"]
        >>> kernels.shape, kernels.size
        ((30, 30, 5, 5, 3, 30), 2025000)
    """

    features: int
    window: int | Pair
    stride: int | Pair = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = HE_NORMAL
    bias_init: Initializer = ZEROS

    @takes("N H W C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N H W C"]) -> Float[Array, "N H2 W2 F"]:
        window = pair("window", self.window)
        windows = place("LocallyConnected", x.shape, window, self.stride, self.padding)
        shape = (*windows.output, *window, x.shape[3], self.features)
        remedy = "images of that size: a layer without weight sharing fits one image size alone"
        kernels = learned(self, "kernel", self._draw, shape, x, remedy)
        y = locally_connected(x, kernels, stride=self.stride, padding=self.padding)
        return biased(self, y, y.shape[1:])

    def _draw(self, key: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Each position's kernel with its own key: an initializer reads the fan from one kernel."""
        keys = jax.random.split(key, shape[:2])
        return jax.vmap(jax.vmap(lambda key: self.kernel_init(key, shape[2:], dtype)))(keys)


@takes("N H W C", integers=True)
def shift(x: Real[Array, "N H W C"], window: int = 3, dilation: int = 1) -> Real[Array, "N H W C"]:
    """Move each group of channels by a displacement of its own; zeros come in behind.

    y[n, r, c, m] = x[n, r + D (a - R), c + D (b - R), m] for the channels m of group a k + b, with
    a window of k, R = (k - 1) / 2 and dilation D: a depthwise convolution whose kernels hold a
    single one.

    There are k^2 groups of floor(C / k^2) channels, runs behind one another in the order of the
    window, row by row; the middle group does not move, and neither do the channels left over, which
    are the last ones (the paper gives them to the middle group). The authors' CUDA code deals the
    channels out instead, channel m to group m mod k^2: the same function between two 1x1
    convolutions, which can permute the channels (section 3.2), and slower where channels lie side
    by side. There are no parameters and no multiplications.

    Wu, Wan, Yue, Jin, Zhao, Golmant, Gholaminejad, Gonzalez, Keutzer 2017, Shift: a zero FLOP, zero
    parameter alternative to spatial convolutions, section 3.

    Raises:
        FieldError: A window that is even, or no positive integer.
        ShapeError: There are fewer than k^2 channels, so that nothing would move.

    Example:
        >>> x = jnp.ones((1, 3, 3, 9))
        >>> shift(x)[0, :, :, 0]  # the first group sees what is above and to the left
        Array([[0., 0., 0.],
               [0., 1., 1.],
               [0., 1., 1.]], dtype=float32)
    """
    odd("window", window)
    positive("dilation", dilation)
    places, channels = window**2, x.shape[3]
    each, rest = divmod(channels, places)
    if not each:
        raise ShapeError(
            f"shift was given {x.shape} and window={window}: expected at least {places} channels, "
            "one for each displacement"
        )
    # Split and pad, since the transpose of each is one copy; the transpose of slices adds k^2 maps
    # up, and a depthwise convolution is slower still on a CPU.
    sizes = (each,) * places + ((rest,) if rest else ())
    groups = list(lax.split(x, sizes, axis=3))
    for number in range(places):
        down, right = (dilation * (tap - window // 2) for tap in divmod(number, window))
        # What lies so far below and to the right of each pixel.
        config = ((0, 0, 0), (-down, down, 0), (-right, right, 0), (0, 0, 0))
        groups[number] = lax.pad(groups[number], jnp.zeros((), x.dtype), config)
    return jnp.concatenate(groups, axis=3)


@checked(window=odd, dilation=positive)
class Shift(nn.Module):
    """The module of `shift`."""

    window: int = 3
    dilation: int = 1

    @takes("N H W C", integers=True)
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N H W C"]:
        return shift(x, self.window, self.dilation)


Triple = tuple[int, int, int]


@takes("N D H W C", integers=True)
def video_convolution(
    x: Real[Array, "N D H W C"],
    kernel: Float[Array, "d h w i F"],
    *,
    stride: int | Triple = 1,
    padding: str | int | Triple = "SAME",
) -> Float[Array, "N D2 H2 W2 F"]:
    """Slide a kernel over the frames, rows and columns of videos and sum the products.

    y[n, t, r, c, f] = sum over e, a, b, i of
        kernel[e, a, b, i, f] x[n, S t + e - P, S r + a - P, S c + b - P, i]

    with stride S and padding P, a number each or three: time, vertical, horizontal; the padding may
    be "SAME" or "VALID". The kernel is not flipped. Along each axis D2 = (D - d + 2 P) / S + 1,
    rounded down (L0, "Desiderata for networks for vision": 3D for video data).

    Raises:
        FieldError: A stride or padding that no convolution can have.
        ShapeError: The kernel is larger than the padded video, or does not fit the channels.

    Example:
        >>> x = jnp.ones((1, 8, 16, 16, 3))
        >>> video_convolution(x, jnp.ones((3, 5, 5, 3, 2)), padding="VALID").shape
        (1, 6, 12, 12, 2)
    """
    if kernel.ndim != 5 or kernel.shape[3] != x.shape[4]:
        raise ShapeError(
            f"video_convolution was given {x.shape} and a kernel of shape {kernel.shape}: expected "
            f"(d h w i F) with i = {x.shape[4]} channels"
        )
    strides, sides = _triple("stride", stride), _sides("padding", padding)
    if isinstance(sides, list):
        length = zip(x.shape[1:4], kernel.shape[:3], strides, sides, strict=True)
        if min(output_size(*along) for along in length) < 1:
            raise ShapeError(
                f"video_convolution was given {x.shape}: a window of {kernel.shape[:3]} with "
                f"padding {padding!r} is larger than the padded video; enlarge the one or shrink "
                "the other"
            )
    axes = ("NDHWC", "DHWIO", "NDHWC")
    x, kernel = promoted(x, kernel)
    return lax.conv_general_dilated(x, kernel, strides, sides, dimension_numbers=axes)


def _triple(name: str, value: object, smallest: int = 1) -> Triple:
    three = value if isinstance(value, tuple) else (value, value, value)
    if len(three) != 3 or not all(whole(number) and number >= smallest for number in three):
        raise FieldError(
            f"{name}={value!r}: expected an integer of at least {smallest}, or three of them: "
            "time, vertical, horizontal"
        )
    return three[0], three[1], three[2]


def _sides(name: str, padding: object) -> str | list[tuple[int, int]]:
    """The padding as lax takes it."""
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            raise FieldError(f'{name}={padding!r}: expected "SAME", "VALID" or integers')
        return padding if padding == "SAME" else [(0, 0)] * 3
    return [(side, side) for side in _triple(name, padding, smallest=0)]


@checked(features=positive, window=_triple, stride=_triple, padding=_sides)
class VideoConvolution(nn.Module):
    """The module of `video_convolution`, with a bias: d h w C F + F parameters."""

    features: int
    window: int | Triple
    stride: int | Triple = 1
    padding: str | int | Triple = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = HE_NORMAL
    bias_init: Initializer = ZEROS

    @takes("N D H W C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N D H W C"]) -> Float[Array, "N D2 H2 W2 F"]:
        shape = (*_triple("window", self.window), x.shape[4], self.features)
        kernel = learned(self, "kernel", self.kernel_init, shape, x)
        y = video_convolution(x, kernel, stride=self.stride, padding=self.padding)
        return biased(self, y, (self.features,))
