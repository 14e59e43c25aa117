"""Xception by hand, from figure 5 of the paper."""

from .counting import conv, dense, total


def separable(inputs, features, size):
    """A depthwise 3x3 and a 1x1, then one batch normalization."""
    return conv(inputs, inputs, 3, size, groups=inputs, norm=False) + conv(
        inputs, features, 1, size
    )


def shrinking(inputs, inner, features, before, after):
    """Two separable convolutions in front of the pool, and the 1x1 on the shortcut."""
    return total(
        [
            separable(inputs, inner, before),
            separable(inner, features, before),
            conv(inputs, features, 1, after),
        ]
    )


def network(sizes, classes):
    """Sizes of the two convolutions, behind the three entry blocks, and behind the exit block."""
    first, second, third, fourth, middle, last = sizes
    return total(
        [
            conv(3, 32, 3, first),
            conv(32, 64, 3, second),
            shrinking(64, 128, 128, second, third),
            shrinking(128, 256, 256, third, fourth),
            shrinking(256, 728, 728, fourth, middle),
            separable(728, 728, middle) * 24,
            shrinking(728, 728, 1024, middle, last),
            separable(1024, 1536, last),
            separable(1536, 2048, last),
            dense(2048, classes),
        ]
    )


DERIVED = {
    "xception": lambda: network((149, 147, 74, 37, 19, 10), 1000),
    "xception_small": lambda: network((32, 32, 16, 8, 8, 4), 10),
}
