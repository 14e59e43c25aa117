"""A side classifier on an inner layer, for training alone."""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Array, Float

from ablax.core.network import Layers, run
from ablax.errors import AblaxError


class Auxiliary(nn.Module):
    """y = x; in training, the scores that `head` gives x are put aside for a loss of their own.

    There is no mode. Exactly when the caller makes the collection `auxiliary` mutable, the head
    runs, and its scores stand there under the layer's path and `scores`; otherwise it costs
    nothing. The loss of the training is then

    loss(scores) + weight (loss(side scores 1) + loss(side scores 2) + ...),

    with a weight of 0.3 in GoogLeNet, so that layers far from the output get a gradient.

    Attributes:
        head: The layers from the maps here to class scores.

    Raises:
        AblaxError: The head has no layer.

    References:
        Szegedy et al. 2014, Going deeper with convolutions, section 5; Lee, Xie, Gallagher, Zhang,
        Tu 2014, Deeply-supervised nets.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Dense, GlobalAveragePool
        >>> side = Auxiliary(Layers(average=GlobalAveragePool(), classifier=Dense(10)))
        >>> x = jnp.ones((2, 4, 4, 3))
        >>> variables = side.init(jax.random.key(0), x)
        >>> side.apply(variables, x).shape
        (2, 4, 4, 3)
        >>> y, aside = side.apply(variables, x, mutable=["auxiliary"])
        >>> [scores.shape for scores in jax.tree.leaves(aside)]
        [(2, 10)]
    """

    head: Layers

    def __post_init__(self) -> None:
        if not len(self.head):
            raise AblaxError("an Auxiliary has no head: give it layers that end in class scores")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N *rest"]:
        """Pass `x` on, and put the scores aside where they are asked for."""
        if self.is_initializing():
            run(self.head, x)
        elif self.is_mutable_collection("auxiliary"):
            self.sow("auxiliary", "scores", run(self.head, x))
        return x
