"""What a report shows of invariance: curves against the amount, and tables of their means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ablax.measurements.amounts import Transformation, values_of
from ablax.measurements.distortions import distortions_of
from ablax.report.figures import COLORS, LINES, blank, settings, where, write_caption
from ablax.report.statistics import deviation, mean
from ablax.report.study import Study
from ablax.report.tables import Column, Table, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "invariance"
"""Of the measurement, and of its rows in a study."""

_LAYER_COLORS = (COLORS[1], COLORS[2], COLORS[3], COLORS[4], COLORS[5])
_PANEL_COLORS = (COLORS[0], COLORS[4], COLORS[6], COLORS[7])
_SIZE = 13
_SHADE = "#F1F1F1"

Curves = dict[float, list[float]]
"""Amount to one value a seed."""


def curves_figure(
    study: Study,
    chosen: Sequence[Transformation],
    layers: Sequence[str],
    panels: Mapping[str, Sequence[str]],
) -> Figure:
    """A row a transformation: distances of the layers, panel by panel, then the probability.

    Args:
        study: With rows of the measurement.
        chosen: The transformations.
        layers: From the first to the last.
        panels: Title to the variants drawn in it: the first solid, the second dashed.
    """
    shown = {
        title: [name for name in names if name in study.names] for title, names in panels.items()
    }
    shown = {title: names for title, names in shown.items() if names}
    with settings():
        figure = blank(13.0, 1.8 + 3.4 * len(chosen))
        grid = figure.subplots(len(chosen), len(shown) + 1, squeeze=False)
        for row, transformation in zip(grid, chosen, strict=True):
            for axes, names in zip(row, shown.values(), strict=False):
                _distances(axes, study, transformation, names, layers)
            _probabilities(row[-1], study, transformation, list(shown.values()))
            top = max(axes.get_ylim()[1] for axes in row[:-1])
            for axes in row[:-1]:
                axes.set_ylim(0, top)
                _label_ends(axes, top)
            row[0].set_ylabel("distance moved,\n1 = another image", fontsize=_SIZE)
            row[-1].set_ylabel("probability of\nthe right class", fontsize=_SIZE)
        for axes, title in zip(grid[0], [*shown, "score of the right class"], strict=True):
            axes.set_title(title)
        figure.legend(
            *grid[0][-1].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=2,
            fontsize=_SIZE,
            frameon=False,
            handlelength=3.5,
        )
        write_caption(
            figure,
            "Left: how far features move, mean |f(T x) - f(x)| over the mean distance between "
            "the features of two different test images (dotted); lines as in the legend. "
            "Lines: mean over seeds; bands: lowest to highest. Gray: the small amounts, over which "
            "the tables take means. "
            f"{distortions_of(study)} {where(study)}",
        )
        return figure


def _distances(
    axes: Axes,
    study: Study,
    transformation: Transformation,
    names: Sequence[str],
    layers: Sequence[str],
) -> None:
    for style, name in zip(LINES, names, strict=False):
        for color, layer in zip(_LAYER_COLORS, layers, strict=False):
            found = curves(study, name, transformation, "distance", layer)
            # the solid line bears the label of its layer
            label = layer if style == LINES[0] else "_"
            _draw(axes, transformation, found, color, style, label)
    axes.axhline(1, color="#444444", lw=1.2, ls=(0, (1, 2)), zorder=0)
    _name_amounts(axes, study, transformation)


def _probabilities(
    axes: Axes, study: Study, transformation: Transformation, groups: Sequence[Sequence[str]]
) -> None:
    for color, names in zip(_PANEL_COLORS, groups, strict=False):
        for style, name in zip(LINES, names, strict=False):
            found = curves(study, name, transformation, "probability", "")
            _draw(axes, transformation, found, color, style, study.variant(name).label)
    axes.set_ylim(0, 1.02)
    _name_amounts(axes, study, transformation)


def curves(
    study: Study, variant: str, transformation: Transformation, measure: str, layer: str
) -> Curves:
    """Amount to the finite values of all seeds."""
    rows = study.rows(NAME, variant=variant)
    found: Curves = {}
    for seed in sorted({row["seed"] for row in rows}):
        own = [row for row in rows if row["seed"] == seed]
        for amount, value in values_of(own, transformation, measure, layer).items():
            if math.isfinite(value):
                found.setdefault(amount, []).append(value)
    return dict(sorted(found.items()))


def _draw(
    axes: Axes,
    transformation: Transformation,
    found: Curves,
    color: str,
    style: str | tuple[int, tuple[int, ...]],
    label: str,
) -> None:
    places = [transformation.position(amount) for amount in found]
    middle = [mean(values) for values in found.values()]
    axes.plot(places, middle, color=color, linestyle=style, lw=2.3, label=label)
    low, high = [min(v) for v in found.values()], [max(v) for v in found.values()]
    axes.fill_between(places, low, high, color=color, alpha=0.13, lw=0)


def _name_amounts(axes: Axes, study: Study, transformation: Transformation) -> None:
    """The axis of amounts, factors on a logarithmic scale, with the small ones shaded."""
    from matplotlib.ticker import MaxNLocator

    names = {row["amount"] for row in study.rows(NAME, transformation=transformation.name)}
    reach = transformation.small_reach(names)
    axes.axvspan(-reach, reach, color=_SHADE, lw=0, zorder=-2)
    if transformation.ticks:
        places = [transformation.position(amount) for amount in transformation.ticks]
        axes.set_xticks(places, [amount_words(amount) for amount in transformation.ticks])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 4, 5, 8, 10]))
    axes.margins(x=0.02)
    axes.set_xlabel(transformation.axis, fontsize=_SIZE)
    axes.tick_params(labelsize=_SIZE - 1)
    axes.grid(axis="y", color="#E4E4E4")


def amount_words(amount: float) -> str:
    """An amount as its axis names it, factors below one as fractions.

    Example:
        >>> amount_words(1 / 1.8), amount_words(4.0), amount_words(-90.0)
        ('1/1.8', '4', '−90')
    """
    if 0 < amount < 1:
        return f"1/{1 / amount:g}"
    return f"{amount:g}".replace("-", "−")


def _label_ends(axes: Axes, top: float) -> None:
    """The name of each solid line at its right end, moved apart where two would overlap."""
    lines = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    ends = {line: np.asarray(line.get_ydata(), np.float64)[-1:] / top for line in lines}
    lines = [line for line in lines if ends[line].size]
    for line, height in zip(
        lines, apart([float(ends[line][0]) for line in lines], 0.1), strict=True
    ):
        axes.annotate(
            str(line.get_label()),
            (1.01, height),
            xycoords="axes fraction",
            va="center",
            fontsize=_SIZE,
            fontweight="bold",
            color=line.get_color(),
        )


def apart(heights: Sequence[float], gap: float, top: float = 1.0) -> list[float]:
    """The heights in their order, at least `gap` apart and none above `top`.

    They are moved up as little as it needs, then down from the top where that goes too far.

    Example:
        >>> apart([0.5, 0.0, 0.25], 0.5)
        [1.0, 0.0, 0.5]
        >>> apart([1.0, 0.75], 0.5)
        [1.0, 0.5]
    """
    placed = list(heights)
    upward = sorted(range(len(placed)), key=placed.__getitem__)
    below, above = -math.inf, top + gap
    for place in upward:
        below = placed[place] = max(placed[place], below + gap)
    for place in reversed(upward):
        above = placed[place] = min(placed[place], above - gap)
    return placed


def errors_table(study: Study, transformations: Sequence[Transformation]) -> Table:
    """A row a variant: test error of untouched images, and over the small amounts of each."""
    names = ["untouched_error", *(f"{t.name}_error" for t in transformations)]
    return Table(
        title="Test error under small transformations",
        columns=(
            Column("Variant", "left"),
            Column("Untouched, %"),
            *(Column(f"{t.name.capitalize()}, %") for t in transformations),
        ),
        rows=tuple(
            (study.variant(name).label, *(_cell(study, f"{name}:{q}", 1) for q in names))
            for name in study.names
        ),
        notes=(
            "Test error on the measured sample, mean ± standard deviation over seeds, of images "
            + "; ".join(
                f"{t.small_words.removeprefix('when ')} ({t.name})" for t in transformations
            )
            + ".",
        ),
    )


def distances_table(
    study: Study, transformations: Sequence[Transformation], layers: Sequence[str]
) -> Table:
    """A row a variant and layer: the distance that its features move, over the small amounts."""
    rows = []
    for name in study.names:
        for place, layer in (("first", layers[0]), ("last", layers[-1])):
            cells = [_cell(study, f"{name}:{t.name}_{place}", 2) for t in transformations]
            rows.append((study.variant(name).label, layer, *cells))
    return Table(
        title="Distance moved under small transformations",
        columns=(
            Column("Variant", "left"),
            Column("Layer", "left"),
            *(Column(t.name.capitalize()) for t in transformations),
        ),
        rows=tuple(rows),
        notes=(
            "Mean distance over the same amounts, in distances between two different images; "
            "± standard deviation over seeds.",
        ),
    )


def _cell(study: Study, operand: str, digits: int) -> str:
    values = list(study.values(operand).values())
    return spread(mean(values), deviation(values), digits)
