"""From what a person types, an experiment or a folder of results, to the patient."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ablax.config import Recipe
from ablax.doctor.history import History, history
from ablax.doctor.patient import SAMPLE, Patient
from ablax.errors import AblaxError, nearest
from ablax.experiment import Experiment, Inputs
from ablax.study.discovery import experiment, names, recipe
from ablax.study.folder import ResultsFolder, changes, identity, stored
from ablax.training.feed import open_feed, training_images
from ablax.training.loop import Trainer, data_mesh


@dataclass(frozen=True, eq=False)
class Opened:
    """Who is examined, and the finished run where one was named.

    Attributes:
        patient: The network, its recipe and its images.
        history: The run; None for an experiment.
        note: What the data are.
    """

    patient: Patient
    history: History | None
    note: str


def open_patient(name: str, config: str, variant: str, seed: int, console: Console) -> Opened:
    """The patient of that name.

    Args:
        name: An experiment, the path of its file, or a folder of results.
        config: The recipe of an experiment; a folder has its own.
        variant: Which network of the experiment; the baseline when empty.
        seed: Of the initial weights, and of the run.
        console: Where data that are decoded show how far that is.

    Raises:
        AblaxError: Nothing has that name, or the folder holds another network or no such run.
    """
    folder = Path(name)
    if (folder / "recipe.json").exists() or (folder.is_dir() and name not in names("experiments")):
        return _open_run(folder, variant, seed, console)
    stem, question = experiment(name)
    recipe_name, chosen = recipe(config)
    chosen = question.budgeted(recipe_name, chosen)
    variant = variant or question.baseline
    patient, trainer = _patient(stem, question, recipe_name, chosen, variant, seed, console)
    return Opened(patient, None, trainer.feed.note)


def _open_run(path: Path, variant: str, seed: int, console: Console) -> Opened:
    held = stored(path)
    stem, recipe_name, chosen = held.experiment, held.recipe_name, held.recipe
    _, question = experiment(stem)
    variant = variant or question.baseline
    patient, trainer = _patient(stem, question, recipe_name, chosen, variant, seed, console)
    folder = ResultsFolder(path)
    changed = changes(trainer.recipe, chosen)
    networks = {variant: identity(patient.network, trainer.feed.image_shape, changed)}
    with folder.claim(stem, recipe_name, chosen, networks):
        found = history(folder, variant, seed, trainer)
    return Opened(patient, found, trainer.feed.note)


def _patient(
    stem: str,
    question: Experiment,
    recipe_name: str,
    chosen: Recipe,
    variant: str,
    seed: int,
    console: Console,
) -> tuple[Patient, Trainer]:
    if variant not in question.names:
        raise AblaxError(f"{stem} has no variant {variant!r}: {nearest(variant, question.names)}")
    chosen = question.recipe_of(variant, chosen)
    mesh = data_mesh()
    feed = open_feed(chosen, mesh, console)
    height, width, channels = feed.image_shape
    if height != width:
        raise AblaxError(f"the images have {height} x {width} pixels; square ones are expected")
    inputs = Inputs(height, channels, feed.classes, chosen.width)
    network = question.network_of(variant, inputs)
    images, labels = training_images(feed, SAMPLE)
    wide = dataclasses.replace(inputs, width=2 * chosen.width)
    patient = Patient(
        name=f"{stem}, {variant}, recipe {recipe_name}",
        network=network,
        recipe=chosen,
        images=images,
        labels=labels,
        mean=feed.mean,
        std=feed.std,
        classes=feed.classes,
        steps_per_epoch=feed.steps_per_epoch,
        wider=lambda: question.network_of(variant, wide),
        seed=seed,
    )
    return patient, Trainer(network, chosen, feed, mesh)
