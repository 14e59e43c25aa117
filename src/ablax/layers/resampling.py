"""Resampling: an image of another size, interpolated between pixels.

A pixel is a square and its number stands at its middle: pixel i lies at i + 1/2 of an axis whose
length is the number of pixels. So pixel o of a result lies at (o + 1/2) H / H2 - 1/2 between the
pixels of the image; the corners of the images coincide, not the middles of the corner pixels
(PyTorch's `align_corners=False`, which is also what `jax.image.resize` and TensorFlow 2 do). Beyond
the outermost middles the outermost pixels go on.

Nothing is smoothed before an image is made smaller (`antialias=False`).
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.layers.windows import FieldError, Pair, pair, takes


@takes("N H W C")
def resize_nearest(
    x: Float[Array, "N H W C"], factor: int | Pair | None = None, size: int | Pair | None = None
) -> Float[Array, "N H2 W2 C"]:
    """Each pixel takes the number of the pixel that lies nearest.

    y[o] = x[floor((o + 1/2) H / H2)] along each axis: PyTorch's "nearest-exact". By a whole factor
    every pixel becomes a block, and PyTorch's "nearest", which floors o H / H2, is the same.

    Args:
        x: Maps.
        factor: H2 / H and W2 / W, at least 1; either this or `size`.
        size: H2 and W2 in pixels.

    Returns:
        Maps of the new size.

    Raises:
        FieldError: Both or neither of `factor` and `size`, or not positive integers.

    Example:
        >>> resize_nearest(jnp.array([[1.0, 2.0]]).reshape(1, 1, 2, 1), factor=2)[0, :, :, 0]
        Array([[1., 1., 2., 2.],
               [1., 1., 2., 2.]], dtype=float32)
    """
    n, height, width, channels = x.shape
    rows, columns = _target(height, width, factor, size)
    if rows % height or columns % width:
        return jax.image.resize(x, (n, rows, columns, channels), "nearest")
    # A broadcast rather than a gather, whose transpose adds number by number. Measured 2026-11-21
    # on 2 busy cores of an AMD EPYC, gradient of (32, 28, 28, 64) times 2: 3.2 against 61 ms on
    # JAX 0.12.0.1, 2.6 against 35 on 0.10.2.
    blocks = (n, height, rows // height, width, columns // width, channels)
    return jnp.broadcast_to(x[:, :, None, :, None, :], blocks).reshape(n, rows, columns, channels)


@takes("N H W C")
def resize_bilinear(
    x: Float[Array, "N H W C"], factor: int | Pair | None = None, size: int | Pair | None = None
) -> Float[Array, "N H2 W2 C"]:
    """Each pixel takes a mean of the four around it, weighted linearly by nearness on both axes.

    y[o] = (1 - d) x[i] + d x[i + 1] with i + d = (o + 1/2) H / H2 - 1/2 along each axis; i and
    i + 1 beyond the ends are the ends. Computed in float32 at least.

    Args:
        x: Maps.
        factor: H2 / H and W2 / W, at least 1; either this or `size`.
        size: H2 and W2 in pixels.

    Returns:
        Maps of the new size.

    Raises:
        FieldError: Both or neither of `factor` and `size`, or not positive integers.

    Example:
        >>> resize_bilinear(jnp.array([0.0, 4.0]).reshape(1, 1, 2, 1), factor=(1, 2))[0, 0, :, 0]
        Array([0., 1., 3., 4.], dtype=float32)
    """
    n, height, width, channels = x.shape
    rows, columns = _target(height, width, factor, size)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    y = jax.image.resize(wide, (n, rows, columns, channels), "linear", antialias=False)
    return y.astype(x.dtype)


class Nearest(nn.Module):
    """The module of `resize_nearest`.

    Attributes:
        factor: New over old height and width, at least 1; either this or `size`.
        size: New height and width in pixels.
    """

    factor: int | Pair | None = None
    size: int | Pair | None = None

    def __post_init__(self) -> None:
        _target(1, 1, self.factor, self.size)
        super().__post_init__()

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H2 W2 C"]:
        """Apply `resize_nearest`."""
        return resize_nearest(x, self.factor, self.size)


class Bilinear(nn.Module):
    """The module of `resize_bilinear`.

    Attributes:
        factor: New over old height and width, at least 1; either this or `size`.
        size: New height and width in pixels.
    """

    factor: int | Pair | None = None
    size: int | Pair | None = None

    def __post_init__(self) -> None:
        _target(1, 1, self.factor, self.size)
        super().__post_init__()

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H2 W2 C"]:
        """Apply `resize_bilinear`."""
        return resize_bilinear(x, self.factor, self.size)


def _target(height: int, width: int, factor: object, size: object) -> Pair:
    """Height and width of the result."""
    if (factor is None) == (size is None):
        raise FieldError(
            f"factor={factor!r} and size={size!r}: expected one of them, an integer or a pair"
        )
    if size is not None:
        return pair("size", size)
    down, right = pair("factor", factor)
    return height * down, width * right
