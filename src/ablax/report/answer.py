"""The answer to an experiment's question, in one sentence with the figure that decides it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ablax.report.forms import sentence
from ablax.report.results import Claim, Study, operand
from ablax.report.statistics import Comparison
from ablax.report.verdict import Outcome, difference_words, judge


@dataclass(frozen=True)
class Answer:
    """What the measured values say of the claim that decides the question.

    Args:
        outcome: Of that claim; None when the experiment decides nothing.
        sentence: The answer, to be read alone.
        claim: The claim; None when the experiment states none.
        measured: Its difference and interval; None when it was not judged.
    """

    outcome: Outcome | None
    sentence: str
    claim: Claim | None
    measured: Comparison | None


def answer(study: Study) -> Answer:
    """Yes, no, or why it cannot be told: with the difference, its interval and n.

    The interval is that of the claim among those it is judged with, the source's or our own, so
    that the first sentence never says more than the verdict below it.
    """
    claim = study.decides or next(iter((*study.claims, *study.expectations)), None)
    if claim is None:
        return Answer(
            None, "The experiment states nothing to be judged: see the figures.", None, None
        )
    own = claim not in study.claims
    group = study.expectations if own else study.claims
    findings, reasons = judge(study, group, "our prediction" if own else "the source")
    found = next((one for one in findings if one.claim == claim), None)
    if found is None:
        why = "; ".join(reasons)
        return Answer("not judged", f"No answer to whether {claim.text}: {why}.", claim, None)
    if found.measured is None:
        why = found.sentence.removeprefix(f"{claim.text}: not judged (").removesuffix(").")
        return Answer("not judged", f"No answer to whether {claim.text}: {why}.", claim, None)
    return Answer(
        found.outcome,
        _said(study, claim, found.outcome, found.measured, len(group)),
        claim,
        found.measured,
    )


def _said(study: Study, claim: Claim, outcome: Outcome, measured: Comparison, together: int) -> str:
    difference, ends = difference_words(study, measured)
    among = f", {together} claims at once" if together > 1 else ""
    interval = f"95 % interval {ends.removeprefix('from ')}{among}" if measured.interval else ends
    figure = f"{difference} ({interval}, n = {measured.n})"
    if outcome == "reproduced":
        return f"Yes: {claim.text}, {figure}."
    if outcome == "contradicted":
        return f"No, the contrary of this holds: {claim.text}, {figure}."
    return sentence(f"it cannot be told whether {claim.text}: {figure}")


def answer_json(study: Study, plots: str) -> str:
    """The answer as a file that an overview of all experiments is written from.

    Args:
        study: The study.
        plots: The folder of the pictures, beside the report.

    Returns:
        JSON: experiment, recipe, answer, outcome, n, difference and interval in a unit, seconds of
        training of all runs, device, date, commit, command, and the picture that shows it best:
        the first of the experiment's own, or that of the errors.
    """
    told = answer(study)
    measured = told.measured
    interval = measured.interval if measured else None
    own = [picture.name for section in study.sections for picture in section.pictures]
    name = "" if told.claim is None else operand(told.claim.worse)[1]
    facts = {
        "experiment": study.name,
        "recipe": study.recipe_name,
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
        "command": study.command,
        **{key: study.environment.get(key, "") for key in ("device", "date", "commit")},
    }
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
