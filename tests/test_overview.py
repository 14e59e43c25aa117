"""The overview of the experiments: what was kept, and not stale."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablax.__main__ import main
from ablax.commands.keep import LIGHTEST, answers, light, overview, place
from ablax.config import Recipe, flat
from ablax.errors import AblaxError
from ablax.files import sealed
from ablax.report.figures import COLORS
from ablax.study.folder import FORMAT

ROOT = Path(__file__).parents[1]
FACTS = {
    "experiment": "mine",
    "recipe": "digits",
    "answer": "Yes: it matters, +1.00 points (n = 3).",
    "outcome": "reproduced",
    "training_seconds": 1234,
    "runs": 6,
    "picture": "plots/errors.png",
    "device": "2 CPU cores (A)",
    "date": "2026-01-02",
}


def test_the_committed_overview_is_what_the_kept_results_give():
    assert (ROOT / "experiments" / "README.md").read_text() == overview(ROOT / "experiments"), (
        "experiments/README.md is stale: `ablax keep FOLDER` writes it"
    )


def test_every_experiment_has_a_kept_digits_run_of_its_own_question():
    found = answers(ROOT / "experiments" / "results")
    names = {path.stem for path in (ROOT / "experiments").glob("[!_]*.py")}
    assert {facts["experiment"] for facts in found if facts["recipe"] == "digits"} == names
    for facts in found:
        folder = ROOT / "experiments" / "results" / facts["folder"]
        report = (folder / "report.md").read_text().splitlines()
        assert report[2].replace("\\", "") == facts["answer"].replace("\\", "")
        assert (folder / facts["picture"]).exists()


def made(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "mine" / "digits"
    (folder / "plots").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    (folder / "measurements" / "sizes").mkdir(parents=True)
    for name in ("report.md", "measurements/sizes/metrics.csv"):
        (folder / name).write_text(name)
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(folder / "plots" / "errors.png")
    (folder / "measurements" / "sizes" / "metrics.jsonl").write_text("log")
    (folder / "plots" / "errors.svg").write_text("<svg/>")
    (folder / "answer.json").write_text(sealed(FACTS))
    head = {"format": FORMAT, "experiment": "mine", "recipe": "digits"}
    (folder / "recipe.json").write_text(sealed({**head, **flat(Recipe())}))
    return folder


def test_keeping_a_run_copies_what_is_read_and_writes_the_overview(tmp_path, capsys):
    experiments = tmp_path / "experiments"
    experiments.mkdir()
    (experiments / "mine.py").write_text((ROOT / "experiments" / "alexnet_ablation.py").read_text())
    main(["keep", str(made(tmp_path)), "--experiments", str(experiments)])
    kept = experiments / "results" / "mine" / "digits-cpu"
    assert f"kept: {kept}" in capsys.readouterr().out
    assert (kept / "measurements" / "sizes" / "metrics.csv").exists()
    assert not (kept / "measurements" / "sizes" / "metrics.jsonl").exists()
    log = kept / "measurements" / "sizes" / "metrics.jsonl.gz"
    assert gzip.decompress(log.read_bytes()) == b"log"
    assert not (kept / "plots" / "errors.svg").exists()
    assert not (kept / "checkpoints").exists()
    text = (experiments / "README.md").read_text()
    assert "**Yes: it matters, +1.00 points (n = 3).**" in text
    assert "6 runs, 1,234 s of training on 2 CPU cores (A), 2026-01-02" in text
    assert "results/mine/digits-cpu/plots/errors.png" in text
    (experiments / "other.py").write_text((experiments / "mine.py").read_text())
    assert "No run has been kept yet." in overview(experiments)


def test_keeping_what_is_no_finished_run_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["keep", str(tmp_path)])
    assert "has no answer.json: give the folder of a finished run" in capsys.readouterr().err


def test_keeping_what_is_kept_already_is_refused_and_loses_nothing(tmp_path, capsys):
    experiments = tmp_path / "experiments"
    experiments.mkdir()
    (experiments / "mine.py").write_text((ROOT / "experiments" / "alexnet_ablation.py").read_text())
    main(["keep", str(made(tmp_path)), "--experiments", str(experiments)])
    kept = experiments / "results" / "mine" / "digits-cpu"
    with pytest.raises(SystemExit):
        main(["keep", str(kept), "--experiments", str(experiments)])
    assert "is kept already" in capsys.readouterr().err
    assert (kept / "report.md").exists()


@pytest.mark.parametrize(
    ("content", "message"), [("{", "cannot be read"), (sealed({}), "lacks answer")]
)
def test_keeping_a_damaged_answer_is_refused_by_its_name(content, message, tmp_path, capsys):
    folder = made(tmp_path)
    (folder / "answer.json").write_text(content)
    with pytest.raises(SystemExit):
        main(["keep", str(folder), "--experiments", str(tmp_path)])
    assert f"answer.json {message}" in capsys.readouterr().err


def test_a_damaged_answer_is_named(tmp_path):
    (made(tmp_path) / "answer.json").write_text("{")
    with pytest.raises(AblaxError, match=r"answer.json cannot be read"):
        answers(tmp_path / "results")


@pytest.mark.parametrize(
    ("device", "kind"),
    [("2 CPU cores (A)", "cpu"), ("1 x NVIDIA H200", "gpu"), ("8 x TPU v4", "tpu")],
)
def test_runs_on_other_devices_are_kept_apart(device, kind):
    assert place(Path("e"), {**FACTS, "device": device}).name == f"digits-{kind}"


def test_keeping_and_listing_runs_of_another_format_is_refused(tmp_path, capsys):
    folder = made(tmp_path)
    (folder / "recipe.json").write_text('{"experiment": "mine", "recipe": "digits"}')
    with pytest.raises(SystemExit):
        main(["keep", str(folder), "--experiments", str(tmp_path)])
    assert "holds results of format 1" in capsys.readouterr().err
    with pytest.raises(AblaxError, match="holds results of format 1"):
        answers(tmp_path / "results")


def test_a_kept_picture_is_light_and_has_its_colors(tmp_path):
    """Noise is made smaller; a few colors stay what they are, all but a few levels."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert len(light(tmp_path / "noise.png")) <= LIGHTEST
    lines = np.full((400, 600, 3), 255, np.uint8)
    for row, color in enumerate(COLORS):
        lines[20 * row, :] = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    Image.fromarray(lines).save(tmp_path / "lines.png")
    with Image.open(io.BytesIO(light(tmp_path / "lines.png"))) as kept:
        assert kept.size == (600, 400)
        np.testing.assert_allclose(np.asarray(kept.convert("RGB")), lines, atol=3)
