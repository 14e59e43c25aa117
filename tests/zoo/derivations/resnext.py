"""ResNeXt by hand, from table 1 of the paper and section 5.3 (CIFAR)."""

from .counting import conv, dense, total

TAIL = conv(3, 64, 7, 112)


def stage(inputs, features, inner, cardinality, blocks, before, size):
    """Blocks of 1x1, 3x3 in groups, 1x1; the first projects, and strides in its 3x3."""
    first = (
        conv(inputs, inner, 1, before)
        + conv(inner, inner, 3, size, groups=cardinality)
        + conv(inner, features, 1, size)
        + conv(inputs, features, 1, size)
    )
    other = (
        conv(features, inner, 1, size)
        + conv(inner, inner, 3, size, groups=cardinality)
        + conv(inner, features, 1, size)
    )
    return first + other * (blocks - 1)


def imagenet(blocks, cardinality, width):
    """224 pixels: stages at 56, 28, 14 and 7."""
    inner = cardinality * width
    return total(
        (
            TAIL,
            stage(64, 256, inner, cardinality, blocks[0], 56, 56),
            stage(256, 512, 2 * inner, cardinality, blocks[1], 56, 28),
            stage(512, 1024, 4 * inner, cardinality, blocks[2], 28, 14),
            stage(1024, 2048, 8 * inner, cardinality, blocks[3], 14, 7),
            dense(2048, 1000),
        )
    )


def cifar(cardinality, width):
    """32 pixels: three stages of three blocks at 32, 16 and 8."""
    inner = cardinality * width
    return total(
        (
            conv(3, 64, 3, 32),
            stage(64, 256, inner, cardinality, 3, 32, 32),
            stage(256, 512, 2 * inner, cardinality, 3, 32, 16),
            stage(512, 1024, 4 * inner, cardinality, 3, 16, 8),
            dense(1024, 10),
        )
    )


DERIVED = {
    "resnext50_32x4d": lambda: imagenet((3, 4, 6, 3), 32, 4),
    "resnext101_32x8d": lambda: imagenet((3, 4, 23, 3), 32, 8),
    "resnext101_64x4d": lambda: imagenet((3, 4, 23, 3), 64, 4),
    "resnext29_8x64d": lambda: cifar(8, 64),
    "resnext29_16x64d": lambda: cifar(16, 64),
}
