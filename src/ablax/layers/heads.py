"""From feature maps to class scores: votes of pixels, weights by place, codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from ablax.layers.dense import broadcast_with, check_alike
from ablax.layers.initializers import ZEROS, Initializer
from ablax.layers.windows import (
    FieldError,
    Pair,
    ShapeError,
    as_python,
    promoted,
    takes,
    widened,
)


@dataclass(frozen=True, repr=False)
class Codes:
    """A code a class: constants that a layer can hold, since they compare and hash by value.

    Raises:
        FieldError: No code, or codes of several lengths.

    Example:
        >>> Codes(((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0)))
        3 codes of 2
    """

    rows: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", as_python(self.rows))
        lengths = sorted({len(code) for code in self.rows})
        if len(lengths) != 1 or not lengths[0]:
            raise FieldError(
                f"{len(self.rows)} codes of the lengths {lengths} were given: expected at least "
                "one, all of one length"
            )

    def __repr__(self) -> str:
        return f"{len(self.rows)} codes of {len(self.rows[0])}"


@takes("N C")
def code_scores(x: Float[Array, "N C"], codes: Float[Array, "K L"]) -> Float[Array, "N K"]:
    """Minus the squared distance of each vector to the code of each class.

    s_k = - sum over j of (x_j - w_kj)^2

    It is at most 0, and 0 where x is the code. exp(s_k) is, up to a factor, the density of a
    Gaussian around code k, so the cross-entropy of softmax(s) asks that x be likelier under its
    own class than under the others: the discriminative loss of section II.C without its rubbish
    class. The part |x|^2 is common to all classes and drops out of the softmax; where all codes
    are equally long, softmax(s) = softmax(2 x . w). What the distances keep is how far x is from
    every code, by which an image of none of the classes can be refused. Differences and sum are
    taken in float32 at least.

    LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition,
    section II.B (output layer) and II.C.

    Raises:
        ShapeError: The codes are longer or shorter than the vectors.

    Example:
        >>> codes = jnp.array([[1.0, 1.0], [1.0, -1.0]])
        >>> code_scores(jnp.array([[1.0, 0.5]]), codes)
        Array([[-0.25, -2.25]], dtype=float32)
    """
    if codes.shape[1] != x.shape[1]:
        raise ShapeError(
            f"code_scores was given {x.shape} and codes of shape {codes.shape}: expected vectors "
            f"of {codes.shape[1]} numbers"
        )
    wide = widened(x)
    distances = jnp.square(wide[:, None, :] - codes.astype(wide.dtype)[None]).sum(axis=-1)
    return -distances.astype(x.dtype)


class CodeScores(nn.Module):
    """The module of `code_scores`: the codes are constants, no parameters."""

    codes: Codes

    @takes("N C")
    def __call__(self, x: Float[Array, "N C"]) -> Float[Array, "N K"]:
        return code_scores(x, jnp.asarray(self.codes.rows, jnp.float32))


@takes("N H W C", integers=True)
def spatial_weights(
    x: Real[Array, "N H W C"], weights: Float[Array, "h w"]
) -> Float[Array, "N H W C"]:
    """y[n, r, c, f] = weights[r, c] x[n, r, c, f].

    Raises:
        ShapeError: Weights of another size than the maps.

    Example:
        >>> x = jnp.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
        >>> spatial_weights(x, jnp.array([[0.0, 1], [1, 2]]))[0, :, :, 0]
        Array([[0., 2.],
               [3., 8.]], dtype=float32)
    """
    check_size("spatial_weights", x, weights)
    x, weights = promoted(x, weights)
    return broadcast_with(jnp.multiply, x, weights[None, :, :, None])


def resized(weights: Float[Array, "h w"], size: Pair) -> Float[Array, "H W"]:
    """Numbers by place, for maps of another size: bilinear, and what they were at their own size.

    Corners stay corners: place p of h stands at (p + 1/2) / h of the height. Beyond the middle of
    the outermost pixels the nearest weight goes on; a smaller size averages. Equal weights stay
    equal to them.

    Example:
        >>> resized(jnp.array([[0.0, 4.0]]), (1, 4))
        Array([[0., 1., 3., 4.]], dtype=float32)
    """
    if weights.shape == size:
        return weights
    return jax.image.resize(weights, size, method="linear")


class SpatialWeights(nn.Module):
    """Pixels that count by where they are: y = (1 + v) x, with one learned `deviation` v per pixel.

    It has H W parameters and is initially the identity, bit for bit. Kept is the deviation from 1,
    so that weight decay leads to equal weights and not to none. The parameters belong to the maps
    it was initialized with; maps of another size get them resized bilinearly (`resized`). Idea 2
    for a head in the lectures (L2, "2 head design ideas").

    Example:
        >>> layer = SpatialWeights()
        >>> variables = layer.init(jax.random.key(0), jnp.ones((1, 2, 3, 8)))
        >>> variables["params"]["deviation"].shape
        (2, 3)
        >>> layer.apply(variables, jnp.ones((1, 4, 4, 8))).shape
        (1, 4, 4, 8)
    """

    deviation_init: Initializer = ZEROS

    @takes("N H W C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N H W C"]) -> Float[Array, "N H W C"]:
        size = x.shape[1], x.shape[2]
        deviation = kept_or_new(self, "deviation", self.deviation_init, size)
        return spatial_weights(x, 1 + resized(deviation, size))


def check_size(layer: str, x: Array, weights: Array) -> None:
    """Refuse numbers by place of another size than the maps."""
    if weights.shape != x.shape[1:3]:
        raise ShapeError(
            f"{layer} was given {x.shape} and numbers by place of shape {weights.shape}: expected "
            f"{x.shape[1:3]}; fit them with `resized`"
        )


def kept_or_new(module: nn.Module, name: str, init: Initializer, size: Pair) -> Array:
    """A module's parameter as it is kept, whatever its size (`resized` fits it), or a new one."""
    if module.has_variable("params", name):
        size = module.get_variable("params", name).shape
    return module.param(name, init, size, jnp.float32)


# From a class at every pixel to the class of the image: averages, votes and mixtures.
#
# Heads of idea 1 of the lectures (L2): one shared classifier scores every pixel of the last maps,
# then the pixels are combined. What each combination returns are scores s whose softmax is the
# combined probability, so that the usual cross-entropy of softmax(s) trains it.


@takes("N H W C")
def pixel_average(scores: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
    """The logarithm of the mean class probability: softmax(s) is the mean of the softmax(z_p).

    s[c] = log(1/P sum over pixels p of softmax(z_p)[c])

    Averaging the z_p themselves would give the scores of the averaged features, which is what a
    global average pool gives.

    Example:
        >>> z = jnp.log(jnp.array([[0.9, 0.1], [0.5, 0.5]])).reshape(1, 1, 2, 2)
        >>> (100 * jnp.exp(pixel_average(z))).round()
        Array([[70., 30.]], dtype=float32)
    """
    return pixel_mixture(scores, jnp.zeros(scores.shape[1:3], scores.dtype))


@takes("N H W C", integers=True)
def pixel_mixture(
    scores: Real[Array, "N H W C"], location: Float[Array, "h w"]
) -> Float[Array, "N C"]:
    """As `pixel_average`, with pixels that count by where they are.

    s[c] = log(sum over pixels p of softmax(location)[p] softmax(z_p)[c]), at most 0

    Raises:
        ShapeError: Locations of another size than the maps.

    Example:
        >>> z = jnp.log(jnp.array([[0.9, 0.1], [0.5, 0.5]])).reshape(1, 1, 2, 2)
        >>> (100 * jnp.exp(pixel_mixture(z, jnp.log(jnp.array([[3.0, 1.0]]))))).round()
        Array([[80., 20.]], dtype=float32)
    """
    check_size("pixel_mixture", scores, location)
    scores, location = promoted(scores, location)
    wide = widened(scores)
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
    moves the soft votes. Of equal scores the first is the best.

    Bengio, Léonard, Courville 2013, Estimating or propagating gradients through stochastic neurons
    (the straight-through estimator).

    Example:
        >>> z = jnp.log(jnp.array([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]])).reshape(1, 1, 3, 2)
        >>> (100 * jnp.exp(pixel_vote(z))).round()
        Array([[60., 40.]], dtype=float32)
    """
    return _vote(scores)


@jax.custom_jvp
def _vote(scores: Array) -> Array:
    wide = widened(scores)
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
        return pixel_average(scores)


class PixelVote(nn.Module):
    """The module of `pixel_vote`."""

    @takes("N H W C")
    def __call__(self, scores: Float[Array, "N H W C"]) -> Float[Array, "N C"]:
        return pixel_vote(scores)


class PixelMixture(nn.Module):
    """The module of `pixel_mixture`: one learned parameter `location` a pixel, H W in all.

    It is initially `pixel_average`. The parameters belong to the maps it was initialized with; maps
    of another size get them resized bilinearly (`resized`).

    Example:
        >>> layer = PixelMixture()
        >>> variables = layer.init(jax.random.key(0), jnp.ones((1, 2, 2, 3)))
        >>> layer.apply(variables, jnp.ones((1, 5, 4, 3))).shape
        (1, 3)
    """

    location_init: Initializer = ZEROS

    @takes("N H W C", integers=True)
    @nn.compact
    def __call__(self, scores: Real[Array, "N H W C"]) -> Float[Array, "N C"]:
        size = scores.shape[1], scores.shape[2]
        location = kept_or_new(self, "location", self.location_init, size)
        return pixel_mixture(scores, resized(location, size))


EQUAL = "heads of equally many classes; others can be concatenated"


@takes("...")
def stack(*scores: Float[Array, "N _"]) -> Float[Array, "N heads C"]:
    """The scores of heads of equally many classes, one row per head: those of head h at [:, h].

    Like `ensemble` it is a merge for `Parallel`.

    Raises:
        ShapeError: Heads with other numbers of classes.

    Example:
        >>> stack(jnp.ones((2, 10)), jnp.zeros((2, 10))).shape
        (2, 2, 10)
    """
    check_alike("stack", scores, EQUAL)
    return jnp.stack(promoted(*scores), axis=1)


@takes("...")
def ensemble(*scores: Float[Array, "N _"]) -> Float[Array, "N C"]:
    """The logarithm of the mean of the heads' class probabilities, as of an ensemble of networks.

    Raises:
        ShapeError: Heads with other numbers of classes.

    Example:
        >>> sure, unsure = jnp.log(jnp.array([[0.9, 0.1]])), jnp.log(jnp.array([[0.5, 0.5]]))
        >>> (100 * jnp.exp(ensemble(sure, unsure))).round()
        Array([[70., 30.]], dtype=float32)
    """
    check_alike("ensemble", scores, EQUAL)
    return pixel_average(jnp.stack(promoted(*scores), axis=1)[:, :, None, :])
