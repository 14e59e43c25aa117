"""A study as tables: for the terminal, the report and `results.csv`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ablax.errors import ReportError
from ablax.files import make_folder, write_atomic
from ablax.report.differences import (
    Comparison,
    comparisons_with_baseline,
    intervals_words,
)
from ablax.report.statistics import (
    FLAT_WITHIN,
    VariantFlatness,
    deviation,
    half_way,
    least_of,
    mean,
    places,
    summary,
    variant_flatness,
)
from ablax.report.study import Run, Study, Variant
from ablax.report.tables import (
    NOTHING,
    Table,
    csv_text,
    number,
    render,
    scaled,
    sentence,
    signed,
    spread,
)


def variant_table(
    study: Study,
    title: str,
    headings: Sequence[str],
    cells: Callable[[Variant], Sequence[str] | None],
    *notes: str,
    words: Sequence[int] = (),
) -> Table:
    """A row for each variant: its label, then its cells; one without cells has no row.

    `words` are the places of the headings whose cells are text.
    """
    rows = [(variant.label, cells(variant)) for variant in study.variants]
    return Table(
        title,
        ("Variant", *headings),
        tuple((label, *found) for label, found in rows if found is not None),
        notes,
        left=(0, *(place + 1 for place in words)),
    )


def seeds_text(
    study: Study, operand: str, digits: int = 2, show: Callable[[float, int], str] = number
) -> str:
    """`spread_of` the values of an operand such as `"full:svm_5"`."""
    return spread_of(list(study.values(operand).values()), digits, show)


def spread_of(
    values: Sequence[float], digits: int = 2, show: Callable[[float, int], str] = number
) -> str:
    """Mean, which `show` writes, ± standard deviation over seeds; a dash for none."""
    return spread(mean(values), deviation(values), digits, show)


TRAINING_NOTE = (
    "Training loss and training error are taken with dropout and augmentation on: they cannot be "
    "compared between variants with different dropout (removing a dense layer removes its dropout)."
)
"""Stands wherever training figures of several variants stand together."""


def difference_text(compared: Comparison | None) -> str:
    """`+1.23 [+0.40, +2.06]`: a mean paired difference and its interval."""
    if compared is None or not math.isfinite(compared.difference):
        return NOTHING
    ends = compared.interval
    interval = f"{signed(ends.low)}, {signed(ends.high)}" if ends else NOTHING
    return f"{signed(compared.difference)} [{interval}]"


def interval_note(study: Study) -> str:
    """What the brackets mean."""
    if len(study.variants) < 2:
        return "There is no other variant to compare with."
    told = intervals_words(study).removeprefix("CI: ")
    return f"Brackets: {told} No interval for one seed."


def main_table(study: Study) -> Table:
    """One row per variant: cost, test error, and difference from the baseline."""
    base, cut = study.variant(study.baseline), mostly_cut(study)
    compared = comparisons_with_baseline(study)
    several = len(study.variants) > 1

    def cells(variant: Variant) -> list[str]:
        line, against = summary(study, variant.name), compared.get(variant.name)
        removed = _removed(base.parameters, variant.parameters, variant.name == base.name)
        correlation = number(against.correlation) if against else NOTHING
        return [
            number(variant.parameters, 0),
            scaled(variant.macs),
            *([removed] if cut else []),
            spread(line.error, line.error_sd),
            f"{line.n} ({line.diverged} diverged)" if line.diverged else str(line.n),
            *([difference_text(against), correlation] if several else []),
            number(line.train_loss, 3),
            number(line.seconds, 1),
        ]

    headings = (
        *("Parameters", "MACs", *(["Parameters removed"] if cut else []), "Test error, %", "n"),
        *([f"Increase over {base.label}, percentage points", "r"] if several else []),
        *("Training loss", "Seconds per run"),
    )
    lost = any(not run.counts for run in study.runs)
    again = f"r: measured correlation of the errors with those of {base.label}, paired by seed. "
    return variant_table(
        study,
        "Cost and test error by variant",
        headings,
        cells,
        "Test error: last epoch, mean ± standard deviation over n seeds."
        + (" Diverged runs are left out, which flatters their variant." if lost else ""),
        interval_note(study),
        f"{again if several else ''}MACs: multiply-accumulates of one forward pass per image.",
        TRAINING_NOTE,
    )


def published_table(study: Study) -> Table:
    """Our increases of error and parameters removed beside those that were published."""
    base, cut = study.variant(study.baseline), mostly_cut(study)
    compared, full = comparisons_with_baseline(study), study.plan.full_size_parameters
    published = study.plan.published
    removing = [source for source in published if source.parameters_removed]

    def cells(variant: Variant) -> list[str] | None:
        name = variant.name
        if name == base.name:
            return None
        known = name in full and base.name in full
        at_full_size = _removed(full[base.name], full[name]) if known else NOTHING
        return [
            *([_removed(base.parameters, variant.parameters), at_full_size] if cut else []),
            *(scaled(source.parameters_removed.get(name, math.nan)) for source in removing),
            difference_text(compared[name]),
            *(signed(source.drops.get(name, math.nan), 1) for source in published),
        ]

    return variant_table(
        study,
        "The published figures beside ours",
        [
            *(["Removed here", "Removed at full size"] if cut else []),
            *(f"Removed, {source.name}" for source in removing),
            "Increase, percentage points, here",
            *(f"Increase, {source.unit}, {source.name}" for source in published),
        ],
        cells,
        f"Here: test error, {study.plan.recipe_name}. {interval_note(study)}",
        *(
            f"{sentence(f'{source.name}: {source.measure}')} {sentence(source.note)}".strip()
            for source in published
        ),
    )


def flatness_table(study: Study) -> Table:
    """One row per variant: whether its training loss had flattened, and its place half way."""
    half, ended = half_way(study), {name: summary(study, name).error for name in study.names}
    before, after = places(half.errors), places(ended)

    def cells(variant: Variant) -> list[str]:
        name, flat = variant.name, variant_flatness(study, variant.name)
        return [
            spread(flat.mean.fall, flat.mean.noise, 1),
            number(flat.mean.share),
            f"{flat.flat_runs} of {flat.n}",
            flatness_words(flat),
            _placed(half.errors.get(name, math.nan), before.get(name)),
            _placed(ended[name], after.get(name)),
        ]

    return variant_table(
        study,
        "Has the training loss flattened?",
        (
            "Decrease over the last 20 % of epochs, % of the loss",
            "% of its whole decrease",
            *("Runs flat", "Finding"),
            f"Test error at epoch {half.epoch:g}, % (place)"
            if half.errors
            else "Test error half way, %",
            "Test error at the end, % (place)",
        ),
        cells,
        "Criterion: over the last 20 % of epochs the mean training loss falls more slowly than "
        "c / epoch, which falls by 20 % of itself there and never converges, with a confidence of "
        f"95 % (after ±: the standard error), and by less than {FLAT_WITHIN:g} % of its whole "
        "decrease; more than half of the runs do so by their own lines. "
        f"{_above(study)}"
        "A loss also flattens because the learning rate goes to zero.",
        "Places by test error: an order that is another half way may change again. Half way the "
        "learning rate is still high where it falls with the epochs.",
        words=(3,),
    )


def _above(study: Study) -> str:
    """Above which loss it is judged."""
    least = least_of(study, study.baseline)
    if not least:
        return ""
    return f"The loss is what it has above {number(least, 3)}, the least with smoothed labels. "


def _placed(error: float, place: int | None) -> str:
    return number(error) if place is None else f"{number(error)} ({place})"


def flatness_words(flat: VariantFlatness) -> str:
    """The finding of one variant in a few words."""
    if flat.mean.flat and not flat.flat:
        return "not in most runs"
    return flat.mean.reason


def reinitialized_table(study: Study) -> Table:
    """One row per variant: what was taken out, and which parameters are initialized differently."""

    def cells(variant: Variant) -> list[str] | None:
        found = (variant.removed_layers, variant.reinitialized)
        return list(map(_names, found)) if any(found) else None

    return variant_table(
        study,
        "What was removed and what was reinitialized",
        ("Removed layers", "Reinitialized"),
        cells,
        "All other parameters start bit-equal to the baseline's of the same seed. "
        "Reinitialized ones have another shape, so their initial values differ.",
        words=(0, 1),
    )


def changes_table(study: Study) -> Table:
    """One row per variant: the fields of the recipe in which it differs from the other variants."""
    return variant_table(
        study,
        "What the variants change in the recipe",
        ("Fields",),
        lambda variant: [_names(variant.changes)],
        words=(0,),
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


def terminal_table(study: Study, width: int = 80) -> str:
    """The main figures in lines of so many letters: one row per variant."""
    full = main_table(study)
    left_out = ("MACs", "Parameters removed", "r", "Training loss")
    keep = [at for at, heading in enumerate(full.columns) if heading not in left_out]
    narrow = Table(
        title=f"{study.plan.name}, {study.plan.recipe_name}",
        columns=tuple(full.columns[at] for at in keep),
        rows=tuple(tuple(row[at] for at in keep) for row in full.rows),
        notes=full.notes[:2],
        left=full.left,
    )
    return render(narrow, "text", width=width)


def write_result(path: Path, content: str | bytes) -> Path:
    """`write_atomic`, with an error that a person can mend; makes the folder when there is none."""
    try:
        make_folder(path.parent)
        write_atomic(path, content)
    except OSError as error:
        raise ReportError(
            f"{path} could not be written ({error.strerror or error}): "
            "free some space or choose a folder that can be written"
        ) from error
    return path


def result_rows(variants: Sequence[Variant], runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The rows of `results.csv`: column to value, in the order of the variants, then of the seeds.

    Everything but `seconds` is the same whether or not the run was interrupted, so the number of
    attempts is not here.
    """
    return [
        {
            "variant": variant.name,
            "seed": run.seed,
            "test_error": float(run.test_error),
            "train_loss": float(run.train_loss),
            "parameters": variant.parameters,
            "macs": variant.macs,
            "seconds": float(run.seconds),
            "train_error": float(run.train_error),
            "epochs": float(run.curve.epochs[-1]) if run.curve.epochs else 0.0,
            "status": run.status,
        }
        for variant in variants
        for run in sorted(runs, key=lambda run: run.seed)
        if run.variant == variant.name
    ]


def results_csv(variants: Sequence[Variant], runs: Sequence[Run]) -> str:
    """The text of `results.csv`: the runs made so far, in the order of the variants."""
    return _csv(result_rows(variants, runs))


def write_results(path: Path, variants: Sequence[Variant], runs: Sequence[Run]) -> Path:
    """Writes `results.csv` in one step."""
    return write_result(path, results_csv(variants, runs))


def summary_csv(study: Study) -> str:
    """One row per variant: the report's figures, unrounded; nan where there is none."""
    return _csv(summary_rows(study))


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    return csv_text(list(rows[0]), [list(row.values()) for row in rows])


def summary_rows(study: Study) -> list[dict[str, Any]]:
    """The rows of `summary.csv`: column to value, one row per variant."""
    compared = comparisons_with_baseline(study)
    rows = []
    for variant in study.variants:
        line = summary(study, variant.name)
        against = compared.get(variant.name)
        interval = against.interval if against else None
        rows.append(
            {
                "variant": variant.name,
                "label": variant.label,
                "parameters": variant.parameters,
                "macs": variant.macs,
                "n": line.n,
                "diverged": line.diverged,
                "test_error": line.error,
                "test_error_sd": line.error_sd,
                "difference": against.difference if against else math.nan,
                "difference_low": interval.low if interval else math.nan,
                "difference_high": interval.high if interval else math.nan,
                "level": interval.level if interval else math.nan,
                "correlation": against.correlation if against else math.nan,
                "train_loss": line.train_loss,
                "train_error": line.train_error,
                "seconds": line.seconds,
            }
        )
    return rows
