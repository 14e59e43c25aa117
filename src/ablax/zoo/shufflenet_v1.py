"""ShuffleNet V1: 1x1 convolutions in groups, and a shuffle that lets the groups talk.

Zhang, Zhou, Lin, Sun (2017): ShuffleNet: an extremely efficient convolutional neural network for
mobile devices. arXiv 1707.01083, table 1, figure 2 and section 3. Authors' code:
megvii-model/ShuffleNet-Series.

Most products of a narrow residual network are in its 1x1 convolutions. Cut into g groups they cost
1 / g, so that more features are paid for the same; but then a feature never hears of the other
groups. Dealing the channels out between the two 1x1 convolutions of a unit mends that. A unit is a
1x1 in groups to a quarter of the features, the shuffle, a depthwise 3x3, and a 1x1 in groups back.
The first unit of a stage has stride 2 and *concatenates* its result with the average pool of its
input instead of adding them; the others add.

Conventions: the first convolution and both pools are padded by 1 on each side; the max pool rounds
down, and so does the average pool, which counts its padding (as in the authors' code); batch-norm
epsilon 1e-5; no ReLU behind the depthwise convolution; the first 1x1 of stage 2 has one group.

Differences between the paper and the authors' code: that shuffles behind the depthwise convolution
and deals the other way round, which permutes the channels inside a unit; it has no ReLU on the
pooled branch, which is positive already, and no bias in the classifier. The complexities of table 1
leave the classifier out: 143, 140, 137, 133 and 137 M for 1, 2, 3, 4 and 8 groups; those of table 5
(other widths) do not. The errors quoted are those of table 2, top-1, one crop of 224 pixels.
"""

from __future__ import annotations

from collections.abc import Callable

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import AveragePool, MaxPool, Parallel, ReLU, Residual
from ablax.layers.normalization import normalized
from ablax.layers.shape import ChannelShuffle
from ablax.zoo import heads, tails
from ablax.zoo.alexnet import check_width
from ablax.zoo.register import Entry

FEATURES = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
"""Table 1: features of stage 2 by the number of groups, which keep the complexity about equal."""

UNITS = (4, 8, 4)
"""Units of stages 2, 3 and 4, the one with stride 2 among them."""

_FIRST = {1.5: 24}
"""Features of the first convolution where they are not 24 times the width: in the authors' code."""


def shufflenet_v1_g1(classes: int = 1000) -> Network:
    """ShuffleNet 1x without groups: 1,531,936 parameters, 143,078,976 multiply-accumulates.

    Error 33.6 %.

    Args:
        classes: Scores per image.
    """
    return shufflenet_v1(1, classes=classes)


def shufflenet_v1_g2(classes: int = 1000) -> Network:
    """ShuffleNet 1x, 2 groups: 1,733,848 parameters, 140,836,512 multiply-accumulates.

    Error 32.7 %.

    Args:
        classes: Scores per image.
    """
    return shufflenet_v1(2, classes=classes)


def shufflenet_v1_g3(classes: int = 1000) -> Network:
    """ShuffleNet 1x, 3 groups: 1,865,728 parameters, 137,460,672 multiply-accumulates.

    Error 32.6 %; of the authors' published weights 32.2 / 12.3 % (top-1 / top-5).

    Args:
        classes: Scores per image.
    """
    return shufflenet_v1(3, classes=classes)


def shufflenet_v1_g4(classes: int = 1000) -> Network:
    """ShuffleNet 1x, 4 groups: 1,968,344 parameters, 134,339,776 multiply-accumulates.

    Error 32.8 %.

    Args:
        classes: Scores per image.
    """
    return shufflenet_v1(4, classes=classes)


def shufflenet_v1_g8(classes: int = 1000) -> Network:
    """ShuffleNet 1x, 8 groups: 2,434,768 parameters, 138,365,952 multiply-accumulates.

    Error 32.4 %; of the authors' published weights 32.0 / 13.6 % (top-1 / top-5).

    Args:
        classes: Scores per image.
    """
    return shufflenet_v1(8, classes=classes)


def shufflenet_v1(groups: int = 3, width: float = 1.0, classes: int = 1000) -> Network:
    """ShuffleNet "width x (g = groups)" for images of 224 pixels.

    With 3 groups those at 0.5x, 1.5x and 2x have the parameters and multiply-accumulates that the
    authors' repository prints, 0.7, 3.4 and 5.4 M and 38, 292 and 524 M (it has no bias in the
    classifier).

    Args:
        groups: Of the 1x1 convolutions: 1, 2, 3, 4 or 8.
        width: Factor on the features, the paper's scale: 0.25, 0.5, 1, 1.5 or 2.
        classes: Scores per image.

    Raises:
        AblaxError: Another number of groups, a width that is not positive, or one at which the
            groups do not divide the features (such as 8 groups at 0.5: how the paper's do is not
            said).
    """
    features, first = _features(groups, width), _FIRST.get(width, round(24 * width))
    return Network(
        tail=tail(first),
        body=_body(first, features, groups),
        head=heads.global_average_pool(classes),
    )


def shufflenet_v1_small(classes: int = 10, groups: int = 3, width: float = 1.0) -> Network:
    """ShuffleNet V1 for images of 32 or 28 pixels: the first convolution has stride 1, and no pool.

    914,338 parameters and 42,590,592 multiply-accumulates at 32 pixels and 3 channels; the stages
    are at 16, 8 and 4 pixels. So it is in kuangliu/pytorch-cifar, but for a first window of 1x1
    there; the paper has no such form.

    Args:
        classes: Scores per image.
        groups: Of the 1x1 convolutions: 1, 2, 3, 4 or 8.
        width: Factor on the features.

    Raises:
        AblaxError: Another number of groups, a width that is not positive, or one at which the
            groups do not divide the features (such as 8 groups at 0.5: how the paper's do is not
            said).
    """
    features, first = _features(groups, width), max(1, round(24 * width))
    return Network(
        tail=tails.cifar(first),
        body=_body(first, features, groups),
        head=heads.global_average_pool(classes),
    )


def tail(features: int) -> Layers:
    """3x3/2 convolution and 3x3/2 max pool, both padded by 1: 224 pixels to 112 to 56.

    Args:
        features: Of the convolution.
    """
    return Layers(
        conv1=normalized(features, 3, stride=2, relu=ReLU()), pool1=MaxPool(3, 2, padding=1)
    )


def stages(unit: Callable[[int, int], Sequential | Residual]) -> Layers:
    """`stage2_1` to `stage2_4`, `stage3_1` to `stage3_8`, `stage4_1` to `stage4_4`.

    Args:
        unit: From the number of a stage, 2 to 4, and of the unit in it, from 1, to the unit.
    """
    return Layers(
        {
            f"stage{stage}_{number}": unit(stage, number)
            for stage, count in enumerate(UNITS, start=2)
            for number in range(1, count + 1)
        }
    )


def _features(groups: int, width: float) -> int:
    """Of stage 2."""
    check_width(width)
    if groups not in FEATURES:
        raise AblaxError(f"groups={groups}: the paper has 1, 2, 3, 4 and 8, choose one of them")
    return round(FEATURES[groups] * width)


def _body(first: int, features: int, groups: int) -> Layers:
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
            return Residual(_convolutions(wide // 4, wide, groups), after=Layers(relu=ReLU()))
        before = first if stage == 2 else wide // 2
        convolutions = _convolutions(
            wide // 4, wide - before, groups, stride=2, ungrouped=stage == 2
        )
        pool = AveragePool(3, 2, padding=1, count_include_pad=True)
        branches = Parallel(Layers(shortcut=pool, residual=Sequential(convolutions)))
        return sequential(branches=branches, relu=ReLU())

    return stages(unit)


def _convolutions(
    inner: int, features: int, groups: int, stride: int = 1, ungrouped: bool = False
) -> Layers:
    """Figure 2 (b) and (c): 1x1 in groups, shuffle, depthwise 3x3, 1x1 in groups."""
    narrow = normalized(inner, 1, groups=1 if ungrouped else groups, relu=ReLU())
    shuffle = Layers(shuffle=ChannelShuffle(groups)) if groups > 1 else Layers()
    return (
        Layers(conv1=narrow)
        + shuffle
        + Layers(
            conv2=normalized(inner, 3, stride, groups=inner),
            conv3=normalized(features, 1, groups=groups),
        )
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(shufflenet_v1_g1, 224, 1_531_936, 143_078_976),
    Entry(shufflenet_v1_g2, 224, 1_733_848, 140_836_512),
    Entry(shufflenet_v1_g3, 224, 1_865_728, 137_460_672),
    Entry(shufflenet_v1_g4, 224, 1_968_344, 134_339_776),
    Entry(shufflenet_v1_g8, 224, 2_434_768, 138_365_952),
    Entry(shufflenet_v1_small, 32, 914_338, 42_590_592),
)
