"""Squeeze-and-excitation networks by hand: table 1 and the appendix of the paper."""

from .counting import NOTHING, conv, dense, total

STAGES = ((256, 56, 56), (512, 56, 28), (1024, 28, 14), (2048, 14, 7))
"""Features of a stage, and the size of the maps before and in it, for 224 pixels."""


def gate(features, reduction=16):
    """Two dense layers with biases; the products with the factors are not counted."""
    units = features // reduction
    return dense(features, units) + dense(units, features)


def network(tail, inputs, blocks, convolutions):
    """Gated stages; `convolutions` counts a block of inputs, features, place and sizes."""
    counts = [tail]
    for number, (count, (features, before, size)) in enumerate(zip(blocks, STAGES, strict=True)):
        first = convolutions(inputs, features, number, before, size, project=True)
        other = convolutions(features, features, number, size, size, project=False)
        counts += [first + gate(features), (other + gate(features)) * (count - 1)]
        inputs = features
    return total([*counts, dense(2048, 1000)])


def se_resnet(blocks):
    """Bottlenecks with the stride in the first 1x1."""

    def convolutions(inputs, features, number, before, size, project):
        inner = features // 4
        return (
            conv(inputs, inner, 1, size)
            + conv(inner, inner, 3, size)
            + conv(inner, features, 1, size)
            + (conv(inputs, features, 1, size) if project else NOTHING)
        )

    return network(conv(3, 64, 7, 112), 64, blocks, convolutions)


def se_resnext(blocks, cardinality, width):
    """Grouped bottlenecks with the stride in the 3x3."""

    def convolutions(inputs, features, number, before, size, project):
        inner = cardinality * width * 2**number
        return (
            conv(inputs, inner, 1, before)
            + conv(inner, inner, 3, size, groups=cardinality)
            + conv(inner, features, 1, size)
            + (conv(inputs, features, 1, size) if project else NOTHING)
        )

    return network(conv(3, 64, 7, 112), 64, blocks, convolutions)


def senet154():
    """64 groups, half the features in the first 1x1, 3x3 projections but in the first stage."""

    def convolutions(inputs, features, number, before, size, project):
        return (
            conv(inputs, features // 2, 1, before)
            + conv(features // 2, features, 3, size, groups=64)
            + conv(features, features, 1, size)
            + (conv(inputs, features, 3 if number else 1, size) if project else NOTHING)
        )

    tail = conv(3, 64, 3, 112) + conv(64, 64, 3, 112) + conv(64, 128, 3, 112)
    return network(tail, 128, (3, 8, 36, 3), convolutions)


def se_resnet20():
    """ResNet-20 of He et al. (section 4.2; shortcuts without parameters) and a gate a block."""
    blocks = [
        conv(16, 16, 3, 32) * 6 + gate(16) * 3,
        conv(16, 32, 3, 16) + conv(32, 32, 3, 16) * 5 + gate(32) * 3,
        conv(32, 64, 3, 8) + conv(64, 64, 3, 8) * 5 + gate(64) * 3,
    ]
    return total([conv(3, 16, 3, 32), *blocks, dense(64, 10)])


DERIVED = {
    "se_resnet50": lambda: se_resnet((3, 4, 6, 3)),
    "se_resnet101": lambda: se_resnet((3, 4, 23, 3)),
    "se_resnet152": lambda: se_resnet((3, 8, 36, 3)),
    "se_resnext50_32x4d": lambda: se_resnext((3, 4, 6, 3), 32, 4),
    "se_resnext101_32x4d": lambda: se_resnext((3, 4, 23, 3), 32, 4),
    "senet154": senet154,
    "se_resnet20": se_resnet20,
}
