"""What every layer gives: the features of any layer by name, and the shape of each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Float, Real

from ablax.core.edits import paths, refuse_unknown
from ablax.core.network import Given, ImageShape, Network, abstract_variables
from ablax.errors import AblaxError


def features(
    network: Network,
    variables: Mapping[str, Any],
    images: Real[Given, "N H W C"],
    at: Sequence[str],
) -> dict[str, Array]:
    """The outputs of the named layers, as in a test: no dropout, kept batch statistics.

    The names are paths of layers at any depth, such as `["conv3", "res4b", "res5a/conv1"]`; each,
    in the order asked for, gets an array whose first axis is the images. Compiled once for a
    network, a shape of images and a list of names; layers behind the last named one are not
    computed.

    Raises:
        AblaxError: A name that no layer has, or a layer inside a `Repeat` or a `Tied`, which runs
            many times.

    Example:
        >>> from ablax.core import Layers
        >>> from ablax.layers import Dense, ReLU
        >>> head = Layers(fc1=Dense(2), relu=ReLU(), fc2=Dense(1))
        >>> network = Network(Layers(), Layers(), head)
        >>> fc1 = {"kernel": jnp.asarray([[1.0, -1.0]]), "bias": jnp.zeros(2)}
        >>> fc2 = {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}
        >>> images = jnp.full((3, 1, 1, 1), 5.0)
        >>> found = features(network, {"params": {"fc1": fc1, "fc2": fc2}}, images, ["fc1"])
        >>> found["fc1"][0]
        Array([[[ 5., -5.]]], dtype=float32)
    """
    refuse_unknown(at, paths(network))
    wanted = (at,) if isinstance(at, str) else tuple(at)
    found = _compiled(network, wanted, variables, images)
    return {name: found[name] for name in wanted}


@functools.partial(jax.jit, static_argnums=(0, 1))
def _compiled(
    network: Network, at: tuple[str, ...], variables: Mapping[str, Any], images: Array
) -> dict[str, Array]:
    found = _outputs(network, frozenset(at), variables, images)
    if hidden := [name for name in at if name not in found]:
        raise AblaxError(
            f"{', '.join(hidden)} runs in the loop of a Repeat or a Tied, many times over: ask for "
            "the whole loop, or for the layer in the network before `fold`"
        )
    return found


def output_gradients(
    network: Network,
    variables: Mapping[str, Any],
    images: Real[Given, "N H W C"],
    loss: Callable[[Float[Array, "N classes"]], Float[Array, ""]],
    at: Sequence[str],
) -> dict[str, Array]:
    """The derivative dL/dy of a loss by the output y of each named layer, with batch statistics.

    Batch normalization uses the batch's own statistics; no dropout. The losses of auxiliary
    classifiers are not part of it, and an `Ensemble`, which trains by nothing else, has a gradient
    of 0. Arguments, order and errors are those of `features`.

    Example:
        >>> from ablax.core import Layers
        >>> from ablax.layers import Dense
        >>> network = Network(Layers(), Layers(), Layers(fc=Dense(2)))
        >>> variables = {"params": {"fc": {"kernel": jnp.ones((1, 2)), "bias": jnp.zeros(2)}}}
        >>> images = jnp.ones((1, 1, 1, 1))
        >>> output_gradients(network, variables, images, lambda s: (s**2).sum(), ["fc"])["fc"]
        Array([[[[2., 2.]]]], dtype=float32)
    """

    def of_scores(params: Any) -> Float[Array, ""]:
        held = {**variables, "params": params}
        return loss(network.apply(held, images, mutable=["batch_stats", "auxiliary"])[0])

    outputs = output_shapes(network, images, at)
    return gradients(of_scores, variables.get("params", {}), outputs)[0]


def output_shapes(
    network: Network, images: Real[Given, "N H W C"], at: Sequence[str]
) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape and type of what the named layers give for these images; nothing is computed.

    Raises:
        AblaxError: As `output_gradients`.
    """
    shapes = layer_shapes(network, (images.shape[1], images.shape[2], images.shape[3]))
    refuse_unknown(at, shapes)
    count, floats = len(images), jnp.issubdtype(images.dtype, jnp.floating)
    kind = images.dtype if floats else jnp.float32  # nothing small can be added to integers
    return {name: jax.ShapeDtypeStruct((count, *shapes[name]), kind) for name in at}


def gradients(
    function: Callable[[Any], Float[Array, ""]],
    params: Any,
    outputs: Mapping[str, jax.ShapeDtypeStruct],
) -> tuple[dict[str, Array], Any]:
    """The derivatives of a function by the outputs of layers and by parameters, in one pass.

    The function, from parameters to one number, applies a network once. Something small is added to
    each output, whose shape `output_shapes` gives, and the function differentiated by it, at 0. The
    result is dL/dy by path, and dL/dW as the parameters W lie.
    """

    def moved(added: dict[str, Array], params: Any) -> Float[Array, ""]:
        def add(call: Any, given: Any, named: Any, context: Any) -> Any:
            y = call(*given, **named)
            path = "/".join(context.module.path)
            here = context.method_name == "__call__" and path in added
            return y + added[path] if here else y

        with nn.intercept_methods(add):
            return function(params)

    nothing = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in outputs.items()}
    return jax.grad(moved, argnums=(0, 1))(nothing, params)


def layer_shapes(network: Network, image_shape: ImageShape) -> dict[str, tuple[int, ...]]:
    """The shape of what each layer gives for one image, by path, in order; nothing is computed.

    Shapes are without the axis of the images, `(H, W, C)` or `(C,)`. The layers inside a `Repeat`
    or a `Tied` are left out.

    Raises:
        LayerError: The network does not fit images of this shape.
    """
    variables = abstract_variables(network, image_shape)
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    known = paths(network)
    found = jax.eval_shape(
        lambda v, x: _outputs(network, frozenset(known), v, x), variables, images
    )
    return {path: found[path].shape[1:] for path in known if path in found}


def _outputs(
    network: Network, at: frozenset[str], variables: Mapping[str, Any], images: Array
) -> dict[str, Array]:
    """The outputs of the layers of these paths, as far as they can be seen."""

    def wanted(module: nn.Module, method: str) -> bool:
        return method == "__call__" and "/".join(module.path) in at

    _, state = network.apply(
        variables, images, capture_intermediates=wanted, mutable=["intermediates"]
    )
    found = flatten_dict(state.get("intermediates", {}), sep="/")
    return {path.removesuffix("/__call__"): outputs[0] for path, outputs in found.items()}
