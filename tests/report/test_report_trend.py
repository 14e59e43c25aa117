"""Trends: the points drawn are the means of the runs, and what was not run is left out."""

from __future__ import annotations

import numpy as np
import pytest
from plans import asked

from ablax.report.plots import Trend
from ablax.report.statistics import summary

SERIES = {
    "one": {1.0: "full", 2.0: "without_7", 8.0: "never_run"},
    "other": {1.0: "without_34", 2.0: "without_3467"},
}


def test_lines_go_through_the_means_and_leave_out_what_was_not_run(study):
    trend = Trend("t", "Title", "layers", SERIES, (("test_error",), ("train_loss",)))
    figure = trend.draw(study)
    errors, losses = figure.axes
    lines = {line.get_label(): line for line in errors.lines if line.get_label() in SERIES}
    expected = [summary(study, name).error for name in ("full", "without_7")]
    np.testing.assert_array_equal(lines["one"].get_xdata(), [1.0, 2.0])
    np.testing.assert_allclose(lines["one"].get_ydata(), expected)
    assert list(errors.get_xticks()) == [1.0, 2.0]
    assert errors.get_ylabel() == "test error, %"
    assert losses.get_ylabel() == "training loss, nats"
    assert errors.get_ylim()[0] == 0


def test_quantities_that_share_a_panel_are_told_apart_in_the_legend(study):
    figure = Trend("t", "Title", "x", SERIES, (("test_error", "train_error"),)).draw(study)
    labels = {line.get_label() for line in figure.axes[0].lines}
    assert {"one, test error", "one, training error", "other, test error"} <= labels


@pytest.mark.slow
def test_a_report_holds_the_picture_of_a_section(study, tmp_path):

    from ablax.report.page import write_report
    from ablax.report.study import Section

    picture = Trend("by_depth", "Error by depth", "layers", SERIES, (("test_error",),)).picture
    section = Section("Depth", "What was done.", (picture,))
    page = write_report(asked(study, sections=(section,)), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "## Depth\n\nWhat was done.\n\n![" in text
    assert (tmp_path / "plots" / "by_depth.png").stat().st_size > 10_000
    assert "<h2>Depth</h2>" in page.read_text()


def test_a_number_of_the_study_places_the_points(study):
    def number(variant):
        return float(variant.parameters)

    trend = Trend("t", "T", "parameters", SERIES, (("test_error",),), number=number)
    (axes,) = trend.draw(study).axes
    line = next(line for line in axes.lines if line.get_label() == "one")
    counts = [study.variant(name).parameters for name in ("full", "without_7")]
    np.testing.assert_array_equal(line.get_xdata(), sorted(counts))
