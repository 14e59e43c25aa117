"""Convolution whose operands are turned beforehand, so that its gradients are fast in a loop.

JAX writes the two transposes of a convolution with axes in an order that XLA's CPU compiler turns
round first, but not inside a loop such as a `lax.scan` over the steps of an epoch, where the
gradient of the kernel then takes tens of times as long. Here the kernel and the images are turned
beforehand, so that both transposes read like a forward convolution, and a barrier keeps XLA from
folding the turns back.

The gain is inside loops alone; at the top level there is none. Measured 2026-11-21 on 2 cores of an
AMD EPYC, gradient of 3x3, 16 -> 16 features, images of (128, 32, 32), in a `lax.scan`: 2,192 ms
plain and 42 ms so on JAX 0.12.0.1, 2,951 and 49 on 0.10.2. `benchmarks/layers.py`, rows
`convolution, 3x3` and `convolution, 5x5`, says when this file may be deleted: when the ratios in
the scan are 1 or less.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

from ablax.layers.forms import Form, plain
from ablax.layers.windows import Windows


def along_images(x: Array, kernel: Array, windows: Windows) -> Array:
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


def along_kernel(x: Array, kernel: Array, windows: Windows) -> Array:
    """A convolution whose transpose in `kernel` is one of (C H W N) with (H2 W2 N F).

    Args:
        x: Images (N H W C).
        kernel: Weights (h w C F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    turned = lax.conv_general_dilated(
        lax.optimization_barrier(jnp.transpose(x, (3, 1, 2, 0))),
        jnp.transpose(kernel, (2, 0, 1, 3)),
        windows.stride,
        windows.padding,
        rhs_dilation=windows.dilation,
        dimension_numbers=("CHWN", "IHWO", "HWNC"),
    )
    return jnp.transpose(lax.optimization_barrier(turned), (2, 0, 1, 3))


TURNED = Form(plain, along_images, along_kernel)
