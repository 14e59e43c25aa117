"""The report of a run, made again from its files and from what was kept of it."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ablax.__main__ import main
from ablax.config import DataConfig, OptimizerConfig, Recipe, TrainConfig
from ablax.errors import AblaxError
from ablax.files import sealed, unsealed
from ablax.study.discovery import experiment
from ablax.study.folder import rebuild
from ablax.study.runner import run
from ablax.training.metrics import MetricsError, MetricsLog, read_metrics

QUESTION = '''"""A small question.

Question: What does the second convolution buy?

Source: nobody.

Prediction: little.
"""
from ablax.core import Layers, Network, remove
from ablax.experiment import Experiment
from ablax.layers import Convolution, Dense, GlobalAveragePool, ReLU
from ablax.measurements.measurement import Measurement
from ablax.report.study import Quantity
from ablax.report.study import Claim
from ablax.report.study import Section


def network(inputs):
    return Network(
        Layers(conv1=Convolution(2, 3, stride=4), relu1=ReLU()),
        Layers(conv2=Convolution(2, 1)),
        Layers(pool=GlobalAveragePool(), scores=Dense(inputs.classes)),
    )


SIZE = Measurement(
    "size",
    lambda model, sample: [{"word": "a", "share": 1 / 3}],
    Section("Sizes"),
    quantities={"share": Quantity("share", lambda rows: rows[0]["share"] * rows[0]["seed"])},
)
EXPERIMENT = Experiment(
    about=__doc__,
    network=network,
    variants={"cut": remove("conv2")},
    claims=(Claim("cutting costs", "cut", "full"), Claim("shares grow", "cut:share", "full:share")),
    measurements=(SIZE,),
)
'''
RECIPE = Recipe(
    data=DataConfig(image_size=8),
    optimizer=OptimizerConfig(rate_factors=(("scores/bias", 2.0),)),
    train=TrainConfig(epochs=1, batch=128),
    seeds=2,
)
pytestmark = pytest.mark.slow

TABLES = ("results.csv", "summary.csv", "report.md", "answer.json")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A finished run, and the folder of experiments that it is kept in."""
    place = tmp_path_factory.mktemp("kept")
    experiments, source = place / "experiments", place / "results" / "mine"
    experiments.mkdir()
    (experiments / "mine.py").write_text(QUESTION)
    name, question = experiment(str(experiments / "mine.py"))
    run(question, RECIPE, name=name, recipe_name="small", folder=source, progress=False)
    main(["keep", str(source), "--experiments", str(experiments)])
    return source, next((experiments / "results" / "mine").iterdir()), question


@pytest.fixture
def kept(folders, tmp_path):
    """A copy of what was kept, to damage."""
    return Path(shutil.copytree(folders[1], tmp_path / "copy"))


def files(folder):
    return {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}


def test_what_is_kept_makes_the_same_report_and_the_same_tables(folders, tmp_path):
    source, kept, _ = folders
    question = str(kept.parents[2] / "mine.py")
    main(["report", str(kept), "--experiment", question, "--out", str(tmp_path)])
    for name in TABLES:
        assert (tmp_path / name).read_bytes() == (source / name).read_bytes(), name
        assert (kept / name).read_bytes() == (source / name).read_bytes(), name


def test_what_is_kept_is_enough_and_small(folders):
    source, kept, _ = folders
    found = set(files(kept))
    assert not {name for name in found if name.startswith(("checkpoints", "tensorboard"))}
    assert {"metrics.jsonl.gz", "measurements/size/metrics.jsonl.gz", "study.json"} <= found
    assert {f"predictions/{v}-seed-{s}.npz" for v in ("full", "cut") for s in (0, 1)} <= found
    assert read_metrics(kept) == read_metrics(source)
    with np.load(kept / "predictions" / "full-seed-0.npz") as held:
        assert held["losses"].dtype == np.float32
        assert len(held["losses"]) == 1440


def test_keeping_again_writes_the_same_bytes(folders):
    source, kept, _ = folders
    before = {name: path.read_bytes() for name, path in files(kept).items()}
    main(["keep", str(source), "--experiments", str(kept.parents[2])])
    assert {name: path.read_bytes() for name, path in files(kept).items()} == before


def test_what_is_kept_takes_no_more_runs(folders):
    with pytest.raises(MetricsError, match="what was kept of a finished run"):
        MetricsLog(folders[1])


def test_results_csv_of_a_rebuilt_study_has_every_run(folders):
    study = rebuild(folders[1], folders[2])
    with (folders[0] / "results.csv").open() as file:
        rows = [(row["variant"], int(row["seed"])) for row in csv.DictReader(file)]
    assert [(run.variant, run.seed) for run in study.runs] == rows
    assert len(rows) == 4
    assert study.values("cut:share") == {0: 0.0, 1: 1 / 3}


def change(name, **values):
    """Change a record as somebody would who computes its checksum again."""

    def damage(folder):
        held = json.loads((folder / name).read_text())
        (folder / name).write_text(sealed({**held, **values}))

    return damage


def edit(name, old, new):
    """Change a record as an editor would."""

    def damage(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "study.json").unlink(), r"has no study\.json"),
        (lambda f: (f / "study.json").write_text("{"), r"study\.json is damaged"),
        (change("study.json", variants=[]), "which the study does not hold"),
        (edit("study.json", '"n', '"m'), r"study\.json is damaged .*its checksum"),
        (
            lambda f: (f / "metrics.jsonl.gz").unlink(),
            r"full-seed-0\.json vouches .*metrics\.jsonl has 0 good lines of it",
        ),
        (lambda f: (f / "metrics.jsonl.gz").write_bytes(b"no"), r"metrics\.jsonl\.gz is damaged"),
        (lambda f: (f / "predictions/cut-seed-1.npz").unlink(), r"cut-seed-1\.npz cannot be read"),
        (
            change("runs/cut-seed-1.json", test_error=1.0),
            r"says 1\.00 %: one of them is of another",
        ),
        (edit("runs/cut-seed-1.json", '"test_error": ', '"test_error": 1'), "cannot be trusted"),
        (lambda f: shutil.rmtree(f / "runs"), r"full-seed-0\.json is gone, and study\.json"),
        (change("recipe.json", format=1), "holds results of format 1"),
    ],
)
def test_what_lacks_or_contradicts_something_is_refused_by_its_name(damage, message, kept, folders):
    damage(kept)
    with pytest.raises(AblaxError, match=message):
        rebuild(kept, folders[2])


def test_runs_made_under_other_conditions_are_named_in_the_report(folders, tmp_path):
    source, _, question = folders
    folder = tmp_path / "two machines"
    shutil.copytree(source, folder)
    assert "runs differ in" not in rebuild(folder, question).environment
    path = folder / "runs" / "full-seed-1.json"
    summary = unsealed(path.read_text())
    summary["environment"] |= {"cores": "64", "date": "2000-01-01"}
    path.write_text(sealed(summary))
    told = rebuild(folder, question).environment
    assert told["runs differ in"].startswith("cores (")
    assert "64" in told["cores"]
