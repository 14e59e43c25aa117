"""The receptive fields of a network: `ablax.analysis` given the network's shapes and layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.analysis.effective_receptive_field import (
    EffectiveReceptiveField,
    Measure,
    effective_receptive_field,
)
from ablax.analysis.receptive_field import ReceptiveField, receptive_fields
from ablax.core import ImageShape, Network, abstract_variables, features
from ablax.errors import AblaxError, nearest


def network_receptive_fields(
    network: Network, image_shape: ImageShape, depth: int | None = None
) -> dict[str, ReceptiveField]:
    """What the units of each layer see of an image; nothing is computed.

    Args:
        network: Any network.
        image_shape: (H, W, C) in pixels and channels.
        depth: Names of a path that are looked at: 1 gives the paper's layers alone, None all.

    Returns:
        From the path of each layer to its receptive field, in the order of execution.

    Raises:
        LayerError: The network does not fit images of this shape.

    Example:
        >>> from ablax.zoo import lenet5
        >>> found = network_receptive_fields(lenet5(), (32, 32, 1), depth=1)
        >>> {layer: each.size for layer, each in found.items()}["s4"]
        (16, 16)
    """
    variables = abstract_variables(network, image_shape)
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    rows = receptive_fields(network.apply, variables, images)
    # the first name is the network's own
    return {
        "/".join(row.layer[1:]): row
        for row in rows
        if len(row.layer) > 1 and (depth is None or len(row.layer) <= depth + 1)
    }


def layers_named(
    fields: Mapping[str, ReceptiveField], names: Sequence[str]
) -> dict[str, ReceptiveField]:
    """The receptive fields of some layers.

    Raises:
        AblaxError: There is no such layer; the message names the nearest.
    """
    for name in names:
        if name not in fields:
            raise AblaxError(f"the network has no layer {name!r}: {nearest(name, list(fields))}")
    return {name: fields[name] for name in names}


def maps(fields: Mapping[str, ReceptiveField]) -> dict[str, ReceptiveField]:
    """The layers that give maps with a stride of their own; vectors have none."""
    return {
        path: each
        for path, each in fields.items()
        if len(each.shape) == 4 and None not in each.stride
    }


def spread_over_depth(fields: Mapping[str, ReceptiveField], count: int) -> list[str]:
    """Some layers that give maps, evenly from the first to the last, no size twice."""
    sizes: dict[tuple[int, ...], str] = {}
    for path, each in maps(fields).items():
        if min(each.size) > 1:
            sizes.setdefault(each.size, path)
    paths = list(sizes.values())
    if len(paths) <= count:
        return paths
    places = [round(i * (len(paths) - 1) / max(count - 1, 1)) for i in range(count)]
    return [paths[place] for place in places]


def network_effective_field(
    network: Network,
    variables: Mapping[str, Any],
    images: Float[Array, "N H W C"],
    layer: str,
    *,
    seed: int = 0,
    measure: Measure = "absolute",
) -> EffectiveReceptiveField:
    """How much each pixel moves the unit in the middle of a layer's map.

    Args:
        network: Any network.
        variables: Its weights and statistics, trained or not.
        images: What it is shown.
        layer: Its path; it gives maps.
        seed: Of the directions in which the unit's features are added up.
        measure: "absolute" or "squared" gradients.

    Returns:
        Heat map and Gaussian fit.

    Raises:
        AblaxError: There is no such layer, or it does not give maps.
    """

    def fn(images: Array) -> Array:
        return features(network, variables, images, at=[layer])[layer]

    try:
        return effective_receptive_field(fn, images, seed=seed, measure=measure)
    except ValueError as error:
        raise AblaxError(f"the effective receptive field of {layer}: {error}") from error
