"""MSDNet: a network that can answer early, with classifiers on coarse maps from the start.

Huang, Chen, Li, Wu, van der Maaten, Weinberger (2018): Multi-scale dense networks for resource
efficient image classification. arXiv 1703.09844, figure 2, appendix A. Authors' code:
gaohuang/MSDNet (Torch), with the port kalviny/MSDNet-PyTorch.

A classifier needs coarse maps, and a chain of layers has them at its end only; a classifier put on
an early layer also spoils what later layers need. MSDNet keeps maps of all scales from its first
layer on, and connects its layers densely. Layer l at scale s lays behind its map what a bottleneck
(1x1 and 3x3) makes of it, and what another with stride 2 makes of the finer map of layer l - 1:

    x_l^s = [x_{l-1}^s, down(x_{l-1}^{s-1}), same(x_{l-1}^s)]

half of the new features each; the finest scale has `same` alone. `first_scale2` ... make the scales
out of the tail's map by 3x3 convolutions with stride 2. Network reduction: the depth is cut into as
many blocks as there are scales, each without the finest scale of the one before; behind the first
layer of a block a 1x1 (`transition9_scale2`) halves the features of each scale left.

`Network.apply` gives the scores of the last classifier, which is the head. The classifiers before
it stand in the grid, each an `ablax.layers.Auxiliary`: silent unless the collection `auxiliary` is
mutable. The paper trains on the sum of all losses. `anytime_scores` gives the scores of all,
`truncated` is the network that ends in one of them, and `ablax.core.describe(network, shape,
depth=2)` lists the grid.

Counts: parameters are those of all classifiers, which stay in use after training; multiply-
accumulates are those of the last classifier's scores, as `Network.apply` computes them. An early
classifier that is also asked costs its two convolutions and its dense layer more.

Conventions: layers are numbered as the authors' code counts them, without the first; convolutions
are padded by half their window and have no bias, and max pools are padded by 1, as in the port
(which has a bias in its 7x7 for ImageNet alone); batch-norm epsilon 1e-5; a global average stands
for the paper's 2x2 average pool, the same at 32 and at 224 pixels. Features of the first layer, 16
and 32 at the finest scale, and the bottleneck's width are the code's. With layout 7, 14, ..., 35
and that bias the parameters are those that the port's counter prints, 8.76 M, 20.15 M, 31.73 M,
41.86 M, 62.31 M up to each classifier (its issue 10); it adds ReLU, pools, biases and all
classifiers on the way to the multiply-accumulates, and with these ours are its figures too. No
count of the paper itself is held against ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from jaxtyping import Array, Float

from ablax.core import (
    Edit,
    EditError,
    Layers,
    Network,
    Sequential,
    leaves_by_path,
    sequential,
    walk,
)
from ablax.errors import AblaxError, nearest
from ablax.layers import Auxiliary, Dense, GlobalAveragePool, ReLU
from ablax.layers.blocks import Cell, DenseCell, MultiScale, needed
from ablax.layers.normalization import normalized
from ablax.zoo import tails
from ablax.zoo.register import network, row

GRID = "scales"
"""The body's one layer."""


@dataclass(frozen=True)
class Design:
    """What sets one MSDNet apart from another.

    Attributes:
        classifiers: The layers behind which one stands, ascending; the last is the depth.
        features: Of the first layer at the finest scale.
        growth: Features a layer adds at the finest scale.
        factors: What both are multiplied by at each scale, from fine to coarse; also how many times
            as wide as its 3x3 the 1x1 of a bottleneck may be.
        hidden: Features of a classifier's two convolutions; None for as many as it is given.

    Raises:
        AblaxError: The classifiers do not ascend from at least 1, or a number is not positive, or
            the new features of a scale behind the first cannot be halved.
    """

    classifiers: tuple[int, ...]
    features: int
    growth: int
    factors: tuple[int, ...]
    hidden: int | None

    def __post_init__(self) -> None:
        ascending = list(self.classifiers) == sorted({*self.classifiers})
        if not self.classifiers or not ascending or self.classifiers[0] < 1:
            raise AblaxError(
                f"the classifiers stand behind layers {self.classifiers}: expected at least one, "
                "ascending from 1"
            )
        hidden = () if self.hidden is None else (self.hidden,)
        if not self.factors or min(self.features, self.growth, *self.factors, *hidden) < 1:
            raise AblaxError(f"{self}: expected positive numbers, and a factor for each scale")
        if any(self.growth * factor % 2 for factor in self.factors[1:]):
            raise AblaxError(
                f"growth {self.growth} times factors {self.factors}: expected even numbers behind "
                "the first scale, since half of the new features come from the finer one"
            )

    @property
    def block(self) -> int:
        """Layers until the next scale is dropped."""
        return math.ceil(self.classifiers[-1] / len(self.factors))


def msdnet(design: Design, tail: Layers, classes: int) -> Network:
    """The MSDNet of a design behind a tail, whose last map is the finest, of `design.features`.

    Cells that no classifier can see, as in a network of fewer layers than scales, are left out.
    """
    grid, features = _first(design), design.features
    *early, depth = design.classifiers
    for layer in range(1, depth + 1):
        grid += _layer(design, layer, features)
        features += design.growth
        if layer > 1 and (layer - 1) % design.block == 0:
            features //= 2
            grid += _transition(design, layer, features)
        if layer in early:
            side = Auxiliary(_classifier(design, features, classes))
            grid += Layers({f"classifier{early.index(layer) + 1}": side})
    last = Sequential(_classifier(design, features, classes))
    head = Layers({f"classifier{len(early) + 1}": last})
    return Network(tail, Layers({GRID: MultiScale(needed(grid))}), head)


def _first(design: Design) -> Layers:
    """The scales, each out of the next finer one."""

    def made(factor: int) -> Layers:
        return Layers(down=normalized(design.features * factor, 3, 2, relu=ReLU()))

    coarser = enumerate(design.factors[1:], start=2)
    return Layers({f"first_scale{scale}": Cell(scale, made(factor)) for scale, factor in coarser})


def _layer(design: Design, layer: int, features: int) -> Layers:
    """One layer at each scale its block has, from coarse to fine."""
    finest, finest_before = (1 + max(0, layer - n) // design.block for n in (1, 2))

    def cell(scale: int) -> DenseCell:
        factor, new = design.factors[scale - 1], design.growth * design.factors[scale - 1]

        def made(factor: int, new: int, stride: int) -> Sequential:
            """A bottleneck: a 1x1 to at most `factor` times the new features, then the 3x3."""
            narrow = normalized(min(features, new) * factor, 1, relu=ReLU())
            return sequential(reduce=narrow, conv=normalized(new, 3, stride, relu=ReLU()))

        if scale == finest_before:
            return DenseCell(scale, same=Layers(same=made(factor, new, 1)))
        down = Layers(down=made(design.factors[scale - 2], new // 2, 2))
        return DenseCell(scale, down=down, same=Layers(same=made(factor, new // 2, 1)))

    scales = range(len(design.factors), finest - 1, -1)
    return Layers({f"layer{layer}_scale{scale}": cell(scale) for scale in scales})


def _transition(design: Design, layer: int, features: int) -> Layers:
    """A 1x1 on every scale that is left behind this layer, where the authors' code has it."""
    finest = 1 + (layer - 1) // design.block

    def halved(factor: int) -> Layers:
        return Layers(same=normalized(features * factor, 1, relu=ReLU()))

    left = enumerate(design.factors[finest - 1 :], start=finest)
    return Layers({f"transition{layer}_scale{s}": Cell(s, same=halved(k)) for s, k in left})


def _classifier(design: Design, features: int, classes: int) -> Layers:
    """Two 3x3 convolutions with stride 2, the mean of each map, and a dense layer."""
    hidden = design.hidden or features * design.factors[-1]
    return Layers(
        conv1=normalized(hidden, 3, 2, relu=ReLU()),
        conv2=normalized(hidden, 3, 2, relu=ReLU()),
        average=GlobalAveragePool(),
        dense=Dense(classes),
    )


@network(32, 5_470_050, 86_111_488)
def msdnet_cifar10(classes: int = 10) -> Network:
    """The MSDNet for anytime prediction on CIFAR: 24 layers, 11 classifiers, 32 pixels.

    13,244,672 multiply-accumulates up to the first classifier (`truncated`). A classifier stands
    behind layers 4, 6, ..., 24; the README of the authors' code trains one of 22 layers,
    `msdnet_cifar(tuple(range(4, 23, 2)))`.
    """
    return msdnet_cifar(tuple(range(4, 25, 2)), classes)


@network(32, 3_885_394, 110_893_312)
def msdnet_cifar10_budgeted(classes: int = 10) -> Network:
    """An MSDNet for a budget a batch on CIFAR: 28 layers, 7 classifiers, 32 pixels.

    5,905,664 multiply-accumulates up to the first classifier. Classifier k stands behind layer
    1 + 2 + ... + k; the paper's depths range from 10 (4 of them) to 36 (8), and the README of the
    authors' code ("Training recipe") trains this one.
    """
    return msdnet_cifar(tuple(k * (k + 1) // 2 for k in range(1, 8)), classes)


def msdnet_cifar(
    classifiers: tuple[int, ...],
    classes: int = 10,
    features: int = 16,
    growth: int = 6,
    hidden: int = 128,
) -> Network:
    """An MSDNet for images of 32 or 28 pixels: three scales behind one 3x3 convolution.

    The numbers are those of a `Design`, refused as there; features and growth are 2 and 4 times as
    many at the other scales.

    Example:
        >>> from ablax.core import layer_shapes
        >>> network = msdnet_cifar((2, 4), features=4, growth=2)
        >>> layer_shapes(network, (32, 32, 3))["scales/layer2_scale3"]
        (8, 8, 32)
    """
    design = Design(classifiers, features, growth, (1, 2, 4), hidden)
    return msdnet(design, tails.cifar(features), classes)


def msdnet_imagenet(classifiers: tuple[int, ...], classes: int = 1000) -> Network:
    """An MSDNet for images of 224 pixels: four scales behind a 7x7 convolution and a max pool.

    The paper's three have classifiers behind layers k i + 3, i = 1 ... 5; a layer adds 16, 32, 64
    and 64 features. The models of the port have classifiers behind layers k i instead.
    """
    return msdnet(Design(classifiers, 32, 16, (1, 2, 4, 4), None), tails.resnet(32), classes)


def _k(k: int) -> tuple[tuple[int, ...]]:
    return (tuple(k * i + 3 for i in range(1, 6)),)


# The paper's three, of 23, 33 and 38 layers.
_imagenet = partial(row, msdnet_imagenet, 224)
msdnet_imagenet_k4 = _imagenet(_k(4), 31_096_056, 1_606_191_552)
msdnet_imagenet_k6 = _imagenet(_k(6), 75_087_752, 2_914_979_456)
msdnet_imagenet_k7 = _imagenet(_k(7), 80_217_784, 3_504_182_976)


def anytime_scores(
    network: Network, variables: Mapping[str, Any], images: Float[Array, "N H W C"]
) -> list[Float[Array, "N classes"]]:
    """The scores of all classifiers, from the cheapest to the last, as in a test.

    The network is an MSDNet, or any with `Auxiliary` classifiers; the last scores are what
    `network.apply` gives.

    Example:
        >>> import jax
        >>> from ablax.core import abstract_variables
        >>> network = msdnet_cifar((1, 2), features=4, growth=2)
        >>> images = jax.numpy.ones((1, 8, 8, 3))
        >>> variables = abstract_variables(network, (8, 8, 3))
        >>> shapes = jax.eval_shape(lambda v: anytime_scores(network, v, images), variables)
        >>> [scores.shape for scores in shapes]
        [(1, 10), (1, 10)]
    """
    last, aside = network.apply(variables, images, mutable=["auxiliary"])
    scores = {
        path.rsplit("/", 2)[0]: leaf
        for path, leaf in leaves_by_path(aside.get("auxiliary", {})).items()
    }
    return [*(scores[path] for path, _ in walk(network.layers) if path in scores), last]


def truncated(classifier: int) -> Edit:
    """The edit that ends the network in one of its early classifiers, so that its cost shows.

    The classifier becomes the head, and everything behind it goes; so do the cells in front of it
    that it cannot see (`ablax.layers.blocks.needed`), as under the paper's lazy evaluation.
    The scores are those of `anytime_scores`. The grid has bit-equal initial weights; the
    classifier's path is shorter than in the grid, so it draws other ones (`truncated_variables`
    moves trained weights). Classifiers are numbered from 1.

    Raises:
        EditError: When applied to a network without this early classifier.

    Example:
        >>> [name for name, _ in truncated(1)(msdnet_cifar10()).head.items()]
        ['classifier1']
    """

    def cut(network: Network) -> Network:
        name = f"classifier{classifier}"
        grid = dict(network.body.items()).get(GRID)
        layers = grid.layers if isinstance(grid, MultiScale) else Layers()
        early = [each for each, layer in layers.items() if isinstance(layer, Auxiliary)]
        if name not in early:
            raise EditError(f"the network has no early classifier {name!r}: {nearest(name, early)}")
        side = layers[name]
        names = list(layers)
        front = Layers({each: layers[each] for each in names[: names.index(name)]})
        body = Layers({**dict(network.body.items()), GRID: MultiScale(needed(front))})
        return network.copy(body=body, head=Layers({name: Sequential(side.head)}))

    return cut


def truncated_variables(variables: Mapping[str, Any], classifier: int) -> dict[str, Any]:
    """The weights of an MSDNet for its `truncated(classifier)`: the classifier's, one level up.

    What the shorter network lacks is left where it is, and `apply` does not look at it.
    """
    name = f"classifier{classifier}"
    return {collection: {**tree, name: tree[GRID][name]} for collection, tree in variables.items()}
