"""Weights by place: pixels of a map that count more than others."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.layers.initializers import ZEROS, Initializer
from ablax.layers.windows import Pair, ShapeError, takes


@takes("N H W C")
def spatial_weights(
    x: Float[Array, "N H W C"], weights: Float[Array, "h w"]
) -> Float[Array, "N H W C"]:
    """y[n, r, c, f] = weights[r, c] x[n, r, c, f].

    Args:
        x: Maps.
        weights: One factor a pixel, the same for all channels and images.

    Returns:
        Maps like `x`.

    Raises:
        ShapeError: Weights of another size than the maps.

    Example:
        >>> x = jnp.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
        >>> spatial_weights(x, jnp.array([[0.0, 1], [1, 2]]))[0, :, :, 0]
        Array([[0., 2.],
               [3., 8.]], dtype=float32)
    """
    check_size("spatial_weights", x, weights)
    return x * weights.astype(x.dtype)[None, :, :, None]


def resized(weights: Float[Array, "h w"], size: Pair) -> Float[Array, "H W"]:
    """Numbers by place, for maps of another size: bilinear, and what they were at their own size.

    Corners stay corners: place p of h stands at (p + 1/2) / h of the height. Beyond the middle of
    the outermost pixels the nearest number goes on; a smaller size averages. Equal numbers stay
    equal to them.

    Args:
        weights: One number a pixel.
        size: Height and width wanted, in pixels.

    Returns:
        One number a pixel of the wanted size.

    Example:
        >>> resized(jnp.array([[0.0, 4.0]]), (1, 4))
        Array([[0., 1., 3., 4.]], dtype=float32)
    """
    if weights.shape == size:
        return weights
    return jax.image.resize(weights, size, method="linear")


class SpatialWeights(nn.Module):
    """Pixels that count by where they are: y = (1 + v) x, with one learned `deviation` v a pixel.

    It has H W parameters and starts as the identity, bit for bit. Kept is the deviation from 1, so
    that weight decay pulls towards equal weights and not towards none. The parameters belong to the
    maps it was initialized with; maps of another size get them resized bilinearly (`resized`).

    Attributes:
        deviation_init: How v starts.

    References:
        Idea 2 for a head, in the lectures (L2, "2 head design ideas").

    Example:
        >>> layer = SpatialWeights()
        >>> variables = layer.init(jax.random.key(0), jnp.ones((1, 2, 3, 8)))
        >>> variables["params"]["deviation"].shape
        (2, 3)
        >>> layer.apply(variables, jnp.ones((1, 4, 4, 8))).shape
        (1, 4, 4, 8)
    """

    deviation_init: Initializer = ZEROS

    @takes("N H W C")
    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H W C"]:
        """Apply the layer."""
        size = x.shape[1], x.shape[2]
        deviation = kept_or_new(self, "deviation", self.deviation_init, size)
        return spatial_weights(x, 1 + resized(deviation, size))


def check_size(layer: str, x: Array, weights: Array) -> None:
    """Refuse numbers by place that are not of the size of the maps.

    Args:
        layer: Who asks, for the refusal.
        x: Maps (N, H, W, C).
        weights: Numbers by place, (H, W).

    Raises:
        ShapeError: They are of another size.
    """
    if weights.shape != x.shape[1:3]:
        raise ShapeError(
            f"{layer} was given {x.shape} and numbers by place of shape {weights.shape}: expected "
            f"{x.shape[1:3]}; fit them with `resized`"
        )


def kept_or_new(module: nn.Module, name: str, init: Initializer, size: Pair) -> Array:
    """The module's parameter of that name as it is kept, whatever its size, or a new one.

    To be called inside the `nn.compact` method of a module whose parameters have a size of their
    own, which `resized` fits to the maps.

    Args:
        module: Whose parameter.
        name: Of the parameter.
        init: How a new one starts.
        size: Height and width of a new one.
    """
    if module.has_variable("params", name):
        size = module.get_variable("params", name).shape
    return module.param(name, init, size, jnp.float32)
