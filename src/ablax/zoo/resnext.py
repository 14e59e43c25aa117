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

The errors on ImageNet are of one crop of 224 pixels. Those on CIFAR-10 are of pre-activated blocks
and batches of 256, says the authors' README, which prefers the blocks here and batches of 128.
"""

from __future__ import annotations

from functools import partial

from ablax.core import Network
from ablax.errors import AblaxError
from ablax.zoo.register import TORCHVISION, row
from ablax.zoo.resnet import Block, option_b, original, resnet, resnet_cifar_bottleneck


def resnext(counts: tuple[int, ...], cardinality: int, width: int, classes: int = 1000) -> Network:
    """The template for ImageNet: a ResNet whose bottlenecks are aggregates."""
    return resnet(counts, aggregate(cardinality, width), 256, classes)


def resnext_cifar(
    depth: int, cardinality: int, width: int, classes: int = 10, features: int = 64
) -> Network:
    """The template for images of 32 pixels: three stages of equally many blocks, 9n + 2 layers.

    `conv1` has as many features as are given, the first stage four times as many; `width` is that
    of a branch in the first stage where they are 64.
    """
    return resnet_cifar_bottleneck(depth, classes, aggregate(cardinality, width), features)


def aggregate(cardinality: int, width: int) -> Block:
    """Blocks of figure 3(c): 1x1, 3x3 in C groups with the stride, 1x1; shortcuts of option B.

    The width is that of a branch in a block of 256 features; others are in proportion.
    `aggregate(1, 64)` is the bottleneck of a ResNet, with its stride in the 3x3.

    Raises:
        AblaxError: In use, when a branch of a narrower block has no feature left.
    """

    def layers(features: int, stride: int) -> tuple[tuple[int, ...], ...]:
        inner = cardinality * (width * features // 256)
        if inner < 1:
            raise AblaxError(
                f"branches of width {width} at 256 features have none at {features}: widen them"
            )
        return ((inner, 1, 1), (inner, 3, stride, cardinality), (features, 1, 1))

    return original(layers, option_b)


_imagenet = partial(row, resnext, 224)
_of_vision = partial(_imagenet, counted=TORCHVISION)
_cifar = partial(row, resnext_cifar, 32, source="Xie et al. 2016, table 7")

resnext50_32x4d = _of_vision(
    ((3, 4, 6, 3), 32, 4), 25_028_904, 4_230_479_872, (22.2,), source="Xie et al. 2016, table 3"
)
# torchvision's; the paper has 32x4d and 64x4d only.
resnext101_32x8d = _imagenet(((3, 4, 23, 3), 32, 8), 88_791_336, 16_414_015_488)
# Twice the branches of 32x4d: the paper's best.
resnext101_64x4d = _of_vision(
    ((3, 4, 23, 3), 64, 4), 83_455_272, 15_460_270_080, (20.4,), source="Xie et al. 2016, table 4"
)
resnext29_8x64d = _cifar((29, 8, 64), 34_426_698, 5_387_266_048, (3.65,))
resnext29_16x64d = _cifar((29, 16, 64), 68_155_210, 10_688_866_304, (3.58,))
