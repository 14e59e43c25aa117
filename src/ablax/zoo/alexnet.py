"""AlexNet, the network that won ImageNet in 2012, and its forms.

Krizhevsky, Sutskever, Hinton (2012): ImageNet classification with deep convolutional neural
networks. NIPS 25, section 3 and figure 2.

Differences from the paper, in all forms: one device instead of two, and scores instead of
probabilities (the softmax belongs to the loss).
"""

from __future__ import annotations

from ablax.core import Chain, Layers, Network, chain
from ablax.errors import AblaxError
from ablax.layers import (
    Convolution,
    Dense,
    Dropout,
    LocalResponseNormalization,
    MaxPool,
    ReLU,
    Vectorize,
)
from ablax.layers.initializers import GAUSSIAN_001, HE_NORMAL, ONES, ZEROS, Initializer


def alexnet(classes: int = 1000) -> Network:
    """AlexNet as in 2012: images of 227 pixels, convolutions 2, 4 and 5 in two groups.

    60,965,224 parameters and 0.724 G multiply-accumulates. The paper writes 224 pixels, with which
    its first layer does not give 55 positions; 227 does: (227 - 11) / 4 + 1 = 55. Weights start
    from a Gaussian of deviation 0.01, biases at 1 in layers 2, 4, 5, 6 and 7 and 0 elsewhere
    (section 5).

    Args:
        classes: Scores an image.
    """
    return _imagenet_form(classes, groups=2, padding="VALID")


def alexnet_ungrouped(classes: int = 1000) -> Network:
    """AlexNet of the lecture's cost table (L2): images of 224 pixels, no groups.

    62,378,344 parameters and 1.135 G multiply-accumulates. The first convolution is padded by 3 in
    total, 1 before and 2 behind: (224 + 3 - 11) / 4 + 1 = 55.

    Args:
        classes: Scores an image.
    """
    return _imagenet_form(classes, groups=1, padding=((1, 2), (1, 2)))


def alexnet_small(classes: int = 10, width: float = 1.0) -> Network:
    """AlexNet for small images, such as 32 or 28 pixels, of any number of channels.

    The five convolutions, three poolings and three dense layers of the paper with its features
    times `width`. Differences: the first convolution is 5x5 with stride 1 (11x11/4 would leave 6
    positions of 32), no groups, and weights start as in He et al. (2015), with biases at 0: a
    deviation of 0.01 was chosen for thousands of inputs a unit, and narrow layers vanish under it.

    Args:
        classes: Scores an image.
        width: Factor on the features of every layer but the last, more than 0.

    Raises:
        AblaxError: The width is not positive.
    """
    if not width > 0:
        raise AblaxError(f"the width is {width}, and a factor above 0 is expected, such as 0.25")

    def convolution(features: int, window: int) -> Chain:
        return chain(conv=Convolution(scaled(features, width), window), relu=ReLU())

    def dense(features: int) -> Chain:
        return _dense(scaled(features, width), HE_NORMAL, ZEROS)

    return Network(
        tail=Layers(
            conv1=convolution(96, 5),
            norm1=LocalResponseNormalization(),
            pool1=MaxPool(3, 2),
        ),
        body=Layers(
            conv2=convolution(256, 5),
            norm2=LocalResponseNormalization(),
            pool2=MaxPool(3, 2),
            conv3=convolution(384, 3),
            conv4=convolution(384, 3),
            conv5=convolution(256, 3),
            pool5=MaxPool(3, 2),
        ),
        head=Layers(
            vectorize=Vectorize(),
            fc6=dense(4096),
            fc7=dense(4096),
            fc8=Dense(classes),
        ),
    )


def alexnet_for(image_size: int, classes: int, width: float = 1.0) -> Network:
    """The form that fits the images: small up to 64 pixels, 2012's from 227, ungrouped at 224.

    Args:
        image_size: Height and width in pixels.
        classes: Scores an image.
        width: Factor on the features; the ImageNet forms exist at 1 only.

    Raises:
        AblaxError: No form takes images of this size, or not at this width.
    """
    if image_size <= 64:
        return alexnet_small(classes, width)
    if image_size in (224, 227) and width == 1.0:
        return alexnet(classes) if image_size == 227 else alexnet_ungrouped(classes)
    raise AblaxError(
        f"no AlexNet takes images of {image_size} pixels at width {width}: use up to 64 pixels at "
        "any width, or 224 (ungrouped) or 227 (two groups) at width 1"
    )


def scaled(features: int, width: float) -> int:
    """`features` times `width`, rounded, and at least 1."""
    return max(1, round(features * width))


def _imagenet_form(
    classes: int, groups: int, padding: str | tuple[tuple[int, int], tuple[int, int]]
) -> Network:
    """The table of figure 2."""
    return Network(
        tail=Layers(
            conv1=_convolution(96, 11, ZEROS, stride=4, padding=padding),
            norm1=LocalResponseNormalization(),
            pool1=MaxPool(3, 2),
        ),
        body=Layers(
            conv2=_convolution(256, 5, ONES, groups=groups),
            norm2=LocalResponseNormalization(),
            pool2=MaxPool(3, 2),
            conv3=_convolution(384, 3, ZEROS),
            conv4=_convolution(384, 3, ONES, groups=groups),
            conv5=_convolution(256, 3, ONES, groups=groups),
            pool5=MaxPool(3, 2),
        ),
        head=Layers(
            vectorize=Vectorize(),
            fc6=_dense(4096, GAUSSIAN_001, ONES),
            fc7=_dense(4096, GAUSSIAN_001, ONES),
            fc8=Dense(classes, kernel_init=GAUSSIAN_001),
        ),
    )


def _convolution(
    features: int,
    window: int,
    bias_init: Initializer,
    *,
    stride: int = 1,
    padding: str | tuple[tuple[int, int], tuple[int, int]] = "SAME",
    groups: int = 1,
) -> Chain:
    convolution = Convolution(
        features,
        window,
        stride=stride,
        padding=padding,
        groups=groups,
        kernel_init=GAUSSIAN_001,
        bias_init=bias_init,
    )
    return chain(conv=convolution, relu=ReLU())


def _dense(features: int, kernel_init: Initializer, bias_init: Initializer) -> Chain:
    return chain(
        dense=Dense(features, kernel_init=kernel_init, bias_init=bias_init),
        relu=ReLU(),
        dropout=Dropout(0.5),
    )
