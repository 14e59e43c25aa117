"""GoogLeNet, the network that won ImageNet in 2014, and its forms.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich (2014): Going deeper with
convolutions. arXiv 1409.4842, table 1, figure 3 and section 5.

Nine inception modules behind a short chain, a global average instead of dense layers, and in
training two auxiliary classifiers on inner modules.

Two definitions go by the name. `googlenet` is the paper's and the lecture's: 5x5 windows, biases,
response normalization. `googlenet_bn` is torchvision's: batch normalization everywhere, no response
normalization, and 3x3 windows where the paper has 5x5 (a slip it keeps for its weights' sake).

Conventions: max pools of the chain are not padded and round up, those within a module are padded by
1; the global average stands for the paper's 7x7 average pool, the same at 224 pixels. The paper
gives no constants for response normalization; here are those of Caffe's published network, a sum
over 5 channels with alpha 1e-4 divided by 5 and k 1. `googlenet_bn` has batch-norm epsilon 1e-3.

The networks are what is left after training; `with_auxiliary` adds the auxiliary classifiers, which
cost nothing and count for nothing once the network is trained.
"""

from __future__ import annotations

from collections.abc import Callable

from ablax.core import Edit, Layers, Network, Sequential, compose, insert_after, sequential
from ablax.layers import AveragePool, Convolution, Dense, Flatten, MaxPool, Parallel, ReLU
from ablax.layers.blocks import Auxiliary
from ablax.layers.normalization import BatchNormalization, LocalResponseNormalization, rectified
from ablax.layers.pooling import AdaptiveAveragePool
from ablax.layers.windows import Padding, Pair
from ablax.zoo import heads, tails
from ablax.zoo.alexnet import scaled
from ablax.zoo.register import BY_HAND, TORCHVISION, network

# What the Inception networks are made of: their convolutions, and the modules of section 4 and
# figure 2.
#
# A module looks at its input through windows of several sizes at once and lays the answers behind
# one another. `naive` is figure 2(a): each branch sees all channels, and the pool hands all of them
# on, so the features can only grow from module to module. `reduced` is figure 2(b): a 1x1
# convolution in front of the large windows, and behind the pool, sets how much each branch costs
# and gives.

Convolve = Callable[[int, int], Sequential]
"""From features and window to a convolution that keeps the size, with what belongs to it."""

Row = tuple[int, int | Pair] | tuple[int, int | Pair, int, Padding]
"""Features and window of a convolution, and if need be stride and padding."""

EPSILON = 1e-3
"""Of batch normalization, in the authors' code of all Inception networks (TF-Slim)."""


def normalized(
    features: int, window: int | Pair, stride: int = 1, padding: Padding = "SAME"
) -> Sequential:
    """A convolution without a bias, batch normalization with epsilon 1e-3, and ReLU: all later."""
    return sequential(
        conv=Convolution(features, window, stride, padding, use_bias=False),
        bn=BatchNormalization(epsilon=EPSILON),
        relu=ReLU(),
    )


def side_by_side(**branches: Sequential | MaxPool) -> Parallel:
    """A module: branches that see the same maps, and whose results lie behind one another."""
    return Parallel(Layers(branches))


def chain(*rows: Row, **behind: Parallel) -> Sequential:
    """Convolutions behind one another, `conv1`, `conv2`, ..., and what is named behind them.

    A row holds the arguments of `normalized`: features, window, then stride and padding if any.

    Example:
        >>> list(chain((64, 1), (96, 3), (96, 3, 2, "VALID")).layers)
        ['conv1', 'conv2', 'conv3']
    """
    numbered = {f"conv{number}": normalized(*row) for number, row in enumerate(rows, start=1)}
    return Sequential(Layers(numbered, **behind))


def pooled(
    pool: AveragePool | MaxPool, features: int, convolve: Convolve = normalized
) -> Sequential:
    """The branch of a module that pools, and projects to so many features."""
    return sequential(pool=pool, project=convolve(features, 1))


def naive(one: int, three: int, five: int, convolve: Convolve = rectified) -> Parallel:
    """Figure 2(a): 1x1, 3x3 and 5x5 convolutions and a 3x3 max pool side by side.

    (N, H, W, C) -> (N, H, W, one + three + five + C), with (one + 9 three + 25 five) C weights.
    """
    return side_by_side(
        branch1x1=convolve(one, 1),
        branch3x3=convolve(three, 3),
        branch5x5=convolve(five, 5),
        branch_pool=MaxPool(3, 1, padding=1),
    )


def reduced(
    one: int,
    reduce3: int,
    three: int,
    reduce5: int,
    five: int,
    projection: int,
    *,
    convolve: Convolve = rectified,
    largest: int = 5,
) -> Parallel:
    """Figure 2(b): as `naive`, with a 1x1 in front of the 3x3 and the 5x5 and behind the pool.

    The arguments stand in the order of the paper's table 1, so that a row of it builds a module.
    (N, H, W, C) -> (N, H, W, one + three + five + projection), with
    (one + reduce3 + reduce5 + projection) C + 9 reduce3 three + 25 reduce5 five weights. `largest`
    is the window of the third branch, 3 in torchvision's GoogLeNet.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> inception_3a = reduced(64, 96, 128, 16, 32, 32)
        >>> x = jnp.ones((1, 28, 28, 192))
        >>> jax.eval_shape(inception_3a.init_with_output, jax.random.key(0), x)[0].shape
        (1, 28, 28, 256)
    """
    return side_by_side(
        branch1x1=convolve(one, 1),
        branch3x3=sequential(reduce=convolve(reduce3, 1), large=convolve(three, 3)),
        branch5x5=sequential(reduce=convolve(reduce5, 1), large=convolve(five, largest)),
        branch_pool=pooled(MaxPool(3, 1, padding=1), projection, convolve),
    )


# Table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@network(224, 6_998_552, 1_582_671_872, counted=BY_HAND)
def googlenet(classes: int = 1000) -> Network:
    """GoogLeNet of the paper and the lecture, for images of 224 pixels.

    The lecture's (L2) column `params` disagrees with its own table: `conv1` has 9,408 weights where
    it prints 2.7 K, `inception_4c` 510,104 parameters where it prints 463 K, `inception_5a`
    1,043,456 where it prints 1072 K.
    """
    norm = LocalResponseNormalization(size=5, alpha=1e-4 / 5, beta=0.75, k=1.0)
    return Network(
        tail=tails.plain(64),
        body=Layers(norm1=norm, conv2_reduce=rectified(64, 1), conv2=rectified(192, 3), norm2=norm)
        + Layers(pool2=halving())
        + _modules(rectified),
        head=heads.global_average_pool(classes, dropout=0.4),
    )


@network(224, 6_624_904, 1_498_376_192, counted=TORCHVISION)
def googlenet_bn(classes: int = 1000) -> Network:
    """GoogLeNet as torchvision defines it: batch normalization, and 3x3 for 5x5.

    Its fourth pool has a window of 2 where the paper has 3, and its dropout a rate of 0.2 where the
    paper has 0.4.
    """
    return Network(
        tail=Layers(conv1=normalized(64, 7, stride=2, padding=3), pool1=halving()),
        body=Layers(conv2_reduce=normalized(64, 1), conv2=normalized(192, 3), pool2=halving())
        + _modules(normalized, largest=3, last_pool=2),
        head=heads.global_average_pool(classes, dropout=0.2),
    )


@network(32, 5_871_914, 1_447_241_728)
def googlenet_small(classes: int = 10, width: float = 1.0) -> Network:
    """GoogLeNet for images of 32 or 28 pixels, with batch normalization.

    The layout of kuangliu/pytorch-cifar: one 3x3 convolution instead of all layers in front of the
    modules, which then work at 32, 16 and 8 pixels. Theirs has two 3x3 convolutions for each 5x5;
    ours has the 5x5, so that its modules are the paper's. The papers have no form for CIFAR; for
    one of the literature see `inception_small`.
    """
    return Network(
        tail=Layers(conv1=normalized(scaled(192, width), 3)),
        body=_modules(normalized, width=width),
        head=heads.global_average_pool(classes),
    )


def auxiliary_head(classes: int = 1000) -> Layers:
    """The paper's auxiliary classifier: 5x5/3 average, 1x1 to 128, 1024 units, 70 % dropout.

    Of maps of 14x14 pixels; from 512 features 3,188,840 parameters for 1000 classes (section 5).
    """
    return _side(AveragePool(5, 3), rectified(128, 1), classes)


def auxiliary_head_bn(classes: int = 1000) -> Layers:
    """Torchvision's auxiliary classifier: an average over 4x4 bins, and batch normalization.

    At 14 pixels its bins hold 4 pixels and overlap; the paper's windows hold 5.
    """
    return _side(AdaptiveAveragePool(4), normalized(128, 1), classes)


def with_auxiliary(head: Layers) -> Edit:
    """The edit that puts auxiliary classifiers behind modules 4a and 4d, for training.

    `ablax.core.without(Auxiliary)` takes them off again. The head is that of each of the two:
    `auxiliary_head` for `googlenet`, `auxiliary_head_bn` for `googlenet_bn`, any of the zoo for
    small images. In the paper their losses count 0.3 times (section 5).

    Raises:
        EditError: When applied to a network without these modules.

    Example:
        >>> trained = with_auxiliary(auxiliary_head_bn())(googlenet_bn())
        >>> [name for name in trained.layers if name.startswith(("inception_4", "auxiliary"))][:3]
        ['inception_4a', 'auxiliary1', 'inception_4b']
    """
    return compose(
        insert_after("inception_4a", auxiliary1=Auxiliary(head)),
        insert_after("inception_4d", auxiliary2=Auxiliary(head)),
    )


def _modules(
    convolve: Convolve, width: float = 1.0, largest: int = 5, last_pool: int = 3
) -> Layers:
    """Table 1 from inception (3a) on, with the pools between the stages."""
    pools = {"3b": Layers(pool3=halving()), "4e": Layers(pool4=halving(last_pool))}
    body = Layers()
    for name, row in MODULES.items():
        widths = (scaled(features, width) for features in row)
        module = reduced(*widths, convolve=convolve, largest=largest)
        body += Layers({f"inception_{name}": module}) + pools.get(name, Layers())
    return body


def halving(window: int = 3) -> MaxPool:
    """A max pool with stride 2 that rounds up."""
    return MaxPool(window, 2, ceil_mode=True)


def _side(average: AveragePool | AdaptiveAveragePool, conv: Sequential, classes: int) -> Layers:
    return Layers(
        average=average,
        conv=conv,
        vectorize=Flatten(),
        hidden=heads.hidden_layer(1024, dropout=0.7),
        classifier=Dense(classes),
    )


# A small Inception for CIFAR-10, of the paper that trained networks on random labels.
#
# Zhang, Bengio, Hardt, Recht, Vinyals (2017): Understanding deep learning requires rethinking
# generalization. arXiv 1611.03530, appendix A, figure 3 and table 1.
#
# A module is a 1x1 and a 3x3 convolution side by side; one that halves the grid is a 3x3
# convolution and a 3x3 max pool with stride 2 side by side.
#
# Conventions: 28 pixels, which the paper cuts out of the middle of CIFAR's 32 (at 32 the last maps
# have 8x8 pixels instead of 7x7, and nothing else changes); convolutions and pools with stride 2
# are padded so that 28 pixels give 14 and 14 give 7, 0 before and 1 behind as in TensorFlow; batch-
# norm epsilon 1e-3. Batch normalization has a bias and no scale: so the 1,649,402 parameters of the
# paper's table 1 come out.


@network(28, 1_649_402, 204_219_680)
def inception_small(classes: int = 10, width: float = 1.0) -> Network:
    """The small Inception, for images of 28 or 32 pixels."""

    def convolution(features: int, window: int, stride: int = 1) -> Sequential:
        return sequential(
            conv=Convolution(scaled(features, width), window, stride, use_bias=False),
            bn=BatchNormalization(epsilon=EPSILON, use_scale=False),
            relu=ReLU(),
        )

    def inception(one: int, three: int) -> Parallel:
        return side_by_side(branch1x1=convolution(one, 1), branch3x3=convolution(three, 3))

    def downsample(three: int) -> Parallel:
        return side_by_side(branch3x3=convolution(three, 3, 2), branch_pool=MaxPool(3, 2, "SAME"))

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
