"""The script that tries values of a field, as the `Grid` of an experiment shows them."""

from __future__ import annotations

import ast
import sys

import pytest
import tune_field


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "by", "field", "variant"),
    [
        # its measurements name variants that the grid does not have
        ("optimization", "train_loss", "optimizer.rate", "adam"),
        ("generalization", "held_out_error", "optimizer.weight_decay", "weight_decay"),
    ],
)
def test_values_are_tried_by_a_quantity_of_the_run_or_of_a_measurement(
    name, by, field, variant, tmp_path, monkeypatch, capsys
):
    words = [name, by, field, "0.001,0.5", variant, str(tmp_path), "--recipe", "smoke"]
    monkeypatch.setattr(sys, "argv", ["tune_field.py", *words])
    tune_field.main()
    printed = capsys.readouterr().out
    found = ast.literal_eval(printed[printed.rindex("{'") :])
    assert list(found) == [variant]
    assert list(found[variant]) == [0.001, 0.5]
    assert len(set(found[variant].values())) == 2
    assert (tmp_path / "runs" / "report.html").exists()
