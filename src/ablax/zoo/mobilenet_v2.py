"""MobileNet V2: blocks that widen, convolve each channel alone, and narrow without a nonlinearity.

Sandler, Howard, Zhu, Zhmoginov, Chen (2018): MobileNetV2: inverted residuals and linear
bottlenecks. arXiv 1801.04381, table 1 (the block), table 2 (the network), section 3. Authors' code:
tensorflow/models, research/slim/nets/mobilenet.

A block takes C channels to t C by a 1x1 convolution, over space by a depthwise 3x3, and to F by a
1x1 that ends in batch normalization alone, the *linear bottleneck*; the two before it end in ReLU6.
Where the shape stays, a shortcut joins the narrow ends: an *inverted* residual, since in ResNet the
wide ends are joined. Layers are numbered as the lines of table 2, `bottleneck4_2` is the second
block of the fourth line. The block of the second line has t = 1 and no widening convolution.

Conventions: stride 2 is padded by 1 on each side, as in PyTorch and torchvision (the authors'
TensorFlow pads 0 before and 1 behind), so an odd size rounds up; batch-norm epsilon 1e-5 (the
authors' code has 1e-3); no pooling but the global average.

Differences between the paper and the code of others: table 2 ends in a 1x1 convolution to the
classes, which behind the average is the dense layer built here; the paper names no dropout, the
authors' and torchvision's code drop 20 % in front of it. Initial weights are He's, of variance 2
over the inputs of a layer.
"""

from __future__ import annotations

from typing import NamedTuple

from ablax.core import Layers, Network, Sequential, sequential
from ablax.layers import Dense, Dropout, GlobalAveragePool, ReLU6, Residual
from ablax.layers.normalization import normalized
from ablax.zoo.alexnet import check_width
from ablax.zoo.register import Entry


class Line(NamedTuple):
    """A line of table 2: a sequence of blocks.

    Attributes:
        expansion: Wide channels over narrow ones, t.
        features: Of the results, c.
        blocks: How many, n.
        stride: Of the first, s; the others have 1.
    """

    expansion: int
    features: int
    blocks: int
    stride: int


TABLE_2 = (
    Line(1, 16, 1, 1),
    Line(6, 24, 2, 2),
    Line(6, 32, 3, 2),
    Line(6, 64, 4, 2),
    Line(6, 96, 3, 1),
    Line(6, 160, 3, 2),
    Line(6, 320, 1, 1),
)


def mobilenet_v2(classes: int = 1000, width: float = 1.0) -> Network:
    """MobileNet V2 for images of 224 pixels.

    At width 1: 3,504,872 parameters and 300,774,272 multiply-accumulates, as in torchvision; the
    paper rounds to 3.4 M and 300 M. Error of torchvision's weights: 28.12 / 9.71 % (top-1 / top-5),
    one crop. The widths of the paper's section 4 and its authors' code are 0.35 to 1.4.

    Args:
        classes: Scores per image.
        width: Factor on the features, more than 0; each number is rounded to a multiple of 8
            (`divisible`), and the last 1x1 convolution keeps its 1280 below 1.

    Raises:
        AblaxError: The width is not positive.
    """
    return _mobilenet(TABLE_2, 2, classes, width)


def mobilenet_v2_small(classes: int = 10, width: float = 1.0) -> Network:
    """MobileNet V2 for images of 32 or 28 pixels: two of the five strides of 2 become 1.

    2,236,682 parameters and 87,976,448 multiply-accumulates at 32 pixels and 3 channels. The first
    convolution and the third line have stride 1, so that the last maps have 4x4 pixels. The choice
    is that of kuangliu/pytorch-cifar, which also projects the shortcut of blocks that change their
    features, and has ReLU for ReLU6; the paper has no such form.

    Args:
        classes: Scores per image.
        width: Factor on the features, as in `mobilenet_v2`.

    Raises:
        AblaxError: The width is not positive.
    """
    first, second, *others = TABLE_2
    return _mobilenet((first, second._replace(stride=1), *others), 1, classes, width)


def divisible(number: float, by: int = 8) -> int:
    """The nearest multiple, at least one of them, and not less than 90 % of the number.

    So the authors' code rounds features under a width multiplier; halves go up.

    Args:
        number: Such as a width times features.
        by: The divisor.

    Example:
        >>> [divisible(24 * width) for width in (0.35, 0.5, 0.75, 1.4)]
        [8, 16, 24, 32]
    """
    nearest = max(by, int(number + by / 2) // by * by)
    return nearest + by if nearest < 0.9 * number else nearest


def _mobilenet(lines: tuple[Line, ...], stride: int, classes: int, width: float) -> Network:
    """Table 2, the first convolution with this stride."""
    check_width(width)
    first = channels = divisible(32 * width)
    body = Layers()
    for number, line in enumerate(lines, start=2):
        features = divisible(line.features * width)
        for block in range(line.blocks):
            step = 1 if block else line.stride
            name = f"bottleneck{number}_{block + 1}"
            body = body + Layers({name: _block(channels, features, step, line.expansion)})
            channels = features
    last = f"conv{len(lines) + 2}"
    wide = normalized(divisible(1280 * max(1.0, width)), 1, relu=ReLU6())
    return Network(
        tail=Layers(conv1=normalized(first, 3, stride, relu=ReLU6())),
        body=body + Layers({last: wide}),
        head=Layers(
            average=GlobalAveragePool(),
            classifier=sequential(dropout=Dropout(0.2), dense=Dense(classes)),
        ),
    )


def _block(channels: int, features: int, stride: int, expansion: int) -> Residual | Sequential:
    """Table 1: 1x1 to t C, depthwise 3x3, 1x1 to F without a nonlinearity."""
    inner = channels * expansion
    widen = Layers(expand=normalized(inner, 1, relu=ReLU6())) if expansion > 1 else Layers()
    layers = widen + Layers(
        depthwise=normalized(inner, 3, stride, groups=inner, relu=ReLU6()),
        project=normalized(features, 1),
    )
    return Residual(layers) if (channels, stride) == (features, 1) else Sequential(layers)


ENTRIES: tuple[Entry, ...] = (
    Entry(mobilenet_v2, 224, 3_504_872, 300_774_272),
    Entry(mobilenet_v2_small, 32, 2_236_682, 87_976_448),
)
