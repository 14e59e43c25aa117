"""Pictures and pages: there, whole, the same each time, and honest about odd studies."""

from __future__ import annotations

import base64
import html
import io
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from plans import asked

from ablax.errors import ReportError
from ablax.report.differences import comparisons_with_baseline
from ablax.report.figures import SHADE, blank, caption_of, look, save, settings, wrapped
from ablax.report.page import (
    Heading,
    blocks,
    html_page,
    limits,
    markdown_page,
    sources,
    write_report,
)
from ablax.report.plots import (
    OWN_INTERVALS,
    PICTURES,
    costs_figure,
    curves_figure,
    drawn,
    drops_figure,
    errors_figure,
    pictures,
)
from ablax.report.statistics import mean_interval, summary, variant_flatness
from ablax.report.study import Claim
from ablax.report.study_tables import TRAINING_NOTE
from ablax.report.tables import signed
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
    first = page.index("The stated order is confirmed: 3 of 3 statements confirmed (5 seeds).")
    assert first < page.index("<img")


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
    assert len(names) == 12
    for name in names:
        assert (again / name).read_bytes() == (report.parent / name).read_bytes()


@pytest.mark.slow
def test_everything_a_person_wrote_is_escaped(study, tmp_path):
    evil = "<script>alert(1)</script> $\\frac{$ *a* & \n b"
    variants = tuple(
        replace(v, label=f"{v.label} {evil}", reinitialized=(evil,)) for v in study.variants
    )
    changed = asked(
        replace(study, environment={evil: evil}),
        **dict.fromkeys(
            ("name", "question", "prediction", "source", "data_note", "command", "recipe_name"),
            evil,
        ),
        variants=variants,
        claims=tuple(replace(claim, text=evil) for claim in study.plan.claims),
        expectations=(replace(study.plan.claims[0], text=evil),),
        published=tuple(
            replace(p, source=evil, measure=evil, note=evil, short=evil)
            for p in study.plan.published
        ),
        recipe={evil: {"a": [evil, None, 1.5, True]}},
    )
    changed = replace(changed, environment={evil: evil})
    page = write_report(changed, tmp_path).read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 20
    short = html_page(evil, (verdict(asked(changed, verdict_wanted=False)),), {})
    assert "<script" not in short
    assert short.count("&lt;script&gt;") == 3
    text = (tmp_path / "report.md").read_text()
    # only what stands indented, as code, keeps its signs
    assert not [line for line in text.splitlines() if "<script" in line and line[:4].strip()]


@pytest.mark.slow
@pytest.mark.parametrize("case", ["smoke", "diverged", "nothing", "one seed", "no run", "alone"])
def test_odd_studies_are_reported_without_a_warning(case, study, make_study, diverge, tmp_path):
    changed = {
        "one seed": lambda: make_study(seeds=1),
        "smoke": lambda: asked(make_study(seeds=1, variants=2, epochs=1), verdict_wanted=False),
        "diverged": lambda: replace(study, runs=tuple(map(diverge, study.runs))),
        "no run": lambda: replace(study, runs=study.runs[:5]),
        "alone": lambda: asked(make_study(variants=1), published=()),
        "nothing": lambda: replace(asked(study, published=(), recipe={}), runs=(), environment={}),
    }[case]()
    page = write_report(changed, tmp_path).read_text()
    assert "nan" not in re.sub(r"base64,[A-Za-z0-9+/=]+|variance|<style>.*?</style>", "", page)
    assert ("plots/drops.png" in (tmp_path / "report.md").read_text()) == (case != "alone")
    if case != "one seed":
        assert "<strong>No verdict" in page


def test_smoke_report_says_that_its_errors_mean_nothing(study):
    assert limits(asked(study, verdict_wanted=False))[0].endswith("Its errors mean nothing.")


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
    flat = variant_flatness(study, "full").mean
    assert figure.legends[0].get_texts()[0].get_text().split("\n") == [
        "Full",
        f"✓ flat: {signed(-flat.fall, 0)} %",
    ]
    slow = curves_figure(make_study(time=8.0))
    marks = {text.get_text().split("\n")[1][:18] for text in slow.legends[0].get_texts()}
    assert marks == {"✗ still falling: −"}
    short = curves_figure(make_study(epochs=3))
    assert short.legends[0].get_texts()[0].get_text() == "Full\n✗ inconclusive"


def test_loss_axis_over_three_decades_is_labeled_at_two_and_five(study):
    runs = tuple(
        replace(
            run, curve=replace(run.curve, train_loss=tuple(np.geomspace(5, 0.005, 20).tolist()))
        )
        for run in study.runs
    )
    figure = curves_figure(replace(study, runs=runs))
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    ticks = zip(figure.axes[0].get_yticks(), figure.axes[0].get_yticklabels(), strict=True)
    shown = [text.get_text() for at, text in ticks if low <= at <= high]
    assert shown == ["0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"]


def test_differences_are_named_increases_of_error(study):
    ours, theirs = drops_figure(study).axes
    assert ours.get_xlabel() == "increase of test error,\npercentage points (right: worse)"
    assert theirs.get_xlabel() == "increase of error,\npercentage points (right: worse)"


def test_captions_say_what_may_not_be_compared(study):
    assert OWN_INTERVALS in caption_of(errors_figure(study))
    assert TRAINING_NOTE in caption_of(curves_figure(study))


def test_captions_stand_beside_the_pixels_and_in_the_facts_of_the_file(study):
    figure = errors_figure(study)
    words = figure.findobj(lambda artist: OWN_INTERVALS in getattr(artist, "get_text", str)())
    assert words == []
    png, svg, caption = drawn(study, PICTURES[0])
    assert OWN_INTERVALS in caption
    assert "recipe digits, n = 5 seeds" in caption
    assert caption in Image.open(io.BytesIO(png)).info["Description"]
    assert OWN_INTERVALS in svg.decode()


def test_own_prediction_stands_right_after_the_verdict(study, tmp_path):
    changed = asked(study, expectations=(Claim("all four matter", "without_3467", "full"),))
    found = blocks(changed)
    at = found.index(Heading("Our own prediction"))
    assert found[at - 1] == verdict(changed)
    page = html_page("t", found[at - 1 : at + 2], {})
    text = markdown_page("t", found[at - 1 : at + 2], {})
    assert "<h2>Our own prediction</h2>" in page
    assert "## Our own prediction\n\n**1 of 1 prediction confirmed (5 seeds).**\n\n- all" in text
    for said in (page, text):
        assert said.index("The stated order is confirmed") < said.index(
            "1 of 1 prediction confirmed"
        )
    assert Heading("Our own prediction") not in blocks(study)


def test_limits_do_not_claim_that_the_recipe_was_chosen_blindly(study):
    said = " ".join(limits(study))
    assert "Nothing was chosen" not in said
    assert "settled by hand on the same data, without a validation split" in said
    assert TRAINING_NOTE in said


@pytest.mark.parametrize(
    ("short", "source", "line"),
    [
        ("L0", "L0 (Risteski 2020)", "L0 (Risteski 2020) (top-1). Whole network: 40 %."),
        ("L0", "Risteski 2020", "L0: Risteski 2020 (top-1). Whole network: 40 %."),
        ("L", "Lectures", "L: Lectures (top-1). Whole network: 40 %."),
        ("", "zeiler 2014, table 3", "Zeiler 2014, table 3 (top-1). Whole network: 40 %."),
    ],
)
def test_source_is_cited_with_its_short_name_once(study, short, source, line):
    note = "whole network: 40 %"
    given = replace(study.plan.published[0], short=short, source=source, measure="top-1", note=note)
    assert sources(asked(study, published=(given,)))[1] == line


@pytest.mark.slow
def test_report_holds_no_path_of_this_machine_but_those_of_the_command(study, tmp_path):
    given = "/data/given by/nobody"
    changed = asked(study, command=f"ablax run x --results '{given}'")
    folder = write_report(changed, tmp_path / "out").parent
    path = re.compile(r"(?<![\w.:/<+-])(?:~|[A-Za-z]:)?[/\\](?:[\w.-]+[/\\])+[\w.-]*")
    assert path.search("at /home/me/x")
    assert path.search(r"'C:\Users\me'")
    seen = 0
    for file in (one for one in folder.rglob("*") if one.is_file()):
        content = file.read_bytes()
        assert str(tmp_path).encode() not in content
        assert str(Path.cwd()).encode() not in content
        if file.suffix in (".md", ".html", ".csv", ".svg"):
            text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", content.decode())
            seen += given in text
            text = html.unescape(text).replace(given, "")
            assert path.findall(text) == []
    assert seen == 2


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


def test_equal_costs_stand_on_a_band_around_their_own_and_never_alone(study):
    first = study.variants[0]
    some = tuple(replace(v, parameters=first.parameters) for v in study.variants[:3])
    left, right = costs_figure(asked(study, variants=(*some, *study.variants[3:]))).axes
    (band,) = (line for line in left.lines if line.get_color() == SHADE)
    assert set(band.get_xdata()) == {first.parameters}
    assert not [line for line in right.lines if line.get_color() == SHADE]
    even = tuple(replace(v, parameters=first.parameters) for v in study.variants)
    (axes,) = costs_figure(asked(study, variants=even)).axes
    assert axes.get_xlabel() == "multiply-accumulates of one image"
    alike = tuple(replace(v, macs=first.macs) for v in even)
    assert "costs" not in [picture.name for picture in pictures(asked(study, variants=alike))]


def test_no_axis_of_errors_leaves_0_to_100_percent(study):
    wild = {0: 1.0, 1: 95.0, 2: 99.0}
    runs = tuple(
        replace(run, test_error=wild[run.seed], status="finished")
        for run in study.runs
        if run.seed in wild
    )
    changed = replace(study, runs=runs)
    assert mean_interval(list(wild.values())).high > 110
    for low, high in (
        errors_figure(changed).axes[0].get_xlim(),
        costs_figure(changed).axes[0].get_ylim(),
    ):
        assert -3 < low < 1
        assert 99 < high < 103


def test_few_colors_keep_the_ends_of_a_color_bar(tmp_path):
    with settings():
        figure = blank(4.0, 4.0)
        axes = figure.subplots()
        shades = axes.imshow(np.zeros((2, 2)), cmap="PuOr", vmin=-1, vmax=1)
        figure.colorbar(shades, aspect=60)
    for small in (False, True):
        save(figure, tmp_path / f"{small}.png", small=small)
    opened = [Image.open(tmp_path / f"{small}.png").convert("RGB") for small in (False, True)]
    whole, few = map(np.asarray, opened)
    ends = np.round(255 * mpl.colormaps["PuOr"]([0.0, 1.0])[:, :3])
    for picture, most in ((whole, 1), (few, 8)):
        far = [np.abs(picture.astype(int) - end).max(axis=-1).min() for end in ends]
        assert max(far) <= most
    assert (tmp_path / "True.png").stat().st_size < (tmp_path / "False.png").stat().st_size


def test_seventy_two_variants_all_look_different():
    looks = {(look(place)["color"], look(place)["marker"]) for place in range(72)}
    assert len(looks) == 72


def test_long_labels_keep_both_ends():
    shown = wrapped("Without the third " + "and another " * 20 + "layer 17")
    assert shown.startswith("Without the third")
    assert shown.endswith("layer 17")
    assert shown.count("\n") <= 2


@pytest.mark.slow
def test_pictures_do_not_depend_on_a_persons_settings_and_leave_them_alone(study):
    picture = PICTURES[0]
    plain = drawn(study, picture)
    with mpl.rc_context({"font.size": 31, "xtick.major.size": 20, "svg.fonttype": "none"}):
        assert drawn(study, picture) == plain
        assert mpl.rcParams["font.size"] == 31


def test_folder_that_cannot_be_made_is_refused(study, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ReportError, match="could not be written"):
        write_report(study, tmp_path / "taken")


@pytest.mark.slow
def test_importing_the_report_does_not_load_matplotlib():
    code = "import ablax.report.page, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
