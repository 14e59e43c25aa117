"""Run an experiment: every variant from every seed, then the report. Goes on where it stopped."""

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
from ablax.core import Network, abstract_variables, count_parameters, paths, redrawn
from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.experiment import Experiment, Inputs, Pretraining
from ablax.measurements.measurement import RUN_COLUMNS, MeasurementLog, Subject
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
from ablax.study.rebuild import Facts, study_of, write_facts
from ablax.training.checkpoint import close, open_checkpoints
from ablax.training.feed import Feed, open_feed, test_images, training_images
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
from ablax.training.step import State, refuse_misfit, transplant

# ------------------------------------------------------------------------------------------
# The bench of an experiment: its data, networks and trainers, and all that its runs give.

TRAINING_SAMPLE = 5000
"""Training images that measurements look at, at most: a random sample, the same for every run."""
TEST_SAMPLE = 10_000
"""Test images that measurements look at, at most: the first ones."""


@dataclass(frozen=True)
class Order:
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


class Bench:
    """The data, the networks and their compiled trainers: all that the runs share.

    Raises:
        AblaxError: The data are missing, or a network does not fit them or its recipe.
    """

    def __init__(self, order: Order, console: Console) -> None:
        self.order = order
        self.console = console
        self.mesh = data_mesh()
        self._feeds: dict[tuple[DataConfig, int], Feed] = {}
        self._samples: dict[int, tuple[Split, Split]] = {}
        self.networks: dict[str, Network] = {}
        self.trainers: dict[str, Trainer] = {}
        self.pretrainers: dict[str, Trainer] = {}
        experiment = order.experiment
        for name in experiment.chosen(order.recipe_name, order.only):
            recipe = experiment.recipe_of(name, order.recipe)
            feed = self._feed(recipe)
            self.networks[name] = experiment.network_of(name, _inputs(feed, recipe.width))
            self.trainers[name] = Trainer(self.networks[name], recipe, feed, self.mesh)
            pretraining = experiment.pretraining_of(name)
            if pretraining is not None:
                self.pretrainers[name] = self._pretrainer(name, recipe, pretraining)
        self.log = MeasurementLog(order.folder.path, experiment.measurements)
        self.full_size = full_size_parameters(experiment)

    def _pretrainer(self, name: str, recipe: Recipe, pretraining: Pretraining) -> Trainer:
        """What trains a variant's first weights, which must fit the variant's network."""
        recipe = with_fields(recipe, pretraining.fields)
        feed = self._feed(recipe)
        network = self.order.experiment.network_of(name, _inputs(feed, recipe.width))
        here, there = (
            abstract_variables(net, given.image_shape)["params"]
            for net, given in ((self.networks[name], self.trainers[name].feed), (network, feed))
        )
        refuse_misfit(here, there, pretraining.fresh)
        return Trainer(network, recipe, feed, self.mesh)

    def _feed(self, recipe: Recipe) -> Feed:
        """The data of a recipe; variants that ask for the same ones share them."""
        asked = (recipe.data, recipe.train.batch)
        if asked not in self._feeds:
            self._feeds[asked] = open_feed(recipe, self.mesh, self.console)
        return self._feeds[asked]

    @property
    def feed(self) -> Feed:
        """The baseline's data."""
        return self.trainers[self.order.experiment.baseline].feed

    @cached_property
    def fingerprints(self) -> dict[str, Identity]:
        """What each network is, and what its recipe changes, to know it again."""
        return {
            name: identity(network, self.trainers[name].feed.image_shape, self._changes(name))
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
        experiment = self.order.experiment
        network, baseline = self.networks[name], self.networks[experiment.baseline]
        shape = self.trainers[name].feed.image_shape
        edited = experiment.is_edit(name)
        left = set(paths(network))
        gone = [path for path in paths(baseline) if path not in left and "/" not in path]
        return Variant(
            name=name,
            label=experiment.label(name),
            parameters=count_parameters(network, shape),
            macs=network_macs(network, shape),
            removed_layers=tuple(gone) if edited else (),
            redrawn=redrawn(baseline, network, shape) if edited else (),
            changes=self._changes(name),
        )

    def _changes(self, name: str) -> tuple[str, ...]:
        """What a variant changes in its training, in words."""
        recipe = self.trainers[name].recipe
        changed = changes(recipe, self.order.recipe)
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
            for measurement in self.order.experiment.measurements:
                if measurement.wanted(name, seed, moment):
                    self.log.take(measurement, self._subject(name, seed, step, state))

        return observe

    def _subject(self, name: str, seed: int, step: int, state: State) -> Subject:
        trainer = self.trainers[name]
        feed = trainer.feed
        if id(feed) not in self._samples:
            train = Split(*training_images(feed, TRAINING_SAMPLE))
            self._samples[id(feed)] = (train, Split(*test_images(feed, TEST_SAMPLE)))
        train, test = self._samples[id(feed)]
        return Subject(
            variant=name,
            seed=seed,
            step=step,
            epoch=step / feed.steps_per_epoch,
            network=self.networks[name],
            variables={"params": state.params, "batch_stats": state.batch_stats},
            recipe=trainer.recipe,
            train=train,
            test=test,
            classes=feed.classes,
            mean=feed.mean,
            std=feed.std,
            held_out=feed.held_out,
        )

    def runs(self) -> tuple[Run, ...]:
        """Every run that is done, from the files of the folder."""
        order = self.order
        return finished_runs(order.folder, self.networks, order.recipe.seeds, self.log)

    def write_tables(self, runs: tuple[Run, ...]) -> None:
        """Write what is known so far: a row for each of the runs, the curves, the measurements."""
        folder = self.order.folder.path
        write_results(folder / "results.csv", self.variants, runs)
        write_csv(folder, by=RUN_COLUMNS)
        self.log.write_csv()

    @property
    def facts(self) -> Facts:
        """What the report says of the data and the networks."""
        return Facts(
            variants=self.variants,
            command=self.order.command,
            data_note=self.feed.note,
            classes=self.feed.classes,
            full_size_parameters=self.full_size,
        )

    def study(self) -> Study:
        """What was measured, beside what was published."""
        order = self.order
        return study_of(
            order.name, order.experiment, order.recipe_name, order.recipe, self.facts, order.folder
        )


def _inputs(feed: Feed, width: float) -> Inputs:
    height, wide, channels = feed.image_shape
    if height != wide:
        raise AblaxError(
            f"the images have {height} x {wide} pixels, and square ones are expected: resize them "
            f"with --data.image-size {min(height, wide)}"
        )
    return Inputs(height, channels, feed.classes, width)


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
    bench: Bench,
    name: str,
    seed: int,
    state: State,
    stop: StopRequest,
    on_resume: Callable[[int], None],
    on_tick: Callable[[Tick], None],
) -> State:
    """The state that a run starts from, after its pretraining where it has one.

    The pretraining keeps its own checkpoints beside the run's, and goes on from them; its figures
    go to `pretraining/metrics.jsonl`.

    Args:
        bench: Its trainers.
        name: The variant.
        seed: Of both trainings.
        state: As drawn.
        stop: Asked after every chunk.
        on_resume: Told the step from which the pretraining goes on.
        on_tick: Told about every chunk of it.

    Raises:
        StoppedError: `stop` was requested; the state is saved.
        DivergedError: A loss of the pretraining is not finite.
        CheckpointError: As `fit`.
    """
    pretraining = bench.order.experiment.pretraining_of(name)
    if pretraining is None:
        return state
    folder = bench.order.folder
    own = folder.checkpoints(name, seed)
    checkpoints = open_checkpoints(own.with_name(f"{own.name}-pretraining"))
    try:
        with MetricsLog(pretraining_log(folder.path), tensorboard=False, by=RUN_COLUMNS) as log:
            fitted = fit(
                bench.pretrainers[name],
                seed,
                checkpoints,
                stop,
                log=lambda step, values: log.write(step, variant=name, seed=seed, **values),
                on_resume=on_resume,
                on_tick=on_tick,
            )
    finally:
        close(checkpoints)
    return transplant(state, fitted.state, pretraining.fresh)


# ------------------------------------------------------------------------------------------
# Run an experiment: every variant from every seed, then the report. Goes on where it stopped.


def run_experiment(order: Order, console: Console) -> Study:
    """Train every variant from every seed and write the report.

    Seeds are the outer loop, so that an interrupted experiment has whole pairs to compare.

    Args:
        order: What to run.
        console: Where progress and the table are shown.

    Returns:
        What was measured.

    Raises:
        AblaxError: Bad input, before anything is compiled.
        StoppedError: Ctrl-C or SIGTERM; the state is saved.
    """
    bench = Bench(order, console)
    with order.folder.claim(order.name, order.recipe_name, order.recipe, bench.fingerprints):
        console.print(_headline(bench), highlight=False, soft_wrap=True, markup=False)
        seeds = range(order.recipe.seeds)
        work = sum(_whole_work(bench, name) for name in bench.networks) * len(seeds)
        with graceful_stop() as stop, progress(work, console=console) as shown:
            for seed in seeds:
                for name in bench.networks:
                    _run(bench, name, seed, stop, shown)
        study = bench.study()
        page = _write(bench, study)
    console.print(terminal_table(study))
    console.print(answer(study).sentence, markup=False, soft_wrap=True)
    console.print(verdict(study).sentence, markup=False, soft_wrap=True)
    console.print(f"report: {page}", soft_wrap=True, markup=False)
    if not study.finished_runs_of(study.baseline):
        raise AblaxError(
            "no run of the baseline came to its end, so there is nothing to compare with"
        )
    return study


def _headline(bench: Bench) -> str:
    order, epochs = bench.order, bench.order.recipe.train.epochs
    return (
        f"{order.experiment.title}, recipe {order.recipe_name}: "
        f"{_count(len(bench.networks), 'variant')} x {_count(order.recipe.seeds, 'seed')} x "
        f"{_count(epochs, 'epoch')} on {bench.environment['device']}\n"
        f"{bench.feed.note}\nresults: {order.folder.path}"
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _whole_work(bench: Bench, name: str) -> float:
    return bench.work(name) + bench.pretraining_work(name)


def _run(bench: Bench, name: str, seed: int, stop: StopRequest, shown: Progress) -> None:
    """One variant from one seed, unless it is done already."""
    folder, trainer = bench.order.folder, bench.trainers[name]
    work, before = _whole_work(bench, name), bench.pretraining_work(name)
    a_step = bench.work(name) / trainer.total_steps
    if folder.finished(name, seed) is not None:
        shown.skip(work)
        return
    if stop.requested:
        raise StoppedError(f"stopped by {stop.requested}: the same command goes on from here")
    shown.start_run(f"{bench.order.experiment.label(name)} · seed {seed}", work)

    def tick(chunk: Tick, a_step: float = a_step) -> None:
        shown.advance(
            chunk.steps * a_step,
            images=chunk.images,
            loss=chunk.loss,
            error=chunk.test_error,
        )

    def begin(state: State) -> State:
        if name not in bench.pretrainers:
            return state
        a_step = before / bench.pretrainers[name].total_steps
        return pretrained(
            bench,
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
                observe=bench.observer(name, seed),
                begin=begin,
            )
        folder.write_predictions(name, seed, fitted.judged)
        summary = {"status": "finished", "test_error": fitted.judged.error}
    except DivergedError as error:
        bench.console.print(f"{name}, seed {seed}: {error}", soft_wrap=True, markup=False)
        summary = {"status": "diverged", "test_error": None}
    finally:
        close(checkpoints)
    folder.finish(name, seed, {**summary, "environment": bench.environment})
    write_results(folder.path / "results.csv", bench.variants, bench.runs())
    shown.end_run(summary["test_error"])


def _write(bench: Bench, study: Study) -> Path:
    """Write what the folder is for, from what is finished; gives the path of the page."""
    folder = bench.order.folder.path
    bench.write_tables(study.runs)
    text = json.dumps(dict(study.environment), indent=2) + "\n"
    write_atomically(folder / "environment.json", text)
    write_facts(folder, bench.facts)
    return write_report(study, folder)
