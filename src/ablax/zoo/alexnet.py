"""AlexNet, the network that won ImageNet in 2012, and its forms.

Krizhevsky, Sutskever, Hinton (2012): ImageNet classification with deep convolutional neural
networks. NIPS 25, section 3 and figure 2.

Differences from the paper, in all forms: one device instead of two, and scores instead of
probabilities (the softmax belongs to the loss).

Conventions: max pools round down, and fit exactly at the sizes of the ImageNet forms; the alpha of
response normalization, 1e-4, multiplies the sum over 5 channels as in the paper (PyTorch and Caffe
divide it by 5 first), and k is 2. There is no average pool and no batch normalization. The paper's
error is that of one network, `alexnet`, with groups.
"""

from __future__ import annotations

from functools import partial

from ablax.core import Edit, Layers, Network, Sequential, edit, remove, sequential, without
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, Dropout, Flatten, MaxPool, ReLU
from ablax.layers.initializers import GAUSSIAN_0005, GAUSSIAN_001, ONES
from ablax.layers.normalization import LocalResponseNormalization, rectified
from ablax.layers.windows import Padding
from ablax.zoo.heads import hidden_layer
from ablax.zoo.register import BY_HAND, TORCHVISION, network

_gaussian = partial(rectified, kernel_init=GAUSSIAN_001)


@network(
    *(227, 60_965_224, 724_406_816),
    counted=BY_HAND,
    errors=(40.7, 18.2),
    source="Krizhevsky et al. 2012, table 2, ten views",
)
def alexnet(classes: int = 1000) -> Network:
    """AlexNet as in 2012: images of 227 pixels, convolutions 2, 4 and 5 in two groups.

    The paper writes 224 pixels, with which its first layer does not give 55 positions; 227 does:
    (227 - 11) / 4 + 1 = 55. Weights are initialized from a Gaussian of std 0.01, biases with 1 in
    layers 2, 4, 5, 6 and 7 and 0 elsewhere (section 5).
    """
    return _imagenet_form(classes, groups=2, padding="VALID")


@network(224, 62_378_344, 1_135_256_096, counted=BY_HAND)
def alexnet_ungrouped(classes: int = 1000) -> Network:
    """AlexNet of the lecture's cost table (L2): images of 224 pixels, no groups.

    The first convolution is padded by 3 in total, 1 before and 2 behind: (224 + 3 - 11) / 4 + 1 =
    55.
    """
    return _imagenet_form(classes, groups=1, padding=((1, 2), (1, 2)))


@network(224, 61_100_840, 714_188_480, counted=TORCHVISION)
def alexnet_one_weird_trick(classes: int = 1000) -> Network:
    """AlexNet in one column, of 2014, as torchvision defines it: images of 224 pixels.

    Fewer features (64, 192, 384, 256, 256), no groups, dropout in front of the dense layers 6 and 7
    instead of behind them. The first convolution is padded by 2 and rounds down:
    (224 + 4 - 11) / 4 + 1 = 55.25; the max pools fit exactly. Krizhevsky's own file (layers-
    223-1gpu.cfg of cuda-convnet2) has images of 223 pixels, no padding, and response normalization
    behind both first convolutions; torchvision leaves it out. torchvision's average pool in front
    of the dense layers makes 6x6 maps of any; at 224 pixels they are 6x6 already, and there is none
    here. Weights are initialized as in He et al. (2015).

    References:
        Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks, arXiv
        1404.5997.
    """

    def dense(features: int) -> Sequential:
        return sequential(dropout=Dropout(0.5), dense=Dense(features), relu=ReLU())

    features = zip((192, 384, 256, 256), (5, 3, 3, 3), strict=True)
    convolutions = [rectified(64, 11, 4, 2), *(rectified(*each) for each in features)]
    whole = _layout(convolutions, _head(dense(4096), dense(4096), Dense(classes)))
    return without(LocalResponseNormalization)(whole)


@network(32, 29_983_114, 323_600_384)
def alexnet_small(classes: int = 10, width: float = 1.0) -> Network:
    """AlexNet for small images, such as 32 or 28 pixels, of any number of channels.

    The five convolutions, three poolings and three dense layers of the paper with its features
    times `width`. An adaptation of ours. Differences: the first convolution is 5x5 with stride 1
    (11x11/4 would leave 6 positions of 32), no groups, and weights are initialized as in He et al.
    (2015), with biases of 0: a std of 0.01 was chosen for thousands of inputs per unit; in narrow
    layers activations would vanish.
    """
    features = zip((96, 256, 384, 384, 256), (5, 5, 3, 3, 3), strict=True)
    convolutions = [rectified(scaled(wide, width), window) for wide, window in features]
    hidden = hidden_layer(scaled(4096, width))
    return _layout(convolutions, _head(hidden, hidden, Dense(classes)))


def alexnet_for(image_size: int, classes: int, width: float = 1.0) -> Network:
    """The form that fits images of so many pixels: small up to 64, ungrouped at 224, 2012's at 227.

    The last two exist at width 1 only; other sizes are refused.
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
    """`features` times `width`, rounded, and at least 1; refuses as `check_width`."""
    check_width(width)
    return max(1, round(features * width))


def check_width(width: float) -> None:
    """Refuse a factor on the features that is not positive."""
    if not width > 0:
        raise AblaxError(f"the width is {width}, and a factor above 0 is expected, such as 0.25")


def _imagenet_form(classes: int, groups: int, padding: Padding) -> Network:
    """The table of figure 2."""
    convolutions = [
        _gaussian(96, 11, 4, padding),
        _gaussian(256, 5, groups=groups, bias_init=ONES),
        _gaussian(384, 3),
        _gaussian(384, 3, groups=groups, bias_init=ONES),
        _gaussian(256, 3, groups=groups, bias_init=ONES),
    ]
    hidden = hidden_layer(4096, kernel_init=GAUSSIAN_001, bias_init=ONES)
    return _layout(convolutions, _head(hidden, hidden, Dense(classes, kernel_init=GAUSSIAN_001)))


def _layout(convolutions: list[Sequential], head: Layers) -> Network:
    """Response normalization and pool behind the first two of five convolutions, a last pool."""
    conv1, conv2, conv3, conv4, conv5 = convolutions
    norm, pool = LocalResponseNormalization(), MaxPool(3, 2)
    body = Layers(conv2=conv2, norm2=norm, pool2=pool, conv3=conv3, conv4=conv4, conv5=conv5)
    return Network(Layers(conv1=conv1, norm1=norm, pool1=pool), body + Layers(pool5=pool), head)


def _head(fc6: Sequential, fc7: Sequential, fc8: Dense) -> Layers:
    return Layers(vectorize=Flatten(), fc6=fc6, fc7=fc7, fc8=fc8)


# CaffeNet, the reference network of Caffe: AlexNet with pooling before normalization.
#
# Jia et al. (2014): Caffe: convolutional architecture for fast feature embedding. arXiv 1408.5093.
# The network is the file models/bvlc_reference_caffenet/train_val.prototxt of BVLC/caffe.
#
# Conventions are Caffe's: max pools round up, which makes no difference at 227 pixels, where all
# windows fit; the alpha of response normalization, 1e-4, is divided by its 5 channels (AlexNet's
# multiplies their sum), and k is 1 (AlexNet's is 2).


@network(
    *(227, 60_965_224, 724_406_816),
    counted=BY_HAND,
    errors=(42.6, 19.6),
    source="Caffe's model zoo, centre crop",
)
def caffenet(classes: int = 1000) -> Network:
    """CaffeNet as published, with AlexNet's two groups in convolutions 2, 4 and 5.

    It costs what AlexNet does: poolings and normalizations change places. Weights are initialized
    from Gaussians of std 0.01, in the hidden dense layers 0.005; biases with 1 in layers 2, 4, 5, 6
    and 7 and 0 elsewhere.
    """
    pool = MaxPool(3, 2, ceil_mode=True)
    norm = LocalResponseNormalization(alpha=1e-4 / 5, k=1.0)
    hidden = hidden_layer(4096, kernel_init=GAUSSIAN_0005, bias_init=ONES)
    return Network(
        tail=Layers(conv1=_gaussian(96, 11, 4, 0), pool1=pool, norm1=norm),
        body=Layers(
            conv2=_gaussian(256, 5, 1, 2, groups=2, bias_init=ONES),
            pool2=pool,
            norm2=norm,
            conv3=_gaussian(384, 3, 1, 1),
            conv4=_gaussian(384, 3, 1, 1, groups=2, bias_init=ONES),
            conv5=_gaussian(256, 3, 1, 1, groups=2, bias_init=ONES),
            pool5=pool,
        ),
        head=_head(hidden, hidden, Dense(classes, kernel_init=GAUSSIAN_001)),
    )


@network(227, 62_378_344, 1_135_256_096)
def caffenet_ungrouped(classes: int = 1000) -> Network:
    """CaffeNet without groups, as the lecture (L2) describes it: `without_groups` of `caffenet`."""
    return without_groups(caffenet(classes))


def without_groups(network: Network) -> Network:
    """The edit that lets every feature of a convolution see all channels: kernels get other shapes.

    Raises:
        EditError: There are no groups.
    """

    def ungroup(path: str, layer: object) -> Layers | None:
        if isinstance(layer, Convolution):
            return Layers({path.rsplit("/", 1)[-1]: layer.copy(groups=1)})
        return None

    return edit(network, ungroup)


# The lectures' named ablations: pure functions from Network to Network.

without_7: Edit = remove("fc7")
"""AlexNet without its upper fully connected layer (L0: ~16 million parameters)."""

without_6_7: Edit = remove("fc6", "fc7")
"""AlexNet without fully connected hidden layers (L0: ~50 million parameters)."""

without_3_4: Edit = remove("conv3", "conv4")
"""AlexNet without its upper feature extractors (L0: ~1 million parameters)."""

without_3_4_6_7: Edit = remove("conv3", "conv4", "fc6", "fc7")
"""AlexNet without either: what is left is half as deep (L0: "depth of the network is the key")."""
