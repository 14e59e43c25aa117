"""AlexNet and CaffeNet: exact published counts, shapes layer by layer, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.analysis.cost import macs, macs_by_scope
from ablax.core import (
    abstract_variables,
    check,
    count_parameters,
    edit,
    initialize,
    layer_shapes,
    leaves_by_path,
    parameter_shapes,
    paths,
    reinitialized,
)
from ablax.core.edits import EditError
from ablax.core.network import Layers
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, MaxPool
from ablax.zoo.alexnet import (
    alexnet,
    alexnet_for,
    alexnet_one_weird_trick,
    alexnet_small,
    alexnet_ungrouped,
    caffenet,
    caffenet_ungrouped,
    without_3_4,
    without_3_4_6_7,
    without_6_7,
    without_7,
    without_groups,
)

PAPER = (227, 227, 3)


def abstract_call(network, image_shape):
    variables = abstract_variables(network, image_shape)
    return network.apply, variables, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)


@pytest.mark.parametrize(
    ("network", "size", "parameters"),
    [
        (alexnet(), 227, 60_965_224),
        (alexnet_ungrouped(), 224, 62_378_344),
        (alexnet_one_weird_trick(), 224, 61_100_840),
        (caffenet(), 227, 60_965_224),
        (caffenet_ungrouped(), 227, 62_378_344),
    ],
)
def test_parameters_are_exactly_those_of_the_paper(network, size, parameters):
    assert count_parameters(network, (size, size, 3)) == parameters


@pytest.mark.parametrize(
    ("network", "size", "expected"),
    [
        (alexnet(), 227, 724_406_816),
        (alexnet_ungrouped(), 224, 1_135_256_096),
        (alexnet_one_weird_trick(), 224, 714_188_480),
        (caffenet(), 227, 724_406_816),
    ],
)
def test_macs_are_those_counted_from_the_paper(network, size, expected):
    assert macs(*abstract_call(network, (size, size, 3))) == expected


def test_macs_of_each_layer_are_the_lectures_minus_its_biases():
    """L2 counts a bias as one MAC an output element; ours are the products alone."""
    found = macs_by_scope(*abstract_call(alexnet_ungrouped(), (224, 224, 3)))
    lecture = {
        "conv1/conv": 105_705_600 - 290_400,
        "conv2/conv": 448_084_224 - 186_624,
        "conv3/conv": 149_585_280 - 64_896,
        "conv4/conv": 224_345_472 - 64_896,
        "conv5/conv": 149_563_648 - 43_264,
        "fc6/dense": 37_752_832 - 4_096,
        "fc7/dense": 16_781_312 - 4_096,
        "fc8": 4_097_000 - 1_000,
    }
    assert {path.removeprefix("Network/"): count for path, count in found.items()} == lecture


@pytest.mark.parametrize(
    ("ablation", "removed"),
    [
        (without_7, 16_781_312),
        (without_6_7, 49_414_144),
        (without_3_4, 1_696_512),
    ],
)
def test_the_lectures_ablations_remove_about_16_50_and_1_million_parameters(ablation, removed):
    before, after = alexnet(), ablation(alexnet())
    assert count_parameters(before, PAPER) - count_parameters(after, PAPER) == removed


def test_removing_3_and_4_without_groups_removes_2_5_million():
    before, shape = alexnet_ungrouped(), (224, 224, 3)
    after = without_3_4(before)
    assert count_parameters(before, shape) - count_parameters(after, shape) == 2_507_520


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (alexnet(), 227),
        (alexnet_ungrouped(), 224),
        (caffenet(), 227),
    ],
)
def test_alexnet_goes_through_the_shapes_of_figure_2(network, size):
    shapes = layer_shapes(network, (size, size, 3))
    assert shapes["conv1"] == (55, 55, 96)
    assert shapes["pool1"] == (27, 27, 96)
    assert shapes["conv2"] == (27, 27, 256)
    assert shapes["pool2"] == (13, 13, 256)
    assert shapes["conv3"] == shapes["conv4"] == (13, 13, 384)
    assert shapes["pool5"] == (6, 6, 256)
    assert shapes["fc6"] == shapes["fc7"] == (4096,)
    assert shapes["fc8"] == (1000,)


def test_one_column_has_torchvisions_features_and_sizes():
    shapes = layer_shapes(alexnet_one_weird_trick(), (224, 224, 3))
    assert [shapes[f"conv{number}"] for number in range(1, 6)] == [
        (55, 55, 64),
        (27, 27, 192),
        (13, 13, 384),
        (13, 13, 256),
        (13, 13, 256),
    ]
    assert shapes["pool5"] == (6, 6, 256)


def test_one_column_drops_in_front_of_its_dense_layers():
    network = alexnet_one_weird_trick()
    assert list(network.head["fc7"].layers) == ["dropout", "dense", "relu"]
    assert list(alexnet().head["fc7"].layers) == ["dense", "relu", "dropout"]


def test_caffenet_pools_before_it_normalizes_and_is_alexnet_otherwise():
    order = [name for name in paths(alexnet()) if "/" not in name]
    for number in ("1", "2"):
        order.remove(f"pool{number}")
        order.insert(order.index(f"norm{number}"), f"pool{number}")
    assert [name for name in paths(caffenet()) if "/" not in name] == order


def test_caffenets_normalization_divides_alpha_by_the_channels_of_its_sum():
    """Caffe: x / (1 + alpha / 5 sum of squares)^0.75, with alpha 1e-4."""
    norm = caffenet().layers["norm1"]
    x = 100 * np.random.default_rng(0).normal(size=(1, 1, 1, 5)).astype(np.float32)
    middle = x[..., 2] / (1 + 1e-4 / 5 * (x**2).sum()) ** 0.75
    np.testing.assert_allclose(norm.apply({}, jnp.asarray(x))[..., 2], middle, rtol=1e-5)


@pytest.mark.slow
def test_caffes_rounding_makes_no_difference_at_227_and_does_at_224():
    def floor(path, layer):
        if isinstance(layer, MaxPool):
            return Layers({path: layer.copy(ceil_mode=False)})
        return None

    floored = edit(caffenet(), floor)
    shapes = [layer_shapes(network, (227, 227, 3)) for network in (caffenet(), floored)]
    assert shapes[0] == shapes[1]
    assert layer_shapes(caffenet(), (224, 224, 3))["pool1"] == (27, 27, 96)
    assert layer_shapes(floored, (224, 224, 3))["pool1"] == (26, 26, 96)


def test_without_groups_changes_the_kernels_of_the_grouped_convolutions_alone():
    before, after = (parameter_shapes(n, PAPER) for n in (caffenet(), caffenet_ungrouped()))
    changed = {path for path, shape in after.items() if shape != before[path]}
    assert changed == {f"conv{number}/conv/kernel" for number in (2, 4, 5)}
    with pytest.raises(EditError, match="changes nothing"):
        without_groups(caffenet_ungrouped())


@pytest.mark.slow
@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("width", [1 / 32, 0.25, 1.0])
def test_the_small_form_takes_small_images_of_any_channels_at_any_width(size, channels, width):
    check(alexnet_small(7, width), (size, size, channels), classes=7)


def test_the_small_form_has_the_papers_layers_without_groups():
    network = alexnet_small(10)
    assert paths(network) == paths(alexnet())
    kinds = {path: layer for path, layer in network.layers.items() if isinstance(layer, MaxPool)}
    assert kinds == {name: MaxPool(3, 2) for name in ("pool1", "pool2", "pool5")}


def test_width_scales_every_layer_but_the_last():
    network = alexnet_small(10, 0.25)
    features = {}
    for name, layer in network.layers.items():
        for inner in getattr(layer, "layers", {"": layer}).items():
            if isinstance(inner[1], Convolution | Dense):
                features[name] = inner[1].features
    assert features == {
        **{"conv1": 24, "conv2": 64, "conv3": 96, "conv4": 96, "conv5": 64},
        **{"fc6": 1024, "fc7": 1024, "fc8": 10},
    }


def test_alexnet_for_chooses_the_form_by_the_size_of_the_images():
    assert alexnet_for(227, 5) == alexnet(5)
    assert alexnet_for(224, 5) == alexnet_ungrouped(5)
    assert alexnet_for(32, 5, 0.5) == alexnet_small(5, 0.5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: alexnet_for(100, 10), "100 pixels.*224.*227"),
        (lambda: alexnet_for(224, 10, 0.5), "at width 1"),
        (lambda: alexnet_small(10, 0.0), "width is 0.0"),
    ],
)
def test_sizes_that_do_not_exist_are_refused(build, message):
    with pytest.raises(AblaxError, match=message):
        build()


def test_equal_calls_build_equal_networks():
    assert alexnet() == alexnet()
    assert hash(alexnet()) == hash(alexnet())
    assert alexnet() != alexnet_ungrouped()


@pytest.mark.slow
@pytest.mark.deep
def test_the_network_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(alexnet_small(4, 1 / 16), (32, 32, 1)) == 0


@pytest.mark.slow
def test_every_parameter_trains():
    assert leaves_without_gradient(alexnet_small(4, 1 / 32), (28, 28, 1)) == []


@pytest.mark.slow
def test_every_variant_of_the_lecture_starts_bit_equal_to_the_whole_network():
    """Of any seed, wherever name and shape agree; `reinitialized` names the others."""
    shape, whole = (28, 28, 1), alexnet_small(10, 1 / 32)
    parent = leaves_by_path(initialize(whole, 1, shape)["params"])
    cuts = (
        without_7,
        without_6_7,
        without_3_4,
        without_3_4_6_7,
    )
    for cut in cuts:
        child = leaves_by_path(initialize(cut(whole), 1, shape)["params"])
        named = reinitialized(whole, cut(whole), shape)
        equal = {path for path, leaf in child.items() if jnp.array_equal(leaf, parent[path])}
        assert set(child) - equal == set(named)
