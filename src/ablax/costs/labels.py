"""Names beside the marks of a picture, put where they cover neither marks nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = 10.0  # points
_LETTER = 0.62  # width of a letter, in sizes


def write_labels(
    axes: Axes, marks: Sequence[tuple[float, float]], names: Sequence[str], colors: Sequence[str]
) -> None:
    """Write each name near its mark; the nearest free place is taken, farther ones get a line.

    The axes must have their final limits and size, for places are found in pixels.

    Args:
        axes: Where the marks are.
        marks: Their coordinates.
        names: A name for each.
        colors: A color for each.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.patheffects import withStroke

    scale = axes.figure.dpi / 72.0  # type: ignore[union-attr]
    pixels = [tuple(axes.transData.transform(mark)) for mark in marks]
    taken = [(x - 6 * scale, y - 6 * scale, x + 6 * scale, y + 6 * scale) for x, y in pixels]
    frame = axes.get_window_extent()
    for (x, y), mark, name, color in zip(pixels, marks, names, colors, strict=True):
        width, height = _SIZE * _LETTER * len(name) * scale, 1.1 * _SIZE * scale
        best: tuple[float, float, float, tuple[float, float, float, float]] | None = None
        for place, (right, up) in enumerate(_places(width, height, scale)):
            box = (x + right, y + up, x + right + width, y + up + height)
            inside = frame.x0 <= box[0] and box[2] <= frame.x1 and frame.y0 <= box[1]
            cost = 1e3 * sum(_overlap(box, other) for other in taken) + place
            cost += 0 if inside and box[3] <= frame.y1 else 1e9
            if best is None or cost < best[0]:
                best = (cost, right, up, box)
        assert best is not None, "there are places to choose from"
        _, right, up, box = best
        taken.append(box)
        far = max(abs(right + width / 2) - width / 2, abs(up + height / 2)) > 16 * scale
        axes.annotate(
            *(name, mark, (right / scale, up / scale)),
            textcoords="offset points",
            fontsize=_SIZE,
            color=[0.7 * part for part in to_rgb(color)],  # pale ones are hard to read
            path_effects=[withStroke(linewidth=3, foreground="white")],
            arrowprops={"arrowstyle": "-", "color": "#999999", "lw": 0.7} if far else None,
        )


def _places(width: float, height: float, scale: float) -> list[tuple[float, float]]:
    """Lower left corners around a mark, the nearest first."""
    gap = 7 * scale
    around = []
    for ring in range(7):
        out = gap + ring * 1.2 * height
        middle = (-width / 2, -height / 2)
        around += [(middle[0], out), (middle[0], -out - height), (out, middle[1])]
        around += [(-out - width, middle[1]), (out, out), (-out - width, out)]
        around += [(out, -out - height), (-out - width, -out - height)]
    return around


def _overlap(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The area that two boxes share."""
    across = min(box[2], other[2]) - max(box[0], other[0])
    upward = min(box[3], other[3]) - max(box[1], other[1])
    return max(0.0, across) * max(0.0, upward)
