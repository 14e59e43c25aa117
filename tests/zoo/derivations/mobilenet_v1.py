"""MobileNet V1 by hand, from table 1 of the paper (stride 1 in its last depthwise layer)."""

from .counting import conv, dense, total

# Channels of a depthwise layer, features of the 1x1 behind it, and whether rows halve.
ROWS = (
    (32, 64, 1),
    (64, 128, 2),
    (128, 128, 1),
    (128, 256, 2),
    (256, 256, 1),
    (256, 512, 2),
    *((512, 512, 1),) * 5,
    (512, 1024, 2),
    (1024, 1024, 1),
)


def network(size, classes):
    """`size` pixels behind the first convolution."""
    counts = [conv(3, 32, 3, size)]
    for channels, features, stride in ROWS:
        size //= stride
        counts.append(conv(channels, channels, 3, size, groups=channels))
        counts.append(conv(channels, features, 1, size))
    return total([*counts, dense(1024, classes)])


DERIVED = {
    "mobilenet_v1": lambda: network(112, 1000),
    "mobilenet_v1_small": lambda: network(32, 10),
}
