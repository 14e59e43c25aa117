"""A layer that ablax does not have: a function, and a module that a network can hold."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array, lax


def blur_pool(x: Array, stride: int = 2) -> Array:
    """Blur each map, then keep every S-th row and column.

    y[r, c] = sum over a, b of k[a] k[b] x[S r + a - 1, S c + b - 1], k = (1, 2, 1) / 4

    (N, H, W, C) -> (N, ceil(H / S), ceil(W / S), C); nothing is learned.

    Args:
        x: Maps.
        stride: S.

    References:
        Zhang 2019, Making convolutional networks shift-invariant again, section 3.

    Example:
        >>> blur_pool(jnp.ones((1, 8, 8, 3)))[0, 1, 1]
        Array([1., 1., 1.], dtype=float32)
    """
    channels = x.shape[-1]
    row = jnp.array([0.25, 0.5, 0.25], x.dtype)
    kernel = jnp.tile(jnp.outer(row, row)[:, :, None, None], (1, 1, 1, channels))
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((1, 1), (1, 1)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=channels,
    )


class BlurPool(nn.Module):
    """The module of `blur_pool`."""

    stride: int = 2

    def __call__(self, x: Array) -> Array:
        """Apply `blur_pool`."""
        return blur_pool(x, self.stride)
