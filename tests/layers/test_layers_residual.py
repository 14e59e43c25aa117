"""Residual connections and the parameter-free shortcut round a change of shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import LayerError, Layers, Network, parameter_shapes, paths, sequential
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, FieldError, MaxPool, PadChannels, ReLU, Residual
from ablax.layers.blocks import Subsample
from ablax.layers.dense import Scale
from ablax.layers.windows import ShapeError


def test_residual_by_hand_in_value_and_gradient():
    """relu(x + 2 x): 3 x and slope 3 where x is positive, 0 elsewhere."""
    block = Residual(Layers(double=Scale(2.0)), after=Layers(relu=ReLU()))
    x = jnp.array([[-1.0, 3.0]])
    assert block.apply({}, x).tolist() == [[0, 9]]
    assert jax.grad(lambda x: block.apply({}, x).sum())(x).tolist() == [[0, 3]]


def test_what_stands_before_the_fork_is_seen_by_both_ways():
    """With u = relu(x): -u + 2 u, where x itself would give -x + 2 u."""
    block = Residual(
        before=Layers(relu=ReLU()),
        residual=Layers(double=Scale(2.0)),
        shortcut=Layers(negative=Scale(-1.0)),
    )
    x = jnp.array([[-1.0, 3.0]])
    assert block.apply({}, x).tolist() == [[0, 3]]
    assert jax.grad(lambda x: block.apply({}, x).sum())(x).tolist() == [[0, 1]]


def test_the_gradient_through_a_stack_is_the_product_of_one_plus_each_slope():
    """L2: de/dx_d = (I + dh_d/dx_d) de/dx_{d+1}, so no slope makes it vanish at once."""
    slopes = (0.5, 0.0, -0.25, 0.1)
    stack = sequential(
        **{f"b{n}": Residual(Layers(h=Scale(slope))) for n, slope in enumerate(slopes)}
    )
    gradient = jax.grad(lambda x: stack.apply({}, x).sum())(jnp.ones((1, 1)))
    assert float(gradient[0, 0]) == pytest.approx(np.prod([1 + slope for slope in slopes]), 1e-5)


def test_the_parts_share_one_name_space_in_the_order_they_run():
    block = Residual(
        Layers(conv1=Convolution(2, 3)),
        before=Layers(first=ReLU()),
        shortcut=Layers(projection=Convolution(2, 1)),
        after=Layers(last=ReLU()),
    )
    network = Network(Layers(), Layers(res2a=block), Layers())
    assert paths(network)[1:] == (
        *("res2a/first", "res2a/conv1", "res2a/projection", "res2a/last"),
    )
    assert set(parameter_shapes(network, (4, 4, 2))) == {
        *("res2a/conv1/kernel", "res2a/conv1/bias"),
        *("res2a/projection/kernel", "res2a/projection/bias"),
    }


@pytest.mark.parametrize("part", ["before", "shortcut", "after"])
def test_a_name_in_two_parts_is_refused(part):
    with pytest.raises(AblaxError, match="both sides have relu: rename one"):
        Residual(Layers(relu=ReLU()), **{part: Layers(relu=ReLU())})


def test_ways_of_other_shapes_are_refused_with_both_and_a_remedy():
    block = Residual(Layers(pool=MaxPool(2)))
    with pytest.raises(ShapeError, match=r"\(1, 2, 2, 3\).*\(1, 4, 4, 3\).*1x1 convolution"):
        block.apply({}, jnp.ones((1, 4, 4, 3)))


def test_a_refusal_inside_names_the_path():
    network = Network(Layers(), Layers(res2a=Residual(Layers(pool=MaxPool(9)))), Layers())
    with pytest.raises(LayerError, match="layer 'res2a/pool' \\(MaxPool\\) does not fit"):
        network.init(jax.random.key(0), jnp.ones((1, 4, 4, 3)))


def test_equal_residuals_are_equal():
    assert Residual(Layers(fc=Dense(3))) == Residual(Layers(fc=Dense(3)))
    assert hash(Residual(Layers(fc=Dense(3)))) == hash(Residual(Layers(fc=Dense(3))))
    assert Residual(Layers(fc=Dense(3))) != Residual(Layers(), before=Layers(fc=Dense(3)))


def test_subsample_by_hand_in_value_and_gradient():
    x = jnp.arange(15.0).reshape(1, 3, 5, 1)
    layer = Subsample((2, 3))
    assert layer.apply({}, x)[0, :, :, 0].tolist() == [[0, 3], [10, 13]]
    slopes = jax.grad(lambda x: layer.apply({}, x).sum())(x)[0, :, :, 0]
    assert slopes.tolist() == [[1, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 0, 1, 0]]


@pytest.mark.parametrize(("height", "width", "stride"), [(8, 7, 2), (5, 1, 3)])
def test_subsample_keeps_what_a_1x1_convolution_of_that_stride_sees(height, width, stride):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, height, width, 1)), jnp.float32)
    same = Convolution(1, 1, stride=stride, padding=0, use_bias=False)
    seen = same.apply({"params": {"kernel": jnp.ones((1, 1, 1, 1))}}, x)
    np.testing.assert_array_equal(Subsample(stride).apply({}, x), seen)


def test_pad_channels_by_hand_in_value_and_gradient():
    layer, x = PadChannels(4), jnp.array([[1.0, 2.0]])
    weights = jnp.array([3.0, 5.0, 7.0, 9.0])
    assert layer.apply({}, x).tolist() == [[1, 2, 0, 0]]
    assert jax.grad(lambda x: (layer.apply({}, x) * weights).sum())(x).tolist() == [[3, 5]]


def test_pad_channels_refuses_to_take_channels_away():
    with pytest.raises(ShapeError, match=r"\(1, 2, 2, 5\): expected at most 4 channels"):
        PadChannels(4).apply({}, jnp.ones((1, 2, 2, 5)))


@pytest.mark.parametrize("build", [lambda: Subsample(0), lambda: PadChannels(0)])
def test_zero_is_refused(build):
    with pytest.raises(FieldError, match="=0: expected an integer of at least 1"):
        build()
