"""Pictures of costs: by depth, against published errors, under the roofline."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablax.analysis.cost import Convention, CostRow, fold
from ablax.costs.labels import write_labels
from ablax.costs.machine import Machine
from ablax.costs.network import Case
from ablax.costs.roofline import Point
from ablax.errors import AblaxError
from ablax.report.drawing import (
    COLORS,
    WIDTH,
    blank,
    logarithmic,
    look,
    scaled_tick,
    settings,
    write_caption,
)
from ablax.zoo import CATALOG, PUBLISHED, Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMED = 34
"""So many names of layers fit below the axis; of more, some are left out."""


def depth_figure(case: Case, rows: Sequence[CostRow], convention: Convention) -> Figure:
    """Data volume, parameters and multiply-accumulates of the layers, one behind the other.

    Args:
        case: Network and images.
        rows: What `network_cost` gives.
        convention: By which they were counted.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    layers = fold(rows, 1)
    volumes = [math.prod(row.output_shape) for row in layers]
    counts = (
        ("data volume: numbers out", volumes, COLORS[1]),
        ("parameters", [row.parameters for row in layers], COLORS[2]),
        ("multiply-accumulates", [row.macs for row in layers], COLORS[3]),
    )
    with settings():
        figure = blank(WIDTH, 9.0)
        panels = figure.subplots(3, 1, sharex=True)
        for axes, (name, heights, color) in zip(panels, counts, strict=True):
            axes.bar(range(len(layers)), heights, color=color, width=0.8)
            total = "" if name.startswith("data") else f", {sum(heights):,} in all"
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
            figure, f"{case.what}. Convention {convention.name}: {convention.says}.{left}"
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
        figure = blank(WIDTH, 12.5)
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
        kinds = dict.fromkeys(PUBLISHED[entry.name].error_source for entry in chosen)
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
            marks = [(float(getattr(e, what)), PUBLISHED[e.name].top1 or 0.0) for e in members]
            write_labels(axes, marks, [entry.name for entry in members], colors)
        return figure


def _family(name: str) -> str:
    """The name without the number that tells the members of a family apart."""
    return re.split(r"_?v?\d", name)[0]


def _draw_family(axes: Axes, members: Sequence[tuple[Entry, int]], place: int) -> None:
    """A line through the networks of a family, the cheapest first."""
    ordered = sorted(members, key=lambda pair: pair[1])
    errors = [PUBLISHED[entry.name].top1 or 0.0 for entry, _ in ordered]
    costs = [cost for _, cost in ordered]
    axes.plot(costs, errors, lw=1.4, ms=9, mec="white", **look(place))  # type: ignore[arg-type]


def networks_with_errors(size: str) -> list[Entry]:
    """The networks of the catalog with a published error, cheapest first."""
    if size not in ("imagenet", "cifar"):
        raise AblaxError(f"there are no errors of {size!r}: choose from imagenet, cifar")
    large = size == "imagenet"
    found = [
        entry
        for entry in CATALOG
        if entry.name in PUBLISHED
        and PUBLISHED[entry.name].top1 is not None
        and (entry.image_size > 64) == large
    ]
    return sorted(found, key=lambda entry: entry.macs)


def roofline_figure(case: Case, points: Sequence[Point], machine: Machine) -> Figure:
    """Each layer under the roof, and its time measured beside the least possible."""
    with settings():
        figure = blank(WIDTH, 9.5 + 0.12 * max(0, len(points) - 20))
        roof, times = figure.subplots(2, 1, height_ratios=[1.1, 1])
        _draw_roof(roof, [point for point in points if point.macs], machine)
        _draw_times(times, points)
        write_caption(
            figure,
            f"{case.what}, float32, on {machine.device}. Roof: bandwidth of the main memory and "
            "rate of a large matrix product, both measured here. Bytes: input, parameters and "
            "output of a layer. Each layer was run alone and again and again, so one that fits "
            "into the cache may beat the roof. Layers without products are in the lower picture "
            "only.",
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
