"""The doctor's findings as a page with plots."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ablax.doctor import checks as divergence
from ablax.doctor import checks as gradient_flow
from ablax.doctor import checks as learning_rate
from ablax.doctor import checks as units
from ablax.doctor.checks import Finding
from ablax.report.figures import COLORS, WIDTH, blank, logarithmic, settings, write_caption
from ablax.report.files import write_atomically
from ablax.report.page import PLOTS, Block, Heading, Items, Paragraph, html_page, markdown_page
from ablax.report.study import Picture, Study
from ablax.report.tables import Column, Table, sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# ------------------------------------------------------------------------------------------
# The pictures of an examination: each drawn from the measurements of one finding.

_NAMED = 34
"""So many names of layers fit below the axis; of more, some are left out."""


def learning_rate_figure(found: Finding) -> Figure:
    """The loss against the learning rate, the recipe's rate and the diverging one marked."""
    told = found.measurements
    with settings():
        figure = blank(WIDTH, 6.5)
        axes = figure.subplots()
        curve = [value if math.isfinite(value) else math.nan for value in told["smoothed"]]
        axes.plot(told["rates"], told["losses"], ".", color="#B0B0B0", ms=7, label="each step")
        axes.plot(told["rates"], curve, color=COLORS[1], lw=2.5, label="median of 7 steps")
        axes.axvline(told["rate"], color=COLORS[3], lw=2, ls="--", label="rate of the recipe")
        if told["diverging_rate"] is not None:
            axes.axvline(told["diverging_rate"], color=COLORS[2], lw=2, label="diverging from here")
        finite = [value for value in curve if math.isfinite(value)]
        top = max(finite[0], min(finite)) * 1.6 if finite else 1.0
        axes.set_ylim(0, top)
        logarithmic(axes, "x")
        axes.set_xlabel("learning rate (logarithmic)")
        axes.set_ylabel("training loss")
        axes.set_title("Range test: where does training diverge?")
        axes.legend(frameon=False, fontsize=12, loc="lower left")
        axes.grid(color="#E4E4E4")
        hidden = any(not loss <= top for loss in told["losses"])
        more = f" Losses above {top:.2g} are not shown." * hidden
        write_caption(figure, sentence(found.sentence) + more)
        return figure


def gradients_figure(found: Finding) -> Figure:
    """The gradient's size against depth, in two units, with the limits of the criterion."""
    told = found.measurements
    with settings():
        figure = blank(WIDTH, 8.0)
        panels = figure.subplots(2, 1, sharex=True)
        for axes, values, name in zip(
            panels,
            (told["effects"], told["norms"]),
            ("|W| |dL/dW|: change of the loss per share of the layer", "|dL/dW|: bare norm"),
            strict=True,
        ):
            axes.plot(range(len(values)), values, "o-", color=COLORS[1], lw=2, ms=8)
            if axes is panels[0]:
                for limit in (1 / gradient_flow.FACTOR, gradient_flow.FACTOR):
                    axes.axhline(limit, color=COLORS[2], lw=1.5, ls="--")
            logarithmic(axes, "y")
            axes.set_title(name)
            axes.grid(axis="y", color="#E4E4E4")
        _name_layers(panels[-1], told["layers"])
        write_caption(figure, f"{sentence(found.sentence)} Dashed: limits of the upper measure.")
        return figure


def units_figure(found: Finding) -> Figure:
    """Dead and repeated units of each layer, before and after training."""
    told = found.measurements
    with settings():
        figure = blank(WIDTH, 8.0)
        panels = figure.subplots(2, 1, sharex=True)
        for axes, what, name, limit in (
            (panels[0], "dead", "Units that ignore the input", units.DEAD),
            (
                panels[1],
                "repeated",
                f"Units that repeat another (|r| ≥ {units.SAME})",
                units.REPEATED,
            ),
        ):
            places = range(len(told["layers"]))
            for shift, when, color in ((-0.2, "before", "#A6A6A6"), (0.2, "after", COLORS[1])):
                heights = [100 * share for share in told[f"{what}_{when}"]]
                label = f"{when} training"
                axes.bar([p + shift for p in places], heights, width=0.38, color=color, label=label)
            axes.axhline(100 * limit, color=COLORS[2], lw=1.5, ls="--", label="limit")
            axes.set_ylim(0, 100)
            axes.set_ylabel("% of the layer")
            axes.set_title(name)
            axes.grid(axis="y", color="#E4E4E4")
        panels[0].legend(frameon=False, fontsize=12, ncols=3)
        _name_layers(panels[-1], told["layers"])
        write_caption(figure, sentence(found.sentence))
        return figure


def curves_figure(found: Finding) -> Figure:
    """Training loss, and training and test error side by side, by epoch."""
    told = found.measurements
    with settings():
        figure = blank(WIDTH, 8.0)
        panels = figure.subplots(2, 1, sharex=True)
        panels[0].plot(told["epochs"], told["losses"], "o-", color=COLORS[1])
        panels[0].set_ylabel("training loss")
        panels[1].plot(told["epochs"], told["train_error"], "o-", color=COLORS[1], label="training")
        panels[1].plot(
            told["test_epochs"], told["test_error"], "s--", color=COLORS[2], label="test"
        )
        panels[1].set_ylabel("error, %")
        panels[1].set_xlabel("epochs")
        panels[1].legend(frameon=False)
        for axes in panels:
            axes.set_ylim(bottom=0)
            axes.grid(color="#E4E4E4")
        write_caption(
            figure,
            "Training figures are means over an epoch, with augmentation and dropout, so the error "
            "may be above that on test images. The test images serve as validation.",
        )
        return figure


def _name_layers(axes: Axes, names: Sequence[str]) -> None:
    step = math.ceil(len(names) / _NAMED)
    places = range(0, len(names), step)
    axes.set_xticks(places, [names[place] for place in places], rotation=90, fontsize=11)
    axes.set_xlabel("layers, from the images to the scores")


FIGURES: dict[str, tuple[str, str, Callable[[Finding], Figure]]] = {
    learning_rate.LEARNING_RATE_CHECK: ("learning_rate", "losses", learning_rate_figure),
    gradient_flow.GRADIENT_FLOW_CHECK: ("gradients", "effects", gradients_figure),
    units.UNITS_CHECK: ("units", "layers", units_figure),
    divergence.DIVERGENCE_CHECK: ("curves", "losses", curves_figure),
}
"""By check: the name of the file, the measurement without which nothing can be drawn, and how."""


# ------------------------------------------------------------------------------------------
# The report of an examination: a table, what to do, and pictures, as Markdown and as HTML.

_COLUMNS = (Column("check", "left"), Column("finding", "left"), Column("measured", "left"))


def findings_table(name: str, findings: Sequence[Finding]) -> Table:
    """One row per check."""
    rows = tuple((each.check, each.verdict, sentence(each.sentence)) for each in findings)
    return Table(f"Examination of {name}", _COLUMNS, rows)


def summary(findings: Sequence[Finding]) -> str:
    """The outcome in a sentence.

    Example:
        >>> summary([Finding("speed", True, "slow"), Finding("units", False, "alive")])
        'Problem found: speed (1 of 2 checks passed).'
    """
    problem = [each.check for each in findings if each.problem]
    open_ = [each.check for each in findings if each.problem is None]
    passed = sum(each.problem is False for each in findings)
    found = "No problem found"
    if problem:
        found = f"Problem{'s' * (len(problem) > 1)} found: {', '.join(problem)}"
    said = f"{found} ({passed} of {len(findings)} checks passed)."
    return f"{said} Inconclusive: {', '.join(open_)}." if open_ else said


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
