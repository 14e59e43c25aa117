"""What is examined: an experiment as it starts, or a finished run, and short trainings of it."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int32, UInt8
from rich.console import Console

from ablax.config import Recipe
from ablax.core import Network, stacks
from ablax.errors import AblaxError
from ablax.experiment import Experiment, Inputs
from ablax.losses import softmax_cross_entropy
from ablax.measurements.measurement import RUN_COLUMNS
from ablax.model import Model, preprocessing_of
from ablax.report.study import Curve, matching
from ablax.study.discovery import experiment, names, recipe
from ablax.study.folder import ResultsFolder, finished_run, stored
from ablax.study.load import (
    RunName,
    Source,
    ZooNetwork,
    check_variant,
    load_model,
    question_of,
    refuse_another,
    source_of,
    unfinished,
)
from ablax.training.checkpoint import open_checkpoints, restore
from ablax.training.dataset import Dataset, open_dataset, training_images
from ablax.training.loop import Evaluation, Trainer, data_mesh
from ablax.training.metrics import read_metrics
from ablax.training.optimizer import optimizer, schedule
from ablax.training.step import (
    Losses,
    Objective,
    State,
    StepFigures,
    Task,
    descend,
    initial_state,
    loss,
    normalize,
    task_of,
    train_step,
)
from ablax.zoo import find

Variables = Mapping[str, Any]
Wider = Callable[[], Network]

SAMPLE = 1024
"""Training images that the checks look at, at most; fewer where there are fewer."""
SETTLING = 100
"""Forward passes after which running statistics count as settled: 0.9^100 of the old is left."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Who is examined: a network before training, its recipe, and a sample of its training images.

    Images are levels 0 to 255. `wider` builds the network with twice the features, where that can
    be done. What is minimized are the `losses`, or the recipe's own. The seed is that of every
    draw.
    """

    model: Model
    recipe: Recipe
    images: UInt8[np.ndarray, "N H W C"]
    labels: Int32[np.ndarray, " N"]
    steps_per_epoch: int
    wider: Wider | None = None
    losses: Losses | None = None
    seed: int = 0

    @property
    def network(self) -> Network:
        """The network."""
        return self.model.network

    @property
    def variables(self) -> Variables:
        """The weights and statistics before training."""
        return self.model.variables

    def normalized(self, count: int) -> Float[np.ndarray, "N H W C"]:
        """So many images of the sample, as the network gets them in a test."""
        return self.model.normalized(self.images[:count])

    @cached_property
    def objective(self) -> Objective:
        """What its training minimizes."""
        return self.task(self.network)

    def task(self, network: Network) -> Task:
        """The training of this network, or of a wider one, by the recipe."""
        done = self.model.preprocessing
        made = task_of(network, self.recipe, done.mean, done.std, self.steps_per_epoch)
        return made if self.losses is None else dataclasses.replace(made, losses=self.losses)

    def scores(self, variables: Variables) -> Float[np.ndarray, "N classes"]:
        """Of every image of the sample, as in a test."""
        model = dataclasses.replace(self.model, variables=variables)
        return model.scores(self.images).astype(np.float64)

    def settled(self, variables: Variables) -> Variables:
        """The same weights with running statistics of the sample, as after a long training.

        A short training leaves them near their initial values, and a test would use those.
        """
        if not variables["batch_stats"]:
            return variables
        size = min(64, len(self.images))
        images = jnp.asarray(self.normalized(size))
        labels = jnp.asarray(self.labels[:size])

        def pass_forward(statistics: Any, _: None) -> tuple[Any, None]:
            parts = loss(self.objective, variables["params"], statistics, images, labels)[1]
            return parts.batch_stats, None

        settle = jax.jit(lambda start: jax.lax.scan(pass_forward, start, length=SETTLING)[0])
        return {**variables, "batch_stats": settle(variables["batch_stats"])}


STEPS = 100
"""Of a short training by the recipe: about as many as Smith's range test takes."""
BELOW, ABOVE = 1e-2, 1e2
"""The range test goes from and to these multiples of the recipe's rate, 25 steps a decade."""


@dataclass(frozen=True, eq=False)
class ShortTraining:
    """A short training at its end.

    Mean loss of the network's own scores for the batch of each step, before the step; the share of
    the batch that was classified wrongly; what a step took, without compilation.
    """

    losses: Float[np.ndarray, " steps"]
    errors: Float[np.ndarray, " steps"]
    variables: Variables
    seconds: float


Training = Callable[[Float[np.ndarray, " steps"]], ShortTraining]
"""From the learning rate of each step to what became of it, always from the same initialization."""


def compile_training(
    trial: Trial,
    network: Network,
    rule: optax.GradientTransformation,
    *,
    images: int,
    batch: int,
    steps: int,
    varied: bool,
) -> Training:
    """One compiled loop over some steps; the learning rates are its argument.

    The network is the trial's own, or a wider one; `rule` is the update at learning rate 1. So many
    images of the sample are trained on, in another order each pass. Where the training is `varied`,
    images are augmented, units dropped and labels smoothed as in the recipe.
    """
    images = min(images, len(trial.images))
    batch = min(batch, images)
    pixels, labels = jnp.asarray(trial.images[:images]), jnp.asarray(trial.labels[:images])
    order = _order(images, batch, steps, trial.seed)
    task = trial.task(network)
    if not varied:
        plain = trial.losses or softmax_cross_entropy
        task = dataclasses.replace(task, losses=plain, frozen=())

    def at_rates(rates: Array) -> Task:
        rate = optax.scale_by_schedule(lambda step: rates[step])
        return dataclasses.replace(task, optimizer=optax.chain(rule, rate))

    updates = at_rates(jnp.ones(steps)).optimizer
    start = initial_state(network, updates, trial.seed, trial.model.image_shape)

    def loop(state: State, pixels: Array, labels: Array, order: Array, rates: Array) -> Any:
        by_rates = at_rates(rates)

        def body(state: State, chosen: Array) -> tuple[State, StepFigures]:
            images, classes = pixels[chosen], labels[chosen]
            if varied:
                return train_step(by_rates, state, images, classes)
            return descend(by_rates, state, normalize(by_rates, images), classes)

        return jax.lax.scan(body, state, order)

    shape = jax.ShapeDtypeStruct((steps,), jnp.float32)
    program = jax.jit(loop).lower(start, pixels, labels, order, shape).compile()

    def train(rates: Float[np.ndarray, " steps"]) -> ShortTraining:
        given = (start, pixels, labels, order, jnp.asarray(rates, jnp.float32))
        started = time.perf_counter()
        state, figures = jax.block_until_ready(program(*given))
        seconds = (time.perf_counter() - started) / steps
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        errors = 1 - np.asarray(figures.correct) / batch
        return ShortTraining(np.asarray(figures.loss), errors, variables, seconds)

    return train


def _order(images: int, batch: int, steps: int, seed: int) -> Array:
    """Which images each step takes: whole batches of one permutation after another."""
    random = np.random.default_rng(seed)
    batches: list[np.ndarray] = []
    while len(batches) < steps:
        order = random.permutation(images)
        batches += np.split(order[: images // batch * batch], images // batch)
    return jnp.asarray(np.stack(batches[:steps]))


@functools.cache
def recipe_training(trial: Trial) -> Training:
    """`STEPS` steps with the recipe's optimizer, batch, augmentation and dropout."""
    config, train = trial.recipe.optimizer, trial.recipe.train
    unscaled = dataclasses.replace(config, rate=1.0, schedule="constant", warmup=0.0)
    return compile_training(
        trial,
        trial.network,
        optimizer(unscaled, train.epochs, trial.steps_per_epoch, stacks(trial.network)),
        images=len(trial.images),
        batch=train.batch,
        steps=STEPS,
        varied=True,
    )


@functools.cache
def first_steps(trial: Trial) -> ShortTraining:
    """The first `STEPS` steps of the recipe, at the learning rates of its own schedule."""
    recipe = trial.recipe
    rate = schedule(recipe.optimizer, recipe.train.epochs, trial.steps_per_epoch)
    return recipe_training(trial)(np.array([float(rate(step)) for step in range(STEPS)]))


def rising_rates(trial: Trial) -> Float[np.ndarray, " steps"]:
    """The learning rates of the range test."""
    rate = trial.recipe.optimizer.rate
    return np.geomspace(BELOW * rate, ABOVE * rate, STEPS)


@functools.cache
def range_test(trial: Trial) -> ShortTraining:
    """`STEPS` steps of the recipe at learning rates that grow geometrically."""
    return recipe_training(trial)(rising_rates(trial))


_ENDS = 10  # steps whose mean is the last loss


@dataclass(frozen=True, eq=False)
class Trained:
    """Weights after training and settled statistics, the loss of the first and last steps or epoch.

    `words` say whose weights these are.
    """

    variables: Variables
    first_loss: float
    last_loss: float
    words: str


def briefly_trained(trial: Trial) -> Trained:
    """What the first steps of the recipe make of the network."""
    done = first_steps(trial)
    first, last = float(done.losses[0]), float(np.mean(done.losses[-_ENDS:]))
    words = f"after {STEPS} steps of the recipe"
    return Trained(trial.settled(done.variables), first, last, words)


@dataclass(frozen=True, eq=False)
class History:
    """How a run went, `"finished"` or `"diverged"`, and where it ended.

    `trained` are the last good weights, and `evaluation` is of every test image under them; both
    are None where the run diverged before its first checkpoint.
    """

    status: str
    curve: Curve
    trained: Trained | None
    evaluation: Evaluation | None


def history(folder: ResultsFolder, variant: str, seed: int, trainer: Trainer) -> History:
    """Read one run, and judge the test images by its last checkpoint.

    Raises:
        AblaxError: The run is not finished, or ended well and has no good checkpoint.
    """
    summary = _refuse_unfinished(folder, variant, seed)
    place = folder.checkpoints(variant, seed)
    own = matching(read_metrics(folder.path, by=RUN_COLUMNS), variant=variant, seed=seed)
    curve = finished_run(variant, seed, summary, list(map(dict, own)), 0.0, 1).curve
    status = str(summary["status"])
    restored = None
    if place.is_dir():
        with open_checkpoints(place, of=folder.of(variant, seed)) as checkpoints:
            restored = restore(checkpoints, trainer.initial_state(seed))
    if restored is None:
        if status == "diverged":
            return History(status, curve, None, None)
        raise AblaxError(
            f"{place} holds no checkpoint, though the run is finished: examine the experiment "
            "instead, or run it again elsewhere"
        )
    state = restored.state
    # on the host, so that every check may bring them where it computes
    variables = jax.device_get({"params": state.params, "batch_stats": state.batch_stats})
    losses = curve.train_loss or (float("nan"),)
    words = f"after {restored.step / trainer.dataset.steps_per_epoch:g} epochs"
    trained = Trained(variables, losses[0], losses[-1], words)
    return History(status, curve, trained, trainer.evaluate(state))


def _refuse_unfinished(folder: ResultsFolder, variant: str, seed: int) -> dict[str, Any]:
    """The summary of a run that is at its end."""
    summary = folder.verify(variant, seed)
    if summary is None:
        raise unfinished(folder, variant, seed)
    return summary


@dataclass(frozen=True, eq=False)
class Opened:
    """Who is examined, the finished run where one was named, and what the data are."""

    trial: Trial
    history: History | None
    note: str


def open_trial(name: str, config: str, seed: int | None, console: Console) -> Opened:
    """The trial of that name.

    It names an experiment or the path of its file, with `:VARIANT` another network than the
    baseline; or a model (`ablax.study.load`), such as a run of a folder of results, which has a
    recipe of its own. The seed is that of the initial weights, and of the run where its name does
    not say it; None is 0.

    Raises:
        AblaxError: Nothing has that name, the folder holds another network or no such run, or the
            model does not fit the recipe's data.
    """
    named = _model_source(name)
    if isinstance(named, RunName):
        return _open_run(named, seed or 0, console)
    recipe_name, chosen = recipe(config)
    if named is not None:
        return _of_model(name, named, recipe_name, chosen, seed or 0, console)
    question_name, _, variant = name.removesuffix(":EXPERIMENT").partition(":")
    stem, question = experiment(question_name)
    chosen = question.budgeted(recipe_name, chosen)
    variant = variant or question.baseline
    trial, trainer = _patient(stem, question, recipe_name, chosen, variant, seed or 0, console)
    return Opened(trial, None, trainer.dataset.note)


def _model_source(name: str) -> Source | None:
    """The model that is meant; None where it is an experiment, or nothing that is known."""
    if name.partition(":")[0] in names("experiments"):
        return None
    try:
        return source_of(name)
    except AblaxError:
        if "=" in name or Path(name).is_dir():
            raise
        return None


def _open_run(run: RunName, seed: int, console: Console) -> Opened:
    path, seed = run.folder, seed if run.seed is None else run.seed
    held = stored(path)
    stem, recipe_name, chosen = held.experiment, held.recipe_name, held.recipe
    question = question_of(path, held)
    variant = run.variant or question.baseline
    check_variant(stem, question, variant)
    _refuse_unfinished(ResultsFolder(path), variant, seed)
    trial, trainer = _patient(stem, question, recipe_name, chosen, variant, seed, console)
    folder = ResultsFolder(path)
    refuse_another(path, held, variant, trial.network, trainer.dataset.image_shape)
    held.refuse_other_data(path, variant, trainer.dataset.fingerprint)
    with folder.claim(stem, recipe_name, chosen, {}):
        found = history(folder, variant, seed, trainer)
    return Opened(trial, found, trainer.dataset.note)


def _of_model(
    name: str, named: Source, recipe_name: str, chosen: Recipe, seed: int, console: Console
) -> Opened:
    """A model of the zoo or of somebody's weights, as it would be trained by the recipe."""
    dataset = open_dataset(chosen, data_mesh(), console)
    shape, classes = dataset.image_shape, dataset.classes
    if isinstance(named, ZooNetwork):
        called = f"{named.name}, recipe {recipe_name}"
        model = _model(find(named.name).build(classes), dataset, seed, called)
    else:
        model = load_model(name)
        if (model.image_shape, len(model.classes)) != (shape, classes):
            sides, theirs = ("x".join(map(str, each)) for each in (model.image_shape, shape))
            raise AblaxError(
                f"{name} takes images of {sides} in {len(model.classes)} classes, and the recipe "
                f"{recipe_name} has images of {theirs} in {classes}: give the recipe of data that "
                "fit with --config"
            )
        model = dataclasses.replace(model, name=f"{model.title}, recipe {recipe_name}")
    return Opened(_trial(model, chosen, dataset, seed), None, dataset.note)


def _patient(
    stem: str,
    question: Experiment,
    recipe_name: str,
    chosen: Recipe,
    variant: str,
    seed: int,
    console: Console,
) -> tuple[Trial, Trainer]:
    check_variant(stem, question, variant)
    chosen = question.recipe_of(variant, chosen)
    mesh = data_mesh()
    dataset = open_dataset(chosen, mesh, console)
    height, width, channels = dataset.image_shape
    if height != width:
        raise AblaxError(f"the images have {height} x {width} pixels; square ones are expected")
    inputs = Inputs(height, channels, dataset.classes, chosen.width)
    network = question.network_of(variant, inputs)
    wide = dataclasses.replace(inputs, width=2 * chosen.width)
    model = _model(network, dataset, seed, f"{stem}, {variant}, recipe {recipe_name}")
    trial = _trial(model, chosen, dataset, seed, lambda: question.network_of(variant, wide))
    return trial, Trainer(network, chosen, dataset, mesh)


def _model(network: Network, dataset: Dataset, seed: int, name: str) -> Model:
    return Model.untrained(
        network,
        dataset.image_shape,
        seed,
        name=name,
        preprocessing=preprocessing_of(dataset.image_shape, dataset.mean, dataset.std),
        classes=dataset.class_names,
    )


def _trial(
    model: Model, chosen: Recipe, dataset: Dataset, seed: int, wider: Wider | None = None
) -> Trial:
    sample = training_images(dataset, SAMPLE, seed % dataset.folds)
    steps = dataset.steps_per_epoch
    return Trial(model, chosen, sample.images, sample.labels, steps, wider, seed=seed)
