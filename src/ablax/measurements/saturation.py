"""Units that saturate or never fire, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ablax.core import Layers, Network, inner_layers
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
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report.figures import COLORS, WIDTH, blank, look, settings, where, wrapped, write_caption
from ablax.report.statistics import deviation, mean
from ablax.report.study import Picture, Quantity, Row, Section, Study, Variant
from ablax.report.tables import NOTHING, Column, Table, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# ------------------------------------------------------------------------------------------
# Saturation as pictures and a table: by layer before and after training, and as it goes on.

NAME = "saturation"
PANEL = 3
"""Panels in a row of the second picture."""


def layers_figure(study: Study) -> Figure:
    """Saturated responses and dead units by layer: before training on the left, after on the right.

    One line per variant.
    """
    with settings():
        figure = blank(WIDTH + 1, 9.4)
        axes = figure.subplots(2, 2, sharex=True, sharey=True)
        for row, (column, word) in enumerate(
            (("saturated", "saturated responses, %"), ("dead", "dead units, %"))
        ):
            for at, (moment, words) in enumerate(((min, "before"), (max, "after"))):
                for place, variant in enumerate(study.variants):
                    rows = _at_moment(study.rows(NAME, variant=variant.name), moment)
                    _draw_line(axes[row, at], rows, column, variant.label, look(place))
                axes[row, at].set_title(f"{word.split(',')[0].capitalize()} {words} training")
            axes[row, 0].set_ylabel(word)
        for panel in axes[1]:
            panel.set_xlabel("hidden layer, counted from the images")
        for panel in axes.flat:
            _dress(panel)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
        write_caption(
            figure,
            "A response is saturated where the slope of its nonlinearity is below 1 % of the "
            "largest; a unit is dead if it is saturated at every place of every image looked at. "
            f"Lines: mean over seeds; bars: lowest to highest. {where(study)}",
        )
        return figure


def training_figure(study: Study) -> Figure:
    """Saturated responses by epoch: one panel per variant, one line per layer, blue to orange."""
    shown = [v for v in study.variants if study.rows(NAME, variant=v.name)]
    with settings():
        down = max(1, math.ceil(len(shown) / PANEL))
        figure = blank(WIDTH + 1, 1.8 + 3.3 * down)
        panels = np.ravel(figure.subplots(down, PANEL, sharey=True, sharex=True, squeeze=False))
        for panel in panels[len(shown) :]:
            panel.set_axis_off()
        for at, variant in enumerate(shown):
            _draw_layers(panels[at], study, variant)
            if at % PANEL == 0:
                panels[at].set_ylabel("saturated, %")
            if at + PANEL >= len(shown):
                panels[at].set_xlabel("epochs")
                panels[at].tick_params(labelbottom=True)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=max(1, len(labels)), frameon=False
        )
        write_caption(
            figure,
            "Share of responses at which the slope of the nonlinearity is below 1 % of the "
            "largest, layer by layer, at the moments measured: mean over seeds. Layers are counted "
            f"from the images. {where(study)}",
        )
        return figure


def _draw_layers(axes: Axes, study: Study, variant: Variant) -> None:
    from matplotlib.colors import to_rgb

    rows = study.rows(NAME, variant=variant.name)
    places = sorted({int(row["place"]) for row in rows})
    for at, place in enumerate(places):
        share = at / max(1, len(places) - 1)
        pairs = zip(to_rgb(COLORS[1]), to_rgb(COLORS[5]), strict=True)
        color = tuple((1 - share) * a + share * b for a, b in pairs)
        own = [row for row in rows if row["place"] == place]
        epochs = sorted({float(row["epoch"]) for row in own})
        means = [mean([r["saturated"] for r in own if float(r["epoch"]) == e]) for e in epochs]
        marker = "os^Dv>p*"[at % 8]
        axes.plot(epochs, means, color=color, marker=marker, ms=6, lw=2, label=f"layer {place}")
    axes.set_title(wrapped(variant.label, 30), fontsize=13)
    axes.set_ylim(-4, 104)
    axes.grid(color="#E4E4E4")


def _at_moment(rows: Sequence[Row], moment: Callable[[list[int]], int]) -> list[Row]:
    step = moment([row["step"] for row in rows] or [0])
    return [row for row in rows if row["step"] == step]


def _draw_line(
    axes: Axes, rows: Sequence[Row], column: str, label: str, style: dict[str, object]
) -> None:
    """Mean over seeds at each layer, and the range."""
    places = sorted({int(row["place"]) for row in rows})
    values = [[float(row[column]) for row in rows if row["place"] == place] for place in places]
    axes.plot(places, [mean(found) for found in values], lw=2, ms=8, label=label, **style)  # type: ignore[arg-type]
    for place, found in zip(places, values, strict=True):
        axes.plot([place] * 2, [min(found), max(found)], color=str(style["color"]), lw=1.5)


def _dress(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylim(-4, 104)
    axes.grid(color="#E4E4E4")


def saturation_table(study: Study) -> Table:
    """One row per variant: saturated responses and dead units, mean over layers."""
    names = ("saturated_at_start", "saturated_at_end", "last_saturated", "dead_at_end")
    rows = []
    for variant in study.variants:
        cells = [variant.label]
        for name in names:
            found = list(study.values(f"{variant.name}:{name}").values())
            cells.append(spread(mean(found), deviation(found), 1) if found else NOTHING)
        rows.append(tuple(cells))
    return Table(
        title="Saturated responses and dead units, %",
        columns=(
            Column("Variant", "left"),
            Column("Saturated before training"),
            Column("Saturated after training"),
            Column("Last hidden layer, most at any moment"),
            Column("Dead units after training"),
        ),
        rows=tuple(rows),
        notes=(
            "Percent, mean over the hidden layers ± standard deviation over seeds. A ReLU's "
            "saturated responses are its zeros, which it needs: without them it would be linear. "
            "What hurts it are dead units, which are 0 for every image and get no gradient.",
        ),
    )


def section() -> Section:
    """Both pictures and the table."""
    return Section(
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
    )


# ------------------------------------------------------------------------------------------
# Saturation: where a nonlinearity is so flat that it passes no gradient, layer by layer.

IMAGES = 256
"""Test images whose responses are counted."""

FLAT = 0.01
"""A slope below this share of the largest is flat."""

NONLINEARITIES = (
    *(Absolute, LeakyReLU, PReLU, ReLU, ReLU6, ScaledTanh, ShiftedSigmoid, Sigmoid, Tanh),
)

_GRID = np.linspace(-10, 10, 2001, dtype=np.float32)
"""Inputs among which every nonlinearity has its largest slope; 0 is one of them."""


@dataclass(frozen=True)
class Place:
    """A nonlinearity in a network.

    Attributes:
        path: Its own.
        before: The path of the layer whose output it gets.
        layer: The module.
    """

    path: str
    before: str
    layer: Any


def nonlinearities(network: Network) -> tuple[Place, ...]:
    """Every nonlinearity that stands behind another layer, in order.

    Args:
        network: Any network.

    Raises:
        AblaxError: There is none, or one is the first of a chain, so that its input has no name.

    Example:
        >>> from ablax.zoo import lenet5
        >>> [(place.before, place.path) for place in nonlinearities(lenet5())][:2]
        [('c1/conv', 'c1/tanh'), ('c3/conv', 'c3/tanh')]
    """
    found = tuple(_below(network.layers, ""))
    if not found:
        known = ", ".join(kind.__name__ for kind in NONLINEARITIES)
        raise AblaxError(f"the network has no nonlinearity to measure: expected one of {known}")
    return found


def _below(layers: Layers, prefix: str) -> Iterator[Place]:
    before = ""
    for name, layer in layers.items():
        path = prefix + name
        if isinstance(layer, NONLINEARITIES):
            if not before:
                raise AblaxError(
                    f"{path} is the first layer of its chain, so that its input has no name: put "
                    "it in one chain with the layer in front of it"
                )
            yield Place(path, before, layer)
        for inner in inner_layers(layer).values():
            yield from _below(inner, f"{path}/")
        before = path


def slopes(
    layer: Any, variables: Mapping[str, Any], inputs: Float[np.ndarray, "... C"]
) -> Float[np.ndarray, "... C"]:
    """f'(x) of a function that takes each number by itself.

    Args:
        layer: The module of f.
        variables: Its parameters under `params`; empty where it has none.
        inputs: x.

    Example:
        >>> slopes(Sigmoid(), {}, np.zeros(1, np.float32)).tolist()
        [0.25]
    """
    x = jnp.asarray(inputs)
    return np.asarray(_slopes(layer, variables, x))


@partial(jax.jit, static_argnums=0)
def _slopes(layer: Any, variables: Mapping[str, Any], x: Array) -> Array:
    return jax.jvp(lambda x: layer.apply(variables, x), (x,), (jnp.ones_like(x),))[1]


def flat(
    layer: Any, variables: Mapping[str, Any], inputs: Float[np.ndarray, "... C"]
) -> Bool[np.ndarray, "... C"]:
    """Where |f'(x)| is below `FLAT` times its largest value, channel by channel.

    Args:
        layer: The module of f.
        variables: Its parameters under `params`.
        inputs: x.

    Example:
        >>> flat(ReLU(), {}, np.array([[-1.0, 1.0]], np.float32)).tolist()
        [[True, False]]
        >>> flat(Sigmoid(), {}, np.array([[5.9, -6.0]], np.float32)).tolist()
        [[False, True]]
    """
    grid = np.broadcast_to(_GRID[:, None], (len(_GRID), inputs.shape[-1]))
    largest = np.abs(slopes(layer, variables, grid)).max(axis=0)
    return np.abs(slopes(layer, variables, inputs)) < FLAT * largest


def measure(model: Model, sample: Sample, images: int = IMAGES) -> list[Row]:
    """The share of responses on the flat of their nonlinearity, and of units that never leave it.

    A unit of a feature map is a channel, with a response at each place of each image. A response is
    saturated where the slope of the nonlinearity at its input is below 1 % of the largest slope:
    |x| > 5.98 for a sigmoid, |x| > 2.99 for tanh, x <= 0 for a ReLU, whose output is 0 there. A
    unit is dead if all its responses are saturated: a ReLU that is 0 for every image.

    Args:
        model: The network at one moment.
        sample: Its test images.
        images: How many test images, the first ones.

    Returns:
        One row per layer: `layer`; `place` from 1; `saturated` and `dead`, in percent.

    References:
        Glorot, Bengio 2010, Understanding the difficulty of training deep feedforward neural
        networks, on saturated sigmoids and tanh.
    """
    places = nonlinearities(model.network)
    inputs = model.features(sample.test.images[:images], [place.before for place in places])
    rows: list[Row] = []
    for number, place in enumerate(places, start=1):
        held = _own(model.variables["params"], place.path)
        responses = inputs[place.before]
        found = flat(place.layer, {"params": held}, responses).reshape(-1, responses.shape[-1])
        rows.append(
            {
                "layer": place.path,
                "place": number,
                "saturated": 100 * float(found.mean()),
                "dead": 100 * float(found.all(axis=0).mean()),
            }
        )
    return rows


def _own(parameters: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The parameters of the layer of that path; none where it has none."""
    for name in path.split("/"):
        parameters = parameters.get(name, {})
    return parameters


def mean_over_layers(
    rows: tuple[Row, ...], column: str = "saturated", moment: Callable[..., float] = max
) -> float:
    """The mean of a column over the layers at one moment, in percent.

    Args:
        rows: Of one run.
        column: `saturated` or `dead`.
        moment: Picks a step among all steps: `min` the start, `max` the end.

    Example:
        >>> rows = tuple({"step": s, "saturated": s + p} for s in (0, 8) for p in (1, 3))
        >>> mean_over_layers(rows), mean_over_layers(rows, moment=min)
        (10.0, 2.0)
    """
    step = moment(row["step"] for row in rows)
    found = [row[column] for row in rows if row["step"] == step]
    return sum(found) / len(found)


def most_of_layer(rows: tuple[Row, ...], last: bool = True) -> float:
    """The largest `saturated` of the last or the first layer among all moments, in percent."""
    places = [row["place"] for row in rows]
    wanted = max(places) if last else min(places)
    return max(row["saturated"] for row in rows if row["place"] == wanted)


SATURATION = Measurement(
    name=NAME,
    measure=measure,
    section=section(),
    moments=("start", "training", "end"),
    quantities={
        "saturated_at_start": Quantity(
            "saturated responses before training, mean over layers",
            partial(mean_over_layers, moment=min),
            "percentage points",
        ),
        "saturated_at_end": Quantity(
            "saturated responses after training, mean over layers",
            mean_over_layers,
            "percentage points",
        ),
        "dead_at_end": Quantity(
            "dead units after training, mean over layers",
            partial(mean_over_layers, column="dead"),
            "percentage points",
        ),
        "first_saturated": Quantity(
            "most saturated responses of the first layer at any moment",
            partial(most_of_layer, last=False),
            "percentage points",
        ),
        "last_saturated": Quantity(
            "most saturated responses of the last hidden layer at any moment",
            most_of_layer,
            "percentage points",
        ),
    },
)
"""Saturated responses and dead units of every layer, before, during and after training."""
