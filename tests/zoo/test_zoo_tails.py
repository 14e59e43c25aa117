"""Tails: sizes, parameters, and how far each output sees."""

import jax
import numpy as np
import pytest

from ablax.core import Layers, Network, abstract_variables, count_parameters, layer_shapes
from ablax.zoo import tails
from ablax.zoo.alexnet import alexnet


def alone(tail):
    return Network(tail, Layers(), Layers())


def seen(tail, size=64):
    """Which columns of the image each column of the result depends on, (column, result).

    All weights are 1, so that a brighter column makes all brighter that see it.
    """
    network = alone(tail)
    shapes = abstract_variables(network, (size, size, 1))
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes)
    images = np.zeros((size + 1, 24, size, 1), np.float32)
    images[np.arange(size), :, np.arange(size)] = 1
    y = np.asarray(jax.jit(network.apply)(variables, images))
    return (y[:-1] > y[-1]).any((1, 3))


@pytest.mark.parametrize(
    ("tail", "stride", "reach"),
    [
        (tails.cifar(2), 1, 3),
        (tails.vgg(2), 2, 6),
        (tails.resnet(2), 4, 11),
        (tails.caffe(2), 4, 11),
        (tails.plain(2), 4, 11),
        (tails.senet(2), 4, 15),
        (tails.alexnet(2), 8, 19),
    ],
    ids=["cifar", "vgg", "resnet", "caffe", "plain", "senet", "alexnet"],
)
def test_stride_and_receptive_field(tail, stride, reach):
    depends = seen(tail)
    middle = depends.shape[1] // 2
    columns = [np.flatnonzero(depends[:, at]) for at in (middle, middle + 1)]
    assert [len(found) for found in columns] == [reach, reach]
    assert columns[1][0] - columns[0][0] == stride


@pytest.mark.parametrize(
    ("tail", "size", "shape", "parameters"),
    [
        (tails.resnet(), 224, (56, 56, 64), 49 * 3 * 64 + 128),
        (tails.caffe(), 224, (56, 56, 64), 49 * 3 * 64 + 128),
        (tails.plain(), 224, (56, 56, 64), 49 * 3 * 64 + 64),
        (tails.senet(), 224, (56, 56, 128), 27 * 64 + 9 * 64 * 64 + 9 * 64 * 128 + 512),
        (tails.alexnet(), 227, (27, 27, 96), 121 * 3 * 96 + 96),
        (tails.vgg(), 224, (112, 112, 64), 27 * 64 + 64 + 9 * 64 * 64 + 64),
        (tails.cifar(), 32, (32, 32, 16), 27 * 16 + 32),
    ],
    ids=["resnet", "caffe", "plain", "senet", "alexnet", "vgg", "cifar"],
)
def test_size_of_the_result_and_parameters_by_hand(tail, size, shape, parameters):
    image_shape = (size, size, 3)
    assert list(layer_shapes(alone(tail), image_shape).values())[-1] == shape
    assert count_parameters(alone(tail), image_shape) == parameters


def test_an_unpadded_pool_that_rounds_up_ends_elsewhere_than_a_padded_one():
    """113 columns: (113 - 3) / 2 + 1 = 56, and (113 + 2 - 3) / 2 + 1 = 57."""
    images = (225, 225, 3)
    assert layer_shapes(alone(tails.caffe()), images)["pool1"] == (56, 56, 64)
    assert layer_shapes(alone(tails.resnet()), images)["pool1"] == (57, 57, 64)


def test_at_112_columns_the_one_hangs_over_the_right_edge_and_the_other_over_the_left():
    left, right = (
        seen(tail, size=64)[:, [0, -1]].sum(0) for tail in (tails.resnet(1), tails.caffe(1))
    )
    assert left[0] < right[0]
    assert left[1] > right[1]


@pytest.mark.slow
def test_the_tail_of_alexnet_is_the_zoos_up_to_how_it_starts():
    assert list(tails.alexnet()) == list(alexnet().tail)
    ours = layer_shapes(alone(tails.alexnet()), (227, 227, 3))
    assert ours == {
        name: shape
        for name, shape in layer_shapes(alexnet(), (227, 227, 3)).items()
        if name in ours
    }


def test_tails_have_normalization_where_they_say_so():
    for tail in (tails.resnet(), tails.caffe(), tails.senet(), tails.cifar()):
        assert "batch_stats" in abstract_variables(alone(tail), (64, 64, 3))
    for tail in (tails.plain(), tails.alexnet(), tails.vgg()):
        assert "batch_stats" not in abstract_variables(alone(tail), (64, 64, 3))
