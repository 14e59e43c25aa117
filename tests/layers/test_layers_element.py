"""Arithmetic number by number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import Layers, sequential
from ablax.layers import FieldError, Parallel, ReLU, ShapeError
from ablax.layers.dense import Bias, Scale, add, average, maximum, multiply

X, Y, Z = jnp.array([1.0, -2, 3]), jnp.array([4.0, 5, 3]), jnp.array([0.5, 7, 3])


@pytest.mark.parametrize(
    ("function", "values", "slopes"),
    [
        (add, [5.5, 10, 9], [[1, 1, 1]] * 3),
        (multiply, [2, -70, 27], [[2, 35, 9], [0.5, -14, 9], [4, -10, 9]]),
        (maximum, [4, 7, 3], [[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
        (average, [5.5 / 3, 10 / 3, 3], [[1 / 3] * 3] * 3),
    ],
)
def test_combination_by_hand_in_value_and_gradient(function, values, slopes):
    result, back = jax.vjp(function, X, Y, Z)
    np.testing.assert_allclose(result, values, rtol=1e-6)
    np.testing.assert_allclose(back(jnp.ones(3)), slopes, rtol=1e-6)
    np.testing.assert_array_equal(function(X), X)


@pytest.mark.parametrize("function", [add, multiply, maximum, average])
def test_combination_does_not_depend_on_the_order_and_merges_branches(function):
    one, other = function(X, Y, Z), function(Z, X, Y)
    np.testing.assert_allclose(one, other, rtol=1e-6)
    branches = Layers(identity=sequential(), relu=ReLU(), half=Scale(0.5))
    merged = Parallel(branches, merge=function).apply({}, X[None])
    np.testing.assert_array_equal(merged[0], function(X, jax.nn.relu(X), X / 2))


def test_maximum_passes_a_nan_on_wherever_it_stands():
    nan = jnp.array([jnp.nan])
    for maps in ((nan, Y[:1]), (Y[:1], nan), (Y[:1], nan, X[:1])):
        assert jnp.isnan(maximum(*maps)).all()


def test_learned_scale_and_offset_by_hand_in_value_and_gradient():
    x = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    for layer, name, start, gradient in (
        (Scale(), "scale", [1, 1], [4, 6]),
        (Bias(), "bias", [0, 0], [2, 2]),
    ):
        variables = layer.init(jax.random.key(0), x)
        assert variables["params"][name].tolist() == start
        np.testing.assert_array_equal(layer.apply(variables, x), x)
        found = jax.grad(lambda v, layer=layer: layer.apply(v, x).sum())(variables)
        assert found["params"][name].tolist() == gradient


def test_constants_are_no_parameters_and_stand_for_all_channels_or_each():
    x = jnp.array([[1.0, 2.0]])
    assert not Scale(0.1).init(jax.random.key(0), x)
    assert Scale((2.0, 3.0)).apply({}, x).tolist() == [[2, 6]]
    assert Bias(-1.0).apply({}, x).tolist() == [[0, 1]]
    undone = sequential(offset=Bias((1.0, -5.0)), back=Bias((-1.0, 5.0)))
    np.testing.assert_array_equal(undone.apply({}, x), x)


def test_scale_and_offset_keep_the_type_they_are_given():
    x = jnp.ones((1, 2), jnp.bfloat16)
    for layer in (Scale(), Scale(0.5), Bias(), Bias((1.0, 2.0))):
        variables = layer.init(jax.random.key(0), x)
        narrow = jax.tree.map(lambda leaf: leaf.astype(x.dtype), variables)
        assert layer.apply(narrow, x).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: add(X, Y[:2]), ShapeError, r"add was given \(\(3,\), \(2,\)\)"),
        (lambda: maximum(), ShapeError, "at least one map"),
        (lambda: Scale(float("nan")), FieldError, "factor=nan"),
        (lambda: Scale(()), FieldError, r"factor=\(\)"),
        (lambda: Scale((1.0, 2.0)).apply({}, X[None]), ShapeError, "constants for 2 channels"),
        (
            lambda: Bias().apply({"params": {"bias": X}}, jnp.ones((1, 2))),
            ShapeError,
            r"its bias has shape \(3,\)",
        ),
    ],
)
def test_element_layers_refuse_maps_and_constants_that_do_not_fit(make, error, message):
    with pytest.raises(error, match=message):
        make()
