"""The gradient of the training loss against one pass with the auxiliary losses."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from subjects import made_subject

from ablax.config import with_fields
from ablax.core import Layers, Network, Sequential, leaves_by_path, sequential, without
from ablax.layers import Auxiliary, Dense, Sigmoid
from ablax.measurements import gradients as gradient_norms
from ablax.measurements import gradients as side_losses
from ablax.measurements.gradients import measure_gradient_norms, training_gradients
from ablax.zoo import heads

measure_training_gradients = partial(measure_gradient_norms, sides=True)


def dense() -> Sequential:
    return sequential(dense=Dense(4), act=Sigmoid())


def supervised() -> Network:
    """Three layers pixel by pixel, with an auxiliary classifier behind each of the first two."""
    side = Auxiliary(heads.global_average_pool(3))
    return Network(
        Layers(fc1=dense(), side1=side),
        Layers(fc2=dense(), side2=side, fc3=dense()),
        heads.global_average_pool(3),
    )


def losses(network, held, batch, labels):
    """Of the scores and of every auxiliary classifier, as a training step gets them."""
    scores, aside = network.apply(held, batch, mutable=["batch_stats", "auxiliary"])
    every = [scores, *jax.tree.leaves(aside.get("auxiliary", {}))]
    return [optax.softmax_cross_entropy_with_integer_labels(s, labels).mean() for s in every]


@pytest.mark.slow
def test_gradients_by_parameters_are_those_of_the_training_step():
    model, sample = made_subject(supervised())
    batch = jnp.asarray(model.normalized(sample.train.images))
    labels = jnp.asarray(sample.train.labels)

    def total(params):
        first, *sides = losses(model.network, {**model.variables, "params": params}, batch, labels)
        assert len(sides) == 2
        return first + 0.3 * sum(sides)

    def weighed(weight):
        recipe = with_fields(sample.recipe, {"train.auxiliary_weight": weight})
        return training_gradients(model.network, recipe, model.variables, batch, labels)

    expected = leaves_by_path(jax.jit(jax.grad(total))(model.variables["params"]))
    outputs, slopes = weighed(0.3)
    found = leaves_by_path(slopes)
    assert set(found) == set(expected)
    assert "side1/classifier/kernel" in found
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], value, rtol=1e-4, atol=1e-6)
    assert list(outputs) == ["fc1", "fc2", "fc3"]
    # behind the last auxiliary classifier nothing but the scores has a gradient
    alone, _ = weighed(0.0)
    np.testing.assert_array_equal(outputs["fc3"], alone["fc3"])
    assert not np.allclose(outputs["fc2"], alone["fc2"], rtol=0.01)
    # by the chain rule: the bias in front of a sigmoid y gets dL/dy y (1 - y), summed
    y = model.features(sample.train.images, ["fc1"])["fc1"]
    by_rule = np.sum(np.asarray(outputs["fc1"]) * y * (1 - y), axis=(0, 1, 2))
    np.testing.assert_allclose(found["fc1/dense/bias"], by_rule, rtol=1e-3, atol=1e-7)


@pytest.mark.slow
def test_without_side_classifiers_the_rows_are_those_of_gradient_norms():
    model, sample = made_subject(without(Auxiliary)(supervised()))
    for found, expected in zip(
        measure_training_gradients(model, sample),
        gradient_norms.measure_gradient_norms(model, sample),
        strict=True,
    ):
        assert {k: found[k] for k in ("of", "layer", "place")} == {
            k: expected[k] for k in ("of", "layer", "place")
        }
        assert found["gradient"] == pytest.approx(expected["gradient"], rel=1e-5)


@pytest.mark.slow
def test_the_weight_is_the_recipes_and_places_count_no_side_classifier():
    model, sample = made_subject(supervised())
    without_weight = with_fields(sample.recipe, {"train.auxiliary_weight": 0.0})
    weightless = dataclasses.replace(sample, recipe=without_weight)
    plain = measure_training_gradients(model, weightless)
    rows = measure_training_gradients(model, sample)
    assert [(row["layer"], row["place"]) for row in rows] == [
        *(("fc1", 1), ("fc2", 2), ("fc3", 3)),
        *(("fc1/dense", 1), ("fc2/dense", 2), ("fc3/dense", 3), ("classifier", 4)),
    ]
    assert rows[0]["gradient"] > 2 * plain[0]["gradient"]
    assert rows[2]["gradient"] == pytest.approx(plain[2]["gradient"])


@pytest.mark.slow
def test_a_side_classifier_inside_a_chain_pulls_on_the_layers_below_it():
    inside = sequential(dense=Dense(4), side=Auxiliary(heads.global_average_pool(3)))
    network = Network(Layers(fc1=inside), Layers(fc2=dense()), heads.global_average_pool(3))
    model, sample = made_subject(network)
    alone = gradient_norms.measure_gradient_norms(model, sample)
    pulls = {row["layer"]: row["gradient"] for row in alone if row["of"] == "kernel"}
    rows = measure_training_gradients(model, sample)
    pulled = {row["layer"]: row["gradient"] for row in rows if row["of"] == "kernel"}
    assert pulled["fc1/dense"] != pytest.approx(pulls["fc1/dense"], rel=0.01)
    assert pulled["fc2/dense"] == pytest.approx(pulls["fc2/dense"])


def test_the_section_says_that_side_losses_count():
    section = side_losses.training_gradient_norms({"all": [("full",)]}).section
    assert "auxiliary classifiers add theirs" in section.text
