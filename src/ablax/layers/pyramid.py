"""Spatial pyramid pooling: maps of any size become one vector of a fixed length."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from ablax.layers.windows import FieldError, ShapeError, positive, takes


@takes("N H W C")
def spatial_pyramid_pool(
    x: Float[Array, "N H W C"], levels: tuple[int, ...] = (6, 3, 2, 1)
) -> Float[Array, "N L"]:
    """The largest number of each bin, for several grids of bins over the whole image.

    A level of n cuts the image into n x n bins. Bin i of 0 .. n - 1 along an axis of W pixels holds
    floor(i W / n) to ceil((i + 1) W / n) - 1: every pixel is in a bin, whatever W is, and bins
    share pixels where n does not divide W. The vector has L = C sum of n^2 numbers, level by level,
    bin by bin in rows, channels last. The gradient of a bin goes to its first maximum, row by row.

    For images of one size the paper slides a window of ceil(W / n) by steps of floor(W / n)
    (section 2.3): the same bins for its 13 pixels, but others for 10, where 6 such windows end
    before the last 3 pixels.

    Args:
        x: Maps of any size.
        levels: Bins along each axis, a number a level.

    Returns:
        A vector for each image.

    Raises:
        FieldError: No level, or one below 1.
        ShapeError: Maps without a pixel.

    References:
        He, Zhang, Ren, Sun 2014, Spatial pyramid pooling in deep convolutional networks for visual
        recognition, section 2.2; the bins as in appendix A. L2, "Space".

    Example:
        >>> spatial_pyramid_pool(jnp.arange(9.0).reshape(1, 3, 3, 1), levels=(2, 1))
        Array([[4., 5., 7., 8., 8.]], dtype=float32)
        >>> jax.eval_shape(spatial_pyramid_pool, jnp.ones((1, 13, 13, 256))).shape
        (1, 12800)
    """
    _check(levels)
    if not min(x.shape[1:3]):
        raise ShapeError(f"spatial_pyramid_pool was given {x.shape}: expected at least one pixel")
    grids = [_pool_along(_pool_along(x, 2, bins), 1, bins) for bins in levels]
    return jnp.concatenate([grid.reshape(x.shape[0], -1) for grid in grids], axis=1)


def global_max_pool(x: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
    """The largest number of each map: the pyramid's level of one bin.

    Args:
        x: Maps of any size.

    Returns:
        One number a channel.

    Raises:
        ShapeError: Maps without a pixel.

    Example:
        >>> global_max_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
        Array([[6., 7.]], dtype=float32)
    """
    return spatial_pyramid_pool(x, levels=(1,))


def bins_along(size: int, bins: int) -> tuple[tuple[int, int], ...]:
    """First pixel and first pixel behind of each bin along an axis.

    Args:
        size: Pixels along the axis.
        bins: Number of bins.

    Returns:
        A pair a bin.

    Example:
        >>> bins_along(13, 3)
        ((0, 5), (4, 9), (8, 13))
    """
    return tuple((i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins))


class SpatialPyramidPool(nn.Module):
    """The module of `spatial_pyramid_pool`.

    Attributes:
        levels: Bins along each axis, a number a level.

    Example:
        >>> pool = SpatialPyramidPool(levels=(4, 2, 1))
        >>> jax.eval_shape(lambda x: pool.apply({}, x), jnp.ones((1, 13, 9, 256))).shape
        (1, 5376)
    """

    levels: tuple[int, ...] = (6, 3, 2, 1)

    def __post_init__(self) -> None:
        _check(self.levels)
        super().__post_init__()

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N L"]:
        """Apply `spatial_pyramid_pool`."""
        return spatial_pyramid_pool(x, self.levels)


class GlobalMaxPool(nn.Module):
    """The module of `global_max_pool`: (N, H, W, C) -> (N, C)."""

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
        """Apply `global_max_pool`."""
        return global_max_pool(x)


def _pool_along(x: Array, axis: int, bins: int) -> Array:
    """Along the columns first: the first maximum of a bin is in the first row that holds one."""
    spans = bins_along(x.shape[axis], bins)
    pooled = [_first_maximum(lax.slice_in_dim(x, *span, axis=axis), axis) for span in spans]
    return jnp.concatenate(pooled, axis=axis)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _first_maximum(x: Array, axis: int) -> Array:
    """The maximum along an axis, whose derivative is that of the first one.

    `ablax.layers.first_maximum` unrolls the taps of a window, which suits the small ones of a pool.
    For one bin over 56 x 56 pixels, 64 channels, a batch of 16, on 2 busy cores of an AMD EPYC
    (2026-11-21), its gradient compiles in 6.4 s on JAX 0.12.0.1 and 53 s on 0.10.2, this one's in
    0.2 and 0.3 s, and runs in 2 and 3 ms.
    """
    return x.max(axis, keepdims=True)


@_first_maximum.defjvp
def _first_maximum_jvp(
    axis: int, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y = x.max(axis, keepdims=True)
    place = lax.broadcasted_iota(jnp.int32, x.shape, axis)
    largest = (x == y) | jnp.isnan(x)  # a NaN is the maximum, and equals nothing
    first = jnp.where(largest, place, x.shape[axis]).min(axis, keepdims=True)
    return y, jnp.where(place == first, dx, jnp.zeros((), dx.dtype)).sum(axis, keepdims=True)


def _check(levels: object) -> None:
    if not isinstance(levels, tuple) or not levels:
        raise FieldError(f"levels={levels!r}: expected a tuple of integers such as (6, 3, 2, 1)")
    for bins in levels:
        positive("levels", bins)
