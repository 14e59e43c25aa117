"""Pictures of the effective receptive field: heat map, Gaussian and theory, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ablax.analysis.effective_receptive_field import EffectiveReceptiveField, Measure
from ablax.analysis.receptive_field import ReceptiveField, Span
from ablax.costs.tables import Cell, Table
from ablax.errors import AblaxError
from ablax.report.drawing import COLORS, blank, settings, write_caption
from ablax.report.picture_file import FORMS, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

THEORY, GAUSSIAN = COLORS[1], COLORS[2]


@dataclass(frozen=True)
class Sighted:
    """One layer: what its middle unit may see, and what moves it.

    Attributes:
        layer: Its path.
        theory: Its theoretical receptive field.
        effective: The heat map of the unit in the middle.
    """

    layer: str
    theory: ReceptiveField
    effective: EffectiveReceptiveField

    @property
    def square(self) -> tuple[Span, ...]:
        """Rows and columns that the unit may see in an image without end."""
        return self.theory.theoretical(0, *self.effective.unit, 0)

    @property
    def side(self) -> float:
        """The side of the square of as many pixels as the theoretical receptive field."""
        return float(np.sqrt(np.prod([last - first + 1 for first, last in self.square])))

    @property
    def inside(self) -> float:
        """The same of the part of it that lies in the image."""
        spans = self.theory.of(0, *self.effective.unit, 0)
        return float(np.sqrt(np.prod([last - first + 1 for first, last in spans])))


def effective_table(sighted: Sequence[Sighted], title: str) -> Table:
    """Theory and measurement of each layer, and their ratio."""
    columns = (
        *("layer", "theoretical", "in the image", "effective", "ratio", "sigma down"),
        *("sigma right", "4 sigma / theoretical", "explained"),
    )
    rows: list[tuple[Cell, ...]] = []
    for each in sighted:
        size, fit = each.effective.size, each.effective.fit
        width = float(np.mean(fit.width))
        cells = (
            *(each.side, each.inside, size, size / each.side, *fit.sigma),
            *(width / each.side, fit.explained),
        )
        rows.append((each.layer, *(round(float(cell), 2) for cell in cells)))
    foot = (
        "Sides of squares, in pixels, for the unit in the middle of the map. In the image: the "
        "part of the theoretical field that lies in it; where the image is smaller, the ratio says "
        "more of the image than of the network. Effective: of as many pixels as move the unit by "
        "more than 4.55 % of the pixel that moves it most (Luo, Li, Urtasun, Zemel 2016).",
        "Ratio: effective to theoretical. Sigma: of the Gaussian nearest by least squares, which "
        "explains that part of the heat map's variance.",
    )
    return Table(f"Effective receptive fields: {title}", columns, tuple(rows), foot)


def effective_figure(sighted: Sequence[Sighted], title: str, measure: Measure) -> Figure:
    """A column a layer: the heat map, and below it its sum along the rows beside the Gaussian."""
    with settings():
        figure = blank(max(3.6 * len(sighted), 7.2), 8.4)
        panels = figure.subplots(2, len(sighted), squeeze=False, height_ratios=(1.25, 1))
        for column, each in enumerate(sighted):
            _draw_heat(panels[0][column], each)
            _draw_profile(panels[1][column], each)
        panels[1][0].set_ylabel("influence, of the largest")
        handles, labels = panels[1][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False)
        write_caption(
            figure,
            f"{title}. Above: mean {measure} gradient of the unit in the middle by each pixel, "
            "drawn as its square root; square: theoretical receptive field; ellipse: two sigma of "
            "the Gaussian. Below: the same along the columns, the rows added up.",
        )
        return figure


def check_picture(path: Path) -> None:
    """Refuse, before anything is computed, a file that is no picture.

    Raises:
        AblaxError: Its suffix is none of `.png`, `.svg`, `.pdf`.
    """
    if path.suffix not in FORMS:
        raise AblaxError(f"the picture {path}: expected a name that ends in .png, .svg or .pdf")


def save_effective(sighted: Sequence[Sighted], title: str, measure: Measure, path: Path) -> None:
    """Write the picture; the format is the file's suffix."""
    with settings():
        figure = effective_figure(sighted, title, measure)
    save(figure, path, dpi=110)


def _draw_heat(axes: Axes, each: Sighted) -> None:
    from matplotlib.patches import Ellipse, Rectangle

    heat = each.effective.heat
    axes.imshow(np.sqrt(heat / heat.max()), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    (top, bottom), (left, right) = each.square
    axes.add_patch(
        Rectangle(
            (left - 0.5, top - 0.5),
            right - left + 1,
            bottom - top + 1,
            fill=False,
            edgecolor=THEORY,
            lw=2.5,
        )
    )
    fit = each.effective.fit
    middle = (fit.center[1], fit.center[0])
    size = (fit.width[1], fit.width[0])
    axes.add_patch(Ellipse(middle, *size, fill=False, edgecolor=GAUSSIAN, lw=2.5, ls="--"))
    axes.set(xlim=(-0.5, heat.shape[1] - 0.5), ylim=(heat.shape[0] - 0.5, -0.5))
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(visible=True, color="#999999")
    cut = "" if each.inside == each.side else f" ({each.inside:.0f} in the image)"
    effective = each.effective.size
    axes.set_title(
        f"{each.layer}\ntheory {each.side:.0f}{cut}\n"
        f"effective {effective:.0f}, ratio {effective / each.side:.2f}",
        fontsize=13,
    )


def _draw_profile(axes: Axes, each: Sighted) -> None:
    heat, fit = each.effective.heat, each.effective.fit
    sums = heat.sum(axis=0)
    largest = sums.max()
    fine = np.linspace(-0.5, len(sums) - 0.5, 400)
    rows = np.exp(-(((np.arange(heat.shape[0]) - fit.center[0]) / fit.sigma[0]) ** 2) / 2)
    gaussian = fit.height * rows.sum() * np.exp(-(((fine - fit.center[1]) / fit.sigma[1]) ** 2) / 2)
    left, right = each.square[1]
    axes.axvspan(left - 0.5, right + 0.5, color=THEORY, alpha=0.12, lw=0, label="theory")
    # a step a pixel: a field of three pixels is no triangle
    edges = np.arange(len(sums) + 1) - 0.5
    axes.stairs(sums / largest, edges, color="#444444", lw=1.2, label="gradients")
    axes.plot(fine, gaussian / largest, color=GAUSSIAN, lw=2.2, ls="--", label="Gaussian")
    axes.set(xlim=(-0.5, len(sums) - 0.5), ylim=(0, 1.3), xlabel="column, pixels")
    axes.set_yticks([0, 0.5, 1])
    axes.grid(color="#E4E4E4")
