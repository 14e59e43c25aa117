"""Figures: style, colors, axes, and files of pictures."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ablax.errors import AblaxError
from ablax.report.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# ------------------------------------------------------------------------------------------
# The look that the pictures of a report share: colors, marks, fonts, axes, captions.
#
# Colors are those of Okabe and Ito, which people with any common color vision tell apart; marker
# and line style say the same once more.

COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
"""Okabe and Ito 2008, "Color universal design"; their yellow, too pale on white, is grey here."""

MARKERS = "osD^v>ph*"
"""Nine to eight colors, so that the first 72 variants all look different."""

LINES: tuple[str | tuple[int, tuple[int, ...]], ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1, 1, 1, 1, 1)),
)
WIDTH = 11.0

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
    "svg.hashsalt": "ablax",
    "svg.fonttype": "path",
    # a dollar sign in a label is a dollar sign
    "text.parse_math": False,
}


@contextmanager
def settings() -> Iterator[None]:
    """The settings of matplotlib under which pictures are drawn and saved; restored afterwards."""
    import matplotlib as mpl

    with mpl.rc_context():
        # the person's own settings would make the picture depend on the machine
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def blank(width: float, height: float) -> Figure:
    """An empty figure of that many inches, which lays itself out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def wrapped(label: str, width: int = 26) -> str:
    """At most three lines; of more, the middle is left out, because names differ at their ends."""
    lines = textwrap.wrap(label, width)
    half = 3 * width // 2
    while len(lines) > 3:
        half -= 1
        lines = textwrap.wrap(f"{label[:half].rstrip()} … {label[-half:].lstrip()}", width)
    return "\n".join(lines) or " "


def look(place: int) -> dict[str, object]:
    """Color, mark and line of the variant at that place."""
    return {
        "color": COLORS[place % len(COLORS)],
        "marker": MARKERS[place % len(MARKERS)],
        # the eight colors come round with another line style
        "linestyle": LINES[(place + place // len(COLORS)) % len(LINES)],
    }


def write_caption(figure: Figure, text: str) -> None:
    """Small text below, so that the picture can stand alone on a slide."""
    lines = "\n".join(textwrap.wrap(text, int(figure.get_figwidth() * 10.5)))
    figure.supxlabel(lines, fontsize=11, color="#444444", x=0.01, ha="left")


def count_of_seeds(study: Study) -> str:
    """Such as `"n = 5 seeds"`, or from the fewest to the most."""
    counts = sorted({len(study.finished_runs_of(name)) for name in study.names})
    if len(counts) == 1:
        return f"n = {counts[0]} seed" + ("s" if counts[0] != 1 else "")
    return f"n = {counts[0]} to {counts[-1]} seeds"


def where(study: Study) -> str:
    """Experiment, recipe, seeds and data: the end of every caption.

    Of the data only their size: what follows the first semicolon of the note stands in the report.
    """
    data = study.plan.data_note.split(";")[0]
    return f"{study.plan.name}, recipe {study.plan.recipe_name}, {count_of_seeds(study)}. {data}"


def name_rows(axes: Axes, labels: list[str]) -> None:
    """One row per variant, the first at the top, with a grid for reading values."""
    axes.set_yticks(range(len(labels)), [wrapped(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color="#DDDDDD")


def height(rows: int) -> float:
    """Inches for that many rows."""
    return 2.4 + 0.72 * max(rows, 2)


def give_room(axes: Axes) -> None:
    """At least half a percentage point on the axis, so that noise does not look large."""
    axes.margins(x=0.1)
    low, high = axes.get_xlim()
    short = max(0.0, 0.5 - (high - low)) / 2
    axes.set_xlim(low - short, high + short)


def logarithmic(axes: Axes, which: Literal["x", "y"], crowding: float = 1.0) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5; linear when it has nothing positive.

    Args:
        axes: Where.
        which: Of its two.
        crowding: By how much wider than usual the numbers are, so that fewer of them fit.
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
    axis.set_major_locator(LogLocator(subs=[float(sub) for sub in subs], numticks=20))
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
    from matplotlib.ticker import MaxNLocator

    last = max((run.curve.epochs[-1] for run in study.runs if run.curve.epochs), default=1.0)
    axes.set_xlim(0, last * 1.04 if last > 2 else last + 1)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))


def count_axis(axes: Axes, counts: list[int]) -> None:
    """Logarithmic when the counts differ by more than a factor of ten."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.margins(x=0.15, y=0.15)
    if counts and max(counts) > 10 * min(counts) > 0:
        logarithmic(axes, "x", crowding=1.8)
        return
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: scaled_tick(float(value))))
    axes.xaxis.set_major_locator(MaxNLocator(4))


# ------------------------------------------------------------------------------------------
# A file that a command was asked to draw into: refused before the work, written after it.

FORMS = (".png", ".svg", ".pdf")


def check_file(path: Path, forms: Sequence[str] = FORMS) -> None:
    """Refuse, before anything is computed, a file that cannot be written.

    Args:
        path: Where to draw.
        forms: The endings that the name may have.

    Raises:
        AblaxError: Another ending, the name of a folder, or a folder around it that does not exist
            or may not be written to.
    """
    if path.suffix not in forms:
        raise AblaxError(f"cannot draw {path}: the name must end in {', '.join(forms)}")
    if not path.parent.is_dir():
        raise AblaxError(f"cannot draw {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise AblaxError(f"cannot draw {path}: it is a folder; give the name of a file")
    if not os.access(path.parent, os.W_OK):
        raise AblaxError(f"cannot draw {path}: the folder {path.parent} may not be written to")


def save(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write the figure, and its folder where there is none; the same bytes for the same figure.

    Raises:
        AblaxError: The folder or the file cannot be written, or the disk is full.
    """
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with settings():
            figure.savefig(path, dpi=dpi, metadata=metadata)
    except OSError as error:
        raise AblaxError(
            f"cannot draw {path} ({error.strerror or error}): free some space, or choose a folder "
            "that can be written"
        ) from error
