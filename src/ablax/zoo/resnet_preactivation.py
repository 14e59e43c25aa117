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
Batch-norm epsilon 1e-5, every scale is initialized with 1.

The paper's errors are of one crop of 320 pixels, its networks trained on 224.
"""

from __future__ import annotations

import functools

from jax.nn.initializers import constant

from ablax.core import Layers, Network, sequential
from ablax.layers import Convolution, Dropout, Gate, ReLU, Residual, Sigmoid
from ablax.layers.blocks import Highway
from ablax.layers.dense import Scale
from ablax.layers.initializers import Initializer
from ablax.zoo.register import Entry
from ablax.zoo.resnet import (
    Block,
    activate_ends,
    basic,
    bn_after_addition,
    bottleneck,
    bottleneck_v1,
    convolution,
    full_preactivation,
    linear,
    option_a,
    option_c,
    original,
    relu_before_addition,
    relu_preactivation,
    resnet,
    resnet_cifar,
    resnet_cifar_bottleneck,
    weights,
)


def resnet50_preactivation(classes: int = 1000) -> Network:
    """Pre-activated ResNet-50: 25,549,352 parameters, 4.089 G multiply-accumulates.

    Args:
        classes: Scores per image.
    """
    return preactivation((3, 4, 6, 3), classes)


def resnet101_preactivation(classes: int = 1000) -> Network:
    """Pre-activated ResNet-101: 44,541,480 parameters, 7.801 G multiply-accumulates.

    Args:
        classes: Scores per image.
    """
    return preactivation((3, 4, 23, 3), classes)


def resnet152_preactivation(classes: int = 1000) -> Network:
    """Pre-activated ResNet-152: 60,185,128 parameters, 11.514 G multiply-accumulates.

    The paper's table 5 has 21.1 / 5.5 % error (top-1, top-5).

    Args:
        classes: Scores per image.
    """
    return preactivation((3, 8, 36, 3), classes)


def resnet200_preactivation(classes: int = 1000) -> Network:
    """Pre-activated ResNet-200: 64,666,152 parameters, 15.007 G multiply-accumulates.

    16 blocks more than 152 at 28 pixels; the paper's table 5 has 20.7 / 5.3 % error (top-1, top-5).

    Args:
        classes: Scores per image.
    """
    return preactivation((3, 24, 36, 3), classes)


def preactivation110(classes: int = 10) -> Network:
    """Pre-activated ResNet-110 for CIFAR-10, two 3x3 a block: 6.37 % error.

    As many parameters as `resnet110`, 1,727,962: the same layers in another order. Shortcuts are
    identities (option A, which the paper does not say); the two blocks that halve the maps
    activate in front of the fork.

    Args:
        classes: Scores per image.
    """
    return preactivation_cifar(110, classes)


def preactivation164(classes: int = 10) -> Network:
    """Pre-activated ResNet-164 for CIFAR-10, of bottlenecks: 5.46 % error.

    1,703,258 parameters; the paper rounds to 1.7 M.

    Args:
        classes: Scores per image.
    """
    return preactivation_cifar_bottleneck(164, classes)


def preactivation1001(classes: int = 10) -> Network:
    """Pre-activated ResNet-1001 for CIFAR-10: 4.92 % error, 4.62 % with batches of 64.

    10,327,706 parameters as derived from the authors' code. The paper prints 10.2 M, which is what
    remains without batch normalization (10,178,490).

    Args:
        classes: Scores per image.
    """
    return preactivation_cifar_bottleneck(1001, classes)


def resnet110_bn_after_addition(classes: int = 10) -> Network:
    """ResNet-110 in the order of figure 4(b): 8.17 % error.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(110, classes, bn_after_addition(basic, option_a))


def resnet110_relu_before_addition(classes: int = 10) -> Network:
    """ResNet-110 in the order of figure 4(c): 7.84 % error.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(110, classes, relu_before_addition(basic, option_a))


def resnet110_relu_preactivation(classes: int = 10) -> Network:
    """ResNet-110 in the order of figure 4(d): 6.71 % error.

    Args:
        classes: Scores per image.
    """
    return activate_ends(resnet_cifar(110, classes, relu_preactivation(basic, option_a)))


def preactivation(
    counts: tuple[int, ...], classes: int = 1000, features: int = 256, channels: int = 64
) -> Network:
    """A pre-activated network of bottlenecks for ImageNet.

    Args:
        counts: Blocks of each stage.
        classes: Scores per image.
        features: Of the first stage; they double from stage to stage.
        channels: Of `conv1`.
    """
    block = full_preactivation(bottleneck, bare_projection)
    return _bare_start(resnet(counts, block, features, classes, channels))


def preactivation_cifar(depth: int, classes: int = 10, features: int = 16) -> Network:
    """A pre-activated network of 6n + 2 layers for small images, two 3x3 a block.

    Args:
        depth: Weight layers, 6n + 2.
        classes: Scores per image.
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
        classes: Scores per image.
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
    return Layers(projection=sequential(conv=weights(features, 1, stride)))


def _bare_start(network: Network) -> Network:
    """`conv1` without normalization and ReLU, which the first block has; the ends activated."""
    conv1 = network.tail["conv1"].layers["conv"]  # type: ignore[attr-defined]
    tail = Layers({**dict(network.tail.items()), "conv1": sequential(conv=conv1)})
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


# ------------------------------------------------------------------------------------------
# ResNet-110 with something in the way of every shortcut.
#
# He, Zhang, Ren, Sun (2016): Identity mappings in deep residual networks. arXiv 1603.05027,
# section 3.1, figure 2 and table 1.
#
# | figure | block | on the shortcut | on the residual | error, % |
# |---|---|---|---|---|
# | 2(a) | `original(basic, option_a)` | 1 | 1 | 6.61 |
# | 2(b) | `constant_scaling` | 0; 0.5; 0.5 | 1; 1; 0.5 | above 20; above 20; 12.35 |
# | 2(c) | `exclusive_gating` | 1 - g | g | bias -6: 8.70, -7: 9.81; above 20 from 0 to -5 |
# | 2(d) | `shortcut_gating` | 1 - g | 1 | 12.86 at a bias of 0, 6.91 at -6 |
# | 2(e) | `original(basic, option_c)` | 1x1 convolution | 1 | 12.22 |
# | 2(f) | `dropout_shortcut` | dropout 0.5 | 1 | above 20 |
#
# The errors are the paper's, on CIFAR-10, median of five runs; a scale of 0 is the plain network.
#
# What the paper leaves open, and is so here: two shortcuts change the shape, by option A, and what
# stands in the way stands behind that; a gate g = sigmoid(W s + b) is a 1x1 convolution of what the
# shortcut carries, with as many features, a bias and no normalization; the 1x1 convolution of 2(e)
# has one, as the caption of figure 2 says of weight layers. The ReLU stands behind the sum.


def resnet110_constant_scaling(classes: int = 10) -> Network:
    """Figure 2(b): half of the shortcut and half of the residual; 12.35 % error.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(110, classes, constant_scaling(0.5, 0.5))


def resnet110_exclusive_gating(classes: int = 10) -> Network:
    """Figure 2(c): a gate divides between the two, from a bias of -6; 8.70 % error.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(110, classes, exclusive_gating(-6.0))


def resnet110_shortcut_gating(classes: int = 10) -> Network:
    """Figure 2(d): a gate on the shortcut alone, from a bias of -6; 6.91 % error.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(110, classes, shortcut_gating(-6.0))


def resnet110_convolution_shortcut(classes: int = 10) -> Network:
    """Figure 2(e): a 1x1 convolution on every shortcut, option C; 12.22 % error.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(110, classes, original(basic, option_c))


def resnet110_dropout_shortcut(classes: int = 10) -> Network:
    """Figure 2(f): dropout of 0.5 on every shortcut; above 20 % error.

    Args:
        classes: Scores per image.
    """
    return resnet_cifar(110, classes, dropout_shortcut(0.5))


def constant_scaling(shortcut: float, residual: float) -> Block:
    """Figure 2(b): y = relu(a x + b F(x)) with constants a and b.

    Args:
        shortcut: a.
        residual: b.
    """

    def block(channels: int, features: int, stride: int) -> Residual:
        return Residual(
            residual=_two(features, stride) + Layers(scale_residual=Scale(residual)),
            shortcut=option_a(channels, features, stride) + Layers(scale=Scale(shortcut)),
            after=Layers(relu=ReLU()),
        )

    return block


def exclusive_gating(bias: float) -> Block:
    """Figure 2(c): y = relu((1 - g) x + g F(x)), g = sigmoid(W x + b), as in highway networks.

    Args:
        bias: Initial value of each b; the paper searched from 0 to -10.
    """

    def block(channels: int, features: int, stride: int) -> Highway:
        return Highway(
            residual=_two(features, stride),
            gate=Layers(gate=sequential(conv=_gate(features, bias), sigmoid=Sigmoid())),
            shortcut=option_a(channels, features, stride),
            after=Layers(relu=ReLU()),
        )

    return block


def shortcut_gating(bias: float) -> Block:
    """Figure 2(d): y = relu((1 - g) x + F(x)), g = sigmoid(W x + b).

    Written with 1 - sigmoid(z) = sigmoid(-z).

    Args:
        bias: Initial value of each b; very negative is nearly the identity.
    """

    def block(channels: int, features: int, stride: int) -> Residual:
        gate = Gate(
            Layers(conv=_gate(features, bias), negative=Scale(-1.0), sigmoid=Sigmoid()),
        )
        return Residual(
            residual=_two(features, stride),
            shortcut=option_a(channels, features, stride) + Layers(gate=gate),
            after=Layers(relu=ReLU()),
        )

    return block


def dropout_shortcut(rate: float) -> Block:
    """Figure 2(f): y = relu(dropout(x) + F(x)).

    Args:
        rate: In [0, 1).
    """

    def block(channels: int, features: int, stride: int) -> Residual:
        return Residual(
            residual=_two(features, stride),
            shortcut=option_a(channels, features, stride) + Layers(dropout=Dropout(rate)),
            after=Layers(relu=ReLU()),
        )

    return block


def _two(features: int, stride: int) -> Layers:
    """The residual of `original(basic, ...)`."""
    return Layers(conv1=convolution(features, 3, stride), conv2=linear(features, 3))


def _gate(features: int, bias: float) -> Convolution:
    return Convolution(features, 1, bias_init=_constant(bias))


@functools.cache
def _constant(value: float) -> Initializer:
    """The same function for the same value, or equal networks would not compare equal."""
    return constant(value)


RESNET_SHORTCUTS_ENTRIES: tuple[Entry, ...] = (
    Entry(resnet110_constant_scaling, 32, 1_727_962, 252_887_680),
    Entry(resnet110_exclusive_gating, 32, 1_826_746, 267_043_456),
    Entry(resnet110_shortcut_gating, 32, 1_826_746, 267_043_456),
    Entry(resnet110_convolution_shortcut, 32, 1_826_202, 266_781_312),
    Entry(resnet110_dropout_shortcut, 32, 1_727_962, 252_887_680),
)
