"""Highways: a learned gate divides each number between the shortcut and what the layers add."""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Array, Float

from ablax.core.network import Layers, run
from ablax.layers.windows import ShapeError


class Highway(nn.Module):
    """y = after((1 - g(s)) s + g(s) residual(x)), s = shortcut(x).

    An *exclusive* gate: what one way gains the other loses. With a gate that starts near 0, so
    does the layers' part, and the block starts as its shortcut. The four share one name space, as
    those of a `Residual`.

    Attributes:
        residual: The layers that learn the residual.
        gate: The layers that compute g, ending in a sigmoid; they see the shortcut's numbers.
        shortcut: The layers on the way round; none is the identity.
        after: The layers behind the sum.

    Raises:
        AblaxError: Two parts hold a layer of the same name.
        ShapeError: The two ways and the gate differ in shape.

    References:
        Srivastava, Greff, Schmidhuber 2015, Highway networks, section 2;
        He, Zhang, Ren, Sun 2016, Identity mappings in deep residual networks, section 3.1.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Dense, Sigmoid
        >>> block = Highway(Layers(fc=Dense(4)), Layers(says=Dense(4), sigmoid=Sigmoid()))
        >>> jax.eval_shape(block.init_with_output, jax.random.key(0), jnp.ones((1, 4)))[0].shape
        (1, 4)
    """

    residual: Layers
    gate: Layers
    shortcut: Layers = Layers()
    after: Layers = Layers()

    def __post_init__(self) -> None:
        # Refuses a name that stands twice.
        _ = self.residual + self.gate + self.shortcut + self.after
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N *out"]:
        """Apply both ways, weigh them, and apply what is behind the sum."""
        residual = run(self.residual, x)
        shortcut = run(self.shortcut, x)
        gate = run(self.gate, shortcut)
        if not residual.shape == shortcut.shape == gate.shape:
            raise ShapeError(
                f"Highway was given {x.shape}: its residual has shape {residual.shape}, its "
                f"shortcut {shortcut.shape} and its gate {gate.shape}; expected equal shapes"
            )
        return run(self.after, (1 - gate) * shortcut + gate * residual)
