"""A small Inception for CIFAR-10, of the paper that trained networks on random labels.

Zhang, Bengio, Hardt, Recht, Vinyals (2017): Understanding deep learning requires rethinking
generalization. arXiv 1611.03530, appendix A, figure 3 and table 1.

A module is a 1x1 and a 3x3 convolution side by side; one that halves the grid is a 3x3 convolution
and a 3x3 max pool with stride 2 side by side.

Conventions: 28 pixels, which the paper cuts out of the middle of CIFAR's 32 (at 32 the last maps
have 8x8 pixels instead of 7x7, and nothing else changes); convolutions and pools with stride 2 are
padded so that 28 pixels give 14 and 14 give 7, 0 before and 1 behind as in TensorFlow; batch-norm
epsilon 1e-3. Batch normalization has a bias and no scale: so the 1,649,402 parameters of the
paper's table 1 come out.
"""

from __future__ import annotations

from ablax.core import Chain, Layers, Network, chain
from ablax.layers import BatchNormalization, Convolution, MaxPool, Parallel, ReLU
from ablax.zoo import heads
from ablax.zoo.alexnet import check_width, scaled
from ablax.zoo.entry import Entry
from ablax.zoo.inception_modules import EPSILON


def inception_small(classes: int = 10, width: float = 1.0) -> Network:
    """The small Inception, for images of 28 or 32 pixels.

    At width 1, with 10 classes and 3 channels, 1,649,402 parameters, as the paper's table 1 prints,
    and 204,219,680 multiply-accumulates at 28 pixels.

    Args:
        classes: Scores an image.
        width: Factor on the features of every layer but the last, more than 0.

    Raises:
        AblaxError: The width is not positive.
    """
    check_width(width)

    def convolution(features: int, window: int, stride: int = 1) -> Chain:
        return _convolution(scaled(features, width), window, stride)

    def inception(one: int, three: int) -> Parallel:
        return Parallel(
            Layers(branch1x1=convolution(one, 1), branch3x3=convolution(three, 3)),
        )

    def downsample(three: int) -> Parallel:
        return Parallel(
            Layers(branch3x3=convolution(three, 3, 2), branch_pool=MaxPool(3, 2, "SAME"))
        )

    return Network(
        tail=Layers(conv1=convolution(96, 3)),
        body=Layers(
            inception_1a=inception(32, 32),
            inception_1b=inception(32, 48),
            downsample1=downsample(80),
            inception_2a=inception(112, 48),
            inception_2b=inception(96, 64),
            inception_2c=inception(80, 80),
            inception_2d=inception(48, 96),
            downsample2=downsample(96),
            inception_3a=inception(176, 160),
            inception_3b=inception(176, 160),
        ),
        head=heads.global_average_pool(classes),
    )


def _convolution(features: int, window: int, stride: int) -> Chain:
    return chain(
        conv=Convolution(features, window, stride, use_bias=False),
        bn=BatchNormalization(epsilon=EPSILON, use_scale=False),
        relu=ReLU(),
    )


ENTRIES: tuple[Entry, ...] = (Entry(inception_small, 28, 1_649_402, 204_219_680),)
