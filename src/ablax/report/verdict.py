"""What can be concluded: each claim judged, the answer, and what stands in the way."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from ablax.files import sealed
from ablax.report.differences import (
    MOST_SEEDS,
    Comparison,
    comparison,
    family,
    intervals_words,
    seeds_to_decide,
)
from ablax.report.looks import FIRST
from ablax.report.statistics import VariantFlatness, student, variant_flatness
from ablax.report.study import QUANTITIES, Claim, Study, operand, terms
from ablax.report.tables import sentence, signed


def obstacles(study: Study, claims: tuple[Claim, ...], by: str) -> tuple[str, ...]:
    """Every reason not to judge the claims that `by` makes, in words; none when they may be."""
    named = {name for claim in claims for name in claim.variants}
    reasons = [
        f"variant {name!r}, of which {by} speaks, was not run"
        for name in sorted(named - set(study.names))
    ]
    sides = [
        term for claim in claims for side in (claim.worse, claim.better) for term in terms(side)
    ]
    for variant in study.variants:
        if variant.name in named:
            asked = list(dict.fromkeys(what for name, what in sides if name == variant.name))
            reasons += [f"{variant.label}: {why}" for why in _of(study, variant.name, asked)]
    return tuple(reasons)


def _of(study: Study, name: str, asked: list[str]) -> list[str]:
    """What is wrong with the runs of one variant, for these quantities."""
    runs, finished = study.runs_of(name), study.finished_runs_of(name)
    if not runs:
        return ["no run was made"]
    reasons = []
    if missing := sorted(set(study.seeds) - {run.seed for run in runs}):
        reasons.append(f"no run with {_seeds(missing)}")
    if len(finished) < len(runs) and set(asked) & set(QUANTITIES):
        lost = [run.seed for run in runs if not run.counts]
        reasons.append(f"training diverged with {_seeds(lost)}")
    for quantity in asked:
        known = quantity in study.plan.quantities
        lost = [run.seed for run in runs if run.seed not in study.values(f"{name}:{quantity}")]
        if known and lost:
            label = study.quantity(quantity).label
            reasons.append(f"{label} was not measured with {_seeds(lost)}")
    ended = any(study.quantity(quantity).trained for quantity in asked)
    if ended and finished and not (flatness := variant_flatness(study, name)).flat:
        reasons.append(_flatness_words(flatness))
    return reasons


def _flatness_words(flat: VariantFlatness) -> str:
    if flat.mean.flat:
        return f"the training loss of only {flat.flat_runs} of {flat.n} runs has flattened"
    how = flat.mean.reason
    if how in ("still falling", "rising"):
        moved = f"by {abs(flat.mean.fall):.0f} % of itself"
        if abs(flat.mean.power) < 1:
            moved = f"by {abs(flat.mean.share):.1f} % of its whole decrease"
        moved += " over the last 20 % of epochs"
        return f"the training loss is {how} ({moved})"
    return f"whether the training loss has flattened: {how}"


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _seed_count(n: int) -> str:
    return f"{n} seed{'s' * (n != 1)}"


LEAST_SEEN = 3.0
"""Standard deviations of a paired difference beyond which `design_words` warns."""

EQUAL: Literal["equal within the margin"] = "equal within the margin"

Outcome = Literal[
    "confirmed", "contradicted", "equal within the margin", "inconclusive", "not judged"
]
"""What the measured values say of one statement; "not judged" where something is missing."""

OutcomeName = Literal["confirmed", "contradicted", "equal within the margin", "inconclusive"]
"""What they say of the order as a whole."""


def outcome_of(told: Comparison, margin: float) -> Outcome:
    """What an interval says of the claim that the difference is above 0.

    Equal within the margin where the whole interval lies within it, though it may leave out 0: such
    a difference is real, and does not matter. Else confirmed above 0, contradicted below it, and
    inconclusive where it does both. Where nothing varies there is no interval: equal if so many
    seeds as at a first look (`ablax.report.looks`) have one difference within the margin, else
    inconclusive.

    Example:
        >>> from ablax.report.statistics import Interval
        >>> found = Comparison("a", "b", 5, 0.2, 0.1, Interval(0.1, 0.3, 0.95), 0.0)
        >>> outcome_of(found, 0.5), outcome_of(found, 0.25)
        ('equal within the margin', 'confirmed')
    """
    if told.interval is None:
        alike = told.n >= FIRST and abs(told.difference) < margin
        return EQUAL if alike else "inconclusive"
    low, high, _ = told.interval
    if -margin < low and high < margin:
        return EQUAL
    if low > 0:
        return "confirmed"
    return "contradicted" if high < 0 else "inconclusive"


@dataclass(frozen=True)
class Finding:
    """What the measured values say of one claim: does value(worse) - value(better) lie above 0?

    `measured` is None when the claim was not judged, the claim and the outcome where an answer has
    no claim. `needed` is the number of seeds that would decide what is inconclusive; None where
    nothing is to be decided, or more than 1,000 are needed.
    """

    claim: Claim | None
    outcome: Outcome | None
    measured: Comparison | None
    sentence: str
    needed: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What became of several claims: a finding for each, or the reasons for none.

    Those of the source have an outcome as a whole, our own predictions have none. Below the
    headline stand the details; `sentence` says all in one; the note says what the intervals are.
    """

    outcome: OutcomeName | None
    sentence: str
    findings: tuple[Finding, ...] = ()
    reasons: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    note: str = ""

    @property
    def headline(self) -> str:
        """The sentence, without the reasons when they make a list of their own."""
        return "No verdict." if len(self.reasons) > 1 else self.sentence


def difference_words(study: Study, measured: Comparison) -> tuple[str, str]:
    """The mean difference with its unit, and its interval or why there is none.

    Such as `("+1.53 percentage points", "CI +0.20 to +2.86")`.
    """
    quantity = study.quantity(operand(measured.variant)[1])
    difference = f"{signed(measured.difference, quantity.digits)} {quantity.unit}".strip()
    if measured.interval is None:
        why = "all differences are equal" if measured.n > 1 else "two seeds are needed"
        return difference, f"no interval: {why}"
    ends = (measured.interval.low, measured.interval.high)
    digits = _digits(ends, quantity.digits)
    return difference, f"CI {signed(ends[0], digits)} to {signed(ends[1], digits)}"


def _digits(ends: tuple[float, float], digits: int) -> int:
    """So many that no end is printed as 0, on which side of it the outcome depends."""
    while digits < 6 and any(end and not round(end, digits) for end in ends):
        digits += 1
    return digits


def finding(study: Study, claim: Claim) -> Finding:
    """A claim is judged by its interval and its margin (`outcome_of`)."""
    measured = comparison(study, claim.worse, claim.better)
    outcome = outcome_of(measured, study.margin(claim))
    undecided = outcome == "inconclusive"
    needed = seeds_to_decide(measured, study.margin(claim)) if undecided else None
    shown = f"equal within {margin_words(study, claim)}" if outcome == EQUAL else outcome
    detail = ", ".join(difference_words(study, measured))
    said = f"{claim.text}: {shown} ({detail}, {_seed_count(measured.n)})."
    if undecided and measured.interval is not None:
        said += f" {_needed_words(study, needed)}"
    return Finding(claim, outcome, measured, said + _unlike(study, claim), needed)


def _unlike(study: Study, claim: Claim) -> str:
    """In what else the two variants of a claim differ by more than 5 %: parameters and cost."""
    named = dict.fromkeys(claim.variants)
    if len(named) != 2:
        return ""
    first, second = map(study.variant, named)
    costs = {
        "parameters": (first.parameters, second.parameters),
        "multiply-accumulates": (first.macs, second.macs),
    }
    found = [
        f"{ours / theirs:.2g} x the {what}"
        for what, (ours, theirs) in costs.items()
        if theirs and abs(ours / theirs - 1) > ALIKE_COST
    ]
    if not found:
        return ""
    return f" {sentence(first.label)[:-1]} has {' and '.join(found)} of {second.label}."


ALIKE_COST = 0.05
"""Difference of parameters or multiply-accumulates that `finding` does not name."""


def margin_words(study: Study, claim: Claim) -> str:
    """Such as "0.5 percentage points"."""
    margin, unit = f"{study.margin(claim):.2g}", study.quantity(operand(claim.worse)[1]).unit
    return f"{margin} {unit.removesuffix('s') if margin == '1' else unit}".strip()


def _needed_words(study: Study, needed: int | None) -> str:
    """How many seeds would decide, and how long they take here."""
    if needed is None:
        return f"More than {MOST_SEEDS:,} seeds would be needed to decide this."
    seconds = sum(run.seconds for run in study.runs) / max(1, len(study.seeds)) * needed
    long = f"{seconds / 60:,.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
    return (
        f"About {_seed_count(needed)} ({long} of training here) would decide it with a "
        "probability of 80 %, if the difference is as measured."
    )


def assess(
    study: Study, claims: tuple[Claim, ...], by: str
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """A finding for each claim that `by` makes, and every reason why none can be judged.

    One of the two is empty.
    """
    if not study.plan.verdict_wanted:
        reason = f"the recipe {study.plan.recipe_name!r} is too small to conclude anything"
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
            findings.append(finding(study, claim))
    return tuple(findings), ()


def _count(findings: tuple[Finding, ...], what: str) -> str:
    """Such as "2 of 4 statements confirmed, 1 contradicted, 1 inconclusive (5 seeds)"."""
    outcomes = [found.outcome for found in findings]
    total = len(outcomes)
    said = [f"{outcomes.count('confirmed')} of {total} {what}{'s' * (total > 1)} confirmed"]
    for outcome in ("contradicted", EQUAL, "inconclusive", "not judged"):
        if outcome in outcomes:
            said.append(f"{outcomes.count(outcome)} {outcome}")
    seeds = min(found.measured.n for found in findings if found.measured is not None)
    return f"{', '.join(said)} ({_seed_count(seeds)})"


def _note(study: Study, findings: tuple[Finding, ...]) -> str:
    """What the intervals are, and which differences matter."""
    return f"{intervals_words(study)} {_margins(study, findings)}"


def _margins(study: Study, findings: tuple[Finding, ...]) -> str:
    claims = [found.claim for found in findings if found.claim is not None]
    margins = dict.fromkeys(margin_words(study, claim) for claim in claims)
    return f"Smallest difference that matters: {', '.join(margins)}, declared before the first run."


def verdict(study: Study) -> Verdict:
    """The order of the source is confirmed only when every claim is.

    It is contradicted when any claim is; where all are decided and some are equal within their
    margins, it is that; otherwise it is inconclusive. A claim is judged when all runs of its
    variants are there, none of them diverged, and their training losses have flattened; when no
    claim can be judged, or the recipe is too small for it, there is no verdict.
    """
    findings, reasons = assess(study, study.plan.claims, "the source")
    if reasons:
        several = reasons if len(reasons) > 1 else ()
        said = f"No verdict: {'; '.join(reasons)}."
        return Verdict(None, said, reasons=reasons, details=several)
    outcomes = {found.outcome for found in findings}
    count = _count(findings, "statement")
    answer: OutcomeName
    if "contradicted" in outcomes:
        answer, said = "contradicted", f"The stated order is contradicted: {count}."
    elif outcomes == {"confirmed"}:
        answer, said = "confirmed", f"The stated order is confirmed: {count}."
    elif outcomes <= {"confirmed", EQUAL}:
        answer, said = EQUAL, f"The stated order does not matter in all of its parts: {count}."
    else:
        answer, said = "inconclusive", f"Inconclusive whether the stated order holds: {count}."
    details = tuple(found.sentence for found in findings)
    return Verdict(answer, said, findings, details=details, note=_note(study, findings))


def forecast(study: Study) -> Verdict | None:
    """Our own expectations, judged as the claims are.

    They are judged under the conditions of a verdict, and the verdict does not depend on them; the
    details are what was predicted where nothing was judged. None when there are no expectations.
    """
    expected = study.plan.expectations
    if not expected:
        return None
    findings, reasons = assess(study, expected, "our prediction")
    sources = verdict(study)
    if findings:
        said = f"{_count(findings, 'prediction')}."
        details = tuple(found.sentence for found in findings)
        note = _note(study, findings)
        if sources.note:  # which says it already
            note = "" if note == sources.note else _margins(study, findings)
        return Verdict(None, said, findings, details=details, note=note)
    said = f"Not judged: {'; '.join(reasons)}."
    if len(reasons) > 1 and set(reasons) <= set(sources.reasons):
        said = "Not judged, for the reasons of the verdict."
    return Verdict(None, said, details=tuple(sentence(claim.text) for claim in expected))


def answer(study: Study) -> Finding:
    """The answer to the question, by the claim that decides it, in a sentence to be read alone.

    Yes, no, equal within the margin, inconclusive, or why it was not judged: difference, interval
    and seeds.
    """
    claim, why = study.plan.deciding, study.plan.explains
    if claim is None:
        return Finding(None, None, None, "No hypothesis declared: see the figures.")
    told = _answer(study, claim)
    if why is None or told.outcome == "not judged" or obstacles(study, (why,), "it"):
        return told
    return replace(told, sentence=f"{told.sentence} Why: {finding(study, why).sentence}")


def _answer(study: Study, claim: Claim) -> Finding:
    own = claim not in study.plan.claims
    group = study.plan.expectations if own else study.plan.claims
    by = "our prediction" if own else "the source"
    findings, reasons = assess(study, group, by)
    found = next((one for one in findings if one.claim == claim), None)
    if found is None or found.measured is None:
        why = "; ".join(reasons or obstacles(study, (claim,), by))
        said = f"No answer to whether {claim.text}: {why}."
        return Finding(claim, "not judged", None, said)
    difference, ends = difference_words(study, found.measured)
    interval = f"95 % {ends}" if found.measured.interval else ends
    figure = f"{difference} ({interval}, {_seed_count(found.measured.n)})"
    if found.outcome == "confirmed":
        # the difference stands behind the claim's verb, and has no sign
        said = f"Yes: {claim.text} by {figure.replace('+', '')}."
    elif found.outcome == "contradicted":
        said = f"No: the measurements contradict the hypothesis that {claim.text}"
        said += f"; the difference is {figure}."
    elif found.outcome == EQUAL:
        said = f"Equal within the margin: if {claim.text}, then by less than "
        said += f"{margin_words(study, claim)}; the difference is {figure}."
    else:
        said = f"Inconclusive: the measurements do not show whether {claim.text}"
        said += f"; the difference is {figure}."
        if found.measured.interval is not None:
            said += f" {_needed_words(study, found.needed)}"
    return replace(found, sentence=said)


def decided(study: Study) -> bool:
    """Whether every claim that can be judged is decided: no further seed would change an outcome.

    A claim that cannot be judged waits for no seed.
    """
    if not study.plan.verdict_wanted:
        return True
    claims = (*study.plan.claims, *study.plan.expectations)
    judged = [claim for claim in claims if not obstacles(study, (claim,), "it")]
    return all(finding(study, claim).outcome != "inconclusive" for claim in judged)


def design_words(study: Study, seeds: int) -> str:
    """What so many seeds can decide, where that is little; empty where it is enough.

    The smallest difference that is seen with a probability of 80 %, in standard deviations of a
    paired difference, with a pair's own degrees of freedom.
    """
    together = len(family(study))
    if not study.plan.verdict_wanted or not study.plan.claims + study.plan.expectations:
        return ""
    if seeds < 2:
        return f"{_seed_count(seeds)} can decide nothing: give two or more with --seeds"
    seen = (student(seeds - 1, 0.05 / together) + 0.84) / math.sqrt(seeds)
    if seen < LEAST_SEEN:
        return ""
    return (
        f"{_seed_count(seeds)} and {together} comparisons see only differences of "
        f"{seen:.1f} standard deviations between runs, unless the variants' spreads are alike: "
        "give more with --seeds, or let them be added with --seeds auto"
    )


def answer_json(study: Study, plots: str) -> str:
    """The answer as JSON that an overview of all experiments is written from.

    The picture, in the folder `plots` beside the report, is the one that shows it best: the first
    of the experiment's own, or that of the errors.
    """
    told = answer(study)
    measured, interval = told.measured, told.measured.interval if told.measured else None
    own = [picture.name for section in study.plan.sections for picture in section.pictures]
    name = "" if told.claim is None else operand(told.claim.worse)[1]
    facts = {
        "experiment": study.plan.name,
        "recipe": study.plan.recipe_name,
        "answer": told.sentence,
        "outcome": told.outcome,
        "n": measured.n if measured else 0,
        "difference": measured.difference if measured else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "unit": study.quantity(name).unit if name else "",
        "margin": study.margin(told.claim) if measured and told.claim else None,
        "seeds_to_decide": told.needed,
        "hypotheses": study.plan.fingerprint,
        "training_seconds": round(sum(run.seconds for run in study.runs)),
        "runs": len(study.runs),
        "picture": f"{plots}/{(own or ['errors'])[0]}.png",
        "command": study.plan.command,
        **{key: study.environment.get(key, "") for key in ("device", "date", "commit")},
    }
    return sealed(facts)
