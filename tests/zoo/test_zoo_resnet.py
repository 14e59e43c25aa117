"""Residual networks for ImageNet: table 1 of the paper, its shortcuts, and where they stride."""

import jax.numpy as jnp
import pytest
from memorizing import leaves_without_gradient

from ablax.core import Layers, layer_shapes, parameter_shapes, paths
from ablax.layers import AveragePool, ReLU, Residual, without_shortcuts
from ablax.layers.normalization import normalized
from ablax.zoo.resnet import (
    basic,
    block_names,
    bottleneck,
    bottleneck_v1,
    option_a,
    option_b,
    option_c,
    original,
    plain18,
    plain34,
    resnet,
    resnet18,
    resnet34,
    resnet34_a,
    resnet34_c,
    resnet50,
    resnet50_v1,
    resnet101,
    resnet152,
)

SHAPE = (224, 224, 3)
NETWORKS = {
    18: (resnet18, (2, 2, 2, 2)),
    34: (resnet34, (3, 4, 6, 3)),
    50: (resnet50, (3, 4, 6, 3)),
    101: (resnet101, (3, 4, 23, 3)),
    152: (resnet152, (3, 8, 36, 3)),
}


def small(order):
    """Two stages of one block."""
    return resnet((1, 1), order, 8, 4, channels=4)


@pytest.mark.parametrize("depth", NETWORKS)
def test_the_weight_layers_on_the_longest_way_are_those_of_the_name(depth):
    network = NETWORKS[depth][0]()
    layers = [path for path in paths(network) if path.endswith("/conv")]
    projections = [path for path in layers if "projection" in path]
    assert len(layers) - len(projections) + 1 == depth  # and the classifier


@pytest.mark.slow
@pytest.mark.parametrize("depth", [18, 50])
def test_the_maps_of_each_stage_are_those_of_table_1(depth):
    build, counts = NETWORKS[depth]
    shapes = layer_shapes(build(), SHAPE)
    assert shapes["conv1"] == (112, 112, 64)
    assert shapes["pool1"] == (56, 56, 64)
    for stage, (count, size) in enumerate(zip(counts, (56, 28, 14, 7), strict=True)):
        features = (64 if depth < 50 else 256) * 2**stage
        for name in block_names(stage + 2, count):
            assert shapes[name] == (size, size, features)
    assert shapes["average"] == ((512,) if depth < 50 else (2048,))
    assert shapes["classifier"] == (1000,)


@pytest.mark.parametrize("depth", NETWORKS)
def test_stages_have_the_blocks_of_table_1_under_the_authors_names(depth):
    build, counts = NETWORKS[depth]
    names = [name for stage, count in enumerate(counts, 2) for name in block_names(stage, count)]
    assert list(build().body) == names


def test_blocks_have_the_authors_names():
    assert list(block_names(2, 6)) == ["res2a", "res2b", "res2c", "res2d", "res2e", "res2f"]
    assert list(block_names(4, 7))[:3] == ["res4a", "res4b1", "res4b2"]


def test_the_stride_is_in_the_3x3_or_in_the_first_1x1_as_the_paper_has_it():
    for build, strided in ((resnet50, "conv2"), (resnet50_v1, "conv1")):
        block = build().body["res3a"]
        strides = {
            name: sequential.layers["conv"].stride for name, sequential in block.residual.items()
        }
        assert strides == {**dict.fromkeys(("conv1", "conv2", "conv3"), 1), strided: 2}
        assert block.shortcut["projection"].layers["conv"].stride == 2


def test_moving_the_stride_changes_no_parameter():
    first, second = (small(original(w, option_b)) for w in (bottleneck_v1, bottleneck))
    assert parameter_shapes(first, (32, 32, 3)) == parameter_shapes(second, (32, 32, 3))


def projections(network):
    return [path for path in paths(network) if path.endswith("projection")]


def test_option_b_projects_where_the_shape_changes_a_nowhere_and_c_everywhere():
    assert projections(resnet34_a()) == []
    assert projections(resnet34()) == [f"res{s}a/projection" for s in (3, 4, 5)]
    assert projections(resnet50()) == [f"res{s}a/projection" for s in (2, 3, 4, 5)]
    assert len(projections(resnet34_c())) == 16


def test_option_a_takes_every_second_pixel_and_adds_channels_of_zeros():
    block = original(basic, option_a)(2, 3, 2)
    shortcut = x = jnp.arange(32.0).reshape(1, 4, 4, 2)
    for _, layer in block.shortcut.items():
        shortcut = layer.apply({}, shortcut)
    assert jnp.array_equal(shortcut, jnp.pad(x[:, ::2, ::2], ((0, 0),) * 3 + ((0, 1),)))
    assert option_a(3, 3, 1) == Layers()


def test_options_differ_in_their_projections_alone():
    """So every other leaf starts bit-equal: its path and its shape are the same."""
    plain, some, every = (
        parameter_shapes(small(original(basic, option)), (32, 32, 3))
        for option in (option_a, option_b, option_c)
    )
    for leaves in (some, every):
        assert {path: leaves[path] for path in leaves if "projection" not in path} == plain


@pytest.mark.parametrize(("plain", "residual"), [(plain18, resnet18), (plain34, resnet34)])
def test_plain_networks_are_the_residual_ones_without_shortcuts(plain, residual):
    assert (
        plain() == without_shortcuts(residual()) == without_shortcuts(residual(shortcut=option_a))
    )
    assert not any(isinstance(layer, Residual) for _, layer in plain().body.items())


@pytest.mark.slow
def test_scales_start_at_1_and_convolutions_have_no_bias():
    network = resnet18()
    block = network.body["res2a"]
    assert block.residual["conv2"] == normalized(64, 3)
    assert block.after == Layers(relu=ReLU())
    leaves = parameter_shapes(network, SHAPE)
    assert [path for path in leaves if path.endswith("conv/bias")] == []


def test_a_shortcut_of_ones_own_takes_a_few_lines():
    """ResNet-D's: average, then project (He et al. 2018, Bag of tricks, figure 2c)."""

    def averaged(channels, features, stride):
        if (channels, stride) == (features, 1):
            return Layers()
        return Layers(average=AveragePool(stride, stride), projection=normalized(features, 1))

    shapes = layer_shapes(small(original(basic, averaged)), (64, 64, 3))
    assert shapes["res3a/average"] == (8, 8, 8)
    assert shapes["classifier"] == (4,)


def test_networks_take_images_of_other_sizes_and_channels():
    shapes = layer_shapes(small(original(bottleneck, option_b)), (96, 64, 1))
    assert shapes["res3a"] == (12, 8, 16)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weight_layers", "option"),
    [(basic, option_a), (bottleneck, option_b), (bottleneck_v1, option_c)],
)
def test_every_layer_of_every_block_trains(weight_layers, option):
    assert leaves_without_gradient(small(original(weight_layers, option)), (32, 32, 3)) == []
