"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from ablax.doctor.capacity import CHECK as CAPACITY
from ablax.doctor.capacity import capacity
from ablax.doctor.collapse import CHECK as COLLAPSE
from ablax.doctor.collapse import collapse
from ablax.doctor.divergence import CHECK as DIVERGENCE
from ablax.doctor.divergence import divergence
from ablax.doctor.finding import Finding
from ablax.doctor.generalization import CHECK as GENERALIZATION
from ablax.doctor.generalization import generalization
from ablax.doctor.gradient import CHECK as GRADIENT
from ablax.doctor.gradient import gradient
from ablax.doctor.gradient_flow import CHECK as GRADIENT_FLOW
from ablax.doctor.gradient_flow import gradient_flow
from ablax.doctor.history import History
from ablax.doctor.learning_rate import CHECK as LEARNING_RATE
from ablax.doctor.learning_rate import learning_rate
from ablax.doctor.patient import Patient
from ablax.doctor.small_subset import CHECK as SMALL_SUBSET
from ablax.doctor.small_subset import small_subset
from ablax.doctor.speed import CHECK as SPEED
from ablax.doctor.speed import speed
from ablax.doctor.trained import Trained, briefly_trained
from ablax.doctor.units import CHECK as UNITS
from ablax.doctor.units import units

Checks = dict[str, Callable[[], Finding]]


def checks(patient: Patient, history: History | None) -> Checks:
    """The checks by name, in the order of the lecture's slides; nothing is computed yet."""

    def trained() -> Trained:
        if history is not None and history.trained is not None:
            return history.trained
        return briefly_trained(patient)

    return {
        SMALL_SUBSET: lambda: small_subset(patient),
        GRADIENT: lambda: gradient(patient),
        DIVERGENCE: lambda: divergence(history),
        LEARNING_RATE: lambda: learning_rate(patient),
        COLLAPSE: lambda: collapse(patient, trained()),
        UNITS: lambda: units(patient, trained()),
        GRADIENT_FLOW: lambda: gradient_flow(patient),
        GENERALIZATION: lambda: generalization(patient, history),
        CAPACITY: lambda: capacity(patient, history),
        SPEED: lambda: speed(patient),
    }


def examine(
    patient: Patient,
    history: History | None = None,
    begins: Callable[[str], None] = lambda _: None,
    ends: Callable[[Finding], None] = lambda _: None,
) -> tuple[Finding, ...]:
    """Run every check.

    Args:
        patient: Who is examined.
        history: A finished run of the same network, where there is one.
        begins: Told the name of each check before it starts.
        ends: Told what it found.
    """
    found = []
    for name, check in checks(patient, history).items():
        begins(name)
        found.append(check())
        ends(found[-1])
    return tuple(found)
