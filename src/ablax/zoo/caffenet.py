"""CaffeNet, the reference network of Caffe: AlexNet with pooling before normalization.

Jia et al. (2014): Caffe: convolutional architecture for fast feature embedding. arXiv 1408.5093.
The network is the file models/bvlc_reference_caffenet/train_val.prototxt of BVLC/caffe.

Conventions are Caffe's: max pools round up, which makes no difference at 227 pixels, where all
windows fit; the alpha of response normalization, 1e-4, is divided by its 5 channels (AlexNet's
multiplies their sum), and k is 1 (AlexNet's is 2).
"""

from __future__ import annotations

from ablax.core import Chain, Layers, Network, chain, edit
from ablax.layers import (
    Convolution,
    Dense,
    Dropout,
    LocalResponseNormalization,
    MaxPool,
    ReLU,
    Vectorize,
)
from ablax.layers.initializers import GAUSSIAN_0005, GAUSSIAN_001, ONES, ZEROS, Initializer
from ablax.zoo.entry import Entry


def caffenet(classes: int = 1000) -> Network:
    """CaffeNet as published, with AlexNet's two groups in convolutions 2, 4 and 5.

    60,965,224 parameters and 0.724 G multiply-accumulates at 227 pixels, as AlexNet: poolings and
    normalizations change places and cost neither. The published weights err on 42.6 / 19.6 %
    (top-1 / top-5, centre crop). Weights start from Gaussians of deviation 0.01, in the hidden
    dense layers 0.005; biases at 1 in layers 2, 4, 5, 6 and 7 and 0 elsewhere.

    Args:
        classes: Scores an image.
    """
    return Network(
        tail=Layers(
            conv1=_convolution(96, 11, ZEROS, stride=4, padding=0),
            pool1=_pool(),
            norm1=_normalization(),
        ),
        body=Layers(
            conv2=_convolution(256, 5, ONES, padding=2, groups=2),
            pool2=_pool(),
            norm2=_normalization(),
            conv3=_convolution(384, 3, ZEROS, padding=1),
            conv4=_convolution(384, 3, ONES, padding=1, groups=2),
            conv5=_convolution(256, 3, ONES, padding=1, groups=2),
            pool5=_pool(),
        ),
        head=Layers(
            vectorize=Vectorize(),
            fc6=_dense(4096),
            fc7=_dense(4096),
            fc8=Dense(classes, kernel_init=GAUSSIAN_001),
        ),
    )


def caffenet_ungrouped(classes: int = 1000) -> Network:
    """CaffeNet without groups, as the lecture (L2) describes it: `without_groups` of `caffenet`.

    62,378,344 parameters, as `alexnet_ungrouped`.

    Args:
        classes: Scores an image.
    """
    return without_groups(caffenet(classes))


def without_groups(network: Network) -> Network:
    """The edit that lets every feature of a convolution see all channels.

    Args:
        network: Any with grouped convolutions; their kernels get other shapes, and are redrawn.

    Raises:
        EditError: There are no groups.
    """

    def ungroup(path: str, layer: object) -> Layers | None:
        if isinstance(layer, Convolution):
            return Layers({path.rsplit("/", 1)[-1]: layer.copy(groups=1)})
        return None

    return edit(network, ungroup)


def _convolution(
    features: int,
    window: int,
    bias_init: Initializer,
    *,
    padding: int,
    stride: int = 1,
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


def _pool() -> MaxPool:
    return MaxPool(3, 2, rounding="ceil")


def _normalization() -> LocalResponseNormalization:
    return LocalResponseNormalization(alpha=1e-4 / 5, k=1.0)


def _dense(features: int) -> Chain:
    dense = Dense(features, kernel_init=GAUSSIAN_0005, bias_init=ONES)
    return chain(dense=dense, relu=ReLU(), dropout=Dropout(0.5))


ENTRIES: tuple[Entry, ...] = (
    Entry(caffenet, 227, 60_965_224, 724_406_816),
    Entry(caffenet_ungrouped, 227, 62_378_344, 1_135_256_096),
)
