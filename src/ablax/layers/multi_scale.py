"""A grid of layers and scales: what a multi-scale network needs.

Huang, Chen, Li, Wu, van der Maaten, Weinberger (2018): Multi-scale dense networks for resource
efficient image classification. arXiv 1703.09844, section 4 and figure 2.

A multi-scale network carries several maps, one a scale, each half as high and wide as the one
before. Layers here take one array and give one array, and so do tables, listings and edits; so the
whole grid is one module, `MultiScale`, that keeps the maps to itself: it takes the finest map and
gives the coarsest. Inside, the grid is a flat list of cells with the paper's two indices as their
names (`layer3_scale2`). Each cell says its scale, reads maps of that scale and of the next finer
one, and gives one array, the new map of its scale. So every convolution has a path
(`scales/layer3_scale2/down/conv`), and a removed cell hands its map on.

A cell reads the maps as they stand. So the cells of one layer stand from coarse to fine: each then
reads what the layer before left, since its finer neighbor has not run yet. A scale that no cell
reads any more has left the network; nothing says so but the list (the paper's network reduction).
"""

from __future__ import annotations

import flax.linen as nn
from jaxtyping import Array, Float

from ablax.core.network import Layers, run, run_one
from ablax.errors import AblaxError
from ablax.layers.rearrangement import concatenate
from ablax.layers.windows import FieldError, ShapeError, positive


class Cell(nn.Module):
    """The map of one scale made anew: y_s = [down(x_{s-1}), same(x_s)].

    A part without layers is left out: with `down` alone the cell makes a scale out of the finer
    one, with `same` alone it changes a scale by itself.

    Attributes:
        scale: Which map it makes, s; 1 is the finest.
        down: Layers from the next finer map, which halve it.
        same: Layers from the map of this scale, which keep its size.

    Raises:
        AblaxError: There is no layer at all, or two of one name.
        FieldError: The scale is no positive integer, or is 1 and has layers from a finer one.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Convolution
        >>> cell = Cell(2, down=Layers(conv=Convolution(8, 3, 2, padding=1)))
        >>> finer = jnp.ones((1, 8, 8, 3))
        >>> jax.eval_shape(cell.init_with_output, jax.random.key(0), None, finer)[0].shape
        (1, 4, 4, 8)
    """

    scale: int
    down: Layers = Layers()
    same: Layers = Layers()

    def __post_init__(self) -> None:
        self._check()
        if not len(self.down) and not len(self.same):
            raise AblaxError(f"a Cell of scale {self.scale} has no layer: give it `down` or `same`")
        super().__post_init__()

    def _check(self) -> None:
        positive("scale", self.scale)
        _ = self.down + self.same  # refuses a name that stands twice
        if self.scale == 1 and len(self.down):
            raise FieldError("scale=1: expected no layers `down`, since no scale is finer than 1")

    @property
    def reads(self) -> frozenset[int]:
        """The scales whose maps the cell needs."""
        finer = {self.scale - 1} if len(self.down) else set()
        return frozenset(finer | ({self.scale} if len(self.same) else set()))

    @nn.compact
    def __call__(
        self, own: Float[Array, "N H W C"] | None, finer: Float[Array, "N H1 W1 C1"] | None
    ) -> Float[Array, "N H W F"]:
        """Make the map out of the one that stands there and the next finer one."""
        return concatenate(*_parts(self, own, finer))


class DenseCell(Cell):
    """The map of one scale, and behind it what is new: y_s = [x_s, down(x_{s-1}), same(x_s)].

    Since x_s holds what all layers before have made at this scale, and x_{s-1} what they made at
    the finer one, the cell is densely connected to all of them. Without layers it hands x_s on.

    Attributes:
        scale: Which map it adds to, s; 1 is the finest.
        down: Layers from the next finer map, which halve it; none at scale 1.
        same: Layers from the map of this scale, which keep its size.

    Raises:
        AblaxError: Two layers have one name.
        FieldError: The scale is no positive integer, or is 1 and has layers from a finer one.
        ShapeError: The parts differ in height or width.

    References:
        Huang et al. 2018, Multi-scale dense networks, section 4, figure 2: x_l^s.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Convolution
        >>> down, same = Convolution(6, 3, 2, padding=1), Convolution(6, 3)
        >>> cell = DenseCell(2, Layers(down=down), Layers(same=same))
        >>> own, finer = jnp.ones((1, 4, 4, 32)), jnp.ones((1, 8, 8, 16))
        >>> jax.eval_shape(cell.init_with_output, jax.random.key(0), own, finer)[0].shape
        (1, 4, 4, 44)
    """

    def __post_init__(self) -> None:
        self._check()
        nn.Module.__post_init__(self)

    @property
    def reads(self) -> frozenset[int]:
        """The scales whose maps the cell needs: always its own."""
        return frozenset({self.scale, self.scale - 1} if len(self.down) else {self.scale})

    @nn.compact
    def __call__(
        self, own: Float[Array, "N H W C"], finer: Float[Array, "N H1 W1 C1"] | None
    ) -> Float[Array, "N H W F"]:
        """Lay what is new behind the map that stands there."""
        return concatenate(own, *_parts(self, own, finer))


def _parts(cell: Cell, own: Array | None, finer: Array | None) -> list[Array]:
    """What a cell makes of its two maps, in its `nn.compact` method."""
    sides = ((cell.down, finer), (cell.same, own))
    return [run(layers, x) for layers, x in sides if len(layers) and x is not None]


class MultiScale(nn.Module):
    """A grid of cells: from the finest map to the coarsest, with all scales in between kept.

    x_1 is the input. Entry by entry, a `Cell` of scale s puts a new map in the place of x_s; any
    other layer is applied to the coarsest map there is, such as an `Auxiliary`, the classifier of
    an early exit. The result is the coarsest map.

    Attributes:
        layers: Cells, by names such as `layer3_scale2`, and layers of the coarsest map.

    Raises:
        ShapeError: A cell reads a scale that no cell has made.

    References:
        Huang et al. 2018, Multi-scale dense networks, section 4, figure 2.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Convolution
        >>> grid = MultiScale(Layers(
        ...     first_scale2=Cell(2, down=Layers(conv=Convolution(8, 3, 2, padding=1))),
        ...     layer1_scale2=DenseCell(2, same=Layers(conv=Convolution(4, 3)))))
        >>> x = jnp.ones((1, 6, 6, 3))
        >>> jax.eval_shape(grid.init_with_output, jax.random.key(0), x)[0].shape
        (1, 3, 3, 12)
    """

    layers: Layers

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N *out"]:
        """Apply the grid."""
        maps: dict[int, Array] = {1: x}
        for name, layer in self.layers.items():
            if isinstance(layer, Cell):
                _check_made(name, layer, maps)
                scale = layer.scale
                maps[scale] = layer.copy(name=name)(maps.get(scale), maps.get(scale - 1))
            else:
                maps[max(maps)] = run_one(name, layer, maps[max(maps)])
        return maps[max(maps)]


def _check_made(name: str, cell: Cell, maps: dict[int, Array]) -> None:
    missing = sorted(cell.reads - set(maps))
    if missing:
        raise ShapeError(
            f"{name} reads scale {missing[0]}, and only scales {sorted(maps)} are there: put a "
            f"Cell in front that makes scale {missing[0]}"
        )


def needed(layers: Layers) -> Layers:
    """The entries of a grid that its last map depends on, and the layers of the coarsest map.

    Going back from the end, an entry is kept if its scale is read behind it. What is dropped is
    what the paper's lazy evaluation does not compute: at the last layer of L only the coarsest of
    S scales is read, at layer L - 1 the two coarsest, and so on.

    Args:
        layers: Of a `MultiScale`.

    Returns:
        Some of them, in order; all, if nothing is superfluous.

    References:
        Huang et al. 2018, Multi-scale dense networks, section 4, "Network reduction and lazy
        evaluation".

    Example:
        >>> from ablax.layers import Convolution
        >>> half, conv = Layers(half=Convolution(8, 3, 2)), Layers(conv=Convolution(8, 3))
        >>> first = Layers(first_scale2=Cell(2, down=half))
        >>> coarse, fine = DenseCell(2, half, conv), DenseCell(1, same=conv)
        >>> list(needed(first + Layers(layer1_scale2=coarse, layer1_scale1=fine)))
        ['first_scale2', 'layer1_scale2']
    """
    cells = [layer for _, layer in layers.items() if isinstance(layer, Cell)]
    coarsest = max([1, *(cell.scale for cell in cells)])
    read, kept = {coarsest}, []
    for name, layer in reversed(list(layers.items())):
        if isinstance(layer, Cell):
            if layer.scale not in read:
                continue
            read = (read - {layer.scale}) | layer.reads
        kept.append((name, layer))
    return Layers(dict(reversed(kept)))
