"""`ablax table`, `ablax plot-errors` and `ablax roofline` as one types them."""

import csv
import importlib
import io
import json

import pytest

from ablax.commands.options import parse
from ablax.errors import AblaxError

LENET = ["c1", "s2", "c3", "s4", "c5", "f6", "output"]


def run(capsys, command, *words):
    module = importlib.import_module(f"ablax.commands.{command}")
    parse(getattr(module, command), words, command)()
    return capsys.readouterr().out


def test_table_prints_a_row_a_layer_and_names_convention_and_totals(capsys):
    lines = run(capsys, "table", "lenet5", "--depth", "1").splitlines()
    assert lines[0] == "Cost of lenet5, 1 image of 32x32x1"
    assert lines[1].split()[:5] == ["layer", "operation", "input", "output", "MACs"]
    assert [line.split()[0] for line in lines[2:9]] == LENET
    assert lines[9].startswith("In all: MACs 416,520; parameters 61,706; memory ")
    assert lines[10].startswith("Convention usual: multiply-accumulates of convolutions")


def test_table_as_csv_holds_the_cells_alone(capsys):
    rows = list(csv.DictReader(io.StringIO(run(capsys, "table", "lenet5", "--format", "csv"))))
    assert sum(int(row["parameters"]) for row in rows) == 61_706
    assert rows[0]["operation"] == "convolution 5x5"


def test_table_as_json_has_totals(capsys):
    whole = json.loads(run(capsys, "table", "lenet5", "--format", "json"))
    assert whole["totals"]["parameters"] == 61_706
    assert whole["totals"]["convention"] == "usual"


def test_table_of_training_names_the_ratio(capsys):
    text = run(capsys, "table", "lenet5", "--training", "--depth", "1", "--batch", "2")
    assert "gradient by input" in text
    assert "Training costs 2.718 times the forward pass." in text


def test_table_in_the_lectures_columns_takes_any_network(capsys):
    lines = run(capsys, "table", "lenet5", "--convention", "lecture").splitlines()
    assert lines[2].split()[:6] == ["0", "Inpt", "1", "1", "32", "0"]
    assert lines[3].split()[:9] == ["1", "Conv", "1", "1", "32", "0", "5", "1", "6"]


def test_table_draws_a_picture(capsys, tmp_path):
    run(capsys, "table", "lenet5", "--plot", str(tmp_path / "lenet5.png"))
    assert (tmp_path / "lenet5.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which network"),
        (["lenet"], "no network 'lenet'"),
        (["lenet5", "--convention", "usal"], "did you mean 'usual'"),
        (["lenet5", "--depth", "0"], "--depth 0: expected at least 1"),
        (["lenet5", "--lectures"], "give no network"),
        (["lenet5", "--training", "--convention", "lecture"], "says nothing of training"),
        (["lenet5", "--plot", "lenet5.gif"], "must end in"),
        (["lenet5", "--image-size", "0"], "--image-size 0: expected at least 1"),
    ],
)
def test_table_refuses_what_it_cannot_print(capsys, words, message):
    with pytest.raises(AblaxError, match=message):
        run(capsys, "table", *words)


def test_roofline_refuses_no_repeats(capsys):
    with pytest.raises(AblaxError, match="--repeats 0: expected at least 1"):
        run(capsys, "roofline", "lenet5", "--repeats", "0")


@pytest.mark.slow
def test_plot_errors_names_its_picture(capsys, tmp_path):
    path = tmp_path / "errors.png"
    assert run(capsys, "plot_errors", str(path), "--data", "cifar").strip() == str(path)
    assert path.read_bytes().startswith(b"\x89PNG")
