"""Saturation: where a nonlinearity is so flat that it passes no gradient, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

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
from ablax.measurements.measurement import Measurement
from ablax.measurements.saturation_pictures import NAME, section
from ablax.measurements.subject import Subject
from ablax.report.study import Quantity, Row

IMAGES = 256
"""Test images whose responses are judged."""

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


def measure(subject: Subject, images: int = IMAGES) -> list[Row]:
    """The share of responses on the flat of their nonlinearity, and of units that never leave it.

    A unit of a feature map is a channel, with a response at each place of each image. A response is
    saturated where the slope of the nonlinearity at its input is below 1 % of the largest slope:
    |x| > 5.98 for a sigmoid, |x| > 2.99 for tanh, x <= 0 for a ReLU, whose output is 0 there. A
    unit is dead if all its responses are saturated: a ReLU that is 0 for every image.

    Args:
        subject: The network at one moment.
        images: How many test images, the first ones.

    Returns:
        A row a layer: `layer`; `place` from 1; `saturated` and `dead`, in percent.

    References:
        Glorot, Bengio 2010, Understanding the difficulty of training deep feedforward neural
        networks, on saturated sigmoids and tanh.
    """
    places = nonlinearities(subject.network)
    inputs = subject.features(subject.test.images[:images], [place.before for place in places])
    rows: list[Row] = []
    for number, place in enumerate(places, start=1):
        held = _own(subject.variables["params"], place.path)
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
            "points",
        ),
        "saturated_at_end": Quantity(
            "saturated responses after training, mean over layers", mean_over_layers, "points"
        ),
        "dead_at_end": Quantity(
            "dead units after training, mean over layers",
            partial(mean_over_layers, column="dead"),
            "points",
        ),
        "first_saturated": Quantity(
            "most saturated responses of the first layer at any moment",
            partial(most_of_layer, last=False),
            "points",
        ),
        "last_saturated": Quantity(
            "most saturated responses of the last hidden layer at any moment",
            most_of_layer,
            "points",
        ),
    },
)
"""Saturated responses and dead units of every layer, before, during and after training."""
