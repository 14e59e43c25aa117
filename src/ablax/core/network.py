"""`Network(tail, body, head)`: a value to read, to cut, to initialize and to apply."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.core.layers import Layers, run
from ablax.errors import AblaxError

ImageShape = tuple[int, int, int]


class Network(nn.Module):
    """A convolutional network in three parts: head(body(tail(images))).

    The tail takes the image down to a size the body works at, the body builds features, the head
    turns them into class scores (L2, "tail, body, head"). The three share one name space, so a
    parameter path is the layer's name in the paper (`conv1/conv/kernel`), whichever part holds it.

    An ablation is a function from Network to Network (`ablax.core.edits`). Linen draws a
    parameter's initial value from the key and its path, so an ablated network and its parent start
    from bit-equal weights wherever path and shape agree.

    Attributes:
        tail: Layers from the image, (N, H, W, C).
        body: Layers between.
        head: Layers to the scores, (N, classes), before the softmax.

    Raises:
        AblaxError: Two parts hold a layer of the same name.
    """

    tail: Layers
    body: Layers
    head: Layers

    def __post_init__(self) -> None:
        _ = self.tail + self.body + self.head  # refuses a name that stands twice
        super().__post_init__()

    @nn.compact
    def __call__(self, images: Float[Array, "N H W C"]) -> Float[Array, "N *scores"]:
        """Class scores of the images."""
        return run(self.head, run(self.body, run(self.tail, images)))

    @property
    def layers(self) -> Layers:
        """All layers, from the image to the scores."""
        return self.tail + self.body + self.head


def initialize(network: Network, seed: int, image_shape: ImageShape) -> dict[str, Any]:
    """The network's initial variables, drawn leaf by leaf.

    `lazy_init` runs the initializers and leaves the images abstract, so that no layer is computed
    or compiled; the values are those of `init`, bit for bit. (`jax.jit(network.init)` takes 30 s to
    compile for 56 layers.) Only `params` and `batch_stats` are returned: `init` also returns what
    layers put aside for training, which is no part of the state.

    Args:
        network: Any network.
        seed: Of the key from which every leaf is drawn, by its path.
        image_shape: (H, W, C) in pixels and channels.

    Returns:
        `{"params": ...}`, and `"batch_stats"` where the network has batch normalization.

    Raises:
        LayerError: The network does not fit images of this shape.
    """
    check(network, image_shape)
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    variables = network.lazy_init(jax.random.key(seed), images)
    return {name: tree for name, tree in variables.items() if name in ("params", "batch_stats")}


def abstract_variables(network: Network, image_shape: ImageShape) -> dict[str, Any]:
    """`initialize` in shapes only: nothing is computed and nothing is allocated.

    Raises:
        LayerError: The network does not fit images of this shape.
    """
    _check_image_shape(image_shape)
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    return dict(jax.eval_shape(network.init, jax.random.key(0), images))


def check(network: Network, image_shape: ImageShape, classes: int | None = None) -> None:
    """Refuse, before anything compiles, a network that does not fit the images or the classes.

    Args:
        network: Any network.
        image_shape: (H, W, C) in pixels and channels.
        classes: How many scores an image must get; None accepts any.

    Raises:
        LayerError: A layer does not fit its input; the message has its name and both shapes.
        AblaxError: The scores have another shape than (N, classes).
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
    """How many numbers the network learns; running statistics are not among them.

    Args:
        network: Any network.
        image_shape: (H, W, C): a fully connected layer's kernel depends on it.

    Returns:
        The sum of the sizes of all leaves of `params`.
    """
    return sum(parameter_sizes(network, image_shape).values())


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


def redrawn(parent: Network, child: Network, image_shape: ImageShape) -> tuple[str, ...]:
    """The child's parameters that do not start where the parent's do, found by drawing both.

    Those of another shape, of another initializer, or of a path the parent lacks; every other leaf
    is bit-equal to the parent's under the same seed.

    Returns:
        Paths, in the child's order.
    """
    trees = (initialize(network, 0, image_shape).get("params", {}) for network in (child, parent))
    ours, theirs = (leaves_by_path(tree) for tree in trees)
    return tuple(
        path
        for path, leaf in ours.items()
        if path not in theirs or not jnp.array_equal(leaf, theirs[path])
    )


def _check_image_shape(image_shape: ImageShape) -> None:
    if len(image_shape) != 3 or any(size < 1 for size in image_shape):
        raise AblaxError(
            f"the image shape is {image_shape}, and (height, width, channels), each at least 1, "
            "is expected"
        )
