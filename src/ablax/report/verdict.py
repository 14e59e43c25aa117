"""Was the lecture's order reproduced? The answer in words, and when there is none, why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ablax.report.flatness import VariantFlatness, variant_flatness
from ablax.report.forms import sentence
from ablax.report.results import Claim, Study
from ablax.report.statistics import Comparison, comparison

Outcome = Literal["reproduced", "contradicted", "cannot be told"]
"""What the measured errors say of one statement."""

Answer = Literal["reproduced", "not reproduced", "cannot be told"]
"""What they say of the order as a whole."""


@dataclass(frozen=True)
class Finding:
    """What the measured errors say of one claim.

    Args:
        claim: The claim.
        outcome: Whether the interval of error(worse) - error(better) lies above 0, below 0, or
            does neither.
        measured: The paired comparison, its interval adjusted for the number of claims judged
            together.
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

    outcome: Answer | None
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


@dataclass(frozen=True)
class Forecast:
    """What became of our own prediction; the source's order does not depend on it.

    Args:
        headline: The count, or that nothing was judged and why.
        findings: One an expectation; empty when none was judged.
        details: What stands below the headline: the findings, or what was predicted.
        note: What the ranges in the findings are; empty when none was judged.
    """

    headline: str
    findings: tuple[Finding, ...]
    details: tuple[str, ...]
    note: str = ""


def points(value: float) -> str:
    """A signed difference with a true minus sign, such as `"+1.53"`."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def finding(study: Study, claim: Claim, together: int, held: str = "reproduced") -> Finding:
    """A claim is reproduced when the whole interval of its difference is above 0.

    Args:
        study: The study.
        claim: The claim.
        together: Claims whose intervals hold at once with 95 % confidence.
        held: The word for a claim that is borne out.
    """
    measured = comparison(study, claim.worse, claim.better, together)
    outcome: Outcome = "cannot be told"
    if measured.interval is None:
        why = "all differences are equal" if measured.n > 1 else "it takes two seeds to judge"
        detail = f"{points(measured.difference)} points, no interval: {why}"
    else:
        low, high = measured.interval.low, measured.interval.high
        if low > 0 or high < 0:
            outcome = "reproduced" if low > 0 else "contradicted"
        detail = f"{points(measured.difference)} points, from {points(low)} to {points(high)}"
    shown = held if outcome == "reproduced" else outcome
    shown += f" at n = {measured.n}" if outcome == "cannot be told" else ""
    return Finding(claim, outcome, measured, f"{claim.text}: {shown} ({detail}).")


def _flatness_words(flat: VariantFlatness) -> str:
    if flat.mean.flat:
        return f"the training loss of only {flat.flat_runs} of {flat.n} runs has flattened"
    how = flat.mean.reason
    if how in ("still falling", "rising"):
        moved = f"{abs(flat.mean.fall):.1f} % of its whole fall"
        return f"the training loss is {how} ({moved} in the last fifth of the epochs)"
    return f"whether the training loss has flattened: {how}"


def withheld(study: Study, claims: tuple[Claim, ...], by: str) -> tuple[str, ...]:
    """Every reason not to judge claims, in words; none when they may be judged.

    Args:
        study: The study.
        claims: What shall be judged.
        by: Who makes the claims.
    """
    if not study.verdict_wanted:
        return (f"the recipe {study.recipe_name!r} is too small to conclude anything",)
    if not claims:
        return (f"{by} states no order to test",)
    reasons = []
    for name in sorted({c.worse for c in claims} | {c.better for c in claims}):
        if name not in study.names:
            reasons.append(f"variant {name!r}, of which {by} speaks, was not run")
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


def _count(findings: tuple[Finding, ...], what: str, held: str) -> str:
    """Such as "2 of 4 statements reproduced, 1 contradicted, 1 cannot be told at n = 5"."""
    outcomes = [found.outcome for found in findings]
    total = len(outcomes)
    said = [f"{outcomes.count('reproduced')} of {total} {what}{'s' * (total > 1)} {held}"]
    for outcome in ("contradicted", "cannot be told"):
        if outcome in outcomes:
            said.append(f"{outcomes.count(outcome)} {outcome}")
    return f"{', '.join(said)} at n = {min(found.measured.n for found in findings)}"


def _ranges(findings: tuple[Finding, ...]) -> str:
    together = {1: "", 2: ", both together"}.get(len(findings), f", all {len(findings)} together")
    return (
        f"Ranges: 95 % confidence intervals of the mean difference paired by seed{together}. "
        "They cover seeds, not test images."
    )


def verdict(study: Study) -> Verdict:
    """The order of the source is reproduced only when every claim is.

    It is not reproduced when any claim is contradicted (its interval wholly below 0). Otherwise it
    cannot be told at this n. No verdict is given when the recipe is too small for one, a run is
    missing or diverged, or the training loss of a variant has not flattened.
    """
    reasons = withheld(study, study.claims, "the source")
    if reasons:
        return Verdict(None, f"No verdict: {'; '.join(reasons)}.", (), reasons)
    findings = tuple(finding(study, claim, len(study.claims)) for claim in study.claims)
    outcomes = {found.outcome for found in findings}
    count = _count(findings, "statement", "reproduced")
    answer: Answer
    if "contradicted" in outcomes:
        answer, said = "not reproduced", f"The stated order is not reproduced: {count}."
    elif outcomes == {"reproduced"}:
        answer, said = "reproduced", f"The stated order is reproduced: {count}."
    else:
        answer, said = "cannot be told", f"Whether the stated order holds cannot be told: {count}."
    return Verdict(answer, said, findings, (), _ranges(findings))


def forecast(study: Study) -> Forecast | None:
    """Our own expectations, judged as the claims are, but together only with each other.

    They are judged under the conditions of a verdict, and the verdict does not depend on them.
    None when the study has no expectations.
    """
    expected = study.expectations
    if not expected:
        return None
    predicted = tuple(sentence(claim.text) for claim in expected)
    reasons = withheld(study, expected, "our prediction")
    if len(reasons) > 1 and reasons == verdict(study).reasons:
        return Forecast("Not judged, for the reasons of the verdict.", (), predicted)
    if reasons:
        return Forecast(f"Not judged: {'; '.join(reasons)}.", (), predicted)
    findings = tuple(finding(study, claim, len(expected), "confirmed") for claim in expected)
    said = tuple(found.sentence for found in findings)
    headline = f"{_count(findings, 'prediction', 'confirmed')}."
    return Forecast(headline, findings, said, _ranges(findings))
