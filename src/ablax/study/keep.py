"""`experiments/README.md`: every question, its answers so far, what they cost, and a picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ablax.errors import AblaxError
from ablax.experiment import Experiment
from ablax.files import unsealed
from ablax.report.page import ANSWER
from ablax.report.tables import escape_markdown
from ablax.study.folder import stored

_HEAD = """# Experiments

Written by `ablax keep`; a test fails when it is out of date. Each question is a file in this
folder; each answer comes from the results in `results/`, with hardware and date. Run one with

    make experiment NAME=depth_sweep CONFIG=digits

and all of them with `make experiments CONFIG=smoke`. `ablax keep results/NAME/RECIPE` copies a
finished run's tables, plots and report to this folder, with its metrics and the prediction and loss
of every test image, from which `ablax report` makes the report again without training. Runs without
a `study.json` were kept before metrics and predictions were: they have tables, plots and the report
only.
"""


def answers(results: Path) -> list[dict[str, Any]]:
    """What the kept results answer, by experiment and recipe; `folder` says where each stands.

    Raises:
        AblaxError: A file of answers cannot be read, or the results are of another format.
    """
    for path in sorted(results.glob("*/*/recipe.json")):
        stored(path.parent)  # refuses another format
    return [
        {**answer_in(path.parent), "folder": path.parent.relative_to(results).as_posix()}
        for path in sorted(results.glob(f"*/*/{ANSWER}"))
    ]


def answer_in(folder: Path) -> dict[str, Any]:
    """What the run in a folder answers: the facts of its `answer.json`.

    Raises:
        AblaxError: The file cannot be read, or is not one of ours.
    """
    path = folder / ANSWER
    try:
        facts = unsealed(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AblaxError(f"{path} cannot be read ({error}): {_AGAIN}") from error
    if missing := sorted(_FACTS - set(facts)):
        raise AblaxError(f"{path} lacks {', '.join(missing)}: {_AGAIN}")
    return facts


_FACTS = {
    *("experiment", "recipe", "answer", "device", "date"),
    *("runs", "training_seconds", "picture"),
}
_AGAIN = "run the experiment again to rewrite its report, then keep it with `ablax keep`"


def page(questions: Iterable[tuple[str, Experiment]], answered: list[dict[str, Any]]) -> str:
    """The overview as Markdown, of every experiment in order and of what `answers` gives."""
    return "\n".join([_HEAD, *(_section(*each, answered) for each in questions)])


def _section(name: str, question: Experiment, answered: list[dict[str, Any]]) -> str:
    lines = [f"## [{name}]({name}.py)", "", escape_markdown(question.question), ""]
    if question.cost:
        lines += [f"Cost: {escape_markdown(question.cost)}", ""]
    own = [facts for facts in answered if facts["experiment"] == name]
    if not own:
        lines += ["No run has been kept yet.", ""]
    for facts in own:
        lines += _answer(facts)
    return "\n".join(lines)


def _answer(facts: dict[str, Any]) -> list[str]:
    folder = f"results/{facts['folder']}"
    where = (
        f"{facts['runs']} runs, {facts['training_seconds']:,} s of training on {facts['device']}, "
        f"{facts['date']}"
    )
    return [
        f"**{escape_markdown(facts['answer'])}**",
        "",
        f"([{facts['recipe']}]({folder}/report.md): {escape_markdown(where)}.)",
        "",
        f"[![{facts['experiment']}, {facts['recipe']}]({folder}/{facts['picture']})]"
        f"({folder}/report.md)",
        "",
    ]
