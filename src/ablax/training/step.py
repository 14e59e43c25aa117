"""One step of training: state, loss, gradient, update; and initial weights from another state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8

from ablax.core import ImageShape, Network, initialize, leaves_by_path
from ablax.data.augment import Augmentation, augment
from ablax.errors import AblaxError, nearest

# ------------------------------------------------------------------------------------------
# Everything that training changes, as one value.


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """What a checkpoint holds: with the recipe, it determines every later step bit for bit.

    Attributes:
        step: Steps taken; an int32 array of no axes.
        seed: Likewise; shuffling, augmentation and dropout draw from it and the step.
        params: The network's parameters.
        batch_stats: Running statistics of batch normalization; empty without it.
        opt_state: The optimizer's own.
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
    """The state before the first step.

    Raises:
        LayerError: The network does not fit images of this shape.
    """
    variables = initialize(network, seed, image_shape)
    params = variables.get("params", {})
    return State(
        step=jnp.zeros((), jnp.int32),
        seed=jnp.asarray(seed, jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=jax.jit(optimizer.init)(params),
    )


# ------------------------------------------------------------------------------------------
# One training step and one evaluation step, as pure functions.
#
# These two alone call `Network.apply`. A mode is not a flag: the training step grants what training
# needs (the `dropout` key, and `batch_stats` to write), the evaluation step grants neither.


@dataclass(frozen=True)
class Task:
    """What a step needs beside its state and its batch; none of it changes while training.

    Attributes:
        network: What is trained.
        optimizer: How the weights move.
        augmentation: How training images are varied.
        mean: Of each channel over the training images, in [0, 1].
        std: Standard deviation of each channel over the training images.
        precision: Of the computation; parameters, statistics and the loss stay in float32.
        label_smoothing: Share of the target spread evenly over all classes.
        auxiliary_weight: Of the loss of each auxiliary classifier (`ablax.layers.Auxiliary`), where
            the network has any.
    """

    network: Network
    optimizer: optax.GradientTransformation
    augmentation: Augmentation
    mean: tuple[float, ...]
    std: tuple[float, ...]
    precision: str = "float32"
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.3


class StepFigures(NamedTuple):
    """What a training step tells: the batch's mean loss, and how many images it got right."""

    loss: Float[Array, ""]
    correct: Int[Array, ""]


class BatchEvaluation(NamedTuple):
    """What an evaluation step tells of each image: the class of the highest score, and the loss."""

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
    return jax.random.fold_in(jax.random.key(seed), purpose)


def train_step(
    task: Task, state: State, images: UInt8[Array, "N H W C"], labels: Int[Array, " N"]
) -> tuple[State, StepFigures]:
    """One step of stochastic gradient descent on the mean cross-entropy of a batch.

    Auxiliary classifiers add theirs, each with the task's weight; the loss that is told is that of
    the network's own scores, so that it compares with that of a network without them.

    Args:
        task: What does not change.
        state: Before the step.
        images: Raw pixels; they are augmented and normalized here, on the device.
        labels: Class of each image.

    Returns:
        The state after the step, and the batch's loss before it.
    """
    augment_key, dropout_key = jax.random.split(step_key(state.seed, state.step))
    pixels = augment(augment_key, images.astype(jnp.float32) / 255, task.augmentation)

    def loss_of(params: Any) -> tuple[Float[Array, ""], tuple[Any, Any, Any]]:
        scores, updated = task.network.apply(
            {"params": _compute(task, params), "batch_stats": state.batch_stats},
            _normalize(task, pixels),
            rngs={"dropout": dropout_key},
            mutable=["batch_stats", "auxiliary"],
        )

        def mean_loss(scores: Float[Array, "N classes"]) -> Float[Array, ""]:
            scores = scores.astype(jnp.float32)
            return _cross_entropy(scores, labels, task.label_smoothing).mean()

        loss = mean_loss(scores)
        sides = [mean_loss(side) for side in jax.tree.leaves(updated.get("auxiliary", {}))]
        total = loss + task.auxiliary_weight * sum(sides) if sides else loss
        return total, (loss, scores, updated.get("batch_stats", {}))

    gradient, (loss, scores, batch_stats) = jax.grad(loss_of, has_aux=True)(state.params)
    updates, opt_state = task.optimizer.update(gradient, state.opt_state, state.params)
    after = replace(
        state,
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
    )
    return after, StepFigures(loss, jnp.sum(scores.argmax(axis=1) == labels))


def evaluation_step(
    task: Task, state: State, images: UInt8[Array, "N H W C"], labels: Int[Array, " N"]
) -> BatchEvaluation:
    """Predictions and losses of a batch: no augmentation, no dropout, running statistics."""
    scores = task.network.apply(
        {"params": _compute(task, state.params), "batch_stats": state.batch_stats},
        _normalize(task, images.astype(jnp.float32) / 255),
    ).astype(jnp.float32)
    predictions = scores.argmax(axis=1).astype(jnp.int32)
    return BatchEvaluation(predictions, _cross_entropy(scores, labels, 0.0))


def _normalize(task: Task, pixels: Float[Array, "N H W C"]) -> Float[Array, "N H W C"]:
    mean, std = jnp.asarray(task.mean, jnp.float32), jnp.asarray(task.std, jnp.float32)
    return ((pixels - mean) / std).astype(task.precision)


def _compute(task: Task, params: Any) -> Any:
    """The parameters in the precision of the computation."""
    return jax.tree.map(lambda leaf: leaf.astype(task.precision), params)


def _cross_entropy(
    scores: Float[Array, "N classes"], labels: Int[Array, " N"], smoothing: float
) -> Float[Array, " N"]:
    targets = optax.smooth_labels(jax.nn.one_hot(labels, scores.shape[1]), smoothing)
    return optax.softmax_cross_entropy(scores, targets)


# ------------------------------------------------------------------------------------------
# Initial weights from another training: what fits is imported, the rest stays as initialized.


def warm_start(state: State, trained: State, fresh: tuple[str, ...] = ()) -> State:
    """A state before its first step, with the weights and statistics of another training.

    The optimizer's state is not imported: the momentum of another task says nothing about this one.

    Args:
        state: Before the first step.
        trained: What another training of the same network ended with.
        fresh: Patterns of paths of parameters that stay as initialized, such as `"output/*"`: the
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
    """Refuse parameters that cannot be imported.

    Args:
        here: Parameters, or their shapes.
        there: Those of the other training.
        fresh: See `warm_start`.

    Raises:
        AblaxError: As `warm_start`.
    """
    ours, theirs = (
        {name: leaf.shape for name, leaf in leaves_by_path(tree).items()} for tree in (here, there)
    )
    for pattern in fresh:
        if not any(fnmatchcase(name, pattern) for name in ours):
            raise AblaxError(
                f"{pattern!r} matches no parameter of the network: {nearest(pattern, list(ours))}"
            )
    for name, shape in ours.items():
        if theirs.get(name) != shape and not _is_fresh(name, fresh):
            raise AblaxError(
                f"{name} has shape {shape} here and {theirs.get(name)} in the training that the "
                f"initial weights come from: keep its random initialization with fresh=({name!r},)"
            )


def _taken(here: PyTree, there: PyTree, fresh: tuple[str, ...]) -> PyTree:
    """The leaves of `there`, but those of `here` that are to be fresh."""
    names, leaves = list(leaves_by_path(here)), jax.tree.leaves(here)
    found = leaves_by_path(there)
    chosen = [
        leaf if _is_fresh(name, fresh) else found[name]
        for name, leaf in zip(names, leaves, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(here), chosen)


def _is_fresh(name: str, fresh: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in fresh)
