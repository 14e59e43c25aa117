"""Saving beside the training: what is saved, when, and who hears of a failure."""

import threading

import jax.numpy as jnp
import numpy as np
import pytest

from ablax.training import checkpoint
from ablax.training.checkpoint import (
    BackgroundSave,
    CheckpointError,
    close,
    open_checkpoints,
    restore,
)


@pytest.fixture
def checkpoints(tmp_path):
    opened = open_checkpoints(tmp_path)
    yield opened
    close(opened)


def test_training_goes_on_while_a_state_is_saved(checkpoints, monkeypatch):
    allowed, saved = threading.Event(), []

    def slow(_, step, state, note):
        assert allowed.wait(timeout=60)
        saved.append((step, state["w"].tolist()))

    monkeypatch.setattr(checkpoint, "save", slow)
    memory = np.arange(3.0)
    with BackgroundSave(checkpoints) as saver:
        saver.save(1, {"w": memory})
        memory += 10  # the next steps take the state's memory
        assert not saved
        allowed.set()
        saver.save(2, {"w": memory})
        saver.wait()
        assert saved == [(1, [0, 1, 2]), (2, [10, 11, 12])]


def test_the_end_of_the_block_waits_and_what_was_saved_comes_back(checkpoints):
    state = {"w": jnp.arange(4.0), "step": jnp.int32(7)}
    with BackgroundSave(checkpoints) as saver:
        saver.save(7, state)
    found = restore(checkpoints, state)
    assert found.step == 7
    assert found.state["step"].dtype == jnp.int32
    np.testing.assert_array_equal(found.state["w"], state["w"])


def fail(*_, **__):
    raise CheckpointError("the disk is full")


def test_a_failure_is_told_by_the_next_save_and_at_the_end(checkpoints, monkeypatch):
    monkeypatch.setattr(checkpoint, "save", fail)

    def saved():
        with BackgroundSave(checkpoints) as saver:
            saver.save(1, {"w": np.ones(2)})

    with pytest.raises(CheckpointError, match="full"):
        saved()
    with BackgroundSave(checkpoints) as saver:
        saver.save(1, {"w": np.ones(2)})
        with pytest.raises(CheckpointError, match="full"):
            saver.save(2, {"w": np.ones(2)})


def test_an_error_of_the_training_goes_before_one_of_the_disk(checkpoints, monkeypatch):
    monkeypatch.setattr(checkpoint, "save", fail)

    def train():
        with BackgroundSave(checkpoints) as saver:
            saver.save(1, {"w": np.ones(2)})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train()
