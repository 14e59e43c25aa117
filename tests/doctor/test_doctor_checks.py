"""Each check of the doctor: the problem made on purpose is found, the healthy pass."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from made_trials import (
    RECIPE,
    Constant,
    Slow,
    WrongGradient,
    hidden,
    network,
    no_bias_is_above,
    repeated_columns,
    thirtyfold,
    trial,
)

from ablax.analysis.features import feature_statistics
from ablax.config import TrainConfig
from ablax.core import leaves_by_path
from ablax.doctor import checks as capacity
from ablax.doctor import checks as collapse
from ablax.doctor import checks as divergence
from ablax.doctor import checks as generalization
from ablax.doctor import checks as learning_rate
from ablax.doctor.checks import gradient, gradient_flow, repeated, small_subset, speed, units
from ablax.doctor.trials import History, Trained, briefly_trained, compile_training
from ablax.errors import AblaxError
from ablax.inspection.timing import Machine
from ablax.layers import Sigmoid
from ablax.losses import softmax_cross_entropy
from ablax.report.study import Curve
from ablax.training.loop import Evaluation
from ablax.training.step import Objective
from ablax.training.step import gradient as slopes_of


@pytest.fixture(scope="module")
def healthy():
    return trial()


def at_rate(rate, **changes):
    optimizer = dataclasses.replace(RECIPE.optimizer, rate=rate, **changes)
    return dataclasses.replace(RECIPE, optimizer=optimizer)


@pytest.mark.slow
def test_small_subset_is_learned_by_a_healthy_network(healthy):
    found = small_subset(healthy)
    assert found.verdict == "healthy"
    assert (found.measurements["wrong"], found.measurements["images"]) == (0, 32)
    assert found.measurements["loss"] < 0.05 * math.log(10) == found.measurements["limit"]


@pytest.mark.slow
def test_small_subset_is_not_learned_without_images():
    found = small_subset(trial(network(between=Constant())), steps=50)
    assert found.verdict == "problem"
    # nothing but the bias of the scores can learn: the commonest class of 32 images is right
    assert found.measurements["wrong"] > 16
    assert "wrong" in found.sentence
    assert found.advice


@pytest.mark.parametrize(("varied", "smoothing"), [(True, 0.5), (False, 0.0)])
def test_short_trainings_take_the_training_step_and_memorizing_is_not_smoothed(varied, smoothing):
    recipe = dataclasses.replace(RECIPE, train=TrainConfig(batch=64, label_smoothing=0.5))
    who = trial(recipe=recipe, images=64)
    options = {"images": 64, "batch": 64, "steps": 1, "varied": varied}
    done = compile_training(who, who.network, optax.sgd(1.0), **options)(np.array([0.5]))
    labels = jnp.asarray(who.labels)
    images = jnp.asarray(who.normalized(64))
    expected = Objective(
        who.network, losses=functools.partial(softmax_cross_entropy, smoothing=smoothing)
    )
    params, statistics = who.variables["params"], who.variables["batch_stats"]
    slopes, parts = jax.jit(functools.partial(slopes_of, expected))(
        params, statistics, images, labels
    )
    np.testing.assert_allclose(done.losses, [parts.loss], rtol=1e-5)
    wrong = np.mean(np.argmax(parts.scores, axis=1) != labels)
    np.testing.assert_allclose(done.errors, [wrong], rtol=1e-6)
    for path, leaf in leaves_by_path(done.variables["params"]).items():
        moved = leaves_by_path(params)[path] - 0.5 * leaves_by_path(slopes)[path]
        np.testing.assert_allclose(leaf, moved, rtol=1e-3, atol=1e-6, err_msg=path)


@pytest.mark.slow
def test_gradient_of_a_healthy_network_agrees_at_every_leaf(healthy):
    found = gradient(healthy)
    assert found.verdict == "healthy"
    assert found.measurements["agree"] == found.measurements["leaves"] == 4
    assert max(found.measurements["errors"].values()) < 1e-5


@pytest.mark.slow
def test_gradient_with_wrong_signs_disagrees_below_the_faulty_layer_alone():
    found = gradient(trial(network(between=WrongGradient())))
    assert found.verdict == "problem"
    errors = found.measurements["errors"]
    wrong = {leaf for leaf, error in errors.items() if error > 1e-3}
    assert wrong == {"fc1/dense/kernel", "fc1/dense/bias"}
    assert "fc1/dense" in found.sentence
    assert "mend the derivative of fc1/dense" in found.advice


@pytest.mark.slow
def test_gradient_that_is_wrong_in_float32_alone_is_a_problem():
    found = gradient(trial(network(between=WrongGradient(only=jnp.float32))))
    assert found.verdict == "problem"
    assert found.measurements["disagree"] == 0
    errors = found.measurements["float32_errors"]
    assert {leaf for leaf, error in errors.items() if error > 1e-3} == {
        "fc1/dense/kernel",
        "fc1/dense/bias",
    }
    assert "2 of 4 leaves in float32" in found.sentence


def test_gradient_that_rounds_to_float32_is_inconclusive():
    def rounded(scores, labels):
        return jnp.sum(scores.astype(jnp.float32) ** 2, axis=1)

    found = gradient(trial(losses=rounded))
    assert found.verdict == "inconclusive"
    assert "float32" in found.sentence


@pytest.mark.slow
def test_learning_rate_of_a_healthy_recipe_lies_below_the_diverging_one(healthy):
    found = learning_rate.learning_rate(healthy)
    assert found.verdict == "healthy"
    limit = found.measurements["diverging_rate"]
    assert limit is None or limit > 0.003


@pytest.mark.slow
def test_learning_rate_a_hundred_times_too_high_is_found(healthy):
    # Gradient descent: stable below 2 over the curvature, unlike Adam, whose steps are bounded.
    calm = at_rate(0.1, name="sgd", momentum=0.9)
    assert learning_rate.learning_rate(trial(recipe=calm)).verdict == "healthy"
    found = learning_rate.learning_rate(trial(recipe=at_rate(10.0, name="sgd", momentum=0.9)))
    assert found.verdict == "problem"
    assert 0.1 < found.measurements["diverging_rate"] <= 10.0
    assert "--optimizer.rate" in found.advice


def test_learning_rate_diverges_at_the_step_where_a_loss_stops_being_finite():
    losses = np.concatenate([np.linspace(2.3, 1.3, 50), np.full(50, np.nan)])
    # a median of 7 has 4 infinite ones from three steps before the first non-finite on
    assert learning_rate.diverges_at(losses, classes=10) == 50
    assert learning_rate.diverges_at(np.full(9, np.inf), classes=10) == 0


def test_learning_rate_law_does_not_let_a_start_worse_than_guessing_hide_a_rise():
    losses = np.concatenate([np.linspace(20.0, 2.0, 50), np.full(20, 2.0), np.full(30, 2.4)])
    assert learning_rate.diverges_at(losses, classes=10) == 70


def trained_to(first, last):
    return Trained({}, first, last, "after a made-up training")


@pytest.mark.slow
def test_collapse_is_not_seen_in_a_healthy_training(healthy):
    found = collapse.collapse(healthy, briefly_trained(healthy))
    assert found.verdict == "healthy"
    assert found.measurements["accuracy_low"] > 0.5


@pytest.mark.slow
def test_collapse_to_constant_scores_under_a_degenerate_loss_is_found():
    # a loss that does not look at the labels is least where all scores are 0, whatever the image
    problem = trial(losses=lambda scores, labels: jnp.sum(scores**2, axis=1))
    found = collapse.collapse(problem, briefly_trained(problem))
    assert found.measurements["loss_fall"] > 0.5
    assert found.verdict == "problem"
    assert "loss" in found.advice
    constant = trial(network(between=Constant()))
    found = collapse.collapse(constant, briefly_trained(constant))
    assert (found.verdict, found.measurements["spread"]) == ("problem", 0.0)


def test_collapse_law_on_made_up_scores():
    random = np.random.default_rng(0)
    labels = np.arange(400, dtype=np.int32) % 4
    noise = random.normal(size=(400, 4))
    # one class for all, yet scores that vary
    found = collapse.collapse_criterion(
        noise + np.array([9, 0, 0, 0]), labels, trained_to(1.4, 1.4)
    )
    assert (found.problem, found.measurements["largest_share"]) == (True, 1.0)
    # all classes, at chance: a problem if the loss fell, else inconclusive
    assert collapse.collapse_criterion(noise, labels, trained_to(1.4, 0.2)).verdict == "problem"
    assert (
        collapse.collapse_criterion(noise, labels, trained_to(1.4, 1.39)).verdict == "inconclusive"
    )
    assert (
        collapse.collapse_criterion(
            noise + 3 * np.eye(4)[labels], labels, trained_to(1.4, 0.2)
        ).problem
        is False
    )
    assert collapse.collapse_criterion(noise * np.nan, labels, trained_to(1.4, 0.2)).problem is True


@pytest.mark.slow
def test_units_of_a_healthy_network_are_alive_and_differ(healthy):
    found = units(healthy, briefly_trained(healthy))
    assert found.verdict == "healthy"
    assert found.measurements["layers"] == ("fc1/act",)


@pytest.mark.slow
def test_units_with_biases_far_below_zero_are_dead():
    dead = trial(network(**hidden(bias_init=no_bias_is_above)))
    found = units(dead, briefly_trained(dead))
    assert found.verdict == "problem"
    assert found.measurements["dead_before"] == found.measurements["dead_after"] == (1.0,)
    assert "dead: fc1/act" in found.advice


def test_units_that_start_equal_repeat_one_another():
    # the scores' weights differ, so equal units drift apart in training: only the start is judged
    same = trial(network(**hidden(kernel_init=repeated_columns)))
    untrained = Trained(same.variables, 2.3, 2.3, "before training")
    found = units(same, untrained)
    assert found.verdict == "problem"
    assert found.measurements["repeated_after"] == pytest.approx((63 / 64,))
    assert "repeating: fc1/act" in found.advice


def test_gradient_flow_of_a_healthy_network_is_level(healthy):
    found = gradient_flow(healthy)
    assert found.verdict == "healthy"
    assert found.measurements["layers"] == ("fc1/dense", "scores")


@pytest.mark.slow
def test_gradient_flow_vanishes_in_a_deep_network_of_sigmoids():
    found = gradient_flow(trial(network(**hidden(10, 16, Sigmoid))))
    assert found.verdict == "problem"
    assert found.sentence.startswith("vanishing")
    told = found.measurements
    assert told["first"] < told["last"] / 1000
    assert told["layers"][:2] == ("fc1/dense", "fc2/dense")
    assert told["layers"][-2:] == ("fc10/dense", "scores")  # by depth, not by the alphabet


def test_gradient_flow_explodes_from_weights_that_start_thirty_times_too_large():
    found = gradient_flow(trial(network(**hidden(4, 16, kernel_init=thirtyfold))))
    assert found.verdict == "problem"
    assert found.sentence.startswith("exploding")


@pytest.mark.slow
def test_generalization_finds_twenty_noisy_labels_learned_by_heart():
    noise = np.random.default_rng(1).integers(0, 10, 20).astype(np.int32)
    overfit = trial(images=20, labels=noise)
    train = compile_training(
        overfit, overfit.network, optax.adam(1.0), images=20, batch=20, steps=100, varied=False
    )
    variables = train(np.full(100, 1e-2)).variables
    others = trial(images=500)
    evaluation = Evaluation(
        others.labels,
        others.scores(variables).argmax(1).astype(np.int32),
        np.zeros(500, np.float32),
    )
    curve = Curve((), (), (), (), ())
    history = History("finished", curve, Trained(variables, 2.3, 0.0, "at the end"), evaluation)
    found = generalization.generalization(overfit, history)
    assert found.verdict == "problem"
    assert found.measurements["train_error"] == 0
    assert found.measurements["gap_low"] > 0.5
    assert generalization.NO_SPLIT in found.sentence


def test_generalization_interval_is_that_of_newcombe():
    # Newcombe 1998, table II, case (a), method 10: 56/70 - 48/80 = 0.2, from 0.0524 to 0.3339
    found = generalization.generalization_criterion(train=(48, 80), test=(56, 70))
    assert found.measurements["gap"] == pytest.approx(0.2)
    assert found.measurements["gap_low"] == pytest.approx(0.0524, abs=1e-4)
    assert found.measurements["gap_high"] == pytest.approx(0.3339, abs=1e-4)
    assert found.verdict == "inconclusive"  # the interval holds 0.1


def test_generalization_without_a_run_is_inconclusive(healthy):
    assert generalization.generalization(healthy, None).verdict == "inconclusive"
    assert divergence.divergence(None).verdict == "inconclusive"


@pytest.mark.slow
def test_capacity_of_one_hidden_unit_is_too_small_and_two_do_better():
    small = trial(network(**hidden(features=1)), wider=lambda: network(**hidden(features=2)))
    found = capacity.capacity(small)
    assert found.verdict == "problem"
    assert found.measurements["wider_error"] < found.measurements["error"] - 0.1

    def refuses():
        raise AblaxError("the network exists at one width only")

    found = capacity.capacity(dataclasses.replace(small, wider=refuses))
    assert (found.verdict, found.advice) == (
        "inconclusive",
        "the network exists at one width only",
    )


@pytest.mark.slow
def test_capacity_of_a_healthy_network_is_enough(healthy):
    assert capacity.capacity(healthy).verdict == "healthy"


def decay(floor, epochs=20, time=2.0):
    loss = tuple(floor + 2.0 * math.exp(-e / time) for e in range(epochs))
    steps = tuple(float(e + 1) for e in range(epochs))
    return Curve(steps, loss, loss, (), ())


def test_capacity_of_a_run_is_too_small_only_where_the_loss_is_flat(healthy):
    assert capacity.of_run(healthy, decay(0.9), wrong=200).verdict == "problem"
    assert capacity.of_run(healthy, decay(0.01, time=20.0), wrong=200).verdict == "inconclusive"
    assert capacity.of_run(healthy, decay(0.9, epochs=5), wrong=200).verdict == "inconclusive"
    assert capacity.of_run(healthy, decay(0.01), wrong=2).verdict == "healthy"


def machine():
    return Machine("made up", rate=4e9, bandwidth=1e9)


@pytest.mark.slow
def test_speed_finds_a_layer_of_many_small_operations(healthy):
    quick = speed(healthy, machine)
    slow = speed(trial(network(between=Slow())), machine)
    assert (quick.verdict, slow.verdict) == ("healthy", "problem")
    # 64 x 64 + 64 x 10 multiply-accumulates, three times, 64 images
    assert slow.measurements["least"] == pytest.approx(3 * 64 * (64 * 64 + 640) / 4e9)


@pytest.mark.slow
def test_speed_on_a_machine_whose_rate_changes_is_inconclusive(healthy):
    rates = iter([1e9, 3e9])
    found = speed(healthy, lambda: Machine("busy", next(rates), 1e9))
    assert found.verdict == "inconclusive"
    assert "busy" in found.advice


def test_divergence_of_a_run_is_a_loss_that_is_no_number_or_that_rose():
    def verdict(curve, status="finished"):
        return divergence.divergence(History(status, curve, None, None)).verdict

    assert verdict(decay(0.1)) == "healthy"
    assert verdict(Curve((1.0, 2.0), (1.0, 2.0), (50.0, 60.0), (), ())) == "problem"
    assert verdict(decay(0.1), "diverged") == "problem"
    assert verdict(Curve((1.0,), (1.0,), (50.0,), (), ())) == "inconclusive"


def test_units_repeat_another_from_a_correlation_of_095():
    one = np.random.default_rng(0).normal(size=(4000, 3))
    one[:, 1] = -one[:, 0] + 0.1 * one[:, 1]  # |r| = 0.995
    found = feature_statistics(lambda x: {"layer": x}, [one])["layer"]
    assert repeated(found) == pytest.approx(1 / 3)
