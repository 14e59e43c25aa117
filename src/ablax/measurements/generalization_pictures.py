"""How a report shows training and test error side by side, and early stopping."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ablax.measurements.early_stopping import stopping_point
from ablax.report.figures import COLORS, WIDTH, blank, settings, where, wrapped, write_caption
from ablax.report.plots import mean_and_range
from ablax.report.statistics import deviation, mean
from ablax.report.study import Picture, Study
from ablax.report.tables import NOTHING, Column, Table, number, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    """A panel a variant: mean over seeds and range of the errors, against steps."""
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
