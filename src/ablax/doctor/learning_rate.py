"""At which learning rate does training diverge, and does the recipe stay below it?"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from ablax.doctor.finding import Finding
from ablax.doctor.patient import Patient
from ablax.doctor.short_training import ABOVE, STEPS, range_test, rising_rates

WINDOW = 7
"""Steps over which the median of the loss is taken: one unlucky batch decides nothing."""
RISE = 0.5
"""Share of the fall so far that the loss must rise again to count as diverging."""
LEAST = 0.1
"""The same as a share of where the fall began, if the loss has hardly fallen."""
CHECK = "learning rate"


def learning_rate(patient: Patient) -> Finding:
    """Train with the recipe's own optimizer while the rate grows geometrically over 100 steps.

    The diverging rate is the first, behind the least of the smoothed loss, at which this loss lies
    above its least by more than `RISE` of its fall and `LEAST` of where the fall began, or is not
    finite. A fall begins at the first loss, or at that of guessing, ln(classes), if that is less:
    a start worse than guessing would make every later rise look small. Sick if the recipe's highest
    rate is the diverging rate or more. The test trains a few steps at each rate, so a rate a little
    below the limit may still diverge in a long training.

    References:
        Smith 2017, Cyclical learning rates for training neural networks, section 3.3.
    """
    rate = patient.recipe.optimizer.rate
    rates, losses = rising_rates(patient), range_test(patient).losses
    place = diverges_at(losses, patient.classes)
    measured = {
        "rate": rate,
        "rates": tuple(map(float, rates)),
        "losses": tuple(map(float, losses)),
        "smoothed": tuple(map(float, smoothed(losses))),
        "diverging_rate": None if place is None else float(rates[place]),
    }
    if place is None:
        sentence = (
            f"no divergence up to a rate of {rates[-1]:.2g}, {ABOVE:g} times the recipe's {rate:g}"
        )
        return Finding(CHECK, False, sentence, measured)
    limit = float(rates[place])
    sick = rate >= limit
    where = f"{limit / rate:.2g} times" if limit >= rate else f"1/{rate / limit:.2g} of"
    sentence = (
        f"the loss starts to rise again at a rate of {limit:.2g}, {where} the recipe's {rate:g} "
        f"(range test, {STEPS} steps)"
    )
    return Finding(
        CHECK,
        sick,
        sentence,
        measured,
        f"lower the rate, to {limit / 10:.1g} at first: --optimizer.rate {limit / 10:.1g}"
        if sick
        else "",
    )


def smoothed(losses: Float[np.ndarray, " steps"]) -> Float[np.ndarray, " steps"]:
    """The running median, centered, so that it does not lag; infinite where a loss is not finite.

    Example:
        >>> smoothed(np.array([3.0, 9.0, 2.0, 1.0, 0.0])).tolist()
        [2.5, 2.0, 2.0, 2.0, 1.5]
    """
    finite = np.where(np.isfinite(losses), losses, np.inf)
    half = WINDOW // 2
    parts = [finite[max(0, i - half) : i + half + 1] for i in range(len(finite))]
    return np.array([_median(part) for part in parts])


def _median(values: Float[np.ndarray, " n"]) -> float:
    """The mean of the two in the middle, infinity included."""
    ordered = np.sort(values)
    return float((ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2)


def diverges_at(losses: Float[np.ndarray, " steps"], classes: int) -> int | None:
    """The step of a range test at which its loss starts to diverge; None where it does not.

    Example:
        >>> falls = np.linspace(2.3, 0.3, 60)
        >>> rises = np.linspace(0.3, 4.3, 40)
        >>> diverges_at(np.concatenate([falls, rises]), 10), diverges_at(falls, 10)
        (70, None)
    """
    curve = smoothed(losses)
    if not math.isfinite(curve[0]):
        return 0
    lowest = int(np.argmin(curve))
    start, least = min(float(curve[0]), math.log(classes)), float(curve[lowest])
    limit = least + max(RISE * (start - least), LEAST * start)
    above = np.flatnonzero(curve[lowest:] > limit)
    return lowest + int(above[0]) if len(above) else None
