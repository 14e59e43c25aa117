"""AlexNet and LeNet-5: exact published counts, shapes layer by layer, refusals."""

import jax
import jax.numpy as jnp
import pytest

from ablax import ablations
from ablax.analysis.cost import macs, macs_by_scope
from ablax.core import (
    abstract_variables,
    check,
    count_parameters,
    initialize,
    leaves_by_path,
    paths,
    redrawn,
)
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, MaxPool
from ablax.zoo import CATALOG, alexnet, alexnet_for, alexnet_small, alexnet_ungrouped, lenet5

PAPER = (227, 227, 3)


def abstract_call(network, image_shape):
    variables = abstract_variables(network, image_shape)
    return network.apply, variables, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)


@pytest.mark.parametrize(
    ("network", "shape", "parameters"),
    [
        (lenet5(), (32, 32, 1), 61_706),
        (lenet5(image_size=28), (28, 28, 1), 61_706),
        (alexnet(), PAPER, 60_965_224),
        (alexnet_ungrouped(), (224, 224, 3), 62_378_344),
    ],
)
def test_parameters_are_exactly_those_of_the_paper(network, shape, parameters):
    assert count_parameters(network, shape) == parameters


@pytest.mark.parametrize(
    ("network", "shape", "expected"),
    [
        (lenet5(), (32, 32, 1), 416_520),
        (alexnet(), PAPER, 724_406_816),
        (alexnet_ungrouped(), (224, 224, 3), 1_135_256_096),
    ],
)
def test_macs_are_those_counted_from_the_paper(network, shape, expected):
    assert macs(*abstract_call(network, shape)) == expected


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
        (ablations.without_7, 16_781_312),
        (ablations.without_6_7, 49_414_144),
        (ablations.without_3_4, 1_696_512),
    ],
)
def test_the_lectures_ablations_remove_about_16_50_and_1_million_parameters(ablation, removed):
    before, after = alexnet(), ablation(alexnet())
    assert count_parameters(before, PAPER) - count_parameters(after, PAPER) == removed


def test_removing_3_and_4_without_groups_removes_2_5_million():
    before, shape = alexnet_ungrouped(), (224, 224, 3)
    after = ablations.without_3_4(before)
    assert count_parameters(before, shape) - count_parameters(after, shape) == 2_507_520


@pytest.mark.parametrize("network", [alexnet(), alexnet_ungrouped()])
def test_alexnet_goes_through_the_shapes_of_figure_2(network):
    size = 227 if network == alexnet() else 224
    variables = abstract_variables(network, (size, size, 3))
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    _, state = jax.eval_shape(
        lambda v, x: network.apply(v, x, capture_intermediates=True, mutable=["intermediates"]),
        variables,
        images,
    )
    shapes = {
        name: entry["__call__"][0].shape[1:]
        for name, entry in state["intermediates"].items()
        if name != "__call__"
    }
    assert shapes["conv1"] == (55, 55, 96)
    assert shapes["pool1"] == (27, 27, 96)
    assert shapes["conv2"] == (27, 27, 256)
    assert shapes["pool2"] == (13, 13, 256)
    assert shapes["conv3"] == shapes["conv4"] == (13, 13, 384)
    assert shapes["pool5"] == (6, 6, 256)
    assert shapes["fc6"] == shapes["fc7"] == (4096,)
    assert shapes["fc8"] == (1000,)


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
        (lambda: lenet5(10, 64), "32 pixels, or 28.*64"),
    ],
)
def test_sizes_that_do_not_exist_are_refused(build, message):
    with pytest.raises(AblaxError, match=message):
        build()


def test_every_network_of_the_catalog_fits_its_images_and_has_a_name_of_its_own():
    names = [entry.name for entry in CATALOG]
    assert len(set(names)) == len(names)
    for entry in CATALOG:
        check(entry.build(), entry.image_shape)


def test_equal_calls_build_equal_networks():
    assert alexnet() == alexnet()
    assert hash(alexnet()) == hash(alexnet())
    assert alexnet() != alexnet_ungrouped()


@pytest.mark.parametrize("network", [alexnet_small(4, 1 / 16), lenet5(4)])
def test_the_network_drives_a_small_batch_to_zero_error(network):
    import optax

    images = jax.random.uniform(jax.random.key(0), (8, 32, 32, 1)) * 2 - 1
    labels = jnp.arange(8) % 4
    params = initialize(network, 0, (32, 32, 1))["params"]
    optimizer = optax.adam(3e-3)

    def loss(params):
        scores = network.apply({"params": params}, images)
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    (params, _), _ = jax.jit(lambda c: jax.lax.scan(step, c, None, length=60))(
        (params, optimizer.init(params))
    )
    assert (network.apply({"params": params}, images).argmax(1) == labels).all()


def test_every_variant_of_the_lecture_starts_bit_equal_to_the_whole_network():
    """Of any seed, wherever name and shape agree; what is redrawn is what `redrawn` names."""
    shape, whole = (28, 28, 1), alexnet_small(10, 1 / 32)
    parent = leaves_by_path(initialize(whole, 1, shape)["params"])
    cuts = (
        ablations.without_7,
        ablations.without_6_7,
        ablations.without_3_4,
        ablations.without_3_4_6_7,
    )
    for cut in cuts:
        child = leaves_by_path(initialize(cut(whole), 1, shape)["params"])
        named = redrawn(whole, cut(whole), shape)
        equal = {path for path, leaf in child.items() if jnp.array_equal(leaf, parent[path])}
        assert set(child) - equal == set(named)
