"""Receptive fields of the zoo's networks beside the published ones; each is named by its layout.

ResNet-50, 101 and 152 of the paper halve in the first convolution of a stage, those of version 1.5
in its 3x3 convolution: that is why 483 stands beside 427. The figures of Araujo et al. are of
TF-Slim, which halves in the last unit of a stage and comes to the same 483.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ablax.analysis.receptive_field import chain_receptive_field
from ablax.core import Layers, Network
from ablax.inspection.fields import (
    PUBLISHED_FIELDS,
    maps,
    network_receptive_fields,
    published_table,
    spread_over_depth,
)
from ablax.layers import (
    BatchNormalization,
    Convolution,
    GroupNormalization,
    MaxPool,
    Nearest,
    Shift,
    Subsample,
)
from ablax.zoo import find

FAST = {"alexnet"}
NETWORKS = [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
    for name in dict.fromkeys(each.network for each in PUBLISHED_FIELDS)
]


@pytest.mark.parametrize("name", NETWORKS)
def test_receptive_fields_of_the_network_are_the_published_ones(name):
    entry = find(name)
    fields = network_receptive_fields(entry.build(), entry.image_shape, depth=1)
    for each in PUBLISHED_FIELDS:
        if each.network == name:
            ours = fields[each.layer]
            assert (ours.size, ours.stride) == ((each.size,) * 2, (each.stride,) * 2), each.layer
            assert not ours.bounded


def test_resnet_18_by_hand_is_435():
    blocks = [(3, 1)] * 4 + ([(3, 2)] + [(3, 1)] * 3) * 3
    assert chain_receptive_field([(7, 2), (3, 2), *blocks]) == 435


@pytest.mark.slow
@pytest.mark.parametrize("name", ["se_resnet50", "shufflenet_v1_g3", "densenet121", "resnet20"])
def test_every_layer_of_a_network_has_an_exact_field(name):
    entry = find(name)
    fields = network_receptive_fields(entry.build(), entry.image_shape)
    assert not [path for path, each in fields.items() if each.bounded]


def seen_by(layer, image_shape=(16, 16, 9)):
    network = Network(Layers(layer=layer), Layers(), Layers())
    return network_receptive_fields(network, image_shape)["layer"]


@pytest.mark.parametrize(
    ("layer", "size", "stride"),
    [
        (Convolution(8, 3, stride=2), (3, 3), 2),
        (Convolution(9, 3, groups=9, dilation=2), (5, 5), 1),
        (Convolution(9, 3, groups=3), (3, 3), 1),
        (Convolution(9, 1), (1, 1), 1),
        (MaxPool(3, stride=2), (3, 3), 2),
        (BatchNormalization(), (1, 1), 1),
        (Subsample(2), (1, 1), 2),
        (Shift(3), (1, 1), 1),
    ],
)
def test_fast_forms_of_a_layer_see_what_the_plain_one_sees(layer, size, stride):
    found = seen_by(layer)
    assert (found.size, found.stride, found.bounded) == (size, (stride, stride), False)


def test_group_normalization_sees_the_whole_image():
    assert seen_by(GroupNormalization(3)).share == 1


def test_shift_moves_each_group_of_channels_to_another_pixel():
    found = seen_by(Shift(3))
    assert found.of(0, 8, 8, 0) == ((7, 7), (7, 7))
    assert found.of(0, 8, 8, 8) == ((9, 9), (9, 9))


def test_nearest_pixels_share_what_they_see():
    found = seen_by(Nearest(2))
    assert found.of(0, 6, 7, 0) == found.of(0, 7, 6, 0) == ((3, 3), (3, 3))


@pytest.mark.slow
def test_fields_of_a_residual_network_grow_from_block_to_block():
    entry = find("resnet20")
    fields = network_receptive_fields(entry.build(), entry.image_shape, depth=1)
    sizes = [each.size[0] for each in maps(fields).values()]
    assert sizes == sorted(sizes)
    assert sizes[-1] == chain_receptive_field([(3, 1)] * 7 + ([(3, 2)] + [(3, 1)] * 5) * 2)


def test_layers_for_a_picture_are_spread_over_the_depth():
    entry = find("lenet5")
    fields = network_receptive_fields(entry.build(), entry.image_shape, depth=1)
    assert spread_over_depth(fields, 3) == ["c1", "c3", "c5"]
    assert spread_over_depth(fields, 9) == ["c1", "s2", "c3", "s4", "c5"]


@pytest.mark.slow
def test_page_holds_the_table_that_the_command_prints():
    page = (Path(__file__).parents[2] / "docs" / "receptive_fields.md").read_text("utf-8")
    table = [line for line in published_table("markdown").splitlines() if line.startswith("|")]
    assert "\n".join(table) in page
    assert " no |" not in page
