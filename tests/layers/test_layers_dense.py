"""Dense layers and Flatten."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax import Layers, layers
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


@pytest.mark.parametrize(
    "layer",
    [
        Dense(2),
        layers.Scale(),
        layers.Bias(),
        layers.PReLU(),
        layers.Convolution(2, 1),
        layers.Gate(Layers(squeeze=layers.GlobalAveragePool(), fc=Dense(2))),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_narrow_sums_over_all_pixels_are_taken_in_float32(layer):
    """The derivative by a value of a channel: 2,048 ones that are added in bfloat16 stay at 256."""
    x = jnp.ones((2, 32, 32, 2), jnp.bfloat16) * (-1 if isinstance(layer, layers.PReLU) else 1)
    variables = layer.init(jax.random.key(0), x)
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), variables)

    def loss(variables):
        return jnp.sum(layer.apply(variables, x).astype(jnp.float32))

    jaxpr = jax.make_jaxpr(jax.grad(loss))(narrow)
    sums = [eqn for eqn in equations(jaxpr.jaxpr) if eqn.primitive.name == "reduce_sum"]
    given = [(eqn.invars[0].aval, eqn.outvars[0].aval) for eqn in sums]
    assert any(x.size >= 1000 * total.size for x, total in given)
    assert all(x.dtype == jnp.float32 for x, total in given if x.size > total.size)


def equations(jaxpr):
    """All of them, also those inside others."""
    for eqn in jaxpr.eqns:
        yield eqn
        for value in eqn.params.values():
            for each in value if isinstance(value, tuple | list) else [value]:
                inner = getattr(each, "jaxpr", each)
                if hasattr(inner, "eqns"):
                    yield from equations(inner)
