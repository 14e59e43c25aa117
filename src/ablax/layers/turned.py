"""Convolution whose kernel is turned beforehand, so that its gradient is fast in a loop.

JAX writes the transpose of a convolution with axes in an order that XLA's CPU compiler turns round
first, but not inside a loop such as a `lax.scan` over the steps of an epoch, where the gradient of
the images then takes tens of times as long. Here the kernel is turned beforehand, so that the
transpose reads like a forward convolution, and a barrier keeps XLA from folding the turn back.

The gain is inside loops alone; at the top level there is none. `benchmarks/layers.py`, rows
`convolution, 3x3` and `convolution, 5x5`, says when this file may be deleted: when the ratios in
the scan are 1 or less.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

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
