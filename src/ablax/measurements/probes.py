"""Linear probes: what a linear classifier makes of the features of every layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float, UInt8

from ablax.errors import AblaxError
from ablax.measurements.measurement import Measurement
from ablax.measurements.probe_classifiers import Classifier, places, probe
from ablax.measurements.probe_section import PublishedProbes, probe_section
from ablax.measurements.subject import Subject
from ablax.report.study import Quantity, Row

PIXELS = "pixels"
"""What stands in the column `layer` for the image itself, at depth 0."""

CLASSIFIERS: Mapping[Classifier, str] = {"svm": "linear SVM", "softmax": "softmax regression"}

_CHUNK = 1024


def layer_probes(
    layers: Mapping[int, str],
    *,
    published: tuple[PublishedProbes, ...] = (),
    images: int = 2000,
) -> Measurement:
    """Linear classifiers on the pixels and on the features of each layer, trained and untrained.

    Every run is measured before its first step and after its last. Its rows have the columns
    `layer`, `depth`, `trained` (1 or 0), `classifier`, `features`, `error`, `train_error`,
    `converged` (1 or 0), `train_images` and `test_images`; those of the pixels stand at depth 0,
    untrained. Claims may speak of `svm_5`, `untrained_svm_5`, `svm_pixels` and the same with
    `softmax`.

    Args:
        layers: The number of each layer, at least 1, to its path in the network.
        published: Accuracies to stand beside ours.
        images: Training images that a classifier is fitted to, at most.

    Raises:
        AblaxError: No layer, or a number below 1.

    References:
        Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, table 7.
        Alain and Bengio 2016, Understanding intermediate layers using linear classifier probes.

    Example:
        >>> sorted(layer_probes({1: "s2"}).quantities)  # doctest: +NORMALIZE_WHITESPACE
        ['softmax_1', 'softmax_pixels', 'svm_1', 'svm_pixels', 'untrained_softmax_1',
         'untrained_svm_1']
    """
    check_layers(layers)
    return Measurement(
        name="layer_probes",
        measure=partial(probed_layers, layers=layers, images=images),
        section=probe_section(layers, published),
        moments=("start", "end"),
        quantities=_quantities(layers),
    )


def check_layers(layers: Mapping[int, str]) -> None:
    """Refuses what is no numbering of layers.

    Raises:
        AblaxError: No layer, or a number below 1.
    """
    if not layers or min(layers) < 1:
        raise AblaxError(
            f"the layers to probe are {dict(layers)}, and at least one is expected, each with a "
            "number from 1, such as {1: 'pool1', 5: 'pool5'}"
        )


def probed_layers(
    subject: Subject, layers: Mapping[int, str], images: int = 2000
) -> tuple[Row, ...]:
    """The rows of one subject: a row for every layer and classifier.

    Args:
        subject: Its training images are taken from the first on, without distortions.
        layers: Number to path.
        images: Training images, at most.

    Raises:
        AblaxError: A layer that the network has not.
    """
    train = subject.train.images[:images], subject.train.labels[:images]
    test = subject.test.images, subject.test.labels
    seen = layer_features(subject, train[0], layers)
    unseen = layer_features(subject, test[0], layers)
    return tuple(
        {
            "layer": layers.get(depth, PIXELS),
            "depth": depth,
            "trained": float(subject.step > 0),
            "classifier": classifier,
            "features": found.features,
            "error": found.error,
            "train_error": found.train_error,
            "converged": float(found.converged),
            "train_images": len(train[0]),
            "test_images": len(test[0]),
        }
        for depth in seen
        for classifier in CLASSIFIERS
        for found in [probe(classifier, (seen[depth], train[1]), (unseen[depth], test[1]))]
    )


def layer_features(
    subject: Subject, images: UInt8[np.ndarray, "N H W C"], layers: Mapping[int, str]
) -> dict[int, Float[np.ndarray, "N _ _"]]:
    """Depth to what a classifier is given of raw images; untrained subjects give pixels too, at 0.

    Pixels do not depend on the network: they are measured once a run.
    """
    found: dict[int, list[np.ndarray]] = {}
    # in portions, because the maps of many images are large before they are averaged
    for part in np.array_split(np.asarray(images), math.ceil(len(images) / _CHUNK)):
        given = subject.features(part, list(dict.fromkeys(layers.values())))
        maps = {0: part / np.float32(255)} if subject.step == 0 else {}
        maps |= {depth: given[layers[depth]] for depth in sorted(layers)}
        for depth, values in maps.items():
            found.setdefault(depth, []).append(places(values))
    return {depth: np.concatenate(parts) for depth, parts in found.items()}


def error_where(rows: Sequence[Row], where: Mapping[str, object]) -> float:
    """The mean error of the rows in which the named columns have these values; nan of none."""
    errors = [
        float(row["error"])
        for row in rows
        if all(row[column] == value for column, value in where.items())
    ]
    finite = [error for error in errors if math.isfinite(error)]
    return float(np.mean(finite)) if finite else math.nan


def _quantities(layers: Mapping[int, str]) -> dict[str, Quantity]:
    return {
        name: Quantity(f"test error of the {label}", partial(error_where, where=where), "points")
        for name, label, where in _named_errors(layers)
    }


def _named_errors(layers: Mapping[int, str]) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Name, label and columns of every quantity."""
    for classifier, label in CLASSIFIERS.items():
        alike: dict[str, object] = {"classifier": classifier}
        yield f"{classifier}_pixels", f"{label} on raw pixels", {**alike, "depth": 0}
        for depth in sorted(layers):
            there = {**alike, "depth": depth}
            yield f"{classifier}_{depth}", f"{label} on layer {depth}", {**there, "trained": 1.0}
            untrained = f"{label} on layer {depth} of the untrained network"
            yield f"untrained_{classifier}_{depth}", untrained, {**there, "trained": 0.0}
