"""The lecture's AlexNet table (L2), printed again: 22 rows, 15 columns, every cell."""

import csv
import io
import json
from pathlib import Path

import pytest

from ablax.analysis.cost import LECTURE
from ablax.inspection.cost import lecture_table, network_cost
from ablax.report.tables import render
from ablax.zoo import untrained

PRINTED = [
    line.split("\t")
    for line in (Path(__file__).parent / "lecture_alexnet.tsv").read_text("utf-8").splitlines()
]
# the headings of the last two columns run into one another: "All Mem (Mem ("
PRINTED[0][-1:] = PRINTED[0][-1].split(" (", 1)
PRINTED[0][-1] = "(" + PRINTED[0][-1]


@pytest.fixture(scope="module")
def table():
    alexnet = untrained("alexnet_ungrouped", None)
    return lecture_table(alexnet, network_cost(alexnet, LECTURE, softmax=True), LECTURE)


def test_lecture_data_are_the_whole_table():
    assert len(PRINTED) == 1 + 22
    assert {len(row) for row in PRINTED} == {15}


def test_text_is_the_lectures_table_to_the_last_digit(table):
    lines = render(table, "text").splitlines()[1:24]
    assert lines[0].split() == " ".join(PRINTED[0]).split()
    assert [line.split() for line in lines[1:]] == PRINTED[1:]


def test_csv_is_the_lectures_table_to_the_last_digit(table):
    assert list(csv.reader(io.StringIO(render(table, "csv")))) == PRINTED


def test_markdown_is_the_lectures_table_to_the_last_digit(table):
    lines = [line for line in render(table, "markdown").splitlines() if "|" in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [cells[0], *cells[2:]] == PRINTED


def test_json_is_the_lectures_table_to_the_last_digit(table):
    rows = json.loads(render(table, "json"))["rows"]
    assert [list(row) for row in rows] == [PRINTED[0]] * 22
    assert [[str(cell) for cell in row.values()] for row in rows] == PRINTED[1:]


def test_foot_names_the_convention_and_adds_up_the_printed_columns(table):
    macs, parameters, memory = (sum(int(row[n]) for row in PRINTED[2:]) for n in (9, 11, 13))
    assert table.totals == {
        "convention": "lecture",
        "MACs": macs,
        "parameters": parameters,
        "memory": memory,
    }
    assert table.notes[1].startswith("Convention lecture: as in the AlexNet table of L2")
