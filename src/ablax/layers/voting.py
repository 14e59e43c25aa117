"""From a class at every pixel to the class of the image: averages, votes and mixtures.

Heads of idea 1 of the lectures (L2): one shared classifier scores every pixel of the last maps,
then the pixels are combined. What each combination returns are scores s whose softmax is the
combined probability, so that the usual cross-entropy of softmax(s) trains it.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.layers.initializers import ZEROS, Initializer
from ablax.layers.spatial_weights import check_size, kept_or_new, resized
from ablax.layers.windows import takes


@takes("N H W C")
def pixel_average(scores: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
    """The logarithm of the mean class probability: softmax(s) is the mean of the softmax(z_p).

    s[c] = log(1/P sum over pixels p of softmax(z_p)[c])

    Averaging the z_p themselves would give the scores of the averaged features, which is what a
    global average pool gives.

    Args:
        scores: The scores z of each class at each pixel.

    Returns:
        Scores of the image, none above 0.

    Example:
        >>> z = jnp.log(jnp.array([[0.9, 0.1], [0.5, 0.5]])).reshape(1, 1, 2, 2)
        >>> (100 * jnp.exp(pixel_average(z))).round()
        Array([[70., 30.]], dtype=float32)
    """
    return pixel_mixture(scores, jnp.zeros(scores.shape[1:3], scores.dtype))


@takes("N H W C")
def pixel_mixture(
    scores: Float[Array, "N H W C"], location: Float[Array, "h w"]
) -> Float[Array, "N C"]:
    """As `pixel_average`, with pixels that count by where they are.

    s[c] = log(sum over pixels p of softmax(location)[p] softmax(z_p)[c])

    Args:
        scores: The scores z of each class at each pixel.
        location: What each pixel counts, before a softmax over all of them.

    Returns:
        Scores of the image, none above 0.

    Raises:
        ShapeError: Locations of another size than the maps.

    Example:
        >>> z = jnp.log(jnp.array([[0.9, 0.1], [0.5, 0.5]])).reshape(1, 1, 2, 2)
        >>> (100 * jnp.exp(pixel_mixture(z, jnp.log(jnp.array([[3.0, 1.0]]))))).round()
        Array([[80., 20.]], dtype=float32)
    """
    check_size("pixel_mixture", scores, location)
    wide = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    chances = jax.nn.log_softmax(wide, axis=-1)
    weights = jax.nn.log_softmax(location.astype(wide.dtype), axis=None)
    mixed = jax.nn.logsumexp(chances + weights[None, :, :, None], axis=(1, 2))
    return mixed.astype(scores.dtype)


@takes("N H W C")
def pixel_vote(scores: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
    """Majority vote of the pixels; its derivative is that of `pixel_average`.

    softmax(s)[c] = (pixels whose best class is c + mean probability of c) / (P + 1)

    The class with most votes has the largest score; the one vote more is shared out by the mean
    probabilities, so that it decides between equal counts and no score is minus infinity.

    Counting has derivative 0. A count of soft votes (each pixel votes for c as much as it believes
    in c) is `pixel_average`, and its derivative stands in: the value is the vote, whether in
    training or not, and the slopes are those of the average. The cross-entropy's gradient is then
    sum over c of (softmax(s)[c] - y[c]) d log(mean probability of c): what the vote gets wrong
    moves the soft votes.

    Args:
        scores: The scores of each class at each pixel; of equal ones the first is the best.

    Returns:
        Scores of the image, none above 0.

    References:
        Bengio, Léonard, Courville 2013, Estimating or propagating gradients through stochastic
        neurons (the straight-through estimator).

    Example:
        >>> z = jnp.log(jnp.array([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]])).reshape(1, 1, 3, 2)
        >>> (100 * jnp.exp(pixel_vote(z))).round()
        Array([[60., 40.]], dtype=float32)
    """
    return _vote(scores)


@jax.custom_jvp
def _vote(scores: Array) -> Array:
    wide = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    pixels, classes = math.prod(scores.shape[1:3]), scores.shape[3]
    best = jax.nn.one_hot(wide.argmax(axis=-1), classes, dtype=wide.dtype)
    votes = jnp.log(best.sum(axis=(1, 2)))
    return (jnp.logaddexp(votes, pixel_average(wide)) - math.log(pixels + 1)).astype(scores.dtype)


@_vote.defjvp
def _vote_jvp(primals: tuple[Array], tangents: tuple[Any]) -> tuple[Array, Array]:
    return _vote(*primals), jax.jvp(pixel_average, primals, tangents)[1]


class PixelAverage(nn.Module):
    """The module of `pixel_average`."""

    @takes("N H W C")
    def __call__(self, scores: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
        """Apply `pixel_average`."""
        return pixel_average(scores)


class PixelVote(nn.Module):
    """The module of `pixel_vote`."""

    @takes("N H W C")
    def __call__(self, scores: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
        """Apply `pixel_vote`."""
        return pixel_vote(scores)


class PixelMixture(nn.Module):
    """The module of `pixel_mixture`: one learned parameter `location` a pixel, H W in all.

    It starts as `pixel_average`. The parameters belong to the maps it was initialized with; maps of
    another size get them resized bilinearly (`resized`).

    Attributes:
        location_init: How the locations start; equal ones count equally.

    Example:
        >>> layer = PixelMixture()
        >>> variables = layer.init(jax.random.key(0), jnp.ones((1, 2, 2, 3)))
        >>> layer.apply(variables, jnp.ones((1, 5, 4, 3))).shape
        (1, 3)
    """

    location_init: Initializer = ZEROS

    @takes("N H W C")
    @nn.compact
    def __call__(self, scores: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
        """Apply `pixel_mixture`."""
        size = scores.shape[1], scores.shape[2]
        location = kept_or_new(self, "location", self.location_init, size)
        return pixel_mixture(scores, resized(location, size))
