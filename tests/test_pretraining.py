"""Initial weights of a variant from another training: imported, kept, resumable, told."""

import json
from functools import partial

import jax
import numpy as np
import pytest
from rich.console import Console

from ablax.config import OptimizerConfig, Recipe, TrainConfig, with_fields
from ablax.core import Layers, Network, sequential
from ablax.errors import AblaxError
from ablax.experiment import Experiment, Pretraining, Treatment
from ablax.layers import Convolution, Dense, GlobalAveragePool, ReLU
from ablax.study.folder import ResultsFolder
from ablax.study.plan import resolve
from ablax.study.runner import Prepared, pretrained, run_experiments
from ablax.training.dataset import open_dataset
from ablax.training.loop import StoppedError, StopRequest, data_mesh

ABOUT = """A question.

Question: Do weights of other classes help?

Source: me.

Prediction: yes.
"""
RECIPE = with_fields(
    Recipe(
        optimizer=OptimizerConfig(rate=0.02),
        train=TrainConfig(epochs=2, batch=32, chunk=2, checkpoint_seconds=0.0),
        seeds=1,
        conclusions=False,
    ),
    {"data.image_size": 8, "data.share": 0.2, "data.classes": (0, 1, 2, 3, 4)},
)
OTHERS = {"data.classes": (5, 6, 7)}


def network(inputs):
    return Network(
        tail=Layers(conv1=sequential(conv=Convolution(4, 3, 2), relu=ReLU())),
        body=Layers(),
        head=Layers(pool=GlobalAveragePool(), output=Dense(inputs.classes)),
    )


def plan(folder, fresh=("output/*",)):
    treatment = Treatment(pretraining=Pretraining(OTHERS, fresh))
    question = Experiment(ABOUT, network, variants={"transferred": treatment})
    mesh = data_mesh()
    data = partial(open_dataset, mesh=mesh, console=Console(quiet=True))
    planned = resolve("mine", question, "small", RECIPE, data=data, mesh=mesh)
    return Prepared(planned, ResultsFolder(folder))


def first_state(prepared, stop=None, on_tick=lambda _: None, resumed=None):
    runner, known = prepared.runner, prepared.plan.trainings
    state = known["transferred"].trainer.initial_state(0)
    on_resume = (resumed if resumed is not None else []).append
    stop = stop or StopRequest()
    identities = {name: training.identity for name, training in known.items()}
    with runner.folder.claim("mine", "small", RECIPE, identities):
        return pretrained(runner, "transferred", 0, state, stop, on_resume, on_tick)


def test_a_pretraining_of_nothing_else_is_refused():
    with pytest.raises(AblaxError, match="changes no field of the recipe"):
        Pretraining({})


@pytest.mark.slow
def test_weights_that_do_not_fit_are_refused_before_anything_runs(tmp_path):
    with pytest.raises(AblaxError, match=r"output/.* has shape .* keep its random"):
        plan(tmp_path, fresh=())


@pytest.mark.slow
def test_a_stopped_pretraining_goes_on_and_hands_over_the_same_weights(tmp_path):
    def stop_now(_):
        stop.requested = "Ctrl-C"

    straight = first_state(plan(tmp_path / "straight"))
    prepared, stop, resumed = plan(tmp_path / "stopped"), StopRequest(), []
    with pytest.raises(StoppedError):
        first_state(prepared, stop, stop_now)
    again = first_state(prepared, resumed=resumed)
    assert resumed[0] > 0
    for ours, theirs in zip(
        jax.tree.leaves(again.params), jax.tree.leaves(straight.params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    drawn = prepared.plan.trainings["transferred"].trainer.initial_state(0)
    assert not np.array_equal(
        again.params["conv1"]["conv"]["kernel"], drawn.params["conv1"]["conv"]["kernel"]
    )
    np.testing.assert_array_equal(
        again.params["output"]["kernel"], drawn.params["output"]["kernel"]
    )
    assert int(again.step) == 0


@pytest.mark.slow
def test_a_whole_run_tells_of_its_pretraining(tmp_path):
    (study,) = run_experiments([plan(tmp_path)], Console(quiet=True))
    told = "first weights from a training with data.classes: [5, 6, 7]"
    assert study.variant("transferred").changes == (told,)
    assert (tmp_path / "pretraining" / "metrics.jsonl").exists()
    ours, theirs = study.runs_of("transferred")[0], study.runs_of("full")[0]
    assert ours.curve.epochs == theirs.curve.epochs == (1.0, 2.0)
    assert ours.train_loss != theirs.train_loss
    assert told in json.loads((tmp_path / "recipe.json").read_text())["networks"]["transferred"]
