"""Which pixels a score depends on: saliency by the gradient, occlusion by covering them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.analysis.deconvolution import Rule, with_rectifier_rule

Score = Callable[[Float[Array, "N H W C"]], Float[Array, " N"]]
"""From images to one number an image, such as `lambda x: scores(x)[:, 3]`."""


def saliency_map(
    score: Score, images: Float[Array, "N H W C"], rule: Rule = "gradient"
) -> Float[Array, "N H W"]:
    r"""How fast the score changes with each pixel: max over channels of |d score / d pixel|.

    Args:
        score: Image by image: that of one image may not depend on another.
        images: Where the derivative is taken.
        rule: How a signal passes back through a ReLU; see `ablax.analysis.deconvolution`.

    Returns:
        Not negative, in score per unit of pixel.

    References:
        Simonyan, Vedaldi, Zisserman 2013, Deep inside convolutional networks (arXiv 1312.6034),
        section 3.1.

    Example:
        >>> images = jnp.array([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> saliency_map(lambda x: x[:, 0, 0, 0] - 2 * x[:, 0, 0, 1], images).tolist()
        [[[2.0, 0.0]]]
    """
    scores, back = jax.vjp(with_rectifier_rule(score, rule), images)
    _refuse_other_than_one_number(scores.shape, images.shape)
    return jnp.max(jnp.abs(back(jnp.ones_like(scores))[0]), axis=-1)


def occlusion_map(
    score: Score,
    image: Float[Array, "H W C"],
    window: int,
    stride: int = 1,
    fill: float | Sequence[float] = 0.0,
    batch: int = 32,
) -> Float[Array, "rows columns"]:
    """How far the score falls when a square of the image is covered, for each place of the square.

    The squares lie inside the image: rows = (H - window) // stride + 1, and the square of row i
    begins at pixel i * stride. A positive fall says that the score needs what is under the square;
    a negative one that it speaks against.

    Args:
        score: Image by image.
        image: The picture.
        window: Side of the square, in pixels.
        stride: Pixels from one place to the next.
        fill: What covers, of each channel: 0 is the mean gray of normalized images.
        batch: Covered images scored at a time.

    Returns:
        score(image) - score(covered image).

    Raises:
        ValueError: A square larger than the image, or less than a pixel or an image at a time.

    References:
        Zeiler, Fergus 2013, Visualizing and understanding convolutional networks (arXiv 1311.2901),
        section 4.2.

    Example:
        >>> image = jnp.arange(6.0).reshape(2, 3, 1)
        >>> occlusion_map(lambda x: x.sum((1, 2, 3)), image, window=2).tolist()
        [[8.0, 12.0]]
    """
    height, width, channels = image.shape
    if not 1 <= window <= min(height, width) or stride < 1 or batch < 1:
        raise ValueError(
            f"window={window}, stride={stride}, batch={batch} for an image of {height}x{width} "
            "pixels: expected a window that fits, and at least 1 each"
        )
    tops, lefts = (jnp.arange(0, side - window + 1, stride) for side in (height, width))
    corners = jnp.stack(jnp.meshgrid(tops, lefts, indexing="ij"), -1).reshape(-1, 2)
    square = jnp.broadcast_to(jnp.asarray(fill, image.dtype), (window, window, channels))

    def covered(corner: Array) -> Array:
        picture = jax.lax.dynamic_update_slice(image, square, (corner[0], corner[1], 0))
        return score(picture[None])[0]

    whole = score(image[None])
    _refuse_other_than_one_number(whole.shape, (1,))
    falls = whole[0] - jax.lax.map(covered, corners, batch_size=min(batch, len(corners)))
    return falls.reshape(len(tops), len(lefts))


def spread(
    falls: Float[Array, "rows columns"], window: int, stride: int, height: int, width: int
) -> Float[Array, "H W"]:
    """The mean fall of all squares that cover each pixel; NaN where none does.

    Args:
        falls: Of `occlusion_map`.
        window: Of the square, as given there.
        stride: Likewise.
        height: Of the image, in pixels.
        width: Likewise.

    Example:
        >>> spread(jnp.array([[1.0, 3.0]]), window=2, stride=1, height=2, width=3).tolist()
        [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    """

    def covers(places: int, side: int) -> Array:
        below = jnp.arange(side)[:, None] - stride * jnp.arange(places)
        return ((below >= 0) & (below < window)).astype(falls.dtype)

    rows, columns = covers(falls.shape[0], height), covers(falls.shape[1], width)
    count = rows.sum(1)[:, None] * columns.sum(1)
    return jnp.where(count > 0, rows @ falls @ columns.T / jnp.maximum(count, 1), jnp.nan)


def _refuse_other_than_one_number(scores: tuple[int, ...], images: tuple[int, ...]) -> None:
    if scores != images[:1]:
        raise ValueError(
            f"the score has shape {scores} for {images[0]} images: expected one number an image, "
            "such as that of one class"
        )
