"""The doctor's findings as a page with plots."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ablax.doctor import checks
from ablax.doctor.checks import Finding
from ablax.report import figures as kit
from ablax.report.page import Block, Heading, Illustration, Items, Paragraph
from ablax.report.page import write_page as write
from ablax.report.tables import Table, sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# ------------------------------------------------------------------------------------------
# The pictures of an examination: each drawn from the measurements of one finding.


@kit.settings()
def learning_rate_figure(found: Finding) -> Figure:
    """The loss against the learning rate, the recipe's rate and the diverging one marked."""
    told = found.measurements
    figure, (axes,) = kit.panels(1, 1, (kit.WIDTH, 5.7), above=0.4)
    curve = [value if math.isfinite(value) else math.nan for value in told["smoothed"]]
    axes.plot(told["rates"], told["losses"], ".", color="#B0B0B0", label="each step")
    axes.plot(told["rates"], curve, color=kit.COLORS[1], label="median of 7 steps")
    axes.axvline(told["rate"], color=kit.COLORS[3], lw=2, ls="--", label="rate of the recipe")
    if told["diverging_rate"] is not None:
        axes.axvline(told["diverging_rate"], color=kit.COLORS[2], lw=2, label="diverging from here")
    finite = [value for value in curve if math.isfinite(value)]
    top = max(finite[0], min(finite)) * 1.6 if finite else 1.0
    axes.set_ylim(0, top)
    kit.logarithmic(axes, "x")
    axes.set_xlabel("learning rate (logarithmic)")
    axes.set_ylabel("training loss")
    axes.set_title("Range test: where does training diverge?")
    axes.legend(loc="lower left")
    hidden = any(not loss <= top for loss in told["losses"])
    more = f" Losses above {top:.2g} are not shown." * hidden
    return kit.set_caption(figure, sentence(found.sentence) + more)


@kit.settings()
def gradients_figure(found: Finding) -> Figure:
    """The gradient's size against depth, in two units, with the limits of the criterion."""
    told = found.measurements
    names = ("|W| |dL/dW|: change of the loss per share of the layer", "|dL/dW|: bare norm")
    figure, drawn = kit.panels(2, 1, (kit.WIDTH, 3.4), above=0.6, grid="y", sharex=True)
    for axes, what, name in zip(drawn, ("effects", "norms"), names, strict=True):
        axes.plot(range(len(told[what])), told[what], "o-", color=kit.COLORS[1])
        axes.set_title(name)
    for limit in (1 / checks.FACTOR, checks.FACTOR):
        drawn[0].axhline(limit, color=kit.COLORS[2], lw=1.5, ls="--")
    for axes in drawn:
        kit.logarithmic(axes, "y")
    left_out = kit.name_layers(drawn[-1], told["layers"])
    return kit.set_caption(
        figure, f"{sentence(found.sentence)} Dashed: limits of the upper measure.{left_out}"
    )


@kit.settings()
def units_figure(found: Finding) -> Figure:
    """Dead and repeated units of each layer, before and after training."""
    told = found.measurements
    size, share = (kit.WIDTH, 3.4), "% of the layer"
    figure, drawn = kit.panels(2, 1, size, above=0.6, grid="y", y=share, sharex=True)
    shown = (
        ("dead", "Units that ignore the input", checks.DEAD),
        ("repeated", f"Units that repeat another (|r| ≥ {checks.SAME})", checks.REPEATED),
    )
    for axes, (what, name, limit) in zip(drawn, shown, strict=True):
        for shift, when, color in ((-0.2, "before", "#A6A6A6"), (0.2, "after", kit.COLORS[1])):
            shares = [100 * share for share in told[f"{what}_{when}"]]
            places = [place + shift for place in range(len(shares))]
            axes.bar(places, shares, width=0.38, color=color, label=f"{when} training")
        axes.axhline(100 * limit, color=kit.COLORS[2], lw=1.5, ls="--", label="limit")
        axes.set_ylim(0, 100)
        axes.set_title(name)
    drawn[0].legend(ncols=3)
    return kit.set_caption(
        figure, sentence(found.sentence) + kit.name_layers(drawn[-1], told["layers"])
    )


@kit.settings()
def curves_figure(found: Finding) -> Figure:
    """Training loss, and training and test error side by side, by epoch."""
    told = found.measurements
    size = (kit.WIDTH, 3.5)
    figure, (losses, errors) = kit.panels(2, 1, size, above=0.4, x="epochs", sharex=True)
    losses.plot(told["epochs"], told["losses"], "o-", color=kit.COLORS[1])
    losses.set_ylabel("training loss")
    errors.plot(told["epochs"], told["train_error"], "o-", color=kit.COLORS[1], label="training")
    errors.plot(told["test_epochs"], told["test_error"], "s--", color=kit.COLORS[2], label="test")
    errors.set_ylabel("error, %")
    errors.legend()
    for axes in (losses, errors):
        axes.set_ylim(bottom=0)
    return kit.set_caption(
        figure,
        "Training figures are means over an epoch, with augmentation and dropout, so the error "
        "may be above that on test images. The test images serve as validation.",
    )


FIGURES: dict[str, tuple[str, str, Callable[[Finding], Figure]]] = {
    checks.LEARNING_RATE_CHECK: ("learning_rate", "losses", learning_rate_figure),
    checks.GRADIENT_FLOW_CHECK: ("gradients", "effects", gradients_figure),
    checks.UNITS_CHECK: ("units", "layers", units_figure),
    checks.DIVERGENCE_CHECK: ("curves", "losses", curves_figure),
}
"""By check: the name of the file, the measurement without which nothing can be drawn, and how."""


# ------------------------------------------------------------------------------------------
# The report of an examination: a table, what to do, and pictures, as Markdown and as HTML.


def findings_table(name: str, findings: Sequence[Finding]) -> Table:
    """One row per check."""
    rows = tuple((each.check, each.verdict, sentence(each.sentence)) for each in findings)
    return Table(f"Examination of {name}", ("check", "finding", "measured"), rows)


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

    Gives the path of `doctor.html`. The note says what the data are.

    Raises:
        ReportError: The folder cannot be written.
    """
    title = f"Examination of {name}"
    found: list[Block] = [Paragraph(summary(findings), lead=True), Paragraph(sentence(note))]
    found += [findings_table(name, findings)]
    if steps := advice(findings):
        found += [Heading("What to do"), Items(tuple(map(sentence, steps)))]
    drawings = {}
    for each in findings:
        stem, needed, draw = FIGURES.get(each.check, ("", "", None))
        if draw is not None and each.measurements.get(needed):
            drawings[stem] = kit.drawing(draw(each), dpi=110)
            found += [Heading(each.check.capitalize()), Illustration(stem, sentence(each.sentence))]
    return write(folder, "doctor", title, found, drawings)
