"""A network drawn as data flows through it: one HTML page."""

from __future__ import annotations

import html
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from itertools import groupby
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from ablax.analysis.cost import USUAL, CostRow, DataFlow, Node, cost, data_flow
from ablax.analysis.receptive_field import receptive_fields
from ablax.core import ImageShape, Network, abstract_variables
from ablax.errors import AblaxError

# ------------------------------------------------------------------------------------------
# The blocks of a network, in which the drawing groups its nodes.
#
# A block is a name that holds layers (`inception_3a`). Deep networks have too many for one look:
# neighbors that the paper numbers as one stage (`res4a`, `res4b1`, ...; `dense2_1`, ...) form a
# block of their own, named after what their names share.

Path = tuple[str, ...]

_STAGES = (
    re.compile(r"(.*[0-9])_(?:[0-9]+|dw|pw)"),  # dense2_12, conv3_1, conv2_dw
    re.compile(r"(.*[0-9])[a-z][0-9]*"),  # res4b12, inception_3a, conv_2b
    re.compile(r"(.*_[a-z])[0-9]+"),  # inception_a4
)


def stage(name: str) -> str | None:
    """The part of a layer's name that its stage shares, if it has one.

    Example:
        >>> [stage(name) for name in ("res4b12", "dense2_3", "inception_3a", "conv1", "fc7")]
        ['res4', 'dense2', 'inception_3', None, None]
    """
    for pattern in _STAGES:
        if found := pattern.fullmatch(name):
            return found[1]
    return None


def with_stages(paths: Sequence[Path], also: Sequence[Path] = ()) -> dict[Path, Path]:
    """From each path to the blocks around it and its own name, outermost first.

    In front stands the stage, where neighbors belong to the same one, written `"res4 ..."`, so that
    it is never taken for a layer. The paths are those of the nodes, in the order of execution, and
    of another network that is drawn with the same blocks, as an ablated one.

    Example:
        >>> grouped = with_stages([("conv1",), ("res2a", "conv"), ("res2b", "conv"), ("fc",)])
        >>> [list(path) for path in grouped.values()]
        [['conv1'], ['res2 ...', 'res2a', 'conv'], ['res2 ...', 'res2b', 'conv'], ['fc']]
    """
    stages: dict[str, str] = {}
    for each in (paths, also):
        top = dict.fromkeys(path[0] for path in each if path)
        for shared, run in groupby(top, key=stage):
            names = list(run)
            if shared is not None and len(names) > 1:
                stages |= dict.fromkeys(names, f"{shared} ...")
    return {
        path: (stages[path[0]], *path) if path and path[0] in stages else path
        for path in (*paths, *also)
    }


class Sight(NamedTuple):
    """The receptive field of a node: the fields of `ReceptiveField` of these names."""

    size: tuple[int, ...]
    stride: tuple[Fraction | None, ...]
    offset: tuple[float, ...]
    bounded: bool


@dataclass(frozen=True)
class Graph:
    """A network as nodes and edges, with the numbers of each node.

    Costs are those of the nodes that are layers, sights of the nodes that have one, by the node's
    number. No node reads the `unread` parameters, such as those of a classifier for training alone.
    """

    name: str
    flow: DataFlow
    costs: dict[int, CostRow]
    sights: dict[int, Sight]
    unread: int = 0


def network_graph(name: str, network: Network, image_shape: ImageShape) -> Graph:
    """The graph of a network at inference, for one image of (H, W, C); nothing is computed.

    Raises:
        LayerError: The network does not fit images of this shape.
        AblaxError: The cost cannot be counted, as of a `while` loop.
    """
    variables = abstract_variables(network, image_shape)
    kept = {kind: tree for kind, tree in variables.items() if kind in ("params", "batch_stats")}
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    # traced once: the three analyses read the same jaxpr
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


Mark = Literal["", "removed", "added", "changed"]


def marks(parent: DataFlow, child: DataFlow) -> tuple[list[Mark], list[Mark]]:
    """A mark for each node of the graphs before and after an ablation.

    Nodes of one path and family are the same layer. Of the parent those are "removed" which the
    child lacks, of the child "added" which the parent lacks. In both, "changed" stands where the
    operation or the shape of input or output differs, as behind a layer that was removed.

    Example:
        >>> def path(*names):
        ...     nodes = [Node((name,), "ReLU", "nonlinearity", (1, 8), (1, 8)) for name in names]
        ...     return DataFlow(tuple(nodes), ())
        >>> marks(path("conv1", "conv2", "conv3"), path("conv1", "conv3"))
        (['', 'removed', ''], ['', ''])
    """
    before, after = _laws(parent.nodes), _laws(child.nodes)
    return _against(before, after, "removed"), _against(after, before, "added")


def _laws(nodes: Sequence[Node]) -> dict[object, object]:
    """What each layer does; of several of one path and family each has a number."""
    seen: Counter[object] = Counter()
    found: dict[object, object] = {}
    for node in nodes:
        layer = (node.path, node.family)
        found[layer, seen[layer]] = (node.operation, node.input_shape, node.output_shape)
        seen[layer] += 1
    return found


def _against(ours: dict[object, object], theirs: dict[object, object], alone: Mark) -> list[Mark]:
    return [
        alone if key not in theirs else "" if law == theirs[key] else "changed"
        for key, law in ours.items()
    ]


_LIBRARIES = ("vendored/elk.bundled.js", "vendored/d3.min.js")
_SCRIPTS = ("graph.js", "columns.js", "drawing.js", "controls.js")


def page(parent: Graph, child: Graph | None = None, what: str = "") -> str:
    """The drawing of a network, beside it that of the network after an ablation.

    A file of HTML that loads nothing; `what` are the images, such as `"1 image of 32x32x3"`.
    """
    graphs = [parent] if child is None else [parent, child]
    none: list[list[Mark]] = [[""] * len(parent.flow.nodes)]
    marked = none if child is None else list(marks(parent.flow, child.flow))
    paths = with_stages(*([node.path for node in graph.flow.nodes] for graph in graphs))
    drawn = [_network(graph, each, paths) for graph, each in zip(graphs, marked, strict=True)]
    data = {"what": what, "convention": USUAL.says, "networks": drawn}
    return _filled(" beside ".join(graph.name for graph in graphs), data)


def _network(graph: Graph, marked: Sequence[Mark], paths: dict[Any, Any]) -> dict[str, Any]:
    nodes = []
    for number, (node, mark) in enumerate(zip(graph.flow.nodes, marked, strict=True)):
        entry: dict[str, Any] = {
            "path": paths[node.path],
            "operation": node.operation,
            "family": node.family,
            "input": node.input_shape[1:],
            "output": node.output_shape[1:],
        }
        if mark:
            entry["mark"] = mark
        if row := graph.costs.get(number):
            entry |= {"macs": row.macs, "parameters": row.parameters, "memory": row.memory}
            if row.note:
                entry["note"] = row.note
        if sight := graph.sights.get(number):
            sees = {"size": "x".join(map(str, sight.size)) + (" or less" if sight.bounded else "")}
            if None not in sight.stride:
                sees["stride"] = "x".join(map(str, sight.stride))
                sees["offset"] = ", ".join(f"{each:g}" for each in sight.offset)
            entry["sees"] = sees  # in pixels
        nodes.append(entry)
    edges = [(edge.source, edge.target, edge.shape[1:]) for edge in graph.flow.edges]
    return {"name": graph.name, "nodes": nodes, "edges": edges, "unread": graph.unread}


def _filled(title: str, data: dict[str, Any]) -> str:
    folder = resources.files("ablax.inspection").joinpath("drawing")

    def text(name: str) -> str:
        return (folder / name).read_text("utf-8")

    scripts = "\n".join(f"<script>\n{text(name)}\n</script>" for name in (*_LIBRARIES, *_SCRIPTS))
    # "<" would end the script where a name held "</script>"
    numbers = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    parts = {"title": html.escape(title), "style": text("drawing.css")}
    parts |= {"data": numbers, "scripts": scripts}
    return re.sub(r"{{(\w+)}}", lambda place: parts[place[1]], text("page.html"))
