"""What residual networks are made of: weight layers, shortcuts, and stages of blocks.

He, Zhang, Ren, Sun (2015): Deep residual learning for image recognition. arXiv 1512.03385,
section 3.3 and figure 5; shortcut options A, B and C in section 4.1.

A network chooses three things, each a function of its own:

* the *weight layers* of a block: `basic`, `bottleneck` or `bottleneck_v1`;
* the *shortcut* round them: `option_a`, `option_b` or `option_c`;
* the *order* of weight layers, normalizations and ReLUs (`ablax.zoo.resnet_orders`), which makes a
  block of the first two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ablax.core import Chain, Layers, chain
from ablax.layers import (
    BatchNormalization,
    Convolution,
    PadChannels,
    ReLU,
    Residual,
    Subsample,
)
from ablax.layers.blocks import Highway

WeightLayers = Callable[[int, int], tuple[tuple[int, int, int], ...]]
"""From a block's features and stride to features, window and stride of each convolution."""

Shortcut = Callable[[int, int, int], Layers]
"""From a block's channels, features and stride to the layers on the way round."""

Block = Callable[[int, int, int], Residual | Highway]
"""From channels, features and stride to a block."""


def basic(features: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    """3x3, 3x3 (figure 5, left)."""
    return ((features, 3, stride), (features, 3, 1))


def bottleneck(features: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    """1x1 to a quarter of the features, 3x3 with the stride, 1x1 back: "v1.5", torchvision's."""
    return ((features // 4, 1, 1), (features // 4, 3, stride), (features, 1, 1))


def bottleneck_v1(features: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    """1x1 with the stride, 3x3, 1x1 (figure 5, right): the paper's, and its Caffe files'."""
    return ((features // 4, 1, stride), (features // 4, 3, 1), (features, 1, 1))


def option_a(channels: int, features: int, stride: int) -> Layers:
    """The identity; where the shape changes every second pixel, then channels of zeros."""
    layers = Layers()
    if stride != 1:
        layers = layers + Layers(subsample=Subsample(stride))
    if channels != features:
        layers = layers + Layers(pad=PadChannels(features))
    return layers


def option_b(channels: int, features: int, stride: int) -> Layers:
    """The identity; where the shape changes a projection, 1x1 with batch normalization."""
    if (channels, stride) == (features, 1):
        return Layers()
    return option_c(channels, features, stride)


def option_c(channels: int, features: int, stride: int) -> Layers:
    """A projection round every block, 1x1 with batch normalization."""
    del channels  # a convolution counts them itself
    return Layers(projection=linear(features, 1, stride))


def convolution(features: int, window: int, stride: int = 1) -> Chain:
    """A convolution without bias, batch normalization, ReLU."""
    return Chain(linear(features, window, stride).layers + Layers(relu=ReLU()))


def linear(features: int, window: int, stride: int = 1) -> Chain:
    """A convolution without bias, batch normalization."""
    return chain(conv=weights(features, window, stride), bn=BatchNormalization())


def weights(features: int, window: int, stride: int = 1) -> Convolution:
    """A convolution without bias, padded by half its window on each side."""
    return Convolution(features, window, stride, padding=window // 2, use_bias=False)


def stages(counts: tuple[int, ...], features: int, block: Block, channels: int) -> Layers:
    """`res2a`, `res2b`, ...: each stage but the first halves rows and columns and doubles features.

    Args:
        counts: Blocks of each stage.
        features: Of the first stage.
        block: What to make of channels, features and stride.
        channels: Of the maps in front of the first stage.
    """
    body = {}
    for stage, count in enumerate(counts):
        for name in block_names(stage + 2, count):
            width = features * 2**stage
            stride = 2 if stage and channels != width else 1
            body[name] = block(channels, width, stride)
            channels = width
    return Layers(body)


def block_names(stage: int, count: int) -> Iterator[str]:
    """The authors' names: `res2a`, `res2b`, ...; of more than six blocks `res4a`, `res4b1`, ...

    Args:
        stage: 2 for the first.
        count: Blocks of the stage.

    Example:
        >>> list(block_names(2, 3)), list(block_names(4, 23))[-1]
        (['res2a', 'res2b', 'res2c'], 'res4b22')
    """
    for number in range(count):
        name = f"b{number}" if number and count > 6 else "abcdef"[number]
        yield f"res{stage}{name}"
