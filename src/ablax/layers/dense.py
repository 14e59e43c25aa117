"""Fully connected layers, and the step from maps to one vector."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from ablax.layers.initializers import HE_NORMAL, ZEROS, Initializer
from ablax.layers.windows import ShapeError, positive, takes


class Dense(nn.Module):
    """Every output sees every input.

    y = x K + b. A layer of C inputs and F features has C F + F parameters.

    The product is computed in the type of `x`.

    Attributes:
        features: Number of outputs.
        use_bias: Whether to add b.
        kernel_init: How K starts.
        bias_init: How b starts.

    Example:
        >>> import jax
        >>> layer = Dense(features=2)
        >>> parameters = layer.init(jax.random.key(0), jnp.ones((1, 3)))["params"]
        >>> {name: value.shape for name, value in sorted(parameters.items())}
        {'bias': (2,), 'kernel': (3, 2)}
    """

    features: int
    use_bias: bool = True
    kernel_init: Initializer = HE_NORMAL
    bias_init: Initializer = ZEROS

    def __post_init__(self) -> None:
        positive("features", self.features)
        super().__post_init__()

    @takes("... C")
    @nn.compact
    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... F"]:
        """Apply the layer.

        Args:
            x: Vectors.

        Returns:
            Vectors of `features` numbers.
        """
        given = x.shape[-1]
        if self.has_variable("params", "kernel"):
            expected = self.get_variable("params", "kernel").shape[0]
            if given != expected:
                raise ShapeError(
                    f"Dense was given {x.shape}, {given} numbers an example: its kernel takes "
                    f"{expected}; initialize it again, or feed it what it was initialized with "
                    "(behind a Vectorize: images of that size, or take a pooling head)"
                )
        kernel = self.param("kernel", self.kernel_init, (given, self.features), jnp.float32)
        y = x @ kernel.astype(x.dtype)
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
            y = y + bias.astype(x.dtype)
        return y


class Vectorize(nn.Module):
    """Lay the maps of an image out as one vector, row by row, channels last.

    (N, H, W, C) -> (N, H W C).

    Example:
        >>> Vectorize().apply({}, jnp.ones((2, 6, 6, 256))).shape
        (2, 9216)
    """

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N HWC"]:
        """Apply the layer.

        Args:
            x: Maps.

        Returns:
            A vector for each image.
        """
        # Not -1, which cannot be worked out for a batch of none.
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))
