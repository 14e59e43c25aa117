"""Group normalization: of the channels of one image by their neighbors, whatever the batch."""

from __future__ import annotations

import math

import flax.linen as nn
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from ablax.layers.initializers import ONES, ZEROS
from ablax.layers.windows import FieldError, ShapeError, positive, takes


@takes("... C")
def group_normalization(
    x: Float[Array, "... C"],
    groups: int,
    scale: Float[Array, "C"] | None = None,
    bias: Float[Array, "C"] | None = None,
    epsilon: float = 1e-5,
) -> Float[Array, "... C"]:
    """Give each group of channels of each example mean 0 and variance 1.

    y = scale (x - mean) / sqrt(var + epsilon) + bias

    The mean and the variance are those of all pixels and of C / G channels behind one another; the
    variance divides by their number. One group is layer normalization over (H, W, C), C groups are
    instance normalization. Nothing is taken from the batch, so training and testing agree.

    The statistics are computed in float32 at least.

    Args:
        x: Maps (N, H, W, C), or anything else with examples first and channels last.
        groups: Number of groups G, a divisor of C.
        scale: Factor of each channel; 1 when left out.
        bias: Summand of each channel; 0 when left out.
        epsilon: Added to the variance, positive.

    Returns:
        An array like `x`.

    Raises:
        FieldError: Groups or an epsilon that make no sense.
        ShapeError: There is no axis of examples, or the groups do not divide the channels.

    References:
        Wu, He 2018, Group normalization, section 3.1.

    Example:
        >>> x = jnp.array([[1.0, 3.0, 10.0, 30.0]])
        >>> group_normalization(x, groups=2, epsilon=1e-12)
        Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    _check_fields(groups, epsilon)
    channels = x.shape[-1]
    if x.ndim < 2 or channels % groups:
        raise ShapeError(
            f"group_normalization was given {x.shape} and groups={groups}: expected examples first "
            "and channels last, and a number of channels that the groups divide"
        )
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    center = _group_mean(wide, groups)
    spread = _group_mean(jnp.square(wide - center), groups)
    factor = lax.rsqrt(spread + epsilon)
    if scale is not None:
        factor = factor * scale.astype(wide.dtype)
    y = (wide - center) * factor
    if bias is not None:
        y = y + bias.astype(wide.dtype)
    return y.astype(x.dtype)


def _group_mean(x: Array, groups: int) -> Array:
    """The mean of each group of each example, for each channel: (N, 1, ..., 1, C)."""
    n, channels = x.shape[0], x.shape[-1]
    # First over the pixels, channel by channel: whole rows are added, nothing large is reshaped.
    each = x.mean(axis=tuple(range(1, x.ndim - 1)), keepdims=True)
    group = each.reshape(n, groups, channels // groups).mean(axis=-1, keepdims=True)
    alike = jnp.broadcast_to(group, (n, groups, channels // groups))
    return alike.reshape(n, *(1,) * (x.ndim - 2), channels)


class GroupNormalization(nn.Module):
    """The module of `group_normalization`, with a learned `scale` and `bias` a channel.

    It has 2 C parameters, keeps no statistics and has no mode.

    Attributes:
        groups: Number of groups, a divisor of the channels; 32 in the paper.
        epsilon: Added to the variance, positive.
        use_scale: Whether there is a `scale`.
        use_bias: Whether there is a `bias`.

    References:
        Wu, He 2018, Group normalization, section 3.1.
    """

    groups: int = 32
    epsilon: float = 1e-5
    use_scale: bool = True
    use_bias: bool = True

    def __post_init__(self) -> None:
        _check_fields(self.groups, self.epsilon)
        super().__post_init__()

    @takes("... C")
    @nn.compact
    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... C"]:
        """Apply the layer.

        Args:
            x: Maps, examples first and channels last.

        Returns:
            An array like `x`.

        Raises:
            ShapeError: The groups do not divide the channels, or these are others than before.
        """
        shape = (x.shape[-1],)
        for name in ("scale", "bias"):
            if self.has_variable("params", name):
                kept = self.get_variable("params", name).shape
                if kept != shape:
                    raise ShapeError(
                        f"GroupNormalization was given {x.shape}: its {name} has {kept[0]} "
                        "channels; initialize it again"
                    )
        scale = self.param("scale", ONES, shape, jnp.float32) if self.use_scale else None
        bias = self.param("bias", ZEROS, shape, jnp.float32) if self.use_bias else None
        return group_normalization(x, self.groups, scale, bias, self.epsilon)


def _check_fields(groups: object, epsilon: object) -> None:
    positive("groups", groups)
    number = isinstance(epsilon, (int, float)) and not isinstance(epsilon, bool)
    if not number or not 0 < epsilon < math.inf:  # type: ignore[operator]
        raise FieldError(f"epsilon={epsilon!r}: expected a positive number")
