"""The graph of a network with what each layer costs and sees.

All that the drawing takes from the analyses goes through this file. The network is traced once;
the three analyses then read the same jaxpr.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from ablax.analysis.cost import CostRow, cost
from ablax.analysis.graph import DataFlow, data_flow
from ablax.analysis.receptive_field import receptive_fields
from ablax.core import ImageShape, Network, abstract_variables
from ablax.errors import AblaxError


@dataclass(frozen=True)
class Sight:
    """The receptive field of a layer, rows before columns.

    Attributes:
        size: Pixels that a unit sees, as if the image had no end.
        stride: Pixels from a unit to the next, or None where the units lie in no map.
        offset: The center of what the first unit sees, in pixels from the first.
        bounded: A unit sees this much or less.
    """

    size: tuple[int, ...]
    stride: tuple[Fraction | None, ...]
    offset: tuple[float, ...]
    bounded: bool


@dataclass(frozen=True)
class Graph:
    """A network as nodes and edges, with the numbers of each node.

    Attributes:
        name: Of the network.
        flow: Nodes and edges.
        costs: The cost of each node that is a layer, by the node's number.
        sights: The receptive field of each node that has one, by the node's number.
        unread: Parameters that no node reads, such as those of a classifier for training alone.
    """

    name: str
    flow: DataFlow
    costs: dict[int, CostRow]
    sights: dict[int, Sight]
    unread: int = 0


def network_graph(name: str, network: Network, image_shape: ImageShape) -> Graph:
    """The graph of a network at inference, for one image; nothing is computed.

    Args:
        name: Its title in the drawing.
        network: Any network.
        image_shape: (H, W, C) in pixels and channels.

    Returns:
        The graph.

    Raises:
        LayerError: The network does not fit images of this shape.
        AblaxError: The cost cannot be counted, as of a `while` loop.
    """
    variables = abstract_variables(network, image_shape)
    kept = {kind: tree for kind, tree in variables.items() if kind in ("params", "batch_stats")}
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    traced = jaxpr_as_fun(jax.make_jaxpr(network.apply)(kept, images))

    def apply(variables: Any, images: Any) -> Any:
        return traced(*jax.tree.leaves((variables, images)))

    try:
        flow = data_flow(apply, kept, images)
        rows = cost(apply, kept, images)
    except ValueError as error:
        raise AblaxError(f"{name} cannot be drawn: {error}") from error
    seen = {
        row.layer: Sight(row.size, row.stride, row.offset, row.bounded)
        for row in receptive_fields(apply, kept, images)
    }
    read = [row for row in rows if row.operation.family != "unread"]
    return Graph(
        name=name,
        flow=flow,
        costs=dict(zip(flow.layers, read, strict=True)),
        sights=_sights(flow, seen),
        unread=sum(row.parameters for row in rows) - sum(row.parameters for row in read),
    )


def _sights(flow: DataFlow, seen: dict[tuple[str, ...], Sight]) -> dict[int, Sight]:
    """What each node sees: what its scope sees, when the scope is its alone.

    An operation that stands in a block beside other layers, such as a sum or a concatenation, sees
    what its inputs see together.
    """
    roots = {path[:1] for path in seen if path}
    skipped = 1 if len(roots) == 1 else 0  # `data_flow` leaves out a name that all share
    by_path = {path[skipped:]: sight for path, sight in seen.items() if len(path) > skipped}
    inside = [flow.nodes[number].path for number in flow.layers]
    blocks = {path[:depth] for path in inside for depth in range(len(path))}
    shared = blocks | {path for path in inside if inside.count(path) > 1}
    pixel = Sight((1, 1), (Fraction(1), Fraction(1)), (0.0, 0.0), False)
    found = dict.fromkeys(range(flow.layers.start), pixel)
    for number in flow.layers:
        node = flow.nodes[number]
        sight = by_path.get(node.path)
        if node.path in shared:
            merges = node.family == "elementwise" or node.operation == "concatenate"
            sight = _together([found.get(each) for each in flow.into(number)]) if merges else None
        if sight is not None:
            found[number] = sight
    return found


def _together(sights: Sequence[Sight | None]) -> Sight | None:
    """The hull of what several maps of one stride see; None when one of them is not known."""
    known = [sight for sight in sights if sight is not None]
    if not known or len(known) < len(sights) or len({sight.stride for sight in known}) > 1:
        return None
    axes = range(len(known[0].size))
    low = [min(sight.offset[axis] - sight.size[axis] / 2 for sight in known) for axis in axes]
    high = [max(sight.offset[axis] + sight.size[axis] / 2 for sight in known) for axis in axes]
    return Sight(
        size=tuple(math.ceil(high[axis] - low[axis]) for axis in axes),
        stride=known[0].stride,
        offset=tuple((low[axis] + high[axis]) / 2 for axis in axes),
        bounded=any(sight.bounded for sight in known),
    )
