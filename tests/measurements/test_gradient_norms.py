"""The gradient by layer against formulas, and what vanishing and exploding look like."""

from __future__ import annotations

import math

import numpy as np
import pytest
from studies import study_of
from subjects import made_subject

from ablax.core import Layers, Network, sequential
from ablax.layers import Dense, Flatten, Tanh
from ablax.layers.initializers import GAUSSIAN_001
from ablax.measurements.gradients import (
    NAME,
    decades,
    measure_gradient_norms,
    sensitivity,
    start_figure,
)


def test_gradients_of_a_linear_classifier_are_those_of_the_formula():
    network = Network(Layers(vector=Flatten()), Layers(), Layers(scores=Dense(3)))
    model, sample = made_subject(network)
    output, kernel_row = measure_gradient_norms(model, sample)
    x = model.normalized(sample.train.images).reshape(24, -1).astype(np.float64)
    kernel = np.asarray(model.variables["params"]["scores"]["kernel"], np.float64)
    scores = x @ kernel
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wrong = shares - np.eye(3)[sample.train.labels]
    slope = np.linalg.norm(x.T @ wrong / 24)
    assert (kernel_row["of"], kernel_row["layer"], kernel_row["place"]) == ("kernel", "scores", 1)
    np.testing.assert_allclose(kernel_row["gradient"], slope, rtol=1e-4)
    np.testing.assert_allclose(kernel_row["sensitivity"], slope * np.linalg.norm(kernel), rtol=1e-4)
    assert (output["of"], output["layer"], output["place"]) == ("output", "vector", 1)
    each = np.sum((wrong @ kernel.T) ** 2, axis=1)
    np.testing.assert_allclose(output["gradient"], np.sqrt(each.mean()), rtol=1e-4)


@pytest.mark.slow
def test_through_small_weights_the_gradient_vanishes_though_kernels_pull_alike():
    small = sequential(dense=Dense(32, kernel_init=GAUSSIAN_001), tanh=Tanh())
    deep = Layers({f"fc{n}": small for n in range(1, 9)})
    network = Network(Layers(vector=Flatten()), deep, Layers(scores=Dense(3)))
    rows = measure_gradient_norms(*made_subject(network))
    kernels = [row for row in rows if row["of"] == "kernel"]
    assert [row["place"] for row in kernels] == list(range(1, 10))
    assert [row["layer"] for row in kernels][:2] == ["fc1/dense", "fc2/dense"]
    stepped = tuple({"step": 0, **row} for row in rows)
    # each of eight layers passes on about 0.01 sqrt(32) of the gradient
    assert decades(stepped) < -6
    hidden = [row["gradient"] for row in kernels[1:8]]
    assert max(hidden) < 10 * min(hidden)
    assert sensitivity(stepped) < -3


def rows_of(step, *gradients):
    return tuple(
        {"of": of, "step": step, "place": place, "gradient": g, "sensitivity": g}
        for of in ("output", "kernel")
        for place, g in enumerate(gradients, start=1)
    )


def test_decades_compare_the_first_layer_with_the_last_at_the_chosen_step():
    start, end = rows_of(0, 100.0, 900.0, 7.0, 0.1), rows_of(50, *[2.0] * 4)
    assert decades(start + end) == pytest.approx(3.0)
    assert decades(start + end, moment=max) == 0.0
    assert sensitivity(start + end) == pytest.approx(math.log10((100 + 7) / 2))


@pytest.mark.parametrize("bad", [0.0, math.inf, math.nan])
def test_a_gradient_that_is_gone_or_not_finite_gives_no_figure(bad):
    assert math.isnan(decades(rows_of(0, bad, 1.0, 1.0)))
    assert math.isnan(sensitivity(rows_of(0, bad, bad, bad)))


def test_a_panel_whose_variants_were_not_run_is_left_out():
    rows = [{"variant": "plain", "seed": 0, **row} for row in rows_of(0, 2.0, 1.0)]
    study = study_of(NAME, ("plain", "residual"), 1, rows)
    panels = {"layers": [("plain",), ("residual",)], "edits": [("edited", "more")]}
    figure = start_figure(study, panels)
    above, below = figure.axes
    assert above.get_title("left") == "layers"
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["Plain"]
    assert [line.get_ydata().tolist() for line in below.lines] == [[2.0, 1.0]]
