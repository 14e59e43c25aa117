"""Dual paths: some of the layers' features are added to what there is, the others stand behind."""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Array, Float

from ablax.core.network import Layers, run
from ablax.layers.rearrangement import concatenate
from ablax.layers.windows import FieldError, ShapeError, whole


class DualPath(nn.Module):
    """y = concatenate(s[:F] + h[:F], s[F:], h[F:]), s = shortcut(x), h = layers(x), over channels.

    The first F channels are the *residual* path, the others the *dense* path, which each block
    makes longer by the K channels that h has beyond F. With all channels of h in the sum the block
    is a `Residual`, with F = 0 it is `DenselyConnected`. The two ways share one name space.

    Attributes:
        features: Channels of the residual path, F.
        layers: The layers of h, of F + K features.
        shortcut: The layers on the way round; none is the identity.

    Raises:
        FieldError: `features` is negative or no integer.
        AblaxError: Both ways hold a layer of the same name.
        ShapeError: A way has fewer than F channels, or the two differ in another axis.

    References:
        Chen, Li, Xiao, Jin, Yan, Feng 2017, Dual path networks, section 4.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Convolution
        >>> block = DualPath(8, Layers(conv=Convolution(8 + 4, 3)))
        >>> x = jnp.ones((1, 6, 6, 8 + 16))
        >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
        (1, 6, 6, 28)
    """

    features: int
    layers: Layers
    shortcut: Layers = Layers()

    def __post_init__(self) -> None:
        if not whole(self.features) or self.features < 0:
            raise FieldError(
                f"features={self.features!r}: expected how many channels are added, an integer of "
                "at least 0"
            )
        # Refuses a name that stands twice.
        _ = self.layers + self.shortcut
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N *out"]:
        """Apply both ways, add the residual parts and lay the dense parts behind them."""
        new = run(self.layers, x)
        kept = run(self.shortcut, x)
        f = self.features
        if new.shape[:-1] != kept.shape[:-1] or min(new.shape[-1], kept.shape[-1]) < f:
            raise ShapeError(
                f"DualPath was given {x.shape}: its layers give {new.shape} and its shortcut "
                f"{kept.shape}; expected at least {f} channels from both, and all other axes "
                "equal: put a 1x1 convolution with the stride of the layers on the shortcut"
            )
        return concatenate(kept[..., :f] + new[..., :f], kept[..., f:], new[..., f:])
