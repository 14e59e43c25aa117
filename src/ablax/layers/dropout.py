"""Dropout: every unit is left out with probability `rate`, in training only."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray, UInt32

from ablax.layers.windows import FieldError


def dropout(
    key: PRNGKeyArray | UInt32[Array, "2"], x: Float[Array, "..."], rate: float
) -> Float[Array, "..."]:
    """Leave out each number with probability `rate` and scale the others up.

    y = m x / (1 - rate), m ~ Bernoulli(1 - rate), so that the mean of y is x.

    Krizhevsky et al. scale at test time instead, by 1 - rate: the same function up to the scale of
    the weights.

    Args:
        key: Says which numbers are left out.
        x: Numbers.
        rate: Probability of being left out, in [0, 1).

    Returns:
        An array like `x`.

    Raises:
        FieldError: A rate outside [0, 1).

    References:
        Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, Dropout, section 4;
        Krizhevsky, Sutskever, Hinton 2012, ImageNet classification, section 4.2.

    Example:
        >>> dropout(jax.random.key(0), jnp.ones(4), rate=0.0)
        Array([1., 1., 1., 1.], dtype=float32)
    """
    _check_rate(rate)
    if rate == 0:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / jnp.asarray(1 - rate, x.dtype), jnp.zeros((), x.dtype))


class Dropout(nn.Module):
    """Dropout that acts exactly when the caller grants it a key.

    There is no mode: `apply(..., rngs={"dropout": key})` trains, `apply(...)` evaluates. The mask
    depends on the key and on the path of the layer, so a network and its ablation leave out the
    same units in the layers they share.

    Attributes:
        rate: Probability of being left out, in [0, 1).

    Example:
        >>> Dropout(rate=0.5).apply({}, jnp.ones(3))
        Array([1., 1., 1.], dtype=float32)
    """

    rate: float

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        super().__post_init__()

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Apply the layer.

        Args:
            x: Numbers.

        Returns:
            An array like `x`.
        """
        if self.rate == 0 or not self.has_rng("dropout"):
            return x
        return dropout(self.make_rng("dropout"), x, self.rate)


def _check_rate(rate: object) -> None:
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise FieldError(f"rate={rate!r}: expected a number of at least 0 and below 1")
