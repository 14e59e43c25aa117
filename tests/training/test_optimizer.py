"""Schedules and update rules, against the formulas of their papers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny_images, tiny_network

from ablax.commands.options import parse
from ablax.commands.run import run
from ablax.config import ConfigError, OptimizerConfig, Recipe
from ablax.core import abstract_variables, parameter_shapes
from ablax.errors import AblaxError
from ablax.training.dataset import InMemory
from ablax.training.loop import Trainer, data_mesh
from ablax.training.optimizer import (
    check_rate_factors,
    optimizer,
    penalized_squared_error,
    schedule,
    weight_penalty,
)
from ablax.zoo import lenet5


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
    ("name", "left"),
    [
        ("exponential", lambda t: 0.01**t),
        ("inverse", lambda t: 1 / (1 + 99 * t)),
        ("linear", lambda t: 1 - t),
    ],
)
def test_smooth_falls_follow_their_formula_from_the_warmup_to_the_end(name, left):
    config = OptimizerConfig(rate=2.0, schedule=name, drop_factor=0.01, warmup=1.0)
    found = rates(config)
    assert np.allclose(found[:5], [0.4, 0.8, 1.2, 1.6, 2.0])
    assert np.allclose(found[5:], 2.0 * left(np.arange(16) / 15), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (OptimizerConfig(warmup=4.0), "must end before the training"),
        (OptimizerConfig(warmup=3.0, schedule="step", drops=(0.5,)), "no later than the warm-up"),
        (OptimizerConfig(warmup=2.0, schedule="step", drops=(0.5,)), "no later than the warm-up"),
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


def test_clip_limits_the_gradient_and_not_the_decay():
    config = OptimizerConfig(
        rate=1.0, momentum=0.0, weight_decay=0.5, schedule="constant", clip=1.0
    )
    kernel, bias = updates(config, (30.0,), 2.0)
    assert np.isclose(kernel, 2.0 - (np.sqrt(0.5) + 0.5 * 2.0), rtol=1e-5)
    assert np.isclose(bias, 2.0 - np.sqrt(0.5), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("adagrad", 1e-6 / np.sqrt(1e-12 + 1e-10)),
        ("rmsprop", 1e-6 / np.sqrt(0.1 * 1e-12 + 1e-8)),
        ("adamw", 1e-6 / (1e-6 + 1e-8)),
    ],
)
def test_what_keeps_a_gradient_near_0_from_a_whole_step_is_that_of_the_formula(name, step):
    config = OptimizerConfig(name=name, rate=1.0, weight_decay=0.0, schedule="constant")
    assert np.allclose(updates(config, (1e-6,), 0.0), -step, rtol=1e-4)


@pytest.mark.parametrize("name", ["adagrad", "rmsprop"])
def test_adaptive_rates_divide_by_the_root_of_gathered_squares_and_decay_beside(name):
    config = OptimizerConfig(name=name, rate=0.1, weight_decay=0.01, schedule="constant")
    kernel = bias = 2.0
    squares = 0.0
    for gradient in (0.5, -0.25, 3.0):
        squares = {
            "adagrad": squares + gradient**2,
            "rmsprop": 0.9 * squares + 0.1 * gradient**2,
        }[name]
        step = gradient / np.sqrt(squares)
        kernel, bias = kernel - 0.1 * (step + 0.01 * kernel), bias - 0.1 * step
    assert np.allclose(updates(config, (0.5, -0.25, 3.0), 2.0), (kernel, bias), rtol=1e-5)


def test_nesterov_looks_ahead_along_the_momentum():
    config = OptimizerConfig(
        rate=0.1, momentum=0.9, nesterov=True, weight_decay=0.0, schedule="constant"
    )
    weight, speed = 2.0, 0.0
    for gradient in (0.5, -0.25):
        speed = 0.9 * speed + gradient
        weight -= 0.1 * (gradient + 0.9 * speed)
    assert np.allclose(updates(config, (0.5, -0.25), 2.0), weight, rtol=1e-6)


def test_lars_moves_each_kernel_by_a_share_of_its_length_and_biases_as_sgd():
    config = OptimizerConfig(name="lars", rate=0.1, weight_decay=0.2, schedule="constant")
    params = {
        "a": {"kernel": jnp.array([[3.0, 4.0]]), "bias": jnp.array([1.0])},
        "b": {"kernel": jnp.array([[0.3, -0.4]]), "bias": jnp.array([0.0])},
    }
    held, speed = jax.tree.map(np.asarray, params), jax.tree.map(np.zeros_like, params)
    rule = optimizer(config, 1, 10)
    state = rule.init(params)
    for scale in (1.0, 1000.0):
        slopes = jax.tree.map(lambda leaf, by=scale: by * (leaf + 1.0), params)
        found, state = rule.update(slopes, state, params)
        params = optax.apply_updates(params, found)
        for layer in ("a", "b"):
            kernel = held[layer]["kernel"]
            pull = np.asarray(slopes[layer]["kernel"]) + 0.2 * kernel
            pull *= np.linalg.norm(kernel) / np.linalg.norm(pull)
            pulls = {"kernel": pull, "bias": np.asarray(slopes[layer]["bias"])}
            for name, one in pulls.items():
                speed[layer][name] = 0.9 * speed[layer][name] + one
                held[layer][name] = held[layer][name] - 0.1 * speed[layer][name]
    for layer in ("a", "b"):
        assert np.allclose(params[layer]["kernel"], held[layer]["kernel"], rtol=1e-5)
        assert np.allclose(params[layer]["bias"], held[layer]["bias"], rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adamw", "adagrad", "rmsprop", "lars"])
def test_a_factor_multiplies_every_step_of_what_matches_and_zero_freezes(name):
    factors = (("a/*", 0.5), ("*/bias", 3.0), ("frozen/*", 0.0))
    config = OptimizerConfig(name=name, rate=0.1, schedule="constant")
    params = {
        layer: {"kernel": jnp.full((2, 2), 2.0), "bias": jnp.ones(2)}
        for layer in ("a", "b", "frozen")
    }
    slopes = jax.tree.map(lambda leaf: leaf - 0.5, params)
    plain, scaled = (
        rule.update(slopes, rule.init(params), params)[0]
        for rule in (
            optimizer(config, 1, 10),
            optimizer(OptimizerConfig(**{**vars(config), "rate_factors": factors}), 1, 10),
        )
    )
    expected = {("a", "kernel"): 0.5, ("a", "bias"): 1.5, ("b", "kernel"): 1.0, ("b", "bias"): 3.0}
    for (layer, kind), factor in expected.items():
        assert np.allclose(scaled[layer][kind], factor * plain[layer][kind], rtol=1e-6)
        assert np.all(np.asarray(plain[layer][kind]) != 0)
    assert not np.any(np.asarray(scaled["frozen"]["kernel"]))
    assert not np.any(np.asarray(scaled["frozen"]["bias"]))


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("ouptut/*", r"did you mean 'output/\*'"),
        ("*/biases", r"did you mean '\*/bias'"),
        ("what", r"choose from: c1/\*, .*\*/kernel"),
    ],
)
def test_a_factor_of_no_parameter_is_refused_with_patterns_that_match(pattern, hint):
    paths = parameter_shapes(lenet5(10), (32, 32, 1))
    check_rate_factors(OptimizerConfig(rate_factors=(("c1/*", 2.0), ("*/bias", 2.0))), paths)
    config = OptimizerConfig(rate_factors=(("c1/*", 2.0), (pattern, 2.0)))
    with pytest.raises(ConfigError, match=f"matches no parameter of the network: {hint}"):
        check_rate_factors(config, paths)


def test_a_trainer_refuses_a_factor_of_no_parameter_before_anything_compiles():
    recipe = Recipe(optimizer=OptimizerConfig(rate_factors=(("conv9/*", 2.0),)))
    mesh = data_mesh()
    with pytest.raises(ConfigError, match=r"'conv9/\*', which matches no .* 'conv1/\*'"):
        Trainer(tiny_network(), recipe, InMemory(tiny_images(), 8, mesh), mesh)


def test_factors_are_typed_as_pairs_on_the_command_line():
    words = ["--optimizer.rate-factors", "*/bias", "2", "fc*", "0.1"]
    call = parse(run, ["mine", *words], "run")
    found = call.keywords["recipe"].optimizer.rate_factors
    assert found == (("*/bias", 2.0), ("fc*", 0.1))


def test_the_state_of_an_optimizer_is_what_checkpoints_hold():
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    kinds = {
        name: [
            "/".join(str(getattr(key, "name", getattr(key, "idx", ""))) for key in path[:2])
            for path, _ in jax.tree_util.tree_flatten_with_path(
                optimizer(OptimizerConfig(name=name), 1, 10).init(params)
            )[0]
        ]
        for name in ("sgd", "adamw")
    }
    assert kinds == {
        "sgd": ["1/trace", "1/trace", "2/count"],
        "adamw": ["0/count", "0/mu", "0/mu", "0/nu", "0/nu", "2/count"],
    }


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf")])
def test_a_factor_that_no_rate_can_have_is_refused(factor):
    with pytest.raises(ConfigError, match=r"optimizer\.rate-factors, 'fc\*', is .*of 0 or more"):
        OptimizerConfig(rate_factors=(("fc*", factor),))


def test_squared_error_with_a_penalty_by_hand_in_value_and_gradient():
    x, targets = jnp.array([[1.0], [2.0]]), jnp.array([[1.0], [1.0]])

    def error(parameters):
        outputs = x @ parameters["fc"]["kernel"] + parameters["fc"]["bias"]
        return penalized_squared_error(outputs, targets, parameters, gamma=0.5)

    parameters = {"fc": {"kernel": jnp.array([[3.0]]), "bias": jnp.array([1.0])}}
    value, gradient = jax.jit(jax.value_and_grad(error))(parameters)
    assert value == (3**2 + 6**2) / 2 + 0.5 * 3**2
    assert gradient["fc"]["kernel"][0, 0] == 1 * 3 + 2 * 6 + 2 * 0.5 * 3
    assert gradient["fc"]["bias"][0] == 3 + 6


def test_weight_penalty_counts_every_kernel_of_a_network_once_and_nothing_else():
    shapes = abstract_variables(lenet5(), (32, 32, 1))["params"]
    ones = jax.tree.map(lambda leaf: jnp.asarray(np.ones(leaf.shape, np.float32)), shapes)
    # LeNet-5's weights (LeCun 1998 has 60,000 with a sparse C3): kernels of c1, c3, c5, f6, output.
    kernels = 25 * 6 + 25 * 6 * 16 + 25 * 16 * 120 + 120 * 84 + 84 * 10
    assert jax.jit(weight_penalty)(ones) == kernels
    flat = {"recurrent_kernel": jnp.ones(2), "kernels": jnp.ones(3), "slope": jnp.ones(9)}
    assert weight_penalty(flat) == 5
    with pytest.raises(AblaxError, match="may be a kernel, a bias or a scale"):
        weight_penalty({"kernel": jnp.ones(2), "w": jnp.ones(2)})


def test_a_penalty_of_nothing_is_refused():
    one = jnp.ones((1, 2))
    assert penalized_squared_error(one, 0 * one, {"kernel": one}, 0.0) == 1
    with pytest.raises(AblaxError, match="leaves named bias: expected"):
        weight_penalty({"fc": {"bias": jnp.ones(2)}})
    with pytest.raises(AblaxError, match="none at all"):
        weight_penalty({})
    with pytest.raises(AblaxError, match=r"gamma=-1\.0"):
        penalized_squared_error(one, one, {"kernel": one}, -1.0)
