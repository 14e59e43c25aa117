"""Statistics over seeds: means, their intervals, and whether a loss is still falling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ablax.report.study import Curve, Study

CONFIDENCE = 0.95
"""Of the intervals of a report."""


class Interval(NamedTuple):
    """Where a mean lies, with confidence `level` for this one interval."""

    low: float
    high: float
    level: float


class Summary(NamedTuple):
    """What the runs of one variant have in common: means over the n that finished, nan if none.

    Errors (percent) and losses are those of the last epoch; the standard deviation over seeds
    (ddof 1) is nan when n < 2.
    """

    n: int
    diverged: int
    error: float
    error_sd: float
    train_loss: float
    train_error: float
    seconds: float


def mean(values: Sequence[float]) -> float:
    """The mean; nan of nothing."""
    return float(np.mean(values)) if len(values) else math.nan


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample (ddof 1); nan of fewer than two values.

    Example:
        >>> deviation([1.0, 3.0]) == 2.0**0.5
        True
    """
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Student's interval of the mean: `mean ± t(0.975, n - 1) sd / sqrt(n)`.

    There is none of fewer than two values, nor of values that are all equal: a finite test set
    makes errors discrete, and equal ones then say "finer than one image", not "certain".

    Example:
        >>> interval = mean_interval([0.0, 1.0, 2.0])
        >>> round(interval.low, 3), round(interval.high, 3)
        (-1.484, 3.484)
    """
    n, spread = len(values), deviation(values)
    if n < 2 or not spread > 1e-9 * max(abs(value) for value in values):
        return None
    half = student(n - 1, 1 - CONFIDENCE) * spread / math.sqrt(n)
    middle = mean(values)
    return Interval(middle - half, middle + half, CONFIDENCE)


def student(freedom: int, wrong: float) -> float:
    """What |t| exceeds with probability `wrong`; infinite with no degree of freedom.

    Example:
        >>> round(student(4, 0.05), 3)
        2.776
    """
    from scipy.special import stdtrit  # slow to import, and a worker needs none

    return float(-stdtrit(freedom, wrong / 2)) if freedom >= 1 else math.inf


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's correlation; nan of a constant, or of two pairs, which say nothing: always 1 or -1.

    Example:
        >>> correlation([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
        1.0
    """
    if len(first) < 3:
        return math.nan
    a, b = np.asarray(first) - np.mean(first), np.asarray(second) - np.mean(second)
    scale = math.sqrt(float(a @ a) * float(b @ b))
    size = float(np.max(np.abs(first)) * np.max(np.abs(second)))
    return float(np.clip(a @ b / scale, -1, 1)) if scale > 1e-12 * size else math.nan


def summary(study: Study, name: str) -> Summary:
    """The runs of one variant in a line."""
    runs = study.finished_runs_of(name)
    errors = [run.test_error for run in runs]
    return Summary(
        n=len(runs),
        diverged=len(study.runs_of(name)) - len(runs),
        error=mean(errors),
        error_sd=deviation(errors),
        train_loss=mean([run.train_loss for run in runs]),
        train_error=mean([run.train_error for run in runs]),
        seconds=mean([run.seconds for run in runs]),
    )


# Has the training loss flattened? Without that, a comparison measures speed, not ability.
#
# A network that still learns when the budget ends is compared at an arbitrary moment: with six
# epochs of digits the lecture's order comes out reversed. So a verdict waits until every variant's
# training loss has flattened, by the criterion of `flattened`.

FLAT_WITHIN = 1.0
"""Percent of the total decrease that a flat loss may still move over the last 20 % of epochs."""

FEWEST_EPOCHS = 10
"""With fewer epochs the last 20 % is a single step and says nothing."""


class Flatness(NamedTuple):
    """How far the training loss still moved over the last 20 % of epochs; see `flattened`.

    `fall` is the decrease in percent of the total decrease, negative when it rose, and `noise` its
    standard error; `relative_fall` is the same decrease in percent of the loss itself, which is
    shown, not judged. The last 20 % begin at the epoch `start`, nan when there are too few epochs;
    the reason is the finding in words.
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
    """Flat when the last 20 % of epochs move it by less than `within` % of the total decrease.

    A straight line is fitted by least squares through the losses from the end of the fourth fifth
    to the last epoch. Its decrease is divided by the total decrease, from the first epoch's mean
    loss, or from that of guessing where the first epoch was worse, to the middle of that line:

        fall = 100 (line(start) - line(end)) / (min(loss(1), ln(classes)) - line(middle))

    A first epoch worse than chance says how badly the first steps went, not how much there was to
    learn, and would make every later fall look small.

    The line uses every epoch of the stretch, so one lucky epoch decides nothing; the scatter
    around it gives the standard error of the fall. The loss is flat when the fall and the rise
    are both below `within`, and so is that standard error: noise is no evidence of flatness. A
    loss that has never fallen (by more than three times the scatter) has not flattened either, it
    has not learned. Fewer than ten epochs, or a loss that is not finite, tell nothing.

    An exponential decay is flat after about five and a half time constants. What the criterion
    cannot see: a loss also flattens because the learning rate is lowered to zero; and a small loss
    may still shrink by a large part of itself, which `relative_fall` shows. Where nobody knows how
    many classes there are, the first epoch counts.

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
        return _unknown(f"inconclusive: {epochs_run}, at least {FEWEST_EPOCHS} are needed")
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
    if not shared:
        return Curve((), (), (), (), ())
    at = [np.searchsorted(curve.epochs, shared) for curve in curves]

    def over_curves(name: str) -> tuple[float, ...]:
        figures = [np.take(getattr(c, name), own) for c, own in zip(curves, at, strict=True)]
        return tuple(map(float, np.mean(figures, axis=0)))

    return Curve(tuple(shared), over_curves("train_loss"), over_curves("train_error"), (), ())


class VariantFlatness(NamedTuple):
    """Whether the training loss of a variant has flattened; see `variant_flatness`.

    Of n finished runs `flat_runs` have, each by itself; `mean` is the criterion applied to their
    mean curve.
    """

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
    alone = sum(flattened(curve, within, study.plan.classes).flat for curve in curves)
    together = _unknown("no finished run")
    if curves:
        together = flattened(mean_curve(curves), within, study.plan.classes)
    flat = together.flat and 2 * alone > len(curves)
    return VariantFlatness(flat, alone, len(curves), together)
