"""Densely connected networks for ImageNet by hand, from table 1 of Huang et al. 2016."""

from .counting import conv, dense, norm, total

SIZES = (56, 28, 14, 7)
"""Rows of the maps of a block, for 224 pixels."""


def preactivated(inputs, features, window, size):
    """BN-ReLU-Conv: the normalization has as many channels as come in."""
    return norm(inputs) + conv(inputs, features, window, size, norm=False)


def bottleneck(inputs, growth, size):
    return preactivated(inputs, 4 * growth, 1, size) + preactivated(4 * growth, growth, 3, size)


def network(counts, growth):
    """A transition's convolution runs before its pool, at the larger size."""
    channels = 2 * growth
    parts = [conv(3, channels, 7, 112)]
    for block, (count, size) in enumerate(zip(counts, SIZES, strict=True)):
        for _ in range(count):
            parts.append(bottleneck(channels, growth, size))
            channels += growth
        if block < 3:
            parts.append(preactivated(channels, channels // 2, 1, size))
            channels //= 2
    return total([*parts, norm(channels), dense(channels, 1000)])


DERIVED = {
    "densenet121": lambda: network((6, 12, 24, 16), 32),
    "densenet169": lambda: network((6, 12, 32, 32), 32),
    "densenet201": lambda: network((6, 12, 48, 32), 32),
    "densenet161": lambda: network((6, 12, 36, 24), 48),
    "densenet264": lambda: network((6, 12, 64, 48), 32),
}
