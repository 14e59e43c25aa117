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
bias; kernels start with variance 2 / fan-in, the authors' with 2 / fan-out.
"""

from __future__ import annotations

from collections.abc import Callable

from ablax.core import Chain, Layers, Network, chain
from ablax.errors import AblaxError
from ablax.layers import AveragePool, BatchNormalization, Dropout, ReLU
from ablax.layers.blocks import DenselyConnected
from ablax.zoo import heads, tails
from ablax.zoo.entry import Entry
from ablax.zoo.resnet_blocks import weights

DenseLayer = Callable[[int, float], DenselyConnected]
"""From growth and dropout rate to a layer of a dense block: `plain` or `bottleneck`."""


def densenet121(classes: int = 1000) -> Network:
    """DenseNet-121: 7,978,856 parameters, 2.834 G multiply-accumulates at 224 pixels.

    The authors' weights err 25.0 % (top-1), one crop of 224 pixels.

    Args:
        classes: Scores an image.
    """
    return densenet((6, 12, 24, 16), 32, classes)


def densenet169(classes: int = 1000) -> Network:
    """DenseNet-169: 14,149,480 parameters, 3.360 G multiply-accumulates at 224 pixels.

    The authors' weights err 23.6 % (top-1), one crop of 224 pixels.

    Args:
        classes: Scores an image.
    """
    return densenet((6, 12, 32, 32), 32, classes)


def densenet201(classes: int = 1000) -> Network:
    """DenseNet-201: 20,013,928 parameters, 4.291 G multiply-accumulates at 224 pixels.

    The authors' weights err 22.5 % (top-1), one crop of 224 pixels.

    Args:
        classes: Scores an image.
    """
    return densenet((6, 12, 48, 32), 32, classes)


def densenet161(classes: int = 1000) -> Network:
    """DenseNet-161, growth 48: 28,681,000 parameters, 7.728 G multiply-accumulates at 224 pixels.

    The authors' weights err 22.2 % (top-1), one crop of 224 pixels.

    Args:
        classes: Scores an image.
    """
    return densenet((6, 12, 36, 24), 48, classes)


def densenet264(classes: int = 1000) -> Network:
    """DenseNet-264, growth 32: 33,337,704 parameters, 5.752 G multiply-accumulates at 224 pixels.

    Counted as the others are, its layers with weights are 265.

    Args:
        classes: Scores an image.
    """
    return densenet((6, 12, 64, 48), 32, classes)


def densenet(counts: tuple[int, ...], growth: int, classes: int = 1000) -> Network:
    """A DenseNet-BC with the tail and the head of table 1.

    Args:
        counts: Dense layers of each block, four in the paper.
        growth: Features k that a dense layer adds; `conv1` has 2 k.
        classes: Scores an image.

    Example:
        >>> list(densenet((2, 1), growth=4).body)
        ['dense1_1', 'dense1_2', 'transition1', 'dense2_1', 'activation']
    """
    return Network(
        tail=tails.resnet(2 * growth),
        body=blocks(counts, growth, 2 * growth),
        head=heads.global_average_pool(classes),
    )


def blocks(
    counts: tuple[int, ...],
    growth: int,
    channels: int,
    layer: DenseLayer | None = None,
    compression: float = 0.5,
    dropout: float = 0.0,
) -> Layers:
    """Dense blocks, `dense1_1`, `dense1_2`, ..., with transitions between, and the last activation.

    Args:
        counts: Dense layers of each block.
        growth: Features k that a dense layer adds.
        channels: Of the maps in front of the first block.
        layer: `plain` or `bottleneck`, which is the default.
        compression: How much of the channels a transition keeps, in (0, 1]; rounded down.
        dropout: Rate behind every convolution, in [0, 1).

    Raises:
        AblaxError: A compression that is not in (0, 1].
    """
    if not 0 < compression <= 1:
        raise AblaxError(
            f"compression={compression!r}: expected a number above 0 and at most 1, the part of "
            "its channels that a transition keeps"
        )
    dense = (layer or bottleneck)(growth, dropout)
    body: dict[str, Chain | DenselyConnected] = {}
    for block, count in enumerate(counts, start=1):
        body |= {f"dense{block}_{number}": dense for number in range(1, count + 1)}
        if block < len(counts):
            channels = int(compression * (channels + count * growth))
            body[f"transition{block}"] = transition(channels, dropout)
    return Layers(body, activation=chain(bn=BatchNormalization(), relu=ReLU()))


def plain(growth: int, dropout: float = 0.0) -> DenselyConnected:
    """One 3x3 convolution behind its own input: the layer without a bottleneck.

    Args:
        growth: Its features.
        dropout: Rate behind it, in [0, 1).
    """
    return DenselyConnected(Layers(conv1=preactivated(growth, 3, dropout)))


def bottleneck(growth: int, dropout: float = 0.0) -> DenselyConnected:
    """1x1 to four times the growth, then 3x3: "B", cheaper where the input has many channels.

    Args:
        growth: Features of the 3x3.
        dropout: Rate behind both, in [0, 1).

    References:
        Huang, Liu, van der Maaten, Weinberger 2016, section 3, "Bottleneck layers".
    """
    return DenselyConnected(
        Layers(
            conv1=preactivated(4 * growth, 1, dropout),
            conv2=preactivated(growth, 3, dropout),
        )
    )


def transition(features: int, dropout: float = 0.0) -> Chain:
    """1x1 convolution and 2x2 average: half the rows and columns between two blocks.

    Args:
        features: Of the convolution.
        dropout: Rate behind it, in [0, 1).
    """
    return Chain(preactivated(features, 1, dropout).layers + Layers(pool=AveragePool(2, 2)))


def preactivated(features: int, window: int, dropout: float = 0.0) -> Chain:
    """Batch normalization, ReLU, a convolution without bias; dropout where there is any.

    Args:
        features: Of the convolution.
        window: Its height and width; it is padded by half of them.
        dropout: Rate behind it, in [0, 1).
    """
    layers = Layers(bn=BatchNormalization(), relu=ReLU(), conv=weights(features, window))
    return Chain(layers + Layers(dropout=Dropout(dropout)) if dropout else layers)


ENTRIES: tuple[Entry, ...] = (
    Entry(densenet121, 224, 7_978_856, 2_834_161_664),
    Entry(densenet169, 224, 14_149_480, 3_359_843_328),
    Entry(densenet201, 224, 20_013_928, 4_291_365_888),
    Entry(densenet161, 224, 28_681_000, 7_727_907_072),
    Entry(densenet264, 224, 33_337_704, 5_751_653_376),
)
