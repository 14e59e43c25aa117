"""Displacement fields, and pictures read through them.

A field says, for every pixel of the result, how far from its own place it is read. Fields can be
added, so several distortions cost one interpolation and blur once.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key, UInt32

Images = Float[Array, "N H W C"]
Displacement = Float[Array, "N H W 2"]
PRNGKey = Key[Array, ""] | UInt32[Array, "2"]

_EXACT = lax.Precision.HIGHEST  # TPUs and newer GPUs round the factors of a product otherwise


def affine_field(
    size: tuple[int, int],
    angle: Float[Array, "N"],
    factor: Float[Array, "N"],
    move: Float[Array, "N 2"],
) -> Displacement:
    """Where each pixel of a turned, scaled and moved picture comes from, relative to its place.

    With positions p counted from the center of the picture, `u(p) = R(-angle) (p - move) / factor
    - p`: the picture is turned counter-clockwise, made `factor` times larger and moved.

    Args:
        size: Height and width.
        angle: Degrees, counter-clockwise.
        factor: 1 keeps the size, 2 doubles it.
        move: Pixels down and to the right.
    """
    height, width = size
    radians = jnp.deg2rad(angle)[:, None, None]
    cosine, sine = (f(radians) / factor[:, None, None] for f in (jnp.cos, jnp.sin))
    y = (jnp.arange(height, dtype=angle.dtype) - (height - 1) / 2)[None, :, None]
    x = (jnp.arange(width, dtype=angle.dtype) - (width - 1) / 2)[None, None, :]
    down, right = move[:, 0, None, None], move[:, 1, None, None]
    # Written around the identity, so that no draw at all is a displacement of exactly zero.
    u = (cosine - 1) * y + sine * x - (cosine * down + sine * right)
    v = (cosine - 1) * x - sine * y - (cosine * right - sine * down)
    return jnp.stack([u, v], axis=-1)


def displacement_field(
    key: PRNGKey, size: tuple[int, int, int], amount: float, smoothness: float = 4.0
) -> Displacement:
    """Gaussian noise smoothed by a Gaussian: how far each pixel is displaced.

    The rows of the smoothing matrix have length one, so the displacement has a standard deviation
    of exactly `amount` at every pixel, at the border too.

    Args:
        key: Draws one number a pixel and axis.
        size: Number of pictures, height, width.
        amount: Standard deviation in pixels, along each axis.
        smoothness: Standard deviation of the Gaussian in pixels; about the distance over which
            the displacement changes.

    Returns:
        Pixels, down and to the right.
    """
    count, height, width = size
    # Drawn as rows and then folded: XLA on a CPU compiles a draw of four axes ten times as long.
    white = jax.random.normal(key, (2 * count, height * width)).reshape(2, count, height, width)
    rows, columns = _smoothing(height, smoothness), _smoothing(width, smoothness)
    field = jnp.einsum("anjk,ij,lk->nila", white, rows, columns, precision=_EXACT)
    return amount * field


def _smoothing(length: int, deviation: float) -> Float[np.ndarray, "L L"]:
    place = np.arange(length)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * deviation**2))
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)


def resample(images: Images, field: Displacement) -> Images:
    """The picture read at displaced positions, linearly between the four nearest pixels.

    `y(p) = x(p + u(p))`, and x is 0 outside the picture. A whole-numbered displacement is a copy.

    Args:
        images: The pictures.
        field: Pixels, down and to the right, to the place each pixel is taken from.
    """
    _, height, width, _ = images.shape
    # A ring of zeros: whatever lies farther out is moved onto it.
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = jnp.clip(jnp.arange(1, height + 1)[:, None] + field[..., 0], 0, height + 1)
    x = jnp.clip(jnp.arange(1, width + 1)[None, :] + field[..., 1], 0, width + 1)
    top, left = jnp.minimum(jnp.floor(y), height), jnp.minimum(jnp.floor(x), width)
    down, right = (y - top)[..., None], (x - left)[..., None]
    i, j = top.astype(jnp.int32), left.astype(jnp.int32)

    # vmap keeps each gather within its picture: batches split over devices need no exchange.
    @jax.vmap
    def pick(image: Float[Array, "h w C"], i: Array, j: Array) -> Float[Array, "H W C"]:
        return image.at[i, j].get(mode="promise_in_bounds")

    upper = pick(padded, i, j) * (1 - right) + pick(padded, i, j + 1) * right
    lower = pick(padded, i + 1, j) * (1 - right) + pick(padded, i + 1, j + 1) * right
    return (upper * (1 - down) + lower * down).astype(images.dtype)
