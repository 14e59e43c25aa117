"""An average over a fixed number of bins, whatever the size of the maps."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ablax.layers.pyramid import bins_along
from ablax.layers.windows import ShapeError, positive, takes


@takes("N H W C")
def adaptive_average_pool(x: Float[Array, "N H W C"], bins: int) -> Float[Array, "N B B C"]:
    """The mean of each of B x B bins that cover the image.

    Bin i of 0 .. B - 1 along an axis of W pixels holds floor(i W / B) to ceil((i + 1) W / B) - 1,
    so that bins share pixels where B does not divide W. One bin is `global_average_pool`; with a
    size that B divides it is `average_pool` with a window of W / B.

    Args:
        x: Maps of any size.
        bins: Along each axis, B.

    Returns:
        Maps of B x B pixels.

    Raises:
        FieldError: Fewer than one bin.
        ShapeError: Maps without a pixel.

    Example:
        >>> adaptive_average_pool(jnp.arange(9.0).reshape(1, 3, 3, 1), bins=2)[0, :, :, 0]
        Array([[2., 3.],
               [5., 6.]], dtype=float32)
    """
    positive("bins", bins)
    if not min(x.shape[1:3]):
        raise ShapeError(f"adaptive_average_pool was given {x.shape}: expected at least one pixel")
    for axis in (1, 2):
        spans = bins_along(x.shape[axis], bins)
        cuts = [lax.slice_in_dim(x, *span, axis=axis) for span in spans]
        x = jnp.concatenate([cut.mean(axis, keepdims=True) for cut in cuts], axis=axis)
    return x


class AdaptiveAveragePool(nn.Module):
    """The module of `adaptive_average_pool`: (N, H, W, C) -> (N, B, B, C).

    Attributes:
        bins: Along each axis, B.

    Example:
        >>> AdaptiveAveragePool(4).apply({}, jnp.ones((1, 14, 14, 512))).shape
        (1, 4, 4, 512)
    """

    bins: int

    def __post_init__(self) -> None:
        positive("bins", self.bins)
        super().__post_init__()

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N B B C"]:
        """Apply `adaptive_average_pool`."""
        return adaptive_average_pool(x, self.bins)
