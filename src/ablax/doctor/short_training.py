"""Short trainings, each compiled once: what several checks look at."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ablax.core import Network
from ablax.data.augment import augment
from ablax.doctor.patient import Patient, Variables
from ablax.training.optimizer import optimizer, schedule

STEPS = 100
"""Of a short training by the recipe: about as many as Smith's range test takes."""
BELOW, ABOVE = 1e-2, 1e2
"""The range test goes from and to these multiples of the recipe's rate, 25 steps a decade."""


@dataclass(frozen=True, eq=False)
class ShortTraining:
    """A short training at its end.

    Attributes:
        losses: Mean loss of each step's batch, before the step.
        errors: Share of each batch that was classified wrongly.
        variables: Weights and statistics after the last step.
        seconds: What a step took, without compilation.
    """

    losses: Float[np.ndarray, " steps"]
    errors: Float[np.ndarray, " steps"]
    variables: Variables
    seconds: float


Training = Callable[[Float[np.ndarray, " steps"]], ShortTraining]
"""From the learning rate of each step to what became of it, always from the same start."""


def compile_training(
    patient: Patient,
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
        patient: Whose data and loss.
        network: Its own, or a wider one.
        rule: The update at learning rate 1; each step's rate multiplies it.
        images: How many of the sample are trained on.
        batch: Images a step; each pass goes over the images in another order.
        steps: How many.
        varied: Whether images are augmented as in the recipe, and units dropped.

    Returns:
        The training.
    """
    images = min(images, len(patient.images))
    batch = min(batch, images)
    pixels, labels = jnp.asarray(patient.images[:images]), jnp.asarray(patient.labels[:images])
    order = _order(images, batch, steps, patient.seed)
    start = patient.start(network)
    carry = (start, jax.jit(rule.init)(start["params"]))
    step = functools.partial(_step, patient, network, rule, varied)

    def loop(carry: Any, pixels: Array, labels: Array, order: Array, rates: Array) -> Any:
        def body(carry: Any, now: tuple[Array, Array, Array]) -> Any:
            chosen, rate, number = now
            return step(carry, pixels[chosen], labels[chosen], rate, number)

        return jax.lax.scan(body, carry, (order, rates, jnp.arange(steps)))

    shape = jax.ShapeDtypeStruct((steps,), jnp.float32)
    program = jax.jit(loop).lower(carry, pixels, labels, order, shape).compile()

    def train(rates: Float[np.ndarray, " steps"]) -> ShortTraining:
        given = (carry, pixels, labels, order, jnp.asarray(rates, jnp.float32))
        started = time.perf_counter()
        (variables, _), (losses, errors) = jax.block_until_ready(program(*given))
        seconds = (time.perf_counter() - started) / steps
        return ShortTraining(np.asarray(losses), np.asarray(errors), variables, seconds)

    return train


def _step(
    patient: Patient,
    network: Network,
    rule: optax.GradientTransformation,
    varied: bool,
    carry: Any,
    pixels: Array,
    labels: Array,
    rate: Array,
    number: Array,
) -> Any:
    """One step, with the variation of the recipe or without."""
    (variables, state), images, dropout = carry, pixels.astype(jnp.float32) / 255, None
    if varied:
        key = jax.random.fold_in(jax.random.key(patient.seed), number)
        distortion, dropout = jax.random.split(key)
        images = augment(distortion, images, patient.recipe.augment)
    images = (images - jnp.asarray(patient.mean)) / jnp.asarray(patient.std)
    params, statistics = variables["params"], variables["batch_stats"]

    def loss_of(params: Any) -> Any:
        held = {"params": params, "batch_stats": statistics}
        return patient.loss(network, held, images, labels, dropout)

    (loss, (scores, statistics)), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
    updates, state = rule.update(gradient, state, params)
    params = optax.apply_updates(params, jax.tree.map(lambda update: rate * update, updates))
    figures = (loss, jnp.mean(scores.argmax(1) != labels))
    return ({"params": params, "batch_stats": statistics}, state), figures


def _order(images: int, batch: int, steps: int, seed: int) -> Array:
    """Which images each step takes: whole batches of one permutation after another."""
    random = np.random.default_rng(seed)
    batches: list[np.ndarray] = []
    while len(batches) < steps:
        order = random.permutation(images)
        batches += np.split(order[: images // batch * batch], images // batch)
    return jnp.asarray(np.stack(batches[:steps]))


@functools.cache
def recipe_training(patient: Patient) -> Training:
    """`STEPS` steps with the recipe's optimizer, batch, augmentation and dropout."""
    config, train = patient.recipe.optimizer, patient.recipe.train
    unscaled = dataclasses.replace(config, rate=1.0, schedule="constant", warmup=0.0)
    return compile_training(
        patient,
        patient.network,
        optimizer(unscaled, train.epochs, patient.steps_per_epoch),
        images=len(patient.images),
        batch=train.batch,
        steps=STEPS,
        varied=True,
    )


@functools.cache
def first_steps(patient: Patient) -> ShortTraining:
    """The first `STEPS` steps of the recipe, at the learning rates of its own schedule."""
    recipe = patient.recipe
    rate = schedule(recipe.optimizer, recipe.train.epochs, patient.steps_per_epoch)
    return recipe_training(patient)(np.array([float(rate(step)) for step in range(STEPS)]))


def rising_rates(patient: Patient) -> Float[np.ndarray, " steps"]:
    """The learning rates of the range test."""
    rate = patient.recipe.optimizer.rate
    return np.geomspace(BELOW * rate, ABOVE * rate, STEPS)


@functools.cache
def range_test(patient: Patient) -> ShortTraining:
    """`STEPS` steps of the recipe at learning rates that grow geometrically."""
    return recipe_training(patient)(rising_rates(patient))
