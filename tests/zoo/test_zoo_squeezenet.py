"""SqueezeNet: the paper's table 1, the lecture's parameters, the bypass, and that it trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_head import heads_that_do_not_fit
from memorizing import leaves_without_gradient, wrong_after_training
from narrowing import shortened

from ablax.core import Layers, Network, count_parameters, layer_shapes, parameter_sizes, remove
from ablax.errors import AblaxError
from ablax.zoo.squeezenet import (
    fire,
    squeezenet_1_0,
    squeezenet_1_1,
    squeezenet_small,
    with_simple_bypass,
)

SMALL = shortened(squeezenet_small(4, 0.5), "fire2", "pool3", "fire4", "pool5", "fire6")


def grouped(network, image_shape):
    """Parameters by the paper's name of a layer."""
    counts = {}
    for path, size in parameter_sizes(network, image_shape).items():
        name = path.split("/")[0]
        counts[name] = counts.get(name, 0) + size
    return counts


def test_parameters_are_those_of_the_lectures_table_layer_by_layer():
    assert grouped(squeezenet_1_0(), (224, 224, 3)) == {
        "conv1": 14_208,
        "fire2": 11_920,
        "fire3": 12_432,
        "fire4": 45_344,
        "fire5": 49_440,
        "fire6": 104_880,
        "fire7": 111_024,
        "fire8": 188_992,
        "fire9": 197_184,
        "classifier": 513_000,
    }


@pytest.mark.slow
def test_maps_are_those_of_table_1_at_227_pixels_and_smaller_by_a_pixel_at_224():
    """At 227: 111, 55, 27 and 13, as printed. At 224 the pools round up to 54, 27 and 13."""
    for pixels, sizes in ((227, (111, 55, 27, 13)), (224, (109, 54, 27, 13))):
        shapes = layer_shapes(squeezenet_1_0(), (pixels, pixels, 3))
        names = ("conv1", "pool1", "pool4", "pool8")
        assert tuple(shapes[name][0] for name in names) == sizes
        assert [shapes[f"fire{n}"][2] for n in (2, 4, 6, 8)] == [128, 256, 384, 512]
        assert shapes["classifier"] == (13, 13, 1000)
        assert shapes["average"] == (1000,)


@pytest.mark.slow
def test_version_1_1_pools_behind_modules_3_and_5():
    shapes = layer_shapes(squeezenet_1_1(), (224, 224, 3))
    sizes = {name: shape[0] for name, shape in shapes.items() if "/" not in name}
    assert sizes["conv1"] == 111
    assert (sizes["fire3"], sizes["fire5"], sizes["fire9"]) == (55, 27, 13)


def test_a_fire_module_lays_its_expansions_behind_one_another():
    """Worked by hand: squeeze 2 to 1 by (1, 1), 1x1 times 3, 3x3 the sum of its neighbors."""
    kernels = {"squeeze": [1.0, 1.0], "expand1x1": [3.0], "expand3x3": [1.0] * 9}
    shapes = {"squeeze": (1, 1, 2, 1), "expand1x1": (1, 1, 1, 1), "expand3x3": (3, 3, 1, 1)}
    leaves = {
        name: {"conv": {"kernel": jnp.array(kernel).reshape(shapes[name]), "bias": jnp.zeros(1)}}
        for name, kernel in kernels.items()
    }
    params = {"squeeze": leaves.pop("squeeze"), "expand": leaves}
    x = jnp.stack([jnp.array([[1.0, 2.0], [3.0, -9.0]]), jnp.array([[0.0, 1.0], [1.0, 0.0]])], -1)
    y = fire(1, 1, 1).apply({"params": params}, x[None])[0]
    np.testing.assert_array_equal(y[:, :, 0], [[3.0, 9.0], [12.0, 0.0]])  # 1 3 / 4 and ReLU's 0
    np.testing.assert_array_equal(y[:, :, 1], [[8.0, 8.0], [8.0, 8.0]])


def test_the_simple_bypass_adds_the_input_and_no_parameter():
    plain = shortened(squeezenet_small(4, 1 / 8), "fire2", "fire3")
    with pytest.raises(AblaxError, match="no layer named 'fire5'"):
        with_simple_bypass(plain)
    network = with_simple_bypass(squeezenet_small(4, 1 / 16))
    block, module = network.body["fire3"], fire(1, 4, 4)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 2, 2, 8)), jnp.float32)
    variables = module.init(jax.random.key(1), x)
    np.testing.assert_array_equal(block.apply(variables, x), x + module.apply(variables, x))
    with pytest.raises(AblaxError, match="fire3, fire5, fire7, fire9: a fire module is expected"):
        with_simple_bypass(network)


def test_equal_calls_build_equal_networks_and_the_head_can_be_cut():
    assert squeezenet_1_0() == squeezenet_1_0()
    assert hash(squeezenet_1_1()) == hash(squeezenet_1_1())
    assert squeezenet_1_1(10) != squeezenet_1_1()
    assert "relu" not in remove("classifier/relu")(squeezenet_1_0()).head["classifier"].layers


@pytest.mark.slow
def test_the_small_form_works_at_32_28_and_any_number_of_channels():
    for shape in ((32, 32, 3), (28, 28, 1)):
        assert layer_shapes(squeezenet_small(), shape)["average"] == (10,)
    assert count_parameters(squeezenet_small(10, 0.5), (32, 32, 3)) < 727_626 / 3
    with pytest.raises(AblaxError, match=r"the width is 0\.0"):
        squeezenet_small(10, 0.0)


@pytest.mark.slow
def test_every_head_goes_on_it():
    assert heads_that_do_not_fit(squeezenet_1_0(), (224, 224, 3)) == []
    assert heads_that_do_not_fit(squeezenet_small(), (32, 32, 3)) == []


@pytest.mark.slow
def test_every_block_trains():
    """Without batch normalization a narrow ReLU can be dead at the start, so half the width."""
    assert leaves_without_gradient(SMALL, (16, 16, 3)) == []


@pytest.mark.slow
def test_the_small_form_drives_a_small_batch_to_zero_error():
    """At a larger rate all scores fall below 0, where the ReLU of the head ends the training."""
    assert wrong_after_training(SMALL, (32, 32, 3), steps=200, rate=5e-4) == 0


def test_parts_of_a_network_are_the_papers():
    network = squeezenet_1_0()
    assert list(network.tail) == ["conv1", "pool1"]
    assert list(network.head) == ["classifier", "average"]
    assert isinstance(network, Network)
    assert isinstance(network.body, Layers)
