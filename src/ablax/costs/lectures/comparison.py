"""A table that a lecture prints, line by line beside what our networks give."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ablax.analysis.cost import USUAL, CostRow
from ablax.costs.network import case, network_cost
from ablax.costs.tables import Cell, Table


@dataclass(frozen=True)
class Line:
    """A line of a lecture's table.

    Attributes:
        layer: What the lecture calls it.
        printed: Its cells.
        ours: The same quantities of our network, written as the lecture writes them.
        macs: Our multiply-accumulates, or None where the line is none of layers.
        parameters: Our parameters.
        remark: Why they differ, or that the lecture slipped; empty where they agree.
    """

    layer: str
    printed: tuple[str, ...]
    ours: tuple[str, ...]
    macs: int | None = None
    parameters: int | None = None
    remark: str = ""

    @property
    def agrees(self) -> bool:
        """Whether every cell of the lecture is ours."""
        return self.printed == self.ours


@dataclass(frozen=True)
class Comparison:
    """A lecture's table beside ours.

    Attributes:
        title: What it shows.
        source: Where the lecture prints it.
        columns: The headings of the lecture's cells.
        lines: The lines.
        remarks: What holds for the table as a whole.
    """

    title: str
    source: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    remarks: tuple[str, ...] = ()


Blocks = Mapping[str, Sequence[CostRow]]
"""The rows of a network by the outermost name of their paths."""


def blocks(name: str, image_size: int | None = None) -> Blocks:
    """The rows of a network of the zoo, layer by layer of its paper's table.

    Args:
        name: As `ablax list` shows it.
        image_size: Height and width in pixels; the paper's when left out.
    """
    rows = network_cost(case(name, image_size), USUAL)
    grouped = itertools.groupby(rows, key=lambda row: row.path.split("/")[0])
    return {layer: list(inside) for layer, inside in grouped}


def maps(rows: Sequence[CostRow], times: str = "x") -> str:
    """The size of what the last of the rows gives, such as `"56x56x64"`."""
    sizes = rows[-1].output_shape[1:]
    padded = (1,) * (3 - len(sizes)) + tuple(sizes)
    return times.join(map(str, padded))


def sums(*groups: Sequence[CostRow]) -> tuple[int, int]:
    """Multiply-accumulates and parameters of some rows."""
    rows = [row for group in groups for row in group]
    return sum(row.macs for row in rows), sum(row.parameters for row in rows)


def comparison_table(comparison: Comparison) -> Table:
    """The table of a comparison: a cell that differs shows both."""
    costed = any(line.macs is not None for line in comparison.lines)
    counts = ("MACs (ours)", "parameters (ours)") if costed else ()
    lines = []
    for line in comparison.lines:
        pairs = zip(line.printed, line.ours, strict=True)
        cells: tuple[Cell, ...] = tuple(
            theirs if theirs == ours else f"{theirs} (ours: {ours})" for theirs, ours in pairs
        )
        counted: tuple[Cell, ...] = ()
        if costed:
            known = (line.macs, line.parameters)
            counted = tuple("" if count is None else f"{count:,}" for count in known)
        lines.append((line.layer, *cells, *counted, line.remark))
    return Table(
        f"{comparison.title} ({comparison.source})",
        ("layer", *comparison.columns, *counts, "remark"),
        tuple(lines),
        comparison.remarks,
    )


Maker = Callable[[], Comparison]
