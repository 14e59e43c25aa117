"""Everything that training changes, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ablax.core import ImageShape, Network, initialize


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
