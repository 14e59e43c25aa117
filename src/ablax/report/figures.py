"""The figure kit: look, panels, lines over seeds, names kept apart, captions, files."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ablax.errors import AblaxError
from ablax.report.statistics import mean, mean_interval
from ablax.report.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
"""Okabe and Ito 2008, "Color universal design": people with any common color vision tell them
apart, and marker and line style say the same once more. Their yellow, too pale on white, is grey.
"""

MARKERS = "osD^v>ph*"
"""Nine to eight colors, so that the first 72 variants all look different."""

LINES: tuple[str | tuple[int, tuple[int, ...]], ...]
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
WIDTH = 11.0
SHADE = "#EEEEEE"
"""Of a stretch of an axis that is singled out."""
HEAT, SIGNED = "viridis", "PuOr"
"""Color maps: even in lightness, for any color vision; purple above, orange below."""

Look = Mapping[str, Any]
"""Color, marker and line style, as `Axes.plot` takes them."""

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 14.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 15.0,
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
    "legend.fontsize": 12.0,
    "lines.linewidth": 2.2,
    "lines.markersize": 7.0,
    "svg.hashsalt": "ablax",
    "svg.fonttype": "path",
    # a dollar sign in a label is a dollar sign
    "text.parse_math": False,
}


@contextmanager
def settings() -> Iterator[None]:
    """The settings of matplotlib under which pictures are drawn and saved; a decorator too."""
    import matplotlib as mpl

    with mpl.rc_context():
        # the person's own settings would make the picture depend on the machine
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def look(place: int) -> dict[str, Any]:
    """Color, mark and line of the variant at that place."""
    # the eight colors come round with another line style
    line = LINES[(place + place // len(COLORS)) % len(LINES)]
    color, marker = COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)]
    return {"color": color, "marker": marker, "linestyle": line}


def between(share: float) -> tuple[float, ...]:
    """A color from blue, at 0, to orange, at 1: of moments or layers in their order."""
    from matplotlib.colors import to_rgb

    pairs = zip(to_rgb(COLORS[1]), to_rgb(COLORS[5]), strict=True)
    return tuple((1 - share) * blue + share * orange for blue, orange in pairs)


def wrapped(label: str, width: int = 26) -> str:
    """At most three lines; of more, the middle is left out, because names differ at their ends."""
    lines = textwrap.wrap(label, width)
    half = 3 * width // 2
    while len(lines) > 3:
        half -= 1
        lines = textwrap.wrap(f"{label[:half].rstrip()} … {label[-half:].lstrip()}", width)
    return "\n".join(lines) or " "


# Figures, and panels of one kind in rows.


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches, which lays itself out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


Grid = Literal["both", "x", "y"]


def panels(
    count: int,
    columns: int,
    size: tuple[float, float],
    *,
    above: float = 1.3,
    grid: Grid | None = "both",
    x: str = "",
    y: str = "",
    **shared: Any,
) -> tuple[Figure, list[Axes]]:
    """So many panels, row by row; where there is nothing to show, one empty panel says so.

    The size is the width of the figure and the height of a panel, in inches; so much of the figure
    stands above the panels. The names `x` and `y` are written at the outer panels. What is `shared`
    is for `Figure.subplots`: `sharex`, `sharey`.
    """
    columns = max(1, min(columns, count))
    rows = max(1, math.ceil(count / columns))
    figure = blank(size[0], above + size[1] * rows)
    cells = list(figure.subplots(rows, columns, squeeze=False, **shared).flat)
    for place, axes in enumerate(cells[:count]):
        if grid:
            axes.grid(axis=grid)
        if place + columns >= count:
            axes.set_xlabel(x)
            axes.tick_params(labelbottom=True)
        if place % columns == 0:
            axes.set_ylabel(y)
    for axes in cells[count:]:
        axes.remove()
    if not count:
        cells = [figure.subplots()]
        say_nothing(cells[0])
    return figure, cells[: max(1, count)]


def say_nothing(axes: Axes, words: str = "nothing was measured") -> None:
    """An empty panel, and why it is."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center")


def legend(
    figure: Figure, axes: Axes, columns: int = 3, place: Any = "outside upper center", **more: Any
) -> None:
    """The names of what is drawn in one of the panels, for all of them."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc=place, ncols=columns, **more)


def bare(axes: Axes) -> None:
    """No ticks and a thin frame, for pictures."""
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(visible=True, color="#999999", lw=0.6)


def draw_map(
    axes: Axes,
    values: Any,
    ends: tuple[float, float],
    colors: str = SIGNED,
    *,
    numbered: bool = False,
) -> Any:
    """Rows of numbers as squares of color, nan as white; gives what a color bar is made of.

    `ends` are the numbers at the two ends of the color map; `numbered` writes each on its square.
    """
    bare(axes)
    low, high = ends
    image = axes.imshow(values, cmap=colors, vmin=low, vmax=high, interpolation="nearest")
    for row, line in enumerate(values if numbered else ()):
        for column, value in enumerate(line):
            color = "white" if abs(2 * value - low - high) > 0.6 * (high - low) else "black"
            place = (column, row, f"{value:.2f}")
            axes.text(*place, ha="center", va="center", color=color, fontsize=9)
    return image


def name_rows(axes: Axes, labels: Sequence[str]) -> None:
    """One row per variant, the first at the top, with a grid for reading values."""
    axes.set_yticks(range(len(labels)), [wrapped(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def height(rows: int) -> float:
    """Inches for that many rows."""
    return 2.0 + 0.72 * max(rows, 2)


_NAMED = 34
"""So many names of layers fit below an axis; of more, some are left out."""


def name_layers(axes: Axes, names: Sequence[str]) -> str:
    """Names of layers below an axis, upright; gives a sentence where not all of them fit."""
    step = math.ceil(len(names) / _NAMED) or 1
    places = range(0, len(names), step)
    shown = [names[place] for place in places]
    axes.set_xticks(places, shown, rotation=90, fontsize=11 if step == 1 else 9)
    axes.set_xlabel("layers, from the images to the scores")
    return f" One name in {step} is written." if step > 1 else ""


# Axes: limits, and numbers that a reader takes in.


def give_room(axes: Axes, which: Literal["x", "y"], least: float = 0.5) -> None:
    """At least so much on the axis, so that noise does not look large."""
    low, high = getattr(axes, f"get_{which}lim")()
    short = max(0.0, least - (high - low)) / 2
    getattr(axes, f"set_{which}lim")(low - short, high + short)


def within_percent(axes: Axes, which: Literal["x", "y"]) -> None:
    """An axis of percentages ends where they do, with room for half a mark."""
    low, high = getattr(axes, f"get_{which}lim")()
    room = 0.02 * min(high - low, 100)
    getattr(axes, f"set_{which}lim")(max(low, -room), min(high, 100 + room))


def logarithmic(axes: Axes, which: Literal["x", "y"], crowding: float = 1.0) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5; linear when it has nothing positive.

    `crowding` is by how much wider than usual the numbers are, so that fewer of them fit.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    if not math.isfinite(axis.get_minpos()):
        return
    getattr(axes, f"set_{which}scale")("log", nonpositive="mask")
    low, high = sorted(getattr(axes, f"get_{which}lim")())
    # where a decade does not fit, its multiples are wanted; over many, powers are enough
    decades = math.log10(high / low) * crowding if low > 0 else 1.0
    subs = range(1, 10) if decades < 0.7 else (1, 2, 5) if decades < 3.5 else (1,)
    most = 20 if decades < 8 else 8
    axis.set_major_locator(LogLocator(subs=[float(sub) for sub in subs], numticks=most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: scaled_tick(float(value))))
    axis.set_minor_formatter(NullFormatter())


def scaled_tick(value: float) -> str:
    """A number on an axis, such as `"0.02"` or `"5 M"`."""
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{unit}"
    return f"{value:g}"


def whole_epochs(axes: Axes, study: Study) -> None:
    """An axis of epochs, from 0, with ticks at whole numbers."""
    last = max((run.curve.epochs[-1] for run in study.runs if run.curve.epochs), default=1.0)
    axes.set_xlim(0, last * 1.04 if last > 2 else last + 1)
    whole_numbers(axes, 8)


def whole_numbers(axes: Axes, most: int = 5) -> None:
    """Ticks below at whole numbers: there is no half of a layer."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]))


def count_axis(axes: Axes, which: Literal["x", "y"], counts: Sequence[int]) -> None:
    """Numbers with units; logarithmic when the counts differ by more than a factor of ten."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if counts and max(counts) > 10 * min(counts) > 0:
        logarithmic(axes, which, crowding=1.8)
        return
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: scaled_tick(float(value))))
    axis.set_major_locator(MaxNLocator(4))


# Lines over seeds: the mean, and around it the range or the mean's interval.


class End(NamedTuple):
    """Where a line ends, and what it is called."""

    x: float
    y: float
    label: str
    color: str


Around = Literal["band", "bars", "interval", "nothing"]
"""From the lowest seed to the highest, as a band or as bars; each seed, and the mean's interval."""


def over_seeds(curves: Iterable[Mapping[float, float]]) -> dict[float, list[float]]:
    """From each place at which any curve has a finite value, ascending, to these values.

    Example:
        >>> over_seeds([{1.0: 2.0, 2.0: 1.0}, {1.0: 4.0, 2.0: float("nan")}])
        {1.0: [2.0, 4.0], 2.0: [1.0]}
    """
    found: dict[float, list[float]] = {}
    for curve in curves:
        for place, value in curve.items():
            if math.isfinite(value):
                found.setdefault(place, []).append(value)
    return dict(sorted(found.items()))


def draw_line(
    axes: Axes,
    values: Mapping[float, Sequence[float]],
    label: str,
    style: Look,
    around: Around = "band",
    middle: Callable[[Sequence[float]], float] = mean,
) -> End | None:
    """A line through the means over seeds (`over_seeds`); gives its last point above 0, if any.

    `around` shows how far the seeds differ, `middle` is the mean.
    """
    kept = {place: found for place, found in values.items() if len(found)}
    means = [middle(found) for found in kept.values()]
    # a mark at every point hides the line; a lone point is nothing but its mark
    axes.plot(list(kept), means, label=label, markevery=max(1, len(kept) // 8), **style)
    color = style["color"]
    if around == "band" and any(len(found) > 1 for found in kept.values()):
        low, high = ([end(found) for found in kept.values()] for end in (min, max))
        axes.fill_between(list(kept), low, high, color=color, alpha=0.15, lw=0)
    for place, found in kept.items():
        if around == "bars":
            axes.plot([place] * 2, [min(found), max(found)], color=color, lw=1.5)
        if around == "interval":
            draw_interval(axes, place, found, color)
    above = [(place, value) for place, value in zip(kept, means, strict=True) if value > 0]
    return End(*above[-1], label, str(color)) if above else None


def draw_interval(axes: Axes, place: float, values: Sequence[float], color: str) -> None:
    """A dot a seed, and the 95 % t interval of their mean, as far as it lies above 0."""
    if len(values) > 1:
        axes.plot([place] * len(values), values, "o", color=color, ms=4, alpha=0.5, mew=0)
    interval = mean_interval(values)
    if interval:
        low = max(interval.low, min(0.0, *values))
        axes.plot([place] * 2, [low, interval.high], color=color, lw=1.5, alpha=0.8)


# Names kept apart: beside the panel, where lines end; around marks, where they leave room.


def name_ends(axes: Axes, ends: Sequence[End | None], size: float = 12.0) -> None:
    """Each line's name to the right of the panel, joined to the line's end; `size` in points.

    The axes have their final limits. A line without an end has no name.
    """
    found = [end for end in ends if end is not None]
    to_panel = axes.transData + axes.transAxes.inverted()
    labels = [wrapped(end.label, 18) for end in found]
    wanted = [float(to_panel.transform((end.x, end.y))[1]) for end in found]
    # the panel's share of the figure is known, its margins are not
    subplot = axes.get_subplotspec()
    rows = subplot.get_gridspec().nrows if subplot is not None else 1
    line = 0.026 * size * rows / float(axes.get_figure().get_figheight())  # type: ignore[union-attr]
    heights = [line * (1 + label.count("\n")) + 0.01 for label in labels]
    for end, label, place in zip(found, labels, spread(wanted, heights), strict=True):
        axes.annotate(
            label,
            (end.x, end.y),
            (1.05, place),
            textcoords="axes fraction",
            va="center",
            fontsize=size,
            linespacing=1.0,
            color=end.color,
            annotation_clip=False,
            arrowprops={
                **{"arrowstyle": "-", "color": end.color, "lw": 0.8},
                **{"shrinkA": 1, "relpos": (0, 0.5)},
            },
        )


def spread(places: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Move labels as little as possible until none overlaps another.

    Labels that would overlap form a stack, which stands where the sum of the squares of its moves
    is least, within 0 to 1; stacks that would overlap become one. Places, wanted and given, are
    those of the middles, in 0 to 1.

    Example:
        >>> [round(place, 2) for place in spread([0.5, 0.5, 0.0], [0.1, 0.1, 0.1])]
        [0.45, 0.55, 0.05]
    """
    stacks: list[list[int]] = []
    for label in sorted(range(len(places)), key=lambda i: places[i]):
        stacks.append([label])
        while len(stacks) > 1 and max(_stand(stacks[-2], places, heights)) > min(
            _stand(stacks[-1], places, heights)
        ):
            top = stacks.pop()
            stacks[-1] += top
    found = dict[int, float]()
    for stack in stacks:
        edges = _stand(stack, places, heights)
        found |= {i: (edges[at] + edges[at + 1]) / 2 for at, i in enumerate(stack)}
    return [found[i] for i in range(len(places))]


def _stand(stack: Sequence[int], places: Sequence[float], heights: Sequence[float]) -> list[float]:
    """The edges of the labels of a stack, from its foot to its top."""
    edges = [0.0]
    for label in stack:
        edges.append(edges[-1] + heights[label])
    wanted = [places[i] - (edges[at] + edges[at + 1]) / 2 for at, i in enumerate(stack)]
    foot = min(max(sum(wanted) / len(wanted), 0.0), max(1 - edges[-1], 0.0))
    return [foot + edge for edge in edges]


def name_marks(axes: Axes, marks: Sequence[End], size: float = 10.0) -> None:
    """Each mark's name in the nearest place around it that is free; farther ones get a line.

    The axes have their final limits and size, for places are found in pixels; `size` in points.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    scale = axes.get_figure().dpi / 72.0  # type: ignore[union-attr]
    pixels = [axes.transData.transform((mark.x, mark.y)) for mark in marks]
    half = 6 * scale
    taken = [Bbox.from_bounds(x - half, y - half, 2 * half, 2 * half) for x, y in pixels]
    frame = axes.get_window_extent()
    for (x, y), mark in zip(pixels, marks, strict=True):
        width, tall = 0.62 * size * len(mark.label) * scale, 1.1 * size * scale
        corners = list(_around(width, tall, scale))
        boxes = [Bbox.from_bounds(x + right, y + up, width, tall) for right, up in corners]
        costs = [
            place
            + 1e3 * sum(_shared(box, other) for other in taken)
            + 1e9 * (not _inside(box, frame))
            for place, box in enumerate(boxes)
        ]
        best = costs.index(min(costs))
        right, up = corners[best]
        taken.append(boxes[best])
        far = max(abs(right + width / 2) - width / 2, abs(up + tall / 2)) > 16 * scale
        axes.annotate(
            *(mark.label, (mark.x, mark.y), (right / scale, up / scale)),
            textcoords="offset points",
            fontsize=size,
            color=[0.7 * part for part in to_rgb(mark.color)],  # pale ones are hard to read
            path_effects=[withStroke(linewidth=3, foreground="white")],
            arrowprops={"arrowstyle": "-", "color": "#999999", "lw": 0.7} if far else None,
        )


def _around(width: float, tall: float, scale: float) -> Iterator[tuple[float, float]]:
    """Lower left corners of a name around a mark, the nearest first."""
    for ring in range(7):
        out = (7 + ring * 1.2 * tall / scale) * scale
        yield from ((-width / 2, out), (-width / 2, -out - tall), (out, -tall / 2))
        yield from ((-out - width, -tall / 2), (out, out), (-out - width, out))
        yield from ((out, -out - tall), (-out - width, -out - tall))


def _shared(box: Any, other: Any) -> float:
    """The area that two boxes share."""
    found = box.intersection(box, other)
    return 0.0 if found is None else float(found.width * found.height)


def _inside(box: Any, frame: Any) -> bool:
    across = frame.x0 <= box.x0 and box.x1 <= frame.x1
    return bool(across and frame.y0 <= box.y0 and box.y1 <= frame.y1)


def set_caption(figure: Figure, text: str) -> Figure:
    """The figure with what a reader must know of it; pages print it, files hold it as a fact."""
    figure.set_label(" ".join(text.split()))
    return figure


def caption_of(figure: Figure) -> str:
    """The text of `set_caption`; empty where there is none."""
    return str(figure.get_label())


def where(study: Study) -> str:
    """Experiment, recipe, seeds (from the fewest to the most) and data: the end of every caption.

    Of the data only their size: what follows the first semicolon of the note stands in the report.
    """
    counts = [len(study.finished_runs_of(name)) for name in study.names]
    least, most = min(counts), max(counts)
    seeds = f"{least} to {most} seeds" if least < most else f"{least} seed{'s' * (least != 1)}"
    data = study.plan.data_note.split(";")[0]
    return f"{study.plan.name}, recipe {study.plan.recipe_name}, n = {seeds}. {data}"


class Drawing(NamedTuple):
    """A figure as PNG for slides, as SVG for pages, and its caption."""

    png: bytes
    svg: bytes
    caption: str


@settings()
def drawing(figure: Figure, dpi: int = 160) -> Drawing:
    """The figure in both forms."""
    return Drawing(_bytes(figure, "png", dpi), _bytes(figure, "svg", dpi), caption_of(figure))


def _bytes(figure: Figure, form: str, dpi: int) -> bytes:
    # a date would make equal figures differ
    undated: Any = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    said = {"Subject" if form == "pdf" else "Description": caption_of(figure)}
    found = io.BytesIO()
    figure.savefig(found, format=form, dpi=dpi, metadata=undated | said)
    return found.getvalue()


def few_colors(png: bytes, colors: int = 256) -> bytes:
    """A PNG with so many colors; with 256, about a third of its size.

    They are chosen to cover all that there are, so that the ends of a color bar, which have few
    pixels, keep their colors: a choice by the number of pixels turns them gray.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    given, found, facts = Image.open(io.BytesIO(png)), io.BytesIO(), PngInfo()
    for name, text in given.info.items():
        if isinstance(text, str):
            facts.add_itxt(str(name), text)
    cover = Image.Quantize.MAXCOVERAGE
    picture = given.convert("RGB").quantize(colors, cover, kmeans=1, dither=Image.Dither.NONE)
    picture.save(found, "png", optimize=True, pnginfo=facts)
    return found.getvalue()


def save(figure: Figure, path: Path, dpi: int = 150, small: bool = False) -> None:
    """Write the figure, and its folder where there is none; the same bytes for the same figure.

    The ending of the path is the form: `.png`, `.svg` or `.pdf`; a small PNG has `few_colors`.

    Raises:
        AblaxError: The folder or the file cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with settings():
            found = _bytes(figure, path.suffix.removeprefix("."), dpi)
        path.write_bytes(few_colors(found) if small else found)
    except OSError as error:
        raise AblaxError(
            f"cannot draw {path} ({error.strerror or error}): free some space, or choose a folder "
            "that can be written"
        ) from error
