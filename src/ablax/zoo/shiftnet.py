"""ShiftNet: no convolution over space but the first; channels are shifted, and 1x1s mix them.

Wu, Wan, Yue, Jin, Zhao, Golmant, Gholaminejad, Gonzalez, Keutzer (2017): Shift: a zero FLOP, zero
parameter alternative to spatial convolutions. arXiv 1711.08141, section 3.3 and figure 3 (the
module), section 4.1 (CIFAR), section 4.2 (ShiftNet). Authors' code, of the networks for CIFAR:
alvinwan/shiftresnet-cifar.

A *conv-shift-conv* module (CSC) is a 1x1 convolution to E times the channels, a shift, which moves
each of k x k groups of channels by a displacement of its own (`ablax.layers.Shift`), and a 1x1
back; batch normalization and ReLU stand in front of each 1x1. Modules that keep the shape add their
input; those that halve rows and columns have the stride in their second 1x1 and concatenate the
3x3/2 average pool of their input, following ShuffleNet. A window of 5 costs nothing more than one
of 3, so the first groups of ShiftNet have it.

What the paper leaves open, and what is chosen here: the normalization stands behind the shift; the
average pool is padded by 1, rounds down and counts its padding; E multiplies the channels of a
module's input; batch normalization and ReLU close the last module, and none stands behind the first
convolution. Batch-norm epsilon is 1e-5.

The paper was not at hand. These choices and the table of ShiftNet-A are those of an independent
PyTorch definition; they meet the complexities that the paper is quoted with, 1.4 G (A) and 371 M
(B). B and C are as the paper is remembered: A with half of the channels, and a table of its own.
Halving B's first convolution too is a choice: at 32 features the first group would have nothing to
add. The paper prints 4.1 M parameters for A, 1.1 M for B and 0.78 M for C, 12 % more than the
modules of A and B come to. The difference is unexplained: modules that halve the size by computing
all of their features, without concatenating, would come to 0.781 M, but to 444 M products instead
of 371 M in B. The authors' repository prints 0.19, 0.58 and 1.18 M for the three ShiftResNets.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import AveragePool, Convolution, Dense, GlobalAveragePool, ReLU
from ablax.layers.blocks import Parallel, Residual
from ablax.layers.convolution import Shift
from ablax.layers.normalization import BatchNormalization, normalized
from ablax.zoo.register import row
from ablax.zoo.resnet import option_b, resnet_cifar


class Group(NamedTuple):
    """Modules at one size, of which the first halves it, and the window of their shifts.

    The expansion is E of the first module, and of the others.
    """

    features: int
    modules: int
    window: int
    expansion: tuple[int, int]


A = (
    Group(64, 5, 5, (4, 4)),
    Group(128, 6, 5, (4, 3)),
    Group(256, 7, 3, (3, 2)),
    Group(512, 3, 3, (2, 1)),
)
B = tuple(group._replace(features=group.features // 2) for group in A)
C = (
    Group(32, 1, 3, (1, 1)),
    Group(64, 4, 3, (1, 1)),
    Group(128, 4, 3, (1, 1)),
    Group(256, 3, 3, (1, 1)),
)


def shiftnet(groups: tuple[Group, ...], first: int, classes: int = 1000) -> Network:
    """A 7x7/2 convolution, then groups of CSC modules, each of which halves rows and columns.

    The groups are `A`, `B`, `C`, or your own; `first` are the features of the first convolution.

    Raises:
        AblaxError: A group with no more features than the one before, so that nothing would be left
            to compute beside the pooled input; or with fewer channels to shift than there are
            places in its window.
    """
    body = Layers()
    channels = first
    for number, group in enumerate(groups, start=1):
        for module in range(group.modules):
            if module:
                inner = group.features * group.expansion[1]
                layer = Residual(_module(group, inner, group.features))
            else:
                layer = _shrinking(group, channels)
            body = body + Layers({f"group{number}_{module + 1}": layer})
            channels = group.features
    return Network(
        tail=Layers(conv1=Convolution(first, 7, stride=2, padding=3, use_bias=False)),
        body=body,
        head=Layers(
            last=sequential(bn=BatchNormalization(), relu=ReLU()),
            average=GlobalAveragePool(),
            classifier=Dense(classes),
        ),
    )


_imagenet = partial(row, shiftnet, 224, source="Wu et al. 2017")

shiftnet_a = _imagenet((A, 32), 4_188_680, 1_424_306_176, (29.9, 10.3))
shiftnet_b = _imagenet((B, 16), 1_183_480, 370_956_288, (38.8, 16.4))
shiftnet_c = _imagenet((C, 16), 693_720, 97_196_032)


def shift_resnet(depth: int, classes: int = 10, expansion: int = 6, features: int = 16) -> Network:
    """The ResNet for CIFAR with a CSC module in place of the two 3x3 convolutions of each block.

    As in the authors' code, not as in ShiftNet: normalization stands behind each 1x1, ReLU behind
    the first and behind the sum, E multiplies the features of a block, the stride is in the second
    1x1, and shortcuts project where the shape changes. The paper has E = 1, 3, 6 and 9; at 9 there
    are about as many parameters as with the 3x3 convolutions. ShiftNet itself has no form for small
    images: this is the paper's.

    Depths are 6n + 2: 20, 56 and 110 in the paper. `expansion` is E; it must leave at least 9
    channels to shift.
    """
    if expansion < 1 or expansion * features < 9:
        raise AblaxError(
            f"expansion={expansion} with {features} features: at least 9 channels to shift are "
            "expected, one for each place of a 3x3 window"
        )

    def block(channels: int, width: int, stride: int) -> Residual:
        return Residual(
            residual=Layers(
                conv1=normalized(expansion * width, 1, relu=ReLU()),
                shift=Shift(3),
                conv2=normalized(width, 1, stride),
            ),
            shortcut=option_b(channels, width, stride),
            after=Layers(relu=ReLU()),
        )

    return resnet_cifar(depth, classes, block, features)


_cifar = partial(row, shift_resnet, 32, source="the authors' repository of Wu et al. 2017")

shift_resnet20 = _cifar((20,), 186_746, 32_162_432, (8.93,))
shift_resnet56 = _cifar((56,), 583_226, 88_785_536, (6.51,))
shift_resnet110 = _cifar((110,), 1_177_946, 173_720_192, (6.97,))


def _shrinking(group: Group, channels: int) -> Parallel:
    """A module that halves rows and columns: what it computes, behind the pooled input."""
    missing = group.features - channels
    if missing < 1:
        raise AblaxError(
            f"a group of {group.features} features behind {channels}: more features than channels "
            "are expected, since its first module keeps its pooled input beside what it computes"
        )
    pool = AveragePool(3, 2, padding=1, count_include_pad=True)
    computed = Sequential(_module(group, channels * group.expansion[0], missing, stride=2))
    return Parallel(Layers(shortcut=pool, residual=computed))


def _module(group: Group, inner: int, features: int, stride: int = 1) -> Layers:
    """Figure 3: 1x1, shift, 1x1 with the stride, each 1x1 behind normalization and ReLU."""
    if inner < group.window**2:
        raise AblaxError(
            f"{inner} channels to shift in a window of {group.window}: at least {group.window**2} "
            "are expected, one for each place"
        )
    return Layers(
        bn1=BatchNormalization(),
        relu1=ReLU(),
        conv1=Convolution(inner, 1, use_bias=False),
        shift=Shift(group.window),
        bn2=BatchNormalization(),
        relu2=ReLU(),
        conv2=Convolution(features, 1, stride, use_bias=False),
    )
