"""`results.csv` and `summary.csv`: same runs, same bytes, same bits."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ablax import files as atomic
from ablax.errors import ReportError
from ablax.report.differences import comparisons_with_baseline
from ablax.report.study import Variant
from ablax.report.study_tables import result_rows, summary_csv, write_results


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_results_have_the_promised_columns_first(study, tmp_path):
    path = write_results(tmp_path / "new" / "results.csv", study.variants, study.runs)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("variant,seed,test_error,train_loss,parameters,macs,seconds,")
    run = study.runs[0]
    assert lines[1] == (
        f"full,0,{run.test_error!r},{run.train_loss!r},3400000,21500000,{run.seconds!r},"
        f"{run.train_error!r},20.0,finished"
    )
    assert len(lines) == 1 + 25


def test_results_do_not_depend_on_the_order_or_the_number_of_attempts(study, tmp_path):
    again = tuple(replace(run, attempts=3) for run in reversed(study.runs))
    first = write_results(tmp_path / "a.csv", study.variants, study.runs)
    second = write_results(tmp_path / "b.csv", study.variants, again)
    assert first.read_bytes() == second.read_bytes()


@settings(max_examples=40, deadline=None)
@given(
    name=some.text(
        some.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=8
    ),
    error=some.floats(allow_infinity=False),
    loss=some.floats(),
    seconds=some.floats(0),
)
def test_results_read_back_bit_for_bit(make_run, tmp_path_factory, name, error, loss, seconds):
    run = replace(make_run(name, 3, 1.0), test_error=error, train_loss=loss, seconds=seconds)
    variants = (Variant(name, name, 10, 20),)
    path = tmp_path_factory.mktemp("csv") / "results.csv"
    (found,), (row,) = read(write_results(path, variants, (run,))), result_rows(variants, (run,))
    assert repr({name: type(row[name])(text) for name, text in found.items()}) == repr(row)


def test_diverged_run_is_written_as_nan_and_says_so(study, diverge, tmp_path):
    runs = (diverge(study.runs[0]),)
    (row,) = read(write_results(tmp_path / "r.csv", study.variants, runs))
    assert (row["test_error"], row["status"], row["epochs"]) == ("nan", "diverged", "6.0")


def test_failed_write_keeps_the_old_file_and_leaves_no_other(study, tmp_path, monkeypatch):
    path = write_results(tmp_path / "results.csv", study.variants, study.runs)
    before = path.read_bytes()

    def full_disk(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full_disk)
    with pytest.raises(ReportError, match=r"could not be written \(No space left on device\)"):
        write_results(path, study.variants, study.runs[:1])
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["results.csv"]


def test_folder_that_is_a_file_is_refused(study, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ReportError, match="choose a folder that can be written"):
        write_results(tmp_path / "taken" / "results.csv", study.variants, study.runs)


def test_summary_has_the_unrounded_figures_of_every_variant(study):
    rows = list(csv.DictReader(io.StringIO(summary_csv(study))))
    assert [row["variant"] for row in rows] == list(study.names)
    found = comparisons_with_baseline(study)["without_67"]
    assert found.interval is not None
    assert float(rows[2]["difference"]) == found.difference
    assert float(rows[2]["difference_low"]) == found.interval.low
    assert rows[0]["difference"] == "nan"
