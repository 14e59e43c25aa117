"""What several heads say, in one array: merges for `Parallel` beside `concatenate`."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.layers.voting import pixel_average
from ablax.layers.windows import ShapeError


def stack(*scores: Float[Array, "N _"]) -> Float[Array, "N heads C"]:
    """The scores of heads of equally many classes, one row a head.

    Args:
        *scores: At least one.

    Returns:
        The scores of head h at [:, h].

    Raises:
        ShapeError: Heads with other numbers of classes.

    Example:
        >>> stack(jnp.ones((2, 10)), jnp.zeros((2, 10))).shape
        (2, 2, 10)
    """
    _check_equal("stack", scores)
    return jnp.stack(scores, axis=1)


def ensemble(*scores: Float[Array, "N _"]) -> Float[Array, "N C"]:
    """The logarithm of the mean of the heads' class probabilities, as of an ensemble of networks.

    Args:
        *scores: At least one head's.

    Returns:
        Scores whose softmax is the mean of the heads' softmaxes.

    Raises:
        ShapeError: Heads with other numbers of classes.

    Example:
        >>> sure, unsure = jnp.log(jnp.array([[0.9, 0.1]])), jnp.log(jnp.array([[0.5, 0.5]]))
        >>> (100 * jnp.exp(ensemble(sure, unsure))).round()
        Array([[70., 30.]], dtype=float32)
    """
    _check_equal("ensemble", scores)
    return pixel_average(jnp.stack(scores, axis=1)[:, :, None, :])


def _check_equal(merge: str, scores: tuple[Array, ...]) -> None:
    if len({each.shape for each in scores}) != 1:
        given = ", ".join(str(each.shape) for each in scores)
        raise ShapeError(
            f"{merge} was given ({given}): expected heads of equally many classes; others can be "
            "concatenated"
        )
