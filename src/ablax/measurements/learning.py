"""How fast variants learn, how well they do on new images, and what stopping early would give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np

from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.losses import predictions, softmax_cross_entropy
from ablax.measurements.measurement import Measurement, Sample, grouped
from ablax.model import Model
from ablax.report import figures as kit
from ablax.report.plots import CurvePanels
from ablax.report.statistics import mean
from ablax.report.study import Curve, Picture, Row, Section, Study, Variant, matching, percentage
from ablax.report.study_tables import seeds_text, spread_of, variant_table
from ablax.report.tables import NOTHING, Table, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


NOT_REACHED = "not reached"


def epochs_to(curve: Curve, error: float) -> float:
    """The first epoch in which the training error (percent) was at most that; nan where none was.

    Example:
        >>> curve = Curve((1.0, 2.0, 3.0), (2.0, 1.0, 0.5), (80.0, 24.0, 26.0), (), ())
        >>> epochs_to(curve, 25.0), epochs_to(curve, 20.0)
        (2.0, nan)
    """
    pairs = zip(curve.epochs, curve.train_error, strict=True)
    return next((epoch for epoch, found in pairs if found <= error), math.nan)


def speed_table(study: Study, error: float) -> Table:
    """One row per variant: epochs until that training error, runs that reached it, mean error.

    A mean is over the runs that reached the error; where one did not, the cell says how many did,
    because a mean over the others would call a slow variant fast.
    """
    base = _reached(study, study.baseline, error)

    def cells(variant: Variant) -> list[str]:
        found = _reached(study, variant.name, error)
        came = sum(map(math.isfinite, found))
        whole = seeds_text(study, f"{variant.name}:mean_train_error", 1)
        return [_epochs(found), _ratio(found, base), f"{came} of {len(found)}", whole]

    return variant_table(
        study,
        f"Epochs until {error:g} % training error",
        (
            f"Epochs until {error:g} %",
            f"Times those of {study.variant(study.baseline).label}",
            "Runs that reached it",
            "Training error over all epochs, %",
        ),
        cells,
        f"The first epoch whose training error is at most {error:g} %; training error is that "
        "of the epoch's own images, with distortions on and while the weights move. Mean ± "
        "standard deviation over seeds, given only where every run reached it. Last column: "
        "mean over all epochs, which exists for every run.",
    )


def _reached(study: Study, name: str, error: float) -> list[float]:
    return [epochs_to(run.curve, error) for run in study.finished_runs_of(name)]


def _epochs(found: Sequence[float]) -> str:
    if not found:
        return NOTHING
    if all(map(math.isfinite, found)):
        return spread_of(found, 1)
    return NOT_REACHED if not any(map(math.isfinite, found)) else f"{NOT_REACHED} by all"


def _ratio(found: Sequence[float], base: Sequence[float]) -> str:
    complete = found and base and all(map(math.isfinite, (*found, *base)))
    return number(mean(found) / mean(base), 1) if complete else NOTHING


def learning_speed(error: float, variants: Sequence[str]) -> Section:
    """A picture of the training error by epoch, and the epochs until it falls to a given one.

    The variants are drawn in their order; the error is in percent.

    Raises:
        AblaxError: An error not above 0 and below 100.
    """
    if not 0 < error < 100:
        raise AblaxError(f"the training error to reach is {error}: expected above 0 and below 100")
    panel = CurvePanels(
        "training_error", "Training error by epoch", {"all variants": variants}, ("train_error",)
    )
    return Section(
        title="Speed of learning",
        text=f"How many epochs each variant needs until its training error is {error:g} %.",
        pictures=(panel.picture,),
        tables=(partial(speed_table, error=error),),
    )


class StoppingPoint(NamedTuple):
    """The epoch of least held-out error, as a share of the training, and the test error (%) then.

    The first of equals; nan where no image is held out.
    """

    epoch: float
    share: float
    test_error: float


def stopping_point(rows: tuple[Row, ...]) -> StoppingPoint:
    """The evaluation of least held-out error in the rows of `measure_generalization` of one run.

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
    held_out = matching(rows, images="held out")
    if not held_out:
        return StoppingPoint(math.nan, math.nan, math.nan)
    best = min(held_out, key=lambda row: (row["error"], row["epoch"]))
    tested = matching(rows, images="test", epoch=best["epoch"])[-1]
    end = max(row["epoch"] for row in held_out)
    return StoppingPoint(float(best["epoch"]), float(best["epoch"] / end), float(tested["error"]))


NAME = "generalization"

_LINES = {
    "training": {"color": kit.COLORS[1], "linestyle": "--"},
    "held out": {"color": kit.COLORS[3], "linestyle": ":"},
    "test": {"color": kit.COLORS[2], "linestyle": "-"},
}


@kit.settings()
def curves_figure(study: Study) -> Figure:
    """One panel per variant: mean over seeds and range of the errors, against steps."""
    names = [name for name in study.names if study.rows(NAME, variant=name)]
    size = (kit.WIDTH, 2.6)
    figure, drawn = kit.panels(
        len(names), 4, size, above=0.7, x="steps", y="error, %", sharex=True, sharey=True
    )
    for axes, name in zip(drawn, names, strict=False):
        for images, style in _LINES.items():
            if values := grouped(study.rows(NAME, variant=name, images=images), "step", "error"):
                kit.draw_line(axes, values, f"{images} images", style)
        axes.set_title(kit.wrapped(study.variant(name).label, 20), fontsize=13)
    drawn[0].set_ylim(bottom=0)
    kit.legend(figure, drawn[0], 4)
    return kit.set_caption(figure, "All images undistorted by us, no dropout.")


_CURVES = Picture(
    name="generalization_curves",
    title="Training and test error side by side",
    caption="Error on undistorted training images, held-out images and test images by training "
    "steps, a panel for each variant: lines are means over seeds, bands reach from the lowest to "
    "the highest.",
    draw=curves_figure,
)


def generalization_table(study: Study) -> Table:
    """Training error, test error and their difference, at the end."""

    def cells(variant: Variant) -> list[str]:
        asked = ("fit_error", "test_error", "gap")
        found = [seeds_text(study, f"{variant.name}:{quantity}") for quantity in asked]
        return [*found, str(len(study.finished_runs_of(variant.name)))]

    return variant_table(
        study,
        "Error on seen and on new images",
        ("Training images, %", "Test images, %", "Gap, points", "n"),
        cells,
        "After the last epoch, mean ± standard deviation over n seeds.",
    )


def stopping_table(study: Study) -> Table:
    """Where the held-out error is least, and what stopping there would have given."""

    def cells(variant: Variant) -> list[str]:
        name = variant.name
        found = [
            100 * stopping_point(study.rows(NAME, variant=name, seed=run.seed)).share
            for run in study.finished_runs_of(name)
        ]
        shares = list(filter(math.isfinite, found))
        stopped = [seeds_text(study, f"{name}:{q}") for q in ("stopped_error", "test_error")]
        return [spread_of(shares, 0), *stopped]

    return variant_table(
        study,
        "Early stopping",
        (
            "Held-out error least after, % of the training",
            *("Test error there, %", "Test error at the end, %"),
        ),
        cells,
        "Mean ± standard deviation over seeds. The held-out images alone choose.",
    )


def generalization(pictures: tuple[Picture, ...] = ()) -> Measurement:
    """Error and loss on training, held-out and test images, at every evaluation.

    It gives the quantities `fit_error` (training images, at the end), `gap` (test error less
    `fit_error`), and, where `data.held-out` keeps images apart, `held_out_error` (at the end) and
    `stopped_error`: the test error at the evaluation of least held-out error. Its section
    shows more pictures, such as a `Trend`.
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
            pictures=(_CURVES, *pictures),
            tables=(generalization_table, stopping_table),
        ),
        moments=("training", "end"),
        quantities={
            "fit_error": percentage(
                "error on the training images, undistorted", lambda rows: last(rows, "training")
            ),
            "gap": percentage(
                "test error less training error",
                lambda rows: last(rows, "test") - last(rows, "training"),
            ),
            "held_out_error": percentage(
                "error on held-out training images", lambda rows: last(rows, "held out")
            ),
            "stopped_error": percentage(
                "test error where the held-out error is least",
                lambda rows: stopping_point(rows).test_error,
            ),
        },
    )


def measure_generalization(model: Model, sample: Sample) -> list[Row]:
    """A row for training, test and, where there are any, held-out images: `error` and `loss`.

    The log's training figures do not say it: they are taken in training, on distorted images.
    """
    splits = {"training": sample.train, "held out": sample.held_out, "test": sample.test}
    held = {name: split for name, split in splits.items() if split is not None}
    return [{"images": name, **evaluated(model, split)} for name, split in held.items()]


def evaluated(model: Model, split: Split) -> dict[str, float]:
    """Error in percent and mean cross-entropy in nats of undistorted images."""
    scores, labels = jnp.asarray(model.scores(split.images)), jnp.asarray(split.labels)
    wrong = predictions(scores) != labels
    losses = np.asarray(softmax_cross_entropy(scores, labels), np.float64)
    return {"error": 100 * float(np.mean(wrong)), "loss": float(np.mean(losses))}


def last(rows: tuple[Row, ...], images: str) -> float:
    """The error at the end of a run; nan where these images were not evaluated."""
    own = matching(rows, images=images)
    return float(own[-1]["error"]) if own else math.nan
