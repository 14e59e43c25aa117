"""ShuffleNet V2: half of the channels go round each unit, and a shuffle mixes the halves.

Ma, Zhang, Zheng, Sun (2018): ShuffleNet V2: practical guidelines for efficient CNN architecture
design. arXiv 1807.11164, table 5, figure 3 (c) and (d), section 3.2. Authors' code:
megvii-model/ShuffleNet-Series.

The paper counts seconds instead of products, and asks for equal widths (of a 1x1 its memory traffic
is least where channels and features agree), few groups, few branches and few operations element by
element. So a unit splits its channels in two: one half goes on untouched, the other through a 1x1,
a depthwise 3x3 and a 1x1 of equal widths; they are concatenated, not added, and shuffled in two
groups, so that the next unit's halves are mixed. The first unit of a stage has stride 2, does not
split, and sends all its channels both ways, round by a depthwise 3x3 and a 1x1.

Conventions, as in torchvision and the authors' code: strides are padded by 1 on each side, and the
max pool rounds down; batch-norm epsilon 1e-5; ReLU behind each 1x1, none behind a depthwise
convolution; no other pooling but the global average.

The networks here are torchvision's, counts included. In the authors' code the first unit of stage 2
sends 24 features round and the others through, where torchvision sends half each way: the paper's
146, 299 and 591 M products are counted so, and 0.9, 3.2 and 7.5 M more (at 0.5x, 41 M, half is 24).
It also shuffles at the start of the next unit instead of behind the concatenation, has no bias in
the classifier, and drops 20 % in front of it at 2.0x.
"""

from __future__ import annotations

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import Parallel, ReLU
from ablax.layers.normalization import normalized
from ablax.layers.shape import ChannelShuffle, ChannelSplit
from ablax.zoo import heads, tails
from ablax.zoo.register import Entry
from ablax.zoo.shufflenet_v1 import stages, tail

Features = tuple[int, int, int]
"""Of stages 2, 3 and 4."""


def shufflenet_v2_0_5(classes: int = 1000) -> Network:
    """ShuffleNet V2 0.5x: 1,366,792 parameters, 40,476,448 multiply-accumulates.

    Error of the authors' published weights: 38.9 / 17.4 % (top-1 / top-5).

    Args:
        classes: Scores per image.
    """
    return shufflenet_v2((48, 96, 192), classes=classes)


def shufflenet_v2_1_0(classes: int = 1000) -> Network:
    """ShuffleNet V2 1.0x: 2,278,604 parameters, 144,907,992 multiply-accumulates.

    Error of the authors' published weights: 30.6 / 11.1 % (top-1 / top-5).

    Args:
        classes: Scores per image.
    """
    return shufflenet_v2((116, 232, 464), classes=classes)


def shufflenet_v2_1_5(classes: int = 1000) -> Network:
    """ShuffleNet V2 1.5x: 3,503,624 parameters, 295,759,392 multiply-accumulates.

    Error of the authors' published weights: 27.4 / 9.4 % (top-1 / top-5).

    Args:
        classes: Scores per image.
    """
    return shufflenet_v2((176, 352, 704), classes=classes)


def shufflenet_v2_2_0(classes: int = 1000) -> Network:
    """ShuffleNet V2 2.0x: 7,393,996 parameters, 583,253,464 multiply-accumulates.

    Error of the authors' published weights: 25.0 / 7.6 % (top-1 / top-5).

    Args:
        classes: Scores per image.
    """
    return shufflenet_v2((244, 488, 976), last=2048, classes=classes)


def shufflenet_v2(features: Features, last: int = 1024, classes: int = 1000) -> Network:
    """A column of table 5, for images of 224 pixels.

    Args:
        features: Of stages 2, 3 and 4, even numbers.
        last: Of the 1x1 convolution behind them, `conv5`.
        classes: Scores per image.

    Raises:
        AblaxError: A number of features that has no half.
    """
    return Network(tail(24), _body(features, last), heads.global_average_pool(classes))


def shufflenet_v2_small(
    classes: int = 10, features: Features = (116, 232, 464), last: int = 1024
) -> Network:
    """ShuffleNet V2 for images of 32 or 28 pixels: the first convolution has stride 1, and no pool.

    1,263,854 parameters and 45,002,112 multiply-accumulates at 32 pixels and 3 channels; the stages
    are at 16, 8 and 4 pixels. So it is in kuangliu/pytorch-cifar; the paper has no such form.

    Args:
        classes: Scores per image.
        features: Of stages 2, 3 and 4, even numbers.
        last: Of the 1x1 convolution behind them, `conv5`.

    Raises:
        AblaxError: A number of features that has no half.
    """
    return Network(tails.cifar(24), _body(features, last), heads.global_average_pool(classes))


def _body(features: Features, last: int) -> Layers:
    for wide in features:
        if wide < 2 or wide % 2:
            raise AblaxError(
                f"features={features}: even numbers are expected, since half of the channels go "
                f"round each unit, and {wide} has no half"
            )

    def unit(stage: int, number: int) -> Sequential:
        if number > 1:
            return _unit(features[stage - 2])
        return _shrinking(24 if stage == 2 else features[stage - 3], features[stage - 2])

    return stages(unit) + Layers(conv5=normalized(last, 1, relu=ReLU()))


def _unit(features: int) -> Sequential:
    """Figure 3 (c): one half goes round, the other through."""
    through = Layers(half=ChannelSplit(1, parts=2)) + _convolutions(features // 2)
    branches = Parallel(Layers(shortcut=ChannelSplit(0, parts=2), residual=Sequential(through)))
    return sequential(branches=branches, shuffle=ChannelShuffle(2))


def _shrinking(channels: int, features: int) -> Sequential:
    """Figure 3 (d): all channels go both ways, each way to half of the features."""
    half = features // 2
    shortcut = sequential(
        conv1=normalized(channels, 3, stride=2, groups=channels),
        conv2=normalized(half, 1, relu=ReLU()),
    )
    branches = Parallel(
        Layers(shortcut=shortcut, residual=Sequential(_convolutions(half, stride=2)))
    )
    return sequential(branches=branches, shuffle=ChannelShuffle(2))


def _convolutions(features: int, stride: int = 1) -> Layers:
    """1x1, depthwise 3x3, 1x1."""
    return Layers(
        conv1=normalized(features, 1, relu=ReLU()),
        conv2=normalized(features, 3, stride, groups=features),
        conv3=normalized(features, 1, relu=ReLU()),
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(shufflenet_v2_0_5, 224, 1_366_792, 40_476_448),
    Entry(shufflenet_v2_1_0, 224, 2_278_604, 144_907_992),
    Entry(shufflenet_v2_1_5, 224, 3_503_624, 295_759_392),
    Entry(shufflenet_v2_2_0, 224, 7_393_996, 583_253_464),
    Entry(shufflenet_v2_small, 32, 1_263_854, 45_002_112),
)
