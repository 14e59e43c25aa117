"""ShuffleNet V2 by hand, from table 5 and figure 3 of the paper."""

from .counting import conv, dense, total

UNITS = (4, 8, 4)


def through(inputs, features, computed, before, after):
    """1x1, depthwise 3x3, 1x1."""
    return total(
        [
            conv(inputs, features, 1, before),
            conv(features, features, 3, after, groups=features),
            conv(features, computed, 1, after),
        ]
    )


def shrinking(inputs, features, size, round_features):
    """All channels go both ways; `round_features` leave the way round."""
    after = size // 2
    way_round = conv(inputs, inputs, 3, after, groups=inputs) + conv(
        inputs, round_features, 1, after
    )
    return way_round + through(inputs, features // 2, features - round_features, size, after)


def body(features, size, first_round=None):
    """Stages 2 to 4 behind 24 maps of `size`."""
    counts = []
    channels = 24
    for stage, (wide, units) in enumerate(zip(features, UNITS, strict=True)):
        round_features = wide // 2 if stage or first_round is None else first_round
        counts.append(shrinking(channels, wide, size, round_features))
        size //= 2
        half = wide // 2
        counts.append(through(half, half, half, size, size) * (units - 1))
        channels = wide
    return total(counts)


def imagenet(features, last=1024, first_round=None):
    """A column of table 5; `first_round` features leave the first way round, half if left out."""
    layers = [conv(3, 24, 3, 112), body(features, 56, first_round), conv(features[-1], last, 1, 7)]
    return total([*layers, dense(last, 1000)])


def small():
    layers = [conv(3, 24, 3, 32), body((116, 232, 464), 32), conv(464, 1024, 1, 4)]
    return total([*layers, dense(1024, 10)])


DERIVED = {
    "shufflenet_v2_0_5": lambda: imagenet((48, 96, 192)),
    "shufflenet_v2_1_0": lambda: imagenet((116, 232, 464)),
    "shufflenet_v2_1_5": lambda: imagenet((176, 352, 704)),
    "shufflenet_v2_2_0": lambda: imagenet((244, 488, 976), 2048),
    "shufflenet_v2_small": small,
}
