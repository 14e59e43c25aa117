"""Measured rows: kept, replaced by what a resumed run measures again, and refused."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
from subjects import made_subject

from ablax.core import Layers, Network
from ablax.errors import AblaxError
from ablax.layers import GlobalAveragePool
from ablax.measurements.measurement import Measurement, MeasurementLog
from ablax.report.study import Quantity, Section


def measurement(measure, **fields):
    return Measurement("sizes", measure, Section("Sizes"), **fields)


MODEL, SAMPLE = made_subject(Network(Layers(), Layers(), Layers(average=GlobalAveragePool())))


def given(seed=0, step=0):
    return MODEL, replace(SAMPLE, seed=seed, step=step, epoch=step / 10)


def test_rows_come_back_with_what_they_belong_to(tmp_path):
    sizes = measurement(lambda _, s: [{"layer": "a", "size": np.float32(1.5)}, {"size": s.seed}])
    log = MeasurementLog(tmp_path, (sizes,))
    assert log.rows() == {"sizes": ()}
    log.take(sizes, *given(seed=3, step=20))
    about = {"step": 20, "variant": "full", "seed": 3, "epoch": 2.0}
    assert log.rows() == {"sizes": ({**about, "layer": "a", "size": 1.5}, {**about, "size": 3})}
    log.write_csv()
    assert (tmp_path / "measurements" / "sizes" / "metrics.csv").read_text().count("\n") == 3


def test_what_a_resumed_run_measures_again_counts_once(tmp_path):
    sizes_given = iter([1.0, 2.0, 3.0])
    sizes = measurement(lambda *_: [{"size": next(sizes_given)}])
    log = MeasurementLog(tmp_path, (sizes,))
    log.take(sizes, *given(step=0))
    log.take(sizes, *given(step=10))
    again = MeasurementLog(tmp_path, (sizes,))  # after a kill
    again.take(sizes, *given(step=10))  # from the checkpoint before step 10
    assert [row["size"] for row in again.rows()["sizes"]] == [1.0, 3.0]


def test_attempts_are_those_of_a_run_and_not_its_calls(tmp_path):
    sizes = measurement(lambda *_: [{"size": 1.0}])
    log = MeasurementLog(tmp_path, (sizes,))
    for step in (0, 10, 20):
        log.take(sizes, *given(seed=0, step=step))
    again = MeasurementLog(tmp_path, (sizes,))
    again.take(sizes, *given(seed=0, step=20))
    again.take(sizes, *given(seed=1, step=0))
    log.write_csv()
    table = (tmp_path / "measurements" / "sizes" / "metrics.csv").read_text()
    found = [
        (row["seed"], row["step"], row["attempt"]) for row in csv.DictReader(table.splitlines())
    ]
    assert found == [("0", "0", "1"), ("0", "10", "1"), ("0", "20", "2"), ("1", "0", "1")]


def test_quantities_are_those_of_one_run_and_nan_is_not_one(tmp_path):
    quantities = {
        "largest": Quantity("largest", lambda rows: max(row["size"] for row in rows)),
        "none": Quantity("none", lambda _: math.nan),
    }
    sizes = measurement(
        lambda _, s: [{"size": s.seed}, {"size": 5 * s.seed}], quantities=quantities
    )
    log = MeasurementLog(tmp_path, (sizes,))
    log.take(sizes, *given(seed=1))
    log.take(sizes, *given(seed=2))
    assert log.quantities(log.rows(), "full", 2) == {"largest": 10.0}
    assert log.quantities(log.rows(), "other", 2) == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [({"seed": 1}, "a column 'seed', which"), ({"size": [1, 2]}, r"gives \[1, 2\] as 'size'")],
)
def test_rows_that_cannot_be_kept_are_refused_and_none_of_them_is(row, message, tmp_path):
    sizes = measurement(lambda *_: [{"size": 1}, row])
    log = MeasurementLog(tmp_path, (sizes,))
    with pytest.raises(AblaxError, match=message):
        log.take(sizes, *given())
    assert log.rows() == {"sizes": ()}


def test_a_measurement_says_when_and_of_whom_it_is_wanted():
    one = measurement(lambda *_: [], moments=("start", "end"), every_seed=False, only=("full",))
    assert one.wanted("full", 0, "start")
    assert not one.wanted("full", 0, "training")
    assert not one.wanted("full", 1, "start")
    assert not one.wanted("cut", 0, "start")


@pytest.mark.parametrize(("name", "moments"), [("two words", ("end",)), ("sizes", ())])
def test_a_measurement_without_a_name_or_a_moment_is_refused(name, moments):
    with pytest.raises(AblaxError, match="measurement"):
        Measurement(name, lambda *_: [], Section("Sizes"), moments=moments)
