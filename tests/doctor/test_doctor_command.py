"""The doctor as a person calls it: an experiment, a folder of results, the page, the status."""

import math

import pytest
from rich.console import Console

from ablax.__main__ import main
from ablax.commands.doctor import doctor
from ablax.commands.options import parse
from ablax.config import OptimizerConfig, Recipe, flat
from ablax.doctor.checks import Finding, divergence, generalization, summary, write_page
from ablax.doctor.trials import open_trial
from ablax.errors import AblaxError
from ablax.files import sealed
from ablax.study.discovery import recipe
from ablax.study.folder import FORMAT, ResultsFolder, Stored, stored

QUESTION = '''"""A question of somebody else's.

Question: What does a wider layer buy?

Source: nobody.

Prediction: little.
"""
from ablax.core import Layers, Network, replace, sequential
from ablax.experiment import Experiment
from ablax.layers import Convolution, Dense, ReLU, Flatten


def network(inputs):
    def convolution(features):
        features = round(features * inputs.width)
        return sequential(conv=Convolution(features, 3, stride=2), relu=ReLU())

    return Network(
        tail=Layers(conv1=convolution(8)),
        body=Layers(conv2=convolution(16), conv3=convolution(32)),
        head=Layers(
            vectorize=Flatten(),
            fc4=sequential(dense=Dense(64), relu=ReLU()),
            scores=Dense(inputs.classes),
        ),
    )


EXPERIMENT = Experiment(
    about=__doc__, network=network, variants={"wide": replace("fc4/dense", Dense(96))}
)
'''

RECIPE = '''"""Small."""
from ablax.config import OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation

RECIPE = Recipe(
    augment=Augmentation(rotate=15.0, scale=0.15, translate=2.0),
    optimizer=OptimizerConfig(name={name!r}, rate={rate}, weight_decay=0.0),
    train=TrainConfig(epochs=30, batch=64, evaluate_every=10),
    seeds=1,
    conclusions=False,
)
'''


@pytest.fixture
def place(tmp_path, monkeypatch):
    for folder, name, text in (
        ("experiments", "mine", QUESTION),
        ("configs", "small", RECIPE.format(name="adamw", rate=0.003)),
        ("configs", "hasty", RECIPE.format(name="sgd", rate=20.0)),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def examine(*words):
    parse(doctor, words, "doctor")()


@pytest.mark.slow
def test_doctor_finds_a_hasty_recipe_and_leaves_with_status_1(place, capsys):
    with pytest.raises(SystemExit) as left:
        examine("mine", "--config", "hasty", "--out", "page")
    assert left.value.code == 1
    told = capsys.readouterr().out
    assert "Problems found: learning rate, " in told
    assert "small subset ... healthy" in told  # the network is not to blame
    page = (place / "page" / "doctor.md").read_text()
    assert "| learning rate | problem |" in page
    for stem in ("learning_rate", "gradients"):
        assert (place / "page" / "plots" / f"{stem}.png").stat().st_size > 10_000
        assert f"(plots/{stem}.png)" in page
    assert (place / "page" / "doctor.html").read_text().count("data:image/svg+xml") >= 2


@pytest.mark.slow
def test_doctor_calls_a_healthy_run_healthy_in_every_check_that_a_busy_machine_allows(
    place, capsys
):
    main(["run", "mine", "--config", "small", "--results", "results"])
    before = (place / "results" / "recipe.json").read_text()
    capsys.readouterr()
    examine("results:wide", "--out", "page")  # returns: status 0
    told = capsys.readouterr().out
    assert "mine, wide, recipe small" in told
    for check in (
        *("small subset", "gradient", "divergence", "learning rate", "collapse", "units"),
        *("gradients by layer", "train and test error", "capacity"),
    ):
        assert f"{check} ... healthy" in told
    assert "speed ... problem" not in told
    assert "After 30 epochs" in (place / "page" / "doctor.md").read_text()
    assert (place / "page" / "plots" / "curves.svg").exists()
    assert (place / "results" / "recipe.json").read_text() == before
    with pytest.raises(AblaxError, match="no finished run of wide from seed 3"):
        examine("results:wide:3")


def test_doctor_refuses_what_is_no_experiment_no_folder_and_no_variant(place):
    with pytest.raises(AblaxError, match="there is no experiment named 'mein'"):
        examine("mein")
    with pytest.raises(AblaxError, match="experiments is no folder of results"):
        examine("experiments")
    with pytest.raises(AblaxError, match="mine has no variant 'wid': did you mean 'wide'"):
        examine("mine:wid", "--config", "small")


@pytest.mark.slow
def test_doctor_says_of_a_run_without_a_checkpoint_that_it_diverged(place):
    _, hasty = recipe("hasty")
    results = place / "results"
    (results / "runs").mkdir(parents=True)
    held = {
        "format": FORMAT,
        "experiment": "mine",
        "recipe": "hasty",
        **flat(hasty),
        "networks": {},
    }
    (results / "recipe.json").write_text(sealed({**held, "data": {}, "keys": {"full": "ab"}}))
    summary_of_run = {"status": "diverged", "test_error": None, "environment": {}}
    ResultsFolder(results).finish("full", 0, summary_of_run)
    opened = open_trial("results:full:0", "digits", None, Console())
    assert opened.trial.recipe == hasty
    assert opened.history.trained is None
    found = divergence(opened.history)
    assert found.verdict == "problem"
    assert generalization(opened.trial, opened.history).verdict == "inconclusive"
    write_page("a run", "", (found,), place / "page")  # there is no curve to draw
    assert not (place / "page" / "plots").exists()


def test_doctor_reads_back_the_recipe_that_a_run_stored(tmp_path):
    given = Recipe(
        optimizer=OptimizerConfig(drops=(0.3, 0.6), clip=1.0, rate_factors=(("*/bias", 2.0),)),
        width=0.5,
    )
    held = {
        "format": FORMAT,
        "experiment": "mine",
        "recipe": "small",
        **flat(given),
        "networks": {},
    }
    (tmp_path / "recipe.json").write_text(sealed(held))
    assert stored(tmp_path) == Stored("mine", "small", given, {}, {})


@pytest.mark.slow
def test_doctor_page_shows_each_finding_with_what_to_do(tmp_path):
    rates = tuple(1e-4 * 1.1**i for i in range(60))
    falls = (*(2.3 - 0.03 * i for i in range(59)), math.inf)
    findings = (
        Finding("gradient", None, "a layer rounds", {}, "look at it"),
        Finding(
            "learning rate",
            True,
            "the loss rises at 0.01",
            {
                **{"rate": 0.02, "rates": rates, "losses": falls, "smoothed": falls},
                "diverging_rate": 0.01,
            },
            "lower it",
        ),
    )
    page = write_page("a network", "made-up data", findings, tmp_path)
    text = (tmp_path / "doctor.md").read_text()
    assert "| learning rate | problem | The loss rises at 0.01. |" in text
    assert "- Learning rate: lower it." in text
    assert "- Gradient: look at it." in text
    assert page.read_text().count("<figure>") == 1
    assert summary(findings) in text
