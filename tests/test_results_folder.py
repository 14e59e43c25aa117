"""The folder of an experiment: whose it is, and who may write there."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from ablax.config import Recipe, with_fields
from ablax.core import remove
from ablax.core import replace as exchange
from ablax.layers import Dense
from ablax.results_folder import ResultsError, ResultsFolder, changes, fingerprint
from ablax.zoo import alexnet_small

RECIPE = Recipe()
SHAPE = (32, 32, 1)


def claim(folder, recipe=RECIPE, networks=None, name="mine"):
    with ResultsFolder(folder).claim(name, "digits", recipe, networks or {"full": "1"}):
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
    path.write_text(json.dumps(older))
    claim(tmp_path)
    path.write_text(json.dumps(older))
    with pytest.raises(ResultsError, match=r"data\.share: 1\.0 there, 0\.5 now"):
        claim(tmp_path, with_fields(RECIPE, {"data.share": 0.5}))


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


def test_two_processes_do_not_share_a_folder(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom ablax.config import Recipe\n"
        "from ablax.results_folder import ResultsFolder\n"
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
    folder = ResultsFolder(tmp_path)
    assert folder.finished("full", 0) is None
    folder.finish("full", 0, {"status": "finished"})
    with pytest.raises(ResultsError, match=r"full-seed-0\.json lacks environment, test_error"):
        folder.finished("full", 0)


def test_a_fingerprint_tells_networks_apart_and_equal_ones_together():
    one = fingerprint(alexnet_small(10, 1 / 32), SHAPE)
    assert one == fingerprint(alexnet_small(10, 1 / 32), SHAPE)
    others = [
        fingerprint(remove("fc7")(alexnet_small(10, 1 / 32)), SHAPE),
        fingerprint(exchange("fc8", Dense(10, use_bias=False))(alexnet_small(10, 1 / 32)), SHAPE),
        fingerprint(alexnet_small(10, 1 / 16), SHAPE),
    ]
    assert len({one, *others}) == 4


def test_a_variant_that_changes_the_recipe_is_another_one_under_the_same_network():
    recipe, network = Recipe(), alexnet_small(10, 1 / 32)
    changed = changes(replace(recipe, width=0.5), recipe)
    plain = fingerprint(network, (28, 28, 1))
    assert fingerprint(network, (28, 28, 1), changed) == f"{plain}; width: 0.5"
    assert fingerprint(network, (28, 28, 1), changes(recipe, recipe)) == plain
