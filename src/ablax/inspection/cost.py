"""What a network of ours costs, as tables."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.analysis.cost import (
    CONVENTIONS,
    Convention,
    CostRow,
    TrainingRow,
    cost,
    fold,
    training_cost,
)
from ablax.core import ImageShape, Network
from ablax.errors import AblaxError, nearest
from ablax.model import Model
from ablax.report.tables import Cell, Table
from ablax.zoo import find

# ------------------------------------------------------------------------------------------
# The cost of a network: `ablax.analysis.cost` given the network's shapes.


_Row = TypeVar("_Row", CostRow, TrainingRow)


def convention_named(name: str) -> Convention:
    """A convention by its name.

    Raises:
        AblaxError: There is none.
    """
    if name not in CONVENTIONS:
        raise AblaxError(f"there is no convention {name!r}: {nearest(name, list(CONVENTIONS))}")
    return CONVENTIONS[name]


def network_cost(
    model: Model, convention: Convention, batch: int = 1, softmax: bool = False
) -> list[CostRow]:
    """What a network costs, one row per layer; nothing is computed, shapes of weights are enough.

    With `softmax` one follows the scores, as in the lecture's table; in our networks it belongs to
    the loss.

    Raises:
        LayerError: The network does not fit the images.
        AblaxError: The cost cannot be counted.
    """
    network = model.network

    def scores(variables: Any, images: Float[Array, "N H W C"]) -> Float[Array, "N *scores"]:
        found = network.apply(variables, images)
        if not softmax:
            return found
        with jax.named_scope(type(network).__name__), jax.named_scope("softmax"):
            return jax.nn.softmax(found)

    return _counted(functools.partial(cost, convention=convention), scores, model, batch)


def network_training_cost(model: Model, batch: int = 1) -> list[TrainingRow]:
    """What a step of training costs a network; arguments and errors are those of `network_cost`.

    Batch normalization takes the statistics of the batch and dropout drops, as in training; the
    loss and the auxiliary heads are not among the layers.
    """
    network = model.network

    def scores(variables: Any, images: Float[Array, "N H W C"]) -> Float[Array, "N *scores"]:
        keys = {"dropout": jax.random.key(0)}
        return network.apply(variables, images, mutable=["batch_stats"], rngs=keys)[0]

    return _counted(training_cost, scores, model, batch)


def _counted(
    count: Callable[..., list[_Row]], scores: Callable[..., Any], model: Model, batch: int
) -> list[_Row]:
    if batch < 1:
        raise AblaxError(f"the batch is {batch}: expected at least 1")
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), dict(model.variables)
    )
    images = jax.ShapeDtypeStruct((batch, *model.image_shape), jnp.float32)
    try:
        return count(scores, shapes, images)
    except ValueError as error:
        raise AblaxError(f"the cost of {model.name} cannot be counted: {error}") from error


# ------------------------------------------------------------------------------------------
# The table of `ablax table`.


def cost_table(
    network: Network | Model | str,
    image_shape: ImageShape | None = None,
    *,
    batch: int = 1,
    convention: str = "usual",
    training: bool = False,
    depth: int | None = None,
) -> Table:
    """What every layer costs, as `ablax table` prints it; nothing is computed.

    Args:
        network: Any network, a model, or the name of a network of the zoo.
        image_shape: (H, W, C) in pixels and channels; the paper's by default, for a name, and the
            model's own.
        batch: Number of images.
        convention: What counts as a multiply-accumulate, "usual" or "lecture"; the latter in the
            lecture's columns, unless `depth` is given.
        training: The forward pass and both gradients, instead of the forward pass alone.
        depth: How many names of a layer's path are kept; costs below them are summed.

    Raises:
        AblaxError: There is no such network or convention, a number is less than 1, a network is
            given without an image shape, or training by another convention than the usual.
        LayerError: The network does not fit the images.

    Example:
        >>> from ablax.core import remove
        >>> from ablax.zoo import lenet5
        >>> table = cost_table(remove("f6")(lenet5()), (32, 32, 1), depth=1)
        >>> table.totals["MACs"]
        406800
    """
    if depth is not None and depth < 1:
        raise AblaxError(f"the depth is {depth}: expected at least 1")
    model, counted = _given(network, image_shape), convention_named(convention)
    lecture = counted.name == "lecture"
    if training:
        if lecture:
            raise AblaxError("the lecture says nothing of training: leave the convention out")
        steps = network_training_cost(model, batch)
        return training_table(model, fold(steps, depth) if depth else steps, batch)
    rows = network_cost(model, counted, batch, softmax=lecture)
    if depth:
        return usual_table(model, fold(rows, depth), counted, batch)
    return (lecture_table if lecture else usual_table)(model, rows, counted, batch)


def _given(network: Network | Model | str, image_shape: ImageShape | None) -> Model:
    if isinstance(network, Model):
        return network
    if isinstance(network, str):
        named = find(network)
        shape = named.shape() if image_shape is None else image_shape
        return Model.untrained(named.build(), shape, None, name=named.name)
    if image_shape is None:
        raise AblaxError(
            "the network does not say which images it takes: give their shape (height, width, "
            "channels), as in cost_table(network, (224, 224, 3))"
        )
    return Model.untrained(network, image_shape, None)


# ------------------------------------------------------------------------------------------
# The columns of a cost table: ours, the lecture's, and those of training.

LECTURE_COLUMNS = (
    *("#", "Type", "B", "Ni", "M", "P", "F", "S", "No"),
    *("MACs", "In Map", "Parameter", "Out Map", "All Mem", "(Mem ("),
)
"""The headings of the lecture's table; the last is cut off there, and its column all zero."""

_TYPES = {
    "convolution": "Conv",
    "dense": "Full",
    "product": "Full",
    "pool": "Pool",
    "response normalization": "Norm",
    "normalization": "Norm",
    "nonlinearity": "Nonl",
    "softmax": "Nonl",
    "elementwise": "Elem",
    "reduction": "Pool",
    "rearrangement": "Rear",
    "unread": "None",
}


def usual_table(
    model: Model, rows: Sequence[CostRow], convention: Convention, batch: int = 1
) -> Table:
    """One row per layer: operation, shapes, multiply-accumulates, parameters and memory."""
    noted = any(row.note for row in rows)
    columns = (
        *("layer", "operation", "input", "output", "MACs", "parameters"),
        *("input memory", "parameter memory", "output memory", "memory", "MACs per number"),
    )
    cells = [
        (
            *(row.path, row.operation.name, _shape(row.input_shape), _shape(row.output_shape)),
            *(row.macs, row.parameters, row.input_memory, row.parameter_memory),
            *(row.output_memory, row.memory, round(row.intensity, 2)),
            *((row.note,) if noted else ()),
        )
        for row in rows
    ]
    note = "Memory is in elements read and written; a float32 has 4 bytes."
    headings = (*columns, "note") if noted else columns
    return _table(f"Cost of {model.what(batch)}", headings, cells, note, rows, convention)


def lecture_table(
    model: Model, rows: Sequence[CostRow], convention: Convention, batch: int = 1
) -> Table:
    """The lecture's columns: the images first, then one row per layer.

    `#` counts the layers with weights, `Ni` and `No` are features in and out, `M` the height of the
    input, `P` its padding in total, `F` the window, `S` the stride.
    """
    height, width, channels = model.image_shape
    images = batch * height * width * channels
    cells: list[tuple[Cell, ...]] = [
        (0, "Inpt", batch, channels, _side(height, width), *[0] * 7, images, images, 0)
    ]
    number = 0
    for row in rows:
        number += row.operation.family in ("convolution", "dense", "product")
        cells.append((number, *_lecture_cells(row, batch)))
    note = (
        "The lecture's last heading is cut off and its column zero; both stand here as printed. "
        "Its last row is the softmax, which in our networks belongs to the loss."
    )
    title = f"Cost of {model.what(batch)}, in the lecture's columns"
    table = _table(title, LECTURE_COLUMNS, cells, note, rows, convention)
    return replace(table, plain=True)


def _table(
    title: str,
    columns: tuple[str, ...],
    cells: Sequence[tuple[Cell, ...]],
    note: str,
    rows: Sequence[CostRow],
    convention: Convention,
) -> Table:
    """The cells of the rows, with what these add up to and the convention below."""
    sums: dict[str, Cell] = {
        "convention": convention.name,
        "MACs": sum(row.macs for row in rows),
        "parameters": sum(row.parameters for row in rows),
        "memory": sum(row.memory for row in rows),
    }
    said = f"Convention {convention.name}: {convention.says}."
    return Table(title, columns, tuple(cells), (f"In all: {_listed(sums)}.", said, note), sums)


def _listed(sums: Mapping[str, Cell]) -> str:
    return "; ".join(f"{name} {n:,}" for name, n in sums.items() if isinstance(n, int))


def _lecture_cells(row: CostRow, batch: int) -> tuple[Cell, ...]:
    operation = row.operation
    *places, channels = row.input_shape[1:] or row.input_shape or (1,)
    window, stride = (_side(*sizes) for sizes in (operation.window, operation.stride))
    padding = _side(*operation.padding)
    if operation.family in ("dense", "product"):
        window = stride = 1
    return (
        *(_TYPES[operation.family], batch, channels, _side(*places) if places else 1),
        *(padding, window, stride, operation.features),
        *(row.macs, row.input_memory, row.parameter_memory, row.output_memory, row.memory, 0),
    )


def training_table(model: Model, rows: Sequence[TrainingRow], batch: int = 1) -> Table:
    """One row per layer: forward, gradient by input, gradient by weights, activations kept."""
    columns = (
        *("layer", "operation", "output", "forward", "gradient by input"),
        *("gradient by weights", "training", "kept numbers", "kept bytes"),
    )
    cells = tuple(
        (
            *(row.path, row.operation.name, _shape(row.output_shape), row.forward, row.by_input),
            *(row.by_weights, row.training, row.kept, row.kept_bytes),
        )
        for row in rows
    )
    sums: dict[str, Cell] = {
        "convention": "usual",
        "forward": sum(row.forward for row in rows),
        "gradient by input": sum(row.by_input for row in rows),
        "gradient by weights": sum(row.by_weights for row in rows),
        "training": sum(row.training for row in rows),
        "kept numbers": sum(row.kept for row in rows),
        "kept bytes": sum(row.kept_bytes for row in rows),
    }
    ratio = sums["training"] / sums["forward"] if sums["forward"] else 0.0  # type: ignore[operator]
    foot = (
        f"In all: {_listed(sums)}. Training costs {ratio:.3f} times the forward pass.",
        "Convention usual, in multiply-accumulates: each gradient of a product costs what the "
        "product costs; the images need none, so the first layer has no gradient by input.",
        "Kept: what the backward pass reads, as JAX keeps it, beside images and parameters; the "
        "compiler may keep less and compute again.",
    )
    return Table(f"Cost of a training step of {model.what(batch)}", columns, cells, foot, sums)


def _side(*sizes: int) -> Cell:
    """One number for a square."""
    if not sizes:
        return 0
    return sizes[0] if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def _shape(shape: tuple[int, ...]) -> str:
    """The shape of one image's share; a batch of one is left out."""
    kept = shape[1:] if shape[:1] == (1,) and len(shape) > 1 else shape
    return "x".join(map(str, kept)) or str(math.prod(kept))
