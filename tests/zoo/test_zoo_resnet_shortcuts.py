"""What stands in the way of a shortcut: figure 2 of the second paper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from memorizing import leaves_without_gradient

from ablax.core import Layers, Network, count_parameters
from ablax.layers import FieldError, without_shortcuts
from ablax.zoo import resnet as zoo
from ablax.zoo.resnet import basic, option_a, option_c, original, resnet_cifar

BLOCKS = {
    "original": original(basic, option_a),
    "constant scaling": zoo.constant_scaling(0.5, 0.5),
    "exclusive gating": zoo.exclusive_gating(-6.0),
    "shortcut gating": zoo.shortcut_gating(-6.0),
    "convolution": original(basic, option_c),
    "dropout": zoo.dropout_shortcut(0.5),
}


def alone(block, channels=2, features=4, stride=2):
    """A network of one block."""
    return Network(Layers(), Layers(block=block(channels, features, stride)), Layers())


X = jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 4, 2)), jnp.float32)
VARIABLES = alone(zoo.exclusive_gating(0.0)).init(jax.random.key(1), X)


def output(block, **more):
    """What a block gives with the weights all blocks share and, where it has one, their gate."""
    return alone(block).apply(VARIABLES, X, **more)


def biased(bias):
    """The weights, with a gate that says the same of everything: sigmoid(bias)."""
    gate = {"kernel": jnp.zeros((1, 1, 4, 4)), "bias": jnp.full(4, bias)}
    block = {**VARIABLES["params"]["block"], "gate": {"conv": gate}}
    return {**VARIABLES, "params": {"block": block}}


def plain():
    return without_shortcuts(alone(original(basic, option_a))).apply(VARIABLES, X)


def parts():
    """Residual and shortcut in front of the sum, from networks that have one of them."""
    residual = original(basic, option_a)(2, 4, 2).residual
    shortcut = option_a(2, 4, 2)
    block = {"block": {name: VARIABLES["params"]["block"][name] for name in residual}}
    statistics = {"block": VARIABLES["batch_stats"]["block"]}
    f = Network(Layers(), residual, Layers()).apply(
        {"params": block["block"], "batch_stats": statistics["block"]}, X
    )
    return f, Network(Layers(), shortcut, Layers()).apply({}, X)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (0.5, 1.0), (0.5, 0.5)])
def test_constant_scaling_is_the_equation(a, b):
    f, s = parts()
    found = output(zoo.constant_scaling(a, b))
    np.testing.assert_allclose(found, jnp.maximum(a * s + b * f, 0), rtol=1e-5, atol=1e-6)


def test_a_scale_of_0_is_the_plain_network_and_of_1_the_original():
    np.testing.assert_allclose(output(zoo.constant_scaling(0.0, 1.0)), plain(), rtol=1e-6)
    whole = output(original(basic, option_a))
    np.testing.assert_array_equal(output(zoo.constant_scaling(1.0, 1.0)), whole)


@pytest.mark.parametrize("bias", [-2.0, 0.0, 1.0])
def test_gates_divide_as_the_equations_say(bias):
    f, s = parts()
    g = 1 / (1 + np.exp(-bias))
    both = alone(zoo.exclusive_gating(bias)).apply(biased(bias), X)
    one = alone(zoo.shortcut_gating(bias)).apply(biased(bias), X)
    np.testing.assert_allclose(both, np.maximum((1 - g) * s + g * f, 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one, np.maximum((1 - g) * s + f, 0), rtol=1e-5, atol=1e-6)


def test_a_very_negative_bias_is_nearly_the_original_for_the_shortcut_gate_alone():
    whole = output(original(basic, option_a))
    one = alone(zoo.shortcut_gating(-50.0)).apply(biased(-50.0), X)
    np.testing.assert_allclose(one, whole, rtol=1e-6)
    both = alone(zoo.exclusive_gating(-50.0)).apply(biased(-50.0), X)
    np.testing.assert_allclose(both, jnp.maximum(parts()[1], 0), rtol=1e-6, atol=1e-6)


def test_a_gate_starts_at_its_bias():
    params = alone(zoo.shortcut_gating(-6.0)).init(jax.random.key(0), X)["params"]
    assert params["block"]["gate"]["conv"]["bias"].tolist() == [-6] * 4


@pytest.mark.slow
def test_dropout_on_the_shortcut_acts_in_training_alone():
    f, s = parts()
    np.testing.assert_array_equal(
        output(zoo.dropout_shortcut(0.5)), output(original(basic, option_a))
    )
    found = output(zoo.dropout_shortcut(0.5), rngs={"dropout": jax.random.key(0)})
    kept, left = jnp.maximum(2 * s + f, 0), jnp.maximum(f, 0)
    assert (jnp.isclose(found, kept, atol=1e-6) | jnp.isclose(found, left, atol=1e-6)).all()
    assert not jnp.allclose(found, kept, atol=1e-6)
    assert not jnp.allclose(found, left, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", BLOCKS)
def test_all_but_the_gates_and_the_convolution_add_no_parameter(name):
    more = {"exclusive gating", "shortcut gating", "convolution"}
    shape, whole = (8, 8, 3), resnet_cifar(8, 4, features=2)
    found = count_parameters(resnet_cifar(8, 4, BLOCKS[name], features=2), shape)
    assert (found > count_parameters(whole, shape)) == (name in more)


def test_equal_calls_build_equal_networks_and_another_bias_another():
    for gating in (zoo.exclusive_gating, zoo.shortcut_gating):
        one, other = (resnet_cifar(8, block=gating(-6.0)) for _ in range(2))
        assert one == other
        assert hash(one) == hash(other)
    assert zoo.exclusive_gating(-6.0)(4, 4, 1) != zoo.exclusive_gating(-7.0)(4, 4, 1)


def test_named_networks_have_their_block_everywhere():
    for network, name in (
        (zoo.resnet110_constant_scaling(), "constant scaling"),
        (zoo.resnet110_exclusive_gating(), "exclusive gating"),
        (zoo.resnet110_shortcut_gating(), "shortcut gating"),
        (zoo.resnet110_convolution_shortcut(), "convolution"),
        (zoo.resnet110_dropout_shortcut(), "dropout"),
    ):
        assert len(network.body) == 54
        assert network.body["res2b17"] == BLOCKS[name](16, 16, 1)
        assert network.body["res3a"] == BLOCKS[name](16, 32, 2)


def test_a_dropout_rate_above_1_is_refused():
    with pytest.raises(FieldError, match=r"rate=1\.5"):
        zoo.dropout_shortcut(1.5)(4, 4, 1)


@pytest.mark.slow
def test_every_layer_trains_with_every_shortcut():
    blocks = {name.replace(" ", "_"): block(2, 2, 1) for name, block in BLOCKS.items()}
    network = resnet_cifar(8, 4, features=2)
    assert leaves_without_gradient(network.copy(body=Layers(blocks)), (8, 8, 1)) == []
