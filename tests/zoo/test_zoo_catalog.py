"""Every network of the zoo: counted anew, and held against a count that is not ours."""

import jax
import jax.numpy as jnp
import pytest
from derivations import DERIVED

from ablax.analysis.cost import macs
from ablax.core import Layers, Network, abstract_variables, check, sequential
from ablax.errors import AblaxError
from ablax.layers import AveragePool, BatchNormalization, Convolution, MaxPool
from ablax.zoo import CATALOG, PUBLISHED, conventions, find
from ablax.zoo.register import Published


def named(entry):
    return entry.name


def counted(entry):
    """Parameters and multiply-accumulates of the network as it is built now."""
    network, shape = entry.build(), entry.image_shape
    variables = abstract_variables(network, shape)
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    return parameters, macs(network.apply, variables, image)


SMALL = [entry for entry in CATALOG if entry.macs < 2e8 and "1202" not in entry.name]


# Their blocks are counted as loops in the tests of their families, in a tenth of the time.
FOLDED = ("resnet1202", "preactivation1001")
# Deeper forms of networks that are counted at less depth.
DEEPER = (
    "msdnet_imagenet_k6",
    "msdnet_imagenet_k7",
    "densenet161",
    "densenet264",
    "densenet_bc_190_40",
    "densenet_bc_250_24",
    "dpn131",
    "resnet200_preactivation",
    "resnext101_64x4d",
    "se_resnet152",
)
COUNTED = [
    pytest.param(entry, marks=pytest.mark.deep if entry.name in DEEPER else pytest.mark.slow)
    for entry in CATALOG
    if entry.name not in FOLDED
]


@pytest.mark.parametrize("entry", COUNTED, ids=lambda entry: entry.name)
def test_counts_of_the_catalog_are_those_of_the_network(entry):
    assert counted(entry) == (entry.parameters, entry.macs)


@pytest.mark.parametrize("entry", CATALOG, ids=named)
def test_counts_of_the_catalog_are_those_of_others_or_derived_by_hand(entry):
    published = PUBLISHED.get(entry.name, Published())
    theirs = {published.parameters, published.macs}
    if entry.name in DERIVED:
        assert (entry.parameters, entry.macs) == DERIVED[entry.name]()
    else:
        assert None not in theirs, f"{entry.name} has neither a published count nor a derivation"
    assert theirs <= {entry.parameters, entry.macs, None}


def test_every_derivation_and_published_row_belongs_to_a_network():
    names = {entry.name for entry in CATALOG}
    assert set(DERIVED) <= names
    assert set(PUBLISHED) <= names


def test_names_of_the_catalog_differ():
    names = [entry.name for entry in CATALOG]
    assert len(set(names)) == len(names)


def test_errors_have_a_source_and_counts_have_one():
    for published in PUBLISHED.values():
        assert bool(published.error_source) == (published.top1 is not None)
        assert bool(published.counted) == (published.parameters is not None)


def test_find_returns_the_entry_and_refuses_with_the_nearest_name():
    assert find("vgg_d").build().layers["fc8"].features == 1000
    with pytest.raises(AblaxError, match=r"no network 'vgg_f'.*vgg_[a-e]"):
        find("vgg_f")


def test_conventions_are_read_off_the_layers_at_any_depth():
    network = Network(
        tail=Layers(conv1=sequential(conv=Convolution(2, 3), bn=BatchNormalization(epsilon=1e-3))),
        body=Layers(
            pool1=MaxPool(3, 2, ceil_mode=True),
            pool2=AveragePool(3, 2, padding=1, count_include_pad=True),
            pool3=AveragePool(2),
        ),
        head=Layers(),
    )
    assert conventions(network) == (
        "average pool counts its padding",
        "average pool rounds down",
        "batch-norm epsilon 0.001",
        "max pool rounds up",
    )


def test_equal_calls_build_equal_networks():
    for entry in SMALL[:12]:
        assert entry.build() == entry.build()


@pytest.mark.slow
@pytest.mark.parametrize("entry", SMALL[:8], ids=named)
def test_small_networks_fit_their_images(entry):
    check(entry.build(), entry.image_shape)
