"""The folder of an experiment: whose it is, and who may write there."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from ablax.config import Recipe, with_fields
from ablax.core import replace as exchange
from ablax.files import sealed
from ablax.layers import Dense
from ablax.report.study import Claim, PlanRecord, Variant
from ablax.study.folder import (
    NETWORKS,
    Identity,
    ResultsError,
    ResultsFolder,
    changes,
    check_format,
    identity,
    stored,
)
from ablax.zoo import alexnet_small

RECIPE = Recipe()
PLAN = PlanRecord(
    name="mine",
    question="?",
    prediction="no",
    source="none",
    recipe_name="digits",
    recipe={},
    variants=tuple(Variant(name, name, 1, 1) for name in ("full", "cut")),
    baseline="full",
    claims=(Claim("a cut costs", "cut", "full"),),
    error_margin=0.5,
)
SHAPE = (32, 32, 1)


def claim(folder, recipe=RECIPE, networks=None, name="mine"):
    told = {variant: Identity(text) for variant, text in (networks or {"full": "1"}).items()}
    with ResultsFolder(folder).claim(name, "digits", recipe, told):
        pass


def test_the_same_recipe_may_go_on_and_a_free_field_may_change(tmp_path):
    claim(tmp_path)
    claim(tmp_path, replace(RECIPE, seeds=9))
    assert json.loads((tmp_path / "recipe.json").read_text())["seeds"] == 9


def test_rate_factors_are_written_and_read_back(tmp_path):
    factors = (("*/bias", 2.0), ("fc*", 0.5))
    recipe = with_fields(RECIPE, {"optimizer.rate_factors": factors})
    claim(tmp_path, recipe)
    held = json.loads((tmp_path / "recipe.json").read_text())
    assert held["optimizer.rate_factors"] == [["*/bias", 2.0], ["fc*", 0.5]]
    claim(tmp_path, recipe)
    with pytest.raises(ResultsError, match=r"optimizer\.rate_factors: .*2\.0.* there, \[\] now"):
        claim(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": replace(RECIPE, width=0.5)}, "width: 1.0 there, 0.5 now"),
        ({"name": "other"}, "experiment: 'mine' there, 'other' now"),
        ({"networks": {"full": "2"}}, "variant full: another network than the one there"),
    ],
)
def test_another_recipe_experiment_or_network_is_refused(change, message, tmp_path):
    claim(tmp_path)
    before = (tmp_path / "recipe.json").read_bytes()
    with pytest.raises(ResultsError, match=message):
        claim(tmp_path, **change)
    assert (tmp_path / "recipe.json").read_bytes() == before


def test_a_run_from_before_a_field_was_added_goes_on_where_the_field_has_its_default(tmp_path):
    claim(tmp_path)
    path = tmp_path / "recipe.json"
    older = {name: v for name, v in json.loads(path.read_text()).items() if name != "data.share"}
    path.write_text(sealed(older))
    claim(tmp_path)
    path.write_text(sealed(older))
    with pytest.raises(ResultsError, match=r"data\.share: 1\.0 there, 0\.5 now"):
        claim(tmp_path, with_fields(RECIPE, {"data.share": 0.5}))


def claim_data(folder, **data):
    told = {name: Identity("1", data=each) for name, each in data.items()}
    with ResultsFolder(folder).claim("mine", "digits", RECIPE, told):
        return {name: ResultsFolder(folder).key(name, 0) for name in data}


def test_other_images_under_the_same_name_are_refused_by_both_fingerprints(tmp_path):
    claim_data(tmp_path, full="aa", cut="bb")
    claim_data(tmp_path, full="aa")
    with pytest.raises(ResultsError, match=r"variant cut: other images .* bb there, cc now"):
        claim_data(tmp_path, cut="cc")
    with pytest.raises(ResultsError, match="trained on other images"):
        stored(tmp_path).refuse_other_data(tmp_path, "full", "dd")
    stored(tmp_path).refuse_other_data(tmp_path, "full", "aa")


def test_the_key_of_a_run_is_of_its_recipe_network_data_variant_and_seed(tmp_path):
    keys = claim_data(tmp_path / "a", full="aa", cut="aa")
    assert keys == claim_data(tmp_path / "b", full="aa", cut="aa")
    assert len({*keys.values(), ResultsFolder(tmp_path / "a").key("full", 1)}) == 3
    assert claim_data(tmp_path / "c", full="bb")["full"] != keys["full"]
    with ResultsFolder(tmp_path / "d").claim(
        "mine", "digits", replace(RECIPE, width=0.5), {"full": Identity("1", data="aa")}
    ):
        assert ResultsFolder(tmp_path / "d").key("full", 0) != keys["full"]


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    claim(tmp_path)
    (tmp_path / "plots").mkdir()
    for name in (".recipe.json.123.partial", "plots/.errors.png.9.partial"):
        (tmp_path / name).write_text("half")
    claim(tmp_path)
    assert not list(tmp_path.rglob(".*.partial"))


def test_a_variant_may_be_added(tmp_path):
    claim(tmp_path)
    claim(tmp_path, networks={"full": "1", "cut": "2"})
    claim(tmp_path, networks={"cut": "2"})
    with pytest.raises(ResultsError, match="variant full"):
        claim(tmp_path, networks={"full": "3"})


def test_runs_of_an_unknown_recipe_are_not_adopted(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(ResultsError, match=r"holds runs but no recipe\.json"):
        claim(tmp_path)


@pytest.mark.slow
def test_two_processes_do_not_share_a_folder(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom ablax.config import Recipe\n"
        "from ablax.study.folder import ResultsFolder\n"
        "with ResultsFolder(Path(sys.argv[1])).claim('mine', 'digits', Recipe(), {}):\n"
        "    print('in', flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(ResultsError, match="another process is running in"):
            claim(tmp_path)
    finally:
        other.communicate()
    claim(tmp_path)


def test_a_finished_run_that_lacks_something_is_named(tmp_path):
    claim(tmp_path)
    folder = ResultsFolder(tmp_path)
    assert folder.finished("full", 0) is None
    folder.finish("full", 0, {"status": "finished"})
    with pytest.raises(ResultsError, match=r"full-seed-0\.json lacks environment, test_error"):
        folder.finished("full", 0)


def test_a_variant_that_changes_the_recipe_is_another_one_under_the_same_network():
    recipe, network = Recipe(), alexnet_small(10, 1 / 32)
    changed = changes(replace(recipe, width=0.5), recipe)
    plain = identity(network, SHAPE).fingerprint
    assert identity(network, SHAPE, changed).fingerprint == f"{plain}; width: 0.5"
    assert identity(network, SHAPE, changes(recipe, recipe)).fingerprint == plain


def claim_network(folder, network, changed=()):
    told = {"full": identity(network, SHAPE, changed)}
    with ResultsFolder(folder).claim("mine", "digits", RECIPE, told):
        pass


def test_the_refusal_of_another_network_names_the_first_layer_and_field_that_differ(tmp_path):
    network = alexnet_small(10, 1 / 32)
    claim_network(tmp_path, network)
    claim_network(tmp_path, network)
    other = exchange("fc8", Dense(10, use_bias=False))(network)
    with pytest.raises(
        ResultsError, match=r"another network .*\(fc8: use_bias true there, false now\)"
    ):
        claim_network(tmp_path, other)
    with pytest.raises(ResultsError, match=r"conv1/conv: features 3 there, 6 now"):
        claim_network(tmp_path, alexnet_small(10, 1 / 16))
    (tmp_path / NETWORKS).write_bytes(b"no gzip")
    with pytest.raises(ResultsError, match=r"another network than the one there\)"):
        claim_network(tmp_path, other)


def test_the_refusal_of_another_training_says_what_it_changes(tmp_path):
    network = alexnet_small(10, 1 / 32)
    claim_network(tmp_path, network, ("width: 0.5",))
    with pytest.raises(ResultsError, match=r"full: width: 0\.5 there, its recipe unchanged now"):
        claim_network(tmp_path, network)


def test_the_networks_of_a_folder_are_written_in_equal_bytes(tmp_path):
    for name in ("one", "two"):
        claim_network(tmp_path / name, alexnet_small(10, 1 / 32))
    one, two = ((tmp_path / name / NETWORKS).read_bytes() for name in ("one", "two"))
    assert one == two
    assert len(one) < 2000


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"format 1, and this ablax reads and writes format 3.*migrate_results\.py"),
        (4, r"format 4, .*read it with the ablax that wrote it"),
        (2, r"format 2, .*migrate_results\.py"),
        ("3", r"format 3, and"),
    ],
)
def test_a_folder_of_another_format_is_refused_and_kept_as_it_is(given, message, tmp_path):
    claim(tmp_path)
    path = tmp_path / "recipe.json"
    held = {name: value for name, value in json.loads(path.read_text()).items() if name != "format"}
    path.write_text(json.dumps(held if given is None else {**held, "format": given}))
    before = path.read_bytes()
    for read in (claim, stored):
        with pytest.raises(ResultsError, match=message):
            read(tmp_path)
    assert path.read_bytes() == before
    check_format({"format": 3}, tmp_path)


def test_what_a_folder_is_of_is_read_back(tmp_path):
    recipe = with_fields(RECIPE, {"optimizer.rate_factors": (("*/bias", 2.0),), "width": 0.5})
    claim(tmp_path, recipe)
    held = stored(tmp_path)
    assert (held.experiment, held.recipe_name, held.recipe) == ("mine", "digits", recipe)
    assert held.networks == {"full": "1"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train.epohcs": 3}, r"is damaged \(.*'train\.epohcs': did you mean 'train\.epochs'"),
        ({"train.epochs": "many"}, r"is damaged \(train\.epochs is 'many', and int"),
        ({"experiment": 3}, "it lacks experiment"),
        ({"networks": []}, "'networks' is no mapping"),
    ],
)
def test_a_damaged_recipe_is_refused_in_words(change, message, tmp_path):
    claim(tmp_path)
    path = tmp_path / "recipe.json"
    path.write_text(sealed(json.loads(path.read_text()) | change))
    with pytest.raises(ResultsError, match=message):
        stored(tmp_path)


def test_hypotheses_are_declared_before_the_first_run_and_a_change_is_named(tmp_path):
    folder, record = ResultsFolder(tmp_path), PLAN
    changed = replace(record, error_margin=2.0)
    folder.declare(record)
    assert folder.declared(record).endswith(", declared before the first run")
    (tmp_path / "runs").mkdir()
    folder.declare(changed)
    first = folder.declared(record).partition(",")[0]
    assert folder.declared(changed).endswith(f", changed since the first run ({first})")
    held = json.loads((tmp_path / "hypotheses.json").read_text())
    assert held["first"] == first != held["now"]
    assert [each["margin"] for each in held["hypotheses"]] == [2.0]


def test_hypotheses_of_a_folder_that_has_runs_already_were_declared_later(tmp_path):
    (tmp_path / "runs").mkdir()
    assert ResultsFolder(tmp_path).declared(PLAN).endswith(", declared later")
    ResultsFolder(tmp_path).declare(PLAN)
    assert ResultsFolder(tmp_path).declared(PLAN).endswith(", declared later")


def test_hypotheses_may_change_until_a_run_has_begun_and_those_of_others_are_refused(tmp_path):
    folder, changed = ResultsFolder(tmp_path), replace(PLAN, error_margin=2.0)
    folder.declare(PLAN)
    folder.declare(changed)
    assert folder.declared(changed).endswith(", declared before the first run")
    (tmp_path / "checkpoints").mkdir()
    folder.declare(PLAN)
    assert ", changed since the first run (" in folder.declared(PLAN)
    with pytest.raises(ResultsError, match="is of another experiment or recipe"):
        folder.declared(replace(PLAN, name="other"))
    (tmp_path / "hypotheses.json").write_text("{}")
    with pytest.raises(ResultsError, match="the report then says"):
        folder.declared(PLAN)
