"""What the pictures share: grids of numbers, maps of pixels, and a small file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from ablax.report.figures import COLORS

BLUE, ORANGE, GREEN = COLORS[1], COLORS[2], COLORS[3]
SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "white", ORANGE])
"""Blue below 0, white at 0, vermilion above: colors that any common color vision tells apart."""

Box = tuple[int, int, int, int]
"""Row, column, height and width in cells."""


def numbers(
    axes: Axes,
    matrix: Float[np.ndarray, "rows columns"],
    title: str,
    boxes: Iterable[tuple[Box, str]] = (),
    span: int = 0,
) -> None:
    """A matrix as a table, with cells boxed in colors; with the room of `span` cells each way."""
    rows, columns = matrix.shape
    for row, column in np.ndindex(rows, columns):
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor="white", edgecolor="#999999"))
        text = f"{matrix[row, column]:g}"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=12)
    for (row, column, height, width), color in boxes:
        axes.add_patch(
            Rectangle((column, row), width, height, fill=False, edgecolor=color, lw=3, zorder=3)
        )
    right, below = (max(0, span - length) / 2 + 0.06 for length in (columns, rows))
    axes.set(xlim=(-right, columns + right), ylim=(rows + 2 * below, -0.06), aspect="equal")
    axes.set_title(title, fontsize=13, loc="center")
    axes.axis("off")


def pixels(
    axes: Axes, picture: Float[np.ndarray, "rows columns"], title: str = "", signed: bool = False
) -> None:
    """A map: gray from 0 to its largest, or blue, white and vermilion about 0."""
    largest = float(np.max(np.abs(picture))) or 1.0
    low, colors = (-largest, SIGNED) if signed else (min(0.0, float(picture.min())), "gray")
    axes.imshow(picture, cmap=colors, vmin=low, vmax=largest, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(visible=True, color="#999999")
    if title:
        axes.set_title(title, fontsize=13, loc="center")


def save(figure: Figure, path: Path, colors: int = 96) -> None:
    """A PNG of few colors, of the picture's own choice: a third of the size."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.quantize(colors, dither=Image.Dither.NONE).save(path, optimize=True)
