"""Transfer: images made to fit a network, other data sets found or missing, what is shown."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from subjects import made_model, made_sample

from ablax.config import DataConfig, Recipe
from ablax.core import Layers, Network, sequential
from ablax.data.digits import load_digits
from ablax.data.images import DataError, Split
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, Flatten, ReLU
from ablax.measurements.probes import (
    PublishedProbes,
    fitted,
    probe,
    sample_of,
    target_label,
    targets,
    transfer,
    transfer_figure,
    transfer_table,
    transferred,
)
from ablax.report.study import PlanRecord, Study, Variant

LAYERS = {1: "s2", 2: "f6"}
TINY = Network(
    tail=Layers(s2=sequential(conv=Convolution(4, 5, stride=3), relu=ReLU())),
    body=Layers(),
    head=Layers(vectorize=Flatten(), f6=Dense(20), output=Dense(10)),
)
COLUMNS = {
    *("target", "layer", "depth", "trained", "classifier", "features", "error", "train_error"),
    *("converged", "train_images", "test_images", "missing"),
}


@pytest.fixture(scope="module")
def given():
    """An untrained network that is to learn clothes in color, reduced to gray of 32 pixels."""
    empty = Split(np.zeros((10, 32, 32, 1), np.uint8), np.arange(10, dtype=np.int32))
    recipe = Recipe(data=DataConfig(source="tfds:fashion_mnist"))
    sample = replace(made_sample(empty), recipe=recipe)
    return made_model(TINY, (32, 32, 1), mean=(0.3,), std=(0.4,)), sample


@pytest.fixture
def nothing_prepared(tmp_path, monkeypatch):
    """A machine without data sets."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ABLAX_CACHE", str(tmp_path / "cache"))


def test_gray_becomes_color_by_repeating():
    gray = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 1), np.uint8)
    np.testing.assert_array_equal(fitted(gray, (6, 6, 3)), np.repeat(gray, 3, axis=-1))


def test_color_becomes_gray_by_its_luminance():
    color = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3), np.uint8)
    expected = color @ np.array([0.299, 0.587, 0.114])
    found = fitted(color, (6, 6, 1))[..., 0]
    np.testing.assert_allclose(found, expected, atol=0.51)


def test_images_that_fit_are_left_as_they_are():
    for channels in (1, 3):
        images = np.random.default_rng(0).integers(0, 256, (2, 5, 5, channels), np.uint8)
        np.testing.assert_array_equal(fitted(images, (5, 5, channels)), images)


def test_images_are_scaled_to_the_size_of_the_network():
    ramp = np.broadcast_to(
        np.arange(0, 112, 4, dtype=np.uint8)[None, None, :, None], (2, 28, 28, 1)
    )
    found = fitted(ramp, (14, 14, 1))
    assert found.shape == (2, 14, 14, 1)
    # halved, the middle of a ramp is the mean of two neighbours
    np.testing.assert_allclose(
        found[0, 5, 1:-1, 0], ramp[0, 0, 2:-2, 0].reshape(-1, 2).mean(1), atol=1
    )


@pytest.mark.parametrize(("channels", "shape"), [(2, (4, 4, 1)), (1, (4, 4, 2)), (1, (4, 5, 1))])
def test_images_that_cannot_be_made_to_fit_are_refused(channels, shape):
    with pytest.raises(AblaxError, match="expected 1 or 3 channels, and as many rows as columns"):
        fitted(np.zeros((1, 4, 4, channels), np.uint8), shape)


@pytest.mark.slow
def test_a_sample_is_always_the_same_images_with_their_labels():
    (train, test), (again, _) = (sample_of("digits", None, 40, 60) for _ in range(2))
    assert (len(train), len(test)) == (40, 60)
    np.testing.assert_array_equal(train.images, again.images)
    data = load_digits().train
    where = [int(np.argmax((data.images == one).all(axis=(1, 2, 3)))) for one in train.images]
    assert where == sorted(where) != list(range(40))
    np.testing.assert_array_equal(train.labels, data.labels[where])
    assert len(sample_of("digits", None, 10**6, 1)[0]) == len(data)


@pytest.mark.slow
def test_a_data_set_that_is_not_there_is_a_row_with_the_reason(given, nothing_prepared):
    with pytest.raises(DataError):
        sample_of("tfds:cifar10", None, 1, 1)
    (row,) = transferred(*given, LAYERS, ["tfds:cifar10", "tfds:fashion_mnist"])
    assert set(row) == COLUMNS
    assert row["target"] == "tfds:cifar10"
    assert "make data DATA=cifar10" in row["missing"]
    assert math.isnan(row["error"])


@pytest.mark.slow
def test_digits_are_always_there_and_probed_as_their_features_are(given, nothing_prepared):
    rows = transferred(*given, LAYERS, ["digits"], train_images=150, test_images=100)
    assert [row["layer"] for row in rows] == ["pixels", "HOG", "s2", "f6"]
    assert {frozenset(row) for row in rows} == {frozenset(COLUMNS)}
    train, test = sample_of("digits", None, 150, 100)
    seen, unseen = (split.images.reshape(len(split), -1, 1) / 255 for split in (train, test))
    pixels = probe("svm", (seen, train.labels), (unseen, test.labels))
    assert rows[0]["error"] == pytest.approx(pixels.error, abs=1.0)
    seen, unseen = (
        given[0].features(split.images, ["f6"])["f6"][:, None] for split in (train, test)
    )
    last = probe("svm", (seen, train.labels), (unseen, test.labels))
    assert rows[3]["error"] == pytest.approx(last.error, abs=1.0)
    assert (rows[3]["train_images"], rows[3]["test_images"]) == (150, 100)
    after = transferred(given[0], replace(given[1], step=5), LAYERS, ["digits"], 150, 100)
    assert [(row["depth"], row["trained"]) for row in after] == [(1, 1.0), (2, 1.0)]


def test_transfer_has_somewhere_to_go_to():
    with pytest.raises(AblaxError, match="no data set to go to"):
        transfer(LAYERS, to=[])
    with pytest.raises(AblaxError, match="at least one is expected"):
        transfer({}, to=["digits"])


def made_row(**columns):
    alike = {"variant": "full", "seed": 0, "features": 7, "converged": 1.0, "missing": ""}
    return {**alike, "train_images": 1000, "test_images": 2000, "trained": 0.0, **columns}


MISSING = made_row(target="tfds:cifar10", depth=-2, error=math.nan, missing="it is not there")
ROWS = (
    made_row(target="digits", depth=0, error=20.0),
    *(made_row(target="digits", depth=d, error=30.0 + d) for d in LAYERS),
    *(made_row(target="digits", depth=d, error=10.0 + d, trained=1.0) for d in LAYERS),
    MISSING,
)


def made_study(rows):
    plan = PlanRecord(
        name="probing",
        question="?",
        prediction="?",
        source="?",
        recipe_name="fashion_mnist",
        recipe={},
        variants=(Variant("full", "full", 10, 10),),
        baseline="full",
        data_note="Clothes.",
    )
    return Study(plan, measured={"transfer": rows})


def test_quantities_are_averages_over_the_data_sets_that_are_there():
    quantities = transfer(LAYERS, to=["digits", "tfds:cifar10"]).quantities
    other = tuple({**row, "target": "tfds:svhn", "error": row["error"] + 4} for row in ROWS)
    assert quantities["transfer_1"].of(ROWS) == 11.0
    assert quantities["transfer_1"].of((*ROWS, *other)) == 13.0
    assert quantities["untrained_transfer_2"].of(ROWS) == 32.0
    assert quantities["transfer_pixels"].of(ROWS) == 20.0
    assert math.isnan(quantities["transfer_2"].of((MISSING,)))


def test_the_table_says_what_was_there_and_what_was_not():
    published = PublishedProbes("Caltech", "slide", {("svm", 1): (44.8, 0.7)})
    table = transfer_table(made_study(ROWS), layers=LAYERS, published=[published])
    assert table.rows == (
        ("digits", "SVM, raw pixels", "–", "7", "80.0", "80.0", "–"),
        ("digits", "SVM (1)", "s2", "7", "89.0 ± –", "69.0 ± –", "44.8 ± 0.7"),
        ("digits", "SVM (2)", "f6", "7", "88.0 ± –", "68.0 ± –", "–"),
        ("CIFAR-10", "not there", *("–",) * 5),
    )
    said = " ".join(table.notes)
    assert "digits: 1,000 training and 2,000 test images" in said
    assert "CIFAR-10 was not measured: it is not there." in said
    assert "5 of 5 fits converged." in said


def test_a_set_that_was_there_in_one_run_is_not_called_missing():
    found = made_row(target="tfds:cifar10", depth=1, error=3.0)
    assert targets(made_study((MISSING, found))) == (["tfds:cifar10"], {})


def test_the_picture_has_a_panel_for_each_set_that_was_there():
    figure = transfer_figure(made_study(ROWS), layers=LAYERS)
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Features for digits"
    drawn = [list(line.get_ydata()) for line in axes.lines]
    assert drawn == [[69.0, 68.0], [89.0, 88.0], [80.0, 80.0]]


def test_the_picture_says_so_when_no_set_was_there():
    figure = transfer_figure(made_study((MISSING,)), layers=LAYERS)
    assert [text.get_text() for text in figure.axes[0].texts] == ["CIFAR-10 was not there"]


def test_unknown_sets_keep_their_own_name():
    assert target_label("tfds:svhn_cropped") == "svhn_cropped"
