"""Residual networks for ImageNet: blocks that learn what to add to their input.

He, Zhang, Ren, Sun (2015): Deep residual learning for image recognition. arXiv 1512.03385,
section 3 and table 1.

| stage | maps | 18 | 34 | 50 | 101 | 152 |
|---|---|---|---|---|---|---|
| `conv1` | 112 | 7x7, 64, stride 2 in all | | | | |
| `pool1` | 56 | 3x3 max, stride 2 in all | | | | |
| `res2a`.. | 56 | 2 basic, 64 | 3 | 3 bottlenecks, 256 | 3 | 3 |
| `res3a`.. | 28 | 2 basic, 128 | 4 | 4 bottlenecks, 512 | 4 | 8 |
| `res4a`.. | 14 | 2 basic, 256 | 6 | 6 bottlenecks, 1024 | 23 | 36 |
| `res5a`.. | 7 | 2 basic, 512 | 3 | 3 bottlenecks, 2048 | 3 | 3 |
| `average`, `classifier` | 1 | global average, 1000 scores in all | | | | |

Conventions: the max pool is padded by 1 and rounds down, as in torchvision (the authors' Caffe file
does not pad and rounds up); the global average has no padding; batch-norm epsilon 1e-5, every scale
starts at 1, as in the paper (some later recipes start the last of a block at 0); kernels start as
in He et al. 2015, Delving deep. Convolutions have no bias; the 50-layer Caffe file has one in the
first.

`resnet50` and deeper have their stride in the 3x3 of a block, "v1.5", as torchvision has and most
published weights need. The paper has it in the first 1x1: `resnet50_v1`, as many parameters, fewer
multiply-accumulates. Errors that the paper prints are of `_v1`.

The shortcut is an argument, one of `option_a`, `option_b` (the default: so all networks of the
paper's table 4 deeper than 34 layers, and torchvision's) and `option_c`, or a function of one's own
from channels, features and stride to `Layers`.
"""

from __future__ import annotations

from ablax.core import Network
from ablax.layers.blocks import without_shortcuts
from ablax.zoo import heads, tails
from ablax.zoo.entry import Entry
from ablax.zoo.resnet_blocks import (
    Block,
    Shortcut,
    basic,
    bottleneck,
    bottleneck_v1,
    option_a,
    option_b,
    option_c,
    stages,
)
from ablax.zoo.resnet_orders import original


def resnet18(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-18: 11,689,512 parameters, 1.814 G multiply-accumulates at 224 pixels.

    Args:
        classes: Scores an image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((2, 2, 2, 2), original(basic, shortcut), 64, classes)


def resnet34(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-34: 21,797,672 parameters, 3.664 G multiply-accumulates at 224 pixels.

    The paper's table 4 has 21.84 / 5.71 % error (top-1, top-5) for this network, option B.

    Args:
        classes: Scores an image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 4, 6, 3), original(basic, shortcut), 64, classes)


def resnet50(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-50, stride in the 3x3: 25,557,032 parameters, 4.089 G multiply-accumulates.

    torchvision's first weights err 23.84 / 7.13 %, one crop of 224 pixels.

    Args:
        classes: Scores an image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 4, 6, 3), original(bottleneck, shortcut), 256, classes)


def resnet101(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-101, stride in the 3x3: 44,549,160 parameters, 7.801 G multiply-accumulates.

    Args:
        classes: Scores an image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 4, 23, 3), original(bottleneck, shortcut), 256, classes)


def resnet152(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-152, stride in the 3x3: 60,192,808 parameters, 11.514 G multiply-accumulates.

    Args:
        classes: Scores an image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 8, 36, 3), original(bottleneck, shortcut), 256, classes)


def resnet50_v1(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-50 of the paper, stride in the first 1x1: 3.858 G multiply-accumulates.

    25,557,032 parameters. The paper's table 4 has 20.74 / 5.25 % error for this network.

    Args:
        classes: Scores an image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 4, 6, 3), original(bottleneck_v1, shortcut), 256, classes)


def resnet101_v1(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-101 of the paper, stride in the first 1x1: 7.570 G multiply-accumulates.

    44,549,160 parameters. The paper's table 4 has 19.87 / 4.60 % error for this network.

    Args:
        classes: Scores an image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 4, 23, 3), original(bottleneck_v1, shortcut), 256, classes)


def resnet152_v1(classes: int = 1000, shortcut: Shortcut = option_b) -> Network:
    """ResNet-152 of the paper, stride in the first 1x1: 11.282 G multiply-accumulates.

    60,192,808 parameters. The paper's table 4 has 19.38 / 4.49 % error for this network.

    Args:
        classes: Scores an image.
        shortcut: `option_a`, `option_b`, `option_c`, or another.
    """
    return resnet((3, 8, 36, 3), original(bottleneck_v1, shortcut), 256, classes)


def resnet34_a(classes: int = 1000) -> Network:
    """ResNet-34 with identities alone, option A: 21,623,848 parameters, as the plain network.

    Args:
        classes: Scores an image.
    """
    return resnet34(classes, option_a)


def resnet34_c(classes: int = 1000) -> Network:
    """ResNet-34 with projections round every block, option C: 22,716,840 parameters.

    Args:
        classes: Scores an image.
    """
    return resnet34(classes, option_c)


def plain18(classes: int = 1000) -> Network:
    """ResNet-18 without its shortcuts: 11,515,688 parameters.

    Args:
        classes: Scores an image.
    """
    return without_shortcuts(resnet18(classes))


def plain34(classes: int = 1000) -> Network:
    """ResNet-34 without its shortcuts (figure 3, middle): 21,623,848 parameters.

    It trains worse than the plain one of 18 layers.

    Args:
        classes: Scores an image.

    References:
        He, Zhang, Ren, Sun 2015, section 4.1 and table 2.
    """
    return without_shortcuts(resnet34(classes))


def resnet(
    counts: tuple[int, ...],
    block: Block,
    features: int,
    classes: int = 1000,
    channels: int = 64,
) -> Network:
    """A residual network with the tail and the head of table 1.

    Args:
        counts: Blocks of each stage, four in the paper.
        block: Such as `original(basic, option_b)`.
        features: Of the first stage; they double from stage to stage.
        classes: Scores an image.
        channels: Of the maps in front of the first stage.
    """
    return Network(
        tail=tails.resnet(channels),
        body=stages(counts, features, block, channels),
        head=heads.global_average_pool(classes),
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(resnet18, 224, 11_689_512, 1_814_073_344),
    Entry(resnet34, 224, 21_797_672, 3_663_761_408),
    Entry(resnet34_a, 224, 21_623_848, 3_644_493_824),
    Entry(resnet34_c, 224, 22_716_840, 3_830_747_136),
    Entry(plain18, 224, 11_515_688, 1_794_805_760),
    Entry(plain34, 224, 21_623_848, 3_644_493_824),
    Entry(resnet50, 224, 25_557_032, 4_089_184_256),
    Entry(resnet101, 224, 44_549_160, 7_801_405_440),
    Entry(resnet152, 224, 60_192_808, 11_513_626_624),
    Entry(resnet50_v1, 224, 25_557_032, 3_857_973_248),
    Entry(resnet101_v1, 224, 44_549_160, 7_570_194_432),
    Entry(resnet152_v1, 224, 60_192_808, 11_282_415_616),
)
