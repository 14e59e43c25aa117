"""What a step of training costs: the forward pass, both gradients, and what is kept for them.

Of a product y = x w the gradient by x and the gradient by w are sums over the same triples of
numbers as y, so each costs what y costs. Where x depends on nothing that is learned, nobody asks
for its gradient: the first layer has none, and training costs three times the forward pass minus
that gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import jax

from ablax.analysis.cost import CostRow, cost, fold, learned_sizes
from ablax.analysis.flow import Flow, Value, flow
from ablax.analysis.layers import Layer, layers
from ablax.analysis.operations import PRODUCTS, Operation
from ablax.analysis.product_macs import total_macs


@dataclass(frozen=True)
class TrainingRow:
    """What one layer costs in a step of training, in the usual convention.

    Attributes:
        path: The layer's name.
        operation: What it does.
        output_shape: The shape of its output.
        forward: Multiply-accumulates of the forward pass.
        by_input: Those of the gradient by its input.
        by_weights: Those of the gradient by its weights.
        kept: Numbers that it leaves for the backward pass.
        kept_bytes: The same in bytes: the mask of a ReLU has one byte a number.
    """

    path: str
    operation: Operation
    output_shape: tuple[int, ...]
    forward: int
    by_input: int
    by_weights: int
    kept: int
    kept_bytes: int

    @property
    def training(self) -> int:
        """Multiply-accumulates of all three."""
        return self.forward + self.by_input + self.by_weights


def training_cost(
    fn: Callable[..., Any],
    *args: Any,
    parameters: int = 0,
    statistics: Sequence[str] = ("batch_stats",),
) -> list[TrainingRow]:
    """What a step of training `fn` costs, a row a layer; nothing is computed.

    Products alone are counted, as in the usual convention. What is kept are the residuals of
    `jax.vjp` by the learned parameters, each counted once with the layer that made it; arguments
    among them are not counted, for they are there anyway. A compiler may keep less and compute
    again.

    Args:
        fn: Any function that JAX can trace and differentiate.
        *args: Its arguments: arrays, or `jax.ShapeDtypeStruct`, in any pytree.
        parameters: Which argument holds the parameters.
        statistics: Names in its tree whose leaves are not learned.

    Returns:
        The rows, in the order of execution.

    Raises:
        ValueError: As for `cost`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def two_layers(weights, x):
        ...     with jax.named_scope("fc6"):
        ...         x = jnp.tanh(x @ weights[0])
        ...     with jax.named_scope("fc7"):
        ...         return x @ weights[1]
        >>> v, w, x = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((4, 3), (3, 2), (1, 4)))
        >>> for row in training_cost(two_layers, (v, w), x):
        ...     print(row.path, row.operation.name, row.forward, row.by_input, row.by_weights)
        fc6 dense 12 0 12
        fc6 tanh 0 0 0
        fc7 dense 6 6 6
    """
    rows = cost(fn, *args, parameters=parameters, statistics=statistics)
    traced = flow(fn, *args, parameters=parameters, weight=total_macs)
    sizes = learned_sizes(traced, statistics)
    trained = _trained(traced, sizes)
    found = layers(traced)
    kept = _kept(fn, args, parameters, statistics, found)
    return [
        _row(row, layer, trained, kept.get(place, []))
        for place, (row, layer) in enumerate(zip(rows[: len(found)], found, strict=True))
    ]


def _row(row: CostRow, layer: Layer, trained: _Trained, kept: Sequence[Value]) -> TrainingRow:
    by_input = by_weights = 0
    for step in layer.steps:
        if step.equation.primitive not in PRODUCTS:
            continue
        for value in step.reads:
            if not trained(value):
                continue
            if value.kind == "parameter":
                by_weights += total_macs(step.equation)
            else:
                by_input += total_macs(step.equation)
    return TrainingRow(
        path=row.path,
        operation=row.operation,
        output_shape=row.output_shape,
        forward=row.macs,
        by_input=by_input,
        by_weights=by_weights,
        kept=sum(value.size for value in kept),
        kept_bytes=sum(value.size * value.width for value in kept),
    )


_Trained = Callable[[Value], bool]


def _trained(traced: Flow, sizes: Sequence[int]) -> _Trained:
    """Whether a value depends on something that is learned."""
    free: set[Value] = {value.origin for value in traced.inputs}

    def trained(value: Value) -> bool:
        if value.kind != "activation":
            return any(sizes[leaf] for leaf in value.leaves)
        # a slice is as its whole; what a loop carries may depend on all that stands in it
        whole = value.origin if value.origin.whole is None else value.origin.whole
        return whole not in free

    for step in traced.steps:
        if not any(trained(value) for value in step.reads):
            free.update(step.writes)
    return trained


def _kept(
    fn: Callable[..., Any],
    args: Sequence[Any],
    parameters: int,
    statistics: Sequence[str],
    found: Sequence[Layer],
) -> dict[int, list[Value]]:
    """What is kept for the backward pass, by the layer that makes it."""
    leaves, tree = jax.tree.flatten(args[parameters])
    paths = [path for path, _ in jax.tree.leaves_with_path(args[parameters])]
    learned = [not {str(getattr(k, "key", k)) for k in path} & set(statistics) for path in paths]

    def residuals(parameters_and_rest: Any, *others: Any) -> Any:
        def of_learned(given: list[Any]) -> Any:
            turn = iter(given)
            whole = [
                next(turn) if own else leaf
                for own, leaf in zip(learned, parameters_and_rest, strict=True)
            ]
            filled = [*others[:parameters], jax.tree.unflatten(tree, whole), *others[parameters:]]
            return fn(*filled)

        given = [leaf for own, leaf in zip(learned, parameters_and_rest, strict=True) if own]
        return jax.tree.leaves(jax.vjp(of_learned, given)[1])

    others = [argument for place, argument in enumerate(args) if place != parameters]
    traced = flow(residuals, leaves, *others, parameters=0, weight=total_macs)
    kept: dict[int, list[Value]] = {}
    for value in dict.fromkeys(output.origin for output in traced.outputs):
        if value.kind == "activation" and value in traced.scopes:  # arguments are in none
            kept.setdefault(_place(traced.scopes[value], found), []).append(value)
    return kept


def _place(scope: tuple[str, ...], found: Sequence[Layer]) -> int:
    """The last layer of that name, or of the longest part of it that names one."""
    for length in range(len(scope), -1, -1):
        places = [n for n, layer in enumerate(found) if layer.path[:length] == scope[:length]]
        if places:
            return places[-1]
    return len(found) - 1


def fold_training(rows: Sequence[TrainingRow], depth: int) -> list[TrainingRow]:
    """The rows of a table, those inside a block added up.

    Args:
        rows: What `training_cost` gives.
        depth: How many names of a path are kept.

    Raises:
        ValueError: The depth is less than 1.
    """
    plain = [
        CostRow(row.path, row.operation, (), row.output_shape, row.forward, 0, 0, 0, 0)
        for row in rows
    ]
    blocks = fold(plain, depth)
    folded = []
    grouped = groupby(rows, key=lambda row: "/".join(row.path.split("/")[:depth]))
    for block, (path, inside) in zip(blocks, grouped, strict=True):
        held = list(inside)
        folded.append(
            replace(
                held[-1],
                path=path,
                operation=block.operation,
                forward=sum(row.forward for row in held),
                by_input=sum(row.by_input for row in held),
                by_weights=sum(row.by_weights for row in held),
                kept=sum(row.kept for row in held),
                kept_bytes=sum(row.kept_bytes for row in held),
            )
        )
    return folded
