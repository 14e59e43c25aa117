"""MobileNet V2 by hand, from tables 1 and 2 of the paper."""

from .counting import conv, dense, total

# Expansion, channels, features, size of the input, stride, for each block of table 2.
BLOCKS = (
    (1, 32, 16, 112, 1),
    (6, 16, 24, 112, 2),
    (6, 24, 24, 56, 1),
    (6, 24, 32, 56, 2),
    *((6, 32, 32, 28, 1),) * 2,
    (6, 32, 64, 28, 2),
    *((6, 64, 64, 14, 1),) * 3,
    (6, 64, 96, 14, 1),
    *((6, 96, 96, 14, 1),) * 2,
    (6, 96, 160, 14, 2),
    *((6, 160, 160, 7, 1),) * 2,
    (6, 160, 320, 7, 1),
)

# For 32 pixels the first convolution and the first of 24 features keep the size: 32, 16, 8, 4.
SMALL_SIZES = (32, 32, 32, 32, 16, 16, 16, 8, 8, 8, 8, 8, 8, 8, 4, 4, 4)
SMALL_STRIDES = (1, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)


def block(expansion, channels, features, size, stride):
    """Table 1: 1x1 to t k, depthwise 3x3, 1x1 to k'; no 1x1 in front where t is 1."""
    wide = expansion * channels
    after = size // stride
    layers = [conv(wide, wide, 3, after, groups=wide), conv(wide, features, 1, after)]
    return total([*layers, *([conv(channels, wide, 1, size)] if expansion > 1 else [])])


def imagenet():
    blocks = [block(*line) for line in BLOCKS]
    return total([conv(3, 32, 3, 112), *blocks, conv(320, 1280, 1, 7), dense(1280, 1000)])


def small():
    blocks = [
        block(*line[:3], size, stride)
        for line, size, stride in zip(BLOCKS, SMALL_SIZES, SMALL_STRIDES, strict=True)
    ]
    return total([conv(3, 32, 3, 32), *blocks, conv(320, 1280, 1, 4), dense(1280, 10)])


DERIVED = {"mobilenet_v2": imagenet, "mobilenet_v2_small": small}
