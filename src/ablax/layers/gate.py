"""Gates: a map scaled by what a small network says of it."""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Array, Float

from ablax.core.network import Layers, run
from ablax.layers.activation import ReLU, Sigmoid
from ablax.layers.dense import Dense
from ablax.layers.pooling import GlobalAveragePool
from ablax.layers.windows import FieldError, ShapeError, positive, takes


class Gate(nn.Module):
    """y = x gate(x), number by number.

    The gate gives a factor for each number (N, H, W, C), for each pixel (N, H, W, 1), or for each
    channel (N, C).

    Attributes:
        gate: The layers that compute the factors, ending in a sigmoid as a rule.

    Raises:
        ShapeError: The factors have another shape than these.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.ones((2, 3, 3, 4))
        >>> Gate(Layers(squeeze=GlobalAveragePool(), sigmoid=Sigmoid())).apply({}, x).shape
        (2, 3, 3, 4)
    """

    gate: Layers

    @takes("N H W C")
    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H W C"]:
        """Scale `x`."""
        factors = run(self.gate, x)
        if factors.shape == (x.shape[0], x.shape[3]):
            return x * factors[:, None, None, :]
        if factors.shape in (x.shape, (*x.shape[:3], 1)):
            return x * factors
        raise ShapeError(
            f"Gate was given {x.shape} and its layers gave factors of shape {factors.shape}: "
            f"expected {x.shape}, {(*x.shape[:3], 1)} or {(x.shape[0], x.shape[3])}"
        )


def squeeze_excite(features: int, reduction: int = 16) -> Gate:
    """The gate of a squeeze-and-excitation network: one factor a channel, from the whole image.

    y = x sigmoid(W2 relu(W1 mean(x) + b1) + b2), with C / r units in the middle: it has
    2 C^2 / r + C / r + C parameters.

    Args:
        features: Channels C of what is gated.
        reduction: r; C / r is rounded down.

    Raises:
        FieldError: The reduction leaves no unit.

    References:
        Hu, Shen, Sun 2017, Squeeze-and-excitation networks, section 3 (biases as in the authors'
        published networks; the paper's equation 3 omits them).
    """
    positive("features", features)
    positive("reduction", reduction)
    if features < reduction:
        raise FieldError(f"features={features} with reduction={reduction}: no unit would be left")
    return Gate(
        Layers(
            squeeze=GlobalAveragePool(),
            reduce=Dense(features // reduction),
            relu=ReLU(),
            excite=Dense(features),
            sigmoid=Sigmoid(),
        )
    )
