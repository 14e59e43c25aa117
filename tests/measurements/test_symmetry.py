"""Distinct units: counted by distance, and equal for ever where they start equal."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from studies import study_of
from subjects import made_subject

from ablax.core import Layers, Network, sequential, with_initializer
from ablax.layers import Convolution, Dense, GlobalAveragePool, ReLU
from ablax.layers.initializers import ALL_EQUAL
from ablax.measurements.units import (
    distinct_share,
    distinct_units,
    measure_symmetry,
    symmetry,
    symmetry_table,
)

PLAIN = Network(
    Layers(conv=sequential(conv=Convolution(4, 3), relu=ReLU())),
    Layers(wide=sequential(conv=Convolution(6, 1), relu=ReLU())),
    Layers(pool=GlobalAveragePool(), scores=Dense(3)),
)


@pytest.mark.parametrize(("apart", "count"), [(0.0, 3), (0.5e-6, 3), (3e-6, 4)])
def test_units_count_once_within_a_millionth_of_the_longest(apart, count):
    kernel = np.random.default_rng(0).standard_normal((3, 3, 2, 5))
    kernel[..., 3] = kernel[..., 1]
    kernel[..., 4] = kernel[..., 0]
    longest = np.linalg.norm(kernel.reshape(-1, 5), axis=0).max()
    kernel[0, 0, 0, 4] += apart * longest
    assert distinct_units(kernel) == count


def trained(model, sample, steps=10):
    """The model after some steps of plain gradient descent."""
    images = jnp.asarray(model.normalized(sample.train.images))
    labels = jnp.asarray(sample.train.labels)

    def loss(params):
        scores = model.network.apply({"params": params}, images)
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    slope = jax.jit(jax.grad(loss))
    params = model.variables["params"]
    for _ in range(steps):
        pulled = jax.device_get(slope(params))
        params = jax.tree.map(lambda w, g: np.asarray(w) - np.float32(0.1) * g, params, pulled)
    return replace(model, variables={"params": params})


@pytest.mark.slow
def test_equal_units_stay_equal_however_they_are_trained_and_random_ones_do_not():
    equal, sample = made_subject(with_initializer(ALL_EQUAL)(PLAIN))
    after = trained(equal, sample)
    assert [row["distinct"] for row in measure_symmetry(equal, sample)] == [1, 1, 1]
    assert [row["distinct"] for row in measure_symmetry(after, sample)] == [1, 1, 3]
    moved = equal.variables["params"]["conv"]["conv"]["kernel"]
    assert not np.allclose(moved, after.variables["params"]["conv"]["conv"]["kernel"])
    rows = measure_symmetry(*made_subject(PLAIN))
    assert [(row["layer"], row["place"], row["units"], row["distinct"]) for row in rows] == [
        ("conv/conv", 1, 4, 4),
        ("wide/conv", 2, 6, 6),
        ("scores", 3, 3, 3),
    ]


def test_the_quantity_leaves_out_the_classes_and_looks_at_the_end():
    start = [{**row, "step": 0} for row in measure_symmetry(*made_subject(PLAIN))]
    equal = made_subject(with_initializer(ALL_EQUAL)(PLAIN))
    end = [{**row, "step": 9} for row in measure_symmetry(*equal)]
    assert distinct_share(tuple(start)) == 100
    assert distinct_share(tuple(start + end)) == pytest.approx(100 * 2 / 10)


def test_the_table_has_a_row_for_every_moment_and_a_column_for_every_layer():
    model, sample = made_subject(PLAIN)
    rows = [
        {"variant": "full", "seed": 0, "step": step, "epoch": 0.0, **row}
        for step in (0, 8)
        for row in measure_symmetry(model, sample)
    ]
    table = symmetry_table(study_of("symmetry", ("full",), 1, rows))
    assert list(table.columns[2:]) == ["conv", "wide", "scores"]
    assert [row[1:] for row in table.rows[:2]] == [
        ("before", "4 of 4", "6 of 6", "3 of 3"),
        ("after", "4 of 4", "6 of 6", "3 of 3"),
    ]


def test_it_is_measured_before_and_after_for_the_named_variants():
    found = symmetry(only=("full",))
    assert found.wanted("full", 3, "end")
    assert not found.wanted("other", 0, "end")
    assert not found.wanted("full", 0, "training")
