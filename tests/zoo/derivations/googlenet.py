"""GoogLeNet by hand, from table 1 of the paper."""

from .counting import conv, dense, total

TABLE = (
    (192, 64, 96, 128, 16, 32, 32),
    (256, 128, 128, 192, 32, 96, 64),
    (480, 192, 96, 208, 16, 48, 64),
    (512, 160, 112, 224, 24, 64, 64),
    (512, 128, 128, 256, 24, 64, 64),
    (512, 112, 144, 288, 32, 64, 64),
    (528, 256, 160, 320, 32, 128, 128),
    (832, 256, 160, 320, 32, 128, 128),
    (832, 384, 192, 384, 48, 128, 128),
)
"""Channels in, 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection: 3a to 5b."""


def modules(sizes, largest, **kind):
    """The nine modules, the last branch's window `largest`, at the three sizes of the stages."""
    counts = []
    at = [sizes[0]] * 2 + [sizes[1]] * 5 + [sizes[2]] * 2
    for (inputs, one, reduce3, three, reduce5, five, project), size in zip(TABLE, at, strict=True):
        counts += [
            conv(inputs, one + reduce3 + reduce5 + project, 1, size, **kind),
            conv(reduce3, three, 3, size, **kind),
            conv(reduce5, five, largest, size, **kind),
        ]
    return total(counts)


def imagenet(largest, **kind):
    """224 pixels: 112, 56, then modules at 28, 14 and 7."""
    first = conv(3, 64, 7, 112, **kind) + conv(64, 64, 1, 56, **kind)
    return (
        first
        + conv(64, 192, 3, 56, **kind)
        + modules((28, 14, 7), largest, **kind)
        + dense(1024, 1000)
    )


DERIVED = {
    "googlenet": lambda: imagenet(5, bias=True, norm=False),
    "googlenet_bn": lambda: imagenet(3),
    "googlenet_small": lambda: conv(3, 192, 3, 32) + modules((32, 16, 8), 5) + dense(1024, 10),
}
