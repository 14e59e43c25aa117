"""Inception V3: its maps, what factorizing saves, the auxiliary classifier, and that it trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_head import heads_that_do_not_fit
from memorizing import leaves_without_gradient, wrong_after_training
from narrowing import at_32_pixels, narrowed, shortened

from ablax.core import EditError, Layers, Network, count_parameters, layer_shapes, without
from ablax.layers import Convolution
from ablax.layers.blocks import Auxiliary
from ablax.zoo.inception import auxiliary_head, crossed, inception_v3, with_auxiliary

SMALL = at_32_pixels(
    narrowed(
        shortened(inception_v3(), "mixed_5b", "mixed_6a", "mixed_6b", "mixed_7a", "mixed_7b"), 16
    ),
    12,
)


def weights(*layers):
    """Of convolutions between one channel and one."""
    sequential = Network(
        Layers(),
        Layers({f"c{n}": Convolution(1, w, use_bias=False) for n, w in enumerate(layers)}),
        Layers(),
    )
    return count_parameters(sequential, (9, 9, 1))


@pytest.mark.slow
def test_maps_are_those_of_torchvision():
    shapes = layer_shapes(inception_v3(), (299, 299, 3))
    maps = {name: shape for name, shape in shapes.items() if "/" not in name}
    modules = {"mixed_5b": (35, 35, 256), "mixed_5c": (35, 35, 288), "mixed_5d": (35, 35, 288)}
    modules |= {f"mixed_6{letter}": (17, 17, 768) for letter in "abcde"}
    modules |= {"mixed_7a": (8, 8, 1280), "mixed_7b": (8, 8, 2048), "mixed_7c": (8, 8, 2048)}
    assert maps == {
        "conv_1a": (149, 149, 32),
        "conv_2a": (147, 147, 32),
        "conv_2b": (147, 147, 64),
        "pool_3a": (73, 73, 64),
        "conv_3b": (73, 73, 80),
        "conv_4a": (71, 71, 192),
        "pool_5a": (35, 35, 192),
        **modules,
        "average": (2048,),
        "classifier": (1000,),
    }


def test_factorized_windows_see_as_far_with_fewer_weights():
    """The paper's sections 3.1 and 3.2: 18 for 25, 14 for 49, 6 for 9."""
    assert (weights(3, 3), weights(5)) == (18, 25)
    assert (weights((1, 7), (7, 1)), weights(7)) == (14, 49)
    assert (weights((1, 3), (3, 1)), weights(3)) == (6, 9)


def test_a_fork_lays_rows_before_columns():
    """Worked by hand: sums over 1x3 and over 3x1 of one bright pixel."""
    x = jnp.zeros((1, 3, 3, 1)).at[0, 1, 1, 0].set(1.0)
    module = crossed(1)
    variables = jax.tree.map(
        lambda leaf: jnp.ones(leaf.shape), jax.eval_shape(module.init, jax.random.key(0), x)
    )
    y = module.apply(variables, x)[0]
    # Kept statistics of 1 and a bias of 1: 0 becomes 0, and 1 becomes 1.
    np.testing.assert_allclose(y[:, :, 0].round(2), [[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    np.testing.assert_allclose(y[:, :, 1].round(2), [[0, 1, 0], [0, 1, 0], [0, 1, 0]])


def test_the_side_classifier_sees_the_last_maps_of_17_pixels():
    """27,161,264 parameters are torchvision's, with it."""
    network = with_auxiliary(auxiliary_head())(inception_v3())
    names = list(network.body)
    assert names[names.index("auxiliary") - 1] == "mixed_6e"
    assert without(Auxiliary)(network) == inception_v3()
    head = Network(Layers(), Layers(), auxiliary_head())
    assert count_parameters(head, (17, 17, 768)) == 27_161_264 - 23_834_568
    assert layer_shapes(head, (17, 17, 768))["conv1"] == (1, 1, 768)
    with pytest.raises(EditError, match="no layer 'mixed_6e'"):
        with_auxiliary(auxiliary_head())(SMALL)


@pytest.mark.slow
def test_the_smallest_image_has_75_pixels():
    shapes = layer_shapes(inception_v3(), (75, 75, 3))
    assert shapes["mixed_7c"] == (1, 1, 2048)
    with pytest.raises(Exception, match="mixed_7a"):
        layer_shapes(inception_v3(), (74, 74, 3))


def test_equal_calls_build_equal_networks():
    assert inception_v3() == inception_v3()
    assert hash(inception_v3()) == hash(inception_v3())
    assert inception_v3(10) != inception_v3()


@pytest.mark.slow
def test_every_head_goes_on_it():
    assert heads_that_do_not_fit(inception_v3(), (299, 299, 3)) == []


@pytest.mark.slow
def test_every_kind_of_block_trains():
    assert leaves_without_gradient(SMALL, (32, 32, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_it_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(shortened(SMALL, "mixed_5b", "mixed_6a"), (32, 32, 3)) == 0
