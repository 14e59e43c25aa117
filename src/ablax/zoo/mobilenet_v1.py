"""MobileNet V1: each convolution split into one over space and one over channels.

Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam (2017): MobileNets: efficient
convolutional neural networks for mobile vision applications. arXiv 1704.04861, table 1 and section
3. Authors' code: tensorflow/models, research/slim/nets/mobilenet_v1.py.

A 3x3 convolution from C to F channels has 9 C F weights; a depthwise 3x3 (one window a channel) and
a 1x1 behind it have 9 C + C F, about an eighth. Both end in batch normalization and ReLU, so the
28 layers of the paper are `conv1`, `conv2_dw`, `conv2_pw` ... `conv14_pw`, `fc`.

Conventions: stride 2 is padded by 1 on each side, as in PyTorch and timm (the authors' TensorFlow
pads 0 before and 1 behind), so an odd size rounds up; batch-norm epsilon 1e-5 (the authors' code
has 1e-3); no pooling but the global average.

Differences between the paper and the code of others: the paper writes ReLU; the authors' code and
timm cut it off at 6, which `clipped` does to a network here. Table 1 prints stride 2 for the last
depthwise layer, whose 7x7 maps it keeps; the stride is 1. The error quoted is the authors'.
"""

from __future__ import annotations

from ablax.core import Layers, Network, Sequential, edit, sequential
from ablax.layers import (
    BatchNormalization,
    Convolution,
    Dense,
    GlobalAveragePool,
    ReLU,
    ReLU6,
)
from ablax.zoo.alexnet import check_width, scaled
from ablax.zoo.register import Entry

# Table 1: the features of each 1x1 convolution, and the stride of the depthwise one before it.
SEPARABLE = (
    (64, 1),
    *((128, 2), (128, 1)),
    *((256, 2), (256, 1)),
    *((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    *((1024, 2), (1024, 1)),
)


def mobilenet_v1(classes: int = 1000, width: float = 1.0) -> Network:
    """MobileNet V1 for images of 224 pixels.

    At width 1: 4,231,976 parameters and 568,740,352 multiply-accumulates; the paper's error is
    29.4 % (top-1). The paper's width multipliers are 1, 0.75, 0.5 and 0.25.

    Args:
        classes: Scores per image.
        width: Factor on the features of every layer but the last, more than 0.

    Raises:
        AblaxError: The width is not positive.
    """
    return _mobilenet(classes, width, stride=2)


def mobilenet_v1_small(classes: int = 10, width: float = 1.0) -> Network:
    """MobileNet V1 for images of 32 or 28 pixels: the first convolution has stride 1.

    3,217,226 parameters and 46,354,432 multiply-accumulates at 32 pixels and 3 channels. The last
    maps have 2x2 pixels instead of 7x7. A plain adaptation, the same as in kuangliu/pytorch-cifar;
    the paper has none.

    Args:
        classes: Scores per image.
        width: Factor on the features of every layer but the last, more than 0.

    Raises:
        AblaxError: The width is not positive.
    """
    return _mobilenet(classes, width, stride=1)


def clipped(network: Network) -> Network:
    """The edit that cuts every ReLU off at 6, as the authors' code does.

    Raises:
        EditError: The network has no ReLU.

    Example:
        >>> clipped(mobilenet_v1()).layers["conv1"].layers["relu"]
        ReLU6()
    """

    def cut(path: str, layer: object) -> Layers | None:
        return Layers({path.rsplit("/", 1)[-1]: ReLU6()}) if isinstance(layer, ReLU) else None

    return edit(network, cut)


def _mobilenet(classes: int, width: float, stride: int) -> Network:
    """Table 1, the first convolution with this stride."""
    check_width(width)
    before = scaled(32, width)
    body = Layers()
    for number, (features, step) in enumerate(SEPARABLE, start=2):
        depthwise = _convolution(before, 3, step, groups=before)
        before = scaled(features, width)
        pointwise = _convolution(before, 1)
        body = body + Layers({f"conv{number}_dw": depthwise, f"conv{number}_pw": pointwise})
    return Network(
        tail=Layers(conv1=_convolution(scaled(32, width), 3, stride)),
        body=body,
        head=Layers(average=GlobalAveragePool(), fc=Dense(classes)),
    )


def _convolution(features: int, window: int, stride: int = 1, groups: int = 1) -> Sequential:
    convolution = Convolution(
        features, window, stride, padding=window // 2, groups=groups, use_bias=False
    )
    return sequential(conv=convolution, bn=BatchNormalization(), relu=ReLU())


ENTRIES: tuple[Entry, ...] = (
    Entry(mobilenet_v1, 224, 4_231_976, 568_740_352),
    Entry(mobilenet_v1_small, 32, 3_217_226, 46_354_432),
)
