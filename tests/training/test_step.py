"""One step: what it computes, what it draws, and what it leaves alone."""

from dataclasses import replace
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny_network, tiny_split

from ablax.analysis.jaxpr import equations
from ablax.config import OptimizerConfig, Recipe, with_fields
from ablax.core import Layers, Network, leaves_by_path
from ablax.data.augment import Augmentation, augment
from ablax.layers import BatchNormalization, Dense, Flatten
from ablax.layers.blocks import Auxiliary
from ablax.losses import softmax_cross_entropy
from ablax.training.optimizer import optimizer
from ablax.training.step import (
    Task,
    evaluation_step,
    gradient,
    initial_state,
    loss,
    normalize,
    shuffle_key,
    step_key,
    task_of,
    train_step,
)

PLAIN = OptimizerConfig(rate=0.1, momentum=0.0, weight_decay=0.0, schedule="constant")


def make(network, augmentation=None, **options):
    rule = optimizer(PLAIN, 2, 4)
    task = Task(network, rule, augmentation or Augmentation(), (0.4,), (0.25,), **options)
    return task, initial_state(network, rule, 0, (8, 8, 1))


def draws(function, *arguments):
    names = [equation.primitive for equation in equations(function, *arguments)]
    return sum(name in ("random_bits", "threefry2x32") for name in names)


@pytest.fixture
def batch():
    split = tiny_split(6, 0)
    return jnp.asarray(split.images), jnp.asarray(split.labels)


def test_a_step_is_gradient_descent_on_the_mean_cross_entropy(batch):
    """Worked by hand for softmax regression: dL/dW = x (p - y) / N."""
    network = Network(Layers(), Layers(), Layers(v=Flatten(), scores=Dense(3)))
    task, state = make(network)
    after, figures = train_step(task, state, *batch)
    x = ((np.asarray(batch[0], np.float64) / 255 - 0.4) / 0.25).reshape(6, -1)
    kernel = np.asarray(state.params["scores"]["kernel"], np.float64)
    scores = x @ kernel
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    y = np.eye(3)[np.asarray(batch[1])]
    assert np.isclose(figures.loss, -np.log((p * y).sum(1)).mean(), rtol=1e-5)
    assert int(figures.correct) == (scores.argmax(1) == np.asarray(batch[1])).sum()
    expected = kernel - 0.1 * x.T @ (p - y) / 6
    assert np.allclose(after.params["scores"]["kernel"], expected, atol=1e-5)
    assert int(after.step) == 1


def test_steps_are_counted_and_momentum_is_carried_from_one_to_the_next(batch):
    """v' = 0.9 v + g, w' = w - 0.1 v', with the gradients of `gradient`."""
    network = Network(Layers(), Layers(), Layers(v=Flatten(), scores=Dense(3)))
    rule = optimizer(replace(PLAIN, momentum=0.9), 2, 4)
    task = Task(network, rule, Augmentation(), (0.4,), (0.25,))
    state = initial_state(network, rule, 0, (8, 8, 1))
    images = normalize(task, batch[0])
    weights, speed = state.params, jax.tree.map(jnp.zeros_like, state.params)
    for taken in range(3):
        slopes, _ = gradient(task, weights, {}, images, batch[1])
        speed = jax.tree.map(lambda v, g: 0.9 * v + g, speed, slopes)
        weights = jax.tree.map(lambda w, v: w - 0.1 * v, weights, speed)
        state, _ = train_step(task, state, *batch)
        assert int(state.step) == taken + 1
    for path, leaf in leaves_by_path(state.params).items():
        np.testing.assert_allclose(leaf, leaves_by_path(weights)[path], rtol=1e-4, atol=1e-6)


def test_a_step_sees_the_images_that_seed_and_step_draw(batch):
    network = Network(Layers(), Layers(), Layers(v=Flatten(), scores=Dense(3)))
    noise = Augmentation(noise=0.2)
    task, state = make(network, noise)
    state = replace(state, seed=jnp.int32(3), step=jnp.int32(5))
    key, dropout_key = jax.random.split(step_key(jnp.int32(3), jnp.int32(5)))
    seen = (augment(key, batch[0].astype(jnp.float32) / 255, noise) - 0.4) / 0.25
    expected = loss(task, state.params, {}, seen, batch[1], dropout_key)[0]
    assert jnp.isclose(train_step(task, state, *batch)[1].loss, expected, rtol=1e-6)


def test_an_evaluation_is_softmax_regression_by_hand(batch):
    task, state = make(Network(Layers(), Layers(), Layers(v=Flatten(), scores=Dense(3))))
    found = evaluation_step(task, state, *batch)
    x = ((np.asarray(batch[0], np.float64) / 255 - 0.4) / 0.25).reshape(6, -1)
    scores = x @ np.asarray(state.params["scores"]["kernel"], np.float64)
    own = scores[np.arange(6), np.asarray(batch[1])]
    assert np.allclose(found.losses, np.log(np.exp(scores).sum(1)) - own, rtol=1e-5)
    assert found.predictions.tolist() == scores.argmax(1).tolist()


def test_label_smoothing_moves_a_share_of_the_target_to_all_classes(batch):
    network = Network(Layers(), Layers(), Layers(v=Flatten(), scores=Dense(3)))
    task, state = make(network, losses=partial(softmax_cross_entropy, smoothing=0.3))
    scores = network.apply({"params": state.params}, (batch[0] / 255.0 - 0.4) / 0.25)
    target = 0.7 * jax.nn.one_hot(batch[1], 3) + 0.1
    expected = optax.softmax_cross_entropy(scores, target).mean()
    assert jnp.isclose(train_step(task, state, *batch)[1].loss, expected, rtol=1e-5)


class Given(nn.Module):
    """The same scores for every image, whatever it shows; `shift` is learned."""

    scores: tuple[float, ...]

    @nn.compact
    def __call__(self, x):
        shift = self.param("shift_bias", nn.initializers.zeros, (len(self.scores),))
        return jnp.broadcast_to(jnp.asarray(self.scores), (len(x), len(self.scores))) + shift


def given(*scores):
    return make(Network(Layers(), Layers(), Layers(scores=Given(scores))))


def test_a_class_that_cannot_be_costs_nothing_in_the_step_and_leaves_a_finite_gradient(batch):
    """Scores (0, -inf, 1) and label 0: ln(1 + e) = 1.31, slopes p - q."""
    task, state = given(0.0, -np.inf, 1.0)
    after, figures = train_step(task, state, batch[0], jnp.zeros(6, jnp.int32))
    assert np.isclose(figures.loss, np.log(1 + np.e), rtol=1e-6)
    p = np.e / (1 + np.e)
    assert np.allclose(after.params["scores"]["shift_bias"], [0.1 * p, 0, -0.1 * p], atol=1e-6)
    judged = evaluation_step(task, state, batch[0], jnp.full(6, 2, jnp.int32))
    assert judged.predictions.tolist() == [2] * 6
    assert np.allclose(judged.losses, np.log(1 + np.e) - 1, rtol=1e-5)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_makes_the_loss_nan_and_never_0(batch, label):
    task, state = given(0.0, 0.0, 1.0)
    labels = jnp.array([0, 1, 2, 0, 1, label])
    assert jnp.isnan(train_step(task, state, batch[0], labels)[1].loss)
    assert jnp.isnan(evaluation_step(task, state, batch[0], labels).losses).tolist() == [
        *[False] * 5,
        True,
    ]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_scores_that_are_no_numbers_are_never_right(batch, broken, place):
    scores = [0.0, 0.0, 0.0]
    scores[place] = broken
    task, state = given(*scores)
    for label in range(3):
        labels = jnp.full(6, label, jnp.int32)
        assert int(train_step(task, state, batch[0], labels)[1].correct) == 0
        assert evaluation_step(task, state, batch[0], labels).predictions.tolist() == [-1] * 6


def test_what_is_frozen_keeps_its_running_statistics_too(batch):
    """A factor of 0 on the rate: the other statistics move."""
    frozen = OptimizerConfig(rate_factors=(("a/*", 0.0), ("*/scale", 0.0)), schedule="constant")
    layers = {"a": BatchNormalization(), "b": BatchNormalization()}
    network = Network(Layers(layers), Layers(), Layers(v=Flatten(), scores=Dense(3)))
    recipe = Recipe(optimizer=frozen)
    task = task_of(network, recipe, (0.4,), (0.25,), 4)
    state = initial_state(network, task.optimizer, 0, (8, 8, 1))
    after, _ = train_step(task, state, *batch)
    moved = {
        path
        for part in ("params", "batch_stats")
        for path, leaf in leaves_by_path(getattr(after, part)).items()
        if not jnp.array_equal(leaf, leaves_by_path(getattr(state, part))[path])
    }
    assert moved == {"b/bias", "b/mean", "b/var", "scores/kernel", "scores/bias"}


def test_a_task_is_what_the_recipe_says():
    fields = {
        "train.precision": "bfloat16",
        "train.label_smoothing": 0.3,
        "train.auxiliary_weight": 0.7,
        "augment.flip": True,
        "optimizer.rate_factors": (("v/*", 0.0), ("scores/*", 2.0)),
    }
    network = Network(Layers(), Layers(), Layers(v=Flatten(), scores=Dense(3)))
    task = task_of(network, with_fields(Recipe(), fields), (0.4,), (0.25,), 4)
    assert (task.network, task.mean, task.std) == (network, (0.4,), (0.25,))
    assert (task.precision, task.auxiliary_weight) == ("bfloat16", 0.7)
    assert (task.augmentation, task.frozen) == (Augmentation(flip=True), ("v/*",))
    scores, labels = jnp.array([[0.0, 1.0, 3.0]]), jnp.array([2])
    assert task.losses(scores, labels) == softmax_cross_entropy(scores, labels, 0.3)


def test_side_classifiers_add_their_loss_times_its_weight_to_the_gradient_alone(batch):
    """By hand: the gradient of the side's kernel is 0.3 times that of a softmax regression."""
    side = Auxiliary(Layers(v=Flatten(), fc=Dense(3)))
    network = Network(Layers(side=side), Layers(), Layers(v=Flatten(), fc=Dense(3)))
    task, state = make(network)
    after, figures = train_step(task, state, *batch)
    x = ((np.asarray(batch[0], np.float64) / 255 - 0.4) / 0.25).reshape(6, -1)
    y = np.eye(3)[np.asarray(batch[1])]

    def moved(params, updated, weight):
        kernel = np.asarray(params["fc"]["kernel"], np.float64)
        p = np.exp(x @ kernel) / np.exp(x @ kernel).sum(1, keepdims=True)
        expected = kernel - 0.1 * weight * x.T @ (p - y) / 6
        np.testing.assert_allclose(updated["fc"]["kernel"], expected, atol=1e-5)
        return -np.log((p * y).sum(1)).mean()

    own = moved(state.params, after.params, 1.0)
    moved(state.params["side"], after.params["side"], 0.3)
    assert np.isclose(figures.loss, own, rtol=1e-5)
    assert "auxiliary" not in after.params


@pytest.mark.slow
def test_training_writes_batch_statistics_and_evaluation_does_not(batch):
    task, state = make(tiny_network())
    after, _ = train_step(task, state, *batch)
    moved = after.batch_stats["conv1"]["norm"]["mean"]
    assert not jnp.array_equal(moved, state.batch_stats["conv1"]["norm"]["mean"])
    one = evaluation_step(task, after, *batch)
    assert jnp.array_equal(one.losses, evaluation_step(task, after, *batch).losses)


def test_training_draws_for_dropout_and_evaluation_draws_nothing(batch):
    task, state = make(tiny_network())
    assert draws(lambda s, x, y: evaluation_step(task, s, x, y), state, *batch) == 0
    trained = draws(lambda s, x, y: train_step(task, s, x, y), state, *batch)
    still, _ = make(Network(task.network.tail, Layers(), task.network.head))
    without = draws(lambda s, x, y: train_step(still, s, x, y), state, *batch)
    assert trained == without + 1


@pytest.mark.slow
def test_a_step_depends_on_seed_and_step_alone(batch):
    task, state = make(tiny_network(), Augmentation(flip=True, translate=1.0))
    one = train_step(task, state, *batch)[1].loss
    assert one == train_step(task, state, *batch)[1].loss
    assert one != train_step(task, replace(state, step=jnp.int32(1)), *batch)[1].loss
    assert one != train_step(task, replace(state, seed=jnp.int32(1)), *batch)[1].loss


def test_the_keys_of_steps_and_epochs_are_those_that_kept_runs_were_made_with():
    seed = jax.random.key(5)
    for make_key, stream in ((shuffle_key, 1), (step_key, 2)):
        expected = jax.random.fold_in(jax.random.fold_in(seed, stream), 9)
        assert make_key(jnp.int32(5), jnp.int32(9)) == expected


def test_the_keys_of_steps_and_epochs_are_all_different():
    seeds, steps = (jnp.arange(3) for _ in range(2))
    keys = [
        jax.random.key_data(make_key(jnp.int32(seed), jnp.int32(step))).tolist()
        for make_key in (step_key, shuffle_key)
        for seed in seeds
        for step in steps
    ]
    assert len({tuple(key) for key in keys}) == 18


@pytest.mark.slow
def test_bfloat16_computes_in_bfloat16_and_keeps_parameters_and_loss_in_float32(batch):
    task, state = make(tiny_network(), precision="bfloat16")
    exact, _ = make(tiny_network())
    after, figures = train_step(task, state, *batch)
    kinds = {leaf.dtype for leaf in jax.tree.leaves((after.params, after.batch_stats))}
    assert kinds == {jnp.dtype("float32")}
    assert figures.loss.dtype == jnp.float32
    products = [
        equation.inputs[0].dtype
        for equation in equations(lambda s: train_step(task, s, *batch), state)
        if equation.primitive in ("conv_general_dilated", "dot_general")
    ]
    assert products
    assert set(products) == {jnp.dtype("bfloat16")}
    assert jnp.isclose(figures.loss, train_step(exact, state, *batch)[1].loss, rtol=0.03)


@pytest.mark.slow
def test_evaluation_gives_prediction_and_loss_of_each_image(batch):
    task, state = make(tiny_network())
    evaluation = evaluation_step(task, state, *batch)
    alone = [
        evaluation_step(task, state, batch[0][i : i + 1], batch[1][i : i + 1]) for i in range(6)
    ]
    assert evaluation.predictions.tolist() == [int(one.predictions[0]) for one in alone]
    assert np.allclose(evaluation.losses, [one.losses[0] for one in alone], rtol=1e-5)


def test_random_numbers_are_those_of_one_generator_whatever_jax_is_set_to():
    before = jax.random.key_data(shuffle_key(jnp.asarray(3), jnp.asarray(1)))
    state = initial_state(tiny_network(), optax.sgd(0.1), 3, (4, 4, 1))
    usual = jax.config.jax_default_prng_impl
    jax.config.update("jax_default_prng_impl", "rbg")
    try:
        assert jax.random.key_data(jax.random.key(0)).shape == (4,)
        again = initial_state(tiny_network(), optax.sgd(0.1), 3, (4, 4, 1))
        after = jax.random.key_data(shuffle_key(jnp.asarray(3), jnp.asarray(1)))
    finally:
        jax.config.update("jax_default_prng_impl", usual)
    np.testing.assert_array_equal(before, after)
    for one, other in zip(*map(jax.tree.leaves, (state, again)), strict=True):
        np.testing.assert_array_equal(one, other)
