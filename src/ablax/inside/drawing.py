"""Panels that the pictures share: an image, a map over an image, a mosaic, a figure of panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ablax.report.drawing import COLORS, blank, wrapped, write_caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[["Axes"], None]

HEAT = "viridis"
"""Even in lightness, for any color vision."""
SIGNED = "PuOr"
"""Purple above 0, orange below, white at 0."""


def panels(
    rows: Sequence[Sequence[Draw | None]],
    caption: str,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    size: float = 1.9,
) -> Figure:
    """A grid of panels, each drawn by its function, with names beside the rows and columns.

    Args:
        rows: What to draw; None leaves a panel empty.
        caption: Small text below.
        row_labels: Left of each row.
        column_labels: Above each column.
        size: Of a panel, in inches.
    """
    columns = max(map(len, rows))
    figure = blank(max(5.5, columns * size + 1.0), len(rows) * size + 1.2)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for r, row in enumerate(rows):
        for c in range(columns):
            axes = grid[r, c]
            bare(axes)
            draw = row[c] if c < len(row) else None
            if draw is None:
                axes.axis("off")
            else:
                draw(axes)
            if c == 0 and row_labels:
                label = _lines(row_labels[r], 16)
                axes.annotate(
                    *(label, (-0.06, 0.5)),
                    xycoords="axes fraction",
                    ha="right",
                    va="center",
                    fontsize=11,
                )
            if r == 0 and column_labels and c < len(column_labels):
                axes.set_title(_lines(column_labels[c], int(9 * size)), fontsize=11, loc="center")
    write_caption(figure, caption)
    return figure


def _lines(label: str, width: int) -> str:
    """Wrapped line by line."""
    return "\n".join(wrapped(line, width) for line in label.split("\n"))


def bare(axes: Axes) -> None:
    """No ticks and a thin frame."""
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(visible=True, color="#999999", lw=0.6)


Box = tuple[int, int, int, int]
"""First row, last row + 1, first column, last column + 1."""


def image(picture: Float[np.ndarray, "H W C"], title: str = "", box: Box | None = None) -> Draw:
    """Levels in [0, 1] of one or three channels; NaN is white; with a part of it framed."""

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        show(axes, picture)
        if box is not None:
            top, bottom, left, right = box
            corner, size = (left - 0.5, top - 0.5), (right - left, bottom - top)
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=COLORS[2], lw=2))
        if title:
            axes.set_title(wrapped(title, 20), fontsize=10, loc="center")

    return draw


def show(axes: Axes, picture: Float[np.ndarray, "H W C"]) -> None:
    """One or three channels, NaN white."""
    levels = np.where(np.isfinite(picture), picture, 1.0)
    colors = np.repeat(levels, 3, axis=2) if levels.shape[2] == 1 else levels
    # pixels stay squares when enlarged; a picture larger than its panel is averaged
    axes.imshow(np.clip(colors, 0, 1), interpolation="antialiased")


def heat(
    values: Float[np.ndarray, "H W"], picture: Float[np.ndarray, "H W C"] | None = None
) -> Draw:
    """From 0, dark, to the largest; over a gray picture where one is given."""

    def draw(axes: Axes) -> None:
        # one pixel far above all others would leave the rest black
        top = float(np.quantile(values, 0.995)) or float(values.max()) or 1.0
        _under(axes, picture)
        alpha = 1.0 if picture is None else 0.65
        axes.imshow(values, cmap=HEAT, vmin=0, vmax=top, alpha=alpha, interpolation="nearest")

    return draw


def signed(
    values: Float[np.ndarray, "H W"],
    picture: Float[np.ndarray, "H W C"] | None = None,
    note: str = "",
) -> Draw:
    """Purple above 0, orange below; over a gray picture where one is given; a note below."""

    def draw(axes: Axes) -> None:
        largest = float(np.nanmax(np.abs(values))) or 1.0
        _under(axes, picture)
        alpha = 1.0 if picture is None else 0.7
        axes.imshow(
            values,
            cmap=SIGNED,
            vmin=-largest,
            vmax=largest,
            alpha=alpha,
            interpolation="nearest",
        )
        if note:
            axes.set_xlabel(note, fontsize=9, labelpad=2)

    return draw


def _under(axes: Axes, picture: Float[np.ndarray, "H W C"] | None) -> None:
    if picture is not None:
        gray = picture.mean(2)
        axes.imshow(gray, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
