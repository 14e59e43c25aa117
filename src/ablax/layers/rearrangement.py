"""Rearrangement: the same numbers in other places."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.layers.windows import ShapeError


def concatenate(*maps: Float[Array, "..."]) -> Float[Array, "..."]:
    """Lay maps of one size behind one another, channel by channel.

    (N, H, W, C1), (N, H, W, C2), ... -> (N, H, W, C1 + C2 + ...)

    Args:
        *maps: At least one; all axes but the last agree.

    Returns:
        All channels, in the order given.

    Raises:
        ShapeError: The maps differ in another axis than the last.

    Example:
        >>> concatenate(jnp.ones((1, 7, 7, 64)), jnp.ones((1, 7, 7, 32))).shape
        (1, 7, 7, 96)
    """
    if len({each.shape[:-1] for each in maps}) != 1:
        given = ", ".join(str(each.shape) for each in maps)
        raise ShapeError(
            f"concatenate was given ({given}): expected arrays that agree in all axes but the last"
        )
    return jnp.concatenate(maps, axis=-1)
