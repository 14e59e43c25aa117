"""ShuffleNet V2: table 5, the half that goes round, and that it trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from derivations import DERIVED
from derivations.shufflenet_v2 import imagenet
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import Layers, layer_shapes
from ablax.errors import AblaxError
from ablax.layers.shape import ChannelShuffle, channel_shuffle
from ablax.zoo import tails
from ablax.zoo.shufflenet import (
    shufflenet_v2,
    shufflenet_v2_0_5,
    shufflenet_v2_1_0,
    shufflenet_v2_small,
)

TINY = {"classes": 4, "features": (8, 12, 16), "last": 16}


def shortened(network):
    """The network with two units a stage: the others are equal to the second."""
    kept = [name for name in network.body if name.endswith(("_1", "_2", "conv5"))]
    return network.copy(body=Layers({name: network.body[name] for name in kept}))


@pytest.fixture(scope="module")
def shapes():
    return layer_shapes(shortened(shufflenet_v2_1_0()), (224, 224, 3))


@pytest.mark.slow
def test_the_network_goes_through_the_shapes_of_table_5(shapes):
    assert shapes["conv1"] == (112, 112, 24)
    assert shapes["pool1"] == (56, 56, 24)
    assert shapes["stage2_1"] == shapes["stage2_2"] == (28, 28, 116)
    assert shapes["stage3_1"] == shapes["stage3_2"] == (14, 14, 232)
    assert shapes["stage4_1"] == shapes["stage4_2"] == (7, 7, 464)
    assert shapes["conv5"] == (7, 7, 1024)
    assert shapes["average"] == (1024,)
    assert shapes["classifier"] == (1000,)


def test_a_unit_sends_half_of_the_channels_each_way_and_one_with_a_stride_sends_all(shapes):
    assert shapes["stage3_2/branches/shortcut"] == (14, 14, 116)
    assert shapes["stage3_2/branches/residual/half"] == (14, 14, 116)
    assert shapes["stage3_2/branches/residual/conv2"] == (14, 14, 116)
    assert shapes["stage3_1/branches/shortcut/conv1"] == (14, 14, 116)
    assert shapes["stage3_1/branches/shortcut"] == (14, 14, 116)
    assert shapes["stage3_1/branches/residual/conv1"] == (28, 28, 116)


def test_each_stage_has_the_units_of_table_5():
    body = shufflenet_v2_0_5().body
    stages = [[name for name in body if name.startswith(f"stage{s}_")] for s in (2, 3, 4)]
    assert [len(names) for names in stages] == [4, 8, 4]


@pytest.mark.slow
def test_a_unit_hands_the_first_half_on_untouched_in_every_second_channel():
    unit = shufflenet_v2_small(**TINY).body["stage2_2"]
    x = jnp.asarray(np.random.default_rng(0).normal(0, 1, (2, 3, 3, 8)), jnp.float32)
    y = jax.jit(lambda x: unit.init_with_output(jax.random.key(0), x)[0])(x)
    assert unit.layers["shuffle"] == ChannelShuffle(2)
    np.testing.assert_array_equal(y[..., ::2], x[..., :4])
    np.testing.assert_array_equal(channel_shuffle(y, 4)[..., :4], x[..., :4])
    assert not np.allclose(y[..., 1::2], x[..., 4:])


def test_the_counts_are_the_published_ones():
    assert [DERIVED[f"shufflenet_v2_{width}"]() for width in ("0_5", "1_0", "1_5", "2_0")] == [
        (1_366_792, 40_476_448),
        (2_278_604, 144_907_992),
        (3_503_624, 295_759_392),
        (7_393_996, 583_253_464),
    ]


@pytest.mark.parametrize(
    ("features", "last", "millions"),
    [((116, 232, 464), 1024, 146), ((176, 352, 704), 1024, 299), ((244, 488, 976), 2048, 591)],
)
def test_complexities_are_the_papers_when_24_features_leave_the_first_way_round(
    features, last, millions
):
    """So the authors' code has it; ours are torchvision's, with half of the features each way."""
    assert round(imagenet(features, last, first_round=24).macs / 1e6) == millions
    assert round(imagenet(features, last).macs / 1e6) < millions


def test_the_small_form_halves_three_times_behind_its_first_convolution():
    assert shufflenet_v2_small().tail == tails.cifar(24)
    assert shufflenet_v2_small().body == shufflenet_v2_1_0().body


def test_equal_calls_build_equal_networks():
    assert shufflenet_v2_0_5() == shufflenet_v2((48, 96, 192))
    assert hash(shufflenet_v2_small()) == hash(shufflenet_v2_small())
    assert shufflenet_v2_0_5() != shufflenet_v2_1_0()


def test_features_without_a_half_are_refused():
    with pytest.raises(AblaxError, match=r"features=\(8, 13, 16\): even numbers .* 13 has no half"):
        shufflenet_v2((8, 13, 16))


@pytest.fixture
def tiny():
    """Each kind of unit, the first of the network among them."""
    network = shufflenet_v2_small(**TINY)
    kept = ("stage2_1", "stage2_2", "stage3_1", "conv5")
    return network.copy(body=Layers({name: network.body[name] for name in kept}))


@pytest.mark.slow
def test_every_unit_trains(tiny):
    assert leaves_without_gradient(tiny, (28, 28, 1)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_small_form_drives_a_small_batch_to_zero_error(tiny):
    assert wrong_after_training(tiny, (32, 32, 3), steps=30) == 0
