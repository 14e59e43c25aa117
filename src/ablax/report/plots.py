"""The pictures of a report, each a matplotlib `Figure` made without pyplot's global state.

Colours are those of Okabe and Ito, which people with any common colour vision tell apart; marker
and line style say the same once more. Equal studies give equal bytes.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ablax.report.files import write_atomically
from ablax.report.flatness import variant_flatness
from ablax.report.results import Run, Study
from ablax.report.statistics import comparisons_with_baseline, mean_interval, summary
from ablax.report.tables import flatness_words, number, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
"""Okabe and Ito 2008, "Color universal design"; their yellow, too pale on white, is grey here."""

MARKERS = "osD^v>ph*"
"""Nine to eight colors, so that the first 72 variants all look different."""

LINES: tuple[str | tuple[int, tuple[int, ...]], ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1, 1, 1, 1, 1)),
)
WIDTH = 11.0

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 14.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 15.0,
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
    "svg.hashsalt": "ablax",
    "svg.fonttype": "path",
    # a dollar sign in a label is a dollar sign
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Picture:
    """One figure of the report.

    Args:
        name: Stem of its files.
        title: Heading in the report.
        caption: What is seen, for those who cannot see it too.
        draw: Makes the figure.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Study], Figure]


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context():
        # the person's own settings would make the picture depend on the machine
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _wrap(label: str, width: int = 26) -> str:
    """At most three lines; of more, the middle is left out, because names differ at their ends."""
    room = 3 * width - 8
    if len(label) > room:
        label = f"{label[: room // 2]} … {label[-(room // 2) :]}"
    return "\n".join(textwrap.wrap(label, width)) or " "


def _style_of(place: int) -> dict[str, object]:
    return {
        "color": COLORS[place % len(COLORS)],
        "marker": MARKERS[place % len(MARKERS)],
        # the eight colours come round with another line style
        "linestyle": LINES[(place + place // len(COLORS)) % len(LINES)],
    }


def _caption(figure: Figure, text: str) -> None:
    wrapped = "\n".join(textwrap.wrap(text, int(figure.get_figwidth() * 10.5)))
    figure.supxlabel(wrapped, fontsize=11, color="#444444", x=0.01, ha="left")


def _n(study: Study) -> str:
    counts = sorted({len(study.finished_runs_of(name)) for name in study.names})
    if len(counts) == 1:
        return f"n = {counts[0]} seed" + ("s" if counts[0] != 1 else "")
    return f"n = {counts[0]} to {counts[-1]} seeds"


def _where(study: Study) -> str:
    return f"{study.name}, recipe {study.recipe_name}, {_n(study)}. {study.data_note}"


def _rows(axes: Axes, labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), [_wrap(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color="#DDDDDD")


def _height(rows: int) -> float:
    return 2.4 + 0.72 * max(rows, 2)


def errors_figure(study: Study) -> Figure:
    """Test error of every variant: a dot a seed, the mean, its 95 % interval."""
    with _style():
        figure = _figure(WIDTH, _height(len(study.variants)))
        axes = figure.subplots()
        _rows(axes, [variant.label for variant in study.variants])
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
        _room(axes)
        base = summary(study, study.baseline)
        if math.isfinite(base.error):
            axes.axvline(base.error, color="#888888", lw=1, ls="--", zorder=0)
        axes.set_xlabel("test error after the last epoch, %")
        label = study.variant(study.baseline).label
        text = "Right: the error. "
        if any(summary(study, name).n > 1 for name in study.names):
            text = "Dots: seeds. Diamond: their mean. Bar: its 95 % t interval. "
            text += "Right: mean ± standard deviation. "
        _caption(figure, f"{text}Dashed: mean of {label}. {_where(study)}")
        return figure


def drops_figure(study: Study) -> Figure:
    """Points of error lost against the baseline: ours, and beside it what was published."""
    from matplotlib.ticker import MaxNLocator

    with _style():
        others = [variant for variant in study.variants if variant.name != study.baseline]
        figure = _figure(WIDTH, _height(len(others)) + (0.8 if study.published else 0))
        panels = figure.subplots(1, 2 if study.published else 1, sharey=True, squeeze=False)[0]
        ours = panels[0]
        label = study.variant(study.baseline).label
        ours.set_title(f"Here: test error, {study.recipe_name}")
        _draw_differences(ours, study, [variant.name for variant in others])
        if study.published:
            _draw_published(panels[1], study, [variant.name for variant in others])
        _rows(ours, [variant.label for variant in others])
        for axes in panels:
            axes.axvline(0, color="#444444", lw=1.2, zorder=0.5)
            axes.set_xlabel("points of error lost")
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        _room(ours)
        if len(panels) > 1:
            panels[1].grid(axis="x", color="#DDDDDD")
            panels[1].spines["left"].set_visible(False)
            panels[1].tick_params(axis="y", length=0)
            figure.legend(loc="outside upper right", fontsize=12, frameon=False)
        together = f", {len(others)} together (Bonferroni)" if len(others) > 1 else ""
        text = f"Points lost against {label}, paired by seed; bar: 95 % interval{together}, "
        text += "none for one seed or equal differences. "
        if study.published:
            text += "Other data, other sizes and other measures: compare the order, not the scale. "
        _caption(figure, text + _where(study))
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


def _room(axes: Axes) -> None:
    """At least half a point of error on the axis, so that noise is not made to look large."""
    axes.margins(x=0.1)
    low, high = axes.get_xlim()
    short = max(0.0, 0.5 - (high - low)) / 2
    axes.set_xlim(low - short, high + short)


def _draw_published(axes: Axes, study: Study, names: list[str]) -> None:
    axes.set_title("As published")
    many = len(study.published)
    for at, source in enumerate(study.published):
        offset = (at - (many - 1) / 2) * min(0.3, 0.7 / many)
        places = [place for place, name in enumerate(names) if name in source.drops]
        drops = [float(source.drops[names[place]]) for place in places]
        color = ("#444444", "#A6A6A6", "#D9D9D9")[at % 3]
        rows = [place + offset for place in places]
        axes.barh(rows, drops, height=0.24, color=color, label=f"{source.name}: {source.measure}")
        for row, drop in zip(rows, drops, strict=True):
            axes.annotate(
                signed(drop, 1),
                (drop, row),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=12,
            )
    axes.margins(x=0.16)


def curves_figure(study: Study) -> Figure:
    """Training loss (logarithmic) and test error by epoch: mean over seeds and their range."""
    with _style():
        figure = _figure(WIDTH, 9.5 + 0.3 * max(0, len(study.variants) - 8))
        losses, errors = figure.subplots(2, 1, sharex=True)
        for place, variant in enumerate(study.variants):
            style = _style_of(place)
            runs = study.runs_of(variant.name)
            flat = variant_flatness(study, variant.name)
            mark = "✓" if flat.flat else "✗"
            label = f"{_wrap(variant.label)}\n{mark} {flatness_words(flat).split(':')[0]}"
            _draw_band(losses, [_losses(run) for run in runs], style, label)
            _draw_band(errors, [_test_errors(run) for run in runs], style, label)
            if math.isfinite(flat.mean.start) and runs:
                last = max(run.curve.epochs[-1] for run in runs if run.curve.epochs)
                losses.axvspan(flat.mean.start, last, color="#EEEEEE", lw=0, zorder=-2)
        for axes in (losses, errors):
            low, high = axes.get_ylim()
            if 0 < high < 2 * low:
                axes.set_ylim(low / 1.5, high * 1.5)
            _logarithmic(axes, "y")
        _whole_epochs(errors, study)
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
        _caption(
            figure,
            "Lines: mean over seeds; bands: lowest to highest. Shaded: the last fifth of the "
            "epochs, in which the training loss must have flattened (✓) for a verdict. "
            + _where(study),
        )
        return figure


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
    with _style():
        figure = _figure(WIDTH, 6.4 + 0.3 * max(0, len(study.variants) - 6))
        panels = figure.subplots(1, 2, sharey=True)
        for place, variant in enumerate(study.variants):
            errors = [run.test_error for run in study.finished_runs_of(variant.name)]
            if not errors:
                continue
            style = _style_of(place)
            interval = mean_interval(errors)
            middle = float(np.mean(errors))
            for axes, cost in zip(panels, (variant.parameters, variant.macs), strict=True):
                if interval:
                    ends = [interval.low, interval.high]
                    axes.plot([cost] * 2, ends, color=str(style["color"]), lw=2.5)
                axes.plot(
                    [cost],
                    [middle],
                    linestyle="",
                    marker=str(style["marker"]),
                    color=str(style["color"]),
                    ms=12,
                    mec="white",
                    label=_wrap(variant.label, 30),
                )
        names = ("parameters", "multiply-accumulates")
        costs = ([v.parameters for v in study.variants], [v.macs for v in study.variants])
        for axes, name, counts in zip(panels, names, costs, strict=True):
            axes.set_title(f"Error against {name}")
            axes.set_xlabel(f"{name} of one image" if name == names[1] else name)
            _count_axis(axes, counts)
            axes.grid(color="#E4E4E4")
        panels[0].set_ylabel("test error, %")
        low, high = panels[0].get_ylim()
        short = max(0.0, 0.5 - (high - low)) / 2
        panels[0].set_ylim(low - short, high + short)
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=3,
            fontsize=12,
            frameon=False,
        )
        _caption(figure, f"Marks: mean; bars: its 95 % t interval. {_where(study)}")
        return figure


def _logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    getattr(axes, f"set_{which}scale")("log", nonpositive="mask")
    low, high = sorted(getattr(axes, f"get_{which}lim")())
    # where a decade does not fit, its multiples are wanted; over many, powers are enough
    decades = math.log10(high / low) if low > 0 else 1.0
    subs = range(1, 10) if decades < 0.7 else (1, 2, 5) if decades < 2.5 else (1,)
    axis.set_major_locator(LogLocator(subs=[float(sub) for sub in subs], numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: scaled_tick(float(value))))
    axis.set_minor_formatter(NullFormatter())


def scaled_tick(value: float) -> str:
    """A number on an axis, such as `"0.02"` or `"5 M"`."""
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{unit}"
    return f"{value:g}"


def _whole_epochs(axes: Axes, study: Study) -> None:
    from matplotlib.ticker import MaxNLocator

    last = max((run.curve.epochs[-1] for run in study.runs if run.curve.epochs), default=1.0)
    axes.set_xlim(0, last * 1.04 if last > 2 else last + 1)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))


def _count_axis(axes: Axes, counts: list[int]) -> None:
    """Logarithmic when the counts differ by more than a factor of ten."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.margins(x=0.15, y=0.15)
    if counts and max(counts) > 10 * min(counts) > 0:
        _logarithmic(axes, "x")
        return
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: scaled_tick(float(value))))
    axes.xaxis.set_major_locator(MaxNLocator(4))


PICTURES = (
    Picture(
        name="errors",
        title="Test error of every variant",
        caption="Test error after the last epoch: a dot for every seed, their mean and its 95 % "
        "confidence interval.",
        draw=errors_figure,
    ),
    Picture(
        name="drops",
        title="Points of error lost, here and as published",
        caption="Mean difference from the baseline, paired by seed, with simultaneous 95 % "
        "intervals; beside it the published drops, on other data and by other measures.",
        draw=drops_figure,
    ),
    Picture(
        name="curves",
        title="How the variants learned",
        caption="Training loss on a logarithmic scale and test error by epoch: mean over seeds and "
        "range. The last fifth of the epochs is shaded.",
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


def pictures(study: Study) -> tuple[Picture, ...]:
    """The pictures that this study can fill: no drops without a variant to compare."""
    return tuple(p for p in PICTURES if p.name != "drops" or len(study.variants) > 1)


def render(study: Study, picture: Picture) -> tuple[bytes, str]:
    """The picture as PNG (at twice the usual resolution) and as SVG."""
    with _style():
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
