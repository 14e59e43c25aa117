"""The small Inception: its published count, its maps, and that it trains."""

import pytest
from every_head import heads_that_do_not_fit
from memorizing import leaves_without_gradient, wrong_after_training
from narrowing import shortened

from ablax.core import count_parameters, layer_shapes
from ablax.errors import AblaxError
from ablax.zoo.googlenet import inception_small

SMALL = shortened(inception_small(4, 1 / 4), "inception_1a", "downsample1", "inception_2a")


def test_parameters_are_those_of_table_1_of_the_paper():
    assert count_parameters(inception_small(), (28, 28, 3)) == 1_649_402


@pytest.mark.slow
def test_maps_have_28_14_and_7_pixels():
    shapes = layer_shapes(inception_small(), (28, 28, 3))
    maps = {name: shape for name, shape in shapes.items() if "/" not in name}
    assert maps == {
        "conv1": (28, 28, 96),
        "inception_1a": (28, 28, 64),
        "inception_1b": (28, 28, 80),
        "downsample1": (14, 14, 160),
        "inception_2a": (14, 14, 160),
        "inception_2b": (14, 14, 160),
        "inception_2c": (14, 14, 160),
        "inception_2d": (14, 14, 144),
        "downsample2": (7, 7, 240),
        "inception_3a": (7, 7, 336),
        "inception_3b": (7, 7, 336),
        "average": (336,),
        "classifier": (10,),
    }


def test_a_width_that_leaves_nothing_is_refused():
    with pytest.raises(AblaxError, match=r"the width is 0\.0"):
        inception_small(10, 0.0)


@pytest.mark.slow
def test_every_head_goes_on_it():
    assert heads_that_do_not_fit(inception_small(10, 1 / 8), (32, 32, 3)) == []


@pytest.mark.slow
def test_every_block_trains():
    assert leaves_without_gradient(SMALL, (8, 8, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_it_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(SMALL, (32, 32, 3)) == 0
