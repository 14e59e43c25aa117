"""VGG: stacks of 3x3 convolutions, from 11 to 19 layers with weights.

Simonyan, Zisserman (2014): Very deep convolutional networks for large-scale image recognition.
arXiv 1409.1556, table 1 and section 2.

Two 3x3 convolutions see 5 pixels with 18 weights a pair of channels instead of 25, three see 7 with
27 instead of 49, and pass a nonlinearity more each (L2). Six networks from one table: a stage
doubles the features up to 512, and a 2x2/2 max pool ends it.

Conventions: all convolutions keep the size, and 224 pixels halve five times to 7, so nothing is
rounded. No batch normalization, as in the paper; `vgg_small` has it.

Differences from the paper: scores instead of probabilities, and weights initialized as in He et al.
(2015). The paper initializes network A from a Gaussian and the others from its trained layers; with
He's std all of them train from scratch. The paper's errors are of whole rescaled images, with the
dense layers run as convolutions; torchvision reports those of its weights, of its own training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ablax.core import Layers, Network, Sequential, insert_after, sequential
from ablax.errors import AblaxError
from ablax.layers import BatchNormalization, Convolution, Dense, Flatten, MaxPool, ReLU
from ablax.layers.normalization import LocalResponseNormalization, rectified
from ablax.zoo import heads
from ablax.zoo.alexnet import scaled
from ablax.zoo.register import BY_HAND, TORCHVISION, network, row

Stages = tuple[tuple[int, ...], ...]
"""The windows of the convolutions of each stage."""

# Table 1, column by column. The 1x1 convolutions of C keep the number of features: they add a
# nonlinearity, and no pixels.
A: Stages = ((3,), (3,), (3, 3), (3, 3), (3, 3))
B: Stages = ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3))
C: Stages = ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1))
D: Stages = ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
E: Stages = ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3))

FEATURES = (64, 128, 256, 512, 512)
"""Of the convolutions of each stage."""


def vgg(stages: Stages, classes: int = 1000) -> Network:
    """The network of a column of table 1, `A` to `E` or five stages of your own, for 224 pixels.

    Raises:
        AblaxError: Not five stages, or an empty one.

    Example:
        >>> from ablax.core import count_parameters
        >>> count_parameters(vgg(D), (224, 224, 3))
        138357544
    """
    tail, body = _tail_and_body(stages, rectified, MaxPool(2, 2))
    hidden = heads.hidden_layer(4096)
    head = Layers(vectorize=Flatten(), fc6=hidden, fc7=hidden, fc8=Dense(classes))
    return Network(tail, body, head)


_column = partial(row, vgg, 224, counted=TORCHVISION)

vgg_a = _column((A,), 132_863_336, 7_609_090_048)


@network(224, 132_863_336, 7_609_090_048, counted=TORCHVISION)
def vgg_a_lrn(classes: int = 1000) -> Network:
    """Column A-LRN: A with local response normalization behind the first convolution.

    The constants are AlexNet's: alpha 1e-4 multiplies the sum over 5 channels, k is 2. The paper
    finds no gain over A.
    """
    return insert_after("conv1_1", norm1=LocalResponseNormalization())(vgg_a(classes))


vgg_b = _column((B,), 133_047_848, 11_308_466_176)
vgg_c = _column((C,), 133_638_952, 11_770_888_192, counted=BY_HAND)
vgg_d = _column((D,), 138_357_544, 15_470_264_320)
vgg_e = _column((E,), 143_667_240, 19_632_062_464)


@network(32, 14_724_042, 313_201_664)
def vgg_small(classes: int = 10, stages: Stages = D, width: float = 1.0) -> Network:
    """VGG for images of 32 or 28 pixels: batch normalization everywhere, one dense layer.

    With D, the usual VGG-16 for CIFAR-10. Five pools leave one pixel, which makes the dense layers
    of the paper pointless: one classifies. The pools round up, so that 28 pixels leave one too; at
    32 nothing is rounded. Batch-norm epsilon 1e-5.

    Liu and Deng brought VGG-16 with batch normalization to CIFAR-10 (8.45 % error), with dropout
    between the convolutions and a hidden dense layer of 512 units. Neither is in the form that is
    usual since (VGG in kuangliu/pytorch-cifar), which is this one but for the biases it keeps in
    front of each batch normalization, which takes them out again.

    References:
        Liu, Deng 2015, Very deep convolutional neural network based image classification using
        small training sample size, ACPR.
    """

    def convolution(features: int, window: int) -> Sequential:
        narrow = Convolution(scaled(features, width), window, use_bias=False)
        return sequential(conv=narrow, bn=BatchNormalization(), relu=ReLU())

    tail, body = _tail_and_body(stages, convolution, MaxPool(2, 2, ceil_mode=True))
    return Network(tail, body, Layers(vectorize=Flatten(), fc6=Dense(classes)))


def _tail_and_body(
    stages: Stages, convolution: Callable[[int, int], Sequential], pool: MaxPool
) -> tuple[Layers, Layers]:
    """`conv1_1` to `pool1`, and `conv2_1` to `pool5`."""
    if len(stages) != len(FEATURES) or not all(stages):
        raise AblaxError(
            f"VGG has five stages of at least one convolution, and {stages} was given: write the "
            "windows of each, as in A or D"
        )
    parts = []
    for stage, (features, windows) in enumerate(zip(FEATURES, stages, strict=True), start=1):
        layers = {
            f"conv{stage}_{number}": convolution(features, window)
            for number, window in enumerate(windows, start=1)
        }
        parts.append(Layers(layers) + Layers({f"pool{stage}": pool}))
    return parts[0], sum(parts[1:], Layers())
