"""`Plan`: an experiment under a recipe, resolved and checked whole before anything is trained."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
from jax.sharding import Mesh

from ablax.config import DataConfig, Recipe, with_fields
from ablax.core import (
    Network,
    abstract_variables,
    count_parameters,
    paths,
    reinitialized,
)
from ablax.errors import AblaxError
from ablax.experiment import Experiment, Inputs, network_macs
from ablax.measurements.measurement import Measurement
from ablax.report.plots import pictures
from ablax.report.study import PlanRecord, Study, Variant
from ablax.study.folder import Identity, changes, identity
from ablax.training.dataset import Dataset
from ablax.training.loop import Trainer
from ablax.training.step import refuse_misfit


@dataclass(frozen=True)
class Training:
    """One variant, ready to be trained.

    Without a pretrainer its initialization is random; `fresh` are patterns of paths of parameters
    that are not taken from the pretraining.
    """

    variant: Variant
    trainer: Trainer
    pretrainer: Trainer | None = None
    fresh: tuple[str, ...] = ()

    @property
    def identity(self) -> Identity:
        """What it is, and what its recipe changes, to know it again."""
        network, data = self.trainer.task.network, self.trainer.dataset
        return identity(network, data.image_shape, self.variant.changes, data.fingerprint)

    @property
    def work(self) -> float:
        """Multiply-accumulates of one run's forward passes over the training images."""
        return self._work(self.trainer)

    @property
    def pretraining_work(self) -> float:
        """Likewise, of its pretraining; 0 without one."""
        return self._work(self.pretrainer) if self.pretrainer is not None else 0.0

    def _work(self, trainer: Trainer) -> float:
        return float(trainer.total_steps * trainer.recipe.train.batch * self.variant.macs)


@dataclass(frozen=True)
class Plan:
    """What is run: every network is built, and fits its data, recipe and initial weights.

    The record is what the report says of it; the trainings are the variants by name, the baseline
    first.
    """

    record: PlanRecord
    recipe: Recipe
    trainings: Mapping[str, Training]
    measurements: tuple[Measurement, ...]


def resolve(
    name: str,
    experiment: Experiment,
    recipe_name: str,
    recipe: Recipe,
    *,
    data: Callable[[Recipe], Dataset],
    mesh: Mesh,
    only: tuple[str, ...] = (),
    command: str = "",
) -> Plan:
    """The plan of an experiment under a recipe: shapes only, nothing is compiled.

    The recipe has the experiment's budget in it already. `data` opens that of a variant's recipe,
    asked once for each data and batch; `only` are the variants beside the baseline, those of the
    budget where empty; `command` is what a person types to repeat it.

    Raises:
        AblaxError: There is no such variant, the data are missing, a network does not fit them, or
            a recipe has a value that it cannot have.
        ReportError: Two pictures of the report would have one name.
    """
    names = experiment.chosen(recipe_name, only)
    resolver = _Resolver(experiment, recipe, data, mesh)
    trainings = {one: resolver.training(one) for one in names}
    dataset = trainings[experiment.baseline].trainer.dataset
    record = experiment.record(
        name,
        recipe_name,
        recipe,
        variants=tuple(training.variant for training in trainings.values()),
        full_size_parameters=full_size_parameters(experiment),
        command=command,
        data_note=dataset.note,
        classes=dataset.classes,
        folds=dataset.folds,
    )
    pictures(Study(record))
    return Plan(record, recipe, trainings, experiment.measurements)


def training_by_name(
    experiment: Experiment, recipe: Recipe, data: Callable[[Recipe], Dataset], mesh: Mesh
) -> Callable[[str], Training]:
    """The variants of an experiment, each made when it is asked for first; arguments of `resolve`.

    Errors as of `resolve`.
    """
    return functools.cache(_Resolver(experiment, recipe, data, mesh).training)


@dataclass(frozen=True)
class _Resolver:
    """What the variants of one plan share."""

    experiment: Experiment
    recipe: Recipe
    data: Callable[[Recipe], Dataset]
    mesh: Mesh
    _datasets: dict[tuple[DataConfig, int], Dataset] = field(default_factory=dict)

    @cached_property
    def _baseline(self) -> Network:
        return self._trainer(self.experiment.baseline, self.recipe).task.network

    def _trainer(self, name: str, recipe: Recipe) -> Trainer:
        asked = (recipe.data, recipe.train.batch)
        if asked not in self._datasets:
            self._datasets[asked] = self.data(recipe)
        dataset = self._datasets[asked]
        network = self.experiment.network_of(name, _inputs(dataset, recipe.width))
        return Trainer(network, recipe, dataset, self.mesh)

    def training(self, name: str) -> Training:
        """One variant."""
        recipe = self.experiment.recipe_of(name, self.recipe)
        trainer, pretrainer = self._trainer(name, recipe), None
        changed = changes(recipe, self.recipe)
        treatment = self.experiment.treatment(name)
        pretraining = treatment.pretraining if treatment else None
        if pretraining is not None:
            pretrainer = self._trainer(name, with_fields(recipe, pretraining.fields))
            refuse_misfit(_shapes(trainer), _shapes(pretrainer), pretraining.fresh)
            other = ", ".join(changes(pretrainer.recipe, recipe))
            changed += (f"first weights from a training with {other}",)
        variant = self._variant(name, trainer, changed)
        return Training(variant, trainer, pretrainer, pretraining.fresh if pretraining else ())

    def _variant(self, name: str, trainer: Trainer, changed: tuple[str, ...]) -> Variant:
        network, shape = trainer.task.network, trainer.dataset.image_shape
        variables = abstract_variables(network, shape)
        gone: tuple[str, ...] = ()
        fresh: tuple[str, ...] = ()
        treatment = self.experiment.treatment(name)
        if treatment is not None and treatment.edit is not None:
            left = set(paths(network))
            found = paths(self._baseline)
            gone = tuple(path for path in found if path not in left and "/" not in path)
            fresh = reinitialized(self._baseline, network, shape)
        return Variant(
            name=name,
            label=self.experiment.label(name),
            parameters=sum(leaf.size for leaf in jax.tree.leaves(variables.get("params", {}))),
            macs=network_macs(network, shape, variables),
            removed_layers=gone,
            reinitialized=fresh,
            changes=changed,
            classes=trainer.dataset.classes,
            smoothing=trainer.recipe.train.label_smoothing,
        )


def _shapes(trainer: Trainer) -> Any:
    """Those of the parameters."""
    return abstract_variables(trainer.task.network, trainer.dataset.image_shape)["params"]


def _inputs(dataset: Dataset, width: float) -> Inputs:
    height, wide, channels = dataset.image_shape
    if height != wide:
        raise AblaxError(
            f"the images have {height} x {wide} pixels, and square ones are expected: resize them "
            f"with --data.image-size {min(height, wide)}"
        )
    return Inputs(height, channels, dataset.classes, width)


def full_size_parameters(experiment: Experiment) -> dict[str, int]:
    """Every variant's parameters at the size of the source; empty where none is given."""
    inputs = experiment.full_size
    if inputs is None:
        return {}
    networks = experiment.networks(inputs)
    return {name: count_parameters(n, inputs.image_shape) for name, n in networks.items()}
