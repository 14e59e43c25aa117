"""The loop: chunks, evaluation, resume bit for bit, divergence, stopping."""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny_images, tiny_network

from ablax.config import ConfigError, OptimizerConfig, Recipe, TrainConfig
from ablax.core import LayerError
from ablax.core import replace as exchange
from ablax.data.augment import Augmentation
from ablax.errors import AblaxError
from ablax.layers import Dense, MaxPool
from ablax.training.checkpoint import close, open_checkpoints
from ablax.training.dataset import InMemory
from ablax.training.loop import (
    DivergedError,
    Fitted,
    StoppedError,
    StopRequest,
    Trainer,
    data_mesh,
    train,
)

RECIPE = Recipe(
    augment=Augmentation(flip=True, translate=1.0),
    optimizer=OptimizerConfig(rate=0.05),
    train=TrainConfig(epochs=3, batch=8, checkpoint_seconds=0.0, chunk=4),
)


def make_trainer(recipe=RECIPE, network=None, images=None):
    mesh = data_mesh()
    dataset = InMemory(images or tiny_images(), recipe.train.batch, mesh)
    return Trainer(network or tiny_network(), recipe, dataset, mesh)


@dataclass
class Attempt:
    """One call of `train`, and what it told."""

    folder: object
    stop_after: int | None = None
    stop: StopRequest = field(default_factory=StopRequest)
    log: list = field(default_factory=list)
    resumed: list = field(default_factory=list)
    seen: list = field(default_factory=list)

    def tick(self, tick):
        if self.stop_after is not None and self.log[-1][0] >= self.stop_after:
            self.stop.requested = "Ctrl-C"

    def fit(self, trainer, seed=0) -> Fitted:
        checkpoints = open_checkpoints(self.folder)
        try:
            return train(
                trainer,
                seed,
                checkpoints,
                self.stop,
                log=lambda step, values: self.log.append((step, values)),
                on_resume=lambda step, _: self.resumed.append(step),
                on_tick=self.tick,
                observe=lambda moment, step, _: self.seen.append((moment, step)),
            )
        finally:
            close(checkpoints)


@pytest.fixture(scope="module")
def trainer():
    return make_trainer()


def equal(one, other):
    same = jax.tree.map(lambda a, b: a.dtype == b.dtype and jnp.array_equal(a, b), one, other)
    return jax.tree.all(same)


def figures(log):
    timeless = ("seconds", "compile_seconds")
    return [(s, {k: v for k, v in values.items() if k not in timeless}) for s, values in log]


@pytest.mark.slow
def test_a_resumed_run_equals_the_straight_one_bit_for_bit(trainer, tmp_path):
    straight = Attempt(tmp_path / "straight")
    expected = straight.fit(trainer)
    broken = Attempt(tmp_path / "broken", stop_after=9)
    with pytest.raises(StoppedError, match=r"Ctrl-C after step 9 of 18.*the same command goes on"):
        broken.fit(trainer)
    resumed = Attempt(tmp_path / "broken")
    found = resumed.fit(make_trainer())
    assert resumed.resumed == [9]
    assert equal(found.state, expected.state)
    assert figures(broken.log + resumed.log) == figures(straight.log)
    assert np.array_equal(found.evaluation.losses, expected.evaluation.losses)


@pytest.mark.slow
def test_a_run_that_is_at_its_end_is_judged_again_and_not_trained(trainer, tmp_path):
    first = Attempt(tmp_path)
    expected = first.fit(trainer)
    assert first.seen == [("start", 0), ("training", 6), ("training", 12), ("end", 18)]
    again = Attempt(tmp_path)
    found = again.fit(trainer)
    assert again.log == []
    assert again.seen == [("end", 18)]
    assert np.array_equal(found.evaluation.predictions, expected.evaluation.predictions)


@pytest.mark.slow
def test_the_figures_do_not_depend_on_the_length_of_a_chunk(trainer, tmp_path):
    whole = make_trainer(replace(RECIPE, train=replace(RECIPE.train, chunk=6)))
    one, other = Attempt(tmp_path / "a").fit(trainer), Attempt(tmp_path / "b").fit(whole)
    for a, b in zip(*map(jax.tree.leaves, (one.state, other.state)), strict=True):
        assert jnp.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_an_epoch_shows_every_image_once():
    data = tiny_images(train=16)
    data.train.images[:, 0, 0, 0] = np.arange(16)
    dataset = InMemory(data, 8, data_mesh())
    from ablax.training import dataset as module

    seen = []

    def watch(task, state, images, labels):
        jax.debug.callback(lambda x: seen.extend(np.asarray(x)[:, 0, 0, 0].tolist()), images)
        return replace(state, step=state.step + 1), module.StepFigures(0.0, 0)

    original, module.train_step = module.train_step, watch
    try:
        trainer = Trainer(tiny_network(), RECIPE, dataset, data_mesh())
        state = trainer.initial_state(0)
        for first in (0, 2):
            state, _ = dataset.program(trainer.task, 2)(state, *dataset.arguments(0, first, 2))
    finally:
        module.train_step = original
    jax.effects_barrier()
    assert sorted(seen[:16]) == sorted(seen[16:]) == list(range(16))
    assert seen[:16] != seen[16:]


def test_judging_counts_every_test_image_once_in_order(trainer):
    evaluation = trainer.evaluate(trainer.initial_state(0))
    data = tiny_images()
    assert np.array_equal(evaluation.labels, data.test.labels)  # 21 images in batches of 8
    assert evaluation.predictions.shape == evaluation.losses.shape == (21,)
    assert evaluation.error == 100 * np.mean(evaluation.predictions != data.test.labels)


def test_a_seed_learns_and_is_tested_by_its_own_fold():
    data, other = tiny_images(), tiny_images(train=50)
    other.train.images[:] = 7
    other.test.labels[:] = 2
    dataset = InMemory(replace(data, others=(other,)), 8, data_mesh())
    trainer = Trainer(tiny_network(), RECIPE, dataset, data_mesh())
    assert dataset.folds == 2
    np.testing.assert_array_equal(dataset.arguments(4, 0, 1)[0], data.train.images)
    assert dataset.arguments(3, 0, 1)[0].shape == data.train.images.shape  # of the smallest fold
    assert np.all(np.asarray(dataset.arguments(3, 0, 1)[0]) == 7)
    even, odd = (trainer.evaluate(trainer.initial_state(seed)) for seed in (2, 5))
    np.testing.assert_array_equal(even.labels, data.test.labels)
    assert np.all(odd.labels == 2)


@pytest.mark.parametrize(("chunk", "ends"), [(4, [3, 6]), (6, [6]), (1, [1, 2, 3, 4, 5, 6])])
def test_chunks_cut_an_epoch_evenly_and_never_cross_it(chunk, ends):
    trainer = make_trainer(replace(RECIPE, train=replace(RECIPE.train, chunk=chunk)))
    step, found = 0, []
    while step < trainer.total_steps:
        step = trainer.chunk_end(step)
        found.append(step)
    assert found == [epoch * 6 + end for epoch in range(3) for end in ends]


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_try(tmp_path):
    wild = replace(RECIPE, optimizer=OptimizerConfig(rate=1e30, schedule="constant"))
    attempt = Attempt(tmp_path)
    with pytest.raises(
        DivergedError, match=r"not a number at step \d+ of 18.*last finite loss.*--opti"
    ):
        attempt.fit(make_trainer(wild))


@pytest.mark.slow
def test_a_state_that_is_no_number_is_never_saved(tmp_path):
    """One step a training: its loss is finite, and what it leaves is not."""
    recipe = replace(
        RECIPE,
        optimizer=OptimizerConfig(rate=1e38, momentum=0.0, schedule="constant", weight_decay=1e5),
        train=replace(RECIPE.train, epochs=1, batch=48),
    )
    attempt = Attempt(tmp_path)
    with pytest.raises(DivergedError, match=r"a parameter is not a number at step 1 of 1"):
        attempt.fit(make_trainer(recipe))
    assert attempt.log == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_evaluation_comes_every_so_many_epochs_and_after_the_last(tmp_path):
    recipe = replace(RECIPE, train=replace(RECIPE.train, evaluate_every=2, chunk=6))
    attempt = Attempt(tmp_path)
    attempt.fit(make_trainer(recipe))
    tested = [values["epoch"] for _, values in attempt.log if "test_error" in values]
    assert tested == [2.0, 3.0]


@pytest.mark.slow
def test_training_lowers_the_loss_on_data_that_can_be_learned(tmp_path):
    recipe = replace(RECIPE, train=replace(RECIPE.train, epochs=20, checkpoint_seconds=60.0))
    attempt = Attempt(tmp_path)
    found = attempt.fit(make_trainer(recipe))
    assert attempt.log[-1][1]["train_loss"] < 0.5 * attempt.log[0][1]["train_loss"]
    assert found.evaluation.error < 20


@pytest.mark.parametrize(
    ("batch", "message"), [(49, r"49, and the data have 48.*--train.batch 48")]
)
def test_a_batch_larger_than_the_data_is_refused(batch, message):
    with pytest.raises(ConfigError, match=message):
        InMemory(tiny_images(), batch, data_mesh())


def test_a_network_that_does_not_fit_the_data_is_refused_before_anything_compiles():
    with pytest.raises(LayerError, match="'pool1'"):
        make_trainer(network=exchange("pool1", MaxPool(16, 2, padding="VALID"))(tiny_network()))
    with pytest.raises(AblaxError, match=r"\(1, 3\) is expected"):
        make_trainer(network=exchange("scores", Dense(5))(tiny_network()))


def test_batches_are_padded_with_images_that_nobody_counts():
    dataset = InMemory(tiny_images(test=21), 8, data_mesh())
    assert [count for _, _, count in dataset.test_batches()] == [8, 8, 5]
    assert {images.shape for images, _, _ in dataset.test_batches()} == {(8, 8, 8, 1)}
