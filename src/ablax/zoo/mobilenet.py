"""MobileNet V1 and V2: convolutions split into one over space and one over channels.

V1: Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam (2017): MobileNets: efficient
convolutional neural networks for mobile vision applications. arXiv 1704.04861, table 1 and section
3. V2: Sandler, Howard, Zhu, Zhmoginov, Chen (2018): MobileNetV2: inverted residuals and linear
bottlenecks. arXiv 1801.04381, table 1 (the block), table 2 (the network), section 3. Authors' code:
tensorflow/models, research/slim/nets.

V1: a 3x3 convolution from C to F channels has 9 C F weights; a depthwise 3x3 (one window a channel)
and a 1x1 behind it have 9 C + C F, about an eighth. Both end in batch normalization and ReLU, so
the 28 layers of the paper are `conv1`, `conv2_dw`, `conv2_pw` ... `conv14_pw`, `fc`.

V2: a block takes C channels to t C by a 1x1 convolution, over space by a depthwise 3x3, and to F by
a 1x1 that ends in batch normalization alone, the *linear bottleneck*; the two before it end in
ReLU6. Where the shape stays, a shortcut joins the narrow ends: an *inverted* residual, since in
ResNet the wide ends are joined. Layers are numbered as the lines of table 2, `bottleneck4_2` is the
second block of the fourth line. The block of the second line has t = 1 and no widening convolution.

Conventions: stride 2 is padded by 1 on each side, as in PyTorch, torchvision and timm (the authors'
TensorFlow pads 0 before and 1 behind), so an odd size rounds up; batch-norm epsilon 1e-5 (the
authors' code has 1e-3); no pooling but the global average. Initial weights are He's, of variance 2
over the inputs of a layer.

Differences between the papers and the code of others. V1 writes ReLU; the authors' code and timm
cut it off at 6, which `clipped` does to a network here. Its table 1 prints stride 2 for the last
depthwise layer, whose 7x7 maps it keeps; the stride is 1. V2's table 2 ends in a 1x1 convolution to
the classes, which behind the average is the dense layer built here; the paper names no dropout, the
authors' and torchvision's code drop 20 % in front of it.
"""

from __future__ import annotations

from typing import NamedTuple

from ablax.core import Edit, Layers, Network, Sequential, replace_kind
from ablax.layers import Dense, GlobalAveragePool, ReLU, ReLU6, Residual
from ablax.layers.normalization import normalized
from ablax.zoo import heads
from ablax.zoo.alexnet import check_width, scaled
from ablax.zoo.register import TIMM, TORCHVISION, network

# Table 1 of V1: the features of each 1x1 convolution, and the stride of the depthwise one before.
SEPARABLE = (
    (64, 1),
    *((128, 2), (128, 1)),
    *((256, 2), (256, 1)),
    *((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    *((1024, 2), (1024, 1)),
)


@network(
    *(224, 4_231_976, 568_740_352),
    counted=TIMM,
    errors=(29.4,),
    source="Howard et al. 2017, table 8",
)
def mobilenet_v1(classes: int = 1000, width: float = 1.0) -> Network:
    """MobileNet V1 for images of 224 pixels.

    The paper's width multipliers are 1, 0.75, 0.5 and 0.25.
    """
    return _v1(classes, width, stride=2)


@network(32, 3_217_226, 46_354_432)
def mobilenet_v1_small(classes: int = 10, width: float = 1.0) -> Network:
    """MobileNet V1 for images of 32 or 28 pixels: the first convolution has stride 1.

    The last maps have 2x2 pixels instead of 7x7. A plain adaptation, the same as in
    kuangliu/pytorch-cifar; the paper has none.
    """
    return _v1(classes, width, stride=1)


clipped: Edit = replace_kind(ReLU, lambda _: ReLU6())
"""The edit that cuts every ReLU off at 6, as the authors' code does."""


def _v1(classes: int, width: float, stride: int) -> Network:
    """Table 1, the first convolution with this stride."""
    first = before = scaled(32, width)
    body = Layers()
    for number, (features, step) in enumerate(SEPARABLE, start=2):
        depthwise = normalized(before, 3, step, groups=before, relu=ReLU())
        before = scaled(features, width)
        pointwise = normalized(before, 1, relu=ReLU())
        body = body + Layers({f"conv{number}_dw": depthwise, f"conv{number}_pw": pointwise})
    return Network(
        tail=Layers(conv1=normalized(first, 3, stride, relu=ReLU())),
        body=body,
        head=Layers(average=GlobalAveragePool(), fc=Dense(classes)),
    )


# V2: table 2, line by line.


class Line(NamedTuple):
    """A line of table 2: n blocks of c features, of which the first has stride s, the others 1.

    The expansion t is wide channels over narrow ones.
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


@network(224, 3_504_872, 300_774_272, counted=TORCHVISION)
def mobilenet_v2(classes: int = 1000, width: float = 1.0) -> Network:
    """MobileNet V2 for images of 224 pixels.

    The widths of the paper's section 4 and its authors' code are 0.35 to 1.4. Each number of
    features is rounded to a multiple of 8 (`divisible`); the last 1x1 convolution keeps its 1280
    below 1.
    """
    return _v2(TABLE_2, 2, classes, width)


@network(32, 2_236_682, 87_976_448)
def mobilenet_v2_small(classes: int = 10, width: float = 1.0) -> Network:
    """MobileNet V2 for images of 32 or 28 pixels: two of the five strides of 2 become 1.

    The first convolution and the third line have stride 1, so that the last maps have 4x4 pixels.
    The choice is that of kuangliu/pytorch-cifar, which also projects the shortcut of blocks that
    change their features, and has ReLU for ReLU6; the paper has no such form.
    """
    first, second, *others = TABLE_2
    return _v2((first, second._replace(stride=1), *others), 1, classes, width)


def divisible(number: float, by: int = 8) -> int:
    """The nearest multiple, at least one of them, and not less than 90 % of the number.

    So the authors' code rounds features under a width multiplier; halves go up.

    Example:
        >>> [divisible(24 * width) for width in (0.35, 0.5, 0.75, 1.4)]
        [8, 16, 24, 32]
    """
    nearest = max(by, int(number + by / 2) // by * by)
    return nearest + by if nearest < 0.9 * number else nearest


def _v2(lines: tuple[Line, ...], stride: int, classes: int, width: float) -> Network:
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
        head=heads.global_average_pool(classes, dropout=0.2),
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
