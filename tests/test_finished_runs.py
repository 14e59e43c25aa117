"""From chunks in the metrics log to the curve of a run."""

import math

from ablax.study.folder import finished_run, learning_curve


def chunk(epoch, steps, loss, error, **more):
    return {"epoch": epoch, "steps": steps, "train_loss": loss, "train_error": error, **more}


CHUNKS = [
    chunk(0.25, 1, 4.0, 80.0),
    chunk(1.0, 3, 2.0, 40.0, test_error=30.0),
    chunk(2.0, 4, 1.0, 20.0),
    chunk(3.0, 4, 0.5, 10.0, test_error=5.0),
]


def test_the_figures_of_an_epoch_are_those_of_its_chunks_weighted_by_their_steps():
    curve = learning_curve(CHUNKS)
    assert curve.epochs == (1.0, 2.0, 3.0)
    assert curve.train_loss == (2.5, 1.0, 0.5)
    assert curve.train_error == (50.0, 20.0, 10.0)


def test_the_test_error_stands_at_the_epochs_where_it_was_measured():
    curve = learning_curve(CHUNKS)
    assert curve.test_epochs == (1.0, 3.0)
    assert curve.test_error == (30.0, 5.0)


def test_an_epoch_that_ends_a_rounding_error_late_is_still_that_epoch():
    assert learning_curve([chunk(1.0000000000000002, 2, 1.0, 1.0)]).epochs == (1.0,)


def test_a_run_takes_its_last_epoch_and_the_error_of_its_summary():
    run = finished_run("full", 2, {"status": "finished", "test_error": 5.0}, CHUNKS, 7.5, 2)
    assert (run.train_loss, run.train_error, run.test_error) == (0.5, 10.0, 5.0)
    assert (run.seconds, run.attempts) == (7.5, 2)


def test_a_run_that_diverged_has_no_test_error():
    run = finished_run("full", 0, {"status": "diverged", "test_error": None}, [], 1.0, 1)
    assert run.status == "diverged"
    assert math.isnan(run.test_error)
    assert math.isnan(run.train_loss)


def test_the_speed_of_learning_is_the_training_error_averaged_over_the_epochs():
    run = finished_run("full", 2, {"status": "finished", "test_error": 5.0}, CHUNKS, 7.5, 2)
    assert run.mean_train_error == (50.0 + 20.0 + 10.0) / 3
    never = finished_run("full", 2, {"status": "finished", "test_error": 5.0}, [], 7.5, 2)
    assert math.isnan(never.mean_train_error)
