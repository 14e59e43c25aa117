"""Dual paths: what is added, what is laid behind, and the two blocks that they stand between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import LayerError, Layers, Network, parameter_shapes
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, FieldError, MaxPool, Residual, ShapeError
from ablax.layers.blocks import DenselyConnected, DualPath
from ablax.layers.dense import Scale

X = jnp.asarray(np.random.default_rng(0).normal(0, 1, (2, 5)), jnp.float32)


def test_a_dual_path_by_hand_in_value_and_gradient():
    """s = x, h = 10 x, F = 1: the first channels added, then x's others, then h's others."""
    block = DualPath(1, Layers(ten=Scale(10.0)))
    x = jnp.array([[1.0, 2.0, 3.0]])
    assert block.apply({}, x).tolist() == [[11, 2, 3, 20, 30]]
    weights = jnp.array([1.0, 2.0, 3.0, 4.0, 5.0])
    slope = jax.grad(lambda x: (block.apply({}, x) * weights).sum())(x)
    assert slope.tolist() == [[11 * 1, 2 + 10 * 4, 3 + 10 * 5]]


def test_the_shortcut_is_applied_to_both_paths():
    block = DualPath(1, Layers(ten=Scale(10.0)), Layers(negative=Scale(-1.0)))
    assert block.apply({}, jnp.array([[1.0, 2.0]])).tolist() == [[9, -2, 20]]


@pytest.mark.parametrize(
    ("features", "same"), [(5, Residual(Layers(fc=Dense(5)))), (0, None)], ids=["all", "none"]
)
def test_with_all_features_it_is_a_residual_and_with_none_densely_connected(features, same):
    block = DualPath(features, Layers(fc=Dense(5)))
    variables = block.init(jax.random.key(0), X)
    same = same or DenselyConnected(Layers(fc=Dense(5)))
    np.testing.assert_array_equal(block.apply(variables, X), same.apply(variables, X))


@pytest.mark.slow
def test_the_first_dense_channels_pass_a_stack_unchanged_and_the_path_grows():
    x = X
    for key in range(3):
        y, _ = DualPath(2, Layers(fc=Dense(2 + 4))).init_with_output(jax.random.key(key), x)
        np.testing.assert_array_equal(y[:, 2 : x.shape[1]], x[:, 2:])
        x = y
    assert x.shape == (2, 5 + 3 * 4)


@pytest.mark.parametrize(
    ("features", "layers"),
    [(4, Layers(fc=Dense(3))), (6, Layers(fc=Dense(8)))],
    ids=["layers", "shortcut"],
)
def test_a_way_with_too_few_channels_is_refused_with_the_shapes(features, layers):
    wanted = rf"given \(2, 5\): .*and its shortcut \(2, 5\); expected at least {features} channels"
    with pytest.raises(ShapeError, match=wanted):
        DualPath(features, layers).init(jax.random.key(0), X)


def test_ways_of_different_size_are_refused_and_told_where_the_stride_goes():
    block = DualPath(2, Layers(conv=Convolution(4, 1), pool=MaxPool(2)))
    network = Network(Layers(), Layers(conv2_1=block), Layers())
    with pytest.raises(LayerError, match=r"'conv2_1' .*\(1, 4, 4, 4\).*\(1, 8, 8, 3\).*stride"):
        parameter_shapes(network, (8, 8, 3))


@pytest.mark.parametrize("features", [-1, True])
def test_features_that_cannot_be_counted_are_refused(features):
    with pytest.raises(FieldError, match=r"features=.*an integer of at least 0"):
        DualPath(features, Layers(fc=Dense(5)))


def test_a_name_that_stands_on_both_ways_is_refused():
    with pytest.raises(AblaxError, match="both sides have fc"):
        DualPath(1, Layers(fc=Dense(5)), Layers(fc=Dense(5)))
