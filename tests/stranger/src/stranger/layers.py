"""A layer that ablax does not have."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array, lax


class BlurPool(nn.Module):
    """Blur each map, then keep every S-th row and column.

    y[r, c] = sum over a, b of k[a] k[b] x[S r + a - 1, S c + b - 1], k = (1, 2, 1) / 4

    (N, H, W, C) -> (N, ceil(H / S), ceil(W / S), C); nothing is learned.

    Attributes:
        stride: S.

    References:
        Zhang 2019, Making convolutional networks shift-invariant again, section 3.

    Example:
        >>> BlurPool().apply({}, jnp.ones((1, 8, 8, 3)))[0, 1, 1]
        Array([1., 1., 1.], dtype=float32)
    """

    stride: int = 2

    def __call__(self, x: Array) -> Array:
        """Blur and subsample."""
        channels = x.shape[-1]
        row = jnp.array([0.25, 0.5, 0.25], x.dtype)
        kernel = jnp.tile(jnp.outer(row, row)[:, :, None, None], (1, 1, 1, channels))
        return lax.conv_general_dilated(
            x,
            kernel,
            (self.stride, self.stride),
            ((1, 1), (1, 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=channels,
        )
