"""Residual connections: the layers learn what to add to their input."""

from __future__ import annotations

import contextlib
import dataclasses

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.core.edits import EditError, edit
from ablax.core.network import Chain, Layers, Network, run
from ablax.layers.windows import Pair, ShapeError, pair, positive, takes


class Residual(nn.Module):
    """y = after(shortcut(u) + residual(u)), u = before(x).

    The four share one name space, so a parameter path is `res2a/conv1/kernel`, whichever part
    holds it, and a network without its shortcuts starts from bit-equal weights.

    Attributes:
        before: The layers in front of the fork; given by name only, as a rule there are none.
        residual: The layers that learn the residual.
        shortcut: The layers on the way round; none is the identity.
        after: The layers behind the sum; a ReLU in the first paper, none in the second.

    Raises:
        AblaxError: Two parts hold a layer of the same name.
        ShapeError: The two summands differ in shape.

    References:
        He, Zhang, Ren, Sun 2015, Deep residual learning for image recognition, section 3.1; and
        2016, Identity mappings in deep residual networks, appendix, for what stands before.

    Example:
        >>> import jax
        >>> from ablax.layers import Convolution, ReLU
        >>> block = Residual(
        ...     residual=Layers(conv1=Convolution(8, 3), relu=ReLU(), conv2=Convolution(8, 3)))
        >>> x = jnp.ones((1, 4, 4, 8))
        >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
        (1, 4, 4, 8)
    """

    before: Layers = dataclasses.field(default=Layers(), kw_only=True)
    residual: Layers
    shortcut: Layers = Layers()
    after: Layers = Layers()

    def __post_init__(self) -> None:
        # Refuses a name that stands twice.
        _ = self.before + self.residual + self.shortcut + self.after
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N *out"]:
        """Apply both ways, what is in front of them and what is behind the sum."""
        x = run(self.before, x)
        residual = run(self.residual, x)
        shortcut = run(self.shortcut, x)
        if residual.shape != shortcut.shape:
            raise ShapeError(
                f"Residual was given {x.shape}: its residual has shape {residual.shape} and its "
                f"shortcut {shortcut.shape}; expected equal shapes: put a 1x1 convolution with the "
                "stride and the features of the residual on the shortcut"
            )
        return run(self.after, shortcut + residual)


class Subsample(nn.Module):
    """Keep every `stride`-th pixel, from the first: (N, H, W, C) -> (N, ceil(H/S), ceil(W/S), C).

    Attributes:
        stride: Steps down and to the right.

    References:
        He, Zhang, Ren, Sun 2015, Deep residual learning, section 3.3, shortcut option A.

    Example:
        >>> Subsample(2).apply({}, jnp.arange(9.0).reshape(1, 3, 3, 1))[0, :, :, 0]
        Array([[0., 2.],
               [6., 8.]], dtype=float32)
    """

    stride: int | Pair

    def __post_init__(self) -> None:
        pair("stride", self.stride)
        super().__post_init__()

    @takes("N H W C")
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H2 W2 C"]:
        """Apply the layer."""
        down, right = pair("stride", self.stride)
        return x[:, ::down, ::right, :]


class PadChannels(nn.Module):
    """Add channels of zeros behind the others: (..., C) -> (..., F).

    Attributes:
        features: Channels of the result, F.

    Raises:
        ShapeError: The input has more channels than that.

    References:
        He, Zhang, Ren, Sun 2015, Deep residual learning, section 3.3, shortcut option A.

    Example:
        >>> PadChannels(3).apply({}, jnp.ones((1, 2)))
        Array([[1., 1., 0.]], dtype=float32)
    """

    features: int

    def __post_init__(self) -> None:
        positive("features", self.features)
        super().__post_init__()

    @takes("... C")
    def __call__(self, x: Float[Array, "... C"]) -> Float[Array, "... F"]:
        """Apply the layer."""
        missing = self.features - x.shape[-1]
        if missing < 0:
            raise ShapeError(
                f"PadChannels was given {x.shape}: expected at most {self.features} channels"
            )
        return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])


def without_shortcuts(network: Network) -> Network:
    """The plain network: every `Residual`, at any depth, keeps its layers and loses its shortcut.

    A block becomes the chain of what stands before the fork, the residual and what stands behind
    the sum, under the same name. The weights left start bit-equal; projections go.

    Args:
        network: One with a `Residual`.

    Returns:
        The network with the shapes of the first, if a block without its shortcut has them.

    Raises:
        EditError: There is no `Residual`.

    References:
        He, Zhang, Ren, Sun 2015, Deep residual learning, section 3.3, "plain network".

    Example:
        >>> from ablax.layers import Dense, ReLU
        >>> block = Residual(Layers(fc=Dense(4)), after=Layers(relu=ReLU()))
        >>> deep = Network(Layers(), Layers(block=block), Layers())
        >>> without_shortcuts(deep).body["block"] == Chain(Layers(fc=Dense(4), relu=ReLU()))
        True
    """

    def plain(path: str, layer: nn.Module) -> Layers | None:
        if not isinstance(layer, Residual):
            return None
        inside = Network(Layers(), layer.before + layer.residual + layer.after, Layers())
        with contextlib.suppress(EditError):  # no block within the block
            inside = edit(inside, plain)
        return Layers({path.rsplit("/", 1)[-1]: Chain(inside.body)})

    try:
        return edit(network, plain)
    except EditError:
        raise EditError("the network has no Residual whose shortcut could be removed") from None
