"""Every network of the zoo: counted anew, and held against a count that is not ours."""

import importlib
import inspect

import jax
import jax.numpy as jnp
import pytest
from derivations import DERIVED

import ablax
from ablax.analysis.cost import macs
from ablax.core import Layers, Network, abstract_variables, check, sequential
from ablax.errors import AblaxError
from ablax.layers import AveragePool, BatchNormalization, Convolution, MaxPool
from ablax.weights.sources import sources_of
from ablax.zoo import CATALOG, card, conventions, create, find, names, network, untrained
from ablax.zoo.register import BY_HAND, TIMM, TORCHVISION, entry_of


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
def test_counts_of_the_register_are_those_of_the_network(entry):
    assert counted(entry) == (entry.parameters, entry.macs)


@pytest.mark.parametrize("entry", CATALOG, ids=named)
def test_counts_of_the_register_are_those_of_a_library_or_derived_by_hand(entry):
    if entry.name in DERIVED:
        assert (entry.parameters, entry.macs) == DERIVED[entry.name]()
    else:
        assert entry.counted in (TORCHVISION, TIMM)
    assert entry.counted in (TORCHVISION, TIMM, BY_HAND, "")


def test_every_derivation_belongs_to_a_network():
    assert set(DERIVED) <= set(names())


def test_a_network_is_called_as_it_is_imported():
    for entry in CATALOG:
        module = importlib.import_module(entry.build.__module__)
        assert getattr(module, entry.name) is getattr(ablax.zoo, entry.name) is entry.build
        assert entry.build.__qualname__ == entry.name
        assert entry.build.__module__.startswith("ablax.zoo.")


def test_the_first_argument_of_every_network_is_the_number_of_classes():
    for entry in CATALOG:
        first, *_ = inspect.signature(entry.build).parameters
        assert first == "classes", entry.name
    assert untrained("vgg_small", None, classes=3).network.head["fc6"].features == 3


def test_what_is_said_of_a_network_stands_below_its_docstring():
    text = ablax.zoo.squeezenet_1_0.__doc__
    assert text.startswith("SqueezeNet of the paper's table 1")
    assert text.endswith(
        "Images of 224x224x3.\n1,248,424 parameters, 818,924,576 multiply-accumulates.\n"
        "Error, %: 42.5 / 19.7 (Iandola et al. 2016, table 3)."
    )
    assert "the table of `ablax.zoo.densenet`" in ablax.zoo.densenet121.__doc__


def test_errors_have_a_source():
    for entry in CATALOG:
        assert bool(entry.source) == bool(entry.errors)
        assert len(entry.errors) <= 2
        assert list(entry.errors) == sorted(entry.errors, reverse=True)


def test_names_are_found_by_a_pattern_in_the_order_of_the_families():
    assert names("dense*")[:2] == ["densenet121", "densenet169"]
    assert names("resnet[0-9][0-9]") == [
        *("resnet18", "resnet34", "resnet50", "resnet20", "resnet32", "resnet44", "resnet56")
    ]
    assert names() == [entry.name for entry in CATALOG]
    assert names("of_nobody*") == []


def test_a_network_is_created_by_its_name_with_the_arguments_of_its_function():
    assert create("resnet20", classes=3) == ablax.zoo.resnet20(3)
    assert create("alexnet_small", width=0.5) == ablax.zoo.alexnet_small(width=0.5)
    assert create("ablax.zoo:lenet5") == ablax.zoo.lenet5()
    with pytest.raises(AblaxError, match="no network 'resnet21': did you mean 'resnet"):
        create("resnet21")
    with pytest.raises(
        AblaxError, match=r"resnet20 has no argument 'clases': did you .* 'classes'"
    ):
        create("resnet20", clases=3)


def test_a_card_says_images_counts_errors_and_weights():
    said = dict(card("resnet50_v1").rows())
    assert said["image"] == "224x224x3"
    assert said["parameters"] == "25,557,032 (by hand from the paper's table)"
    assert said["MACs"] == "3,857,973,248"
    assert said["error, %"].startswith("20.74 / 5.25 (")
    assert said["weights"] == "caffe ResNet-50"
    text = str(card("resnet50"))
    assert text.splitlines()[0] == "resnet50"
    assert "resnet50-11ad3fa6.pth, error 19.142 / 4.566 %" in text
    with pytest.raises(AblaxError, match="no network 'resnet51': did you mean 'resnet"):
        card("resnet51")


def test_a_card_is_a_table_in_a_notebook_and_escapes_what_it_says():
    html = card("resnet34")._repr_html_()
    assert "<th>MACs</th><td>3,663,761,408</td>" in html
    assert "the lecture&#x27;s table" in html
    assert html.count("<tr>") == len(card("resnet34").rows())


def test_every_source_of_weights_stands_on_a_card():
    for entry in CATALOG:
        assert card(entry.name).weights == sources_of(entry.name)


def test_a_network_of_another_package_stays_out_of_the_zoo_and_has_its_figures():
    @network(image=8, parameters=5, macs=7, errors=(3.0,), source="nobody")
    def mine(classes=10):
        return ablax.zoo.lenet5(classes)

    entry = entry_of("mine:mine", mine)
    assert (entry.image_shape, entry.parameters, entry.macs) == ((8, 8, 3), 5, 7)
    assert entry.error == "3 (nobody)"
    assert "mine" not in names()


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
