"""Inception-ResNet: the sizes its figures print, its factors, and that it trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_head import heads_that_do_not_fit
from memorizing import leaves_without_gradient, wrong_after_training
from narrowing import at_32_pixels, narrowed, shortened

from ablax.core import layer_shapes
from ablax.layers import Residual
from ablax.layers.blocks import without_shortcuts
from ablax.zoo.inception import (
    inception_resnet_v1,
    inception_resnet_v2,
    inception_resnet_v2_paper,
)

KINDS = (
    *("inception_resnet_a1", "reduction_a", "inception_resnet_b1", "reduction_b"),
    "inception_resnet_c1",
)
SMALL_V1 = at_32_pixels(narrowed(shortened(inception_resnet_v1(), *KINDS), 32), 256 // 32)


def sizes(network):
    """Pixels and channels behind each kind of module, one of each kind left."""
    extra = [name for name in ("mixed_5b",) if name in network.body]
    last = [name for name in ("inception_resnet_c10", "conv_7b") if name in network.body]
    shapes = layer_shapes(shortened(network, *extra, *KINDS, *last), (299, 299, 3))
    return [shapes[name][1:] for name in (*extra, *KINDS, *last)]


def blocks(network):
    return {name: layer for name, layer in network.body.items() if isinstance(layer, Residual)}


@pytest.mark.slow
def test_maps_are_those_of_the_figures_and_of_the_published_network():
    at17, at8 = (17, 896), (8, 1792)
    assert sizes(inception_resnet_v1()) == [(35, 256), at17, at17, at8, at8]
    at17, at8 = (17, 1152), (8, 2144)
    assert sizes(inception_resnet_v2_paper()) == [(35, 384), at17, at17, at8, at8]
    at17, at8 = (17, 1088), (8, 2080)
    published = [(35, 320), (35, 320), at17, at17, at8, at8, at8, (8, 1536)]
    assert sizes(inception_resnet_v2()) == published


@pytest.mark.parametrize(
    ("build", "counted"),
    [
        (inception_resnet_v1, (5, 10, 5)),
        (inception_resnet_v2_paper, (5, 10, 5)),
        (inception_resnet_v2, (10, 20, 10)),
    ],
)
def test_blocks_are_as_many_as_figure_15_and_the_authors_code_have(build, counted):
    names = list(blocks(build()))
    kinds = [sum(name.startswith(f"inception_resnet_{kind}") for name in names) for kind in "abc"]
    assert tuple(kinds) == counted


def test_the_factors_belong_to_the_size_and_the_last_block_has_none_and_no_relu():
    factors = {
        name.removeprefix("inception_resnet_"): block.residual["scale"].factor
        for name, block in blocks(inception_resnet_v2()).items()
    }
    assert (factors["a1"], factors["b20"], factors["c9"]) == (0.17, 0.10, 0.20)
    last = inception_resnet_v2().body["inception_resnet_c10"]
    assert last.residual["scale"].factor == 1.0
    assert not len(last.after)
    assert all(list(block.after) == ["relu"] for block in blocks(inception_resnet_v1()).values())


@pytest.mark.slow
def test_a_block_adds_its_module_scaled_down():
    """relu(x + 0.17 (W m + b)), the module taken by itself."""
    block = narrowed(shortened(inception_resnet_v1(), KINDS[0]), 32).body[KINDS[0]]
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 3, 3, 8)), jnp.float32)
    variables = block.init(jax.random.key(1), x)
    inner = {name: tree["module"] for name, tree in variables.items()}
    linear = variables["params"]["linear"]
    answer = block.residual["module"].apply(inner, x)
    added = jnp.einsum("nhwc,cf->nhwf", answer, linear["kernel"][0, 0]) + linear["bias"]
    expected = jnp.maximum(x + 0.17 * added, 0)
    np.testing.assert_allclose(block.apply(variables, x), expected, rtol=1e-5, atol=1e-5)


def test_it_can_lose_its_shortcuts():
    plain = without_shortcuts(shortened(inception_resnet_v1(), KINDS[0]))
    assert list(plain.body[KINDS[0]].layers) == ["module", "linear", "scale", "relu"]


def test_equal_calls_build_equal_networks():
    assert inception_resnet_v1() == inception_resnet_v1()
    assert hash(inception_resnet_v2()) == hash(inception_resnet_v2())
    assert inception_resnet_v2_paper() != inception_resnet_v2()


@pytest.mark.slow
def test_every_head_goes_on_it():
    assert heads_that_do_not_fit(shortened(inception_resnet_v1(), *KINDS), (299, 299, 3)) == []
    published = shortened(inception_resnet_v2(), "mixed_5b", *KINDS, "conv_7b")
    assert heads_that_do_not_fit(published, (299, 299, 3)) == []


@pytest.mark.slow
def test_every_kind_of_block_trains():
    assert leaves_without_gradient(SMALL_V1, (32, 32, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_it_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(shortened(SMALL_V1, *KINDS[:2]), (32, 32, 3)) == 0
