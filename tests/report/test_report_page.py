"""Pictures and pages: there, whole, the same each time, and honest about odd studies."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest

from ablax.report.content import limits
from ablax.report.drawing import look, wrapped
from ablax.report.page import html_page, write_report
from ablax.report.pictures import PICTURES, render
from ablax.report.plots import costs_figure, curves_figure, drops_figure, errors_figure
from ablax.report.results import ReportError
from ablax.report.statistics import comparisons_with_baseline, summary
from ablax.report.verdict import verdict


class Tags(HTMLParser):
    """Counts opened and closed tags."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.stack: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        if tag not in ("meta", "img"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


@pytest.fixture(scope="module")
def report(study, tmp_path_factory):
    return write_report(study, tmp_path_factory.mktemp("report"))


def test_report_is_one_page_with_its_pictures_inside(report):
    page = report.read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.stack == []
    assert tags.opened.count("img") == 4
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    data = re.findall(r"base64,([A-Za-z0-9+/=]+)", page)
    assert all(base64.b64decode(one).startswith(b"<?xml") for one in data)


def test_report_says_the_verdict_before_the_figures(report):
    page = report.read_text()
    first = page.index("Whether the stated order holds cannot be told at n = 5")
    assert first < page.index("<img")
    assert "2 of 3 statements reproduced" in page


def test_markdown_links_pictures_that_exist(report):
    text = (report.parent / "report.md").read_text()
    links = re.findall(r"\]\((.*?)\)", text)
    assert links == [f"plots/{name}.png" for name in ("errors", "costs", "drops", "curves")]
    for link in links:
        assert (report.parent / link).read_bytes().startswith(b"\x89PNG")
        assert (report.parent / link).with_suffix(".svg").exists()
    assert "| Without 3, 4, 6, 7 |" in text


@pytest.mark.slow
def test_equal_studies_give_equal_files(report, study, tmp_path):
    again = write_report(study, tmp_path).parent
    names = sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert len(names) == 11
    for name in names:
        assert (again / name).read_bytes() == (report.parent / name).read_bytes()


def test_everything_a_person_wrote_is_escaped(study, tmp_path):
    evil = "<script>alert(1)</script> $\\frac{$ *a* & \n b"
    variants = tuple(replace(v, label=f"{v.label} {evil}", redrawn=(evil,)) for v in study.variants)
    changed = replace(
        study,
        **dict.fromkeys(
            ("name", "question", "prediction", "source", "data_note", "command", "recipe_name"),
            evil,
        ),
        variants=variants,
        claims=tuple(replace(claim, text=evil) for claim in study.claims),
        published=tuple(
            replace(p, source=evil, measure=evil, note=evil, short=evil) for p in study.published
        ),
        environment={evil: evil},
        recipe={evil: {"a": [evil, None, 1.5, True]}},
    )
    page = write_report(changed, tmp_path).read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 20
    short = html_page(evil, (verdict(replace(changed, verdict_wanted=False)),), {})
    assert "<script" not in short
    assert short.count("&lt;script&gt;") == 3
    text = (tmp_path / "report.md").read_text()
    # only what stands indented, as code, keeps its signs
    assert not [line for line in text.splitlines() if "<script" in line and line[:4].strip()]


SLOW_CASES = [pytest.param(c, marks=pytest.mark.slow) for c in ("one seed", "no run", "alone")]


@pytest.mark.parametrize("case", ["smoke", "diverged", "nothing", *SLOW_CASES])
def test_odd_studies_are_reported_without_a_warning(case, study, make_study, diverge, tmp_path):
    changed = {
        "one seed": lambda: make_study(seeds=1),
        "smoke": lambda: replace(make_study(seeds=1, variants=2, epochs=1), verdict_wanted=False),
        "diverged": lambda: replace(study, runs=tuple(map(diverge, study.runs))),
        "no run": lambda: replace(study, runs=study.runs[:5]),
        "alone": lambda: replace(make_study(variants=1), published=()),
        "nothing": lambda: replace(study, runs=(), published=(), recipe={}, environment={}),
    }[case]()
    page = write_report(changed, tmp_path).read_text()
    assert "nan" not in re.sub(r"base64,[A-Za-z0-9+/=]+|variance|<style>.*?</style>", "", page)
    assert ("plots/drops.png" in (tmp_path / "report.md").read_text()) == (case != "alone")
    if case != "one seed":
        assert "<strong>No verdict" in page


def test_smoke_report_says_that_its_errors_mean_nothing(study):
    assert limits(replace(study, verdict_wanted=False))[0].endswith("Its errors mean nothing.")


def test_error_plot_shows_every_seed_and_the_mean(study):
    axes = errors_figure(study).axes[0]
    for name in study.names:
        errors = [run.test_error for run in study.runs_of(name)]
        drawn = [list(line.get_xdata()) for line in axes.lines]
        assert errors in drawn
        assert [summary(study, name).error] in [list(map(float, one)) for one in drawn]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        variant.label for variant in study.variants
    ]


def test_drop_plot_shows_the_intervals_of_the_table_and_the_published_bars(study):
    ours, theirs = drops_figure(study).axes
    drawn = [tuple(map(float, line.get_xdata())) for line in ours.lines]
    for found in comparisons_with_baseline(study).values():
        assert found.interval is not None
        assert (found.interval.low, found.interval.high) in drawn
    widths = [bar.get_width() for bar in theirs.patches]
    assert widths == [1.1, 5.7, 3.0, 33.5, 0.3, 4.3, 4.0, 32.0]


def test_curve_plot_shades_the_last_fifth_and_marks_what_flattened(study, make_study):
    figure = curves_figure(study)
    shade = figure.axes[0].patches[0]
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (16.0, 20.0)
    mean = np.mean([run.curve.train_loss for run in study.runs_of("full")], axis=0)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), mean)
    marks = {text.get_text().split("\n")[1] for text in figure.legends[0].get_texts()}
    assert marks == {"✓ flattened"}
    slow = curves_figure(make_study(time=8.0))
    marks = {text.get_text().split("\n")[1] for text in slow.legends[0].get_texts()}
    assert marks == {"✗ still falling"}


def test_cost_plot_sets_error_against_parameters_and_macs(study):
    left, right = costs_figure(study).axes
    means = [summary(study, name).error for name in study.names]
    for axes, costs in (
        (left, [v.parameters for v in study.variants]),
        (right, [v.macs for v in study.variants]),
    ):
        marks = [line for line in axes.lines if line.get_marker() != "None"]
        found = [(float(m.get_xdata()[0]), float(m.get_ydata()[0])) for m in marks]
        assert found == list(zip(map(float, costs), means, strict=True))


def test_seventy_two_variants_all_look_different():
    looks = {(look(place)["color"], look(place)["marker"]) for place in range(72)}
    assert len(looks) == 72


def test_long_labels_keep_both_ends():
    shown = wrapped("Without the third " + "and another " * 20 + "layer 17")
    assert shown.startswith("Without the third")
    assert shown.endswith("layer 17")
    assert shown.count("\n") <= 2


def test_pictures_do_not_depend_on_a_persons_settings_and_leave_them_alone(study):
    picture = PICTURES[0]
    plain = render(study, picture)
    with mpl.rc_context({"font.size": 31, "xtick.major.size": 20, "svg.fonttype": "none"}):
        assert render(study, picture) == plain
        assert mpl.rcParams["font.size"] == 31


def test_folder_that_cannot_be_made_is_refused(study, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ReportError, match="could not be written"):
        write_report(study, tmp_path / "taken")


def test_importing_the_report_does_not_load_matplotlib():
    code = "import ablax.report.page, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
