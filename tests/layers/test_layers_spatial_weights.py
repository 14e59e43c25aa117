"""Weights by place: products, and what becomes of them on maps of another size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import LayerError, Layers, Network
from ablax.layers import GlobalAveragePool
from ablax.layers.heads import SpatialWeights, resized, spatial_weights
from ablax.layers.windows import ShapeError


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def test_spatial_weights_by_hand_in_value_and_gradient():
    x = np.arange(8.0, dtype=np.float32).reshape(1, 2, 2, 2)
    weights = np.array([[1.0, 0.0], [2.0, 0.5]], np.float32)

    def total(weights):
        y = spatial_weights(jnp.asarray(x), weights)
        return y.sum(), y

    slope, y = jax.jit(jax.grad(total, has_aux=True))(weights)
    assert y[0].tolist() == [[[0, 1], [0, 0]], [[8, 10], [3, 3.5]]]
    assert slope.tolist() == [[1, 5], [9, 13]]


def test_spatial_weights_start_as_the_identity_bit_for_bit():
    x = random(2, 3, 4, 5)
    y, variables = jax.jit(SpatialWeights().init_with_output)(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables["params"]) == {"deviation": (3, 4)}
    np.testing.assert_array_equal(y, x)


def test_a_deviation_of_minus_one_leaves_a_pixel_out():
    x, deviation = random(1, 2, 2, 3), np.array([[0, -1], [0, 0]], np.float32)
    y = jax.jit(SpatialWeights().apply)({"params": {"deviation": deviation}}, x)
    assert (y[0, 0, 1] == 0).all()
    np.testing.assert_array_equal(y[0, 1], x[0, 1])


def test_weights_of_another_size_are_refused_by_the_function():
    with pytest.raises(ShapeError, match=r"\(1, 4, 4, 2\).*\(2, 2\): expected \(4, 4\); fit"):
        spatial_weights(jnp.ones((1, 4, 4, 2)), jnp.ones((2, 2)))


def test_weights_resized_to_their_own_size_are_themselves():
    weights = jnp.asarray(random(3, 4))
    assert resized(weights, (3, 4)) is weights


def test_weights_resized_by_hand():
    """Centers of 4 pixels on a row of 2: at -1/4 (which is 0), 1/4, 3/4 and 5/4 (which is 1)."""
    weights = jnp.array([[0.0, 4.0]])
    np.testing.assert_allclose(resized(weights, (1, 4)), [[0, 1, 3, 4]], atol=1e-6)
    np.testing.assert_allclose(resized(weights, (1, 1)), [[2]], atol=1e-6)


@pytest.mark.slow
def test_equal_weights_stay_equal_at_any_size():
    def all_sizes(weights):
        return [resized(weights, size) for size in ((1, 1), (2, 7), (9, 3), (14, 14))]

    for found in jax.jit(all_sizes)(jnp.full((4, 5), 0.7)):
        np.testing.assert_allclose(found, 0.7, rtol=1e-6)


def test_the_gradient_reaches_weights_of_another_size():
    x, variables = jnp.asarray(random(1, 4, 4, 2)), {"params": {"deviation": jnp.zeros((2, 2))}}
    slope = jax.jit(jax.grad(lambda v: (SpatialWeights().apply(v, x) * x).sum()))(variables)
    assert (slope["params"]["deviation"] > 0).all()


def test_a_refusal_names_the_layer_and_what_it_takes():
    head = Layers(average=GlobalAveragePool(), weights=SpatialWeights())
    with pytest.raises(LayerError, match=r"'weights' \(SpatialWeights\).*expected \(N H W C\)"):
        Network(Layers(), Layers(), head).init(jax.random.key(0), jnp.ones((1, 2, 2, 1)))
