"""Run an experiment: every variant from every seed, then the report. Goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console

from ablax.analysis.cost import macs
from ablax.config import Recipe
from ablax.core import Network, abstract_variables, count_parameters, paths, redrawn
from ablax.environment import environment
from ablax.errors import AblaxError
from ablax.experiment import BASELINE, Experiment, Inputs
from ablax.finished_runs import finished_run
from ablax.report.csvfile import write_results
from ablax.report.files import write_atomically
from ablax.report.page import write_report
from ablax.report.results import Run, Study, Variant
from ablax.report.tables import terminal_table
from ablax.report.verdict import verdict
from ablax.results_folder import ResultsFolder, fingerprint, flat
from ablax.training.checkpoint import close, open_checkpoints
from ablax.training.feed import Feed
from ablax.training.interrupt import StopRequest, graceful_stop
from ablax.training.loop import DivergedError, StoppedError, Tick, fit
from ablax.training.metrics import MetricsLog, read_metrics, seconds_by_run, write_csv
from ablax.training.open_feed import open_feed
from ablax.training.progress import Progress, progress
from ablax.training.trainer import Trainer, data_mesh

RUN_COLUMNS = ("variant", "seed")
"""The columns of the metrics that tell runs apart."""


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
    """

    name: str
    experiment: Experiment
    recipe_name: str
    recipe: Recipe
    folder: ResultsFolder
    command: str


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
        work = sum(bench.work(name) for name in bench.networks) * len(seeds)
        with graceful_stop() as stop, progress(work, console=console) as shown:
            for seed in seeds:
                for name in bench.networks:
                    bench.run(name, seed, stop, shown)
        study = bench.study()
        page = bench.write(study)
    console.print(terminal_table(study))
    console.print(verdict(study).sentence, markup=False, soft_wrap=True)
    console.print(f"report: {page}", soft_wrap=True, markup=False)
    if not study.finished_runs_of(BASELINE):
        raise AblaxError(
            "no run of the baseline came to its end, so there is nothing to compare with"
        )
    return study


def _headline(bench: Bench) -> str:
    order, epochs = bench.order, bench.order.recipe.train.epochs
    return (
        f"{order.experiment.title}, recipe {order.recipe_name}: {len(bench.networks)} variants x "
        f"{order.recipe.seeds} seeds x {epochs} epochs on {bench.environment['device']}\n"
        f"{bench.feed.note}\nresults: {order.folder.path}"
    )


class Bench:
    """The data, the networks and their compiled trainers: all that the runs share.

    Raises:
        AblaxError: The data are missing, or a network does not fit them or the recipe.
    """

    def __init__(self, order: Order, console: Console) -> None:
        self.order = order
        self.console = console
        recipe = order.recipe
        self.mesh = data_mesh()
        self.feed = open_feed(recipe, self.mesh, console)
        self.inputs = _inputs(self.feed, recipe.width)
        self.networks = order.experiment.networks(self.inputs)
        self.trainers = {name: self._trainer(network) for name, network in self.networks.items()}
        self.full_size = full_size_parameters(order.experiment)

    def _trainer(self, network: Network) -> Trainer:
        return Trainer(network, self.order.recipe, self.feed, self.mesh)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What each network is, to know it again."""
        shape = self.feed.image_shape
        return {name: fingerprint(network, shape) for name, network in self.networks.items()}

    @cached_property
    def environment(self) -> dict[str, str]:
        """Versions, hardware, commit and date."""
        return environment()

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """What each network is and costs."""
        return tuple(self._variant(name) for name in self.networks)

    def _variant(self, name: str) -> Variant:
        network, baseline = self.networks[name], self.networks[BASELINE]
        shape = self.feed.image_shape
        left = set(paths(network))
        gone = [path for path in paths(baseline) if path not in left and "/" not in path]
        return Variant(
            name=name,
            label=self.order.experiment.label(name),
            parameters=count_parameters(network, shape),
            macs=network_macs(network, shape),
            removed_layers=tuple(gone),
            redrawn=() if name == BASELINE else redrawn(baseline, network, shape),
        )

    def work(self, name: str) -> float:
        """The multiply-accumulates of one run's forward passes over the training images."""
        macs_an_image = next(v.macs for v in self.variants if v.name == name)
        return float(
            self.trainers[name].total_steps * self.order.recipe.train.batch * macs_an_image
        )

    def run(self, name: str, seed: int, stop: StopRequest, shown: Progress) -> None:
        """One variant from one seed, unless it is done already."""
        folder, trainer = self.order.folder, self.trainers[name]
        work = self.work(name)
        a_step = work / trainer.total_steps
        if folder.finished(name, seed) is not None:
            shown.skip(work)
            return
        if stop.requested:
            raise StoppedError(f"stopped by {stop.requested}: the same command goes on from here")
        shown.start_run(f"{self.order.experiment.label(name)} · seed {seed}", work)

        def tick(chunk: Tick) -> None:
            shown.advance(
                chunk.steps * a_step,
                images=chunk.images,
                loss=chunk.loss,
                error=chunk.test_error,
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
                    on_resume=lambda step: shown.skip(step * a_step),
                    on_tick=tick,
                )
            folder.write_predictions(name, seed, fitted.judged)
            summary = {"status": "finished", "test_error": fitted.judged.error}
        except DivergedError as error:
            self.console.print(f"{name}, seed {seed}: {error}", soft_wrap=True, markup=False)
            summary = {"status": "diverged", "test_error": None}
        finally:
            close(checkpoints)
        folder.finish(name, seed, {**summary, "environment": self.environment})
        write_results(folder.path / "results.csv", self.variants, self.runs())
        shown.end_run(summary["test_error"])

    def runs(self) -> tuple[Run, ...]:
        """Every run that is done, from the files of the folder."""
        folder = self.order.folder
        records = read_metrics(folder.path, by=RUN_COLUMNS)
        seconds = seconds_by_run(folder.path, by=RUN_COLUMNS)
        found = []
        for name, seed, summary in self._finished():
            own = [r for r in records if (r["variant"], r["seed"]) == (name, seed)]
            spent, attempts = seconds.get((name, seed), (0.0, 1))
            found.append(finished_run(name, seed, summary, own, spent, attempts))
        return tuple(found)

    def _finished(self) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Variant, seed and summary of every run that is done."""
        for name in self.networks:
            for seed in range(self.order.recipe.seeds):
                summary = self.order.folder.finished(name, seed)
                if summary is not None:
                    yield name, seed, summary

    def write(self, study: Study) -> Path:
        """Write what the folder is for, from what is finished; gives the path of the page."""
        folder = self.order.folder.path
        write_results(folder / "results.csv", study.variants, study.runs)
        write_csv(folder, by=RUN_COLUMNS)
        text = json.dumps(dict(study.environment), indent=2) + "\n"
        write_atomically(folder / "environment.json", text)
        return write_report(study, folder)

    def environments(self) -> dict[str, str]:
        """Where the finished runs were made; what differs between them is listed."""
        told: dict[str, list[str]] = {}
        for _, _, summary in self._finished():
            for key, value in summary["environment"].items():
                told.setdefault(key, [])
                told[key] += [value] * (value not in told[key])
        return {key: "; ".join(values) for key, values in told.items()}

    def study(self) -> Study:
        """What was measured, beside what was published."""
        order, experiment = self.order, self.order.experiment
        return Study(
            name=order.name,
            title=experiment.title,
            question=experiment.question,
            prediction=experiment.prediction,
            source=experiment.source,
            recipe_name=order.recipe_name,
            variants=self.variants,
            baseline=BASELINE,
            runs=self.runs(),
            published=experiment.published,
            claims=experiment.claims,
            expectations=experiment.expectations,
            environment=self.environments(),
            recipe=flat(order.recipe),
            command=order.command,
            verdict_wanted=order.recipe.conclusions,
            data_note=self.feed.note,
            full_size_parameters=self.full_size,
            classes=self.feed.classes,
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
