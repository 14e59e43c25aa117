"""ResNeXt: residual networks whose bottleneck is an aggregate of many narrow ones.

Xie, Girshick, Dollar, Tu, He (2016): Aggregated residual transformations for deep neural networks.
arXiv 1611.05431, table 1, section 3 and 5.3 (CIFAR). Authors' code: facebookresearch/ResNeXt.

A block adds to its input the sum of C transformations of width d, the *cardinality* C and the width
of a branch: the paper's figure 3(a). Built here is figure 3(c), the same function as one grouped
convolution: 1x1 to C d features, 3x3 in C groups, 1x1 back. "32x4d" is C = 32, d = 4 in the first
stage; d doubles from stage to stage.

Conventions, as in torchvision and the authors' code: down-sampling by stride 2 in the 3x3,
projections (1x1 and batch normalization) where the shape changes and identities elsewhere (type B),
max pool padded by 1 and rounding down, batch-norm epsilon 1e-5, a batch normalization after every
convolution. Kernels are initialized with variance 2 / fan-in; the authors' code has 2 / fan-out.
"""

from __future__ import annotations

from ablax.core import Layers, Network, Sequential, sequential
from ablax.errors import AblaxError
from ablax.layers import BatchNormalization, Convolution, ReLU, Residual
from ablax.zoo.register import Entry
from ablax.zoo.resnet import Block, convolution, linear, option_b, resnet, resnet_cifar_bottleneck


def resnext50_32x4d(classes: int = 1000) -> Network:
    """ResNeXt-50 of the paper's table 1, for images of 224 pixels.

    25,028,904 parameters and 4.230 G multiply-accumulates, as in torchvision; the paper rounds to
    25.0 M and 4.2 G. Its error of 22.2 % (top-1) is of this network, one crop of 224 pixels.

    Args:
        classes: Scores per image.
    """
    return resnext((3, 4, 6, 3), cardinality=32, width=4, classes=classes)


def resnext101_32x8d(classes: int = 1000) -> Network:
    """ResNeXt-101 with branches of width 8: torchvision's; the paper has 32x4d and 64x4d only.

    88,791,336 parameters and 16.414 G multiply-accumulates at 224 pixels.

    Args:
        classes: Scores per image.
    """
    return resnext((3, 4, 23, 3), cardinality=32, width=8, classes=classes)


def resnext101_64x4d(classes: int = 1000) -> Network:
    """ResNeXt-101 with twice the branches of 32x4d: the paper's best (its table 4).

    83,455,272 parameters and 15.460 G multiply-accumulates at 224 pixels, as in torchvision. The
    error of 20.4 % (top-1) is of this network, one crop of 224 pixels.

    Args:
        classes: Scores per image.
    """
    return resnext((3, 4, 23, 3), cardinality=64, width=4, classes=classes)


def resnext29_8x64d(classes: int = 10) -> Network:
    """ResNeXt-29 for CIFAR's images of 32 pixels, 8 branches of width 64.

    34,426,698 parameters and 5.387 G multiply-accumulates; the paper's table 7 prints 34.4 M. Its
    error of 3.65 % on CIFAR-10 is of pre-activated blocks and batches of 256, says the authors'
    README, which prefers the blocks here and batches of 128.

    Args:
        classes: Scores per image.
    """
    return resnext_cifar(29, cardinality=8, width=64, classes=classes)


def resnext29_16x64d(classes: int = 10) -> Network:
    """ResNeXt-29 for CIFAR's images of 32 pixels, 16 branches of width 64.

    68,155,210 parameters and 10.689 G multiply-accumulates; the paper's table 7 prints 68.1 M.
    Its 3.58 % on CIFAR-10 is of pre-activated blocks, as with `resnext29_8x64d`.

    Args:
        classes: Scores per image.
    """
    return resnext_cifar(29, cardinality=16, width=64, classes=classes)


def resnext(counts: tuple[int, ...], cardinality: int, width: int, classes: int = 1000) -> Network:
    """The template for ImageNet: a ResNet whose bottlenecks are aggregates.

    Args:
        counts: Blocks of each stage, whose outputs have 256, 512, 1024 and 2048 features.
        cardinality: Branches C of a block.
        width: Features d of a branch in the first stage.
        classes: Scores per image.
    """
    return resnet(counts, aggregate(cardinality, width), 256, classes)


def resnext_cifar(
    depth: int, cardinality: int, width: int, classes: int = 10, features: int = 64
) -> Network:
    """The template for images of 32 pixels: three stages of equally many blocks, 9n + 2 layers.

    Args:
        depth: Weight layers, 9n + 2.
        cardinality: Branches C of a block.
        width: Features d of a branch in the first stage of a network with 64 `features`.
        classes: Scores per image.
        features: Of `conv1`; the first stage has four times as many, and they double.

    Raises:
        AblaxError: No network has this depth; the message names the nearest.
    """
    return resnet_cifar_bottleneck(depth, classes, aggregate(cardinality, width), features)


def aggregate(cardinality: int, width: int) -> Block:
    """Blocks of figure 3(c): 1x1, 3x3 in C groups with the stride, 1x1; shortcuts of option B.

    `aggregate(1, 64)` is the bottleneck of a ResNet, with its stride in the 3x3.

    Args:
        cardinality: Branches C.
        width: Features d of a branch in a block of 256 features; others are in proportion.

    Raises:
        AblaxError: In use, when a branch of a narrower block has no feature left.
    """

    def block(channels: int, features: int, stride: int) -> Residual:
        inner = cardinality * (width * features // 256)
        if inner < 1:
            raise AblaxError(
                f"branches of width {width} at 256 features have none at {features}: widen them"
            )
        return Residual(
            residual=Layers(
                conv1=convolution(inner, 1),
                conv2=grouped(inner, stride, cardinality),
                conv3=linear(features, 1),
            ),
            shortcut=option_b(channels, features, stride),
            after=Layers(relu=ReLU()),
        )

    return block


def grouped(features: int, stride: int, groups: int) -> Sequential:
    """A 3x3 convolution in groups, batch normalization, ReLU.

    Args:
        features: Of its result.
        stride: Steps down and to the right.
        groups: Number of groups.
    """
    weights = Convolution(features, 3, stride, padding=1, groups=groups, use_bias=False)
    return sequential(conv=weights, bn=BatchNormalization(), relu=ReLU())


ENTRIES: tuple[Entry, ...] = (
    Entry(resnext50_32x4d, 224, 25_028_904, 4_230_479_872),
    Entry(resnext101_32x8d, 224, 88_791_336, 16_414_015_488),
    Entry(resnext101_64x4d, 224, 83_455_272, 15_460_270_080),
    Entry(resnext29_8x64d, 32, 34_426_698, 5_387_266_048),
    Entry(resnext29_16x64d, 32, 68_155_210, 10_688_866_304),
)
