"""MobileNet V1: table 1 of the paper."""

import pytest
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import count_parameters, layer_shapes, parameter_shapes, paths
from ablax.core.edits import EditError
from ablax.errors import AblaxError
from ablax.layers import ReLU, ReLU6
from ablax.zoo.mobilenet import clipped, mobilenet_v1, mobilenet_v1_small

SHAPE = (224, 224, 3)


def test_parameters_are_exactly_those_of_timm():
    assert count_parameters(mobilenet_v1(), SHAPE) == 4_231_976


def test_it_has_the_28_layers_of_the_paper():
    kernels = [path for path in parameter_shapes(mobilenet_v1(), SHAPE) if path.endswith("kernel")]
    assert len(kernels) == 28


@pytest.mark.slow
def test_it_goes_through_the_input_sizes_of_table_1():
    """The column of a layer's input is what the layer before gives."""
    shapes = layer_shapes(mobilenet_v1(), SHAPE)
    gives = {
        "conv1": (112, 112, 32),
        "conv2_dw": (112, 112, 32),
        "conv2_pw": (112, 112, 64),
        "conv3_dw": (56, 56, 64),
        "conv3_pw": (56, 56, 128),
        "conv4_dw": (56, 56, 128),
        "conv4_pw": (56, 56, 128),
        "conv5_dw": (28, 28, 128),
        "conv5_pw": (28, 28, 256),
        "conv6_dw": (28, 28, 256),
        "conv6_pw": (28, 28, 256),
        "conv7_dw": (14, 14, 256),
        "conv7_pw": (14, 14, 512),
        **{f"conv{n}_{half}": (14, 14, 512) for n in range(8, 13) for half in ("dw", "pw")},
        "conv13_dw": (7, 7, 512),
        "conv13_pw": (7, 7, 1024),
        "conv14_dw": (7, 7, 1024),
        "conv14_pw": (7, 7, 1024),
        "average": (1024,),
        "fc": (1000,),
    }
    assert {name: shape for name, shape in shapes.items() if "/" not in name} == gives


def test_a_depthwise_layer_has_one_window_a_channel():
    shapes = parameter_shapes(mobilenet_v1(), SHAPE)
    assert shapes["conv5_dw/conv/kernel"] == (3, 3, 1, 128)
    assert shapes["conv5_pw/conv/kernel"] == (1, 1, 128, 256)


def features(network):
    return [
        layer.layers["conv"].features
        for layer in dict((network.tail + network.body).items()).values()
    ]


@pytest.mark.parametrize("width", [0.25, 0.5, 0.75])
def test_width_multiplies_the_channels_of_every_layer_but_the_last(width):
    whole, narrow = mobilenet_v1(10), mobilenet_v1(10, width)
    assert features(narrow) == [width * count for count in features(whole)]
    assert narrow.head == whole.head


@pytest.mark.slow
@pytest.mark.parametrize(("size", "left"), [(28, 2), (64, 4)])
def test_the_small_form_halves_four_times_and_takes_any_channels(size, left):
    shapes = layer_shapes(mobilenet_v1_small(7, width=1 / 16), (size, size, 1))
    assert shapes["conv14_pw"] == (left, left, 64)
    assert shapes["fc"] == (7,)


def test_the_small_form_is_the_large_one_but_for_the_stride_of_its_first_convolution():
    large, small = mobilenet_v1(10), mobilenet_v1_small(10)
    assert small.body == large.body
    assert small.head == large.head
    assert paths(small) == paths(large)


def test_clipped_exchanges_every_relu_and_nothing_else():
    whole, cut = mobilenet_v1(), clipped(mobilenet_v1())
    assert paths(cut) == paths(whole)
    kinds = [type(layer.layers["relu"]) for layer in dict((cut.tail + cut.body).items()).values()]
    assert set(kinds) == {ReLU6}
    assert type(whole.layers["conv14_pw"].layers["relu"]) is ReLU
    with pytest.raises(EditError, match="the network has no ReLU to replace"):
        clipped(cut)


@pytest.mark.parametrize("build", [mobilenet_v1, mobilenet_v1_small])
def test_a_width_that_leaves_nothing_is_refused(build):
    with pytest.raises(AblaxError, match="width is -1"):
        build(10, -1.0)


@pytest.mark.slow
def test_every_parameter_of_the_small_form_trains():
    assert leaves_without_gradient(mobilenet_v1_small(4, 1 / 8), (32, 32, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_small_form_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(mobilenet_v1_small(4, 1 / 8), (32, 32, 3)) == 0
