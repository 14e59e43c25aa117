"""A quantity against a number: error by depth, seconds by batch; a line for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablax.report.drawing import (
    WIDTH,
    blank,
    logarithmic,
    look,
    scaled_tick,
    settings,
    where,
    write_caption,
)
from ablax.report.results import Study, Variant
from ablax.report.section import Picture
from ablax.report.statistics import mean, mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LONGEST = 28
"""Letters of a title that fit beside an axis too."""


@dataclass(frozen=True)
class Trend:
    """One picture: panels side by side, each with a line for every series.

    Args:
        name: Stem of the picture's files.
        title: Heading in the report.
        x_label: What the number is, with its unit.
        series: Label to the variants by their number; those that were not run are left out.
        panels: The quantities of each panel, drawn together where there are several.
        logarithmic_x: Whether the numbers grow by factors.
        number: Gives the number of a variant where only the study knows it, such as its
            parameters; those of `series` are its order then.
    """

    name: str
    title: str
    x_label: str
    series: Mapping[str, Mapping[float, str]]
    panels: tuple[tuple[str, ...], ...]
    logarithmic_x: bool = False
    number: Callable[[Variant], float] | None = None

    @property
    def picture(self) -> Picture:
        """It as a picture of a section."""
        of = "; ".join(self.series)
        caption = f"{self.title}: against {self.x_label}, a line each for {of}."
        return Picture(self.name, self.title, caption, self.draw)

    def draw(self, study: Study) -> Figure:
        """Mean over seeds, a dot a seed, and the mean's 95 % interval."""
        with settings():
            figure = blank(WIDTH, 6.2)
            panels = figure.subplots(1, len(self.panels), squeeze=False)[0]
            for axes, quantities in zip(panels, self.panels, strict=True):
                self._draw_panel(axes, study, quantities)
            handles, labels = panels[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
            write_caption(
                figure,
                "Lines: mean over seeds. Small dots: seeds. Bars: the mean's 95 % t interval, none "
                f"for one seed. {where(study)}",
            )
            return figure

    def _draw_panel(self, axes: Axes, study: Study, quantities: tuple[str, ...]) -> None:
        place = 0
        series = {label: self._numbered(study, names) for label, names in self.series.items()}
        for label, variants in series.items():
            for quantity in quantities:
                kind = study.quantity(quantity).label.split(", ")[-1]
                more = f", {kind}" if len(quantities) > 1 else ""
                points = _points(study, variants, quantity)
                _draw_series(axes, points, label + more, look(place))
                place += 1
        chosen = study.quantity(quantities[0])
        unit = {"points": "%"}.get(chosen.unit, chosen.unit)
        title = chosen.label.split(",")[0]
        axes.set_title(title[:1].upper() + title[1:])
        short = {"s": "seconds"}.get(unit, unit) or title
        axes.set_ylabel(short if len(title) > LONGEST else f"{title}, {unit}" if unit else title)
        axes.set_xlabel(self.x_label)
        axes.grid(color="#E4E4E4")
        if axes.dataLim.ymin >= 0:
            axes.set_ylim(bottom=0)
        shown = sorted({at for variants in series.values() for at in variants})
        ran = [at for at in shown if _ran(study, series, at)]
        if self.logarithmic_x:
            logarithmic(axes, "x")
        if self.number is None:
            axes.set_xticks(ran, [scaled_tick(float(f"{at:.3g}")) for at in ran])
            axes.set_xticks([], minor=True)

    def _numbered(self, study: Study, variants: Mapping[float, str]) -> Mapping[float, str]:
        """The variants by the numbers that they are drawn at."""
        if self.number is None:
            return variants
        ran = [name for name in variants.values() if name in study.names]
        return {float(self.number(study.variant(name))): name for name in ran}


def _ran(study: Study, series: Mapping[str, Mapping[float, str]], at: float) -> bool:
    return any(variants.get(at) in study.names for variants in series.values())


def _points(
    study: Study, variants: Mapping[float, str], quantity: str
) -> list[tuple[float, list[float]]]:
    """Number and values over seeds, of the variants that have any."""
    found = [
        (at, list(study.values(f"{name}:{quantity}").values()))
        for at, name in sorted(variants.items())
        if name in study.names
    ]
    return [(at, values) for at, values in found if values]


def _draw_series(
    axes: Axes, points: list[tuple[float, list[float]]], label: str, style: dict[str, object]
) -> None:
    color = str(style["color"])
    means = [mean(values) for _, values in points]
    axes.plot([at for at, _ in points], means, lw=2.2, ms=8, label=label, **style)  # type: ignore[arg-type]
    for at, values in points:
        if len(values) > 1:
            axes.plot([at] * len(values), values, "o", color=color, ms=4, alpha=0.5, mew=0)
        interval = mean_interval(values)
        if interval:
            axes.plot([at] * 2, [interval.low, interval.high], color=color, lw=1.5, alpha=0.8)
