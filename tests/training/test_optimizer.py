"""Schedules and update rules, against the formulas of their papers."""

import jax.numpy as jnp
import numpy as np
import pytest

from ablax.config import ConfigError, OptimizerConfig
from ablax.training.optimizer import optimizer, schedule


def rates(config, epochs=4, steps_per_epoch=5):
    rate = schedule(config, epochs, steps_per_epoch)
    return np.array([float(rate(step)) for step in range(epochs * steps_per_epoch + 1)])


def test_cosine_falls_from_the_rate_to_zero_along_half_a_cosine():
    expected = 0.1 * (1 + np.cos(np.pi * np.arange(21) / 20)) / 2
    assert np.allclose(rates(OptimizerConfig(rate=0.1, schedule="cosine")), expected, atol=1e-8)


def test_steps_multiply_the_rate_at_shares_of_the_training():
    config = OptimizerConfig(rate=1.0, schedule="step", drops=(0.5, 0.75), drop_factor=0.1)
    assert np.allclose(rates(config), [1.0] * 10 + [0.1] * 5 + [0.01] * 6)


def test_warmup_rises_linearly_and_the_fall_starts_behind_it():
    config = OptimizerConfig(rate=1.0, schedule="step", drops=(0.5,), warmup=1.0)
    found = rates(config)
    assert np.allclose(found[:5], [0.2, 0.4, 0.6, 0.8, 1.0])
    assert np.allclose(found[5:10], 1.0)
    assert np.allclose(found[10:], 0.1)


def test_drops_that_fall_on_one_step_multiply():
    config = OptimizerConfig(rate=1.0, schedule="step", drops=(0.45, 0.55))
    assert np.allclose(rates(config, epochs=1, steps_per_epoch=2), [1.0, 0.01, 0.01])


def test_constant_stays():
    assert np.allclose(rates(OptimizerConfig(rate=0.3, schedule="constant")), 0.3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (OptimizerConfig(warmup=4.0), "must end before the training"),
        (OptimizerConfig(warmup=3.0, schedule="step", drops=(0.5,)), "no later than the warm-up"),
    ],
)
def test_a_warmup_that_does_not_fit_is_refused(config, message):
    with pytest.raises(ConfigError, match=message):
        schedule(config, 4, 5)


def updates(config, gradients, weights):
    rule = optimizer(config, 1, 10)
    params = {"kernel": jnp.array([[weights]]), "bias": jnp.array([weights])}
    state = rule.init(params)
    for gradient in gradients:
        grads = {"kernel": jnp.array([[gradient]]), "bias": jnp.array([gradient])}
        found, state = rule.update(grads, state, params)
        params = {name: params[name] + found[name] for name in params}
    return float(params["kernel"][0, 0]), float(params["bias"][0])


def test_sgd_is_krizhevskys_rule_and_decays_kernels_alone():
    config = OptimizerConfig(rate=0.1, momentum=0.9, weight_decay=0.01, schedule="constant")
    kernel = bias = 2.0
    kernel_speed = bias_speed = 0.0
    for gradient in (0.5, -0.25):
        kernel_speed = 0.9 * kernel_speed - 0.01 * 0.1 * kernel - 0.1 * gradient
        bias_speed = 0.9 * bias_speed - 0.1 * gradient
        kernel, bias = kernel + kernel_speed, bias + bias_speed
    assert np.allclose(updates(config, (0.5, -0.25), 2.0), (kernel, bias), rtol=1e-6)


def test_adamw_takes_a_step_of_the_rate_and_decays_kernels_beside_it():
    config = OptimizerConfig(name="adamw", rate=0.1, weight_decay=0.01, schedule="constant")
    kernel, bias = updates(config, (0.5,), 2.0)
    assert np.isclose(kernel, 2.0 - 0.1 * (1 + 0.01 * 2.0), rtol=1e-5)
    assert np.isclose(bias, 2.0 - 0.1, rtol=1e-5)


def test_clip_limits_the_norm_of_the_whole_gradient():
    config = OptimizerConfig(
        rate=1.0, momentum=0.0, weight_decay=0.0, schedule="constant", clip=1.0
    )
    kernel, bias = updates(config, (30.0,), 0.0)
    assert np.isclose(np.hypot(kernel, bias), 1.0, rtol=1e-5)
