"""Residual and plain networks for CIFAR by hand: section 4.2 of He et al. 2015.

With the shortcuts of He et al. 2016, figure 2.
"""

from .counting import NOTHING, conv, dense, total

STAGES = ((16, 32), (32, 16), (64, 8))
"""Features and rows of a stage."""


def layers(depth):
    """6n + 2: a 3x3, three stages of 2n, a dense layer; shortcuts without parameters."""
    blocks, inputs = (depth - 2) // 6, 16
    parts = [conv(3, 16, 3, 32)]
    for features, size in STAGES:
        parts += [conv(inputs, features, 3, size)]
        parts += [conv(features, features, 3, size)] * (2 * blocks - 1)
        inputs = features
    return total([*parts, dense(64, 10)])


def gated(depth):
    """A 1x1 with a bias to every shortcut, behind the change of shape."""
    blocks = (depth - 2) // 6
    gates = [conv(width, width, 1, size, bias=True, norm=False) for width, size in STAGES]
    return layers(depth) + total(gates) * blocks


def projected(depth):
    """A normalized 1x1 on every shortcut, which also changes the shape."""
    blocks, inputs, parts = (depth - 2) // 6, 16, []
    for features, size in STAGES:
        parts += [conv(inputs, features, 1, size)]
        parts += [conv(features, features, 1, size)] * (blocks - 1)
        inputs = features
    return layers(depth) + total(parts)


def bottlenecks(depth):
    """9n + 2: 16 channels in front and 64, 128, 256 in the stages; the stride in the first 1x1."""
    blocks, inputs = (depth - 2) // 9, 16
    parts = [conv(3, 16, 3, 32)]
    for inner, size in STAGES:
        features = 4 * inner
        for number in range(blocks):
            parts.append(conv(inputs, inner, 1, size) + conv(inner, inner, 3, size))
            parts.append(conv(inner, features, 1, size))
            parts.append(NOTHING if number else conv(inputs, features, 1, size))
            inputs = features
    return total([*parts, dense(256, 10)])


DERIVED = {
    **{f"resnet{depth}": lambda depth=depth: layers(depth) for depth in (20, 32, 44, 56)},
    **{f"plain{depth}": lambda depth=depth: layers(depth) for depth in (20, 32, 44, 56, 110)},
    "resnet110": lambda: layers(110),
    "resnet1202": lambda: layers(1202),
    "resnet164": lambda: bottlenecks(164),
    "resnet110_constant_scaling": lambda: layers(110),
    "resnet110_dropout_shortcut": lambda: layers(110),
    "resnet110_exclusive_gating": lambda: gated(110),
    "resnet110_shortcut_gating": lambda: gated(110),
    "resnet110_convolution_shortcut": lambda: projected(110),
}
