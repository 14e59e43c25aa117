"""Softmax: from the scores of a classifier to probabilities."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from ablax.layers.windows import takes


@takes("... C")
def softmax(x: Float[Array, "... C"]) -> Float[Array, "... C"]:
    """Positive numbers that add up to one over the channels, in the order of the scores.

    y_c = exp(x_c) / sum over k of exp(x_k)

    A constant added to all scores changes nothing; the largest is subtracted first, so none
    overflows. The sum is taken in float32 at least. For training see
    `ablax.losses.softmax_cross_entropy`, which takes the scores themselves.

    Args:
        x: Scores, classes last.

    Returns:
        An array like `x`.

    References:
        Bridle 1990, Probabilistic interpretation of feedforward classification network outputs.

    Example:
        >>> softmax(jnp.log(jnp.array([1.0, 3.0]))).round(4)
        Array([0.25, 0.75], dtype=float32)
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return jax.nn.softmax(wide, axis=-1).astype(x.dtype)


class Softmax(nn.Module):
    """The module of `softmax`."""

    @takes("... C")
    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... C"]:
        """Apply `softmax`."""
        return softmax(x)
