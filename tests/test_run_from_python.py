"""`ablax.run`: the study from Python, with the checks, folder and resumption of the command."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import ablax
from ablax.commands import run as run_command
from ablax.config import ConfigError
from ablax.core import Layers, Network, remove
from ablax.layers import Convolution, Dense, GlobalAveragePool, ReLU
from ablax.study import discovery, runner
from ablax.study.folder import ResultsError

ABOUT = """What a second convolution buys: little.

Question: What does it buy?

Source: nobody.

Prediction: little.
"""
RECIPE = ablax.Recipe(
    data=ablax.DataConfig(image_size=8, share=0.2),
    train=ablax.TrainConfig(epochs=2, batch=64),
    seeds=1,
    conclusions=False,
)


def network(inputs):
    return Network(
        Layers(conv1=Convolution(2, 3, stride=4), relu1=ReLU()),
        Layers(conv2=Convolution(2, 1)),
        Layers(pool=GlobalAveragePool(), scores=Dense(inputs.classes)),
    )


QUESTION = ablax.Experiment(ABOUT, network, {"cut": remove("conv2")}, labels={"cut": "Cut"})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"experiment": "alexnet_ablatio"}, ablax.AblaxError, "did you mean 'alexnet_ablation'"),
        ({"recipe": "smok"}, ablax.AblaxError, "did you mean 'smoke'"),
        ({"trian": {"epochs": 1}}, ConfigError, r"no field 'trian\.epochs': did you mean 'train"),
        ({"train": {"epoch": 1}}, ConfigError, "no field 'train.epoch'"),
        ({"train": {"epochs": 0}}, ConfigError, r"train\.epochs is 0"),
        ({"name": "../x"}, ablax.AblaxError, r"name is '\.\./x', and a name that a folder can"),
        ({"recipe_name": ".."}, ablax.AblaxError, r"recipe_name is '\.\.'"),
        ({"only": "cot"}, ablax.AblaxError, "'cot'.*did you mean 'cut'"),
        ({"only": ("cut", "cot")}, ablax.AblaxError, "'cot'.*did you mean 'cut'"),
    ],
)
def test_bad_input_is_raised_before_any_folder_is_made(
    arguments, error, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    given = {"experiment": QUESTION, "recipe": "smoke", "progress": False, **arguments}
    with pytest.raises(error, match=message):
        ablax.run(**given)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def study(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return ablax.run(QUESTION, RECIPE, train={"epochs": 3}, seeds=2, progress=False)


@pytest.mark.slow
def test_a_run_from_python_leaves_what_the_command_leaves(study, place):
    folder = place / "results" / "what_a_second_convolution_buys" / "own"
    held = json.loads((folder / "recipe.json").read_text())
    assert (held["train.epochs"], held["seeds"], held["train.batch"]) == (3, 2, 64)
    said = "ablax.run(what_a_second_convolution_buys, own, train={'epochs': 3}, seeds=2)"
    assert study.plan.command == said
    assert said in (folder / "report.md").read_text()
    with (folder / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["full", "Cut"]
    assert [float(row["test_error"]) for row in rows] == [r["test_error"] for r in study.summary]


@pytest.mark.slow
def test_the_records_are_flat_and_agree_with_one_another(study):
    assert [(run.variant, run.seed) for run in study.runs] == [
        ("full", 0),
        ("full", 1),
        ("cut", 0),
        ("cut", 1),
    ]
    assert len(study.metrics) == 4 * 3
    for record in (*study.metrics, *study.summary):
        assert all(isinstance(value, str | int | float) for value in record.values())
    last = [row for row in study.metrics if row["epoch"] == 3.0]
    assert [row["test_error"] for row in last] == [run.test_error for run in study.runs]
    errors = [run.test_error for run in study.runs if run.variant == "cut"]
    np.testing.assert_allclose(study.summary[1]["test_error"], np.mean(errors))


@pytest.mark.slow
def test_the_same_call_trains_nothing_more_and_shows_the_progress(study, place, capsys):
    folder = place / "results" / "what_a_second_convolution_buys" / "own"
    before = (folder / "metrics.jsonl").read_bytes()
    again = ablax.run(QUESTION, RECIPE, train={"epochs": 3}, seeds=2, folder=folder)
    assert again.runs == study.runs
    assert (folder / "metrics.jsonl").read_bytes() == before
    said = capsys.readouterr().out
    assert "2 variants x 2 seeds x 3 epochs" in said
    assert "report.html" in said


@pytest.mark.slow
def test_a_folder_of_another_recipe_is_refused(study, place):
    folder = place / "results" / "what_a_second_convolution_buys" / "own"
    with pytest.raises(ResultsError, match=r"train\.epochs: 3 there, 2 now"):
        ablax.run(QUESTION, RECIPE, seeds=2, folder=folder, progress=False)
    assert len(study.runs) == 4


@pytest.mark.slow
def test_a_notebook_shows_the_report_with_its_pictures_in_a_frame_of_its_own(study):
    shown = study._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
    assert shown.count("data:image/svg+xml;base64,") == 4
    assert shown.count('"') == 4  # nothing of the page ends the attribute


def test_a_study_says_its_epochs_one_by_one():
    curve = ablax.report.Curve((1.0, 2.0), (2.0, 1.0), (80.0, 40.0), (2.0,), (30.0,))
    first, second = curve.records()
    assert np.isnan(first.pop("test_error"))
    assert first == {"epoch": 1.0, "train_loss": 2.0, "train_error": 80.0}
    assert second["test_error"] == 30.0


@pytest.mark.parametrize(("given", "name"), [("", "clothes"), ("smoke", "smoke")])
def test_without_a_recipe_an_experiment_has_its_own(given, name, tmp_path):
    """As the command has it, whose default is also nothing."""
    made = runner.prepare("intermediate_features", given, folder=tmp_path / "none", progress=False)
    assert made.plan.record.recipe_name == name
    words = ["intermediate_features", *(["--config", given] if given else [])]
    asked = run_command.defaults(words)
    assert asked["recipe"].data.source == made.plan.recipe.data.source
    assert not (tmp_path / "none").exists()


def test_thorough_has_the_budget_of_digits_and_all_the_seeds():
    question = discovery.experiment("alexnet_ablation")[1]
    recipes = {name: discovery.recipe(name)[1] for name in ("digits", "thorough")}
    assert recipes["thorough"] == replace(recipes["digits"], most_seeds=24)
    short, long = (question.budgeted(*each) for each in recipes.items())
    assert (short.most_seeds, long.most_seeds) == (8, 24)
    assert long == replace(short, most_seeds=24)
    assert question.chosen("thorough") == question.chosen("digits")
