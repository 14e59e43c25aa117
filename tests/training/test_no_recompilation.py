"""Where nothing changed, nothing is compiled again: counted as XLA is called."""

from __future__ import annotations

from dataclasses import replace

import jax
import pytest
from tiny import tiny_images, tiny_network

from ablax.config import Recipe, TrainConfig
from ablax.training.checkpoint import close, open_checkpoints
from ablax.training.dataset import InMemory
from ablax.training.loop import StopRequest, Trainer, data_mesh, train

RECIPE = Recipe(train=TrainConfig(epochs=3, batch=8, checkpoint_seconds=0.0, chunk=4))
COMPILED: list[str] = []


def count(event: str, _seconds: float, **_: object) -> None:
    if event.endswith("backend_compile_duration"):
        COMPILED.append(event)


@pytest.fixture(scope="module", autouse=True)
def listening():
    jax.monitoring.register_event_duration_secs_listener(count)


def run(trainer: Trainer, seed: int, folder) -> int:
    """Train from a seed; how often XLA compiled meanwhile."""
    before = len(COMPILED)
    checkpoints = open_checkpoints(folder)
    try:
        train(
            trainer,
            seed,
            checkpoints,
            StopRequest(),
            log=lambda *_: None,
            on_resume=lambda *_: None,
            on_tick=lambda *_: None,
        )
    finally:
        close(checkpoints)
    return len(COMPILED) - before


def trainer_of(recipe: Recipe) -> Trainer:
    mesh = data_mesh()
    return Trainer(tiny_network(), recipe, InMemory(tiny_images(), 8, mesh), mesh)


@pytest.mark.slow
def test_a_second_seed_compiles_nothing(tmp_path):
    trainer = trainer_of(RECIPE)
    assert run(trainer, 0, tmp_path / "first") > 0
    assert run(trainer, 1, tmp_path / "second") == 0
    assert trainer.compile_seconds > 0


@pytest.mark.slow
def test_more_epochs_compile_no_more_programs(tmp_path):
    def programs(epochs: int) -> set[object]:
        trainer = trainer_of(replace(RECIPE, train=replace(RECIPE.train, epochs=epochs)))
        run(trainer, 0, tmp_path / str(epochs))
        return set(trainer._programs)

    # an epoch of six steps in portions of three, the evaluation, the check of the state
    assert programs(1) == programs(4) == {3, "evaluate", "finite"}
