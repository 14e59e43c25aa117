"""What an MSDNet is made of: its design, and from it the grid of cells and the classifiers.

Huang, Chen, Li, Wu, van der Maaten, Weinberger (2018): Multi-scale dense networks for resource
efficient image classification. arXiv 1703.09844, figure 2, appendix A. The networks are in
`ablax.zoo.msdnet`; the features of the first layer, the width of the bottlenecks and the place of
the transitions are those of the authors' code, gaohuang/MSDNet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ablax.core import Chain, Layers, Network, chain
from ablax.errors import AblaxError
from ablax.layers import Auxiliary, Dense, GlobalAveragePool, ReLU
from ablax.layers.blocks import Cell, DenseCell, MultiScale, needed
from ablax.layers.normalization import normalized

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
    """The MSDNet of a design behind a tail.

    Cells that no classifier can see, as in a network of fewer layers than scales, are left out.

    Args:
        design: Its numbers.
        tail: Layers from the image to the finest map, of `design.features` channels.
        classes: Scores an image.
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
            number = early.index(layer) + 1
            grid += Layers(
                {f"classifier{number}": Auxiliary(_classifier(design, features, classes))}
            )
    head = Layers({f"classifier{len(early) + 1}": Chain(_classifier(design, features, classes))})
    return Network(tail, Layers({GRID: MultiScale(needed(grid))}), head)


def _first(design: Design) -> Layers:
    """The scales, each out of the next finer one."""

    def made(factor: int) -> Layers:
        return Layers(down=normalized(design.features * factor, 3, 2, relu=ReLU()))

    coarser = enumerate(design.factors[1:], start=2)
    return Layers({f"first_scale{scale}": Cell(scale, made(factor)) for scale, factor in coarser})


def _layer(design: Design, layer: int, features: int) -> Layers:
    """One layer at each scale its block has, from coarse to fine."""
    finest, finest_before = (
        1 + max(0, number) // design.block for number in (layer - 1, layer - 2)
    )

    def cell(scale: int) -> DenseCell:
        factor, new = design.factors[scale - 1], design.growth * design.factors[scale - 1]
        if scale == finest_before:
            return DenseCell(
                scale, same=Layers(same=_bottleneck(features * factor, factor, new, 1))
            )
        finer, half = design.factors[scale - 2], new // 2
        return DenseCell(
            scale,
            down=Layers(down=_bottleneck(features * finer, finer, half, 2)),
            same=Layers(same=_bottleneck(features * factor, factor, half, 1)),
        )

    scales = range(len(design.factors), finest - 1, -1)
    return Layers({f"layer{layer}_scale{scale}": cell(scale) for scale in scales})


def _bottleneck(channels: int, factor: int, features: int, stride: int) -> Chain:
    """A 1x1 to at most `factor` times the features, then the 3x3."""
    return chain(
        reduce=normalized(min(channels, factor * features), 1, relu=ReLU()),
        conv=normalized(features, 3, stride, relu=ReLU()),
    )


def _transition(design: Design, layer: int, features: int) -> Layers:
    """A 1x1 on every scale that is left behind this layer."""
    finest = 1 + (layer - 1) // design.block
    return Layers(
        {
            f"transition{layer}_scale{scale}": Cell(
                scale, same=Layers(same=normalized(features * factor, 1, relu=ReLU()))
            )
            for scale, factor in enumerate(design.factors, start=1)
            if scale >= finest
        }
    )


def _classifier(design: Design, features: int, classes: int) -> Layers:
    """Two 3x3 convolutions with stride 2, the mean of each map, and a dense layer."""
    hidden = design.hidden or features * design.factors[-1]
    return Layers(
        conv1=normalized(hidden, 3, 2, relu=ReLU()),
        conv2=normalized(hidden, 3, 2, relu=ReLU()),
        average=GlobalAveragePool(),
        dense=Dense(classes),
    )
