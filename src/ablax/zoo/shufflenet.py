"""ShuffleNet V1 and V2: cheap units, and a shuffle that lets their channels talk.

V1: Zhang, Zhou, Lin, Sun (2017): ShuffleNet: an extremely efficient convolutional neural network
for mobile devices. arXiv 1707.01083, table 1, figure 2 and section 3. V2: Ma, Zhang, Zheng, Sun
(2018): ShuffleNet V2: practical guidelines for efficient CNN architecture design. arXiv 1807.11164,
table 5, figure 3 (c) and (d), section 3.2. Authors' code of both: megvii-model/ShuffleNet-Series.

V1: most products of a narrow residual network are in its 1x1 convolutions. Cut into g groups they
cost 1 / g, so that more features are paid for the same; but then a feature never hears of the other
groups. Dealing the channels out between the two 1x1 convolutions of a unit mends that. A unit is a
1x1 in groups to a quarter of the features, the shuffle, a depthwise 3x3, and a 1x1 in groups back.
The first unit of a stage has stride 2 and *concatenates* its result with the average pool of its
input instead of adding them; the others add.

V2: the paper counts seconds instead of products, and asks for equal widths (of a 1x1 its memory
traffic is least where channels and features agree), few groups, few branches and few operations
element by element. So a unit splits its channels in two: one half goes on untouched, the other
through a 1x1, a depthwise 3x3 and a 1x1 of equal widths; they are concatenated, not added, and
shuffled in two groups, so that the next unit's halves are mixed. The first unit of a stage has
stride 2, does not split, and sends all its channels both ways, round by a depthwise 3x3 and a 1x1.

Conventions, as in the authors' code and torchvision: what has a stride is padded by 1 on each side;
the max pool rounds down, and so does V1's average pool, which counts its padding; batch-norm
epsilon 1e-5; no ReLU behind a depthwise convolution; the first 1x1 of V1's stage 2 has one group.

Differences between V1's paper and the authors' code: that shuffles behind the depthwise convolution
and deals the other way round, which permutes the channels inside a unit; it has no ReLU on the
pooled branch, which is positive already, and no bias in the classifier. The complexities of table 1
leave the classifier out: 143, 140, 137, 133 and 137 M for 1, 2, 3, 4 and 8 groups; those of table 5
(other widths) do not. The authors' published weights have an error of 32.2 / 12.3 % (top-1 / top-5)
with 3 groups and 32.0 / 13.6 % with 8.

V2's networks here are torchvision's, counts included. In the authors' code the first unit of stage
2 sends 24 features round and the others through, where torchvision sends half each way: the paper's
146, 299 and 591 M products are counted so, and 0.9, 3.2 and 7.5 M more (at 0.5x, 41 M, half is 24).
It also shuffles at the start of the next unit instead of behind the concatenation, has no bias in
the classifier, and drops 20 % in front of it at 2.0x.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import AveragePool, MaxPool, Parallel, ReLU, Residual
from ablax.layers.normalization import normalized
from ablax.layers.shape import ChannelShuffle, ChannelSplit
from ablax.zoo import heads, tails
from ablax.zoo.alexnet import check_width
from ablax.zoo.register import TORCHVISION, network, row

UNITS = (4, 8, 4)
"""Units of stages 2, 3 and 4, the one with stride 2 among them."""


def tail(features: int) -> Layers:
    """3x3/2 convolution and 3x3/2 max pool, both padded by 1: 224 pixels to 112 to 56."""
    return Layers(
        conv1=normalized(features, 3, stride=2, relu=ReLU()), pool1=MaxPool(3, 2, padding=1)
    )


def stages(unit: Callable[[int, int], Sequential | Residual]) -> Layers:
    """`stage2_1` to `stage2_4`, `stage3_1` to `stage3_8`, `stage4_1` to `stage4_4`.

    `unit` makes one of the number of its stage, 2 to 4, and of its own in the stage, from 1.
    """
    return Layers(
        {
            f"stage{stage}_{number}": unit(stage, number)
            for stage, count in enumerate(UNITS, start=2)
            for number in range(1, count + 1)
        }
    )


FEATURES = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
"""Table 1: features of stage 2 by the number of groups, which keep the complexity about equal."""


def shufflenet_v1(groups: int = 3, classes: int = 1000, width: float = 1.0) -> Network:
    """ShuffleNet "width x (g = groups)" for images of 224 pixels.

    With 3 groups those at 0.5x, 1.5x and 2x have the parameters and multiply-accumulates that the
    authors' repository prints, 0.7, 3.4 and 5.4 M and 38, 292 and 524 M (it has no bias in the
    classifier).

    The groups are those of the 1x1 convolutions: 1, 2, 3, 4 or 8. The width is the paper's scale:
    0.25, 0.5, 1, 1.5 or 2.

    Raises:
        AblaxError: Another number of groups, a width that is not positive, or one at which the
            groups do not divide the features (such as 8 groups at 0.5: how the paper's do is not
            said).
    """
    features = _features(groups, width)
    first = 24 if width == 1.5 else round(24 * width)  # as in the authors' code
    return Network(
        tail(first), _v1_body(first, features, groups), heads.global_average_pool(classes)
    )


_v1 = partial(row, shufflenet_v1, 224, source="Zhang et al. 2017, table 2, one crop")

shufflenet_v1_g1 = _v1((1,), 1_531_936, 143_078_976, (33.6,))
shufflenet_v1_g2 = _v1((2,), 1_733_848, 140_836_512, (32.7,))
shufflenet_v1_g3 = _v1((3,), 1_865_728, 137_460_672, (32.6,))
shufflenet_v1_g4 = _v1((4,), 1_968_344, 134_339_776, (32.8,))
shufflenet_v1_g8 = _v1((8,), 2_434_768, 138_365_952, (32.4,))


@network(32, 914_338, 42_590_592)
def shufflenet_v1_small(classes: int = 10, groups: int = 3, width: float = 1.0) -> Network:
    """ShuffleNet V1 for images of 32 or 28 pixels: the first convolution has stride 1, and no pool.

    The stages are at 16, 8 and 4 pixels. So it is in kuangliu/pytorch-cifar, but for a first window
    of 1x1 there; the paper has no such form.
    """
    features, first = _features(groups, width), max(1, round(24 * width))
    body = _v1_body(first, features, groups)
    return Network(tails.cifar(first), body, heads.global_average_pool(classes))


def _features(groups: int, width: float) -> int:
    """Of stage 2."""
    check_width(width)
    if groups not in FEATURES:
        raise AblaxError(f"groups={groups}: the paper has 1, 2, 3, 4 and 8, choose one of them")
    return round(FEATURES[groups] * width)


def _v1_body(first: int, features: int, groups: int) -> Layers:
    """Three stages of which each halves rows and columns; each but the first doubles features."""
    inner, missing = features // 4, features - first
    if inner < 1 or missing < 1 or features % 4 or inner % groups or missing % groups:
        raise AblaxError(
            f"{features} features in stage 2 with groups={groups}: a quarter of them, {inner}, and "
            f"what the first unit adds to the {first} of the first convolution, {missing}, must be "
            "multiples of the groups: choose another width"
        )

    def unit(stage: int, number: int) -> Sequential | Residual:
        wide = features * 2 ** (stage - 2)
        if number > 1:
            return Residual(_grouped(wide // 4, wide, groups), after=Layers(relu=ReLU()))
        before = first if stage == 2 else wide // 2
        convolutions = _grouped(wide // 4, wide - before, groups, stride=2, ungrouped=stage == 2)
        pool = AveragePool(3, 2, padding=1, count_include_pad=True)
        branches = Parallel(Layers(shortcut=pool, residual=Sequential(convolutions)))
        return sequential(branches=branches, relu=ReLU())

    return stages(unit)


def _grouped(
    inner: int, features: int, groups: int, stride: int = 1, ungrouped: bool = False
) -> Layers:
    """Figure 2 (b) and (c): 1x1 in groups, shuffle, depthwise 3x3, 1x1 in groups."""
    narrow = normalized(inner, 1, groups=1 if ungrouped else groups, relu=ReLU())
    shuffle = Layers(shuffle=ChannelShuffle(groups)) if groups > 1 else Layers()
    rest = Layers(
        conv2=normalized(inner, 3, stride, groups=inner),
        conv3=normalized(features, 1, groups=groups),
    )
    return Layers(conv1=narrow) + shuffle + rest


Features = tuple[int, int, int]
"""Of stages 2, 3 and 4."""


def shufflenet_v2(features: Features, last: int = 1024, classes: int = 1000) -> Network:
    """A column of table 5, for images of 224 pixels.

    `last` are the features of the 1x1 convolution behind the stages, `conv5`; those of a stage are
    even.
    """
    return Network(tail(24), _v2_body(features, last), heads.global_average_pool(classes))


_MA = "the authors' repository of Ma et al. 2018"
_v2 = partial(row, shufflenet_v2, 224, counted=TORCHVISION, source=_MA)

shufflenet_v2_0_5 = _v2(((48, 96, 192), 1024), 1_366_792, 40_476_448, (38.9, 17.4))
shufflenet_v2_1_0 = _v2(((116, 232, 464), 1024), 2_278_604, 144_907_992, (30.6, 11.1))
shufflenet_v2_1_5 = _v2(((176, 352, 704), 1024), 3_503_624, 295_759_392, (27.4, 9.4))
shufflenet_v2_2_0 = _v2(((244, 488, 976), 2048), 7_393_996, 583_253_464, (25.0, 7.6))


@network(32, 1_263_854, 45_002_112)
def shufflenet_v2_small(
    classes: int = 10, features: Features = (116, 232, 464), last: int = 1024
) -> Network:
    """ShuffleNet V2 for images of 32 or 28 pixels: the first convolution has stride 1, and no pool.

    The stages are at 16, 8 and 4 pixels. So it is in kuangliu/pytorch-cifar; the paper has no such
    form.
    """
    return Network(tails.cifar(24), _v2_body(features, last), heads.global_average_pool(classes))


def _v2_body(features: Features, last: int) -> Layers:
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
