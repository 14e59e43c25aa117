"""Both networks called Inception V2: their tables, and that they train."""

import pytest
from every_head import heads_that_do_not_fit
from memorizing import leaves_without_gradient, wrong_after_training
from narrowing import at_32_pixels, narrowed, shortened

from ablax.core import inner_layers, layer_shapes, paths
from ablax.layers import AveragePool, Convolution, MaxPool
from ablax.zoo.inception import inception_v2, inception_v2_factorized

SMALL_V2 = at_32_pixels(narrowed(shortened(inception_v2(), "inception_3a", "inception_3c"), 16), 12)
# The other modules are those of V3, tested there.
SMALL_FACTORIZED = at_32_pixels(
    narrowed(shortened(inception_v2_factorized(), "mixed_5a"), 16),
    18,
)


def outer(network, image_shape):
    """Shapes by the paper's names."""
    shapes = layer_shapes(network, image_shape)
    return {name: shape for name, shape in shapes.items() if "/" not in name}


def windows_of(module):
    """Of every convolution inside."""
    if isinstance(module, Convolution):
        return {module.window}
    inside = [layer for layers in inner_layers(module).values() for _, layer in layers.items()]
    return set().union(*map(windows_of, inside))


@pytest.mark.slow
def test_batch_normalized_maps_are_the_rows_of_figure_5():
    """Where the paper prints 576, 576 and 1024 for 4c, 4d and 4e its rows sum to other numbers."""
    shapes = outer(inception_v2(), (224, 224, 3))
    assert {name: shape for name, shape in shapes.items() if "inception" in name} == {
        "inception_3a": (28, 28, 64 + 64 + 96 + 32),
        "inception_3b": (28, 28, 64 + 96 + 96 + 64),
        "inception_3c": (14, 14, 160 + 96 + 320),
        "inception_4a": (14, 14, 224 + 96 + 128 + 128),
        "inception_4b": (14, 14, 192 + 128 + 128 + 128),
        "inception_4c": (14, 14, 160 + 160 + 160 + 128),
        "inception_4d": (14, 14, 96 + 192 + 192 + 128),
        "inception_4e": (7, 7, 192 + 256 + 608),
        "inception_5a": (7, 7, 352 + 320 + 224 + 128),
        "inception_5b": (7, 7, 352 + 320 + 224 + 128),
    }


def test_only_the_last_module_pools_by_the_maximum_and_the_strided_pass_through():
    pools = {}
    for name, module in inception_v2().body.items():
        if name.startswith("inception"):
            branch = module.branches["branch_pool"]
            pools[name[-2:]] = branch if isinstance(branch, MaxPool) else branch.layers["pool"]
    strided = {name for name, pool in pools.items() if pool.stride == 2}
    averages = {name for name, pool in pools.items() if isinstance(pool, AveragePool)}
    assert strided == {"3c", "4e"}
    assert averages == set(pools) - strided - {"5b"}


@pytest.mark.slow
def test_factorized_maps_are_those_of_table_1():
    shapes = outer(inception_v2_factorized(), (299, 299, 3))
    before = {
        "conv_1a": (149, 149, 32),
        "conv_2a": (147, 147, 32),
        "conv_2b": (147, 147, 64),
        "pool_3a": (73, 73, 64),
        "conv_3b": (71, 71, 80),
        "conv_4a": (35, 35, 192),
        "conv_4b": (35, 35, 288),
    }
    modules = {f"mixed_5{letter}": (35, 35, 288) for letter in "abc"}
    modules |= {f"mixed_6{letter}": (17, 17, 768) for letter in "abcdef"}
    modules |= {"mixed_7a": (8, 8, 1280), "mixed_7b": (8, 8, 2048), "mixed_7c": (8, 8, 2048)}
    assert shapes == before | modules | {"average": (2048,), "classifier": (1000,)}


def test_factorized_modules_have_no_window_of_5():
    network = inception_v2_factorized()
    assert not any("5x5" in path for path in paths(network))
    modules = ("mixed_5a", "mixed_6b", "mixed_7b")
    windows = set().union(*(windows_of(network.body[name]) for name in modules))
    assert windows == {1, 3, (1, 7), (7, 1), (1, 3), (3, 1)}


def test_equal_calls_build_equal_networks():
    assert inception_v2() == inception_v2()
    assert hash(inception_v2_factorized()) == hash(inception_v2_factorized())
    assert inception_v2(10) != inception_v2()


@pytest.mark.slow
def test_every_head_goes_on_them():
    assert heads_that_do_not_fit(inception_v2(), (224, 224, 3)) == []
    assert heads_that_do_not_fit(SMALL_FACTORIZED, (32, 32, 3)) == []


@pytest.mark.slow
@pytest.mark.parametrize("network", [SMALL_V2, SMALL_FACTORIZED], ids=["bn", "factorized"])
def test_every_kind_of_block_trains(network):
    assert leaves_without_gradient(network, (32, 32, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_it_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(SMALL_V2, (32, 32, 3)) == 0
