"""The tables as values and in their forms."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some
from plans import asked

from ablax.report.study_tables import (
    flatness_table,
    main_table,
    published_table,
    reinitialized_table,
    terminal_table,
)
from ablax.report.tables import Table, number, render, scaled, signed


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (999, "999"),
        (999.6, "1.00 k"),
        (1000, "1.00 k"),
        (9_994, "9.99 k"),
        (9_996, "10.0 k"),
        (99_960, "100 k"),
        (999_960, "1.00 M"),
        (60_965_224, "61.0 M"),
        (1_135_256_096, "1.14 G"),
        (-340_000, "−340 k"),
        (float("nan"), "–"),
    ],
)
def test_scaled_count_has_three_digits(count, text):
    assert scaled(count) == text


@given(some.floats(-1e6, 1e6), some.integers(0, 4))
def test_number_reads_back_within_its_rounding(value, digits):
    text = number(value, digits)
    back = float(text.replace(",", "").replace("−", "-"))
    assert abs(back - value) <= 0.5000001 * 10**-digits
    assert "−" not in text or back < 0
    assert signed(value, digits).startswith("+") == (back > 0)


def test_main_table_shows_a_worked_row(study):
    rows = main_table(study).rows
    assert [row[0] for row in rows] == [variant.label for variant in study.variants]
    assert rows[2][:4] == ("Without 6, 7", "210,000", "18.3 M", "3.19 M (94 %)")
    # errors of the fixture: 2.9752 2.8817 3.4014 ... rounded means and deviations
    assert rows[2][4:7] == ("3.13 ± 0.19", "5", "+0.29 [+0.04, +0.55]")
    assert rows[0][6] == rows[0][3] == "–"


def test_main_table_of_one_seed_has_dashes_for_what_is_not_defined(make_study):
    row = main_table(make_study(seeds=1)).rows[1]
    assert row[4].endswith("± –")
    assert row[5] == "1"
    assert row[6].endswith("[–]")
    assert row[7] == "–"


def test_main_table_counts_diverged_runs_and_survives_a_variant_without_any(study, diverge):
    runs = tuple(
        diverge(run) if run.variant == "without_34" or run.seed == run.variant.count("_") else run
        for run in study.runs
    )
    rows = main_table(replace(study, runs=runs)).rows
    assert rows[0][5] == "4 (1 diverged)"
    assert rows[3][4:9] == ("–", "0 (5 diverged)", "–", "–", "–")
    assert "Diverged runs are left out" in main_table(replace(study, runs=runs)).notes[0]
    assert "iverged" not in main_table(study).notes[0]


def test_published_table_sets_the_lecture_beside_ours(study):
    table = published_table(study)
    assert list(table.columns) == [
        "Variant",
        "Removed here",
        "Removed at full size",
        "Removed, the lecture",
        "Increase, percentage points, here",
        "Increase, percentage points, the lecture",
        "Increase, percentage points, Zeiler & Fergus",
    ]
    assert table.rows[2][2:4] == ("1.70 M (3 %)", "1.00 M")
    assert table.rows[2][5:] == ("+3.0", "+4.0")
    assert table.rows[3][3] == "–"


def test_published_notes_are_sentences(study):
    given_as = replace(study.plan.published[0], note="whole network: 18.1 %")
    notes = published_table(asked(study, published=(given_as, study.plan.published[1]))).notes
    assert notes[1].endswith("(it does not say which). Whole network: 18.1 %.")
    assert notes[2].endswith("ImageNet. Every variant was trained from scratch.")


def test_notes_say_what_flat_and_training_figures_do_not(study):
    plain = flatness_table(study).notes
    assert "more slowly than c / epoch, which falls by 20 % of itself there" in plain[0]
    assert "an order that is another half way may change again" in plain[1]
    assert "different dropout" in main_table(study).notes[-1]


def test_flatness_and_reinitialized_tables_name_every_variant(study, make_study):
    assert [row[4] for row in flatness_table(study).rows] == ["flattened"] * 5
    assert flatness_table(make_study(epochs=1)).rows[0][1:4] == ("–", "–", "0 of 5")
    assert reinitialized_table(study).rows[1] == ("Without 6, 7", "fc6, fc7", "fc8/kernel")


def test_the_order_half_way_stands_beside_that_of_the_end(study):
    """Its errors are those of the nearest evaluation to half of the epochs that all runs share."""

    def tested(run, epochs, half):
        errors = tuple(half if epoch == 9 else run.test_error for epoch in epochs)
        return replace(
            run, curve=replace(run.curve, test_epochs=tuple(map(float, epochs)), test_error=errors)
        )

    half = dict(zip(study.names, (5.0, 4.0, 5.0, 9.0, 1.0), strict=True))
    runs = tuple(
        tested(run, (3, 9, 12 if run.seed else 13, 20), half[run.variant] + 0.1 * run.seed)
        for run in study.runs
    )
    table = flatness_table(replace(study, runs=runs))
    assert table.columns[5:] == (
        "Test error at epoch 9, % (place)",
        "Test error at the end, % (place)",
    )
    cells = [row[5] for row in table.rows]
    assert cells == ["5.20 (3)", "4.20 (2)", "5.20 (3)", "9.20 (5)", "1.20 (1)"]
    assert [row[6][-3:] for row in table.rows] == ["(1)", "(2)", "(4)", "(3)", "(5)"]


def test_without_an_evaluation_on_the_way_there_is_no_order_half_way(study):
    ends = tuple(
        replace(run, curve=replace(run.curve, test_epochs=(20.0,), test_error=(run.test_error,)))
        for run in study.runs
    )
    table = flatness_table(replace(study, runs=ends))
    assert table.columns[5] == "Test error half way, %"
    assert [row[5] for row in table.rows] == ["–"] * 5


def test_tables_of_the_baseline_alone_have_no_comparison(make_study):
    table = main_table(make_study(variants=1))
    assert len(table.rows) == 1
    assert "no other variant" in " ".join(table.notes)


NASTY = Table("t", ("<b>", "a|b"), (("<script>x</script>", "[red]`1`_2_*"),), ("&n",), left=(0,))


def test_markdown_and_html_show_markup_as_text():
    text = render(NASTY, "markdown", titled=False)
    assert text.splitlines()[0] == "| &lt;b> | a\\|b |"
    assert text.splitlines()[2] == "| &lt;script>x&lt;/script> | \\[red\\]\\`1\\`\\_2\\_\\* |"
    assert text.endswith("&amp;n")
    page = render(NASTY, "html")
    assert "<script" not in page
    assert "&lt;script&gt;x&lt;/script&gt;" in page


def test_terminal_table_fits_80_columns_and_shows_every_figure(study):
    labels = replace(study.variants[0], label="Full [net]")
    text = terminal_table(asked(study, variants=(labels, *study.variants[1:])), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "Full [net]" in text
    assert "4.47 ± 0.12" in text


def test_a_narrow_line_breaks_words_before_numbers_and_loses_nothing():
    sentence = "a long finding that wants several lines"
    row = ("speed", sentence, 1_234_567)
    table = Table("t", ("check", "says", "n"), (row,), ("a note " * 9,))
    text = render(table, "text", width=30)
    assert max(map(len, text.splitlines())) <= 30
    assert "1,234,567" in text
    said = [word for word in text.split() if word in sentence.split()]
    assert sorted(said) == sorted([*sentence.split(), *["a"] * 9])
    assert render(table, "text", width=200) == render(table, "text").rstrip()


def test_every_form_holds_every_cell():
    rows = (("conv1_1", 1200), ("fc8", 0.5))
    table = Table("t", ("layer", "MACs"), rows, ("All.",), {"MACs": 1200})
    for form in ("text", "markdown", "html"):
        text = render(table, form)
        assert all(word in text for word in ("conv1_1", "1,200", "fc8", "0.50", "All."))
    assert render(table, "csv").splitlines() == ["layer,MACs", "conv1_1,1200", "fc8,0.5"]
    told = json.loads(render(table, "json"))
    assert told["rows"][1] == {"layer": "fc8", "MACs": 0.5}
    assert (told["title"], told["notes"], told["totals"]) == ("t", ["All."], {"MACs": 1200})
