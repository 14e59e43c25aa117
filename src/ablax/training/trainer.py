"""A network under a recipe on a data set, compiled once and shared by all seeds."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float32, Int32

from ablax.config import Recipe
from ablax.core import Network, check, parameter_shapes
from ablax.training.feed import Feed
from ablax.training.optimizer import check_rate_factors, optimizer, schedule
from ablax.training.state import State, initial_state
from ablax.training.step import StepFigures, Task, evaluation_step

LONGEST_CPU_CHUNK = 50
"""Steps in one compiled loop on a CPU: seconds, so that progress shows and Ctrl-C is heard."""


def data_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """All devices in a row: every batch is split over them, everything else is on each."""
    return jax.make_mesh(
        (len(devices or jax.devices()),),
        ("data",),
        axis_types=(jax.sharding.AxisType.Auto,),
        devices=devices,
    )


class Judged(NamedTuple):
    """Every test image once, in the data's order: its class, the predicted class, the loss."""

    labels: Int32[np.ndarray, " N"]
    predictions: Int32[np.ndarray, " N"]
    losses: Float32[np.ndarray, " N"]

    @property
    def error(self) -> float:
        """Share of the images whose highest score is not that of their class, in percent."""
        return 100 * float(np.mean(self.predictions != self.labels))


class Trainer:
    """Advances and judges the states of one network, whatever their seed.

    Args:
        network: What is trained.
        recipe: How, and for how long.
        feed: Where its batches come from.
        mesh: The devices.

    Raises:
        LayerError: The network does not fit the images.
        AblaxError: Its scores do not fit the classes.
        ConfigError: The schedule does not fit the training's length, or a rate factor is of no
            parameter.
    """

    def __init__(self, network: Network, recipe: Recipe, feed: Feed, mesh: Mesh) -> None:
        check(network, feed.image_shape, feed.classes)
        if recipe.optimizer.rate_factors:
            check_rate_factors(recipe.optimizer, parameter_shapes(network, feed.image_shape))
        train = recipe.train
        self.recipe = recipe
        self.feed = feed
        self._replicated = NamedSharding(mesh, P())
        self.task = Task(
            network,
            optimizer(recipe.optimizer, train.epochs, feed.steps_per_epoch),
            recipe.augment,
            feed.mean,
            feed.std,
            train.precision,
            train.label_smoothing,
            train.auxiliary_weight,
        )
        self._schedule = schedule(recipe.optimizer, train.epochs, feed.steps_per_epoch)
        self.total_steps = train.epochs * feed.steps_per_epoch
        self.compile_seconds = 0.0
        self._programs: dict[Any, Any] = {}

    def initial_state(self, seed: int) -> State:
        """The state before the first step, on every device."""
        state = initial_state(self.task.network, self.task.optimizer, seed, self.feed.image_shape)
        return jax.device_put(state, self._replicated)

    def chunk_end(self, step: int) -> int:
        """Where the loop that starts at `step` ends: in its epoch, at a place the recipe fixes.

        An epoch of S steps is cut in the fewest portions of at most `chunk` steps, whose lengths
        differ by one at most, so that no more than two programs are compiled.
        """
        per_epoch = self.feed.steps_per_epoch
        longest = self.recipe.train.chunk or self.feed.longest_chunk or _longest_chunk(per_epoch)
        portions = -(-per_epoch // longest)
        epoch, within = divmod(step, per_epoch)
        ends = (per_epoch * (i + 1) // portions for i in range(portions))
        return epoch * per_epoch + next(end for end in ends if end > within)

    def advance(self, state: State, seed: int, step: int, length: int) -> tuple[State, StepFigures]:
        """Take `length` steps from `step` in one compiled loop; the given state is used up.

        Returns:
            The state after them, and loss and correct images of every step, on the host.
        """
        arguments = self.feed.arguments(seed, step, length)
        program = self._compile(
            length,
            self.feed.program(self.task, length),
            state,
            *arguments,
            donate_argnums=0,
            out_shardings=self._replicated,
        )
        state, figures = program(state, *arguments)
        return state, StepFigures(*jax.device_get(tuple(figures)))

    def is_finite(self, state: State) -> bool:
        """Whether every parameter and statistic is a number: a loss tells only a step later."""
        program = self._compile("finite", _all_finite, state)
        return bool(program(state))

    def judge(self, state: State) -> Judged:
        """Predictions and losses of every test image, each counted once, in the data's order."""
        parts = []
        for images, labels, count in self.feed.test_batches():
            arguments = (state, images, labels)
            program = self._compile(
                "judge", self._evaluation, *arguments, out_shardings=self._replicated
            )
            parts.append((program(*arguments), count))
        counted = [[whole[:count] for whole in part] for part, count in jax.device_get(parts)]
        return Judged(*(np.concatenate(part) for part in zip(*counted, strict=True)))

    def _evaluation(self, state: State, images: Any, labels: Any) -> tuple[Any, Any, Any]:
        judgment = evaluation_step(self.task, state, images, labels)
        return labels, judgment.predictions, judgment.losses

    def rate(self, step: int) -> float:
        """The learning rate of one step."""
        return float(self._schedule(step))

    def _compile(self, name: Any, function: Any, *arguments: Any, **options: Any) -> Any:
        """The compiled function of that name; the time it takes is counted apart."""
        if name not in self._programs:
            started = time.perf_counter()
            self._programs[name] = jax.jit(function, **options).lower(*arguments).compile()
            self.compile_seconds += time.perf_counter() - started
        return self._programs[name]


def _all_finite(state: State) -> Bool[Array, ""]:
    leaves = jax.tree.leaves((state.params, state.batch_stats))
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()


def _longest_chunk(steps_per_epoch: int) -> int:
    return LONGEST_CPU_CHUNK if jax.default_backend() == "cpu" else steps_per_epoch
