"""VGG: the columns of table 1, and the form for small images."""

import pytest
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import count_parameters, layer_shapes, parameter_shapes, remove
from ablax.errors import AblaxError
from ablax.zoo import vgg as family
from ablax.zoo.vgg import A, vgg_a, vgg_a_lrn, vgg_b, vgg_c, vgg_d, vgg_e, vgg_small

SHAPE = (224, 224, 3)
BUILDS = (vgg_a, vgg_b, vgg_c, vgg_d, vgg_e)


def convolutions(network):
    """(name, features, window) of each, in order."""
    return [
        (name, layer.layers["conv"].features, layer.layers["conv"].window)
        for name, layer in network.layers.items()
        if name.startswith("conv")
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (vgg_a, 132_863_336),
        (vgg_a_lrn, 132_863_336),
        (vgg_b, 133_047_848),
        (vgg_c, 133_638_952),
        (vgg_d, 138_357_544),
        (vgg_e, 143_667_240),
    ],
)
def test_parameters_are_exactly_those_of_the_column(build, parameters):
    assert count_parameters(build(), SHAPE) == parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "layers"), [(vgg_a, 11), (vgg_b, 13), (vgg_c, 16), (vgg_d, 16), (vgg_e, 19)]
)
def test_a_column_has_as_many_layers_with_weights_as_its_heading_says(build, layers):
    kernels = [path for path in parameter_shapes(build(), SHAPE) if path.endswith("kernel")]
    assert len(kernels) == layers


def test_column_c_ends_three_stages_in_a_1x1_convolution():
    assert convolutions(vgg_c())[4:] == [
        *(("conv3_1", 256, 3), ("conv3_2", 256, 3), ("conv3_3", 256, 1)),
        *(("conv4_1", 512, 3), ("conv4_2", 512, 3), ("conv4_3", 512, 1)),
        *(("conv5_1", 512, 3), ("conv5_2", 512, 3), ("conv5_3", 512, 1)),
    ]


def test_each_stage_halves_rows_and_columns_and_the_head_reads_49_pixels():
    shapes = layer_shapes(vgg_d(), SHAPE)
    assert [shapes[f"pool{stage}"] for stage in range(1, 6)] == [
        *((112, 112, 64), (56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 512)),
    ]
    assert shapes["vectorize"] == (25_088,)
    assert shapes["fc6"] == shapes["fc7"] == (4096,)
    assert shapes["fc8"] == (1000,)


def test_a_lrn_is_a_with_a_normalization_behind_its_first_convolution():
    assert remove("norm1")(vgg_a_lrn()) == vgg_a()
    names = list(vgg_a_lrn().tail)
    assert names == ["conv1_1", "norm1", "pool1"]


def test_columns_grow_from_each_other_by_the_table():
    """B adds a convolution to two stages of A; C, D add one to three; E one more to three."""
    names = {build.__name__: {name for name, _, _ in convolutions(build())} for build in BUILDS}
    assert names["vgg_b"] - names["vgg_a"] == {"conv1_2", "conv2_2"}
    assert names["vgg_c"] - names["vgg_b"] == {"conv3_3", "conv4_3", "conv5_3"}
    assert names["vgg_d"] == names["vgg_c"]
    assert names["vgg_e"] - names["vgg_d"] == {"conv3_4", "conv4_4", "conv5_4"}


@pytest.mark.parametrize("size", [28, 32])
def test_the_small_form_leaves_one_pixel_of_small_images_of_any_channels(size):
    shapes = layer_shapes(vgg_small(7, A, width=1 / 32), (size, size, 1))
    assert shapes["pool5"] == (1, 1, 16)
    assert shapes["fc6"] == (7,)


def test_the_small_form_has_the_papers_convolutions_and_no_biases_in_front_of_normalization():
    assert convolutions(vgg_small()) == convolutions(vgg_d())
    found = [path for path in parameter_shapes(vgg_small(), (32, 32, 3)) if "conv/bias" in path]
    assert found == []
    assert count_parameters(vgg_small(), (32, 32, 3)) == 14_724_042


def test_width_scales_every_convolution_of_the_small_form():
    features = [features for _, features, _ in convolutions(vgg_small(stages=A, width=0.25))]
    assert features == [16, 32, 64, 64, 128, 128, 128, 128]
    with pytest.raises(AblaxError, match=r"width is 0\.0"):
        vgg_small(width=0.0)


@pytest.mark.parametrize("stages", [((3,), (3,)), ((3,), (3,), (), (3,), (3,))])
def test_five_stages_of_at_least_one_convolution_are_needed(stages):
    with pytest.raises(AblaxError, match="five stages of at least one convolution"):
        family.vgg(stages)


@pytest.mark.slow
def test_every_parameter_of_the_small_form_trains():
    assert leaves_without_gradient(vgg_small(4, A, width=1 / 16), (32, 32, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_shallowest_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(vgg_small(4, A, width=1 / 16), (32, 32, 3)) == 0
