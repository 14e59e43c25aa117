"""Run an experiment: every variant with every seed, then the report. Resumes where it stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console

from ablax.config import Recipe, with_fields
from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.experiment import Experiment
from ablax.measurements.measurement import RUN_COLUMNS, MeasurementLog, Sample
from ablax.report.page import write_report
from ablax.report.study import Study
from ablax.report.study_tables import terminal_table, write_result, write_results
from ablax.report.verdict import answer, verdict
from ablax.study import discovery
from ablax.study.environment import differing, environment
from ablax.study.folder import PRETRAINING, ResultsFolder, study_in, write_facts
from ablax.study.load import RECORD, record_of
from ablax.study.plan import Plan, resolve
from ablax.training.checkpoint import open_checkpoints
from ablax.training.dataset import open_dataset, test_images, training_images
from ablax.training.loop import (
    DivergedError,
    Moment,
    StoppedError,
    StopRequest,
    Tick,
    data_mesh,
    graceful_stop,
    set_up,
    train,
)
from ablax.training.metrics import MetricsLog, write_csv
from ablax.training.progress import Progress, busy, console_here, progress
from ablax.training.step import State, warm_start

TRAINING_SAMPLE = 5000
"""Training images that measurements look at, at most: a random sample, the same for every run."""
TEST_SAMPLE = 10_000
"""Test images that measurements look at, at most: the first ones."""


class Runner:
    """What the runs of a plan share: where their results go, and where progress is shown."""

    def __init__(self, plan: Plan, folder: ResultsFolder, console: Console) -> None:
        self.plan, self.folder, self.console = plan, folder, console
        self.log = MeasurementLog(folder.path, plan.measurements, folder.key)
        self._samples: dict[int, tuple[Split, Split]] = {}

    @cached_property
    def environment(self) -> dict[str, str]:
        """Versions, hardware, commit and date."""
        return environment()

    def observer(self, name: str, seed: int) -> Callable[[Moment, int, State], None]:
        """Takes the experiment's measurements of one run."""

        def observe(moment: Moment, step: int, state: State) -> None:
            for measurement in self.plan.measurements:
                if measurement.wanted(name, seed, moment):
                    trainer = self.plan.trainings[name].trainer
                    model = trainer.model(state, name, f"seed {seed}, step {step}")
                    self.log.take(measurement, model, self._sample(name, seed, step))

        return observe

    def _sample(self, name: str, seed: int, step: int) -> Sample:
        trainer = self.plan.trainings[name].trainer
        dataset = trainer.dataset
        if id(dataset) not in self._samples:
            samples = training_images(dataset, TRAINING_SAMPLE), test_images(dataset, TEST_SAMPLE)
            self._samples[id(dataset)] = samples
        train, test = self._samples[id(dataset)]
        return Sample(
            variant=name,
            seed=seed,
            step=step,
            epoch=step / dataset.steps_per_epoch,
            recipe=trainer.recipe,
            train=train,
            test=test,
            held_out=dataset.held_out,
        )

    @property
    def logs(self) -> list[Path]:
        """The folder of every log that a run writes to."""
        return [self.folder.path, self.folder.path / PRETRAINING, *self.log.places()]

    def vouched(self, name: str, seed: int) -> dict[str, Any]:
        """What a checkpoint of a run vouches for: its logs are on the disk before it is."""
        return {"logs": self.folder.vouch(name, seed, self.logs)}

    def resumed(self, name: str, seed: int, step: int, note: Mapping[str, Any]) -> None:
        """Refuse to go on from a checkpoint whose logs are not what it vouches for."""
        place = f"the checkpoint of step {step} in {self.folder.checkpoints(name, seed)}"
        self.folder.check_logs(name, seed, note.get("logs", {}), place)

    def study(self) -> Study:
        """What is measured so far, beside what was published."""
        plan = self.plan
        return study_in(self.folder, plan.record, plan.measurements, plan.recipe.seeds)


def pretrained(
    runner: Runner,
    name: str,
    seed: int,
    state: State,
    stop: StopRequest,
    on_resume: Callable[[int], None],
    on_tick: Callable[[Tick], None],
) -> State:
    """The state that a run starts from, after its pretraining where it has one.

    The pretraining keeps its own checkpoints beside the run's, and resumes from them; its figures
    go to `pretraining/metrics.jsonl`. Arguments and errors as of `ablax.training.loop.train`.
    """
    training, folder = runner.plan.trainings[name], runner.folder
    if training.pretrainer is None:
        return state
    own = folder.checkpoints(name, seed)
    whose = folder.of(name, seed)
    of = {**whose, "part": "pretraining"}
    place = folder.path / PRETRAINING

    def resume(step: int, note: Mapping[str, Any]) -> None:
        runner.resumed(name, seed, step, note)
        on_resume(step)

    with (
        open_checkpoints(own.with_name(f"{own.name}-pretraining"), of=of) as checkpoints,
        MetricsLog(place, of=whose["key"], tensorboard=False, by=RUN_COLUMNS) as log,
    ):
        fitted = train(
            training.pretrainer,
            seed,
            checkpoints,
            stop,
            log=lambda step, values: log.write(step, variant=name, seed=seed, **values),
            on_resume=resume,
            on_tick=on_tick,
            note=lambda: runner.vouched(name, seed),
        )
    return warm_start(state, fitted.state, training.fresh)


def run_experiment(plan: Plan, folder: ResultsFolder, console: Console) -> Study:
    """Train every variant from every seed and write the report.

    Seeds are the outer loop, so that an interrupted experiment has whole pairs to compare.

    Raises:
        ResultsError: The folder is another's, before anything is trained.
        StoppedError: Ctrl-C or SIGTERM; the state is saved.
        AblaxError: No run of the baseline came to its end.
    """
    runner, trainings = Runner(plan, folder, console), plan.trainings
    identities = {name: training.identity for name, training in trainings.items()}
    record = plan.record
    with folder.claim(record.name, record.recipe_name, plan.recipe, identities):
        console.print(_headline(runner), highlight=False, soft_wrap=True, markup=False)
        if other := _otherwise(runner):
            console.print(other, highlight=False, soft_wrap=True, markup=False)
        seeds = range(plan.recipe.seeds)
        work = sum(each.work + each.pretraining_work for each in trainings.values()) * len(seeds)
        with graceful_stop() as stop, progress(work, console=console) as shown:
            for seed in seeds:
                for name in trainings:
                    _run(runner, name, seed, stop, shown)
        study = runner.study()
        with busy(console, "writing the report"):
            page = _write(runner, study)
    say(study, console)
    console.print(f"report: {page}", soft_wrap=True, markup=False)
    if not study.finished_runs_of(study.baseline):
        raise AblaxError(
            "no run of the baseline came to its end, so there is nothing to compare with"
        )
    return study


def say(study: Study, console: Console) -> None:
    """Show the main table, the answer and the verdict."""
    shown = terminal_table(study, console.width)
    console.print(shown, markup=False, highlight=False, soft_wrap=True)
    console.print(answer(study).sentence, markup=False, soft_wrap=True)
    console.print(verdict(study).sentence, markup=False, soft_wrap=True)


def _headline(runner: Runner) -> str:
    plan, epochs = runner.plan, runner.plan.recipe.train.epochs
    return (
        f"{plan.record.title}, recipe {plan.record.recipe_name}: "
        f"{_count(len(plan.trainings), 'variant')} x {_count(plan.recipe.seeds, 'seed')} x "
        f"{_count(epochs, 'epoch')} on {runner.environment['device']}\n"
        f"{plan.record.data_note}\nresults: {runner.folder.path}"
    )


def _otherwise(runner: Runner) -> str:
    """In what the runs that are finished were made otherwise than those to come, in words."""
    runs = product(runner.plan.trainings, range(runner.plan.recipe.seeds))
    found = [runner.folder.finished(*run) for run in runs]
    done = [summary["environment"] for summary in found if summary is not None]
    if not done or len(done) == len(found):
        return ""
    unlike = differing([*done, runner.environment]).items()
    parts = (f"{name}: {', '.join(each[:-1])} there, {each[-1]} now" for name, each in unlike)
    said = "; ".join(parts)
    told = (
        f"The runs that are finished were made otherwise ({said}): the last digits of the others "
        "may differ for that, and the report names it."
    )
    return told if said else ""


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _run(runner: Runner, name: str, seed: int, stop: StopRequest, shown: Progress) -> None:
    """One variant from one seed, unless it is done already."""
    folder, training = runner.folder, runner.plan.trainings[name]
    trainer, pretrainer, before = training.trainer, training.pretrainer, training.pretraining_work
    work, a_step = training.work + before, training.work / trainer.total_steps
    if folder.verify(name, seed) is not None:
        shown.skip(work)
        return
    if stop.requested:
        raise StoppedError(stop, ": the same command goes on from here")
    shown.start_run(f"{training.variant.label} · seed {seed}", work)

    def tick(chunk: Tick, a_step: float = a_step) -> None:
        work, error = chunk.steps * a_step, chunk.test_error
        shown.advance(work, images=chunk.images, loss=chunk.loss, error=error)

    def resume(step: int, note: Mapping[str, Any]) -> None:
        runner.resumed(name, seed, step, note)
        shown.skip(before + step * a_step)

    def begin(state: State) -> State:
        if pretrainer is None:
            return state
        a_step = before / pretrainer.total_steps
        return pretrained(
            runner,
            name,
            seed,
            state,
            stop,
            on_resume=lambda step: shown.skip(step * a_step),
            on_tick=lambda chunk: tick(chunk, a_step),
        )

    summary: dict[str, Any]
    of = folder.of(name, seed)
    try:
        with (
            open_checkpoints(folder.checkpoints(name, seed), of=of) as checkpoints,
            MetricsLog(folder.path, of=of["key"], by=RUN_COLUMNS) as log,
        ):
            fitted = train(
                trainer,
                seed,
                checkpoints,
                stop,
                log=lambda step, values: log.write(step, variant=name, seed=seed, **values),
                on_resume=resume,
                on_tick=tick,
                observe=runner.observer(name, seed),
                begin=begin,
                note=lambda: runner.vouched(name, seed),
            )
        folder.write_predictions(name, seed, fitted.evaluation)
        summary = {"status": "finished", "test_error": fitted.evaluation.error}
    except DivergedError as error:
        runner.console.print(f"{name}, seed {seed}: {error}", soft_wrap=True, markup=False)
        summary = {"status": "diverged", "test_error": None}
    summary |= {"environment": runner.environment, RECORD: record_of(trainer.dataset)}
    folder.finish(name, seed, summary, runner.logs)
    study = runner.study()
    write_results(folder.path / "results.csv", study.variants, study.runs)
    shown.end_run(summary["test_error"])


def _write(runner: Runner, study: Study) -> Path:
    """Write what the folder is for, from what is finished; gives the path of the page."""
    folder = runner.folder.path
    write_results(folder / "results.csv", study.variants, study.runs)
    write_csv(folder, by=RUN_COLUMNS)
    runner.log.write_csv()
    write_result(folder / "environment.json", json.dumps(dict(study.environment), indent=2) + "\n")
    write_facts(folder, study.plan)
    return write_report(study, folder)


def run(
    experiment: str | Experiment,
    recipe: str | Recipe = "digits",
    *,
    only: str | Sequence[str] = (),
    folder: Path | str | None = None,
    name: str = "",
    recipe_name: str = "",
    command: str = "",
    progress: bool = True,
    **fields: Any,
) -> Study:
    """Run an experiment under a recipe, or resume it where it stopped, as the command line does.

    The plan is checked whole before anything is trained and before the folder is touched. The study
    shows itself as its report in a notebook; its `runs`, `summary` and `metrics` are records that a
    `pandas.DataFrame` takes.

    Args:
        experiment: A name (`ablax list`), the path of a file that defines one, a module, or the
            value.
        recipe: Likewise; one that is named is changed by the experiment's budget, and a value is
            taken as it is.
        only: Variants to run beside the baseline, with commas between or as a sequence; those of
            the budget where empty. More may be added later.
        folder: Where the results go; `results/NAME/RECIPE` by default.
        name: What an experiment that is a value is called; made from its title by default.
        recipe_name: What a recipe that is a value is called; `own` by default.
        command: What a person types to repeat it; this call by default.
        **fields: Fields of the recipe (`seeds=1`, `width=0.5`), and fields of its parts
            (`train={"epochs": 3}, optimizer={"rate": 0.1}`).

    Raises:
        AblaxError: Bad input, before anything is compiled; a folder that is another's; or no run
            of the baseline came to its end.
        StoppedError: Ctrl-C or SIGTERM; the state is saved, and the same call goes on from there.

    Example:
        >>> import ablax
        >>> study = ablax.run(
        ...     "alexnet_ablation", "smoke", only="without_7", train={"epochs": 1}
        ... )  # doctest: +SKIP
        >>> study.summary[1]["difference"]  # doctest: +SKIP
        -0.07
    """
    set_up()
    variants = tuple(only.split(",")) if isinstance(only, str) else tuple(only)
    if isinstance(experiment, str):
        found, question = discovery.experiment(experiment)
    else:
        # "What dropout buys" is the folder what_dropout_buys
        found = re.sub(r"\W+", "_", experiment.title.lower()).strip("_")
        question = experiment
    if isinstance(recipe, str):
        under, base = discovery.recipe(recipe)
        base = question.budgeted(under, base)
    else:
        under, base = "own", recipe
    found, under = name or found, recipe_name or under
    for word, given in (("name", found), ("recipe_name", under)):
        if given in ("", ".", "..") or Path(given).name != given:
            raise AblaxError(f"{word} is {given!r}, and a name that a folder can bear is expected")
    console, mesh = console_here(progress), data_mesh()
    with busy(console, f"checking {found} under {under}"):
        plan = resolve(
            found,
            question,
            under,
            with_fields(base, _dotted(fields)),
            data=lambda asked: open_dataset(asked, mesh, console),
            mesh=mesh,
            only=tuple(part.strip() for part in variants if part.strip()),
            command=command or _call(experiment, found, recipe, under, only, fields),
        )
    place = Path("results") / found / under if folder is None else Path(folder)
    return run_experiment(plan, ResultsFolder(place), console)


def _dotted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of parts by their dotted names: `train={"epochs": 3}` is `train.epochs`."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{one}": given for one, given in value.items()}
        else:
            found[name] = value
    return found


def _call(
    experiment: str | Experiment,
    name: str,
    recipe: str | Recipe,
    recipe_name: str,
    only: str | Sequence[str],
    fields: Mapping[str, Any],
) -> str:
    """The call of `run`, as a person types it; values by their names."""
    words = [repr(experiment) if isinstance(experiment, str) else name]
    words += [repr(recipe) if isinstance(recipe, str) else recipe_name]
    words += [f"only={only!r}"] if only else []
    words += [f"{field}={value!r}" for field, value in fields.items()]
    return f"ablax.run({', '.join(words)})"
