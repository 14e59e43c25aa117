"""The folder of one experiment under one recipe: what is in it, and whether it may go on there."""

from __future__ import annotations

import datetime
import gzip
import json
import math
import os
import platform
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib import metadata
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from ablax.config import ConfigError, Recipe, flat, unflat
from ablax.core import ImageShape, Network, canonical, difference, fingerprint
from ablax.errors import AblaxError
from ablax.experiment import Experiment
from ablax.files import compressed
from ablax.measurements.measurement import RUN_COLUMNS, Measurement, MeasurementLog
from ablax.native import why_not
from ablax.report.study import Curve, PlanRecord, Run, Study, Variant
from ablax.report.study_tables import write_result
from ablax.training.loop import Evaluation
from ablax.training.metrics import by_epoch, mean_of, read_metrics, seconds_by_run

FORMAT = 2
"""Version of what is in a folder of results; `recipe.json` has it."""
FREE_FIELDS = ("seeds", "data.dir", "data.workers", "train.checkpoint_seconds")
"""Fields that may differ when a run goes on: they change no figure of a finished run."""
_OWN = ("format", "experiment", "recipe", "networks")
"""What `recipe.json` holds beside the fields of the recipe."""
NETWORKS = "networks.json.gz"
"""Every variant's network as `ablax.core.canonical` writes it, by name."""
PRETRAINING = "pretraining"
"""Folder of the figures of the pretrainings."""
_ELSEWHERE = "give another place with --results FOLDER, or remove that folder to start again"


class ResultsError(AblaxError):
    """The folder belongs to another recipe, or cannot be used."""


class ResultsFolder:
    """`results/<experiment>/<recipe>/`; `claim` makes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def claim(
        self, experiment: str, recipe_name: str, recipe: Recipe, networks: Mapping[str, Identity]
    ) -> Iterator[None]:
        """Keep others out while the experiment runs, and make sure that it may go on here.

        Writes `recipe.json`, or compares with the one that is there; `networks` are the variants.

        Raises:
            ResultsError: The folder cannot be written, is in use, is not ours, or belongs to
                another experiment, recipe or network.
        """
        with self._alone():
            path = self.path / "recipe.json"
            ours = {"format": FORMAT, "experiment": experiment, "recipe": recipe_name}
            ours |= flat(recipe)
            theirs: dict[str, Any] = {}
            trees = _trees(self.path / NETWORKS)
            if path.exists():
                theirs = _held(path)
                self._refuse_another(ours, theirs, networks, trees)
            elif any((self.path / name).exists() for name in ("runs", "checkpoints")):
                raise ResultsError(
                    f"{self.path} holds runs but no recipe.json, so nobody can say of which "
                    f"recipe: {_ELSEWHERE}"
                )
            known = theirs.get("networks", {}) | {n: one.fingerprint for n, one in networks.items()}
            told = trees | {name: one.tree for name, one in networks.items()}
            if told != trees:
                text = json.dumps(told, sort_keys=True, separators=(",", ":"))
                write_result(self.path / NETWORKS, compressed(text.encode()))
            write_result(path, json.dumps({**ours, "networks": known}, indent=2) + "\n")
            yield

    def _refuse_another(
        self,
        ours: dict[str, Any],
        theirs: dict[str, Any],
        networks: Mapping[str, Identity],
        trees: Mapping[str, Any],
    ) -> None:
        # a field that was added to recipes since had its default there
        there = flat(Recipe()) | theirs
        differing = [
            f"{name}: {there.get(name)!r} there, {ours.get(name)!r} now"
            for name in dict.fromkeys([*there, *ours])
            if name not in (*FREE_FIELDS, "networks") and there.get(name) != ours.get(name)
        ]
        trained = theirs.get("networks", {})
        differing += [
            f"variant {name}: {_another(trained[name], trees.get(name), now)}"
            for name, now in networks.items()
            if trained.get(name, now.fingerprint) != now.fingerprint
        ]
        if differing:
            raise ResultsError(
                f"{self.path} holds results of another recipe ({'; '.join(differing)}): "
                f"{_ELSEWHERE}"
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Make the folder and lock it; the lock goes with the process, however that ends."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a")
        except OSError as error:
            raise ResultsError(
                f"the results cannot be written to {self.path} ({error.strerror or error}): give "
                "another place with --results FOLDER"
            ) from error
        with lock:
            if os.name == "posix":
                import fcntl

                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise ResultsError(
                        f"another process is running in {self.path}: wait for it, or give another "
                        "place with --results FOLDER"
                    ) from error
            yield

    def checkpoints(self, variant: str, seed: int) -> Path:
        """Where the states of one run are kept."""
        return self.path / "checkpoints" / variant / f"seed-{seed}"

    def finished(self, variant: str, seed: int) -> dict[str, Any] | None:
        """What `finish` wrote; None while the run is not at its end."""
        path = self._run(variant, seed)
        if not path.exists():
            return None
        found = _read_json(path)
        missing = {"status", "test_error", "environment"} - set(found)
        if missing:
            raise ResultsError(
                f"{path} lacks {', '.join(sorted(missing))}: remove it, and the run is judged again"
            )
        return found

    def finish(self, variant: str, seed: int, summary: dict[str, Any]) -> None:
        """Mark a run as done. Written last, so that a killed run is never taken for a done one."""
        write_result(self._run(variant, seed), json.dumps(summary) + "\n")

    def write_predictions(self, variant: str, seed: int, evaluation: Evaluation) -> None:
        """Class, prediction and loss of every test image, in the data's order, as `.npz`."""
        path = self.path / "predictions" / f"{variant}-seed-{seed}.npz"
        try:
            path.parent.mkdir(exist_ok=True)
            np.savez_compressed(path, **evaluation._asdict())
        except OSError as error:
            raise ResultsError(
                f"{path} cannot be written ({error.strerror or error}): free some space, then give "
                "the same command again"
            ) from error

    def _run(self, variant: str, seed: int) -> Path:
        return self.path / "runs" / f"{variant}-seed-{seed}.json"


def _another(trained: str, tree: Any, now: Identity) -> str:
    """In what a variant is another one than that of the folder, in words."""
    (network, *words), (network_now, *words_now) = (
        told.split("; ") for told in (trained, now.fingerprint)
    )
    if network == network_now:
        said, said_now = ("; ".join(some) or "its recipe unchanged" for some in (words, words_now))
        return f"{said} there, {said_now} now"
    found = difference(tree, now.tree) if tree is not None and now.tree is not None else None
    return f"another network than the one there{f' ({found})' * bool(found)}"


def changes(recipe: Recipe, base: Recipe) -> tuple[str, ...]:
    """The fields in which a variant's recipe differs from the experiment's, in words.

    Example:
        >>> from dataclasses import replace
        >>> changes(replace(Recipe(), width=0.5), Recipe())
        ('width: 0.5',)
    """
    ours, others = flat(recipe), flat(base)
    return tuple(f"{name}: {ours[name]}" for name in ours if ours[name] != others[name])


class Identity(NamedTuple):
    """What a variant is, to know it again.

    The fingerprint is of its network, with what its recipe changes, in words; the tree is its
    network (`ablax.core.canonical`), to say where another one differs.
    """

    fingerprint: str
    tree: Any = None


def identity(network: Network, image_shape: ImageShape, changed: tuple[str, ...] = ()) -> Identity:
    """What a variant is; `changed` is what `changes` gives.

    Raises:
        FingerprintError: The network holds something that nobody can write down.
    """
    told = "; ".join([fingerprint(network, image_shape), *changed])
    return Identity(told, canonical(network))


class Stored(NamedTuple):
    """What `recipe.json` says of a folder of results; `networks` has a fingerprint a variant."""

    experiment: str
    recipe_name: str
    recipe: Recipe
    networks: Mapping[str, str]


def stored(folder: Path) -> Stored:
    """What a folder of results is of; a field that recipes had not yet then has its default.

    Raises:
        ResultsError: There is no `recipe.json`, it is of another format, or it is damaged.
    """
    path = folder / "recipe.json"
    if not path.exists():
        raise ResultsError(
            f"{folder} is no folder of results (it has no recipe.json): expected one that "
            "`ablax run` made, such as results/alexnet_ablation/digits"
        )
    held = _held(path)
    fields = {name: value for name, value in held.items() if name not in _OWN}
    try:
        recipe = unflat({**flat(Recipe()), **fields})
    except ConfigError as error:
        raise ResultsError(f"{path} is damaged ({error}): {_ELSEWHERE}") from error
    return Stored(held["experiment"], held["recipe"], recipe, held.get("networks", {}))


def check_format(held: Mapping[str, Any], folder: Path) -> None:
    """Refuse a folder whose `recipe.json` holds another version of the format, or none: the first.

    Raises:
        ResultsError: It is not of the version `FORMAT`.
    """
    given = held.get("format", 1)
    if given == FORMAT:
        return
    instead = (
        "; what is kept in experiments/results is brought to it by `python "
        "docs/scripts/migrate_results.py`"
        if given == 1
        else ", or read it with the ablax that wrote it"
    )
    raise ResultsError(
        f"{folder} holds results of format {given}, and this ablax reads and writes format "
        f"{FORMAT}: run the experiment again in another folder (--results FOLDER){instead}"
    )


def _held(path: Path) -> dict[str, Any]:
    """What a `recipe.json` holds, when it is one of ours and of our format."""
    held = _read_json(path)
    if missing := [
        name for name in ("experiment", "recipe") if not isinstance(held.get(name), str)
    ]:
        raise ResultsError(
            f"{path} is not one of ours (it lacks {' and '.join(missing)}): {_ELSEWHERE}"
        )
    check_format(held, path.parent)
    if not isinstance(held.get("networks", {}), dict):
        raise ResultsError(f"{path} is damaged ('networks' is no mapping): {_ELSEWHERE}")
    return held


def _trees(path: Path) -> dict[str, Any]:
    """The networks by variant; none where they cannot be read: only words depend on them."""
    try:
        found = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, ValueError, EOFError, zlib.error):
        return {}
    return found if isinstance(found, dict) else {}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{path} cannot be read ({error}): remove it to start again, or give another place "
            "with --results FOLDER"
        ) from error
    if not isinstance(found, dict):
        raise ResultsError(f"{path} is not one of ours: give another place with --results FOLDER")
    return found


def finished_run(
    variant: str,
    seed: int,
    summary: Mapping[str, Any],
    records: list[dict[str, Any]],
    seconds: float,
    attempts: int,
    measured: Mapping[str, float] = MappingProxyType({}),
) -> Run:
    """A run as the report reads it, from its summary, its metrics and its measurements."""
    try:
        curve = learning_curve(records)
    except (KeyError, TypeError) as error:
        raise AblaxError(
            f"the metrics of {variant}, seed {seed} are damaged ({type(error).__name__}: {error}): "
            "remove the lines of metrics.jsonl that are not ours, or start again elsewhere"
        ) from error
    return Run(
        variant=variant,
        seed=seed,
        test_error=math.nan if summary["test_error"] is None else summary["test_error"],
        train_loss=curve.train_loss[-1] if curve.train_loss else math.nan,
        train_error=curve.train_error[-1] if curve.train_error else math.nan,
        seconds=seconds,
        curve=curve,
        status=summary["status"],
        attempts=attempts,
        measured=measured,
    )


def learning_curve(records: list[dict[str, Any]]) -> Curve:
    """Figures of whole epochs from those of the chunks in them, weighted by their steps."""
    epochs = by_epoch(records)
    tested = [record for record in records if "test_error" in record]
    return Curve(
        epochs=tuple(float(epoch) for epoch in epochs),
        train_loss=tuple(mean_of("train_loss", chunks) for chunks in epochs.values()),
        train_error=tuple(mean_of("train_error", chunks) for chunks in epochs.values()),
        test_epochs=tuple(float(record["epoch"]) for record in tested),
        test_error=tuple(float(record["test_error"]) for record in tested),
    )


FACTS = "study.json"
"""What a report says that is neither in the experiment's file nor in the logs of the runs."""
_FACTS = ("variants", "command", "data_note", "classes", "full_size_parameters")


def write_facts(folder: Path, record: PlanRecord) -> None:
    """Write `study.json`, for `rebuild`."""
    facts = {name: getattr(record, name) for name in _FACTS}
    text = json.dumps(facts, indent=2, ensure_ascii=False, default=asdict)
    write_result(folder / FACTS, text + "\n")


def recorded(folder: Path, experiment: Experiment) -> PlanRecord:
    """What was asked and of whom: `recipe.json`, `study.json`, and the experiment as it is now."""
    held, path = stored(folder), folder / FACTS
    if not path.exists():
        raise ResultsError(
            f"{folder} has no {FACTS}, so its report cannot be made again: its run is not at its "
            "end, or was kept before metrics and predictions were; run the experiment again"
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        facts["variants"] = tuple(Variant(**_tuples(one)) for one in facts["variants"])
        return experiment.record(held.experiment, held.recipe_name, held.recipe, **facts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ResultsError(
            f"{path} is damaged ({type(error).__name__}: {error}): give the experiment's command "
            "again, which trains nothing that is finished and writes it again"
        ) from error


def _tuples(held: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in held.items()}


def study_in(
    folder: ResultsFolder, record: PlanRecord, measurements: tuple[Measurement, ...], seeds: int
) -> Study:
    """What is measured so far, from the files of a folder; a variant may have `seeds` runs.

    Of the environments that the finished runs were made in, what differs is listed.
    """
    log = MeasurementLog(folder.path, measurements)
    rows, records = log.rows(), read_metrics(folder.path, by=RUN_COLUMNS)
    seconds = seconds_by_run(folder.path, by=RUN_COLUMNS)
    before = seconds_by_run(folder.path / PRETRAINING, by=RUN_COLUMNS)
    runs: list[Run] = []
    environment: dict[str, dict[str, None]] = {}
    for name, seed in product(record.names, range(seeds)):
        summary = folder.finished(name, seed)
        if summary is None:
            continue
        own = [r for r in records if (r["variant"], r["seed"]) == (name, seed)]
        spent, attempts = seconds.get((name, seed), (0.0, 1))
        spent += before.get((name, seed), (0.0, 1))[0]
        measured = log.quantities(rows, name, seed)
        runs.append(finished_run(name, seed, summary, own, spent, attempts, measured))
        for key, value in summary["environment"].items():
            environment.setdefault(key, {})[value] = None
    told = {key: "; ".join(values) for key, values in environment.items()}
    return Study(record, runs=tuple(runs), measured=rows, environment=told)


def rebuild(path: Path, experiment: Experiment) -> Study:
    """The study of a folder of results, or of what was kept of one; nothing is trained.

    Its statistics are computed again, by the experiment's claims as they are now. Each test error
    must be that of the predictions beside it.

    Raises:
        ResultsError: Something that the report is made from is missing, damaged, or contradicts
            another file.
    """
    held, record = stored(path), recorded(path, experiment)
    study = study_in(ResultsFolder(path), record, experiment.measurements, held.recipe.seeds)
    for variant in held.networks:
        if variant not in study.names:
            raise ResultsError(f"{path / FACTS} says nothing of {variant}, which recipe.json names")
    if not study.finished_runs_of(study.baseline):
        raise ResultsError(
            f"{path} has no finished run of {study.baseline}, the baseline: there is nothing to "
            "compare with"
        )
    finished = [run for run in study.runs if run.status == "finished"]
    for run in finished:
        if not run.curve.epochs:
            raise ResultsError(
                f"{path} has no metrics of {run.variant}, seed {run.seed}, though that run is "
                "finished: keep the run again with `ablax keep`, or run it again elsewhere"
            )
    for run in finished:
        _check_predictions(path, run.variant, run.seed, run.test_error)
    return study


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


_PACKAGES = ("ablax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def environment() -> dict[str, str]:
    """Where a result was made, so that others can judge it: versions, hardware, commit, date."""
    without = why_not()
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "device": device(),
        "processor": processor(),
        "cores": str(available_cores()),
        # which explains a difference in the last digits and in speed
        "convolutions": f"by XLA ({without})" if without else "by loops in C++ (ablax.native)",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "commit": _commit(),
    }


def device() -> str:
    """What computes: the accelerators, or the cores of the processor."""
    devices = jax.devices()
    if devices[0].platform == "cpu":
        return f"{available_cores()} CPU cores ({processor()})"
    return f"{len(devices)} x {devices[0].device_kind}"


def processor() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _commit() -> str:
    """The commit of the source, `unknown` outside a checkout."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", __file__)  # a project's own commit is not ablax's
        changed = " with local changes" if git("status", "--porcelain", "-uno") else ""
        return git("rev-parse", "--short=12", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
