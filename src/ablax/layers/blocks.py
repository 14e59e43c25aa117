"""Blocks of layers: residual, dense, dual-path, parallel, gated, multi-scale, auxiliary."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Real

from ablax.core.edits import EditError, edit
from ablax.core.network import Layers, Network, Sequential, run, run_one
from ablax.errors import AblaxError
from ablax.layers.activation import ReLU, Sigmoid
from ablax.layers.dense import Dense, add, broadcast_with
from ablax.layers.pooling import GlobalAveragePool
from ablax.layers.shape import concatenate
from ablax.layers.windows import (
    FieldError,
    Pair,
    ShapeError,
    checked,
    pair,
    positive,
    promoted,
    takes,
    whole,
)


class Residual(nn.Module):
    """y = after(shortcut(u) + residual(u)), u = before(x).

    A shortcut without layers is the identity. The four share one name space, so a parameter path is
    `res2a/conv1/kernel`, whichever part holds it, and a network without its shortcuts has bit-equal
    initial weights.

    He, Zhang, Ren, Sun 2015, Deep residual learning for image recognition, section 3.1 (a ReLU
    behind the sum); and 2016, Identity mappings in deep residual networks (none), whose appendix
    has layers before the fork.

    Raises:
        AblaxError: Two parts hold a layer of the same name.
        ShapeError: The two summands differ in shape.

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
        _ = self.before + self.residual + self.shortcut + self.after  # no name stands twice
        super().__post_init__()

    @takes("...", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N *rest"]) -> Real[Array, "N *out"]:
        x = run(self.before, x)
        residual = run(self.residual, x)
        shortcut = run(self.shortcut, x)
        if residual.shape != shortcut.shape:
            raise ShapeError(
                f"Residual was given {x.shape}: its residual has shape {residual.shape} and its "
                f"shortcut {shortcut.shape}; expected equal shapes: put a 1x1 convolution with the "
                "stride and the features of the residual on the shortcut"
            )
        return run(self.after, add(shortcut, residual))


@checked(stride=pair)
class Subsample(nn.Module):
    """Keep every `stride`-th pixel, from the first: (N, H, W, C) -> (N, ceil(H/S), ceil(W/S), C).

    With `PadChannels` it is shortcut option A of He et al. 2015 (see `Residual`), section 3.3.

    Example:
        >>> Subsample(2).apply({}, jnp.arange(9.0).reshape(1, 3, 3, 1))[0, :, :, 0]
        Array([[0., 2.],
               [6., 8.]], dtype=float32)
    """

    stride: int | Pair

    @takes("N H W C", integers=True)
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N H2 W2 C"]:
        down, right = pair("stride", self.stride)
        return x[:, ::down, ::right, :]


@checked(features=positive)
class PadChannels(nn.Module):
    """Add channels of zeros behind the others: (..., C) -> (..., F), F `features`.

    Raises:
        ShapeError: The input has more channels than that.

    Example:
        >>> PadChannels(3).apply({}, jnp.ones((1, 2)))
        Array([[1., 1., 0.]], dtype=float32)
    """

    features: int

    @takes("... C", integers=True)
    def __call__(self, x: Real[Array, "... C"]) -> Real[Array, "... F"]:
        missing = self.features - x.shape[-1]
        if missing < 0:
            raise ShapeError(
                f"PadChannels was given {x.shape}: expected at most {self.features} channels"
            )
        return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])


def without_shortcuts(network: Network) -> Network:
    """The plain network: every `Residual`, at any depth, keeps its layers and loses its shortcut.

    A block becomes the chain of what stands before the fork, the residual and what stands behind
    the sum, under the same name. The weights left are initialized bit-equal; projections go. It is
    the "plain network" of He et al. 2015, section 3.3.

    Raises:
        EditError: There is no `Residual`.

    Example:
        >>> from ablax.layers import Dense, ReLU
        >>> block = Residual(Layers(fc=Dense(4)), after=Layers(relu=ReLU()))
        >>> deep = Network(Layers(), Layers(block=block), Layers())
        >>> without_shortcuts(deep).body["block"] == Sequential(Layers(fc=Dense(4), relu=ReLU()))
        True
    """

    def plain(path: str, layer: nn.Module) -> Layers | None:
        if not isinstance(layer, Residual):
            return None
        inside = Network(Layers(), layer.before + layer.residual + layer.after, Layers())
        with contextlib.suppress(EditError):  # no block within the block
            inside = edit(inside, plain)
        return Layers({path.rsplit("/", 1)[-1]: Sequential(inside.body)})

    try:
        return edit(network, plain)
    except EditError:
        raise EditError("the network has no Residual whose shortcut could be removed") from None


class DenselyConnected(nn.Module):
    """y = concatenate(x, f(x)): C channels become C + K, and x is handed on unchanged.

    In a chain of them every layer sees the outputs of all before it: with x_0 in front,

    x_l = f_l(concatenate(x_0, x_1, ..., x_{l-1})).

    It is a `Parallel` of the identity and f, with f's layers right under its own name.

    Each output is an array of its own: a chain of L such layers holds L C + K L (L + 1) / 2
    channels, which is what its gradient keeps. On a CPU a barrier stands behind each: otherwise XLA
    makes one concatenation of the chain, whose gradient gathers the K channels of every layer from
    all that come after it, element by element, slowly.

    Huang, Liu, van der Maaten, Weinberger 2016, Densely connected convolutional networks, section
    3, equation 2, where K is the *growth*.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Convolution
        >>> layer = DenselyConnected(Layers(conv=Convolution(12, 3)))
        >>> x = jnp.ones((1, 8, 8, 16))
        >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0].shape
        (1, 8, 8, 28)
    """

    layers: Layers

    @takes("...", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N *rest"]) -> Real[Array, "N *out"]:
        y = concatenate(x, run(self.layers, x))
        return lax.platform_dependent(y, cpu=lax.optimization_barrier, default=lambda y: y)


@checked()
class DualPath(nn.Module):
    """y = concatenate(s[:F] + h[:F], s[F:], h[F:]), s = shortcut(x), h = layers(x), over channels.

    The first F channels are the *residual* path, the others the *dense* path, which each block
    makes longer by the K channels that h has beyond F. With all channels of h in the sum the block
    is a `Residual`, with F = 0 it is `DenselyConnected`. The two ways share one name space (Chen,
    Li, Xiao, Jin, Yan, Feng 2017, Dual path networks, section 4).

    Raises:
        FieldError: `features`, which is F, is negative or no integer.
        AblaxError: Both ways hold a layer of the same name.
        ShapeError: A way has fewer than F channels, or the two differ in another axis.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Convolution
        >>> block = DualPath(8, Layers(conv=Convolution(8 + 4, 3)))
        >>> x = jnp.ones((1, 6, 6, 8 + 16))
        >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
        (1, 6, 6, 28)
    """

    features: int
    layers: Layers
    shortcut: Layers = Layers()

    def __post_init__(self) -> None:
        if not whole(self.features) or self.features < 0:
            raise FieldError(
                f"features={self.features!r}: expected how many channels are added, an integer of "
                "at least 0"
            )
        _ = self.layers + self.shortcut  # no name stands twice
        super().__post_init__()

    @takes("...", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N *rest"]) -> Real[Array, "N *out"]:
        new = run(self.layers, x)
        kept = run(self.shortcut, x)
        f = self.features
        if new.shape[:-1] != kept.shape[:-1] or min(new.shape[-1], kept.shape[-1]) < f:
            raise ShapeError(
                f"DualPath was given {x.shape}: its layers give {new.shape} and its shortcut "
                f"{kept.shape}; expected at least {f} channels from both, and all other axes "
                "equal: put a 1x1 convolution with the stride of the layers on the shortcut"
            )
        return concatenate(add(kept[..., :f], new[..., :f]), kept[..., f:], new[..., f:])


class Gate(nn.Module):
    """y = x gate(x), element by element.

    The gate gives a factor for each number (N, H, W, C), for each pixel (N, H, W, 1), or for each
    channel (N, C).

    Raises:
        ShapeError: The factors have another shape than these.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.ones((2, 3, 3, 4))
        >>> Gate(Layers(squeeze=GlobalAveragePool(), sigmoid=Sigmoid())).apply({}, x).shape
        (2, 3, 3, 4)
    """

    gate: Layers

    @takes("N H W C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N H W C"]:
        x, factors = promoted(x, run(self.gate, x))
        if factors.shape == (x.shape[0], x.shape[3]):
            factors = factors[:, None, None, :]
        elif factors.shape not in (x.shape, (*x.shape[:3], 1)):
            raise ShapeError(
                f"Gate was given {x.shape} and its layers gave factors of shape {factors.shape}: "
                f"expected {x.shape}, {(*x.shape[:3], 1)} or {(x.shape[0], x.shape[3])}"
            )
        return broadcast_with(jnp.multiply, x, factors)


def squeeze_excite(features: int, reduction: int = 16) -> Gate:
    """The gate of a squeeze-and-excitation network: one factor per channel, from the whole image.

    y = x sigmoid(W2 relu(W1 mean(x) + b1) + b2), with C / r units in the middle, rounded down: it
    has 2 C^2 / r + C / r + C parameters for C `features`.

    Hu, Shen, Sun 2017, Squeeze-and-excitation networks, section 3 (biases as in the authors'
    published networks; the paper's equation 3 omits them).

    Raises:
        FieldError: The reduction leaves no unit.
    """
    positive("features", features)
    positive("reduction", reduction)
    if features < reduction:
        raise FieldError(f"features={features} with reduction={reduction}: no unit would be left")
    return Gate(
        Layers(
            squeeze=GlobalAveragePool(),
            reduce=Dense(features // reduction),
            relu=ReLU(),
            excite=Dense(features),
            sigmoid=Sigmoid(),
        )
    )


class Highway(nn.Module):
    """y = after((1 - g(s)) s + g(s) residual(x)), s = shortcut(x).

    An *exclusive* gate: what one way gains the other loses. With a gate near 0 at first, so is the
    layers' part, and the block is initially its shortcut. The four share one name space, as those
    of a `Residual`. The gate's layers compute g, ending in a sigmoid, of the shortcut's numbers.

    Srivastava, Greff, Schmidhuber 2015, Highway networks, section 2; He, Zhang, Ren, Sun 2016,
    Identity mappings in deep residual networks, section 3.1.

    Raises:
        AblaxError: Two parts hold a layer of the same name.
        ShapeError: The two ways and the gate differ in shape.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Dense, Sigmoid
        >>> block = Highway(Layers(fc=Dense(4)), Layers(says=Dense(4), sigmoid=Sigmoid()))
        >>> jax.eval_shape(block.init_with_output, jax.random.key(0), jnp.ones((1, 4)))[0].shape
        (1, 4)
    """

    residual: Layers
    gate: Layers
    shortcut: Layers = Layers()
    after: Layers = Layers()

    def __post_init__(self) -> None:
        _ = self.residual + self.gate + self.shortcut + self.after  # no name stands twice
        super().__post_init__()

    @takes("...", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N *rest"]) -> Real[Array, "N *out"]:
        residual = run(self.residual, x)
        shortcut = run(self.shortcut, x)
        gate = run(self.gate, shortcut)
        if not residual.shape == shortcut.shape == gate.shape:
            raise ShapeError(
                f"Highway was given {x.shape}: its residual has shape {residual.shape}, its "
                f"shortcut {shortcut.shape} and its gate {gate.shape}; expected equal shapes"
            )
        gate, shortcut, residual = promoted(gate, shortcut, residual)
        return run(self.after, (1 - gate) * shortcut + gate * residual)


# A grid of layers and scales: Huang, Chen, Li, Wu, van der Maaten, Weinberger (2018): Multi-scale
# dense networks for resource efficient image classification. arXiv 1703.09844, section 4, figure 2.
#
# A multi-scale network carries several maps, one per scale, each half as high and wide as the one
# before. Layers here take one array and give one array, and so do tables, listings and edits; so
# the whole grid is one module, `MultiScale`, that keeps the maps to itself: it takes the finest map
# and gives the coarsest. Inside, the grid is a flat list of cells with the paper's two indices as
# their names (`layer3_scale2`). Each cell says its scale, reads maps of that scale and of the next
# finer one, and gives one array, the new map of its scale. So every convolution has a path
# (`scales/layer3_scale2/down/conv`), and a removed cell hands its map on.
#
# A cell reads the maps as they stand. So the cells of one layer stand from coarse to fine: each
# then reads what the layer before left, since its finer neighbor has not run yet. A scale that no
# cell reads any more has left the network; nothing says so but the list (the paper's network
# reduction).


@checked(scale=positive)
class Cell(nn.Module):
    """The new map of one scale: y_s = [down(x_{s-1}), same(x_s)].

    s is the scale, 1 the finest; `down` halves the next finer map, `same` keeps the size. A part
    without layers is left out: with `down` alone the cell makes a scale out of the finer one, with
    `same` alone it changes a scale by itself.

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
    keeps: ClassVar[bool] = False
    """Whether the new map begins with the one before."""

    def __post_init__(self) -> None:
        _ = self.down + self.same  # no name stands twice
        if self.scale == 1 and len(self.down):
            raise FieldError("scale=1: expected no layers `down`, since no scale is finer than 1")
        if not self.keeps and not len(self.down) and not len(self.same):
            raise AblaxError(f"a Cell of scale {self.scale} has no layer: give it `down` or `same`")
        super().__post_init__()

    @property
    def reads(self) -> frozenset[int]:
        """The scales whose maps the cell needs."""
        finer = {self.scale - 1} if len(self.down) else set()
        return frozenset(finer | ({self.scale} if self.keeps or len(self.same) else set()))

    @takes("N H W C", integers=True)
    @nn.compact
    def __call__(
        self, own: Real[Array, "N H W C"] | None, finer: Real[Array, "N H1 W1 C1"] | None
    ) -> Real[Array, "N H W F"]:
        sides = ((self.down, finer), (self.same, own))
        new = [run(layers, x) for layers, x in sides if len(layers) and x is not None]
        return concatenate(own, *new) if self.keeps and own is not None else concatenate(*new)


class DenseCell(Cell):
    """The map of one scale, and behind it what is new: y_s = [x_s, down(x_{s-1}), same(x_s)].

    Since x_s holds what all layers before have made at this scale, and x_{s-1} what they made at
    the finer one, the cell is densely connected to all of them. Without layers it hands x_s on.
    Fields and refusals are those of `Cell`.

    Raises:
        ShapeError: The parts differ in height or width.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from ablax.layers import Convolution
        >>> down, same = Convolution(6, 3, 2, padding=1), Convolution(6, 3)
        >>> cell = DenseCell(2, Layers(down=down), Layers(same=same))
        >>> own, finer = jnp.ones((1, 4, 4, 32)), jnp.ones((1, 8, 8, 16))
        >>> jax.eval_shape(cell.init_with_output, jax.random.key(0), own, finer)[0].shape
        (1, 4, 4, 44)
    """

    keeps: ClassVar[bool] = True


class MultiScale(nn.Module):
    """A grid of cells: from the finest map to the coarsest, with all scales in between kept.

    x_1 is the input. Entry by entry, a `Cell` of scale s puts a new map in the place of x_s; any
    other layer is applied to the coarsest map there is, such as an `Auxiliary`, the classifier of
    an early exit. The result is the coarsest map (Huang et al. 2018, Multi-scale dense networks).

    Raises:
        ShapeError: A cell reads a scale that no cell has made.

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

    @takes("N H W C", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N H W C"]) -> Real[Array, "N *out"]:
        maps: dict[int, Array] = {1: x}
        for name, layer in self.layers.items():
            if isinstance(layer, Cell):
                scale = layer.scale
                if missing := sorted(layer.reads - set(maps)):
                    raise ShapeError(
                        f"{name} reads scale {missing[0]}, and only scales {sorted(maps)} are "
                        f"there: put a Cell in front that makes scale {missing[0]}"
                    )
                maps[scale] = layer.copy(name=name)(maps.get(scale), maps.get(scale - 1))
            else:
                maps[max(maps)] = run_one(name, layer, maps[max(maps)])
        return maps[max(maps)]


def needed(layers: Layers) -> Layers:
    """The entries of a grid that its last map depends on, and the layers of the coarsest map.

    Going back from the end, an entry is kept if its scale is read behind it. What is dropped is
    what the paper's lazy evaluation does not compute: at the last layer of L only the coarsest of
    S scales is read, at layer L - 1 the two coarsest, and so on (section 4, "Network reduction and
    lazy evaluation").

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


Merge = Callable[..., Array]


class Parallel(nn.Module):
    """y = merge(branch_1(x), ..., branch_n(x)).

    A branch that hands its input on is an empty chain, `chain()`. The merge is `concatenate`,
    `add`, `multiply`, `maximum`, or any function at module level (Szegedy et al. 2014, Going deeper
    with convolutions, figure 2).

    Raises:
        AblaxError: There is no branch.

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

    @takes("...", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N *rest"]) -> Real[Array, "N *out"]:
        return self.merge(*(run_one(name, branch, x) for name, branch in self.branches.items()))


class Auxiliary(nn.Module):
    """y = x; in training, the scores that `head` gives x are put aside for a loss of their own.

    There is no mode. Exactly when the caller makes the collection `auxiliary` mutable, the head
    runs, and its scores stand there under the layer's path and `scores`; otherwise it costs
    nothing. The loss of the training is then

    loss(scores) + weight (loss(side scores 1) + loss(side scores 2) + ...),

    with a weight of 0.3 in GoogLeNet, so that layers far from the output get a gradient (Szegedy et
    al. 2014, Going deeper with convolutions, section 5; Lee, Xie, Gallagher, Zhang, Tu 2014,
    Deeply-supervised nets).

    Raises:
        AblaxError: The head has no layer.

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

    @takes("...", integers=True)
    @nn.compact
    def __call__(self, x: Real[Array, "N *rest"]) -> Real[Array, "N *rest"]:
        if self.is_initializing():
            run(self.head, x)
        elif self.is_mutable_collection("auxiliary"):
            self.sow("auxiliary", "scores", run(self.head, x))
        return x
