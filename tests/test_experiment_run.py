"""An experiment through the real command, killed and resumed, from the file of a stranger."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

QUESTION = '''"""A question of somebody else's.

Question: What does the upper dense layer buy?

Source: nobody.

Prediction: little.
"""
from ablax.core import remove
from ablax.experiment import Experiment
from ablax.zoo import alexnet_for

EXPERIMENT = Experiment(
    about=__doc__,
    network=lambda inputs: alexnet_for(inputs.image_size, inputs.classes, inputs.width),
    variants={"without_7": remove("fc7")},
)
'''

RECIPE = '''"""Small."""
from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.data.augment import Augmentation

RECIPE = Recipe(
    data=DataConfig(image_size=16),
    augment=Augmentation(rotate=10.0),
    optimizer=OptimizerConfig(rate=0.02),
    train=TrainConfig(epochs=2, batch=64, chunk=4, checkpoint_seconds=0.0),
    width=1 / 32,
    seeds=2,
    conclusions=False,
)
'''

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "mine.py").write_text(QUESTION)
    (folder / "small.py").write_text(RECIPE)
    return folder


def command(place: Path, results: str, *more: str) -> list[str]:
    words = ["run", "mine.py", "--config", "small.py", "--results", results, *more]
    return [sys.executable, "-m", "ablax", *words]


def environment(place: Path) -> dict[str, str]:
    return {**os.environ, "ABLAX_CACHE": str(place / "cache")}


def run(place: Path, results: str, *more: str, status: int = 0) -> str:
    done = subprocess.run(
        command(place, results, *more),
        cwd=place,
        env=environment(place),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def interrupted(place: Path, results: str, sent: signal.Signals, after: int) -> int:
    """Start the command, send a signal once `after` chunks are logged, and give the exit status."""
    process = subprocess.Popen(
        command(place, results),
        cwd=place,
        env=environment(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    log, deadline = place / results / "metrics.jsonl", time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if log.exists() and log.read_bytes().count(b"\n") >= after:
            break
        time.sleep(0.02)
    process.send_signal(sent)
    _, said = process.communicate(timeout=120)
    if sent is not signal.SIGKILL:
        assert b"the same command goes on" in said
        assert b"Traceback" not in said
    return process.returncode


@pytest.fixture(scope="module")
def straight(place):
    return place / "straight", run(place, "straight")


def test_a_run_ends_with_a_table_a_report_and_everything_behind_it(straight):
    folder, said = straight
    assert "without 7" in said
    assert "report.html" in said
    for name in ("report.md", "report.html", "results.csv", "summary.csv", "metrics.jsonl"):
        assert (folder / name).stat().st_size > 0, name
    assert len(list((folder / "plots").glob("*.png"))) == len(
        list((folder / "plots").glob("*.svg"))
    )
    assert json.loads((folder / "recipe.json").read_text())["train.batch"] == 64
    assert json.loads((folder / "environment.json").read_text())["jax"]
    assert list((folder / "checkpoints" / "full" / "seed-0").iterdir())
    assert list((folder / "tensorboard").rglob("events*"))


def test_results_have_a_row_a_variant_and_seed_with_the_promised_columns(straight):
    with (straight[0] / "results.csv").open() as file:
        found = list(csv.DictReader(file))
    promised = ["variant", "seed", "test_error", "train_loss", "parameters", "macs", "seconds"]
    assert list(found[0])[:7] == promised
    pairs = [(row["variant"], row["seed"]) for row in found]
    assert pairs == [("full", "0"), ("full", "1"), ("without_7", "0"), ("without_7", "1")]
    assert all(0 <= float(row["test_error"]) <= 100 for row in found)


def test_the_test_error_is_that_of_the_predictions_file(straight):
    with (straight[0] / "results.csv").open() as file:
        for row in csv.DictReader(file):
            name = f"{row['variant']}-seed-{row['seed']}.npz"
            saved = np.load(straight[0] / "predictions" / name, allow_pickle=False)
            assert len(saved["labels"]) == 1440
            error = 100 * np.mean(saved["predictions"] != saved["labels"])
            assert float(row["test_error"]) == error


@pytest.mark.parametrize("after", [pytest.param(3, marks=pytest.mark.deep), 27])
def test_a_run_killed_at_any_time_resumes_to_the_identical_results(place, straight, after):
    results = f"killed-{after}"
    assert interrupted(place, results, signal.SIGKILL, after) == -signal.SIGKILL
    run(place, results)
    assert rows(place / results) == rows(straight[0])


@pytest.mark.parametrize(
    "sent", [pytest.param(signal.SIGINT, marks=pytest.mark.deep), signal.SIGTERM]
)
def test_a_signal_saves_says_so_and_the_run_resumes_to_the_identical_results(place, straight, sent):
    results = f"stopped-{sent.name}"
    assert interrupted(place, results, sent, 8) == 128 + sent
    run(place, results)
    assert rows(place / results) == rows(straight[0])


def test_the_same_command_again_trains_nothing_and_gives_the_same_results(place, straight):
    before = (straight[0] / "metrics.jsonl").read_bytes()
    run(place, "straight")
    assert (straight[0] / "metrics.jsonl").read_bytes() == before


def test_more_seeds_are_added_to_those_that_are_done(place, straight):
    first = rows(straight[0])
    run(place, "straight", "--seeds", "3")
    found = rows(straight[0])
    assert [row for row in found if row["seed"] != "2"] == first
    assert len(found) == 6


def test_diverging_variants_are_all_reported_and_leave_status_2(place):
    said = run(place, "wild", "--optimizer.rate", "1e9", "--seeds", "1", status=2)
    assert "the loss is not a number at step" in said
    found = [(row["variant"], row["status"]) for row in rows(place / "wild")]
    assert found == [("full", "diverged"), ("without_7", "diverged")]
    assert (place / "wild" / "report.html").exists()
