"""`Experiment` as a value: treatments, budgets, measurements, and what it refuses."""

from __future__ import annotations

import pytest

from ablax.config import ConfigError, Recipe, with_fields
from ablax.core import Network, remove, replace_kind
from ablax.errors import AblaxError
from ablax.experiment import Budget, Experiment, Inputs, Treatment
from ablax.layers import ReLU, Tanh
from ablax.measurements.measurement import Measurement
from ablax.report.study import Claim, Quantity, Section
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
    assert [made().is_edit(name) for name in networks] == [False, True, True, False, False]


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
    with pytest.raises(AblaxError, match="not 'cut', the baseline's name"):
        made(baseline="cut")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"claims": (Claim("c", "cutt", "full"),)}, "a claim names 'cutt'.*'cut'"),
        ({"claims": (Claim("c", "cut:tset_error", "full"),)}, "'tset_error'.*'test_error'"),
        ({"claims": (Claim("c", "cut:deep", "full"),)}, "a claim names 'deep'"),
        ({"decides": Claim("c", "cut", "full")}, "neither among the claims nor"),
        ({"budgets": {"digits": Budget(only=("cutt",))}}, "budget of digits names 'cutt'"),
        ({"measurements": (DEPTH, DEPTH)}, "two quantities are named 'deep'"),
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


@pytest.mark.parametrize("name", ["train.epoch", "train", "epochs", "train.epochs.more"])
def test_fields_that_no_recipe_has_are_refused_by_name(name):
    with pytest.raises(ConfigError, match=f"no field '{name}'"):
        with_fields(Recipe(), {name: 3})


def test_fields_are_checked_as_the_recipe_checks_them():
    with pytest.raises(ConfigError, match=r"train\.epochs is 0"):
        with_fields(Recipe(), {"train.epochs": 0})
