"""ResNet-110 with something in the way of every shortcut.

He, Zhang, Ren, Sun (2016): Identity mappings in deep residual networks. arXiv 1603.05027,
section 3.1, figure 2 and table 1.

| figure | block | on the shortcut | on the residual | error, % |
|---|---|---|---|---|
| 2(a) | `original(basic, option_a)` | 1 | 1 | 6.61 |
| 2(b) | `constant_scaling` | 0; 0.5; 0.5 | 1; 1; 0.5 | above 20; above 20; 12.35 |
| 2(c) | `exclusive_gating` | 1 - g | g | 8.70 at a bias of -6, 9.81 at -7, above 20 from 0 to -5 |
| 2(d) | `shortcut_gating` | 1 - g | 1 | 12.86 at a bias of 0, 6.91 at -6 |
| 2(e) | `original(basic, option_c)` | 1x1 convolution | 1 | 12.22 |
| 2(f) | `dropout_shortcut` | dropout 0.5 | 1 | above 20 |

The errors are the paper's, on CIFAR-10, median of five runs; a scale of 0 is the plain network.

What the paper leaves open, and is so here: two shortcuts change the shape, by option A, and what
stands in the way stands behind that; a gate g = sigmoid(W s + b) is a 1x1 convolution of what the
shortcut carries, with as many features, a bias and no normalization; the 1x1 convolution of 2(e)
has one, as the caption of figure 2 says of weight layers. The ReLU stands behind the sum.
"""

from __future__ import annotations

import functools

from jax.nn.initializers import constant

from ablax.core import Layers, Network, chain
from ablax.layers import Convolution, Dropout, Gate, ReLU, Residual, Sigmoid
from ablax.layers.blocks import Highway
from ablax.layers.dense import Scale
from ablax.layers.initializers import Initializer
from ablax.zoo.entry import Entry
from ablax.zoo.resnet_blocks import (
    Block,
    basic,
    convolution,
    linear,
    option_a,
    option_c,
)
from ablax.zoo.resnet_cifar import resnet_cifar
from ablax.zoo.resnet_orders import original


def resnet110_constant_scaling(classes: int = 10) -> Network:
    """Figure 2(b): half of the shortcut and half of the residual; 12.35 % error.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(110, classes, constant_scaling(0.5, 0.5))


def resnet110_exclusive_gating(classes: int = 10) -> Network:
    """Figure 2(c): a gate divides between the two, from a bias of -6; 8.70 % error.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(110, classes, exclusive_gating(-6.0))


def resnet110_shortcut_gating(classes: int = 10) -> Network:
    """Figure 2(d): a gate on the shortcut alone, from a bias of -6; 6.91 % error.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(110, classes, shortcut_gating(-6.0))


def resnet110_convolution_shortcut(classes: int = 10) -> Network:
    """Figure 2(e): a 1x1 convolution on every shortcut, option C; 12.22 % error.

    Args:
        classes: Scores an image.
    """
    return resnet_cifar(110, classes, original(basic, option_c))


def resnet110_dropout_shortcut(classes: int = 10) -> Network:
    """Figure 2(f): dropout of 0.5 on every shortcut; above 20 % error.

    Args:
        classes: Scores an image.
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
        bias: Where each b starts; the paper searched from 0 to -10.
    """

    def block(channels: int, features: int, stride: int) -> Highway:
        return Highway(
            residual=_two(features, stride),
            gate=Layers(gate=chain(conv=_gate(features, bias), sigmoid=Sigmoid())),
            shortcut=option_a(channels, features, stride),
            after=Layers(relu=ReLU()),
        )

    return block


def shortcut_gating(bias: float) -> Block:
    """Figure 2(d): y = relu((1 - g) x + F(x)), g = sigmoid(W x + b).

    Written with 1 - sigmoid(z) = sigmoid(-z).

    Args:
        bias: Where each b starts; very negative is nearly the identity.
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


ENTRIES: tuple[Entry, ...] = (
    Entry(resnet110_constant_scaling, 32, 1_727_962, 252_887_680),
    Entry(resnet110_exclusive_gating, 32, 1_826_746, 267_043_456),
    Entry(resnet110_shortcut_gating, 32, 1_826_746, 267_043_456),
    Entry(resnet110_convolution_shortcut, 32, 1_826_202, 266_781_312),
    Entry(resnet110_dropout_shortcut, 32, 1_727_962, 252_887_680),
)
