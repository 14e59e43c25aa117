"""One step of training: state, loss, gradient, update; and initial weights from another state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8

from ablax.analysis.jax_versions import random_key
from ablax.config import Recipe
from ablax.core import ImageShape, Network, initialize, leaves_by_path, stacks
from ablax.data.augment import Augmentation, augment
from ablax.errors import AblaxError, nearest
from ablax.losses import predictions, softmax_cross_entropy
from ablax.training.optimizer import frozen, optimizer


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """What a checkpoint holds: with the recipe, it determines every later step bit for bit.

    Step and seed, int32 arrays of no axes, give the keys of shuffling, augmentation and dropout;
    `batch_stats` are running statistics, empty without batch normalization.
    """

    step: Any  # typed Any, as the others: JAX also builds states of shapes and of shardings
    seed: Any
    params: Any
    batch_stats: Any
    opt_state: Any


def initial_state(
    network: Network,
    optimizer: optax.GradientTransformation,
    seed: int,
    image_shape: ImageShape,
) -> State:
    """The state before the first step; a LayerError where the network does not fit the images."""
    variables = initialize(network, seed, image_shape)
    params = variables.get("params", {})
    return State(
        step=jnp.zeros((), jnp.int32),
        seed=jnp.asarray(seed, jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=jax.jit(optimizer.init)(params),
    )


# The loss, its gradient, the update, and the two steps that are made of them, as pure functions.
#
# Whoever trains, differentiates or times a network does it by these: there is no other loss. A mode
# is not a flag: `loss` grants what training needs (the `dropout` key, and `batch_stats` to write),
# the evaluation step grants neither.

Losses = Callable[[Float[Array, "N classes"], Int[Array, " N"]], Float[Array, " N"]]
"""The loss of each image, from its scores and its class."""


@dataclass(frozen=True)
class Objective:
    """What training minimizes: the `losses` of images, given scores in the precision.

    The precision is that of the computation; parameters and statistics stay as they are, and the
    loss is in float32 at least. `auxiliary_weight` is that of the loss of each auxiliary classifier
    (`ablax.layers.Auxiliary`), where the network has any.
    """

    network: Network
    precision: str = field(default="float32", kw_only=True)
    losses: Losses = field(default=softmax_cross_entropy, kw_only=True)
    auxiliary_weight: float = field(default=0.3, kw_only=True)


@dataclass(frozen=True)
class Task(Objective):
    """What a step needs beside its state and its batch; none of it changes while training.

    Mean and std are of each channel over the training images, in [0, 1]; `frozen` are patterns of
    the paths of running statistics that stay as they are.
    """

    optimizer: optax.GradientTransformation
    augmentation: Augmentation
    mean: tuple[float, ...]
    std: tuple[float, ...]
    frozen: tuple[str, ...] = ()


def objective_of(network: Network, recipe: Recipe) -> Objective:
    """What training a network by a recipe minimizes."""
    train = recipe.train
    return Objective(
        network,
        precision=train.precision,
        losses=partial(softmax_cross_entropy, smoothing=train.label_smoothing),
        auxiliary_weight=train.auxiliary_weight,
    )


def task_of(
    network: Network,
    recipe: Recipe,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    steps_per_epoch: int,
) -> Task:
    """The task of training a network by a recipe; `mean` and `std` of each channel, in [0, 1].

    Raises:
        ConfigError: The schedule does not fit the training's length.
    """
    rule, epochs = recipe.optimizer, recipe.train.epochs
    return Task(
        **vars(objective_of(network, recipe)),
        optimizer=optimizer(rule, epochs, steps_per_epoch, stacks(network)),
        augmentation=recipe.augment,
        mean=mean,
        std=std,
        frozen=frozen(rule),
    )


class LossParts(NamedTuple):
    """The loss of the network's own scores, those, and statistics with this batch's in them."""

    loss: Float[Array, ""]
    scores: Float[Array, "N classes"]
    batch_stats: Any


class StepFigures(NamedTuple):
    """What a training step tells: the batch's mean loss, and how many images it got right."""

    loss: Float[Array, ""]
    correct: Int[Array, ""]


class BatchEvaluation(NamedTuple):
    """The predicted class of each image, or -1; and its cross-entropy, whatever is minimized."""

    predictions: Int[Array, " N"]
    losses: Float[Array, " N"]


def step_key(seed: Int[Array, ""], step: Int[Array, ""]) -> Key[Array, ""]:
    """The key of everything random in one step: a function of seed and step alone.

    A resumed run therefore samples what the uninterrupted one would have sampled, and all variants
    of an experiment see the same augmented images under the same seed.
    """
    return jax.random.fold_in(_stream(seed, 2), step)


def shuffle_key(seed: Int[Array, ""], epoch: Int[Array, ""]) -> Key[Array, ""]:
    """The key of the order of the images in one epoch."""
    return jax.random.fold_in(_stream(seed, 1), epoch)


def _stream(seed: Int[Array, ""], purpose: int) -> Key[Array, ""]:
    return jax.random.fold_in(random_key(seed), purpose)


def normalize(
    task: Task, levels: UInt8[Array, "N H W C"] | Float[Array, "N H W C"]
) -> Float[Array, "N H W C"]:
    """Images of levels 0 to 255 as the network gets them: in [0, 1], less mean, over deviation."""
    return _standardized(task, levels.astype(jnp.float32) / 255)


def loss(
    objective: Objective,
    params: Any,
    batch_stats: Any,
    images: Float[Array, "N H W C"],
    labels: Int[Array, " N"],
    dropout_key: Key[Array, ""] | None = None,
) -> tuple[Float[Array, ""], LossParts]:
    """What training minimizes: the mean loss of a batch, and those of auxiliary classifiers.

    L = mean of losses(scores) + auxiliary_weight * (sum over auxiliary classifiers of theirs)

    Of normalized images; gives L and its parts. Batch normalization uses the batch's own
    statistics; a label that is no class makes L NaN; without a dropout key no unit is dropped.
    """
    scores, updated = objective.network.apply(
        {"params": _in_precision(objective, params), "batch_stats": batch_stats},
        images.astype(objective.precision),
        rngs={} if dropout_key is None else {"dropout": dropout_key},
        mutable=["batch_stats", "auxiliary"],
    )
    own = objective.losses(scores, labels).mean()
    sides = jax.tree.leaves(updated.get("auxiliary", {}))
    others = [objective.losses(side, labels).mean() for side in sides]
    total = own + objective.auxiliary_weight * sum(others) if others else own
    return total, LossParts(own, scores, updated.get("batch_stats", {}))


gradient: Callable[..., tuple[PyTree, LossParts]] = jax.grad(loss, argnums=1, has_aux=True)
"""The derivative of `loss` by the parameters, as they lie, and the parts of the loss."""


def update(task: Task, state: State, slopes: PyTree, batch_stats: PyTree) -> State:
    """The state after a step along this gradient; `batch_stats` that are frozen are left out."""
    updates, opt_state = task.optimizer.update(slopes, state.opt_state, state.params)
    return replace(
        state,
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=_taken(state.batch_stats, batch_stats, task.frozen),
        opt_state=opt_state,
    )


def descend(
    task: Task,
    state: State,
    images: Float[Array, "N H W C"],
    labels: Int[Array, " N"],
    dropout_key: Key[Array, ""] | None = None,
) -> tuple[State, StepFigures]:
    """One update by a batch that is augmented and normalized already; arguments as in `loss`.

    Gives the state after it, and the batch's figures before it: the loss that is told is that of
    the network's own scores, so that it compares with that of a network without auxiliary
    classifiers.
    """
    slopes, parts = gradient(task, state.params, state.batch_stats, images, labels, dropout_key)
    after = update(task, state, slopes, parts.batch_stats)
    return after, StepFigures(parts.loss, jnp.sum(predictions(parts.scores) == labels))


def train_step(
    task: Task, state: State, images: UInt8[Array, "N H W C"], labels: Int[Array, " N"]
) -> tuple[State, StepFigures]:
    """One step of stochastic gradient descent on raw pixels: augment, normalize, `descend`."""
    augment_key, dropout_key = jax.random.split(step_key(state.seed, state.step))
    pixels = augment(augment_key, images.astype(jnp.float32) / 255, task.augmentation)
    return descend(task, state, _standardized(task, pixels), labels, dropout_key)


def evaluation_step(
    task: Task, state: State, images: UInt8[Array, "N H W C"], labels: Int[Array, " N"]
) -> BatchEvaluation:
    """Predictions and losses of a batch: no augmentation, no dropout, running statistics."""
    scores = task.network.apply(
        {"params": _in_precision(task, state.params), "batch_stats": state.batch_stats},
        normalize(task, images).astype(task.precision),
    )
    return BatchEvaluation(predictions(scores), softmax_cross_entropy(scores, labels))


def _standardized(task: Task, pixels: Float[Array, "N H W C"]) -> Float[Array, "N H W C"]:
    mean, std = jnp.asarray(task.mean, jnp.float32), jnp.asarray(task.std, jnp.float32)
    return (pixels - mean) / std


def _in_precision(objective: Objective, params: Any) -> Any:
    """The parameters in the precision of the computation."""
    return jax.tree.map(lambda leaf: leaf.astype(objective.precision), params)


def warm_start(state: State, trained: State, fresh: tuple[str, ...] = ()) -> State:
    """A state before its first step, with the weights and statistics of another training.

    The optimizer's state is not imported: the momentum of another task says nothing about this one.
    Parameters whose paths match a pattern of `fresh` stay as initialized, such as `"output/*"`: the
    scores of other classes.

    Raises:
        AblaxError: A pattern matches no parameter, or a parameter that is imported has another
            shape there.

    References:
        Yosinski, Clune, Bengio, Lipson (2014): How transferable are features in deep neural
        networks?
    """
    refuse_misfit(state.params, trained.params, fresh)
    return replace(
        state,
        params=_taken(state.params, trained.params, fresh),
        batch_stats=_taken(state.batch_stats, trained.batch_stats, fresh),
    )


def refuse_misfit(here: PyTree, there: PyTree, fresh: tuple[str, ...]) -> None:
    """Refuse parameters, or their shapes, that `warm_start` could not import from `there`."""
    ours, theirs = (
        {name: leaf.shape for name, leaf in leaves_by_path(tree).items()} for tree in (here, there)
    )
    for pattern in fresh:
        if not any(fnmatchcase(name, pattern) for name in ours):
            raise AblaxError(
                f"{pattern!r} matches no parameter of the network: {nearest(pattern, list(ours))}"
            )
    for name, shape in ours.items():
        if theirs.get(name) != shape and not _matches(name, fresh):
            raise AblaxError(
                f"{name} has shape {shape} here and {theirs.get(name)} in the training that the "
                f"initial weights come from: keep its random initialization with fresh=({name!r},)"
            )


def _taken(here: PyTree, there: PyTree, kept: tuple[str, ...]) -> PyTree:
    """The leaves of `there`, but those of `here` whose paths match one of the patterns `kept`."""
    names, leaves = list(leaves_by_path(here)), jax.tree.leaves(here)
    found = leaves_by_path(there)
    chosen = [
        leaf if _matches(name, kept) else found[name]
        for name, leaf in zip(names, leaves, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(here), chosen)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
