"""Densely connected networks for CIFAR-10: three blocks of equally many layers.

Huang, Liu, van der Maaten, Weinberger (2016): Densely connected convolutional networks.
arXiv 1608.06993, section 3 ("Implementation details"), section 4 and table 2. Images of 32 pixels.

| layers | maps | (40, 12) | BC (100, 12) | BC (250, 24) | BC (190, 40) |
|---|---|---|---|---|---|
| `conv1`, 3x3 | 32 | 16 | 24 | 48 | 80 |
| `dense1_1`.. | 32 | 12 | 16 | 41 | 31 |
| `transition1` | 16 | 160 | 108 | 516 | 660 |
| `dense2_1`.. | 16 | 12 | 16 | 41 | 31 |
| `transition2` | 8 | 304 | 150 | 750 | 950 |
| `dense3_1`.. | 8 | 12 | 16 | 41 | 31 |
| `activation`, `average` | 1 | 448 | 342 | 1734 | 2190 |

The pair is depth and growth. Without "BC", a dense layer is one 3x3 convolution, `conv1` has 16
features and a transition keeps all channels: 3n + 4 layers. With it, a bottleneck stands in front
of the 3x3, `conv1` has twice the growth and a transition keeps half: 6n + 4 layers.

Conventions: the average pools have no padding and round down; batch-norm epsilon 1e-5; `conv1` has
neither normalization nor ReLU, with which the first dense layer begins. The paper drops out, at a
rate of 0.2 behind every convolution but the first, only where it does not augment the images:
`dropout`, an argument that is 0 by default. Errors are the paper's with flips and crops.

| | (40, 12) | BC (100, 12) | BC (250, 24) | BC (190, 40) |
|---|---|---|---|---|
| parameters, the paper | 1.0 M | 0.8 M | 15.3 M | 25.6 M |
| error, % | 5.24 | 4.51 | 3.62 | 3.46 |
"""

from __future__ import annotations

from ablax.core import Layers, Network, chain
from ablax.errors import AblaxError
from ablax.zoo import heads
from ablax.zoo.densenet import blocks, bottleneck, plain
from ablax.zoo.entry import Entry
from ablax.zoo.resnet_blocks import weights


def densenet40_12(classes: int = 10, dropout: float = 0.0) -> Network:
    """DenseNet (40, 12), no bottlenecks: 1,019,722 parameters, 0.265 G multiply-accumulates.

    Args:
        classes: Scores an image.
        dropout: Rate behind every convolution but the first, in [0, 1).
    """
    return densenet_cifar(40, 12, classes, dropout)


def densenet_bc_100_12(classes: int = 10, dropout: float = 0.0) -> Network:
    """DenseNet-BC (100, 12): 769,162 parameters, 0.288 G multiply-accumulates.

    Args:
        classes: Scores an image.
        dropout: Rate behind every convolution but the first, in [0, 1).
    """
    return densenet_bc_cifar(100, 12, classes, dropout)


def densenet_bc_250_24(classes: int = 10, dropout: float = 0.0) -> Network:
    """DenseNet-BC (250, 24): 15,324,406 parameters, 5.419 G multiply-accumulates.

    Args:
        classes: Scores an image.
        dropout: Rate behind every convolution but the first, in [0, 1).
    """
    return densenet_bc_cifar(250, 24, classes, dropout)


def densenet_bc_190_40(classes: int = 10, dropout: float = 0.0) -> Network:
    """DenseNet-BC (190, 40): 25,624,430 parameters, 9.302 G multiply-accumulates.

    Args:
        classes: Scores an image.
        dropout: Rate behind every convolution but the first, in [0, 1).
    """
    return densenet_bc_cifar(190, 40, classes, dropout)


def densenet_cifar(depth: int, growth: int, classes: int = 10, dropout: float = 0.0) -> Network:
    """A network of 3n + 4 layers for small images, without bottlenecks and compression.

    Args:
        depth: Weight layers, 3n + 4.
        growth: Features that a dense layer adds.
        classes: Scores an image.
        dropout: Rate behind every convolution but the first, in [0, 1).

    Raises:
        AblaxError: No network has this depth; the message names the nearest.

    Example:
        >>> list(densenet_cifar(7, growth=4).body)
        ['dense1_1', 'transition1', 'dense2_1', 'transition2', 'dense3_1', 'activation']
    """
    counts = (_layers_a_block(depth, 1),) * 3
    return Network(
        tail=Layers(conv1=chain(conv=weights(16, 3))),
        body=blocks(counts, growth, 16, plain, compression=1.0, dropout=dropout),
        head=heads.global_average_pool(classes),
    )


def densenet_bc_cifar(depth: int, growth: int, classes: int = 10, dropout: float = 0.0) -> Network:
    """A network of 6n + 4 layers for small images, with bottlenecks and compression by half.

    Args:
        depth: Weight layers, 6n + 4.
        growth: Features that a dense layer adds; `conv1` has twice as many.
        classes: Scores an image.
        dropout: Rate behind every convolution but the first, in [0, 1).

    Raises:
        AblaxError: No network has this depth; the message names the nearest.

    Example:
        >>> list(densenet_bc_cifar(10, growth=4).body["dense1_1"].layers)
        ['conv1', 'conv2']
    """
    counts = (_layers_a_block(depth, 2),) * 3
    return Network(
        tail=Layers(conv1=chain(conv=weights(2 * growth, 3))),
        body=blocks(counts, growth, 2 * growth, bottleneck, compression=0.5, dropout=dropout),
        head=heads.global_average_pool(classes),
    )


def _layers_a_block(depth: int, weight_layers: int) -> int:
    """The n of a network of 3 blocks with n dense layers each, of so many weight layers."""
    step = 3 * weight_layers
    count, left = divmod(depth - 4, step)
    if count < 1 or left:
        below = max(count, 1) * step + 4
        choices = f"{below}" if count < 1 else f"{below} or {below + step}"
        raise AblaxError(
            f"depth={depth}: three blocks of dense layers of {weight_layers} "
            f"convolution{'s' * (weight_layers > 1)} have {step}n + 4 layers; use {choices}"
        )
    return count


ENTRIES: tuple[Entry, ...] = (
    Entry(densenet40_12, 32, 1_019_722, 264_812_928),
    Entry(densenet_bc_100_12, 32, 769_162, 287_929_692),
    Entry(densenet_bc_250_24, 32, 15_324_406, 5_418_785_724),
    Entry(densenet_bc_190_40, 32, 25_624_430, 9_301_945_740),
)
