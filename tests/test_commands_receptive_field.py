"""`ablax receptive-field`: table, picture, and what it says to a person who mistyped."""

from __future__ import annotations

import csv
import io
import json

import pytest
from PIL import Image

from ablax.commands import receptive_field
from ablax.commands.options import parse
from ablax.errors import AblaxError


def command(*words):
    parse(receptive_field.receptive_field, words, "receptive-field")()


def test_table_names_size_stride_offset_and_share(capsys):
    command("lenet5")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Receptive fields of lenet5, images of 32x32x1"
    assert lines[3].split() == ["s2", "14x14x6", "6", "2", "2.5", "3.52"]
    assert lines[8].split() == ["f6", "84", "32", "15.5", "100"]


def test_table_of_one_layer_of_another_image_as_csv_and_json(capsys):
    words = ("lenet5", "--layer", "c3", "--layer", "c1/conv", "--image-size", "40", "--format")
    command(*words, "csv")
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert [row[:3] for row in rows[1:]] == [["c3", "14x14x16", "14"], ["c1/conv", "36x36x6", "5"]]
    command(*words, "json")
    assert [row["size"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["14", "5"]


def test_depth_looks_into_blocks(capsys):
    command("lenet5", "--depth", "2")
    assert "c1/conv" in capsys.readouterr().out


@pytest.mark.slow
def test_effective_field_is_drawn_and_printed(tmp_path, capsys):
    file = tmp_path / "lenet.png"
    words = ("lenet5", "--effective", str(file), "--images", "2", "--layer", "s4")
    command(*words, "--format", "json")
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["layer"], row["theoretical"]) == ("s4", 16.0)
    assert 8 < row["effective"] <= 16
    with Image.open(file) as picture:
        assert min(picture.size) > 500


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "which network"),
        (("lenet6",), "did you mean 'lenet5"),
        (("lenet5", "--layer", "c5/con"), r"the network has no layer 'c5/con'.*mean 'c5/conv"),
        (("lenet5", "--image-size", "0"), "--image-size 0: expected at least 1"),
        (("lenet5", "--images", "0"), "--images 0: expected at least 1"),
        (("lenet5", "--effective", "x.png", "--layer", "f6"), "f6.*gives no maps"),
        (("lenet5", "--effective", "x.pgn"), "x.pgn.*png"),
        (("lenet5", "--effective", "nowhere/x.png"), "there is no folder nowhere"),
        (("lenet5", "--published"), "give no network"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AblaxError, match=message):
        command(*words)
    assert not list(tmp_path.iterdir())
