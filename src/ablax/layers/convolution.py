"""Convolution as networks mean it: a window of weights slides over an image, unflipped."""

from __future__ import annotations

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Float

from ablax.layers.depthwise import DEPTHWISE, MOST_TAPS
from ablax.layers.forms import Bilinear, Form, plain
from ablax.layers.grouped import GROUPED, GROUPED_POINTWISE
from ablax.layers.initializers import HE_NORMAL, ZEROS, Initializer
from ablax.layers.native_convolution import native_form, usable
from ablax.layers.pointwise import POINTWISE
from ablax.layers.widened import LARGE_WINDOW, WIDENED
from ablax.layers.windows import (
    FieldError,
    Padding,
    Pair,
    ShapeError,
    Windows,
    check_padding,
    pair,
    place,
    positive,
    takes,
)


@takes("N H W C")
def convolution(
    x: Float[Array, "N H W C"],
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

    The sum is computed in the type of `x`.

    Args:
        x: Images.
        kernel: Weights; `i` is the number of channels of one group.
        stride: Steps down and to the right.
        padding: "SAME", "VALID", an integer for all sides, (vertical, horizontal), or
            ((above, below), (left, right)).
        dilation: Distance between the taps of the kernel.
        groups: Number of groups G.
        strict: Refuse a window that does not fit exactly instead of leaving rows out.

    Returns:
        One map a feature.

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
    positive("groups", groups)
    if kernel.ndim != 4:
        raise ShapeError(
            f"convolution was given a kernel of shape {kernel.shape}: expected (h w i F)"
        )
    _check_groups("convolution", x.shape, kernel.shape[3], groups)
    if kernel.shape[2] * groups != x.shape[3]:
        raise ShapeError(
            f"convolution was given {x.shape} and a kernel of shape {kernel.shape} with {groups} "
            f"group(s): the kernel takes {kernel.shape[2] * groups} channels, the image has "
            f"{x.shape[3]}"
        )
    window = kernel.shape[0], kernel.shape[1]
    windows = place("convolution", x.shape, window, stride, padding, dilation, strict=strict)
    return _convolve(x, kernel.astype(x.dtype), windows)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _convolve(x: Array, kernel: Array, windows: Windows) -> Array:
    return _by_platform(_form(x, kernel, windows).value, windows, x, kernel)


@functools.partial(_convolve.defjvp, symbolic_zeros=True)
def _convolve_jvp(
    windows: Windows, primals: tuple[Array, Array], tangents: tuple[Any, Any]
) -> tuple[Array, Array]:
    """The derivative y' = x' * k + x * k'.

    A tangent that is zero costs nothing: a derivative in the weights alone is two convolutions.
    Nothing is kept for the way back but images and kernel: without `jax.checkpoint` a choice by
    platform would keep what every platform turns or pads on its way.
    """
    x, kernel = primals
    dx, dkernel = tangents
    form = _form(x, kernel, windows)
    y = _convolve(x, kernel, windows)
    parts = []
    for one, arguments in ((form.along_images, (dx, kernel)), (form.along_kernel, (x, dkernel))):
        if not any(isinstance(argument, SymbolicZero) for argument in arguments):
            part = functools.partial(_by_platform, one, windows)
            parts.append(jax.checkpoint(part, prevent_cse=False)(*arguments))
    return y, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(y)


def _form(x: Array, kernel: Array, windows: Windows) -> Form:
    """How a CPU computes it; each form says in its file why, and what it gains."""
    inputs, channels = kernel.shape[2], x.shape[3]
    if usable(x, kernel):
        return native_form(x, kernel, windows)
    if windows.window == (1, 1):
        return POINTWISE if inputs == channels else GROUPED_POINTWISE
    if inputs == 1 < channels and math.prod(windows.window) <= MOST_TAPS:
        return DEPTHWISE
    if inputs < channels:
        return GROUPED
    height, width = windows.window
    return LARGE_WINDOW if height > x.shape[1] and width > x.shape[2] else WIDENED


@functools.partial(jax.jit, static_argnums=(0, 1), inline=True)
def _by_platform(one: Bilinear, windows: Windows, x: Array, kernel: Array) -> Array:
    """On a CPU a form of our own; elsewhere XLA's convolution, which the cost analysis follows.

    Compiled, so that layers of equal shapes that run outside `jax.jit` share one program.
    """

    def on_cpu(x: Array, kernel: Array) -> Array:
        return one(x, kernel, windows)

    def elsewhere(x: Array, kernel: Array) -> Array:
        return plain(x, kernel, windows)

    if one is plain:
        return elsewhere(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=on_cpu, default=elsewhere)


class Convolution(nn.Module):
    """A convolution with its weights: `kernel` (h w i F) and `bias` (F).

    It has h w (C / G) F + F parameters for C channels in G groups.

    Attributes:
        features: Number of output channels F.
        window: Height and width of the kernel.
        stride: Steps down and to the right.
        padding: As in `convolution`.
        dilation: Distance between the taps of the kernel.
        groups: Number of groups.
        use_bias: Whether to add a bias to each feature.
        kernel_init: How the kernel starts.
        bias_init: How the bias starts.
        strict: Refuse a window that does not fit exactly.

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
        positive("features", self.features)
        positive("groups", self.groups)
        for name in ("window", "stride", "dilation"):
            pair(name, getattr(self, name))
        check_padding(self.padding)
        if self.features % self.groups:
            raise FieldError(
                f"features={self.features} with groups={self.groups}: expected a number of "
                "features that the groups divide"
            )
        super().__post_init__()

    @takes("N H W C")
    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H2 W2 F"]:
        """Apply the layer.

        Args:
            x: Images.

        Returns:
            Maps of `features` channels.
        """
        channels = x.shape[3]
        _check_groups("Convolution", x.shape, self.features, self.groups)
        window = pair("window", self.window)
        shape = (*window, channels // self.groups, self.features)
        # Before any weight is drawn: a window that does not fit is refused first.
        slide = window, self.stride, self.padding, self.dilation
        place("Convolution", x.shape, *slide, strict=self.strict)
        if self.has_variable("params", "kernel"):
            kept = self.get_variable("params", "kernel").shape
            if kept != shape:
                raise ShapeError(
                    f"Convolution was given {x.shape}, which asks for a kernel of shape {shape}: "
                    f"its kernel has shape {kept}; initialize it again or feed it "
                    f"{kept[2] * self.groups} channels"
                )
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        y = convolution(
            x,
            kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            strict=self.strict,
        )
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
            y = y + bias.astype(y.dtype)
        return y


def _check_groups(layer: str, shape: tuple[int, ...], features: int, groups: int) -> None:
    if shape[3] % groups or features % groups:
        raise ShapeError(
            f"{layer} was given {shape}: {shape[3]} channels and {features} features in {groups} "
            "groups; expected numbers that the groups divide"
        )
