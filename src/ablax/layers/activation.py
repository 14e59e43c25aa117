"""The nonlinearities of the lectures: each a function, and a module that can be named and cut."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from ablax.layers.initializers import QUARTERS, Initializer
from ablax.layers.windows import FieldError, ShapeError, takes


def relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """max(x, 0), with derivative 0 at 0.

    Args:
        x: Numbers.

    Returns:
        An array like `x`.

    References:
        Nair, Hinton 2010, Rectified linear units; Krizhevsky et al. 2012, section 3.1.

    Example:
        >>> relu(jnp.array([-2.0, 0.0, 3.0]))
        Array([0., 0., 3.], dtype=float32)
    """
    return jax.nn.relu(x)


def relu6(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """min(max(x, 0), 6), with derivative 0 at 0 and at 6.

    Args:
        x: Numbers.

    Returns:
        An array like `x`.

    References:
        Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10, section 2; used by
        MobileNet V2.

    Example:
        >>> relu6(jnp.array([-2.0, 3.0, 9.0]))
        Array([0., 3., 6.], dtype=float32)
    """
    return jax.nn.relu6(x)


def leaky_relu(x: Float[Array, "..."], slope: float = 0.01) -> Float[Array, "..."]:
    """X where it is positive or zero, slope x elsewhere.

    Args:
        x: Numbers.
        slope: The small slope of the negative side.

    Returns:
        An array like `x`.

    References:
        Maas, Hannun, Ng 2013, Rectifier nonlinearities improve neural network acoustic models.

    Example:
        >>> leaky_relu(jnp.array([-2.0, 3.0]), slope=0.5)
        Array([-1.,  3.], dtype=float32)
    """
    return jnp.where(x >= 0, x, jnp.asarray(slope, x.dtype) * x)


def prelu(x: Float[Array, "... C"], slope: Float[Array, "C"]) -> Float[Array, "... C"]:
    """A leaky ReLU whose slope is learned, one a channel.

    Args:
        x: Numbers, channels last.
        slope: The slope of the negative side of each channel.

    Returns:
        An array like `x`.

    References:
        He, Zhang, Ren, Sun 2015, Delving deep into rectifiers, section 2.1.

    Example:
        >>> prelu(jnp.array([[-2.0, -2.0]]), jnp.array([0.25, 1.0]))
        Array([[-0.5, -2. ]], dtype=float32)
    """
    return jnp.where(x >= 0, x, slope.astype(x.dtype) * x)


def sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 / (1 + exp(-x)), between 0 and 1.

    Args:
        x: Numbers.

    Returns:
        An array like `x`.

    Example:
        >>> sigmoid(jnp.zeros(1))
        Array([0.5], dtype=float32)
    """
    return jax.nn.sigmoid(x)


def shifted_sigmoid(
    x: Float[Array, "..."], gain: float = 0.02, shift: float = 4.0
) -> Float[Array, "..."]:
    """The lecture's sigm(0.02 x - 4): a detector that stays silent until x is near 200.

    Args:
        x: Numbers, such as the response of a filter to gray values of 0 to 255.
        gain: Factor of x.
        shift: What is subtracted.

    Returns:
        An array like `x`.

    Example:
        >>> shifted_sigmoid(jnp.array([200.0]))
        Array([0.5], dtype=float32)
    """
    return jax.nn.sigmoid(jnp.asarray(gain, x.dtype) * x - jnp.asarray(shift, x.dtype))


def tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The hyperbolic tangent, between -1 and 1.

    Args:
        x: Numbers.

    Returns:
        An array like `x`.

    Example:
        >>> tanh(jnp.zeros(1))
        Array([0.], dtype=float32)
    """
    return jnp.tanh(x)


def scaled_tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """1.7159 tanh(2 x / 3): a hyperbolic tangent with f(1) = 1 and f(-1) = -1.

    Targets of +1 and -1 are then reached at its points of highest curvature, not in saturation.

    Args:
        x: Numbers.

    Returns:
        An array like `x`, between -1.7159 and 1.7159.

    References:
        LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document
        recognition, section II.B, equation 6 and appendix A.

    Example:
        >>> scaled_tanh(jnp.array([-1.0, 0.0, 1.0])).round(4)
        Array([-1.,  0.,  1.], dtype=float32)
    """
    return jnp.asarray(1.7159, x.dtype) * jnp.tanh(jnp.asarray(2 / 3, x.dtype) * x)


def absolute(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """|x|, with derivative 1 at 0: the rectification that keeps both signs of a filter's response.

    Args:
        x: Numbers.

    Returns:
        An array like `x`.

    References:
        Jarrett, Kavukcuoglu, Ranzato, LeCun 2009, What is the best multi-stage architecture for
        object recognition?, section 2 (rectification layer).

    Example:
        >>> absolute(jnp.array([-2.0, 3.0]))
        Array([2., 3.], dtype=float32)
    """
    return jnp.where(x >= 0, x, -x)


def threshold(x: Float[Array, "..."], level: float = 0.0) -> Float[Array, "..."]:
    """1 where x > level, 0 elsewhere: the switching unit of a perceptron, with derivative 0.

    Args:
        x: Numbers.
        level: The lecture's theta; at the level itself the unit is off.

    Returns:
        An array like `x`.

    References:
        Rosenblatt 1958, The perceptron.

    Example:
        >>> threshold(jnp.array([0.4, 0.5, 0.55]), level=0.5)
        Array([0., 0., 1.], dtype=float32)
    """
    return (x > level).astype(x.dtype)


class ReLU(nn.Module):
    """The module of `relu`."""

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Apply `relu`."""
        return relu(x)


class ReLU6(nn.Module):
    """The module of `relu6`."""

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Apply `relu6`."""
        return relu6(x)


class LeakyReLU(nn.Module):
    """The module of `leaky_relu`.

    Attributes:
        slope: The small slope of the negative side, at least 0.
    """

    slope: float = 0.01

    def __post_init__(self) -> None:
        if isinstance(self.slope, bool) or not 0 <= self.slope < float("inf"):
            raise FieldError(f"slope={self.slope!r}: expected a finite number of at least 0")
        super().__post_init__()

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Apply `leaky_relu`."""
        return leaky_relu(x, self.slope)


class PReLU(nn.Module):
    """The module of `prelu`: one learned parameter `slope` a channel.

    Attributes:
        slope_init: How the slopes start; 0.25 in the paper.
    """

    slope_init: Initializer = QUARTERS

    @takes("... C")
    @nn.compact
    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... C"]:
        """Apply `prelu`."""
        if self.has_variable("params", "slope"):
            expected = self.get_variable("params", "slope").shape[0]
            if x.shape[-1] != expected:
                raise ShapeError(
                    f"PReLU was given {x.shape}: it has slopes for {expected} channels"
                )
        return prelu(x, self.param("slope", self.slope_init, (x.shape[-1],), jnp.float32))


class Sigmoid(nn.Module):
    """The module of `sigmoid`."""

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Apply `sigmoid`."""
        return sigmoid(x)


class ShiftedSigmoid(nn.Module):
    """The module of `shifted_sigmoid`.

    Attributes:
        gain: Factor of x.
        shift: What is subtracted.
    """

    gain: float = 0.02
    shift: float = 4.0

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Apply `shifted_sigmoid`."""
        return shifted_sigmoid(x, self.gain, self.shift)


class Tanh(nn.Module):
    """The module of `tanh`."""

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Apply `tanh`."""
        return tanh(x)


class ScaledTanh(nn.Module):
    """The module of `scaled_tanh`."""

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Apply `scaled_tanh`."""
        return scaled_tanh(x)


class Absolute(nn.Module):
    """The module of `absolute`."""

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Apply `absolute`."""
        return absolute(x)


class Threshold(nn.Module):
    """The module of `threshold`.

    Attributes:
        level: Above it the unit is on.
    """

    level: float = 0.0

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Apply `threshold`."""
        return threshold(x, self.level)
