"""Are there too few operations and parameters for the task?"""

from __future__ import annotations

import math

import numpy as np
import optax

from ablax.core import Network
from ablax.doctor.finding import Finding, share_interval
from ablax.doctor.history import History
from ablax.doctor.patient import Patient
from ablax.doctor.short_training import compile_training
from ablax.errors import AblaxError
from ablax.report.statistics import flattened
from ablax.report.study import Curve

IMAGES = 256
BATCH = 64
STEPS = 200
"""Of Adam: 50 passes over the 256 images."""
RATES = (1e-3, 1e-2)
"""Of Adam; the second is tried where the first leaves too many wrong, and the better counts."""
ENOUGH = 0.05
"""Training error up to which a network is able enough."""
_ENDS = IMAGES // BATCH  # steps of a pass
CHECK = "capacity"


def capacity(patient: Patient, history: History | None = None) -> Finding:
    """Of a finished run its curve; else whether the network learns 256 images by heart.

    A run is sick if its training loss is flat (`ablax.report.statistics`) and the error of its last
    weights on training images, without augmentation, is surely (95 %) above `ENOUGH`; healthy if
    it is not above. If the loss still falls, it cannot be told.

    A network before training is healthy if 200 steps of Adam on 256 images leave at most `ENOUGH`
    of them wrong. If they leave more, the same network at twice the width tries: sick if its error
    is surely below, else it cannot be told whether size is what is missing.
    """
    if history is None or history.trained is None:
        return _of_network(patient)
    wrong = int(np.sum(patient.scores(history.trained.variables).argmax(1) != patient.labels))
    return of_run(patient, history.curve, wrong)


def of_run(patient: Patient, curve: Curve, wrong: int) -> Finding:
    """The law of `capacity` for a run, with so many wrong of the patient's training images."""
    total = len(patient.labels)
    low, high = share_interval(wrong, total)
    flat = flattened(curve, classes=patient.classes)
    sentence = (
        f"training error {100 * wrong / total:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of "
        f"{total} images, limit {100 * ENOUGH:g} %; training loss: {flat.reason}"
    )
    measured = {"train_error": wrong / total, "low": low, "high": high, "flat": flat.flat}
    if wrong / total <= ENOUGH:
        return Finding(CHECK, False, sentence, measured)
    if flat.flat and low > ENOUGH:
        return Finding(CHECK, True, sentence, measured, _LARGER)
    return Finding(CHECK, None, sentence, measured, "train until the loss is flat, or judge more")


def _of_network(patient: Patient) -> Finding:
    wrong, total = _memorizes(patient, patient.network)
    measured = {"error": wrong / total, "images": total}
    sentence = (
        f"after {STEPS} steps of Adam on {total} images {wrong} are wrong, limit {100 * ENOUGH:g} %"
    )
    if wrong / total <= ENOUGH:
        return Finding(CHECK, False, sentence, measured)
    if patient.wider is None:
        return Finding(
            CHECK, None, sentence, measured, "compare with a wider network, or look at the others"
        )
    try:
        wide = patient.wider()
    except AblaxError as error:
        return Finding(
            CHECK, None, f"{sentence}; no wider network can be built", measured, str(error)
        )
    wider, _ = _memorizes(patient, wide)
    sentence += f"; of the network at twice the width {wider} are wrong"
    measured["wider_error"] = wider / total
    sick = share_interval(wider, total)[1] < share_interval(wrong, total)[0]
    if sick:
        return Finding(CHECK, True, sentence, measured, _LARGER)
    return Finding(
        CHECK, None, sentence, measured, "size is not what is missing: look at the other checks"
    )


def _memorizes(patient: Patient, network: Network) -> tuple[int, int]:
    """How many of how many images are wrong in the last pass over them."""
    train = compile_training(
        patient,
        network,
        optax.adam(1.0),
        images=IMAGES,
        batch=BATCH,
        steps=STEPS,
        varied=False,
    )
    total, errors = min(IMAGES, len(patient.images)), []
    for rate in RATES:
        done = train(np.full(STEPS, rate))
        finite = math.isfinite(done.losses[-1])
        errors.append(float(np.mean(done.errors[-_ENDS:])) if finite else 1.0)
        if errors[-1] <= ENOUGH:
            break
    return round(min(errors) * total), total


_LARGER = "more features or layers: the operations are too few for the task (--width)"
