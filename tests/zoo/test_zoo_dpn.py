"""Dual path networks: the paper's table 1, the two paths, and that they train."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_head import heads_that_do_not_fit
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import LayerError, Layers, check, count_parameters, layer_shapes, paths, remove
from ablax.layers.blocks import DualPath
from ablax.zoo import find
from ablax.zoo.dpn import block, dpn68, dpn92, dpn131, dpn_small, stages

SHAPE = (32, 32, 3)


def first_of_each_stage(network):
    """The network with one block a stage, and the last activation."""
    kept = [name for name in network.body if name.endswith("_1") or name == "activation"]
    return network.copy(body=Layers({name: network.body[name] for name in kept}))


@pytest.mark.slow
def test_dpn92_goes_through_the_shapes_of_table_1():
    shapes = layer_shapes(first_of_each_stage(dpn92()), (224, 224, 3))
    assert shapes["conv1"] == (112, 112, 64)
    assert shapes["pool1"] == (56, 56, 64)
    assert shapes["conv2_1/conv1"] == shapes["conv2_1/conv2"] == (56, 56, 96)
    assert shapes["conv2_1"] == (56, 56, 256 + 3 * 16)
    assert shapes["conv3_1/conv1"] == (56, 56, 192)  # the 3x3 strides
    assert shapes["conv3_1/conv2"] == (28, 28, 192)
    assert shapes["conv3_1/projection"] == (28, 28, 512 + 2 * 32)
    assert shapes["conv4_1"] == (14, 14, 1024 + 3 * 24)
    assert shapes["conv5_1/conv3"] == (7, 7, 2048 + 128)
    assert shapes["activation"] == (7, 7, 2048 + 3 * 128)
    assert shapes["classifier"] == (1000,)


@pytest.mark.slow
def test_the_largest_ends_with_2688_channels():
    """2048 in the residual path, and (2 + 3) 128 in the dense one."""
    shapes = layer_shapes(dpn131(), (224, 224, 3))
    assert shapes["conv4_28"] == (14, 14, 1024 + 30 * 32)
    assert shapes["conv5_3"] == shapes["activation"] == (7, 7, 2688)


@pytest.mark.parametrize(
    ("name", "depth"), [("dpn68", 68), ("dpn92", 92), ("dpn98", 98), ("dpn131", 131)]
)
def test_the_weight_layers_are_those_of_the_name(name, depth):
    names = [path for path in paths(find(name).build()) if "projection" not in path]
    assert sum(path.endswith("/conv") for path in names) + 1 == depth


def test_only_the_first_block_of_a_stage_projects():
    projecting = [name for name, layer in dpn68().body.items() if getattr(layer, "shortcut", ())]
    assert projecting == ["conv2_1", "conv3_1", "conv4_1", "conv5_1"]


def test_the_3x3_is_grouped_and_alone_in_it():
    layers = stages((1, 1), (4, 4), 16, inner=16, groups=8)["conv3_1"].layers
    grouped = [layers[name].layers["conv"].groups for name in ("conv1", "conv2", "conv3")]
    assert grouped == [1, 8, 1]


@pytest.mark.slow
def test_a_block_hands_its_dense_path_on_and_adds_to_its_residual_path():
    """A block of 8 + 4: beside the same layers round an identity, and alone."""
    x = jnp.asarray(np.random.default_rng(0).normal(0, 1, (1, 4, 4, 8 + 12)), jnp.float32)
    dual = block(8, 4, inner=8, groups=4, stride=1, project=False)

    @jax.jit
    def both(key):
        y, variables = dual.init_with_output(key, x)
        alone = DualPath(0, dual.layers).apply(variables, x)[..., 20:]
        return y, alone

    y, alone = both(jax.random.key(0))
    assert y.shape == (1, 4, 4, 8 + 12 + 4)
    np.testing.assert_allclose(y[..., :8], x[..., :8] + alone[..., :8], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y[..., 8:20], x[..., 8:])
    np.testing.assert_allclose(y[..., 20:], alone[..., 8:], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_block_that_does_not_project_can_go():
    check(remove("conv2_2", "conv4_2")(dpn_small()), (28, 28, 3), 10)


def test_the_second_block_of_a_stage_needs_the_first_where_channels_are_too_few():
    network = first_of_each_stage(dpn92())
    second = dpn92().body["conv3_2"]
    alone = network.copy(body=Layers(conv2_1=network.body["conv2_1"], conv3_2=second))
    with pytest.raises(LayerError, match=r"'conv3_2' \(DualPath\).*at least 512 channels"):
        check(alone, (64, 64, 3))


def test_equal_calls_build_equal_networks():
    assert dpn68() == dpn68()
    assert hash(dpn131()) == hash(dpn131())
    assert dpn_small() != dpn_small(10, features=16)


@pytest.mark.slow
def test_the_small_one_takes_28_and_32_pixels():
    assert layer_shapes(dpn_small(), (28, 28, 3))["conv4_2"] == (7, 7, 128 + 4 * 8)
    assert count_parameters(dpn_small(), SHAPE) == 163_946


@pytest.mark.slow
def test_every_head_goes_on_it():
    assert heads_that_do_not_fit(dpn_small(features=16), SHAPE) == []


@pytest.mark.slow
def test_every_block_trains():
    assert leaves_without_gradient(dpn_small(4, 16), (8, 8, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_small_one_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(dpn_small(4, 16, blocks=1), SHAPE) == 0
