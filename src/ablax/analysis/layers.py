"""The layers of a function: steps under one name that belong together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ablax.analysis.flow import Flow, Step, Value
from ablax.analysis.operations import MOVES, PRODUCTS, Operation, operation


@dataclass(frozen=True, eq=False)
class Layer:
    """A few steps that a table shows as one row.

    Attributes:
        path: The names around it, outermost first.
        operation: What it does.
        steps: Its steps, in order.
        reads: The activations that it reads and has not written, each once.
        writes: The activations that others read, or that are results.
        leaves: The parameters that it reads, by number.
    """

    path: tuple[str, ...]
    operation: Operation
    steps: tuple[Step, ...]
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    leaves: frozenset[int]

    @property
    def trips(self) -> int | None:
        """How often it runs."""
        return self.steps[0].equation.trips

    @property
    def main(self) -> Step:
        """The product, or the last step."""
        products = [step for step in self.steps if step.equation.primitive in PRODUCTS]
        return products[0] if products else self.steps[-1]

    @property
    def has_bias(self) -> bool:
        """Whether a parameter is added behind a product."""
        return bool(self.bias_leaves)

    @property
    def bias_leaves(self) -> frozenset[int]:
        """The parameters that are added behind a product."""
        if self.operation.family not in ("convolution", "dense", "product"):
            return frozenset()
        added = (step for step in self.steps if adds_parameter(step))
        return frozenset().union(*(value.leaves for step in added for value in step.reads))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the largest activation that it reads, as it reads it."""
        outside = set(self.reads)
        steps = (self.main,) if self.main.equation.primitive in PRODUCTS else self.steps
        read = [v.shape for step in steps for v in step.reads if v.origin in outside]
        return max(read, key=math.prod, default=())

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of what it writes last."""
        return (self.writes or self.steps[-1].writes)[-1].shape

    @property
    def note(self) -> str:
        """What a reader of the row has to know."""
        words = []
        if self.steps[0].chosen:
            words.append("dearest branch of a cond")
        if self.trips is not None and self.trips > 1:
            words.append(f"runs {self.trips} times")
        return ", ".join(words)


def layers(traced: Flow) -> list[Layer]:
    """The layers of a function, in the order of execution.

    Steps that stand one behind the other under one name are one layer; a product or a maximum over
    windows begins another, and keeps its bias. Where every layer has a name of its own, as in
    Linen, that gives the layers as written; in a function without names, every product a layer and
    what stands between two a layer. What prepares parameters or constants alone is no layer.

    Args:
        traced: What `flow` gives.

    Returns:
        The layers; one that only looks at its input in another shape is left out.
    """
    pieces = [piece for run in _runs(traced.steps) for piece in _pieces(run)]
    read: dict[Value, set[int]] = {}
    for place, piece in enumerate(pieces):
        for step in piece:
            for value in step.reads:
                read.setdefault(value.origin, set()).add(place)
    results = {value.origin for value in (*traced.outputs, *traced.escaped)}
    return [_layer(piece, place, read, results) for place, piece in enumerate(pieces)]


def _runs(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Steps that work on activations, one name after another."""
    working = [
        step
        for step in steps
        if step.equation.primitive in PRODUCTS
        or any(value.kind == "activation" for value in step.reads)
    ]
    for _, run in groupby(working, key=lambda step: (step.equation.scope, step.equation.trips)):
        yield list(run)


def _pieces(run: list[Step]) -> Iterator[list[Step]]:
    """Cut what stands under one name where a new layer begins."""
    piece: list[Step] = []
    closed = False  # is the piece a product or pool that only takes its bias?
    for step in run:
        name = step.equation.primitive
        begins = name in PRODUCTS or name == "reduce_window_max"
        # a change of place or sign belongs to what follows
        prepared = begins and all(s.equation.primitive in MOVES | {"neg"} for s in piece)
        kept = closed and not begins and (adds_parameter(step) or name in MOVES | {"neg"})
        if piece and not prepared and not kept and (begins or closed):
            yield piece
            piece, closed = [], False
        piece.append(step)
        closed = closed or begins
    if piece:
        yield piece


def adds_parameter(step: Step) -> bool:
    """Whether a step adds a parameter to an activation, as a bias is added."""
    kinds = sorted(value.kind for value in step.reads)
    return step.equation.primitive in ("add", "add_any") and kinds == ["activation", "parameter"]


def _layer(
    piece: list[Step], place: int, read: dict[Value, set[int]], results: set[Value]
) -> Layer:
    written = {value for step in piece for value in step.writes}
    reads: dict[Value, None] = {}
    leaves: set[int] = set()
    for step in piece:
        for value in step.reads:
            leaves |= value.leaves
            if value.kind == "activation" and value.origin not in written:
                reads.setdefault(value.origin)
    writes = tuple(
        value
        for step in piece
        for value in step.writes
        if value in results or read.get(value, set()) - {place}
    )
    outside = tuple(reads)
    path = piece[0].equation.scope
    return Layer(path, operation(piece, outside), tuple(piece), outside, writes, frozenset(leaves))
