"""Did the run diverge?"""

from __future__ import annotations

import math

from ablax.doctor.finding import Finding
from ablax.doctor.history import History
from ablax.report.study import Curve

CHECK = "divergence"


def divergence(history: History | None) -> Finding:
    """Sick if the run ended in a loss that is not finite, or above that of its first epoch."""
    if history is None:
        return Finding(
            CHECK, None, "there is no finished run to judge", {}, "run it, and examine its folder"
        )
    return judge(history.curve, history.status)


def judge(curve: Curve, status: str) -> Finding:
    """The law of `divergence`, for a curve."""
    losses = curve.train_loss
    measured = {"epochs": curve.epochs, "losses": losses, "train_error": curve.train_error}
    measured |= {"test_epochs": curve.test_epochs, "test_error": curve.test_error}
    advice = "lower the rate, add a warm-up or a limit on the gradient, and check the gradient"
    if status == "diverged" or not all(map(math.isfinite, losses)):
        sentence = f"the loss is not a number any more after {len(losses)} epochs"
        return Finding(CHECK, True, sentence, measured, advice)
    if len(losses) < 2:
        return Finding(CHECK, None, "there are fewer than 2 epochs", measured, "train longer")
    first, last = losses[0], losses[-1]
    sentence = f"training loss {first:.3g} in the first epoch and {last:.3g} in the last"
    sick = last > first
    return Finding(CHECK, sick, sentence, measured, advice if sick else "")
