"""Invariance: how far features move, and how the score falls, when images are transformed.

References:
    M. D. Zeiler and R. Fergus, 2014. Visualizing and understanding convolutional networks, section
    4.1 and figure 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float, Int32

from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.measurements.amounts import TRANSFORMATIONS, Transformation, values_of
from ablax.measurements.invariance_plots import (
    NAME,
    curves_figure,
    distances_table,
    errors_table,
)
from ablax.measurements.measurement import Measurement
from ablax.measurements.subject import Subject
from ablax.report.study import Picture, Quantity, Row, Section

LAW = (
    "Every image x of a fixed sample of the test images, evenly spaced, is transformed by growing "
    "amounts a; T x is read linearly between pixels, and what enters from outside is the nearest "
    "pixel of the edge. Left, how far the features f of a layer move, mean |f(T x) - f(x)| over "
    "mean |f(x) - f(x')|: Euclidean distances, the second over all pairs of different images of "
    "the sample, so that layers can be compared: at 1 an image has moved as far as another image "
    "is away. (The plain distance, which the source plots, is this curve times one number for each "
    "layer of a run; it is in the rows of the measurement as `euclidean`.) Right, the mean "
    "probability that the network gives the right class. Gray: the small amounts over which the "
    "tables take their means, the untouched images not among them."
)
"""What the report says of it."""


class InvarianceError(AblaxError):
    """A measurement of invariance that cannot be made."""


def invariance(
    layers: Sequence[str],
    panels: Mapping[str, Sequence[str]],
    images: int = 256,
    transformations: Sequence[Transformation] = TRANSFORMATIONS,
    note: str = "",
) -> Measurement:
    """The measurement after training: curves of features and scores against each amount.

    Its rows have the columns `transformation`, `amount`, `measure`, `layer` (empty for what the
    output gives) and `value`. Measures are `distance` and `euclidean` of each layer, `probability`
    of the right class (0 to 1) and test `error` (percent). The error of the untouched sample is the
    quantity `untouched_error`. For each transformation T, means over its small amounts are
    quantities: `T_error`, `T_increase` (of the error, over untouched images), and the distances
    `T_first` and `T_last` of the first and the last layer; over all amounts `T_wide_error`.

    Args:
        layers: From the first to the last, such as `("pool1", "pool5", "fc7")`, of every variant.
        panels: Which variants' features are drawn together, by the panel's title; in each panel
            the first is solid, the second dashed.
        images: How many test images.
        transformations: Which, and by how much.
        note: What the report says beside the law.

    Raises:
        InvarianceError: Fewer than two layers or images, or nothing to transform by.
    """
    if len(set(layers)) < 2 or len(set(layers)) < len(layers):
        raise InvarianceError(
            f"invariance is compared between layers, and {', '.join(layers) or 'none'} is given: "
            "name two or more different ones, the first nearest to the image"
        )
    if images < 2:
        raise InvarianceError(
            f"invariance is measured on {images} image(s), and 2 or more are expected: the unit "
            "is the distance between two of them"
        )
    if not transformations:
        raise InvarianceError("there is no transformation to measure by: give at least one")
    pictures = tuple(
        Picture(
            name=f"invariance_{kind}",
            title=title,
            caption=f"{caption}: how far features move, and the probability of the right class, "
            "against the amount. Lines: mean over seeds; bands: lowest to highest.",
            draw=partial(curves_figure, chosen=chosen, layers=tuple(layers), panels=panels),
        )
        for kind, title, caption in _KINDS
        if (chosen := tuple(t for t in transformations if t.kind == kind))
    )
    tables = (
        partial(errors_table, transformations=tuple(transformations)),
        partial(distances_table, transformations=tuple(transformations), layers=tuple(layers)),
    )
    return Measurement(
        name=NAME,
        measure=partial(
            measure,
            layers=tuple(layers),
            images=images,
            transformations=tuple(transformations),
        ),
        section=Section(
            title="Invariance of the layers and of the score",
            text=f"{LAW} {note}".strip(),
            pictures=pictures,
            tables=tables,
        ),
        quantities=quantities(layers, transformations),
    )


_KINDS = (
    ("place", "Moved, resized and turned images", "Translation, scale, rotation"),
    ("light", "Images in other light", "Gain, offset, contrast"),
)


def measure(
    subject: Subject,
    layers: Sequence[str],
    images: int,
    transformations: Sequence[Transformation],
) -> list[Row]:
    """The rows of one run; see `invariance` for their columns.

    Raises:
        AblaxError: A layer that the network does not have.
    """
    sample = evenly_spaced(subject.test, images)
    still, _ = _features_and_scores(subject, sample.images, layers)
    unit = {layer: mean_distance_between(still[layer]) for layer in layers}
    rows: list[Row] = []
    for transformation in transformations:
        for amount in transformation.amounts(sample.images.shape[1]):
            transformed = transformation.apply(sample.images, amount)
            moved, scores = _features_and_scores(subject, transformed, layers)
            found = [("error", "", _error(scores, sample.labels))]
            found.append(("probability", "", mean_probability(scores, sample.labels)))
            for layer in layers:
                distance = mean_distance(still[layer], moved[layer])
                found.append(("euclidean", layer, distance))
                # features that are the same for all images have no unit to be measured in
                relative = distance / unit[layer] if unit[layer] > 0 else math.nan
                found.append(("distance", layer, relative))
            place = {"transformation": transformation.name, "amount": amount}
            rows += [place | {"measure": m, "layer": at, "value": value} for m, at, value in found]
    return rows


def evenly_spaced(split: Split, images: int) -> Split:
    """So many of the images at equal distances from the first to the last; all if there are fewer.

    The digits' test images come in fours that show one scan; so spaced, 256 of them are 256 scans.
    """
    count = min(images, len(split.images))
    chosen = np.linspace(0, len(split.images) - 1, count).round().astype(np.int64)
    return Split(split.images[chosen], split.labels[chosen])


def mean_distance(one: Float[np.ndarray, "N ..."], other: Float[np.ndarray, "N ..."]) -> float:
    """Euclidean distance of each row from its own row of the other array, on average.

    Example:
        >>> mean_distance(np.zeros((2, 2)), np.array([[3.0, 4.0], [0.0, 1.0]]))
        3.0
    """
    apart = other.astype(np.float64) - one.astype(np.float64)
    return float(np.linalg.norm(apart.reshape(len(apart), -1), axis=1).mean())


def mean_distance_between(features: Float[np.ndarray, "N ..."]) -> float:
    """Euclidean distance of two different rows, on average over all pairs.

    Example:
        >>> mean_distance_between(np.array([[0.0], [1.0], [3.0]]))
        2.0
    """
    from scipy.spatial.distance import pdist

    return float(pdist(features.reshape(len(features), -1).astype(np.float64)).mean())


def mean_probability(
    scores: Float[np.ndarray, "N classes"], labels: Int32[np.ndarray, " N"]
) -> float:
    """Of the right class, by the softmax of the scores, on average.

    Example:
        >>> mean_probability(np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([0, 1], np.int32))
        0.5
    """
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    weights = np.exp(shifted)
    return float((weights[np.arange(len(labels)), labels] / weights.sum(axis=1)).mean())


def _error(scores: np.ndarray, labels: np.ndarray) -> float:
    """Percent."""
    return 100 * float(np.mean(scores.argmax(axis=1) != labels))


def _features_and_scores(
    subject: Subject, images: np.ndarray, layers: Sequence[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Of one forward pass: the last layer of a network gives its scores."""
    output = tuple(subject.network.layers)[-1]
    found = subject.features(images, at=list(dict.fromkeys([*layers, output])))
    return found, found[output]


def quantities(
    layers: Sequence[str], transformations: Sequence[Transformation] = TRANSFORMATIONS
) -> dict[str, Quantity]:
    """What claims may speak of; see `invariance` for the names."""
    found = {
        "untouched_error": Quantity(
            "test error on untouched images of the sample",
            partial(_untouched, transformations[0]),
            "points",
        )
    }
    for t in transformations:
        error = partial(_mean, t, "error", "")
        found[f"{t.name}_error"] = Quantity(f"test error {t.small_words}", error, "points")
        found[f"{t.name}_increase"] = Quantity(
            f"increase of the test error {t.small_words}", partial(_increase, t), "points"
        )
        found[f"{t.name}_wide_error"] = Quantity(
            f"test error {t.wide_words}", partial(_mean, t, "error", "", small=False), "points"
        )
        for place, layer in (("first", layers[0]), ("last", layers[-1])):
            found[f"{t.name}_{place}"] = Quantity(
                f"distance that {layer} moves {t.small_words}", partial(_mean, t, "distance", layer)
            )
    return found


def _increase(transformation: Transformation, rows: Iterable[Row]) -> float:
    """Error over the small amounts less the error of untouched images."""
    rows = tuple(rows)
    return _mean(transformation, "error", "", rows) - _untouched(transformation, rows)


def _untouched(transformation: Transformation, rows: Iterable[Row]) -> float:
    """The error where the amount changes nothing."""
    values = values_of(rows, transformation, "error")
    return values.get(transformation.identity, math.nan)


def _mean(
    transformation: Transformation,
    measure: str,
    layer: str,
    rows: Iterable[Row],
    small: bool = True,
) -> float:
    return transformation.mean(values_of(rows, transformation, measure, layer), small)
