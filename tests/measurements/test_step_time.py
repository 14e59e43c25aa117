"""Time of a training step: what is run, what a row says, and how it is drawn."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from studies import study_of
from subjects import made_subject

from ablax.config import with_fields
from ablax.core import Layers, Network
from ablax.data.images import Split
from ablax.layers import Dense, GlobalAveragePool
from ablax.measurements import times as measured
from ablax.measurements.times import (
    STEP_TIME,
    compile_seconds,
    measure_step_time,
    nanoseconds,
    step_seconds,
    step_time,
    step_time_figure,
    step_time_table,
)
from ablax.report.study import Study
from ablax.training.step import task_of, train_step

MODEL, SAMPLE = made_subject(
    Network(Layers(), Layers(), Layers(average=GlobalAveragePool(), classifier=Dense(3))), size=4
)


def test_as_many_times_come_back_as_runs_and_the_first_run_is_not_among_them(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(measured.time, "perf_counter", lambda: float(next(clock)))
    preparation = MODEL.preprocessing
    task = task_of(MODEL.network, SAMPLE.recipe, preparation.mean, preparation.std, 3)
    batch = jnp.asarray(SAMPLE.train.images[:8]), jnp.asarray(SAMPLE.train.labels[:8])
    assert step_seconds(task, MODEL.variables, *batch, runs=4) == [1.0] * 4
    assert next(clock) == 8


def test_what_is_timed_is_the_training_step_of_the_recipe(monkeypatch):
    """Augmentation, label smoothing, weight decay and all."""
    taken = []

    def step(task, state, images, labels):
        taken.append((task, state, images, labels))
        return train_step(task, state, images, labels)

    monkeypatch.setattr(measured, "train_step", step)
    fields = {"augment.flip": True, "train.label_smoothing": 0.1, "optimizer.name": "adamw"}
    recipe = with_fields(SAMPLE.recipe, fields)
    measure_step_time(MODEL, replace(SAMPLE, recipe=recipe))
    compile_seconds(MODEL.network, recipe, (8, 4, 4, 1))
    assert len(taken) == 2  # traced once each
    for task, state, images, _ in taken:
        assert task.augmentation == recipe.augment
        assert task.losses.keywords == {"smoothing": 0.1}
        assert len(jax.tree.leaves(state.opt_state)) > 2 * len(jax.tree.leaves(state.params))
        assert images.dtype == jnp.uint8


def test_a_row_has_the_median_the_quartiles_and_the_batch_of_the_recipe(monkeypatch):
    given = {}

    def times(task, variables, images, labels):
        given.update(images=images, labels=labels)
        return [0.004, 0.001, 0.002, 0.003, 0.010]

    monkeypatch.setattr(measured, "step_seconds", times)
    small = replace(SAMPLE, train=Split(SAMPLE.train.images[:5], SAMPLE.train.labels[:5]))
    (row,) = measure_step_time(MODEL, small)
    assert row == pytest.approx({"seconds": 0.003, "low": 0.002, "high": 0.004, "batch": 8.0})
    np.testing.assert_array_equal(given["labels"], SAMPLE.train.labels[[0, 1, 2, 3, 4, 0, 1, 2]])
    assert given["images"].shape == (8, 4, 4, 1)
    assert step_time().quantities["step_milliseconds"].of((row,)) == pytest.approx(3.0)


def study(seconds: dict[str, float]) -> Study:
    rows = [
        {"variant": name, "seed": 0, "step": 1, "epoch": 1.0, "batch": 10.0}
        | {"seconds": each, "low": 0.9 * each, "high": 1.2 * each}
        for name, each in seconds.items()
    ]
    made = study_of(STEP_TIME, ("full", "apart", "unmeasured"), 1, rows)
    macs = {"full": 4_000_000, "apart": 1_000_000, "unmeasured": 1}
    variants = tuple(replace(v, macs=macs[v.name]) for v in made.variants)
    return replace(made, plan=replace(made.plan, variants=variants))


STUDY = study({"full": 0.08, "apart": 0.04})


def test_a_thousand_multiply_accumulates_take_the_time_over_those_of_the_batch():
    # 0.08 s for 10 x 4e6 are 2e-9 s each
    (row,) = STUDY.rows(STEP_TIME, variant="full")
    assert nanoseconds(STUDY.variant("full"), row) == pytest.approx(2_000.0)


def test_the_table_has_a_row_for_each_variant_that_was_measured():
    assert step_time_table(STUDY).rows == (
        ("Full", "4.00 M", "80.0", "72.0 to 96.0", "2,000.0"),
        ("Apart", "1.00 M", "40.0", "36.0 to 48.0", "4,000.0"),
    )


def test_the_dotted_line_goes_through_the_baseline_at_its_rate():
    (axes,) = step_time_figure(STUDY).axes
    dotted = next(line for line in axes.lines if line.get_linestyle() == ":")
    np.testing.assert_allclose(dotted.get_xdata(), [1e6, 4e6])
    np.testing.assert_allclose(dotted.get_ydata(), [20.0, 80.0])
    marks = {line.get_label(): line for line in axes.lines if line.get_label() in ("Full", "Apart")}
    assert marks["Apart"].get_ydata() == [40.0]


def test_without_rows_the_picture_says_that_nothing_was_measured():
    (axes,) = step_time_figure(study({})).axes
    assert axes.texts[0].get_text() == "nothing was measured"
