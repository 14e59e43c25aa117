"""When a training loss has flattened, and when that is inconclusive."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from plans import asked

from ablax.errors import ReportError
from ablax.report.statistics import flattened, mean_curve, variant_flatness
from ablax.report.study import Curve


def curve(losses) -> Curve:
    values = tuple(float(loss) for loss in losses)
    epochs = tuple(float(epoch) for epoch in range(1, len(values) + 1))
    return Curve(epochs, values, values, (), ())


def decay(epochs: int, time: float, floor: float = 0.05):
    return floor + 2.3 * np.exp(-np.arange(1, epochs + 1) / time)


def test_straight_fall_has_the_fall_of_its_last_fifth():
    # 20 epochs from 2.0 in steps of 0.1: the last 20 % fall by 0.4, the middle is 1.7 below
    found = flattened(curve(2.0 - 0.1 * np.arange(20)))
    assert found.fall == pytest.approx(100 * 0.4 / 1.7)
    assert found.noise == pytest.approx(0, abs=1e-9)
    assert found.relative_fall == pytest.approx(100 * 0.4 / 0.5)
    assert (found.flat, found.reason, found.start) == (False, "still falling", 16.0)


@settings(max_examples=60, deadline=None)
@given(epochs=some.integers(15, 200), floor=some.floats(0.001, 2), constants=some.floats(1.5, 12))
def test_exponential_decay_flattens_after_five_and_a_half_time_constants(epochs, floor, constants):
    found = flattened(curve(decay(epochs, epochs / constants, floor)))
    if constants > 6:
        assert found.flat
    elif constants < 5:
        assert found.reason == "still falling"


def test_flat_loss_moves_by_less_than_a_hundredth_of_its_fall():
    # ten epochs from 1: a step to the level of the last three, which then fall by 2 d
    def last_three(d):
        return flattened(curve(np.r_[1.0, np.full(6, 0.5), d, 0.0, -d]))

    assert last_three(0.0049).fall == pytest.approx(0.98)
    assert last_three(0.0049).flat
    assert last_three(0.0051).reason == "still falling"


def around(first, level=10.0):
    """Ten epochs from `first`: the last three scatter about their line by 1."""
    return flattened(curve(np.r_[first, np.full(6, level), level + np.array([1, -2, 1]) / 6**0.5]))


def test_a_fall_is_more_than_three_times_the_scatter_and_its_noise_by_hand():
    assert around(12.9).reason == "the loss has not fallen since the first epoch"
    assert around(13.1).reason == "too noisy to tell"
    # 100 scatter span / root of the spread, of a whole fall of 10
    assert around(20.0).noise == pytest.approx(100 * 1 * 2 / 2**0.5 / 10)


def test_what_reaches_the_limit_is_not_below_it():
    falling = curve(np.r_[1.0, np.full(6, 0.5), 0.0025, 0.0, -0.0025])
    fall = flattened(falling).fall
    assert fall == pytest.approx(0.5)
    assert flattened(falling, within=fall).reason == "still falling"
    assert flattened(falling, within=1.01 * fall).flat
    noisy = around(20.0)
    within = curve(np.r_[20.0, np.full(6, 10.0), 10 + np.array([1, -2, 1]) / 6**0.5])
    assert flattened(within, within=noisy.noise).reason == "too noisy to tell"
    assert flattened(within, within=1.01 * noisy.noise).flat


def test_a_fall_is_compared_with_the_loss_itself():
    unlearned = "the loss has not fallen since the first epoch"
    assert flattened(curve(np.zeros(20))).reason == unlearned
    assert flattened(curve(np.r_[1e6 + 1e-4, np.full(19, 1e6)])).reason == unlearned
    assert flattened(curve(1e-12 * decay(20, 2.0))).reason == "flattened"
    guessing = curve(np.full(20, math.log(10)))
    assert flattened(guessing, classes=10).reason == unlearned
    # of a loss that ends about 0 nothing is a share
    assert math.isnan(flattened(curve(np.r_[1.0, np.full(6, 0.5), 0.1, 0, -0.1])).relative_fall)


def test_start_worse_than_chance_does_not_enlarge_the_fall():
    losses = np.r_[5.0, 1.5 - 0.01 * np.arange(19)]
    level = losses[-5:].mean()
    plain, evaluation = flattened(curve(losses)), flattened(curve(losses), classes=10)
    assert plain.fall == pytest.approx(100 * 0.04 / (5.0 - level))
    assert evaluation.fall == pytest.approx(100 * 0.04 / (math.log(10) - level))
    # the start was better than guessing among so many
    assert flattened(curve(losses), classes=1000) == plain


def test_loss_above_that_of_guessing_has_not_fallen():
    found = flattened(curve(2.4 + decay(20, 2.0)), classes=10)
    assert (found.flat, found.reason) == (False, "the loss has not fallen below that of guessing")


def test_variant_is_judged_with_the_classes_of_its_study(study):
    def change(loss):
        first = tuple(
            replace(run, curve=replace(run.curve, train_loss=(loss, *run.curve.train_loss[1:])))
            for run in study.runs
        )
        return replace(study, runs=first)

    chance, worse = (variant_flatness(change(x), "full").mean for x in (math.log(10), 50.0))
    assert worse.fall < chance.fall / 10
    assert variant_flatness(asked(change(50.0), classes=10), "full").mean == chance


def test_fewer_than_two_classes_are_refused(study):
    with pytest.raises(ReportError, match="the data have 1 classes, and at least 2 are expected"):
        asked(study, classes=1)


@settings(max_examples=60, deadline=None)
@given(scale=some.floats(0.01, 100), time=some.floats(2, 30), epochs=some.integers(10, 60))
def test_flatness_does_not_depend_on_the_unit_of_the_loss(scale, time, epochs):
    here = flattened(curve(decay(epochs, time)))
    there = flattened(curve(scale * decay(epochs, time)))
    assert here.flat == there.flat
    assert here.fall == pytest.approx(there.fall, rel=1e-6)


def test_small_noise_on_a_flat_loss_changes_nothing_and_large_noise_forbids_an_answer():
    noise = np.random.default_rng(0).standard_normal((200, 20))
    quiet = [flattened(curve(decay(20, 2.0) + 0.004 * row)).flat for row in noise]
    loud = [flattened(curve(decay(20, 2.0) + 0.3 * row)) for row in noise]
    assert np.mean(quiet) > 0.95
    # by chance five epochs of pure noise lie on a flat line
    assert np.mean([found.flat for found in loud]) < 0.03


def test_noise_is_the_standard_error_of_the_fall():
    noise = np.random.default_rng(1).standard_normal((500, 25))
    found = [flattened(curve(decay(25, 2.0) + 0.02 * row)) for row in noise]
    scatter = np.std([one.fall for one in found])
    # the mean square is without bias, the mean of the root a little low
    assert np.sqrt(np.mean([one.noise**2 for one in found])) == pytest.approx(scatter, rel=0.1)


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        (np.full(20, math.log(10)), "the loss has not fallen since the first epoch"),
        (2.0 + 0.1 * np.arange(20), "the loss has not fallen since the first epoch"),
        (np.r_[decay(15, 2.0), 0.1 + 0.2 * np.arange(5)], "rising"),
        (np.r_[decay(15, 2.0), [math.inf] * 5], "the loss is not finite"),
        (np.r_[math.nan, decay(15, 2.0)], "the loss is not finite"),
        (decay(9, 0.5), "inconclusive: 9 epochs, at least 10 are needed"),
        ([], "inconclusive: 0 epochs, at least 10 are needed"),
    ],
)
def test_loss_that_did_not_learn_or_cannot_be_judged_is_not_flat(losses, reason):
    found = flattened(curve(losses))
    assert (found.flat, found.reason) == (False, reason)


def test_noise_around_a_constant_is_not_a_fall():
    noise = np.random.default_rng(2).standard_normal((200, 20))
    found = [flattened(curve(2.3 + 0.01 * row)) for row in noise]
    assert not any(one.flat for one in found)
    unlearned = "the loss has not fallen since the first epoch"
    assert np.mean([one.reason == unlearned for one in found]) > 0.9


def test_mean_curve_keeps_the_epochs_that_all_share():
    found = mean_curve([curve([4.0, 2.0, 1.0]), curve([2.0, 0.0])])
    assert found.epochs == (1.0, 2.0)
    assert found.train_loss == (3.0, 1.0)
    assert mean_curve([]).epochs == ()


def test_variant_is_flat_only_when_most_of_its_runs_are(study):
    def change(seeds, losses):
        return replace(
            study,
            runs=tuple(
                replace(run, curve=curve(losses))
                if run.variant == "full" and run.seed in seeds
                else run
                for run in study.runs
            ),
        )

    assert variant_flatness(study, "full").flat_runs == 5
    falling = variant_flatness(change(range(3), decay(20, 10.0)), "full")
    assert (falling.flat, falling.flat_runs, falling.n) == (False, 2, 5)
    # falling and rising runs whose mean is flat
    up = np.r_[decay(15, 1.5), 0.05 + 0.03 * np.arange(5)]
    down = np.r_[decay(15, 1.5), 0.17 - 0.03 * np.arange(5)]
    halves = change(range(2), up)
    halves = replace(
        halves,
        runs=tuple(
            replace(run, curve=curve(down)) if run.variant == "full" and run.seed in (2, 3) else run
            for run in halves.runs
        ),
    )
    cancelled = variant_flatness(halves, "full")
    assert cancelled.mean.flat
    assert (cancelled.flat, cancelled.flat_runs) == (False, 1)


def test_more_than_half_of_the_runs_have_to_be_flat(study):
    end = np.arange(5)
    flat = np.r_[decay(15, 1.5), np.full(5, 0.11)]
    up, down = (np.r_[decay(15, 1.5), 0.11 + by * (end - 2)] for by in (0.03, -0.03))
    falling = np.r_[decay(15, 1.5), 0.11 - 0.008 * (end - 2)]

    def judged(*losses):
        curves = dict(enumerate(map(curve, losses)))
        return variant_flatness(
            replace(
                study,
                runs=tuple(
                    replace(run, curve=curves[run.seed]) if run.variant == "full" else run
                    for run in study.runs
                    if run.variant != "full" or run.seed in curves
                ),
            ),
            "full",
        )

    most, few = judged(flat, flat, flat, up, down), judged(flat, flat, up, down, falling)
    assert (most.flat, most.flat_runs, most.n) == (True, 3, 5)
    assert (few.flat, few.flat_runs, few.mean.flat) == (False, 2, True)
    half = judged(flat, flat, up, down)
    assert (half.flat, half.flat_runs, half.mean.flat) == (False, 2, True)
