"""Pre-activated residual networks, and the five orders of figure 4."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import seconds_to_compile
from derivations.resnet_preactivation import cifar_bottleneck as derived
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.analysis.cost import macs
from ablax.core import (
    Layers,
    abstract_variables,
    count_parameters,
    initialize,
    layer_shapes,
    leaves_by_path,
    parameter_sizes,
    paths,
    sequential,
)
from ablax.errors import AblaxError
from ablax.layers import BatchNormalization, Convolution, ReLU, Residual, fold
from ablax.zoo import resnet as zoo
from ablax.zoo.resnet import (
    activate_ends,
    basic,
    bn_after_addition,
    full_preactivation,
    option_a,
    original,
    relu_before_addition,
    relu_preactivation,
    resnet110,
    resnet_cifar,
)

SHAPE = (32, 32, 3)
ORDERS = (
    *(original, bn_after_addition, relu_before_addition, relu_preactivation, full_preactivation),
)


def ordered(order, depth=8, features=2):
    """A small network in the order, as the named ones are made."""
    if order is full_preactivation:
        return zoo.preactivation_cifar(depth, 4, features)
    network = resnet_cifar(depth, 4, order(basic, option_a), features)
    return activate_ends(network) if order is relu_preactivation else network


def row(layers):
    """W, BN and ReLU in the order in which they run."""
    names = {Convolution: "W", BatchNormalization: "BN", ReLU: "ReLU"}
    inner = [
        each for _, layer in layers.items() for each in getattr(layer, "layers", Layers()).items()
    ]
    flat = inner or list(layers.items())
    return " ".join(names[type(layer)] for _, layer in flat)


@pytest.mark.parametrize(
    ("order", "residual", "after"),
    [
        (original, "W BN ReLU W BN", "ReLU"),
        (bn_after_addition, "W BN ReLU W", "BN ReLU"),
        (relu_before_addition, "W BN ReLU W BN ReLU", ""),
        (relu_preactivation, "ReLU W BN ReLU W BN", ""),
        (full_preactivation, "BN ReLU W BN ReLU W", ""),
    ],
)
def test_the_orders_are_those_of_figure_4(order, residual, after):
    block = order(basic, option_a)(4, 4, 1)
    assert (row(block.residual), row(block.after)) == (residual, after)
    assert (block.before, block.shortcut) == (Layers(), Layers())


@pytest.mark.parametrize("order", [relu_preactivation, full_preactivation])
def test_blocks_that_change_the_shape_and_the_first_activate_in_front_of_the_fork(order):
    body = ordered(order, depth=14).body
    shared = [name for name, block in body.items() if name != "activation" and len(block.before)]
    assert shared == ["res2a", "res3a", "res4a"]
    assert list(body)[-1] == "activation"
    assert body["res3a"].before["preactivation"] == body["activation"]
    assert list(body["res3a"].residual) == ["conv1", "conv2"]


@pytest.mark.slow
def test_all_orders_have_the_same_layers_and_so_the_same_parameters():
    counts = {count_parameters(ordered(order), (8, 8, 3)) for order in ORDERS}
    assert len(counts) == 1


@pytest.mark.slow
def test_every_kernel_starts_bit_equal_in_all_orders():
    trees = [leaves_by_path(initialize(ordered(o), 0, (8, 8, 3))["params"]) for o in ORDERS]
    kernels = [path for path in trees[0] if path.endswith("kernel")]
    assert len(kernels) == 8
    for path in kernels:
        assert all(jnp.array_equal(tree[path], trees[0][path]) for tree in trees), path


def block_outputs(order):
    """Numbers of both signs, and what a block of four features makes of them."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 4)), jnp.float32)
    block = order(basic, option_a)(4, 4, 1)
    return x, jax.jit(lambda: block.init_with_output(jax.random.key(1), x)[0])()


@pytest.mark.slow
def test_only_the_preactivated_orders_and_c_leave_the_sum_alone():
    """What section 4.1 says of each order, seen in one block."""
    for order in (original, bn_after_addition):
        assert (block_outputs(order)[1] >= 0).all()
    x, y = block_outputs(relu_before_addition)
    assert (y >= x).all()  # the residual is never negative: the signal only grows
    for order in (relu_preactivation, full_preactivation):
        x, y = block_outputs(order)
        assert (y < x).any()
        assert (y > x).any()


def test_a_preactivated_block_with_zero_kernels_is_the_identity():
    block = full_preactivation(basic, option_a)(4, 4, 1)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 4)), jnp.float32)
    shapes = jax.eval_shape(block.init, jax.random.key(1), x)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    np.testing.assert_array_equal(jax.jit(block.apply)(zeros, x), x)


@pytest.mark.parametrize(
    ("build", "depth"),
    [
        *((zoo.resnet50_preactivation, 50), (zoo.resnet101_preactivation, 101)),
        *((zoo.resnet152_preactivation, 152), (zoo.resnet200_preactivation, 200)),
        *((zoo.preactivation110, 110), (zoo.preactivation164, 164)),
        (zoo.resnet110_relu_preactivation, 110),
        pytest.param(zoo.preactivation1001, 1001, marks=pytest.mark.slow),
    ],
)
def test_the_weight_layers_on_the_longest_way_are_those_of_the_name(build, depth):
    layers = [path for path in paths(build()) if path.endswith("/conv")]
    assert sum("projection" not in path for path in layers) + 1 == depth


def test_resnet200_has_16_blocks_more_than_152_at_28_pixels():
    more = set(zoo.resnet200_preactivation().body) - set(zoo.resnet152_preactivation().body)
    assert more == {f"res3b{number}" for number in range(8, 24)}


def test_projections_and_the_first_convolution_have_no_normalization():
    network = zoo.preactivation((1, 1), features=8, channels=4)
    assert network.tail["conv1"] == sequential(
        conv=Convolution(4, 7, stride=2, padding=3, use_bias=False)
    )
    shortcuts = {name: list(block.shortcut) for name, block in list(network.body.items())[:-1]}
    assert shortcuts == {"res2a": ["projection"], "res3a": ["projection"]}
    assert list(network.body["res3a"].shortcut["projection"].layers) == ["conv"]
    assert layer_shapes(network, (32, 32, 3))["activation"] == (4, 4, 16)


def test_named_orders_of_110_layers_are_those_of_figure_4():
    assert resnet110() == resnet_cifar(110, block=original(basic, option_a))
    for network, order in (
        (zoo.resnet110_bn_after_addition(), bn_after_addition),
        (zoo.resnet110_relu_before_addition(), relu_before_addition),
        (zoo.resnet110_relu_preactivation(), relu_preactivation),
        (zoo.preactivation110(), full_preactivation),
    ):
        assert network.body["res2b1"] == order(basic, option_a)(16, 16, 1)
        assert network.body["res3b1"] == order(basic, option_a)(32, 32, 1)


@pytest.mark.parametrize(
    ("build", "depth", "message"),
    [
        (zoo.preactivation_cifar, 111, r"6n \+ 2; use 110 or 116"),
        (zoo.preactivation_cifar_bottleneck, 1000, r"9n \+ 2; use 992 or 1001"),
    ],
)
def test_depths_that_do_not_exist_are_refused_with_the_nearest(build, depth, message):
    with pytest.raises(AblaxError, match=message):
        build(depth)


@pytest.mark.slow
def test_every_layer_trains_in_every_order():
    blocks = {order.__name__: order(basic, option_a)(2, 2, 1) for order in ORDERS}
    network = zoo.preactivation_cifar(8, 4, features=2)
    assert leaves_without_gradient(network.copy(body=Layers(blocks)), (8, 8, 1)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [
        zoo.preactivation_cifar_bottleneck(11, 4, features=2),
        zoo.preactivation((1, 1), 4, features=8, channels=4),
    ],
)
def test_every_layer_of_the_bottlenecks_trains(network):
    assert leaves_without_gradient(network, (16, 16, 1)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_shallowest_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(zoo.preactivation_cifar(8, 4, features=4), SHAPE) == 0


@pytest.mark.slow
def test_preactivation1001_is_counted_and_compiles_a_training_step_through_repeat():
    """333 blocks in three loops, and the first block of each stage outside."""
    folded = fold(Residual)(zoo.preactivation1001())
    assert len(folded.body) == 7
    sizes = parameter_sizes(folded, SHAPE)
    assert sum(sizes.values()) == derived(1001).parameters == 10_327_706
    norms = sum(size for path, size in sizes.items() if "/bn/" in path)
    assert sum(sizes.values()) - norms == 10_178_490  # what the paper prints as 10.2 M
    variables = abstract_variables(folded, SHAPE)
    images = jax.ShapeDtypeStruct((1, *SHAPE), jnp.float32)
    assert macs(folded.apply, variables, images) == derived(1001).macs
    assert seconds_to_compile(folded, SHAPE) < 60
