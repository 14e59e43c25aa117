"""Normalization: batch, group, layer, instance, local response, local contrast."""

from __future__ import annotations

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Float64, Real

from ablax.core.network import Layers, Sequential, sequential
from ablax.layers.activation import ReLU
from ablax.layers.convolution import Convolution
from ablax.layers.dense import check_kept, learned, per_channel
from ablax.layers.initializers import ONES, ZEROS, Initializer
from ablax.layers.windows import (
    FieldError,
    Padding,
    Pair,
    ShapeError,
    above_zero,
    checked,
    not_negative,
    odd,
    positive,
    promoted,
    takes,
    widened,
)


@takes("... C")
def local_response_normalization(
    x: Float[Array, "... C"], size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> Float[Array, "... C"]:
    """Divide each number by the strength of the channels around it.

    y_i = x_i / (k + alpha sum over j of x_j^2)^beta,  j from i - n/2 to i + (n - 1 - n/2)

    with n the `size`, odd in every published network, n/2 rounded down, ends cut off. The paper's
    alpha multiplies the sum; PyTorch and Caffe divide it by n first, so their alpha is n times this
    one. With a k of 0 a pixel of zeros would be 0 / 0. The sum is taken in float32 at least.

    Krizhevsky, Sutskever, Hinton 2012, ImageNet classification with deep convolutional neural
    networks, section 3.3.

    Raises:
        FieldError: A size below 1, a negative alpha, or a k that is not positive.

    Example:
        >>> x = jnp.array([[1.0, 2.0]])
        >>> local_response_normalization(x, size=3, alpha=1.0, beta=1.0, k=5.0)
        Array([[0.1, 0.2]], dtype=float32)
    """
    positive("size", size)
    not_negative("alpha", alpha)
    above_zero("k", k)
    wide = widened(x)
    before = size // 2
    # One window over the channels, not `size` slices: XLA evaluates the gradient of the slices
    # element by element, slowly on a CPU.
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

    `benchmarks/layers.py`, rows `local response normalization`, says when the window above and
    these roots may be deleted: when a sum of slices and a power are as fast on a CPU.
    """
    if beta == 0.75:
        root = lax.rsqrt(strength)
        return root * jnp.sqrt(root)
    return strength**-beta


@checked(size=positive, alpha=not_negative, k=above_zero)
class LocalResponseNormalization(nn.Module):
    """The module of `local_response_normalization`, with AlexNet's constants."""

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    @takes("... C")
    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... C"]:
        return local_response_normalization(x, self.size, self.alpha, self.beta, self.k)


@checked(epsilon=above_zero)
class BatchNormalization(nn.Module):
    """Give each channel mean 0 and variance 1 over the batch, then a scale and a bias of its own.

    y = scale (x - mean) / sqrt(var + epsilon) + bias

    There is no mode. The layer trains, that is uses the mean and the variance of the batch and
    moves its own towards them, exactly when the caller makes the collection `batch_stats` mutable;
    otherwise it uses the ones it has kept:

    kept <- momentum kept + (1 - momentum) batch

    The scale is initially 1, or what `scale_init` gives: 0 at the end of a residual makes a block
    initially its shortcut (Goyal et al. 2017, Accurate, large minibatch SGD, section 5.1).

    The variance divides by the number of elements, in the batch and as kept (the paper keeps the
    one divided by one less). Statistics are float32 at least, whatever the type of `x`. Under
    `jax.jit` with a sharded batch they are those of the whole batch.

    Ioffe, Szegedy 2015, Batch normalization, algorithms 1 and 2.

    Raises:
        ShapeError: Another number of channels than before, or nothing to train on.

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
    scale_init: Initializer = ONES

    def __post_init__(self) -> None:
        if isinstance(self.momentum, bool) or not 0 <= self.momentum <= 1:
            raise FieldError(f"momentum={self.momentum!r}: expected a number from 0 to 1")
        super().__post_init__()

    @takes("... C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "... C"]) -> Float[Array, "... C"]:
        shape = (x.shape[-1],)
        check_kept(self, "batch_stats", "mean", shape, x)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        scale = jnp.ones(shape)
        if self.use_scale:
            scale = self.param("scale", self.scale_init, shape, jnp.float32)
        bias = self.param("bias", ZEROS, shape, jnp.float32) if self.use_bias else jnp.zeros(shape)
        kind = promoted(x, *[scale] * self.use_scale, *[bias] * self.use_bias)[0].dtype
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
            if math.prod(x.shape[:-1]) == 0:
                raise ShapeError(
                    f"BatchNormalization was given {x.shape} to train on: nothing has no mean; "
                    "expected at least one number per channel"
                )
            y, center, spread = _by_the_batch(x.astype(kind), scale, bias, self.epsilon)
            for statistic, new in ((mean, center), (var, spread)):
                old = statistic.value
                moved = self.momentum * old + (1 - self.momentum) * new
                statistic.value = moved.astype(old.dtype)
            return y
        wide = widened(x)
        factor = scale.astype(wide.dtype) * lax.rsqrt(var.value.astype(wide.dtype) + self.epsilon)
        center, factor, bias = (per_channel(each, wide) for each in (mean.value, factor, bias))
        return ((wide - center) * factor + bias).astype(kind)


# The derivative is written out. With n = (x - mean) / s, s = sqrt(var + epsilon) and f = scale / s,
#
#     y' = f x' + (bias' - f mean(x')) + n (scale' - f mean(n x')),
#
# so that its transpose needs two sums over the batch where the one that JAX finds needs four, and
# keeps x for it, which is there, in place of n in float32 (`jax.checkpoint`).


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _by_the_batch(
    x: Float[Array, "... C"], scale: Float[Array, "C"], bias: Float[Array, "C"], epsilon: float
) -> tuple[Float[Array, "... C"], Float[Array, "C"], Float[Array, "C"]]:
    """Batch normalization, and the mean and the variance of the batch."""
    wide = widened(x)
    axes = tuple(range(x.ndim - 1))
    mean = wide.mean(axes)
    away = wide - per_channel(mean, wide)
    var = jnp.square(away).mean(axes)
    factor = scale.astype(wide.dtype) * lax.rsqrt(var + epsilon)
    y = away * per_channel(factor, wide) + per_channel(bias, wide)
    return y.astype(x.dtype), mean, var


@_by_the_batch.defjvp
def _by_the_batch_jvp(epsilon: float, given: tuple[Array, ...], tangents: tuple[Array, ...]) -> Any:
    x, scale, _ = given
    found = _by_the_batch(*given, epsilon)
    _, mean, var = found
    whole = jax.checkpoint(_tangent)(x, mean, lax.rsqrt(var + epsilon), scale, *tangents)
    return found, (whole, *jax.checkpoint(_statistics_tangent)(x, mean, tangents[0]))


def _tangent(
    x: Array, mean: Array, inverse: Array, scale: Array, dx: Array, dscale: Array, dbias: Array
) -> Array:
    wide, axes = widened(dx), tuple(range(x.ndim - 1))
    normal = (widened(x) - per_channel(mean, wide)) * per_channel(inverse, wide)
    factor = scale.astype(mean.dtype) * inverse
    shift = dbias.astype(mean.dtype) - factor * wide.mean(axes)
    slope = dscale.astype(mean.dtype) - factor * (normal * wide).mean(axes)
    # else XLA takes the sums of the transpose again for every row that they are added to
    parts = *lax.optimization_barrier((shift, slope)), factor
    shift, slope, factor = (per_channel(each, wide) for each in parts)
    return (factor * wide + shift + normal * slope).astype(x.dtype)


def _statistics_tangent(x: Array, mean: Array, dx: Array) -> tuple[Array, Array]:
    wide, axes = widened(dx), tuple(range(x.ndim - 1))
    return wide.mean(axes), 2 * ((widened(x) - per_channel(mean, wide)) * wide).mean(axes)


@takes("... C", integers=True)
def group_normalization(
    x: Real[Array, "... C"],
    groups: int,
    scale: Float[Array, "C"] | None = None,
    bias: Float[Array, "C"] | None = None,
    epsilon: float = 1e-5,
) -> Float[Array, "... C"]:
    """Give each group of channels of each example mean 0 and variance 1.

    y = scale (x - mean) / sqrt(var + epsilon) + bias

    The mean and the variance are those of all pixels and of C / G channels behind one another; the
    variance divides by their number. One group is layer normalization over (H, W, C), C groups are
    instance normalization. Nothing is taken from the batch, so training and testing agree. The
    statistics are computed in float32 at least.

    x has examples first and channels last; without `scale` and `bias` they are 1 and 0 (Wu, He
    2018, Group normalization, section 3.1).

    Raises:
        FieldError: Groups or an epsilon that make no sense.
        ShapeError: There is no axis of examples, or the groups do not divide the channels.

    Example:
        >>> x = jnp.array([[1.0, 3.0, 10.0, 30.0]])
        >>> group_normalization(x, groups=2, epsilon=1e-12)
        Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    positive("groups", groups)
    above_zero("epsilon", epsilon)
    channels = x.shape[-1]
    if x.ndim < 2 or channels % groups:
        raise ShapeError(
            f"group_normalization was given {x.shape} and groups={groups}: expected examples first "
            "and channels last, and a number of channels that the groups divide"
        )
    wide = widened(x)
    center = _group_mean(wide, groups)
    spread = _group_mean(jnp.square(wide - center), groups)
    factor = lax.rsqrt(spread + epsilon)
    if scale is not None:
        factor = factor * per_channel(scale, wide)
    y = (wide - center) * factor
    if bias is not None:
        y = y + per_channel(bias, wide)
    return y.astype(promoted(x, *(each for each in (scale, bias) if each is not None))[0].dtype)


def _group_mean(x: Array, groups: int) -> Array:
    """The mean of each group of each example, for each channel: (N, 1, ..., 1, C)."""
    n, channels = x.shape[0], x.shape[-1]
    # First over the pixels, channel by channel: whole rows are added, nothing large is reshaped.
    each = x.mean(axis=tuple(range(1, x.ndim - 1)), keepdims=True)
    group = each.reshape(n, groups, channels // groups).mean(axis=-1, keepdims=True)
    alike = jnp.broadcast_to(group, (n, groups, channels // groups))
    return alike.reshape(n, *(1,) * (x.ndim - 2), channels)


@checked(groups=positive, epsilon=above_zero)
class GroupNormalization(nn.Module):
    """The module of `group_normalization`, with a learned `scale` and `bias` a channel.

    `use_scale` and `use_bias` say whether there are: 2 C parameters with both. It keeps no
    statistics and has no mode.

    Raises:
        ShapeError: The groups do not divide the channels, or these are others than before.
    """

    groups: int = 32
    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True

    @takes("... C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "... C"]) -> Float[Array, "... C"]:
        shape = (x.shape[-1],)
        scale = learned(self, "scale", ONES, shape, x) if self.use_scale else None
        bias = learned(self, "bias", ZEROS, shape, x) if self.use_bias else None
        return group_normalization(x, self.groups, scale, bias, self.epsilon)


def rectified(
    features: int, window: int | Pair, stride: int = 1, padding: Padding = "SAME", **fields: Any
) -> Sequential:
    """A convolution with a bias, and ReLU; `fields` are further ones of the convolution."""
    return sequential(conv=Convolution(features, window, stride, padding, **fields), relu=ReLU())


def normalized(
    features: int,
    window: int,
    stride: int = 1,
    groups: int = 1,
    epsilon: float = 1e-5,
    **after: nn.Module,
) -> Sequential:
    """A convolution, batch normalization, then what is named: y = after(bn(conv(x))).

    The convolution has no bias, since the normalization would take it out again, and is padded by
    half its window on each side, as PyTorch's definitions are: an odd window with stride 1 keeps
    the size. `after` is `relu=ReLU()` as a rule; none makes it linear. There are h w (C / G) F
    weights, and 2 F of the normalization.

    `groups` equal to the channels and to `features` makes it a depthwise convolution, one window a
    channel; a window of 1 a pointwise one (Ioffe, Szegedy 2015, Batch normalization, section 3.2).

    Raises:
        FieldError: The groups do not divide the features, or a field is no positive integer.

    Example:
        >>> from ablax.layers import ReLU
        >>> list(normalized(8, 3, relu=ReLU()).layers)
        ['conv', 'bn', 'relu']
    """
    conv = _unbiased(features, window, stride, groups)
    return Sequential(Layers(conv=conv, bn=BatchNormalization(epsilon=epsilon), **after))


def preactivated(
    features: int, window: int, stride: int = 1, groups: int = 1, epsilon: float = 1e-5
) -> Sequential:
    """Batch normalization, ReLU, and the convolution of `normalized`: y = conv(relu(bn(x))).

    He, Zhang, Ren, Sun 2016, Identity mappings in deep residual networks, section 4.
    """
    conv = _unbiased(features, window, stride, groups)
    return sequential(bn=BatchNormalization(epsilon=epsilon), relu=ReLU(), conv=conv)


def _unbiased(features: int, window: int, stride: int, groups: int) -> Convolution:
    return Convolution(features, window, stride, padding=window // 2, groups=groups, use_bias=False)


@takes("N H W C")
def subtract_local_mean(
    x: Float[Array, "N H W C"], window: int = 9, deviation: float = 2.25
) -> Float[Array, "N H W C"]:
    """Subtract from each number the weighted mean of all channels around its pixel.

    v[r, c, i] = x[r, c, i] - sum over p, q, j of w[p, q] x[r + p, c + q, j] / C

    with a Gaussian window w that sums to 1. At the border the window is cut off and what is left
    of it sums to 1, so that a constant image becomes 0 everywhere. Computed in float32 at least.
    `deviation` is the standard deviation of w in pixels; the paper gives none, and a quarter of the
    window, the default's, leaves little outside.

    Jarrett, Kavukcuoglu, Ranzato, LeCun 2009, What is the best multi-stage architecture for object
    recognition?, section 2, "Local contrast normalization layer".

    Raises:
        FieldError: An even window, or a deviation that is not positive.

    Example:
        >>> subtract_local_mean(jnp.full((1, 4, 4, 2), 3.0)).max()
        Array(0., dtype=float32)
    """
    odd("window", window)
    above_zero("deviation", deviation)
    wide = widened(x)
    return (wide - _local_mean(wide, window, deviation)).astype(x.dtype)


@takes("N H W C")
def divide_by_local_deviation(
    v: Float[Array, "N H W C"], window: int = 9, deviation: float = 2.25, floor: float = 1e-4
) -> Float[Array, "N H W C"]:
    """Divide each number by the spread around its pixel, or by the image's mean spread if larger.

    s[r, c]^2 = sum over p, q, j of w[p, q] v[r + p, c + q, j]^2 / C
    y[r, c, i] = v[r, c, i] / max(c, s[r, c]),    c = the mean of s over the image

    so that only what is stronger than the image's average is scaled down to it; s is at least
    `floor`. Above the floor, y does not change when v is multiplied by a positive number. Computed
    in float32 at least.

    v has mean 0 around each pixel, as `subtract_local_mean` gives it; w is as there. With the
    floor, which is positive, an image of zeros stays one, with a finite gradient. The c is that of
    the paper's experiments.

    Raises:
        FieldError: An even window, or a deviation or floor that is not positive.

    Example:
        >>> stripes = jnp.tile(jnp.array([-8.0, 8.0]), 8).reshape(1, 1, 16, 1)
        >>> divide_by_local_deviation(stripes)[0, 0, :4, 0].round(4)
        Array([-1.,  1., -1.,  1.], dtype=float32)
    """
    odd("window", window)
    above_zero("deviation", deviation)
    above_zero("floor", floor)
    wide = widened(v)
    variance = _local_mean(wide * wide, window, deviation)
    # The floor is under the root: the slope of a root at 0 is infinite.
    spread = jnp.sqrt(jnp.maximum(variance, floor**2))
    return (wide / jnp.maximum(spread.mean(axis=(1, 2), keepdims=True), spread)).astype(v.dtype)


@takes("N H W C")
def local_contrast_normalization(
    x: Float[Array, "N H W C"], window: int = 9, deviation: float = 2.25, floor: float = 1e-4
) -> Float[Array, "N H W C"]:
    """`divide_by_local_deviation` of `subtract_local_mean`: light and shade leave, edges stay.

    It does not change when a number is added to an image, nor, above the floor, when the image is
    multiplied by a positive one (L1, "Training CNN: depth matters!").

    The arguments and refusals are those of `divide_by_local_deviation`.

    Example:
        >>> local_contrast_normalization(jnp.full((1, 4, 4, 2), 3.0)).max()
        Array(0., dtype=float32)
    """
    return divide_by_local_deviation(
        subtract_local_mean(x, window, deviation), window, deviation, floor
    )


@checked(window=odd, deviation=above_zero, floor=above_zero)
class LocalContrastNormalization(nn.Module):
    """The module of `local_contrast_normalization`; it learns nothing."""

    window: int = 9
    deviation: float = 2.25
    floor: float = 1e-4

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H W C"]:
        return local_contrast_normalization(x, self.window, self.deviation, self.floor)


def _local_mean(x: Array, window: int, deviation: float) -> Float[Array, "N H W 1"]:
    """The mean over the channels, weighted along the rows and then down the columns.

    Plainly a sum of slices. On a CPU a product with one band matrix per axis, which is faster for
    small maps and compiles in less time. The mean is linear, so a choice by platform keeps no
    residuals; the plain form has no multiply-accumulates, as the papers' convention wants it of a
    normalization.
    """
    down, right = (_band(x.shape[axis], window, deviation) for axis in (1, 2))

    def on_cpu(mean: Array) -> Array:
        rows, columns = (jnp.asarray(band, mean.dtype) for band in (down, right))
        return jnp.einsum("rp,npqi,cq->nrci", rows, mean, columns, precision="highest")

    def elsewhere(mean: Array) -> Array:
        for axis, band in ((1, down), (2, right)):
            mean = _by_slices(mean, axis, window, band)
        return mean

    return lax.platform_dependent(x.mean(axis=3, keepdims=True), cpu=on_cpu, default=elsewhere)


def _by_slices(x: Array, axis: int, window: int, band: Float64[np.ndarray, "size size"]) -> Array:
    """The product of a band matrix with one axis, a slice a diagonal."""
    half, size = window // 2, x.shape[axis]
    sides = [(half, half) if other == axis else (0, 0) for other in range(4)]
    padded = jnp.pad(x, sides)
    wide = np.pad(band, ((0, 0), (half, half)))
    total = jnp.zeros_like(x)
    for tap in range(window):
        weights = wide[np.arange(size), np.arange(size) + tap].reshape(
            *(1,) * axis, -1, *(1,) * (3 - axis)
        )
        seen = lax.slice_in_dim(padded, tap, tap + size, axis=axis)
        total = total + seen * jnp.asarray(weights, x.dtype)
    return total


def _band(size: int, window: int, deviation: float) -> Float64[np.ndarray, "size size"]:
    """The weight of pixel q in the mean at pixel p; each row sums to 1, at the border too."""
    apart = np.arange(size) - np.arange(size)[:, None]
    weights = np.exp(-((apart / deviation) ** 2) / 2) * (abs(apart) <= window // 2)
    return weights / weights.sum(axis=1, keepdims=True)
