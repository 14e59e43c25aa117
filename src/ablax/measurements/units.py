"""Units that saturate, never fire, or stay equal to others, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ablax.core import Layers, Network, inner_layers, leaves_by_path, paths, role
from ablax.errors import AblaxError
from ablax.layers import (
    Absolute,
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    ScaledTanh,
    ShiftedSigmoid,
    Sigmoid,
    Tanh,
)
from ablax.measurements.measurement import Measurement, Pick, Sample, at_moment, grouped
from ablax.model import Model
from ablax.report import figures as kit
from ablax.report.statistics import mean
from ablax.report.study import Picture, Quantity, Row, Section, Study, matching, percentage
from ablax.report.study_tables import seeds_text, variant_table
from ablax.report.tables import Table, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SATURATED = "saturation"


@kit.settings()
def layers_figure(study: Study) -> Figure:
    """Saturated responses and dead units by layer: on the left before training, then after."""
    below = "hidden layer, counted from the images"
    figure, drawn = kit.panels(4, 2, (kit.WIDTH, 3.9), above=0.6, x=below, sharex=True, sharey=True)
    shown = (("saturated", "Saturated responses"), ("dead", "Dead units"))
    moments: tuple[tuple[Pick, str], ...] = ((min, "before"), (max, "after"))
    cells = [(*what, *moment) for what in shown for moment in moments]
    for axes, (column, words, moment, when) in zip(drawn, cells, strict=True):
        for place, variant in enumerate(study.variants):
            rows = at_moment(study.rows(SATURATED, variant=variant.name), moment)
            if values := grouped(rows, "place", column):
                kit.draw_line(axes, values, variant.label, kit.look(place), "bars")
        axes.set_title(f"{words} {when} training")
        axes.set_ylabel(f"{words.lower()}, %" if moment is min else "")
        axes.set_ylim(-4, 104)
        kit.whole_numbers(axes, 6)
    kit.legend(figure, drawn[0])
    return kit.set_caption(
        figure,
        "A response is saturated where the slope of its nonlinearity is below 1 % of the "
        "largest; a unit is dead if it is saturated at every place of every image looked at. "
        "Lines: mean over seeds; bars: lowest to highest.",
    )


@kit.settings()
def training_figure(study: Study) -> Figure:
    """Saturated responses by epoch: one panel per variant, one line per layer, blue to orange."""
    shown = [v for v in study.variants if study.rows(SATURATED, variant=v.name)]
    size = (kit.WIDTH, 3.1)
    figure, drawn = kit.panels(
        len(shown), 3, size, above=0.7, x="epochs", y="saturated, %", sharex=True, sharey=True
    )
    for axes, variant in zip(drawn, shown, strict=False):
        _draw_layers(axes, study.rows(SATURATED, variant=variant.name))
        axes.set_title(kit.wrapped(variant.label, 30), fontsize=13)
        axes.set_ylim(-4, 104)
    kit.legend(figure, drawn[0], 8)
    return kit.set_caption(
        figure,
        "At the moments measured, mean over seeds. Layers are counted from the images. A response "
        "is saturated where the slope of its nonlinearity is below 1 % of the largest.",
    )


def _draw_layers(axes: Axes, rows: Sequence[Row]) -> None:
    places = sorted({int(row["place"]) for row in rows})
    for at, place in enumerate(places):
        own = grouped(matching(rows, place=place), "epoch", "saturated")
        color, marker = kit.between(at / max(1, len(places) - 1)), "os^Dv>p*"[at % 8]
        kit.draw_line(axes, own, f"layer {place}", {"color": color, "marker": marker}, "nothing")


def saturation_table(study: Study) -> Table:
    """One row per variant: saturated responses and dead units, mean over layers."""
    shown = {
        "Saturated before training": "saturated_at_start",
        "Saturated after training": "saturated_at_end",
        "Last hidden layer, most at any moment": "last_saturated",
        "Dead units after training": "dead_at_end",
    }
    return variant_table(
        study,
        "Saturated responses and dead units, %",
        list(shown),
        lambda variant: [seeds_text(study, f"{variant.name}:{q}", 1) for q in shown.values()],
        "Percent, mean over the hidden layers ± standard deviation over seeds. A ReLU's "
        "saturated responses are its zeros, which it needs: without them it would be linear. "
        "What hurts it are dead units, which are 0 for every image and get no gradient.",
    )


IMAGES = 256
"""Test images whose responses are counted."""

FLAT = 0.01
"""A slope below this share of the largest is flat."""

NONLINEARITIES = (
    *(Absolute, LeakyReLU, PReLU, ReLU, ReLU6, ScaledTanh, ShiftedSigmoid, Sigmoid, Tanh),
)

_GRID = np.linspace(-10, 10, 2001, dtype=np.float32)
"""Inputs among which every nonlinearity has its largest slope; 0 is one of them."""


class Place(NamedTuple):
    """A nonlinearity in a network: its path, that of the layer in front of it, its module."""

    path: str
    before: str
    layer: Any


def nonlinearities(network: Network) -> tuple[Place, ...]:
    """Every nonlinearity that stands behind another layer, in order.

    Raises:
        AblaxError: There is none, or one is the first of a chain, so that its input has no name.

    Example:
        >>> from ablax.zoo import lenet5
        >>> [(place.before, place.path) for place in nonlinearities(lenet5())][:2]
        [('c1/conv', 'c1/tanh'), ('c3/conv', 'c3/tanh')]
    """
    found = tuple(below(network.layers, NONLINEARITIES))
    if not found:
        known = ", ".join(kind.__name__ for kind in NONLINEARITIES)
        raise AblaxError(f"the network has no nonlinearity to measure: expected one of {known}")
    for place in found:
        if not place.before:
            raise AblaxError(
                f"{place.path} is the first layer of its chain, so that its input has no name: put "
                "it in one chain with the layer in front of it"
            )
    return found


def below(layers: Layers, kinds: tuple[type, ...], prefix: str = "") -> Iterator[Place]:
    """The layers of these classes, at any depth, in order; before the first of a chain is ''."""
    before = ""
    for name, layer in layers.items():
        path = prefix + name
        if isinstance(layer, kinds):
            yield Place(path, before, layer)
        for inner in inner_layers(layer).values():
            yield from below(inner, kinds, f"{path}/")
        before = path


def slopes(
    layer: Any, variables: Mapping[str, Any], inputs: Float[np.ndarray, "... C"]
) -> Float[np.ndarray, "... C"]:
    """f'(x) of a layer f that takes each number by itself; its parameters lie under `params`.

    Example:
        >>> slopes(Sigmoid(), {}, np.zeros(1, np.float32)).tolist()
        [0.25]
    """
    return np.asarray(_slopes(layer, variables, jnp.asarray(inputs)))


@partial(jax.jit, static_argnums=0)
def _slopes(layer: Any, variables: Mapping[str, Any], x: Array) -> Array:
    return jax.jvp(lambda x: layer.apply(variables, x), (x,), (jnp.ones_like(x),))[1]


def flat(
    layer: Any, variables: Mapping[str, Any], inputs: Float[np.ndarray, "... C"]
) -> Bool[np.ndarray, "... C"]:
    """Where |f'(x)| of `slopes` is below `FLAT` times its largest value, channel by channel.

    Example:
        >>> flat(ReLU(), {}, np.array([[-1.0, 1.0]], np.float32)).tolist()
        [[True, False]]
        >>> flat(Sigmoid(), {}, np.array([[5.9, -6.0]], np.float32)).tolist()
        [[False, True]]
    """
    grid = np.broadcast_to(_GRID[:, None], (len(_GRID), inputs.shape[-1]))
    largest = np.abs(slopes(layer, variables, grid)).max(axis=0)
    return np.abs(slopes(layer, variables, inputs)) < FLAT * largest


def measure_saturation(model: Model, sample: Sample, images: int = IMAGES) -> list[Row]:
    """The share of responses on the flat of their nonlinearity, and of units that never leave it.

    A unit of a feature map is a channel, with a response at each place of each image. A response is
    saturated where it is `flat`; a unit is dead if all its responses are: a ReLU that is 0 for
    every image. One row per layer: `layer`; `place` from 1; `saturated` and `dead`, in percent of
    the responses and units for the first test images.

    References:
        Glorot, Bengio 2010, Understanding the difficulty of training deep feedforward neural
        networks, on saturated sigmoids and tanh.
    """
    places = nonlinearities(model.network)
    inputs = model.features(sample.test.images[:images], [place.before for place in places])
    rows: list[Row] = []
    for at, place in enumerate(places, start=1):
        held = _own(model.variables["params"], place.path)
        responses = inputs[place.before]
        found = flat(place.layer, {"params": held}, responses).reshape(-1, responses.shape[-1])
        saturated, dead = (100 * float(share) for share in (found.mean(), found.all(0).mean()))
        rows.append({"layer": place.path, "place": at, "saturated": saturated, "dead": dead})
    return rows


def _own(parameters: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The parameters of the layer of that path; none where it has none."""
    for name in path.split("/"):
        parameters = parameters.get(name, {})
    return parameters


def mean_over_layers(rows: tuple[Row, ...], column: str = "saturated", moment: Pick = max) -> float:
    """The mean of `saturated` or `dead` over the layers at one moment of a run, in percent.

    Example:
        >>> rows = tuple({"step": s, "saturated": s + p} for s in (0, 8) for p in (1, 3))
        >>> mean_over_layers(rows), mean_over_layers(rows, moment=min)
        (10.0, 2.0)
    """
    found = [row[column] for row in at_moment(rows, moment)]
    return sum(found) / len(found)


def most_of_layer(rows: tuple[Row, ...], last: bool = True) -> float:
    """The largest `saturated` of the last or the first layer among all moments, in percent."""
    wanted = (max if last else min)(row["place"] for row in rows)
    return max(row["saturated"] for row in matching(rows, place=wanted))


SATURATION = Measurement(
    name=SATURATED,
    measure=measure_saturation,
    section=Section(
        title="Saturation",
        text=(
            "The share of responses on the flat of their nonlinearity, where its slope is below "
            "1 % of the largest and a gradient hardly passes: |x| > 5.98 for a sigmoid, "
            "|x| > 2.99 for tanh, x below 0 for a ReLU. (The slope of 0.01 of a leaky ReLU is just "
            "not below the limit.) Measured on 256 test images."
        ),
        pictures=(
            Picture(
                "saturation_by_layer",
                "Saturated responses and dead units by layer",
                "Share of saturated responses, and of dead units, of each hidden layer before and "
                "after training, one line per variant.",
                layers_figure,
            ),
            Picture(
                "saturation_in_training",
                "Saturated responses during training",
                "Share of saturated responses against epochs, one panel per variant and one "
                "line per layer.",
                training_figure,
            ),
        ),
        tables=(saturation_table,),
    ),
    moments=("start", "training", "end"),
    quantities={
        "saturated_at_start": percentage(
            "saturated responses before training, mean over layers",
            partial(mean_over_layers, moment=min),
            trained=False,
        ),
        "saturated_at_end": percentage(
            "saturated responses after training, mean over layers", mean_over_layers
        ),
        "dead_at_end": percentage(
            "dead units after training, mean over layers", partial(mean_over_layers, column="dead")
        ),
        "first_saturated": percentage(
            "most saturated responses of the first layer at any moment",
            partial(most_of_layer, last=False),
            trained=False,
        ),
        "last_saturated": percentage(
            "most saturated responses of the last hidden layer at any moment",
            most_of_layer,
            trained=False,
        ),
    },
)
"""Saturated responses and dead units of every layer, before, during and after training."""


SYMMETRY = "symmetry"
TOLERANCE = 1e-6
"""Of a distance, as a share of the length of the layer's longest unit."""


def distinct_units(kernel: Float[np.ndarray, "*inputs F"]) -> int:
    """The number of units of a layer that differ from each other.

    A unit is its weights, one column of the kernel as a matrix. Two are equal where the length of
    their difference is at most `TOLERANCE` times that of the longest column; a unit counts when it
    is equal to none of those that were counted before it.

    Example:
        >>> distinct_units(np.array([[1.0, 1.0, 2.0], [0.0, 1e-9, 0.0]]))
        2
    """
    units = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1]).T
    least = TOLERANCE * float(np.max(np.linalg.norm(units, axis=1)))
    found: list[np.ndarray] = []
    for unit in units:
        if not any(np.linalg.norm(unit - other) <= least for other in found):
            found.append(unit)
    return len(found)


def measure_symmetry(model: Model, _: Sample) -> list[Row]:
    """One row per kernel: its `layer`, `place` from 1, `units`, and how many are `distinct`."""
    leaves = leaves_by_path(model.variables["params"])
    kernels = {
        path.rpartition("/")[0]: np.asarray(leaf)
        for path, leaf in leaves.items()
        if role(path) == "kernel"
    }
    layers = [path for path in paths(model.network) if path in kernels]
    rows: list[Row] = []
    for place, layer in enumerate(layers, start=1):
        units, distinct = kernels[layer].shape[-1], distinct_units(kernels[layer])
        rows.append({"layer": layer, "place": place, "units": units, "distinct": distinct})
    return rows


def distinct_share(rows: tuple[Row, ...]) -> float:
    """Distinct units of all layers but the last, after training, in percent of the units.

    Example:
        >>> rows = tuple(
        ...     {"step": 9, "place": place, "units": 4, "distinct": 1 + 3 * (place == 3)}
        ...     for place in (1, 2, 3)
        ... )
        >>> distinct_share(rows)
        25.0
    """
    own = at_moment(rows, max)
    hidden = [row for row in own if row["place"] < max(row["place"] for row in own)]
    return 100 * sum(row["distinct"] for row in hidden) / sum(row["units"] for row in hidden)


def symmetry(only: tuple[str, ...] = ()) -> Measurement:
    """Distinct units of every layer before and after training; quantity `distinct_units`."""
    return Measurement(
        name=SYMMETRY,
        measure=measure_symmetry,
        section=Section(
            title="Units that stay equal",
            text=(
                "Units of a layer that start equal, behind units that start equal, compute the "
                "same and get the same gradient, so that no training tells them apart: the layer "
                "is one unit wide. Two units are counted as one where their weights differ by at "
                "most a millionth of the longest unit's. The units of the last layer are the "
                "classes, which the labels tell apart."
            ),
            tables=(partial(symmetry_table, names=only),),
        ),
        moments=("start", "end"),
        quantities={
            "distinct_units": Quantity(
                "distinct units of the hidden layers", distinct_share, "percentage points", 1
            )
        },
        only=only,
    )


def symmetry_table(study: Study, names: tuple[str, ...] = ()) -> Table:
    """Distinct units of every layer, before and after training: mean over seeds."""
    shown = [name for name in study.names if name in (names or study.names)]
    rows = [row for name in shown for row in study.rows(SYMMETRY, variant=name)]
    layers = list(dict.fromkeys(row["layer"] for row in sorted(rows, key=lambda r: r["place"])))
    cells = []
    for name in shown:
        steps = sorted({row["step"] for row in matching(rows, variant=name)})
        for moment, step in zip(("before", "after"), steps, strict=False):
            own = matching(rows, variant=name, step=step)
            counts = [_count(matching(own, layer=layer)) for layer in layers]
            cells.append((study.variant(name).label, moment, *counts))
    return Table(
        "Distinct units of every layer",
        ("Variant", "Training", *(layer.partition("/")[0] for layer in layers)),
        tuple(cells),
        ("Distinct units of all units: mean over seeds.",),
        left=(0, 1),
    )


def _count(rows: Sequence[Row]) -> str:
    if not rows:
        return number(float("nan"))
    distinct = mean([float(row["distinct"]) for row in rows])
    return f"{number(distinct, int(distinct % 1 > 0))} of {rows[0]['units']}"
