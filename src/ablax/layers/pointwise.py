"""Convolution with a window of one pixel: a matrix product over the channels.

y[n, r, c, f] = sum over i of x[n, S r - P, S c - P, i] kernel[0, 0, i, f]
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from ablax.layers.first_maximum import taps
from ablax.layers.forms import Form
from ablax.layers.windows import Windows


def product(x: Array, kernel: Array, windows: Windows) -> Array:
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


POINTWISE = Form(product, product, product)
