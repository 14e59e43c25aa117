"""Weights tied over depth: the same layers with the same parameters, again and again."""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Array, Float

from ablax.core.edits import inner_layers
from ablax.core.network import Layers, run
from ablax.layers.auxiliary import Auxiliary
from ablax.layers.ensemble import Ensemble
from ablax.layers.normalization import BatchNormalization
from ablax.layers.windows import FieldError, ShapeError, positive


class Tied(nn.Module):
    """The same layers with the same parameters `times` times: y = f(f(... f(x))).

    A recurrent network in depth: MACs grow with `times` and parameters do not. The gradient in a
    parameter is the sum of those that an untied chain (`Repeat`) has in its copies of it. One
    `lax.scan`, compiled once whatever the depth; every pass drops out units of its own.

    Batch normalization is refused: the passes have statistics of their own, and one running mean
    for all of them fits none. `GroupNormalization` keeps none.

    Attributes:
        layers: What is applied; its output has the shape of its input.
        times: How often.

    Raises:
        FieldError: Batch normalization or a side classifier inside, at any depth, or `times` below
            1.
        ShapeError: The layers change the shape of their input.

    References:
        Eigen, Rolfe, Fergus, LeCun 2014, Understanding deep architectures using a recursive
        convolutional network; L1, "Tie together weights".

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Dense
        >>> deep = Tied(Layers(fc=Dense(4)), times=1000)
        >>> variables = jax.eval_shape(deep.init, jax.random.key(0), jnp.ones((1, 4)))
        >>> variables["params"]["fc"]["kernel"].shape
        (4, 4)
    """

    layers: Layers
    times: int

    def __post_init__(self) -> None:
        positive("times", self.times)
        _refuse_untieable(self.layers)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N *rest"]:
        """Apply the layers `times` times."""

        def body(module: Tied, carry: Array, _: None) -> tuple[Array, None]:
            y = run(module.layers, carry)
            if y.shape != carry.shape:
                raise ShapeError(
                    f"Tied was given {carry.shape} and its layers give {y.shape}: expected layers "
                    "that keep the shape; leave the one that changes it outside"
                )
            return y, None

        scan = nn.scan(
            body,
            variable_broadcast="params",
            split_rngs={"params": False, "dropout": True},
            length=self.times,
        )
        return scan(self, x, None)[0]


_REASONS: dict[type[nn.Module], str] = {
    BatchNormalization: (
        "whose statistics differ from pass to pass: use GroupNormalization, which keeps none"
    ),
    Auxiliary: "which would put scores aside in every pass: leave it outside",
    Ensemble: "which would put scores aside in every pass: leave it outside",
}


def _refuse_untieable(layers: Layers, prefix: str = "") -> None:
    for name, layer in layers.items():
        for kind, reason in _REASONS.items():
            if isinstance(layer, kind):
                raise FieldError(f"a Tied holds {prefix + name!r}, a {kind.__name__}, {reason}")
        for inner in inner_layers(layer).values():
            _refuse_untieable(inner, f"{prefix}{name}/")
