"""Means, spreads and paired intervals over seeds.

A seed gives every variant the same starting weights (wherever name and shape agree), the same
shuffling and the same distortions, so two variants are compared seed by seed. Pairing helps only
as far as the paired errors are correlated; the correlation is therefore measured and reported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ablax.report.results import Study

CONFIDENCE = 0.95
"""Probability with which all intervals of one table hold at once."""


@dataclass(frozen=True)
class Interval:
    """Where a mean lies, with confidence `level` for this one interval."""

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Summary:
    """What the runs of one variant have in common.

    Args:
        variant: The variant's name.
        n: Runs that finished.
        diverged: Runs that did not.
        error: Mean last-epoch test error of the finished runs, percent; nan when n = 0.
        error_sd: Its standard deviation over seeds (ddof 1); nan when n < 2.
        train_loss: Mean training loss of the last epoch; nan when n = 0.
        train_error: Mean training error of the last epoch, percent; nan when n = 0.
        seconds: Mean training time of a run; nan when n = 0.
    """

    variant: str
    n: int
    diverged: int
    error: float
    error_sd: float
    train_loss: float
    train_error: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """The value of one operand (`ablax.report.results.Claim`) minus another's, seed by seed.

    Args:
        variant: The operand: a variant, for its test error, or `"variant:quantity"`.
        against: The operand it is compared with.
        n: Seeds that both have.
        difference: Mean of the paired differences, in the quantity's unit; nan when n = 0.
        sd: Standard deviation of the differences (ddof 1); nan when n < 2.
        interval: Interval of the mean difference; None when n < 2 or all differences are equal.
        correlation: Pearson correlation of the paired values; nan when it is not defined.
    """

    variant: str
    against: str
    n: int
    difference: float
    sd: float
    interval: Interval | None
    correlation: float


def mean(values: Sequence[float]) -> float:
    """The mean; nan of nothing.

    Example:
        >>> mean([1.0, 2.0, 6.0])
        3.0
    """
    return float(np.mean(values)) if len(values) else math.nan


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample (ddof 1); nan of fewer than two values.

    Example:
        >>> deviation([1.0, 3.0]) == 2.0**0.5
        True
        >>> deviation([1.0])
        nan
    """
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def mean_interval(values: Sequence[float], comparisons: int = 1) -> Interval | None:
    """Student's interval of the mean, widened for the number of comparisons (Bonferroni).

    `mean ± t(1 - a / 2, n - 1) sd / sqrt(n)` with `a = 0.05 / comparisons`: all the intervals of
    one table hold at once in at least 95 % of repetitions.

    There is none of fewer than two values, nor of values that are all equal: a finite test set
    makes errors discrete, and equal differences then say "finer than one image", not "certain".

    Args:
        values: One value a seed.
        comparisons: Intervals that shall hold at once, at least 1.

    References:
        Dunn 1961, "Multiple comparisons among means", JASA 56.

    Example:
        >>> interval = mean_interval([0.0, 1.0, 2.0])
        >>> round(interval.low, 3), round(interval.high, 3)
        (-1.484, 3.484)
        >>> mean_interval([1.0]) is None
        True
    """
    n, spread = len(values), deviation(values)
    if n < 2 or not spread > 1e-9 * max(abs(value) for value in values):
        return None
    level = 1 - (1 - CONFIDENCE) / comparisons
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * spread / math.sqrt(n)
    middle = mean(values)
    return Interval(middle - half, middle + half, level)


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's correlation; nan of fewer than three pairs or of a constant.

    Two pairs always correlate by 1 or -1, which says nothing.

    Example:
        >>> correlation([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
        1.0
        >>> correlation([1.0, 2.0], [2.0, 4.0])
        nan
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
        variant=name,
        n=len(runs),
        diverged=len(study.runs_of(name)) - len(runs),
        error=mean(errors),
        error_sd=deviation(errors),
        train_loss=mean([run.train_loss for run in runs]),
        train_error=mean([run.train_error for run in runs]),
        seconds=mean([run.seconds for run in runs]),
    )


def paired_values(study: Study, first: str, second: str) -> tuple[list[float], list[float]]:
    """The values of two operands at the seeds that both have, in the order of the seeds."""
    left, right = study.values(first), study.values(second)
    seeds = sorted(left.keys() & right.keys())
    return [left[seed] for seed in seeds], [right[seed] for seed in seeds]


def comparison(study: Study, variant: str, against: str, comparisons: int = 1) -> Comparison:
    """The value of `variant` minus that of `against`, paired by seed.

    Args:
        study: The study.
        variant: An operand: a variant's name, or `"variant:quantity"`.
        against: The operand it is compared with.
        comparisons: Intervals that shall hold at once; widens the interval.

    Raises:
        ReportError: When the study does not hold one of the two.
    """
    left, right = paired_values(study, variant, against)
    differences = [a - b for a, b in zip(left, right, strict=True)]
    return Comparison(
        variant=variant,
        against=against,
        n=len(differences),
        difference=mean(differences),
        sd=deviation(differences),
        interval=mean_interval(differences, comparisons),
        correlation=correlation(left, right),
    )


def comparisons_with_baseline(study: Study) -> dict[str, Comparison]:
    """Every other variant against the baseline, with intervals that hold all at once."""
    others = [name for name in study.names if name != study.baseline]
    return {name: comparison(study, name, study.baseline, len(others)) for name in others}
