"""What counts: the usual convention of the papers, and the one of the lecture's AlexNet table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ablax.analysis.layers import Layer
from ablax.analysis.product_macs import total_macs


@dataclass(frozen=True)
class Convention:
    """A way of counting.

    Attributes:
        name: What the foot of a table calls it.
        says: What counts, in a sentence or two for that foot.
        macs: The multiply-accumulates of a layer, all its trips.
        stored: The numbers that a layer stores as parameters; from the layer and the numbers of
            each parameter (0 for one that is not learned).
    """

    name: str
    says: str
    macs: Callable[[Layer], int]
    stored: Callable[[Layer, Sequence[int]], int]


def _usual_macs(layer: Layer) -> int:
    return sum(total_macs(step.equation) for step in layer.steps)


def _usual_stored(layer: Layer, sizes: Sequence[int]) -> int:
    return sum(sizes[leaf] for leaf in layer.leaves)


def _lecture_macs(layer: Layer) -> int:
    """One product more for every output with a bias; of the rest what an output takes."""
    trips = 1 if layer.trips is None else layer.trips
    out = math.prod(layer.output_shape)
    family = layer.operation.family
    products = _usual_macs(layer)
    if family in ("convolution", "dense", "product"):
        return products + (out * trips if layer.has_bias else 0)
    if family == "pool":
        return out * trips * math.prod(layer.operation.window)
    if family == "response normalization":
        return out * trips * (2 * layer.operation.window[0] - 1)
    if family == "elementwise":
        return out * trips * max(1, len(layer.reads) - 1)
    if family == "reduction":
        return math.prod(layer.input_shape) * trips
    return 0 if family == "rearrangement" else out * trips


def _lecture_stored(layer: Layer, sizes: Sequence[int]) -> int:
    biases = layer.bias_leaves
    weights = sum(sizes[leaf] for leaf in layer.leaves - biases)
    # a bias is stored for every place of one image
    return weights + (math.prod(layer.output_shape[1:]) if biases else 0)


USUAL = Convention(
    name="usual",
    says=(
        "multiply-accumulates of convolutions and matrix products alone, padded taps counted; "
        "parameters are the numbers learned, without running statistics"
    ),
    macs=_usual_macs,
    stored=_usual_stored,
)

LECTURE = Convention(
    name="lecture",
    says=(
        "as in the AlexNet table of L2: a bias is one multiply-accumulate and one stored number "
        "for every output; a nonlinearity and a softmax cost 1 for every number, a pool its "
        "window (3x3: 9), response normalization over n channels 2 n - 1 (n = 5: 9). Where that "
        "table says nothing: batch normalization and each addition or product of maps cost 1 for "
        "every number, a sum its length, a rearrangement nothing"
    ),
    macs=_lecture_macs,
    stored=_lecture_stored,
)

CONVENTIONS = {convention.name: convention for convention in (USUAL, LECTURE)}
