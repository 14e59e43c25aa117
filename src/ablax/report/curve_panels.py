"""Learning curves in panels: each panel a family of variants, each line named where it ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from ablax.errors import ReportError, nearest
from ablax.report.drawing import (
    COLORS,
    WIDTH,
    blank,
    logarithmic,
    look,
    settings,
    where,
    whole_epochs,
    wrapped,
    write_caption,
)
from ablax.report.results import Run, Study
from ablax.report.section import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES: Mapping[str, tuple[str, str]] = {
    "train_loss": ("training loss", "nats"),
    "train_error": ("training error", "%"),
    "test_error": ("test error", "%"),
}
"""What can be drawn: its name in words and its unit."""

PANEL_HEIGHT = 3.9
"""Inches."""

LINE = 0.075
"""Height of a line of text, as a share of a panel's."""


@dataclass(frozen=True)
class CurvePanels:
    """One picture: a panel for every family of variants, or a row of panels, one for each curve.

    With one curve, panels stand two in a row; with several, a row is a family and a column a curve.
    Panels of one curve share their logarithmic axis, and so do curves of one unit. The baseline is
    black wherever it is drawn. Variants that were not run are left out, and so are panels with no
    variant beside the baseline.

    Args:
        name: Stem of the picture's files.
        title: Heading in the report.
        panels: Heading of a panel to the names of its variants, the baseline among them where it
            is to be compared with.
        curves: What is drawn against epochs: `train_loss`, `train_error`, `test_error`.

    Raises:
        ReportError: There are no panels or no curves, or there is no such curve.

    Example:
        >>> CurvePanels("learning", "Learning", {"depth": ("shallow", "deep")}).picture.name
        'learning'
    """

    name: str
    title: str
    panels: Mapping[str, Sequence[str]]
    curves: tuple[str, ...] = ("train_loss",)

    def __post_init__(self) -> None:
        for curve in self.curves:
            if curve not in CURVES:
                raise ReportError(f"no run has a curve {curve!r}: {nearest(curve, list(CURVES))}")
        if not self.panels or not self.curves:
            raise ReportError(
                f"the picture {self.name!r} has {len(self.panels)} panels and {len(self.curves)} "
                "curves: give at least one of each"
            )

    @property
    def picture(self) -> Picture:
        """It as a picture of a section."""
        drawn = " and ".join(CURVES[curve][0] for curve in self.curves)
        families = "; ".join(self.panels)
        caption = (
            f"{self.title}: {drawn} by epoch on a logarithmic scale, mean over seeds and range, "
            f"in panels: {families}."
        )
        return Picture(self.name, self.title, caption, self.draw)

    def draw(self, study: Study) -> Figure:
        """Mean over seeds, the range as a band, and each line's name at its end."""
        with settings():
            shown = self._shown(study)
            cells = [(heading, curve) for heading in shown for curve in self.curves]
            columns = len(self.curves) if len(self.curves) > 1 else min(2, len(cells))
            rows = math.ceil(len(cells) / columns)
            figure = blank(WIDTH, 1.1 + PANEL_HEIGHT * rows)
            units = {CURVES[curve][1] for curve in self.curves}
            share: Literal["all", "col"] = "all" if len(units) == 1 else "col"
            grid = figure.subplots(rows, columns, squeeze=False, sharey=share, sharex="all")
            ends = []
            for axes, (heading, curve) in zip(grid.flat, cells, strict=False):
                ends.append(_draw_panel(axes, study, shown[heading], curve))
                axes.set_title(self._panel_title(heading, curve))
            for axes in grid.flat[len(cells) :]:
                axes.remove()
            # names are placed when all panels have widened the axes that they share
            for axes, (_, curve) in zip(grid.flat, cells, strict=False):
                _finish(axes, study, curve)
            for axes, found in zip(grid.flat, ends, strict=False):
                _name_lines(axes, found)
            write_caption(figure, _caption(study))
            return figure

    def _panel_title(self, heading: str, curve: str) -> str:
        named = f"{heading}: {CURVES[curve][0]}" if len(self.curves) > 1 else heading
        return wrapped(named[:1].upper() + named[1:], 48)

    def _shown(self, study: Study) -> dict[str, list[str]]:
        """The variants of each panel that were run, of the panels that compare something."""
        ran = {
            heading: [name for name in names if name in study.names]
            for heading, names in self.panels.items()
        }
        compared = {h: names for h, names in ran.items() if set(names) - {study.baseline}}
        return compared or dict(list(ran.items())[:1])


class _End(NamedTuple):
    """Where a line ends, in epochs and the curve's unit, and what it is called."""

    epoch: float
    value: float
    label: str
    color: str


def mean_and_range(
    curves: Sequence[Mapping[float, float]],
) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, "3 E"]]:
    """Over runs: the epochs at which any has a finite value; lowest, mean and highest there.

    Example:
        >>> mean_and_range([{1.0: 2.0, 2.0: 1.0}, {1.0: 4.0, 2.0: float("nan")}])
        (array([1., 2.]), array([[2., 1.],
               [3., 1.],
               [4., 1.]]))
    """
    at: dict[float, list[float]] = {}
    for curve in curves:
        for epoch, value in curve.items():
            if math.isfinite(value):
                at.setdefault(epoch, []).append(value)
    epochs = sorted(at)
    rows = [[min(at[e]), sum(at[e]) / len(at[e]), max(at[e])] for e in epochs]
    return np.array(epochs, float), np.array(rows, float).reshape(len(epochs), 3).T


def spread(places: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Move labels as little as possible until none overlaps another.

    Labels that would overlap form a stack, which stands where the sum of the squares of its moves
    is least, within 0 to 1; stacks that would overlap become one.

    Args:
        places: Where the middle of each label is wanted, in 0 to 1.
        heights: Of each label.

    Returns:
        Where the middle of each stands, in the order given.

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


def _curve(run: Run, curve: str) -> dict[float, float]:
    epochs = run.curve.test_epochs if curve == "test_error" else run.curve.epochs
    return dict(zip(epochs, getattr(run.curve, curve), strict=True))


def _draw_panel(axes: Axes, study: Study, names: Sequence[str], curve: str) -> list[_End]:
    """The lines of one panel; where each of them ends."""
    ends, lost = [], []
    others = [name for name in names if name != study.baseline]
    for name in names:
        style = look(0 if name == study.baseline else _place(others.index(name)))
        color = str(style["color"])
        epochs, (low, middle, high) = mean_and_range(
            [_curve(run, curve) for run in study.runs_of(name)]
        )
        label = study.variant(name).label
        every = max(1, len(epochs) // 8)
        axes.plot(epochs, middle, lw=2.2, ms=6, markevery=every, label=label, **style)  # type: ignore[arg-type]
        if len(study.runs_of(name)) > 1:
            axes.fill_between(epochs, low, high, color=color, alpha=0.15, lw=0)
        seen = np.flatnonzero(middle > 0)
        if len(seen):
            ends.append(_End(float(epochs[seen[-1]]), float(middle[seen[-1]]), label, color))
        else:
            lost.append(f"{label}: no finite value")
    if lost:
        axes.text(0.98, 0.98, "\n".join(lost), transform=axes.transAxes, ha="right", va="top")
    return ends


def _place(number: int) -> int:
    """The place of a variant's look: black comes round, and belongs to the baseline alone."""
    return 1 + number + number // (len(COLORS) - 1)


def _finish(axes: Axes, study: Study, curve: str) -> None:
    """Scales, ticks and names of the axes."""
    logarithmic(axes, "y")
    whole_epochs(axes, study)
    axes.grid(color="#E4E4E4")
    axes.set_xlabel("epochs")
    if axes.get_subplotspec().is_first_col() or curve != "train_loss":  # type: ignore[union-attr]
        axes.set_ylabel(", ".join(CURVES[curve]))
    axes.tick_params(labelbottom=True, labelleft=True)


def _name_lines(axes: Axes, ends: Sequence[_End]) -> None:
    """Each line's name to the right of the panel, joined to the line's end."""
    to_panel = axes.transData + axes.transAxes.inverted()
    labels = [wrapped(end.label, 18) for end in ends]
    wanted = [float(to_panel.transform((end.epoch, end.value))[1]) for end in ends]
    heights = [LINE * (1 + label.count("\n")) + 0.01 for label in labels]
    for end, label, place in zip(ends, labels, spread(wanted, heights), strict=True):
        axes.annotate(
            label,
            (end.epoch, end.value),
            (1.05, place),
            textcoords="axes fraction",
            va="center",
            fontsize=12,
            linespacing=1.0,
            color=end.color,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": end.color,
                "lw": 0.8,
                "shrinkA": 1,
                "relpos": (0, 0.5),
            },
        )


def _caption(study: Study) -> str:
    label = study.variant(study.baseline).label
    return (
        f"Lines: mean over seeds; bands: lowest to highest. Black: {label}, wherever it is drawn. "
        "Logarithmic scales: a value of 0 is not drawn, and a line ends where its runs diverge. "
        f"{where(study)}"
    )
