"""Tails: from the image to the size and the features at which a body starts.

The lectures (L2) ask of a tail that it shrinks the image fast and adds channels without losing
what matters; after it, each stage of a body halves rows and columns and doubles the channels.

| tail | stride | receptive field, pixels | source |
|---|---|---|---|
| `cifar` | 1 | 3 | He, Zhang, Ren, Sun 2015, Deep residual learning, section 4.2 |
| `vgg` | 2 | 6 | Simonyan, Zisserman 2014, Very deep convolutional networks, table 1 |
| `resnet` | 4 | 11 | He, Zhang, Ren, Sun 2015, Deep residual learning, table 1 |
| `caffe` | 4 | 11 | the prototxt files of He et al. 2015, and of Hu et al. 2017 |
| `plain` | 4 | 11 | Szegedy et al. 2014, Going deeper with convolutions, table 1 |
| `senet` | 4 | 15 | Hu, Shen, Sun 2017, Squeeze-and-excitation networks, on SENet-154 |
| `alexnet` | 8 | 19 | Krizhevsky, Sutskever, Hinton 2012, ImageNet classification, section 3.5 |

`features` are those of the last convolution.
"""

from __future__ import annotations

from ablax.core import Layers
from ablax.layers import LocalResponseNormalization, MaxPool, ReLU
from ablax.layers.normalization import normalized, rectified


def resnet(features: int = 64) -> Layers:
    """7x7/2 convolution with batch normalization, 3x3/2 max pool: 224 pixels to 56.

    Both are padded as PyTorch's definition is (3 and 1 on each side), and round down.
    """
    return Layers(conv1=normalized(features, 7, 2, relu=ReLU()), pool1=MaxPool(3, 2, padding=1))


def caffe(features: int = 64) -> Layers:
    """As `resnet`, with an unpadded pool that rounds up: 224 pixels to 112 to 56.

    So the authors' Caffe files of residual and squeeze-and-excitation networks have it. The last
    window of the pool hangs over the edge instead of the first.
    """
    return Layers(
        conv1=normalized(features, 7, 2, relu=ReLU()), pool1=MaxPool(3, 2, ceil_mode=True)
    )


def plain(features: int = 64) -> Layers:
    """7x7/2 convolution with a bias and no normalization, 3x3/2 max pool: GoogLeNet's first layers.

    224 pixels to 112 to 56; the pool rounds up.
    """
    return Layers(conv1=rectified(features, 7, 2, 3), pool1=MaxPool(3, 2, ceil_mode=True))


def senet(features: int = 128) -> Layers:
    """Three 3x3 convolutions, the first with stride 2, and a 3x3/2 max pool that rounds up.

    Instead of one 7x7: three layers cost more and see 11 pixels instead of 7. The first two have
    half of the features.
    """
    return Layers(
        conv1_1=normalized(features // 2, 3, 2, relu=ReLU()),
        conv1_2=normalized(features // 2, 3, relu=ReLU()),
        conv1_3=normalized(features, 3, relu=ReLU()),
        pool1=MaxPool(3, 2, ceil_mode=True),
    )


def alexnet(features: int = 96) -> Layers:
    """11x11/4 convolution, response normalization, 3x3/2 max pool: 227 pixels to 55 to 27."""
    return Layers(
        conv1=rectified(features, 11, 4, "VALID"),
        norm1=LocalResponseNormalization(),
        pool1=MaxPool(3, 2),
    )


def vgg(features: int = 64) -> Layers:
    """Two 3x3 convolutions and a 2x2/2 max pool: the first stage of VGG B to E."""
    return Layers(
        conv1_1=rectified(features, 3),
        conv1_2=rectified(features, 3),
        pool1=MaxPool(2, 2),
    )


def cifar(features: int = 16) -> Layers:
    """One 3x3 convolution with batch normalization that keeps the size, for images of 32 pixels."""
    return Layers(conv1=normalized(features, 3, relu=ReLU()))
