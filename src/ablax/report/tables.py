"""A table as a value, its numbers as text, and its forms: Markdown, HTML, terminal.

The same figures as numbers for a program are in `csvfile`.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import rich.table


NOTHING = "–"
"""Stands where a number is not defined."""


@dataclass(frozen=True)
class Column:
    """A heading and the side its cells lean to."""

    heading: str
    align: Literal["left", "right"] = "right"


@dataclass(frozen=True)
class Table:
    """Cells as text, with a title above and notes below.

    Args:
        title: What the table shows.
        columns: The headings.
        rows: As many cells as there are columns.
        notes: What a reader must know to read it.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def number(value: float | int, digits: int = 2) -> str:
    """A number with thousands separated and a true minus sign; a dash when it is not finite.

    Example:
        >>> number(1234567, 0), number(-0.5, 1), number(math.nan)
        ('1,234,567', '−0.5', '–')
    """
    if not math.isfinite(value):
        return NOTHING
    text = f"{value:,.{digits}f}"
    # what rounds to zero has no sign
    text = text.lstrip("-") if not text.strip("-0.,") else text
    return text.replace("-", "−")


def signed(value: float, digits: int = 2) -> str:
    """As `number`, with a plus sign before what is above zero.

    Example:
        >>> signed(1.234), signed(-1.0, 1), signed(0.0)
        ('+1.23', '−1.0', '0.00')
    """
    text = number(value, digits)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def scaled(count: float | int) -> str:
    """A count with three digits and a unit of thousand, million or (G) thousand million.

    Example:
        >>> scaled(724_406_816), scaled(61_706), scaled(950), scaled(16_000_000)
        ('724 M', '61.7 k', '950', '16.0 M')
    """
    if not math.isfinite(count):
        return NOTHING
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        # 999,950 rounds to 1,000 of its unit: it belongs to the next
        if abs(count) >= 0.9995 * factor:
            size = abs(count) / factor
            digits = 2 if size < 9.995 else 1 if size < 99.95 else 0
            return number(count / factor, digits) + unit
    return number(count, 0)


def spread(middle: float, sd: float, digits: int = 2) -> str:
    """`mean ± standard deviation`, the latter a dash when there is none."""
    return f"{number(middle, digits)} ± {number(sd, digits)}" if math.isfinite(middle) else NOTHING


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop, where it has none; nothing stays nothing.

    Example:
        >>> sentence("the full network has 18.1 % error"), sentence("Why?"), sentence(" ")
        ('The full network has 18.1 % error.', 'Why?', '')
    """
    text = text.strip()
    closed = text.rstrip("\"')”’").endswith((".", "!", "?", "…"))
    return text[:1].upper() + text[1:] + ("" if closed or not text else ".")


def as_markdown(table: Table) -> str:
    r"""The table in Markdown, its notes below; no title.

    Example:
        >>> print(as_markdown(Table("t", (Column("a", "left"), Column("b")), (("x|y", "1"),))))
        | a | b |
        | :-- | --: |
        | x\|y | 1 |
    """
    rule = [":--" if column.align == "left" else "--:" for column in table.columns]
    lines = [[column.heading for column in table.columns], rule, *map(list, table.rows)]
    text = ["| " + " | ".join(_markdown_cell(cell) for cell in line) + " |" for line in lines]
    return "\n".join([*text, *(f"\n{escape_markdown(note)}" for note in table.notes)])


def _markdown_cell(cell: str) -> str:
    return cell if cell in (":--", "--:") else escape_markdown(cell).replace("|", "\\|")


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no line breaks."""
    for mark in "\\`*_[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())


def as_html(table: Table) -> str:
    """The table in HTML inside a frame that scrolls sideways on a narrow screen."""
    head = "".join(
        f'<th scope="col" class="{column.align}">{html.escape(column.heading)}</th>'
        for column in table.columns
    )
    lines = []
    for row in table.rows:
        cells = [
            f'<td class="{column.align}">{html.escape(cell)}</td>'
            for column, cell in zip(table.columns, row, strict=True)
        ]
        cells[0] = f'<th scope="row">{html.escape(row[0])}</th>'
        lines.append(f"<tr>{''.join(cells)}</tr>")
    notes = "".join(f"<p class='note'>{html.escape(note)}</p>" for note in table.notes)
    body = "\n".join(lines)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>\n{notes}"
    )


def as_rich(table: Table) -> rich.table.Table:
    """The table for the terminal."""
    import rich.markup
    import rich.table

    shown = rich.table.Table(
        title=rich.markup.escape(table.title),
        caption=rich.markup.escape(" ".join(table.notes)) or None,
    )
    for column in table.columns:
        shown.add_column(rich.markup.escape(column.heading), justify=column.align, no_wrap=False)
    for row in table.rows:
        shown.add_row(*map(rich.markup.escape, row))
    return shown
