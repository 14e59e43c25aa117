"""The plots of a report: errors, curves, costs, trends."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from ablax.errors import ReportError, nearest
from ablax.report.figures import (
    COLORS,
    WIDTH,
    blank,
    count_axis,
    give_room,
    height,
    logarithmic,
    look,
    name_rows,
    scaled_tick,
    settings,
    where,
    whole_epochs,
    wrapped,
    write_caption,
)
from ablax.report.files import write_atomically
from ablax.report.statistics import (
    VariantFlatness,
    comparisons_with_baseline,
    mean,
    mean_interval,
    summary,
    variant_flatness,
)
from ablax.report.study import Picture, Run, Study, Variant
from ablax.report.study_tables import TRAINING_NOTE, flatness_words
from ablax.report.tables import number, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform


# ------------------------------------------------------------------------------------------
# What the pictures of a report show, each a `Figure` made without pyplot's global state.

MARK, WIDEST = 9.0, 100.0
"""Points between the marks of two variants of equal cost, and between the first and the last."""

OWN_INTERVALS = (
    "Bars are each variant's own interval, not for comparing variants: see the paired differences."
)


def errors_figure(study: Study) -> Figure:
    """Test error of every variant: a dot a seed, the mean, its 95 % interval."""
    with settings():
        figure = blank(WIDTH, height(len(study.variants)))
        axes = figure.subplots()
        name_rows(axes, [variant.label for variant in study.variants])
        for place, variant in enumerate(study.variants):
            errors = [run.test_error for run in study.finished_runs_of(variant.name)]
            color = COLORS[place % len(COLORS)]
            line = summary(study, variant.name)
            if not errors:
                axes.text(
                    *(0.01, place, "no run finished"),
                    transform=axes.get_yaxis_transform(),
                    va="center",
                    color="#444444",
                )
                continue
            # under the mean, one below the other in the order of the seeds
            below = place + 0.12 + np.linspace(0, 0.2, len(errors))
            axes.plot(errors, below, "o", color=color, alpha=0.5, ms=7, mew=0)
            interval = mean_interval(errors)
            if interval:
                ends = [interval.low, interval.high]
                axes.plot(ends, [place - 0.06] * 2, color=color, lw=3, solid_capstyle="butt")
            axes.plot(line.error, place - 0.06, "D", color=color, ms=10, mec="white", mew=1.5)
            text = number(line.error)
            text += f" ± {number(line.error_sd)}" if line.n > 1 else ""
            text += f"  ({line.diverged} diverged)" if line.diverged else ""
            axes.annotate(
                text,
                (1.01, place),
                xycoords=axes.get_yaxis_transform(),
                va="center",
                color="#222222",
                fontweight="bold",
            )
        axes.set_title(f"Test error, {study.plan.recipe_name}")
        give_room(axes)
        base = summary(study, study.baseline)
        if math.isfinite(base.error):
            axes.axvline(base.error, color="#888888", lw=1, ls="--", zorder=0)
        axes.set_xlabel("test error after the last epoch, %")
        label = study.variant(study.baseline).label
        text = "Right: the error. "
        if any(summary(study, name).n > 1 for name in study.names):
            text = f"Dots: seeds. Diamond: their mean. Bar: its 95 % t interval. {OWN_INTERVALS} "
            text += "Right: mean ± standard deviation. "
        write_caption(figure, f"{text}Dashed: mean of {label}. {where(study)}")
        return figure


def drops_figure(study: Study) -> Figure:
    """Increase of error over the baseline: ours, and beside it what was published."""
    from matplotlib.ticker import MaxNLocator

    with settings():
        others = [variant for variant in study.variants if variant.name != study.baseline]
        figure = blank(WIDTH, height(len(others)) + 0.4 * len(study.plan.published))
        panels = figure.subplots(1, 2 if study.plan.published else 1, sharey=True, squeeze=False)[0]
        ours = panels[0]
        label = study.variant(study.baseline).label
        ours.set_title(f"Here: test error, {study.plan.recipe_name}")
        _draw_differences(ours, study, [variant.name for variant in others])
        if study.plan.published:
            _draw_published(panels[1], study, [variant.name for variant in others])
        name_rows(ours, [variant.label for variant in others])
        for axes in panels:
            axes.axvline(0, color="#444444", lw=1.2, zorder=0.5)
            # what was published is not always a test error
            kind = "test error" if axes is ours else "error"
            axes.set_xlabel(f"increase of {kind}, percentage points (right: worse)")
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        give_room(ours)
        if len(panels) > 1:
            panels[1].grid(axis="x", color="#DDDDDD")
            panels[1].spines["left"].set_visible(False)
            panels[1].tick_params(axis="y", length=0)
            figure.legend(loc="outside upper right", fontsize=12, frameon=False)
        together = f", Bonferroni over {len(others)} comparisons" if len(others) > 1 else ""
        text = f"Increase over {label}, percentage points, paired by seed; bar: 95 % "
        text += f"interval{together}, none for one seed or equal differences. "
        if study.plan.published:
            text += "Other data, other sizes and other measures: compare the order, not the scale. "
        write_caption(figure, text + where(study))
        return figure


def _draw_differences(axes: Axes, study: Study, names: list[str]) -> None:
    compared = comparisons_with_baseline(study)
    for place, name in enumerate(names):
        found = compared[name]
        if not math.isfinite(found.difference):
            axes.annotate("no pair of runs", (0, place), (6, 0), textcoords="offset points")
            continue
        color = COLORS[(study.names.index(name)) % len(COLORS)]
        if found.interval:
            ends = [found.interval.low, found.interval.high]
            axes.plot(ends, [place] * 2, color=color, lw=3, solid_capstyle="butt")
        axes.plot(found.difference, place, "D", color=color, ms=10, mec="white", mew=1.5)
        axes.annotate(
            signed(found.difference),
            (found.difference, place),
            (0, 10),
            textcoords="offset points",
            ha="center",
            fontsize=12,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )


def _draw_published(axes: Axes, study: Study, names: list[str]) -> None:
    axes.set_title("As published")
    many = len(study.plan.published)
    for at, source in enumerate(study.plan.published):
        apart = min(0.3, 0.8 / many)
        offset = (at - (many - 1) / 2) * apart
        places = [place for place, name in enumerate(names) if name in source.drops]
        drops = [float(source.drops[names[place]]) for place in places]
        color = ("#444444", "#A6A6A6", "#D9D9D9")[at % 3]
        rows = [place + offset for place in places]
        name = textwrap.fill(f"{source.name}: {source.measure}", 70)
        axes.barh(rows, drops, height=0.8 * apart, color=color, label=name)
        for row, drop in zip(rows, drops, strict=True):
            axes.annotate(
                signed(drop, 1),
                # beside a bar to the left there is the line of zero
                (max(drop, 0.0), row),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=12,
            )
    axes.margins(x=0.16)


def curves_figure(study: Study) -> Figure:
    """Training loss (logarithmic) and test error by epoch: mean over seeds and their range."""
    with settings():
        flatness = {name: variant_flatness(study, name) for name in study.names}
        legend = {v.name: f"{wrapped(v.label)}\n{_moved(flatness[v.name])}" for v in study.variants}
        lines = sum(label.count("\n") + 1 for label in legend.values())
        figure = blank(WIDTH, max(9.5, 2.0 + 0.21 * lines + 0.1 * len(legend)))
        losses, errors = figure.subplots(2, 1, sharex=True)
        for place, variant in enumerate(study.variants):
            style = look(place)
            runs = study.runs_of(variant.name)
            flat, label = flatness[variant.name], legend[variant.name]
            _draw_band(losses, [_losses(run) for run in runs], style, label)
            _draw_band(errors, [_test_errors(run) for run in runs], style, label)
            if math.isfinite(flat.mean.start) and runs:
                last = max(run.curve.epochs[-1] for run in runs if run.curve.epochs)
                losses.axvspan(flat.mean.start, last, color="#EEEEEE", lw=0, zorder=-2)
        for axes in (losses, errors):
            low, high = axes.get_ylim()
            if 0 < high < 2 * low:
                axes.set_ylim(low / 1.5, high * 1.5)
            logarithmic(axes, "y")
        whole_epochs(errors, study)
        losses.set_ylabel("training loss")
        losses.set_title("Training loss, logarithmic")
        errors.set_ylabel("test error, %")
        errors.set_title("Test error, logarithmic")
        errors.set_xlabel("epochs")
        for axes in (losses, errors):
            axes.grid(color="#E4E4E4")
        figure.legend(
            *losses.get_legend_handles_labels(),
            loc="outside right upper",
            fontsize=12,
            frameon=False,
        )
        write_caption(
            figure,
            "Lines: mean over seeds; bands: lowest to highest. Shaded: the last 20 % of the "
            "epochs, in which the training loss must have flattened (✓) for a verdict; beside the "
            "mark: how far it still moved there, of its total decrease and of the loss itself. "
            f"{TRAINING_NOTE} {where(study)}",
        )
        return figure


def _moved(flat: VariantFlatness) -> str:
    """The mark of a legend, and how far the loss still moved: down is negative."""
    words = "flat" if flat.flat else flatness_words(flat).split(":")[0]
    text = f"{'✓' if flat.flat else '✗'} {words}"
    if math.isfinite(flat.mean.fall):
        text += f": {signed(-flat.mean.fall, 1)} % of the fall"
    if math.isfinite(flat.mean.relative_fall):
        text += f",\n    {signed(-flat.mean.relative_fall, 0)} % of the loss"
    return text


def _losses(run: Run) -> dict[float, float]:
    return dict(zip(run.curve.epochs, run.curve.train_loss, strict=True))


def _test_errors(run: Run) -> dict[float, float]:
    return dict(zip(run.curve.test_epochs, run.curve.test_error, strict=True))


def _draw_band(
    axes: Axes, curves: list[dict[float, float]], style: dict[str, object], label: str
) -> None:
    epochs = sorted({epoch for curve in curves for epoch in curve})
    values = [[c[e] for c in curves if e in c and math.isfinite(c[e])] for e in epochs]
    kept = [(epoch, v) for epoch, v in zip(epochs, values, strict=True) if v]
    epochs = [epoch for epoch, _ in kept]
    middle = [float(np.mean(v)) for _, v in kept]
    # a mark at every epoch hides the line; a lone epoch is nothing but its mark
    every = max(1, len(epochs) // 10)
    axes.plot(epochs, middle, lw=2.2, ms=7, markevery=every, label=label, **style)  # type: ignore[arg-type]
    if len(curves) > 1:
        low, high = [min(v) for _, v in kept], [max(v) for _, v in kept]
        axes.fill_between(epochs, low, high, color=str(style["color"]), alpha=0.15, lw=0)


def costs_figure(study: Study) -> Figure:
    """Test error against parameters and against multiply-accumulates."""
    with settings():
        figure = blank(WIDTH, 6.4 + 0.3 * max(0, len(study.variants) - 6))
        panels = figure.subplots(1, 2, sharey=True)
        for place, variant in enumerate(study.variants):
            errors = [run.test_error for run in study.finished_runs_of(variant.name)]
            if not errors:
                continue
            style = look(place)
            interval = mean_interval(errors)
            middle = float(np.mean(errors))
            for axes, what in zip(panels, ("parameters", "macs"), strict=True):
                cost = getattr(variant, what)
                aside = axes.transData + _aside(figure, study, variant, what)
                ends = [interval.low, interval.high] if interval else [middle]
                # what is drawn through another transformation does not widen the axes by itself
                axes.update_datalim([(cost, end) for end in ends])
                axes.autoscale_view()
                if interval:
                    color = str(style["color"])
                    axes.plot([cost] * 2, ends, color=color, lw=2.5, transform=aside)
                axes.plot(
                    [cost],
                    [middle],
                    transform=aside,
                    linestyle="",
                    marker=str(style["marker"]),
                    color=str(style["color"]),
                    ms=12,
                    mec="white",
                    label=wrapped(variant.label, 30),
                )
        names = ("parameters", "multiply-accumulates")
        costs = ([v.parameters for v in study.variants], [v.macs for v in study.variants])
        for axes, name, counts in zip(panels, names, costs, strict=True):
            axes.set_title(f"Error against {name}")
            axes.set_xlabel(f"{name} of one image" if name == names[1] else name)
            count_axis(axes, counts)
            axes.grid(color="#E4E4E4")
        panels[0].set_ylabel("test error, %")
        low, high = panels[0].get_ylim()
        short = max(0.0, 0.5 - (high - low)) / 2
        # no error lies below 0
        panels[0].set_ylim(max(low - short, -0.02 * high), high + short)
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=3,
            fontsize=12,
            frameon=False,
        )
        write_caption(
            figure,
            "Marks: mean; bars: its 95 % t interval. Of equal costs, marks stand side by side. "
            f"{where(study)}",
        )
        return figure


def _aside(figure: Figure, study: Study, variant: Variant, what: str) -> Transform:
    """A move by some points where several variants cost the same."""
    from matplotlib.transforms import ScaledTranslation

    cost = getattr(variant, what)
    equal = [other.name for other in study.variants if getattr(other, what) == cost]
    step = min(MARK, WIDEST / len(equal))
    points = step * (equal.index(variant.name) - (len(equal) - 1) / 2)
    return ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)


# ------------------------------------------------------------------------------------------
# Learning curves in panels: each panel a family of variants, each line named where it ends.

CURVES: Mapping[str, tuple[str, str]] = {
    "train_loss": ("training loss", "nats"),
    "train_error": ("training error", "%"),
    "test_error": ("test error", "%"),
}
"""What can be drawn: its name in words and its unit."""

PANEL_HEIGHT = 3.9
"""Inches."""

LINE = 0.075
"""Height of a line of text, as a share of a panel's."""


@dataclass(frozen=True)
class CurvePanels:
    """One picture: a panel for every family of variants, or a row of panels, one for each curve.

    With one curve, panels stand two in a row; with several, a row is a family and a column a curve.
    Panels of one curve share their logarithmic axis, and so do curves of one unit. The baseline is
    black wherever it is drawn. Variants that were not run are left out, and so are panels with no
    variant beside the baseline.

    Args:
        name: Stem of the picture's files.
        title: Heading in the report.
        panels: Heading of a panel to the names of its variants, the baseline among them where it
            is to be compared with.
        curves: What is drawn against epochs: `train_loss`, `train_error`, `test_error`.

    Raises:
        ReportError: There are no panels or no curves, or there is no such curve.

    Example:
        >>> CurvePanels("learning", "Learning", {"depth": ("shallow", "deep")}).picture.name
        'learning'
    """

    name: str
    title: str
    panels: Mapping[str, Sequence[str]]
    curves: tuple[str, ...] = ("train_loss",)

    def __post_init__(self) -> None:
        for curve in self.curves:
            if curve not in CURVES:
                raise ReportError(f"no run has a curve {curve!r}: {nearest(curve, list(CURVES))}")
        if not self.panels or not self.curves:
            raise ReportError(
                f"the picture {self.name!r} has {len(self.panels)} panels and {len(self.curves)} "
                "curves: give at least one of each"
            )

    @property
    def picture(self) -> Picture:
        """It as a picture of a section."""
        drawn = " and ".join(CURVES[curve][0] for curve in self.curves)
        families = "; ".join(self.panels)
        caption = (
            f"{self.title}: {drawn} by epoch on a logarithmic scale, mean over seeds and range, "
            f"in panels: {families}."
        )
        return Picture(self.name, self.title, caption, self.draw)

    def draw(self, study: Study) -> Figure:
        """Mean over seeds, the range as a band, and each line's name at its end."""
        with settings():
            shown = self._shown(study)
            cells = [(heading, curve) for heading in shown for curve in self.curves]
            columns = len(self.curves) if len(self.curves) > 1 else min(2, len(cells))
            rows = math.ceil(len(cells) / columns)
            figure = blank(WIDTH, 1.1 + PANEL_HEIGHT * rows)
            units = {CURVES[curve][1] for curve in self.curves}
            share: Literal["all", "col"] = "all" if len(units) == 1 else "col"
            grid = figure.subplots(rows, columns, squeeze=False, sharey=share, sharex="all")
            ends = []
            for axes, (heading, curve) in zip(grid.flat, cells, strict=False):
                ends.append(_draw_panel(axes, study, shown[heading], curve))
                axes.set_title(self._panel_title(heading, curve))
            for axes in grid.flat[len(cells) :]:
                axes.remove()
            # names are placed when all panels have widened the axes that they share
            for axes, (_, curve) in zip(grid.flat, cells, strict=False):
                _finish(axes, study, curve)
            for axes, found in zip(grid.flat, ends, strict=False):
                _name_lines(axes, found)
            write_caption(figure, _caption(study))
            return figure

    def _panel_title(self, heading: str, curve: str) -> str:
        named = f"{heading}: {CURVES[curve][0]}" if len(self.curves) > 1 else heading
        return wrapped(named[:1].upper() + named[1:], 48)

    def _shown(self, study: Study) -> dict[str, list[str]]:
        """The variants of each panel that were run, of the panels that compare something."""
        ran = {
            heading: [name for name in names if name in study.names]
            for heading, names in self.panels.items()
        }
        compared = {h: names for h, names in ran.items() if set(names) - {study.baseline}}
        return compared or dict(list(ran.items())[:1])


class _End(NamedTuple):
    """Where a line ends, in epochs and the curve's unit, and what it is called."""

    epoch: float
    value: float
    label: str
    color: str


def mean_and_range(
    curves: Sequence[Mapping[float, float]],
) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, "3 E"]]:
    """Over runs: the epochs at which any has a finite value; lowest, mean and highest there.

    Example:
        >>> mean_and_range([{1.0: 2.0, 2.0: 1.0}, {1.0: 4.0, 2.0: float("nan")}])
        (array([1., 2.]), array([[2., 1.],
               [3., 1.],
               [4., 1.]]))
    """
    at: dict[float, list[float]] = {}
    for curve in curves:
        for epoch, value in curve.items():
            if math.isfinite(value):
                at.setdefault(epoch, []).append(value)
    epochs = sorted(at)
    rows = [[min(at[e]), sum(at[e]) / len(at[e]), max(at[e])] for e in epochs]
    return np.array(epochs, float), np.array(rows, float).reshape(len(epochs), 3).T


def spread(places: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Move labels as little as possible until none overlaps another.

    Labels that would overlap form a stack, which stands where the sum of the squares of its moves
    is least, within 0 to 1; stacks that would overlap become one.

    Args:
        places: Where the middle of each label is wanted, in 0 to 1.
        heights: Of each label.

    Returns:
        Where the middle of each stands, in the order given.

    Example:
        >>> [round(place, 2) for place in spread([0.5, 0.5, 0.0], [0.1, 0.1, 0.1])]
        [0.45, 0.55, 0.05]
    """
    stacks: list[list[int]] = []
    for label in sorted(range(len(places)), key=lambda i: places[i]):
        stacks.append([label])
        while len(stacks) > 1 and max(_stand(stacks[-2], places, heights)) > min(
            _stand(stacks[-1], places, heights)
        ):
            top = stacks.pop()
            stacks[-1] += top
    found = dict[int, float]()
    for stack in stacks:
        edges = _stand(stack, places, heights)
        found |= {i: (edges[at] + edges[at + 1]) / 2 for at, i in enumerate(stack)}
    return [found[i] for i in range(len(places))]


def _stand(stack: Sequence[int], places: Sequence[float], heights: Sequence[float]) -> list[float]:
    """The edges of the labels of a stack, from its foot to its top."""
    edges = [0.0]
    for label in stack:
        edges.append(edges[-1] + heights[label])
    wanted = [places[i] - (edges[at] + edges[at + 1]) / 2 for at, i in enumerate(stack)]
    foot = min(max(sum(wanted) / len(wanted), 0.0), max(1 - edges[-1], 0.0))
    return [foot + edge for edge in edges]


def _curve(run: Run, curve: str) -> dict[float, float]:
    epochs = run.curve.test_epochs if curve == "test_error" else run.curve.epochs
    return dict(zip(epochs, getattr(run.curve, curve), strict=True))


def _draw_panel(axes: Axes, study: Study, names: Sequence[str], curve: str) -> list[_End]:
    """The lines of one panel; where each of them ends."""
    ends, lost = [], []
    others = [name for name in names if name != study.baseline]
    for name in names:
        style = look(0 if name == study.baseline else _place(others.index(name)))
        color = str(style["color"])
        epochs, (low, middle, high) = mean_and_range(
            [_curve(run, curve) for run in study.runs_of(name)]
        )
        label = study.variant(name).label
        every = max(1, len(epochs) // 8)
        axes.plot(epochs, middle, lw=2.2, ms=6, markevery=every, label=label, **style)  # type: ignore[arg-type]
        if len(study.runs_of(name)) > 1:
            axes.fill_between(epochs, low, high, color=color, alpha=0.15, lw=0)
        seen = np.flatnonzero(middle > 0)
        if len(seen):
            ends.append(_End(float(epochs[seen[-1]]), float(middle[seen[-1]]), label, color))
        else:
            lost.append(f"{label}: no finite value")
    if lost:
        axes.text(0.98, 0.98, "\n".join(lost), transform=axes.transAxes, ha="right", va="top")
    return ends


def _place(number: int) -> int:
    """The place of a variant's look: black comes round, and belongs to the baseline alone."""
    return 1 + number + number // (len(COLORS) - 1)


def _finish(axes: Axes, study: Study, curve: str) -> None:
    """Scales, ticks and names of the axes."""
    logarithmic(axes, "y")
    whole_epochs(axes, study)
    axes.grid(color="#E4E4E4")
    axes.set_xlabel("epochs")
    if axes.get_subplotspec().is_first_col() or curve != "train_loss":  # type: ignore[union-attr]
        axes.set_ylabel(", ".join(CURVES[curve]))
    axes.tick_params(labelbottom=True, labelleft=True)


def _name_lines(axes: Axes, ends: Sequence[_End]) -> None:
    """Each line's name to the right of the panel, joined to the line's end."""
    to_panel = axes.transData + axes.transAxes.inverted()
    labels = [wrapped(end.label, 18) for end in ends]
    wanted = [float(to_panel.transform((end.epoch, end.value))[1]) for end in ends]
    heights = [LINE * (1 + label.count("\n")) + 0.01 for label in labels]
    for end, label, place in zip(ends, labels, spread(wanted, heights), strict=True):
        axes.annotate(
            label,
            (end.epoch, end.value),
            (1.05, place),
            textcoords="axes fraction",
            va="center",
            fontsize=12,
            linespacing=1.0,
            color=end.color,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": end.color,
                "lw": 0.8,
                "shrinkA": 1,
                "relpos": (0, 0.5),
            },
        )


def _caption(study: Study) -> str:
    label = study.variant(study.baseline).label
    return (
        f"Lines: mean over seeds; bands: lowest to highest. Black: {label}, wherever it is drawn. "
        "Logarithmic scales: a value of 0 is not drawn, and a line ends where its runs diverge. "
        f"{where(study)}"
    )


# ------------------------------------------------------------------------------------------
# A quantity against a number: error by depth, seconds by batch; a line for each kind.

LONGEST = 28
"""Letters of a title that fit beside an axis too."""


@dataclass(frozen=True)
class Trend:
    """One picture: panels side by side, each with a line for every series.

    Args:
        name: Stem of the picture's files.
        title: Heading in the report.
        x_label: What the number is, with its unit.
        series: Label to the variants by their number; those that were not run are left out.
        panels: The quantities of each panel, drawn together where there are several.
        logarithmic_x: Whether the numbers grow by factors.
        number: Gives the number of a variant where only the study knows it, such as its
            parameters; those of `series` are its order then.
    """

    name: str
    title: str
    x_label: str
    series: Mapping[str, Mapping[float, str]]
    panels: tuple[tuple[str, ...], ...]
    logarithmic_x: bool = False
    number: Callable[[Variant], float] | None = None

    @property
    def picture(self) -> Picture:
        """It as a picture of a section."""
        of = "; ".join(self.series)
        caption = f"{self.title}: against {self.x_label}, a line each for {of}."
        return Picture(self.name, self.title, caption, self.draw)

    def draw(self, study: Study) -> Figure:
        """Mean over seeds, a dot a seed, and the mean's 95 % interval."""
        with settings():
            figure = blank(WIDTH, 6.2)
            panels = figure.subplots(1, len(self.panels), squeeze=False)[0]
            for axes, quantities in zip(panels, self.panels, strict=True):
                self._draw_panel(axes, study, quantities)
            handles, labels = panels[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
            write_caption(
                figure,
                "Lines: mean over seeds. Small dots: seeds. Bars: the mean's 95 % t interval, none "
                f"for one seed. {where(study)}",
            )
            return figure

    def _draw_panel(self, axes: Axes, study: Study, quantities: tuple[str, ...]) -> None:
        place = 0
        series = {label: self._numbered(study, names) for label, names in self.series.items()}
        for label, variants in series.items():
            for quantity in quantities:
                kind = study.quantity(quantity).label.split(", ")[-1]
                more = f", {kind}" if len(quantities) > 1 else ""
                points = _points(study, variants, quantity)
                _draw_series(axes, points, label + more, look(place))
                place += 1
        chosen = study.quantity(quantities[0])
        unit = {"percentage points": "%"}.get(chosen.unit, chosen.unit)
        title = chosen.label.split(",")[0]
        axes.set_title(title[:1].upper() + title[1:])
        short = {"s": "seconds"}.get(unit, unit) or title
        axes.set_ylabel(short if len(title) > LONGEST else f"{title}, {unit}" if unit else title)
        axes.set_xlabel(self.x_label)
        axes.grid(color="#E4E4E4")
        if axes.dataLim.ymin >= 0:
            axes.set_ylim(bottom=0)
        shown = sorted({at for variants in series.values() for at in variants})
        ran = [at for at in shown if _ran(study, series, at)]
        if self.logarithmic_x:
            logarithmic(axes, "x")
        if self.number is None:
            axes.set_xticks(ran, [scaled_tick(float(f"{at:.3g}")) for at in ran])
            axes.set_xticks([], minor=True)

    def _numbered(self, study: Study, variants: Mapping[float, str]) -> Mapping[float, str]:
        """The variants by the numbers that they are drawn at."""
        if self.number is None:
            return variants
        ran = [name for name in variants.values() if name in study.names]
        return {float(self.number(study.variant(name))): name for name in ran}


def _ran(study: Study, series: Mapping[str, Mapping[float, str]], at: float) -> bool:
    return any(variants.get(at) in study.names for variants in series.values())


def _points(
    study: Study, variants: Mapping[float, str], quantity: str
) -> list[tuple[float, list[float]]]:
    """Number and values over seeds, of the variants that have any."""
    found = [
        (at, list(study.values(f"{name}:{quantity}").values()))
        for at, name in sorted(variants.items())
        if name in study.names
    ]
    return [(at, values) for at, values in found if values]


def _draw_series(
    axes: Axes, points: list[tuple[float, list[float]]], label: str, style: dict[str, object]
) -> None:
    color = str(style["color"])
    means = [mean(values) for _, values in points]
    axes.plot([at for at, _ in points], means, lw=2.2, ms=8, label=label, **style)  # type: ignore[arg-type]
    for at, values in points:
        if len(values) > 1:
            axes.plot([at] * len(values), values, "o", color=color, ms=4, alpha=0.5, mew=0)
        interval = mean_interval(values)
        if interval:
            axes.plot([at] * 2, [interval.low, interval.high], color=color, lw=1.5, alpha=0.8)


# ------------------------------------------------------------------------------------------
# The pictures of a report as files: PNG for slides, SVG for pages; equal studies, equal bytes.

PICTURES = (
    Picture(
        name="errors",
        title="Test error of every variant",
        caption="Test error after the last epoch: a dot for every seed, their mean and its 95 % "
        f"confidence interval. {OWN_INTERVALS}",
        draw=errors_figure,
    ),
    Picture(
        name="drops",
        title="Increase of error, here and as published",
        caption="Increase of test error over the baseline, percentage points: mean difference "
        "paired by seed, with simultaneous 95 % intervals; beside it the published increases, on "
        "other data and by other measures.",
        draw=drops_figure,
    ),
    Picture(
        name="curves",
        title="How the variants learned",
        caption="Training loss on a logarithmic scale and test error by epoch: mean over seeds and "
        f"range. The last 20 % of epochs are shaded. {TRAINING_NOTE}",
        draw=curves_figure,
    ),
    Picture(
        name="costs",
        title="Error against cost",
        caption="Test error against the number of parameters and against multiply-accumulates.",
        draw=costs_figure,
    ),
)
"""The pictures of a report, in its order."""


_OF_SEVERAL = ("drops", "costs")


def pictures(study: Study) -> tuple[Picture, ...]:
    """The pictures that this study can fill: none of comparison for a single variant.

    Raises:
        ReportError: When two of them would be written to one file.
    """
    own = [picture for section in study.plan.sections for picture in section.pictures]
    several = len(study.variants) > 1
    found = [p for p in PICTURES if several or p.name not in _OF_SEVERAL] + own
    names = [picture.name for picture in found]
    for name in names:
        if names.count(name) > 1:
            raise ReportError(f"two pictures are named {name!r}: give each its own name")
    return tuple(found)


def render(study: Study, picture: Picture) -> tuple[bytes, str]:
    """The picture as PNG (at twice the usual resolution) and as SVG."""
    with settings():
        figure = picture.draw(study)
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=160)
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return png.getvalue(), svg.getvalue().decode()


def write_pictures(study: Study, folder: Path) -> dict[str, tuple[Path, Path]]:
    """Writes every picture as PNG and SVG.

    Returns:
        The paths of the PNG and of the SVG, by the picture's name.

    Raises:
        ReportError: When the folder cannot be written.
    """
    written = {}
    for picture in pictures(study):
        png, svg = render(study, picture)
        written[picture.name] = (
            write_atomically(folder / f"{picture.name}.png", png),
            write_atomically(folder / f"{picture.name}.svg", svg),
        )
    return written
