"""Has the training loss flattened? Without that, a comparison measures speed, not ability.

A network that still learns when the budget ends is compared at an arbitrary moment: with six
epochs of digits the lecture's order comes out reversed. So a verdict waits until every variant's
training loss has flattened, by the law of `flattened`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablax.report.results import Curve, Study

FLAT_WITHIN = 1.0
"""Percent of the whole fall that a flat training loss may still move in the last fifth."""

FEWEST_EPOCHS = 10
"""With fewer epochs the last fifth is a single step and tells nothing."""


@dataclass(frozen=True)
class Flatness:
    """How far the training loss still moved in the last fifth of the epochs.

    Args:
        flat: Whether it had flattened.
        fall: Fall over the last fifth, percent of the whole fall; negative when it rose.
        noise: Standard error of `fall`, from the scatter of the epochs around a straight line.
        relative_fall: The same fall in percent of the loss itself; shown, not judged.
        start: Epoch at which the last fifth begins; nan when there are too few epochs.
        reason: The finding in words.
    """

    flat: bool
    fall: float
    noise: float
    relative_fall: float
    start: float
    reason: str


def _unknown(reason: str, start: float = math.nan) -> Flatness:
    return Flatness(False, math.nan, math.nan, math.nan, start, reason)


def flattened(curve: Curve, within: float = FLAT_WITHIN, classes: int | None = None) -> Flatness:
    """A loss is flat when its last fifth moves by less than `within` percent of the whole fall.

    A straight line is fitted by least squares through the losses from the end of the fourth fifth
    to the last epoch. Its fall is divided by the whole fall, from the first epoch's mean loss, or
    from that of guessing where the first epoch was worse, to the middle of that line:

        fall = 100 (line(start) - line(end)) / (min(loss(1), ln(classes)) - line(middle))

    A start worse than chance says how badly the first steps went, not how much there was to
    learn, and would make every later fall look small.

    The line uses every epoch of the stretch, so one lucky epoch decides nothing; the scatter
    around it gives the standard error of the fall. The loss is flat when the fall and the rise
    are both below `within`, and so is that standard error: noise is no evidence of flatness. A
    loss that has never fallen (by more than three times the scatter) has not flattened either, it
    has not learned. Fewer than ten epochs, or a loss that is not finite, tell nothing.

    An exponential decay is flat after about five and a half time constants. What the law cannot
    see: a loss also flattens because the learning rate is lowered to zero; and a small loss may
    still shrink by a large part of itself, which `relative_fall` shows.

    Args:
        curve: How the run learned.
        within: The limit, percent of the whole fall.
        classes: Classes of the data; None when nobody knows, then the first epoch counts.

    Example:
        >>> epochs = tuple(float(e) for e in range(1, 31))
        >>> loss = tuple(0.1 + 2.2 * math.exp(-e / 3) for e in epochs)
        >>> done = flattened(Curve(epochs, loss, loss, (), ()))
        >>> done.flat, round(done.fall, 2)
        (True, 0.04)
        >>> slow = tuple(0.1 + 2.2 * math.exp(-e / 30) for e in epochs)
        >>> flattened(Curve(epochs, slow, slow, (), ())).flat
        False
    """
    count = len(curve.epochs)
    if count < FEWEST_EPOCHS:
        epochs_run = f"{count} epoch{'s' * (count != 1)}"
        return _unknown(f"cannot be told: {epochs_run}, at least {FEWEST_EPOCHS} are needed")
    last = round(count / 5)
    epochs = np.asarray(curve.epochs[-last - 1 :])
    losses = np.asarray(curve.train_loss[-last - 1 :])
    start = float(epochs[0])
    if not np.all(np.isfinite(curve.train_loss)):
        return _unknown("the loss is not finite", start)
    span = float(epochs[-1] - epochs[0])
    away = epochs - epochs.mean()
    spread = float(away @ away)
    level = float(losses.mean())
    slope = float(away @ losses) / spread
    scatter = math.sqrt(float(np.sum((losses - level - slope * away) ** 2)) / (len(losses) - 2))
    first = curve.train_loss[0]
    chance = math.inf if classes is None else math.log(classes)
    whole = min(first, chance) - level
    # rounding: a constant loss has a mean that differs from it in the last bit
    if not whole > max(3 * scatter, 1e-9 * abs(level)):
        since = "since the first epoch" if first <= chance else "below that of guessing"
        return _unknown(f"the loss has not fallen {since}", start)
    fall = -100 * slope * span / whole
    noise = 100 * scatter * span / math.sqrt(spread) / whole
    relative = -100 * slope * span / (level - slope * span / 2) if level > 0 else math.nan
    flat = abs(fall) < within and noise < within
    if flat:
        reason = "flattened"
    elif abs(fall) >= within:
        reason = "still falling" if fall > 0 else "rising"
    else:
        reason = "too noisy to tell"
    return Flatness(flat, fall, noise, relative, start, reason)


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean over seeds of the training figures, at the epochs that all curves share."""
    shared = sorted(set.intersection(*(set(curve.epochs) for curve in curves))) if curves else []
    places = [[curve.epochs.index(epoch) for epoch in shared] for curve in curves]
    pairs = list(zip(curves, places, strict=True))
    losses = [[curve.train_loss[at] for at in place] for curve, place in pairs]
    errors = [[curve.train_error[at] for at in place] for curve, place in pairs]
    return Curve(
        epochs=tuple(shared),
        train_loss=tuple(float(v) for v in np.mean(losses, axis=0)) if shared else (),
        train_error=tuple(float(v) for v in np.mean(errors, axis=0)) if shared else (),
        test_epochs=(),
        test_error=(),
    )


@dataclass(frozen=True)
class VariantFlatness:
    """Whether the training loss of a variant has flattened.

    Args:
        variant: The variant's name.
        flat: Whether the mean curve has, and more than half of the runs.
        flat_runs: Finished runs that have, each by itself.
        n: Finished runs.
        mean: The law applied to the mean curve over seeds.
    """

    variant: str
    flat: bool
    flat_runs: int
    n: int
    mean: Flatness


def variant_flatness(study: Study, name: str, within: float = FLAT_WITHIN) -> VariantFlatness:
    """A variant has flattened when the mean curve of its runs has, and more than half of them.

    The verdict is about means over seeds, so the mean curve decides; the runs are counted too,
    because a falling and a rising run can cancel.
    """
    curves = [run.curve for run in study.finished_runs_of(name)]
    alone = sum(flattened(curve, within, study.classes).flat for curve in curves)
    together = _unknown("no finished run")
    if curves:
        together = flattened(mean_curve(curves), within, study.classes)
    flat = together.flat and 2 * alone > len(curves)
    return VariantFlatness(name, flat, alone, len(curves), together)
