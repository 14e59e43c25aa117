"""Run an experiment: every variant with every seed, then the report. Resumes where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console

from ablax.analysis.cost import macs
from ablax.config import DataConfig, Recipe, with_fields
from ablax.core import Network, abstract_variables, count_parameters, paths, reinitialized
from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.experiment import Experiment, Inputs, Pretraining
from ablax.measurements.measurement import RUN_COLUMNS, MeasurementLog, Sample
from ablax.report.files import write_atomically
from ablax.report.page import write_report
from ablax.report.study import Run, Study, Variant
from ablax.report.study_tables import terminal_table, write_results
from ablax.report.verdict import answer, verdict
from ablax.study.environment import environment
from ablax.study.folder import (
    Identity,
    ResultsFolder,
    changes,
    finished_runs,
    identity,
    pretraining_log,
)
from ablax.study.load import RECORD, record_of
from ablax.study.rebuild import Facts, study_of, write_facts
from ablax.training.checkpoint import close, open_checkpoints
from ablax.training.dataset import Dataset, open_dataset, test_images, training_images
from ablax.training.loop import (
    DivergedError,
    Moment,
    StoppedError,
    StopRequest,
    Tick,
    Trainer,
    data_mesh,
    fit,
    graceful_stop,
)
from ablax.training.metrics import MetricsLog, write_csv
from ablax.training.progress import Progress, progress
from ablax.training.step import State, refuse_misfit, warm_start

# ------------------------------------------------------------------------------------------
# The bench of an experiment: its data, networks and trainers, and all that its runs give.

TRAINING_SAMPLE = 5000
"""Training images that measurements look at, at most: a random sample, the same for every run."""
TEST_SAMPLE = 10_000
"""Test images that measurements look at, at most: the first ones."""


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        name: The experiment's.
        experiment: The question.
        recipe_name: The recipe's.
        recipe: Data, schedule and budget.
        folder: Where the results go.
        command: What a person types to repeat it.
        only: The variants to run beside the baseline; those of the recipe's budget where empty.
    """

    name: str
    experiment: Experiment
    recipe_name: str
    recipe: Recipe
    folder: ResultsFolder
    command: str
    only: tuple[str, ...] = ()


class Runner:
    """The data, the networks and their compiled trainers: all that the runs share.

    Raises:
        AblaxError: The data are missing, or a network does not fit them or its recipe.
    """

    def __init__(self, plan: Plan, console: Console) -> None:
        self.plan = plan
        self.console = console
        self.mesh = data_mesh()
        self._datasets: dict[tuple[DataConfig, int], Dataset] = {}
        self._samples: dict[int, tuple[Split, Split]] = {}
        self.networks: dict[str, Network] = {}
        self.trainers: dict[str, Trainer] = {}
        self.pretrainers: dict[str, Trainer] = {}
        experiment = plan.experiment
        for name in experiment.chosen(plan.recipe_name, plan.only):
            recipe = experiment.recipe_of(name, plan.recipe)
            dataset = self._dataset(recipe)
            self.networks[name] = experiment.network_of(name, _inputs(dataset, recipe.width))
            self.trainers[name] = Trainer(self.networks[name], recipe, dataset, self.mesh)
            pretraining = experiment.pretraining_of(name)
            if pretraining is not None:
                self.pretrainers[name] = self._pretrainer(name, recipe, pretraining)
        self.log = MeasurementLog(plan.folder.path, experiment.measurements)
        self.full_size = full_size_parameters(experiment)

    def _pretrainer(self, name: str, recipe: Recipe, pretraining: Pretraining) -> Trainer:
        """What pretrains a variant's initial weights, which must fit the variant's network."""
        recipe = with_fields(recipe, pretraining.fields)
        dataset = self._dataset(recipe)
        network = self.plan.experiment.network_of(name, _inputs(dataset, recipe.width))
        here, there = (
            abstract_variables(net, given.image_shape)["params"]
            for net, given in (
                (self.networks[name], self.trainers[name].dataset),
                (network, dataset),
            )
        )
        refuse_misfit(here, there, pretraining.fresh)
        return Trainer(network, recipe, dataset, self.mesh)

    def _dataset(self, recipe: Recipe) -> Dataset:
        """The data of a recipe; variants that ask for the same ones share them."""
        asked = (recipe.data, recipe.train.batch)
        if asked not in self._datasets:
            self._datasets[asked] = open_dataset(recipe, self.mesh, self.console)
        return self._datasets[asked]

    @property
    def dataset(self) -> Dataset:
        """The baseline's data."""
        return self.trainers[self.plan.experiment.baseline].dataset

    @cached_property
    def fingerprints(self) -> dict[str, Identity]:
        """What each network is, and what its recipe changes, to know it again."""
        return {
            name: identity(network, self.trainers[name].dataset.image_shape, self._changes(name))
            for name, network in self.networks.items()
        }

    @cached_property
    def environment(self) -> dict[str, str]:
        """Versions, hardware, commit and date."""
        return environment()

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """What each network is and costs."""
        return tuple(self._variant(name) for name in self.networks)

    def _variant(self, name: str) -> Variant:
        experiment = self.plan.experiment
        network, baseline = self.networks[name], self.networks[experiment.baseline]
        shape = self.trainers[name].dataset.image_shape
        edited = experiment.is_edit(name)
        left = set(paths(network))
        gone = [path for path in paths(baseline) if path not in left and "/" not in path]
        return Variant(
            name=name,
            label=experiment.label(name),
            parameters=count_parameters(network, shape),
            macs=network_macs(network, shape),
            removed_layers=tuple(gone) if edited else (),
            reinitialized=reinitialized(baseline, network, shape) if edited else (),
            changes=self._changes(name),
        )

    def _changes(self, name: str) -> tuple[str, ...]:
        """What a variant changes in its training, in words."""
        recipe = self.trainers[name].recipe
        changed = changes(recipe, self.plan.recipe)
        if name in self.pretrainers:
            other = ", ".join(changes(self.pretrainers[name].recipe, recipe))
            changed += (f"first weights from a training with {other}",)
        return changed

    def work(self, name: str) -> float:
        """The multiply-accumulates of one run's forward passes over the training images."""
        return self._work(name, self.trainers[name])

    def pretraining_work(self, name: str) -> float:
        """Likewise, of its pretraining; 0 without one."""
        return self._work(name, self.pretrainers[name]) if name in self.pretrainers else 0.0

    def _work(self, name: str, trainer: Trainer) -> float:
        macs_an_image = next(v.macs for v in self.variants if v.name == name)
        return float(trainer.total_steps * trainer.recipe.train.batch * macs_an_image)

    def observer(self, name: str, seed: int) -> Callable[[Moment, int, State], None]:
        """Takes the experiment's measurements of one run."""

        def observe(moment: Moment, step: int, state: State) -> None:
            for measurement in self.plan.experiment.measurements:
                if measurement.wanted(name, seed, moment):
                    model = self.trainers[name].model(state, name, f"seed {seed}, step {step}")
                    self.log.take(measurement, model, self._sample(name, seed, step))

        return observe

    def _sample(self, name: str, seed: int, step: int) -> Sample:
        trainer = self.trainers[name]
        dataset = trainer.dataset
        if id(dataset) not in self._samples:
            train = Split(*training_images(dataset, TRAINING_SAMPLE))
            self._samples[id(dataset)] = (train, Split(*test_images(dataset, TEST_SAMPLE)))
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

    def runs(self) -> tuple[Run, ...]:
        """Every run that is done, from the files of the folder."""
        plan = self.plan
        return finished_runs(plan.folder, self.networks, plan.recipe.seeds, self.log)

    def write_tables(self, runs: tuple[Run, ...]) -> None:
        """Write what is known so far: a row for each of the runs, the curves, the measurements."""
        folder = self.plan.folder.path
        write_results(folder / "results.csv", self.variants, runs)
        write_csv(folder, by=RUN_COLUMNS)
        self.log.write_csv()

    @property
    def facts(self) -> Facts:
        """What the report says of the data and the networks."""
        return Facts(
            variants=self.variants,
            command=self.plan.command,
            data_note=self.dataset.note,
            classes=self.dataset.classes,
            full_size_parameters=self.full_size,
        )

    def study(self) -> Study:
        """What was measured, beside what was published."""
        plan = self.plan
        return study_of(
            plan.name, plan.experiment, plan.recipe_name, plan.recipe, self.facts, plan.folder
        )


def _inputs(dataset: Dataset, width: float) -> Inputs:
    height, wide, channels = dataset.image_shape
    if height != wide:
        raise AblaxError(
            f"the images have {height} x {wide} pixels, and square ones are expected: resize them "
            f"with --data.image-size {min(height, wide)}"
        )
    return Inputs(height, channels, dataset.classes, width)


def network_macs(network: Network, image_shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of one forward pass for one image.

    Raises:
        AblaxError: Nobody can say from the network how often one of its products runs.
    """
    variables = abstract_variables(network, image_shape)
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    try:
        return macs(network.apply, variables, image)
    except ValueError as error:
        raise AblaxError(f"the network's cost cannot be counted: {error}") from error


def full_size_parameters(experiment: Experiment) -> dict[str, int]:
    """Every variant's parameters at the size of the source; empty where none is given."""
    inputs = experiment.full_size
    if inputs is None:
        return {}
    networks = experiment.networks(inputs)
    return {name: count_parameters(n, inputs.image_shape) for name, n in networks.items()}


# ------------------------------------------------------------------------------------------
# The training that a variant's first weights come from, run before the variant's own.


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
    go to `pretraining/metrics.jsonl`.

    Args:
        runner: Its trainers.
        name: The variant.
        seed: Of both trainings.
        state: The initial state.
        stop: Asked after every chunk.
        on_resume: Called with the step from which the pretraining resumes.
        on_tick: Told about every chunk of it.

    Raises:
        StoppedError: `stop` was requested; the state is saved.
        DivergedError: A loss of the pretraining is not finite.
        CheckpointError: As `fit`.
    """
    pretraining = runner.plan.experiment.pretraining_of(name)
    if pretraining is None:
        return state
    folder = runner.plan.folder
    own = folder.checkpoints(name, seed)
    checkpoints = open_checkpoints(own.with_name(f"{own.name}-pretraining"))
    try:
        with MetricsLog(pretraining_log(folder.path), tensorboard=False, by=RUN_COLUMNS) as log:
            fitted = fit(
                runner.pretrainers[name],
                seed,
                checkpoints,
                stop,
                log=lambda step, values: log.write(step, variant=name, seed=seed, **values),
                on_resume=on_resume,
                on_tick=on_tick,
            )
    finally:
        close(checkpoints)
    return warm_start(state, fitted.state, pretraining.fresh)


# ------------------------------------------------------------------------------------------
# Run an experiment: every variant with every seed, then the report. Resumes where it stopped.


def run_experiment(plan: Plan, console: Console) -> Study:
    """Train every variant from every seed and write the report.

    Seeds are the outer loop, so that an interrupted experiment has whole pairs to compare.

    Args:
        plan: What to run.
        console: Where progress and the table are shown.

    Returns:
        What was measured.

    Raises:
        AblaxError: Bad input, before anything is compiled.
        StoppedError: Ctrl-C or SIGTERM; the state is saved.
    """
    runner = Runner(plan, console)
    with plan.folder.claim(plan.name, plan.recipe_name, plan.recipe, runner.fingerprints):
        console.print(_headline(runner), highlight=False, soft_wrap=True, markup=False)
        seeds = range(plan.recipe.seeds)
        work = sum(_whole_work(runner, name) for name in runner.networks) * len(seeds)
        with graceful_stop() as stop, progress(work, console=console) as shown:
            for seed in seeds:
                for name in runner.networks:
                    _run(runner, name, seed, stop, shown)
        study = runner.study()
        page = _write(runner, study)
    console.print(terminal_table(study))
    console.print(answer(study).sentence, markup=False, soft_wrap=True)
    console.print(verdict(study).sentence, markup=False, soft_wrap=True)
    console.print(f"report: {page}", soft_wrap=True, markup=False)
    if not study.finished_runs_of(study.baseline):
        raise AblaxError(
            "no run of the baseline came to its end, so there is nothing to compare with"
        )
    return study


def _headline(runner: Runner) -> str:
    plan, epochs = runner.plan, runner.plan.recipe.train.epochs
    return (
        f"{plan.experiment.title}, recipe {plan.recipe_name}: "
        f"{_count(len(runner.networks), 'variant')} x {_count(plan.recipe.seeds, 'seed')} x "
        f"{_count(epochs, 'epoch')} on {runner.environment['device']}\n"
        f"{runner.dataset.note}\nresults: {plan.folder.path}"
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _whole_work(runner: Runner, name: str) -> float:
    return runner.work(name) + runner.pretraining_work(name)


def _run(runner: Runner, name: str, seed: int, stop: StopRequest, shown: Progress) -> None:
    """One variant from one seed, unless it is done already."""
    folder, trainer = runner.plan.folder, runner.trainers[name]
    work, before = _whole_work(runner, name), runner.pretraining_work(name)
    a_step = runner.work(name) / trainer.total_steps
    if folder.finished(name, seed) is not None:
        shown.skip(work)
        return
    if stop.requested:
        raise StoppedError(f"stopped by {stop.requested}: the same command goes on from here")
    shown.start_run(f"{runner.plan.experiment.label(name)} · seed {seed}", work)

    def tick(chunk: Tick, a_step: float = a_step) -> None:
        shown.advance(
            chunk.steps * a_step,
            images=chunk.images,
            loss=chunk.loss,
            error=chunk.test_error,
        )

    def begin(state: State) -> State:
        if name not in runner.pretrainers:
            return state
        a_step = before / runner.pretrainers[name].total_steps
        return pretrained(
            runner,
            name,
            seed,
            state,
            stop,
            on_resume=lambda step: shown.skip(step * a_step),
            on_tick=lambda chunk: tick(chunk, a_step),
        )

    checkpoints = open_checkpoints(folder.checkpoints(name, seed))
    summary: dict[str, Any]
    try:
        with MetricsLog(folder.path, by=RUN_COLUMNS) as log:
            fitted = fit(
                trainer,
                seed,
                checkpoints,
                stop,
                log=lambda step, values: log.write(step, variant=name, seed=seed, **values),
                on_resume=lambda step: shown.skip(before + step * a_step),
                on_tick=tick,
                observe=runner.observer(name, seed),
                begin=begin,
            )
        folder.write_predictions(name, seed, fitted.evaluation)
        summary = {"status": "finished", "test_error": fitted.evaluation.error}
    except DivergedError as error:
        runner.console.print(f"{name}, seed {seed}: {error}", soft_wrap=True, markup=False)
        summary = {"status": "diverged", "test_error": None}
    finally:
        close(checkpoints)
    summary |= {"environment": runner.environment, RECORD: record_of(trainer.dataset)}
    folder.finish(name, seed, summary)
    write_results(folder.path / "results.csv", runner.variants, runner.runs())
    shown.end_run(summary["test_error"])


def _write(runner: Runner, study: Study) -> Path:
    """Write what the folder is for, from what is finished; gives the path of the page."""
    folder = runner.plan.folder.path
    runner.write_tables(study.runs)
    text = json.dumps(dict(study.environment), indent=2) + "\n"
    write_atomically(folder / "environment.json", text)
    write_facts(folder, runner.facts)
    return write_report(study, folder)
