"""Saturation as pictures and a table: by layer before and after training, and as it goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ablax.report.figures import COLORS, WIDTH, blank, look, settings, where, wrapped, write_caption
from ablax.report.statistics import deviation, mean
from ablax.report.study import Picture, Row, Section, Study, Variant
from ablax.report.tables import NOTHING, Column, Table, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "saturation"
PANEL = 3
"""Panels in a row of the second picture."""


def layers_figure(study: Study) -> Figure:
    """Saturated responses and dead units by layer: before training on the left, after on the right.

    A line a variant.
    """
    with settings():
        figure = blank(WIDTH + 1, 9.4)
        axes = figure.subplots(2, 2, sharex=True, sharey=True)
        for row, (column, word) in enumerate(
            (("saturated", "saturated responses, %"), ("dead", "dead units, %"))
        ):
            for at, (moment, words) in enumerate(((min, "before"), (max, "after"))):
                for place, variant in enumerate(study.variants):
                    rows = _at_moment(study.rows(NAME, variant=variant.name), moment)
                    _draw_line(axes[row, at], rows, column, variant.label, look(place))
                axes[row, at].set_title(f"{word.split(',')[0].capitalize()} {words} training")
            axes[row, 0].set_ylabel(word)
        for panel in axes[1]:
            panel.set_xlabel("hidden layer, counted from the images")
        for panel in axes.flat:
            _dress(panel)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
        write_caption(
            figure,
            "A response is saturated where the slope of its nonlinearity is below 1 % of the "
            "largest; a unit is dead if it is saturated at every place of every image looked at. "
            f"Lines: mean over seeds; bars: lowest to highest. {where(study)}",
        )
        return figure


def training_figure(study: Study) -> Figure:
    """Saturated responses by epoch: a panel a variant, a line a layer, from blue to orange."""
    shown = [v for v in study.variants if study.rows(NAME, variant=v.name)]
    with settings():
        down = max(1, math.ceil(len(shown) / PANEL))
        figure = blank(WIDTH + 1, 1.8 + 3.3 * down)
        panels = np.ravel(figure.subplots(down, PANEL, sharey=True, sharex=True, squeeze=False))
        for panel in panels[len(shown) :]:
            panel.set_axis_off()
        for at, variant in enumerate(shown):
            _draw_layers(panels[at], study, variant)
            if at % PANEL == 0:
                panels[at].set_ylabel("saturated, %")
            if at + PANEL >= len(shown):
                panels[at].set_xlabel("epochs")
                panels[at].tick_params(labelbottom=True)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=max(1, len(labels)), frameon=False
        )
        write_caption(
            figure,
            "Share of responses at which the slope of the nonlinearity is below 1 % of the "
            "largest, layer by layer, at the moments measured: mean over seeds. Layers are counted "
            f"from the images. {where(study)}",
        )
        return figure


def _draw_layers(axes: Axes, study: Study, variant: Variant) -> None:
    from matplotlib.colors import to_rgb

    rows = study.rows(NAME, variant=variant.name)
    places = sorted({int(row["place"]) for row in rows})
    for at, place in enumerate(places):
        share = at / max(1, len(places) - 1)
        pairs = zip(to_rgb(COLORS[1]), to_rgb(COLORS[5]), strict=True)
        color = tuple((1 - share) * a + share * b for a, b in pairs)
        own = [row for row in rows if row["place"] == place]
        epochs = sorted({float(row["epoch"]) for row in own})
        means = [mean([r["saturated"] for r in own if float(r["epoch"]) == e]) for e in epochs]
        marker = "os^Dv>p*"[at % 8]
        axes.plot(epochs, means, color=color, marker=marker, ms=6, lw=2, label=f"layer {place}")
    axes.set_title(wrapped(variant.label, 30), fontsize=13)
    axes.set_ylim(-4, 104)
    axes.grid(color="#E4E4E4")


def _at_moment(rows: Sequence[Row], moment: Callable[[list[int]], int]) -> list[Row]:
    step = moment([row["step"] for row in rows] or [0])
    return [row for row in rows if row["step"] == step]


def _draw_line(
    axes: Axes, rows: Sequence[Row], column: str, label: str, style: dict[str, object]
) -> None:
    """Mean over seeds at each layer, and the range."""
    places = sorted({int(row["place"]) for row in rows})
    values = [[float(row[column]) for row in rows if row["place"] == place] for place in places]
    axes.plot(places, [mean(found) for found in values], lw=2, ms=8, label=label, **style)  # type: ignore[arg-type]
    for place, found in zip(places, values, strict=True):
        axes.plot([place] * 2, [min(found), max(found)], color=str(style["color"]), lw=1.5)


def _dress(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylim(-4, 104)
    axes.grid(color="#E4E4E4")


def saturation_table(study: Study) -> Table:
    """A row a variant: saturated responses and dead units, mean over layers."""
    names = ("saturated_at_start", "saturated_at_end", "last_saturated", "dead_at_end")
    rows = []
    for variant in study.variants:
        cells = [variant.label]
        for name in names:
            found = list(study.values(f"{variant.name}:{name}").values())
            cells.append(spread(mean(found), deviation(found), 1) if found else NOTHING)
        rows.append(tuple(cells))
    return Table(
        title="Saturated responses and dead units, %",
        columns=(
            Column("Variant", "left"),
            Column("Saturated before training"),
            Column("Saturated after training"),
            Column("Last hidden layer, most at any moment"),
            Column("Dead units after training"),
        ),
        rows=tuple(rows),
        notes=(
            "Percent, mean over the hidden layers ± standard deviation over seeds. A ReLU's "
            "saturated responses are its zeros, which it needs: without them it would be linear. "
            "What hurts it are dead units, which are 0 for every image and get no gradient.",
        ),
    )


def section() -> Section:
    """Both pictures and the table."""
    return Section(
        title="Saturation",
        text=(
            "The share of responses on the flat of their nonlinearity, where its slope is below "
            "1 % of the largest and a gradient hardly passes: |x| > 5.98 for a sigmoid, "
            "|x| > 2.99 for tanh, x below 0 for a ReLU. (The slope of 0.01 of a leaky ReLU is just "
            "not below the limit.) Measured on 256 test images."
        ),
        pictures=(
            Picture(
                "saturation_by_layer",
                "Saturated responses and dead units by layer",
                "Share of saturated responses, and of dead units, of each hidden layer before and "
                "after training, a line a variant.",
                layers_figure,
            ),
            Picture(
                "saturation_in_training",
                "Saturated responses during training",
                "Share of saturated responses against epochs, a panel a variant and a line a "
                "layer.",
                training_figure,
            ),
        ),
        tables=(saturation_table,),
    )
