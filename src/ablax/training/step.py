"""One training step and one evaluation step, as pure functions.

These two alone call `Network.apply`. A mode is not a flag: the training step grants what training
needs (the `dropout` key, and `batch_stats` to write), the evaluation step grants neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, UInt8

from ablax.core import Network
from ablax.data.augment import Augmentation, augment
from ablax.training.state import State


@dataclass(frozen=True)
class Task:
    """What a step needs beside its state and its batch; none of it changes while training.

    Attributes:
        network: What is trained.
        optimizer: How the weights move.
        augmentation: How training images are varied.
        mean: Of each channel over the training images, in [0, 1].
        std: Deviation of each channel over the training images.
        precision: Of the computation; parameters, statistics and the loss stay in float32.
        label_smoothing: Share of the target spread evenly over all classes.
        auxiliary_weight: Of the loss of each side classifier (`ablax.layers.Auxiliary`), where the
            network has any.
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


class Judgment(NamedTuple):
    """What an evaluation step tells of each image: the class of the highest score, and the loss."""

    predictions: Int[Array, " N"]
    losses: Float[Array, " N"]


def step_key(seed: Int[Array, ""], step: Int[Array, ""]) -> Key[Array, ""]:
    """The key of everything random in one step: a function of seed and step alone.

    A resumed run therefore draws what the uninterrupted one would have drawn, and all variants of
    an experiment see the same augmented images under the same seed.
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

    Side classifiers add theirs, each with the task's weight; the loss that is told is that of the
    network's own scores, so that it compares with that of a network without them.

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
) -> Judgment:
    """Predictions and losses of a batch: no augmentation, no dropout, running statistics."""
    scores = task.network.apply(
        {"params": _compute(task, state.params), "batch_stats": state.batch_stats},
        _normalize(task, images.astype(jnp.float32) / 255),
    ).astype(jnp.float32)
    predictions = scores.argmax(axis=1).astype(jnp.int32)
    return Judgment(predictions, _cross_entropy(scores, labels, 0.0))


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
