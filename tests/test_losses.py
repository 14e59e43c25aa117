"""Losses: values by hand, and gradients that say which way is better."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ablax.analysis.jax_versions import double_precision
from ablax.errors import AblaxError
from ablax.losses import (
    directional_error,
    lp_loss,
    predictions,
    slope_error,
    softmax_cross_entropy,
    squared_error,
)


def numbers(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize(
    ("p", "value", "gradient"),
    [
        (1.0, 2 + 1 + 0, [-1, 1, 0]),
        (2.0, 4 + 1 + 0, [-4, 2, 0]),
        (3.0, 8 + 1 + 0, [-12, 3, 0]),
        (1.5, 2**1.5 + 1 + 0, [-1.5 * 2**0.5, 1.5, 0]),
    ],
)
def test_lp_loss_by_hand_in_value_and_gradient(p, value, gradient):
    outputs, targets = jnp.array([[1.0, 5, 7]]), jnp.array([[3.0, 4, 7]])
    found, slope = jax.jit(jax.value_and_grad(lambda o: lp_loss(o, targets, p)[0]))(outputs)
    assert found == pytest.approx(value)
    np.testing.assert_allclose(slope[0], gradient, rtol=1e-6)


def test_lp_loss_to_the_power_of_one_over_p_is_the_norm_of_numpy():
    outputs, targets = numbers(3, 2, 4), numbers(3, 2, 4, seed=1)
    errors = np.asarray(outputs - targets).reshape(3, -1)
    for p in (1.0, 2.0, 4.0):
        expected = np.linalg.norm(errors, ord=p, axis=1)
        np.testing.assert_allclose(lp_loss(outputs, targets, p) ** (1 / p), expected, rtol=1e-5)


def test_cross_entropy_by_hand_in_value_and_gradient():
    scores = jnp.asarray(np.log(np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)))
    labels = jnp.array([0, 1])

    @jax.jit
    def plain_smoothed_and_gradient(scores):
        smoothed, back = jax.vjp(lambda s: softmax_cross_entropy(s, labels, 0.2)[0], scores)
        return softmax_cross_entropy(scores, labels), smoothed, back(jnp.float32(1))[0]

    plain, smoothed, gradient = plain_smoothed_and_gradient(scores)
    np.testing.assert_allclose(plain, -np.log([0.75, 0.5]), rtol=1e-6)
    np.testing.assert_allclose(smoothed, -0.9 * np.log(0.75) - 0.1 * np.log(0.25), rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0.75 - 0.9, 0.25 - 0.1], [0, 0]], atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_equals_optax_in_value_and_gradient(smoothing):
    scores, labels = 3 * numbers(6, 5), jnp.array([0, 1, 2, 3, 4, 0])

    def theirs(scores):
        targets = optax.smooth_labels(jax.nn.one_hot(labels, 5), smoothing)
        return optax.softmax_cross_entropy(scores, targets).sum()

    def ours(scores):
        return softmax_cross_entropy(scores, labels, smoothing).sum()

    for one, other in zip(
        *(jax.jit(jax.value_and_grad(f))(scores) for f in (ours, theirs)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_cross_entropy_does_not_feel_a_common_constant_and_is_log_k_without_a_clue():
    scores, labels = numbers(3, 4), jnp.array([0, 3, 1])
    loss = jax.jit(lambda scores: softmax_cross_entropy(scores, labels, 0.1))
    np.testing.assert_allclose(loss(scores + 500), loss(scores), rtol=1e-3)
    np.testing.assert_allclose(loss(0 * scores), np.log(4), rtol=1e-6)


def test_a_class_that_cannot_be_costs_nothing_where_it_is_not_the_label_in_value_and_gradient():
    """ln(1 + e) = 1.31; the slope is p - q, with p = 0 at the score of -inf."""
    scores = jnp.array([[0.0, -jnp.inf, 1.0]])
    loss = jax.value_and_grad(lambda s, label: softmax_cross_entropy(s, label[None])[0])
    value, slope = loss(scores, jnp.array(0))
    np.testing.assert_allclose(value, np.log(1 + np.e), rtol=1e-6)
    np.testing.assert_allclose(slope[0], [1 / (1 + np.e) - 1, 0, np.e / (1 + np.e)], rtol=1e-6)
    assert loss(scores, jnp.array(1))[0] == jnp.inf
    # label smoothing wants a share of every class
    assert softmax_cross_entropy(scores, jnp.array([0]), 0.1)[0] == jnp.inf


@pytest.mark.parametrize("label", [-4, -1, 3, 99])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_label_that_is_no_class_has_no_loss(label, smoothing):
    found = softmax_cross_entropy(jnp.zeros((2, 3)), jnp.array([label, 2]), smoothing)
    assert jnp.isnan(found[0])
    np.testing.assert_allclose(found[1], np.log(3), rtol=1e-6)


def test_large_scores_do_not_overflow():
    assert softmax_cross_entropy(jnp.array([[1e4, 0.0]]), jnp.array([1])) == 1e4


@pytest.mark.parametrize("array", [jnp.array, np.array])
@pytest.mark.parametrize(
    ("scores", "predicted"),
    [
        ([1.0, 3.0, 3.0], 1),
        ([-np.inf, 0.0, -np.inf], 1),
        ([-np.inf, -np.inf, -np.inf], -1),
        ([np.nan, 1.0, 2.0], -1),
        ([0.0, 1.0, np.nan], -1),
        ([0.0, np.inf, 1.0], -1),
    ],
)
def test_scores_that_are_no_numbers_predict_no_class(array, scores, predicted):
    assert predictions(array([scores, [0.0, 1.0, 0.0]])).tolist() == [predicted, 1]


def test_cross_entropy_is_computed_in_float32():
    scores = numbers(2, 4).astype(jnp.bfloat16)
    labels = jnp.array([1, 2])
    wide = softmax_cross_entropy(scores.astype(jnp.float32), labels)
    np.testing.assert_array_equal(softmax_cross_entropy(scores, labels), wide)


def test_squared_error_has_the_error_as_gradient():
    outputs, targets = numbers(2, 3), numbers(2, 3, seed=1)
    gradient = jax.grad(lambda o: squared_error(o, targets).sum())(outputs)
    np.testing.assert_allclose(gradient, outputs - targets, rtol=1e-6)


def wave(w, x):
    """Two outputs of two inputs."""
    return jnp.stack([jnp.sin(w * x[:, 0] * x[:, 1]), w * x[:, 0] + x[:, 1] ** 2], 1)


def wave_slopes(w, x):
    a, b = np.asarray(x).T
    angle = w * np.cos(w * a * b)
    rows = [[angle * b, angle * a], [np.full_like(a, w), 2 * b]]
    return jnp.asarray(np.array(rows).transpose(2, 0, 1), jnp.float32)


def test_slope_error_by_hand_in_value_and_gradient():
    def error(w):  # slope w against 5: (5 - w)^2 / 2
        return slope_error(lambda x: w * x, jnp.array([[7.0]]), jnp.array([[[5.0]]]))[0]

    value, gradient = jax.jit(jax.value_and_grad(error))(2.0)
    assert (value, gradient) == (4.5, -3)


def test_slope_error_is_zero_for_the_slopes_of_the_function_and_the_distance_elsewhere():
    x = numbers(4, 2)
    right, wrong = wave_slopes(0.7, x), wave_slopes(0.2, x)
    error = jax.jit(lambda slopes: slope_error(lambda x: wave(0.7, x), x, slopes))
    np.testing.assert_allclose(error(right), 0, atol=1e-10)
    np.testing.assert_allclose(error(wrong), 0.5 * jnp.sum((right - wrong) ** 2, (1, 2)), rtol=1e-4)


def test_directional_error_along_each_axis_adds_up_to_the_slope_error():
    @jax.jit
    def both(x, slopes):
        def function(x):
            return wave(0.7, x)

        axes = jnp.broadcast_to(jnp.eye(2)[:, None], (2, *x.shape))
        parts = [directional_error(function, x, axes[j], slopes[:, :, j]) for j in (0, 1)]
        return slope_error(function, x, slopes), sum(parts)

    whole, parts = both(numbers(4, 2), numbers(4, 2, 2, seed=1))
    np.testing.assert_allclose(parts, whole, rtol=1e-5)


@pytest.mark.slow
def test_gradient_of_both_slope_errors_in_the_weights_equals_finite_differences():
    with double_precision():
        x, directions, along = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3, 2)))
        slopes = jnp.asarray(np.random.default_rng(1).normal(size=(3, 2, 2)))

        @jax.jit
        def total(w):
            def function(x):
                return wave(w, x)

            whole = slope_error(function, x, slopes)
            return jnp.sum(whole + directional_error(function, x, directions, along))

        step = 1e-5
        numeric = (total(0.7 + step) - total(0.7 - step)) / (2 * step)
        np.testing.assert_allclose(jax.grad(total)(0.7), numeric, rtol=1e-7)


def test_training_on_slopes_too_finds_a_line_from_one_point():
    # One value alone leaves the slope of a line open; with its slope the line is found.
    x, value, slope = jnp.array([[2.0]]), jnp.array([[1.0]]), jnp.array([[[3.0]]])

    def error(line):
        def function(x):
            return line[0] * x + line[1]

        return (squared_error(function(x), value) + slope_error(function, x, slope))[0]

    step = jax.jit(lambda line: line - 0.2 * jax.grad(error)(line))
    line = jax.lax.fori_loop(0, 300, lambda _, line: step(line), jnp.zeros(2))
    np.testing.assert_allclose(line, [3, -5], atol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lp_loss(numbers(1, 2), numbers(1, 2), 0.5), r"p=0\.5: expected a finite exponent"),
        (
            lambda: softmax_cross_entropy(numbers(1, 2), jnp.array([0]), 1.5),
            r"smoothing=1\.5: expected a share",
        ),
        (
            lambda: slope_error(lambda x: x, numbers(1, 2), numbers(1, 3, 2)),
            r"slopes of shape \(1, 3, 2\): the function's have shape \(1, 2, 2\)",
        ),
        (
            lambda: directional_error(lambda x: x, numbers(1, 2), numbers(1, 2), numbers(1, 3)),
            r"directional_error was given target slopes of shape \(1, 3\)",
        ),
    ],
)
def test_losses_refuse_what_makes_no_sense(make, message):
    with pytest.raises(AblaxError, match=message):
        make()
