"""The report of an examination: a table, what to do, and pictures, as Markdown and as HTML."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ablax.doctor.finding import Finding
from ablax.doctor.plots import FIGURES
from ablax.report.figures import settings
from ablax.report.files import write_atomically
from ablax.report.page import PLOTS, Block, Heading, Items, Paragraph, html_page, markdown_page
from ablax.report.study import Picture, Study
from ablax.report.tables import Column, Table, sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = (Column("check", "left"), Column("finding", "left"), Column("measured", "left"))


def findings_table(name: str, findings: Sequence[Finding]) -> Table:
    """A row a check."""
    rows = tuple((each.check, each.verdict, sentence(each.sentence)) for each in findings)
    return Table(f"Examination of {name}", _COLUMNS, rows)


def summary(findings: Sequence[Finding]) -> str:
    """The outcome in a sentence.

    Example:
        >>> summary([Finding("speed", True, "slow"), Finding("units", False, "alive")])
        'Sick: speed. Healthy: 1 of 2 checks.'
    """
    sick = [each.check for each in findings if each.sick]
    open_ = [each.check for each in findings if each.sick is None]
    healthy = sum(each.sick is False for each in findings)
    parts = [f"Sick: {', '.join(sick)}." if sick else "No sickness was found."]
    parts.append(f"Healthy: {healthy} of {len(findings)} checks.")
    if open_:
        parts.append(f"Cannot be told: {', '.join(open_)}.")
    return " ".join(parts)


def advice(findings: Sequence[Finding]) -> tuple[str, ...]:
    """What to do, check by check."""
    return tuple(f"{each.check}: {each.advice}" for each in findings if each.advice)


def write_page(name: str, note: str, findings: Sequence[Finding], folder: Path) -> Path:
    """Write `doctor.md`, `doctor.html` (pictures inside) and the pictures as PNG and SVG.

    Args:
        name: Who was examined.
        note: What the data are.
        findings: Of all checks.
        folder: Where to write; made where there is none.

    Returns:
        The path of `doctor.html`.

    Raises:
        ReportError: The folder cannot be written.
    """
    found: list[Block] = [Paragraph(summary(findings), lead=True)]
    found += [Paragraph(sentence(note)), findings_table(name, findings)]
    if steps := advice(findings):
        found += [Heading("What to do"), Items(tuple(map(sentence, steps)))]
    vectors = {}
    for each in findings:
        if each.check not in FIGURES or not each.measurements.get(FIGURES[each.check][1]):
            continue
        stem, _, draw = FIGURES[each.check]
        png, svg = io.BytesIO(), io.BytesIO()
        with settings():
            figure = draw(each)
            figure.savefig(png, format="png", dpi=110)
            figure.savefig(svg, format="svg", metadata={"Date": None})
        write_atomically(folder / PLOTS / f"{stem}.png", png.getvalue())
        write_atomically(folder / PLOTS / f"{stem}.svg", svg.getvalue())
        vectors[stem] = svg.getvalue()
        picture = Picture(stem, each.check, each.sentence, _drawing(draw, each))
        found += [Heading(each.check.capitalize()), picture]
    title = f"Examination of {name}"
    write_atomically(folder / "doctor.md", markdown_page(title, tuple(found)))
    return write_atomically(folder / "doctor.html", html_page(title, tuple(found), vectors))


def _drawing(draw: Callable[[Finding], Figure], found: Finding) -> Callable[[Study], Figure]:
    """A picture of a finding, in the form in which a report asks for one of a study."""
    return lambda _: draw(found)
