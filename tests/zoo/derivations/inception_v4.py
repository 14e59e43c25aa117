"""Inception V4 by hand: figures 3 to 9 and table 1 of 1602.07261."""

from .counting import conv, dense, total
from .inception_v3 import COLUMN, ROW


def stem():
    """Figure 3: 299 pixels to 35."""
    return total(
        [
            conv(3, 32, 3, 149) + conv(32, 32, 3, 147) + conv(32, 64, 3, 147),
            conv(64, 96, 3, 73),
            conv(160, 64, 1, 73) * 2 + conv(64, 96, 3, 71) * 2,
            conv(64, 64, ROW, 73) + conv(64, 64, COLUMN, 73),
            conv(192, 192, 3, 35),
        ]
    )


def reduction_a(inputs, k, l, m, n):  # noqa: E741
    """Figure 7: 35 pixels to 17."""
    double = conv(inputs, k, 1, 35) + conv(k, l, 3, 35) + conv(l, m, 3, 17)
    return conv(inputs, n, 3, 17) + double


def inception_a():
    """Figure 4."""
    entries = conv(384, 96 + 64 + 64 + 96, 1, 35)
    return entries + conv(64, 96, 3, 35) * 2 + conv(96, 96, 3, 35)


def inception_b():
    """Figure 5."""
    entries = conv(1024, 384 + 192 + 192 + 128, 1, 17)
    single = conv(192, 224, ROW, 17) + conv(224, 256, COLUMN, 17)
    double = conv(192, 192, ROW, 17) + conv(192, 224, ROW, 17)
    return entries + single + double + conv(224, 224, ROW, 17) + conv(224, 256, ROW, 17)


def reduction_b():
    """Figure 8: 17 pixels to 8."""
    small = conv(1024, 192 + 256, 1, 17) + conv(192, 192, 3, 8)
    large = conv(256, 256, ROW, 17) + conv(256, 320, COLUMN, 17) + conv(320, 320, 3, 8)
    return small + large


def inception_c():
    """Figure 6."""
    entries = conv(1536, 256 + 384 + 384 + 256, 1, 8)
    double = conv(384, 448, (3, 1), 8) + conv(448, 512, (1, 3), 8)
    return entries + conv(384, 256, (1, 3), 8) * 2 + double + conv(512, 256, (1, 3), 8) * 2


def inception_v4():
    """Figure 9."""
    modules = inception_a() * 4 + inception_b() * 7 + inception_c() * 3
    between = reduction_a(384, 192, 224, 256, 384) + reduction_b()
    return stem() + modules + between + dense(1536, 1000)


DERIVED = {"inception_v4": inception_v4}
