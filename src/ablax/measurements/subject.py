"""`Subject`: the network of one run at one moment, and the images it is measured on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, UInt8

from ablax.config import Recipe
from ablax.core import Network, features
from ablax.data.images import Split

PORTION = 128
"""Images in one compiled forward pass."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured.

    Attributes:
        variant: Its name in the experiment.
        seed: Of its initial weights, and of all its training.
        step: Training steps taken; 0 before training.
        epoch: The same in epochs.
        network: The network.
        variables: Its parameters and statistics (`params`, `batch_stats`) at this moment.
        recipe: How it is trained.
        train: Training images: a random sample, the same for every variant and seed.
        test: Test images, in the data's order.
        classes: How many there are.
        mean: Of each channel over all training images, in [0, 1].
        std: Deviation of each channel.
        held_out: Training images kept apart for validation; None where the recipe asks for none.
    """

    variant: str
    seed: int
    step: int
    epoch: float
    network: Network
    variables: Mapping[str, Any]
    recipe: Recipe
    train: Split
    test: Split
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    held_out: Split | None = None

    def normalized(
        self, images: UInt8[np.ndarray, "N H W C"] | Float[np.ndarray, "N H W C"]
    ) -> Float[np.ndarray, "N H W C"]:
        """Levels of 0 to 255 as the network gets them: in [0, 1], less the mean, over deviation."""
        pixels = np.asarray(images, np.float32) / 255
        return ((pixels - np.asarray(self.mean)) / np.asarray(self.std)).astype(np.float32)

    def scores(
        self, images: UInt8[np.ndarray, "N H W C"] | Float[np.ndarray, "N H W C"]
    ) -> Float[np.ndarray, "N classes"]:
        """Of raw images (levels 0 to 255), as in a test."""
        apply = partial(_scores, self.network)
        parts = [(apply(self.variables, part), count) for part, count in self._portions(images)]
        return np.concatenate([np.asarray(found)[:count] for found, count in parts])

    def error(
        self,
        images: UInt8[np.ndarray, "N H W C"] | Float[np.ndarray, "N H W C"],
        labels: Int32[np.ndarray, " N"],
    ) -> float:
        """Share of raw images whose highest score is not that of their class, in percent."""
        return 100 * float(np.mean(self.scores(images).argmax(axis=1) != labels))

    def features(
        self,
        images: UInt8[np.ndarray, "N H W C"] | Float[np.ndarray, "N H W C"],
        at: Sequence[str],
    ) -> dict[str, Float[np.ndarray, "N ..."]]:
        """What the named layers give for raw images, as in a test: a row an image.

        Raises:
            AblaxError: A name that no layer has.
        """
        found: dict[str, list[np.ndarray]] = {name: [] for name in at}
        for part, count in self._portions(images):
            given = jax.device_get(features(self.network, self.variables, part, at))
            for name in at:
                found[name].append(given[name][:count])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _portions(self, images: np.ndarray) -> Iterator[tuple[Array, int]]:
        """Normalized batches of one size, the last filled up with zeros, and how many count."""
        size = min(PORTION, len(images))
        for first in range(0, len(images), size):
            part = self.normalized(images[first : first + size])
            missing = size - len(part)
            padded = np.pad(part, [(0, missing), (0, 0), (0, 0), (0, 0)])
            yield jnp.asarray(padded), len(part)


@partial(jax.jit, static_argnums=0)
def _scores(network: Network, variables: Mapping[str, Any], images: Array) -> Array:
    return network.apply(variables, images)
