"""Seen and new images evaluated alike, and early stopping that never looks at a test image."""

from dataclasses import replace

import numpy as np
import pytest
from studies import study_of
from subjects import made_subject

from ablax.core import Layers, Network
from ablax.layers import Dense, Dropout, Flatten
from ablax.measurements.learning import (
    NAME,
    curves_figure,
    generalization,
    generalization_table,
    measure_generalization,
    stopping_point,
    stopping_table,
)


def network():
    head = Layers(vectorize=Flatten(), drop=Dropout(0.5), scores=Dense(3))
    return Network(tail=Layers(), body=Layers(), head=head)


def test_training_and_test_images_are_evaluated_alike_without_dropout():
    model, sample = made_subject(network())
    sample = replace(sample, held_out=sample.test)
    rows = {row["images"]: row for row in measure_generalization(model, sample)}
    kernel = np.asarray(model.variables["params"]["scores"]["kernel"], np.float64)
    for name, split in [("training", sample.train), ("test", sample.test)]:
        flat = model.normalized(split.images).reshape(len(split), -1).astype(np.float64)
        scores = flat @ kernel
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        own = shares[np.arange(len(split)), split.labels]
        np.testing.assert_allclose(rows[name]["loss"], -np.log(own).mean(), rtol=1e-5)
        wrong = 100 * np.mean(scores.argmax(axis=1) != split.labels)
        assert rows[name]["error"] == pytest.approx(wrong)
    assert rows["held out"] == {**rows["test"], "images": "held out"}


def test_without_held_out_images_there_is_no_row_of_them_and_no_stop():
    rows = measure_generalization(*made_subject(network()))
    assert [row["images"] for row in rows] == ["training", "test"]
    assert np.isnan(stopping_point(tuple({**row, "epoch": 1.0} for row in rows)).test_error)


def test_of_equal_held_out_errors_the_first_stops():
    rows = _rows([(10, 5.0, 9.0, 9.0), (20, 1.0, 4.0, 7.0), (30, 0.0, 4.0, 3.0)])
    point = stopping_point(rows)
    assert (point.epoch, point.test_error) == (20 / 8, 7.0)
    quantities = generalization().quantities
    assert quantities["stopped_error"].of(rows) == 7.0
    assert quantities["gap"].of(rows) == 3.0 - 0.0
    assert quantities["fit_error"].of(rows) == 0.0


def _rows(figures, **more):
    return tuple(
        {"images": images, "step": step, "epoch": step / 8, "error": error, **more}
        for step, *errors in figures
        for images, error in zip(("training", "held out", "test"), errors, strict=True)
    )


def _study():
    figures = [(10, 5.0, 9.0, 9.0), (20, 1.0, 4.0, 7.0), (40, 0.0, 6.0, 3.0)]
    rows = [
        row
        for variant in ("full", "plain")
        for seed in range(2)
        for row in _rows(figures, variant=variant, seed=seed)
    ]
    study = study_of(NAME, ("full", "plain"), seeds=2, rows=rows)
    quantities = generalization().quantities
    runs = [
        replace(
            run,
            measured={name: quantity.of(_of(rows, run)) for name, quantity in quantities.items()},
        )
        for run in study.runs
    ]
    plan = replace(study.plan, quantities=quantities)
    return replace(study, plan=plan, runs=tuple(runs))


def _of(rows, run):
    return tuple(r for r in rows if (r["variant"], r["seed"]) == (run.variant, run.seed))


def test_the_table_of_stopping_says_after_which_share_of_the_training():
    table = stopping_table(_study())
    assert table.rows[0][:3] == ("Full", "50 ± 0", "7.00 ± 0.00")


def test_the_table_of_errors_has_a_row_a_variant():
    rows = generalization_table(_study()).rows
    assert [row[0] for row in rows] == ["Full", "Plain"]
    assert rows[0][1] == "0.00 ± 0.00"
    assert rows[0][3] == "3.00 ± 0.00"


def test_every_variant_has_a_panel_with_its_three_curves():
    figure = curves_figure(_study())
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Full", "Plain"]
    for axes in figure.axes:
        assert [line.get_ydata()[-1] for line in axes.lines] == [0.0, 6.0, 3.0]
