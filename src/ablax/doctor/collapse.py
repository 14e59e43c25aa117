"""Has training collapsed: the same answer for every image, or a loss that falls and no accuracy?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from ablax.doctor.finding import Finding, share_interval
from ablax.doctor.patient import Patient
from ablax.doctor.trained import Trained

CONSTANT = 1e-3
"""Scores are constant if, from image to image, they vary by less than this share of their size."""
ONE_CLASS = 0.95
"""Share of the images that one predicted class must have, where no class has `COMMON` of them."""
COMMON = 0.8
FALLEN = 0.1
"""Share by which a loss must have fallen to count as fallen."""
CHECK = "collapse"


def collapse(patient: Patient, trained: Trained) -> Finding:
    """Look at the scores of the sample of training images, as in a test.

    Sick if the scores are constant (`CONSTANT`), if one class is predicted for nearly all images
    (`ONE_CLASS`), or if the loss has fallen by `FALLEN` while the accuracy's 95 % interval holds
    the share of the commonest class, which guessing reaches. Cannot be told if neither loss nor
    accuracy moved: the training was too short, or is sick otherwise.
    """
    return judge(patient.scores(trained.variables), patient.labels, trained)


def judge(
    scores: Float[np.ndarray, "N classes"], labels: Int[np.ndarray, " N"], trained: Trained
) -> Finding:
    """The law of `collapse`, for scores."""
    if not np.isfinite(scores).all():
        return Finding(
            CHECK,
            True,
            f"scores are not finite {trained.words}",
            {},
            "the training diverged: see the learning rate",
        )
    count, classes = scores.shape
    size = float(np.sqrt(np.mean(scores**2)))
    spread = float(np.sqrt(np.mean(scores.var(axis=0)))) / size if size else 0.0
    predicted = np.bincount(scores.argmax(axis=1), minlength=classes) / count
    common = float(np.max(np.bincount(labels, minlength=classes))) / count
    right = int(np.sum(scores.argmax(axis=1) == labels))
    low, high = share_interval(right, count)
    fall = 1 - trained.last_loss / trained.first_loss if trained.first_loss else 0.0
    measured = {
        "spread": spread,
        "largest_share": float(predicted.max()),
        "accuracy": right / count,
        "accuracy_low": low,
        "accuracy_high": high,
        "chance": common,
        "loss_fall": fall,
    }
    accuracy = (
        f"accuracy {100 * right / count:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {count} "
        f"training images, guessing {100 * common:.1f} %"
    )
    loss = f"the loss went from {trained.first_loss:.3g} to {trained.last_loss:.3g}"
    at_chance = low <= common
    if spread < CONSTANT:
        sick: bool | None = True
        sentence = f"the scores vary by {spread:.1g} of their size from image to image; {accuracy}"
        advice = "look at dead units and at vanishing gradients; the loss may reward a constant"
    elif predicted.max() >= ONE_CLASS and common < COMMON:
        sick = True
        sentence = f"class {predicted.argmax()} is predicted for {100 * predicted.max():.1f} % of "
        sentence += f"the images; {accuracy}"
        advice = "look at the labels, the balance of the classes and the learning rate"
    elif at_chance and fall >= FALLEN:
        sick, sentence = True, f"{loss}, but {accuracy}"
        advice = "is this loss appropriate to the task, and has it degenerate solutions?"
    elif at_chance:
        sick, sentence = None, f"{loss}; {accuracy}"
        advice = "train longer, or see the other checks: nothing has been learned"
    else:
        sick, sentence, advice = False, f"{accuracy}; {loss}", ""
    return Finding(CHECK, sick, f"{trained.words}: {sentence}", measured, advice)
