"""Convolution and its two transposes as loops in C++, for a CPU.

y = x * k is linear in x and in k. With its transposes, x' from y' and k, and k' from x and y', it
closes: each of the three is linear in both of its arguments, and the transpose of each in either is
one of the other two. So derivatives of any order, forward and backward, are these three again.

XLA's CPU compiler has no loop for the gradient of a kernel that reads images where they are, a slow
one for few channels, and a naive one for channels alone or in groups. `ablax/native` says what its
loops do; where they cannot be had (`ablax.native.why_not`), `widened`, `grouped` and `depthwise`
write the same in XLA's words.

Measured 2026-11-28 on 2 cores of an AMD EPYC (Zen 4), JAX 0.12.0.1, in a `lax.scan`, in ms, before
and after: kernel gradient of a 3x3 convolution of images (128, 32, 32), 16 -> 16 features, 9.1 and
3.3; (128, 16, 16), 32 -> 32, 5.8 and 3.1; (128, 8, 8), 64 -> 64, 6.5 and 2.7. That is 90 to 110
G multiply-accumulates a second, zeros of the padding counted, beside the 100 to 107 of a large
product of matrices.

`benchmarks/layers.py`, rows `convolution`, says when this may be deleted: when ABLAX_NATIVE=0 does
not change them.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array
from jax.core import ShapedArray
from jax.interpreters import ad

from ablax.layers.forms import Form
from ablax.layers.pointwise import POINTWISE
from ablax.layers.widened import LARGE_WINDOW
from ablax.layers.windows import Pair, Windows
from ablax.native import operation, why_not

FEW_PLACES = 4
"""With fewer pixels than this in a map of results, a product of all that windows see is as fast and
copies no weights: those of a dense layer written as a convolution are hundreds of megabytes."""

SMALL_KERNEL = 2**17
"""From so many weights on, XLA's product is as fast for the gradient of a 1x1 kernel."""


def usable(x: Array, kernel: Array) -> bool:
    """Whether the loops can be had in this process, and take these arguments: float32 alone."""
    return x.dtype == kernel.dtype == jnp.float32 and not why_not()


def convolve(x: Array, kernel: Array, windows: Windows) -> Array:
    """The convolution, whose derivatives of any order are loops in C++.

    Args:
        x: Images (N H W C), float32.
        kernel: Weights (h w C/G F) with G groups, float32.
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    size = x.shape[1], x.shape[2]
    groups = x.shape[3] // kernel.shape[2]
    return _convolution.bind(x, kernel, windows=windows, size=size, groups=groups)


NATIVE = Form(convolve, convolve, convolve)

NATIVE_KERNEL = Form(LARGE_WINDOW.value, LARGE_WINDOW.along_images, convolve)
"""For few places, where a loop gains in the gradient of the kernel alone."""

NATIVE_POINTWISE = Form(POINTWISE.value, POINTWISE.along_images, convolve)
"""XLA's products of matrices are fast, but not with a long sum and a small result."""


def native_form(x: Array, kernel: Array, windows: Windows) -> Form:
    """Which of three values and tangents is a loop in C++; the others are products of matrices.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w C/G F).
        windows: Where the windows lie.

    Returns:
        The fastest that was measured.
    """
    if kernel.shape[2] < x.shape[3]:
        return NATIVE
    if windows.window == (1, 1):
        return NATIVE_POINTWISE if kernel.size < SMALL_KERNEL else POINTWISE
    return NATIVE_KERNEL if math.prod(windows.output) < FEW_PLACES else NATIVE


def _shape_of_results(
    x: ShapedArray, kernel: ShapedArray, *, windows: Windows, size: Pair, groups: int
) -> ShapedArray:
    del size, groups
    return x.update(shape=(x.shape[0], *windows.output, kernel.shape[3]))


def _shape_of_images(
    gradient: ShapedArray, kernel: ShapedArray, *, windows: Windows, size: Pair, groups: int
) -> ShapedArray:
    del windows
    return gradient.update(shape=(gradient.shape[0], *size, kernel.shape[2] * groups))


def _shape_of_kernel(
    x: ShapedArray, gradient: ShapedArray, *, windows: Windows, size: Pair, groups: int
) -> ShapedArray:
    del size
    return x.update(shape=(*windows.window, x.shape[3] // groups, gradient.shape[3]))


def _attributes(*, windows: Windows, size: Pair, groups: int) -> dict[str, Pair]:
    del size, groups  # they follow from the shapes
    (above, _), (left, _) = windows.padding
    return {"stride": windows.stride, "padding": (above, left), "dilation": windows.dilation}


_convolution = operation("ablax_convolution", _shape_of_results, _attributes)
_image_gradient = operation("ablax_image_gradient", _shape_of_images, _attributes)
_kernel_gradient = operation("ablax_kernel_gradient", _shape_of_kernel, _attributes)

# Each rule is given the cotangent, then both arguments, of which one is unknown.
ad.defbilinear(
    _convolution,
    lambda y, _, kernel, **fields: _image_gradient.bind(y, kernel, **fields),
    lambda y, x, _, **fields: _kernel_gradient.bind(x, y, **fields),
)
ad.defbilinear(
    _image_gradient,
    lambda x, _, kernel, **fields: _convolution.bind(x, kernel, **fields),
    lambda x, y, _, **fields: _kernel_gradient.bind(x, y, **fields),
)
ad.defbilinear(
    _kernel_gradient,
    lambda kernel, _, y, **fields: _image_gradient.bind(y, kernel, **fields),
    lambda kernel, x, _, **fields: _convolution.bind(x, kernel, **fields),
)
