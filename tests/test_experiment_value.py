"""`Experiment` as a value: treatments, budgets, measurements, and what it refuses."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import replace

import pytest

from ablax.config import ConfigError, Recipe, with_fields
from ablax.core import Network, remove, replace_kind
from ablax.errors import AblaxError
from ablax.experiment import Budget, Experiment, Grid, Inputs, Pretraining, Treatment
from ablax.layers import ReLU, Tanh
from ablax.measurements.measurement import Measurement
from ablax.report.study import Claim, Published, Quantity, Section, Study, Variant
from ablax.zoo import lenet5

ABOUT = """A question.

Question: Why?

Source: me.

Prediction: so.

Cost: a minute.
"""
INPUTS = Inputs(32, 1, 10)
DEPTH = Measurement(
    "depth", lambda _: [], Section("Depth"), quantities={"deep": Quantity("depth", lambda _: 1.0)}
)


def drops(**variants):
    return Published("me", "error", "points", variants, {})


DEEP = replace(DEPTH, name="deep")


def network(inputs: Inputs) -> Network:
    return lenet5(inputs.classes)


def made(**fields):
    variants = {
        "cut": remove("f6"),
        "rectified": Treatment(edit=replace_kind(Tanh, lambda _: ReLU())),
        "other": Treatment(network=lambda inputs: lenet5(inputs.classes + 1)),
        "slow": Treatment(fields={"optimizer.rate": 0.001}),
    }
    return Experiment(ABOUT, network, **{"variants": variants, **fields})


def test_a_treatment_edits_builds_anew_or_changes_the_recipe_alone():
    networks = made().networks(INPUTS)
    assert list(networks) == ["full", "cut", "rectified", "other", "slow"]
    assert networks["slow"] == networks["full"] == lenet5(10)
    assert networks["other"] == lenet5(11)
    assert networks["cut"] == remove("f6")(lenet5(10))
    treatments = [made().treatment(name) for name in networks]
    edits = [treatment is not None and treatment.edit is not None for treatment in treatments]
    assert edits == [False, True, True, False, False]


def test_only_its_own_variant_has_the_fields_of_a_treatment():
    recipe = Recipe()
    assert made().recipe_of("slow", recipe).optimizer.rate == 0.001
    assert made().recipe_of("cut", recipe) == made().recipe_of("full", recipe) == recipe


@pytest.mark.parametrize(
    ("fields", "message"),
    [({}, "changes nothing"), ({"edit": remove("f6"), "network": network}, "not both")],
)
def test_a_treatment_of_nothing_or_of_two_networks_is_refused(fields, message):
    with pytest.raises(AblaxError, match=message):
        Treatment(**fields)


def test_a_budget_changes_its_own_recipe_and_chooses_variants():
    question = made(budgets={"digits": Budget({"train.epochs": 3, "width": 0.5}, only=("cut",))})
    changed = question.budgeted("digits", Recipe())
    assert (changed.train.epochs, changed.width) == (3, 0.5)
    assert question.budgeted("smoke", Recipe()) == Recipe()
    assert question.chosen("digits") == ("full", "cut")
    assert question.chosen("cifar10") == question.names
    assert question.chosen("digits", only=("slow", "other")) == ("full", "other", "slow")
    with pytest.raises(AblaxError, match=r"--only names 'slov'.*'slow'"):
        question.chosen("digits", only=("slov",))


def test_the_baseline_has_a_name_of_its_own_and_always_runs():
    question = made(baseline="whole", budgets={"digits": Budget(only=("cut",))})
    assert question.chosen("digits") == ("whole", "cut")
    with pytest.raises(AblaxError, match="named 'cut', and that is the baseline's name"):
        made(baseline="cut")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"claims": (Claim("c", "cutt", "full"),)}, "a claim names 'cutt'.*'cut'"),
        ({"claims": (Claim("c", "cut:tset_error", "full"),)}, "'tset_error'.*'test_error'"),
        ({"claims": (Claim("c", "cut:deep", "full"),)}, "a claim names 'deep'"),
        ({"decides": Claim("c", "cut", "full")}, "neither among the claims nor"),
        ({"budgets": {"digits": Budget(only=("cutt",))}}, "budget of digits names 'cutt'"),
        ({"measurements": (DEPTH, DEPTH)}, "two measurements are named 'depth'"),
        ({"measurements": (DEPTH, DEEP)}, "two quantities are named 'deep'"),
    ],
)
def test_what_nothing_gives_is_refused_when_the_experiment_is_made(fields, message):
    with pytest.raises(AblaxError, match=message):
        made(**fields)


def test_a_claim_may_speak_of_what_a_measurement_gives():
    claims = (Claim("c", "cut:deep", "full:deep"),)
    assert made(claims=claims, measurements=(DEPTH,)).claims == claims


def test_a_measurement_of_unknown_variants_is_refused():
    only = Measurement("depth", lambda _: [], Section("Depth"), only=("cutt",))
    with pytest.raises(AblaxError, match="the measurement depth names 'cutt'"):
        made(measurements=(only,))


def test_cost_is_read_from_the_docstring_where_it_is_there():
    assert made().cost == "a minute."
    assert Experiment(ABOUT[: ABOUT.index("Cost")], network, {}).cost == ""


@pytest.mark.parametrize("name", ["train.epoch", "epochs", "train.epochs.more"])
def test_fields_that_no_recipe_has_are_refused_by_name(name):
    with pytest.raises(ConfigError, match=f"no field '{name}'"):
        with_fields(Recipe(), {name: 3})


def test_fields_are_checked_as_the_recipe_checks_them():
    with pytest.raises(ConfigError, match=r"train\.epochs is 0"):
        with_fields(Recipe(), {"train.epochs": 0})


def given(value, **fields):
    """What checks a value that was made of these fields, past the types that tests check."""
    unchecked = copy(value)
    for name, field in fields.items():
        object.__setattr__(unchecked, name, field)
    return unchecked.__post_init__


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"about": None}, "no docstring: begin its file with one"),
        ({"about": " \n"}, "no docstring: begin its file with one"),
        ({"network": None}, "network is None, and a function from Inputs to a Network is expected"),
        ({"variants": ["a"]}, r"variants is \['a'\], and a mapping such as"),
        ({"variants": {"a": 3}}, "variant 'a' is 3, and an edit .* or a Treatment is expected"),
        ({"variants": {3: remove("f6")}}, "a variant is named 3: use letters"),
        ({"variants": {"größe": remove("f6")}}, "named 'größe': use letters, .* of ASCII"),
        ({"variants": {"a" * 101: remove("f6")}}, "in 101 letters: use at most 100"),
        ({"variants": {"Full": remove("f6")}}, "'full' and 'Full' share a folder on some systems"),
        ({"variants": {"cut": ReLU}}, "variant 'cut' is <class .* and an edit"),
        ({"labels": {"cut": "full"}}, "'full' and 'cut' share a label, 'full': call one of them"),
        ({"labels": {"cut": ""}}, "labels, 'cut', is '', and a label is expected"),
        ({"budgets": {3: Budget()}}, "budgets is 3, and a string as the name is expected"),
        ({"claims": (Claim("c", "cut", "cut"),)}, "compares 'cut' with itself"),
        ({"claims": (Claim("c", "cut:seconds", "full"),)}, "cut:seconds with full, which have"),
        ({"claims": (Claim("c", "cut - fll", "full"),)}, "a claim names 'fll': did you mean"),
        ({"claims": (Claim("c", "cut - full - cut", "full"),)}, "is one value or the difference"),
        ({"claims": (Claim("c", "cut - full:seconds", "full"),)}, "which have other units"),
        ({"explains": Claim("c", "cut", "full")}, "what explains is neither among the claims"),
        ({"recipe": 3}, "recipe is 3, and the name of a recipe is expected"),
        ({"claims": (Claim(" ", "cut", "full"),)}, "a claim's text is ' ', and a clause"),
        ({"about": ABOUT.replace("Why?", "")}, "'Question:', or nothing behind it"),
        ({"baseline": "../x"}, r"named '\.\./x': use letters, digits and '_'"),
        ({"labels": {"cut": None}}, "labels, 'cut', is None, and a string is expected"),
        ({"labels": {"cutt": "Cut"}}, "labels names 'cutt': did you mean 'cut'"),
        ({"labels": ("cut",)}, r"labels is \('cut',\), and a mapping of names"),
        ({"budgets": {"digits": {"seeds": 1}}}, "budgets, 'digits', is .* a Budget is expected"),
        ({"sections": (3,)}, r"sections is \(3,\), and a tuple, each of its items a Section, is"),
        ({"sections": (Section("S", tables=(3,)),)}, "a table of section 'S' is 3"),
        ({"claims": Claim("c", "cut", "full")}, "claims is Claim"),
        ({"published": (drops(cutt=1.0),)}, "published, me, names 'cutt': did you mean 'cut'"),
        ({"full_size": 227}, "full_size is 227, and an Inputs or None is expected"),
        ({"measurements": (DEPTH, DEPTH)}, "two measurements are named 'depth'"),
    ],
)
def test_a_field_that_cannot_be_is_refused_with_what_is_expected(fields, message):
    with pytest.raises(AblaxError, match=message):
        given(made(), **fields)()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fields": ("seeds",)}, r"has fields \('seeds',\), and a mapping such as"),
        ({"fields": {"seeds": 3}}, "changes seeds, which is of the whole study"),
        ({"fields": {"conclusions": True}}, "changes conclusions, which is of the whole study"),
        ({"edit": 3}, "a treatment's edit is 3, and a function from network to network is"),
        ({"pretraining": {"data.share": 0.5}}, "a treatment's pretraining is .* a Pretraining is"),
    ],
)
def test_a_treatment_that_cannot_be_is_refused(fields, message):
    with pytest.raises(AblaxError, match=message):
        given(Treatment(fields={"width": 0.5}), **fields)()


def test_a_pretraining_and_a_budget_are_held_to_the_same():
    with pytest.raises(AblaxError, match="a pretraining changes seeds"):
        Pretraining({"seeds": 3})
    with pytest.raises(AblaxError, match="a budget's only is 'cut', and a tuple of names"):
        given(Budget(), only="cut")()


def test_a_claim_of_what_is_measured_of_others_alone_is_refused():
    only = replace(DEPTH, only=("full",))
    with pytest.raises(AblaxError, match="cut:deep, and the measurement depth is taken of full al"):
        made(claims=(Claim("c", "cut:deep", "full:deep"),), measurements=(only,))


def test_a_part_of_a_recipe_is_told_from_its_fields():
    with pytest.raises(ConfigError, match=r"'train' is no field of a recipe but a part.*epochs, "):
        with_fields(Recipe(), {"train": 3})
    with pytest.raises(ConfigError, match=r"no field 'epochs': did you mean 'train\.epochs'"):
        with_fields(Recipe(), {"epochs": 3})


def test_a_grid_gives_the_best_value_and_shows_all_of_them():
    grid = Grid(
        "optimizer.rate",
        "Training error",
        "two seeds.",
        {"full": {0.1: 3.0, 0.2: math.nan, 0.05: 2.0}, "cut": {0.1: 4.0}, "other": {0.1: 1.0}},
    )
    assert grid.best("full") == 0.05
    assert grid.fields("cut") == {"optimizer.rate": 0.1}
    question = made(sections=(grid.section,))
    record = question.record(
        "mine", "digits", Recipe(), variants=tuple(
            Variant(name, question.label(name), 1, 1) for name in ("full", "cut")
        ), full_size_parameters={}, command="", data_note="", classes=10,
    )  # fmt: skip
    (table,) = grid.section.tables
    found = table(Study(record))
    assert found.columns == ("Variant", "0.05", "0.1", "0.2")
    assert found.rows == (("full", "2.00 *", "3.00", "–"), ("cut", "–", "4.00 *", "–"))
    assert found.notes[0] == "Smaller is better; *: chosen. two seeds."
    assert found.notes[1].endswith("others may be better: full, cut.")
