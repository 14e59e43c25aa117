"""The folder of one experiment under one recipe: what is in it, and whether it may go on there."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ablax.config import ConfigError, Recipe, flat, unflat
from ablax.core import ImageShape, Network, canonical, difference, fingerprint
from ablax.errors import AblaxError
from ablax.experiment import Experiment
from ablax.files import (
    compressed,
    digest,
    make_folder,
    remove_partials,
    sealed,
    unsealed,
)
from ablax.measurements.measurement import RUN_COLUMNS, Measurement, MeasurementLog
from ablax.report.study import Curve, PlanRecord, Run, Study, Variant
from ablax.report.study_tables import write_result
from ablax.study.environment import differing, values
from ablax.training.dataset import Dataset
from ablax.training.loop import Evaluation
from ablax.training.metrics import (
    LOG,
    Claim,
    by_epoch,
    contradiction,
    mean_of,
    mend,
    read_metrics,
    seconds_by_run,
    vouched,
)

FORMAT = 3
"""Version of what is in a folder of results; `recipe.json` has it."""
FREE_FIELDS = ("seeds", "most_seeds", "data.dir", "data.workers", "train.checkpoint_seconds")
"""Fields that may differ when a run goes on: they change no figure of a finished run."""
_OWN = ("format", "experiment", "recipe", "networks", "data", "keys")
"""What `recipe.json` holds beside the fields of the recipe."""
HYPOTHESES = "hypotheses.json"
"""What was claimed, with margins, before the first run and now."""
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
        self._wrong: dict[tuple[str, int], np.ndarray] = {}

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
        ours = {"format": FORMAT, "experiment": experiment, "recipe": recipe_name, **flat(recipe)}
        if self.path.is_dir():  # before a lock is left in a folder of somebody else's
            self._theirs(ours, networks)
        with self._alone():
            for place in (self.path, *(path for path in self.path.rglob("*") if path.is_dir())):
                remove_partials(place)
            path = self.path / "recipe.json"
            theirs, trees = self._theirs(ours, networks)
            known = theirs.get("networks", {}) | {n: one.fingerprint for n, one in networks.items()}
            data = theirs.get("data", {}) | {n: one.data for n, one in networks.items()}
            fields = {name: v for name, v in ours.items() if name not in FREE_FIELDS}
            keys = {n: digest([fields, n, known[n], data[n]])[:16] for n in networks}
            keys |= theirs.get("keys", {})  # those of a run that was begun stay
            told = trees | {name: one.tree for name, one in networks.items()}
            if told != trees:
                text = json.dumps(told, sort_keys=True, separators=(",", ":"))
                write_result(self.path / NETWORKS, compressed(text.encode()))
            write_result(path, sealed({**ours, "networks": known, "data": data, "keys": keys}))
            yield

    def _theirs(
        self, ours: dict[str, Any], networks: Mapping[str, Identity]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What `recipe.json` and the networks' file say, where they are of the same study."""
        path, trees = self.path / "recipe.json", _trees(self.path / NETWORKS)
        if path.exists():
            theirs = _held(path)
            self._refuse_another(ours, theirs, networks, trees)
            return theirs, trees
        if self._begun:
            raise ResultsError(
                f"{self.path} holds runs but no recipe.json, so nobody can say of which "
                f"recipe: {_ELSEWHERE}"
            )
        return {}, trees

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
            if name not in (*FREE_FIELDS, "networks", "data", "keys")
            and there.get(name) != ours.get(name)
        ]
        trained, data = theirs.get("networks", {}), theirs.get("data", {})
        differing += [
            f"variant {name}: {_another(trained[name], trees.get(name), now)}"
            for name, now in networks.items()
            if trained.get(name, now.fingerprint) != now.fingerprint
        ]
        differing += [
            f"variant {name}: other images or labels under the same name (fingerprint "
            f"{data[name]} there, {now.data} now)"
            for name, now in networks.items()
            if data.get(name, now.data) != now.data
        ]
        if differing:
            more = f"; {len(differing) - 8} more" if len(differing) > 8 else ""
            raise ResultsError(
                f"{self.path} holds results of another recipe ({'; '.join(differing[:8])}{more}): "
                f"{_ELSEWHERE}"
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Make the folder and lock it; the lock goes with the process, however that ends."""
        try:
            make_folder(self.path)
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

    def declare(self, record: PlanRecord) -> None:
        """Write down what is claimed and which differences matter, before anything is trained.

        `first` is the fingerprint of what was declared before the first run, empty where runs were
        there already.
        """
        first = self._first_declared(record) if self._begun else record.fingerprint
        told = {"first": first, "now": record.fingerprint, "hypotheses": record.hypotheses()}
        write_result(self.path / HYPOTHESES, sealed({"of": _whose(record), **told}))

    def declared(self, record: PlanRecord) -> str:
        """The fingerprint of what is claimed now, and whether the first run stood under it."""
        first, now = self._first_declared(record), record.fingerprint
        if first == now:
            return f"{now}, declared before the first run"
        return f"{now}, {f'changed since the first run ({first})' if first else 'declared later'}"

    def _first_declared(self, record: PlanRecord) -> str:
        """The fingerprint of what was claimed before the first run; empty where nobody said."""
        path = self.path / HYPOTHESES
        if not path.exists():
            return ""
        again = "remove it: the report then says that the hypotheses were declared later"
        found = _read_sealed(path, path.read_bytes(), again)
        if found.get("of") != _whose(record):
            raise ResultsError(
                f"{path} is of another experiment or recipe ({found.get('of')}, and "
                f"{_whose(record)} is expected): put it where it belongs"
            )
        return str(found["first"])

    @property
    def _begun(self) -> bool:
        """Whether a run began here."""
        return any((self.path / name).exists() for name in ("runs", "checkpoints"))

    def mend_logs(self) -> None:
        """Cut off what a power cut left of the logs, before anybody writes to them."""
        for log in self.path.rglob(LOG):
            mend(log.parent)

    def checkpoints(self, variant: str, seed: int) -> Path:
        """Where the states of one run are kept."""
        return self.path / "checkpoints" / variant / f"seed-{seed}"

    def of(self, variant: str, seed: int) -> dict[str, Any]:
        """Whose a run is: experiment, recipe, variant, seed, and a key that no other run has.

        The key is of all that its numbers come from: recipe, network and data.
        """
        held = _held(self.path / "recipe.json")
        key = held["keys"].get(variant)
        if key is None:
            raise ResultsError(f"{self.path / 'recipe.json'} knows nothing of {variant}")
        whose = {"experiment": held["experiment"], "recipe": held["recipe"]}
        whose |= {"variant": variant, "seed": seed}
        return {**whose, "key": digest([key, variant, seed])[:16]}

    def key(self, variant: str, seed: int) -> str:
        """The key of a run."""
        return str(self.of(variant, seed)["key"])

    def finished(self, variant: str, seed: int) -> dict[str, Any] | None:
        """What `finish` wrote; None while the run is not at its end."""
        path = self._run(variant, seed)
        if not path.exists():
            return None
        again = "remove it, and the run is judged again"
        found = _read_sealed(path, _content(path), again)
        missing = {"status", "test_error", "environment"} - set(found)
        if missing:
            raise ResultsError(
                f"{path} lacks {', '.join(sorted(missing))}: remove it, and the run is judged again"
            )
        if (given := found.get("of")) != (ours := self.of(variant, seed)):
            raise ResultsError(
                f"{path} is of another run ({given}, and {ours} is expected): put it where it "
                "belongs, or remove it, and the run is judged again"
            )
        return found

    def vouch(self, variant: str, seed: int, logs: Iterable[Path]) -> dict[str, Claim]:
        """Force the logs of a run to the disk, and tell what they hold of it, by their place."""
        key = self.key(variant, seed)
        claims = {_place(self.path, log): vouched(log, key) for log in logs}
        return {place: claim for place, claim in claims.items() if claim is not None}

    def check_logs(self, variant: str, seed: int, logs: Mapping[str, Any], who: str) -> None:
        """Refuse logs that are not what `vouch` told to `who`, a checkpoint or a summary.

        Raises:
            ResultsError: A log lacks lines of the run, or has others.
        """
        key = self.key(variant, seed)
        for place, claim in logs.items():
            if found := contradiction(self.path / place, key, Claim(*claim)):
                raise ResultsError(
                    f"{who} vouches for the run of {variant} from seed {seed}, but {found}: it was "
                    f"damaged or changed. Put it back, or remove {self._run(variant, seed)} and "
                    f"{self.checkpoints(variant, seed)}, and the run is trained again"
                )

    def finish(
        self, variant: str, seed: int, summary: dict[str, Any], logs: Iterable[Path] = ()
    ) -> None:
        """Mark a run as done. Written last, when all it vouches for is on the disk."""
        vouches: dict[str, Any] = {"logs": self.vouch(variant, seed, logs)}
        predictions = self.predictions(variant, seed)
        if predictions.exists():
            vouches["predictions"] = hashlib.sha256(predictions.read_bytes()).hexdigest()
        record = {"of": self.of(variant, seed), **summary, **vouches}
        write_result(self._run(variant, seed), sealed(record))

    def verify(self, variant: str, seed: int) -> dict[str, Any] | None:
        """What `finish` wrote, when all that it vouches for is there; None before the end.

        Raises:
            ResultsError: A file is missing, damaged, of another run, or contradicts another.
        """
        summary = self.finished(variant, seed)
        if summary is None:
            return None
        path = self._run(variant, seed)
        self.check_logs(variant, seed, summary.get("logs", {}), str(path))
        if summary["status"] == "finished":
            self._check_predictions(variant, seed, summary)
        return summary

    def _check_predictions(self, variant: str, seed: int, summary: Mapping[str, Any]) -> None:
        name, path = self.predictions(variant, seed), self._run(variant, seed)
        again = f"put it back, or remove {path}, and `ablax run` judges the run again"
        try:
            content = name.read_bytes()
        except OSError as problem:
            raise ResultsError(f"{name} cannot be read ({problem}): {again}") from problem
        if hashlib.sha256(content).hexdigest() != summary.get("predictions"):
            raise ResultsError(f"{name} is not the file that {path} was written with: {again}")
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            found = 100 * float(np.mean(held["predictions"] != held["labels"]))
        if found != summary["test_error"]:
            raise ResultsError(
                f"{name} gives a test error of {found:.2f} %, and {path} says "
                f"{summary['test_error']:.2f} %: one of them is of another run"
            )

    def predictions(self, variant: str, seed: int) -> Path:
        """Where the predictions of one run are."""
        return self.path / "predictions" / f"{variant}-seed-{seed}.npz"

    def wrong(self, variant: str, seed: int, copies: int) -> np.ndarray | None:
        """Of each original of the test images the share that is wrong; None where unknown."""
        if (variant, seed) not in self._wrong:
            with suppress(OSError, ValueError, KeyError):
                with np.load(self.predictions(variant, seed), allow_pickle=False) as held:
                    wrong = held["predictions"] != held["labels"]
                self._wrong[variant, seed] = wrong.reshape(-1, copies).mean(axis=1)
        return self._wrong.get((variant, seed))

    def write_predictions(self, variant: str, seed: int, evaluation: Evaluation) -> None:
        """Class, prediction and loss of every test image, in the data's order, as `.npz`."""
        content = io.BytesIO()
        np.savez_compressed(content, **evaluation._asdict())
        write_result(self.predictions(variant, seed), content.getvalue())

    def _run(self, variant: str, seed: int) -> Path:
        return self.path / "runs" / f"{variant}-seed-{seed}.json"


def _whose(record: PlanRecord) -> dict[str, str]:
    return {"experiment": record.name, "recipe": record.recipe_name}


def _place(folder: Path, log: Path) -> str:
    return log.relative_to(folder).as_posix()


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
    network (`ablax.core.canonical`), to say where another one differs; data is the fingerprint of
    its images and labels.
    """

    fingerprint: str
    tree: Any = None
    data: str = ""


def identity(
    network: Network, image_shape: ImageShape, changed: tuple[str, ...] = (), data: str = ""
) -> Identity:
    """What a variant is; `changed` is what `changes` gives.

    Raises:
        FingerprintError: The network holds something that nobody can write down.
    """
    told = "; ".join([fingerprint(network, image_shape), *changed])
    return Identity(told, canonical(network), data)


class Stored(NamedTuple):
    """What `recipe.json` says of a folder: a fingerprint a variant of its network and its data."""

    experiment: str
    recipe_name: str
    recipe: Recipe
    networks: Mapping[str, str]
    data: Mapping[str, str]

    def refuse_other_data(self, folder: Path, variant: str, fingerprint: str) -> None:
        """Refuse images or labels that the variant was not trained on; a ResultsError."""
        if (trained := self.data.get(variant, fingerprint)) != fingerprint:
            raise ResultsError(
                f"{folder} was trained on other images or labels than {self.recipe.data.source} "
                f"holds now (fingerprint {trained} there, {fingerprint} now): give the folder of "
                "those it was trained on"
            )


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
    return Stored(held["experiment"], held["recipe"], recipe, held["networks"], held["data"])


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
        if given in range(1, FORMAT)
        else ", or read it with the ablax that wrote it"
    )
    raise ResultsError(
        f"{folder} holds results of format {given}, and this ablax reads and writes format "
        f"{FORMAT} (recipe.json): run the experiment again in another folder (--results FOLDER)"
        f"{instead}"
    )


def _held(path: Path) -> dict[str, Any]:
    """What a `recipe.json` holds, when it is one of ours and of our format."""
    content = _content(path)
    check_format(_read_json(path, content), path.parent)
    held = _read_sealed(path, content, _ELSEWHERE)
    if missing := [
        name for name in ("experiment", "recipe") if not isinstance(held.get(name), str)
    ]:
        raise ResultsError(
            f"{path} is not one of ours (it lacks {' and '.join(missing)}): {_ELSEWHERE}"
        )
    for name in ("networks", "data", "keys"):
        if not isinstance(held.setdefault(name, {}), dict):
            raise ResultsError(f"{path} is damaged ({name!r} is no mapping): {_ELSEWHERE}")
    return held


def _trees(path: Path) -> dict[str, Any]:
    """The networks by variant; none where they cannot be read: only words depend on them."""
    try:
        found = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, ValueError, EOFError, zlib.error):
        return {}
    return found if isinstance(found, dict) else {}


def _read_sealed(path: Path, content: bytes, remedy: str) -> dict[str, Any]:
    try:
        return unsealed(content)
    except ValueError as error:
        raise ResultsError(f"{path} cannot be trusted ({error}): {remedy}") from error


def _read_json(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise ResultsError(f"{path} cannot be read ({error}): {_ELSEWHERE}") from error
    if not isinstance(found, dict):
        raise ResultsError(f"{path} is not one of ours: {_ELSEWHERE}")
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path} cannot be read ({error}): {_ELSEWHERE}") from error


def finished_run(
    variant: str,
    seed: int,
    summary: Mapping[str, Any],
    records: list[dict[str, Any]],
    seconds: float,
    attempts: int,
    measured: Mapping[str, float] = MappingProxyType({}),
    wrong: np.ndarray | None = None,
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
        wrong=wrong,
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


RECORD = "data"
"""What a run's summary keeps of its data: sizes, mean, std, names of the classes, folds."""


def record_of(dataset: Dataset) -> dict[str, Any]:
    """What has to be known of the data to use what was trained on them."""
    return {
        "image_shape": list(dataset.image_shape),
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "classes": list(dataset.class_names),
        "steps_per_epoch": dataset.steps_per_epoch,
        "folds": dataset.folds,
        "copies": dataset.copies,
    }


FACTS = "study.json"
"""What a report says that is neither in the experiment's file nor in the logs of the runs."""
_FACTS = ("variants", "command", "data_note", "classes", "folds", "full_size_parameters")


def write_facts(folder: Path, record: PlanRecord, seeds: int) -> None:
    """Write `study.json`, for `rebuild`; there were so many seeds when it was written."""
    facts = {name: getattr(record, name) for name in _FACTS}
    held = _held(folder / "recipe.json")
    of = {"experiment": held["experiment"], "recipe": held["recipe"]}
    of["keys"] = {name: held["keys"].get(name) for name in record.names}
    of["seeds"] = seeds
    plain = json.loads(json.dumps({"of": of, **facts}, default=asdict))
    write_result(folder / FACTS, sealed(plain))


def recorded(folder: Path, experiment: Experiment) -> PlanRecord:
    """What was asked and of whom: `recipe.json`, `study.json`, and the experiment as it is now."""
    held, path = stored(folder), folder / FACTS
    if not path.exists():
        raise ResultsError(
            f"{folder} has no {FACTS}, so its report cannot be made again: its run is not at its "
            "end, or was kept before metrics and predictions were; run the experiment again"
        )
    try:
        facts = unsealed(path.read_bytes())
        of = facts.pop("of")
        _refuse_of_another(path, of, _held(folder / "recipe.json"))
        facts["variants"] = tuple(Variant(**_tuples(one)) for one in facts["variants"])
        return experiment.record(held.experiment, held.recipe_name, held.recipe, **facts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ResultsError(
            f"{path} is damaged ({type(error).__name__}: {error}): give the experiment's command "
            "again, which trains nothing that is finished and writes it again"
        ) from error


def _refuse_of_another(path: Path, of: Mapping[str, Any], held: Mapping[str, Any]) -> None:
    theirs = {"experiment": held["experiment"], "recipe": held["recipe"]}
    theirs["keys"] = {name: held["keys"].get(name) for name in of["keys"]}
    if differing := [name for name in theirs if of[name] != theirs[name]]:
        raise ResultsError(
            f"{path} is of another folder than the recipe.json beside it ({', '.join(differing)} "
            "differ): put back the one that is not of this run, or give the experiment's command "
            f"again, which writes {path.name} again"
        )


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
    environments = []
    for name, seed in product(record.names, range(seeds)):
        summary = folder.finished(name, seed)
        if summary is None:
            continue
        own = [r for r in records if (r["variant"], r["seed"]) == (name, seed)]
        spent, attempts = seconds.get((name, seed), (0.0, 1))
        spent += before.get((name, seed), (0.0, 1))[0]
        measured = log.quantities(rows, name, seed)
        wrong = folder.wrong(name, seed, summary.get(RECORD, {}).get("copies", 1))
        runs.append(finished_run(name, seed, summary, own, spent, attempts, measured, wrong))
        environments.append(summary["environment"])
    told = {name: "; ".join(each) for name, each in values(environments).items()}
    if unlike := differing(environments):
        names = ", ".join(unlike)
        told["runs differ in"] = f"{names} (the last digits of their figures may, for that)"
    told["hypotheses"] = folder.declared(record)
    return Study(record, runs=tuple(runs), measured=rows, environment=told)


def rebuild(path: Path, experiment: Experiment) -> Study:
    """The study of a folder of results, or of what was kept of one; nothing is trained.

    Its statistics are computed again, by the experiment's claims as they are now.

    Raises:
        ResultsError: Something that the report is made from is missing, damaged, or contradicts
            another file.
    """
    held, record = stored(path), recorded(path, experiment)
    results, told = ResultsFolder(path), unsealed((path / FACTS).read_bytes())["of"]["seeds"]
    fixed = held.recipe.seeds
    seeds = max(told, held.recipe.most_seeds if fixed == "auto" else fixed)
    for variant, seed in product(record.names, range(seeds)):
        if results.verify(variant, seed) is None and seed < told:
            raise ResultsError(
                f"{path}/runs/{variant}-seed-{seed}.json is gone, and {FACTS} was written when it "
                "was there: put it back, or give the experiment's command again"
            )
    study = study_in(results, record, experiment.measurements, seeds)
    for variant in held.networks:
        if variant not in study.names:
            raise ResultsError(f"{path / FACTS} says nothing of {variant}, which recipe.json names")
    if not study.finished_runs_of(study.baseline):
        raise ResultsError(
            f"{path} has no finished run of {study.baseline}, the baseline: there is nothing to "
            "compare with"
        )
    for run in study.runs:
        if run.status == "finished" and not run.curve.epochs:
            raise ResultsError(
                f"{path} has no metrics of {run.variant}, seed {run.seed}, though that run is "
                "finished: keep the run again with `ablax keep`, or run it again elsewhere"
            )
    return study
