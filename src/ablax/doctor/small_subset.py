"""Does the network learn a handful of images by heart? It must, or something is broken."""

from __future__ import annotations

import math

import numpy as np
import optax

from ablax.doctor.finding import Finding
from ablax.doctor.patient import Patient
from ablax.doctor.short_training import compile_training

IMAGES = 32
STEPS = 200
RATES = (1e-3, 3e-4, 1e-2)
"""Of Adam, tried in turn; the first that succeeds ends the check."""
LEFT = 0.05
"""Share of the loss of guessing, ln(classes), that may be left; at 10 classes the class of an image
then has a probability of 0.89 in the (geometric) mean."""

CHECK = "small subset"


def small_subset(patient: Patient, images: int = IMAGES, steps: int = STEPS) -> Finding:
    """After `steps` full-batch steps of Adam on 32 training images: error 0, loss near 0.

    No augmentation, no dropout, no weight decay. Sick if an image is still wrong, or more than
    `LEFT` ln(classes) of the loss is left, at each of the `RATES`.

    Args:
        patient: Who is examined.
        images: How many.
        steps: Of Adam.
    """
    count = min(images, len(patient.images))
    train = compile_training(
        patient,
        patient.network,
        optax.adam(1.0),
        images=count,
        batch=count,
        steps=steps,
        varied=False,
    )
    limit = LEFT * math.log(max(patient.classes, 2))
    best = (math.inf, math.inf, RATES[0])
    for rate in RATES:
        done = train(np.full(steps, rate))
        wrong, loss = float(done.errors[-1]), float(done.losses[-1])
        if math.isfinite(loss):
            best = min(best, (wrong, loss, rate))
        if best[0] == 0 and best[1] <= limit:
            break
    wrong, loss, rate = best
    sick = not (wrong == 0 and loss <= limit)
    if math.isfinite(loss):
        sentence = (
            f"after {steps} steps of Adam (rate {rate:g}) on {count} images {wrong * count:.0f} "
            f"are wrong and the loss is {loss:.2g}; expected none and at most {limit:.2g}"
        )
    else:
        sentence = f"the loss on {count} images is not finite, at Adam's rates {RATES}"
    return Finding(
        CHECK,
        sick,
        sentence,
        {"wrong": wrong * count, "loss": loss, "images": count, "rate": rate, "limit": limit},
        "the loss or the gradient is wrong, two images are equal but for their class, or the "
        "network is far too small: look at the gradient, the units and the labels"
        if sick
        else "",
    )
