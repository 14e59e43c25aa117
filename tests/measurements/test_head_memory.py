"""What the head costs, against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from studies import study_of
from subjects import made_sample

from ablax.core import Layers, Network, with_head
from ablax.data.images import Split
from ablax.layers import Convolution
from ablax.measurements.heads import (
    head_memory,
    head_table,
    kibibytes,
    measure_head_memory,
    part_costs,
)
from ablax.measurements.measurement import Sample
from ablax.model import Model
from ablax.zoo import heads, lenet5

SHAPE = (6, 8, 1)
PIXELS, FEATURES, CLASSES = 6 * 8, 4, 3


def two_layers(head: Layers) -> Network:
    """A 3x3 convolution that keeps the size, and a head."""
    return Network(Layers(conv=Convolution(FEATURES, 3)), Layers(), head)


@pytest.mark.parametrize(
    ("head", "parameters", "activations", "macs"),
    [
        # one weight for each feature of each pixel and class
        (
            heads.vectorize(CLASSES, ()),
            PIXELS * FEATURES * CLASSES + CLASSES,
            CLASSES,
            PIXELS * FEATURES * CLASSES,
        ),
        # the mean of each map is written before it is classified
        (
            heads.global_average_pool(CLASSES),
            FEATURES * CLASSES + CLASSES,
            FEATURES + CLASSES,
            FEATURES * CLASSES,
        ),
        # every pixel is classified: as many parameters, and as many products as vectorize
        (
            heads.pixel_average(CLASSES),
            FEATURES * CLASSES + CLASSES,
            PIXELS * CLASSES + CLASSES,
            PIXELS * FEATURES * CLASSES,
        ),
    ],
)
def test_heads_on_a_convolution_cost_what_is_counted_by_hand(head, parameters, activations, macs):
    costs = part_costs(two_layers(head), SHAPE)
    assert costs["head"]["parameters"] == parameters
    assert costs["head"]["activations"] == activations
    assert costs["head"]["macs"] == macs
    assert costs["tail and body"]["parameters"] == 9 * FEATURES + FEATURES
    assert costs["tail and body"]["activations"] == PIXELS * FEATURES
    assert costs["tail and body"]["macs"] == PIXELS * FEATURES * 9


def test_what_moves_through_a_linear_head_is_its_input_its_parameters_and_its_scores():
    head = part_costs(two_layers(heads.vectorize(CLASSES, ())), SHAPE)["head"]
    assert head["moved"] == PIXELS * FEATURES + head["parameters"] + CLASSES


def test_the_parts_of_lenet5_are_those_of_its_table():
    costs = part_costs(lenet5(), (32, 32, 1))
    # f6: 120 x 84 + 84, output: 84 x 10 + 10
    assert costs["head"]["parameters"] == 10_164 + 850
    assert costs["head"]["macs"] == 120 * 84 + 84 * 10
    assert costs["tail and body"]["parameters"] == 61_706 - 11_014


def test_place_costs_a_weight_a_pixel():
    plain, weighed = (
        part_costs(two_layers(head), SHAPE)["head"]["parameters"]
        for head in (heads.global_average_pool(CLASSES), heads.spatial_weights(CLASSES))
    )
    assert weighed - plain == PIXELS


def given(name: str, network: Network) -> tuple[Model, Sample]:
    """Memory is counted before training, so that nothing but shapes matters."""
    split = Split(np.zeros((2, 32, 32, 1), np.uint8), np.zeros(2, np.int32))
    return Model.untrained(network, (32, 32, 1), None), made_sample(split, variant=name)


def test_the_table_has_a_row_a_variant_with_the_figures_of_its_own_network():
    networks = {"average": with_head(heads.global_average_pool(10))(lenet5()), "dense": lenet5()}
    rows = [
        {"variant": name, "seed": 0, "step": 0, "epoch": 0.0, **row}
        for name, network in networks.items()
        for row in measure_head_memory(*given(name, network))
    ]
    table = head_table(study_of("head_memory", tuple(networks), 1, rows))
    assert [row[0] for row in table.rows] == ["Average", "Dense"]
    assert (table.rows[1][1], table.rows[1][5]) == ("11,014", "50,692")
    assert all(len(row) == len(table.columns) for row in table.rows)


@pytest.mark.parametrize(
    ("numbers", "text"), [(0, "0"), (256, "1.00"), (25_600, "100"), (650, "2.54"), (10, "0.0391")]
)
def test_kibibytes_have_three_digits(numbers, text):
    assert kibibytes(numbers) == text


def test_memory_is_counted_once_whatever_the_seeds():
    measurement = head_memory()
    assert measurement.wanted("full", 0, "start")
    assert not measurement.wanted("full", 1, "start")
    assert not measurement.wanted("full", 0, "end")
