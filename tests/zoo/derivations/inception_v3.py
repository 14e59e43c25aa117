"""Inception V3 by hand: figures 5, 6, 7 and 10 of 1512.00567, the widths of the authors' code."""

from .counting import conv, dense, total

ROW, COLUMN = (1, 7), (7, 1)


def figure5(inputs, pool):
    """At 35 pixels."""
    first = conv(inputs, 64 + 48 + 64 + pool, 1, 35) + conv(48, 64, 5, 35)
    return first + conv(64, 96, 3, 35) + conv(96, 96, 3, 35)


def reduction6(inputs):
    """From 35 pixels to 17."""
    double = conv(inputs, 64, 1, 35) + conv(64, 96, 3, 35) + conv(96, 96, 3, 17)
    return conv(inputs, 384, 3, 17) + double


def factorized(inner):
    """768 channels at 17 pixels: 1x1, two and four convolutions of 7 pixels, projection."""
    entries = conv(768, 192 + inner + inner + 192, 1, 17)
    single = conv(inner, inner, ROW, 17) + conv(inner, 192, COLUMN, 17)
    double = conv(inner, inner, ROW, 17) * 3 + conv(inner, 192, ROW, 17)
    return entries + single + double


def reduction7():
    """768 channels, from 17 pixels to 8."""
    single = conv(768, 192, 1, 17) + conv(192, 320, 3, 8)
    large = conv(192, 192, ROW, 17) + conv(192, 192, COLUMN, 17) + conv(192, 192, 3, 8)
    return single + conv(768, 192, 1, 17) + large


def widened(inputs):
    """At 8 pixels, to 2048 channels."""
    entries = conv(inputs, 320 + 384 + 448 + 192, 1, 8)
    return entries + conv(384, 384, (1, 3), 8) * 4 + conv(448, 384, 3, 8)


STEM = (
    conv(3, 32, 3, 149)
    + conv(32, 32, 3, 147)
    + conv(32, 64, 3, 147)
    + conv(64, 80, 1, 73)
    + conv(80, 192, 3, 71)
)


def inception_v3():
    """299 pixels."""
    return total(
        [
            STEM,
            *(figure5(192, 32), figure5(256, 64), figure5(288, 64), reduction6(288)),
            *(factorized(inner) for inner in (128, 160, 160, 192)),
            *(reduction7(), widened(1280), widened(2048)),
            dense(2048, 1000),
        ]
    )


DERIVED = {"inception_v3": inception_v3}
