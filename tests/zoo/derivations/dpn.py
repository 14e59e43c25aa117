"""Dual path networks by hand, from table 1 of Chen et al. 2017; DPN-68 from the authors' file."""

from .counting import conv, dense, norm, total

SIZES = ((56, 56), (56, 28), (28, 14), (14, 7))
"""Rows of the maps in front of a stage and in it, for 224 pixels."""


def preactivated(inputs, features, window, size, groups=1):
    return norm(inputs) + conv(inputs, features, window, size, groups=groups, norm=False)


def stage(inputs, count, features, growth, inner, groups, before, size):
    """Blocks of 1x1, 3x3 in groups, 1x1; the first strides in its 3x3 and projects.

    Returns:
        The counts, and the channels behind the stage.
    """
    parts = [preactivated(inputs, features + 2 * growth, 1, size)]
    for number in range(count):
        rows = size if number else before
        parts += [
            preactivated(inputs, inner, 1, rows),
            preactivated(inner, inner, 3, size, groups),
            preactivated(inner, features + growth, 1, size),
        ]
        inputs = features + (3 + number) * growth
    return total(parts), inputs


def network(first, counts, growths, features, inner, groups, sizes=SIZES, classes=1000):
    """`first` is the first convolution and its features."""
    count, channels = first
    parts = [count]
    for number, (blocks, growth, (before, size)) in enumerate(
        zip(counts, growths, sizes, strict=True)
    ):
        width, narrow = features * 2**number, inner * 2**number
        part, channels = stage(channels, blocks, width, growth, narrow, groups, before, size)
        parts.append(part)
    return total([*parts, norm(channels), dense(channels, classes)])


def first(features, window):
    return conv(3, features, window, 112), features


DERIVED = {
    "dpn68": lambda: network(first(10, 3), (3, 4, 12, 3), (16, 32, 32, 64), 64, 128, 32),
    "dpn92": lambda: network(first(64, 7), (3, 4, 20, 3), (16, 32, 24, 128), 256, 96, 32),
    "dpn98": lambda: network(first(96, 7), (3, 6, 20, 3), (16, 32, 32, 128), 256, 160, 40),
    "dpn131": lambda: network(first(128, 7), (4, 8, 28, 3), (16, 32, 32, 128), 256, 160, 40),
    "dpn_small": lambda: network(
        (conv(3, 16, 3, 32), 16),
        (2, 2, 2),
        (8, 8, 8),
        32,
        32,
        8,
        ((32, 32), (32, 16), (16, 8)),
        classes=10,
    ),
}
