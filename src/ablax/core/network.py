"""`Layers` and `Network(tail, body, head)`: a network as a value that one can read and cut."""

from __future__ import annotations

import functools
import math
from bisect import bisect_left
from collections.abc import Callable, ItemsView, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Real

from ablax.analysis.jax_versions import random_key
from ablax.errors import AblaxError, nearest


class LayerError(AblaxError):
    """A layer that cannot take its input, named by its path, with the shape it was given."""


@dataclass(frozen=True, init=False)
class Layers:
    """A frozen, ordered, hashable mapping from name to module: a network one can read and cut.

    The names are the paper's (`conv1`, `fc7`) and become the parameter paths. Linen renames modules
    that it finds in a list, tuple or dictionary field by position, so that removing one would draw
    new initial weights for those behind it; it does not look inside this class. Two names may hold
    equal modules: each is bound to its own name when it runs, so they never share weights. They are
    given as a mapping, by name in the order written, or both.

    Raises:
        AblaxError: A name that is not an identifier, stands twice, or holds something that is
            not a Linen module.

    Example:
        >>> from ablax.layers import Dense, ReLU
        >>> layers = Layers(fc1=Dense(8), relu1=ReLU(), fc2=Dense(2))
        >>> list(layers)
        ['fc1', 'relu1', 'fc2']
        >>> layers["fc2"].features
        2
    """

    entries: tuple[tuple[str, nn.Module], ...]

    def __init__(
        self, layers: Mapping[str, nn.Module] | Layers | None = None, /, **named: nn.Module
    ) -> None:
        pairs = [*(layers.items() if layers is not None else ()), *named.items()]
        object.__setattr__(self, "entries", tuple(pairs))
        seen: set[str] = set()
        for name, layer in pairs:
            _check_entry(name, layer, seen)
            seen.add(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.entries))

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in dict(self.entries)

    def __getitem__(self, name: str) -> nn.Module:
        layers = dict(self.entries)
        if name not in layers:
            raise AblaxError(f"there is no layer named {name!r} here: {nearest(name, layers)}")
        return layers[name]

    def __add__(self, other: Layers) -> Layers:
        """These layers, then the others."""
        overlap = set(self) & set(other)
        if overlap:
            raise AblaxError(
                f"layer names must differ, both sides have {', '.join(sorted(overlap))}: rename one"
            )
        return Layers({**dict(self.entries), **dict(other.entries)})

    def items(self) -> ItemsView[str, nn.Module]:
        """Name and module, in order."""
        return dict(self.entries).items()

    def __repr__(self) -> str:
        from ablax.core.describe import layers_text  # which reads what is defined here

        return layers_text(self)


def _check_entry(name: str, layer: object, seen: set[str]) -> None:
    if not name.isidentifier():
        raise AblaxError(
            f"{name!r} cannot name a layer: a layer's name is letters, digits and '_', as in 'fc7'"
        )
    if name in seen:
        raise AblaxError(
            f"two layers are named {name!r}: a name is a parameter path, so rename one"
        )
    if not isinstance(layer, nn.Module):
        raise AblaxError(
            f"layer {name!r} is {layer!r}, and a Linen module is expected: wrap a function in one"
        )


Given = Array | np.ndarray
"""What a network takes; every layer says which types of numbers, and computes in JAX's arrays."""


def run(layers: Layers, x: Real[Given, "N *rest"]) -> Real[Array, "N *out"]:
    """Apply the layers in order, each bound to its own name: y = f_n(... f_1(x)).

    To be called inside the `nn.compact` method of the module that holds the layers; where there are
    none, y is x.

    Raises:
        LayerError: A layer that does not fit its input, with its path and the input's shape.
            Shapes are static, so this happens while tracing, before anything compiles.
    """
    y = jnp.asarray(x)
    for name, layer in layers.items():
        y = run_one(name, layer, y)
    return y


def run_one(name: str, layer: nn.Module, x: Real[Array, "N *rest"]) -> Real[Array, "N *out"]:
    """Apply one layer, bound to its name, inside the `nn.compact` method of its holder.

    Raises:
        LayerError: The layer does not fit its input.
    """
    bound = layer.copy(name=name)
    try:
        return bound(x)
    except LayerError:
        raise
    except (AblaxError, TypeError, ValueError, flax.errors.ScopeParamShapeError) as error:
        path = "/".join(bound.path) if bound.scope is not None else bound.name
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise LayerError(
            f"layer {path!r} ({type(layer).__name__}) does not fit its input of shape "
            f"{tuple(x.shape)}: {lines[0]}"
        ) from error


class Sequential(nn.Module):
    """Layers one after another under one name: what belongs together is removed together.

    `fc7 = Sequential(Layers(dense=Dense(4096), relu=ReLU(), dropout=Dropout(0.5)))` leaves no
    orphaned dropout behind when `fc7` goes.

    Example:
        >>> from ablax.layers import Dense, ReLU
        >>> fc = Sequential(Layers(dense=Dense(4), relu=ReLU()))
        >>> variables = fc.init(jax.random.key(0), jnp.ones((1, 3)))
        >>> jax.tree.map(lambda leaf: leaf.shape, variables["params"])
        {'dense': {'bias': (4,), 'kernel': (3, 4)}}
    """

    layers: Layers

    @nn.compact
    def __call__(self, x: Real[Given, "N *rest"]) -> Real[Array, "N *out"]:
        """Apply the layers in order."""
        return run(self.layers, x)


def sequential(**layers: nn.Module) -> Sequential:
    """`Sequential(Layers(...))`, written short, for the tables of the zoo."""
    return Sequential(Layers(layers))


ImageShape = tuple[int, int, int]
"""(H, W, C), in pixels and channels."""


class Network(nn.Module):
    """A convolutional network in three parts: head(body(tail(images))).

    The tail takes the image down to a size the body works at, the body builds features, the head
    turns them into class scores (L2, "tail, body, head"). The three share one name space, so a
    parameter path is the layer's name in the paper (`conv1/conv/kernel`), whichever part holds it.

    An ablation is a function from Network to Network (`ablax.core.edits`). Linen samples a
    parameter's initial value from the key and its path, so an ablated network and its parent have
    bit-equal initial weights wherever path and shape agree. The scores, (N, classes), are those
    before the softmax.

    Raises:
        AblaxError: Two parts hold a layer of the same name.
    """

    tail: Layers
    body: Layers
    head: Layers

    def __post_init__(self) -> None:
        _ = self.tail + self.body + self.head  # no name stands twice
        super().__post_init__()

    @nn.compact
    def __call__(self, images: Real[Given, "N H W C"]) -> Real[Array, "N *scores"]:
        """Class scores of the images."""
        return run(self.head, run(self.body, run(self.tail, images)))

    @property
    def layers(self) -> Layers:
        """All layers, from the image to the scores."""
        return self.tail + self.body + self.head

    def __repr__(self) -> str:
        from ablax.core.describe import network_text  # which reads what is defined here

        return network_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from ablax.core.describe import network_html  # which reads what is defined here

        return network_html(self)


def initialize(network: Network, seed: int, image_shape: ImageShape) -> dict[str, Any]:
    """The network's initial variables, sampled leaf by leaf.

    `lazy_init` runs the initializers and leaves the images abstract, so that no layer is computed
    or compiled; the values are those of `init`, bit for bit. (`jax.jit(network.init)` compiles for
    long where a network has many layers.) Only `params` and `batch_stats` are returned: `init` also
    returns what layers put aside for training, which is no part of the state. The seed is that of
    the key from which every leaf is sampled, by its path.

    Raises:
        LayerError: The network does not fit images of this shape.
    """
    check(network, image_shape)
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    variables = network.lazy_init(random_key(seed), images)
    return {name: tree for name, tree in variables.items() if name in ("params", "batch_stats")}


def abstract_variables(network: Network, image_shape: ImageShape) -> dict[str, Any]:
    """`initialize` in shapes only: nothing is computed and nothing is allocated.

    Raises:
        LayerError: The network does not fit images of this shape.
    """
    if len(image_shape) != 3 or any(size < 1 for size in image_shape):
        raise AblaxError(
            f"the image shape is {image_shape}, and (height, width, channels), each at least 1, "
            "is expected"
        )
    wide = bool(jax.config.read("jax_enable_x64"))
    try:
        return dict(_abstract(network, image_shape, wide))
    except TypeError:  # a layer holds something that has no hash, or takes no such input
        return dict(_abstract.__wrapped__(network, image_shape, wide))


@functools.lru_cache(maxsize=64)  # counting, checking and knowing a network again all ask for it
def _abstract(network: Network, image_shape: ImageShape, wide: bool) -> Mapping[str, Any]:
    del wide  # of the cache's key: types follow it
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    found: Mapping[str, Any] = jax.eval_shape(network.init, jax.random.key(0), images)
    return found


def check(network: Network, image_shape: ImageShape, classes: int | None = None) -> None:
    """Refuse, before anything compiles, a network that does not fit the images or the classes.

    Raises:
        LayerError: A layer does not fit its input; the message has its name and both shapes.
        AblaxError: The scores have another shape than (N, classes), where these are given.
    """
    variables = abstract_variables(network, image_shape)
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    scores = jax.eval_shape(network.apply, variables, images)
    if classes is not None and scores.shape != (1, classes):
        raise AblaxError(
            f"the network's scores for one image have shape {scores.shape}, and (1, {classes}) is "
            f"expected: end its head in a dense layer with {classes} features"
        )


def count_parameters(network: Network, image_shape: ImageShape) -> int:
    """How many parameters the network learns: the sizes of all leaves of `params`, added up.

    Running statistics are not among them. A fully connected layer's kernel depends on the shape of
    the images, (H, W, C).
    """
    return sum(parameter_sizes(network, image_shape).values())


def of_equal_cost(
    build: Callable[[int], Network], cost: Callable[[Network], int], wanted: int, most: int = 512
) -> Network:
    """Of build(1) to build(most) the network whose cost is nearest to the wanted one.

    What is built costs more the larger its number is: a width in features, or in parts of a factor.
    So networks of other shapes are compared at equal parameters, or at equal multiply-accumulates.
    """
    above = bisect_left(range(1, most), wanted, key=lambda number: cost(build(number))) + 1
    several = (max(1, above - 1), above)
    return build(min(several, key=lambda number: abs(cost(build(number)) - wanted)))


def parameter_sizes(network: Network, image_shape: ImageShape) -> dict[str, int]:
    """The number of parameters of each leaf, by path (`conv1/conv/kernel`)."""
    shapes = parameter_shapes(network, image_shape)
    return {path: math.prod(shape) for path, shape in shapes.items()}


def parameter_shapes(network: Network, image_shape: ImageShape) -> dict[str, tuple[int, ...]]:
    """The shape of each leaf of `params`, by path (`conv1/conv/kernel`)."""
    params = abstract_variables(network, image_shape).get("params", {})
    return {path: tuple(leaf.shape) for path, leaf in leaves_by_path(params).items()}


def leaves_by_path(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of a tree of nested mappings under their joined keys (`conv1/conv/kernel`)."""
    flat = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(str(getattr(k, "key", k)) for k in path): leaf for path, leaf in flat}


Role = Literal["kernel", "bias", "scale"]
"""What a parameter is: weights of products, summands, or factors of single channels."""

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("kernel", "kernels", "embedding", "deviation", "location"), "kernel"),
    **dict.fromkeys(("bias", "biases"), "bias"),
    **dict.fromkeys(("scale", "scales", "slope"), "scale"),
}


def role(path: str) -> Role:
    """What a parameter is, told by the last word of its name, never by its shape.

    `kernel`, `embedding` and what heads learn by place (`deviation`, `location`) are weights, and
    decay; `bias`, `scale` and `slope` are not. A word in front tells parameters of one layer apart:
    `recurrent_kernel`, `input_bias`. So a leaf keeps its role where a `Repeat` stacks it.

    Raises:
        AblaxError: The name, which may stand at the end of a path, says nothing.

    Example:
        >>> role("lstm/recurrent_kernel"), role("res2_to_res4/block/bn/scale")
        ('kernel', 'scale')
    """
    name = path.rpartition("/")[2]
    word = name.rpartition("_")[2]
    if word not in _ROLES:
        raise AblaxError(
            f"the parameter {path!r} may be a kernel, a bias or a scale: its name is expected to "
            f"say so, because kernels alone decay; call it {name}_kernel, {name}_bias or "
            f"{name}_scale"
        )
    return _ROLES[word]


def reinitialized(parent: Network, child: Network, image_shape: ImageShape) -> tuple[str, ...]:
    """The child's parameters whose initial values differ from the parent's.

    Those of another shape, of another initializer, or of a path the parent lacks; every other leaf
    is bit-equal to the parent's under the same seed. A leaf that both compute from the seed by the
    same operations is equal; where the operations differ, both networks are sampled and compared.
    The paths are in the child's order.
    """
    ours, theirs = (_computed(network, image_shape) for network in (child, parent))
    changed = [path for path in ours if ours[path] != theirs.get(path)]
    shapes = (parameter_shapes(network, image_shape) for network in (child, parent))
    here, there = shapes if changed else ({}, {})
    if all(here[path] != there.get(path) for path in changed):
        return tuple(changed)
    trees = (initialize(network, 0, image_shape)["params"] for network in (child, parent))
    new, old = (leaves_by_path(tree) for tree in trees)
    return tuple(p for p in changed if p not in old or not jnp.array_equal(new[p], old[p]))


def _computed(network: Network, image_shape: ImageShape) -> dict[str, list[Any]]:
    """How each parameter is computed from the key: the operations it depends on, in order."""
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)

    def params(key: Array, images: Array) -> Any:
        return network.init(key, images).get("params", {})

    closed, shapes = jax.make_jaxpr(params, return_shape=True)(jax.random.key(0), images)
    operations = closed.jaxpr.eqns
    made = {var: at for at, one in enumerate(operations) for var in one.outvars}
    given = {var: f"argument {at}" for at, var in enumerate(closed.jaxpr.invars)}
    given |= {
        var: f"constant {jnp.asarray(value).tolist()}"
        for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)
    }
    found = {}
    for path, end in zip(leaves_by_path(shapes), closed.jaxpr.outvars, strict=True):
        needed: set[int] = set()
        waiting = [end]
        while waiting:
            at = None if hasattr(var := waiting.pop(), "val") else made.get(var)
            if at is not None and at not in needed:
                needed.add(at)
                waiting += operations[at].invars
        names = dict(given)
        steps: list[Any] = [str(end.aval)]
        for at in sorted(needed):
            one = operations[at]
            # a literal says its value, and is no key of a mapping
            read = [str(v) if hasattr(v, "val") else names[v] for v in one.invars]
            names |= {var: f"{at_} of {len(steps)}" for at_, var in enumerate(one.outvars)}
            steps.append((one.primitive.name, str(one.params), *read))
        found[path] = steps
    return found
