"""When a training loss has flattened, and when that is inconclusive."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
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


@given(epochs=some.integers(10, 200), power=some.floats(-3, 3), scale=some.floats(1e-3, 1e3))
@settings(max_examples=60, deadline=None)
def test_a_power_of_the_epoch_is_found_whatever_the_unit(epochs, power, scale):
    losses = scale * np.arange(1.0, epochs + 1) ** -power
    losses[0] += 10 * losses.max()
    found = flattened(curve(losses))
    last = round(epochs / 5)
    assert found.power == pytest.approx(power, abs=1e-6)
    assert found.start == epochs - last
    assert found.fall == pytest.approx(100 * (1 - (1 - last / epochs) ** power), abs=1e-6)
    assert found.noise == pytest.approx(0, abs=1e-6)
    if abs(power) > 1 + 1e-6:
        assert not found.flat


def test_a_line_through_the_last_epochs_is_that_of_least_squares():
    losses = np.exp(np.random.default_rng(3).standard_normal(20) * 0.1)
    found = flattened(curve(np.r_[10.0, losses]))
    line = scipy.stats.linregress(np.log(np.arange(17, 22)), np.log(losses[-5:]))
    assert found.power == pytest.approx(-line.slope)
    error = 100 * (17 / 21) ** -line.slope * math.log(21 / 17) * line.stderr
    assert found.noise == pytest.approx(error)


def share_flat(losses, noise=0.05, draws=400) -> float:
    """Of courses with that noise in every epoch, as a share of the loss."""
    random = np.random.default_rng(0)
    drawn = np.exp(noise * random.standard_normal((draws, len(losses))))
    return float(np.mean([flattened(curve(losses * each)).flat for each in drawn]))


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("epochs", [30, 60, 90])
def test_what_never_converges_is_rejected_nine_times_of_ten(epochs, noise):
    at = np.arange(1, epochs + 1)
    assert share_flat(2.3 / at, noise) < 0.1
    assert share_flat(np.exp(-at / 5), noise) < 0.1
    assert share_flat(np.exp(-6 * at / epochs), noise) < 0.1


@pytest.mark.parametrize("epochs", [30, 60, 90])
@pytest.mark.parametrize("floor", [0.005, 0.05, 0.2])
def test_what_has_converged_is_accepted_nine_times_of_ten(epochs, floor):
    """Ten time constants to a floor, which the annealing of the rate lowers by a twentieth."""
    at = np.arange(1, epochs + 1)
    annealed = 1 - 0.05 * np.clip((at / epochs - 0.6) / 0.4, 0, 1)
    time = epochs / 10 if floor >= 0.05 else epochs / 13
    assert share_flat(floor * annealed + 2.3 * np.exp(-at / time), 0.03) > 0.9


def test_a_fall_is_at_least_a_twentieth_of_the_loss():
    assert flattened(curve(np.r_[1.051, np.ones(19)])).reason == "flattened"
    unlearned = "the loss has not fallen since the first epoch"
    assert flattened(curve(np.r_[1.049, np.ones(19)])).reason == unlearned


@pytest.mark.parametrize("constants", [0.3, 1.0, 3.0])
def test_what_falls_slowly_from_the_beginning_is_rejected(constants):
    """By less than a fifth of itself in the last 20 % of epochs, but by much of its whole fall."""
    found = flattened(curve(2.3 * np.exp(-constants * np.arange(1, 31) / 30)))
    assert found.power < 1 or constants == 3.0
    assert found.reason == "still falling"


def test_the_share_is_that_of_the_whole_fall_by_hand():
    losses = np.r_[2.0, np.full(15, 1.0), np.full(2, 1.0), np.full(3, 0.98)]
    found = flattened(curve(losses))
    begun = 100 * (1 - found.fall / 100)
    line = np.exp(
        np.polyval(np.polyfit(np.log(np.arange(17, 22)), np.log(losses[-5:]), 1), np.log([17, 21]))
    )
    assert found.share == pytest.approx(100 * (line[0] - line[1]) / (2.0 - losses[-5:].mean()))
    assert 100 * line[1] / line[0] == pytest.approx(begun)
    assert not found.flat


def around(first, scatter, level=10.0):
    """Ten epochs from `first`: the last three scatter about a level by that share of it."""
    at = np.log(np.arange(8, 11.0))
    design = np.stack([np.ones(3), at], axis=1)
    left = np.cross(design[:, 0], design[:, 1])  # orthogonal to every line
    left *= scatter / np.linalg.norm(left)
    return flattened(curve(np.r_[first, np.full(6, level), level * np.exp(left)]))


def test_a_fall_is_more_than_three_times_the_scatter():
    assert around(12.9, 0.1).reason == "the loss has not fallen since the first epoch"
    assert around(13.1, 0.1).reason == "too noisy to tell"


def test_the_limit_is_a_power_of_one_less_the_quantile_of_its_error():
    spread = np.log(np.arange(8, 11.0)) - np.log(np.arange(8, 11.0)).mean()
    limit = math.sqrt(spread @ spread) / scipy.stats.t.ppf(0.95, 1)
    assert around(100.0, 0.99 * limit).reason == "flattened"
    assert around(100.0, 1.01 * limit).reason == "too noisy to tell"


def test_a_fall_is_compared_with_the_loss_itself():
    unlearned = "the loss has not fallen since the first epoch"
    assert flattened(curve(np.zeros(20))).reason == unlearned
    assert flattened(curve(np.r_[1e6 + 1e-4, np.full(19, 1e6)])).reason == unlearned
    guessing = curve(np.full(20, math.log(10)))
    assert flattened(guessing, classes=10).reason == unlearned
    # nothing is left to fall
    assert flattened(curve(np.r_[1.0, np.zeros(19)])).reason == "flattened"


def test_start_worse_than_chance_is_not_what_there_was_to_learn():
    losses = curve(np.r_[50.0, np.full(19, 2.4)])
    assert flattened(losses).reason == "flattened"
    found = flattened(losses, classes=10)
    assert (found.flat, found.reason) == (False, "the loss has not fallen below that of guessing")
    # the start was better than guessing among so many
    assert flattened(losses, classes=10**30) == flattened(losses)


def test_variant_is_judged_with_the_classes_of_its_study(study):
    def change(loss):
        first = tuple(
            replace(run, curve=replace(run.curve, train_loss=(loss, *run.curve.train_loss[1:])))
            for run in study.runs
        )
        return replace(study, runs=first)

    shifted = change(50.0)
    high = tuple(
        replace(r, curve=replace(r.curve, train_loss=tuple(x + 2.5 for x in r.curve.train_loss)))
        for r in shifted.runs
    )
    worse = replace(shifted, runs=high)
    assert variant_flatness(worse, "full").flat
    assert not variant_flatness(asked(worse, classes=10), "full").flat


def test_fewer_than_two_classes_are_refused(study):
    with pytest.raises(ReportError, match="the data have 1 classes, and at least 2 are expected"):
        asked(study, classes=1)


def test_noise_is_the_standard_error_of_the_fall():
    noise = np.random.default_rng(1).standard_normal((500, 25))
    found = [flattened(curve(decay(25, 2.0) * np.exp(0.05 * row))) for row in noise]
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
