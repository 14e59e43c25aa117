"""The gradient by layer as pictures: at the start, and as training goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ablax.report.figures import (
    COLORS,
    WIDTH,
    blank,
    logarithmic,
    settings,
    where,
    wrapped,
    write_caption,
)
from ablax.report.statistics import deviation, mean
from ablax.report.study import Picture, Row, Section, Study
from ablax.report.tables import Column, Table, number, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "gradient_norms"
PANEL = 4
"""Panels in a row of the second picture."""

Groups = Sequence[Sequence[str]]
Panels = Mapping[str, Groups]


def start_figure(study: Study, panels: Panels) -> Figure:
    """Before training: the gradient by the outputs, and by the kernels, against the place."""
    with settings():
        present = {title: _present(study, groups) for title, groups in panels.items()}
        # a panel of one group compares nothing that the others do not
        shown = {title: groups for title, groups in present.items() if len(groups) > 1} or present
        figure = blank(WIDTH + 2, 10.5)
        axes = figure.subplots(2, max(1, len(shown)), sharey="row", squeeze=False)
        for column, (title, groups) in enumerate(shown.items()):
            for row, of in enumerate(("output", "kernel")):
                _draw_groups(axes[row, column], study, groups, of)
            axes[0, column].set_title(title)
            axes[0, column].set_xlabel("block, counted from the images")
            axes[1, column].set_xlabel("layer with weights, counted from the images")
            axes[0, column].legend(
                loc="lower left", bbox_to_anchor=(0, 1.1), ncols=2, fontsize=11, frameon=False
            )
        axes[0, 0].set_ylabel("by the block's output: |dl/dy|")
        axes[1, 0].set_ylabel("by the kernel: |dL/dW|")
        for row in axes:
            logarithmic(row[0], "y")
        write_caption(
            figure,
            "Gradient before training, logarithmic. Above: root mean square over images of the "
            "norm of the gradient of an image's loss by the output of each outer layer; a line "
            "that falls to the left vanishes, one that rises to the left explodes. Below: norm of "
            "the mean loss's gradient by each kernel. Lines: geometric mean over seeds; bands: "
            f"lowest to highest. {where(study)}",
        )
        return figure


def _present(study: Study, groups: Groups) -> list[list[str]]:
    """The groups without the variants that were not measured, and without empty ones."""
    kept = [[name for name in group if study.rows(NAME, variant=name)] for group in groups]
    return [group for group in kept if group]


def _draw_groups(axes: Axes, study: Study, groups: list[list[str]], of: str) -> None:
    for color, group in enumerate(groups):
        for line, name in enumerate(group):
            style: dict[str, object] = {
                "color": COLORS[color % len(COLORS)],
                "linestyle": ("-", "--", ":")[line % 3],
                "marker": "o^s"[line % 3],
            }
            rows = study.rows(NAME, variant=name, of=of, step=0)
            _draw_line(axes, rows, wrapped(study.variant(name).label, 34), style)
    _whole_places(axes)
    axes.set_yscale("log")
    axes.grid(color="#E4E4E4")


def training_figure(study: Study) -> Figure:
    """The same at every moment it was measured, a panel a variant: from blue to orange."""
    with settings():
        names = [v for v in study.variants if study.rows(NAME, variant=v.name)]
        down = max(1, math.ceil(len(names) / PANEL))
        figure = blank(WIDTH + 2, 1.6 + 2.9 * down)
        panels = np.ravel(figure.subplots(down, PANEL, sharey=True, squeeze=False))
        for panel in panels[len(names) :]:
            panel.set_axis_off()
        for at, variant in enumerate(names):
            _draw_moments(panels[at], study, variant.name)
            panels[at].set_title(wrapped(variant.label, 24), fontsize=12)
            if at % PANEL == 0:
                panels[at].set_ylabel("|dl/dy|")
            if at + PANEL >= len(names):
                panels[at].set_xlabel("block")
        if names:
            logarithmic(panels[0], "y")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False)
        write_caption(
            figure,
            "Root mean square over images of the norm of the loss's gradient by the output of each "
            "block, counted from the images, at the moments of the legend; geometric mean over "
            f"seeds. No line: the gradient is 0 or not finite. {where(study)}",
        )
        return figure


def _draw_moments(axes: Axes, study: Study, variant: str) -> None:
    rows = study.rows(NAME, variant=variant, of="output")
    epochs = sorted({row["epoch"] for row in rows})
    for at, epoch in enumerate(epochs):
        own = [row for row in rows if row["epoch"] == epoch]
        shade = at / max(1, len(epochs) - 1)
        style: dict[str, object] = {
            "color": _between(COLORS[1], COLORS[5], shade),
            "linestyle": "-",
            "marker": "",
        }
        _draw_line(axes, own, "start" if epoch == 0 else f"epoch {epoch:g}", style, band=False)
    _whole_places(axes)
    axes.set_yscale("log")
    axes.grid(color="#E4E4E4")


def _whole_places(axes: Axes) -> None:
    """Ticks at whole numbers: there is no half of a layer."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _between(first: str, second: str, share: float) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    pairs = zip(to_rgb(first), to_rgb(second), strict=True)
    return tuple((1 - share) * a + share * b for a, b in pairs)


def _draw_line(
    axes: Axes, rows: Sequence[Row], label: str, style: dict[str, object], band: bool = True
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
    """A row a measured variant: how the gradient changes from the last layers to the first."""
    rows = []
    for variant in study.variants:
        if not study.rows(NAME, variant=variant.name):
            continue
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


def section(panels: Panels) -> Section:
    """Both pictures and the table; `panels` as for `gradient_norms`."""
    return Section(
        title="The gradient by layer",
        text="The gradient of the loss of 128 training images, without distortions and dropout, "
        "batch normalization as in training: by the output of each block, which is what travels "
        "down, and by each kernel, which is that times the layer's input.",
        pictures=(
            Picture(
                "gradient_at_start",
                "Gradient by layer before training",
                "Gradient of the loss by the output of each block and by each kernel, before "
                "training, against the place of block and layer; a line for each variant, "
                "logarithmic.",
                partial(start_figure, panels=panels),
            ),
            Picture(
                "gradient_in_training",
                "Gradient by layer during training",
                "Gradient of the loss by the output of each block at several epochs, a panel for "
                "each variant, logarithmic.",
                training_figure,
            ),
        ),
        tables=(decades_table,),
    )
