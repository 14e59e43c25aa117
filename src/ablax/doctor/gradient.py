"""Is the gradient that trains the network the slope of its loss? In float64, leaf by leaf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from ablax.analysis.gradient_check import GradientCheck, check_gradient
from ablax.core import paths
from ablax.doctor.finding import Finding, listed
from ablax.doctor.patient import Patient

IMAGES = 4
TOLERANCE = 1e-5
"""Largest relative error: central differences in float64 reach about 1e-9 where a loss is smooth;
a wrong factor or a forgotten term is seldom below 1e-3."""
TOLD = 0.5
"""Share of the leaves that must be told for the check to tell: kinks leave some open."""
CHECK = "gradient"


def gradient(patient: Patient, images: int = IMAGES, directions: int = 2) -> Finding:
    """The gradient of the training loss against central differences, along random directions.

    Sick if a leaf disagrees by more than `TOLERANCE`. Cannot be told if fewer than half of the
    leaves can, because of kinks (ReLU, maximum) between the points compared.

    Args:
        patient: Who is examined.
        images: Of the loss.
        directions: A leaf.
    """
    batch, labels = patient.normalized(images), jnp.asarray(patient.labels[:images])

    def loss(params: Any, statistics: Any, batch: Any) -> Any:
        held = {"params": params, "batch_stats": statistics}
        return patient.loss(patient.network, held, batch, labels)[0]

    start = patient.variables
    try:
        found = check_gradient(
            loss,
            start["params"],
            start["batch_stats"],
            batch,
            directions=directions,
            tolerance=TOLERANCE,
        )
    except ValueError as error:
        return Finding(CHECK, None, str(error), {}, "look at the layer that the message names")
    depth = {path: place for place, path in enumerate(paths(patient.network))}
    return _judged(found, images, depth)


def _judged(found: GradientCheck, images: int, depth: Mapping[str, int]) -> Finding:
    wrong = [row for row in found.leaves if row.verdict == "disagrees"]
    told = [row for row in found.leaves if row.verdict == "agrees"]
    size = f"{len(found.leaves)} leaves, loss of {images} images, float64"
    measured = {
        "leaves": len(found.leaves),
        "agree": len(told),
        "disagree": len(wrong),
        "errors": {row.leaf: row.error for row in found.leaves},
    }
    if wrong:
        worst = max(wrong, key=lambda row: row.error)
        sentence = (
            f"{len(wrong)} of {size} disagree with finite differences, {worst.leaf} by a relative "
            f"{worst.error:.2g}; expected at most {TOLERANCE:g}"
        )
        # what lies nearer the scores than a wrong derivative is right: the fault is where that ends
        last = max(wrong, key=lambda row: depth.get(row.leaf.rpartition("/")[0], 0)).leaf
        advice = f"mend the derivative of {last}, or of what follows it up to the next parameters"
        return Finding(CHECK, True, sentence, measured, advice)
    open_ = [row.leaf for row in found.leaves if row.verdict == "cannot be told"]
    kinks = f"; kinks leave {listed(open_)} open" if open_ else ""
    worst_error = max((row.error for row in told), default=float("nan"))
    error = f"{worst_error:.1g}" if worst_error else "rounding"
    sentence = f"{len(told)} of {size} agree with finite differences to within {error}{kinks}"
    if len(told) < TOLD * len(found.leaves):
        return Finding(
            CHECK, None, sentence, measured, "exchange the kinks for smooth ones, such as tanh"
        )
    return Finding(CHECK, False, sentence, measured)
