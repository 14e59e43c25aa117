"""Inception V4: the sizes its figures print, and that it trains."""

import pytest
from every_head import heads_that_do_not_fit
from memorizing import leaves_without_gradient, wrong_after_training
from narrowing import at_32_pixels, narrowed, shortened

from ablax.core import layer_shapes
from ablax.zoo.inception import inception_v4, reduction_a

KINDS = ("inception_a1", "reduction_a", "inception_b1", "reduction_b", "inception_c1")
SHORT = shortened(inception_v4(), *KINDS)
"""One module of each kind: the others of a kind are equal to it."""
SMALL = at_32_pixels(narrowed(SHORT, 32), 12)


@pytest.mark.slow
def test_maps_are_those_of_figures_3_and_9():
    shapes = layer_shapes(SHORT, (299, 299, 3))
    assert {name: shape for name, shape in shapes.items() if "/" not in name} == {
        "conv_1a": (149, 149, 32),
        "conv_2a": (147, 147, 32),
        "conv_2b": (147, 147, 64),
        "mixed_3a": (73, 73, 160),
        "mixed_4a": (71, 71, 192),
        "mixed_5a": (35, 35, 384),
        "inception_a1": (35, 35, 384),
        "reduction_a": (17, 17, 1024),
        "inception_b1": (17, 17, 1024),
        "reduction_b": (8, 8, 1536),
        "inception_c1": (8, 8, 1536),
        "average": (1536,),
        "classifier": (1000,),
    }


def test_it_has_four_seven_and_three_modules_and_equal_ones_are_equal():
    body = inception_v4().body
    kinds = [name.rstrip("1234567") for name in body]
    assert [kinds.count(f"inception_{kind}") for kind in "abc"] == [4, 7, 3]
    assert kinds.index("reduction_a") == 4
    assert kinds.index("reduction_b") == 12
    assert body["inception_a1"] == body["inception_a4"]
    assert body["reduction_a"] == reduction_a(192, 224, 256, 384)


def test_equal_calls_build_equal_networks():
    assert inception_v4() == inception_v4()
    assert hash(inception_v4()) == hash(inception_v4())
    assert inception_v4(10) != inception_v4()


@pytest.mark.slow
def test_every_head_goes_on_it():
    assert heads_that_do_not_fit(SHORT, (299, 299, 3)) == []


@pytest.mark.slow
def test_every_kind_of_block_trains():
    assert leaves_without_gradient(SMALL, (32, 32, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_it_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(shortened(SMALL, *KINDS[:2]), (32, 32, 3)) == 0
