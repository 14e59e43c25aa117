"""Run an experiment: every variant from every seed, then the report. Goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from ablax.bench import Bench, Order
from ablax.errors import AblaxError
from ablax.measurements.measurement import RUN_COLUMNS
from ablax.pretraining import pretrained
from ablax.rebuild import write_facts
from ablax.report.files import write_atomically
from ablax.report.page import write_report
from ablax.report.study import Study
from ablax.report.study_tables import terminal_table, write_results
from ablax.report.verdict import answer, verdict
from ablax.training.checkpoint import close, open_checkpoints
from ablax.training.loop import DivergedError, StoppedError, StopRequest, Tick, fit, graceful_stop
from ablax.training.metrics import MetricsLog
from ablax.training.progress import Progress, progress
from ablax.training.step import State


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
