"""Normalization: of a number by its neighbors' channels, and of a channel over the batch."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from ablax.layers.initializers import ONES, ZEROS
from ablax.layers.windows import FieldError, ShapeError, positive, takes


@takes("... C")
def local_response_normalization(
    x: Float[Array, "... C"],
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
) -> Float[Array, "... C"]:
    """Divide each number by the strength of the channels around it.

    y_i = x_i / (k + alpha sum over j of x_j^2)^beta,  j from i - n/2 to i + (size - 1 - n/2)

    with n/2 rounded down, ends cut off. The paper's alpha multiplies the sum; PyTorch and Caffe
    divide it by `size` first, so their alpha is `size` times this one.

    The sum is taken in float32 at least.

    Args:
        x: Maps, channels last.
        size: Channels in the sum, the paper's n; odd in every published network.
        alpha: Weight of the sum, at least 0.
        beta: The exponent.
        k: What is added to the sum, positive: with 0 a pixel of zeros would be 0 / 0.

    Returns:
        An array like `x`.

    Raises:
        FieldError: A size below 1, a negative alpha, or a k that is not positive.

    References:
        Krizhevsky, Sutskever, Hinton 2012, ImageNet classification with deep convolutional neural
        networks, section 3.3.

    Example:
        >>> x = jnp.array([[1.0, 2.0]])
        >>> local_response_normalization(x, size=3, alpha=1.0, beta=1.0, k=5.0)
        Array([[0.1, 0.2]], dtype=float32)
    """
    _check_response(size, alpha, k)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    before = size // 2
    # One window over the channels, not `size` slices: XLA evaluates the gradient of the slices
    # element by element. See `_power` for the figures.
    total = lax.reduce_window(
        wide * wide,
        0.0,
        lax.add,
        (1,) * (x.ndim - 1) + (size,),
        (1,) * x.ndim,
        ((0, 0),) * (x.ndim - 1) + ((before, size - 1 - before),),
    )
    return (wide * _power(k + alpha * total, beta)).astype(x.dtype)


def _power(strength: Array, beta: float) -> Array:
    """strength^-beta; for AlexNet's 0.75 two square roots, which cost less than a power.

    Measured 2026-11-21 on 2 cores of an AMD EPYC, gradient for (128, 16, 16, 24): a sum of slices
    and a power take 73 ms, the window and the roots 2.6 ms on JAX 0.12.0.1 (48 and 3.0 on 0.10.2);
    in a `lax.scan` 13 and 9 times faster. `benchmarks/layers.py`, rows `local response
    normalization`, says when this may be deleted.
    """
    if beta == 0.75:
        root = lax.rsqrt(strength)
        return root * jnp.sqrt(root)
    return strength**-beta


def _check_response(size: object, alpha: float, k: float) -> None:
    positive("size", size)
    if not alpha >= 0:
        raise FieldError(f"alpha={alpha!r}: expected a number of at least 0")
    if not k > 0:
        raise FieldError(f"k={k!r}: expected a positive number")


class LocalResponseNormalization(nn.Module):
    """The module of `local_response_normalization`, with AlexNet's constants.

    Attributes:
        size: Channels in the sum.
        alpha: Weight of the sum, not divided by `size`, at least 0.
        beta: The exponent.
        k: What is added to the sum, positive.
    """

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    def __post_init__(self) -> None:
        _check_response(self.size, self.alpha, self.k)
        super().__post_init__()

    @takes("... C")
    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... C"]:
        """Apply `local_response_normalization`."""
        return local_response_normalization(x, self.size, self.alpha, self.beta, self.k)


class BatchNormalization(nn.Module):
    """Give each channel mean 0 and variance 1 over the batch, then a scale and a bias of its own.

    y = scale (x - mean) / sqrt(var + epsilon) + bias

    There is no mode. The layer trains, that is uses the mean and the variance of the batch and
    moves its own towards them, exactly when the caller makes the collection `batch_stats` mutable;
    otherwise it uses the ones it has kept:

    kept <- momentum kept + (1 - momentum) batch

    The variance divides by the number of elements, in the batch and as kept (the paper keeps the
    one divided by one less). Statistics are float32 at least, whatever the type of `x`. Under
    `jax.jit` with a sharded batch they are those of the whole batch.

    Attributes:
        momentum: How much of the kept statistics a step keeps, in [0, 1].
        epsilon: Added to the variance, positive.
        use_scale: Whether there is a `scale`.
        use_bias: Whether there is a `bias`.

    References:
        Ioffe, Szegedy 2015, Batch normalization, algorithms 1 and 2.

    Example:
        >>> x = jnp.array([[1.0], [3.0]])
        >>> layer = BatchNormalization(epsilon=1e-12)
        >>> import jax
        >>> variables = layer.init(jax.random.key(0), x)
        >>> y, changed = layer.apply(variables, x, mutable=["batch_stats"])
        >>> y, changed["batch_stats"]["mean"]
        (Array([[-1.],
               [ 1.]], dtype=float32), Array([0.2], dtype=float32))
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.momentum, bool) or not 0 <= self.momentum <= 1:
            raise FieldError(f"momentum={self.momentum!r}: expected a number from 0 to 1")
        if isinstance(self.epsilon, bool) or not self.epsilon > 0:
            raise FieldError(f"epsilon={self.epsilon!r}: expected a positive number")
        super().__post_init__()

    @takes("... C")
    @nn.compact
    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... C"]:
        """Apply the layer.

        Args:
            x: Maps or vectors, channels last.

        Returns:
            An array like `x`.

        Raises:
            ShapeError: Another number of channels than before, or nothing to train on.
        """
        shape = (x.shape[-1],)
        if self.has_variable("batch_stats", "mean"):
            kept = self.get_variable("batch_stats", "mean").shape
            if kept != shape:
                raise ShapeError(
                    f"BatchNormalization was given {x.shape}: it keeps statistics of {kept[0]} "
                    "channels; initialize it again"
                )
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        scale = self.param("scale", ONES, shape, jnp.float32) if self.use_scale else jnp.ones(shape)
        bias = self.param("bias", ZEROS, shape, jnp.float32) if self.use_bias else jnp.zeros(shape)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        center, spread = mean.value, var.value
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
            if math.prod(x.shape[:-1]) == 0:
                raise ShapeError(
                    f"BatchNormalization was given {x.shape} to train on: nothing has no mean; "
                    "expected at least one number a channel"
                )
            axes = tuple(range(x.ndim - 1))
            center = wide.mean(axes)
            spread = jnp.square(wide - center).mean(axes)
            for statistic, new in ((mean, center), (var, spread)):
                old = statistic.value
                kept_part = self.momentum * old
                statistic.value = (kept_part + (1 - self.momentum) * new).astype(old.dtype)
        factor = scale.astype(wide.dtype) * lax.rsqrt(spread.astype(wide.dtype) + self.epsilon)
        y = (wide - center) * factor + bias.astype(wide.dtype)
        return y.astype(x.dtype)
