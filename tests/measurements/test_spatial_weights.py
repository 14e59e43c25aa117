"""Learned weights by place: what they are initially, what they say, how they are plotted."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from studies import study_of
from subjects import made_model, made_sample

from ablax.core import Layers, Network
from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.layers import Convolution
from ablax.measurements.heads import (
    by_variant_and_seed,
    learned_weights,
    measure_place_weights,
    place_figure,
    place_weights,
)
from ablax.measurements.measurement import Sample
from ablax.model import Model
from ablax.report.study import Study
from ablax.zoo import heads

SHAPE = (4, 5, 1)
RANDOM = np.random.default_rng(0)
DEVIATION = RANDOM.normal(size=SHAPE[:2]).astype(np.float32)


def network(head: Layers) -> Network:
    return Network(Layers(conv=Convolution(3, 3)), Layers(), head)


def given(head: Layers, leaf: str = "", value: np.ndarray = DEVIATION) -> tuple[Model, Sample]:
    """A convolution and a head, one of whose parameters has a value of ours."""
    model = made_model(network(head), SHAPE)
    params = model.variables["params"]
    if leaf:
        layer, name = leaf.split("/")
        params = {**params, layer: {**params[layer], name: jnp.asarray(value)}}
    split = Split(np.zeros((2, *SHAPE), np.uint8), np.zeros(2, np.int32))
    return replace(model, variables={"params": params}), made_sample(split)


WEIGHED, SAMPLE = given(heads.spatial_weights(2), "weights/deviation")
LEARNED, _ = given(heads.pixel_learned(2), "mixture/location")


@pytest.mark.parametrize("head", [heads.spatial_weights(2), heads.pixel_learned(2)])
def test_weights_start_at_one_everywhere(head):
    start, _ = given(head)
    weights = learned_weights(start.network, start.variables["params"])
    np.testing.assert_allclose(weights, np.ones(SHAPE[:2]), rtol=1e-6)


def test_weights_are_the_factors_by_which_the_layer_multiplies():
    weights = learned_weights(WEIGHED.network, WEIGHED.variables["params"])
    maps = jnp.asarray(RANDOM.normal(size=(2, *SHAPE[:2], 3)), jnp.float32)
    layer = WEIGHED.network.head["weights"]
    given = layer.apply({"params": WEIGHED.variables["params"]["weights"]}, maps)
    np.testing.assert_allclose(given, maps * weights[None, :, :, None], rtol=1e-6)


def test_shares_of_a_learned_combination_are_one_on_average():
    weights = learned_weights(LEARNED.network, LEARNED.variables["params"])
    assert weights.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(weights / weights[0, 0], np.exp(DEVIATION - DEVIATION[0, 0]), 1e-5)


def test_a_head_without_weights_by_place_is_refused_with_its_layers():
    plain = given(heads.global_average_pool(2))
    with pytest.raises(AblaxError, match=r"no layer of the head \(average, classifier\)"):
        measure_place_weights(*plain)


def test_center_and_edge_are_the_means_of_disjoint_pixels():
    rows = tuple(measure_place_weights(WEIGHED, SAMPLE))
    quantities = place_weights().quantities
    inside = 1 + DEVIATION[1:-1, 1:-1]
    edge = (1 + DEVIATION).sum() - inside.sum()
    assert quantities["center_weight"].of(rows) == pytest.approx(inside.mean(), rel=1e-5)
    assert quantities["edge_weight"].of(rows) == pytest.approx(edge / (20 - 6), rel=1e-4)


def shown(seeds: int) -> Study:
    """Two heads, measured."""
    rows = [
        {"variant": name, "seed": seed, "step": 1, "epoch": 1.0, **row}
        for name, of in (("weighed", WEIGHED), ("learned", LEARNED))
        for seed in range(seeds)
        for row in measure_place_weights(of, SAMPLE)
    ]
    return study_of("place_weights", ("learned", "weighed"), seeds, rows)


def test_rows_become_the_maps_they_came_from_in_the_order_of_the_study():
    found = by_variant_and_seed(shown(2))
    assert list(found) == ["learned", "weighed"]
    assert list(found["weighed"]) == [0, 1]
    np.testing.assert_allclose(found["weighed"][1], 1 + DEVIATION, rtol=1e-6)


def test_the_picture_has_the_mean_the_seeds_and_a_scale_a_row():
    figure = place_figure(shown(2))
    titles = [axes.get_title(loc="center") for axes in figure.axes[:6]]
    assert titles == ["mean, n = 2", "seed 0", "seed 1"] * 2
    assert [axes.get_ylabel() for axes in figure.axes[6:]] == ["weight", "weight"]
    written = float(figure.axes[3].texts[0].get_text())
    assert written == pytest.approx(1 + DEVIATION[0, 0], abs=0.006)


def test_a_picture_of_nothing_says_so():
    figure = place_figure(shown(0))
    assert "nothing was measured" in [text.get_text() for text in figure.axes[0].texts]


def test_of_a_single_seed_there_is_no_mean():
    figure = place_figure(shown(1))
    assert [axes.get_title(loc="center") for axes in figure.axes[:2]] == ["seed 0", "seed 0"]
