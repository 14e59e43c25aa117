"""Xception: figure 5, what a separable convolution is, and that it trains."""

import jax.numpy as jnp
import numpy as np
import pytest
from derivations import DERIVED
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import Layers, Sequential, inner_layers, layer_shapes, paths
from ablax.errors import AblaxError
from ablax.layers import Residual, convolution
from ablax.zoo.xception import xception, xception_small


def shortened(network):
    """The network with one block of the middle flow: the others are equal to it."""
    kept = [name for name in network.body if name[:6] != "middle" or name == "middle1"]
    return network.copy(body=Layers({name: network.body[name] for name in kept}))


@pytest.mark.slow
def test_the_network_goes_through_the_shapes_of_figure_5():
    shapes = layer_shapes(shortened(xception()), (299, 299, 3))
    assert shapes["conv1"] == (149, 149, 32)
    assert shapes["conv2"] == (147, 147, 64)
    assert shapes["entry1/sep2"] == (147, 147, 128)
    assert shapes["entry1"] == shapes["entry1/projection"] == (74, 74, 128)
    assert shapes["entry2"] == (37, 37, 256)
    assert shapes["entry3"] == shapes["middle1"] == shapes["exit1/sep1"] == (19, 19, 728)
    assert shapes["exit1"] == (10, 10, 1024)
    assert shapes["exit2"] == (10, 10, 1536)
    assert shapes["exit3"] == (10, 10, 2048)
    assert shapes["average"] == (2048,)
    assert shapes["classifier"] == (1000,)


def test_there_are_36_convolutional_layers_in_14_modules():
    """Section 3: all modules are residual but the first, two convolutions, and the last."""
    network = xception()
    layers = [
        path
        for path in paths(network)
        if path.endswith(("/conv", "/pointwise")) and "projection" not in path
    ]
    blocks = [name for name, layer in network.body.items() if isinstance(layer, Residual)]
    assert (len(layers), len(blocks)) == (36, 14 - 2)
    assert blocks == [
        *("entry1", "entry2", "entry3"),
        *(f"middle{number}" for number in range(1, 9)),
        "exit1",
    ]


def test_only_blocks_that_change_the_shape_project():
    body = xception().body
    projecting = [name for name in body if len(inner_layers(body[name]).get("shortcut", ()))]
    assert projecting == ["entry1", "entry2", "entry3", "exit1"]


def test_each_block_begins_with_a_relu_but_the_first_which_comes_behind_one():
    body = xception().body
    firsts = {name: next(iter(body[name].residual)) for name in body if name[:4] != "exit"}
    assert firsts.pop("entry1") == "sep1"
    assert set(firsts.values()) == {"relu1"}


def test_a_separable_convolution_is_a_convolution_of_rank_one_kernels():
    """K[a, b, i, f] = d[a, b, i] p[i, f], with nothing between the two and no bias."""
    separable = xception_small(4, width=1 / 16).body["entry2"].residual["sep1"]
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(0, 1, (2, 5, 6, 8)), jnp.float32)
    assert list(separable.layers) == ["depthwise", "pointwise", "bn"]
    plain = Sequential(
        Layers({name: separable.layers[name] for name in ("depthwise", "pointwise")})
    )
    depthwise = jnp.asarray(draw.normal(0, 1, (3, 3, 1, 8)), jnp.float32)
    pointwise = jnp.asarray(draw.normal(0, 1, (1, 1, 8, 16)), jnp.float32)
    params = {"depthwise": {"kernel": depthwise}, "pointwise": {"kernel": pointwise}}
    kernel = depthwise[:, :, 0, :, None] * pointwise[0, 0]
    y = plain.apply({"params": params}, x)
    np.testing.assert_allclose(y, convolution(x, kernel, padding=1), rtol=1e-4, atol=1e-4)


def test_the_small_form_has_the_layers_of_the_large_one_and_halves_three_times():
    def strides(network):
        firsts = [network.tail[name].layers["conv"] for name in ("conv1", "conv2")]
        blocks = ("entry1", "entry2", "entry3", "exit1")
        pools = [network.body[name].residual["pool"] for name in blocks]
        projections = [network.body[name].shortcut["projection"].layers["conv"] for name in blocks]
        assert [pool.stride for pool in pools] == [each.stride for each in projections]
        return [layer.stride for layer in (*firsts, *pools)]

    assert list(xception_small().layers) == list(xception().layers)
    assert strides(xception()) == [2, 1, 2, 2, 2, 2]
    assert strides(xception_small()) == [1, 1, 2, 2, 1, 2]


def test_the_count_is_the_published_one():
    assert DERIVED["xception"]() == (22_855_952, 8_357_403_496)


def test_equal_calls_build_equal_networks():
    assert xception() == xception()
    assert hash(xception_small()) == hash(xception_small())
    assert xception_small() != xception_small(middle=7)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"width": -1.0}, "the width is -1.0"),
        ({"middle": -1}, "middle=-1 blocks: a number of at least 0 is expected, such as 8"),
    ],
)
def test_widths_and_depths_that_do_not_exist_are_refused(choice, message):
    with pytest.raises(AblaxError, match=message):
        xception_small(10, **choice)


@pytest.mark.slow
def test_every_block_trains():
    network = xception_small(4, width=1 / 16, middle=1)
    kept = ("entry1", "entry2", "entry3", "middle1")  # the exit flow is trained below
    network = network.copy(body=Layers({name: network.body[name] for name in kept}))
    assert leaves_without_gradient(network, (28, 28, 1)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_small_form_drives_a_small_batch_to_zero_error():
    network = xception_small(4, width=1 / 16, middle=0)
    assert wrong_after_training(network, (32, 32, 3), steps=30) == 0
