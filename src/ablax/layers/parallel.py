"""Branches side by side on one input, and a merge of what they give."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
from jaxtyping import Array, Float

from ablax.core.network import Layers, run_one
from ablax.errors import AblaxError
from ablax.layers.rearrangement import concatenate

Merge = Callable[..., Array]


class Parallel(nn.Module):
    """y = merge(branch_1(x), ..., branch_n(x)).

    A branch that hands its input on is an empty chain, `chain()`.

    Attributes:
        branches: Modules that all see the same input; at least one.
        merge: From their outputs, in order, to one array: `concatenate` (the default), `add`,
            `multiply`, `maximum`, or any function at module level.

    Raises:
        AblaxError: There is no branch.

    References:
        Szegedy et al. 2014, Going deeper with convolutions, figure 2.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Convolution
        >>> two = Parallel(Layers(narrow=Convolution(8, 1), wide=Convolution(4, 5)))
        >>> x = jnp.ones((1, 6, 6, 3))
        >>> jax.eval_shape(two.init_with_output, jax.random.key(0), x)[0].shape
        (1, 6, 6, 12)
    """

    branches: Layers
    merge: Merge = concatenate

    def __post_init__(self) -> None:
        if not len(self.branches):
            raise AblaxError("a Parallel has no branch: give it at least one, `chain()` for x")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N *out"]:
        """Apply every branch to `x`, and merge."""
        return self.merge(*(run_one(name, branch, x) for name, branch in self.branches.items()))
