"""The nonlinearities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax import layers
from ablax.layers import FieldError, ShapeError


@pytest.mark.parametrize(
    ("function", "module", "values", "slopes"),
    [
        (layers.relu, layers.ReLU(), [0, 0, 3, 8], [0, 0, 1, 1]),
        (layers.relu6, layers.ReLU6(), [0, 0, 3, 6], [0, 0, 1, 0]),
        (layers.leaky_relu, layers.LeakyReLU(), [-0.02, 0, 3, 8], [0.01, 1, 1, 1]),
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
    with pytest.raises(ShapeError, match="slopes for 2 channels"):
        layer.apply(variables, jnp.ones((1, 1, 1, 3)))


def test_activations_keep_the_type_they_are_given():
    x = jnp.ones((1, 2), jnp.bfloat16)
    for name in ("ReLU", "ReLU6", "LeakyReLU", "PReLU", "Sigmoid", "ShiftedSigmoid", "Tanh"):
        layer = getattr(layers, name)()
        assert layer.apply(layer.init(jax.random.key(0), x), x).dtype == jnp.bfloat16


def test_leaky_relu_refuses_a_negative_slope():
    with pytest.raises(FieldError, match=r"slope=-0\.1"):
        layers.LeakyReLU(slope=-0.1)
