"""Whose weights a network takes: every name leads somewhere, and the reorderings keep scores."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_weights import drawn

from ablax.core import Layers, abstract_variables, edit, inner_layers
from ablax.errors import WeightsError
from ablax.layers import BatchNormalization, Convolution, MaxPool, PadChannels
from ablax.weights import names
from ablax.weights.load import from_torch, tensor_shapes
from ablax.weights.sources import (
    WEIGHT_SOURCES,
    find_source,
    imagenet,
    sources_of,
    tensorflow_conventions,
    zeros_behind,
)
from ablax.zoo import CATALOG, find
from ablax.zoo.mobilenet import mobilenet_v1
from ablax.zoo.resnet import resnet_cifar
from ablax.zoo.xception import xception

SMALL = ("resnet20", "squeezenet_1_1", "alexnet")


def test_every_network_with_an_origin_is_in_the_catalog():
    assert set(WEIGHT_SOURCES) <= {entry.name for entry in CATALOG}


def test_the_libraries_of_a_network_differ():
    for name, sources in WEIGHT_SOURCES.items():
        libraries = [source.library for source in sources]
        assert len(set(libraries)) == len(libraries), name


def names_that_do_not_fit(name):
    """Two leaves under one name, or a path that comes back as it was."""
    wrong = []
    for source in sources_of(name):
        network = find(name).build()
        network = source.change(network) if source.change else network
        shape = source.preprocessing.image_shape
        found = tensor_shapes(network, shape, source.names)  # refuses a name that stands twice
        leaves = jax.tree.leaves(abstract_variables(network, shape))
        wrong += [each for each in found if "/conv." in each or "/bn." in each]
        wrong += [name] if len(found) != len(leaves) else []
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_every_leaf_of_a_network_has_a_name_of_its_own_in_every_library(name):
    assert names_that_do_not_fit(name) == []


# The others' names are used by tests/parity, which loads drawn weights by them.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["caffenet", "googlenet", "mobilenet_v1", "vgg_d", "resnet101_v1", "xception"]
)
def test_every_leaf_of_a_large_network_has_a_name_of_its_own_in_every_library(name):
    assert names_that_do_not_fit(name) == []


def test_an_unknown_library_is_refused_with_those_there_are():
    with pytest.raises(WeightsError, match="choose from: torchvision, caffe"):
        find_source("vgg_d", "mxnet")


class ZerosAround(PadChannels):
    """Half of the zeros in front."""

    def __call__(self, x):
        zeros = (self.features - x.shape[-1]) // 2
        return jnp.pad(x, [(0, 0)] * 3 + [(zeros, zeros)])


@pytest.mark.slow
def test_zeros_around_the_channels_are_zeros_behind_in_another_order():
    """One network with `ZerosAround`, one with ours and the reordered tensors: the same scores."""
    ours = resnet_cifar(8, 10, features=4)

    def around(path, layer):
        name = path.rsplit("/", 1)[-1]
        return (
            Layers({name: ZerosAround(layer.features)}) if isinstance(layer, PadChannels) else None
        )

    theirs = edit(ours, around)
    shape = (8, 8, 3)
    shapes = tensor_shapes(ours, shape, names.cifar_resnet)
    tensors = {name: drawn(name, size, 1.0) for name, size in shapes.items()}
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, *shape)), jnp.float32)
    expected = theirs.apply(from_torch(theirs, shape, tensors, names.cifar_resnet), images)
    reordered = from_torch(ours, shape, zeros_behind(tensors), names.cifar_resnet)
    np.testing.assert_allclose(ours.apply(reordered, images), expected, rtol=1e-4, atol=1e-4)
    plain = ours.apply(from_torch(ours, shape, tensors, names.cifar_resnet), images)
    assert np.abs(plain - expected).max() > 1e-2 * np.abs(expected).max()


def test_a_stage_that_does_not_double_is_refused():
    tensors = {f"layer{k}.0.conv2.weight": np.zeros((4, 4, 3, 3)) for k in (1, 2, 3)}
    with pytest.raises(WeightsError, match="stage 2 has 4 channels behind 4"):
        zeros_behind(tensors)


def found_layers(network, kind):
    def walk(layers):
        for _, layer in layers.items():
            if isinstance(layer, kind):
                yield layer
            for inner in inner_layers(layer).values():
                yield from walk(inner)

    return list(walk(network.layers))


def test_tensorflows_conventions_reach_every_layer_and_leave_what_is_not_padded():
    changed = tensorflow_conventions(xception())
    assert {layer.epsilon for layer in found_layers(changed, BatchNormalization)} == {1e-3}
    assert {layer.padding for layer in found_layers(changed, MaxPool)} == {"SAME"}
    convolutions = [layer for layer in found_layers(changed, Convolution) if layer.window == 3]
    assert [layer.padding for layer in convolutions[:3]] == [0, 0, "SAME"]


def test_tensorflows_padding_is_one_pixel_behind_at_stride_2():
    """On 4 pixels with window 3 and stride 2, SAME pads (0, 1) and 1 pads (1, 1)."""
    conv = tensorflow_conventions(mobilenet_v1()).layers["conv1"].layers["conv"]
    ones = {"params": {"kernel": jnp.ones((3, 3, 1, conv.features))}}
    image = jnp.arange(16.0).reshape(1, 4, 4, 1)
    ours = conv.apply(ones, image)[0, :, :, 0]
    padded = jnp.pad(image[0, :, :, 0], (0, 1))
    by_hand = [[padded[r : r + 3, c : c + 3].sum() for c in (0, 2)] for r in (0, 2)]
    np.testing.assert_allclose(ours, by_hand)


def test_the_classes_of_imagenet_are_in_the_order_of_the_data_set():
    """Sorted by synset, as ImageNet's labels are; tensorflow-datasets names the same thousand."""
    from pathlib import Path

    import tensorflow_datasets as tfds

    folder = Path(tfds.__file__).parent / "image_classification"
    theirs = (folder / "imagenet_resized_labels.txt").read_text().split()
    assert list(imagenet()) == sorted(theirs)
