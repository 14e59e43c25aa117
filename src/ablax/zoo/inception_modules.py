"""What the Inception networks are made of: their convolutions, and the modules of figure 2.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich (2014): Going deeper with
convolutions. arXiv 1409.4842, section 4 and figure 2.

A module looks at its input through windows of several sizes at once and lays the answers behind one
another. `naive` is figure 2(a): each branch sees all channels, and the pool hands all of them on,
so the features can only grow from module to module. `reduced` is figure 2(b): a 1x1 convolution in
front of the large windows, and behind the pool, sets how much each branch costs and gives.
"""

from __future__ import annotations

from collections.abc import Callable

from ablax.core import Chain, Layers, chain
from ablax.layers import BatchNormalization, Convolution, MaxPool, Parallel, ReLU
from ablax.layers.windows import Padding, Pair

Convolve = Callable[[int, int], Chain]
"""From features and window to a convolution that keeps the size, with what belongs to it."""

EPSILON = 1e-3
"""Of batch normalization, in the authors' code of all Inception networks (TF-Slim)."""


def plain(features: int, window: int | Pair) -> Chain:
    """A convolution with a bias, and ReLU: GoogLeNet's, of 2014.

    Args:
        features: Output channels.
        window: Height and width of the kernel.
    """
    return chain(conv=Convolution(features, window), relu=ReLU())


def normalized(
    features: int, window: int | Pair, stride: int = 1, padding: Padding = "SAME"
) -> Chain:
    """A convolution without a bias, batch normalization with epsilon 1e-3, and ReLU: all later.

    Args:
        features: Output channels.
        window: Height and width of the kernel.
        stride: Steps down and to the right.
        padding: As in `Convolution`; "SAME" pads by half a window where the stride is 1.
    """
    return chain(
        conv=Convolution(features, window, stride, padding, use_bias=False),
        bn=BatchNormalization(epsilon=EPSILON),
        relu=ReLU(),
    )


def naive(one: int, three: int, five: int, convolve: Convolve = plain) -> Parallel:
    """Figure 2(a): 1x1, 3x3 and 5x5 convolutions and a 3x3 max pool side by side.

    (N, H, W, C) -> (N, H, W, one + three + five + C), with (one + 9 three + 25 five) C weights.

    Args:
        one: Features of the 1x1.
        three: Features of the 3x3.
        five: Features of the 5x5.
        convolve: Which convolutions.
    """
    return Parallel(
        Layers(
            branch1x1=convolve(one, 1),
            branch3x3=convolve(three, 3),
            branch5x5=convolve(five, 5),
            branch_pool=MaxPool(3, 1, padding=1),
        )
    )


def reduced(
    one: int,
    reduce3: int,
    three: int,
    reduce5: int,
    five: int,
    projection: int,
    convolve: Convolve = plain,
    largest: int = 5,
) -> Parallel:
    """Figure 2(b): as `naive`, with a 1x1 in front of the 3x3 and the 5x5 and behind the pool.

    The arguments stand in the order of the paper's table 1, so that a row of it builds a module.
    (N, H, W, C) -> (N, H, W, one + three + five + projection), with
    (one + reduce3 + reduce5 + projection) C + 9 reduce3 three + 25 reduce5 five weights.

    Args:
        one: Features of the 1x1.
        reduce3: Features of the 1x1 in front of the 3x3.
        three: Features of the 3x3.
        reduce5: Features of the 1x1 in front of the 5x5.
        five: Features of the 5x5.
        projection: Features of the 1x1 behind the max pool.
        convolve: Which convolutions.
        largest: Window of the third branch; 3 in torchvision's GoogLeNet.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> inception_3a = reduced(64, 96, 128, 16, 32, 32)
        >>> x = jnp.ones((1, 28, 28, 192))
        >>> jax.eval_shape(inception_3a.init_with_output, jax.random.key(0), x)[0].shape
        (1, 28, 28, 256)
    """
    return Parallel(
        Layers(
            branch1x1=convolve(one, 1),
            branch3x3=chain(reduce=convolve(reduce3, 1), large=convolve(three, 3)),
            branch5x5=chain(reduce=convolve(reduce5, 1), large=convolve(five, largest)),
            branch_pool=chain(pool=MaxPool(3, 1, padding=1), project=convolve(projection, 1)),
        )
    )
