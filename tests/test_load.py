"""What `ablax run` trained opens by its folder, variant and seed, from Python and in commands."""

import csv
import dataclasses
import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import ablax
from ablax.__main__ import main
from ablax.errors import AblaxError
from ablax.files import sealed
from ablax.study.discovery import experiment
from ablax.study.folder import ResultsFolder
from ablax.study.load import RunName, WeightsFile, ZooNetwork, open_model, source_of

RUNS = {
    "alexnet_ablation": "without_7",
    "separable": "shuffled",
    "generalization": "half_transferred",  # five classes, weights of a training on the others
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three experiments under the recipe `smoke`, each a baseline and a variant."""
    root = tmp_path_factory.mktemp("results")
    for name, variant in RUNS.items():
        words = ["--config", "smoke", "--only", variant, "--results", str(root / name)]
        main(["run", name, *words])
    return root


@pytest.fixture
def copy(results, tmp_path):
    """A folder of results that a test may break."""
    return shutil.copytree(results / "alexnet_ablation", tmp_path / "run")


def errors_in(folder):
    """Variant and seed to the test error of results.csv."""
    with (folder / "results.csv").open() as file:
        return {(r["variant"], r["seed"]): float(r["test_error"]) for r in csv.DictReader(file)}


def flip(place):
    """One bit of the largest file below a folder."""
    file = max((p for p in place.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    held = bytearray(file.read_bytes())
    held[len(held) // 2] ^= 1
    file.write_bytes(held)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_evaluate_gives_the_very_error_of_the_results(name, results, capsys):
    found = errors_in(results / name)
    assert len(found) >= 2
    for (variant, seed), error in found.items():
        main(["evaluate", f"{results / name}:{variant}:{seed}", "--format", "json"])
        told = json.loads(capsys.readouterr().out)
        assert told["top1"] == pytest.approx(error, abs=5e-4), (variant, seed)  # as it is written
        summary = ResultsFolder(results / name).finished(variant, int(seed))
        assert told["top1"] == pytest.approx(summary["test_error"], abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["alexnet_ablation", pytest.param("separable", marks=pytest.mark.deep), "generalization"],
)
def test_every_command_opens_what_was_trained(name, results, capsys, tmp_path):
    run = f"{results / name}:{RUNS[name]}:0"
    model = ablax.load_model(run)
    size = model.image_shape[0]
    picture, out = tmp_path / "one.png", tmp_path / "inside"
    Image.fromarray(np.eye(size, dtype=np.uint8) * 255).save(picture)
    title = f"{name}, {RUNS[name]}, recipe smoke"
    last = tuple(model.network.layers)[-1]

    def said(*words):
        main([str(word) for word in words])
        return capsys.readouterr().out

    assert said("predict", run, picture, "--top", 3).count(" %  ") == 3
    assert f"{title}, trained for" in said("evaluate", run, "--limit", 40)
    if name == "generalization":
        with pytest.raises(SystemExit):
            main(["evaluate", run, "--data", "digits"])
        assert "tell 5 apart: give the data they were trained on" in capsys.readouterr().err
    else:
        whole = json.loads(said("evaluate", run, "--data", "digits", "--format", "json"))
        own = json.loads(said("evaluate", run, "--format", "json"))
        assert (whole["top1"], whole["pictures"]) == (own["top1"], own["pictures"])
    assert last in said("show", run)
    assert f"Cost of {title}, 1 image" in said("table", run)
    assert f"Receptive fields of {title}" in said("receptive-field", run)
    heat = tmp_path / "field.png"
    assert "seed 0" in said("receptive-field", run, "--effective", heat, "--images", 2)
    assert heat.stat().st_size > 1000
    page = tmp_path / "network.html"
    said("draw", run, "--out", page)
    assert title in page.read_text("utf-8")
    said("inspect", run, picture, "--out", out, "--only", "filters", "saliency")
    assert {path.name for path in out.iterdir()} == {"filters.png", "saliency.png"}
    assert f"Gradient of the training loss of {title}" in said(
        *("check-gradient", run, "--directions", 1, "--images", 1)
    )
    assert f"Profile of a training step of {title}, 4 images" in said(
        *("profile", run, "--batch", 4, "--steps", 1)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet_ablation", "generalization"])
def test_the_doctor_opens_a_run_by_the_same_words(name, results, capsys):
    from rich.console import Console

    from ablax.doctor.trials import open_trial

    opened = open_trial(f"{results / name}:{RUNS[name]}:0", "digits", None, Console(quiet=True))
    assert opened.trial.model.name == f"{name}, {RUNS[name]}, recipe smoke"
    mine = ablax.load_model(f"{results / name}:{RUNS[name]}:0")
    jax.tree.map(
        np.testing.assert_array_equal, dict(mine.variables), dict(opened.history.trained.variables)
    )
    digits = open_trial("resnet20", "smoke", 3, Console(quiet=True))
    assert digits.trial.model.name == "resnet20, recipe smoke"
    assert digits.history is None
    assert digits.trial.network == ablax.zoo.resnet20(10)


@pytest.mark.slow
def test_without_variant_and_seed_it_is_the_baselines_first_run_and_said(results, capsys):
    folder = results / "separable"
    baseline = experiment("separable")[1].baseline
    main(["show", str(folder)])
    assert f"variant {baseline}, seed 0; {folder}:VARIANT:SEED is another" in (
        capsys.readouterr().err
    )
    one, other = open_model(str(folder)), open_model(f"{folder}:{baseline}:0")
    assert (one.model.title, other.note) == (other.model.title, "")
    jax.tree.map(np.testing.assert_array_equal, one.model.variables, other.model.variables)


@pytest.mark.slow
def test_a_model_knows_its_data_without_opening_them(results, monkeypatch):
    def none(*_):
        raise AssertionError

    monkeypatch.setattr("ablax.training.dataset.open_dataset", none)
    model = ablax.load_model(results / "alexnet_ablation")
    digits = ablax.data.load_digits()
    assert model.classes == digits.classes
    assert model.preprocessing.mean == digits.mean
    assert model.preprocessing.std == digits.std
    assert model.image_shape == digits.image_shape


@pytest.mark.slow
def test_the_page_opens_what_was_trained_as_it_says(copy, monkeypatch, capsys):
    page = Path(__file__).parents[1] / "docs" / "weights.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    copy.rename(copy.parent / "digits")
    (copy.parent / "results").mkdir()
    (copy.parent / "results" / "alexnet_ablation").symlink_to(copy.parent)
    monkeypatch.chdir(copy.parent)
    scope = {}
    exec(code, scope)
    assert "alexnet_ablation, without_7, recipe smoke" in capsys.readouterr().out
    assert scope["maps"]["conv5"].shape[0] == 8


def refused(word):
    with pytest.raises(AblaxError) as refusal:
        ablax.load_model(word)
    return str(refusal.value)


@pytest.mark.slow
def test_what_cannot_be_opened_says_why_and_what_is_there(copy):
    assert "has no variant 'without7': did you mean 'without_7'" in refused(f"{copy}:without7")
    said = refused(f"{copy}:without_7:3")
    assert "no finished run of without_7 from seed 3; finished are full:0, " in said
    assert "expected a seed, such as full:0" in refused(f"{copy}:full:first")
    run = copy / "runs" / "without_7-seed-0.json"
    held = json.loads(run.read_text())
    run.write_text(sealed({**held, "status": "diverged", "test_error": None}))
    assert "from seed 0 in" in refused(f"{copy}:without_7:0")
    assert "diverged: there are no weights of its end" in refused(f"{copy}:without_7:0")
    run.unlink()
    assert re.search(
        r"stopped after step \d+: give `ablax run` again", refused(f"{copy}:without_7:0")
    )
    recipe = copy / "recipe.json"
    known = json.loads(recipe.read_text())
    recipe.write_text(sealed({**known, "networks": {"full": "another"}}))
    assert "gives another network for full today" in refused(f"{copy}:full:0")
    recipe.write_text(sealed({**known, "experiment": "gone"}))
    assert re.search("is of the experiment gone, which cannot be had.*gone.py", refused(copy))


@pytest.mark.slow
def test_a_damaged_checkpoint_is_refused_and_an_older_one_is_not_taken_for_it(copy):
    flip(copy / "checkpoints" / "full" / "seed-0")
    assert "does not match its checksum" in refused(f"{copy}:full:0")
    shutil.rmtree(copy / "checkpoints" / "full")
    assert "has no checkpoint of full from seed 0, though it is finished" in refused(copy)


def test_what_was_kept_has_no_weights():
    kept = Path(__file__).parents[1] / "experiments/results/depth_sweep/digits-cpu"
    assert "has no checkpoints, so no weights (`ablax keep` copies none)" in refused(kept)


def test_words_name_networks_files_and_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("resnet20").mkdir()  # a name of the zoo stays one
    Path("theirs.bin").touch()
    Path("runs:mine").mkdir()
    Path("runs:mine/recipe.json").touch()
    assert source_of("resnet20") == ZooNetwork("resnet20")
    assert source_of("ablax.zoo:lenet5") == ZooNetwork("ablax.zoo:lenet5")
    assert source_of("resnet20=theirs.bin") == WeightsFile("resnet20", Path("theirs.bin"), None)
    assert source_of("resnet20=zeros-behind:theirs.bin") == WeightsFile(
        "resnet20", Path("theirs.bin"), "zeros-behind"
    )
    folder = Path("runs:mine")
    assert source_of("runs:mine") == RunName(folder, "", None)
    assert source_of("runs:mine:full") == RunName(folder, "full", None)
    assert source_of("runs:mine:full:7") == RunName(folder, "full", 7)


def test_random_weights_alone_have_a_size_and_classes_of_choice(tmp_path):
    small = ablax.load_model("resnet20", image_size=8, classes=3, seed=None)
    assert small.image_shape == (8, 8, 3)
    file = tmp_path / "x.bin"
    file.touch()
    with pytest.raises(AblaxError, match="--image-size is for random weights"):
        ablax.load_model(f"resnet20={file}", image_size=8)


@pytest.mark.slow
def test_another_precision_is_evaluated_as_it_was_trained(tmp_path, capsys):
    out = tmp_path / "coarse"
    words = ("--config", "smoke", "--train.epochs", "1", "--train.precision", "bfloat16")
    main(["run", "alexnet_ablation", "--only", "full", *words, "--results", str(out)])
    model = ablax.load_model(out)
    assert model.precision == "bfloat16"
    test = ablax.data.load_digits().test
    for (variant, seed), error in errors_in(out).items():
        found = ablax.load_model(f"{out}:{variant}:{seed}").error(test.images, test.labels)
        # of other batches: where bfloat16 rounds depends on what is compiled together
        assert found == pytest.approx(error, abs=1)
    exact = dataclasses.replace(model, precision="float32")
    assert not np.array_equal(exact.scores(test.images), model.scores(test.images))
