"""A network of ours made of Flax's own layers: nn.Conv, nn.max_pool, nn.BatchNorm."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ablax import layers as ours
from ablax.core import Layers, Network, edit
from ablax.errors import AblaxError


class PlainConvolution(nn.Module):
    """`nn.Conv` with the fields of `ours.Convolution`."""

    like: ours.Convolution

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        like = self.like
        side = like.padding
        padding = side if isinstance(side, str) else ((side, side), (side, side))
        return nn.Conv(
            like.features,
            (like.window, like.window),
            like.stride,
            padding,
            kernel_dilation=like.dilation,
            feature_group_count=like.groups,
            use_bias=like.use_bias,
        )(x)


class PlainBatchNormalization(nn.Module):
    """`nn.BatchNorm`, in training where `batch_stats` is mutable."""

    like: ours.BatchNormalization

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        kept = not self.is_mutable_collection("batch_stats")
        return nn.BatchNorm(kept, momentum=self.like.momentum, epsilon=self.like.epsilon)(x)


class PlainPool(nn.Module):
    """`nn.max_pool` or `nn.avg_pool`."""

    like: ours.MaxPool | ours.AveragePool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        like = self.like
        window, stride = like.window, like.stride or like.window
        margins = [_margins(x.shape[axis], like, window, stride) for axis in (1, 2)]
        pool = nn.max_pool if isinstance(like, ours.MaxPool) else nn.avg_pool
        return pool(x, (window, window), (stride, stride), margins)


def _margins(size: int, like: object, window: int, stride: int) -> tuple[int, int]:
    """Before and behind; a ceil pool gets what its last window needs."""
    side = 0 if like.padding == "VALID" else like.padding
    if getattr(like, "rounding", "floor") != "ceil":
        return side, side
    missing = -(size + 2 * side - window) % stride
    return side, side + missing


class PlainResponseNormalization(nn.Module):
    """The sum over a window of channels."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        total = jax.lax.reduce_window(x * x, 0.0, jax.lax.add, (1, 1, 1, 5), (1,) * 4, "SAME")
        return x * (2.0 + 1e-4 * total) ** -0.75


class PlainReLU(nn.Module):
    """`nn.relu`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        return nn.relu(x)


class PlainGlobalAverage(nn.Module):
    """`jnp.mean`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        return jnp.mean(x, (1, 2))


def plain_flax(network: Network) -> Network:
    """The network with Flax's own layers in the places of ours.

    Raises:
        AblaxError: It holds no such layer.
    """

    def rewrite(path: str, layer: nn.Module) -> Layers | None:
        name = path.rsplit("/", 1)[-1]
        plain = _plain(layer)
        return None if plain is None else Layers({name: plain})

    changed = edit(network, rewrite)
    if changed == network:
        raise AblaxError("the network has no layer of which Flax has its own")
    return changed


def _plain(layer: nn.Module) -> nn.Module | None:
    match layer:
        case ours.Convolution():
            return PlainConvolution(layer)
        case ours.BatchNormalization():
            return PlainBatchNormalization(layer)
        case ours.MaxPool() | ours.AveragePool():
            return PlainPool(layer)
        case ours.LocalResponseNormalization():
            return PlainResponseNormalization()
        case ours.ReLU():
            return PlainReLU()
        case ours.GlobalAveragePool():
            return PlainGlobalAverage()
    return None
