"""Pre-activated residual networks by hand: He et al. 2016, and the authors' code for CIFAR."""

from .counting import NOTHING, conv, dense, norm, total
from .resnet import SIZES
from .resnet_cifar import STAGES


def bare(inputs, features, window, size):
    return conv(inputs, features, window, size, norm=False)


def block(inputs, features, window_sizes, project):
    """Normalization in front of each weight layer; a bare projection in the first of a stage.

    `window_sizes` holds features, window and rows of each weight layer.
    """
    parts, channels = [], inputs
    for width, window, size in window_sizes:
        parts += [norm(channels), bare(channels, width, window, size)]
        channels = width
    rows = window_sizes[-1][2]
    return total([*parts, bare(inputs, features, 1, rows) if project else NOTHING])


def imagenet(counts):
    """The stride in the 3x3, as timm's."""
    parts, inputs = [bare(3, 64, 7, 112)], 64
    for stage, (count, (before, size)) in enumerate(zip(counts, SIZES, strict=True)):
        inner = 64 * 2**stage
        for number in range(count):
            rows = size if number else before
            plan = ((inner, 1, rows), (inner, 3, size), (4 * inner, 1, size))
            parts.append(block(inputs, 4 * inner, plan, project=not number))
            inputs = 4 * inner
    return total([*parts, norm(inputs), dense(inputs, 1000)])


def cifar(depth):
    """Two 3x3 a block, shortcuts without parameters."""
    parts, inputs = [bare(3, 16, 3, 32)], 16
    for features, size in STAGES:
        for _ in range((depth - 2) // 6):
            plan = ((features, 3, size), (features, 3, size))
            parts.append(block(inputs, features, plan, project=False))
            inputs = features
    return total([*parts, norm(64), dense(64, 10)])


def cifar_bottleneck(depth):
    """The stride in the first 1x1, as the authors' code."""
    parts, inputs = [bare(3, 16, 3, 32)], 16
    for inner, size in STAGES:
        for number in range((depth - 2) // 9):
            plan = ((inner, 1, size), (inner, 3, size), (4 * inner, 1, size))
            parts.append(block(inputs, 4 * inner, plan, project=not number))
            inputs = 4 * inner
    return total([*parts, norm(256), dense(256, 10)])


DERIVED = {
    "resnet50_preactivation": lambda: imagenet((3, 4, 6, 3)),
    "resnet101_preactivation": lambda: imagenet((3, 4, 23, 3)),
    "resnet152_preactivation": lambda: imagenet((3, 8, 36, 3)),
    "resnet200_preactivation": lambda: imagenet((3, 24, 36, 3)),
    "preactivation110": lambda: cifar(110),
    "preactivation164": lambda: cifar_bottleneck(164),
    "preactivation1001": lambda: cifar_bottleneck(1001),
    # Figure 4: all orders have the same layers.
    "resnet110_bn_after_addition": lambda: cifar(110),
    "resnet110_relu_before_addition": lambda: cifar(110),
    "resnet110_relu_preactivation": lambda: cifar(110),
}
