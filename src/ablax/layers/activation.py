"""Activation functions, softmax and dropout: each a function, and a module to name and to cut.

All take numbers of any shape and give an array of the same.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray, Real, UInt32

from ablax.layers.dense import broadcast_with, learned
from ablax.layers.initializers import QUARTERS, Initializer
from ablax.layers.windows import (
    FieldError,
    checked,
    finite,
    not_negative,
    promoted,
    takes,
    widened,
)


@takes("...", integers=True)
def relu(x: Real[Array, "..."]) -> Real[Array, "..."]:
    """max(x, 0), with derivative 0 at 0.

    Nair, Hinton 2010, Rectified linear units; Krizhevsky et al. 2012, section 3.1.

    Example:
        >>> relu(jnp.array([-2.0, 0.0, 3.0]))
        Array([0., 0., 3.], dtype=float32)
    """
    return jax.nn.relu(x)


@takes("...")
def relu6(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """min(max(x, 0), 6), with derivative 0 at 0 and at 6; used by MobileNet V2.

    Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10, section 2.

    Example:
        >>> relu6(jnp.array([-2.0, 3.0, 9.0]))
        Array([0., 3., 6.], dtype=float32)
    """
    return jax.nn.relu6(x)


@takes("...")
def leaky_relu(x: Float[Array, "..."], slope: float = 0.01) -> Float[Array, "..."]:
    """X where it is positive or zero, slope x elsewhere.

    Maas, Hannun, Ng 2013, Rectifier nonlinearities improve neural network acoustic models.

    Example:
        >>> leaky_relu(jnp.array([-2.0, 3.0]), slope=0.5)
        Array([-1.,  3.], dtype=float32)
    """
    return jnp.where(x >= 0, x, jnp.asarray(slope, x.dtype) * x)


@takes("... C", integers=True)
def prelu(x: Real[Array, "... C"], slope: Float[Array, "C"]) -> Float[Array, "... C"]:
    """X where it is positive or zero, slope_c x elsewhere: a leaky ReLU with learned slopes.

    He, Zhang, Ren, Sun 2015, Delving deep into rectifiers, section 2.1.

    Example:
        >>> prelu(jnp.array([[-2.0, -2.0]]), jnp.array([0.25, 1.0]))
        Array([[-0.5, -2. ]], dtype=float32)
    """
    x, slope = promoted(x, slope)
    return broadcast_with(lambda x, slope: jnp.where(x >= 0, x, slope * x), x, slope)


@takes("...")
def sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 / (1 + exp(-x)), between 0 and 1.

    Example:
        >>> sigmoid(jnp.zeros(1))
        Array([0.5], dtype=float32)
    """
    return jax.nn.sigmoid(x)


@takes("...")
def shifted_sigmoid(
    x: Float[Array, "..."], gain: float = 0.02, shift: float = 4.0
) -> Float[Array, "..."]:
    """sigm(gain x - shift), the lecture's sigm(0.02 x - 4): silent until x is near 200.

    So it detects the response of a filter to gray values of 0 to 255.

    Example:
        >>> shifted_sigmoid(jnp.array([200.0]))
        Array([0.5], dtype=float32)
    """
    return jax.nn.sigmoid(jnp.asarray(gain, x.dtype) * x - jnp.asarray(shift, x.dtype))


@takes("...")
def tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The hyperbolic tangent, between -1 and 1.

    Example:
        >>> tanh(jnp.zeros(1))
        Array([0.], dtype=float32)
    """
    return jnp.tanh(x)


@takes("...")
def scaled_tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """1.7159 tanh(2 x / 3): a hyperbolic tangent with f(1) = 1 and f(-1) = -1.

    Targets of +1 and -1 are then reached at its points of highest curvature, not in saturation
    (LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition,
    section II.B, equation 6 and appendix A).

    Example:
        >>> scaled_tanh(jnp.array([-1.0, 0.0, 1.0])).round(4)
        Array([-1.,  0.,  1.], dtype=float32)
    """
    return jnp.asarray(1.7159, x.dtype) * jnp.tanh(jnp.asarray(2 / 3, x.dtype) * x)


@takes("...")
def absolute(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """|x|, with derivative 1 at 0: the rectification that keeps both signs of a filter's response.

    Jarrett, Kavukcuoglu, Ranzato, LeCun 2009, What is the best multi-stage architecture for object
    recognition?, section 2 (rectification layer).

    Example:
        >>> absolute(jnp.array([-2.0, 3.0]))
        Array([2., 3.], dtype=float32)
    """
    return jnp.where(x >= 0, x, -x)


@takes("...", integers=True)
def threshold(x: Real[Array, "..."], level: float = 0.0) -> Real[Array, "..."]:
    """1 where x > level, 0 elsewhere: the switching unit of a perceptron, with derivative 0.

    The level is the lecture's theta; at the level itself the unit is off (Rosenblatt 1958, The
    perceptron).

    Example:
        >>> threshold(jnp.array([0.4, 0.5, 0.55]), level=0.5)
        Array([0., 0., 1.], dtype=float32)
    """
    return (x > level).astype(x.dtype)


class ReLU(nn.Module):
    """The module of `relu`."""

    @takes("...", integers=True)
    def __call__(self, x: Real[Array, "..."]) -> Real[Array, "..."]:
        return relu(x)


class ReLU6(nn.Module):
    """The module of `relu6`."""

    @takes("...")
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return relu6(x)


@checked(slope=not_negative)
class LeakyReLU(nn.Module):
    """The module of `leaky_relu`."""

    slope: float = 0.01

    @takes("...")
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return leaky_relu(x, self.slope)


class PReLU(nn.Module):
    """The module of `prelu`: one learned parameter `slope` a channel, initially 0.25."""

    slope_init: Initializer = QUARTERS

    @takes("... C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "... C"]) -> Float[Array, "... C"]:
        return prelu(x, learned(self, "slope", self.slope_init, (x.shape[-1],), x))


class Sigmoid(nn.Module):
    """The module of `sigmoid`."""

    @takes("...")
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return sigmoid(x)


@checked()
class ShiftedSigmoid(nn.Module):
    """The module of `shifted_sigmoid`."""

    gain: float = 0.02
    shift: float = 4.0

    @takes("...")
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return shifted_sigmoid(x, self.gain, self.shift)


class Tanh(nn.Module):
    """The module of `tanh`."""

    @takes("...")
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return tanh(x)


class ScaledTanh(nn.Module):
    """The module of `scaled_tanh`."""

    @takes("...")
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return scaled_tanh(x)


class Absolute(nn.Module):
    """The module of `absolute`."""

    @takes("...")
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return absolute(x)


@checked()
class Threshold(nn.Module):
    """The module of `threshold`."""

    level: float = 0.0

    @takes("...", integers=True)
    def __call__(self, x: Real[Array, "..."]) -> Real[Array, "..."]:
        return threshold(x, self.level)


def check_rate(name: str, rate: object) -> None:
    """Refuse what is no probability of being left out."""
    if not finite(rate) or not 0 <= rate <= 1:
        raise FieldError(f"{name}={rate!r}: expected a number from 0 to 1")


@takes("...", argument=1)
def dropout(
    key: PRNGKeyArray | UInt32[Array, "2"], x: Float[Array, "..."], rate: float
) -> Float[Array, "..."]:
    """Leave out each number with probability `rate` and scale the others up, so that the mean is x.

    y = m x / (1 - rate), m ~ Bernoulli(1 - rate); with a rate of 1 nothing is left but zeros

    Krizhevsky et al. scale at test time instead, by 1 - rate: the same function up to the scale of
    the weights (Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, Dropout, section 4;
    Krizhevsky, Sutskever, Hinton 2012, ImageNet classification, section 4.2).

    Raises:
        FieldError: A rate outside [0, 1].

    Example:
        >>> dropout(jax.random.key(0), jnp.ones(4), rate=0.0)
        Array([1., 1., 1., 1.], dtype=float32)
    """
    check_rate("rate", rate)
    if rate in (0, 1):
        return jnp.zeros_like(x) if rate else x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / jnp.asarray(1 - rate, x.dtype), jnp.zeros((), x.dtype))


@checked(rate=check_rate)
class Dropout(nn.Module):
    """The module of `dropout`, which acts exactly when the caller grants it a key.

    There is no mode: `apply(..., rngs={"dropout": key})` trains, `apply(...)` evaluates. The mask
    depends on the key and on the path of the layer, so a network and its ablation leave out the
    same units in the layers they share.

    Example:
        >>> Dropout(rate=0.5).apply({}, jnp.ones(3))
        Array([1., 1., 1.], dtype=float32)
    """

    rate: float

    @takes("...")
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        if self.rate == 0 or not self.has_rng("dropout"):
            return x
        return dropout(self.make_rng("dropout"), x, self.rate)


@takes("... C")
def softmax(x: Float[Array, "... C"]) -> Float[Array, "... C"]:
    """Positive numbers that add up to one over the channels, in the order of the scores.

    y_c = exp(x_c) / sum over k of exp(x_k)

    A constant added to all scores changes nothing; the largest is subtracted first, so none
    overflows. The sum is taken in float32 at least. `ablax.losses.softmax_cross_entropy`, for
    training, takes the scores themselves (Bridle 1990, Probabilistic interpretation of feedforward
    classification network outputs).

    Example:
        >>> softmax(jnp.log(jnp.array([1.0, 3.0]))).round(4)
        Array([0.25, 0.75], dtype=float32)
    """
    return jax.nn.softmax(widened(x), axis=-1).astype(x.dtype)


class Softmax(nn.Module):
    """The module of `softmax`."""

    @takes("... C")
    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... C"]:
        return softmax(x)
