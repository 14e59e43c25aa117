"""The plan of every experiment: shapes only, before anything is trained or any folder is made."""

from __future__ import annotations

import subprocess
import sys

import jax
import pytest

from ablax.config import ConfigError, Recipe, with_fields
from ablax.core import Layers, Network, remove
from ablax.errors import AblaxError, ReportError
from ablax.experiment import Experiment, Pretraining, Treatment
from ablax.layers import Convolution, Dense, GlobalAveragePool
from ablax.report.study import Picture, Section
from ablax.study.discovery import experiment, names, recipe
from ablax.study.plan import resolve
from ablax.training.loop import data_mesh

ABOUT = """A question.

Question: Why?

Source: me.

Prediction: so.
"""
SIZE = {"data.image_size": 8}
SHAPES = {
    "digits": (32, 1),
    "clothes": (28, 1),
    "tfds:fashion_mnist": (28, 1),
    "tfds:cifar10": (32, 3),
}


class Described:
    """Data of which nothing is there but the sizes."""

    longest_chunk = None
    folds = copies = 1

    def __init__(self, asked: Recipe) -> None:
        data = asked.data
        size, channels = SHAPES.get(data.source.removesuffix(":distorted"), (224, 3))
        size = data.image_size or size
        self.image_shape = (size, size, channels)
        self.classes = len(data.classes) or 10
        self.class_names = tuple(f"class {k}" for k in range(self.classes))
        self.mean, self.std = (0.5,) * channels, (0.25,) * channels
        self.steps_per_epoch = 100
        self.note = f"{data.source}, described"
        self.fingerprint = data.source

    def arguments(self, seed, step, length):
        raise AssertionError("a plan asks for no image")

    def program(self, task, length):
        raise AssertionError("a plan trains nothing")

    def test_batches(self, seed=0):
        raise AssertionError("a plan evaluates nothing")

    def held_out(self, seed=0):
        raise AssertionError("a plan asks for no image")


def tiny(classes):
    return Network(
        Layers(conv1=Convolution(4, 3)),
        Layers(conv2=Convolution(6, 3)),
        Layers(pool=GlobalAveragePool(), output=Dense(classes)),
    )


def planned(question, under=None, only=(), data=Described):
    under = under or with_fields(Recipe(), SIZE)
    return resolve("mine", question, "own", under, data=data, mesh=data_mesh(), only=only)


def made(variants=None, **fields):
    return Experiment(ABOUT, lambda inputs: tiny(inputs.classes), variants or {}, **fields)


def test_a_plan_says_of_each_variant_all_that_is_known_before_training():
    question = made(
        {"cut": remove("conv2"), "slow": Treatment(fields={"optimizer.rate": 0.001})},
        labels={"cut": "without 2"},
    )
    plan = planned(question)
    full, cut, slow = plan.record.variants
    assert (full.name, cut.name, slow.name) == tuple(plan.trainings) == question.names
    assert (full.label, cut.label) == ("full", "without 2")
    assert full.parameters - cut.parameters == 9 * 4 * 6 + 6 + (6 - 4) * 10
    assert full.macs - cut.macs == 8 * 8 * 9 * 4 * 6 + (6 - 4) * 10
    assert cut.removed_layers == ("conv2",)
    assert cut.reinitialized == ("output/kernel",)
    assert slow.changes == ("optimizer.rate: 0.001",)
    assert plan.trainings["slow"].trainer.recipe.optimizer.rate == 0.001
    assert plan.trainings[plan.record.baseline].trainer.recipe == plan.recipe
    assert plan.record.data_note == "digits, described"


def test_the_same_data_are_opened_once():
    opened = []

    def data(asked):
        opened.append(asked.data)
        return Described(asked)

    pretrained = Treatment(pretraining=Pretraining({"data.classes": (0, 1)}, ("output/*",)))
    plan = planned(made({"cut": remove("conv2"), "pretrained": pretrained}), data=data)
    assert [one.classes for one in opened] == [(), (0, 1)]
    assert plan.trainings["pretrained"].pretraining_work == plan.trainings["pretrained"].work > 0
    assert plan.record.variants[2].changes == (
        "first weights from a training with data.classes: [0, 1]",
    )


def test_nothing_is_compiled(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("compiled")

    plan_of = made({"cut": remove("conv2")})
    monkeypatch.setattr(jax, "jit", refuse)
    assert planned(plan_of).record.variants[0].parameters == 40 + 222 + 70


@pytest.mark.parametrize(
    ("variants", "error", "message"),
    [
        ({"a": Treatment(fields={"train.epoch": 3})}, ConfigError, "no field 'train.epoch'"),
        ({"a": Treatment(fields={"train.epochs": 0})}, ConfigError, r"train\.epochs is 0"),
        ({"a": Treatment(network=lambda _: tiny(3))}, AblaxError, r"expected: end its head"),
        ({"a": lambda network: network}, AblaxError, "'a' is the baseline itself"),
        (
            {"a": Treatment(pretraining=Pretraining({"data.classes": (0, 1)}))},
            AblaxError,
            "output/.* has shape",
        ),
        (
            {"a": Treatment(fields={"optimizer.rate_factors": (("conv9/*", 2.0),)})},
            ConfigError,
            r"conv9/\*",
        ),
    ],
)
def test_a_variant_that_cannot_be_trained_is_refused(variants, error, message):
    with pytest.raises(error, match=message):
        planned(made(variants))


def test_two_pictures_of_one_name_are_refused():
    picture = Picture("errors", "Errors", "", lambda study: None)
    with pytest.raises(ReportError, match="two pictures are named 'errors'"):
        planned(made(sections=(Section("S", pictures=(picture,)),)))


def test_a_variant_that_nobody_knows_is_refused():
    with pytest.raises(AblaxError, match=r"'cot'.*did you mean 'cut'"):
        planned(made({"cut": remove("conv2")}), only=("cot",))


CONFIGS = [
    config if config == "smoke" else pytest.param(config, marks=pytest.mark.deep)
    for config in names("configs")
    if config != "imagenet"  # streamed, of which no share or class can be chosen
]


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", names("experiments"))
def test_every_experiment_has_a_plan_under_every_recipe(name, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, question = experiment(name)
    under, base = recipe(config)
    mesh, budgeted = data_mesh(), question.budgeted(under, base)
    plan = resolve(name, question, under, budgeted, data=Described, mesh=mesh)
    assert tuple(plan.trainings) == question.chosen(under)
    assert all(variant.macs > 0 for variant in plan.record.variants)
    assert not list(tmp_path.iterdir())


BEGINNER = """from ablax import Experiment, zoo
EXPERIMENT = Experiment(__doc__, lambda inputs: zoo.lenet5(inputs.classes), {})
"""


@pytest.mark.slow
def test_the_commonest_mistake_of_a_beginner_is_one_sentence_and_makes_no_folder(tmp_path):
    (tmp_path / "mine.py").write_text(BEGINNER)
    done = subprocess.run(
        [sys.executable, "-m", "ablax", "run", "mine.py", "--config", "smoke"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "the experiment has no docstring: begin its file with one" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()
