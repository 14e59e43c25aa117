"""Means, paired intervals and their laws."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from plans import asked
from scipy import stats

from ablax.errors import ReportError
from ablax.report.differences import comparison, intervals_words, paired_values
from ablax.report.page import facts, limits
from ablax.report.statistics import (
    correlation,
    deviation,
    image_share,
    least_loss,
    least_of,
    mean_interval,
    summary,
    variant_flatness,
)
from ablax.report.study import Curve
from ablax.report.study_tables import flatness_table

ERRORS = some.lists(
    some.floats(0, 100, allow_subnormal=False).map(lambda v: round(v, 3)), min_size=3, max_size=9
)


@settings(max_examples=60, deadline=None)
@given(ERRORS, some.floats(-5, 5))
def test_interval_is_scipys_and_moves_with_its_values(errors, shift):
    here = mean_interval(errors)
    if deviation(errors) < 1e-3:
        return
    there = mean_interval([error + shift for error in errors])
    assert here is not None
    assert there is not None
    oracle = stats.ttest_1samp(errors, 0).confidence_interval(0.95)
    np.testing.assert_allclose((here.low, here.high), oracle, rtol=1e-6, atol=1e-6)
    assert there.low == pytest.approx(here.low + shift, abs=1e-6)


def test_one_seed_and_equal_differences_have_no_interval():
    assert mean_interval([]) is None
    assert mean_interval([1.5]) is None
    assert mean_interval([0.1 + 0.2, 0.3, 0.3]) is None
    assert mean_interval([0.3, 0.3, 0.31]) is not None


def test_two_values_have_an_interval_by_hand():
    """t of 0.975 with one degree of freedom is 12.706; the standard error of 0 and 2 is 1."""
    found = mean_interval([0.0, 2.0])
    assert found is not None
    assert (found.low, found.high) == pytest.approx((1 - 12.7062, 1 + 12.7062), abs=1e-4)


def test_values_are_equal_by_their_own_size():
    assert mean_interval([1e6, 1e6 + 1e-4, 1e6]) is None
    assert mean_interval([0.0, 0.0, 0.0]) is None
    assert mean_interval([1e-12, 2e-12, 3e-12]) is not None


@pytest.mark.parametrize("units", [(1e-13, 1.0), (1.0, 1e-13), (1e-13, 1e-13), (1e13, 1e13)])
def test_correlation_has_no_unit(units):
    first, second = [1.0, 2.0, 4.0], [3.0, -1.0, 0.5]
    expected = correlation(first, second)
    scaled = ([unit * v for v in row] for unit, row in zip(units, (first, second), strict=True))
    assert correlation(*scaled) == pytest.approx(expected)
    for constant in ([1e6, 1e6 + 1e-7, 1e6], [0.0, 0.0, 0.0]):
        assert math.isnan(correlation(constant, second))
        assert math.isnan(correlation(second, constant))


def test_correlation_is_never_beyond_one_by_rounding():
    for row in np.random.default_rng(3).standard_normal((300, 4)):
        values = [float(v) for v in row]
        assert 1 - 1e-12 < correlation(values, [3 * v for v in values]) <= 1
        assert -1 <= correlation(values, [-3 * v for v in values]) < -1 + 1e-12


def test_correlation_is_scipys_and_undefined_for_a_constant():
    draws = np.random.default_rng(1).standard_normal((2, 7))
    first, second = ([float(v) for v in row] for row in draws)
    assert correlation(first, second) == pytest.approx(stats.pearsonr(first, second).statistic)
    assert math.isnan(correlation([2.9, 2.9, 2.9], [1.0, 2.0, 3.0]))
    assert math.isnan(correlation([1.0, 2.0], [1.0, 2.0]))


def test_summary_leaves_diverged_runs_out_and_counts_them(study, diverge):
    runs = tuple(
        diverge(run) if (run.variant, run.seed) == ("full", 1) else run for run in study.runs
    )
    found = summary(replace(study, runs=runs), "full")
    errors = [run.test_error for run in study.runs if run.variant == "full" and run.seed != 1]
    assert (found.n, found.diverged) == (4, 1)
    assert found.error == pytest.approx(np.mean(errors))
    assert found.error_sd == pytest.approx(np.std(errors, ddof=1))
    assert comparison(replace(study, runs=runs), "without_7", "full").n == 4


def test_pairs_are_seeds_that_both_finished_in_any_order(study):
    shuffled = replace(study, runs=tuple(reversed(study.runs[:3] + study.runs[6:])))
    assert comparison(shuffled, "without_7", "full").n == 2
    expected = [run.test_error for run in study.runs if run.variant == "full"]
    assert paired_values(study, "without_7", "full")[1] == expected
    assert comparison(study, "without_7", "full") == comparison(
        replace(study, runs=tuple(reversed(study.runs))), "without_7", "full"
    )


def test_study_refuses_what_contradicts_itself(study):
    with pytest.raises(ReportError, match="did you mean 'full'"):
        asked(study, baseline="ful")
    with pytest.raises(ReportError, match="two runs of seed 0"):
        replace(study, runs=(*study.runs, study.runs[0]))
    with pytest.raises(ReportError, match="run of seed 0 is of variant 'nobody'"):
        replace(study, runs=(replace(study.runs[0], variant="nobody"),))
    with pytest.raises(ReportError, match="two variants are named 'full'"):
        asked(study, variants=(*study.variants, study.variants[0]))
    with pytest.raises(ReportError, match="no variant 'without_8'"):
        comparison(study, "without_8", "full")
    with pytest.raises(ReportError, match="give one figure for every epoch"):
        Curve((1.0, 2.0), (0.5,), (3.0, 2.0), (), ())


def scanned(study, scans, seeds, interaction, folds=5, images=300, draws=0):
    """The study with errors of images: of the scan, of the seed, and of both together."""
    random = np.random.default_rng(draws)
    own = scans * random.standard_normal((folds, images))
    runs = []
    for name in study.names:
        for seed in range(12):
            wrong = 0.2 + own[seed % folds] + seeds * random.standard_normal()
            wrong = wrong + interaction * random.standard_normal(images)
            run = study.runs_of(name)[0]
            error = 100 * float(wrong.mean())
            runs.append(replace(run, seed=seed, test_error=error, wrong=wrong))
    return asked(replace(study, runs=tuple(runs)), folds=folds)


def test_the_images_share_of_the_variance_is_found(study):
    """Variances of a seed's mean: scans 1 / 300, seeds, and both together 1 / 300."""
    for seeds, share in ((0.0, 1 / 2), (math.sqrt(2 / 300), 1 / 4)):
        found = [image_share(scanned(study, 1.0, seeds, 1.0, draws=number)) for number in range(60)]
        assert np.mean(found) == pytest.approx(share, abs=0.06)
    # a difference has nothing of what all variants err by alike
    apart = [image_share(scanned(study, 1.0, 0.0, 1.0, draws=n), "full") for n in range(20)]
    assert np.mean(apart) < 0.1


def test_nobody_knows_the_images_share_of_one_fold_or_of_five_seeds(study):
    whole = scanned(study, 1.0, 0.0, 1.0)
    assert math.isnan(image_share(asked(whole, folds=1)))
    few = replace(whole, runs=tuple(run for run in whole.runs if run.seed < 5))
    assert math.isnan(image_share(few))
    assert math.isnan(image_share(study))


def test_the_report_says_what_the_intervals_cover_and_the_images_share(study):
    whole = scanned(study, 1.0, 0.0, 1.0)
    told = dict(facts(whole))["Variance over seeds"]
    assert re.match(r"\d+ % of that of test errors comes from the images", told)
    assert "Variance over seeds" not in dict(facts(study))
    assert intervals_words(whole).endswith(
        "It covers seeds and test images: seed s is tested on fold s mod 5."
    )
    assert intervals_words(study).endswith("It covers seeds, not test images.")
    assert "new data would vary more" in limits(whole)[0]


def test_a_smoothed_label_has_the_entropy_that_scipy_gives():
    for classes, smoothing in ((10, 0.1), (1000, 0.1), (2, 0.3)):
        label = np.full(classes, smoothing / classes)
        label[0] += 1 - smoothing
        assert least_loss(classes, smoothing) == pytest.approx(stats.entropy(label))


def test_a_loss_is_judged_by_what_it_has_above_the_least(study):
    """2.3 / epoch above the entropy of smoothed labels never converges either."""
    at = np.arange(1, 61.0)
    slow, done = 2.3 / at, 0.05 + 2.3 * np.exp(-at / 4)

    def judged(losses, smoothing):
        curve = Curve(tuple(at), tuple(losses), tuple(losses), (), ())
        runs = tuple(replace(run, curve=curve) for run in study.runs)
        recipe = {"train.label_smoothing": smoothing}
        whole = asked(replace(study, runs=runs), recipe=recipe, classes=10)
        return variant_flatness(whole, "full"), flatness_table(whole).notes[0]

    above = least_loss(10, 0.1)
    assert not judged(slow + above, 0.1)[0].flat
    assert judged(slow + above, 0.0)[0].flat
    found, note = judged(done + above, 0.1)
    assert found.mean.fall == pytest.approx(judged(done, 0.0)[0].mean.fall)
    assert found.flat
    assert "above 0.500, the least with smoothed labels" in note
    assert "smoothed" not in judged(done, 0.0)[1]


def test_a_variant_of_fewer_classes_is_judged_by_its_own_least_loss(study):
    at = np.arange(1, 61.0)
    losses = tuple(2.3 / at + least_loss(5, 0.1))  # below the least of ten classes, and falling
    curve = Curve(tuple(at), losses, losses, (), ())
    runs = tuple(replace(run, curve=curve) for run in study.runs)
    of_five = replace(study.variant("full"), classes=5, smoothing=0.1)
    variants = (of_five, *study.plan.variants[1:])
    recipe = {"train.label_smoothing": 0.1}
    whole = asked(replace(study, runs=runs), recipe=recipe, classes=10, variants=variants)
    assert least_of(whole, "full") == least_loss(5, 0.1)
    assert least_of(whole, "without_7") == least_loss(10, 0.1)
    assert variant_flatness(whole, "full").mean.reason == "still falling"
    assert replace(of_five, smoothing=0.0).smoothing == 0.0
