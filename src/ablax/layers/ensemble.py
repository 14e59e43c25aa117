"""Networks side by side whose class probabilities are averaged, and the edit that makes them."""

from __future__ import annotations

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from ablax.core.edits import Edit
from ablax.core.network import Chain, Layers, Network, run_one
from ablax.errors import AblaxError
from ablax.layers.scores import ensemble
from ablax.layers.windows import ShapeError, positive


class Ensemble(nn.Module):
    """y = log(1/M sum over members m of softmax(s_m(x))): softmax(y) is the members' mean.

    There is no mode. Exactly when the caller makes the collection `auxiliary` mutable, as a
    training step does, each member's scores s_m are put aside there for a loss of their own, and
    y is cut from the gradient. With `train.auxiliary_weight = 1` the loss of the training

    loss(y) + 1 (loss(s_1) + ... + loss(s_M))

    therefore has, in each member's weights, the gradient of that member's own loss and no other:
    all are trained at once, each as if it were alone. (Another weight scales these gradients.) The
    loss that is told is that of y. Elsewhere gradients pass through y as through any layer.

    The members start from different weights, since a parameter is drawn by its path. Clipping the
    norm of the whole gradient (`optimizer.clip`) is not done member by member.

    Attributes:
        members: Modules that all see the same input and give scores (N, classes); at least one.

    Raises:
        AblaxError: There is no member, or one is named `scores`.
        ShapeError: A member gives something else than scores, or they differ in the classes.

    References:
        Hansen, Salamon 1990, Neural network ensembles; He, Zhang, Ren, Sun 2016, Deep residual
        learning for image recognition (six networks: 3.57 % top-5 error).

    Example:
        >>> import jax.numpy as jnp
        >>> from ablax.layers import Dense
        >>> two = Ensemble(Layers(first=Dense(10), second=Dense(10)))
        >>> x = jnp.ones((2, 4))
        >>> variables = two.init(jax.random.key(0), x)
        >>> y, aside = two.apply(variables, x, mutable=["auxiliary"])
        >>> y.shape, [scores.shape for scores in jax.tree.leaves(aside)]
        ((2, 10), [(2, 10), (2, 10)])
    """

    members: Layers

    def __post_init__(self) -> None:
        if not len(self.members):
            raise AblaxError("an Ensemble has no member: give it at least one")
        if "scores" in self.members:
            raise AblaxError(
                "a member of an Ensemble is named 'scores', as what is put aside: rename the member"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N C"]:
        """The logarithm of the members' mean probabilities."""
        scores = [run_one(name, member, x) for name, member in self.members.items()]
        for name, each in zip(self.members, scores, strict=True):
            if each.ndim != 2:
                raise ShapeError(
                    f"the member {name!r} of an Ensemble gives {each.shape}: expected scores "
                    "(N, classes)"
                )
        y = ensemble(*scores)
        if self.is_initializing() or not self.is_mutable_collection("auxiliary"):
            return y
        for each in scores:
            self.sow("auxiliary", "scores", each)
        return jax.lax.stop_gradient(y)


def ensemble_of(members: int) -> Edit:
    """The edit that turns a network into an `Ensemble` of that many of it.

    The members are named `member_1`, `member_2`, ... and stand in the head, since they give scores;
    the layers of the first are found at `ensemble/member_1/conv1`.

    Args:
        members: How many, at least 1.

    Raises:
        FieldError: Fewer than one.

    Example:
        >>> from ablax.core import count_parameters
        >>> from ablax.zoo import lenet5
        >>> six = ensemble_of(6)(lenet5())
        >>> count_parameters(six, (32, 32, 1)) / count_parameters(lenet5(), (32, 32, 1))
        6.0
    """
    positive("members", members)

    def apply(network: Network) -> Network:
        member = Chain(network.layers)
        held = Layers({f"member_{number}": member for number in range(1, members + 1)})
        return Network(tail=Layers(), body=Layers(), head=Layers(ensemble=Ensemble(held)))

    return apply
