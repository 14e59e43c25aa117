"""The page: the graphs as data, the libraries and our script in one file of HTML."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from ablax.analysis.cost import USUAL
from ablax.drawing.blocks import with_stages
from ablax.drawing.graph import Graph, Sight
from ablax.drawing.marks import Mark, marks

_LIBRARIES = ("vendored/elk.bundled.js", "vendored/d3.min.js")
_SCRIPTS = ("graph.js", "columns.js", "drawing.js", "controls.js")


def page(parent: Graph, child: Graph | None = None, what: str = "") -> str:
    """The drawing of a network, beside it that of the network after an ablation.

    Args:
        parent: The network.
        child: The same after the ablation, if there is one.
        what: The images, such as `"1 image of 32x32x3"`.

    Returns:
        The text of the file; it loads nothing.
    """
    graphs = [parent] if child is None else [parent, child]
    none: list[list[Mark]] = [[""] * len(parent.flow.nodes)]
    marked = none if child is None else list(marks(parent.flow, child.flow))
    paths = with_stages(*([node.path for node in graph.flow.nodes] for graph in graphs))
    data = {
        "what": what,
        "convention": USUAL.says,
        "networks": [
            _network(graph, each, paths) for graph, each in zip(graphs, marked, strict=True)
        ],
    }
    title = " beside ".join(graph.name for graph in graphs)
    return _filled(title, data)


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
            entry["sees"] = _sees(sight)
        nodes.append(entry)
    edges = [(edge.source, edge.target, edge.shape[1:]) for edge in graph.flow.edges]
    return {"name": graph.name, "nodes": nodes, "edges": edges, "unread": graph.unread}


def _sees(sight: Sight) -> dict[str, Any]:
    """A receptive field as text, in pixels."""
    text = {"size": "x".join(map(str, sight.size)) + (" or less" if sight.bounded else "")}
    if None not in sight.stride:
        text["stride"] = "x".join(map(str, sight.stride))
        text["offset"] = ", ".join(f"{each:g}" for each in sight.offset)
    return text


def _filled(title: str, data: dict[str, Any]) -> str:
    folder = resources.files("ablax.drawing")

    def text(name: str) -> str:
        return (folder / name).read_text("utf-8")

    scripts = "\n".join(f"<script>\n{text(name)}\n</script>" for name in (*_LIBRARIES, *_SCRIPTS))
    # "<" would end the script where a name held "</script>"
    numbers = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "title": html.escape(title),
        "style": text("drawing.css"),
        "data": numbers,
        "scripts": scripts,
    }
    before, *pieces = text("page.html").split("{{")
    return before + "".join(
        parts[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces)
    )
