"""ShuffleNet V1: table 1, what the shuffle is for, and that it trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from derivations import DERIVED
from derivations.shufflenet_v1 import imagenet
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import Layers, Sequential, layer_shapes, paths
from ablax.errors import AblaxError
from ablax.layers import AveragePool, Residual
from ablax.layers.shape import ChannelShuffle
from ablax.zoo import tails
from ablax.zoo.shufflenet import (
    shufflenet_v1,
    shufflenet_v1_g1,
    shufflenet_v1_g3,
    shufflenet_v1_g8,
    shufflenet_v1_small,
)


def shortened(network):
    """The network with two units a stage: the others are equal to the second."""
    kept = [name for name in network.body if name.endswith(("_1", "_2"))]
    return network.copy(body=Layers({name: network.body[name] for name in kept}))


@pytest.fixture(scope="module")
def shapes():
    return layer_shapes(shortened(shufflenet_v1_g3()), (224, 224, 3))


@pytest.mark.slow
def test_the_network_goes_through_the_shapes_of_table_1(shapes):
    assert shapes["conv1"] == (112, 112, 24)
    assert shapes["pool1"] == (56, 56, 24)
    assert shapes["stage2_1"] == shapes["stage2_2"] == (28, 28, 240)
    assert shapes["stage3_1"] == shapes["stage3_2"] == (14, 14, 480)
    assert shapes["stage4_1"] == shapes["stage4_2"] == (7, 7, 960)
    assert shapes["average"] == (960,)
    assert shapes["classifier"] == (1000,)


@pytest.mark.slow
def test_the_unit_with_a_stride_concatenates_its_pooled_input(shapes):
    inside = "stage3_1/branches"
    assert shapes[f"{inside}/shortcut"] == (14, 14, 240)
    assert shapes[f"{inside}/residual/conv1"] == (28, 28, 120)
    assert shapes[f"{inside}/residual/conv2"] == (14, 14, 120)
    assert shapes[f"{inside}/residual/conv3"] == (14, 14, 480 - 240)
    shortcut = shufflenet_v1_g3().body["stage3_1"].layers["branches"].branches["shortcut"]
    assert shortcut == AveragePool(3, 2, padding=1, count_include_pad=True)


def test_each_stage_has_the_units_of_table_1_and_only_its_first_does_not_add():
    body = shufflenet_v1_g8().body
    stages = [[name for name in body if name.startswith(f"stage{s}_")] for s in (2, 3, 4)]
    assert [len(names) for names in stages] == [4, 8, 4]
    assert [name for name in body if not isinstance(body[name], Residual)] == [
        *("stage2_1", "stage3_1", "stage4_1")
    ]


def test_the_first_1x1_of_stage_2_alone_is_not_grouped():
    def groups(name):
        branches = shufflenet_v1_g8().body[name].layers["branches"]
        return branches.branches["residual"].layers["conv1"].layers["conv"].groups

    assert [groups(name) for name in ("stage2_1", "stage3_1", "stage4_1")] == [1, 8, 8]


@pytest.mark.parametrize(
    ("groups", "features", "millions"),
    [(1, 144, 143), (2, 200, 140), (3, 240, 137), (4, 272, 133), (8, 384, 137)],
)
def test_complexities_are_those_of_table_1_which_leave_the_classifier_out(
    groups, features, millions
):
    count = DERIVED[f"shufflenet_v1_g{groups}"]()
    assert round((count.macs - 4 * features * 1000) / 1e6) == millions


def test_parameters_are_those_of_the_authors_repository():
    """1.9 M for 3 groups and 2.4 M for 8; the first is quoted elsewhere as 1.87 M."""
    assert round(DERIVED["shufflenet_v1_g3"]().parameters / 1e6, 2) == 1.87
    assert round(DERIVED["shufflenet_v1_g8"]().parameters / 1e6, 1) == 2.4


@pytest.mark.parametrize(
    ("width", "first", "parameters", "macs"),
    [(0.5, 12, 0.7, 38), (1.5, 24, 3.4, 292), (2.0, 48, 5.4, 524)],
)
def test_other_widths_have_the_counts_of_the_authors_repository(width, first, parameters, macs):
    """Which has no bias in the classifier."""
    network, features = shufflenet_v1(3, width=width), round(240 * width)
    assert network.tail["conv1"].layers["conv"].features == first
    assert network.body["stage2_2"].residual["conv3"].layers["conv"].features == features
    count = imagenet(3, features, first)
    without_bias = count.parameters - 1000
    assert (round(without_bias / 1e6, 1), round(count.macs / 1e6)) == (parameters, macs)


def channels_that_reach(unit, channels):
    """For each input channel of a unit, which output channels it moves: (inputs, outputs)."""
    x = jnp.concatenate([jnp.zeros((1, channels)), jnp.eye(channels)])[:, None, None]
    shapes = jax.eval_shape(unit.init, jax.random.key(0), x)
    draw = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: jnp.asarray(draw.uniform(0.5, 1, leaf.shape)), shapes)
    y = np.asarray(jax.jit(unit.apply)(variables, x))[:, 0, 0]
    return y[1:] != y[0]


@pytest.mark.slow
def test_the_shuffle_lets_every_feature_hear_of_every_group():
    """Figure 1: without it each group of the output sees its own group of the input alone."""
    layers = shufflenet_v1_small(4, groups=3, width=0.25).body["stage2_2"].residual
    assert layers["shuffle"] == ChannelShuffle(3)
    assert channels_that_reach(Sequential(layers), 60).all()
    without = Sequential(Layers({name: layers[name] for name in layers if name != "shuffle"}))
    blocks = np.kron(np.eye(3), np.ones((20, 20))).astype(bool)
    np.testing.assert_array_equal(channels_that_reach(without, 60), blocks)


def test_one_group_needs_no_shuffle():
    assert not [path for path in paths(shufflenet_v1_g1()) if path.endswith("/shuffle")]


def test_the_small_form_halves_three_times_behind_its_first_convolution():
    assert shufflenet_v1_small().tail == tails.cifar(24)
    assert shufflenet_v1_small().body == shufflenet_v1_g3().body


def test_equal_calls_build_equal_networks():
    assert shufflenet_v1_g3() == shufflenet_v1()
    assert hash(shufflenet_v1_small()) == hash(shufflenet_v1_small())
    assert shufflenet_v1_g3() != shufflenet_v1_g8()


@pytest.mark.parametrize(
    ("groups", "width", "message"),
    [
        (5, 1.0, "groups=5: the paper has 1, 2, 3, 4 and 8, choose one of them"),
        (8, 0.25, "96 features in stage 2 with groups=8: a quarter of them, 24, .* 90, must be"),
        (3, 0.0, "the width is 0.0, and a factor above 0 is expected"),
    ],
)
def test_groups_and_widths_that_do_not_fit_are_refused(groups, width, message):
    with pytest.raises(AblaxError, match=message):
        shufflenet_v1(groups, width=width)


@pytest.fixture
def tiny():
    """Each kind of unit, the first of the network among them."""
    network = shufflenet_v1_small(4, groups=2, width=0.16)
    kept = ("stage2_1", "stage2_2", "stage3_1")
    return network.copy(body=Layers({name: network.body[name] for name in kept}))


@pytest.mark.slow
def test_every_unit_trains(tiny):
    assert leaves_without_gradient(tiny, (28, 28, 1)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_small_form_drives_a_small_batch_to_zero_error(tiny):
    assert wrong_after_training(tiny, (32, 32, 3)) == 0
