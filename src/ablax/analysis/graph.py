"""The graph of a JAX function as data flows through it, read from its jaxpr.

Read from a network's value, class by class, it would not know what a user's module does. In the
jaxpr an arrow is an array that one layer writes and another reads, so skips, branches and
concatenations show by themselves; and what computes nothing (a dropout at inference, a new shape)
is no node. The nodes are the layers of `cost`, in the order of its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ablax.analysis.cost import layers, shared_root, total_macs
from ablax.analysis.jaxpr import Value, flow


@dataclass(frozen=True)
class Node:
    """A layer, or an operation that stands in a block, such as the sum of a residual block.

    Attributes:
        path: The names around it, outermost first; the name that all share is left out.
        operation: What it does, such as `"convolution 3x3/2"`, of the family `"convolution"`.
        input_shape: Of its largest input.
        leaves: The parameters that it reads, as paths: `"params/conv1/conv/kernel"`.
    """

    path: tuple[str, ...]
    operation: str
    family: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    leaves: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """An array, of the shape in which it was written, from one node to a later one, by number."""

    source: int
    target: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class DataFlow:
    """A function as a directed graph without cycles; its edges, all forward, are there once each.

    The nodes are first the inputs (family `"input"`), then the layers in the order of execution,
    then the outputs (family `"output"`).
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def layers(self) -> range:
        """The numbers of the nodes that are layers, in the order of the rows of `cost`."""
        ends = [node.family for node in self.nodes]
        return range(ends.count("input"), len(ends) - ends.count("output"))

    def into(self, node: int) -> tuple[int, ...]:
        """The nodes from which an edge leads to this one."""
        return tuple(edge.source for edge in self.edges if edge.target == node)


def data_flow(fn: Callable[..., Any], *args: Any, parameters: int | None = 0) -> DataFlow:
    """The graph of `fn(*args)`; nothing is computed.

    A loop is drawn once: its body, entered by what it starts from and by what it takes slices of.
    Arguments are those of `cost`; the parameters are no inputs of the graph.

    Raises:
        ValueError: There is no such argument.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def residual(weights, x):
        ...     with jax.named_scope("fc"):
        ...         y = jnp.tanh(x @ weights)
        ...     with jax.named_scope("sum"):
        ...         return x + y
        >>> shapes = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((3, 3), (1, 3)))
        >>> graph = data_flow(residual, *shapes)
        >>> [node.operation for node in graph.nodes]
        ['input', 'dense', 'tanh', 'add', 'output']
        >>> [(edge.source, edge.target) for edge in graph.edges]
        [(0, 1), (1, 2), (0, 3), (2, 3), (3, 4)]
    """
    traced = flow(fn, *args, parameters=parameters, weight=total_macs)
    found = layers(traced)
    root = shared_root(found)
    names = ["/".join(path) for path in traced.paths]
    nodes = [_end("input", value) for value in traced.inputs]
    writers = {value: number for number, value in enumerate(traced.inputs)}
    edges: dict[Edge, None] = {}
    for number, layer in enumerate(found, start=len(traced.inputs)):
        nodes.append(
            Node(
                path=layer.path[root:],
                operation=layer.operation.name,
                family=layer.operation.family,
                input_shape=layer.input_shape,
                output_shape=layer.output_shape,
                leaves=tuple(names[leaf] for leaf in sorted(layer.leaves)),
            )
        )
        for value in layer.reads:
            edges |= _edge(value, number, writers)
        for step in layer.steps:
            writers.update(dict.fromkeys(step.writes, number))
    results = {value.origin: value for value in traced.outputs if value.kind == "activation"}
    for value in results.values():  # each array once
        made = _edge(value, len(nodes), writers)
        if made:  # else it depends on no input
            nodes.append(_end("output", value))
            edges |= made
    return DataFlow(tuple(nodes), tuple(edges))


def _end(kind: str, value: Value) -> Node:
    return Node((), kind, kind, value.shape, value.shape)


def _edge(value: Value, target: int, writers: dict[Value, int]) -> dict[Edge, None]:
    """The edge that brings a value to a node: none when no node has written it."""
    origin: Value | None = value.origin
    while origin is not None and origin not in writers:
        origin = origin.whole or origin.began
        origin = None if origin is None else origin.origin
    if origin is None:
        return {}
    return {Edge(writers[origin], target, value.origin.shape): None}
