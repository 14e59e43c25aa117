"""What a report shows of linear probes: the lecture's table, and accuracy against the layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ablax.report.figures import COLORS, WIDTH, blank, settings, where, write_caption
from ablax.report.statistics import deviation, mean
from ablax.report.study import Picture, Section, Study
from ablax.report.tables import NOTHING, Column, Table, number, sentence, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADINGS = {"svm": "SVM", "softmax": "Softmax"}

TEXT = (
    "A linear classifier was fitted to the features of every layer for training images, without "
    "distortions, and judged by the features of all test images. Maps of more than 3,072 numbers "
    "were averaged over space to fewer; each channel was standardized by its mean and deviation "
    "over the training images and all places, and divided by the root of how many numbers there "
    "are. SVM: linear support vector "
    "machine, each class against the rest, squared hinge loss, C = 1. Softmax: softmax "
    "regression, C = 10. Both C are fixed for all layers; they were chosen without test images. "
    "Layers differ in how many numbers they give of an image, and more numbers are an advantage. "
    "Untrained: the network of the same seed before its first step. Where the test images are "
    "distorted and the training images are not, as with the digits, features that have learned "
    "to bear distortions gain by it. The network has learned from the same training images that "
    "the classifiers are fitted to."
)


@dataclass(frozen=True)
class PublishedProbes:
    """Accuracies that somebody printed, to stand beside ours.

    Attributes:
        short: Heading of the column.
        source: Citation, and what a reader must know to compare.
        accuracies: (classifier, number of the layer) to accuracy and what is printed behind ±,
            percent.
    """

    short: str
    source: str
    accuracies: Mapping[tuple[str, int], tuple[float, float]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def text(self, classifier: str, depth: int) -> str:
        """Such as `"44.8 ± 0.7"`."""
        found = self.accuracies.get((classifier, depth), (math.nan, math.nan))
        return spread(*found, digits=1)


def probe_section(layers: Mapping[int, str], published: Sequence[PublishedProbes]) -> Section:
    """The lecture's table and the picture of `layer_probes`.

    Args:
        layers: Number to path.
        published: To stand beside ours.
    """
    return Section(
        title="What a linear classifier makes of each layer",
        text=TEXT,
        pictures=(
            Picture(
                name="layer_probes",
                title="Accuracy against the layer",
                caption=(
                    "Test accuracy of a linear SVM and of softmax regression on the features of "
                    "each layer, trained and untrained, and on raw pixels: mean over seeds and "
                    "range."
                ),
                draw=partial(probe_figure, layers=layers),
            ),
        ),
        tables=(partial(probe_table, layers=layers, published=tuple(published)),),
    )


def accuracies(study: Study, measurement: str, **columns: Any) -> list[float]:
    """100 - error of the baseline's rows in which the columns have these values, finite ones."""
    rows = study.rows(measurement, variant=study.baseline, **columns)
    errors = [float(row["error"]) for row in rows]
    return [100 - error for error in errors if math.isfinite(error)]


def accuracy_text(values: Sequence[float]) -> str:
    """Mean ± standard deviation over seeds, percent."""
    return spread(mean(values), deviation(values), digits=1)


def accuracy_cells(found: Callable[..., list[float]], depth: int) -> tuple[str, str]:
    """Trained and untrained; of pixels, which depend on neither network nor seed, one figure."""
    if depth:
        return accuracy_text(found(trained=1.0)), accuracy_text(found(trained=0.0))
    pixels = number(mean(found()), 1)
    return pixels, pixels


def probe_table(
    study: Study, *, layers: Mapping[int, str], published: Sequence[PublishedProbes]
) -> Table:
    """A row for each classifier and layer, as in the lecture, with pixels as layer 0."""
    rows = []
    for classifier, heading in HEADINGS.items():
        for depth in (0, *sorted(layers)):
            found = partial(accuracies, study, "layer_probes", classifier=classifier, depth=depth)
            sizes = study.rows("layer_probes", variant=study.baseline, depth=depth)
            rows.append(
                (
                    f"{heading} ({depth})" if depth else f"{heading}, raw pixels",
                    layers.get(depth, NOTHING),
                    number(sizes[-1]["features"], 0) if sizes else NOTHING,
                    *accuracy_cells(found, depth),
                    *(column.text(classifier, depth) for column in published),
                )
            )
    own = [100 - run.test_error for run in study.finished_runs_of(study.baseline)]
    rows.append(
        ("The network itself", NOTHING, NOTHING, accuracy_text(own), NOTHING)
        + (NOTHING,) * len(published)
    )
    headings = ("Numbers an image", "Trained, %", "Untrained, %")
    return Table(
        title="Accuracy of linear classifiers on the features of each layer",
        columns=(
            *(Column("Classifier (layer)", "left"), Column("Layer here", "left")),
            *(Column(heading) for heading in headings),
            *(Column(f"{column.short}, published, %") for column in published),
        ),
        rows=tuple(rows),
        notes=(
            "Test accuracy, mean ± standard deviation over seeds, of which there are "
            f"{len(own)}; the published ± is as printed. Pixels depend on no network: one figure "
            "stands in both columns.",
            convergence_note(study, "layer_probes"),
            *(sentence(f"{column.short}: {column.source}") for column in published),
        ),
    )


def convergence_note(study: Study, measurement: str) -> str:
    """How many fits came to their end."""
    rows = [row for row in study.rows(measurement) if math.isfinite(float(row["error"]))]
    ended = sum(row["converged"] == 1 for row in rows)
    return f"{ended:,} of {len(rows):,} fits converged."


def probe_figure(study: Study, *, layers: Mapping[int, str]) -> Figure:
    """Two panels, SVM and softmax: accuracy against the layer, trained, untrained, raw pixels."""
    with settings():
        figure = blank(WIDTH, 6.2)
        panels = figure.subplots(1, 2, sharey=True)
        ends = [
            draw_layers(axes, study, "layer_probes", layers, classifier=classifier)
            for axes, classifier in zip(panels, HEADINGS, strict=True)
        ]
        # only now is the height known that the panels share
        for axes, heading, named in zip(panels, HEADINGS.values(), ends, strict=True):
            axes.set_title(f"{heading} on the features of each layer")
            name_ends(axes, named)
        panels[0].set_ylabel("Test accuracy, %")
        write_caption(
            figure,
            f"Mean over seeds; shaded: range. Trained and untrained are the same network after "
            f"and before training. {where(study)}",
        )
        return figure


@dataclass(frozen=True)
class End:
    """The right end of a line, where its name shall stand."""

    value: float
    name: str
    color: str


def draw_layers(
    axes: Axes, study: Study, measurement: str, layers: Mapping[int, str], **columns: Any
) -> list[End]:
    """Accuracy against the layer, trained and untrained, each with its range, and the pixels'.

    Args:
        axes: Where to draw.
        study: The study.
        measurement: Whose rows.
        layers: Number to path.
        **columns: Column to value: which rows.

    Returns:
        The ends of the lines, for `name_ends`.
    """
    depths = sorted(layers)
    found = partial(accuracies, study, measurement, **columns)
    ends = []
    for trained, (name, color, marker, line) in enumerate(_LOOKS):
        values = {depth: found(depth=depth, trained=float(trained)) for depth in depths}
        there = [depth for depth in depths if values[depth]]
        if not there:
            continue
        low, high = ([end(values[depth]) for depth in there] for end in (min, max))
        means = [mean(values[depth]) for depth in there]
        axes.fill_between(there, low, high, color=color, alpha=0.18, lw=0)
        face = color if trained else "white"
        axes.plot(there, means, line, marker=marker, color=color, lw=2.2, ms=8, mfc=face, mew=1.8)
        ends.append(End(means[-1], name, color))
    if pixels := found(depth=0):
        axes.axhline(mean(pixels), color=_PIXELS_COLOR, lw=1.8, ls=":")
        ends.append(End(mean(pixels), "raw pixels", _PIXELS_COLOR))
    axes.set_xticks(depths, [f"{depth}\n{layers[depth]}" for depth in depths], fontsize=11)
    axes.set_xlabel("Layer")
    axes.grid(axis="y", color="#DDDDDD")
    axes.set_xlim(depths[0] - 0.4, depths[-1] + 0.4)
    return ends


_LOOKS = (("untrained", COLORS[2], "s", "--"), ("trained", COLORS[1], "o", "-"))
_PIXELS_COLOR = "#444444"


def name_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Names of the lines beside the right edge, pushed apart where the lines meet."""
    if not ends:
        axes.text(0.5, 0.5, "nothing was measured", transform=axes.transAxes, ha="center")
    low, high = axes.get_ylim()
    gap, last = 0.055 * (high - low), -math.inf
    for end in sorted(ends, key=lambda end: end.value):
        last = max(end.value, last + gap)
        axes.annotate(
            *(end.name, (1.01, last)),
            xycoords=axes.get_yaxis_transform(),
            va="center",
            color=end.color,
            fontweight="bold",
            fontsize=12,
            annotation_clip=False,
        )
