"""Learning curves in panels: the lines are means of runs, and every line is named at its end."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import asked

from ablax.errors import ReportError
from ablax.report.figures import spread
from ablax.report.plots import CurvePanels
from ablax.report.study import Curve

PANELS = {
    "dense": ("full", "without_7", "never_run"),
    "convolutions": ("full", "without_34"),
    "of nothing that ran": ("full", "never_run"),
}


def line(axes, label):
    return next(found for found in axes.lines if found.get_label() == label)


def test_a_line_is_the_mean_over_seeds_and_its_band_the_range(study):
    dense, convolutions = CurvePanels("p", "Title", PANELS).draw(study).axes
    losses = np.array([run.curve.train_loss for run in study.runs_of("without_7")])
    drawn = line(dense, "Without 7")
    np.testing.assert_allclose(drawn.get_ydata(), losses.mean(axis=0))
    np.testing.assert_array_equal(drawn.get_xdata(), np.arange(1, 21))
    corners = dense.collections[1].get_paths()[0].vertices[:, 1]
    assert corners.min() == losses.min()
    assert corners.max() == losses.max()
    assert [found.get_label() for found in convolutions.lines] == ["Full", "Without 3, 4"]


def test_panels_that_compare_nothing_are_left_out(study):
    figure = CurvePanels("p", "Title", PANELS).draw(study)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Dense", "Convolutions"]
    alone = CurvePanels("p", "Title", {"only": ("full", "never_run")}).draw(study)
    assert [found.get_label() for found in alone.axes[0].lines] == ["Full"]


def test_every_curve_has_a_column_with_its_unit_and_one_logarithmic_scale(study):
    figure = CurvePanels("p", "Title", PANELS, ("train_error", "test_error")).draw(study)
    assert [axes.get_ylabel() for axes in figure.axes] == ["training error, %", "test error, %"] * 2
    assert all(axes.get_yscale() == "log" for axes in figure.axes)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    run = study.runs_of("full")[0]
    ends = [curve[-1] for curve in (r.curve.test_error for r in study.runs_of("full"))]
    found = line(figure.axes[1], "Full")
    assert found.get_ydata()[-1] == pytest.approx(np.mean(ends))
    assert found.get_xdata()[-1] == run.curve.test_epochs[-1]


def test_losses_and_errors_have_axes_of_their_own(study):
    figure = CurvePanels("p", "Title", PANELS, ("train_loss", "test_error")).draw(study)
    above, beside, below, last = (axes.get_ylim() for axes in figure.axes)
    assert above == below != beside == last


def test_every_line_is_named_once_and_the_baseline_is_black_everywhere(study):
    dense, convolutions = CurvePanels("p", "Title", PANELS).draw(study).axes
    names = [[text.get_text() for text in axes.texts] for axes in (dense, convolutions)]
    assert names == [["Full", "Without 7"], ["Full", "Without 3, 4"]]
    for axes in (dense, convolutions):
        assert line(axes, "Full").get_color() == axes.texts[0].get_color() == "#000000"
        assert axes.texts[1].get_color() == axes.lines[1].get_color() != "#000000"


def test_a_line_ends_where_its_runs_diverge(study, diverge):
    broken = tuple(diverge(run) if run.variant == "without_7" else run for run in study.runs)
    dense, _ = CurvePanels("p", "Title", PANELS).draw(replace(study, runs=broken)).axes
    assert line(dense, "Without 7").get_xdata()[-1] == 5
    assert dense.texts[1].xy[0] == 5


def test_a_variant_without_a_finite_value_is_named_in_the_panel(study, diverge):
    nothing = Curve((1.0,), (math.nan,), (math.nan,), (), ())
    runs = tuple(
        replace(diverge(run), curve=nothing) if run.variant == "without_7" else run
        for run in study.runs
    )
    dense, _ = CurvePanels("p", "Title", PANELS).draw(replace(study, runs=runs)).axes
    assert [text.get_text() for text in dense.texts] == ["Without 7: no finite value", "Full"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_spread_labels_keep_their_order_and_never_overlap(places):
    height = 0.1
    found = spread(places, [height] * len(places))
    order = np.argsort(places, kind="stable")
    apart = np.diff(np.array(found)[order])
    assert (apart > height - 1e-9).all()
    assert min(found) > height / 2 - 1e-9
    assert max(found) < 1 - height / 2 + 1e-9


def test_labels_with_room_stay_where_they_are():
    assert spread([0.2, 0.8, 0.5], [0.1, 0.1, 0.1]) == pytest.approx([0.2, 0.8, 0.5])


@pytest.mark.parametrize(
    ("panels", "curves", "message"),
    [
        ({}, ("train_loss",), "has 0 panels and 1 curves: give at least one of each"),
        ({"a": ("full",)}, ("training_loss",), "no run has a curve 'training_loss'.*train_loss"),
    ],
)
def test_what_cannot_be_drawn_is_refused(panels, curves, message):
    with pytest.raises(ReportError, match=message):
        CurvePanels("p", "Title", panels, curves)


def test_black_belongs_to_the_baseline_however_many_variants_there_are(study):
    many = [replace(study.variants[1], name=f"v{i}", label=f"V{i}") for i in range(20)]
    runs = [replace(study.runs_of("full")[0], variant=variant.name) for variant in many]
    crowd = asked(study, variants=(*study.variants, *many))
    crowd = replace(crowd, runs=(*study.runs, *runs))
    names = ("full", *(variant.name for variant in many))
    (axes,) = CurvePanels("p", "Title", {"all": names}).draw(crowd).axes
    looks = [(found.get_color(), found.get_linestyle(), found.get_marker()) for found in axes.lines]
    assert [color for color, _, _ in looks].count(looks[0][0]) == 1
    assert len(set(looks)) == len(looks)
