"""The verdict in words, and every reason to give none."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from plans import asked

from ablax.errors import ReportError
from ablax.report.differences import comparison, comparisons_with_baseline
from ablax.report.study import Claim, Quantity
from ablax.report.verdict import (
    answer,
    answer_json,
    decided,
    design_words,
    difference_words,
    finding,
    forecast,
    verdict,
)


def with_errors(study, errors):
    """The study with the errors of some variants replaced, seed by seed."""
    return replace(
        study,
        runs=tuple(
            replace(run, test_error=errors[run.variant][run.seed]) if run.variant in errors else run
            for run in study.runs
        ),
    )


CLAIMS = (Claim("7 matters", "without_7", "full"), Claim("34 matters", "without_34", "full"))
FULL = [2.0, 2.1, 2.2, 2.0, 1.9]
WORSE = [3.0, 3.2, 3.1, 3.1, 2.9]
SAME = [2.1, 2.0, 2.3, 1.9, 1.95]
VAGUE = [1.2, 3.1, 2.2, 1.4, 2.9]
LESS = [1.0, 1.2, 1.1, 1.1, 0.9]
EQUAL = "equal within the margin"


@pytest.mark.parametrize(
    ("seven", "three", "outcome", "findings"),
    [
        (WORSE, WORSE, "confirmed", ["confirmed", "confirmed"]),
        (WORSE, VAGUE, "inconclusive", ["confirmed", "inconclusive"]),
        (WORSE, SAME, EQUAL, ["confirmed", EQUAL]),
        (SAME, VAGUE, "inconclusive", [EQUAL, "inconclusive"]),
        (LESS, VAGUE, "contradicted", ["contradicted", "inconclusive"]),
        (WORSE, LESS, "contradicted", ["confirmed", "contradicted"]),
    ],
)
def test_order_is_confirmed_only_when_every_claim_is(study, seven, three, outcome, findings):
    errors = {"full": FULL, "without_7": seven, "without_34": three}
    found = verdict(asked(with_errors(study, errors), claims=CLAIMS))
    assert found.outcome == outcome
    assert [one.outcome for one in found.findings] == findings
    assert "(5 seeds)" in found.sentence
    assert found.reasons == ()


def test_headline_adds_up_and_a_contradicted_claim_says_so(study):
    errors = {"full": FULL, "without_7": WORSE, "without_34": LESS, "without_67": VAGUE}
    claims = (*CLAIMS, Claim("67 matters", "without_67", "full"), CLAIMS[0])
    found = verdict(asked(with_errors(study, errors), claims=claims))
    assert found.sentence == (
        "The stated order is contradicted: 2 of 4 statements confirmed, 1 contradicted, "
        "1 inconclusive (5 seeds)."
    )
    assert found.findings[1].sentence.startswith("34 matters: contradicted (−")
    one = verdict(asked(with_errors(study, errors), claims=CLAIMS[:1]))
    assert one.sentence == "The stated order is confirmed: 1 of 1 statement confirmed (5 seeds)."


def test_expectations_are_judged_together_and_apart_from_the_claims(study):
    expected = (Claim("a", "without_3467", "full"), Claim("b", "full", "without_3467"))
    changed = asked(study, expectations=expected)
    found = forecast(changed)
    assert found is not None
    assert found.headline == "1 of 2 predictions confirmed, 1 contradicted (5 seeds)."
    assert found.details[0].startswith("a: confirmed (+")
    assert found.findings[0].measured == comparison(changed, "without_3467", "full")
    assert verdict(changed) == verdict(study)
    assert forecast(study) is None


@pytest.mark.parametrize("change", ["smoke", "missing", "falling"])
def test_expectations_are_not_judged_where_there_is_no_verdict(study, make_study, change):
    changed = {
        "smoke": lambda: asked(study, verdict_wanted=False),
        "missing": lambda: replace(study, runs=study.runs[1:]),
        "falling": lambda: make_study(time=8.0),
    }[change]()
    found = forecast(asked(changed, expectations=(Claim("all four matter", "without_67", "full"),)))
    assert found is not None
    assert found.findings == ()
    assert found.details == ("All four matter.",)
    reason = {
        "smoke": "Not judged: the recipe 'digits' is too small to conclude anything.",
        "missing": "Not judged: Full: no run with seed 0.",
        "falling": "Not judged, for the reasons of the verdict.",
    }[change]
    assert found.headline == reason


def test_expectation_about_a_variant_that_was_not_run_withholds_itself_alone(study):
    changed = asked(study, expectations=(Claim("deeper", "without_9", "full"),))
    found = forecast(changed)
    assert found is not None
    assert "variant 'without_9', of which our prediction speaks, was not run" in found.headline
    assert verdict(changed).outcome is not None


def test_findings_have_the_intervals_of_the_tables(study):
    found = verdict(study).findings[2].measured
    assert found.interval == comparisons_with_baseline(study)["without_67"].interval


def test_the_margin_is_the_claims_the_quantitys_or_that_of_errors_on_the_data(study):
    changed = with_errors(study, {"full": FULL, "without_7": WORSE})
    for margin, outcome in ((None, "confirmed"), (3.0, EQUAL), (0.1, "confirmed")):
        claim = replace(CLAIMS[0], margin=margin)
        assert verdict(asked(changed, claims=(claim,))).outcome == outcome
        assert changed.margin(claim) == (margin or 0.5)
    assert asked(changed, error_margin=2.0).margin(CLAIMS[0]) == 2.0
    moved = measured(study, full=[0.1] * 5, without_7=[0.5] * 5)
    claim = Claim("7 steadies", "without_7:moved", "full:moved")
    assert moved.margin(claim) == pytest.approx(0.01)  # a tenth of the smaller
    with pytest.raises(ReportError, match=r"margin is -1\.0, and a number above 0 is expected"):
        replace(claim, margin=-1.0)


def test_a_difference_within_the_margin_is_equal_though_it_is_not_0(study):
    changed = with_errors(study, {"full": FULL, "without_7": [e + 0.2 for e in SAME]})
    changed = asked(changed, claims=CLAIMS[:1])
    found = verdict(changed)
    assert found.findings[0].measured.interval.high < 0.5
    assert found.outcome == EQUAL
    assert found.findings[0].sentence.startswith("7 matters: equal within 0.5 percentage points (+")
    assert answer(changed).sentence.startswith(
        "Equal within the margin: if 7 matters, then by less than 0.5 percentage points; the "
        "difference is +"
    )


def test_what_is_inconclusive_says_how_many_seeds_would_decide_it(study):
    changed = with_errors(study, {"full": FULL, "without_7": VAGUE})
    told = answer(asked(changed, claims=CLAIMS[:1]))
    assert told.needed is not None
    assert told.needed > 5
    minutes = sum(run.seconds for run in study.runs) / 5 * told.needed / 60
    assert f"About {told.needed} seeds ({minutes:,.0f} minutes of training here)" in told.sentence
    assert "80 %" in told.sentence


def test_a_study_is_decided_when_no_claim_that_can_be_judged_is_inconclusive(study):
    errors = {"full": FULL, "without_7": WORSE, "without_34": SAME}
    claims = (*CLAIMS, Claim("deeper", "without_9", "full"))
    assert decided(asked(with_errors(study, errors), claims=claims))
    assert not decided(asked(with_errors(study, errors | {"without_34": VAGUE}), claims=claims))


def test_a_design_that_cannot_decide_is_told_before_it_runs(study):
    many = tuple(Claim("?", f"without_{one}", "full") for one in ("7", "67", "34", "3467"))
    empty = replace(asked(study, claims=many), runs=())
    assert design_words(empty, 3).startswith(
        "3 seeds and 4 comparisons see only differences of 5.6 standard deviations between runs"
    )
    assert design_words(empty, 12) == ""
    assert "1 seed can decide nothing" in design_words(empty, 1)
    assert design_words(asked(empty, verdict_wanted=False), 1) == ""


def test_hypotheses_have_their_margins_and_a_fingerprint(study):
    decides = study.plan.claims[1]
    told = asked(study, decides=decides).plan.hypotheses()
    assert [each["decides"] for each in told] == [False, True, False]
    assert {each["margin"] for each in told} == {0.5}
    assert told[0]["by"] == "the source"
    facts = [json.loads(answer_json(asked(study, claims=some), "plots")) for some in (CLAIMS, ())]
    assert facts[0]["hypotheses"] != facts[1]["hypotheses"]


def test_one_seed_and_equal_differences_are_inconclusive(make_study):
    found = verdict(make_study(seeds=1, epochs=60))
    assert found.outcome == "inconclusive"
    assert ": inconclusive (" in found.findings[0].sentence
    assert ", 1 seed)." in found.findings[0].sentence
    assert "two seeds are needed" in found.findings[0].sentence
    equal = make_study(variants=2)
    equal = with_errors(equal, {"full": FULL, "without_7": [e + 0.5 for e in FULL]})
    found = verdict(asked(equal, claims=CLAIMS[:1]))
    assert found.outcome == "inconclusive"
    assert "all differences are equal" in found.findings[0].sentence
    same = with_errors(equal, {"full": FULL, "without_7": [e + 0.25 for e in FULL]})
    found = verdict(asked(same, claims=CLAIMS[:1]))
    assert (found.outcome, found.findings[0].measured.interval) == (EQUAL, None)
    few = replace(same, runs=tuple(run for run in same.runs if run.seed < 4))
    assert verdict(asked(few, claims=CLAIMS[:1])).outcome == "inconclusive"


def test_an_end_of_an_interval_is_never_printed_as_0(study):
    found = comparison(study, "without_7", "full")
    for low, said in ((-0.0004, "CI \N{MINUS SIGN}0.0004 to +0.9000"), (0.12, "CI +0.12 to +0.90")):
        ends = found.interval._replace(low=low, high=0.9)
        assert difference_words(study, found._replace(interval=ends))[1] == said


def test_smoke_draws_no_conclusion(study):
    found = verdict(asked(study, verdict_wanted=False))
    assert (found.outcome, found.findings) == (None, ())
    assert found.sentence == "No verdict: the recipe 'digits' is too small to conclude anything."


def test_loss_still_falling_withholds_the_verdict(make_study):
    found = verdict(make_study(time=8.0))
    assert found.outcome is None
    assert len(found.reasons) == 4  # nothing is said of 'Without 7'
    assert found.reasons[0].startswith("Full: the training loss is still falling (")
    assert (found.headline, found.details) == ("No verdict.", found.reasons)


def test_too_few_epochs_withhold_the_verdict(make_study):
    assert "at least 10 are needed" in verdict(make_study(epochs=6)).reasons[0]


ALL_SPEAK_OF_FULL = (*CLAIMS, Claim("67 matters", "without_67", "full"))


def test_diverged_run_withholds_the_verdict_and_is_named(study, diverge):
    runs = (diverge(study.runs[0]), *study.runs[1:])
    found = verdict(asked(replace(study, runs=runs), claims=ALL_SPEAK_OF_FULL))
    assert found.reasons == ("Full: training diverged with seed 0",)
    assert found.sentence == "No verdict: Full: training diverged with seed 0."


def test_claim_about_other_variants_than_the_diverged_one_is_judged(study, diverge):
    found = verdict(replace(study, runs=(diverge(study.runs[0]), *study.runs[1:])))
    assert [one.outcome for one in found.findings][:2] == ["confirmed", "confirmed"]
    assert found.findings[2].outcome == "not judged"
    assert found.findings[2].sentence == (
        "without 6, 7 has a higher test error than the full network: not judged "
        "(Full: training diverged with seed 0)."
    )
    assert found.outcome == "inconclusive"
    assert "2 of 3 statements confirmed, 1 not judged (5 seeds)" in found.sentence


def test_missing_run_withholds_the_verdict_and_is_named(study):
    study = asked(study, claims=ALL_SPEAK_OF_FULL)
    assert verdict(replace(study, runs=study.runs[1:])).reasons == ("Full: no run with seed 0",)
    two = verdict(replace(study, runs=study.runs[2:]))
    assert two.reasons == ("Full: no run with seeds 0, 1",)
    assert (two.headline, two.details) == (two.sentence, ())
    none = replace(study, runs=study.runs[5:])
    assert verdict(none).reasons == ("Full: no run was made",)


def test_claim_about_a_variant_that_was_not_run_is_not_judged(make_study):
    found = verdict(make_study(variants=3))
    assert [one.outcome for one in found.findings][:2] == ["not judged", "not judged"]
    gone = "variant 'without_3467', of which the source speaks, was not run"
    assert gone in found.findings[0].sentence
    assert found.outcome == "inconclusive"


def measured(study, **values):
    """The study in which every variant's runs have one more quantity."""
    runs = tuple(
        replace(run, measured={"moved": values[run.variant][run.seed]})
        if run.variant in values
        else run
        for run in study.runs
    )
    moved = Quantity("distance moved", lambda rows: rows[0]["moved"], "", 3)
    return asked(replace(study, runs=runs), quantities={"moved": moved})


def test_claim_may_speak_of_a_measured_quantity_in_its_own_unit(study):
    changed = measured(study, full=[0.1, 0.2, 0.1, 0.2, 0.1], without_7=[0.5, 0.5, 0.6, 0.5, 0.5])
    claims = (Claim("7 steadies", "without_7:moved", "full:moved"),)
    found = verdict(asked(changed, claims=claims)).findings[0]
    assert found.outcome == "confirmed"
    assert found.measured is not None
    np.testing.assert_allclose(found.measured.difference, 0.52 - 0.14)
    assert found.sentence.startswith("7 steadies: confirmed (+0.380, CI +0.")


def test_quantity_that_some_runs_lack_is_not_judged_and_named(study):
    changed = measured(study, full=[0.1] * 5)
    claims = (Claim("7 steadies", "without_7:moved", "full:moved"), CLAIMS[0])
    found = verdict(asked(changed, claims=claims)).findings[0]
    assert found.outcome == "not judged"
    assert "distance moved was not measured with seeds 0, 1, 2, 3, 4" in found.sentence


def test_claim_about_a_budget_is_judged_though_losses_still_fall(make_study):
    falling = make_study(time=8.0)
    over_all = ("without_3467:mean_train_error", "full:mean_train_error")
    claims = (Claim("it learns less in the time", *over_all),)
    assert verdict(asked(falling, claims=claims)).outcome == EQUAL
    waiting = (Claim("it ends higher", "without_3467:train_error", "full:train_error"),)
    assert verdict(asked(falling, claims=waiting)).outcome is None


def test_answer_is_the_finding_of_the_deciding_claim_with_its_adjusted_interval(study):
    told = answer(asked(study, decides=study.plan.claims[1]))
    among = verdict(study).findings[1]
    assert told.outcome == among.outcome == "confirmed"
    assert told.measured == among.measured
    assert told.sentence.startswith(
        "Yes: without 3, 4, 6, 7 has a higher test error than without 3, 4 by 1."
    )
    assert " percentage points (95 % CI 1." in told.sentence
    assert told.sentence.endswith(", 5 seeds).")


def test_answer_says_no_and_says_that_it_is_inconclusive(study):
    errors = {"full": FULL, "without_7": LESS, "without_34": VAGUE}
    changed = asked(with_errors(study, errors), claims=CLAIMS)
    no = answer(asked(changed, decides=CLAIMS[0])).sentence
    assert no.startswith(
        "No: the measurements contradict the hypothesis that 7 matters; "
        "the difference is \N{MINUS SIGN}"
    )
    assert answer(asked(changed, decides=CLAIMS[1])).sentence.startswith(
        "Inconclusive: the measurements do not show whether 34 matters; the difference is "
    )


def test_answer_of_a_small_recipe_gives_the_reason(study):
    found = answer(asked(study, verdict_wanted=False))
    assert found.outcome == "not judged"
    assert found.sentence == (
        "No answer to whether without 3, 4, 6, 7 has a higher test error than without 6, 7: "
        "the recipe 'digits' is too small to conclude anything."
    )


def test_answer_may_be_decided_by_our_own_prediction(study):
    expected = (Claim("all four matter", "without_3467", "full"),)
    told = answer(asked(study, expectations=expected, decides=expected[0]))
    assert told.sentence.startswith("Yes: all four matter by ")
    assert "(95 % CI " in told.sentence


def test_no_claim_gives_no_verdict(study):
    found = verdict(asked(study, claims=()))
    assert found.reasons == ("the source states no order to test",)


def test_the_answer_as_a_file_says_what_the_report_says(study):
    changed = asked(study, decides=study.plan.claims[1])
    told, facts = answer(changed), json.loads(answer_json(changed, "plots"))
    assert told.measured is not None
    assert facts["answer"] == told.sentence
    assert facts["difference"] == told.measured.difference
    assert (facts["n"], facts["unit"], facts["outcome"]) == (5, "percentage points", "confirmed")
    assert (facts["margin"], facts["seeds_to_decide"]) == (0.5, None)
    assert facts["picture"] == "plots/errors.png"
    assert facts["low"] < facts["difference"] < facts["high"]


def test_a_claim_may_be_of_an_interaction(study):
    """What a cut costs the one, less what it costs the other: the paired t test of that."""
    claim = Claim("it costs more", "without_3467 - without_67", "without_34 - full", margin=0.01)
    assert claim.variants == ("without_3467", "without_67", "without_34", "full")
    whole = asked(study, claims=(claim,), decides=claim)
    errors = [np.array(list(whole.values(name).values())) for name in claim.variants]
    expected = errors[0] - errors[1] - (errors[2] - errors[3])
    found = verdict(whole).findings[0]
    assert found.measured.difference == pytest.approx(expected.mean())
    assert found.measured.sd == pytest.approx(expected.std(ddof=1))
    assert found.measured.scale == "pair"
    wrong = 1 - found.measured.interval.level
    assert wrong == pytest.approx(0.05 / 5)  # of it and of four differences from the baseline
    assert answer(whole).sentence.startswith(f"{'Yes' if found.outcome == 'confirmed' else 'In'}")
    gone = replace(whole, runs=tuple(run for run in whole.runs if run.variant != "without_67"))
    assert any("Without 6, 7: no run" in each for each in verdict(gone).reasons)


def test_the_answer_says_why_where_that_can_be_judged(study):
    decides, why = study.plan.claims[:2]
    told = answer(asked(study, decides=decides, explains=why)).sentence
    assert (
        told
        == f"{answer(asked(study, decides=decides)).sentence} Why: {finding(study, why).sentence}"
    )
    gone = replace(study, runs=tuple(run for run in study.runs if run.variant != "without_34"))
    told = answer(asked(gone, claims=(decides, why), decides=decides, explains=why)).sentence
    assert "Why" not in told


def test_what_differs_besides_the_treatment_is_named(study):
    told = finding(study, study.plan.claims[2]).sentence
    assert told.endswith(
        "Without 6, 7 has 0.062 x the parameters and 0.85 x the multiply-accumulates of Full."
    )
    alike = tuple(replace(each, parameters=100, macs=1000) for each in study.plan.variants)
    assert "x the" not in finding(asked(study, variants=alike), study.plan.claims[2]).sentence
    near = (replace(alike[0], parameters=105), *alike[1:])
    assert "x the" not in finding(asked(study, variants=near), study.plan.claims[2]).sentence
