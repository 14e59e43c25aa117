"""Hidden units that ignore the input, or that repeat one another, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import jax.numpy as jnp
import numpy as np

from ablax.analysis.features import FeatureStatistics, feature_statistics
from ablax.core import Layers, Network, features, inner_layers, layer_shapes
from ablax.doctor.finding import Finding, listed
from ablax.doctor.patient import Patient, Variables
from ablax.doctor.trained import Trained
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
    Threshold,
)

IMAGES = 256
DEAD = 0.5
"""Share of a layer's units that may ignore the input: beyond, it works as one of half its width."""
REPEATED = 0.5
"""Share of the units that may repeat another of the layer, for the same reason."""
SAME = 0.95
"""Size of the correlation from which a unit repeats another: 0.9 of the variance is shared."""
CHECK = "units"

_ACTIVATIONS = (
    *(Absolute, LeakyReLU, PReLU, ReLU, ReLU6, ScaledTanh),
    *(ShiftedSigmoid, Sigmoid, Tanh, Threshold),
)


def units(patient: Patient, trained: Trained, images: int = IMAGES) -> Finding:
    """Activations of every layer over training images, before and after training.

    A unit of a feature map is a channel; it has a value at each place of each image. It is dead if
    its value is always the same. It repeats another if the size of their correlation is at least
    `SAME` with a unit before it. Sick if more than `DEAD` of a layer's units are dead, or more than
    `REPEATED` repeat another, after training. Layers of a single unit are left to the other checks.

    Args:
        patient: Who is examined.
        trained: The weights after training.
        images: How many training images.

    References:
        Ranzato 2014, Large-scale visual recognition with deep learning (CVPR tutorial), debugging
        hints, as the lecture quotes them.
    """
    height, width, channels = patient.images.shape[1:]
    layers = activations(patient.network, (height, width, channels))
    if not layers:
        return Finding(CHECK, None, "the network has no layer of hidden units", {}, "")
    before = _by_layer(patient, patient.settled(patient.variables), layers, images)
    try:
        after = _by_layer(patient, trained.variables, layers, images)
    except ValueError as error:
        return Finding(CHECK, True, str(error), {}, "see the learning rate")
    return _judged(before, after, trained.words, min(images, len(patient.images)))


def _judged(
    before: Mapping[str, tuple[float, float]],
    after: Mapping[str, tuple[float, float]],
    words: str,
    images: int,
) -> Finding:
    dead = {name: share for name, (share, _) in after.items() if share > DEAD}
    repeated = {name: share for name, (_, share) in after.items() if share > REPEATED}
    measured = {
        "layers": tuple(after),
        "dead_before": tuple(share for share, _ in before.values()),
        "dead_after": tuple(share for share, _ in after.values()),
        "repeated_before": tuple(share for _, share in before.values()),
        "repeated_after": tuple(share for _, share in after.values()),
    }
    most_dead = max(after, key=lambda name: after[name][0])
    most_repeated = max(after, key=lambda name: after[name][1])
    sentence = (
        f"{words}, over {images} images: at most {_percent(after[most_dead][0])} dead "
        f"({most_dead}; {_percent(before[most_dead][0])} before), at most "
        f"{_percent(after[most_repeated][1])} repeat another ({most_repeated}; "
        f"{_percent(before[most_repeated][1])} before); limit {_percent(DEAD)} of a layer each"
    )
    advice = []
    if dead:
        advice.append(
            f"dead: {listed(list(dead))}: lower the rate, start from other biases, or use LeakyReLU"
        )
    if repeated:
        advice.append(
            f"repeating: {listed(list(repeated))}: start from other weights, add dropout, or make "
            "the layer narrower"
        )
    return Finding(CHECK, bool(dead or repeated), sentence, measured, "; ".join(advice))


def activations(network: Network, image_shape: tuple[int, int, int]) -> tuple[str, ...]:
    """The paths of the nonlinearities, in order; those inside a `Repeat` cannot be seen."""
    seen = layer_shapes(network, image_shape)

    def below(layers: Layers, prefix: str) -> Iterator[str]:
        for name, layer in layers.items():
            if isinstance(layer, _ACTIVATIONS):
                yield prefix + name
            for inner in inner_layers(layer).values():
                yield from below(inner, f"{prefix}{name}/")

    return tuple(path for path in below(network.layers, "") if path in seen)


def _by_layer(
    patient: Patient, variables: Variables, layers: tuple[str, ...], images: int
) -> dict[str, tuple[float, float]]:
    """The shares of dead and of repeated units of each layer."""
    found = feature_statistics(
        lambda batch: features(patient.network, variables, jnp.asarray(batch), at=layers),
        patient.portions(images),
        most_responses=1,
    )
    return {name: (float(each.constant.mean()), repeated(each)) for name, each in found.items()}


def repeated(statistics: FeatureStatistics) -> float:
    """The share of units whose correlation with a unit before them is `SAME` or more."""
    size = np.abs(np.nan_to_num(statistics.correlation))
    return float(np.mean(np.tril(size, -1).max(axis=1) >= SAME))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
