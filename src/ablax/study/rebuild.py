"""The study of a finished run, made again from the files of its folder, or from what was kept."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablax.config import Recipe, flat
from ablax.errors import AblaxError
from ablax.experiment import Experiment
from ablax.measurements.measurement import MeasurementLog
from ablax.report.files import write_atomically
from ablax.report.study import Study, Variant
from ablax.study.folder import (
    ResultsError,
    ResultsFolder,
    Stored,
    environments,
    finished_runs,
    stored,
)

FACTS = "study.json"
"""The file of the `Facts`, in a results folder."""


@dataclass(frozen=True)
class Facts:
    """What a report says that is neither in the experiment's file nor in the logs of the runs.

    Attributes:
        variants: What each network is and costs.
        command: What repeats the experiment.
        data_note: What the data are, in a sentence.
        classes: Of the baseline's data.
        full_size_parameters: Variant to its parameters at the size of the source.
    """

    variants: tuple[Variant, ...]
    command: str
    data_note: str
    classes: int | None
    full_size_parameters: Mapping[str, int]


def write_facts(folder: Path, facts: Facts) -> None:
    """Write `study.json`, for `rebuild`.

    Raises:
        ReportError: It cannot be written.
    """
    text = json.dumps(dataclasses.asdict(facts), indent=2, ensure_ascii=False)
    write_atomically(folder / FACTS, text + "\n")


def read_facts(folder: Path) -> Facts:
    """What `write_facts` wrote.

    Raises:
        ResultsError: There is no such file, or it is damaged.
    """
    path = folder / FACTS
    if not path.exists():
        raise ResultsError(
            f"{folder} has no {FACTS}, so its report cannot be made again: its run is not at its "
            "end, or was kept before metrics and predictions were; run the experiment again"
        )
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        variants = tuple(Variant(**_tuples(one)) for one in held.pop("variants"))
        return Facts(variants=variants, **held)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ResultsError(
            f"{path} is damaged ({type(error).__name__}: {error}): give the experiment's command "
            "again, which trains nothing that is finished and writes it again"
        ) from error


def _tuples(held: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in held.items()}


def study_of(
    name: str,
    experiment: Experiment,
    recipe_name: str,
    recipe: Recipe,
    facts: Facts,
    folder: ResultsFolder,
) -> Study:
    """What was measured, beside what was published.

    Args:
        name: The experiment's.
        experiment: The question.
        recipe_name: The recipe's.
        recipe: Data, schedule and budget.
        facts: What else the report says.
        folder: Where the runs are.
    """
    log = MeasurementLog(folder.path, experiment.measurements)
    names = tuple(variant.name for variant in facts.variants)
    sections = tuple(measurement.section for measurement in experiment.measurements)
    return Study(
        name=name,
        title=experiment.title,
        question=experiment.question,
        prediction=experiment.prediction,
        source=experiment.source,
        recipe_name=recipe_name,
        variants=facts.variants,
        baseline=experiment.baseline,
        runs=finished_runs(folder, names, recipe.seeds, log),
        published=experiment.published,
        claims=experiment.claims,
        expectations=experiment.expectations,
        decides=experiment.decides,
        quantities=experiment.quantities,
        measured=log.rows(),
        sections=(*experiment.sections, *sections),
        environment=environments(folder, names, recipe.seeds),
        recipe=flat(recipe),
        command=facts.command,
        verdict_wanted=recipe.conclusions,
        data_note=facts.data_note,
        full_size_parameters=facts.full_size_parameters,
        classes=facts.classes,
    )


def rebuild(path: Path, experiment: Experiment) -> Study:
    """The study of a folder of results, or of what was kept of one; nothing is trained.

    Its statistics are computed again, by the experiment's claims as they are now. Each test error
    must be that of the predictions beside it.

    Args:
        path: The folder.
        experiment: The question that its runs are of.

    Raises:
        ResultsError: Something that the report is made from is missing, damaged, or contradicts
            another file.
    """
    held, facts = stored(path), read_facts(path)
    folder = ResultsFolder(path)
    study = study_of(held.experiment, experiment, held.recipe_name, held.recipe, facts, folder)
    _refuse_missing(path, held, study)
    for run in study.runs:
        if run.status == "finished":
            _check_predictions(path, run.variant, run.seed, run.test_error)
    return study


def _refuse_missing(path: Path, held: Stored, study: Study) -> None:
    known = [variant for variant in held.networks if variant not in study.names]
    without = [f"{run.variant}, seed {run.seed}" for run in study.finished_runs_of(study.baseline)]
    bare = [
        f"{run.variant}, seed {run.seed}"
        for run in study.runs
        if run.status == "finished" and not run.curve.epochs
    ]
    if known:
        raise ResultsError(f"{path / FACTS} says nothing of {known[0]}, which recipe.json names")
    if not without:
        raise ResultsError(
            f"{path} has no finished run of {study.baseline}, the baseline: there is nothing to "
            "compare with"
        )
    if bare:
        raise ResultsError(
            f"{path} has no metrics of {bare[0]}, though that run is finished: keep the run again "
            "with `ablax keep`, or run it again elsewhere"
        )


def _check_predictions(path: Path, variant: str, seed: int, error: float) -> None:
    name = path / "predictions" / f"{variant}-seed-{seed}.npz"
    try:
        with np.load(name, allow_pickle=False) as held:
            found = 100 * float(np.mean(held["predictions"] != held["labels"]))
    except (OSError, ValueError, KeyError, EOFError) as problem:
        raise ResultsError(
            f"{name} cannot be read ({problem}): keep the run again with `ablax keep`, or run it "
            "again elsewhere"
        ) from problem
    if found != error:
        raise AblaxError(
            f"{name} gives a test error of {found:.2f} %, and runs/{variant}-seed-{seed}.json says "
            f"{error:.2f} %: one of them is of another run"
        )
