"""A convolution with batch normalization behind it: what it computes, keeps and counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.layers import BatchNormalization, Convolution, FieldError, ReLU
from ablax.layers.normalization import normalized


def variables(weight):
    """Of one feature that sees one channel through one weight."""
    params = {"conv": {"kernel": jnp.full((1, 1, 1, 1), weight)}}
    params["bn"] = {"scale": jnp.ones(1), "bias": jnp.zeros(1)}
    return {"params": params, "batch_stats": {"bn": {"mean": jnp.zeros(1), "var": jnp.ones(1)}}}


def test_normalized_by_hand():
    """Twice x, minus the batch's mean 4, over its deviation 2."""
    x = jnp.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    y, _ = normalized(1, 1).apply(variables(2.0), x, mutable=["batch_stats"])
    np.testing.assert_allclose(y.ravel(), [-1, 1], atol=1e-5)


@pytest.mark.slow
def test_the_gradient_of_normalized_by_hand():
    """d/dw of the kept statistics' w x / sqrt(1 + epsilon), at x = 3; the bias adds 1."""
    x = jnp.full((1, 1, 1, 1), 3.0)
    slopes = jax.grad(lambda v: normalized(1, 1).apply(v, x).sum())(variables(1.0))["params"]
    assert slopes["conv"]["kernel"].item() == pytest.approx(3 / np.sqrt(1 + 1e-5))
    assert slopes["bn"]["bias"].item() == 1


def test_normalized_is_its_layers_one_after_another():
    relu = ReLU()
    layers = normalized(6, 5, stride=2, groups=3, relu=relu).layers
    assert dict(layers.items()) == {
        "conv": Convolution(6, 5, 2, padding=2, groups=3, use_bias=False),
        "bn": BatchNormalization(),
        "relu": relu,
    }


@pytest.mark.parametrize("window", [1, 3, 5, 7])
def test_an_odd_window_keeps_the_size_and_a_stride_of_2_halves_it_up(window):
    x = jax.ShapeDtypeStruct((1, 7, 8, 4), jnp.float32)
    for stride, size in ((1, (7, 8)), (2, (4, 4))):
        layer = normalized(4, window, stride)
        y, _ = jax.eval_shape(layer.init_with_output, jax.random.key(0), x)
        assert y.shape == (1, *size, 4)


def test_normalized_has_the_weights_of_its_groups_and_two_numbers_a_feature():
    x = jax.ShapeDtypeStruct((1, 5, 5, 8), jnp.float32)
    for groups in (1, 2, 4, 8):
        shapes = jax.eval_shape(normalized(8, 3, groups=groups).init, jax.random.key(0), x)
        leaves = jax.tree.leaves(shapes["params"])
        assert sum(leaf.size for leaf in leaves) == 9 * (8 // groups) * 8 + 2 * 8


def test_groups_that_do_not_divide_the_features_are_refused():
    with pytest.raises(FieldError, match="features=6 with groups=4"):
        normalized(6, 3, groups=4)
