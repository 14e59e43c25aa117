"""The cost of a network of the zoo: `ablax.analysis.cost` given the network's shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.analysis.cost import CONVENTIONS, Convention, CostRow, TrainingRow, cost, training_cost
from ablax.core import ImageShape, Network, abstract_variables
from ablax.errors import AblaxError, nearest
from ablax.zoo import find


@dataclass(frozen=True)
class Case:
    """A network with the images it is given.

    Attributes:
        name: The network's name.
        network: The network.
        image_shape: (H, W, C).
        batch: Number of images.
    """

    name: str
    network: Network
    image_shape: ImageShape
    batch: int = 1

    @property
    def what(self) -> str:
        """Such as `"alexnet, 1 image of 227x227x3"`."""
        images = "image" if self.batch == 1 else "images"
        return f"{self.name}, {self.batch} {images} of {'x'.join(map(str, self.image_shape))}"


def case(name: str, image_size: int | None = None, batch: int = 1) -> Case:
    """A network of the zoo by its name.

    Args:
        name: As `ablax list` shows it.
        image_size: Height and width in pixels; the paper's when left out.
        batch: Number of images.

    Raises:
        AblaxError: There is no such network, or a size is less than 1.
    """
    entry = find(name)
    size = entry.image_size if image_size is None else image_size
    for what, number in (("image size", size), ("batch", batch)):
        if number < 1:
            raise AblaxError(f"the {what} is {number}: expected at least 1")
    return Case(name, entry.build(), (size, size, entry.channels), batch)


def convention_named(name: str) -> Convention:
    """A convention by its name.

    Raises:
        AblaxError: There is none.
    """
    if name not in CONVENTIONS:
        raise AblaxError(f"there is no convention {name!r}: {nearest(name, list(CONVENTIONS))}")
    return CONVENTIONS[name]


def network_cost(case: Case, convention: Convention, softmax: bool = False) -> list[CostRow]:
    """What a network costs, a row a layer; nothing is computed.

    Args:
        case: Network and images.
        convention: What counts.
        softmax: Whether a softmax follows the scores, as in the lecture's table; in our networks it
            belongs to the loss.

    Returns:
        The rows.

    Raises:
        LayerError: The network does not fit the images.
        AblaxError: The cost cannot be counted.
    """
    network = case.network

    def scores(variables: Any, images: Float[Array, "N H W C"]) -> Float[Array, "N *scores"]:
        found = network.apply(variables, images)
        if not softmax:
            return found
        with jax.named_scope(type(network).__name__), jax.named_scope("softmax"):
            return jax.nn.softmax(found)

    try:
        return cost(scores, *_arguments(case), convention=convention)
    except ValueError as error:
        raise AblaxError(f"the cost of {case.name} cannot be counted: {error}") from error


def network_training_cost(case: Case) -> list[TrainingRow]:
    """What a step of training costs a network, a row a layer; nothing is computed.

    Batch normalization takes the statistics of the batch and dropout drops, as in training; the
    loss and the auxiliary heads are not among the layers.

    Raises:
        LayerError: The network does not fit the images.
        AblaxError: The cost cannot be counted.
    """
    network = case.network

    def scores(variables: Any, images: Float[Array, "N H W C"]) -> Float[Array, "N *scores"]:
        keys = {"dropout": jax.random.key(0)}
        return network.apply(variables, images, mutable=["batch_stats"], rngs=keys)[0]

    try:
        return training_cost(scores, *_arguments(case))
    except ValueError as error:
        raise AblaxError(f"the cost of {case.name} cannot be counted: {error}") from error


def _arguments(case: Case) -> Sequence[Any]:
    variables = abstract_variables(case.network, case.image_shape)
    kept = {name: tree for name, tree in variables.items() if name in ("params", "batch_stats")}
    return kept, jax.ShapeDtypeStruct((case.batch, *case.image_shape), jnp.float32)
