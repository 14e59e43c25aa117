"""`Trained`: the weights after some training, and how the loss went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablax.doctor.patient import Patient, Variables
from ablax.doctor.short_training import STEPS, first_steps

_ENDS = 10  # steps whose mean is the loss at either end


@dataclass(frozen=True, eq=False)
class Trained:
    """Weights after training.

    Attributes:
        variables: Weights, and settled statistics.
        first_loss: Of the first steps or epoch.
        last_loss: Of the last.
        words: Whose weights these are.
    """

    variables: Variables
    first_loss: float
    last_loss: float
    words: str


def briefly_trained(patient: Patient) -> Trained:
    """What the first steps of the recipe make of the network."""
    done = first_steps(patient)
    return Trained(
        patient.settled(done.variables),
        float(np.mean(done.losses[:1])),
        float(np.mean(done.losses[-_ENDS:])),
        f"after {STEPS} steps of the recipe",
    )
