"""Was the lecture's order reproduced? The answer in words, and when there is none, why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ablax.report.flatness import VariantFlatness, variant_flatness
from ablax.report.results import Claim, Study
from ablax.report.statistics import Comparison, comparison

Outcome = Literal["reproduced", "not reproduced", "cannot be told"]


@dataclass(frozen=True)
class Finding:
    """What the measured errors say of one claim.

    Args:
        claim: The claim.
        outcome: Whether the interval of error(worse) - error(better) lies above 0, below 0, or
            does neither.
        measured: The paired comparison, its interval adjusted for the number of claims.
        sentence: The finding in words.
    """

    claim: Claim
    outcome: Outcome
    measured: Comparison
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """The answer to the study's question.

    Args:
        outcome: None when no verdict is given.
        sentence: The answer, to be read aloud.
        findings: One a claim; empty when no verdict is given.
        reasons: Why no verdict is given; empty when one is.
        note: What the ranges in the findings are; empty when no verdict is given.
    """

    outcome: Outcome | None
    sentence: str
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]
    note: str = ""

    @property
    def headline(self) -> str:
        """The sentence, without the reasons when they make a list of their own."""
        return "No verdict." if len(self.reasons) > 1 else self.sentence

    @property
    def details(self) -> tuple[str, ...]:
        """What stands below the headline: the findings, or several reasons for none."""
        return tuple(f.sentence for f in self.findings) or self.reasons * (len(self.reasons) > 1)


def points(value: float) -> str:
    """A signed difference with a true minus sign, such as `"+1.53"`."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def finding(study: Study, claim: Claim) -> Finding:
    """A claim is reproduced when the whole interval of its difference is above 0.

    The intervals of all claims of the study hold at once with 95 % confidence.
    """
    measured = comparison(study, claim.worse, claim.better, len(study.claims))
    outcome: Outcome = "cannot be told"
    if measured.interval is None:
        why = "all differences are equal" if measured.n > 1 else "it takes two seeds to judge"
        detail = f"{points(measured.difference)} points, no interval: {why}"
    else:
        low, high = measured.interval.low, measured.interval.high
        if low > 0 or high < 0:
            outcome = "reproduced" if low > 0 else "not reproduced"
        detail = f"{points(measured.difference)} points, from {points(low)} to {points(high)}"
    shown = f"cannot be told at n = {measured.n}" if outcome == "cannot be told" else outcome
    return Finding(claim, outcome, measured, f"{claim.text}: {shown} ({detail}).")


def _flatness_words(flat: VariantFlatness) -> str:
    if flat.mean.flat:
        return f"the training loss of only {flat.flat_runs} of {flat.n} runs has flattened"
    how = flat.mean.reason
    if how in ("still falling", "rising"):
        moved = f"{abs(flat.mean.fall):.1f} % of its whole fall"
        return f"the training loss is {how} ({moved} in the last fifth of the epochs)"
    return f"whether the training loss has flattened: {how}"


def withheld(study: Study) -> tuple[str, ...]:
    """Every reason to give no verdict, in words; none when one may be given."""
    if not study.verdict_wanted:
        return (f"the recipe {study.recipe_name!r} is too small to conclude anything",)
    if not study.claims:
        return ("the source states no order to test",)
    reasons = []
    for name in sorted({c.worse for c in study.claims} | {c.better for c in study.claims}):
        if name not in study.names:
            reasons.append(f"variant {name!r}, of which the source speaks, was not run")
    for variant in study.variants:
        runs = study.runs_of(variant.name)
        finished = study.finished_runs_of(variant.name)
        missing = sorted(set(study.seeds) - {run.seed for run in runs})
        if not runs:
            reasons.append(f"{variant.label}: no run was made")
        elif missing:
            reasons.append(f"{variant.label}: no run with {_seeds(missing)}")
        if len(finished) < len(runs):
            lost = [run.seed for run in runs if not run.counts]
            reasons.append(f"{variant.label}: training diverged with {_seeds(lost)}")
        flat = variant_flatness(study, variant.name)
        if finished and not flat.flat:
            reasons.append(f"{variant.label}: {_flatness_words(flat)}")
    return tuple(reasons)


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def verdict(study: Study) -> Verdict:
    """The order of the source is reproduced only when every claim is.

    It is not reproduced when any claim is contradicted (its interval wholly below 0). Otherwise it
    cannot be told at this n. No verdict is given when the recipe is too small for one, a run is
    missing or diverged, or the training loss of a variant has not flattened.
    """
    reasons = withheld(study)
    if reasons:
        return Verdict(None, f"No verdict: {'; '.join(reasons)}.", (), reasons)
    findings = tuple(finding(study, claim) for claim in study.claims)
    total = len(findings)
    held = sum(found.outcome == "reproduced" for found in findings)
    broken = sum(found.outcome == "not reproduced" for found in findings)
    n = min(found.measured.n for found in findings)
    count = f"{held} of {total} statements reproduced"
    outcome: Outcome
    if broken:
        outcome = "not reproduced"
        sentence = f"The stated order is not reproduced at n = {n}: {broken} contradicted, {count}."
    elif held == total:
        outcome = "reproduced"
        sentence = f"The stated order is reproduced at n = {n}: {count}."
    else:
        outcome = "cannot be told"
        open_ = total - held
        sentence = f"Whether the stated order holds cannot be told at n = {n}: {count}, "
        sentence += f"{open_} within the noise of the seeds."
    together = f", all {total} together" if total > 1 else ""
    note = f"Ranges: 95 % confidence intervals of the mean difference paired by seed{together}. "
    note += "They cover seeds, not test images."
    return Verdict(outcome, sentence, findings, (), note)
