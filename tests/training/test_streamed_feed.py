"""The ImageNet recipe on a small made-up folder of JPEGs: streamed, resumed, evaluated whole."""

import csv
from dataclasses import replace

import jax
import jax.numpy as jnp
import made_up_set
import numpy as np
import pytest
from rich.console import Console
from tiny import tiny_network

from ablax.__main__ import main
from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.training.checkpoint import close, open_checkpoints
from ablax.training.dataset import open_dataset
from ablax.training.loop import StoppedError, StopRequest, Trainer, data_mesh, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imagenet")
    sizes = [(40, 50), (64, 36), (45, 45)]
    splits = {
        split: made_up_set.examples(made_up_set.pictures(count, sizes, seed=seed), "JPEG")
        for split, count, seed in (("train", 26, 0), ("validation", 11, 1))
    }
    features = made_up_set.standard_features((None, None, 3))
    made_up_set.write(folder, splits, features, name="imagenet2012", version="5.1.0", shards=2)
    return folder


def recipe_of(folder):
    return Recipe(
        data=DataConfig(source="tfds:imagenet2012", dir=folder, image_size=16, stream=True),
        optimizer=OptimizerConfig(rate=0.01),
        train=TrainConfig(epochs=2, batch=8, chunk=2, checkpoint_seconds=0.0),
    )


def make_trainer(folder):
    mesh, recipe = data_mesh(), recipe_of(folder)
    return Trainer(tiny_network(), recipe, open_dataset(recipe, mesh, Console()), mesh)


def trained(trainer, folder, stop_at=None):
    stop, checkpoints, resumed = StopRequest(), open_checkpoints(folder), []

    def log(step, values):
        if step == stop_at:
            stop.requested = "Ctrl-C"

    try:
        found = train(
            trainer,
            0,
            checkpoints,
            stop,
            log=log,
            on_resume=lambda step, _: resumed.append(step),
            on_tick=lambda tick: None,
        )
        return found, resumed
    finally:
        close(checkpoints)


@pytest.mark.slow
def test_a_stream_knows_its_sizes_and_judges_every_test_image_once(folder):
    trainer = make_trainer(folder)
    assert trainer.dataset.steps_per_epoch == 3
    assert "26 training and 11 test images" in trainer.dataset.note
    evaluation = trainer.evaluate(trainer.initial_state(0))
    assert evaluation.labels.tolist() == [i % 3 for i in (0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9)]


@pytest.mark.slow
def test_a_streamed_run_resumes_bit_for_bit_in_the_middle_of_an_epoch(folder, tmp_path):
    straight, _ = trained(make_trainer(folder), tmp_path / "straight")
    with pytest.raises(StoppedError, match="after step 4 of 6"):
        trained(make_trainer(folder), tmp_path / "broken", stop_at=4)
    found, resumed = trained(make_trainer(folder), tmp_path / "broken")
    assert resumed == [4]
    same = jax.tree.map(jnp.array_equal, found.state, straight.state)
    assert jax.tree.all(same)
    assert np.array_equal(found.evaluation.losses, straight.evaluation.losses)


@pytest.mark.slow
def test_the_imagenet_recipe_runs_through_the_command_on_small_crops(folder, tmp_path, capsys):
    words = ["run", "alexnet_ablation", "--config", "imagenet", "--results", str(tmp_path / "r")]
    words += ["--data.dir", str(folder), "--data.image-size", "32", "--width", "0.03125"]
    main([*words, "--train.batch", "8", "--train.epochs", "2", "--only", "without_3_4_6_7"])
    assert "streamed" in (tmp_path / "r" / "report.md").read_text()
    with (tmp_path / "r" / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2


def test_the_imagenet_recipe_asks_for_its_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SystemExit):
        main(["run", "alexnet_ablation", "--config", "imagenet"])
    assert "imagenet2012" in capsys.readouterr().err


def test_a_recipe_streams_only_with_an_image_size(folder):
    with pytest.raises(Exception, match=r"data\.image-size is None"):
        replace(recipe_of(folder), data=DataConfig(source="tfds:imagenet2012", stream=True))
