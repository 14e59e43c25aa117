"""Densely connected networks for ImageNet: every layer sees the features of all before it.

Huang, Liu, van der Maaten, Weinberger (2016): Densely connected convolutional networks.
arXiv 1608.06993, section 3 and table 1. Authors' code: liuzhuang13/DenseNet.

| layers | maps | 121 | 169 | 201 | 161 | 264 |
|---|---|---|---|---|---|---|
| growth k | | 32 | 32 | 32 | 48 | 32 |
| `conv1`, 7x7/2 | 112 | 64 | 64 | 64 | 96 | 64 |
| `pool1`, 3x3/2 max | 56 | | | | | |
| `dense1_1`.. | 56 | 6 | 6 | 6 | 6 | 6 |
| `transition1`, 1x1 and 2x2/2 average | 28 | | | | | |
| `dense2_1`.. | 28 | 12 | 12 | 12 | 12 | 12 |
| `transition2` | 14 | | | | | |
| `dense3_1`.. | 14 | 24 | 32 | 48 | 36 | 64 |
| `transition3` | 7 | | | | | |
| `dense4_1`.. | 7 | 16 | 32 | 32 | 24 | 48 |
| `activation`, `average`, `classifier` | 1 | | | | | |

A dense layer is BN-ReLU-Conv 1x1 with 4k features, BN-ReLU-Conv 3x3 with k, and stands behind its
own input; a transition is BN-ReLU-Conv 1x1 with half of the channels ("DenseNet-BC"), then the
pool. The last maps are normalized and rectified once more.

Every layer counts the channels it is given, so `remove("dense2_5")` and `remove("transition2")`
give a network at once. A transition keeps its features then: half of the unedited block's channels.

Conventions, as in torchvision and the authors' code: the max pool is padded by 1 and rounds down;
the average pools have no padding and round down; batch-norm epsilon 1e-5. No convolution has a
bias; kernels are initialized with variance 2 / fan-in, the authors' with 2 / fan-out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import AveragePool, BatchNormalization, Dropout, ReLU
from ablax.layers.blocks import DenselyConnected
from ablax.layers.normalization import preactivated
from ablax.zoo import heads, tails
from ablax.zoo.register import BY_HAND, TORCHVISION, row
from ablax.zoo.resnet import blocks_of, weights


def densenet(counts: tuple[int, ...], growth: int, classes: int = 1000) -> Network:
    """A DenseNet-BC with the tail and the head of table 1.

    Example:
        >>> list(densenet((2, 1), growth=4).body)
        ['dense1_1', 'dense1_2', 'transition1', 'dense2_1', 'activation']
    """
    return Network(
        tail=tails.resnet(2 * growth),
        body=blocks(counts, growth, 2 * growth),
        head=heads.global_average_pool(classes),
    )


def plain(growth: int, dropout: float = 0.0) -> DenselyConnected:
    """One 3x3 convolution behind its own input: the layer without a bottleneck."""
    return DenselyConnected(Layers(conv1=_layer(growth, 3, dropout)))


def bottleneck(growth: int, dropout: float = 0.0) -> DenselyConnected:
    """1x1 to four times the growth, then 3x3: "B", cheaper where the input has many channels."""
    return DenselyConnected(
        Layers(conv1=_layer(4 * growth, 1, dropout), conv2=_layer(growth, 3, dropout))
    )


def blocks(
    counts: tuple[int, ...],
    growth: int,
    channels: int,
    layer: Callable[[int, float], DenselyConnected] = bottleneck,
    compression: float = 0.5,
    dropout: float = 0.0,
) -> Layers:
    """Dense blocks, `dense1_1`, `dense1_2`, ..., with transitions between, and the last activation.

    `channels` are those in front of the first block; a layer is `plain` or a `bottleneck`. A
    transition keeps the part `compression` of its channels, in (0, 1], rounded down. A dropout
    stands behind every convolution.
    """
    if not 0 < compression <= 1:
        raise AblaxError(
            f"compression={compression!r}: expected a number above 0 and at most 1, the part of "
            "its channels that a transition keeps"
        )
    dense = layer(growth, dropout)
    body: dict[str, Sequential | DenselyConnected] = {}
    for block, count in enumerate(counts, start=1):
        body |= {f"dense{block}_{number}": dense for number in range(1, count + 1)}
        if block < len(counts):
            channels = int(compression * (channels + count * growth))
            body[f"transition{block}"] = transition(channels, dropout)
    return Layers(body, activation=sequential(bn=BatchNormalization(), relu=ReLU()))


def transition(features: int, dropout: float = 0.0) -> Sequential:
    """1x1 convolution and 2x2 average: half the rows and columns between two blocks."""
    return Sequential(_layer(features, 1, dropout).layers + Layers(pool=AveragePool(2, 2)))


def _layer(features: int, window: int, dropout: float) -> Sequential:
    """Batch normalization, ReLU, a convolution without bias; dropout where there is any."""
    layers = preactivated(features, window).layers
    return Sequential(layers + Layers(dropout=Dropout(dropout)) if dropout else layers)


_HUANG = "the authors' repository of Huang et al. 2016, one crop"
_column = partial(row, densenet, 224, counted=TORCHVISION, source=_HUANG)

densenet121 = _column(((6, 12, 24, 16), 32), 7_978_856, 2_834_161_664, (25.0,))
densenet169 = _column(((6, 12, 32, 32), 32), 14_149_480, 3_359_843_328, (23.6,))
densenet201 = _column(((6, 12, 48, 32), 32), 20_013_928, 4_291_365_888, (22.5,))
densenet161 = _column(((6, 12, 36, 24), 48), 28_681_000, 7_727_907_072, (22.2,))
# Counted as the others are, its layers with weights are 265.
densenet264 = _column(((6, 12, 64, 48), 32), 33_337_704, 5_751_653_376, counted=BY_HAND)


# Densely connected networks for CIFAR-10: three blocks of equally many layers.
#
# The paper's sections 3 ("Implementation details") and 4, and table 2. Images of 32 pixels.
#
# | layers | maps | (40, 12) | BC (100, 12) | BC (250, 24) | BC (190, 40) |
# |---|---|---|---|---|---|
# | `conv1`, 3x3 | 32 | 16 | 24 | 48 | 80 |
# | `dense1_1`.. | 32 | 12 | 16 | 41 | 31 |
# | `transition1` | 16 | 160 | 108 | 516 | 660 |
# | `dense2_1`.. | 16 | 12 | 16 | 41 | 31 |
# | `transition2` | 8 | 304 | 150 | 750 | 950 |
# | `dense3_1`.. | 8 | 12 | 16 | 41 | 31 |
# | `activation`, `average` | 1 | 448 | 342 | 1734 | 2190 |
#
# The pair is depth and growth. Without "BC", a dense layer is one 3x3 convolution, `conv1` has 16
# features and a transition keeps all channels: 3n + 4 layers. With it, a bottleneck stands in front
# of the 3x3, `conv1` has twice the growth and a transition keeps half: 6n + 4 layers.
#
# `conv1` has neither normalization nor ReLU, with which the first dense layer begins. The paper
# drops out, at a rate of 0.2 behind every convolution but the first, only where it does not augment
# the images: `dropout`, an argument that is 0 by default. Errors are the paper's with flips and
# crops.


def densenet_cifar(depth: int, growth: int, classes: int = 10, dropout: float = 0.0) -> Network:
    """A network of 3n + 4 layers for small images, without bottlenecks and compression.

    Example:
        >>> list(densenet_cifar(7, growth=4).body)
        ['dense1_1', 'transition1', 'dense2_1', 'transition2', 'dense3_1', 'activation']
    """
    counts = (blocks_of(depth, 1, others=4),) * 3
    return Network(
        tail=Layers(conv1=sequential(conv=weights(16, 3))),
        body=blocks(counts, growth, 16, plain, compression=1.0, dropout=dropout),
        head=heads.global_average_pool(classes),
    )


def densenet_bc_cifar(depth: int, growth: int, classes: int = 10, dropout: float = 0.0) -> Network:
    """A network of 6n + 4 layers for small images, with bottlenecks and compression by half."""
    counts = (blocks_of(depth, 2, others=4),) * 3
    return Network(
        tail=Layers(conv1=sequential(conv=weights(2 * growth, 3))),
        body=blocks(counts, growth, 2 * growth, bottleneck, compression=0.5, dropout=dropout),
        head=heads.global_average_pool(classes),
    )


_TABLE_2 = "Huang et al. 2016, table 2, flips and crops"
_bc = partial(row, densenet_bc_cifar, 32, source=_TABLE_2)

densenet40_12 = row(densenet_cifar, 32, (40, 12), 1_019_722, 264_812_928, (5.24,), source=_TABLE_2)
densenet_bc_100_12 = _bc((100, 12), 769_162, 287_929_692, (4.51,))
densenet_bc_250_24 = _bc((250, 24), 15_324_406, 5_418_785_724, (3.62,))
densenet_bc_190_40 = _bc((190, 40), 25_624_430, 9_301_945_740, (3.46,))
