"""What an experiment adds to every report: pictures and tables of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ablax.report.forms import Table
    from ablax.report.results import Study


@dataclass(frozen=True)
class Picture:
    """One figure of the report.

    Args:
        name: Stem of its files; no two pictures of a report share it.
        title: Heading in the report.
        caption: What is seen, for those who cannot see it too.
        draw: Makes the figure.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Study], Figure]


@dataclass(frozen=True)
class Section:
    """A heading, then pictures, tables and text, all of them functions of the study.

    Args:
        title: The heading.
        text: What was measured and by which law, in sentences.
        pictures: Drawn below the text.
        tables: Stand below the pictures.
    """

    title: str
    text: str = ""
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Callable[[Study], Table], ...] = ()
