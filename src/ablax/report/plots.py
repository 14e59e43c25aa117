"""What the pictures of a report show, each a `Figure` made without pyplot's global state."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from ablax.report.drawing import (
    COLORS,
    WIDTH,
    blank,
    count_axis,
    give_room,
    height,
    logarithmic,
    look,
    name_rows,
    settings,
    where,
    whole_epochs,
    wrapped,
    write_caption,
)
from ablax.report.flatness import VariantFlatness, variant_flatness
from ablax.report.forms import number, signed
from ablax.report.results import Run, Study, Variant
from ablax.report.statistics import comparisons_with_baseline, mean_interval, summary
from ablax.report.tables import TRAINING_NOTE, flatness_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform


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
        axes.set_title(f"Test error, {study.recipe_name}")
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
        figure = blank(WIDTH, height(len(others)) + 0.4 * len(study.published))
        panels = figure.subplots(1, 2 if study.published else 1, sharey=True, squeeze=False)[0]
        ours = panels[0]
        label = study.variant(study.baseline).label
        ours.set_title(f"Here: test error, {study.recipe_name}")
        _draw_differences(ours, study, [variant.name for variant in others])
        if study.published:
            _draw_published(panels[1], study, [variant.name for variant in others])
        name_rows(ours, [variant.label for variant in others])
        for axes in panels:
            axes.axvline(0, color="#444444", lw=1.2, zorder=0.5)
            # what was published is not always a test error
            kind = "test error" if axes is ours else "error"
            axes.set_xlabel(f"increase of {kind}, points (right: worse)")
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        give_room(ours)
        if len(panels) > 1:
            panels[1].grid(axis="x", color="#DDDDDD")
            panels[1].spines["left"].set_visible(False)
            panels[1].tick_params(axis="y", length=0)
            figure.legend(loc="outside upper right", fontsize=12, frameon=False)
        together = f", {len(others)} together (Bonferroni)" if len(others) > 1 else ""
        text = f"Increase over {label}, points, paired by seed; bar: 95 % interval{together}, "
        text += "none for one seed or equal differences. "
        if study.published:
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
    many = len(study.published)
    for at, source in enumerate(study.published):
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
            "Lines: mean over seeds; bands: lowest to highest. Shaded: the last fifth of the "
            "epochs, in which the training loss must have flattened (✓) for a verdict; beside the "
            "mark: how far it still moved there, of its whole fall and of the loss itself. "
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
