"""Run an experiment: every variant with every seed, then the report. Resumes where it stopped."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import jax
from rich.console import Console

from ablax.config import Recipe, with_fields
from ablax.data.images import Split
from ablax.errors import AblaxError, is_out_of_memory
from ablax.experiment import Experiment
from ablax.measurements.measurement import RUN_COLUMNS, Measurement, MeasurementLog, Sample
from ablax.native import HALVES, instructions
from ablax.report.page import write_report
from ablax.report.study import Study
from ablax.report.study_tables import terminal_table, write_result, write_results
from ablax.report.verdict import answer, decided, design_words, verdict
from ablax.study import discovery
from ablax.study.environment import available_cores, device, differing, environment, threads
from ablax.study.folder import (
    PRETRAINING,
    RECORD,
    ResultsFolder,
    record_of,
    stored,
    study_in,
    write_facts,
)
from ablax.study.plan import Plan, Training, resolve, training_by_name
from ablax.study.workers import (
    OUT_OF_MEMORY,
    Job,
    Pool,
    Remote,
    RunKey,
    Schedule,
    Shown,
    closing,
    leave_room,
    worth,
)
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
from ablax.training.progress import Progress, RunProgress, busy, console_here, progress
from ablax.training.step import State, warm_start

TRAINING_SAMPLE = 5000
"""Training images that measurements look at, at most: a random sample, the same for every run of a
fold."""
TEST_SAMPLE = 10_000
"""Test images that measurements look at, at most: the first ones."""


class Runner:
    """What the runs of a plan share: what is trained and measured, and where the results go."""

    def __init__(
        self,
        trainings: Callable[[str], Training],
        measurements: tuple[Measurement, ...],
        folder: ResultsFolder,
    ) -> None:
        self.training, self.measurements, self.folder = trainings, measurements, folder
        self.log = MeasurementLog(folder.path, measurements, folder.key)
        self._samples: dict[tuple[int, int], tuple[Split, Split]] = {}

    @cached_property
    def environment(self) -> dict[str, str]:
        """Versions, hardware, commit and date."""
        return environment()

    def observer(self, name: str, seed: int) -> Callable[[Moment, int, State], None]:
        """Takes the experiment's measurements of one run."""

        def observe(moment: Moment, step: int, state: State) -> None:
            for measurement in self.measurements:
                if measurement.wanted(name, seed, moment):
                    trainer = self.training(name).trainer
                    model = trainer.model(state, name, f"seed {seed}, step {step}")
                    self.log.take(measurement, model, self._sample(name, seed, step))

        return observe

    def _sample(self, name: str, seed: int, step: int) -> Sample:
        trainer = self.training(name).trainer
        dataset = trainer.dataset
        fold = seed % dataset.folds
        if (id(dataset), fold) not in self._samples:
            training = training_images(dataset, TRAINING_SAMPLE, fold)
            self._samples[id(dataset), fold] = training, test_images(dataset, TEST_SAMPLE, fold)
        train, test = self._samples[id(dataset), fold]
        return Sample(
            variant=name,
            seed=seed,
            step=step,
            epoch=step / dataset.steps_per_epoch,
            recipe=trainer.recipe,
            train=train,
            test=test,
            held_out=dataset.held_out(seed),
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
    training, folder = runner.training(name), runner.folder
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
        MetricsLog(place, of=whose["key"], tensorboard=False, by=RUN_COLUMNS, alone=False) as log,
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


@dataclass
class Prepared:
    """A plan, where its results go, and the words by which a worker finds its experiment.

    Without such words, as of an experiment that is a value, its runs are trained in this process.
    """

    plan: Plan
    folder: ResultsFolder
    source: str = ""

    def __post_init__(self) -> None:
        seeds, looks = self.plan.recipe.seeds, self.plan.record.looks
        self.seeds = looks[0] if seeds == "auto" else seeds
        self.runner = Runner(self.plan.trainings.__getitem__, self.plan.measurements, self.folder)

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Every variant with every seed; seeds outside, so that whole pairs come first."""
        return [(name, seed) for seed in range(self.seeds) for name in self.plan.trainings]

    @property
    def planned(self) -> int:
        """How many seeds there may become."""
        return max((self.seeds, *self.plan.record.looks))

    def work(self, name: str) -> float:
        """That of one run, with its pretraining."""
        training = self.plan.trainings[name]
        return training.work + training.pretraining_work

    def label(self, name: str, seed: int) -> str:
        """How a person calls one run."""
        return f"{self.plan.trainings[name].variant.label} · seed {seed}"

    @property
    def finished(self) -> list[tuple[str, int]]:
        """The runs at their end, of which all that they vouch for is there."""
        return [run for run in self.runs if self.folder.verify(*run) is not None]

    def further(self, study: Study) -> int:
        """How many seeds there are to be, once all runs are finished: more while it is undecided.

        As many as there are, where their number was fixed.
        """
        later = [look for look in self.plan.record.looks if look > self.seeds]
        if not later or len(study.runs) < len(self.runs) or decided(study):
            return self.seeds
        return later[0]

    def go_on(self) -> None:
        """Ask for the seeds of further looks, as far as finished runs have them."""
        while self.plan.record.looks and len(self.finished) == len(self.runs):
            further = self.further(self.study())
            if further == self.seeds:
                return
            self.seeds = further

    def study(self) -> Study:
        """What is measured so far, beside what was published."""
        return study_in(self.folder, self.plan.record, self.plan.measurements, self.seeds)


Steer = Callable[[Study], int]
"""Told what is measured after every run: how many seeds there are to be, from now on; 0 ends it."""


def run_experiments(
    prepared: Sequence[Prepared],
    console: Console,
    workers: int | None = None,
    steer: Steer | None = None,
) -> list[Study]:
    """Train every variant of every experiment from every seed, and write the reports.

    Runs stand side by side: in as many processes as `workers` says, in this one where it is 0, or
    as many as the machine has use for. The numbers do not depend on it.

    Raises:
        ResultsError: A folder is another's, before anything is trained.
        StoppedError: Ctrl-C or SIGTERM; the states are saved.
        AblaxError: No run of a baseline came to its end, or workers did not survive a run.
    """
    with ExitStack() as claims:
        for each in prepared:
            plan, record = each.plan, each.plan.record
            identities = {name: one.identity for name, one in plan.trainings.items()}
            claim = each.folder.claim(record.name, record.recipe_name, plan.recipe, identities)
            claims.enter_context(claim)
            each.folder.declare(record)
            each.go_on()
        session = _Session(prepared, console, steer)
        count = session.workers(workers)
        for each in prepared:
            console.print(_headline(each, count), highlight=False, soft_wrap=True, markup=False)
            told = (_otherwise(each), design_words(Study(each.plan.record), each.planned))
            for line in filter(None, told):
                console.print(line, highlight=False, soft_wrap=True, markup=False)
        with graceful_stop() as stop, progress(session.work, console=console) as shown:
            gone = session.train(count, stop, shown)
        studies = session.reports()
    for study in studies:
        if not study.finished_runs_of(study.baseline):
            raise AblaxError(
                "no run of the baseline came to its end, so there is nothing to compare with"
            )
    if gone:
        raise AblaxError(
            "; ".join(f"{told}: its worker {why}, twice" for told, why in gone)
            + ". All others are done; the same command tries these again"
        )
    return studies


class _Session:
    """Several experiments on their way: which runs are left, and which reports are written."""

    def __init__(self, prepared: Sequence[Prepared], console: Console, steer: Steer | None) -> None:
        self._prepared, self._console, self._steer = prepared, console, steer
        self._done = {
            RunKey(job, *run) for job, each in enumerate(prepared) for run in each.finished
        }
        every = [RunKey(job, *run) for job, each in enumerate(prepared) for run in each.runs]
        self._schedule = Schedule([run for run in every if run not in self._done])
        self.work = math.fsum(map(self._work, every))
        self._shown: Progress
        self._under_way: dict[RunKey, RunProgress] = {}
        self._studies: dict[int, Study] = {}

    def _work(self, run: RunKey) -> float:
        return self._prepared[run.job].work(run.variant)

    def _told(self, run: RunKey) -> str:
        label = self._prepared[run.job].label(run.variant, run.seed)
        if len(self._prepared) == 1:
            return label
        return f"{self._prepared[run.job].plan.record.name} · {label}"

    def workers(self, asked: int | None) -> int:
        """How many processes train; 0 is this one."""
        runs, kind = len(self._schedule.waiting), jax.default_backend()
        if not all(each.source for each in self._prepared) or not runs:
            return 0
        if asked and kind not in ("cpu", "gpu"):
            raise AblaxError(
                f"--workers is {asked}, and a {kind} belongs to one process: without it, each "
                "batch is divided among the devices"
            )
        if asked is not None:
            return min(asked, runs)
        if kind != "cpu":
            devices = jax.local_device_count()
            return devices if kind == "gpu" and 1 < devices <= runs else 0
        cores = [each.plan.recipe.train.cores for each in self._prepared]
        count = min(worth(each, runs) for each in cores)
        alike = set(cores) <= {None, threads()}
        return 0 if count == 1 and alike else count

    def train(self, workers: int, stop: StopRequest, shown: Progress) -> list[tuple[str, str]]:
        """Train what is left; the runs that no worker survived, and why."""
        self._shown = shown
        shown.skip(math.fsum(map(self._work, self._done)))
        for each in self._prepared:
            each.folder.mend_logs()
        if not workers:
            return self._alone(stop)
        jobs = [
            Job(each.source, each.plan.recipe, str(each.folder.path)) for each in self._prepared
        ]
        pool = Pool(
            jobs, workers, self._schedule,
            began=self._begin, moved=self._move, ended=self._end, lost=self._lose,
            accelerators=jax.local_device_count() if jax.default_backend() != "cpu" else 0,
        )  # fmt: skip
        with closing(pool):
            if not pool.drive(lambda: stop.requested):
                raise StoppedError(
                    stop, "; the states are saved: the same command goes on from here"
                )
        return [(self._told(run), why) for run, why in pool.gone]

    def _alone(self, stop: StopRequest) -> list[tuple[str, str]]:
        while run := self._schedule.begin():
            if stop.requested:
                raise StoppedError(stop, ": the same command goes on from here")
            self._begin(run)
            runner = self._prepared[run.job].runner
            error = train_one(runner, run.variant, run.seed, stop, self._under_way[run], self._say)
            self._schedule.end(run)
            self._end(run, error)
        return []

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)

    def _begin(self, run: RunKey) -> None:
        self._under_way[run] = self._shown.start_run(self._told(run), self._work(run))

    def _move(self, run: RunKey, kind: str, rest: tuple[Any, ...]) -> None:
        if kind == "skip":
            self._under_way[run].skip(*rest)
        elif kind == "advance":
            self._under_way[run].advance(rest[0], **rest[1])
        else:
            self._say(*rest)

    def _end(self, run: RunKey, error: float | None) -> None:
        self._under_way.pop(run).end(error)
        each = self._prepared[run.job]
        study = each.study()
        write_results(each.folder.path / "results.csv", study.variants, study.runs)
        self._ask(run.job, study)
        if not self._schedule.left(run.job):
            self._report(run.job)

    def _ask(self, job: int, study: Study) -> None:
        """More seeds of an experiment, or no more of its runs."""
        each = self._prepared[job]
        seeds = each.further(study) if self._steer is None else self._steer(study)
        if seeds > each.seeds:
            if self._steer is None:
                self._say(_look_words(each, seeds, study))
            former, each.seeds = set(each.runs), seeds
            more = [RunKey(job, *run) for run in each.runs if run not in former]
            more = [run for run in more if each.folder.verify(run.variant, run.seed) is None]
            self._schedule.add(more)
            self._shown.add(math.fsum(map(self._work, more)))
        elif not seeds:
            self._shown.add(-math.fsum(map(self._work, self._schedule.drop(job))))

    def _lose(self, run: RunKey, why: str) -> None:
        self._under_way.pop(run).lose(why)

    def _report(self, job: int) -> None:
        each = self._prepared[job]
        study = self._studies[job] = each.study()
        with (
            busy(self._console, "writing the report") if len(self._prepared) == 1 else nullcontext()
        ):
            page = _write(each, study)
        say(study, self._console)
        self._console.print(f"report: {page}", soft_wrap=True, markup=False)

    def reports(self) -> list[Study]:
        """The studies of all experiments; reports that are not written yet are."""
        for job in range(len(self._prepared)):
            if job not in self._studies:
                self._report(job)
        return [self._studies[job] for job in range(len(self._prepared))]


def serve(descriptor: int, *cores: int) -> None:
    """Be a worker: train the runs that the parent names, and end when it does.

    `cores` are the ones to compute on; all where none are given.
    """
    if cores:
        os.sched_setaffinity(0, cores)
    connection = Connection(descriptor)
    stop, asked = StopRequest(), SimpleQueue[RunKey | None]()
    jobs: list[Job] = connection.recv()

    def listen() -> None:
        while True:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                os._exit(1)  # the parent is gone, however it ended
            if isinstance(message, tuple) and message[0] == "stop":
                stop.requested = message[1]
                continue
            stop.requested = None
            asked.put(message)

    threading.Thread(target=listen, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_up()
    runners: dict[int, Runner] = {}
    while (run := asked.get()) is not None:
        _serve_one(connection, jobs, run, runners, stop)


def _serve_one(
    connection: Connection,
    jobs: Sequence[Job],
    run: RunKey,
    runners: dict[int, Runner],
    stop: StopRequest,
) -> None:
    try:
        runner = runners[run.job] if run.job in runners else _opened(jobs[run.job])
        runners[run.job] = runner
        _refuse_changed(runner, run.variant)
        shown = Remote(connection)
        error = train_one(
            runner, run.variant, run.seed, stop, shown, lambda text: connection.send(("say", text))
        )
        connection.send(("ended", error))
    except StoppedError:
        connection.send(("stopped",))
    except AblaxError as error:
        connection.send(("refused", str(error), error.status))
    except Exception as error:
        if is_out_of_memory(error):
            os._exit(OUT_OF_MEMORY)
        connection.send(("broken", traceback.format_exc()))


def _opened(job: Job) -> Runner:
    """What a worker trains, found again by its words."""
    question, mesh = discovery.experiment(job.source)[1], data_mesh()
    console = console_here(shown=False)
    trainings = training_by_name(
        question, job.recipe, lambda asked: open_dataset(asked, mesh, console), mesh
    )
    return Runner(trainings, question.measurements, ResultsFolder(Path(job.folder)))


def _refuse_changed(runner: Runner, name: str) -> None:
    """Refuse a network or data that are not those of the plan: a file changed in the meantime."""
    now, held = runner.training(name).identity, stored(runner.folder.path)
    if (held.networks[name], held.data[name]) != (now.fingerprint, now.data):
        raise AblaxError(
            f"{name} is another network now, or has other data, than when the command was given: "
            "a file was changed in the meantime. Give the command again"
        )


def say(study: Study, console: Console) -> None:
    """Show the main table, the answer and the verdict."""
    shown = terminal_table(study, console.width)
    console.print(shown, markup=False, highlight=False, soft_wrap=True)
    console.print(answer(study).sentence, markup=False, soft_wrap=True)
    console.print(verdict(study).sentence, markup=False, soft_wrap=True)


def _look_words(each: Prepared, seeds: int, study: Study) -> str:
    """What a look at the seeds found, and how long it takes to the next."""
    spent = math.fsum(run.seconds for run in study.runs) / each.seeds * (seeds - each.seeds)
    return (
        f"{each.plan.record.name}: undecided after {_count(each.seeds, 'seed')}, "
        f"{seeds} are tried (about {spent / 60:.1f} more minutes of training)"
    )


def _headline(each: Prepared, workers: int) -> str:
    plan, epochs, cores = each.plan, each.plan.recipe.train.epochs, each.plan.recipe.train.cores
    beside = ""
    if workers:
        share = f" with {_count(cores, 'core')} each" if cores else ""
        beside = f", {_count(workers, 'run')} side by side{share}"
    seeds = _count(each.seeds, "seed")
    if each.planned > each.seeds:
        seeds = f"{each.seeds} to {each.planned} seeds"
    slow = plan.recipe.train.precision == "bfloat16" and jax.default_backend() == "cpu"
    slower = "" if not slow or instructions() in HALVES else _SLOWER
    return (
        f"{plan.record.title}, recipe {plan.record.recipe_name}: "
        f"{_count(len(plan.trainings), 'variant')} x {seeds} x "
        f"{_count(epochs, 'epoch')} on {device(available_cores())}{beside}\n"
        f"{plan.record.data_note}{slower}\nresults: {each.folder.path}"
    )


_SLOWER = (
    "\nbfloat16 is slower than float32 here: nothing multiplies it (AVX-512 BF16 or AMX, by oneDNN)"
)


def _otherwise(each: Prepared) -> str:
    """In what the runs that are finished were made otherwise than those to come, in words."""
    found = [each.folder.finished(*run) for run in each.runs]
    done = [summary["environment"] for summary in found if summary is not None]
    if not done or len(done) == len(found):
        return ""
    now = environment()
    if cores := each.plan.recipe.train.cores:
        now["cores"] = str(cores)
    unlike = differing([*done, now]).items()
    parts = (f"{name}: {', '.join(each[:-1])} there, {each[-1]} now" for name, each in unlike)
    said = "; ".join(parts)
    told = (
        f"The runs that are finished were made otherwise ({said}): the last digits of the others "
        "may differ for that, and the report names it."
    )
    return told if said else ""


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def train_one(
    runner: Runner,
    name: str,
    seed: int,
    stop: StopRequest,
    shown: Shown,
    say: Callable[[str], None],
) -> float | None:
    """One variant from one seed, to its end, with all that is written of it.

    Gives the test error, in percent; None where it diverged.
    """
    folder, training = runner.folder, runner.training(name)
    trainer, pretrainer, before = training.trainer, training.pretrainer, training.pretraining_work
    a_step = training.work / trainer.total_steps

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
            MetricsLog(folder.path, of=of["key"], by=RUN_COLUMNS, alone=False) as log,
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
        say(f"{name}, seed {seed}: {error}")
        summary = {"status": "diverged", "test_error": None}
    summary |= {"environment": runner.environment, RECORD: record_of(trainer.dataset)}
    folder.finish(name, seed, summary, runner.logs)
    test_error: float | None = summary["test_error"]
    return test_error


def _write(each: Prepared, study: Study) -> Path:
    """Write what the folder is for, from what is finished; gives the path of the page."""
    folder = each.folder.path
    write_results(folder / "results.csv", study.variants, study.runs)
    write_csv(folder, by=RUN_COLUMNS)
    each.runner.log.write_csv()
    write_result(folder / "environment.json", json.dumps(dict(study.environment), indent=2) + "\n")
    write_facts(folder, study.plan, each.seeds)
    return write_report(study, folder)


def run(
    experiment: str | Experiment,
    recipe: str | Recipe = "",
    *,
    only: str | Sequence[str] = (),
    folder: Path | str | None = None,
    name: str = "",
    recipe_name: str = "",
    command: str = "",
    progress: bool = True,
    workers: int | None = None,
    steer: Steer | None = None,
    source: str = "",
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
            taken as it is. By default the experiment's own (`Experiment.recipe`).
        only: Variants to run beside the baseline, with commas between or as a sequence; those of
            the budget where empty. More may be added later.
        folder: Where the results go; `results/NAME/RECIPE` by default.
        name: What an experiment that is a value is called; made from its title by default.
        recipe_name: What a recipe that is a value is called; `own` by default.
        command: What a person types to repeat it; this call by default.
        workers: How many runs are trained side by side, each in a process of its own; 0 trains in
            this one, None as many as the machine has use for. An experiment that is a value is
            trained in this process.
        steer: Told what is measured after every run, it says how many seeds there are to be from
            now on; 0 ends the experiment with the runs under way.
        source: Where a worker finds an experiment that is a value: its name, path or module.
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
    leave_room(workers)
    prepared = prepare(
        experiment,
        recipe,
        only=only,
        folder=folder,
        name=name,
        recipe_name=recipe_name,
        command=command,
        progress=progress,
        source=source,
        **fields,
    )
    return run_experiments([prepared], console_here(progress), workers, steer)[0]


def prepare(
    experiment: str | Experiment,
    recipe: str | Recipe = "",
    *,
    only: str | Sequence[str] = (),
    folder: Path | str | None = None,
    name: str = "",
    recipe_name: str = "",
    command: str = "",
    progress: bool = True,
    source: str = "",
    **fields: Any,
) -> Prepared:
    """The plan of what `run` runs, checked whole; nothing is trained or written.

    Arguments and errors as of `run`.
    """
    variants = tuple(only.split(",")) if isinstance(only, str) else tuple(only)
    if isinstance(experiment, str):
        found, question = discovery.experiment(experiment)
        source = experiment
    else:
        # "What dropout buys" is the folder what_dropout_buys
        found = re.sub(r"\W+", "_", experiment.title.lower()).strip("_")
        question = experiment
    if isinstance(recipe, str):
        under, base = discovery.recipe(recipe or question.recipe)
        base = question.budgeted(under, base)
    else:
        under, base = "own", recipe
    found, under = name or found, recipe_name or under
    for word, given in (("name", found), ("recipe_name", under)):
        if given in ("", ".", "..") or Path(given).name != given:
            raise AblaxError(f"{word} is {given!r}, and a name that a folder can bear is expected")
    asked = with_fields(base, _dotted(fields))
    set_up(asked.train.cores)
    console, mesh = console_here(progress), data_mesh()
    with busy(console, f"checking {found} under {under}"):
        plan = resolve(
            found,
            question,
            under,
            asked,
            data=lambda recipe: open_dataset(recipe, mesh, console),
            mesh=mesh,
            only=tuple(part.strip() for part in variants if part.strip()),
            command=command or _call(experiment, found, recipe, under, only, fields),
        )
    place = Path("results") / found / under if folder is None else Path(folder)
    return Prepared(plan, ResultsFolder(place), source)


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
