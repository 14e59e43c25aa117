"""A network of ours as PyTorch modules: the same layers, sizes and order, written plainly.

What is compared is then the frameworks and not two authors' reading of a paper. Pixels stand last
but one axis there (NCHW), the memory is laid out `channels_last`, which is ours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from ablax import layers as ours
from ablax.core import Layers, Network, Sequential


class Function(nn.Module):
    """A module of a function without weights."""

    def __init__(self, function: Callable) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        """Apply it."""
        return self.function(x)


class Join(nn.Module):
    """Branches on one input, and what is made of what they give."""

    def __init__(self, branches: list[nn.Module], merge: Callable) -> None:
        super().__init__()
        self.branches, self.merge = nn.ModuleList(branches), merge

    def forward(self, x):
        """Apply all, and merge."""
        return self.merge([branch(x) for branch in self.branches])


def torch_twin(network: Network, image_shape: tuple[int, int, int]) -> nn.Module:
    """The network in PyTorch, with weights of its own.

    Args:
        network: Of layers that `_layer` knows.
        image_shape: (H, W, C).

    Raises:
        TypeError: A layer that has no twin here yet.
    """
    height, width, channels = image_shape
    twin = _chain(network.layers)
    with torch.no_grad():
        twin.eval()(torch.zeros(1, channels, height, width))  # the lazy layers see their inputs
    return twin.to(memory_format=torch.channels_last)


def _chain(layers: Layers) -> nn.Sequential:
    return nn.Sequential(*(_layer(layer) for _, layer in layers.items()))


def _concatenated(parts: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(parts, 1)


def _gated(parts: list[torch.Tensor]) -> torch.Tensor:
    x, factors = parts
    return x * factors[:, :, None, None]


def _layer(layer: object) -> nn.Module:
    """The twin of one layer."""
    match layer:
        case Sequential():
            return _chain(layer.layers)
        case ours.Residual():
            both = Join([_chain(layer.residual), _chain(layer.shortcut)], sum)
            return nn.Sequential(_chain(layer.before), both, _chain(layer.after))
        case ours.Parallel() if layer.merge is ours.concatenate:
            return Join([_layer(each) for _, each in layer.branches.items()], _concatenated)
        case ours.DenselyConnected():
            return Join([nn.Identity(), _chain(layer.layers)], _concatenated)
        case ours.Gate():
            return Join([nn.Identity(), _chain(layer.gate)], _gated)
        case ours.Convolution():
            return _convolution(layer)
        case ours.Dense():
            return nn.LazyLinear(layer.features, bias=layer.use_bias)
        case ours.BatchNormalization():
            return nn.LazyBatchNorm2d(eps=layer.epsilon, momentum=1 - layer.momentum)
        case ours.MaxPool():
            return nn.MaxPool2d(
                layer.window, layer.stride, _margin(layer), ceil_mode=layer.ceil_mode
            )
        case ours.AveragePool():
            return nn.AvgPool2d(layer.window, layer.stride, _margin(layer))
        case ours.LocalResponseNormalization():
            alpha = layer.alpha * layer.size
            return nn.LocalResponseNorm(layer.size, alpha, layer.beta, layer.k)
        case ours.Dropout():
            return nn.Dropout(layer.rate)
        case ours.Flatten():
            return nn.Flatten()
    return _simple(layer)


def _simple(layer: object) -> nn.Module:
    """The twin of a layer without weights."""
    match layer:
        case ours.ReLU():
            return nn.ReLU()
        case ours.ReLU6():
            return nn.ReLU6()
        case ours.Sigmoid():
            return nn.Sigmoid()
        case ours.GlobalAveragePool():
            return Function(lambda x: x.mean((2, 3)))
        case ours.Subsample():
            step = layer.stride
            return Function(lambda x: x[:, :, ::step, ::step])
        case ours.PadChannels():
            wide = layer.features
            return Function(lambda x: functional.pad(x, (0, 0, 0, 0, 0, wide - x.shape[1])))
        case ours.ChannelShuffle():
            return nn.ChannelShuffle(layer.groups)
        case ours.ChannelSplit():
            index, parts = layer.index, layer.parts
            return Function(lambda x: x.chunk(parts, 1)[index])
    raise TypeError(f"{type(layer).__name__} has no twin in PyTorch here: add it to `_layer`")


def _convolution(layer: ours.Convolution) -> nn.Module:
    padding = "same" if layer.padding == "SAME" and layer.stride == 1 else _margin(layer)
    return nn.LazyConv2d(
        layer.features,
        layer.window,
        layer.stride,
        padding,
        layer.dilation,
        layer.groups,
        bias=layer.use_bias,
    )


def _margin(layer: object) -> int:
    padding = layer.padding
    if padding == "VALID":
        return 0
    if not isinstance(padding, int):
        raise TypeError(f"padding {padding!r} of {type(layer).__name__} has no twin in PyTorch")
    return padding
