"""Gates: maps scaled by factors of their own making."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import Layers, Network, count_parameters
from ablax.layers import (
    Convolution,
    FieldError,
    Gate,
    GlobalAveragePool,
    MaxPool,
    ReLU,
    ShapeError,
    Sigmoid,
    squeeze_excite,
)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def test_a_gate_by_hand_in_value_and_gradient():
    """y = x relu(x) is x^2 above 0 and 0 below; its slope is 2 x and 0."""
    gate = Gate(Layers(relu=ReLU()))
    x = jnp.array([-1.0, 3.0]).reshape(1, 1, 2, 1)
    assert gate.apply({}, x).ravel().tolist() == [0, 9]
    assert jax.grad(lambda x: gate.apply({}, x).sum())(x).ravel().tolist() == [0, 6]


@pytest.mark.parametrize(
    ("layers", "varying"),
    [
        (Layers(squeeze=GlobalAveragePool(), sigmoid=Sigmoid()), (0, 3)),
        (Layers(pixel=Convolution(1, 1, use_bias=False), sigmoid=Sigmoid()), (0, 1, 2)),
        (Layers(sigmoid=Sigmoid()), (0, 1, 2, 3)),
    ],
    ids=["channels", "pixels", "numbers"],
)
def test_factors_may_be_of_channels_pixels_or_numbers(layers, varying):
    x = random(2, 4, 5, 3)
    gate = Gate(layers)
    y, _ = jax.jit(gate.init_with_output)(jax.random.key(0), x)
    for axis in range(4):
        spread = np.ptp(np.asarray(y) / x, axis).max()
        assert (spread > 1e-2) == (axis in varying), axis


def test_a_factor_a_channel_scales_that_channel_also_where_all_sizes_are_equal():
    x = random(2, 2, 2, 2)
    y = jax.jit(Gate(Layers(squeeze=GlobalAveragePool())).apply)({}, x)
    np.testing.assert_allclose(y, x * x.mean((1, 2), keepdims=True), rtol=1e-6)


def test_factors_of_another_shape_are_refused():
    gate = Gate(Layers(pool=MaxPool(2)))
    with pytest.raises(ShapeError, match=r"\(1, 4, 4, 3\).*\(1, 2, 2, 3\).*\(1, 4, 4, 1\) or"):
        gate.apply({}, jnp.ones((1, 4, 4, 3)))


def test_squeeze_and_excitation_is_the_papers_equations():
    """z = mean(x), s = sigmoid(W2 relu(W1 z + b1) + b2), y = s x (equations 2 to 4)."""
    x, gate = random(2, 3, 4, 8), squeeze_excite(8, reduction=4)
    shapes = jax.eval_shape(gate.init, jax.random.key(0), x)["params"]
    params = jax.tree.map(lambda leaf: random(*leaf.shape, seed=leaf.size), shapes)
    z = np.asarray(x).mean((1, 2))
    middle = np.maximum(z @ params["reduce"]["kernel"] + params["reduce"]["bias"], 0)
    s = 1 / (1 + np.exp(-(middle @ params["excite"]["kernel"] + params["excite"]["bias"])))
    y = jax.jit(gate.apply)({"params": params}, x)
    np.testing.assert_allclose(y, x * s[:, None, None, :], rtol=1e-5)


def test_a_gate_without_weights_halves():
    x, gate = random(1, 2, 2, 16), squeeze_excite(16)
    shapes = jax.eval_shape(gate.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    np.testing.assert_array_equal(jax.jit(gate.apply)(variables, x), x / 2)


@pytest.mark.parametrize(("features", "reduction", "units"), [(256, 16, 16), (10, 4, 2), (5, 5, 1)])
def test_squeeze_and_excitation_has_two_dense_layers_of_parameters(features, reduction, units):
    gate = Network(Layers(), Layers(se=squeeze_excite(features, reduction)), Layers())
    counted = features * units + units + units * features + features
    assert count_parameters(gate, (2, 2, features)) == counted


def test_a_reduction_that_leaves_no_unit_is_refused():
    with pytest.raises(FieldError, match=r"features=8 with reduction=16: no unit would be left"):
        squeeze_excite(8)
