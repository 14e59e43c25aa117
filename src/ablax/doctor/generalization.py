"""Training and test error side by side: has the run learned by heart?"""

from __future__ import annotations

import math

import numpy as np

from ablax.doctor.finding import Finding, share_interval
from ablax.doctor.history import History
from ablax.doctor.patient import Patient

GAP = 0.10
"""A run overfits if its test error is surely above its training error by more: one image in ten is
then wrong for no other reason than that it was not trained on."""
CHECK = "train and test error"
NO_SPLIT = "the test images serve as validation, for no split was set apart: choose nothing by them"


def generalization(patient: Patient, history: History | None) -> Finding:
    """The error of the last weights on training images and on test images, both as in a test.

    Sick if the lower end of the 95 % interval of the difference lies above `GAP`. The interval is
    Newcombe's, of two independent shares.

    References:
        Newcombe 1998, Interval estimation for the difference between independent proportions
        (method 10).
    """
    if history is None or history.trained is None or history.judged is None:
        return Finding(
            CHECK, None, "there is no finished run to judge", {}, "run it, and examine its folder"
        )
    train_wrong = int(np.sum(patient.scores(history.trained.variables).argmax(1) != patient.labels))
    test_wrong = int(np.sum(history.judged.predictions != history.judged.labels))
    return judge((train_wrong, len(patient.labels)), (test_wrong, len(history.judged.labels)))


def judge(train: tuple[int, int], test: tuple[int, int]) -> Finding:
    """The law of `generalization`, for the wrong and all of the images of either kind.

    Example:
        >>> judge((0, 100), (50, 100)).verdict, judge((0, 100), (2, 100)).verdict
        ('sick', 'healthy')
    """
    shares = [wrong / total for wrong, total in (train, test)]
    ends = [share_interval(wrong, total) for wrong, total in (train, test)]
    gap = shares[1] - shares[0]
    low = gap - math.hypot(shares[1] - ends[1][0], ends[0][1] - shares[0])
    high = gap + math.hypot(ends[1][1] - shares[1], shares[0] - ends[0][0])
    sick = low > GAP
    if not sick and high > GAP:
        verdict: bool | None = None
    else:
        verdict = sick
    told = [
        f"{kind} {100 * share:.1f} % [{100 * end[0]:.1f}, {100 * end[1]:.1f}] of {total}"
        for kind, share, end, (_, total) in zip(
            ("training error", "test error"), shares, ends, (train, test), strict=True
        )
    ]
    sentence = (
        f"{told[0]}, {told[1]}: gap {100 * gap:.1f} points [{100 * low:.1f}, {100 * high:.1f}], "
        f"limit {100 * GAP:g}; {NO_SPLIT}"
    )
    measured = {"train_error": shares[0], "test_error": shares[1], "gap": gap}
    measured |= {"gap_low": low, "gap_high": high}
    advice = {
        True: "more or augmented images, dropout, weight decay, or a smaller network",
        None: "judge more images: the interval holds the limit",
        False: "",
    }[verdict]
    return Finding(CHECK, verdict, sentence, measured, advice)
