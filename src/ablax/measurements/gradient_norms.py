"""The gradient by layer: does it vanish, does it explode, and when?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from ablax.core import Network, gradients, leaves_by_path, paths
from ablax.measurements.gradient_pictures import NAME, Panels, section
from ablax.measurements.measurement import Measurement
from ablax.measurements.subject import Subject
from ablax.report.study import Quantity, Row

IMAGES = 128
"""Training images of the loss."""


def kernel_norms(
    network: Network, weights: Mapping[str, Any], slopes: Mapping[str, Any]
) -> tuple[tuple[str, float, float], ...]:
    """Of every kernel, in the order of the layers: its layer, the norm of its gradient, its own.

    Args:
        network: Gives the order.
        weights: The parameters.
        slopes: The gradient of a loss by them.

    Returns:
        Path of the layer, |dL/dW|, |W|; kernels are parameters of two axes and more.
    """
    held, pulled = leaves_by_path(weights), leaves_by_path(slopes)
    order = {path: place for place, path in enumerate(paths(network))}
    kernels = [path for path, leaf in held.items() if np.ndim(leaf) > 1]
    kernels.sort(key=lambda path: order.get(path.rpartition("/")[0], len(order)))
    return tuple(
        (
            path.rpartition("/")[0],
            float(np.linalg.norm(np.ravel(pulled[path]))),
            float(np.linalg.norm(np.ravel(held[path]))),
        )
        for path in kernels
    )


def measure(subject: Subject, images: int = IMAGES) -> list[Row]:
    """The gradient of the mean loss of some training images, by outputs and by kernels.

    As in a training step: batch normalization uses the batch's own statistics. Without distortions
    and dropout, so that all variants and moments are measured by the same function.

    The two tell different things. The gradient by the outputs is what travels down: it fades or
    grows by a factor a layer. The gradient by a kernel is that times the layer's input; where
    activations shrink on their way up as the gradient does on its way down, kernels of all layers
    pull alike, and all too little.

    Args:
        subject: The network at one moment.
        images: How many training images.

    Returns:
        A row an outer layer, `of` "output": `layer`; `place` from 1; `gradient`, the root mean
        square over the images of |dl/dy|, the norm of the gradient of an image's own loss. A row a
        kernel, `of` "kernel": `gradient` is |dL/dW| of the mean loss, and `pull` is |W| |dL/dW|,
        to first order by how much the loss changes when the kernel changes by its own size.

    References:
        Glorot, Bengio 2010, Understanding the difficulty of training deep feedforward neural
        networks, where both are drawn.
    """
    batch = jnp.asarray(subject.normalized(subject.train.images[:images]))
    labels = jnp.asarray(subject.train.labels[:images])
    found = jax.device_get(_gradients(subject.network, subject.variables, batch, labels))
    outputs, slopes = found
    weights = jax.device_get(subject.variables["params"])
    kernels = kernel_norms(subject.network, weights, slopes)
    places = enumerate(_outer_layers(subject.network), start=1)
    return [output_row(place, layer, outputs[layer]) for place, layer in places] + [
        {"of": "kernel", "layer": layer, "place": place, "gradient": norm, "pull": norm * size}
        for place, (layer, norm, size) in enumerate(kernels, start=1)
    ]


def output_row(place: int, layer: str, gradient: Float[np.ndarray, "N *rest"]) -> Row:
    """The row of one layer's output: root mean square over images of their own losses' gradients.

    Args:
        place: Of the layer, from 1.
        layer: Its name.
        gradient: Of the mean loss over N images; N times it is that of an image's own loss.
    """
    size = math.sqrt(len(gradient)) * float(np.linalg.norm(np.ravel(gradient)))
    return {"of": "output", "layer": layer, "place": place, "gradient": size}


def _outer_layers(network: Network) -> tuple[str, ...]:
    """The layers of tail and body, whole: blocks, not what is in them."""
    return (*network.tail, *network.body)


@partial(jax.jit, static_argnums=0)
def _gradients(
    network: Network,
    variables: Mapping[str, Any],
    images: Float[Array, "N H W C"],
    labels: Int[Array, " N"],
) -> tuple[dict[str, Array], Any]:
    """Of the mean loss: by the outputs of the outer layers, and by the parameters."""

    def loss_of(scores: Float[Array, "N classes"]) -> Float[Array, ""]:
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    return gradients(network, variables, images, loss_of, _outer_layers(network))


def decades(rows: tuple[Row, ...], moment: Callable[[list[float]], float] = min) -> float:
    """What is left of the gradient when it reaches the first layers, in powers of ten.

    log10(a / z) with a the `gradient` by the output of the first outer layer and z by that of the
    last: below 0 it vanishes on its way down, above 0 it explodes.

    Args:
        rows: Of one run.
        moment: Picks a step among all steps: `min` the start, `max` the end.

    Example:
        >>> rows = tuple(
        ...     {"of": "output", "step": 0, "place": p, "gradient": 10.0**p} for p in (1, 2, 6)
        ... )
        >>> decades(rows)
        -5.0
    """
    own = [row for row in rows if row["of"] == "output"]
    step = moment([row["step"] for row in own])
    chosen = sorted((row for row in own if row["step"] == step), key=lambda row: row["place"])
    first, last = chosen[0]["gradient"], chosen[-1]["gradient"]
    if not (0 < first < math.inf and 0 < last < math.inf):
        return math.nan
    return math.log10(first / last)


def pull(rows: tuple[Row, ...]) -> float:
    """log10 of the median `pull` of all kernels at the start: how hard training begins to pull.

    Example:
        >>> pull(({"of": "kernel", "step": 0, "pull": 100.0}, {"of": "output", "step": 0}))
        2.0
    """
    own = [row for row in rows if row["of"] == "kernel"]
    start = min(row["step"] for row in own)
    middle = float(np.median([row["pull"] for row in own if row["step"] == start]))
    return math.log10(middle) if 0 < middle < math.inf else math.nan


def gradient_norms(panels: Panels) -> Measurement:
    """The gradient by layer before, during and after training.

    Args:
        panels: Title to groups of variants, for the picture of the start: a panel for each title;
            the variants of a group share a color and differ in their line.
    """
    return Measurement(
        name=NAME,
        measure=measure,
        section=section(panels),
        moments=("start", "training", "end"),
        quantities={
            "gradient_at_start": Quantity(
                "gradient at the first block over that at the last, before training, log10",
                decades,
                "decades",
            ),
            "gradient_at_end": Quantity(
                "gradient at the first block over that at the last, after training, log10",
                partial(decades, moment=max),
                "decades",
            ),
            "pull_at_start": Quantity("|W| |dL/dW| before training, log10", pull, "decades"),
        },
    )
