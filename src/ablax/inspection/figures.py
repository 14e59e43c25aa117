"""Pictures of costs: published errors against costs, bars by layer, the roofline."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablax.analysis.cost import Convention, CostRow, fold
from ablax.errors import AblaxError
from ablax.inspection.machine import Machine, Point
from ablax.model import Model
from ablax.report.figures import (
    COLORS,
    WIDTH,
    blank,
    logarithmic,
    look,
    scaled_tick,
    settings,
    write_caption,
)
from ablax.zoo import CATALOG, Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# ------------------------------------------------------------------------------------------
# Names beside the marks of a picture, put where they cover neither marks nor each other.

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


# ------------------------------------------------------------------------------------------
# Pictures of costs: by depth, against published errors, under the roofline.

_NAMED = 34
"""So many names of layers fit below the axis; of more, some are left out."""


def depth_figure(
    model: Model, rows: Sequence[CostRow], convention: Convention, batch: int = 1
) -> Figure:
    """Data volume, parameters and multiply-accumulates of the layers, one behind the other.

    Args:
        model: Network and images.
        rows: What `network_cost` gives.
        convention: By which they were counted.
        batch: Of how many images.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    layers = fold(rows, 1)
    volumes = [math.prod(row.output_shape) for row in layers]
    counts = (
        ("activations (elements)", volumes, COLORS[1]),
        ("parameters", [row.parameters for row in layers], COLORS[2]),
        ("multiply-accumulates", [row.macs for row in layers], COLORS[3]),
    )
    with settings():
        figure = blank(WIDTH, 9.0)
        panels = figure.subplots(3, 1, sharex=True)
        for axes, (name, heights, color) in zip(panels, counts, strict=True):
            axes.bar(range(len(layers)), heights, color=color, width=0.8)
            total = "" if name.startswith("activations") else f", {sum(heights):,} in all"
            axes.set_title(name + total)
            axes.grid(axis="y", color="#E4E4E4")
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: scaled_tick(value)))
        step = math.ceil(len(layers) / _NAMED)
        places = range(0, len(layers), step)
        names = [layers[place].path for place in places]
        panels[-1].set_xticks(places, names, rotation=90, fontsize=11 if step == 1 else 9)
        panels[-1].set_xlim(-0.7, len(layers) - 0.3)
        panels[-1].set_xlabel("layers, from the images to the scores")
        left = f" One name in {step} is written." if step > 1 else ""
        write_caption(
            figure,
            f"{model.what(batch)}. Convention {convention.name}: {convention.says}.{left}",
        )
        return figure


def errors_figure(size: str = "imagenet") -> Figure:
    """Published top-1 errors of the catalog's networks against what they cost.

    Args:
        size: "imagenet", or "cifar" for the networks of 32 pixels.

    Raises:
        AblaxError: Another size.
    """
    chosen = networks_with_errors(size)
    with settings():
        figure = blank(WIDTH, 18.0 if size == "imagenet" else 12.5)
        panels = figure.subplots(2, 1)
        families: dict[str, list[Entry]] = {}
        for entry in chosen:
            families.setdefault(_family(entry.name), []).append(entry)
        for place, members in enumerate(families.values()):
            _draw_family(panels[0], [(entry, entry.macs) for entry in members], place)
            _draw_family(panels[1], [(entry, entry.parameters) for entry in members], place)
        data = "ImageNet, top-1" if size == "imagenet" else "CIFAR-10"
        for axes, name in zip(panels, ("multiply-accumulates", "parameters"), strict=True):
            axes.margins(0.12)
            logarithmic(axes, "x")
            logarithmic(axes, "y")
            axes.set_title(f"Error against {name}")
            axes.set_xlabel(f"{name} (logarithmic)")
            axes.set_ylabel(f"{data}, % (logarithmic)")
            axes.grid(color="#E4E4E4")
        kinds = dict.fromkeys(entry.source for entry in chosen)
        write_caption(
            figure,
            "A line joins networks of one family. Costs: ours, of one image at the network's size, "
            "convention usual. Errors: as published, by different training and of different views "
            f"of an image, so compare with care: {'; '.join(kinds)}.",
        )
        figure.canvas.draw()  # the places of the names are found in pixels
        colors = [
            str(look(place)["color"])
            for place, found in enumerate(families.values())
            for _ in found
        ]
        members = [entry for found in families.values() for entry in found]
        for axes, what in zip(panels, ("macs", "parameters"), strict=True):
            marks = [(float(getattr(e, what)), e.errors[0]) for e in members]
            write_labels(axes, marks, [entry.name for entry in members], colors)
        return figure


def _family(name: str) -> str:
    """The name without the numbers that tell the members of a family apart.

    `resnet34` and `resnet50_v1` are of the same table of the same paper.
    """
    kind = re.search(r"_(?:v[12](?=_)|preactivation)", name)
    return re.split(r"_?v?\d", name)[0] + (kind[0] if kind else "")


def _draw_family(axes: Axes, members: Sequence[tuple[Entry, int]], place: int) -> None:
    """A line through the networks of a family, the cheapest first."""
    ordered = sorted(members, key=lambda pair: pair[1])
    errors = [entry.errors[0] for entry, _ in ordered]
    costs = [cost for _, cost in ordered]
    axes.plot(costs, errors, lw=1.4, ms=9, mec="white", **look(place))  # type: ignore[arg-type]


def networks_with_errors(size: str) -> list[Entry]:
    """The networks of the catalog with a published error, cheapest first."""
    if size not in ("imagenet", "cifar"):
        raise AblaxError(f"there are no errors of {size!r}: choose from imagenet, cifar")
    large = size == "imagenet"
    found = [entry for entry in CATALOG if entry.errors and (entry.image_shape[0] > 64) == large]
    return sorted(found, key=lambda entry: entry.macs)


def roofline_figure(
    model: Model, points: Sequence[Point], machine: Machine, batch: int = 1
) -> Figure:
    """Each layer under the roof, and its time measured beside the least possible."""
    with settings():
        figure = blank(WIDTH, 9.5 + 0.12 * max(0, len(points) - 20))
        roof, times = figure.subplots(2, 1, height_ratios=[1.1, 1])
        _draw_roof(roof, [point for point in points if point.macs], machine)
        _draw_times(times, points)
        write_caption(
            figure,
            f"{model.what(batch)}, float32, on {machine.device}. Roof: bandwidth of the main "
            "memory and rate of a large matrix product, both measured here. Bytes: input, "
            "parameters and output of a layer. Each layer was run alone and again and again, so "
            "one that fits into the cache may beat the roof. Layers without products are "
            "in the lower picture only.",
        )
        return figure


def _draw_roof(axes: Axes, points: Sequence[Point], machine: Machine) -> None:
    ridge = machine.rate / machine.bandwidth
    least = min([ridge, *(point.intensity for point in points)]) / 3
    most = max([ridge, *(point.intensity for point in points)]) * 3
    reach = [least, ridge, most]
    axes.plot(reach, [machine.limit(at) / 1e9 for at in reach], color="#000000", lw=2.2)
    for place, point in enumerate(points):
        style = look(place)
        axes.plot(
            [point.intensity],
            [point.rate / 1e9],
            linestyle="",
            marker=str(style["marker"]),
            color=str(style["color"]),
            ms=10,
            mec="white",
            label=point.layer,
        )
    logarithmic(axes, "x")
    logarithmic(axes, "y")
    axes.set_xlim(least, most)
    axes.set_title(f"Roof: {machine.bandwidth / 1e9:.1f} GB/s and {machine.rate / 1e9:.1f} GMAC/s")
    axes.set_xlabel("arithmetic intensity, multiply-accumulates per byte")
    axes.set_ylabel("GMAC/s")
    axes.grid(color="#E4E4E4")
    columns = math.ceil(len(points) / 22)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        fontsize=10,
        frameon=False,
        ncols=columns,
        labelspacing=0.3,
    )


def _draw_times(axes: Axes, points: Sequence[Point]) -> None:
    places = range(len(points))
    measured = [1e3 * point.measured for point in points]
    predicted = [1e3 * point.predicted for point in points]
    axes.vlines(places, predicted, measured, color="#AAAAAA", lw=2)
    marks = {"linestyle": "", "ms": 9, "mec": "white"}
    axes.plot(places, measured, marker="o", color=COLORS[2], label="measured", **marks)  # type: ignore[arg-type]
    axes.plot(places, predicted, marker="s", color=COLORS[1], label="predicted", **marks)  # type: ignore[arg-type]
    step = math.ceil(len(points) / _NAMED)
    shown = places[::step]
    names = [points[place].layer for place in shown]
    axes.set_xticks(shown, names, rotation=90, fontsize=11 if step == 1 else 9)
    logarithmic(axes, "y")
    axes.set_ylabel("milliseconds (logarithmic)")
    axes.set_title("Time of each layer")
    axes.grid(axis="y", color="#E4E4E4")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=12, frameon=False)
