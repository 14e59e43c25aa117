"""Linear classifiers on the features of each layer, on the same data and on others."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, get_args

import jax
import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image
from threadpoolctl import threadpool_limits

from ablax.core import ImageShape
from ablax.data.images import DataError, Split
from ablax.data.sources import load
from ablax.data.tfds import as_array, center
from ablax.errors import AblaxError
from ablax.layers import adaptive_average_pool
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report import figures as kit
from ablax.report.statistics import mean
from ablax.report.study import Picture, Quantity, Row, Section, Study, matching, percentage
from ablax.report.study_tables import spread_of
from ablax.report.tables import NOTHING, Table, number, sentence, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Classifier = Literal["svm", "softmax"]
"""A linear support vector machine, one against the rest; softmax regression."""

LIMIT = 3072
"""Numbers of an image that a classifier is given: as many as a color image of 32 x 32 has."""

_SVM, _SOFTMAX, _ITERATIONS = 1.0, 10.0, 10_000


class Probe(NamedTuple):
    """What a classifier fitted to the features of training images says of test images.

    Errors are of the test images and of those it was fitted to, percent; nan where a feature is
    not finite, as after a run that diverged. `features` are the numbers of an image; a fit has
    converged when it ended by its own rule, not by the limit of 10,000 iterations.
    """

    error: float
    train_error: float
    features: int
    converged: bool


def places(maps: Float[np.ndarray, "N ..."], limit: int = LIMIT) -> Float[np.ndarray, "N P C"]:
    """Features as places by channels, averaged over space where they are more than `limit`.

    Maps of H x W x C elements are averaged over B x B bins (`adaptive_average_pool`), B being the
    largest with B^2 C <= limit, but at least 1; P = B^2. B = H = W changes nothing. An average is
    linear: a linear classifier on averages is one on the features themselves that weighs
    neighbors alike, so it never finds what a classifier on all of them could not. The elements of
    a vector (N, C) are channels of one place, and are left as they are; other shapes are refused.

    Example:
        >>> places(np.zeros((5, 16, 16, 8)), limit=128).shape
        (5, 16, 8)
    """
    if maps.ndim == 2:
        return maps[:, None]
    if maps.ndim != 4:
        raise AblaxError(
            f"features of shape {maps.shape} cannot be probed: expected (images, features) or "
            "(images, height, width, channels); name another layer"
        )
    _, height, width, channels = maps.shape
    bins = max(1, min(height, width, math.isqrt(limit // channels)))
    if height * width * channels > limit and (height, width) != (bins, bins):
        maps = np.asarray(_averaged(maps, bins))
    return maps.reshape(len(maps), -1, channels)


_averaged = jax.jit(adaptive_average_pool, static_argnums=1)


BINS = 9
"""Directions from 0 to 180 degrees; light to dark and dark to light are one."""
_CLIP = 0.2


def oriented_gradients(
    images: UInt8[np.ndarray, "N H W channels"], cell: int = 4
) -> Float[np.ndarray, "N blocks features"]:
    """The descriptor of each block of 2 x 2 cells: 4 histograms of 9 directions, in [0, 1].

    The gradient is that of central differences, in the channel where it is longest. Its length is
    voted into the two nearest directions of its cell, of `cell` x `cell` pixels; pixels that fill
    no cell are left out. Blocks overlap by half; each is divided by its length, cut at 0.2, and
    divided again.

    Dalal, Triggs 2005, Histograms of oriented gradients for human detection, section 6; their cells
    have 8 x 8 pixels, of images of 64 x 128.

    Example:
        >>> edge = np.zeros((1, 8, 8, 1), np.uint8)
        >>> edge[:, :, 4:] = 255  # it rises to the right: direction 0, between two bins
        >>> np.flatnonzero(oriented_gradients(edge)[0, 0, :9]).tolist()
        [0, 8]
    """
    levels = images.astype(np.float32) / np.float32(255)
    padded = np.pad(levels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    right = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    lengths = np.hypot(down, right)
    longest = lengths.argmax(axis=-1, keepdims=True)
    down, right, lengths = (
        np.take_along_axis(each, longest, axis=-1)[..., 0] for each in (down, right, lengths)
    )
    direction = np.mod(np.arctan2(down, right), np.pi) / np.pi * BINS - 0.5
    lower = np.floor(direction)
    upper_share = direction - lower
    count, rows, columns = len(images), images.shape[1] // cell, images.shape[2] // cell
    cells = np.zeros((count, rows, columns, BINS), np.float32)
    for bins, share in ((lower, 1 - upper_share), (lower + 1, upper_share)):
        for place in range(BINS):
            votes = np.where(np.mod(bins, BINS) == place, share * lengths, 0)
            votes = votes[:, : rows * cell, : columns * cell]
            cells[..., place] += votes.reshape(count, rows, cell, columns, cell).sum(axis=(2, 4))
    corners = (cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:])
    blocks = np.concatenate(corners, axis=-1).reshape(count, -1, 4 * BINS)
    return _of_length_1(np.minimum(_of_length_1(blocks), _CLIP))


def _of_length_1(blocks: Float[np.ndarray, "N B F"]) -> Float[np.ndarray, "N B F"]:
    return blocks / np.sqrt(np.square(blocks).sum(axis=-1, keepdims=True) + 1e-10)


def probe(
    classifier: Classifier,
    train: tuple[Float[np.ndarray, "N P C"], Int[np.ndarray, " N"]],
    test: tuple[Float[np.ndarray, "M P C"], Int[np.ndarray, " M"]],
) -> Probe:
    """Fits a linear classifier to training features of at least two classes; tests it on others.

    Each channel is standardized by its mean and standard deviation over the training images and all
    places, and all features are divided by the root of how many there are in channels that vary, so
    that an image's features have a mean squared length of 1 in every layer and one strength of
    regularization suits them all. A channel is one feature seen at many places; were each place
    standardized alone, one that is almost always dark in training, as the corners are, would be
    blown up by many orders of magnitude.

    Then scikit-learn minimizes |w|^2 / 2 + C sum of losses: `LinearSVC` the squared hinge loss of
    each class against the rest, with C = 1 (its bias is regularized like a weight);
    `LogisticRegression` the cross-entropy of the softmax, with C = 10. Both C are fixed, set by the
    error on held-out training images, on pixels and features of an untrained network: a tenth of
    them gives a clearly higher error, ten times as much a slightly lower one but takes longer. They
    are not chosen again for every layer, because the features of images that a network has been
    trained on are not those of unseen images.

    References:
        Fan, Chang, Hsieh, Wang, Lin 2008, LIBLINEAR: a library for large linear classification.

    Example:
        >>> apart = np.array([-1.0, -2.0, 1.0, 2.0]).reshape(4, 1, 1), np.array([0, 0, 1, 1])
        >>> probe("svm", apart, apart)
        Probe(error=0.0, train_error=0.0, features=1, converged=True)
    """
    if classifier not in get_args(Classifier):
        raise AblaxError(f"there is no classifier {classifier!r}: choose 'svm' or 'softmax'")
    (seen, seen_labels), (unseen, unseen_labels) = train, test
    if len(np.unique(seen_labels)) < 2:
        raise AblaxError(
            f"the {len(seen_labels)} training images are all of one class, and a classifier "
            "needs at least two: give more training images"
        )
    count = seen.shape[1] * seen.shape[2]
    if not (np.isfinite(seen).all() and np.isfinite(unseen).all()):
        return Probe(math.nan, math.nan, count, converged=False)
    standardized = _standardization(seen)
    model = _unfitted(classifier)
    converged = _fit(model, standardized(seen), seen_labels)

    def error(features: np.ndarray, labels: np.ndarray) -> float:
        return 100 * float(np.mean(model.predict(standardized(features)) != labels))

    return Probe(error(unseen, unseen_labels), error(seen, seen_labels), count, converged)


def _standardization(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Less the mean, over the std and the root of how many features vary; flattened."""
    mean = train.mean(axis=(0, 1), dtype=np.float64)
    deviation = train.std(axis=(0, 1), dtype=np.float64)
    # what is constant but for rounding is told apart from what varies
    varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-6)
    count = train.shape[1] * max(1, int(varies.sum()))
    scale = np.where(varies, deviation, 1.0) * math.sqrt(count)

    def standardized(features: np.ndarray) -> np.ndarray:
        return np.where(varies, (features - mean) / scale, 0.0).reshape(len(features), -1)

    return standardized


def _unfitted(classifier: Classifier) -> Any:
    if classifier == "svm":
        from sklearn.svm import LinearSVC

        # the order in which liblinear visits the images is random: from the same seed every time
        return LinearSVC(C=_SVM, dual=True, max_iter=_ITERATIONS, random_state=0)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_SOFTMAX, max_iter=_ITERATIONS)


def _fit(model: Any, features: np.ndarray, labels: np.ndarray) -> bool:
    """Fits the model in place and returns whether it converged."""
    from sklearn.exceptions import ConvergenceWarning

    # Threads of linear algebra beside those of JAX make softmax fits many times slower.
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1):
        warnings.simplefilter("always")
        model.fit(features, labels)
    ours = [each for each in caught if issubclass(each.category, ConvergenceWarning)]
    for each in caught:
        if each not in ours:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return not ours


HEADINGS = {"svm": "SVM", "softmax": "Softmax"}

TEXT = (
    "A linear classifier was fitted to the features of every layer for training images, without "
    "distortions, and evaluated on the features of all test images. Maps of more than 3,072 "
    "elements were averaged over space to fewer; each channel was standardized by its mean and "
    "standard deviation over the training images and all places, and divided by the root of how "
    "many features there are. SVM: linear support vector machine, each class against the rest, "
    "squared hinge loss, C = 1. Softmax: softmax regression, C = 10. Both C are fixed for all "
    "layers; they were chosen without test images. "
    "Layers differ in how many features they give per image, and more are an advantage. "
    "Untrained: the network of the same seed before its first step. Where the test images are "
    "distorted and the training images are not, as with the digits, features that have learned "
    "to bear distortions gain by it. The network has learned from the same training images that "
    "the classifiers are fitted to."
)


@dataclass(frozen=True)
class PublishedProbes:
    """Accuracies that somebody printed, to stand beside ours.

    `short` is the heading of their column, `source` the citation and what a reader must know to
    compare. (classifier, number of the layer) leads to the accuracy and what is printed behind ±,
    percent.
    """

    short: str
    source: str
    accuracies: Mapping[tuple[str, int], tuple[float, float]]

    def text(self, classifier: str, depth: int) -> str:
        """Such as `"44.8 ± 0.7"`."""
        found = self.accuracies.get((classifier, depth), (math.nan, math.nan))
        return spread(*found, digits=1)


def accuracies(study: Study, measurement: str, **columns: Any) -> list[float]:
    """100 - error of the baseline's rows in which the columns have these values, finite ones."""
    rows = study.rows(measurement, variant=study.baseline, **columns)
    return [100 - error for error in finite_errors(rows)]


def finite_errors(rows: Sequence[Row]) -> list[float]:
    """The errors of the fits whose features were finite."""
    return [error for row in rows if math.isfinite(error := float(row["error"]))]


_FIGURES = ("Features per image", "Trained, %", "Untrained, %")
_ALIKE = (
    "the published ± is as printed. Pixels and HOG (histograms of oriented gradients, Dalal and "
    "Triggs 2005, made by hand) depend on no network: one figure stands in both columns."
)


def layer_rows(
    study: Study,
    measurement: str,
    layers: Mapping[int, str],
    published: Sequence[PublishedProbes],
    kind: str,
    **columns: Any,
) -> Iterator[tuple[str, ...]]:
    """Of pixels and each layer: path, features per image, accuracy trained, untrained, published.

    Pixels and histograms of oriented gradients depend on no network: they have one figure.
    """
    for depth in (*BY_HAND, *sorted(layers)):
        found = partial(accuracies, study, measurement, depth=depth, **columns)
        rows = study.rows(measurement, variant=study.baseline, depth=depth, **columns)
        if depth == HOG and not rows:
            continue
        if depth > 0:
            name = f"{HEADINGS[kind]} ({depth})"
            both = [spread_of(found(trained=trained), 1) for trained in (1.0, 0.0)]
        else:
            varied = max(found(), default=0.0) > min(found(), default=0.0)  # by fold
            shown = spread_of(found(), 1) if varied else number(mean(found()), 1)
            name, both = f"{HEADINGS[kind]}, {BY_HAND[depth]}", [shown] * 2
        features = number(rows[-1]["features"], 0) if rows else NOTHING
        printed = [column.text(kind, depth) for column in published]
        yield (name, layers.get(depth, NOTHING), features, *both, *printed)


def _published(published: Sequence[PublishedProbes]) -> tuple[list[str], list[str]]:
    """The headings of their columns, and the notes on them."""
    headings = [f"{column.short}, published, %" for column in published]
    return headings, [sentence(f"{column.short}: {column.source}") for column in published]


def probe_table(
    study: Study, *, layers: Mapping[int, str], published: Sequence[PublishedProbes]
) -> Table:
    """A row for each classifier and layer, as in the lecture, with pixels as layer 0."""
    headings, citations = _published(published)
    rows = [
        row
        for kind in HEADINGS
        for row in layer_rows(study, "layer_probes", layers, published, kind, classifier=kind)
    ]
    own = [100 - run.test_error for run in study.finished_runs_of(study.baseline)]
    nothing = (NOTHING,) * (1 + len(published))
    rows.append(("The network itself", NOTHING, NOTHING, spread_of(own, 1), *nothing))
    return Table(
        "Accuracy of linear classifiers on the features of each layer",
        ("Classifier (layer)", "Layer here", *_FIGURES, *headings),
        tuple(rows),
        (
            "Test accuracy, mean ± standard deviation over seeds, of which there are "
            f"{len(own)}; {_ALIKE}",
            convergence_note(study, "layer_probes"),
            *citations,
        ),
        left=(0, 1),
    )


def convergence_note(study: Study, measurement: str) -> str:
    """How many fits came to their end."""
    rows = study.rows(measurement)
    ended = len(finite_errors(matching(rows, converged=1)))
    return f"{ended:,} of {len(finite_errors(rows)):,} fits converged."


@kit.settings()
def probe_figure(study: Study, *, layers: Mapping[int, str]) -> Figure:
    """Two panels, SVM and softmax: accuracy against the layer, trained, untrained, raw pixels."""
    figure, drawn = kit.panels(
        2, 2, (kit.WIDTH, 5.6), above=0.2, grid="y", x="Layer", y="Test accuracy, %", sharey=True
    )
    ends = [
        draw_layers(axes, study, "layer_probes", layers, classifier=classifier)
        for axes, classifier in zip(drawn, HEADINGS, strict=True)
    ]
    # only now is the height known that the panels share
    for axes, heading, named in zip(drawn, HEADINGS.values(), ends, strict=True):
        axes.set_title(f"{heading} on the features of each layer")
        kit.name_ends(axes, named)
    return kit.set_caption(
        figure, "Trained and untrained are the same network after and before training."
    )


def draw_layers(
    axes: Axes, study: Study, measurement: str, layers: Mapping[int, str], **columns: Any
) -> list[kit.End | None]:
    """Accuracy against the layer, trained and untrained, each with its range, and the pixels'.

    Of a measurement those rows in which the columns have these values; gives the ends of the lines.
    """
    depths = sorted(layers)
    found = partial(accuracies, study, measurement, **columns)
    ends: list[kit.End | None] = []
    for trained, (name, style) in enumerate(_LOOKS.items()):
        values = {float(depth): found(depth=depth, trained=float(trained)) for depth in depths}
        if any(values.values()):
            ends.append(kit.draw_line(axes, values, name, style))
    axes.set_xlim(depths[0] - 0.4, depths[-1] + 0.4)
    for (depth, name), dashes in zip(BY_HAND.items(), (":", "-."), strict=True):
        if there := found(depth=depth):
            line = axes.axhline(mean(there), color="#444444", lw=1.8, ls=dashes)
            ends.append(kit.End(axes.get_xlim()[1], mean(there), name, str(line.get_color())))
    axes.set_xticks(depths, [f"{depth}\n{layers[depth]}" for depth in depths], fontsize=11)
    if not ends:
        kit.say_nothing(axes)
    return ends


_LOOKS: dict[str, dict[str, Any]] = {
    "untrained": {"color": kit.COLORS[2], "marker": "s", "linestyle": "--", "mfc": "white"},
    "trained": {"color": kit.COLORS[1], "marker": "o"},
}


PIXELS = "pixels"
HOG = -1
"""The depth at which histograms of oriented gradients stand."""
BY_HAND = {0: "raw pixels", HOG: "HOG"}
"""Depth to what pages call features that no network learned."""
"""What stands in the column `layer` for the image itself, at depth 0."""

_CHUNK = 1024


def layer_probes(
    layers: Mapping[int, str], *, published: tuple[PublishedProbes, ...] = (), images: int = 2000
) -> Measurement:
    """Linear classifiers on the pixels and on the features of each layer, trained and untrained.

    Every run is measured before its first step and after its last. Its rows have the columns
    `layer`, `depth`, `trained` (1 or 0), `classifier`, `features`, `error`, `train_error`,
    `converged` (1 or 0), `train_images` and `test_images`; those of the pixels stand at depth 0,
    untrained, those of histograms of oriented gradients at -1. Claims may speak of `svm_5`,
    `untrained_svm_5`, `svm_pixels`, `svm_hog` and the same with `softmax`.

    Layers are given as their number, at least 1, to their path in the network; a classifier is
    fitted to so many training `images` at most.

    References:
        Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, table 7.
        Alain and Bengio 2016, Understanding intermediate layers using linear classifier probes.

    Example:
        >>> sorted(layer_probes({1: "s2"}).quantities)  # doctest: +NORMALIZE_WHITESPACE
        ['softmax_1', 'softmax_hog', 'softmax_pixels', 'svm_1', 'svm_hog', 'svm_pixels',
         'untrained_softmax_1', 'untrained_svm_1']
    """
    _check_layers(layers)
    return Measurement(
        name="layer_probes",
        measure=partial(probed_layers, layers=layers, images=images),
        section=Section(
            title="What a linear classifier makes of each layer",
            text=TEXT,
            pictures=(
                Picture(
                    "layer_probes",
                    "Accuracy against the layer",
                    "Test accuracy of a linear SVM and of softmax regression on the features of "
                    "each layer, trained and untrained, on pixels and on HOG: mean over seeds and "
                    "range.",
                    partial(probe_figure, layers=layers),
                ),
            ),
            tables=(partial(probe_table, layers=layers, published=published),),
        ),
        moments=("start", "end"),
        quantities={
            **_quantities("svm", layers, "of the linear SVM", classifier="svm"),
            **_quantities("softmax", layers, "of the softmax regression", classifier="softmax"),
        },
    )


def _check_layers(layers: Mapping[int, str]) -> None:
    if not layers or min(layers) < 1:
        raise AblaxError(
            f"the layers to probe are {dict(layers)}, and at least one is expected, each with a "
            "number from 1, such as {1: 'pool1', 5: 'pool5'}"
        )


def probed_layers(
    model: Model, sample: Sample, layers: Mapping[int, str], images: int = 2000
) -> tuple[Row, ...]:
    """The rows of one run at one moment: a row for every layer and classifier.

    At most so many training images are taken, from the first on, without distortions.
    """
    train = Split(sample.train.images[:images], sample.train.labels[:images])
    return tuple(_probed(model, sample.step, layers, train, sample.test, get_args(Classifier)))


def _probed(
    model: Model,
    step: int,
    layers: Mapping[int, str],
    train: Split,
    test: Split,
    classifiers: Sequence[Classifier],
) -> Iterator[dict[str, Any]]:
    """A row for each layer and classifier, fitted to the one split and evaluated on the other."""
    seen = layer_features(model, train.images, layers, step)
    unseen = layer_features(model, test.images, layers, step)
    for depth in seen:
        for classifier in classifiers:
            given = (seen[depth], train.labels), (unseen[depth], test.labels)
            found = probe(classifier, *given)
            yield {
                "layer": {0: PIXELS, HOG: BY_HAND[HOG], **layers}[depth],
                "depth": depth,
                "trained": float(step > 0),
                "classifier": classifier,
                "features": found.features,
                "error": found.error,
                "train_error": found.train_error,
                "converged": float(found.converged),
                "train_images": len(train),
                "test_images": len(test),
            }


def layer_features(
    model: Model, images: UInt8[np.ndarray, "N H W C"], layers: Mapping[int, str], step: int
) -> dict[int, Float[np.ndarray, "N _ _"]]:
    """Depth to what a classifier is given of raw images; before training of pixels and HOG too.

    These do not depend on the network: they are measured once per run.
    """
    found: dict[int, list[np.ndarray]] = {}
    # in portions, because the maps of many images are large before they are averaged
    for part in np.array_split(np.asarray(images), math.ceil(len(images) / _CHUNK)):
        given = model.features(part, list(dict.fromkeys(layers.values())))
        if step == 0:
            found.setdefault(0, []).append(places(part / np.float32(255)))
        if step == 0 and min(part.shape[1:3]) >= 2 * (cell := _cell(part.shape[1])):
            found.setdefault(HOG, []).append(oriented_gradients(part, cell))
        for depth in sorted(layers):
            found.setdefault(depth, []).append(places(given[layers[depth]]))
    return {depth: np.concatenate(parts) for depth, parts in found.items()}


def _cell(size: int) -> int:
    """Pixels of a cell: 8 as published, 4 of small images."""
    return 8 if size >= 64 else 4


def _quantities(
    prefix: str, layers: Mapping[int, str], label: str, **columns: object
) -> dict[str, Quantity]:
    """The errors of one classifier on pixels and on each layer, trained and untrained."""

    def quantity(of: str, **where: object) -> Quantity:
        def error(rows: Sequence[Row]) -> float:
            return mean(finite_errors(matching(rows, **columns, **where)))

        trained = where.get("trained") == 1.0
        return percentage(f"test error {label} on {of}", error, trained=trained)

    found = {
        f"{prefix}_pixels": quantity("raw pixels", depth=0),
        f"{prefix}_hog": quantity("histograms of oriented gradients", depth=HOG),
    }
    for depth in sorted(layers):
        layer = f"layer {depth}"
        untrained = f"{layer} of the untrained network"
        found[f"{prefix}_{depth}"] = quantity(layer, depth=depth, trained=1.0)
        found[f"untrained_{prefix}_{depth}"] = quantity(untrained, depth=depth, trained=0.0)
    return found


TRANSFER_TEXT = (
    "The network keeps the weights it learned from the recipe's data. Images of another data set "
    "were brought to its size (bilinearly) and channels (gray repeated, color by its luminance) "
    "and normalized as its own; a linear SVM was fitted to the features of some of that set's "
    "training images and evaluated on some of its test images, the same images in every run. This "
    "is how the published accuracies were measured too: there the network had learned from "
    "ImageNet."
)


def targets(study: Study) -> tuple[list[str], dict[str, str]]:
    """The data sets that were there, and the reason for each that was not."""
    rows = study.rows("transfer", variant=study.baseline)
    there = list(dict.fromkeys(str(row["target"]) for row in rows if not row["missing"]))
    missing = {str(row["target"]): str(row["missing"]) for row in rows if row["missing"]}
    return there, {name: why for name, why in missing.items() if name not in there}


def transfer_table(
    study: Study, *, layers: Mapping[int, str], published: Sequence[PublishedProbes]
) -> Table:
    """For each data set one row per layer, and a row for each set that was not there."""
    there, missing = targets(study)
    headings, citations = _published(published)
    columns = ("Data", "Classifier (layer)", "Layer here", *_FIGURES, *headings)
    rows = [
        (target_label(target), *row)
        for target in there
        for row in layer_rows(study, "transfer", layers, published, "svm", target=target)
    ]
    nothing = (NOTHING,) * (len(columns) - 2)
    rows += [(target_label(name), "not there", *nothing) for name in missing]
    gone = {target_label(name): why for name, why in missing.items()}
    return Table(
        "Accuracy of a linear SVM on the features of each layer, on other data",
        columns,
        tuple(rows),
        (
            *(_sizes_note(study, target) for target in there),
            *(sentence(f"{name} was not measured: {why}") for name, why in gone.items()),
            f"Test accuracy, mean ± standard deviation over seeds; {_ALIKE}",
            convergence_note(study, "transfer"),
            *citations,
        ),
        left=(0, 1, 2),
    )


@kit.settings()
def transfer_figure(study: Study, *, layers: Mapping[int, str]) -> Figure:
    """A panel for each data set that was there."""
    there, missing = targets(study)
    count = max(1, len(there))
    names = {"x": "Layer", "y": "Test accuracy of a linear SVM, %"}
    figure, drawn = kit.panels(count, count, (kit.WIDTH, 5.6), above=0.2, grid="y", **names)
    for axes, target in zip(drawn, there, strict=False):
        kit.name_ends(axes, draw_layers(axes, study, "transfer", layers, target=target))
        axes.set_title(f"Features for {target_label(target)}")
    if not there:
        said = "\n".join(f"{target_label(name)} was not there" for name in missing)
        kit.say_nothing(drawn[0], said or "no other data set was asked for")
    return kit.set_caption(figure, "The network was trained on the recipe's data, never on these.")


def target_label(source: str) -> str:
    """What a reader calls the data set.

    Example:
        >>> target_label("tfds:fashion_mnist"), target_label("digits")
        ('Fashion-MNIST', 'digits')
    """
    known = {"tfds:fashion_mnist": "Fashion-MNIST", "tfds:cifar10": "CIFAR-10"}
    return known.get(source, source.removeprefix("tfds:"))


def _sizes_note(study: Study, target: str) -> str:
    row = study.rows("transfer", variant=study.baseline, target=target)[-1]
    seen, unseen = (number(row[column], 0) for column in ("train_images", "test_images"))
    name = target_label(target)
    return f"{name}: {seen} training and {unseen} test images, the same in all runs."


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
    random training images of the other set, and evaluated on its test images, the same for every
    run. Sets have the names of `ablax.data.sources.load`; the recipe's own is left out. Layers and
    what is published are given as to `layer_probes`. A data set that is not on this machine has one
    row, with the reason in `missing` and nan for its figures; the others have the columns of
    `layer_probes`, and `target`.

    Claims may speak of `transfer_5`, `untrained_transfer_5`, `transfer_pixels` and `transfer_hog`:
    the test error, averaged over the other data sets that are there.

    References:
        Yosinski, Clune, Bengio, Lipson 2014, How transferable are features in deep neural
        networks?

    Example:
        >>> sorted(transfer({1: "s2"}, to=["digits"]).quantities)
        ['transfer_1', 'transfer_hog', 'transfer_pixels', 'untrained_transfer_1']
    """
    _check_layers(layers)
    if not to:
        raise AblaxError("transfer has no data set to go to: name at least one, such as 'digits'")
    measure = partial(transferred, train_images=train_images, test_images=test_images)
    return Measurement(
        name="transfer",
        measure=partial(measure, layers=layers, to=tuple(to)),
        section=Section(
            title="What the features are worth on other data",
            text=TRANSFER_TEXT,
            pictures=(
                Picture(
                    name="transfer",
                    title="Accuracy on other data against the layer",
                    caption="Test accuracy on other data sets of a linear SVM on the features of "
                    "each layer, trained on the recipe's data and untrained, on pixels and on HOG: "
                    "mean over seeds and range.",
                    draw=partial(transfer_figure, layers=layers),
                ),
            ),
            tables=(partial(transfer_table, layers=layers, published=published),),
        ),
        moments=("start", "end"),
        quantities=_quantities("transfer", layers, "on other data of a linear SVM"),
    )


_MISSING = {
    "layer": "",
    "depth": -2,
    "trained": 0.0,
    "classifier": "svm",
    "features": 0,
    "error": math.nan,
    "train_error": math.nan,
    "converged": 0.0,
    "train_images": 0,
    "test_images": 0,
}
"""All columns in every row, so that a table of them has no holes."""


def transferred(
    model: Model,
    sample: Sample,
    layers: Mapping[int, str],
    to: Sequence[str],
    train_images: int = 1000,
    test_images: int = 2000,
) -> tuple[Row, ...]:
    """The rows of one run at one moment, one data set after the other."""
    rows: list[Row] = []
    for target in to:
        if target == sample.recipe.data.source:
            continue
        try:
            train, test = sample_of(target, sample.recipe.data.dir, train_images, test_images)
        except DataError as error:
            when = {"trained": float(sample.step > 0)}
            rows.append({"target": target, **_MISSING, **when, "missing": str(error)})
            continue
        shape = cast(ImageShape, sample.train.images.shape[1:])
        seen, unseen = (Split(fitted(each.images, shape), each.labels) for each in (train, test))
        for row in _probed(model, sample.step, layers, seen, unseen, ("svm",)):
            rows.append({"target": target, **row, "missing": ""})
    return tuple(rows)


def sample_of(
    source: str, folder: Path | None, train_images: int, test_images: int
) -> tuple[Split, Split]:
    """Random images of a data set, at most so many, always the same ones, in the data's order.

    The folder is that of prepared tensorflow-datasets.

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
    repeating. Then the shorter side is scaled bilinearly and the middle is cut out. Another number
    of channels, or H other than W, is refused.

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
    # a gray picture has no axis of channels
    levels = images[..., 0] if images.shape[-1] == 1 else images
    pictures = (Image.fromarray(each).convert(mode) for each in levels)
    return np.stack([as_array(center(picture, height)) for picture in pictures])
