"""Selection: some of the channels, in any order and as often as wanted."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ablax.layers.windows import FieldError, ShapeError, takes, whole


@takes("... C")
def select_channels(
    x: Float[Array, "... C"], channels: tuple[int, ...]
) -> Float[Array, "... selected"]:
    """y[..., i] = x[..., channels[i]].

    In front of a convolution in groups it says which channels each feature sees: selecting
    (0, 1, 1, 2) for two groups of two gives one feature of the channels 0 and 1 and one of 1 and 2,
    with weights for these connections alone.

    Args:
        x: Maps, channels last.
        channels: Which, counted from 0; a channel may stand several times.

    Returns:
        As many channels as were named. The gradient of a channel is the sum over its copies.

    Raises:
        FieldError: No channel, or what is no index.
        ShapeError: `x` lacks one of them.

    Example:
        >>> select_channels(jnp.array([5.0, 6.0, 7.0]), (2, 0, 2))
        Array([7., 5., 7.], dtype=float32)
    """
    _check(channels)
    if max(channels) >= x.shape[-1]:
        raise ShapeError(
            f"select_channels was given {x.shape} and channels={channels}: channel {max(channels)} "
            f"is not among 0 to {x.shape[-1] - 1}"
        )
    return jnp.take(x, np.array(channels), axis=-1)


class SelectChannels(nn.Module):
    """The module of `select_channels`.

    Attributes:
        channels: Which, counted from 0; a channel may stand several times.
    """

    channels: tuple[int, ...]

    def __post_init__(self) -> None:
        _check(self.channels)
        super().__post_init__()

    @takes("... C")
    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... selected"]:
        """Apply `select_channels`."""
        return select_channels(x, self.channels)


def _check(channels: object) -> None:
    indices = isinstance(channels, tuple) and all(whole(c) and c >= 0 for c in channels)
    if not indices or not channels:
        raise FieldError(
            f"channels={channels!r}: expected a tuple of at least one index, each an integer of at "
            "least 0"
        )
