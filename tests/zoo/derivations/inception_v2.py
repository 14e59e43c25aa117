"""Both networks called Inception V2 by hand: BN-Inception's figure 5, and table 1 of 1512.00567."""

from .counting import conv, dense, total
from .inception_v3 import factorized, reduction6, reduction7, widened

TABLE = (
    (192, 28, 64, 64, 64, 64, 96, 32),
    (256, 28, 64, 64, 96, 64, 96, 64),
    (576, 14, 224, 64, 96, 96, 128, 128),
    (576, 14, 192, 96, 128, 96, 128, 128),
    (576, 14, 160, 128, 160, 128, 160, 128),
    (608, 14, 96, 128, 192, 160, 192, 128),
    (1056, 7, 352, 192, 320, 160, 224, 128),
    (1024, 7, 352, 192, 320, 192, 224, 128),
)
"""Channels in, size, 1x1, 3x3 reduce, 3x3, double reduce, double, projection: without 3c and 4e."""
STRIDED = ((320, 28, 128, 160, 64, 96), (608, 14, 128, 192, 192, 256))
"""3c and 4e: channels in, size before, 3x3 reduce, 3x3, double reduce, double."""


def bn_inception():
    """224 pixels."""
    counts = [conv(3, 64, 7, 112), conv(64, 64, 1, 56), conv(64, 192, 3, 56), dense(1024, 1000)]
    for inputs, size, one, reduce3, three, reduce_double, double, project in TABLE:
        counts += [
            conv(inputs, one + reduce3 + reduce_double + project, 1, size),
            conv(reduce3, three, 3, size),
            conv(reduce_double, double, 3, size) + conv(double, double, 3, size),
        ]
    for inputs, size, reduce3, three, reduce_double, double in STRIDED:
        counts += [
            conv(inputs, reduce3 + reduce_double, 1, size),
            conv(reduce3, three, 3, size // 2),
            conv(reduce_double, double, 3, size) + conv(double, double, 3, size // 2),
        ]
    return total(counts)


def figure5():
    """288 channels at 35 pixels, two 3x3 for the 5x5."""
    first = conv(288, 64 + 48 + 64 + 64, 1, 35) + conv(48, 64, 3, 35)
    return first + conv(64, 96, 3, 35) + conv(96, 96, 3, 35)


def rethinking():
    """299 pixels: six convolutions, then 3, 5 and 2 modules."""
    stem = [
        conv(3, 32, 3, 149),
        conv(32, 32, 3, 147),
        conv(32, 64, 3, 147),
        conv(64, 80, 3, 71),
        conv(80, 192, 3, 35),
        conv(192, 288, 3, 35),
    ]
    middle = [factorized(inner) for inner in (128, 160, 160, 160, 192)]
    body = [figure5() * 3, reduction6(288), *middle, reduction7(), widened(1280), widened(2048)]
    return total([*stem, *body, dense(2048, 1000)])


DERIVED = {"inception_v2": bn_inception, "inception_v2_factorized": rethinking}
