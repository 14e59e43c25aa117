"""Transfer: what the features of a network are worth on a data set it has never seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ablax.core import ImageShape
from ablax.data.images import DataError, Split
from ablax.data.sources import load
from ablax.data.tfds import as_array, center
from ablax.errors import AblaxError
from ablax.measurements.measurement import Measurement
from ablax.measurements.probe_classifiers import probe
from ablax.measurements.probe_section import PublishedProbes
from ablax.measurements.probe_transfer_section import transfer_section
from ablax.measurements.probes import PIXELS, check_layers, error_where, layer_features
from ablax.measurements.subject import Subject
from ablax.report.study import Quantity, Row


def transfer(
    layers: Mapping[int, str],
    to: Sequence[str],
    *,
    published: tuple[PublishedProbes, ...] = (),
    train_images: int = 1000,
    test_images: int = 2000,
) -> Measurement:
    """A linear SVM on the features of each layer for the images of other data sets.

    The network keeps the weights it has from the recipe's data; only the classifier is fitted to
    the other set's training images, and judged by its test images. Rows: a data set that is not
    on this machine has one row, with the reason in `missing` and nan for its figures; the others
    have the columns of `layer_probes`, and `target`. The recipe's own data set is left out.

    Claims may speak of `transfer_5`, `untrained_transfer_5` and `transfer_pixels`: the test error,
    averaged over the other data sets that are there.

    Args:
        layers: The number of each layer, at least 1, to its path in the network.
        to: Data sets by the names of `ablax.data.sources.load`.
        published: Accuracies to stand beside ours.
        train_images: Of each set, drawn at random, the same for every run.
        test_images: Likewise.

    Raises:
        AblaxError: No layer, a number below 1, or no data set.

    References:
        Yosinski, Clune, Bengio, Lipson 2014, How transferable are features in deep neural
        networks?

    Example:
        >>> sorted(transfer({1: "s2"}, to=["digits"]).quantities)
        ['transfer_1', 'transfer_pixels', 'untrained_transfer_1']
    """
    check_layers(layers)
    if not to:
        raise AblaxError("transfer has no data set to go to: name at least one, such as 'digits'")
    return Measurement(
        name="transfer",
        measure=partial(
            transferred,
            layers=layers,
            to=tuple(to),
            train_images=train_images,
            test_images=test_images,
        ),
        section=transfer_section(layers, published),
        moments=("start", "end"),
        quantities=_quantities(layers),
    )


def transferred(
    subject: Subject,
    layers: Mapping[int, str],
    to: Sequence[str],
    train_images: int = 1000,
    test_images: int = 2000,
) -> tuple[Row, ...]:
    """The rows of one subject, one data set after the other."""
    rows: list[Row] = []
    for target in to:
        if target == subject.recipe.data.source:
            continue
        try:
            train, test = sample(target, subject.recipe.data.dir, train_images, test_images)
        except DataError as error:
            rows.append(_row(subject, target, missing=str(error)))
            continue
        rows += _probed(subject, target, layers, train, test)
    return tuple(rows)


def sample(
    source: str, folder: Path | None, train_images: int, test_images: int
) -> tuple[Split, Split]:
    """Random images of a data set, always the same ones, in the data's order.

    Args:
        source: Its name.
        folder: Of prepared tensorflow-datasets.
        train_images: How many, at most.
        test_images: Likewise.

    Raises:
        DataError: The set is not there, or cannot be read.
    """
    images = load(source, folder=folder)

    def some(split: Split, count: int) -> Split:
        at = np.sort(np.random.default_rng(0).permutation(len(split))[:count])
        return Split(np.asarray(split.images[at]), split.labels[at])

    return some(images.train, train_images), some(images.test, test_images)


def fitted(
    images: UInt8[np.ndarray, "N H W C"], image_shape: ImageShape
) -> UInt8[np.ndarray, "N _ _ _"]:
    """Images as another data set has them: as many channels, as many pixels.

    Color becomes gray by its luminance, 0.299 R + 0.587 G + 0.114 B; gray becomes color by
    repeating. Then the shorter side is scaled bilinearly and the middle is cut out.

    Args:
        images: Gray (1 channel) or color (3), levels 0 to 255.
        image_shape: (H, W, C), H = W.

    Raises:
        AblaxError: Another number of channels, or H other than W.

    Example:
        >>> fitted(np.full((2, 28, 28, 1), 7, np.uint8), (32, 32, 3)).shape
        (2, 32, 32, 3)
    """
    height, width, channels = image_shape
    if {channels, images.shape[-1]} - {1, 3} or height != width:
        raise AblaxError(
            f"images of shape {images.shape[1:]} cannot be made into {image_shape}: expected 1 or "
            "3 channels, and as many rows as columns"
        )
    mode = "L" if channels == 1 else "RGB"
    return np.stack([as_array(center(_picture(each).convert(mode), height)) for each in images])


def _picture(image: UInt8[np.ndarray, "H W C"]) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _probed(
    subject: Subject, target: str, layers: Mapping[int, str], train: Split, test: Split
) -> list[Row]:
    shape = cast(ImageShape, subject.train.images.shape[1:])
    seen = layer_features(subject, fitted(train.images, shape), layers)
    unseen = layer_features(subject, fitted(test.images, shape), layers)
    rows = []
    for depth in seen:
        found = probe("svm", (seen[depth], train.labels), (unseen[depth], test.labels))
        rows.append(
            _row(
                subject,
                target,
                layer=layers.get(depth, PIXELS),
                depth=depth,
                features=found.features,
                error=found.error,
                train_error=found.train_error,
                converged=float(found.converged),
                train_images=len(train),
                test_images=len(test),
            )
        )
    return rows


def _row(subject: Subject, target: str, **columns: Any) -> Row:
    """All columns in every row, so that a table of them has no holes."""
    return {
        "target": target,
        "layer": "",
        "depth": -1,
        "trained": float(subject.step > 0),
        "classifier": "svm",
        "features": 0,
        "error": math.nan,
        "train_error": math.nan,
        "converged": 0.0,
        "train_images": 0,
        "test_images": 0,
        "missing": "",
        **columns,
    }


def _quantities(layers: Mapping[int, str]) -> dict[str, Quantity]:
    named: dict[str, tuple[str, dict[str, object]]] = {
        "transfer_pixels": ("raw pixels", {"depth": 0})
    }
    for depth in sorted(layers):
        columns: dict[str, object] = {"depth": depth, "trained": 1.0}
        named[f"transfer_{depth}"] = (f"layer {depth}", columns)
        untrained = f"layer {depth} of the untrained network"
        named[f"untrained_transfer_{depth}"] = (untrained, {"depth": depth, "trained": 0.0})
    return {
        name: Quantity(
            f"test error on other data of a linear SVM on {label}",
            partial(error_where, where=columns),
            "points",
        )
        for name, (label, columns) in named.items()
    }
