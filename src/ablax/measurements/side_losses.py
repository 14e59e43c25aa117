"""The gradient of the whole training loss by layer, that of side classifiers included.

A side classifier (`ablax.layers.Auxiliary`) on an inner layer ends a shorter network: the layers up
to there, then the side's head. So the gradient of the training loss

    L = L(scores) + weight (L(side scores 1) + L(side scores 2) + ...)

is the sum of the gradients of the whole network and of these shorter ones. `gradient_norms` alone
takes that of L(scores), which side classifiers do not change before training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from ablax.core import Layers, Network, gradients, inner_layers
from ablax.errors import AblaxError
from ablax.layers import Auxiliary
from ablax.measurements.gradient_norms import gradient_norms, kernel_norms, output_row
from ablax.measurements.gradient_pictures import Panels
from ablax.measurements.measurement import Measurement
from ablax.measurements.subject import Subject
from ablax.report.study import Row

IMAGES = 128
"""Training images of the loss."""

Outputs = dict[str, Array]
Slopes = dict[str, Any]
Loss = Callable[[Float[Array, "N classes"]], Float[Array, ""]]


def training_gradients(
    network: Network,
    variables: Mapping[str, Any],
    images: Float[Array, "N H W C"],
    loss: Loss,
    weight: float | Float[Array, ""],
) -> tuple[Outputs, Slopes]:
    """The derivatives of the training loss by the outputs of the outer layers and by parameters.

    Args:
        network: Its side classifiers, if any, stand among the layers of tail and body.
        variables: `params`, and `batch_stats` where there are any.
        images: What to show it.
        loss: From the scores of the network, or of a side classifier, to one number.
        weight: Of the loss of each side classifier.

    Returns:
        dL/dy by the name of each layer of tail and body that is no side classifier; dL/dW as the
        parameters lie.

    Raises:
        AblaxError: A side classifier inside a chain or a block.
    """
    _refuse_inner(network.layers)
    outputs, slopes = gradients(network, variables, images, loss, outer_layers(network))
    for name, shorter in side_networks(network).items():
        head = tuple(shorter.head)
        own = _of_side(variables, name)
        more, pulled = gradients(shorter, own, images, loss, outer_layers(shorter))
        for layer, gradient in more.items():
            outputs[layer] = outputs[layer] + weight * gradient
        slopes = _added(slopes, name, head, pulled, weight)
    return outputs, slopes


def side_networks(network: Network) -> dict[str, Network]:
    """By the name of each side classifier, the network that ends in it.

    Example:
        >>> from ablax.core import insert_after
        >>> from ablax.zoo import heads, lenet5
        >>> side = Auxiliary(heads.global_average_pool(10))
        >>> shorter = side_networks(insert_after("c1", side=side)(lenet5()))
        >>> [list(found.layers) for found in shorter.values()]
        [['c1', 'average', 'classifier']]
    """
    trunk = network.tail + network.body
    names = list(trunk)
    found = {}
    for at, name in enumerate(names):
        layer = trunk[name]
        if isinstance(layer, Auxiliary):
            below = {n: trunk[n] for n in names[:at] if not isinstance(trunk[n], Auxiliary)}
            found[name] = Network(Layers(below), Layers(), layer.head)
    return found


def outer_layers(network: Network) -> tuple[str, ...]:
    """The layers of tail and body, whole, without side classifiers."""
    trunk = network.tail + network.body
    return tuple(name for name in trunk if not isinstance(trunk[name], Auxiliary))


def _refuse_inner(layers: Layers, depth: int = 0) -> None:
    for name, layer in layers.items():
        if depth and isinstance(layer, Auxiliary):
            raise AblaxError(
                f"the side classifier {name!r} stands inside another layer: put it behind that "
                "layer, in the tail or the body"
            )
        for inner in inner_layers(layer).values():
            _refuse_inner(inner, depth + 1)


def _of_side(variables: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The variables with those of a side's head in the place of the network's head."""
    return {kind: {**tree, **tree.get(name, {})} for kind, tree in variables.items()}


def _added(
    slopes: Slopes,
    name: str,
    head: tuple[str, ...],
    pulled: Mapping[str, Any],
    weight: float | Float[Array, ""],
) -> Slopes:
    """The slopes of a side's loss, times its weight, added where each parameter lies."""

    def add(total: Any, more: Any) -> Any:
        return jax.tree.map(lambda a, b: a + weight * b, total, more)

    trunk = {
        layer: add(tree, pulled[layer]) if layer in pulled and layer not in head else tree
        for layer, tree in slopes.items()
    }
    side = {layer: add(tree, pulled[layer]) for layer, tree in slopes.get(name, {}).items()}
    return {**trunk, **({name: side} if side else {})}


@partial(jax.jit, static_argnums=0)
def _gradients(
    network: Network,
    variables: Mapping[str, Any],
    images: Float[Array, "N H W C"],
    labels: Int[Array, " N"],
    weight: Float[Array, ""],
) -> tuple[Outputs, Slopes]:
    def mean_loss(scores: Float[Array, "N classes"]) -> Float[Array, ""]:
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    return training_gradients(network, variables, images, mean_loss, weight)


def measure(subject: Subject, images: int = IMAGES) -> list[Row]:
    """The gradient of the training loss of some images, by outputs and by kernels.

    The rows are those of `ablax.measurements.gradient_norms.measure`; layers and kernels of side
    classifiers have none, so that places count the same in every variant.

    Args:
        subject: The network at one moment; its recipe has the weight of the side losses.
        images: How many training images.
    """
    batch = jnp.asarray(subject.normalized(subject.train.images[:images]))
    labels = jnp.asarray(subject.train.labels[:images])
    weight = jnp.asarray(subject.recipe.train.auxiliary_weight)
    found = _gradients(subject.network, subject.variables, batch, labels, weight)
    outputs, slopes = jax.device_get(found)
    weights = jax.device_get(subject.variables["params"])
    sides = side_networks(subject.network)
    kernels = [
        kernel
        for kernel in kernel_norms(subject.network, weights, slopes)
        if kernel[0].split("/")[0] not in sides
    ]
    return [
        output_row(place, layer, outputs[layer])
        for place, layer in enumerate(outer_layers(subject.network), start=1)
    ] + [
        {"of": "kernel", "layer": layer, "place": place, "gradient": norm, "pull": norm * size}
        for place, (layer, norm, size) in enumerate(kernels, start=1)
    ]


def training_gradient_norms(panels: Panels) -> Measurement:
    """`gradient_norms` of the training loss: with the losses of the side classifiers.

    Args:
        panels: As for `gradient_norms`.
    """
    alone = gradient_norms(panels)
    text = (
        f"{alone.section.text} The loss is that of the training: side classifiers add theirs, "
        "times their weight."
    )
    return dataclasses.replace(
        alone, measure=measure, section=dataclasses.replace(alone.section, text=text)
    )
