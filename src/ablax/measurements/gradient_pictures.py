"""The gradient by layer as pictures: at the start, and as training goes on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ablax.report.drawing import COLORS, WIDTH, blank, look, settings, where, wrapped, write_caption
from ablax.report.forms import Column, Table, number, signed
from ablax.report.quantity import Row
from ablax.report.results import Study
from ablax.report.section import Picture, Section
from ablax.report.statistics import deviation, mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "gradient_norms"
PANEL = 4
"""Variants in one panel of the second picture, in a row."""


def start_figure(study: Study) -> Figure:
    """Before training: the gradient by the outputs, and by the kernels, against the place."""
    with settings():
        figure = blank(WIDTH, 9.5 + 0.2 * max(0, len(study.variants) - 14))
        panels = figure.subplots(2, 1)
        for axes, of in zip(panels, ("output", "kernel"), strict=True):
            for place, variant in enumerate(study.variants):
                rows = study.rows(NAME, variant=variant.name, of=of, step=0)
                if rows:
                    _draw_line(axes, list(rows), wrapped(variant.label, 30), look(place))
            axes.set_yscale("log")
            axes.grid(color="#E4E4E4")
        panels[0].set_title("By the output of each block, before training")
        panels[0].set_xlabel("block, counted from the images")
        panels[0].set_ylabel("|dl/dy| of an image")
        panels[1].set_title("By the kernel of each layer, before training")
        panels[1].set_xlabel("layer with weights, counted from the images")
        panels[1].set_ylabel("|dL/dW| of the mean loss")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", fontsize=12, frameon=False)
        write_caption(
            figure,
            "Above: root mean square over images of the norm of the loss's gradient by the output "
            "of each outer layer; a line that falls to the left vanishes, one that rises to the "
            "left explodes. Below: norm of its gradient by each kernel. Both logarithmic. Lines: "
            "geometric mean over seeds; bands: lowest to highest. " + where(study),
        )
        return figure


def training_figure(study: Study) -> Figure:
    """The same at every moment it was measured, a panel a variant: dark is early, pale is late."""
    with settings():
        names = [v for v in study.variants if study.rows(NAME, variant=v.name)]
        down = max(1, math.ceil(len(names) / PANEL))
        figure = blank(WIDTH + 2, 1.6 + 2.9 * down)
        panels = np.ravel(figure.subplots(down, PANEL, sharey=True, squeeze=False))
        for panel in panels[len(names) :]:
            panel.set_axis_off()
        for at, variant in enumerate(names):
            _draw_moments(panels[at], study, variant.name)
            panels[at].set_title(wrapped(variant.label, 22), fontsize=12)
            if at % PANEL == 0:
                panels[at].set_ylabel("|dl/dy|")
            if at + PANEL >= len(names):
                panels[at].set_xlabel("block")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False)
        write_caption(
            figure,
            "Root mean square over images of the norm of the loss's gradient by the output of each "
            "block, counted from the images, at the moments of the legend; geometric mean over "
            f"seeds. {where(study)}",
        )
        return figure


def _draw_moments(axes: Axes, study: Study, variant: str) -> None:
    rows = study.rows(NAME, variant=variant, of="output")
    epochs = sorted({row["epoch"] for row in rows})
    for at, epoch in enumerate(epochs):
        own = [row for row in rows if row["epoch"] == epoch]
        shade = at / max(1, len(epochs) - 1)
        style = {"color": _between(COLORS[1], COLORS[5], shade), "linestyle": "-", "marker": ""}
        _draw_line(axes, own, "start" if epoch == 0 else f"epoch {epoch:g}", style, band=False)
    axes.set_yscale("log")
    axes.grid(color="#E4E4E4")


def _between(first: str, second: str, share: float) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    pairs = zip(to_rgb(first), to_rgb(second), strict=True)
    return tuple((1 - share) * a + share * b for a, b in pairs)


def _draw_line(
    axes: Axes, rows: list[Row], label: str, style: dict[str, object], band: bool = True
) -> None:
    """The geometric mean over seeds of the gradient, and its range."""
    places = sorted({int(row["place"]) for row in rows})
    values = [
        [
            row["gradient"]
            for row in rows
            if row["place"] == place and 0 < row["gradient"] < math.inf
        ]
        for place in places
    ]
    kept = [(place, found) for place, found in zip(places, values, strict=True) if found]
    if not kept:
        return
    at = [place for place, _ in kept]
    middle = [float(np.exp(np.mean(np.log(found)))) for _, found in kept]
    every = max(1, len(at) // 6)
    axes.plot(at, middle, lw=2, ms=6, markevery=every, label=label, **style)  # type: ignore[arg-type]
    if band:
        low, high = [min(found) for _, found in kept], [max(found) for _, found in kept]
        axes.fill_between(at, low, high, color=str(style["color"]), alpha=0.12, lw=0)


def decades_table(study: Study) -> Table:
    """A row a variant: how the gradient changes from the last layers to the first."""
    rows = []
    for variant in study.variants:
        cells = [variant.label]
        for quantity in ("gradient_at_start", "gradient_at_end", "pull_at_start"):
            found = list(study.values(f"{variant.name}:{quantity}").values())
            spread = f" ± {number(deviation(found))}" if len(found) > 1 else ""
            cells.append(signed(mean(found)) + spread if found else number(math.nan))
        rows.append(tuple(cells))
    return Table(
        title="Does the gradient reach the first layers?",
        columns=(
            Column("Variant", "left"),
            Column("First over last block, before training, log10"),
            Column("The same after training"),
            Column("|W| |dL/dW| before training, log10"),
        ),
        rows=tuple(rows),
        notes=(
            "First two columns: norm of the loss's gradient by the output of the first block over "
            "that by the output of the last, in powers of ten: below 0 it vanishes on its way "
            "down, above 0 it explodes. Last column: median over all kernels; to first order, by "
            "how much the loss changes when a kernel changes by its own size. Mean ± standard "
            "deviation over seeds; a dash where it is 0 or not finite.",
        ),
    )


SECTION = Section(
    title="The gradient by layer",
    text="The gradient of the loss of 128 training images, without distortions and dropout, batch "
    "normalization as in training: by the output of each block, which is what travels down, and by "
    "each kernel, which is that times the layer's input.",
    pictures=(
        Picture(
            "gradient_at_start",
            "Gradient by layer before training",
            "Gradient of the loss by the output of each block and by each kernel, before training, "
            "against the place of block and layer; a line for each variant, logarithmic.",
            start_figure,
        ),
        Picture(
            "gradient_in_training",
            "Gradient by layer during training",
            "Gradient of the loss by the output of each block at several epochs, a panel for each "
            "variant, logarithmic.",
            training_figure,
        ),
    ),
    tables=(decades_table,),
)
