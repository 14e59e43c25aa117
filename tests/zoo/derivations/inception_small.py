"""The small Inception by hand, from figure 3 of Zhang et al. 2017."""

from .counting import Count, conv, dense, total

STAGES = (
    (28, 96, ((32, 32), (32, 48))),
    (14, 160, ((112, 48), (96, 64), (80, 80), (48, 96))),
    (7, 240, ((176, 160), (176, 160))),
)
"""Size, channels that enter, and the 1x1 and 3x3 features of each module."""


def normalized(inputs, features, window, size):
    """Batch normalization with a bias alone: one number a feature."""
    return conv(inputs, features, window, size, norm=False) + Count(features, 0)


def inception_small():
    """Three stages, and two convolutions beside a pool between them."""
    counts = [normalized(3, 96, 3, 28), normalized(80, 80, 3, 14), normalized(144, 96, 3, 7)]
    for size, entering, rows in STAGES:
        before = [entering, *(one + three for one, three in rows)]
        for inputs, (one, three) in zip(before, rows, strict=False):
            counts += [normalized(inputs, one, 1, size), normalized(inputs, three, 3, size)]
    return total([*counts, dense(336, 10)])


DERIVED = {"inception_small": inception_small}
