"""How a report shows errors on shifted images and on images of other sizes."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ablax.measurements.distortions import distortions_of
from ablax.report.figures import (
    WIDTH,
    blank,
    logarithmic,
    look,
    settings,
    where,
    wrapped,
    write_caption,
)
from ablax.report.statistics import deviation, mean
from ablax.report.study import Picture, Study
from ablax.report.tables import NOTHING, Column, Table, number, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REFUSES = "refuses"
"""Stands where a network takes no images of a size."""

Found = dict[str, dict[float, list[float]]]
"""Variant, then shift or size, then the errors of the seeds."""


def shift_picture(name: str) -> Picture:
    """Error against shift, a line a variant."""
    return Picture(
        name=name,
        title="Test error on shifted images",
        caption="Test error against the shift of the test images in pixels, a line a variant.",
        draw=partial(shift_figure, name=name),
    )


def size_picture(name: str) -> Picture:
    """Error against image size, a line a variant."""
    return Picture(
        name=name,
        title="Test error on images of another size",
        caption="Test error against the size of the test images in pixels, a line a variant.",
        draw=partial(size_figure, name=name),
    )


def shift_figure(study: Study, name: str) -> Figure:
    """Test error against the shift."""
    found = by_variant(study, name, "shift")
    with settings():
        figure, axes = _panel(study)
        _lines(axes, study, found)
        axes.set_xlabel("shift of the test images, pixels")
        write_caption(figure, f"{_MARKS} {distortions_of(study)} {where(study)}")
        return figure


def size_figure(study: Study, name: str) -> Figure:
    """Test error against the image size; who refuses is said in the legend."""
    found = by_variant(study, name, "image_size")
    own = [row["image_size"] for row in study.rows(name) if float(row["factor"]) == 1]
    with settings():
        figure, axes = _panel(study)
        _lines(axes, study, found)
        axes.set_xlabel("height and width of the test images, pixels")
        text = _MARKS
        if own:
            axes.axvline(float(own[0]), color="#888888", lw=1, ls="--", zorder=0)
            text += " Dashed: the size that was trained."
        write_caption(figure, f"{text} {distortions_of(study)} {where(study)}")
        return figure


_MARKS = (
    "Mark: mean over the seeds, set a little aside where others lie. Bar: from the best seed to "
    "the worst."
)


def shift_table(study: Study, name: str) -> Table:
    """Mean and deviation of the error, a row a variant and a column a shift."""
    found = by_variant(study, name, "shift")
    return _table(study, found, "Test error on shifted images, %", "{:g} px")


def size_table(study: Study, name: str) -> Table:
    """Mean and deviation of the error, a row a variant and a column a size."""
    found = by_variant(study, name, "image_size")
    return _table(study, found, "Test error on images of another size, %", "{0:g} x {0:g}")


def by_variant(study: Study, name: str, column: str) -> Found:
    """The errors of a measurement by variant and by a column; nan where the network refused."""
    found: Found = {variant: defaultdict(list) for variant in study.names}
    for row in study.rows(name):
        found[row["variant"]][float(row[column])].append(float(row["error"]))
    return {variant: dict(sorted(errors.items())) for variant, errors in found.items() if errors}


def _panel(study: Study) -> tuple[Figure, Axes]:
    figure = blank(WIDTH, 6.4)
    axes = figure.subplots()
    axes.set_title(f"Test error, {study.recipe_name}")
    axes.set_ylabel("test error, % (logarithmic)")
    axes.grid(axis="y", color="#DDDDDD")
    return figure, axes


def _lines(axes: Axes, study: Study, found: Found) -> None:
    """A line a variant, marks side by side where they would lie on each other."""
    places = sorted({place for errors in found.values() for place in errors})
    step = min(np.diff(places), default=1.0)
    middle = (len(found) - 1) / 2
    for at, (variant, errors) in enumerate(found.items()):
        beside = 0.03 * step * (at - middle)
        taken = {place: values for place, values in errors.items() if _finite(values)}
        if not taken:
            continue
        style: dict[str, Any] = look(study.names.index(variant))
        x = [place + beside for place in taken]
        label = wrapped(study.variant(variant).label, 26)
        if len(taken) < len(errors):
            label += f"\n({REFUSES} the others)"
        axes.plot(x, [mean(values) for values in taken.values()], lw=2, ms=8, label=label, **style)
        for place, values in zip(x, taken.values(), strict=True):
            axes.plot([place] * 2, [min(values), max(values)], color=style["color"], lw=1.5)
    axes.set_xticks(places, [f"{place:g}" for place in places])
    logarithmic(axes, "y")
    axes.figure.legend(loc="outside right upper", fontsize=12, frameon=False)


def _table(study: Study, found: Found, title: str, heading: str) -> Table:
    places = sorted({place for errors in found.values() for place in errors})
    rows = [
        (
            study.variant(variant).label,
            *(_cell(errors.get(place, [])) for place in places),
            number(max(map(len, errors.values())), 0),
        )
        for variant, errors in found.items()
    ]
    headings = [*(heading.format(place) for place in places), "n"]
    notes = ["Mean ± standard deviation over n seeds, percent of the test images."]
    if any(REFUSES in row for row in rows):
        notes.append(
            f"{REFUSES.capitalize()}: the network takes no images of this size, so it has no error."
        )
    columns = (Column("Variant", "left"), *map(Column, headings))
    return Table(title, columns, tuple(rows), tuple(notes))


def _cell(errors: list[float]) -> str:
    if not errors:
        return NOTHING
    return spread(mean(errors), deviation(errors)) if _finite(errors) else REFUSES


def _finite(errors: list[float]) -> bool:
    return all(map(math.isfinite, errors))
