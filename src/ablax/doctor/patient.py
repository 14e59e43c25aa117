"""`Patient`: a network before training, with its recipe and some of its training images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Int32, UInt8

from ablax.config import Recipe
from ablax.core import Network, initialize

Losses = Callable[[Float[Array, "N classes"], Int[Array, " N"]], Float[Array, " N"]]
"""The loss of each image, from its scores and its class."""
Variables = Mapping[str, Any]

SAMPLE = 1024
"""Training images that the checks look at, at most; fewer where there are fewer."""
SETTLING = 100
"""Forward passes after which running statistics count as settled: 0.9^100 of the old is left."""
_PORTION = 128


def cross_entropy(
    scores: Float[Array, "N classes"], labels: Int[Array, " N"]
) -> Float[Array, " N"]:
    """The loss that the training step minimizes, without label smoothing."""
    return optax.softmax_cross_entropy_with_integer_labels(scores, labels)


@dataclass(frozen=True, eq=False)
class Patient:
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
        losses: What is minimized.
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
    losses: Losses = cross_entropy
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

    def loss(
        self,
        network: Network,
        variables: Variables,
        images: Float[Array, "N H W C"],
        labels: Int[Array, " N"],
        dropout: Array | None = None,
    ) -> tuple[Float[Array, ""], tuple[Float[Array, "N classes"], Any]]:
        """What a training step differentiates: mean loss, side classifiers with their weight.

        Args:
            network: This one, or a wider one.
            variables: Its parameters and statistics; batch normalization trains.
            images: Normalized.
            labels: Their classes.
            dropout: A key where units are to be left out.

        Returns:
            The loss, and beside it the scores and the new statistics.
        """
        rngs = {} if dropout is None else {"dropout": dropout}
        scores, updated = network.apply(
            variables, images, rngs=rngs, mutable=["batch_stats", "auxiliary"]
        )
        total = self.losses(scores, labels).mean()
        for side in jax.tree.leaves(updated.get("auxiliary", {})):
            total += self.recipe.train.auxiliary_weight * self.losses(side, labels).mean()
        return total, (scores, updated.get("batch_stats", {}))

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

        A short training leaves them near their start, and a test would judge the network by them.
        """
        if not variables["batch_stats"]:
            return variables
        size = min(64, len(self.images))
        images = jnp.asarray(self.normalized(size))
        labels = jnp.asarray(self.labels[:size])

        def pass_forward(statistics: Any, _: None) -> tuple[Any, None]:
            held = {"params": variables["params"], "batch_stats": statistics}
            return self.loss(self.network, held, images, labels)[1][1], None

        settle = jax.jit(lambda start: jax.lax.scan(pass_forward, start, length=SETTLING)[0])
        return {**variables, "batch_stats": settle(variables["batch_stats"])}
