"""Statistics over seeds: means, their intervals, and whether a loss is still falling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
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


# Was it trained enough? Without that, a comparison measures speed, not ability.
#
# A network that still learns when the budget ends is compared at an arbitrary moment: with six
# epochs of digits the lecture's order comes out reversed. The measure is a loss of c / epoch, which
# goes on falling for ever and by a fifth of itself in every last 20 % of epochs: who falls as fast
# as that is not done, however small the fall is beside that since the first epoch. Nor is who falls
# slowly, but as from the beginning: so the fall is compared with the whole one too.

LAST = 0.2
"""Share of the epochs in which the loss must have flattened."""

FLAT_WITHIN = 1.0
"""Percent of the whole decrease that a flat loss may still move over the last 20 % of epochs."""

FEWEST_EPOCHS = 10
"""With fewer epochs the last 20 % is a single step and says nothing."""


class Flatness(NamedTuple):
    """How far the training loss still moved over the last 20 % of epochs; see `flattened`.

    `fall` is the decrease in percent of the loss where they begin, negative when it rose, `noise`
    its standard error, and `power` that of the epochs by which the loss falls: 1 for c / epoch.
    `share` is the same decrease in percent of the whole one since the first epoch. The last 20 %
    begin at the epoch `start`, nan when there are too few epochs; the reason is the finding in
    words.
    """

    flat: bool
    fall: float
    noise: float
    power: float
    share: float
    start: float
    reason: str


def _unknown(reason: str, start: float = math.nan) -> Flatness:
    return Flatness(False, math.nan, math.nan, math.nan, math.nan, start, reason)


def flattened(curve: Curve, classes: int | None = None, least: float = 0.0) -> Flatness:
    """Flat when the loss surely falls more slowly than c / epoch, and by little of its whole fall.

    A power law is fitted by least squares to the logarithms, from the end of the fourth fifth to
    the last epoch:

        log loss = a - power log epoch,    fall = 100 (1 - (start / end)^power)

    A loss of c / epoch has the power 1 and falls by a fifth; an exponential decay without a floor
    has a power that grows; what has converged has 0. The loss is flat when the power, with its
    standard error, lies below 1 with a confidence of 95 %, by Student's t, and as surely above -1:
    so noise is no evidence of flatness. And the fall is less than 1 % of the whole one, from the
    first epoch or from the loss of guessing, if the first was worse, to the mean of the last 20 %.

    A loss that has never fallen (by a twentieth of itself and by more than three times the scatter
    around the line, from the first epoch, or from that of guessing where the first was worse) has
    not flattened either, it has not learned. Fewer than ten epochs, or a loss that is not finite,
    tell nothing.

    `least` is the smallest loss there can be, `least_loss` with smoothed labels: the loss is judged
    by what it has above that.

    What the criterion cannot see: a loss also flattens because the learning rate is lowered to
    zero. Where nobody knows how many classes there are, the first epoch counts.

    Example:
        >>> epochs = tuple(float(e) for e in range(1, 31))
        >>> loss = tuple(0.1 + 2.2 * math.exp(-e / 3) for e in epochs)
        >>> done = flattened(Curve(epochs, loss, loss, (), ()))
        >>> done.flat, round(done.fall, 2)
        (True, 0.62)
        >>> slow = tuple(2.3 / e for e in epochs)
        >>> never = flattened(Curve(epochs, slow, slow, (), ()))
        >>> never.flat, round(never.fall, 2)
        (False, 20.0)
    """
    count = len(curve.epochs)
    if count < FEWEST_EPOCHS:
        epochs_run = f"{count} epoch{'s' * (count != 1)}"
        return _unknown(f"inconclusive: {epochs_run}, at least {FEWEST_EPOCHS} are needed")
    last = round(LAST * count)
    epochs = np.asarray(curve.epochs[-last - 1 :])
    start = float(epochs[0])
    if not np.all(np.isfinite(curve.train_loss)):
        return _unknown("the loss is not finite", start)
    losses = np.asarray(curve.train_loss[-last - 1 :]) - least
    logs, away = np.log(np.maximum(losses, _NOTHING)), np.log(epochs) - np.log(epochs).mean()
    spread, freedom = float(away @ away), len(losses) - 2
    power = -float(away @ logs) / spread
    scatter = math.sqrt(float(np.sum((logs - logs.mean() + power * away) ** 2)) / freedom)
    first, level = curve.train_loss[0] - least, float(losses.mean())
    chance = math.inf if classes is None else math.log(classes) - least
    if not min(first, chance) - level > level * max(3 * scatter, 0.05):
        since = "since the first epoch" if first <= chance else "below that of guessing"
        return _unknown(f"the loss has not fallen {since}", start)
    left, error = (start / float(epochs[-1])) ** power, scatter / math.sqrt(spread)
    noise = 100 * left * math.log(float(epochs[-1]) / start) * error
    unsure = student(freedom, 0.1) * error  # 5 % on either side
    begun = math.exp(logs.mean() - power * away[0])
    share = 100 * begun * (1 - left) / float(min(first, chance) - level)
    if not _slow(power, share):
        reason = "still falling" if power > 0 else "rising"
    else:
        reason = "flattened" if abs(power) + unsure < 1 else "too noisy to tell"
    flat = reason == "flattened"
    return Flatness(flat, 100 * (1 - left), noise, power, share, start, reason)


def _slow(power: float, share: float) -> bool:
    """Whether a line is flat, the noise aside."""
    return abs(power) < 1 and abs(share) < FLAT_WITHIN


def least_of(study: Study, name: str) -> float:
    """The smallest loss there can be in the training of a variant."""
    variant, classes = study.variant(name), _classes(study, name)
    smoothing = variant.smoothing
    if smoothing is None:
        smoothing = float(str(study.plan.recipe.get("train.label_smoothing", 0.0)))
    return 0.0 if classes is None else least_loss(classes, smoothing)


def _classes(study: Study, name: str) -> int | None:
    return study.variant(name).classes or study.plan.classes


def least_loss(classes: int, smoothing: float) -> float:
    """The entropy of a smoothed label, in nats: the smallest cross-entropy there can be.

    The class has 1 - s + s / K of K, each other one s / K. (Szegedy et al. 2015, Rethinking the
    Inception architecture, section 7.) Without smoothing it is 0, and no weights reach it: on
    images that can be told apart the loss falls as 1 / t for ever (Soudry et al. 2018, The implicit
    bias of gradient descent on separable data).

    Example:
        >>> round(least_loss(10, 0.1), 3), least_loss(10, 0.0)
        (0.5, 0.0)
    """
    if not smoothing:
        return 0.0
    other = smoothing / classes
    own = 1 - smoothing + other
    return -own * math.log(own) - (classes - 1) * other * math.log(other)


_NOTHING = 1e-9
"""A loss, in nats, below which there is nothing left to fall."""


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

    Of n finished runs `flat_runs` are flat by their own lines, without the noise; `mean` is the
    criterion applied to their mean curve.
    """

    flat: bool
    flat_runs: int
    n: int
    mean: Flatness


def variant_flatness(study: Study, name: str) -> VariantFlatness:
    """A variant has flattened when the mean curve of its runs has, and more than half of them.

    The verdict is about means over seeds, so the mean curve decides; the runs are counted too,
    by their lines and without the noise, because a falling and a rising run can cancel.
    """
    curves = [run.curve for run in study.finished_runs_of(name)]
    classes, least = _classes(study, name), least_of(study, name)
    found = [flattened(curve, classes, least) for curve in curves]
    alone = sum(_slow(each.power, each.share) for each in found)
    together = _unknown("no finished run")
    if curves:
        together = flattened(mean_curve(curves), classes, least)
    flat = together.flat and 2 * alone > len(curves)
    return VariantFlatness(flat, alone, len(curves), together)


class HalfWay(NamedTuple):
    """Mean test errors of the variants, in percent, near half of the epochs."""

    epoch: float
    errors: Mapping[str, float]


def half_way(study: Study) -> HalfWay:
    """The errors at that evaluation of every finished run which is nearest to half of the epochs.

    Variants whose runs have none before the end are left out; nan and nothing where all are.
    """
    found: dict[str, dict[float, list[float]]] = {}
    counting = [run for run in study.runs if run.counts and run.curve.epochs]
    for run in counting:
        for epoch, error in zip(run.curve.test_epochs, run.curve.test_error, strict=True):
            if epoch < run.curve.epochs[-1]:
                found.setdefault(run.variant, {}).setdefault(epoch, []).append(error)
    ends = [run.curve.epochs[-1] for run in counting]
    shared = sorted(set.intersection(*map(set, found.values()))) if found else []
    if not shared:
        return HalfWay(math.nan, {})
    half = min(shared, key=lambda epoch: abs(epoch - max(ends) / 2))
    return HalfWay(half, {name: mean(errors[half]) for name, errors in found.items()})


def places(figures: Mapping[str, float]) -> dict[str, int]:
    """From 1, the smallest first; equal ones share a place, and nan has none.

    Example:
        >>> places({"a": 2.0, "b": 1.0, "c": 2.0})
        {'b': 1, 'a': 2, 'c': 2}
    """
    known = sorted((value, name) for name, value in figures.items() if math.isfinite(value))
    values = [value for value, _ in known]
    return {name: values.index(value) + 1 for value, name in known}


def image_share(study: Study, against: str | None = None) -> float:
    """How much of the variance of errors over seeds comes from the images each seed is tested on.

    Two-way, from the predictions: the error of a seed is the mean over the images of its fold, so
    their part in its variance is v / images, where v is the variance of the images' errors that two
    seeds of one fold have in common, their covariance. Summed over the variants, and divided by the
    variance of seeds of different folds (half the mean square of their differences); in [0, 1].
    `against` gives that of differences from a variant. nan where no two seeds have one fold, or the
    images are the same for all.

    References:
        Searle, Casella, McCulloch 1992, Variance components, 4.3.
    """
    folds, ours, whole = study.plan.folds, [], []
    if folds == 1:
        return math.nan
    base = {} if against is None else _wrong(study, against)
    for name in study.names:
        wrong = _wrong(study, name)
        if against is not None:
            shared = [
                seed
                for seed in wrong
                if name != against and seed in base and wrong[seed].shape == base[seed].shape
            ]
            wrong = {seed: wrong[seed] - base[seed] for seed in shared}
        alike, apart = [], []
        for a, b in itertools.combinations(sorted(wrong), 2):
            if wrong[a].shape != wrong[b].shape:
                continue
            if a % folds == b % folds:
                alike.append(float(np.cov(wrong[a], wrong[b])[0, 1]) / len(wrong[a]))
            else:
                apart.append(float(wrong[a].mean() - wrong[b].mean()) ** 2 / 2)
        if alike and apart:
            ours.append(mean(alike))
            whole.append(mean(apart))
    if not sum(whole):
        return math.nan
    return min(max(sum(ours) / sum(whole), 0.0), 1.0)


def _wrong(study: Study, name: str) -> dict[int, np.ndarray]:
    return {run.seed: run.wrong for run in study.finished_runs_of(name) if run.wrong is not None}
