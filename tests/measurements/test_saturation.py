"""Saturation against closed forms, and dead units made on purpose."""

from __future__ import annotations

import math

import numpy as np
import pytest
from jax.nn.initializers import constant
from studies import study_of
from subjects import made_subject

from ablax.core import Layers, Network, sequential
from ablax.errors import AblaxError
from ablax.layers import (
    Dense,
    Flatten,
    LeakyReLU,
    PReLU,
    ReLU,
    Sigmoid,
    Tanh,
)
from ablax.layers.initializers import GAUSSIAN_001, gaussian
from ablax.measurements.units import (
    SATURATED,
    SATURATION,
    flat,
    mean_over_layers,
    measure_saturation,
    most_of_layer,
    nonlinearities,
    saturation_table,
)

SIGMOID_ENDS = math.log((1 + math.sqrt(0.99)) / (1 - math.sqrt(0.99)))
"""Where s (1 - s) is a hundredth of 1/4: s = (1 +- sqrt(0.99)) / 2."""
TANH_ENDS = math.atanh(math.sqrt(0.99))
"""Where 1 - tanh^2 is a hundredth."""


def of(layer: object, width: float = 0.01) -> Network:
    """A layer that sees each pixel alone, the nonlinearity, and scores."""
    return Network(
        Layers(fc1=sequential(dense=Dense(4, kernel_init=gaussian(width)), act=layer)),
        Layers(),
        Layers(vectorize=Flatten(), scores=Dense(3)),
    )


@pytest.mark.parametrize(("layer", "ends"), [(Sigmoid(), SIGMOID_ENDS), (Tanh(), TANH_ENDS)])
def test_a_sigmoid_and_tanh_are_flat_beyond_the_input_of_their_formula(layer, ends):
    inside, outside = 0.999 * ends, 1.001 * ends
    x = np.array([[-outside], [-inside], [0.0], [inside], [outside]], np.float32)
    assert flat(layer, {}, x)[:, 0].tolist() == [True, False, False, False, True]


def test_a_leaky_relu_is_flat_only_below_the_hundredth():
    x = np.array([[-3.0], [3.0]], np.float32)
    assert not flat(LeakyReLU(0.02), {}, x).any()
    assert flat(LeakyReLU(0.005), {}, x)[:, 0].tolist() == [True, False]


def test_each_channel_of_a_prelu_is_flat_by_its_own_slope_even_a_negative_one():
    slopes = np.array([0.25, 0.0, -0.5, 400.0], np.float32)
    x = np.tile(np.array([[-1.0], [1.0]], np.float32), (1, 4))
    found = flat(PReLU(), {"params": {"slope": slopes}}, x)
    assert found.tolist() == [[False, True, False, False], [False, False, False, True]]


@pytest.mark.slow
def test_the_saturated_share_of_relus_is_that_of_their_zeros():
    model, sample = made_subject(of(ReLU()))
    outputs = model.features(sample.test.images, ["fc1/act"])["fc1/act"]
    (row,) = measure_saturation(model, sample)
    assert row["layer"] == "fc1/act"
    assert row["place"] == 1
    assert row["saturated"] == pytest.approx(100 * np.mean(outputs == 0))
    assert row["dead"] == pytest.approx(100 * np.mean((outputs == 0).all(axis=(0, 1, 2))))
    assert 0 < row["saturated"] < 100


@pytest.mark.slow
def test_a_unit_is_dead_only_if_every_image_leaves_it_flat():
    layers = sequential(dense=Dense(2, bias_init=constant(-1e4)), act=ReLU())
    network = Network(Layers(fc1=layers), Layers(), of(ReLU()).head)
    (row,) = measure_saturation(*made_subject(network))
    assert (row["saturated"], row["dead"]) == (100, 100)
    (lively,) = measure_saturation(*made_subject(of(LeakyReLU(0.1))))
    assert (lively["saturated"], lively["dead"]) == (0, 0)


def test_large_weights_saturate_tanh_and_small_ones_do_not():
    (small,) = measure_saturation(*made_subject(of(Tanh(), 0.01)))
    (large,) = measure_saturation(*made_subject(of(Tanh(), 1000.0)))
    assert small["saturated"] == 0
    assert large["saturated"] > 90


def test_nonlinearities_are_found_at_any_depth_with_the_layer_in_front():
    inner = sequential(dense=Dense(2), act=Tanh())
    network = Network(
        Layers(stage=sequential(first=inner, dense=Dense(2), relu=ReLU())),
        Layers(),
        Layers(vectorize=Flatten(), scores=Dense(3, kernel_init=GAUSSIAN_001)),
    )
    found = [(place.before, place.path) for place in nonlinearities(network)]
    assert found == [("stage/first/dense", "stage/first/act"), ("stage/dense", "stage/relu")]


def test_a_network_without_nonlinearities_and_one_that_starts_a_chain_are_refused():
    linear = Network(Layers(vectorize=Flatten()), Layers(), Layers(scores=Dense(3)))
    with pytest.raises(AblaxError, match="no nonlinearity to measure: expected one of Absolute"):
        nonlinearities(linear)
    first = Network(Layers(act=sequential(relu=ReLU())), Layers(), of(ReLU()).head)
    with pytest.raises(AblaxError, match="act/relu is the first layer of its chain"):
        nonlinearities(first)


def rows_of(step: int, *saturated: float) -> list[dict]:
    return [
        {"variant": "full", "seed": 0, "step": step, "epoch": step, "layer": f"l{place}",
         "place": place, "saturated": share, "dead": share / 10}
        for place, share in enumerate(saturated, start=1)
    ]  # fmt: skip


def test_quantities_take_the_moment_and_the_layer_that_they_name():
    rows = tuple(rows_of(0, 10.0, 20.0) + rows_of(5, 40.0, 90.0) + rows_of(9, 30.0, 60.0))
    found = {name: quantity.of(rows) for name, quantity in SATURATION.quantities.items()}
    assert found == {
        "saturated_at_start": 15.0,
        "saturated_at_end": 45.0,
        "dead_at_end": 4.5,
        "first_saturated": 40.0,
        "last_saturated": 90.0,
    }
    assert mean_over_layers(rows, moment=min) == 15.0
    assert most_of_layer(rows) == 90.0


def test_both_pictures_and_the_table_take_a_study_of_several_variants():
    rows = [
        {**row, "variant": variant} for variant in ("full", "other") for row in rows_of(0, 1.0, 2.0)
    ]
    study = study_of(SATURATED, ("full", "other"), 1, rows)
    for picture in SATURATION.section.pictures:
        axes = picture.draw(study).axes
        assert any(axis.get_ylabel().startswith("saturated") for axis in axes)
    assert len(SATURATION.section.pictures[0].draw(study).axes) == 4
    assert [row[0] for row in saturation_table_of(study)] == ["Full", "Other"]


def saturation_table_of(study):
    import dataclasses

    plan = dataclasses.replace(study.plan, quantities=dict(SATURATION.quantities))
    return saturation_table(dataclasses.replace(study, plan=plan)).rows
