"""Identical blocks in one loop: very deep networks that compile in seconds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.core.edits import Edit, EditError
from ablax.core.network import Layers, Network, run
from ablax.layers.windows import ShapeError, positive


class Repeat(nn.Module):
    """The same layers `times` times, each time with weights of their own: y = f_n(... f_1(x)).

    One `lax.scan` over stacked weights: a leaf of shape s becomes one of (times, *s), the block is
    compiled once whatever the depth, and the blocks have no names of their own any more.

    Attributes:
        layers: The block; its output has the shape of its input.
        times: How often.
        rematerialize: Whether the way back keeps the input of each block alone and computes the
            block again (Chen, Xu, Zhang, Guestrin 2016, Training deep nets with sublinear memory
            cost): a third more products, and the memory of one block.

    Raises:
        ShapeError: The block changes the shape of its input.

    Example:
        >>> from ablax.layers import Dense
        >>> deep = Repeat(Layers(fc=Dense(4)), times=1000)
        >>> variables = jax.eval_shape(deep.init, jax.random.key(0), jnp.ones((1, 4)))
        >>> variables["params"]["fc"]["kernel"].shape
        (1000, 4, 4)
    """

    layers: Layers
    times: int
    rematerialize: bool = False

    def __post_init__(self) -> None:
        positive("times", self.times)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "N *rest"]) -> Float[Array, "N *rest"]:
        """Apply the block `times` times."""

        def body(module: Repeat, carry: Array, _: None) -> tuple[Array, None]:
            y = run(module.layers, carry)
            if y.shape != carry.shape:
                raise ShapeError(
                    f"Repeat was given {carry.shape} and its block gives {y.shape}: expected a "
                    "block that keeps the shape; leave the first of a stage outside"
                )
            return y, None

        # inside a scan nothing can be merged with the first computation, so nothing must forbid it
        scan = nn.scan(
            nn.remat(body, prevent_cse=False) if self.rematerialize else body,
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True, "dropout": True},
            length=self.times,
        )
        return scan(self, x, None)[0]


def fold(*kinds: type[nn.Module], rematerialize: bool = False) -> Edit:
    """The edit that turns each run of equal neighbors of these classes into one `Repeat`.

    `res2b`, `res2c`, `res2d` become `res2b_to_res2d`. The folded network computes the same function
    of folded weights (`fold_variables`), but draws other initial ones.

    Args:
        *kinds: Such as `Residual`; layers of other classes stay as they are.
        rematerialize: See `Repeat`.

    Raises:
        EditError: When applied to a network without two equal neighbors of these classes.
    """

    def apply(network: Network) -> Network:
        def folded(layers: Layers) -> Layers:
            runs = _runs(layers, kinds)
            return Layers({_joined(run): _repeated(run, layers, rematerialize) for run in runs})

        result = network.copy(**{part: folded(getattr(network, part)) for part in _PARTS})
        if result == network:
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise EditError(f"the network has no two equal neighbors of class {wanted} to fold")
        return result

    return apply


_PARTS = ("tail", "body", "head")


def fold_variables(
    network: Network, variables: Mapping[str, Any], *kinds: type[nn.Module]
) -> dict[str, Any]:
    """The weights of `network`, stacked for `fold(*kinds)(network)`.

    Args:
        network: The network before folding.
        variables: Its collections, `params` and `batch_stats` among them.
        *kinds: As given to `fold`.

    Returns:
        The collections of the folded network, which then gives the same scores.
    """
    runs = list(_runs(network.layers, kinds))

    def folded(tree: Mapping[str, Any]) -> dict[str, Any]:
        result = {}
        for run_names in runs:
            trees = [tree[name] for name in run_names if name in tree]
            if len(run_names) == 1:
                result.update({name: tree[name] for name in run_names if name in tree})
            elif trees:
                stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
                result[_joined(run_names)] = {"block": stacked}
        return result

    return {collection: folded(tree) for collection, tree in variables.items()}


def _runs(layers: Layers, kinds: tuple[type[nn.Module], ...]) -> Iterator[tuple[str, ...]]:
    """The names of each run of equal neighbors; one name where a layer stands alone."""

    def same(entry: tuple[str, nn.Module]) -> object:
        name, layer = entry
        return layer if isinstance(layer, kinds) else name

    for _, group in itertools.groupby(layers.items(), key=same):
        yield tuple(name for name, _ in group)


def _joined(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]}_to_{names[-1]}"


def _repeated(names: tuple[str, ...], layers: Layers, rematerialize: bool) -> nn.Module:
    layer = layers[names[0]]
    return layer if len(names) == 1 else Repeat(Layers(block=layer), len(names), rematerialize)
