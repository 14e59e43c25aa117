"""SqueezeNet by hand, from table 1 of the paper and the authors' file of version 1.1."""

from .counting import conv, total


def plain(inputs, features, window, size):
    """A convolution with a bias and no batch normalization."""
    return conv(inputs, features, window, size, bias=True, norm=False)


def fires(inputs, rows):
    """Fire modules of (squeeze, expand, size): half of what each gives is 1x1, half 3x3."""
    counts = []
    for squeeze, expand, size in rows:
        counts += [
            plain(inputs, squeeze, 1, size),
            plain(squeeze, expand, 1, size),
            plain(squeeze, expand, 3, size),
        ]
        inputs = 2 * expand
    return counts


def version_1_0():
    """224 pixels: 109 behind the first convolution, then 54, 27 and 13."""
    first = [(16, 64, 54), (16, 64, 54), (32, 128, 54)]
    second = [(32, 128, 27), (48, 192, 27), (48, 192, 27), (64, 256, 27), (64, 256, 13)]
    ends = [plain(3, 96, 7, 109), plain(512, 1000, 1, 13)]
    return total([*ends, *fires(96, first + second)])


def version_1_1(start, sizes, classes):
    """Two, two and four fire modules at three sizes."""
    rows = list(
        zip(
            (16, 16, 32, 32, 48, 48, 64, 64),
            (64, 64, 128, 128, 192, 192, 256, 256),
            [sizes[0]] * 2 + [sizes[1]] * 2 + [sizes[2]] * 4,
            strict=True,
        )
    )
    ends = [plain(3, 64, 3, start), plain(512, classes, 1, sizes[2])]
    return total([*ends, *fires(64, rows)])


DERIVED = {
    "squeezenet_1_0": version_1_0,
    "squeezenet_1_1": lambda: version_1_1(111, (55, 27, 13), 1000),
    "squeezenet_small": lambda: version_1_1(32, (32, 16, 8), 10),
}
