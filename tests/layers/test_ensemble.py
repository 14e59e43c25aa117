"""Networks whose probabilities are averaged: the mean, and the training of each as if alone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import softmax

from ablax.analysis.jax_versions import double_precision
from ablax.core import (
    LayerError,
    Layers,
    Network,
    abstract_variables,
    count_parameters,
    describe,
    initialize,
    leaves_by_path,
    paths,
    remove,
    sequential,
)
from ablax.data.augment import Augmentation
from ablax.errors import AblaxError
from ablax.experiment import network_macs
from ablax.inspection.fields import network_receptive_fields
from ablax.inspection.page import network_graph
from ablax.layers import BatchNormalization, Convolution, Dense, FieldError, Flatten, ReLU
from ablax.layers.loops import Ensemble, ensemble_of
from ablax.training.step import Task, initial_state, train_step

SHAPE = (5, 5, 1)
SINGLE = Network(
    Layers(conv=Convolution(2, 3), bn=BatchNormalization(), relu=ReLU()),
    Layers(),
    Layers(v=Flatten(), fc=Dense(3)),
)
TWO = ensemble_of(2)(SINGLE)
IMAGES = jnp.asarray(np.random.default_rng(7).normal(size=(4, *SHAPE)), jnp.float32)


def of_member(variables, number):
    return {kind: tree["ensemble"][f"member_{number}"] for kind, tree in variables.items()}


@pytest.mark.slow
def test_the_class_probabilities_are_the_mean_of_those_of_the_members():
    variables = initialize(TWO, 0, SHAPE)
    apply = jax.jit(SINGLE.apply)
    alone = [softmax(apply(of_member(variables, n), IMAGES), axis=1) for n in (1, 2)]
    together = softmax(jax.jit(TWO.apply)(variables, IMAGES), axis=1)
    np.testing.assert_allclose(together, np.mean(alone, axis=0), rtol=1e-5)


@pytest.mark.slow
def test_members_start_from_different_draws():
    params = initialize(TWO, 0, SHAPE)["params"]["ensemble"]
    assert set(params) == {"member_1", "member_2"}
    for layer in ("conv", "fc"):
        kernels = [params[member][layer]["kernel"] for member in params]
        assert not np.any(np.isclose(*kernels))


@pytest.mark.slow
def test_one_step_moves_each_member_exactly_as_if_it_were_trained_alone():
    """Parameters and batch statistics, through `train_step`, with distortions and momentum."""
    rule = optax.sgd(0.1, momentum=0.9)
    images = jax.random.randint(jax.random.key(1), (4, *SHAPE), 0, 256).astype(jnp.uint8)

    def step(network, state):
        distortion = Augmentation(translate=1.0)
        task = Task(network, rule, distortion, (0.4,), (0.25,), auxiliary_weight=1.0)
        return train_step(task, state, images, jnp.array([0, 1, 2, 1]))

    def held(state):
        return {"params": state.params, "batch_stats": state.batch_stats}

    alone = jax.jit(lambda state: step(SINGLE, state))
    before = initial_state(TWO, rule, 0, SHAPE)
    after, figures = jax.jit(lambda state: step(TWO, state))(before)
    losses = []
    for number in (1, 2):
        start = of_member(held(before), number)
        state = replace(initial_state(SINGLE, rule, 0, SHAPE), **start)
        expected, figures_alone = alone(state)
        moved = of_member(held(after), number)
        assert not np.allclose(moved["params"]["fc"]["kernel"], start["params"]["fc"]["kernel"])
        for path, leaf in leaves_by_path(held(expected)).items():
            found = leaves_by_path(moved)[path]
            np.testing.assert_allclose(found, leaf, rtol=1e-5, atol=1e-7, err_msg=path)
        losses.append(float(figures_alone.loss))
    # what is told is the loss of the mean, by convexity at most the mean of the losses
    assert float(figures.loss) < np.mean(losses)


@pytest.mark.slow
def test_the_output_is_cut_from_the_gradient_exactly_where_scores_are_put_aside():
    variables = initialize(TWO, 0, SHAPE)
    statistics = {"batch_stats": variables["batch_stats"]}

    def score(params, mutable):
        y = TWO.apply({"params": params, **statistics}, IMAGES, mutable=mutable)
        return (y[0] if mutable else y)[:, 0].sum()

    cut = jax.jit(jax.grad(lambda params: score(params, ["auxiliary"])))(variables["params"])
    assert all(not leaf.any() for leaf in jax.tree.leaves(cut))
    granted, not_granted = (
        jax.jit(lambda p, m=mutable: score(p, m))(variables["params"])
        for mutable in (["auxiliary"], False)
    )
    assert granted == not_granted


def test_outside_training_the_gradient_flows_to_all_members():
    """By finite differences, along a direction of each member's kernel."""
    rng = np.random.default_rng(0)
    with double_precision():
        x, start = jnp.asarray(rng.normal(size=(4, 5))), rng.normal(size=(2, 5, 3))
        layer = Ensemble(Layers(one=Dense(3, use_bias=False), two=Dense(3, use_bias=False)))

        @jax.jit
        def loss(kernels):
            params = {"one": {"kernel": kernels[0]}, "two": {"kernel": kernels[1]}}
            return jnp.sum(jnp.sin(layer.apply({"params": params}, x)))

        gradient = np.asarray(jax.jit(jax.grad(loss))(start))
        for member in (0, 1):
            direction = np.zeros_like(start)
            direction[member] = rng.normal(size=(5, 3))
            slope = (gradient * direction).sum()
            difference = (loss(start + 1e-5 * direction) - loss(start - 1e-5 * direction)) / 2e-5
            assert abs(slope) > 1e-3
            np.testing.assert_allclose(slope, difference, rtol=1e-6)


@pytest.mark.slow
def test_parameters_macs_fields_and_the_drawing_count_every_member():
    assert count_parameters(TWO, SHAPE) == 2 * count_parameters(SINGLE, SHAPE)
    assert network_macs(TWO, SHAPE) == 2 * network_macs(SINGLE, SHAPE) == 2 * 25 * (18 + 2 * 3)
    drawn = network_graph("two", TWO, SHAPE)
    assert sum(row.macs for row in drawn.costs.values()) == network_macs(TWO, SHAPE)
    fields = network_receptive_fields(TWO, SHAPE)
    assert fields["ensemble/member_2/conv"].size == (3, 3)
    assert fields["ensemble"].size == (5, 5)
    assert "member_2" in describe(TWO, SHAPE, depth=2)


def test_an_edit_reaches_a_member():
    without = remove("ensemble/member_2/relu")(TWO)
    assert "ensemble/member_1/relu" in paths(without)
    assert "ensemble/member_2/relu" not in paths(without)


def test_the_state_holds_no_scores():
    assert set(abstract_variables(TWO, SHAPE)) == {"params", "batch_stats"}


def test_what_is_no_ensemble_is_refused():
    with pytest.raises(AblaxError, match="an Ensemble has no member"):
        Ensemble(Layers())
    with pytest.raises(AblaxError, match="is named 'scores', as what is put aside"):
        Ensemble(Layers(scores=Dense(2)))
    with pytest.raises(FieldError, match="members=0: expected an integer of at least 1"):
        ensemble_of(0)
    maps = Network(Layers(), Layers(), Layers(e=Ensemble(Layers(a=sequential(), b=sequential()))))
    with pytest.raises(LayerError, match=r"member 'a' of an Ensemble gives \(1, 5, 5, 1\)"):
        initialize(maps, 0, SHAPE)
    unequal = Ensemble(Layers(a=Dense(2), b=Dense(3)))
    with pytest.raises(AblaxError, match="heads of equally many classes"):
        unequal.init(jax.random.key(0), jnp.ones((1, 4)))
