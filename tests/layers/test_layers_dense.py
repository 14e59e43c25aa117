"""Dense layers and Flatten."""

import jax
import jax.numpy as jnp
import numpy as np

from ablax.layers import Dense, Flatten


def test_dense_by_hand_in_value_and_gradient():
    layer = Dense(2)
    x = jnp.array([[1.0, 2.0]])
    parameters = {"kernel": jnp.array([[1.0, 2], [3, 4]]), "bias": jnp.array([10.0, 20])}

    def total(parameters):
        return layer.apply({"params": parameters}, x).sum()

    assert layer.apply({"params": parameters}, x).tolist() == [[17, 30]]
    gradient = jax.grad(total)(parameters)
    assert gradient["kernel"].tolist() == [[1, 1], [2, 2]]
    assert gradient["bias"].tolist() == [1, 1]


def test_dense_has_inputs_times_features_plus_features_parameters():
    def count(**options):
        tree = jax.eval_shape(Dense(4096, **options).init, jax.random.key(0), jnp.ones((1, 9216)))
        return sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(tree))

    assert count() == 9216 * 4096 + 4096
    assert count(use_bias=False) == 9216 * 4096


def test_dense_computes_in_the_type_that_its_input_and_its_parameters_promote_to():
    layer = Dense(3)
    x = jnp.ones((2, 4), jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x)
    assert variables["params"]["kernel"].dtype == jnp.float32
    assert layer.apply(variables, x).dtype == jnp.float32
    narrow = jax.tree.map(lambda leaf: leaf.astype(x.dtype), variables)
    assert layer.apply(narrow, x).dtype == jnp.bfloat16


def test_vectorize_lays_out_rows_then_columns_then_channels():
    x = jnp.arange(24.0).reshape(2, 2, 3, 2)
    y = Flatten().apply({}, x)
    assert y.shape == (2, 12)
    row, column, channel = 0, 2, 1
    assert y[0, (row * 3 + column) * 2 + channel] == x[0, row, column, channel]


def test_vectorize_takes_a_batch_of_none():
    assert Flatten().apply({}, jnp.zeros((0, 2, 3, 2))).shape == (0, 12)
