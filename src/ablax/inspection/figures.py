"""Pictures of costs: published errors against costs, bars by layer, the roofline."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablax.analysis.cost import Convention, CostRow, fold
from ablax.errors import AblaxError
from ablax.inspection.timing import Machine, Point
from ablax.model import Model
from ablax.report import figures as kit
from ablax.zoo import CATALOG, Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@kit.settings()
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
    layers = fold(rows, 1)
    counts = {
        "activations (elements)": [math.prod(row.output_shape) for row in layers],
        "parameters": [row.parameters for row in layers],
        "multiply-accumulates": [row.macs for row in layers],
    }
    figure, drawn = kit.panels(3, 1, (kit.WIDTH, 2.6), above=0.6, grid="y", sharex=True)
    for axes, (name, heights), color in zip(drawn, counts.items(), kit.COLORS[1:], strict=False):
        axes.bar(range(len(layers)), heights, color=color, width=0.8)
        total = "" if name.startswith("activations") else f", {sum(heights):,} in all"
        axes.set_title(name + total)
        kit.count_axis(axes, "y", [])
    drawn[-1].set_xlim(-0.7, len(layers) - 0.3)
    left_out = kit.name_layers(drawn[-1], [row.path for row in layers])
    said = f"{model.what(batch)}. Convention {convention.name}: {convention.says}."
    kit.set_caption(figure, said + left_out)
    return figure


@kit.settings()
def errors_figure(size: str = "imagenet") -> Figure:
    """Published top-1 errors of the catalog's networks against what they cost.

    Args:
        size: "imagenet", or "cifar" for the networks of 32 pixels.

    Raises:
        AblaxError: Another size.
    """
    chosen = networks_with_errors(size)
    families: dict[str, list[Entry]] = {}
    for entry in chosen:
        families.setdefault(_family(entry.name), []).append(entry)
    height = 9.0 if size == "imagenet" else 5.9
    figure, drawn = kit.panels(2, 1, (kit.WIDTH, height), above=0.2)
    data = "ImageNet, top-1" if size == "imagenet" else "CIFAR-10"
    costs = {"macs": "multiply-accumulates", "parameters": "parameters"}
    marks = []
    for axes, (what, name) in zip(drawn, costs.items(), strict=True):
        marks.append(
            [
                mark
                for place, members in enumerate(families.values())
                for mark in _draw_members(axes, members, what, place)
            ]
        )
        axes.margins(0.12)
        kit.logarithmic(axes, "x")
        kit.logarithmic(axes, "y")
        axes.set_title(f"Error against {name}")
        axes.set_xlabel(f"{name} (logarithmic)")
        axes.set_ylabel(f"{data}, % (logarithmic)")
    kinds = dict.fromkeys(entry.source for entry in chosen)
    kit.set_caption(
        figure,
        "A line joins networks of one family. Costs: ours, of one image at the network's size, "
        "convention usual. Errors: as published, by different training and of different views "
        f"of an image, so compare with care: {'; '.join(kinds)}.",
    )
    figure.canvas.draw()  # the places of the names are found in pixels
    for axes, found in zip(drawn, marks, strict=True):
        kit.name_marks(axes, found)
    return figure


def _family(name: str) -> str:
    """The name without the numbers that tell the members of a family apart.

    `resnet34` and `resnet50_v1` are of the same table of the same paper.
    """
    kind = re.search(r"_(?:v[12](?=_)|preactivation)", name)
    return re.split(r"_?v?\d", name)[0] + (kind[0] if kind else "")


def _draw_members(axes: Axes, members: Sequence[Entry], what: str, place: int) -> list[kit.End]:
    """A line through the networks of a family, the cheapest first; their marks."""
    style = kit.look(place)
    marks = [
        kit.End(float(getattr(e, what)), e.errors[0], e.name, style["color"])
        for e in sorted(members, key=lambda entry: int(getattr(entry, what)))
    ]
    axes.plot([m.x for m in marks], [m.y for m in marks], lw=1.4, ms=9, mec="white", **style)
    return marks


def networks_with_errors(size: str) -> list[Entry]:
    """The networks of the catalog with a published error, cheapest first."""
    if size not in ("imagenet", "cifar"):
        raise AblaxError(f"there are no errors of {size!r}: choose from imagenet, cifar")
    large = size == "imagenet"
    found = [entry for entry in CATALOG if entry.errors and (entry.image_shape[0] > 64) == large]
    return sorted(found, key=lambda entry: entry.macs)


@kit.settings()
def roofline_figure(
    model: Model, points: Sequence[Point], machine: Machine, batch: int = 1
) -> Figure:
    """Each layer under the roof, and its time measured beside the least possible."""
    figure = kit.blank(kit.WIDTH, 9.0 + 0.12 * max(0, len(points) - 20))
    roof, times = figure.subplots(2, 1, height_ratios=[1.1, 1])
    _draw_roof(roof, [point for point in points if point.macs], machine)
    left_out = _draw_times(times, points)
    kit.set_caption(
        figure,
        f"{model.what(batch)}, float32, on {machine.device}. Roof: bandwidth of the main "
        "memory and rate of a large matrix product, both measured here. Bytes: input, "
        "parameters and output of a layer. Each layer was run alone and again and again, so "
        "one that fits into the cache may beat the roof. Layers without products are "
        f"in the lower picture only.{left_out}",
    )
    return figure


def _draw_roof(axes: Axes, points: Sequence[Point], machine: Machine) -> None:
    ridge = machine.rate / machine.bandwidth
    at = [ridge, *(point.intensity for point in points)]
    reach = [min(at) / 3, ridge, max(at) * 3]
    axes.plot(reach, [machine.limit(each) / 1e9 for each in reach], color="#000000")
    for place, point in enumerate(points):
        style = kit.look(place) | {"linestyle": "", "ms": 10, "mec": "white"}
        axes.plot([point.intensity], [point.rate / 1e9], label=point.layer, **style)
    kit.logarithmic(axes, "x")
    kit.logarithmic(axes, "y")
    axes.set_xlim(reach[0], reach[-1])
    axes.set_title(f"Roof: {machine.bandwidth / 1e9:.1f} GB/s and {machine.rate / 1e9:.1f} GMAC/s")
    axes.set_xlabel("arithmetic intensity, multiply-accumulates per byte")
    axes.set_ylabel("GMAC/s")
    axes.grid()
    columns = math.ceil(len(points) / 22)
    corner = (1.01, 1.02)
    axes.legend(
        loc="upper left", bbox_to_anchor=corner, fontsize=10, ncols=columns, labelspacing=0.3
    )


def _draw_times(axes: Axes, points: Sequence[Point]) -> str:
    """Measured beside predicted; a sentence where not all names fit."""
    places = range(len(points))
    measured = [1e3 * point.measured for point in points]
    predicted = [1e3 * point.predicted for point in points]
    axes.vlines(places, predicted, measured, color="#AAAAAA", lw=2)
    for values, marker, color, label in (
        (measured, "o", kit.COLORS[2], "measured"),
        (predicted, "s", kit.COLORS[1], "predicted"),
    ):
        axes.plot(places, values, marker, color=color, label=label, ms=9, mec="white")
    kit.logarithmic(axes, "y")
    axes.set_ylabel("milliseconds (logarithmic)")
    axes.set_title("Time of each layer")
    axes.grid(axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return kit.name_layers(axes, [point.layer for point in points])
