"""What a trace of `stalls.py` says: who did what when, when nothing ran; and its picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import TYPE_CHECKING

import numpy as np

from ablax.report.figures import WIDTH, blank, save, set_caption, settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Span = tuple[float, float]
LOOP = ("finite", "evaluate", "rate", "log", "wait", "copy", "chunk", "end")
LOOKS = {  # Okabe and Ito's colors; one color is one thing, whoever does it
    "chunk": ("#0072B2", "training chunk"),
    "evaluate": ("#009E73", "evaluation"),
    "write": ("#E69F00", "checkpoint being written"),
    "finite": ("#CC79A7", "are the parameters finite?"),
    "rate": ("#56B4E9", "learning rate, for the log"),
    "log": ("#7F7F7F", "log"),
    "copy": ("#D55E00", "copy of the state"),
}
DEVICE, THREAD, LAST = 0, 1, 2
EDGE = 1e-3
"""Seconds of work shown before and after a pause."""
PIXELS = 1000
"""Of a panel's width: a shorter gap would be drawn too long."""


def merged(spans: Iterable[Span], gap: float = 0.0) -> list[Span]:
    """The same time in disjoint spans; gaps of at most `gap` count as filled.

    Example:
        >>> merged([(1.0, 2.0), (4.0, 5.0), (1.5, 3.0)])
        [(1.0, 3.0), (4.0, 5.0)]
    """
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + gap:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


class Timeline:
    """One run: disjoint spans in which the device was busy, and those of the host by their names.

    Example:
        >>> Timeline([(1.0, 2.0), (1.5, 3.0), (4.0, 5.0)], {}).idle(0.0, 4.5)
        2.0
    """

    def __init__(self, operations: Iterable[Span], host: Mapping[str, list[Span]]) -> None:
        self.busy = merged(operations)
        self.host = {name: sorted(host.get(name, [])) for name in (*LOOP, "write")}
        self._edges = np.ravel(self.busy)
        self._worked = np.cumsum(np.diff(self._edges, prepend=0.0) * ([0, 1] * len(self.busy)))
        inside = (self._edges[(self._edges > a) & (self._edges < b)] for a, b in self.host["chunk"])
        self.chunks: list[Span] = [(float(edges[0]), float(edges[-1])) for edges in inside]

    def idle(self, start: float, end: float) -> float:
        """Seconds between the two in which the device ran nothing."""
        before, after = np.interp((start, end), self._edges, self._worked)
        return float(end - start - (after - before))

    def within(self, name: str, start: float, end: float) -> list[Span]:
        """The spans of that name, or what of them lies between the two."""
        return [(max(a, start), min(b, end)) for a, b in self.host[name] if a < end and b > start]

    def causes(self, start: float, end: float) -> dict[str, float]:
        """Idle seconds between the two, by what the loop was doing."""
        found = {n: sum(self.idle(*span) for span in self.within(n, start, end)) for n in LOOP}
        found["copy"] -= found["wait"]  # saving begins with waiting
        return found | {"rest": self.idle(start, end) - sum(found.values())}

    def parts(self, run: str) -> Iterator[tuple[str, float, float]]:
        """What the table is about: its name, start and end."""
        ended, over = self.host["evaluate"][-1][1], self.host["end"][-1][1]
        yield f"a run {run}", self.chunks[0][0], ended
        for start, end in self.chunks:
            written = ", a checkpoint being written" * bool(self.within("write", start, end))
            yield "a chunk" + written, start, end
        for (_, start), (end, _) in pairwise(self.chunks):
            evaluation = (
                "an evaluation between" if self.within("evaluate", start, end) else "between"
            )
            saved = ", a checkpoint begun" * bool(self.within("copy", start, end))
            yield f"{evaluation} chunks{saved}", start, end
        yield "after the last evaluation: the last checkpoint", ended, over

    def show(self, axes: Axes, start: float, end: float, last: str, names: tuple[str, ...]) -> None:
        """Three rows: the device, the thread of the checkpoints, and what the loop does."""

        def bars(row: int, spans: list[Span], color: str) -> None:
            seen = merged(spans, (end - start) / PIXELS)
            places = [(a - start, b - a) for a, b in seen]
            axes.broken_barh(places, (row - 0.36, 0.72), color=color, lw=0)

        for name, (color, _) in LOOKS.items():
            spans = self.within(name, start, end)
            if name != "write":
                ran = [(max(s, a), min(e, b)) for a, b in spans for s, e in self.busy]
                bars(DEVICE, [(a, b) for a, b in ran if a < b], color)
            if name == "write" or name in names:
                bars(THREAD if name == "write" else LAST, spans, color)
        axes.set_yticks([DEVICE, THREAD, LAST], ["device", "checkpoint\nthread", last])
        axes.set(ylim=(2.5, -0.5), xlim=(0, end - start))
        axes.tick_params(axis="y", length=0)


def draw(run: Timeline, path: Path, about: str) -> None:
    """Two epochs, and enlarged what is between two chunks and after an evaluation.

    Of the pauses between chunks the one of median length is shown.

    Args:
        run: With a checkpoint and two chunks an epoch.
        path: Of the picture.
        about: The machine, for the caption.
    """
    pauses = {k: run.chunks[k + 1][0] - run.chunks[k][1] for k in range(2, len(run.chunks) - 3, 2)}
    first = next(k for k, length in pauses.items() if length == median_low(pauses.values()))
    one, two, three, four = run.chunks[first : first + 4]
    with settings():
        from matplotlib.patches import Patch
        from matplotlib.ticker import FuncFormatter

        figure = blank(WIDTH, 7.6)
        panels = figure.subplot_mosaic("AA;BC")
        after = run.within("evaluate", two[1], three[0])[0][1]
        run.show(panels["A"], one[0] - EDGE, four[1] + EDGE, "evaluation", ("evaluate",))
        run.show(panels["B"], one[1] - EDGE, two[0] + EDGE, "loop", tuple(LOOKS))
        run.show(panels["C"], after - 2 * EDGE, three[0] + EDGE, "loop", tuple(LOOKS))
        panels["A"].set_title("Two epochs: a checkpoint after every chunk, an evaluation an epoch")
        panels["A"].set_xlabel("seconds")
        for name, title in (("B", "Between two chunks"), ("C", "After an evaluation")):
            panels[name].set_title(title)
            panels[name].set_xlabel("milliseconds")
            panels[name].xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{1e3 * x:g}"))
        handles = [Patch(color=color, label=label) for color, label in LOOKS.values()]
        figure.legend(
            handles=handles, loc="outside upper left", ncols=4, frameon=False, fontsize=12
        )
        what = "White: nothing runs, for longer than a pixel. Small AlexNet on digits"
        set_caption(figure, f"{what}, {about}.")
    save(figure, path)
