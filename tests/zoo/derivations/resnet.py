"""Residual networks for ImageNet by hand, from table 1 of He et al. 2015."""

from .counting import NOTHING, conv, dense, total

SIZES = ((56, 56), (56, 28), (28, 14), (14, 7))
"""Rows of the maps in front of a stage and in it, for 224 pixels."""


def two_3x3(inputs, features, before, size):
    return conv(inputs, features, 3, size) + conv(features, features, 3, size)


def bottleneck(inputs, features, before, size):
    """The stride in the 3x3: the first 1x1 sees the larger maps."""
    inner = features // 4
    return (
        conv(inputs, inner, 1, before)
        + conv(inner, inner, 3, size)
        + conv(inner, features, 1, size)
    )


def bottleneck_v1(inputs, features, before, size):
    """The stride in the first 1x1."""
    return bottleneck(inputs, features, size, size)


def network(counts, block, features, project):
    """Stages of blocks; `project` says of (first of its stage, shape changes) who has a 1x1."""
    parts, inputs = [conv(3, 64, 7, 112)], 64
    for stage, (count, (before, size)) in enumerate(zip(counts, SIZES, strict=True)):
        width = features * 2**stage
        for number in range(count):
            rows = size if number else before
            changes = inputs != width or rows != size
            parts.append(block(inputs, width, rows, size))
            parts.append(conv(inputs, width, 1, size) if project(changes) else NOTHING)
            inputs = width
    return total([*parts, dense(inputs, 1000)])


def never(changes):
    return False


def where_shapes_change(changes):
    return changes


def always(changes):
    return True


def deep(counts, block):
    return network(counts, block, 256, where_shapes_change)


DERIVED = {
    "resnet18": lambda: network((2, 2, 2, 2), two_3x3, 64, where_shapes_change),
    "resnet34": lambda: network((3, 4, 6, 3), two_3x3, 64, where_shapes_change),
    "resnet34_a": lambda: network((3, 4, 6, 3), two_3x3, 64, never),
    "resnet34_c": lambda: network((3, 4, 6, 3), two_3x3, 64, always),
    "plain18": lambda: network((2, 2, 2, 2), two_3x3, 64, never),
    "plain34": lambda: network((3, 4, 6, 3), two_3x3, 64, never),
    "resnet50": lambda: deep((3, 4, 6, 3), bottleneck),
    "resnet101": lambda: deep((3, 4, 23, 3), bottleneck),
    "resnet152": lambda: deep((3, 8, 36, 3), bottleneck),
    "resnet50_v1": lambda: deep((3, 4, 6, 3), bottleneck_v1),
    "resnet101_v1": lambda: deep((3, 4, 23, 3), bottleneck_v1),
    "resnet152_v1": lambda: deep((3, 8, 36, 3), bottleneck_v1),
}
