"""ShiftNet and ShiftResNet: their tables, what a shift sees and costs, and that they train."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from derivations import DERIVED
from derivations.shiftnet import B, C
from derivations.shiftnet import shiftnet as by_hand
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.analysis.cost import macs
from ablax.core import Layers, abstract_variables, count_parameters, layer_shapes
from ablax.errors import AblaxError
from ablax.layers import Residual
from ablax.zoo.shiftnet import (
    Group,
    shift_resnet,
    shift_resnet20,
    shift_resnet56,
    shift_resnet110,
    shiftnet,
    shiftnet_a,
    shiftnet_b,
    shiftnet_c,
)

TINY = (Group(12, 2, 3, (2, 1)), Group(24, 1, 3, (1, 1)))


def test_shiftnet_a_goes_through_the_shapes_of_its_table():
    network = shiftnet_a()
    firsts = [name for name in network.body if name.endswith("_1") or name == "group1_2"]
    body = Layers({name: network.body[name] for name in firsts})
    shapes = layer_shapes(network.copy(body=body), (224, 224, 3))
    assert shapes["conv1"] == (112, 112, 32)
    assert shapes["group1_1"] == shapes["group1_2"] == (56, 56, 64)
    assert shapes["group1_2/shift"] == (56, 56, 4 * 64)
    assert shapes["group2_1"] == (28, 28, 128)
    assert shapes["group3_1"] == (14, 14, 256)
    assert shapes["group4_1"] == (7, 7, 512)
    assert shapes["classifier"] == (1000,)


def test_shiftnet_a_has_the_windows_and_expansions_of_its_table():
    body = shiftnet_a().body
    modules = [body[f"group{number}_2"].residual for number in range(1, 5)]
    assert [module["shift"].window for module in modules] == [5, 5, 3, 3]
    shifted = [module["conv1"].features for module in modules]
    assert shifted == [4 * 64, 3 * 128, 2 * 256, 1 * 512]
    firsts = [body[f"group{number}_1"].branches["residual"].layers for number in range(1, 5)]
    assert [first["conv1"].features for first in firsts] == [4 * 32, 4 * 64, 3 * 128, 2 * 256]


def test_a_module_that_halves_the_size_strides_behind_its_shift_and_keeps_its_pooled_input():
    network = shiftnet(TINY, 6, classes=4)
    shapes = layer_shapes(network, (32, 32, 3))
    assert shapes["group1_1/residual/shift"] == (16, 16, 12)
    assert shapes["group1_1/residual/conv2"] == (8, 8, 6)
    assert shapes["group1_1/shortcut"] == (8, 8, 6)
    assert shapes["group1_1"] == (8, 8, 12)


def test_groups_have_the_modules_of_their_tables():
    def modules(network):
        names = [name for name in network.body if not isinstance(network.body[name], Residual)]
        assert names == [f"group{number}_1" for number in range(1, 5)]
        return [
            len([name for name in network.body if name.startswith(f"group{number}_")])
            for number in range(1, 5)
        ]

    assert modules(shiftnet_a()) == modules(shiftnet_b()) == [5, 6, 7, 3]
    assert modules(shiftnet_c()) == [1, 4, 4, 3]


def test_complexities_of_a_and_b_are_those_of_the_paper():
    assert round(DERIVED["shiftnet_a"]().macs / 1e9, 1) == 1.4
    assert round(DERIVED["shiftnet_b"]().macs / 1e6) == 371


def test_modules_that_compute_all_their_features_meet_the_parameters_of_c_but_not_b():
    """The paper prints 0.78 M for C and 371 M products for B: no one rule gives both."""
    assert round(by_hand(C, 16, concatenated=False).parameters / 1e6, 2) == 0.78
    assert round(by_hand(C, 16).parameters / 1e6, 2) == 0.69
    assert round(by_hand(B, 16, concatenated=False).macs / 1e6) == 444


@pytest.mark.slow
@pytest.mark.parametrize("window", [3, 5])
def test_a_module_sees_as_far_as_its_shift_reaches(window):
    """The pixels that move the middle output pixel of one module."""
    groups = (Group(26, 2, window, (2, 1)),)
    module = shiftnet(groups, 13, classes=4).body["group1_2"]
    nothing_then_one_pixel = jnp.concatenate([jnp.zeros((1, 49)), jnp.eye(49)])
    x = jnp.tile(nothing_then_one_pixel.reshape(50, 7, 7, 1), 26)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    draw = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: jnp.asarray(draw.uniform(0.5, 1, leaf.shape)), shapes)
    y = np.asarray(jax.jit(module.apply)(variables, x))[:, 3, 3]
    seen = np.zeros((7, 7), bool)
    reach = window // 2
    seen[3 - reach : 4 + reach, 3 - reach : 4 + reach] = True
    np.testing.assert_array_equal((y[1:] != y[0]).any(-1).reshape(7, 7), seen)


def test_a_wider_window_costs_nothing():
    def cost(window):
        groups = (Group(26, 2, window, (2, 1)),)
        network, shape = shiftnet(groups, 13, classes=4), (32, 32, 3)
        image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        products = macs(network.apply, abstract_variables(network, shape), image)
        return count_parameters(network, shape), products

    assert cost(3) == cost(5)


@pytest.mark.slow
def test_shift_resnet_20_with_e_3_has_the_counts_that_the_authors_print():
    """95,642 parameters; 16,581,248 products, of which they count 64 channels for 27 inputs of
    the first convolution's 16 features."""
    network, shape = shift_resnet(20, expansion=3), (32, 32, 3)
    assert count_parameters(network, shape) == 95_642
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    products = macs(network.apply, abstract_variables(network, shape), image)
    assert products == 16_581_248 - 32 * 32 * 9 * 64 + 32 * 32 * 27 * 16


@pytest.mark.parametrize(
    ("name", "millions"),
    [("shift_resnet20", 0.19), ("shift_resnet56", 0.58), ("shift_resnet110", 1.18)],
)
def test_shift_resnets_have_the_parameters_that_the_authors_print(name, millions):
    assert round(DERIVED[name]().parameters / 1e6, 2) == millions


def test_shift_resnets_have_6_n_plus_2_layers():
    for network, depth in (
        (shift_resnet20(), 20),
        (shift_resnet56(), 56),
        (shift_resnet110(), 110),
    ):
        assert 2 * len(network.body) + 2 == depth
    shapes = layer_shapes(shift_resnet(8), (28, 28, 1))
    assert [shapes[f"res{stage}a"] for stage in (2, 3, 4)] == [
        *((28, 28, 16), (14, 14, 32), (7, 7, 64))
    ]
    assert shapes["res3a/shift"] == (28, 28, 6 * 32)  # the stride is behind the shift


def test_equal_calls_build_equal_networks():
    assert shiftnet_a() == shiftnet_a()
    assert hash(shift_resnet20()) == hash(shift_resnet(20))
    assert shiftnet_a() != shiftnet_b()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: shift_resnet(21), "depth=21: .* have 6n . 2; use 20 or 26"),
        (
            lambda: shift_resnet(20, expansion=1, features=8),
            "expansion=1 with 8 features: at least 9",
        ),
        (lambda: shiftnet(TINY, 12), "a group of 12 features behind 12: more features than"),
        (lambda: shiftnet(TINY, 4), "8 channels to shift in a window of 3: at least 9"),
    ],
)
def test_networks_that_do_not_exist_are_refused(build, message):
    with pytest.raises(AblaxError, match=message):
        build()


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [shiftnet(TINY, 6, classes=4), shift_resnet(8, expansion=2, classes=4, features=6)],
    ids=["shiftnet", "shift_resnet"],
)
def test_every_module_trains(network):
    assert leaves_without_gradient(network, (28, 28, 1)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_shallowest_drives_a_small_batch_to_zero_error():
    network = shift_resnet(8, expansion=2, classes=4, features=6)
    assert wrong_after_training(network, (32, 32, 3), steps=40) == 0
