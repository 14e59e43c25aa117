"""What it takes to write a convolution in a way of its own: a value and two tangents."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jax import Array, lax

from ablax.layers.windows import Windows

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
