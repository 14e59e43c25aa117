"""Squeeze-and-excitation networks: their tables, what a gate adds, and that they train."""

import pytest
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import Layers, Network, layer_shapes, paths, without
from ablax.layers import Dropout, FieldError, Gate
from ablax.zoo import heads, tails
from ablax.zoo.resnet import BASIC, BOTTLENECK, original, resnet20, resnet50_v1, resnet_cifar
from ablax.zoo.resnext import aggregate, resnext50_32x4d
from ablax.zoo.senet import (
    gated,
    se_resnet20,
    se_resnet50,
    se_resnet152,
    se_resnext50_32x4d,
    senet154,
    wide_middle,
    wide_projection,
)

IMAGENET = (224, 224, 3)


def shortened(network):
    """The network with the first two blocks of each stage: the others are equal to the second."""
    kept = [name for name in network.body if name.endswith(("a", "b", "b1"))]
    return network.copy(body=Layers({name: network.body[name] for name in kept}))


@pytest.mark.slow
def test_se_resnet50_goes_through_the_shapes_of_table_1():
    shapes = layer_shapes(shortened(se_resnet50()), IMAGENET)
    assert shapes["conv1"] == (112, 112, 64)
    assert shapes["pool1"] == (56, 56, 64)
    assert shapes["res2b"] == (56, 56, 256)
    assert shapes["res3a/conv1"] == shapes["res3b/conv2"] == (28, 28, 128)  # the 1x1 strides
    assert shapes["res4b"] == (14, 14, 1024)
    assert shapes["res5b"] == (7, 7, 2048)
    for stage, units, features in ((2, 16, 256), (3, 32, 512), (4, 64, 1024), (5, 128, 2048)):
        assert shapes[f"res{stage}b/se/reduce"] == (units,)
        assert shapes[f"res{stage}b/se/excite"] == (features,)


@pytest.mark.slow
def test_se_resnext50_strides_in_the_3x3():
    shapes = layer_shapes(shortened(se_resnext50_32x4d()), IMAGENET)
    assert shapes["res3a/conv1"] == (56, 56, 256)
    assert shapes["res3a/conv2"] == shapes["res3b/conv2"] == (28, 28, 256)
    assert shapes["res5b"] == (7, 7, 2048)


@pytest.mark.slow
def test_senet154_has_its_four_changes():
    network = senet154()
    shapes = layer_shapes(shortened(network), IMAGENET)
    assert list(network.tail) == ["conv1_1", "conv1_2", "conv1_3", "pool1"]
    assert shapes["conv1_3"] == (112, 112, 128)
    assert shapes["res2b/conv1"] == (56, 56, 128)
    assert shapes["res2b/conv2"] == (56, 56, 256)
    windows = {
        name: network.body[name].shortcut["projection"].layers["conv"].window
        for name in ("res2a", "res3a", "res4a", "res5a")
    }
    assert windows == {"res2a": 1, "res3a": 3, "res4a": 3, "res5a": 3}
    assert network.head["classifier"].layers["dropout"] == Dropout(0.2)
    grouped = network.body["res5c"].residual["conv2"].layers["conv"]
    assert (grouped.features, grouped.groups) == (2048, 64)


def test_depth_counts_convolutions_and_the_classifier():
    """SENet-154: 3 in the tail, 3 in each of 50 blocks, 1 classifier."""
    for build, depth in (
        (se_resnet50, 50),
        (se_resnet152, 152),
        (senet154, 154),
        (se_resnet20, 20),
    ):
        convolutions = [path for path in paths(build()) if path.endswith("/conv")]
        assert len([path for path in convolutions if "projection" not in path]) + 1 == depth


def test_every_block_is_gated_behind_its_last_convolution():
    for network in (se_resnet50(), se_resnext50_32x4d(), senet154(), se_resnet20()):
        for _, block in network.body.items():
            assert list(block.residual)[-1] == "se"
            assert isinstance(block.residual["se"], Gate)


def test_without_its_gates_it_is_the_network_it_was_made_of():
    assert without(Gate)(se_resnet50()).body == resnet50_v1().body
    assert without(Gate)(se_resnext50_32x4d()).body == resnext50_32x4d().body
    assert without(Gate)(se_resnet20()) == resnet20()


def test_gates_add_two_dense_layers_a_block():
    """2 C C / 16 weights and C / 16 + C biases for C features."""

    def gates(*stages):
        return sum(n * (2 * c * c // 16 + c // 16 + c) for n, c in stages)

    assert gates((3, 256), (4, 512), (6, 1024), (3, 2048)) == 28_088_024 - 25_557_032
    assert gates((3, 16), (3, 32), (3, 64)) == 272_095 - 269_722


@pytest.mark.slow
def test_the_small_form_shortens_by_option_a_without_parameters():
    shortcuts = {
        name: list(block.shortcut) for name, block in se_resnet20().body.items() if block.shortcut
    }
    assert shortcuts == {"res3a": ["subsample", "pad"], "res4a": ["subsample", "pad"]}
    shapes = layer_shapes(se_resnet20(), (28, 28, 1))
    assert [shapes[f"res{stage}c"] for stage in (2, 3, 4)] == [
        (28, 28, 16),
        (14, 14, 32),
        (7, 7, 64),
    ]


def test_equal_calls_build_equal_networks():
    assert senet154() == senet154()
    assert hash(se_resnet50()) == hash(se_resnet50())


def test_a_reduction_that_leaves_no_unit_is_refused():
    with pytest.raises(FieldError, match="features=8 with reduction=16"):
        resnet_cifar(8, block=gated(BASIC), features=8)


@pytest.mark.slow
def test_every_kind_of_block_trains():
    """One of each behind one another, each with a projection or padding."""
    body = Layers(
        res2a=gated(BOTTLENECK)(8, 16, 1),
        res3a=gated(aggregate(4, 32))(16, 32, 1),
        res4a=gated(original(wide_middle, wide_projection))(32, 128, 2),
        res5a=gated(BASIC)(128, 128, 2),
    )
    network = Network(tails.cifar(8), body, heads.global_average_pool(4))
    assert leaves_without_gradient(network, (12, 12, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_shallowest_drives_a_small_batch_to_zero_error():
    network = resnet_cifar(8, 4, gated(BASIC, reduction=4), features=8)
    assert wrong_after_training(network, (32, 32, 3)) == 0
