"""What a network of ours costs, as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

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
    fold_training,
    training_cost,
)
from ablax.core import ImageShape, Network, abstract_variables
from ablax.errors import AblaxError, nearest
from ablax.inspection.tables import Cell, Table
from ablax.zoo import find

# ------------------------------------------------------------------------------------------
# The cost of a network of the zoo: `ablax.analysis.cost` given the network's shapes.


@dataclass(frozen=True)
class Case:
    """A network with the images it is given.

    Attributes:
        name: The network's name.
        network: The network.
        image_shape: (H, W, C).
        batch: Number of images.
    """

    name: str
    network: Network
    image_shape: ImageShape
    batch: int = 1

    @property
    def what(self) -> str:
        """Such as `"alexnet, 1 image of 227x227x3"`."""
        images = "image" if self.batch == 1 else "images"
        return f"{self.name}, {self.batch} {images} of {'x'.join(map(str, self.image_shape))}"


def case(name: str, image_size: int | None = None, batch: int = 1) -> Case:
    """A network of the zoo by its name.

    Args:
        name: As `ablax list` shows it.
        image_size: Height and width in pixels; the paper's when left out.
        batch: Number of images.

    Raises:
        AblaxError: There is no such network, or a size is less than 1.
    """
    entry = find(name)
    size = entry.image_size if image_size is None else image_size
    for what, number in (("image size", size), ("batch", batch)):
        if number < 1:
            raise AblaxError(f"the {what} is {number}: expected at least 1")
    return Case(name, entry.build(), (size, size, entry.channels), batch)


def convention_named(name: str) -> Convention:
    """A convention by its name.

    Raises:
        AblaxError: There is none.
    """
    if name not in CONVENTIONS:
        raise AblaxError(f"there is no convention {name!r}: {nearest(name, list(CONVENTIONS))}")
    return CONVENTIONS[name]


def network_cost(case: Case, convention: Convention, softmax: bool = False) -> list[CostRow]:
    """What a network costs, a row a layer; nothing is computed.

    Args:
        case: Network and images.
        convention: What counts.
        softmax: Whether a softmax follows the scores, as in the lecture's table; in our networks it
            belongs to the loss.

    Returns:
        The rows.

    Raises:
        LayerError: The network does not fit the images.
        AblaxError: The cost cannot be counted.
    """
    network = case.network

    def scores(variables: Any, images: Float[Array, "N H W C"]) -> Float[Array, "N *scores"]:
        found = network.apply(variables, images)
        if not softmax:
            return found
        with jax.named_scope(type(network).__name__), jax.named_scope("softmax"):
            return jax.nn.softmax(found)

    try:
        return cost(scores, *_arguments(case), convention=convention)
    except ValueError as error:
        raise AblaxError(f"the cost of {case.name} cannot be counted: {error}") from error


def network_training_cost(case: Case) -> list[TrainingRow]:
    """What a step of training costs a network, a row a layer; nothing is computed.

    Batch normalization takes the statistics of the batch and dropout drops, as in training; the
    loss and the auxiliary heads are not among the layers.

    Raises:
        LayerError: The network does not fit the images.
        AblaxError: The cost cannot be counted.
    """
    network = case.network

    def scores(variables: Any, images: Float[Array, "N H W C"]) -> Float[Array, "N *scores"]:
        keys = {"dropout": jax.random.key(0)}
        return network.apply(variables, images, mutable=["batch_stats"], rngs=keys)[0]

    try:
        return training_cost(scores, *_arguments(case))
    except ValueError as error:
        raise AblaxError(f"the cost of {case.name} cannot be counted: {error}") from error


def _arguments(case: Case) -> Sequence[Any]:
    variables = abstract_variables(case.network, case.image_shape)
    kept = {name: tree for name, tree in variables.items() if name in ("params", "batch_stats")}
    return kept, jax.ShapeDtypeStruct((case.batch, *case.image_shape), jnp.float32)


# ------------------------------------------------------------------------------------------
# The table of `ablax table`.


def cost_table(
    network: Network | str,
    image_shape: ImageShape | None = None,
    *,
    batch: int = 1,
    convention: str = "usual",
    training: bool = False,
    depth: int | None = None,
) -> Table:
    """What every layer costs, as `ablax table` prints it; nothing is computed.

    Args:
        network: Any network, or the name of one of the zoo.
        image_shape: (H, W, C) in pixels and channels; the paper's by default, for a name.
        batch: Number of images.
        convention: What counts as a multiply-accumulate, "usual" or "lecture"; the latter in the
            lecture's columns, unless `depth` is given.
        training: The forward pass and both gradients, instead of the forward pass alone.
        depth: How many names of a layer's path are kept; costs below them are summed.

    Returns:
        The table; `print` shows it.

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
    for what, number in (("batch", batch), ("depth", depth)):
        if number is not None and number < 1:
            raise AblaxError(f"the {what} is {number}: expected at least 1")
    return table_of(
        _given(network, image_shape, batch), convention_named(convention), training, depth
    )


def _given(network: Network | str, image_shape: ImageShape | None, batch: int) -> Case:
    if isinstance(network, str):
        found = case(network, batch=batch)
        return found if image_shape is None else replace(found, image_shape=image_shape)
    if image_shape is None:
        raise AblaxError(
            "the network does not say which images it takes: give their shape (height, width, "
            "channels), as in cost_table(network, (224, 224, 3))"
        )
    return Case("the network", network, image_shape, batch)


def table_of(
    case: Case, convention: Convention, training: bool = False, depth: int | None = None
) -> Table:
    """The table of a network and its images; arguments and errors are those of `cost_table`."""
    if training:
        if convention.name != "usual":
            raise AblaxError("the lecture says nothing of training: leave the convention out")
        steps = network_training_cost(case)
        return training_table(case, fold_training(steps, depth) if depth else steps)
    lecture = convention.name == "lecture"
    rows = network_cost(case, convention, softmax=lecture)
    if depth:
        return usual_table(case, fold(rows, depth), convention)
    return (lecture_table if lecture else usual_table)(case, rows, convention)


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


def usual_table(case: Case, rows: Sequence[CostRow], convention: Convention) -> Table:
    """A row a layer: operation, shapes, multiply-accumulates, parameters and memory.

    Args:
        case: Network and images.
        rows: What `network_cost` gives, or `fold` of it.
        convention: By which they were counted.
    """
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
    foot = (
        *_foot(rows, convention),
        "Memory is in numbers read and written; a float32 has 4 bytes.",
    )
    return Table(
        f"Cost of {case.what}",
        (*columns, "note") if noted else columns,
        tuple(cells),
        foot,
        totals(rows, convention),
    )


def lecture_table(case: Case, rows: Sequence[CostRow], convention: Convention) -> Table:
    """The lecture's columns: the images first, then a row a layer.

    `#` counts the layers with weights, `Ni` and `No` are features in and out, `M` the height of the
    input, `P` its padding in total, `F` the window, `S` the stride.
    """
    height, width, channels = case.image_shape
    images = case.batch * height * width * channels
    cells: list[tuple[Cell, ...]] = [
        (0, "Inpt", case.batch, channels, _side(height, width), *[0] * 7, images, images, 0)
    ]
    number = 0
    for row in rows:
        number += row.operation.family in ("convolution", "dense", "product")
        cells.append((number, *_lecture_cells(row, case.batch)))
    foot = (
        *_foot(rows, convention),
        "The lecture's last heading is cut off and its column zero; both stand here as printed. "
        "Its last row is the softmax, which in our networks belongs to the loss.",
    )
    title = f"Cost of {case.what}, in the lecture's columns"
    return Table(title, LECTURE_COLUMNS, tuple(cells), foot, totals(rows, convention))


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


def training_table(case: Case, rows: Sequence[TrainingRow]) -> Table:
    """A row a layer: forward, gradient by input, gradient by weights, activations kept."""
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
    counts = "; ".join(f"{name} {n:,}" for name, n in sums.items() if isinstance(n, int))
    ratio = sums["training"] / sums["forward"] if sums["forward"] else 0.0  # type: ignore[operator]
    foot = (
        f"In all: {counts}. Training costs {ratio:.3f} times the forward pass.",
        "Convention usual, in multiply-accumulates: each gradient of a product costs what the "
        "product costs; the images need none, so the first layer has no gradient by input.",
        "Kept: what the backward pass reads, as JAX keeps it, beside images and parameters; the "
        "compiler may keep less and compute again.",
    )
    return Table(f"Cost of a training step of {case.what}", columns, cells, foot, sums)


def totals(rows: Sequence[CostRow], convention: Convention) -> dict[str, Cell]:
    """The convention and what the rows add up to."""
    return {
        "convention": convention.name,
        "MACs": sum(row.macs for row in rows),
        "parameters": sum(row.parameters for row in rows),
        "memory": sum(row.memory for row in rows),
    }


def _foot(rows: Sequence[CostRow], convention: Convention) -> tuple[str, ...]:
    sums = totals(rows, convention)
    counted = "; ".join(f"{name} {n:,}" for name, n in sums.items() if isinstance(n, int))
    return f"In all: {counted}.", f"Convention {convention.name}: {convention.says}."


def _side(*sizes: int) -> Cell:
    """One number for a square."""
    if not sizes:
        return 0
    return sizes[0] if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def _shape(shape: tuple[int, ...]) -> str:
    """The shape of one image's share; a batch of one is left out."""
    kept = shape[1:] if shape[:1] == (1,) and len(shape) > 1 else shape
    return "x".join(map(str, kept)) or str(math.prod(kept))
