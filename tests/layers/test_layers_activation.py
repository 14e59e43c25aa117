"""The nonlinearities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax import layers
from ablax.layers import FieldError, ShapeError, activation
from ablax.layers.activation import Softmax, softmax


@pytest.mark.parametrize(
    ("function", "module", "values", "slopes"),
    [
        (layers.relu, layers.ReLU(), [0, 0, 3, 8], [0, 0, 1, 1]),
        (layers.relu6, layers.ReLU6(), [0, 0, 3, 6], [0, 0, 1, 0]),
        (layers.leaky_relu, layers.LeakyReLU(), [-0.02, 0, 3, 8], [0.01, 1, 1, 1]),
        (activation.absolute, activation.Absolute(), [2, 0, 3, 8], [-1, 1, 1, 1]),
        (activation.threshold, activation.Threshold(), [0, 0, 1, 1], [0, 0, 0, 0]),
        (activation.scaled_tanh, activation.ScaledTanh(), None, None),
        (layers.sigmoid, layers.Sigmoid(), None, None),
        (layers.tanh, layers.Tanh(), None, None),
        (layers.shifted_sigmoid, layers.ShiftedSigmoid(), None, None),
    ],
)
def test_activation_by_hand_in_value_and_slope(function, module, values, slopes):
    x = jnp.array([-2.0, 0.0, 3.0, 8.0])
    if values is None:
        z = np.asarray(x)
        values, slopes = {
            "sigmoid": (1 / (1 + np.exp(-z)), np.exp(-z) / (1 + np.exp(-z)) ** 2),
            "tanh": (np.tanh(z), 1 - np.tanh(z) ** 2),
            "scaled_tanh": (
                1.7159 * np.tanh(2 * z / 3),
                1.7159 * 2 / 3 * (1 - np.tanh(2 * z / 3) ** 2),
            ),
            "shifted_sigmoid": (
                1 / (1 + np.exp(4 - 0.02 * z)),
                0.02 * np.exp(4 - 0.02 * z) / (1 + np.exp(4 - 0.02 * z)) ** 2,
            ),
        }[function.__name__]
    np.testing.assert_allclose(function(x), values, rtol=1e-5)
    np.testing.assert_array_equal(module.apply({}, x), function(x))
    np.testing.assert_allclose(jax.vmap(jax.grad(function))(x), slopes, rtol=1e-4, atol=1e-6)


def test_prelu_learns_one_slope_a_channel():
    x = jnp.array([[[[-2.0, -2.0], [4.0, -1.0]]]])
    layer = layers.PReLU()
    variables = layer.init(jax.random.key(0), x)
    assert variables["params"]["slope"].tolist() == [0.25, 0.25]
    np.testing.assert_allclose(layer.apply(variables, x)[0, 0], [[-0.5, -0.5], [4, -0.25]])
    gradient = jax.grad(lambda v: layer.apply(v, x).sum())(variables)
    assert gradient["params"]["slope"].tolist() == [-2, -3]
    with pytest.raises(ShapeError, match=r"slope of shape \(3,\): its slope has shape \(2,\)"):
        layer.apply(variables, jnp.ones((1, 1, 1, 3)))


@pytest.mark.slow
def test_activations_keep_the_type_they_are_given():
    x = jnp.ones((1, 2), jnp.bfloat16)
    names = ("ReLU", "ReLU6", "LeakyReLU", "PReLU", "Sigmoid", "ShiftedSigmoid", "Tanh")
    newer = activation.ScaledTanh(), activation.Absolute(), activation.Threshold(), Softmax()
    for layer in (*(getattr(layers, name)() for name in names), *newer):
        variables = layer.init(jax.random.key(0), x)
        narrow = jax.tree.map(lambda leaf: leaf.astype(x.dtype), variables)
        assert layer.apply(narrow, x).dtype == jnp.bfloat16


def test_leaky_relu_refuses_a_negative_slope():
    with pytest.raises(FieldError, match=r"slope=-0\.1"):
        layers.LeakyReLU(slope=-0.1)


def test_scaled_tanh_is_one_at_one_and_bends_most_there():
    x = jnp.linspace(-3, 3, 601)
    np.testing.assert_allclose(activation.scaled_tanh(jnp.array([-1.0, 1.0])), [-1, 1], atol=1e-4)
    curvature = jax.jit(jax.vmap(jax.grad(jax.grad(activation.scaled_tanh))))(x)
    assert abs(x[curvature.argmin()]) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("weights", [(0.20, 0.35), (0.20, 0.40), (0.25, 0.30), (0.40, 0.20)])
def test_threshold_units_with_the_lectures_weights_compute_and(weights):
    # L1 prints these weights under the table of NAND, with theta = 0.5.
    inputs = jnp.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    assert activation.threshold(inputs @ jnp.array(weights), 0.5).tolist() == [0, 0, 0, 1]
    assert activation.Threshold(0.5).apply({}, jnp.array([0.5, 0.6])).tolist() == [0, 1]


def test_softmax_by_hand_in_value_and_gradient():
    x = jnp.log(jnp.array([[1.0, 3.0]]))
    y, back = jax.vjp(softmax, x)
    np.testing.assert_allclose(y, [[0.25, 0.75]], rtol=1e-6)
    # dy_1 / dx = y_1 (1 - y_1), -y_1 y_2
    np.testing.assert_allclose(back(jnp.array([[1.0, 0]]))[0], [[3 / 16, -3 / 16]], rtol=1e-5)


def test_softmax_does_not_feel_a_common_constant_and_never_overflows():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5)), jnp.float32)
    y = Softmax().apply({}, x)
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(softmax(x + 1000), y, rtol=1e-3)
    assert jnp.isfinite(softmax(jnp.array([1e30, -1e30]))).all()
