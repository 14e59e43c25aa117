"""What can be concluded: each claim judged, the answer, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ablax.files import sealed
from ablax.report.statistics import (
    Comparison,
    VariantFlatness,
    bonferroni,
    comparison,
    variant_flatness,
)
from ablax.report.study import QUANTITIES, Claim, Study, operand
from ablax.report.tables import sentence, signed


def obstacles(study: Study, claims: tuple[Claim, ...], by: str) -> tuple[str, ...]:
    """Every reason not to judge the claims that `by` makes, in words; none when they may be."""
    named = {name for claim in claims for name in claim.variants}
    reasons = [
        f"variant {name!r}, of which {by} speaks, was not run"
        for name in sorted(named - set(study.names))
    ]
    for variant in study.variants:
        if variant.name in named:
            flat = any(claim.flat for claim in claims if variant.name in claim.variants)
            sides = [operand(side) for claim in claims for side in (claim.worse, claim.better)]
            asked = list(dict.fromkeys(what for name, what in sides if name == variant.name))
            reasons += [f"{variant.label}: {why}" for why in _of(study, variant.name, asked, flat)]
    return tuple(reasons)


def _of(study: Study, name: str, asked: list[str], flat: bool) -> list[str]:
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
    flatness = variant_flatness(study, name)
    if flat and finished and not flatness.flat:
        reasons.append(_flatness_words(flatness))
    return reasons


def _flatness_words(flat: VariantFlatness) -> str:
    if flat.mean.flat:
        return f"the training loss of only {flat.flat_runs} of {flat.n} runs has flattened"
    how = flat.mean.reason
    if how in ("still falling", "rising"):
        moved = f"{abs(flat.mean.fall):.1f} % of its total decrease"
        return f"the training loss is {how} ({moved} over the last 20 % of epochs)"
    return f"whether the training loss has flattened: {how}"


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _seed_count(n: int) -> str:
    return f"{n} seed{'s' * (n != 1)}"


Outcome = Literal["reproduced", "contradicted", "inconclusive", "not judged"]
"""What the measured values say of one statement; "not judged" where something is missing."""

OutcomeName = Literal["reproduced", "not reproduced", "inconclusive"]
"""What they say of the order as a whole."""


@dataclass(frozen=True)
class Finding:
    """What the measured values say of one claim: does value(worse) - value(better) lie above 0?

    Its interval is adjusted for the number of claims judged together; `measured` is None when the
    claim was not judged, the claim and the outcome where an answer has no claim.
    """

    claim: Claim | None
    outcome: Outcome | None
    measured: Comparison | None
    sentence: str


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
    low, high = (signed(end, quantity.digits) for end in ends)
    return difference, f"CI {low} to {high}"


def finding(study: Study, claim: Claim, together: int, held: str = "reproduced") -> Finding:
    """A claim is reproduced when the whole interval of its difference is above 0.

    So many claims are judged `together`: their intervals hold at once with 95 % confidence. `held`
    is the word for a claim that is borne out.
    """
    measured = comparison(study, claim.worse, claim.better, together)
    outcome: Outcome = "inconclusive"
    if measured.interval is not None and (measured.interval.low > 0 or measured.interval.high < 0):
        outcome = "reproduced" if measured.interval.low > 0 else "contradicted"
    detail = ", ".join(difference_words(study, measured))
    shown = held if outcome == "reproduced" else outcome
    said = f"{claim.text}: {shown} ({detail}, {_seed_count(measured.n)})."
    return Finding(claim, outcome, measured, said)


def assess(
    study: Study, claims: tuple[Claim, ...], by: str, held: str = "reproduced"
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """A finding for each claim that `by` makes, and every reason why none can be judged.

    One of the two is empty. Intervals are adjusted for the number of claims; `held` is the word for
    a claim that is borne out.
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
            findings.append(finding(study, claim, len(claims), held))
    return tuple(findings), ()


def _count(findings: tuple[Finding, ...], what: str, held: str) -> str:
    """Such as "2 of 4 statements reproduced, 1 contradicted, 1 inconclusive (5 seeds)"."""
    outcomes = [found.outcome for found in findings]
    total = len(outcomes)
    said = [f"{outcomes.count('reproduced')} of {total} {what}{'s' * (total > 1)} {held}"]
    for outcome in ("contradicted", "inconclusive", "not judged"):
        if outcome in outcomes:
            said.append(f"{outcomes.count(outcome)} {outcome}")
    seeds = min(found.measured.n for found in findings if found.measured is not None)
    return f"{', '.join(said)} ({_seed_count(seeds)})"


def _ranges(findings: tuple[Finding, ...]) -> str:
    together = bonferroni(len(findings))
    return (
        f"CI: 95 % confidence interval of the mean difference, paired by seed{together}. "
        "It covers seeds, not test images."
    )


def verdict(study: Study) -> Verdict:
    """The order of the source is reproduced only when every claim is.

    It is not reproduced when any claim is contradicted (its interval wholly below 0). Otherwise it
    is inconclusive. A claim is judged when all runs of its variants are there, none of them
    diverged, and their training losses have flattened; when no claim can be judged, or the recipe
    is too small for it, there is no verdict.
    """
    findings, reasons = assess(study, study.plan.claims, "the source")
    if reasons:
        several = reasons if len(reasons) > 1 else ()
        said = f"No verdict: {'; '.join(reasons)}."
        return Verdict(None, said, reasons=reasons, details=several)
    outcomes = {found.outcome for found in findings}
    count = _count(findings, "statement", "reproduced")
    answer: OutcomeName
    if "contradicted" in outcomes:
        answer, said = "not reproduced", f"The stated order is not reproduced: {count}."
    elif outcomes == {"reproduced"}:
        answer, said = "reproduced", f"The stated order is reproduced: {count}."
    else:
        answer, said = "inconclusive", f"Inconclusive whether the stated order holds: {count}."
    details = tuple(found.sentence for found in findings)
    return Verdict(answer, said, findings, details=details, note=_ranges(findings))


def forecast(study: Study) -> Verdict | None:
    """Our own expectations, judged as the claims are, but together only with each other.

    They are judged under the conditions of a verdict, and the verdict does not depend on them; the
    details are what was predicted where nothing was judged. None when there are no expectations.
    """
    expected = study.plan.expectations
    if not expected:
        return None
    findings, reasons = assess(study, expected, "our prediction", "confirmed")
    if findings:
        said = f"{_count(findings, 'prediction', 'confirmed')}."
        details = tuple(found.sentence for found in findings)
        return Verdict(None, said, findings, details=details, note=_ranges(findings))
    said = f"Not judged: {'; '.join(reasons)}."
    if len(reasons) > 1 and set(reasons) <= set(verdict(study).reasons):
        said = "Not judged, for the reasons of the verdict."
    return Verdict(None, said, details=tuple(sentence(claim.text) for claim in expected))


def answer(study: Study) -> Finding:
    """The answer to the question, by the claim that decides it, in a sentence to be read alone.

    Yes, no, inconclusive, or why it was not judged: difference, interval and seeds. The interval is
    that of the claim among those it is judged with, the source's or our own, so that the first
    sentence never says more than the verdict below it.
    """
    claim = study.plan.decides or next(iter((*study.plan.claims, *study.plan.expectations)), None)
    if claim is None:
        return Finding(None, None, None, "No hypothesis declared: see the figures.")
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
    interval = f"95 % {ends}{bonferroni(len(group))}" if found.measured.interval else ends
    figure = f"{difference} ({interval}, {_seed_count(found.measured.n)})"
    if found.outcome == "reproduced":
        # the difference stands behind the claim's verb, and has no sign
        said = f"Yes: {claim.text} by {figure.replace('+', '')}."
    elif found.outcome == "contradicted":
        said = f"No: the measurements contradict the hypothesis that {claim.text}"
        said += f"; the difference is {figure}."
    else:
        said = f"Inconclusive: the measurements do not show whether {claim.text}"
        said += f"; the difference is {figure}."
    return replace(found, sentence=said)


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
        "training_seconds": round(sum(run.seconds for run in study.runs)),
        "runs": len(study.runs),
        "picture": f"{plots}/{(own or ['errors'])[0]}.png",
        "command": study.plan.command,
        **{key: study.environment.get(key, "") for key in ("device", "date", "commit")},
    }
    return sealed(facts)
