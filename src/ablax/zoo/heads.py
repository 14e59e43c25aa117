"""Heads: from the last maps of any body to class scores.

`with_head(heads.global_average_pool(10))(network)` puts one on any network. All of them end in
scores, before the softmax, and are `Layers`, so that they can be cut like the rest.

| head | takes maps of another size than it was initialized with |
|---|---|
| `vectorize` | no: its first dense layer has a weight for each pixel, and refuses |
| `global_average_pool`, `convolution`, `pixel_average`, `pixel_vote`, `spatial_pyramid` | yes |
| `pixel_learned`, `spatial_weights` | yes: their weights by place are resized bilinearly |

A rule of thumb of the lectures: a linear classifier works best on at least about as many features
as there are classes. `ablax.core.describe` shows both.

References:
    Lectures, L2: "Head", "Feature map to feature vector transform", "2 head design ideas".
"""

from __future__ import annotations

from ablax.core import Layers, Sequential, sequential
from ablax.layers import Convolution, Dense, Dropout, Flatten, GlobalAveragePool, ReLU, concatenate
from ablax.layers.blocks import Merge, Parallel, Residual
from ablax.layers.heads import PixelAverage, PixelMixture, PixelVote, SpatialWeights
from ablax.layers.initializers import GAUSSIAN_001, ZEROS, Initializer
from ablax.layers.pooling import SpatialPyramidPool


def vectorize(classes: int, hidden: tuple[int, ...] = (4096, 4096), dropout: float = 0.5) -> Layers:
    """All features of all pixels as one vector, then dense layers: AlexNet's and VGG's head.

    It combines pixels in any way, and pays for it: H W C weights for each unit of the first layer.
    It takes images of the size it was initialized with alone.

    `hidden` are the units of the dense layers in front of the last, with dropout behind each; none
    makes the classifier linear.

    Example:
        >>> list(vectorize(10))
        ['vectorize', 'hidden1', 'hidden2', 'classifier']
    """
    return Layers(vectorize=Flatten()) + _dense(classes, hidden, dropout)


def global_average_pool(classes: int, dropout: float = 0.0) -> Layers:
    """The mean of each map, then one dense layer: the head of most networks since 2014.

    C K + K parameters for C features and K classes, at any image size. What it computes,
    `vectorize` without hidden layers can compute: the same weights over H W at every pixel.
    Lin, Chen, Yan 2014, Network in network, section 3.2.
    """
    dense = Dense(classes)
    classifier = sequential(dropout=Dropout(dropout), dense=dense) if dropout else dense
    return Layers(average=GlobalAveragePool(), classifier=classifier)


def convolution(classes: int, dropout: float = 0.5) -> Layers:
    """One map per class by a 1x1 convolution, a ReLU, then the mean of each: SqueezeNet's head.

    C K + K parameters. Without the ReLU it would be `global_average_pool`: the mean and the
    classifier are both linear. A class that no pixel speaks for scores 0, and the ReLU then passes
    no gradient. Weights are initialized with the std of the authors' published files, 0.01.
    """
    return Layers(
        classifier=sequential(
            dropout=Dropout(dropout),
            conv=Convolution(classes, 1, kernel_init=GAUSSIAN_001),
            relu=ReLU(),
        ),
        average=GlobalAveragePool(),
    )


def pixel_average(classes: int) -> Layers:
    """Idea 1: classify every pixel, then average the probabilities: C K + K parameters.

    See `ablax.layers.pixel_average`.
    """
    return Layers(classifier=Convolution(classes, 1), average=PixelAverage())


def pixel_vote(classes: int) -> Layers:
    """Idea 1: classify every pixel, then let the majority decide: C K + K parameters.

    A vote has the derivative of an average (`ablax.layers.pixel_vote`).
    """
    return Layers(classifier=Convolution(classes, 1), vote=PixelVote())


def pixel_learned(classes: int) -> Layers:
    """Idea 1: classify every pixel, then combine the classes by what was learned.

    Place comes into play as one weight per pixel, softmax(location), and class combination as a
    matrix M between the classes: with m the mean probabilities so weighted,
    scores = log m + M log m + b.

    Location, M and b are initially 0, so that the head is initially `pixel_average`. C K + K + H W
    + K^2 + K parameters.
    """
    return Layers(
        classifier=Convolution(classes, 1),
        mixture=PixelMixture(),
        combination=Residual(Layers(matrix=Dense(classes, kernel_init=ZEROS))),
    )


def spatial_weights(classes: int) -> Layers:
    """Idea 2: weigh the pixels by place before the global average.

    H W + C K + K parameters. The weights are initially 1, so that the head is initially
    `global_average_pool`, bit for bit.
    """
    return Layers(weights=SpatialWeights()) + global_average_pool(classes)


def spatial_pyramid(
    classes: int,
    levels: tuple[int, ...] = (6, 3, 2, 1),
    hidden: tuple[int, ...] = (4096, 4096),
    dropout: float = 0.5,
) -> Layers:
    """The maximum of each bin of several grids, then dense layers: between the first two.

    A grid of n x n bins keeps place as `vectorize` does, at any image size, as a pool does:
    C sum of n^2 elements, 50 per channel in the paper. `hidden` is as in `vectorize`.
    """
    return Layers(pyramid=SpatialPyramidPool(levels)) + _dense(classes, hidden, dropout)


def several(merge: Merge = concatenate, /, **heads: Layers) -> Layers:
    """Several heads on one body, each with weights of its own, one layer `heads` of the network.

    A network gives one array, so the heads' scores are merged. By default they are concatenated,
    in the order written: heads may then have different numbers of classes, as several tasks do,
    and `ablax.layers.shape.split(scores, (10, 3))` takes them apart for the losses. Heads
    of equally many classes may be stacked (`ablax.layers.heads.stack`: one row per head), or
    averaged as an ensemble (`ablax.layers.heads.ensemble`). Names become parameter paths:
    `heads/color/classifier/kernel`.

    Raises:
        AblaxError: There is no head.

    Example:
        >>> from ablax.core import layer_shapes, with_head
        >>> from ablax.zoo import lenet5
        >>> both = several(digit=global_average_pool(10), color=global_average_pool(3))
        >>> layer_shapes(with_head(both)(lenet5()), (32, 32, 1))["heads"]
        (13,)
    """
    return Layers(
        heads=Parallel(Layers({name: Sequential(head) for name, head in heads.items()}), merge)
    )


def _dense(classes: int, hidden: tuple[int, ...], dropout: float) -> Layers:
    """Hidden layers, then the classifier."""
    layers = {f"hidden{n}": hidden_layer(units, dropout) for n, units in enumerate(hidden, start=1)}
    return Layers(layers, classifier=Dense(classes))


def hidden_layer(features: int, dropout: float = 0.5, **fields: Initializer) -> Sequential:
    """A dense layer, ReLU and dropout; `fields` are further ones of the dense layer."""
    dense = Dense(features, **fields)  # type: ignore[arg-type]
    return sequential(dense=dense, relu=ReLU(), dropout=Dropout(dropout))
