"""What a JAX function costs, counted from its jaxpr and never measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from ablax.analysis.conventions import USUAL, Convention
from ablax.analysis.equations import equations
from ablax.analysis.flow import Flow, flow
from ablax.analysis.layers import Layer, layers
from ablax.analysis.operations import Operation
from ablax.analysis.product_macs import total_macs


@dataclass(frozen=True)
class CostRow:
    """What one layer costs.

    Attributes:
        path: The layer's name, such as `"inception_3a/branch1x1/conv"`.
        operation: What it does.
        input_shape: The shape of its (largest) input.
        output_shape: The shape of its output.
        macs: Multiply-accumulates, all trips of the loops around it.
        parameters: Numbers stored for it; what two layers share is counted with the first.
        input_memory: Numbers that it reads and that are no parameters.
        parameter_memory: Numbers of parameters that it reads.
        output_memory: Numbers that it writes for others to read.
        note: What one has to know of the row, such as that it is the dearest branch of a `cond`.
    """

    path: str
    operation: Operation
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    macs: int
    parameters: int
    input_memory: int
    parameter_memory: int
    output_memory: int
    note: str = ""

    @property
    def memory(self) -> int:
        """Numbers that it moves: input, parameters and output."""
        return self.input_memory + self.parameter_memory + self.output_memory

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: multiply-accumulates for each number moved."""
        return self.macs / self.memory if self.memory else 0.0

    def bytes(self, width: int = 4) -> int:
        """The memory in bytes, at that many bytes a number."""
        return self.memory * width


def cost(
    fn: Callable[..., Any],
    *args: Any,
    convention: Convention = USUAL,
    parameters: int | None = 0,
    statistics: Sequence[str] = ("batch_stats",),
) -> list[CostRow]:
    """What `fn(*args)` costs, a row a layer; nothing is computed.

    A layer is what stands under one name of the name stack (see `analysis.layers.layers`); the
    outermost name, when all layers share it, is left out. Its input is what it reads and others
    wrote, its output what it writes and others read: both counted once, as if every layer read and
    wrote main memory. New shapes and types are free, a broadcast is as large as what it repeats. A
    `scan` costs its length times its body, a `cond` its dearest branch (the row's note says so), a
    `platform_dependent` choice its default branch.

    Args:
        fn: Any function that JAX can trace.
        *args: Its arguments: arrays, or `jax.ShapeDtypeStruct`, in any pytree.
        convention: What counts.
        parameters: Which argument holds the parameters, all its leaves; None when there are none.
            What `fn` holds itself (constants, closed-over arrays) is neither parameter nor input.
        statistics: Names in the tree of parameters whose leaves are kept, but not learned: they
            are no parameters and no memory.

    Returns:
        The rows, in the order of execution; last, where there are any, a row of the parameters
        that `fn` does not read, such as those of heads that run in training alone.

    Raises:
        ValueError: There is no such argument; or something runs an unknown number of times: in a
            `while` loop, or a product in a primitive that we do not look into.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def layer(weights, x):
        ...     with jax.named_scope("fc6"):
        ...         return jax.nn.sigmoid(x @ weights["kernel"] + weights["bias"])
        >>> kernel, bias, x = (
        ...     jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 3), (3,), (1, 4)))
        >>> for row in cost(layer, {"kernel": kernel, "bias": bias}, x):
        ...     print(row.path, row.operation.name, row.macs, row.parameters, row.memory)
        fc6 dense 12 15 22
        fc6 sigmoid 0 0 6
    """
    if parameters is not None and not 0 <= parameters < len(args):
        raise ValueError(
            f"parameters={parameters}, and the function is given {len(args)} arguments: expected "
            "the number of the argument that holds the parameters, or None"
        )
    traced = flow(fn, *args, parameters=parameters, weight=total_macs)
    found = layers(traced)
    sizes = learned_sizes(traced, statistics)
    root = _shared_root(found)
    rows, seen = [], set[int]()
    for layer in found:
        rows.append(_row(layer, layer.path[root:], convention, sizes, seen))
        seen |= layer.leaves
    if unread := sum(size for leaf, size in enumerate(sizes) if leaf not in seen):
        operation = Operation("not read", "unread")
        rows.append(CostRow("(not read)", operation, (), (), 0, unread, 0, 0, 0))
    return rows


def learned_sizes(traced: Flow, statistics: Sequence[str]) -> list[int]:
    """The numbers of each parameter, 0 for one that is not learned."""
    return [
        0 if set(path) & set(statistics) else size
        for path, size in zip(traced.paths, traced.sizes, strict=True)
    ]


def _shared_root(found: Sequence[Layer]) -> int:
    """1 when every layer stands inside one outermost name, else 0."""
    first = {layer.path[:1] for layer in found}
    return int(len(first) == 1 and any(len(layer.path) > 1 for layer in found))


def _row(
    layer: Layer,
    path: tuple[str, ...],
    convention: Convention,
    sizes: Sequence[int],
    seen: set[int],
) -> CostRow:
    trips = layer.trips
    if trips is None:
        raise ValueError(
            f"{layer.operation.name} stands in a `while` loop ({'/'.join(layer.path) or 'no name'})"
            ", whose number of trips is unknown; use `jax.lax.scan`, or `fori_loop` with constant "
            "bounds"
        )
    own = [0 if leaf in seen else size for leaf, size in enumerate(sizes)]
    stored = convention.stored(layer, sizes)
    new = not layer.leaves & seen
    return CostRow(
        path="/".join(path),
        operation=layer.operation,
        input_shape=layer.input_shape,
        output_shape=layer.output_shape,
        macs=convention.macs(layer),
        parameters=stored if new else convention.stored(layer, own),
        input_memory=trips * sum(value.size for value in layer.reads),
        parameter_memory=stored,
        output_memory=trips * sum(value.size for value in layer.writes),
        note=layer.note,
    )


def fold(rows: Sequence[CostRow], depth: int) -> list[CostRow]:
    """The rows of a table, those inside a block added up.

    Memory is what the layers inside read and write, not what crosses the border of the block, so
    the totals do not depend on the depth.

    Args:
        rows: What `cost` gives.
        depth: How many names of a path are kept; with 1, a row for each layer of the paper's table.

    Returns:
        The rows; a block of one layer keeps its operation.

    Raises:
        ValueError: The depth is less than 1.

    Example:
        >>> convolution = Operation("convolution 3x3", "convolution")
        >>> relu = Operation("ReLU", "nonlinearity")
        >>> rows = [
        ...     CostRow("conv1/conv", convolution, (1, 4, 4, 1), (1, 4, 4, 2), 288, 18, 16, 18, 32),
        ...     CostRow("conv1/relu", relu, (1, 4, 4, 2), (1, 4, 4, 2), 0, 0, 32, 0, 32),
        ... ]
        >>> [(row.path, row.operation.name, row.macs, row.memory) for row in fold(rows, 1)]
        [('conv1', 'convolution 3x3, ReLU', 288, 130)]
    """
    if depth < 1:
        raise ValueError(f"depth={depth}: expected at least 1, a row for each outermost layer")
    folded = []
    for path, block in groupby(rows, key=lambda row: "/".join(row.path.split("/")[:depth])):
        inside = list(block)
        folded.append(_add_up(path, inside))
    return folded


def _add_up(path: str, rows: Sequence[CostRow]) -> CostRow:
    if len(rows) == 1:
        return replace(rows[0], path=path)
    names = [row.operation.name for row in rows]
    notes = dict.fromkeys(row.note for row in rows if row.note)
    return CostRow(
        path=path,
        operation=Operation(", ".join(names) if len(rows) < 4 else f"{len(rows)} layers", "block"),
        input_shape=rows[0].input_shape,
        output_shape=rows[-1].output_shape,
        macs=sum(row.macs for row in rows),
        parameters=sum(row.parameters for row in rows),
        input_memory=sum(row.input_memory for row in rows),
        parameter_memory=sum(row.parameter_memory for row in rows),
        output_memory=sum(row.output_memory for row in rows),
        note="; ".join(notes),
    )


def macs(fn: Callable[..., Any], *args: Any) -> int:
    """Multiply-accumulates of `fn(*args)` in convolutions and matrix products; nothing is computed.

    The usual convention of the papers: biases, normalization, pooling and nonlinearities are free,
    padded taps count. A `scan` costs its length times its body, a `cond` its dearest branch, a
    `platform_dependent` choice its default branch.

    Args:
        fn: Any function that JAX can trace.
        *args: Its arguments: arrays, or `jax.ShapeDtypeStruct`, in any pytree.

    Returns:
        The sum over all equations; for a batch of one it is the figure the papers print.

    Raises:
        ValueError: A product stands where nobody can say how often it runs: in a `while` loop, or
            in a primitive that we do not look into.

    References:
        K. He et al. (2015), "Deep Residual Learning for Image Recognition", section 3.3: its
        "FLOPs" are multiply-adds.

    Example:
        A 3×3 kernel on a 7×7 image fits at 5×5 places:

        >>> import jax, jax.numpy as jnp
        >>> def conv(x, kernel):
        ...     return jax.lax.conv_general_dilated(
        ...         x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        >>> x = jax.ShapeDtypeStruct((1, 7, 7, 1), jnp.float32)
        >>> kernel = jax.ShapeDtypeStruct((3, 3, 1, 1), jnp.float32)
        >>> macs(conv, x, kernel)
        225
    """
    return sum(macs_by_scope(fn, *args).values())


def macs_by_scope(fn: Callable[..., Any], *args: Any) -> dict[str, int]:
    """Multiply-accumulates of `fn(*args)`, summed by layer.

    Args:
        fn: Any function that JAX can trace.
        *args: Its arguments: arrays, or `jax.ShapeDtypeStruct`, in any pytree.

    Returns:
        From the layer's path, such as `"AlexNet/conv1/conv"`, to its multiply-accumulates, in the
        order of execution. Layers without convolution or matrix product are left out; what stands
        outside every layer is under `""`.

    Raises:
        ValueError: As for `macs`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def two_layers(x, v, w):
        ...     with jax.named_scope("fc6"):
        ...         x = x @ v
        ...     with jax.named_scope("fc7"):
        ...         return x @ w
        >>> shapes = [(1, 2), (2, 3), (3, 4)]
        >>> macs_by_scope(two_layers, *(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes))
        {'fc6': 6, 'fc7': 12}
    """
    by_scope: dict[str, int] = {}
    for equation in equations(fn, *args, weight=total_macs):
        if total := total_macs(equation):
            path = "/".join(equation.scope)
            by_scope[path] = by_scope.get(path, 0) + total
    return by_scope
