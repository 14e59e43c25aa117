"""Differences between variants: one interval for each, which hold all at once in a whole report."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ablax.report.looks import wrong_by_look
from ablax.report.statistics import CONFIDENCE, Interval, correlation, deviation, mean, student
from ablax.report.study import MINUS, Study, operand, terms

# A report makes many comparisons: the claims of the source, our own expectations, and every variant
# against the baseline. All of them are one family. Each has one interval, wherever it is printed,
# and all the intervals hold at once with the confidence of the study.
#
# A seed gives every variant the same starting weights (wherever name and shape agree), the same
# shuffling and the same distortions. So the value of a variant from a seed is modelled as the
# variant's mean, plus the seed's part, which is that of all variants, plus noise. The spread of the
# noise is pooled over the variants, with (n - 1)(k - 1) degrees of freedom instead of the n - 1 of
# one pair. Errors that are larger vary more as a rule. Where spreads are more alike
# as shares of the means, the model holds for the logarithm, and each variant's spread in points is
# its share of its mean. A variant whose spread stands out is left out of the model. Where spreads
# are alike on neither scale, each pair stands for itself, as in a paired t test; with two variants
# the model is the paired t test.

ALIKE = 0.1
"""Probability of unlike spreads (Bartlett's) below which they are not pooled."""

Scale = Literal["points", "share", "pair"]
"""How the spread of a difference was estimated: pooled over the variants, in the quantity's unit or
as a share of the mean, or from the pair alone."""


class Comparison(NamedTuple):
    """The value of one operand (`ablax.report.study.Claim`) minus another's, seed by seed.

    `difference` is the mean of the differences of the n seeds that both have, in the quantity's
    unit, nan when there is none; the interval is None when n < 2 or nothing varies. `sd` is the
    standard deviation of a paired difference, estimated on the `scale`; the interval reaches
    `reach` standard errors, sd / sqrt(n), to each side; these have `freedom` degrees of freedom.
    The correlation of the pairs is Pearson's.
    """

    variant: str
    against: str
    n: int
    difference: float
    sd: float
    interval: Interval | None
    correlation: float
    scale: Scale = "pair"
    reach: float = math.nan
    freedom: int = 0

    def reversed(self) -> Comparison:
        """The other way round."""
        ends = self.interval
        turned = None if ends is None else Interval(-ends.high, -ends.low, ends.level)
        return self._replace(
            variant=self.against,
            against=self.variant,
            difference=-self.difference,
            interval=turned,
        )


Pair = tuple[str, str]
"""Two operands."""


def paired_values(study: Study, first: str, second: str) -> tuple[list[float], list[float]]:
    """The values of two operands at the seeds that both have, in the order of the seeds."""
    left, right = study.values(first), study.values(second)
    seeds = sorted(left.keys() & right.keys())
    return [left[seed] for seed in seeds], [right[seed] for seed in seeds]


def family(study: Study) -> tuple[Pair, ...]:
    """Every difference of a report, each once: of claims, expectations, and from the baseline."""
    known = set(study.names)
    found: dict[frozenset[str], Pair] = {}
    claims = (*study.plan.claims, *study.plan.expectations)
    pairs = [(claim.worse, claim.better) for claim in claims if known.issuperset(claim.variants)]
    pairs += [(name, study.baseline) for name in study.names if name != study.baseline]
    for pair in pairs:
        first, second = map(_whole, pair)
        found.setdefault(frozenset((first, second)), (first, second))
    return tuple(found.values())


def _whole(text: str) -> str:
    return MINUS.join(map(":".join, terms(text)))


def comparison(study: Study, variant: str, against: str) -> Comparison:
    """The difference of two operands, with its interval among all that the report makes.

    One that is not of the report's family has the interval of a pair alone, for as many
    comparisons.
    """
    first, second = _whole(variant), _whole(against)
    found = comparisons(study)
    if (first, second) in found:
        told = found[first, second]
    elif (second, first) in found:
        told = found[second, first].reversed()
    else:
        told = _alone(study, (first, second), confidence(study), len(found) + 1)
    return told._replace(variant=variant, against=against)


def intervals_words(study: Study) -> str:
    """What every interval of the report is, in a sentence."""
    found = comparisons(study)
    together, scales = len(found), {told.scale for told in found.values() if told.interval}
    how = {
        frozenset({"points"}): "the spread pooled over the variants",
        frozenset({"share"}): "the spread, as a share of the error, pooled over the variants",
        frozenset({"pair"}): "the spread that of each pair",
    }.get(frozenset(scales), "the spread pooled over the variants where it is alike")
    level = f"{100 * confidence(study):.3g}"
    sure = f"{level} %"
    if together > 1:
        sure = f"with {level} % confidence all {together} differences of this report hold at once"
    looks = study.plan.looks
    spent = ", which leaves 95 % after all looks at the seeds" if looks else ""
    return (
        f"CI: interval of the mean difference, paired by seed; {sure}{spent} "
        f"({how}). It covers {covered(study)}."
    )


def covered(study: Study) -> str:
    """What varies from seed to seed, so that intervals cover it, and what does not."""
    if study.plan.folds == 1:
        return "seeds, not test images"
    return f"seeds and test images: seed s is tested on fold s mod {study.plan.folds}"


def comparisons_with_baseline(study: Study) -> dict[str, Comparison]:
    """The test error of every other variant against the baseline's."""
    others = [name for name in study.names if name != study.baseline]
    return {name: comparison(study, name, study.baseline) for name in others}


def confidence(study: Study) -> float:
    """Probability with which all intervals of the study hold at once.

    Where seeds are added until all is decided, it is larger at each look, so that all looks
    together have it (`ablax.report.looks`).
    """
    planned = study.plan.looks
    if not planned:
        return CONFIDENCE
    passed = sum(look <= len(study.seeds) for look in planned)
    return 1 - wrong_by_look(planned, 1 - CONFIDENCE)[max(passed, 1) - 1]


def comparisons(study: Study) -> dict[Pair, Comparison]:
    """The whole family, with intervals that hold at once with the study's confidence.

    What goes wrong is divided among the quantities by their numbers of comparisons; within one
    quantity the largest of the studentized differences is simulated (max-t), which never asks for
    more than Bonferroni.

    References:
        Hothorn, Bretz, Westfall 2008, "Simultaneous inference in general parametric models",
        section 3.1; Dunn 1961, "Multiple comparisons among means".
    """
    pairs, level = family(study), confidence(study)
    groups: dict[str, list[Pair]] = {}
    for first, second in pairs:
        of, other = operand(first)[1], operand(second)[1]
        alone = of != other or MINUS in first + second  # their noise is not that of one variant
        groups.setdefault(f"{first} {second}" if alone else of, []).append((first, second))
    found: dict[Pair, Comparison] = {}
    for group in groups.values():
        found |= _group(study, group, level, len(pairs))
    return {pair: found[pair] for pair in pairs}


def _alone(study: Study, pair: Pair, level: float, together: int) -> Comparison:
    """By Student's t of the paired differences (Bonferroni)."""
    left, right = paired_values(study, *pair)
    told = Comparison(
        *pair,
        n=len(left),
        difference=mean(left) - mean(right) if left else math.nan,
        sd=deviation([a - b for a, b in zip(left, right, strict=True)]),
        interval=None,
        correlation=correlation(left, right),
    )
    largest = max(map(abs, (*left, *right)), default=0.0)
    return _with_interval(told, told.n - 1, student(told.n - 1, (1 - level) / together), largest)


def _with_interval(told: Comparison, freedom: int, reach: float, largest: float) -> Comparison:
    """The comparison with its interval; none where nothing varies but the last bits."""
    if told.n < 2 or not told.sd > 1e-9 * largest:
        return told
    half = reach * told.sd / math.sqrt(told.n)
    ends = Interval(told.difference - half, told.difference + half, _level(freedom, reach))
    return told._replace(interval=ends, reach=reach, freedom=freedom)


def _level(freedom: int, reach: float) -> float:
    from scipy.special import stdtr

    return float(1 - 2 * stdtr(freedom, -reach))


def _group(
    study: Study, pairs: Sequence[Pair], level: float, together: int
) -> dict[Pair, Comparison]:
    """The comparisons of one quantity, of `together` in all."""
    found = {pair: _alone(study, pair, level, together) for pair in pairs}
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    values = {name: study.values(name) for name in names}
    seeds = sorted(set().union(*values.values()))
    whole = [name for name in names if values[name].keys() == set(seeds)]
    shared = [pair for pair in pairs if set(pair) <= set(whole)]
    if len(seeds) < 2 or not shared:
        return found
    contrasts = np.zeros((len(shared), len(whole)))
    for row, (first, second) in enumerate(shared):
        contrasts[row, whole.index(first)], contrasts[row, whole.index(second)] = 1, -1
    table = np.array([[values[name][seed] for name in whole] for seed in seeds])
    told = simultaneous(table, contrasts, (1 - level) * len(shared) / together)
    largest = float(np.abs(table).max())
    for row, pair in enumerate(shared):
        each = found[pair]._replace(
            sd=float(told.spreads[row]), scale=told.scales[row], interval=None
        )
        freedom, reach = int(told.freedoms[row]), float(told.reaches[row])
        found[pair] = _with_interval(each, freedom, reach, largest)
    return found


def like_the_others(values: np.ndarray) -> list[int]:
    """The variants (columns) whose spreads may be pooled: all, but those that stand out.

    One after the other is left out whose standard deviation is farthest from the median one, as a
    ratio, while the others are not alike: at most a third of them. Where that does not help, or
    there are only two, all are given, and each pair stands for itself (`pooled`).
    """
    k = values.shape[1]
    kept, spreads = list(range(k)), values.std(axis=0, ddof=1)
    if k < 3 or not np.all(spreads > 0):
        return kept
    ratios = np.abs(np.log(spreads / np.median(spreads)))
    for place in np.argsort(-ratios)[: k // 3 + 1]:
        if pooled(values[:, kept]) is not None:
            return kept
        kept.remove(int(place))
    return list(range(k))


class Spreads(NamedTuple):
    """Of each of some differences: its standard deviation in one seed, and how far intervals reach.

    An interval reaches `reaches` standard errors to each side, which have so many `freedoms`.
    """

    scales: tuple[Scale, ...]
    spreads: np.ndarray
    reaches: np.ndarray
    freedoms: np.ndarray


def simultaneous(values: np.ndarray, contrasts: np.ndarray, wrong: float) -> Spreads:
    """Intervals of contrasts of variants, one of which is wrong with probability `wrong` at most.

    The values are by seed (rows, two at least) and variant; each row of the contrasts is a
    difference of two variants. Those of variants whose spreads are alike have the pooled one, the
    others that of their pair.
    """
    count, freedom, kept = len(contrasts), len(values) - 1, like_the_others(values)
    scales: list[Scale] = ["pair"] * count
    spreads = (values @ contrasts.T).std(axis=0, ddof=1)
    reaches = np.full(count, student(freedom, wrong / count))
    freedoms = np.full(count, freedom)
    others = [place for place in range(values.shape[1]) if place not in kept]
    inside = np.flatnonzero(~contrasts[:, others].any(axis=1))
    model = pooled(values[:, kept])
    if model is not None and len(inside):
        few = contrasts[inside][:, kept]
        spreads[inside], freedoms[inside] = model.spreads(few), model.freedom
        share = wrong * len(inside) / count
        reaches[inside] = largest_t(model.correlations(few), model.freedom, share)
        for row in inside:
            scales[row] = model.scale
    return Spreads(tuple(scales), spreads, reaches, freedoms)


@dataclass(frozen=True)
class Pooled:
    """The noise of values by variant and seed, pooled over the variants.

    `noise` is its standard deviation, in the quantity's unit or as a share of a variant's mean;
    `seed` that of the seeds' shares, 0 in points, where seeds cancel from every difference.
    """

    scale: Scale
    means: np.ndarray
    noise: float
    seed: float
    freedom: int

    @property
    def own(self) -> np.ndarray:
        """The standard deviation of each variant's noise, in the quantity's unit."""
        return self.noise * (np.ones_like(self.means) if self.scale == "points" else self.means)

    def spreads(self, contrasts: np.ndarray) -> np.ndarray:
        """The standard deviation of each contrast of one seed's values."""
        common = self.seed * (contrasts @ self.means)
        return np.sqrt(np.square(contrasts) @ np.square(self.own) + np.square(common))

    def correlations(self, contrasts: np.ndarray) -> np.ndarray:
        """Those of the contrasts' noise."""
        scaled = contrasts * self.own
        scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
        return scaled @ scaled.T


def pooled(values: np.ndarray) -> Pooled | None:
    """The model of values by seed (rows) and variant (columns).

    None of two variants, where the spreads are unlike, in points and as shares, and where nothing
    varies: then each pair stands for itself.
    """
    n, k = values.shape
    means, found = values.mean(axis=0), []
    if k < 3:
        return None
    scales: list[tuple[Scale, np.ndarray]] = [("points", values)]
    if values.min() > 0:
        scales.append(("share", np.log(values)))
    for scale, table in scales:
        rows = table.mean(axis=1, keepdims=True)
        left = table - rows - table.mean(axis=0) + table.mean()
        noise = float(np.square(left).sum()) / ((n - 1) * (k - 1))
        between = float(rows.var(ddof=1)) - noise / k
        seed = math.sqrt(max(between, 0.0)) if scale == "share" else 0.0
        model = Pooled(scale, means, math.sqrt(noise), seed, (n - 1) * (k - 1))
        found.append((alike(np.square(left).sum(axis=0), n - 1), model))
    likely, best = max(found, key=lambda each: each[0])
    return best if likely >= ALIKE and best.noise > 0 else None


def alike(squares: np.ndarray, freedom: int) -> float:
    """How probable sums of squares as unlike as these are where the variances are equal.

    Bartlett 1937, "Properties of sufficiency and statistical tests".

    Example:
        >>> alike(np.array([4.0, 4.0, 4.0]), 4)
        1.0
    """
    from scipy.special import chdtrc

    k = len(squares)
    if squares.min() <= 0:
        return 0.0
    variances = squares / freedom
    statistic = k * freedom * math.log(variances.mean()) - freedom * float(np.log(variances).sum())
    statistic /= 1 + (k / freedom - 1 / (k * freedom)) / (3 * (k - 1))
    return float(chdtrc(k - 1, max(statistic, 0.0)))


MOST_SEEDS = 1000
"""Where `seeds_to_decide` gives up."""


def seeds_to_decide(told: Comparison, margin: float, power: float = 0.8) -> int | None:
    """The smallest n that decides with this probability, if what was measured is true.

    A comparison is decided when its interval leaves out 0, or lies within the margin. The spread
    and the number of comparisons are those of `told`; None where more than 1,000 seeds are needed,
    or nothing is known of the spread.
    """
    if told.interval is None or not math.isfinite(told.reach):
        return None
    from scipy.special import ndtr

    wrong, variants = 1 - told.interval.level, max(1, round(told.freedom / (told.n - 1)))
    far = abs(told.difference)
    for n in range(2, MOST_SEEDS + 1):
        error, reach = told.sd / math.sqrt(n), student((n - 1) * variants, wrong)
        other = ndtr(far / error - reach)
        equal = ndtr((margin - far) / error - reach) - ndtr(-(margin + far) / error + reach)
        if max(other, equal) >= power:
            return n
    return None


DRAWS = 100_000
"""Of the largest t."""


def largest_t(correlations: np.ndarray, freedom: int, wrong: float) -> float:
    """What the largest of |t| exceeds with probability `wrong`.

    By simulation from a fixed seed, and never above Bonferroni's bound.
    """
    rounded = tuple(map(tuple, np.round(correlations, 6).tolist()))
    return _largest_t(rounded, freedom, round(wrong, 9))


@functools.lru_cache(maxsize=256)
def _largest_t(correlations: tuple[tuple[float, ...], ...], freedom: int, wrong: float) -> float:
    bound = student(freedom, wrong / len(correlations))
    values, vectors = np.linalg.eigh(np.array(correlations))
    kept = values > 1e-6 * values.max()
    roots = vectors[:, kept] * np.sqrt(values[kept])
    random = np.random.default_rng(0)
    normal = random.standard_normal((DRAWS, roots.shape[1]), np.float32) @ roots.T.astype("f4")
    spread = np.sqrt(random.chisquare(freedom, DRAWS) / freedom)
    return min(bound, float(np.quantile(np.abs(normal).max(axis=1) / spread, 1 - wrong)))
