"""What the tables of a report say; their forms are in `forms`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ablax.report.flatness import FLAT_WITHIN, VariantFlatness, variant_flatness
from ablax.report.forms import (
    NOTHING,
    Column,
    Table,
    as_rich,
    number,
    scaled,
    sentence,
    signed,
    spread,
)
from ablax.report.results import Study
from ablax.report.statistics import Comparison, Summary, comparisons_with_baseline, summary

if TYPE_CHECKING:
    import rich.table


TRAINING_NOTE = (
    "Training loss and training error are taken with dropout and distortions on: they cannot be "
    "compared between variants with different dropout (removing a dense layer removes its dropout)."
)
"""Stands wherever training figures of several variants stand together."""

SMALL_LOSS_NOTE = (
    "A loss of a few hundredths can be flat by this law and still move by a large part of itself."
)


def difference_text(compared: Comparison | None) -> str:
    """`+1.23 [+0.40, +2.06]`: a mean paired difference and its interval."""
    if compared is None or not math.isfinite(compared.difference):
        return NOTHING
    text = signed(compared.difference)
    if compared.interval is None:
        return f"{text} [{NOTHING}]"
    return f"{text} [{signed(compared.interval.low)}, {signed(compared.interval.high)}]"


def runs_text(line: Summary) -> str:
    """How many runs count, and how many did not come to their end."""
    return f"{line.n} ({line.diverged} diverged)" if line.diverged else str(line.n)


def interval_note(study: Study) -> str:
    """What the brackets mean, for the number of comparisons this study makes."""
    others = len(study.variants) - 1
    if others < 1:
        return "There is no other variant to compare with."
    together = f", the {others} of them together (Bonferroni)" if others > 1 else ""
    return (
        f"Brackets: 95 % confidence interval of the mean difference paired by seed{together}, "
        "Student's t; it covers seeds, not test images. No interval for one seed."
    )


def main_table(study: Study) -> Table:
    """A row a variant: what it costs, what it errs, how far it is from the baseline."""
    base = study.variant(study.baseline)
    compared = comparisons_with_baseline(study)
    cut = mostly_cut(study)
    several = len(study.variants) > 1
    rows = []
    for variant in study.variants:
        line = summary(study, variant.name)
        against = compared.get(variant.name)
        removed = _removed(base.parameters, variant.parameters, variant.name == base.name)
        rows.append(
            (
                variant.label,
                number(variant.parameters, 0),
                scaled(variant.macs),
                *([removed] if cut else []),
                spread(line.error, line.error_sd),
                runs_text(line),
                *([difference_text(against)] if several else []),
                *([number(against.correlation) if against else NOTHING] if several else []),
                number(line.train_loss, 3),
                number(line.seconds, 1),
            )
        )
    lost = any(not run.counts for run in study.runs)
    headings = (
        *("Parameters", "MACs", *(["Parameters removed"] if cut else []), "Test error, %", "n"),
        *([f"Increase over {base.label}, points", "r"] if several else []),
        *("Training loss", "Seconds a run"),
    )
    again = f"r: measured correlation of the errors with those of {base.label}, seed by seed. "
    return Table(
        title="What each variant costs and errs",
        columns=(Column("Variant", "left"), *(Column(heading) for heading in headings)),
        rows=tuple(rows),
        notes=(
            "Test error: last epoch, mean ± standard deviation over n seeds."
            + (" Diverged runs are left out, which flatters their variant." if lost else ""),
            interval_note(study),
            f"{again if several else ''}MACs: multiply-accumulates of one image forward.",
            TRAINING_NOTE,
        ),
    )


def published_table(study: Study) -> Table:
    """Our increases of error and parameters removed beside those that were published."""
    base = study.variant(study.baseline)
    compared = comparisons_with_baseline(study)
    full = study.full_size_parameters
    cut = mostly_cut(study)
    columns = [Column("Variant", "left")]
    if cut:
        columns += [Column("Removed here"), Column("Removed at full size")]
    columns += [Column(f"Removed, {p.name}") for p in study.published if p.parameters_removed]
    columns += [Column("Increase, points, here")]
    columns += [Column(f"Increase, {p.unit}, {p.name}") for p in study.published]
    rows = []
    for variant in study.variants:
        if variant.name == base.name:
            continue
        name = variant.name
        known = name in full and base.name in full
        cells = [variant.label]
        if cut:
            cells += [_removed(base.parameters, variant.parameters)]
            cells += [_removed(full[base.name], full[name]) if known else NOTHING]
        cells += [
            scaled(p.parameters_removed.get(name, math.nan))
            for p in study.published
            if p.parameters_removed
        ]
        cells += [difference_text(compared[name])]
        cells += [signed(p.drops.get(name, math.nan), 1) for p in study.published]
        rows.append(tuple(cells))
    notes = [f"Here: test error, {study.recipe_name}. {interval_note(study)}"]
    notes += [
        f"{sentence(f'{p.name}: {p.measure}')} {sentence(p.note)}".strip() for p in study.published
    ]
    return Table("The published figures beside ours", tuple(columns), tuple(rows), tuple(notes))


def flatness_table(study: Study) -> Table:
    """A row a variant: how far its training loss still moved when training ended."""
    rows = []
    for variant in study.variants:
        flat = variant_flatness(study, variant.name)
        law = flat.mean
        moved = f"{number(law.fall)} ± {number(law.noise)}"
        rows.append(
            (
                variant.label,
                moved if math.isfinite(law.fall) else NOTHING,
                number(law.relative_fall, 1),
                f"{flat.flat_runs} of {flat.n}",
                flatness_words(flat),
            )
        )
    headings = (
        "Fall in the last fifth, % of the whole fall",
        "The same, % of the loss itself",
        "Runs flat",
    )
    return Table(
        title="Has the training loss flattened?",
        columns=(
            Column("Variant", "left"),
            *(Column(heading) for heading in headings),
            Column("Finding", "left"),
        ),
        rows=tuple(rows),
        notes=(
            "Law: a straight line through the mean training loss of the last fifth of the epochs "
            f"moves by less than {FLAT_WITHIN:g} % of the whole fall since the first epoch"
            f"{_chance_words(study)}, and so does its standard error (after ±); more than half of "
            "the runs obey it alone. A loss also flattens because the learning rate is lowered to "
            "zero.",
            SMALL_LOSS_NOTE,
        ),
    )


def _chance_words(study: Study) -> str:
    if study.classes is None:
        return ""
    guessing = f"ln({study.classes}) = {number(math.log(study.classes))}"
    return f" (or from {guessing}, the loss of guessing, where the first epoch was worse)"


def flatness_words(flat: VariantFlatness) -> str:
    """The finding of one variant in a few words."""
    if flat.mean.flat and not flat.flat:
        return "not in most runs"
    return flat.mean.reason


def redrawn_table(study: Study) -> Table:
    """A row a variant: what was taken out, and which parameters start from other weights."""
    rows = tuple(
        (variant.label, _names(variant.removed_layers), _names(variant.redrawn))
        for variant in study.variants
        if variant.removed_layers or variant.redrawn
    )
    return Table(
        title="What was removed and what was redrawn",
        columns=tuple(Column(h, "left") for h in ("Variant", "Removed layers", "Redrawn")),
        rows=rows,
        notes=(
            "All other parameters start bit-equal to the baseline's of the same seed. Redrawn "
            "ones have another shape, so they start from other numbers.",
        ),
    )


def changes_table(study: Study) -> Table:
    """A row a variant: the fields of the recipe in which it differs from the other variants."""
    rows = tuple((variant.label, _names(variant.changes)) for variant in study.variants)
    return Table(
        title="What the variants change in the recipe",
        columns=(Column("Variant", "left"), Column("Fields", "left")),
        rows=rows,
    )


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else NOTHING


def mostly_cut(study: Study) -> bool:
    """Whether most variants remove layers, so that the parameters they remove are of interest."""
    others = [variant for variant in study.variants if variant.name != study.baseline]
    return 2 * sum(bool(variant.removed_layers) for variant in others) > len(others)


def _removed(before: int, after: int, baseline: bool = False) -> str:
    if baseline:
        return NOTHING
    removed = before - after
    # some ablations make the next layer larger: those remove less than nothing
    share = f" ({number(100 * removed / before, 0)} %)" if before else ""
    return scaled(removed) + share


def terminal_table(study: Study) -> rich.table.Table:
    """The main figures in 80 columns: a row a variant."""
    full = main_table(study)
    left_out = ("MACs", "Parameters removed", "r", "Training loss")
    keep = [at for at, column in enumerate(full.columns) if column.heading not in left_out]
    narrow = Table(
        title=f"{study.name}, {study.recipe_name}",
        columns=tuple(full.columns[at] for at in keep),
        rows=tuple(tuple(row[at] for at in keep) for row in full.rows),
        notes=full.notes[:2],
    )
    return as_rich(narrow)
