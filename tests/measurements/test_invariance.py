"""Distances and scores under transformations, against numpy; what the report makes of them."""

from __future__ import annotations

import math
from dataclasses import replace

import jax
import numpy as np
import pytest
from subjects import made_model, made_sample

from ablax.core import Layers, Network, sequential
from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, Flatten, GlobalAveragePool, ReLU
from ablax.measurements.invariance import (
    TRANSFORMATIONS,
    curves,
    curves_figure,
    distances_table,
    distortions,
    errors_table,
    evenly_spaced,
    illuminate,
    invariance,
    mean_distance_between,
    mean_probability,
    measure,
    quantities,
    rotate,
    translate,
    values_of,
)
from ablax.measurements.measurement import Sample
from ablax.model import Model
from ablax.report.study import Curve, PlanRecord, Run, Study, Variant

SIZE = 12
BY_NAME = {t.name: t for t in TRANSFORMATIONS}
MOVES = (BY_NAME["translation"],)
LINEAR = Network(
    tail=Layers(vectorize=Flatten()), body=Layers(hidden=Dense(5)), head=Layers(output=Dense(3))
)


def images_with_blank_edges(count: int = 6) -> Split:
    """Nothing within a quarter of the height from the edge: what moves stays in the image."""
    random = np.random.default_rng(0)
    images = np.zeros((count, SIZE, SIZE, 1), np.uint8)
    images[:, 3:9, 3:9] = random.integers(0, 256, (count, 6, 6, 1))
    return Split(images, random.integers(0, 3, count).astype(np.int32))


def given(network: Network, test: Split) -> tuple[Model, Sample]:
    model = made_model(network, (SIZE, SIZE, 1), mean=(0.25,), std=(0.5,))
    return model, replace(made_sample(test), step=5)  # after training


def norms(values: np.ndarray) -> np.ndarray:
    return np.sqrt((values.reshape(len(values), -1).astype(float) ** 2).sum(1))


@pytest.mark.slow
def test_distances_of_a_linear_network_are_those_of_numpy():
    test = images_with_blank_edges()
    model, sample = given(LINEAR, test)
    rows = measure(model, sample, ("hidden", "output"), 100, (BY_NAME["rotation"], BY_NAME["gain"]))
    kernel = np.asarray(model.variables["params"]["hidden"]["kernel"], float)

    def hidden(images):  # less a constant, which no difference sees
        return images.astype(float).reshape(len(images), -1) / 255 / 0.5 @ kernel

    still = hidden(test.images)
    between = [norms(still[[i]] - still[[j]])[0] for i in range(6) for j in range(6) if i != j]
    for name, amount, changed in (
        ("rotation", 45.0, rotate(test.images, 45.0)),
        ("rotation", -90.0, rotate(test.images, -90.0)),
        ("gain", 2.0, illuminate(test.images, gain=2.0)),
    ):
        moved = norms(hidden(changed) - still).mean()
        plain = values_of(rows, BY_NAME[name], "euclidean", "hidden")[amount]
        relative = values_of(rows, BY_NAME[name], "distance", "hidden")[amount]
        np.testing.assert_allclose(plain, moved, rtol=1e-4)
        np.testing.assert_allclose(relative, moved / np.mean(between), rtol=1e-4)


def test_probability_and_error_are_those_of_the_scores_of_transformed_images():
    test = images_with_blank_edges()
    model, sample = given(LINEAR, test)
    rows = measure(model, sample, ("hidden", "output"), 100, MOVES)
    moved = translate(test.images, down=2.0)
    chances = np.asarray(jax.nn.softmax(model.scores(moved), axis=1))
    right = chances[np.arange(6), test.labels].mean()
    probability, error = (values_of(rows, MOVES[0], m) for m in ("probability", "error"))
    np.testing.assert_allclose(probability[2.0], right, rtol=1e-5)
    assert error[2.0] == pytest.approx(model.error(moved, test.labels))
    assert error[0.0] == pytest.approx(model.error(test.images, test.labels))


def test_no_feature_moves_where_the_amount_changes_nothing():
    model, sample = given(LINEAR, images_with_blank_edges())
    rows = measure(model, sample, ("hidden", "output"), 4, TRANSFORMATIONS)
    for t in TRANSFORMATIONS:
        for layer in ("hidden", "output"):
            found = values_of(rows, t, "euclidean", layer)
            assert found[t.identity] == 0
            assert all(value > 0 for amount, value in found.items() if amount != t.identity)


def test_a_global_average_of_pointwise_features_is_invariant_to_shifts_that_its_map_is_not():
    network = Network(
        tail=Layers(conv=sequential(conv=Convolution(4, 1), relu=ReLU())),
        body=Layers(pool=GlobalAveragePool()),
        head=Layers(output=Dense(3)),
    )
    model, sample = given(network, images_with_blank_edges())
    rows = measure(
        model, sample, ("conv", "pool"), 100, (BY_NAME["translation"], BY_NAME["rotation"])
    )
    map_moves = values_of(rows, BY_NAME["translation"], "distance", "conv")
    average_moves = values_of(rows, BY_NAME["translation"], "distance", "pool")
    assert set(map_moves) == {-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0}
    assert max(average_moves.values()) < 1e-4
    assert min(value for amount, value in map_moves.items() if amount) > 0.1
    turned = values_of(rows, BY_NAME["rotation"], "distance", "pool")
    assert turned[90.0] < 1e-4 < turned[45.0]
    still = values_of(rows, BY_NAME["translation"], "probability")
    np.testing.assert_allclose(list(still.values()), still[0.0], rtol=1e-5)


def test_features_that_all_images_share_have_no_distance():
    test = images_with_blank_edges()
    same = Split(np.repeat(test.images[:1], 3, axis=0), test.labels[:3])
    rows = measure(*given(LINEAR, same), ("hidden", "output"), 3, MOVES)
    assert all(math.isnan(v) for v in values_of(rows, MOVES[0], "distance", "hidden").values())


def test_the_distance_between_images_is_the_mean_over_all_pairs():
    features = np.random.default_rng(1).normal(size=(5, 2, 3)).astype(np.float32)
    pairs = [norms(features[[i]] - features[[j]])[0] for i in range(5) for j in range(i)]
    np.testing.assert_allclose(mean_distance_between(features), np.mean(pairs), rtol=1e-6)


def test_probabilities_of_large_scores_do_not_overflow():
    labels = np.array([0], np.int32)
    assert mean_probability(np.array([[1e4, 0.0]], np.float32), labels) == 1.0


def test_a_sample_is_evenly_spaced_and_never_larger_than_the_images():
    split = Split(np.zeros((9, 2, 2, 1), np.uint8), np.arange(9, dtype=np.int32))
    assert evenly_spaced(split, 3).labels.tolist() == [0, 4, 8]
    assert evenly_spaced(split, 20).labels.tolist() == list(range(9))


@pytest.mark.parametrize("transformation", TRANSFORMATIONS, ids=lambda t: t.name)
@pytest.mark.parametrize("height", [16, 28, 32, 224])
def test_amounts_ascend_symmetrically_through_the_one_that_changes_nothing(transformation, height):
    amounts = transformation.amounts(height)
    assert list(amounts) == sorted(set(amounts))
    assert transformation.identity in amounts
    places = [transformation.position(a) for a in amounts]
    np.testing.assert_allclose(places, [-p for p in reversed(places)], atol=1e-12)
    assert set(transformation.ticks) <= set(amounts)


def test_small_amounts_are_those_the_words_name():
    def small(name: str, height: int) -> set[float]:
        t = BY_NAME[name]
        amounts = t.amounts(height)
        reach = t.small_reach(amounts) * (1 + 1e-9)
        return {round(a, 3) for a in amounts if a != t.identity and abs(t.position(a)) <= reach}

    assert small("translation", 32) == {-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0}
    assert small("scale", 32) == {0.714, 0.833, 1.2, 1.4}
    assert small("rotation", 32) == {-30.0, -15.0, 15.0, 30.0}
    assert small("gain", 32) == small("contrast", 32) == {0.5, 0.707, 1.414, 2.0}
    assert small("offset", 32) == {-64.0, -32.0, 32.0, 64.0}


def row(transformation: str, amount: float, measure: str, value: float, layer: str = "") -> dict:
    return {"transformation": transformation, "amount": amount, "measure": measure,
            "layer": layer, "value": value}  # fmt: skip


def test_quantities_are_means_over_small_amounts_without_the_identity():
    found = quantities(("a", "b", "c"), MOVES)
    rows = []
    for amount, error, first, last in (
        (-2.0, 90.0, 3.0, 2.0), (-1.0, 30.0, 2.0, 1.0), (0.0, 10.0, 0.0, 0.0),
        (1.0, 20.0, 1.0, 0.5), (2.0, 60.0, 3.0, 2.0),
    ):  # fmt: skip
        rows.append(row("translation", amount, "error", error))
        rows.append(row("translation", amount, "distance", first, "a"))
        rows.append(row("translation", amount, "distance", last, "c"))
    values = {name: quantity.of(tuple(rows)) for name, quantity in found.items()}
    untrained = {name for name in values if name.startswith("untrained")}
    assert untrained == {"untrained_translation_first", "untrained_translation_last"}
    assert all(math.isnan(values.pop(name)) for name in untrained)
    before = tuple({**each, "measure": f"untrained {each['measure']}"} for each in rows)
    assert found["untrained_translation_first"].of(before) == 1.5
    assert not found["untrained_translation_first"].trained
    assert values == {
        "untouched_error": 10.0,
        "translation_error": 25.0,
        "translation_increase": 15.0,
        "translation_wide_error": 50.0,
        "translation_first": 1.5,
        "translation_last": 0.75,
    }


def test_quantities_of_a_run_without_rows_are_not_numbers():
    assert all(math.isnan(q.of(())) for q in quantities(("a", "b")).values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"layers": ("fc7",)}, "fc7 is given: name two or more different ones"),
        ({"layers": ("fc7", "fc7")}, "name two or more different ones"),
        ({"layers": ()}, "none is given"),
        ({"layers": ("a", "b"), "images": 1}, "measured on 1 image"),
        ({"layers": ("a", "b"), "transformations": ()}, "there is no transformation"),
    ],
)
def test_a_measurement_that_cannot_be_made_is_refused(arguments, words):
    with pytest.raises(AblaxError, match=words):
        invariance(panels={}, **arguments)


def test_an_unknown_layer_is_refused_with_the_nearest_one():
    model, sample = given(LINEAR, images_with_blank_edges())
    with pytest.raises(AblaxError, match="no layer 'hiden': did you mean 'hidden'"):
        measure(model, sample, ("hiden", "output"), 4, MOVES)


def made_study(errors: dict[tuple[str, int], float]) -> Study:
    """Two variants; a row an amount, whose error and distance of `a` are given by the run."""
    rows, runs = [], []
    for (variant, seed), error in errors.items():
        own = []
        for amount in (-2.0, -1.0, 0.0, 1.0, 2.0):
            own.append(row("translation", amount, "error", error if amount else 0.0))
            own.append(row("translation", amount, "probability", 1 - error / 100))
            own.append(row("translation", amount, "distance", error / 10, "a"))
            own.append(row("translation", amount, "distance", error / 20, "b"))
        measured = {name: q.of(tuple(own)) for name, q in quantities(("a", "b"), MOVES).items()}
        rows += [one | {"variant": variant, "seed": seed, "step": 1, "epoch": 1.0} for one in own]
        curve = Curve((1.0,), (1.0,), (1.0,), (1.0,), (error,))
        runs.append(Run(variant, seed, error, 1.0, 1.0, 1.0, curve, measured=measured))
    names = dict.fromkeys(variant for variant, _ in errors)
    plan = PlanRecord(
        name="made", recipe_name="made", question="q", source="s", prediction="p",
        baseline=next(iter(names)), recipe={}, verdict_wanted=False,
        variants=tuple(Variant(n, f"the {n}", 1, 1) for n in names),
        quantities=quantities(("a", "b"), MOVES),
    )  # fmt: skip
    return Study(plan, tuple(runs), measured={"invariance": tuple(rows)})


STUDY = made_study({("x", 0): 10.0, ("x", 1): 20.0, ("y", 0): 30.0})


def test_tables_give_mean_and_deviation_over_seeds():
    table = errors_table(STUDY, MOVES)
    assert table.rows == (("the x", "0.0 ± 0.0", "15.0 ± 7.1"), ("the y", "0.0 ± –", "30.0 ± –"))
    table = distances_table(STUDY, MOVES, ("a", "b"))
    assert table.rows == (
        ("the x", "a", "1.50 ± 0.71"),
        ("the x", "b", "0.75 ± 0.35"),
        ("the y", "a", "3.00 ± –"),
        ("the y", "b", "1.50 ± –"),
    )


def test_curves_hold_one_value_a_seed_at_each_amount():
    assert curves(STUDY, "x", MOVES[0], "distance", "a")[2.0] == [1.0, 2.0]
    assert curves(STUDY, "y", MOVES[0], "probability", "") == {
        amount: [0.7] for amount in (-2.0, -1.0, 0.0, 1.0, 2.0)
    }


def test_the_picture_draws_every_variant_layer_and_band_and_leaves_out_what_was_not_run():
    panels = {"one": ("x", "z"), "two": ("y",), "three": ("z",)}
    figure = curves_figure(STUDY, MOVES, ("a", "b"), panels)
    first, second, scores = figure.axes
    assert (first.get_title("left"), second.get_title("left")) == ("one", "two")
    assert [text.get_text() for text in first.texts] == ["a", "b"]
    solid = {str(line.get_label()): list(line.get_ydata()) for line in first.get_lines()}
    assert solid["a"] == [1.5] * 5
    assert [line.get_label() for line in scores.get_lines()] == ["the x", "the y"]
    figure.savefig("/dev/null", format="svg")


def test_the_caption_names_the_distortions_of_training_and_none_where_there_are_none():
    assert distortions({"augment.rotate": 0.0, "width": 1.0}) == ""
    said = distortions({"augment.translate": 2.0, "augment.rotate": 0.0})
    assert said == "Distorted training images are moved by up to 2 pixels."
