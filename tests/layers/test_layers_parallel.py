"""Branches side by side, and their merge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import LayerError, Layers, Network, count_parameters, sequential
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, Dropout, MaxPool, Parallel, ReLU, ShapeError


def total(*outputs):
    return sum(outputs[1:], outputs[0])


def test_parallel_by_hand_in_value_and_gradient():
    """relu(x) beside x itself: 2 of 3 numbers twice, and the slope 1 + 1[x > 0] of their sum."""
    two = Parallel(Layers(rectified=ReLU(), whole=sequential()))
    x = jnp.array([[-1.0, 2.0, 3.0]])
    assert two.apply({}, x).tolist() == [[0, 2, 3, -1, 2, 3]]
    assert jax.grad(lambda x: two.apply({}, x).sum())(x).tolist() == [[1, 2, 2]]


@pytest.mark.slow
def test_outputs_come_in_the_order_of_the_branches():
    x = np.ones((1, 2, 2, 3), np.float32)
    layers = {"wide": Convolution(4, 3), "narrow": Convolution(2, 1)}
    one = Parallel(Layers(layers))
    other = Parallel(Layers(dict(reversed(layers.items()))))
    y, variables = jax.jit(one.init_with_output)(jax.random.key(0), x)
    turned = jax.jit(other.apply)(variables, x)
    np.testing.assert_allclose(y[..., :4], turned[..., 2:], rtol=1e-5)
    np.testing.assert_allclose(y[..., 4:], turned[..., :2], rtol=1e-5)


def test_any_function_merges():
    x = jnp.array([[1.0, -2.0]])
    both = Parallel(Layers(a=sequential(), b=ReLU(), c=sequential()), merge=total)
    assert both.apply({}, x).tolist() == [[3, -4]]


def test_branches_have_parameters_under_their_names():
    network = Network(Layers(), Layers(two=Parallel(Layers(a=Dense(3), b=Dense(4)))), Layers())
    assert count_parameters(network, (2, 2, 5)) == (5 * 3 + 3) + (5 * 4 + 4)
    paths = jax.eval_shape(network.init, jax.random.key(0), jnp.ones((1, 2, 2, 5)))["params"]
    assert set(paths["two"]) == {"a", "b"}


@pytest.mark.slow
def test_equal_branches_do_not_share_weights_nor_masks():
    two = Parallel(
        Layers(a=sequential(dense=Dense(8), drop=Dropout(0.5)), b=sequential(dense=Dense(8)))
    )
    x = jnp.ones((1, 8))
    params = jax.jit(two.init)(jax.random.key(0), x)["params"]
    assert not jnp.array_equal(params["a"]["dense"]["kernel"], params["b"]["dense"]["kernel"])
    masks = Parallel(Layers(a=Dropout(0.5), b=Dropout(0.5)))
    y = masks.apply({}, jnp.ones((1, 64)), rngs={"dropout": jax.random.key(0)})
    assert not jnp.array_equal(y[:, :64], y[:, 64:])


def test_equal_parallels_are_equal():
    def build():
        return Parallel(Layers(a=Dense(3), b=sequential()), merge=total)

    assert build() == build()
    assert hash(build()) == hash(build())


def test_no_branch_is_refused():
    with pytest.raises(AblaxError, match=r"no branch: give it at least one, `chain\(\)` for x"):
        Parallel(Layers())


def test_branches_of_other_sizes_are_refused_with_both_shapes():
    two = Parallel(Layers(whole=sequential(), half=MaxPool(2)))
    with pytest.raises(ShapeError, match=r"\(1, 4, 4, 3\), \(1, 2, 2, 3\)"):
        two.apply({}, jnp.ones((1, 4, 4, 3)))


def test_a_refusal_inside_names_the_branch():
    network = Network(Layers(), Layers(two=Parallel(Layers(pool=MaxPool(9)))), Layers())
    with pytest.raises(LayerError, match="layer 'two/pool' \\(MaxPool\\) does not fit"):
        network.init(jax.random.key(0), jnp.ones((1, 4, 4, 3)))
