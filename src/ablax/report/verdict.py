"""Was the stated order reproduced? The answer in words, and when there is none, why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ablax.report.forms import sentence, signed
from ablax.report.obstacles import obstacles
from ablax.report.results import Claim, Study, operand
from ablax.report.statistics import Comparison, comparison

Outcome = Literal["reproduced", "contradicted", "cannot be told", "not judged"]
"""What the measured values say of one statement; "not judged" where something is missing."""

Answer = Literal["reproduced", "not reproduced", "cannot be told"]
"""What they say of the order as a whole."""


@dataclass(frozen=True)
class Finding:
    """What the measured values say of one claim.

    Args:
        claim: The claim.
        outcome: Whether the interval of value(worse) - value(better) lies above 0, below 0, or
            does neither.
        measured: The paired comparison, its interval adjusted for the number of claims judged
            together; None when it was not judged.
        sentence: The finding in words.
    """

    claim: Claim
    outcome: Outcome
    measured: Comparison | None
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


def difference_words(study: Study, measured: Comparison) -> tuple[str, str]:
    """The mean difference with its unit, and its interval or why there is none.

    Such as `("+1.53 points", "from +0.20 to +2.86")`.
    """
    quantity = study.quantity(operand(measured.variant)[1])
    difference = f"{signed(measured.difference, quantity.digits)} {quantity.unit}".strip()
    if measured.interval is None:
        why = "all differences are equal" if measured.n > 1 else "it takes two seeds to judge"
        return difference, f"no interval: {why}"
    ends = (measured.interval.low, measured.interval.high)
    low, high = (signed(end, quantity.digits) for end in ends)
    return difference, f"from {low} to {high}"


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
    if measured.interval is not None and (measured.interval.low > 0 or measured.interval.high < 0):
        outcome = "reproduced" if measured.interval.low > 0 else "contradicted"
    detail = ", ".join(difference_words(study, measured))
    shown = held if outcome == "reproduced" else outcome
    shown += f" at n = {measured.n}" if outcome == "cannot be told" else ""
    return Finding(claim, outcome, measured, f"{claim.text}: {shown} ({detail}).")


def judge(
    study: Study, claims: tuple[Claim, ...], by: str, held: str = "reproduced"
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """A finding for each claim, or every reason why none can be judged.

    Args:
        study: The study.
        claims: What shall be judged; intervals are adjusted for their number.
        by: Who makes the claims.
        held: The word for a claim that is borne out.

    Returns:
        The findings, and the reasons: one of the two is empty.
    """
    if not study.verdict_wanted:
        reason = f"the recipe {study.recipe_name!r} is too small to conclude anything"
        return (), (reason,)
    if not claims:
        return (), (f"{by} states no order to test",)
    against = [obstacles(study, (claim,), by) for claim in claims]
    if all(against):
        return (), obstacles(study, claims, by)
    findings = []
    for claim, reasons in zip(claims, against, strict=True):
        if reasons:
            words = f"{claim.text}: not judged ({'; '.join(reasons)})."
            findings.append(Finding(claim, "not judged", None, words))
        else:
            findings.append(finding(study, claim, len(claims), held))
    return tuple(findings), ()


def _count(findings: tuple[Finding, ...], what: str, held: str) -> str:
    """Such as "2 of 4 statements reproduced, 1 contradicted, 1 cannot be told at n = 5"."""
    outcomes = [found.outcome for found in findings]
    total = len(outcomes)
    said = [f"{outcomes.count('reproduced')} of {total} {what}{'s' * (total > 1)} {held}"]
    for outcome in ("contradicted", "cannot be told", "not judged"):
        if outcome in outcomes:
            said.append(f"{outcomes.count(outcome)} {outcome}")
    seeds = min(found.measured.n for found in findings if found.measured is not None)
    return f"{', '.join(said)} at n = {seeds}"


def _ranges(findings: tuple[Finding, ...]) -> str:
    together = {1: "", 2: ", both together"}.get(len(findings), f", all {len(findings)} together")
    return (
        f"Ranges: 95 % confidence intervals of the mean difference paired by seed{together}. "
        "They cover seeds, not test images."
    )


def verdict(study: Study) -> Verdict:
    """The order of the source is reproduced only when every claim is.

    It is not reproduced when any claim is contradicted (its interval wholly below 0). Otherwise it
    cannot be told at this n. A claim is judged when all runs of its variants are there, none of
    them diverged, and their training losses have flattened (`ablax.report.obstacles`); when no
    claim can be judged, or the recipe is too small for it, there is no verdict.
    """
    findings, reasons = judge(study, study.claims, "the source")
    if reasons:
        return Verdict(None, f"No verdict: {'; '.join(reasons)}.", (), reasons)
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
    findings, reasons = judge(study, expected, "our prediction", "confirmed")
    if len(reasons) > 1 and set(reasons) <= set(verdict(study).reasons):
        return Forecast("Not judged, for the reasons of the verdict.", (), predicted)
    if reasons:
        return Forecast(f"Not judged: {'; '.join(reasons)}.", (), predicted)
    said = tuple(found.sentence for found in findings)
    headline = f"{_count(findings, 'prediction', 'confirmed')}."
    return Forecast(headline, findings, said, _ranges(findings))
