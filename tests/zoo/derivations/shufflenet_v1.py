"""ShuffleNet V1 by hand, from table 1, figure 2 and section 3 of the paper."""

from .counting import conv, dense, total

UNITS = (4, 8, 4)


def unit(inputs, features, groups, first_groups, before, after):
    """1x1 to a quarter of the features, depthwise 3x3, 1x1; a stride concatenates the input."""
    inner = features // 4
    computed = features if before == after else features - inputs
    return total(
        [
            conv(inputs, inner, 1, before, groups=first_groups),
            conv(inner, inner, 3, after, groups=inner),
            conv(inner, computed, 1, after, groups=groups),
        ]
    )


def body(channels, features, groups, size):
    """Stages 2 to 4 behind maps of `channels` and `size`."""
    counts = []
    for stage, units in enumerate(UNITS):
        ungrouped = 1 if stage == 0 else groups
        counts.append(unit(channels, features, groups, ungrouped, size, size // 2))
        size //= 2
        counts.append(unit(features, features, groups, groups, size, size) * (units - 1))
        channels, features = features, 2 * features
    return total(counts)


def imagenet(groups, features, first=24):
    layers = [conv(3, first, 3, 112), body(first, features, groups, 56)]
    return total([*layers, dense(4 * features, 1000)])


def small():
    return total([conv(3, 24, 3, 32), body(24, 240, 3, 32), dense(960, 10)])


DERIVED = {
    "shufflenet_v1_g1": lambda: imagenet(1, 144),
    "shufflenet_v1_g2": lambda: imagenet(2, 200),
    "shufflenet_v1_g3": lambda: imagenet(3, 240),
    "shufflenet_v1_g4": lambda: imagenet(4, 272),
    "shufflenet_v1_g8": lambda: imagenet(8, 384),
    "shufflenet_v1_small": small,
}
