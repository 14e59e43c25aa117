"""A recipe and its fields as JSON holds them: exact inverses."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.config import (
    ConfigError,
    DataConfig,
    OptimizerConfig,
    Recipe,
    TrainConfig,
    flat,
    unflat,
    with_fields,
)
from ablax.data.augment import Augmentation
from ablax.study.discovery import experiment, names, recipe
from ablax.study.folder import stored

ROOT = Path(__file__).parents[1]
KEPT = sorted((ROOT / "experiments" / "results").glob("*/*/recipe.json"))


def through_json(given):
    return unflat(json.loads(json.dumps(flat(given))))


@pytest.fixture(scope="module")
def questions():
    return [experiment(name)[1] for name in names("experiments")]


QUICK = ("digits", "smoke")
CONFIGS = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in names("configs")
]


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS)
def test_every_recipe_comes_back_under_every_budget_and_treatment(config, questions):
    _, plain = recipe(config)
    found = {plain}
    for question in questions:
        budgeted = question.budgeted(config, plain)
        for variant in question.names:
            try:
                treated = question.recipe_of(variant, budgeted)
            except ConfigError:  # such as classes to choose, of data that are streamed
                continue
            treatment = question.treatment(variant)
            pretraining = treatment.pretraining if treatment else None
            found |= {budgeted, treated}
            found |= {with_fields(treated, pretraining.fields)} if pretraining else set()
    assert len(found) > 5
    for one in found:
        assert through_json(one) == one


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.parts[-3])
def test_every_kept_recipe_comes_back(path):
    held = stored(path.parent)
    told = json.loads(path.read_text())
    # a field that recipes had not yet then has its default
    assert flat(held.recipe) == {name: told.get(name, old) for name, old in flat(Recipe()).items()}
    assert through_json(held.recipe) == held.recipe


share = st.floats(0, 1, exclude_min=True, exclude_max=True)
positive = st.floats(1e-6, 1e6)
sizes = st.integers(1, 999)
data = st.builds(
    DataConfig,
    source=st.text(min_size=1),
    dir=st.none() | st.text("ab/. é", min_size=1).map(Path),
    image_size=st.none() | sizes,
    held_out=st.just(0.0) | share,
    share=share,
    classes=st.just(()) | st.sets(st.integers(0, 99), min_size=2).map(tuple),
)
optimizers = st.builds(
    OptimizerConfig,
    name=st.sampled_from(("sgd", "adamw", "lars")),
    rate=positive,
    nesterov=st.booleans(),
    drops=st.sets(share).map(lambda some: tuple(sorted(some))),
    clip=st.none() | positive,
    rate_factors=st.lists(st.tuples(st.text(), st.just(0.0) | positive)).map(tuple),
)
recipes = st.builds(
    Recipe,
    data=data,
    augment=st.builds(Augmentation, flip=st.booleans(), rotate=st.floats(0, 180), noise=share),
    optimizer=optimizers,
    train=st.builds(TrainConfig, epochs=sizes, label_smoothing=share),
    width=st.floats(0.01, 64),
    seeds=sizes | st.just("auto"),
    most_seeds=st.integers(2, 10_000),
    conclusions=st.booleans(),
)


# the check of types takes a random element of each tuple, inside the strategy
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@settings(max_examples=40, deadline=None)
@given(recipes)
def test_any_recipe_comes_back_from_json_exactly(one):
    back = through_json(one)
    assert back == one
    assert flat(back) == flat(one)
    assert repr(back) == repr(one)  # types too


def test_fields_of_a_recipe_are_all_there():
    parts = {f.name: getattr(Recipe(), f.name) for f in fields(Recipe)}
    dotted = {
        f"{part}.{f.name}"
        for part, value in parts.items()
        if part in ("data", "augment", "optimizer", "train")
        for f in fields(value)
    }
    assert set(flat(Recipe())) == dotted | {"width", "seeds", "most_seeds", "conclusions"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train.epohcs": 3}, r"no field 'train\.epohcs': did you mean 'train\.epochs'"),
        ({"format": 2}, "no field 'format'"),
        ({"train.epochs": 3.5}, r"train\.epochs is 3\.5, and int is expected"),
        ({"augment.rotate": "much"}, r"augment\.rotate is 'much', and float is expected"),
        ({"data.classes": 3}, r"data\.classes is 3, and tuple\[int, \.\.\.\] is expected"),
        ({"optimizer.rate_factors": [["a", "b"]]}, r"optimizer\.rate-factors is "),
        ({"optimizer.name": "sdg"}, r"optimizer\.name is 'sdg': did you mean 'sgd'"),
        ({"train.epochs": 0}, r"train\.epochs is 0, and at least 1 is expected"),
    ],
)
def test_fields_that_are_unknown_or_cannot_be_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        unflat({**flat(Recipe()), **change})


@pytest.mark.parametrize("name", flat(Recipe()))
def test_a_missing_field_is_refused_by_its_name(name):
    held = {other: value for other, value in flat(Recipe()).items() if other != name}
    with pytest.raises(ConfigError, match=f"lacks the field '{name}'"):
        unflat(held)


def test_rate_factors_come_back_as_pairs():
    given_factors = (("*/bias", 2.0), ("conv1/*", 0.0))
    one = replace(Recipe(), optimizer=OptimizerConfig(rate_factors=given_factors))
    assert through_json(one).optimizer.rate_factors == given_factors
