"""The gap between seen and new images, and what stopping early would have given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int32

from ablax.data.images import Split
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report.figures import COLORS, WIDTH, blank, settings, where, wrapped, write_caption
from ablax.report.plots import mean_and_range
from ablax.report.statistics import deviation, mean
from ablax.report.study import Picture, Quantity, Row, Section, Study
from ablax.report.tables import NOTHING, Column, Table, number, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# ------------------------------------------------------------------------------------------
# Early stopping: the moment of least error on images that are neither trained nor tested on.


class StoppingPoint(NamedTuple):
    """Where training would have stopped; nan where no image is held out.

    Attributes:
        epoch: Of least held-out error, the first of equals.
        share: The same as a share of the whole training.
        test_error: Then, in percent.
    """

    epoch: float
    share: float
    test_error: float


def stopping_point(rows: tuple[Row, ...]) -> StoppingPoint:
    """The evaluation of least held-out error in the rows of one run.

    Args:
        rows: With the columns `images` ("held out" or "test" among others), `epoch` and `error`.

    References:
        Prechelt (1998): Early stopping, but when?

    Example:
        >>> errors = {1: (9.0, 8.0), 2: (5.0, 6.0), 4: (7.0, 3.0)}
        >>> rows = tuple(
        ...     {"images": images, "epoch": epoch, "error": error}
        ...     for epoch, pair in errors.items()
        ...     for images, error in zip(["held out", "test"], pair)
        ... )
        >>> stopping_point(rows)  # a test error of 3 comes later, and is not for us to choose
        StoppingPoint(epoch=2.0, share=0.5, test_error=6.0)
    """
    held_out = [row for row in rows if row["images"] == "held out"]
    if not held_out:
        return StoppingPoint(math.nan, math.nan, math.nan)
    best = min(held_out, key=lambda row: (row["error"], row["epoch"]))
    tested = {row["epoch"]: row["error"] for row in rows if row["images"] == "test"}
    end = max(row["epoch"] for row in held_out)
    return StoppingPoint(
        float(best["epoch"]), float(best["epoch"] / end), float(tested[best["epoch"]])
    )


# ------------------------------------------------------------------------------------------
# How a report shows training and test error side by side, and early stopping.

NAME = "generalization"
COLUMNS = 4
PANEL_HEIGHT = 2.6
"""Inches."""

_LINES = {
    "training": {"color": COLORS[1], "ls": "--"},
    "held out": {"color": COLORS[3], "ls": ":"},
    "test": {"color": COLORS[2], "ls": "-"},
}


def curves_picture() -> Picture:
    """Training, held-out and test error of every variant as it learns."""
    return Picture(
        name="generalization_curves",
        title="Training and test error side by side",
        caption="Error on undistorted training images, held-out images and test images by training "
        "steps, a panel for each variant.",
        draw=curves_figure,
    )


def curves_figure(study: Study) -> Figure:
    """One panel per variant: mean over seeds and range of the errors, against steps."""
    with settings():
        names = [name for name in study.names if study.rows(NAME, variant=name)]
        columns = min(COLUMNS, len(names))
        rows = math.ceil(len(names) / columns)
        figure = blank(WIDTH, 1.8 + PANEL_HEIGHT * rows)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes, name in zip(grid.flat, names, strict=False):
            _draw_panel(axes, study, name)
        for axes in grid.flat[len(names) :]:
            axes.remove()
        for place, axes in enumerate(grid.flat[: len(names)]):
            axes.tick_params(labelbottom=place + columns >= len(names))
            if place + columns >= len(names):
                axes.set_xlabel("steps")
            if place % columns == 0:
                axes.set_ylabel("error, %")
        grid.flat[0].set_ylim(bottom=0)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
        write_caption(
            figure,
            "Lines: mean over seeds; bands: lowest to highest. All images undistorted by us, no "
            f"dropout. {where(study)}",
        )
        return figure


def _draw_panel(axes: Axes, study: Study, name: str) -> None:
    for images, style in _LINES.items():
        found = study.rows(NAME, variant=name, images=images)
        seeds = sorted({row["seed"] for row in found})
        curves = [
            {float(row["step"]): float(row["error"]) for row in found if row["seed"] == seed}
            for seed in seeds
        ]
        steps, (low, middle, high) = mean_and_range(curves)
        if len(steps):
            label = f"{images} images"
            axes.plot(steps, middle, lw=2.2, label=label, **style)  # type: ignore[arg-type]
            axes.fill_between(steps, low, high, color=style["color"], alpha=0.15, lw=0)
    axes.set_title(wrapped(study.variant(name).label, 20), fontsize=13)
    axes.grid(color="#E4E4E4")


def generalization_table(study: Study) -> Table:
    """Training error, test error and their difference, at the end."""
    rows = []
    for name in study.names:
        cells = [_cell(study, f"{name}:{what}") for what in ("fit_error", "test_error", "gap")]
        rows.append((study.variant(name).label, *cells, str(len(study.finished_runs_of(name)))))
    return Table(
        title="Error on seen and on new images",
        columns=(
            Column("Variant", "left"),
            *map(Column, ("Training images, %", "Test images, %", "Gap, points", "n")),
        ),
        rows=tuple(rows),
        notes=("After the last epoch, mean ± standard deviation over n seeds.",),
    )


def stopping_table(study: Study) -> Table:
    """Where the held-out error is least, and what stopping there would have given."""
    rows = []
    for name in study.names:
        found = [
            stopping_point(study.rows(NAME, variant=name, seed=run.seed)).share
            for run in study.finished_runs_of(name)
        ]
        shares = [100 * share for share in found if math.isfinite(share)]
        cells = [_cell(study, f"{name}:{what}") for what in ("stopped_error", "test_error")]
        at = spread(mean(shares), deviation(shares), 0) if shares else NOTHING
        rows.append((study.variant(name).label, at, *cells))
    return Table(
        title="Early stopping",
        columns=(
            Column("Variant", "left"),
            Column("Held-out error least after, % of the training"),
            Column("Test error there, %"),
            Column("Test error at the end, %"),
        ),
        rows=tuple(rows),
        notes=("Mean ± standard deviation over seeds. The held-out images alone choose.",),
    )


def _cell(study: Study, operand: str) -> str:
    values = list(study.values(operand).values())
    if not values:
        return NOTHING
    return spread(mean(values), deviation(values), 2) if len(values) > 1 else number(values[0], 2)


# ------------------------------------------------------------------------------------------
# How well a network does on what it has seen, and on what it has not, while it learns.
#
# Training and test images are evaluated alike: undistorted, without dropout, with running
# statistics. The training figures of the log are not: they are taken in training, on distorted
# images.


def generalization(pictures: tuple[Picture, ...] = ()) -> Measurement:
    """Error and loss on training, held-out and test images, at every evaluation.

    It gives the quantities `fit_error` (training images, at the end), `gap` (test error less
    `fit_error`), and, where `data.held-out` keeps images apart, `stopped_error`: the test error at
    the evaluation of least held-out error. That choice never looks at a test image.

    Args:
        pictures: More pictures for its section, such as a `Trend`.
    """
    return Measurement(
        name=NAME,
        measure=measure_generalization,
        section=Section(
            title="What was learned, and what holds for new images",
            text=(
                "Training, held-out and test images are evaluated alike here: undistorted by us, "
                "without dropout. The gap is test error less training error. Early stopping takes "
                "the evaluation of least error on the held-out images, the first of equals, and no "
                "test image has a say in it; training itself went on to its end."
            ),
            pictures=(curves_picture(), *pictures),
            tables=(generalization_table, stopping_table),
        ),
        moments=("training", "end"),
        quantities={
            "fit_error": Quantity(
                "error on the training images, undistorted",
                lambda rows: last(rows, "training"),
                "percentage points",
            ),
            "gap": Quantity(
                "test error less training error",
                lambda rows: last(rows, "test") - last(rows, "training"),
                "percentage points",
            ),
            "stopped_error": Quantity(
                "test error where the held-out error is least",
                lambda rows: stopping_point(rows).test_error,
                "percentage points",
            ),
        },
    )


def measure_generalization(model: Model, sample: Sample) -> list[Row]:
    """A row for training, test and, where there are any, held-out images: `error` and `loss`."""
    splits = {"training": sample.train, "held out": sample.held_out, "test": sample.test}
    return [
        {"images": name, **evaluated(model, split)}
        for name, split in splits.items()
        if split is not None
    ]


def evaluated(model: Model, split: Split) -> dict[str, float]:
    """Error in percent and mean cross-entropy in nats of undistorted images."""
    scores = model.scores(split.images)
    wrong = scores.argmax(axis=1) != split.labels
    return {"error": 100 * float(np.mean(wrong)), "loss": cross_entropy(scores, split.labels)}


def cross_entropy(scores: Float[np.ndarray, "N classes"], labels: Int32[np.ndarray, " N"]) -> float:
    """The mean of ln(sum over k of exp(s_k)) - s_label, in nats.

    Example:
        >>> round(cross_entropy(np.zeros((1, 10)), np.array([3], np.int32)), 4)  # ln 10
        2.3026
    """
    wide = scores.astype(np.float64)
    wide = wide - wide.max(axis=1, keepdims=True)
    chosen = wide[np.arange(len(labels)), labels]
    return float(np.mean(np.log(np.exp(wide).sum(axis=1)) - chosen))


def last(rows: tuple[Row, ...], images: str) -> float:
    """The error at the end of a run; nan where these images were not evaluated."""
    own = [row for row in rows if row["images"] == images]
    return float(own[-1]["error"]) if own else math.nan
