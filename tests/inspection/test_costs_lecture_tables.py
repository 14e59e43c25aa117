"""The lectures' tables beside ours: every difference has a remark, and the page is not stale."""

import functools
from pathlib import Path

import pytest

from ablax.inspection.lectures import (
    densenet_comparison,
    googlenet_comparison,
    mobilenet_v1_comparison,
    page,
    resnet_comparison,
    squeezenet_comparison,
)

ROOT = Path(__file__).parents[2]
SLOW = [
    pytest.param(make, marks=pytest.mark.slow)
    for make in (
        googlenet_comparison,
        mobilenet_v1_comparison,
        densenet_comparison,
        resnet_comparison,
    )
]


@functools.cache
def lines_of(make):
    return make().lines


def named(make):
    return make.__name__


@pytest.mark.parametrize("make", [squeezenet_comparison, *SLOW], ids=named)
def test_every_difference_from_a_lecture_has_a_remark_and_no_agreement_has_one(make):
    lines = lines_of(make)
    unexplained = [line for line in lines if not line.agrees and not line.remark]
    assert unexplained == []
    assert [line for line in lines if line.agrees and line.remark] == []


@pytest.mark.slow
def test_googlenet_slips_are_those_of_the_reference():
    by_layer = {line.layer: line for line in lines_of(googlenet_comparison) if line.remark}
    assert by_layer["inception (4c)"].parameters == 510_104
    assert by_layer["inception (5a)"].parameters == 1_043_456
    assert "9,408" in by_layer["convolution"].remark
    assert 7 * 7 * 3 * 64 == 9408


def test_squeezenet_columns_add_up_to_the_printed_totals():
    cells = [line.printed[3:] for line in lines_of(squeezenet_comparison) if line.printed[3]]
    before, after = (
        sum(int(c.replace(",", "")) for c in column) for column in zip(*cells, strict=True)
    )
    assert (before, after) == (1_248_424, 421_098)


def test_squeezenet_differs_in_two_cells_of_its_table():
    lines = [line for line in lines_of(squeezenet_comparison) if not line.agrees]
    assert [line.layer for line in lines] == ["fire8", "maxpool8"]


@pytest.mark.slow
def test_mobilenet_differs_in_one_stride():
    (line,) = [line for line in lines_of(mobilenet_v1_comparison) if not line.agrees]
    assert (line.printed[0], line.ours[0]) == ("Conv dw / s2", "Conv dw / s1")


@pytest.mark.slow
def test_resnet_differs_in_two_counts_of_flops_alone():
    lines = [line for line in lines_of(resnet_comparison) if not line.agrees]
    assert [line.layer for line in lines] == ["34-layer: FLOPs", "50-layer: FLOPs"]


@pytest.mark.slow
def test_densenet_tables_agree():
    assert all(line.agrees for line in lines_of(densenet_comparison))


@pytest.mark.slow
def test_page_of_costs_is_what_the_command_prints():
    printed = (ROOT / "docs" / "costs.md").read_text("utf-8")
    assert printed == page("markdown") + "\n", "run: ablax table --lectures --format markdown"
