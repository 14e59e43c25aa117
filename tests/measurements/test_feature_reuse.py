"""Feature reuse: weights by source, on kernels of known values, and how they are plotted."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from studies import study_of

from ablax.core import Layers, Network, abstract_variables
from ablax.errors import AblaxError
from ablax.layers import Convolution
from ablax.measurements.feature_reuse import NAME, feature_reuse, reuse_figure, reuse_map, uses
from ablax.zoo import heads
from ablax.zoo.densenet import blocks, plain

NETWORK = Network(
    Layers(conv=Convolution(2, 1)),
    blocks((2, 1), 3, 2, plain, compression=0.5),
    heads.global_average_pool(2),
)
RANDOM = np.random.default_rng(0)


def shapes(network: Network) -> dict:
    return abstract_variables(network, (4, 4, 1))["params"]


def filled(network: Network) -> dict:
    return jax.tree.map(lambda leaf: RANDOM.normal(size=leaf.shape), shapes(network))


FILLED = filled(NETWORK)


def found(params: dict) -> dict[tuple[str, str], float]:
    return {(use.layer, use.source): use.relative for use in uses(NETWORK, params)}


def test_every_layer_reads_all_before_it_and_what_follows_a_block_reads_the_whole_block():
    assert [(use.block, use.layer, use.source, use.back) for use in uses(NETWORK, FILLED)] == [
        (1, "dense1_1", "input", 1),
        (1, "dense1_2", "input", 2),
        (1, "dense1_2", "dense1_1", 1),
        (1, "transition1", "input", 3),
        (1, "transition1", "dense1_1", 2),
        (1, "transition1", "dense1_2", 1),
        (2, "dense2_1", "input", 1),
        (2, "classifier", "input", 2),
        (2, "classifier", "dense2_1", 1),
    ]


def test_a_source_weighs_the_mean_of_scale_times_kernel_over_its_own_channels():
    layer = FILLED["transition1"]
    channels = np.abs(layer["bn"]["scale"]) * np.abs(layer["conv"]["kernel"][0, 0]).mean(axis=1)
    assert channels.shape == (2 + 3 + 3,)
    last = next(
        use for use in uses(NETWORK, FILLED) if use.layer == "transition1" and use.back == 1
    )
    assert last.weight == pytest.approx(channels[5:].mean())
    assert last.relative == pytest.approx(channels[5:].mean() / channels.mean())


def test_a_classifier_is_read_with_the_scale_of_the_last_normalization():
    channels = np.abs(FILLED["activation"]["bn"]["scale"])
    channels = channels * np.abs(FILLED["classifier"]["kernel"]).mean(axis=1)
    assert found(FILLED)["classifier", "input"] == pytest.approx(
        channels[:4].mean() / channels.mean()
    )


def test_equal_weights_are_all_one_and_a_factor_moved_to_the_scale_changes_nothing():
    ones = jax.tree.map(lambda leaf: np.ones(leaf.shape), shapes(NETWORK))
    assert set(found(ones).values()) == {1.0}
    moved = jax.tree.map(np.array, FILLED)
    factors = np.arange(1.0, 6.0)
    layer = moved["dense1_2"]["conv1"]
    layer["bn"]["scale"] = layer["bn"]["scale"] * factors
    layer["conv"]["kernel"] = layer["conv"]["kernel"] / factors[:, None]
    assert found(moved) == pytest.approx(found(FILLED), rel=1e-5)


def test_a_network_without_dense_blocks_is_refused():
    plain_network = Network(Layers(conv=Convolution(2, 1)), Layers(), heads.global_average_pool(2))
    with pytest.raises(AblaxError, match="no layer of the network is DenselyConnected"):
        uses(plain_network, {})


def test_quantities_tell_transitions_neighbors_and_halves_of_the_classifier_apart():
    network = Network(
        Layers(), blocks((1, 2), 1, 1, plain, compression=1.0), heads.global_average_pool(2)
    )
    rows = tuple(use._asdict() for use in uses(network, filled(network)))
    value = {(row["layer"], row["source"]): row["relative"] for row in rows}
    given = {name: of.of(rows) for name, of in feature_reuse().quantities.items()}
    first, second = "dense2_1", "dense2_2"
    expected = {
        "reuse_transition": [value[second, "input"], value["classifier", "input"]],
        "reuse_inside": [
            value[second, first],
            value["classifier", first],
            value["classifier", second],
        ],
        "reuse_nearest": [
            value["transition1", "dense1_1"],
            value[second, first],
            value["classifier", second],
        ],
        "reuse_distant": [value["classifier", first]],
        "classifier_early": [value["classifier", "input"]],
        "classifier_late": [value["classifier", second]],
    }
    assert given == pytest.approx({name: np.mean(of) for name, of in expected.items()})


def rows_of(names: tuple[str, ...], seeds: int) -> list[dict]:
    return [
        {"variant": name, "seed": seed, "step": 1, "epoch": 1.0, **use._asdict()}
        for name in names
        for seed in range(seeds)
        for use in uses(NETWORK, FILLED)
    ]


def test_a_map_holds_the_mean_over_seeds_and_nothing_above_the_diagonal():
    rows = [{**row, "relative": row["relative"] + row["seed"]} for row in rows_of(("a",), 2)]
    readers, sources, values = reuse_map([row for row in rows if row["block"] == 1])
    assert readers == ["dense1_1", "dense1_2", "transition1"]
    assert sources == ["input", "dense1_1", "dense1_2"]
    np.testing.assert_array_equal(np.isnan(values), np.triu(np.ones((3, 3)), 1).astype(bool))
    assert values[1, 1] == pytest.approx(found(FILLED)["dense1_2", "dense1_1"] + 0.5)


def test_the_picture_has_a_row_a_variant_a_panel_a_block_and_one_scale():
    figure = reuse_figure(study_of(NAME, ("a", "b", "c"), 2, rows_of(("a", "b"), 2)))
    assert len(figure.axes) == 2 * 2 + 1
    assert figure.axes[0].get_ylabel().startswith("A: read by")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["1", "2", "out"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["in", "1", "2"]


def test_a_picture_without_rows_says_that_nothing_was_measured():
    figure = reuse_figure(study_of(NAME, ("a",), 1, ()))
    assert figure.axes[0].texts[0].get_text() == "nothing was measured"
