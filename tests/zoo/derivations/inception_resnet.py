"""Inception-ResNet by hand: figures 10 to 20 and table 1 of 1602.07261, and the published V2."""

from .counting import conv, dense, total
from .inception_v3 import COLUMN, ROW
from .inception_v3 import STEM as STEM_V3
from .inception_v4 import reduction_a
from .inception_v4 import stem as stem_v4


def linear(inputs, features, size):
    """The 1x1 in front of a sum: a bias, no batch normalization."""
    return conv(inputs, features, 1, size, bias=True, norm=False)


def block_a(features, second, third):
    """At 35 pixels."""
    branches = conv(features, 32 * 3, 1, 35) + conv(32, 32, 3, 35)
    long = conv(32, second, 3, 35) + conv(second, third, 3, 35)
    return branches + long + linear(64 + third, features, 35)


def block_b(features, one, first, second, third):
    """At 17 pixels."""
    branches = conv(features, one + first, 1, 17)
    long = conv(first, second, ROW, 17) + conv(second, third, COLUMN, 17)
    return branches + long + linear(one + third, features, 17)


def block_c(features, second, third):
    """At 8 pixels."""
    branches = conv(features, 192 + 192, 1, 8)
    long = conv(192, second, (1, 3), 8) + conv(second, third, (3, 1), 8)
    return branches + long + linear(192 + third, features, 8)


def reduction_b(inputs, second, between, third):
    """17 pixels to 8."""
    short = conv(inputs, 256 * 3, 1, 17) + conv(256, 384, 3, 8) + conv(256, second, 3, 8)
    return short + conv(256, between, 3, 17) + conv(between, third, 3, 8)


def version_1():
    """Figures 10 to 15."""
    stem = total(
        [
            conv(3, 32, 3, 149) + conv(32, 32, 3, 147) + conv(32, 64, 3, 147),
            conv(64, 80, 1, 73) + conv(80, 192, 3, 71) + conv(192, 256, 3, 35),
        ]
    )
    return total(
        [
            stem,
            block_a(256, 32, 32) * 5 + reduction_a(256, 192, 192, 256, 384),
            block_b(896, 128, 128, 128, 128) * 10 + reduction_b(896, 256, 256, 256),
            block_c(1792, 192, 192) * 5 + dense(1792, 1000),
        ]
    )


def version_2(stem, features, blocks, end):
    """Figures 16 to 19, with these features in front of each kind of block and so many of them."""
    at35, at17, at8 = features
    return total(
        [
            stem,
            block_a(at35, 48, 64) * blocks[0] + reduction_a(at35, 256, 256, 384, 384),
            block_b(at17, 192, 128, 160, 192) * blocks[1] + reduction_b(at17, 288, 288, 320),
            block_c(at8, 224, 256) * blocks[2] + end,
        ]
    )


def published():
    """V3's stem and a module to 320 features, 10, 20 and 10 blocks, a last 1x1."""
    mixed = conv(192, 96 + 48 + 64 + 64, 1, 35) + conv(48, 64, 5, 35)
    mixed = mixed + conv(64, 96, 3, 35) + conv(96, 96, 3, 35)
    end = conv(2080, 1536, 1, 8) + dense(1536, 1000)
    return version_2(STEM_V3 + mixed, (320, 1088, 2080), (10, 20, 10), end)


DERIVED = {
    "inception_resnet_v1": version_1,
    "inception_resnet_v2": published,
    "inception_resnet_v2_paper": lambda: version_2(
        stem_v4(), (384, 1152, 2144), (5, 10, 5), dense(2144, 1000)
    ),
}
