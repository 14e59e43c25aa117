"""The pictures of a report as files: PNG for slides, SVG for pages; equal studies, equal bytes."""

from __future__ import annotations

import io
from pathlib import Path

from ablax.errors import ReportError
from ablax.report.drawing import settings
from ablax.report.files import write_atomically
from ablax.report.plots import (
    OWN_INTERVALS,
    costs_figure,
    curves_figure,
    drops_figure,
    errors_figure,
)
from ablax.report.results import Study
from ablax.report.section import Picture
from ablax.report.tables import TRAINING_NOTE

PICTURES = (
    Picture(
        name="errors",
        title="Test error of every variant",
        caption="Test error after the last epoch: a dot for every seed, their mean and its 95 % "
        f"confidence interval. {OWN_INTERVALS}",
        draw=errors_figure,
    ),
    Picture(
        name="drops",
        title="Increase of error, here and as published",
        caption="Increase of test error over the baseline, points (right: worse): mean difference "
        "paired by seed, with simultaneous 95 % intervals; beside it the published increases, on "
        "other data and by other measures.",
        draw=drops_figure,
    ),
    Picture(
        name="curves",
        title="How the variants learned",
        caption="Training loss on a logarithmic scale and test error by epoch: mean over seeds and "
        f"range. The last fifth of the epochs is shaded. {TRAINING_NOTE}",
        draw=curves_figure,
    ),
    Picture(
        name="costs",
        title="Error against cost",
        caption="Test error against the number of parameters and against multiply-accumulates.",
        draw=costs_figure,
    ),
)
"""The pictures of a report, in its order."""


_OF_SEVERAL = ("drops", "costs")


def pictures(study: Study) -> tuple[Picture, ...]:
    """The pictures that this study can fill: none of comparison for a single variant.

    Raises:
        ReportError: When two of them would be written to one file.
    """
    own = [picture for section in study.sections for picture in section.pictures]
    several = len(study.variants) > 1
    found = [p for p in PICTURES if several or p.name not in _OF_SEVERAL] + own
    names = [picture.name for picture in found]
    for name in names:
        if names.count(name) > 1:
            raise ReportError(f"two pictures are named {name!r}: give each its own name")
    return tuple(found)


def render(study: Study, picture: Picture) -> tuple[bytes, str]:
    """The picture as PNG (at twice the usual resolution) and as SVG."""
    with settings():
        figure = picture.draw(study)
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=160)
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return png.getvalue(), svg.getvalue().decode()


def write_pictures(study: Study, folder: Path) -> dict[str, tuple[Path, Path]]:
    """Writes every picture as PNG and SVG.

    Returns:
        The paths of the PNG and of the SVG, by the picture's name.

    Raises:
        ReportError: When the folder cannot be written.
    """
    written = {}
    for picture in pictures(study):
        png, svg = render(study, picture)
        written[picture.name] = (
            write_atomically(folder / f"{picture.name}.png", png),
            write_atomically(folder / f"{picture.name}.svg", svg),
        )
    return written
