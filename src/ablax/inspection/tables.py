"""A table as text, CSV, Markdown or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

Cell = int | float | str


@dataclass(frozen=True)
class Table:
    """Cells under headings, and what a reader has to know of them.

    Attributes:
        title: What the table shows.
        columns: The headings.
        rows: The cells, a row as long as the headings.
        foot: Sentences below: the convention and the totals.
        totals: The same totals as numbers.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[str, ...] = ()
    totals: Mapping[str, Cell] = field(default_factory=dict)

    def __str__(self) -> str:
        return written(self, "text")


def written(table: Table, form: str, plain: bool = False) -> str:
    """The table in one of the forms.

    Args:
        table: Any table.
        form: "text", "csv" (the cells alone), "markdown" or "json".
        plain: Numbers without separators of thousands, as the lecture prints them.

    Returns:
        Lines without a final newline.

    Example:
        >>> table = Table("Costs", ("layer", "MACs"), (("conv1", 1200),), ("In all 1,200.",))
        >>> print(written(table, "text"))
        Costs
        layer   MACs
        conv1  1,200
        In all 1,200.
        >>> print(written(table, "csv"))
        layer,MACs
        conv1,1200
    """
    if form == "csv":
        return _csv(table)
    if form == "json":
        return _json(table)
    return _markdown(table, plain) if form == "markdown" else _text(table, plain)


def _text(table: Table, plain: bool) -> str:
    rows = [table.columns, *(tuple(_cell(cell, plain) for cell in row) for row in table.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.columns))]
    left = _words(table)
    lines = [
        "  ".join(
            f"{cell:<{width}}" if place in left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([table.title, *lines, *table.foot])


def _markdown(table: Table, plain: bool) -> str:
    left = _words(table)
    marks = ["---" if place in left else "---:" for place in range(len(table.columns))]
    rows = [
        table.columns,
        tuple(marks),
        *(tuple(_cell(cell, plain) for cell in row) for row in table.rows),
    ]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n\n".join([f"**{table.title}**", "\n".join(lines), *table.foot])


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue().rstrip("\n")


def _json(table: Table) -> str:
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    whole = {"title": table.title, "rows": rows, "totals": table.totals, "foot": table.foot}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def _words(table: Table) -> set[int]:
    """The columns that hold words alone: they stand at the left."""
    return {
        place
        for place in range(len(table.columns))
        if table.rows and all(isinstance(row[place], str) for row in table.rows)
    }


def _cell(cell: Cell, plain: bool) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    return str(cell) if plain else f"{cell:,}"
