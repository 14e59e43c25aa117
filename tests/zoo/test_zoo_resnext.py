"""ResNeXt: the paper's table 1, its equal transformations, and that it trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import Layers, Network, count_parameters, layer_shapes, parameter_shapes
from ablax.errors import AblaxError
from ablax.layers import Residual, convolution
from ablax.zoo import heads, tails
from ablax.zoo.resnet import stages
from ablax.zoo.resnext import (
    aggregate,
    resnext,
    resnext29_8x64d,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext_cifar,
)

TINY = {"cardinality": 4, "width": 32, "classes": 4, "features": 4}
"""Branches of 2 features, of 32 * 16 / 256, in a first stage of 16."""


def blocks(network):
    return {name: layer for name, layer in network.body.items() if isinstance(layer, Residual)}


@pytest.mark.slow
def test_resnext50_goes_through_the_shapes_of_table_1():
    network = resnext50_32x4d()
    first_two = [name for name in network.body if name.endswith(("a", "b"))]  # the rest is equal
    body = Layers({name: network.body[name] for name in first_two})
    shapes = layer_shapes(network.copy(body=body), (224, 224, 3))
    assert shapes["conv1"] == (112, 112, 64)
    assert shapes["pool1"] == (56, 56, 64)
    for stage, size, inner, features in ((2, 56, 128, 256), (5, 7, 1024, 2048)):
        assert shapes[f"res{stage}a/conv2"] == shapes[f"res{stage}b/conv1"] == (size, size, inner)
        assert shapes[f"res{stage}b"] == (size, size, features)
    assert shapes["res3b"] == (28, 28, 512)
    assert shapes["res4b"] == (14, 14, 1024)
    assert shapes["res4a/conv1"] == (28, 28, 512)  # the 3x3 strides
    assert shapes["res4a/conv2"] == shapes["res4b/conv2"] == (14, 14, 512)
    assert shapes["average"] == (2048,)
    assert shapes["classifier"] == (1000,)


@pytest.mark.slow
def test_resnext29_keeps_32_pixels_and_halves_twice():
    shapes = layer_shapes(resnext29_8x64d(), (32, 32, 3))
    assert shapes["conv1"] == (32, 32, 64)
    assert shapes["res2c/conv2"] == (32, 32, 512)
    assert [shapes[f"res{stage}c"] for stage in (2, 3, 4)] == [
        (32, 32, 256),
        (16, 16, 512),
        (8, 8, 1024),
    ]
    convolutions = [path for path in shapes if path.endswith("/conv") and "projection" not in path]
    assert len(convolutions) + 1 == 29


def test_only_the_first_block_of_a_stage_projects():
    projecting = [name for name, block in blocks(resnext101_32x8d()).items() if block.shortcut]
    assert projecting == ["res2a", "res3a", "res4a", "res5a"]


@pytest.mark.parametrize(("cardinality", "width"), [(1, 64), (2, 40), (4, 24), (8, 14), (32, 4)])
def test_the_templates_of_table_2_have_about_70_thousand_weights_a_block(cardinality, width):
    """C (256 d + 9 d d + d 256), equation 4 of the paper."""
    block = resnext((1, 1, 1, 1), cardinality, width).body["res2a"]
    again = Network(Layers(), Layers(a=block.copy(shortcut=Layers())), Layers())
    shapes = parameter_shapes(again, (8, 8, 256))
    weights = sum(np.prod(shape) for path, shape in shapes.items() if path.endswith("kernel"))
    assert weights == cardinality * (256 * width + 9 * width * width + width * 256)
    assert 69_000 < weights < 72_000


@pytest.mark.slow
def test_one_branch_of_64_is_resnet_50_with_the_stride_in_the_3x3():
    network = resnext((3, 4, 6, 3), cardinality=1, width=64)
    assert count_parameters(network, (224, 224, 3)) == 25_557_032


def test_a_block_adds_to_its_input_the_sum_of_its_branches():
    """Figure 3: (c), one grouped convolution, equals (a), the sum of 4 branches of width 2."""
    block = resnext_cifar(20, **TINY).body["res2b"]
    x = np.random.default_rng(0).normal(0, 1, (2, 5, 5, 16)).astype(np.float32)
    shapes = jax.eval_shape(block.init, jax.random.key(0), x)
    draw = np.random.default_rng(1)
    variables = jax.tree.map(
        lambda leaf: draw.uniform(0.1, 1, leaf.shape).astype(np.float32), shapes
    )
    params, kept = variables["params"], variables["batch_stats"]

    def normalized(y, name, channels=slice(None)):
        own, statistics = params[name]["bn"], kept[name]["bn"]
        scale = own["scale"] / jnp.sqrt(statistics["var"] + 1e-5)
        return ((y - statistics["mean"][channels]) * scale[channels]) + own["bias"][channels]

    def branches(x):
        total = 0
        for branch in range(4):
            own = slice(2 * branch, 2 * branch + 2)
            first = convolution(x, params["conv1"]["conv"]["kernel"][..., own])
            first = jax.nn.relu(normalized(first, "conv1", own))
            second = convolution(first, params["conv2"]["conv"]["kernel"][..., own], padding=1)
            second = jax.nn.relu(normalized(second, "conv2", own))
            total += convolution(second, params["conv3"]["conv"]["kernel"][:, :, own])
        return jax.nn.relu(x + normalized(total, "conv3"))

    ours = jax.jit(block.apply)(variables, x)
    params, kept = jax.tree.map(jnp.asarray, (params, kept))
    np.testing.assert_allclose(ours, jax.jit(branches)(x), rtol=1e-4, atol=1e-4)


def test_equal_calls_build_equal_networks():
    assert resnext50_32x4d() == resnext50_32x4d()
    assert hash(resnext29_8x64d()) == hash(resnext29_8x64d())
    assert resnext29_8x64d() != resnext29_8x64d(100)


def test_branches_without_a_feature_and_depths_that_do_not_exist_are_refused():
    with pytest.raises(AblaxError, match="width 2 at 256 features have none at 16: widen them"):
        resnext_cifar(11, cardinality=4, width=2, features=4)
    with pytest.raises(AblaxError, match=r"depth=30.*use 29 or 38"):
        resnext_cifar(30, cardinality=8, width=64)


@pytest.mark.slow
def test_every_block_trains():
    body = stages((1, 2), 16, aggregate(4, 32), 8)
    network = Network(tails.cifar(8), body, heads.global_average_pool(4))
    assert leaves_without_gradient(network, (8, 8, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_shallowest_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(resnext_cifar(11, **TINY), (32, 32, 3)) == 0
