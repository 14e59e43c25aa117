"""Pre-activated residual networks, whose shortcuts nothing interrupts: "paper 2".

He, Zhang, Ren, Sun (2016): Identity mappings in deep residual networks. arXiv 1603.05027,
section 4, tables 2 to 5. Authors' code: KaimingHe/resnet-1k-layers.

A block adds W ReLU(BN(...)) to its input and does nothing to the sum. The first block activates
in front of its fork, right behind the first convolution, and the last sum is activated once more
(the paper's appendix); so do blocks that change the shape, whose projection has no normalization
of its own (the authors' code).

Conventions, ImageNet: as timm's `resnetv2_50`, the stride is in the 3x3 and `conv1` has no
normalization; the max pool is padded by 1 and rounds down. The paper does not say where its stride
is; the authors' code, for CIFAR, has it in the first 1x1, and so have the networks for CIFAR here.
Batch-norm epsilon 1e-5, every scale starts at 1.

The paper's errors are of one crop of 320 pixels, its networks trained on 224.
"""

from __future__ import annotations

from ablax.core import Layers, Network, chain
from ablax.zoo.entry import Entry
from ablax.zoo.resnet import resnet
from ablax.zoo.resnet_blocks import (
    basic,
    bottleneck,
    bottleneck_v1,
    option_a,
    weights,
)
from ablax.zoo.resnet_cifar import resnet_cifar, resnet_cifar_bottleneck
from ablax.zoo.resnet_orders import (
    activate_ends,
    bn_after_addition,
    full_preactivation,
    relu_before_addition,
    relu_preactivation,
)


def resnet50_preactivation(classes: int = 1000) -> Network:
    """Pre-activated ResNet-50: 25,549,352 parameters, 4.089 G multiply-accumulates.

    Args:
        classes: Scores an image.
    """
    return preactivation((3, 4, 6, 3), classes)


def resnet101_preactivation(classes: int = 1000) -> Network:
    """Pre-activated ResNet-101: 44,541,480 parameters, 7.801 G multiply-accumulates.

    Args:
        classes: Scores an image.
    """
    return preactivation((3, 4, 23, 3), classes)


def resnet152_preactivation(classes: int = 1000) -> Network:
    """Pre-activated ResNet-152: 60,185,128 parameters, 11.514 G multiply-accumulates.

    The paper's table 5 has 21.1 / 5.5 % error (top-1, top-5).

    Args:
        classes: Scores an image.
    """
    return preactivation((3, 8, 36, 3), classes)


def resnet200_preactivation(classes: int = 1000) -> Network:
    """Pre-activated ResNet-200: 64,666,152 parameters, 15.007 G multiply-accumulates.

    16 blocks more than 152 at 28 pixels; the paper's table 5 has 20.7 / 5.3 % error (top-1, top-5).

    Args:
        classes: Scores an image.
    """
    return preactivation((3, 24, 36, 3), classes)


def preactivation110(classes: int = 10) -> Network:
    """Pre-activated ResNet-110 for CIFAR-10, two 3x3 a block: 6.37 % error.

    As many parameters as `resnet110`, 1,727,962: the same layers in another order. Shortcuts are
    identities (option A, which the paper does not say); the two blocks that halve the maps
    activate in front of the fork.

    Args:
        classes: Scores an image.
    """
    return preactivation_cifar(110, classes)


def preactivation164(classes: int = 10) -> Network:
    """Pre-activated ResNet-164 for CIFAR-10, of bottlenecks: 5.46 % error.

    1,703,258 parameters; the paper rounds to 1.7 M.

    Args:
        classes: Scores an image.
    """
    return preactivation_cifar_bottleneck(164, classes)


def preactivation1001(classes: int = 10) -> Network:
    """Pre-activated ResNet-1001 for CIFAR-10: 4.92 % error, 4.62 % with batches of 64.

    10,327,706 parameters as derived from the authors' code. The paper prints 10.2 M, which is what
    remains without batch normalization (10,178,490).

    Args:
        classes: Scores an image.
    """
    return preactivation_cifar_bottleneck(1001, classes)


def resnet110_bn_after_addition(classes: int = 10) -> Network:
    """ResNet-110 in the order of figure 4(b): 8.17 % error.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(110, classes, bn_after_addition(basic, option_a))


def resnet110_relu_before_addition(classes: int = 10) -> Network:
    """ResNet-110 in the order of figure 4(c): 7.84 % error.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(110, classes, relu_before_addition(basic, option_a))


def resnet110_relu_preactivation(classes: int = 10) -> Network:
    """ResNet-110 in the order of figure 4(d): 6.71 % error.

    Args:
        classes: Scores an image.
    """
    return activate_ends(resnet_cifar(110, classes, relu_preactivation(basic, option_a)))


def preactivation(
    counts: tuple[int, ...], classes: int = 1000, features: int = 256, channels: int = 64
) -> Network:
    """A pre-activated network of bottlenecks for ImageNet.

    Args:
        counts: Blocks of each stage.
        classes: Scores an image.
        features: Of the first stage; they double from stage to stage.
        channels: Of `conv1`.
    """
    block = full_preactivation(bottleneck, bare_projection)
    return _bare_start(resnet(counts, block, features, classes, channels))


def preactivation_cifar(depth: int, classes: int = 10, features: int = 16) -> Network:
    """A pre-activated network of 6n + 2 layers for small images, two 3x3 a block.

    Args:
        depth: Weight layers, 6n + 2.
        classes: Scores an image.
        features: Of `conv1` and the first stage; they double from stage to stage.

    Raises:
        AblaxError: No network has this depth; the message names the nearest.
    """
    block = full_preactivation(basic, option_a)
    return _bare_start(resnet_cifar(depth, classes, block, features))


def preactivation_cifar_bottleneck(depth: int, classes: int = 10, features: int = 16) -> Network:
    """A pre-activated network of 9n + 2 layers for small images, of bottlenecks.

    Args:
        depth: Weight layers, 9n + 2.
        classes: Scores an image.
        features: Of `conv1`; the first stage has four times as many, and they double.

    Raises:
        AblaxError: No network has this depth; the message names the nearest.
    """
    block = full_preactivation(bottleneck_v1, bare_projection)
    return _bare_start(resnet_cifar_bottleneck(depth, classes, block, features))


def bare_projection(channels: int, features: int, stride: int) -> Layers:
    """Option B without normalization, which the activation in front of the fork has done."""
    if (channels, stride) == (features, 1):
        return Layers()
    return Layers(projection=chain(conv=weights(features, 1, stride)))


def _bare_start(network: Network) -> Network:
    """`conv1` without normalization and ReLU, which the first block has; the ends activated."""
    conv1 = network.tail["conv1"].layers["conv"]  # type: ignore[attr-defined]
    tail = Layers({**dict(network.tail.items()), "conv1": chain(conv=conv1)})
    return activate_ends(network.copy(tail=tail))


ENTRIES: tuple[Entry, ...] = (
    Entry(resnet50_preactivation, 224, 25_549_352, 4_089_184_256),
    Entry(resnet101_preactivation, 224, 44_541_480, 7_801_405_440),
    Entry(resnet152_preactivation, 224, 60_185_128, 11_513_626_624),
    Entry(resnet200_preactivation, 224, 64_666_152, 15_007_481_856),
    Entry(preactivation110, 32, 1_727_962, 252_887_680),
    Entry(preactivation164, 32, 1_703_258, 244_500_992),
    Entry(preactivation1001, 32, 10_327_706, 1_487_849_984),
    Entry(resnet110_bn_after_addition, 32, 1_727_962, 252_887_680),
    Entry(resnet110_relu_before_addition, 32, 1_727_962, 252_887_680),
    Entry(resnet110_relu_preactivation, 32, 1_727_962, 252_887_680),
)
