"""From what a person types to a model: a network's name, a file of weights, a folder of results.

Every command that looks at a network takes the words that `load_model` takes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ablax.config import Recipe
from ablax.core import ImageShape, Network, fingerprint, stacks
from ablax.errors import AblaxError, nearest
from ablax.experiment import Experiment, Inputs
from ablax.model import Model, preprocessing_of
from ablax.study.discovery import experiment
from ablax.study.folder import RECORD, ResultsError, ResultsFolder, Stored, stored
from ablax.training import checkpoint
from ablax.training.optimizer import optimizer
from ablax.training.step import initial_state
from ablax.weights.load import WEIGHTS, import_file, open_weights, published_error
from ablax.weights.sources import sources_of
from ablax.zoo import find, untrained


class ZooNetwork(NamedTuple):
    """A network by its name, to be randomly initialized."""

    name: str


class WeightsFile(NamedTuple):
    """A network of the zoo with the weights of a file; of which library, where that was said."""

    name: str
    path: Path
    library: str | None


class WeightsFolder(NamedTuple):
    """A folder that `ablax import` wrote."""

    path: Path


class RunName(NamedTuple):
    """A run in a folder of results; the baseline and its first finished seed where not said."""

    folder: Path
    variant: str
    seed: int | None


Source = ZooNetwork | WeightsFile | WeightsFolder | RunName


def source_of(word: str) -> Source:
    """What a word names; nothing is opened yet.

    Raises:
        AblaxError: Nothing; the message says what is expected, and the nearest name.
    """
    if not word.strip():
        raise AblaxError("expected a model, such as resnet20 or results/alexnet_ablation/digits")
    folder, *rest = _split(word)
    if folder is not None:
        return _in_folder(folder, *rest)
    if "=" in word:
        return _weights_file(*word.split("=", 1))
    if os.path.lexists(word) and "/" in word:
        raise AblaxError(
            f"{word} is a file: say whose network it has the weights of, as in resnet20={word}"
        )
    if "/" in word:
        raise AblaxError(
            f"there is no {word}: give a folder that `ablax run` or `ablax import` wrote, or the "
            "name of a network (ablax list)"
        )
    return ZooNetwork(find(word).name)


def _split(word: str) -> tuple[Path | None, str, str]:
    """An existing folder at the word's beginning, and up to two words behind colons."""
    if "/" not in word and ":" not in word:
        with suppress(AblaxError):  # a network goes before a folder of its name
            find(word)
            return None, "", ""
    for parts in range(3):
        place, *more = word.rsplit(":", parts)
        if len(more) == parts and place and Path(place).is_dir():
            variant, seed, *_ = [*more, "", ""]
            return Path(place), variant, seed
    return None, "", ""


def _in_folder(folder: Path, variant: str, seed: str) -> Source:
    if (folder / WEIGHTS).exists():
        if variant:
            raise AblaxError(f"{folder} holds weights, which have no variant: leave {variant} out")
        return WeightsFolder(folder)
    if not (folder / "recipe.json").exists():
        raise AblaxError(
            f"{folder} is no folder of results (it has no recipe.json), nor of weights (no "
            f"{WEIGHTS}): expected one that `ablax run` or `ablax import` wrote, such as "
            "results/alexnet_ablation/digits"
        )
    if seed and not (seed.isascii() and seed.isdecimal()):
        raise AblaxError(f"{folder}:{variant}:{seed}: expected a seed, such as {variant}:0")
    return RunName(folder, variant, int(seed) if seed else None)


def _weights_file(name: str, place: str) -> WeightsFile:
    name = find(name).name
    library, _, rest = place.partition(":")
    known = library in [source.library for source in sources_of(name)]
    path, whose = (Path(rest), library) if known and rest else (Path(place), None)
    if path.is_dir():
        raise AblaxError(
            f"{path} is a folder, and says itself of which network it is: give it alone, without "
            f"{name}="
        )
    if not path.is_file():
        raise AblaxError(f"there is no file {path}: give the path of a file of weights")
    return WeightsFile(name, path, whose)


@dataclass(frozen=True, eq=False)
class Opened:
    """A model, and the recipe it was trained with, where `ablax run` trained it.

    The note says what was chosen for the person who left it open; empty where nothing was.
    `refuse_other_data` is given the fingerprint of what are said to be the run's own data; the seed
    is the run's, which may have its own test images. Of weights of others `published` is the top-1
    error in percent that is known of them.
    """

    model: Model
    note: str = ""
    recipe: Recipe | None = None
    refuse_other_data: Callable[[str], None] = lambda _: None
    published: float | None = None
    seed: int = 0


def load_model(
    source: str | Path,
    *,
    seed: int | None = 0,
    image_size: int | None = None,
    classes: int | None = None,
    network: Network | None = None,
) -> Model:
    """The model that a source names.

    Args:
        source: `resnet20`, or `module:function`, of the zoo or of a package, randomly initialized;
            `resnet20=FILE`, with the weights of a file, or `resnet20=timm:FILE`, where the names of
            several libraries fit; a folder that `ablax import` wrote; or a folder of results,
            `results/alexnet_ablation/digits:without_7:0` with variant and seed, without them the
            first finished run of the baseline.
        seed: Of random weights; None leaves them as shapes (`Model.untrained`).
        image_size: Height and width in pixels of a network without weights; the paper's by default.
        classes: Of a network without weights; the paper's by default.
        network: The one whose weights `ablax.save_model` wrote, where it is not of the zoo.

    Raises:
        AblaxError: There is no such network, file, variant or run, a run is not finished, or what
            is there is damaged.

    Example:
        >>> load_model("lenet5", seed=1).title
        'lenet5, untrained, seed 1'
    """
    if network is not None:
        return open_weights(Path(source), network)
    return open_model(str(source), seed=seed, image_size=image_size, classes=classes).model


def open_model(
    source: str,
    *,
    seed: int | None = 0,
    image_size: int | None = None,
    classes: int | None = None,
) -> Opened:
    """As `load_model`, with what was chosen and how it was trained."""
    named = source_of(source)
    if isinstance(named, ZooNetwork):
        return Opened(untrained(named.name, seed, image_size, classes))
    for option, given in (("image-size", image_size), ("classes", classes)):
        if given is not None:
            raise AblaxError(
                f"--{option} is for random weights: those of {source} have their own; leave it out"
            )
    if isinstance(named, WeightsFile):
        found = import_file(*named)
        return Opened(found.model, found.taken, published=published_error(found))
    if isinstance(named, WeightsFolder):
        return Opened(open_weights(named.path), published=published_error(named.path))
    return _open_run(named)


def _open_run(run: RunName) -> Opened:
    """The model of a finished run, after its last epoch."""
    held = stored(run.folder)
    question = question_of(run.folder, held)
    variant = run.variant or question.baseline
    check_variant(held.experiment, question, variant)
    seed = run.seed
    if seed is None:  # the first that is finished
        seed = next((seed for name, seed in _there(run.folder) if name == variant), 0)
    summary = _finished(run.folder, variant, seed)
    recipe = question.recipe_of(variant, held.recipe)
    record: Mapping[str, Any] = summary[RECORD]
    height, width, channels = record["image_shape"]
    shape, per_epoch = (height, width, channels), record["steps_per_epoch"]
    inputs = Inputs(height, channels, len(record["classes"]), recipe.width)
    network = question.network_of(variant, inputs)
    refuse_another(run.folder, held, variant, network, shape)
    epochs = recipe.train.epochs
    rule = optimizer(recipe.optimizer, epochs, per_epoch, stacks(network))
    like = jax.eval_shape(partial(initial_state, network, rule, seed, shape))
    state = _restored(run.folder, variant, seed, like, epochs * per_epoch)
    model = Model(
        name=f"{held.experiment}, {variant}, recipe {held.recipe_name}",
        network=network,
        variables={"params": state.params, "batch_stats": state.batch_stats},
        preprocessing=preprocessing_of(shape, record["mean"], record["std"]),
        classes=tuple(record["classes"]),
        weights=f"trained for {epochs} epoch{'s' * (epochs != 1)}, seed {seed}",
        precision=recipe.train.precision,
    )
    refuse = partial(held.refuse_other_data, run.folder, variant)
    if run.variant and run.seed is not None:
        return Opened(model, "", recipe, refuse, seed=seed)
    note = f"{run.folder}: variant {variant}, seed {seed}; {run.folder}:VARIANT:SEED is another"
    return Opened(model, note, recipe, refuse, seed=seed)


def question_of(folder: Path, held: Stored) -> Experiment:
    """The experiment that a folder of results is of; an AblaxError where its file is gone."""
    try:
        return experiment(held.experiment)[1]
    except AblaxError as error:
        raise AblaxError(
            f"{folder} is of the experiment {held.experiment}, which cannot be had ({error}): work "
            f"in the folder whose experiments/ has {held.experiment}.py"
        ) from error


def check_variant(name: str, question: Experiment, variant: str) -> None:
    """Refuse what is no variant of an experiment, with the nearest."""
    if variant not in question.names:
        raise AblaxError(f"{name} has no variant {variant!r}: {nearest(variant, question.names)}")


def _there(folder: Path) -> list[tuple[str, int]]:
    """Variant and seed of the finished runs."""
    found = []
    for path in (folder / "runs").glob("*-seed-*.json"):
        variant, _, seed = path.stem.rpartition("-seed-")
        if seed.isascii() and seed.isdecimal():
            found.append((variant, int(seed)))
    return sorted(found)


def unfinished(results: ResultsFolder, variant: str, seed: int) -> ResultsError:
    """What to say of a run that is not at its end: how far it came, and which runs are."""
    place = results.checkpoints(variant, seed)
    steps = checkpoint.steps_in(place) if place.is_dir() else []
    begun = f"; that run stopped after step {steps[-1]}: give `ablax run` again" if steps else ""
    there = ", ".join(f"{name}:{number}" for name, number in _there(results.path)) or "none at all"
    return ResultsError(
        f"{results.path} has no finished run of {variant} from seed {seed}{begun}; finished are "
        f"{there}"
    )


def _finished(folder: Path, variant: str, seed: int) -> dict[str, Any]:
    """The summary of a run that is at its end and has weights."""
    results = ResultsFolder(folder)
    summary, place = results.finished(variant, seed), results.checkpoints(variant, seed)
    if not (folder / "checkpoints").is_dir():
        raise ResultsError(
            f"{folder} has no checkpoints, so no weights (`ablax keep` copies none): give the "
            "folder that the run wrote, or run the experiment again"
        )
    if summary is None:
        raise unfinished(results, variant, seed)
    if summary["status"] != "finished":
        raise ResultsError(
            f"the run of {variant} from seed {seed} in {folder} {summary['status']}: there are no "
            f"weights of its end; `ablax doctor {folder}:{variant}:{seed}` looks for the reason"
        )
    if not place.is_dir() or not checkpoint.steps_in(place):
        raise ResultsError(
            f"{folder} has no checkpoint of {variant} from seed {seed}, though it is finished: "
            f"remove {folder}/runs/{variant}-seed-{seed}.json and give `ablax run` again"
        )
    return summary


def refuse_another(
    folder: Path, held: Stored, variant: str, network: Network, image_shape: ImageShape
) -> None:
    """Refuse a run whose experiment's file gives another network today than it trained."""
    trained = held.networks.get(variant, "").split("; ")[0]
    if trained and trained != fingerprint(network, image_shape):
        raise ResultsError(
            f"the experiment {held.experiment} gives another network for {variant} today than the "
            f"one trained in {folder}: use the file that it was run with, or run it again"
        )


def _restored(folder: Path, variant: str, seed: int, like: Any, steps: int) -> Any:
    """The state after the last epoch, its checksums compared."""
    place = ResultsFolder(folder).checkpoints(variant, seed)
    of = ResultsFolder(folder).of(variant, seed)
    with checkpoint.open_checkpoints(place, of=of) as checkpoints:
        restored = checkpoint.restore(checkpoints, like)
    if restored is None or restored.step != steps:
        step = "no step" if restored is None else f"step {restored.step}"
        raise ResultsError(
            f"the checkpoint of the last step, {steps}, in {place} is damaged or gone ({step} is "
            f"good): remove {folder}/runs/{variant}-seed-{seed}.json and give `ablax run` again, "
            "which goes on from what is good"
        )
    return restored.state
