"""DenseNets for CIFAR: the paper's depths, counts and sizes, and that they train."""

import pytest
from derivations.densenet_cifar import DERIVED
from every_head import heads_that_do_not_fit
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import check, count_parameters, layer_shapes, paths, remove
from ablax.errors import AblaxError
from ablax.layers import Dropout
from ablax.zoo import find
from ablax.zoo.densenet import densenet_bc_cifar, densenet_cifar

SHAPE = (32, 32, 3)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("densenet40_12", 1.0),
        ("densenet_bc_100_12", 0.8),
        ("densenet_bc_250_24", 15.3),
        ("densenet_bc_190_40", 25.6),
    ],
)
def test_the_derivation_rounds_to_the_parameters_of_table_2(name, millions):
    assert round(DERIVED[name]().parameters / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("densenet40_12", 40),
        ("densenet_bc_100_12", 100),
        ("densenet_bc_250_24", 250),
        ("densenet_bc_190_40", 190),
    ],
)
def test_the_weight_layers_are_those_of_the_name(name, depth):
    assert sum(path.endswith("/conv") for path in paths(find(name).build())) + 1 == depth


def test_the_maps_are_those_of_section_3_without_bottlenecks_and_compression():
    shapes = layer_shapes(densenet_cifar(7, 12), SHAPE)
    assert shapes["conv1"] == (32, 32, 16)
    assert shapes["dense1_1"] == (32, 32, 28)
    assert shapes["transition1"] == (16, 16, 28)
    assert shapes["dense3_1"] == shapes["activation"] == (8, 8, 52)
    assert shapes["average"] == (52,)
    assert shapes["classifier"] == (10,)


def test_the_maps_with_both_and_28_pixels():
    shapes = layer_shapes(densenet_bc_cifar(10, 12), (28, 28, 1))
    assert shapes["conv1"] == (28, 28, 24)
    assert shapes["dense1_1/conv1"] == (28, 28, 48)
    assert shapes["transition1"] == (14, 14, 18)
    assert shapes["transition2"] == (7, 7, 15)
    assert shapes["dense3_1"] == (7, 7, 27)


@pytest.mark.slow
def test_the_deepest_goes_through_516_and_750_to_1734_channels():
    network = find("densenet_bc_250_24").build()
    shapes = layer_shapes(network, SHAPE)
    wide = [shapes[name] for name in ("transition1", "transition2", "dense3_41")]
    assert wide == [(16, 16, 516), (8, 8, 750), (8, 8, 1734)]
    assert count_parameters(network, SHAPE) == 15_324_406


@pytest.mark.parametrize(
    ("build", "depth", "nearest"),
    [
        (densenet_cifar, 41, r"depth=41.*1 layer have 3n \+ 4; use 40 or 43"),
        (densenet_cifar, 4, r"use 7$"),
        (densenet_cifar, -4, r"use 7$"),
        (densenet_bc_cifar, 99, r"depth=99.*2 layers have 6n \+ 4; use 94 or 100"),
        (densenet_bc_cifar, 7, r"use 10$"),
    ],
)
def test_depths_that_do_not_exist_are_refused_with_the_nearest(build, depth, nearest):
    with pytest.raises(AblaxError, match=nearest):
        build(depth, 12)


@pytest.mark.slow
def test_any_dense_layer_can_go():
    network = densenet_cifar(19, 4)
    check(remove("dense2_5")(network), (8, 8, 3), 10)
    check(remove("dense1_1", "transition2", "dense3_5")(network), (8, 8, 3), 10)


@pytest.mark.parametrize(
    ("build", "depth", "count"), [(densenet_cifar, 7, 5), (densenet_bc_cifar, 10, 8)]
)
def test_dropout_stands_behind_every_convolution_but_the_first(build, depth, count):
    def rates(network):
        held = [layer for name, layer in network.layers.items() if name != "conv1"]
        found = []
        while held:
            layer = held.pop()
            found += [layer.rate] if isinstance(layer, Dropout) else []
            held += [inner for _, inner in getattr(layer, "layers", {}).items()]
        return found

    assert rates(build(depth, 4, dropout=0.2)) == [0.2] * count
    assert rates(build(depth, 4)) == []


@pytest.mark.slow
def test_every_head_goes_on_it():
    assert heads_that_do_not_fit(densenet_bc_cifar(10, 4), SHAPE) == []


@pytest.mark.slow
@pytest.mark.parametrize(("build", "depth"), [(densenet_cifar, 7), (densenet_bc_cifar, 10)])
def test_every_block_trains(build, depth):
    assert leaves_without_gradient(build(depth, 4, 4), (8, 8, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize(("build", "depth"), [(densenet_cifar, 7), (densenet_bc_cifar, 10)])
def test_the_shallowest_drives_a_small_batch_to_zero_error(build, depth):
    assert wrong_after_training(build(depth, 8, 4), SHAPE) == 0
