"""`ablax.fit`: arrays into a model by the one training loop, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image
from tiny import tiny_network

import ablax
from ablax.config import OptimizerConfig
from ablax.core import Layers, Network
from ablax.data.augment import Augmentation
from ablax.errors import AblaxError, WeightsError
from ablax.layers import Dense, Flatten


def spots(count, seed=0):
    """Pictures of two classes, told apart by the half that is bright, as levels."""
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.arange(count) % 2)
    images = draw.integers(0, 80, (count, 4, 4, 1))
    images[labels == 0, :2] += 150
    images[labels == 1, 2:] += 150
    return images.astype(np.uint8), labels


NETWORK = Network(Layers(), Layers(), Layers(flatten=Flatten(), scores=Dense(2)))
IMAGES, LABELS = spots(64)
TEST = spots(32, seed=1)


def fitted(network=NETWORK, images=IMAGES, labels=LABELS, **changed):
    options = {"epochs": 3, "test": TEST, "batch_size": 16, "progress": False, **changed}
    return ablax.fit(network, images, labels, **options)


@pytest.fixture(scope="module")
def trained():
    return fitted(optimizer=optax.adam(0.05), name="half")


@pytest.mark.slow
def test_a_model_learns_and_its_history_has_a_record_for_each_epoch(trained):
    model, history = trained
    assert [row.epoch for row in history] == [1, 2, 3]
    assert history[0].train_loss > history[-1].train_loss
    assert history[-1].test_error == 0.0 == model.error(TEST[0], TEST[1].astype(np.int32))
    np.testing.assert_allclose(
        history[-1].test_loss, model.loss(TEST[0], TEST[1].astype(np.int32)), rtol=1e-5
    )
    assert model.title == "half, trained for 3 epochs, seed 0"
    assert model.classes == ("class 0", "class 1")
    np.testing.assert_allclose(model.preprocessing.mean, IMAGES.mean() / 255, rtol=1e-6)


@pytest.mark.slow
def test_floats_in_0_to_1_train_as_the_levels_they_are(trained):
    found = fitted(images=(IMAGES / 255).astype(np.float32), optimizer=optax.adam(0.05))
    for ours, theirs in zip(found.history, trained.history, strict=True):
        assert ours[:5] == theirs[:5]


@pytest.mark.slow
def test_any_optax_transformation_moves_the_weights():
    frozen = fitted(optimizer=optax.set_to_zero(), epochs=1).model
    start = ablax.initialize(NETWORK, 0, (4, 4, 1))
    np.testing.assert_array_equal(
        frozen.variables["params"]["scores"]["kernel"], start["params"]["scores"]["kernel"]
    )
    fields = fitted(optimizer=OptimizerConfig(name="adamw", rate=0.05, schedule="constant"))
    assert fields.history[-1].test_error == 0.0


@pytest.mark.slow
def test_the_seed_decides_and_augmentation_changes_the_training(trained):
    again, other, moved = (
        fitted(optimizer=optax.adam(0.05), **changed).history
        for changed in ({}, {"seed": 1}, {"augmentation": Augmentation(translate=1.0)})
    )
    losses = [
        [row.train_loss for row in history] for history in (trained.history, again, other, moved)
    ]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]
    assert losses[0] != losses[3]


@pytest.mark.slow
def test_a_folder_keeps_the_training_and_takes_no_other(tmp_path):
    first = fitted(folder=tmp_path / "run", optimizer=optax.adam(0.05))
    logged = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    again = fitted(folder=tmp_path / "run", optimizer=optax.adam(0.05))
    assert again.history == first.history
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == logged
    np.testing.assert_array_equal(
        again.model.variables["params"]["scores"]["kernel"],
        first.model.variables["params"]["scores"]["kernel"],
    )
    for changed, what in (({"seed": 1}, "seed"), ({"labels": 1 - LABELS}, "data")):
        with pytest.raises(AblaxError, match=rf"another training \({what} differ"):
            fitted(folder=tmp_path / "run", **changed)


@pytest.mark.parametrize("held", ["", '{"seed": 0', "[1]", "\x00"])
def test_a_folder_whose_training_cannot_be_read_is_refused(tmp_path, held):
    (tmp_path / "fit.json").write_text(held)
    with pytest.raises(AblaxError, match="nobody knows what was trained there"):
        fitted(folder=tmp_path)


@pytest.mark.slow
def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fitted(epochs=1, progress=True)
    assert not list(tmp_path.iterdir())
    assert "the network · seed 0: done in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": IMAGES[..., 0]}, r"shape \(64, 4, 4\).*give gray images as images\[\.\.\., No"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, r"shape \(0, 4, 4, 1\), and \(N, H, W, C\)"),
        ({"images": IMAGES.astype(int)}, "are of int64: expected uint8, or floats in"),
        ({"images": IMAGES.astype(float)}, "floats from 0 to 2.*divide levels by 255"),
        ({"images": np.full(IMAGES.shape, np.nan)}, "floats from nan to nan"),
        ({"labels": LABELS[:60]}, r"labels are of shape \(60,\).*64 images: expected one integer"),
        ({"labels": LABELS / 1.0}, "type float64, and there are 64 images"),
        ({"labels": LABELS + 1}, "labels go from 1 to 2, and the network has 2 scores: expected 0"),
        ({"labels": LABELS - 1}, "labels go from -1 to 0"),
        ({"labels": 0 * LABELS}, "every training image of the data is of the class 'class 0'"),
        ({"test": (TEST[0][:, :3], TEST[1])}, r"test images of \(3, 4, 1\): expected one shape"),
        ({"test": (TEST[0], TEST[1] + 5)}, "the test labels go from 5 to 6"),
        ({"batch_size": 65}, "batch_size is 65, and there are 64 training images"),
        ({"classes": ("a",)}, "1 classes are named, and the network has 2 scores"),
        ({"epochs": 0}, r"train\.epochs is 0"),
        ({"network": Network(Layers(), Layers(), Layers())}, r"scores for one image have shape"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_compiles(changed, message, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("compiled")

    monkeypatch.setattr("jax.jit", refuse)
    with pytest.raises(AblaxError, match=message):
        fitted(**changed)


@pytest.mark.slow
def test_a_model_is_saved_as_data_and_comes_back_equal(trained, tmp_path):
    ablax.save_model(trained.model, tmp_path / "half")
    about = json.loads((tmp_path / "half" / "weights.json").read_text())
    assert about["classes"] == ["class 0", "class 1"]
    again = ablax.load_model(tmp_path / "half", network=NETWORK)
    assert again.title == trained.model.title
    assert again.preprocessing == trained.model.preprocessing
    np.testing.assert_array_equal(again.scores(TEST[0]), trained.model.scores(TEST[0]))
    with pytest.raises(WeightsError, match="another network than the one given"):
        ablax.load_model(tmp_path / "half", network=tiny_network())
    with pytest.raises(WeightsError, match=r"no network of the zoo: give the network"):
        ablax.load_model(str(tmp_path / "half"))
    ablax.save_model(again, tmp_path / "half")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(WeightsError, match="holds something else"):
        ablax.save_model(again, tmp_path / "other")


@pytest.mark.parametrize(("value", "flaw"), [(np.nan, "has 84 of 84"), (-np.inf, "not finite")])
def test_a_model_whose_weights_are_no_numbers_is_neither_saved_nor_asked(value, flaw, tmp_path):
    model = ablax.load_model("lenet5", seed=3)
    bias = model.variables["params"]["f6"]["dense"]["bias"]
    params = jax.tree.map(lambda leaf: leaf, model.variables["params"])
    params["f6"]["dense"]["bias"] = jnp.full_like(bias, value)
    broken = replace(model, variables={**model.variables, "params": params})
    with pytest.raises(WeightsError, match=flaw):
        ablax.save_model(broken, tmp_path / "lenet")
    assert not (tmp_path / "lenet").exists()
    if np.isnan(value):
        with pytest.raises(AblaxError, match="gives scores that are no finite numbers"):
            broken.predict([Image.new("L", (32, 32))])


@pytest.mark.slow
def test_a_saved_network_of_the_zoo_says_itself_which_it_is(tmp_path):
    model = ablax.load_model("lenet5", seed=3)
    ablax.save_model(model, tmp_path / "lenet")
    again = ablax.load_model(tmp_path / "lenet")
    images = np.zeros((2, 32, 32, 1), np.uint8)
    np.testing.assert_array_equal(again.scores(images), model.scores(images))
