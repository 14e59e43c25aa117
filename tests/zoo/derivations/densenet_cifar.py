"""Densely connected networks for CIFAR by hand, from sections 3 and 4 of Huang et al. 2016."""

from .counting import conv, dense, norm, total
from .densenet import bottleneck, preactivated

SIZES = (32, 16, 8)
"""Rows of the maps of a block, for 32 pixels."""


def plain(inputs, growth, size):
    return preactivated(inputs, growth, 3, size)


def network(count, growth, channels, layer, kept):
    """Three blocks; a transition keeps 1 of `kept` channels, rounded down."""
    parts = [conv(3, channels, 3, 32, norm=False)]
    for block, size in enumerate(SIZES):
        parts += [layer(channels + number * growth, growth, size) for number in range(count)]
        channels += count * growth
        if block < 2:
            parts.append(preactivated(channels, channels // kept, 1, size))
            channels //= kept
    return total([*parts, norm(channels), dense(channels, 10)])


def without_bottleneck(depth, growth):
    """One convolution a layer, one in front, two transitions, one classifier."""
    return network((depth - 4) // 3, growth, 16, plain, 1)


def bottleneck_compression(depth, growth):
    return network((depth - 4) // 6, growth, 2 * growth, bottleneck, 2)


DERIVED = {
    "densenet40_12": lambda: without_bottleneck(40, 12),
    "densenet_bc_100_12": lambda: bottleneck_compression(100, 12),
    "densenet_bc_250_24": lambda: bottleneck_compression(250, 24),
    "densenet_bc_190_40": lambda: bottleneck_compression(190, 40),
}
