"""AlexNet and CaffeNet by hand: figure 2 of Krizhevsky et al. 2012 and the files of the others."""

from .counting import conv, dense, total


def columns(features, windows, sizes, groups=1):
    """Five convolutions, of which 2, 4 and 5 have groups."""
    inputs = (3, *features[:-1])
    several = (1, groups, 1, groups, groups)
    return total(
        conv(before, after, window, size, groups=parts, bias=True, norm=False)
        for before, after, window, size, parts in zip(
            inputs, features, windows, sizes, several, strict=True
        )
    )


def network(features, groups=1):
    """Maps of 55, 27 and three times 13 pixels, then 6x6 and three dense layers."""
    head = (dense(36 * features[-1], 4096), dense(4096, 4096), dense(4096, 1000))
    return columns(features, (11, 5, 3, 3, 3), (55, 27, 13, 13, 13), groups) + total(head)


def small():
    """32 pixels: maps of 32, 15 and three times 7 pixels, then 3x3."""
    head = (dense(9 * 256, 4096), dense(4096, 4096), dense(4096, 10))
    return columns((96, 256, 384, 384, 256), (5, 5, 3, 3, 3), (32, 15, 7, 7, 7)) + total(head)


PAPER = (96, 256, 384, 384, 256)
DERIVED = {
    "alexnet": lambda: network(PAPER, groups=2),
    "alexnet_ungrouped": lambda: network(PAPER),
    "alexnet_one_weird_trick": lambda: network((64, 192, 384, 256, 256)),
    "alexnet_small": small,
    "caffenet": lambda: network(PAPER, groups=2),
    "caffenet_ungrouped": lambda: network(PAPER),
}
