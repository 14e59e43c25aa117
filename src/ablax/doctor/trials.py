"""What is examined: an experiment as it starts, or a finished run, and short trainings of it."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping
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
from ablax.core import Network, initialize, stacks
from ablax.errors import AblaxError, nearest
from ablax.experiment import Experiment, Inputs
from ablax.losses import softmax_cross_entropy
from ablax.measurements.measurement import RUN_COLUMNS
from ablax.report.study import Curve
from ablax.study.discovery import experiment, names, recipe
from ablax.study.folder import ResultsFolder, changes, finished_run, identity, stored
from ablax.training.checkpoint import Restored, close, open_checkpoints, restore
from ablax.training.dataset import open_dataset, training_images
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

# ------------------------------------------------------------------------------------------
# `Trial`: a network before training, with its recipe and some of its training images.

Variables = Mapping[str, Any]

SAMPLE = 1024
"""Training images that the checks look at, at most; fewer where there are fewer."""
SETTLING = 100
"""Forward passes after which running statistics count as settled: 0.9^100 of the old is left."""
_PORTION = 128


@dataclass(frozen=True, eq=False)
class Trial:
    """Who is examined.

    Attributes:
        name: What reports call it.
        network: The network.
        recipe: How it is trained.
        images: A sample of its training images, as levels 0 to 255.
        labels: Their classes.
        mean: Of each channel over the training images, in [0, 1].
        std: Deviation of each channel.
        classes: How many there are.
        steps_per_epoch: Of the recipe.
        wider: Builds the network with twice the features; None where nobody can.
        losses: What is minimized; None for the recipe's own.
        seed: Of the initial weights and of every draw.
    """

    name: str
    network: Network
    recipe: Recipe
    images: UInt8[np.ndarray, "N H W C"]
    labels: Int32[np.ndarray, " N"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: int
    steps_per_epoch: int
    wider: Callable[[], Network] | None = None
    losses: Losses | None = None
    seed: int = 0

    @cached_property
    def variables(self) -> Variables:
        """The weights and statistics before training."""
        return self.start(self.network)

    def start(self, network: Network) -> Variables:
        """The initial weights and statistics of a network on these images."""
        height, width, channels = self.images.shape[1:]
        drawn = initialize(network, self.seed, (height, width, channels))
        return {"params": drawn.get("params", {}), "batch_stats": drawn.get("batch_stats", {})}

    def normalized(self, count: int, first: int = 0) -> Float[np.ndarray, "N H W C"]:
        """So many images of the sample, as the network gets them in a test."""
        pixels = self.images[first : first + count].astype(np.float64) / 255
        return ((pixels - np.asarray(self.mean)) / np.asarray(self.std)).astype(np.float32)

    @cached_property
    def objective(self) -> Objective:
        """What its training minimizes."""
        return self.task(self.network)

    def task(self, network: Network) -> Task:
        """The training of this network, or of a wider one, by the recipe."""
        made = task_of(network, self.recipe, self.mean, self.std, self.steps_per_epoch)
        return made if self.losses is None else dataclasses.replace(made, losses=self.losses)

    def scores(self, variables: Variables) -> Float[np.ndarray, "N classes"]:
        """Of every image of the sample, as in a test."""
        apply = jax.jit(self.network.apply)
        parts = [apply(variables, part) for part in self.portions(len(self.images))]
        return np.concatenate(jax.device_get(parts)).astype(np.float64)

    def portions(self, count: int) -> Iterator[Float[np.ndarray, "N H W C"]]:
        """The first images of the sample, normalized, in batches that any memory holds."""
        for first in range(0, min(count, len(self.images)), _PORTION):
            yield self.normalized(min(_PORTION, count - first), first)

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


# ------------------------------------------------------------------------------------------
# Short trainings, each compiled once: what several checks look at.

STEPS = 100
"""Of a short training by the recipe: about as many as Smith's range test takes."""
BELOW, ABOVE = 1e-2, 1e2
"""The range test goes from and to these multiples of the recipe's rate, 25 steps a decade."""


@dataclass(frozen=True, eq=False)
class ShortTraining:
    """A short training at its end.

    Attributes:
        losses: Mean loss of the network's own scores for each step's batch, before the step.
        errors: Share of each batch that was classified wrongly.
        variables: Weights and statistics after the last step.
        seconds: What a step took, without compilation.
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

    Args:
        trial: Whose data and loss.
        network: Its own, or a wider one.
        rule: The update at learning rate 1; each step's rate multiplies it.
        images: How many of the sample are trained on.
        batch: Images per step; each pass goes over the images in another order.
        steps: How many.
        varied: Whether images are augmented, units dropped and labels smoothed as in the recipe.

    Returns:
        The training.
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

    height, width, channels = trial.images.shape[1:]
    start = initial_state(
        network, at_rates(jnp.ones(steps)).optimizer, trial.seed, (height, width, channels)
    )

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


# ------------------------------------------------------------------------------------------
# `Trained`: the weights after some training, and how the loss went.

_ENDS = 10  # steps whose mean is the loss at either end


@dataclass(frozen=True, eq=False)
class Trained:
    """Weights after training.

    Attributes:
        variables: Weights, and settled statistics.
        first_loss: Of the first steps or epoch.
        last_loss: Of the last.
        words: Whose weights these are.
    """

    variables: Variables
    first_loss: float
    last_loss: float
    words: str


def briefly_trained(trial: Trial) -> Trained:
    """What the first steps of the recipe make of the network."""
    done = first_steps(trial)
    return Trained(
        trial.settled(done.variables),
        float(np.mean(done.losses[:1])),
        float(np.mean(done.losses[-_ENDS:])),
        f"after {STEPS} steps of the recipe",
    )


# ------------------------------------------------------------------------------------------
# `History`: a finished run, read from its folder of results.


@dataclass(frozen=True, eq=False)
class History:
    """How a run went and where it ended.

    Attributes:
        status: `"finished"` or `"diverged"`.
        curve: By epoch.
        trained: The last good weights; None where the run diverged before its first checkpoint.
        evaluation: Every test image under them; None likewise.
    """

    status: str
    curve: Curve
    trained: Trained | None
    evaluation: Evaluation | None


def history(folder: ResultsFolder, variant: str, seed: int, trainer: Trainer) -> History:
    """Read one run, and judge the test images by its last checkpoint.

    Args:
        folder: Of the experiment under the recipe.
        variant: Which network.
        seed: Which run of it.
        trainer: Of that network under that recipe.

    Raises:
        AblaxError: The run is not finished, or ended well and has no good checkpoint.
    """
    summary = folder.finished(variant, seed)
    place = folder.checkpoints(variant, seed)
    if summary is None:
        raise AblaxError(
            f"{folder.path} has no finished run of {variant} from seed {seed}: run it first, or "
            "name another with --variant and --seed"
        )
    records = [
        r
        for r in read_metrics(folder.path, by=RUN_COLUMNS)
        if (r["variant"], r["seed"]) == (variant, seed)
    ]
    curve = finished_run(variant, seed, summary, records, 0.0, 1).curve
    status = str(summary["status"])
    restored = _restored(place, trainer, seed) if place.is_dir() else None
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


def _restored(place: Path, trainer: Trainer, seed: int) -> Restored | None:
    checkpoints = open_checkpoints(place)
    try:
        return restore(checkpoints, trainer.initial_state(seed))
    finally:
        close(checkpoints)


# ------------------------------------------------------------------------------------------
# From what a person types, an experiment or a folder of results, to the trial.


@dataclass(frozen=True, eq=False)
class Opened:
    """Who is examined, and the finished run where one was named.

    Attributes:
        trial: The network, its recipe and its images.
        history: The run; None for an experiment.
        note: What the data are.
    """

    trial: Trial
    history: History | None
    note: str


def open_trial(name: str, config: str, variant: str, seed: int, console: Console) -> Opened:
    """The trial of that name.

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
    trial, trainer = _patient(stem, question, recipe_name, chosen, variant, seed, console)
    return Opened(trial, None, trainer.dataset.note)


def _open_run(path: Path, variant: str, seed: int, console: Console) -> Opened:
    held = stored(path)
    stem, recipe_name, chosen = held.experiment, held.recipe_name, held.recipe
    _, question = experiment(stem)
    variant = variant or question.baseline
    trial, trainer = _patient(stem, question, recipe_name, chosen, variant, seed, console)
    folder = ResultsFolder(path)
    changed = changes(trainer.recipe, chosen)
    networks = {variant: identity(trial.network, trainer.dataset.image_shape, changed)}
    with folder.claim(stem, recipe_name, chosen, networks):
        found = history(folder, variant, seed, trainer)
    return Opened(trial, found, trainer.dataset.note)


def _patient(
    stem: str,
    question: Experiment,
    recipe_name: str,
    chosen: Recipe,
    variant: str,
    seed: int,
    console: Console,
) -> tuple[Trial, Trainer]:
    if variant not in question.names:
        raise AblaxError(f"{stem} has no variant {variant!r}: {nearest(variant, question.names)}")
    chosen = question.recipe_of(variant, chosen)
    mesh = data_mesh()
    dataset = open_dataset(chosen, mesh, console)
    height, width, channels = dataset.image_shape
    if height != width:
        raise AblaxError(f"the images have {height} x {width} pixels; square ones are expected")
    inputs = Inputs(height, channels, dataset.classes, chosen.width)
    network = question.network_of(variant, inputs)
    images, labels = training_images(dataset, SAMPLE)
    wide = dataclasses.replace(inputs, width=2 * chosen.width)
    trial = Trial(
        name=f"{stem}, {variant}, recipe {recipe_name}",
        network=network,
        recipe=chosen,
        images=images,
        labels=labels,
        mean=dataset.mean,
        std=dataset.std,
        classes=dataset.classes,
        steps_per_epoch=dataset.steps_per_epoch,
        wider=lambda: question.network_of(variant, wide),
        seed=seed,
    )
    return trial, Trainer(network, chosen, dataset, mesh)
