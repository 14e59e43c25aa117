"""A table as a value, and its forms: text, CSV, Markdown, JSON, HTML; numbers as words."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Cell = int | float | str
Form = Literal["text", "csv", "markdown", "json", "html"]

NOTHING = "–"
"""Stands where a number is not defined."""


@dataclass(frozen=True)
class Table:
    """Cells under headings, and what a reader must know of them.

    Cells are numbers, or text as it shall stand; `plain` whole numbers have no separators of
    thousands. `totals` are the sums that the notes name, as numbers for a program. `left` are the
    places of the columns that stand at the left; None: those that hold text alone.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    totals: Mapping[str, Cell] = field(default_factory=dict)
    left: tuple[int, ...] | None = None
    plain: bool = False

    def __str__(self) -> str:
        return render(self, "text")

    def _repr_html_(self) -> str:
        return render(self, "html")

    @property
    def at_left(self) -> list[bool]:
        """Of each column, whether it stands at the left."""
        if self.left is not None:
            return [place in self.left for place in range(len(self.columns))]
        if not self.rows:
            return [False] * len(self.columns)
        return [all(isinstance(c, str) for c in column) for column in zip(*self.rows, strict=True)]

    @property
    def lines(self) -> list[list[str]]:
        """The headings, then the rows, all as text."""
        return [list(self.columns), *([self._text(cell) for cell in row] for row in self.rows)]

    def _text(self, cell: Cell) -> str:
        if isinstance(cell, str):
            return cell
        if isinstance(cell, float):
            return f"{cell:,.2f}"
        return str(cell) if self.plain else f"{cell:,}"


def render(table: Table, form: Form, *, width: int | None = None, titled: bool = True) -> str:
    """The table in one of its forms, without a final newline.

    Comma-separated are the cells alone; in Markdown and HTML text is no markup. Text is broken to
    lines of `width` letters, where a width is given. The title is left out where it is not wanted.

    Example:
        >>> table = Table("Costs", ("layer", "MACs"), (("conv1", 1200),), ("In all 1,200.",))
        >>> print(render(table, "text"))
        Costs
        layer   MACs
        conv1  1,200
        In all 1,200.
        >>> print(render(table, "csv"))
        layer,MACs
        conv1,1200
        >>> print(render(table, "markdown", titled=False))
        | layer | MACs |
        | --- | ---: |
        | conv1 | 1,200 |
        <BLANKLINE>
        In all 1,200.
    """
    if form == "csv":
        return csv_text(table.columns, table.rows).rstrip("\n")
    if form == "json":
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        whole = {"title": table.title, "rows": rows, "totals": table.totals, "notes": table.notes}
        return json.dumps(whole, indent=2, ensure_ascii=False)
    if form == "markdown":
        return _markdown(table, titled)
    return _html(table, titled) if form == "html" else _text(table, width, titled)


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Comma-separated lines; floats are written so that reading them gives the same bits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _text(table: Table, width: int | None, titled: bool) -> str:
    lines, left = table.lines, table.at_left
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    if width is not None:
        words = [max(len(w) for cell in column for w in [*cell.split(), ""]) for column in columns]
        # numbers stay whole as long as headings and words can give way
        whole = [
            least if at_left else max([least, *map(len, column[1:])])
            for at_left, least, column in zip(left, words, columns, strict=True)
        ]
        room = width - 2 * (len(widths) - 1)
        widths = _narrowed(_narrowed(widths, whole, room), words, room)
    found = [table.title] if titled else []
    for line in lines:
        cells = [
            textwrap.wrap(cell, size) or [""] if len(cell) > size else [cell]
            for cell, size in zip(line, widths, strict=True)
        ]
        for part in range(max(map(len, cells))):
            shown = [cell[part] if part < len(cell) else "" for cell in cells]
            padded = [
                f"{cell:<{size}}" if at_left else f"{cell:>{size}}"
                for cell, size, at_left in zip(shown, widths, left, strict=True)
            ]
            found.append("  ".join(padded).rstrip())
    notes = table.notes if width is None else [textwrap.fill(note, width) for note in table.notes]
    return "\n".join([*found, *notes])


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widest columns made narrower until all fit, none below its least."""
    found = list(widths)
    while sum(found) > room:
        wide = [place for place in range(len(found)) if found[place] > least[place]]
        if not wide:
            break
        found[max(wide, key=found.__getitem__)] -= 1
    return found


def _markdown(table: Table, titled: bool) -> str:
    marks = ["---" if at_left else "---:" for at_left in table.at_left]
    head, *rows = (
        [escape_markdown(cell).replace("|", "\\|") for cell in line] for line in table.lines
    )
    lines = ["| " + " | ".join(line) + " |" for line in (head, marks, *rows)]
    title = [f"**{escape_markdown(table.title)}**"] if titled else []
    return "\n\n".join([*title, "\n".join(lines), *map(escape_markdown, table.notes)])


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no line breaks.

    Example:
        >>> print(escape_markdown("a* of conv1_1 <b>").replace(chr(92), "/"))
        a/* of conv1_1 &lt;b>
    """
    for mark in "\\`*[]":
        text = text.replace(mark, f"\\{mark}")
    # inside a word an underscore is no markup
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())


def _html(table: Table, titled: bool) -> str:
    """Inside a frame that scrolls sideways on a narrow screen."""
    sides = ["left" if at_left else "right" for at_left in table.at_left]
    head, *rows = ([html.escape(cell) for cell in line] for line in table.lines)
    heads = zip(head, sides, strict=True)
    top = "".join(f'<th scope="col" class="{side}">{cell}</th>' for cell, side in heads)
    lines = []
    for first, *others in rows:
        rest = zip(others, sides[1:], strict=True)
        cells = "".join(f'<td class="{side}">{cell}</td>' for cell, side in rest)
        lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    body = "\n".join(lines)
    title = f"<caption>{html.escape(table.title)}</caption>\n" if titled else ""
    notes = "".join(f"<p class='note'>{html.escape(note)}</p>" for note in table.notes)
    return (
        f'<div class="scroll"><table>\n{title}<thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>\n{notes}"
    )


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


def spread(
    middle: float, sd: float, digits: int = 2, show: Callable[[float, int], str] = number
) -> str:
    """`mean ± standard deviation`, the latter a dash when there is none."""
    return f"{show(middle, digits)} ± {number(sd, digits)}" if math.isfinite(middle) else NOTHING


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop, where it has none; nothing stays nothing.

    Example:
        >>> sentence("the full network has 18.1 % error"), sentence("Why?"), sentence(" ")
        ('The full network has 18.1 % error.', 'Why?', '')
    """
    text = text.strip()
    closed = text.rstrip("\"')”’").endswith((".", "!", "?", "…"))
    return text[:1].upper() + text[1:] + ("" if closed or not text else ".")
