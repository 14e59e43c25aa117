"""Pictures of costs: what they show, and that they can be written."""

import jax
import pytest

from ablax.analysis.cost import USUAL
from ablax.errors import AblaxError
from ablax.inspection.cost import (
    depth_figure,
    errors_figure,
    network_cost,
    networks_with_errors,
)
from ablax.inspection.timing import (
    Machine,
    Point,
    measure,
    roofline,
    roofline_figure,
    roofline_table,
)
from ablax.report.figures import save
from ablax.zoo import untrained

MACHINE = Machine("made up", rate=1e9, bandwidth=1e8)


def test_depth_figure_draws_a_bar_a_layer_in_three_panels():
    lenet = untrained("lenet5", None)
    figure = depth_figure(lenet, network_cost(lenet, USUAL), USUAL)
    volume, parameters, macs = figure.axes
    assert [bar.get_height() for bar in volume.patches][:2] == [28 * 28 * 6, 14 * 14 * 6]
    assert parameters.patches[0].get_height() == 156
    assert parameters.get_title(loc="left") == "parameters, 61,706 in all"
    assert macs.patches[0].get_height() == 28 * 28 * 25 * 6


@pytest.mark.slow
def test_errors_figure_marks_every_network_with_a_published_error_once():
    figure = errors_figure("imagenet")
    chosen = networks_with_errors("imagenet")
    assert len(chosen) > 8
    for axes in figure.axes:
        marked = sorted(y for line in axes.lines for y in line.get_ydata())
        assert marked == sorted(entry.errors[0] for entry in chosen)
        assert {text.get_text() for text in axes.texts} == {entry.name for entry in chosen}


def test_machine_takes_the_slower_of_its_limits():
    assert MACHINE.limit(intensity=1.0) == 1e8
    assert MACHINE.limit(intensity=1000.0) == 1e9
    assert MACHINE.seconds(macs=1e9, moved=10.0) == 1.0
    assert MACHINE.seconds(macs=10.0, moved=1e8) == 1.0


def test_measured_limits_are_positive_and_name_the_device():
    machine = measure(size=64, numbers=2**16, repeats=2)
    assert machine.rate > 0
    assert machine.bandwidth > 0
    assert machine.device.startswith(jax.devices()[0].device_kind)


@pytest.mark.slow
def test_roofline_of_lenet_times_each_layer_and_counts_what_crosses_its_border(tmp_path):
    lenet = untrained("lenet5", None)
    points = roofline(lenet, MACHINE, repeats=1)
    assert [point.layer for point in points] == ["c1", "s2", "c3", "s4", "c5", "f6", "output"]
    first = points[0]
    assert first.moved == 4 * (32 * 32 + 156 + 28 * 28 * 6)
    assert first.predicted == max(28 * 28 * 25 * 6 / 1e9, first.moved / 1e8)
    assert all(point.measured > 0 for point in points)
    save(roofline_figure(lenet, points, MACHINE), tmp_path / "roofline.svg")
    assert (tmp_path / "roofline.svg").read_text("utf-8").startswith("<?xml")


def test_roofline_table_says_how_far_from_the_limit():
    points = [Point("c1", macs=1000, moved=100, measured=0.004, predicted=0.001)]
    table = roofline_table(untrained("lenet5", None), points, MACHINE)
    assert table.rows[0][-3:] == (1.0, 4.0, "25 %")
    assert "predicted 1.00 ms, measured 4.00 ms" in table.notes[0]


def test_errors_of_other_images_are_refused():
    with pytest.raises(AblaxError, match="choose from imagenet, cifar"):
        networks_with_errors("mnist")


def test_a_picture_that_cannot_be_written_says_so(tmp_path):
    from matplotlib.figure import Figure

    (tmp_path / "file").write_text("")
    with pytest.raises(AblaxError, match=r"cannot draw .*free some space, or choose a folder"):
        save(Figure(), tmp_path / "file" / "picture.png")
