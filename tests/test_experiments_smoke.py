"""Every experiment runs whole under the recipe `smoke`, and its report begins with an answer."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ablax.study.discovery import experiment, names

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", names("experiments"))
def test_an_experiment_runs_under_smoke_and_its_report_begins_with_the_answer(name, tmp_path):
    words = ["run", name, "--config", "smoke", "--results", str(tmp_path)]
    words += ["--workers", "0"]  # pytest has the cores already
    done = subprocess.run(
        [sys.executable, "-m", "ablax", *words],
        cwd=ROOT,
        # each program runs for seconds: XLA's costly passes cost more than they give
        env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    facts = json.loads((tmp_path / "answer.json").read_text())
    first = (tmp_path / "report.md").read_text().splitlines()[2]
    assert first.replace("\\", "") == facts["answer"].replace("\\", "")
    assert "too small to conclude anything" in first
    question = experiment(name)[1]
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["variant"] for row in rows} == set(question.chosen("smoke"))
    assert {row["status"] for row in rows} == {"finished"}
    for measurement in question.measurements:
        table = tmp_path / "measurements" / measurement.name / "metrics.csv"
        assert len(table.read_text().splitlines()) > 1, f"{measurement.name} measured nothing"
    shown = [p.name for section in question.sections for p in section.pictures]
    shown += [p.name for m in question.measurements for p in m.section.pictures]
    for picture in shown:
        assert (tmp_path / "plots" / f"{picture}.png").stat().st_size > 5_000
