"""The pictures of a report: errors, differences, curves, costs; panels and trends of one's own."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablax.errors import ReportError, nearest
from ablax.report import figures as kit
from ablax.report.differences import comparisons_with_baseline
from ablax.report.statistics import (
    VariantFlatness,
    mean_interval,
    summary,
    variant_flatness,
)
from ablax.report.study import Picture, Run, Study, Variant
from ablax.report.study_tables import TRAINING_NOTE, flatness_words
from ablax.report.tables import number, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


OWN_INTERVALS = (
    "Bars are each variant's own interval, not for comparing variants: see the paired differences."
)


@kit.settings()
def errors_figure(study: Study) -> Figure:
    """Test error of every variant: a dot a seed, the mean, its 95 % interval."""
    figure = kit.blank(kit.WIDTH, kit.height(len(study.variants)))
    axes = figure.subplots()
    kit.name_rows(axes, [variant.label for variant in study.variants])
    for place, variant in enumerate(study.variants):
        _draw_errors(axes, study, variant, place)
    axes.set_title(f"Test error, {study.plan.recipe_name}")
    axes.margins(x=0.1)
    kit.give_room(axes, "x")
    kit.within_percent(axes, "x")
    base = summary(study, study.baseline)
    if math.isfinite(base.error):
        axes.axvline(base.error, color="#888888", lw=1, ls="--", zorder=0)
    axes.set_xlabel("test error after the last epoch, %")
    text = "Right: the error."
    if any(summary(study, name).n > 1 for name in study.names):
        text = f"{OWN_INTERVALS} Right: mean ± standard deviation."
    return kit.set_caption(figure, f"{text} Dashed: mean of {study.variant(study.baseline).label}.")


def _draw_errors(axes: Axes, study: Study, variant: Variant, place: int) -> None:
    """One row: the mean and its interval, the seeds below, the numbers at the right."""
    errors = [run.test_error for run in study.finished_runs_of(variant.name)]
    at_row = axes.get_yaxis_transform()
    if not errors:
        axes.text(0.01, place, "no run finished", transform=at_row, va="center", color="#444444")
        return
    color, line = kit.look(place)["color"], summary(study, variant.name)
    # under the mean, one below the other in the order of the seeds
    step = 0.2 / max(1, len(errors) - 1)
    below = [place + 0.12 + step * seed for seed in range(len(errors))]
    axes.plot(errors, below, "o", color=color, alpha=0.5, mew=0)
    if interval := mean_interval(errors):
        axes.plot(_possible(interval.low, interval.high), [place - 0.06] * 2, color=color, lw=3)
    axes.plot(line.error, place - 0.06, "D", color=color, ms=10, mec="white", mew=1.5)
    text = number(line.error)
    text += f" ± {number(line.error_sd)}" if line.n > 1 else ""
    text += f"  ({line.diverged} diverged)" if line.diverged else ""
    axes.text(1.01, place, text, transform=at_row, va="center", fontweight="bold", color="#222222")


def _possible(low: float, high: float) -> list[float]:
    """The part of an interval in which an error can lie, percent."""
    return [max(low, 0.0), min(high, 100.0)]


@kit.settings()
def drops_figure(study: Study) -> Figure:
    """Increase of error over the baseline: ours, and beside it what was published."""
    from matplotlib.ticker import MaxNLocator

    published = study.plan.published
    others = [variant for variant in study.variants if variant.name != study.baseline]
    names = [variant.name for variant in others]
    figure = kit.blank(kit.WIDTH, kit.height(len(others)) + 0.4 * len(published))
    ours, *theirs = figure.subplots(1, 2 if published else 1, sharey=True, squeeze=False)[0]
    ours.set_title(f"Here: test error, {study.plan.recipe_name}")
    margin = study.plan.error_margin
    ours.axvspan(-margin, margin, color=kit.SHADE, lw=0, zorder=0)
    _draw_differences(ours, study, names)
    for axes in theirs:
        _draw_published(axes, study, names)
    kit.name_rows(ours, [variant.label for variant in others])
    for axes in (ours, *theirs):
        axes.axvline(0, color="#444444", lw=1.2, zorder=0.5)
        # what was published is not always a test error
        kind = "test error" if axes is ours else "error"
        axes.set_xlabel(f"increase of {kind},\npercentage points (right: worse)")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ours.margins(x=0.1)
    kit.give_room(ours, "x")
    for axes in theirs:
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        kit.legend(figure, axes, 1, "outside upper right")
    text = f"Over {study.variant(study.baseline).label}; bar: 95 % interval, all at once, none for "
    text += f"one seed or equal differences; shaded: too small to matter, {margin:g} points."
    if published:
        text += " Other data, other sizes and other measures: compare the order, not the scale."
    return kit.set_caption(figure, text)


def _draw_differences(axes: Axes, study: Study, names: list[str]) -> None:
    compared = comparisons_with_baseline(study)
    for place, name in enumerate(names):
        found = compared[name]
        if not math.isfinite(found.difference):
            axes.annotate("no pair of runs", (0, place), (6, 0), textcoords="offset points")
            continue
        color = kit.look(study.names.index(name))["color"]
        if found.interval:
            axes.plot([found.interval.low, found.interval.high], [place] * 2, color=color, lw=3)
        axes.plot(found.difference, place, "D", color=color, ms=10, mec="white", mew=1.5)
        axes.annotate(
            signed(found.difference),
            (found.difference, place),
            (0, 10),
            textcoords="offset points",
            ha="center",
            fontsize=12,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )


def _draw_published(axes: Axes, study: Study, names: list[str]) -> None:
    axes.set_title("As published")
    many = len(study.plan.published)
    for at, source in enumerate(study.plan.published):
        apart = min(0.3, 0.8 / many)
        offset = (at - (many - 1) / 2) * apart
        drops = {
            place + offset: float(source.drops[name])
            for place, name in enumerate(names)
            if name in source.drops
        }
        color = ("#444444", "#A6A6A6", "#D9D9D9")[at % 3]
        name = textwrap.fill(f"{source.name}: {source.measure}", 70)
        axes.barh(list(drops), list(drops.values()), height=0.8 * apart, color=color, label=name)
        for row, drop in drops.items():
            # beside a bar to the left there is the line of zero
            at_bar = (max(drop, 0.0), row)
            words = {"textcoords": "offset points", "va": "center", "fontsize": 12}
            axes.annotate(signed(drop, 1), at_bar, (5, 0), **words)  # type: ignore[arg-type]
    axes.margins(x=0.16)


@kit.settings()
def curves_figure(study: Study) -> Figure:
    """Training loss (logarithmic) and test error by epoch: mean over seeds and their range."""
    flatness = {name: variant_flatness(study, name) for name in study.names}
    names = {v.name: f"{kit.wrapped(v.label)}\n{_moved(flatness[v.name])}" for v in study.variants}
    lines = sum(label.count("\n") + 1 for label in names.values())
    figure = kit.blank(kit.WIDTH, max(9.0, 1.6 + 0.21 * lines + 0.1 * len(names)))
    losses, errors = figure.subplots(2, 1, sharex=True)
    for axes, curve in ((losses, "train_loss"), (errors, "test_error")):
        for place, name in enumerate(study.names):
            kit.draw_line(axes, _curves(study, name, curve), names[name], kit.look(place))
        low, high = axes.get_ylim()
        if 0 < high < 2 * low:
            axes.set_ylim(low / 1.5, high * 1.5)
        kit.logarithmic(axes, "y")
        words, unit = CURVES[curve]
        axes.set_title(f"{words[:1].upper()}{words[1:]}, logarithmic")
        axes.set_ylabel(words if unit == "nats" else f"{words}, {unit}")
        axes.grid()
    for name, flat in flatness.items():
        ended = [run.curve.epochs[-1] for run in study.runs_of(name) if run.curve.epochs]
        if math.isfinite(flat.mean.start) and ended:
            losses.axvspan(flat.mean.start, max(ended), color=kit.SHADE, lw=0, zorder=-2)
    kit.whole_epochs(errors, study)
    errors.set_xlabel("epochs")
    kit.legend(figure, losses, 1, "outside right upper")
    return kit.set_caption(
        figure,
        "In the shaded last 20 % of the epochs the training loss must have flattened (✓) for a "
        "verdict; beside the mark: how far it still moved there, in percent of itself. "
        f"{TRAINING_NOTE}",
    )


def _moved(flat: VariantFlatness) -> str:
    """The mark of a legend, and how far the loss still moved: down is negative."""
    words = "flat" if flat.flat else flatness_words(flat).split(":")[0]
    text = f"{'✓' if flat.flat else '✗'} {words}"
    if math.isfinite(flat.mean.fall):
        text += f": {signed(-flat.mean.fall, 0)} %"
    return text


def _curves(study: Study, variant: str, curve: str) -> dict[float, list[float]]:
    """From each epoch to the values of the runs of a variant."""

    def of(run: Run) -> dict[float, float]:
        epochs = run.curve.test_epochs if curve == "test_error" else run.curve.epochs
        return dict(zip(epochs, getattr(run.curve, curve), strict=True))

    return kit.over_seeds([of(run) for run in study.runs_of(variant)])


MARK, WIDEST = 9.0, 100.0
"""Points between the marks of two variants of equal cost, and between the first and the last."""

_COSTS = {"parameters": "parameters", "macs": "multiply-accumulates"}


def compared_costs(study: Study) -> list[str]:
    """Of parameters and multiply-accumulates those in which the variants differ."""
    return [what for what in _COSTS if len({getattr(v, what) for v in study.variants}) > 1]


@kit.settings()
def costs_figure(study: Study) -> Figure:
    """Test error against parameters and against multiply-accumulates, where the variants differ."""
    costs = compared_costs(study)
    more = 0.3 * max(0, len(study.variants) - 6)
    figure, drawn = kit.panels(len(costs), 2, (kit.WIDTH, 5.6 + more), above=0.4, sharey=True)
    equal = False
    for axes, what in zip(drawn, costs, strict=False):
        beside = _draw_costs(axes, study, what)
        equal |= beside
        axes.margins(x=0.25 if beside else 0.15, y=0.15)
        axes.set_title(f"Error against {_COSTS[what]}")
        axes.set_xlabel(_COSTS[what] + " of one image" * (what == "macs"))
        kit.count_axis(axes, "x", [getattr(variant, what) for variant in study.variants])
    drawn[0].set_ylabel("test error, %")
    kit.give_room(drawn[0], "y")
    kit.within_percent(drawn[0], "y")
    kit.legend(figure, drawn[0])
    gray = " Marks on one gray band have one cost, that of its middle." if equal else ""
    same = [words for what, words in _COSTS.items() if what not in costs]
    alike = f" All variants have equal {same[0]}." if same else ""
    return kit.set_caption(figure, f"Marks: mean; bars: its 95 % t interval.{gray}{alike}")


def _draw_costs(axes: Axes, study: Study, what: str) -> bool:
    """One mark per variant; gives whether some stand beside their cost, on a gray band."""
    from matplotlib.transforms import ScaledTranslation

    shown = [variant for variant in study.variants if study.finished_runs_of(variant.name)]
    groups: dict[int, list[Variant]] = {}
    for variant in shown:
        groups.setdefault(int(getattr(variant, what)), []).append(variant)
    for variant in shown:
        cost = int(getattr(variant, what))
        group = groups[cost]
        step = min(MARK, WIDEST / len(group))
        points = step * (group.index(variant) - (len(group) - 1) / 2)
        moved = ScaledTranslation(points / 72, 0, axes.get_figure().dpi_scale_trans)  # type: ignore[union-attr]
        if group[0] is variant and len(group) > 1:
            axes.axvline(cost, color=kit.SHADE, lw=step * len(group) + MARK, zorder=-2)
        errors = [run.test_error for run in study.finished_runs_of(variant.name)]
        interval, middle = mean_interval(errors), summary(study, variant.name).error
        ends = _possible(interval.low, interval.high) if interval else [middle]
        # what is drawn through another transformation does not widen the axes by itself
        axes.update_datalim([(cost, end) for end in ends])
        axes.autoscale_view()
        style = kit.look(study.names.index(variant.name)) | {"linestyle": ""}
        aside = axes.transData + moved
        if interval:
            axes.plot([cost] * 2, ends, color=style["color"], lw=2.5, transform=aside)
        name = kit.wrapped(variant.label, 30)
        axes.plot([cost], [middle], transform=aside, ms=12, mec="white", label=name, **style)
    return any(len(group) > 1 for group in groups.values())


CURVES: Mapping[str, tuple[str, str]] = {
    "train_loss": ("training loss", "nats"),
    "train_error": ("training error", "%"),
    "test_error": ("test error", "%"),
}
"""What can be drawn: its name in words and its unit."""


@dataclass(frozen=True)
class CurvePanels:
    """One picture: a panel for every family of variants, or a row of panels, one for each curve.

    With one curve, panels stand two in a row; with several, a row is a family and a column a curve.
    Panels of one curve share their logarithmic axis, and so do curves of one unit. The baseline is
    black wherever it is drawn. Variants that were not run are left out, and so are panels with no
    variant beside the baseline.

    `panels` lead from their headings to the names of variants, the baseline among them where it is
    to be compared with; `curves`, against epochs, are some of `CURVES`.

    Raises:
        ReportError: There are no panels or no curves, or there is no such curve.

    Example:
        >>> CurvePanels("learning", "Learning", {"depth": ("shallow", "deep")}).picture.name
        'learning'
    """

    name: str
    title: str
    panels: Mapping[str, Sequence[str]]
    curves: tuple[str, ...] = ("train_loss",)

    def __post_init__(self) -> None:
        for curve in self.curves:
            if curve not in CURVES:
                raise ReportError(f"no run has a curve {curve!r}: {nearest(curve, list(CURVES))}")
        if not self.panels or not self.curves:
            raise ReportError(
                f"the picture {self.name!r} has {len(self.panels)} panels and {len(self.curves)} "
                "curves: give at least one of each"
            )

    @property
    def picture(self) -> Picture:
        """It as a picture of a section."""
        drawn = " and ".join(CURVES[curve][0] for curve in self.curves)
        families = "; ".join(self.panels)
        caption = (
            f"{self.title}: {drawn} by epoch on a logarithmic scale, mean over seeds and range, "
            f"in panels: {families}."
        )
        return Picture(self.name, self.title, caption, self.draw)

    @kit.settings()
    def draw(self, study: Study) -> Figure:
        """Mean over seeds, the range as a band, and each line's name at its end."""
        shown = self._shown(study)
        cells = [(heading, curve) for heading in shown for curve in self.curves]
        columns = len(self.curves) if len(self.curves) > 1 else 2
        units = {CURVES[curve][1] for curve in self.curves}
        share = "all" if len(units) == 1 else "col"
        figure, drawn = kit.panels(
            len(cells), columns, (kit.WIDTH, 3.9), above=0.5, sharey=share, sharex="all"
        )
        ends = []
        for axes, (heading, curve) in zip(drawn, cells, strict=True):
            ends.append(_draw_family(axes, study, shown[heading], curve))
            title = f"{heading}: {CURVES[curve][0]}" if len(self.curves) > 1 else heading
            axes.set_title(kit.wrapped(title[:1].upper() + title[1:], 48))
        # names are placed when all panels have widened the axes that they share
        for place, (axes, (_, curve)) in enumerate(zip(drawn, cells, strict=True)):
            kit.logarithmic(axes, "y")
            kit.whole_epochs(axes, study)
            axes.set_xlabel("epochs")
            if place % columns == 0 or curve != "train_loss":
                axes.set_ylabel(", ".join(CURVES[curve]))
            axes.tick_params(labelbottom=True, labelleft=True)
        for axes, found in zip(drawn, ends, strict=True):
            kit.name_ends(axes, found)
        return kit.set_caption(
            figure,
            f"Black: {study.variant(study.baseline).label}, wherever it is drawn. A value of 0 is "
            "not drawn, and a line ends where its runs diverge.",
        )

    def _shown(self, study: Study) -> dict[str, list[str]]:
        """The variants of each panel that were run, of the panels that compare something."""
        ran = {
            heading: [name for name in names if name in study.names]
            for heading, names in self.panels.items()
        }
        compared = {h: names for h, names in ran.items() if set(names) - {study.baseline}}
        return compared or dict(list(ran.items())[:1])


def _draw_family(
    axes: Axes, study: Study, names: Sequence[str], curve: str
) -> list[kit.End | None]:
    """The lines of one panel; where each of them ends."""
    others = [name for name in names if name != study.baseline]
    ends, lost = [], []
    for name in names:
        # black comes round, and belongs to the baseline alone
        place = 0 if name == study.baseline else 1 + others.index(name)
        place += max(0, place - 1) // (len(kit.COLORS) - 1)
        label = study.variant(name).label
        ends.append(kit.draw_line(axes, _curves(study, name, curve), label, kit.look(place)))
        lost += [f"{label}: no finite value"] * (ends[-1] is None)
    if lost:
        axes.text(0.98, 0.98, "\n".join(lost), transform=axes.transAxes, ha="right", va="top")
    return ends


LONGEST = 28
"""Letters of a title that fit beside an axis too."""


@dataclass(frozen=True)
class Trend:
    """One picture, of a quantity against a number: panels side by side, a line for every series.

    Args:
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

    @kit.settings()
    def draw(self, study: Study) -> Figure:
        """Mean over seeds, a dot a seed, and the mean's 95 % interval."""
        figure, drawn = kit.panels(len(self.panels), len(self.panels), (kit.WIDTH, 5.2), above=0.4)
        for axes, quantities in zip(drawn, self.panels, strict=True):
            self._draw_panel(axes, study, quantities)
        kit.legend(figure, drawn[0], 4)
        return kit.set_caption(
            figure,
            "Lines: mean over seeds. Small dots: seeds. Bars: the mean's 95 % t interval, none for "
            "one seed.",
        )

    def _draw_panel(self, axes: Axes, study: Study, quantities: tuple[str, ...]) -> None:
        series = {label: self._ran(study, names) for label, names in self.series.items()}
        lines = [(label, quantity) for label in series for quantity in quantities]
        for place, (label, quantity) in enumerate(lines):
            kind = study.quantity(quantity).label.split(", ")[-1]
            more = f", {kind}" if len(quantities) > 1 else ""
            points = {
                at: list(study.values(f"{name}:{quantity}").values())
                for at, name in sorted(series[label].items())
            }
            kit.draw_line(axes, points, label + more, kit.look(place), "interval")
        chosen = study.quantity(quantities[0])
        unit = {"percentage points": "%"}.get(chosen.unit, chosen.unit)
        title = chosen.label.split(",")[0]
        axes.set_title(title[:1].upper() + title[1:])
        short = {"s": "seconds"}.get(unit, unit) or title
        axes.set_ylabel(short if len(title) > LONGEST else f"{title}, {unit}" if unit else title)
        axes.set_xlabel(self.x_label)
        if axes.dataLim.ymin >= 0:
            axes.set_ylim(bottom=0)
        if unit == "%":
            axes.set_ylim(top=min(axes.get_ylim()[1], 102))
        if self.logarithmic_x:
            kit.logarithmic(axes, "x")
        if self.number is None:
            shown = sorted({at for variants in series.values() for at in variants})
            axes.set_xticks(shown, [kit.scaled_tick(float(f"{at:.3g}")) for at in shown])
            axes.set_xticks([], minor=True)

    def _ran(self, study: Study, variants: Mapping[float, str]) -> Mapping[float, str]:
        """The variants that were run, by the numbers that they are drawn at."""
        ran = {at: name for at, name in variants.items() if name in study.names}
        if self.number is None:
            return ran
        return {float(self.number(study.variant(name))): name for name in ran.values()}


PICTURES = (
    Picture(
        name="errors",
        title="Test error of every variant",
        caption="Test error after the last epoch: a dot for every seed, a diamond for their mean, "
        "a bar for its 95 % t interval.",
        draw=errors_figure,
    ),
    Picture(
        name="drops",
        title="Increase of error, here and as published",
        caption="Increase of test error over the baseline, percentage points: mean difference "
        "paired by seed, with simultaneous 95 % intervals; beside it the published increases, on "
        "other data and by other measures.",
        draw=drops_figure,
    ),
    Picture(
        name="curves",
        title="How the variants learned",
        caption="Training loss and test error by epoch, logarithmic: lines are means over seeds, "
        "bands reach from the lowest to the highest.",
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


def pictures(study: Study) -> tuple[Picture, ...]:
    """The pictures that this study can fill: of comparison only where something differs.

    Raises:
        ReportError: When two of them would be written to one file.
    """
    own = [picture for section in study.plan.sections for picture in section.pictures]
    filled = {"drops": len(study.variants) > 1, "costs": bool(compared_costs(study))}
    found = [picture for picture in PICTURES if filled.get(picture.name, True)] + own
    names = [picture.name for picture in found]
    for name in names:
        if not re.fullmatch(r"\w[\w-]*", name):
            raise ReportError(f"a picture is named {name!r}: use letters, digits, '_' and '-'")
        if names.count(name) > 1:
            raise ReportError(f"two pictures are named {name!r}: give each its own name")
    return tuple(found)


def drawn(study: Study, picture: Picture) -> kit.Drawing:
    """The picture as PNG and SVG, and its whole caption, as a reader sees it."""
    figure = picture.draw(study)
    kit.set_caption(figure, f"{picture.caption} {kit.caption_of(figure)} {kit.where(study)}")
    return kit.drawing(figure)
