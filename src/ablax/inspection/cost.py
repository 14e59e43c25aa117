"""What a network of ours costs, as tables and pictures."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

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
from ablax.report import figures as kit
from ablax.report.tables import Cell, Table
from ablax.zoo import CATALOG, Entry, find

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    shapes = jax.eval_shape(dict, model.variables)
    images = jax.ShapeDtypeStruct((batch, *model.image_shape), jnp.float32)
    try:
        return count(scores, shapes, images)
    except ValueError as error:
        raise AblaxError(f"the cost of {model.name} cannot be counted: {error}") from error


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
        does = row.operation
        *places, channels = row.input_shape[1:] or row.input_shape or (1,)
        window, stride = _side(*does.window), _side(*does.stride)
        if does.family in ("convolution", "dense", "product"):
            number += 1
        if does.family in ("dense", "product"):
            window = stride = 1
        cells.append(
            (
                *(number, _TYPES[does.family], batch, channels, _side(*places) if places else 1),
                *(_side(*does.padding), window, stride, does.features, row.macs),
                *(row.input_memory, row.parameter_memory, row.output_memory, row.memory, 0),
            )
        )
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


def training_table(model: Model, rows: Sequence[TrainingRow], batch: int = 1) -> Table:
    """One row per layer: forward, gradient by input, gradient by weights, activations kept."""
    counts = {
        "forward": "forward",
        "gradient by input": "by_input",
        "gradient by weights": "by_weights",
        "training": "training",
        "kept numbers": "kept",
        "kept bytes": "kept_bytes",
    }
    columns = ("layer", "operation", "output", *counts)
    cells = tuple(
        (
            *(row.path, row.operation.name, _shape(row.output_shape)),
            *(getattr(row, field) for field in counts.values()),
        )
        for row in rows
    )
    added = {name: sum(getattr(row, field) for row in rows) for name, field in counts.items()}
    sums: dict[str, Cell] = {"convention": "usual", **added}
    ratio = added["training"] / added["forward"] if added["forward"] else 0.0
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


@kit.settings()
def depth_figure(
    model: Model, rows: Sequence[CostRow], convention: Convention, batch: int = 1
) -> Figure:
    """Data volume, parameters and multiply-accumulates of the layers, one behind the other."""
    layers = fold(rows, 1)
    counts = {
        "activations (elements)": [math.prod(row.output_shape) for row in layers],
        "parameters": [row.parameters for row in layers],
        "multiply-accumulates": [row.macs for row in layers],
    }
    figure, drawn = kit.panels(3, 1, (kit.WIDTH, 2.6), above=0.6, grid="y", sharex=True)
    for axes, (name, heights), color in zip(drawn, counts.items(), kit.COLORS[1:], strict=False):
        axes.bar(range(len(layers)), heights, color=color, width=0.8)
        total = "" if name.startswith("activations") else f", {sum(heights):,} in all"
        axes.set_title(name + total)
        kit.count_axis(axes, "y", [])
    drawn[-1].set_xlim(-0.7, len(layers) - 0.3)
    left_out = kit.name_layers(drawn[-1], [row.path for row in layers])
    said = f"{model.what(batch)}. Convention {convention.name}: {convention.says}."
    return kit.set_caption(figure, said + left_out)


@kit.settings()
def errors_figure(size: str = "imagenet") -> Figure:
    """Published top-1 errors of the catalog's networks against what they cost.

    Raises:
        AblaxError: A size that is neither "imagenet", nor "cifar" for the networks of 32 pixels.
    """
    chosen = networks_with_errors(size)
    families: dict[str, list[Entry]] = {}
    for entry in chosen:
        families.setdefault(_family(entry.name), []).append(entry)
    height = 9.0 if size == "imagenet" else 5.9
    figure, drawn = kit.panels(2, 1, (kit.WIDTH, height), above=0.2)
    data = "ImageNet, top-1" if size == "imagenet" else "CIFAR-10"
    costs = {"macs": "multiply-accumulates", "parameters": "parameters"}
    marks = []
    for axes, (what, name) in zip(drawn, costs.items(), strict=True):
        marks.append(list[kit.End]())
        for place, members in enumerate(families.values()):
            marks[-1] += _draw_members(axes, members, what, place)
        axes.margins(0.12)
        kit.logarithmic(axes, "x")
        kit.logarithmic(axes, "y")
        axes.set_title(f"Error against {name}")
        axes.set_xlabel(f"{name} (logarithmic)")
        axes.set_ylabel(f"{data}, % (logarithmic)")
    kinds = dict.fromkeys(entry.source for entry in chosen)
    kit.set_caption(
        figure,
        "A line joins networks of one family. Costs: ours, of one image at the network's size, "
        "convention usual. Errors: as published, by different training and of different views "
        f"of an image, so compare with care: {'; '.join(kinds)}.",
    )
    figure.canvas.draw()  # the places of the names are found in pixels
    for axes, found in zip(drawn, marks, strict=True):
        kit.name_marks(axes, found)
    return figure


def _family(name: str) -> str:
    """The name without the numbers that tell the members of a family apart.

    `resnet34` and `resnet50_v1` are of the same table of the same paper.
    """
    kind = re.search(r"_(?:v[12](?=_)|preactivation)", name)
    return re.split(r"_?v?\d", name)[0] + (kind[0] if kind else "")


def _draw_members(axes: Axes, members: Sequence[Entry], what: str, place: int) -> list[kit.End]:
    """A line through the networks of a family, the cheapest first; their marks."""
    style = kit.look(place)
    marks = [
        kit.End(float(getattr(e, what)), e.errors[0], e.name, style["color"])
        for e in sorted(members, key=lambda entry: int(getattr(entry, what)))
    ]
    axes.plot([m.x for m in marks], [m.y for m in marks], lw=1.4, ms=9, mec="white", **style)
    return marks


def networks_with_errors(size: str) -> list[Entry]:
    """The networks of the catalog with a published error, cheapest first."""
    if size not in ("imagenet", "cifar"):
        raise AblaxError(f"there are no errors of {size!r}: choose from imagenet, cifar")
    large = size == "imagenet"
    found = [entry for entry in CATALOG if entry.errors and (entry.image_shape[0] > 64) == large]
    return sorted(found, key=lambda entry: entry.macs)
