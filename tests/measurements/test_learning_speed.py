"""Epochs until a training error: who did not reach it is never counted."""

from __future__ import annotations

import dataclasses
import math

import pytest
from studies import study_of

from ablax.errors import AblaxError
from ablax.measurements.learning import epochs_to, learning_speed, speed_table
from ablax.report.study import Curve


def curve_of(*errors: float) -> Curve:
    epochs = tuple(float(epoch) for epoch in range(1, len(errors) + 1))
    return Curve(epochs, errors, errors, (), ())


def study_with(errors: dict[str, list[tuple[float, ...]]]):
    """A study whose runs have these training errors, seed by seed."""
    study = study_of("none", tuple(errors), len(next(iter(errors.values()))), [])
    runs = tuple(
        dataclasses.replace(run, curve=curve_of(*errors[run.variant][run.seed]))
        for run in study.runs
    )
    return dataclasses.replace(study, runs=runs)


def test_the_first_epoch_at_the_error_counts_though_a_later_one_is_above_it():
    assert epochs_to(curve_of(60.0, 25.0, 40.0, 10.0), 25.0) == 2
    assert math.isnan(epochs_to(curve_of(60.0, 25.1), 25.0))


def test_a_run_that_does_not_reach_the_error_makes_no_mean():
    study = study_with(
        {
            "fast": [(50.0, 20.0, 10.0), (50.0, 30.0, 20.0)],
            "mixed": [(90.0, 90.0, 20.0), (90.0, 90.0, 90.0)],
            "slow": [(90.0, 90.0, 90.0), (90.0, 90.0, 90.0)],
        }
    )
    fast, mixed, slow = speed_table(study, 25.0).rows
    assert fast[1:4] == ("2.5 ± 0.7", "1.0", "2 of 2")
    assert mixed[1:4] == ("not reached by all", "–", "1 of 2")
    assert slow[1:4] == ("not reached", "–", "0 of 2")
    assert slow[4].startswith("90.0")


def test_times_those_of_the_baseline_is_the_ratio_of_the_means():
    study = study_with({"fast": [(20.0,) * 6], "slow": [(90.0,) * 5 + (20.0,)]})
    assert [row[2] for row in speed_table(study, 25.0).rows] == ["1.0", "6.0"]


@pytest.mark.parametrize("error", [0.0, 100.0, -5.0, math.nan])
def test_an_error_that_cannot_be_fallen_to_is_refused(error):
    with pytest.raises(AblaxError, match="expected above 0 and below 100"):
        learning_speed(error, ("fast",))


def test_the_section_draws_every_variant():
    study = study_with({"fast": [(50.0, 20.0)], "slow": [(90.0, 80.0)]})
    (picture,) = learning_speed(25.0, ("fast", "slow")).pictures
    (axes,) = picture.draw(study).axes
    assert len(axes.get_lines()) == 2
