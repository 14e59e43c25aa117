"""`docs/scripts/migrate_results.py`: kept results in the format of today."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from ablax.config import Recipe, flat
from ablax.study.folder import FORMAT, NETWORKS, stored

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "scripts" / "migrate_results.py"
KEPT = ROOT / "experiments" / "results"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("migrate_results", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def first_format(script, folder):
    """A folder of format 1 with one network that is what it was, and one that is not."""
    place = folder / "weight_sharing" / "digits-cpu"
    place.mkdir(parents=True)
    held = json.loads((KEPT / "weight_sharing" / "digits-cpu" / "recipe.json").read_text())
    recipe = stored(KEPT / "weight_sharing" / "digits-cpu").recipe
    _, question = script.experiment("weight_sharing")
    network, inputs = script.built(question, "shared", recipe)
    old = script.old_fingerprint(network, inputs.image_shape)
    told = {"shared": old, "wider": "0" * 16, "shared_anywhere": f"{old}; augment.translate: 2.5"}
    older = {n: v for n, v in held.items() if n not in ("format", "data.share")}
    (place / "recipe.json").write_text(json.dumps({**older, "networks": told}))
    (place / "results.csv").write_text("figures")
    return place


@pytest.mark.slow
def test_what_agrees_is_renamed_and_what_does_not_is_dropped_and_told(script, tmp_path):
    place = first_format(script, tmp_path)
    [line] = script.migrate(tmp_path, recompute=False)
    assert "2 verified, unverifiable and dropped: wider (another network was trained" in line
    assert "fields added: data.share" in line
    held, kept = stored(place), stored(KEPT / "weight_sharing" / "digits-cpu")
    assert held.recipe == kept.recipe
    assert held.networks == {n: kept.networks[n] for n in ("shared", "shared_anywhere")}
    assert (place / "results.csv").read_text() == "figures"
    before = files(tmp_path)
    for recompute in (False, True):
        list(script.migrate(tmp_path, recompute))
        assert files(tmp_path) == before


def test_what_is_kept_is_of_the_format_of_today_and_migrating_again_changes_nothing(
    script, tmp_path
):
    copy = tmp_path / "results"
    shutil.copytree(KEPT, copy, ignore=shutil.ignore_patterns("*.png", "*.csv"))
    before = files(copy)
    lines = list(script.migrate(copy, recompute=False))
    assert len(lines) == len(list(KEPT.glob("*/*/recipe.json")))
    assert all(line.endswith(f"of format {FORMAT} already") for line in lines)
    assert files(copy) == before


@pytest.mark.slow
def test_kept_fingerprints_are_those_of_the_networks_as_they_are_now(script, tmp_path):
    copy = tmp_path / "results"
    shutil.copytree(KEPT, copy, ignore=shutil.ignore_patterns("*.png", "*.csv"))
    before = files(copy)
    list(script.migrate(copy, recompute=True))
    changed = [str(path) for path, content in files(copy).items() if content != before.get(path)]
    assert not changed, "`python docs/scripts/migrate_results.py --recompute` writes them anew"


def test_every_kept_folder_has_its_networks_beside_their_fingerprints():
    for path in KEPT.glob("*/*/recipe.json"):
        held = json.loads(path.read_text())
        # fields that recipes had not when these were kept
        assert set(flat(Recipe())) - {"train.cores", "most_seeds"} < set(held)
        assert held["networks"]
        assert path.with_name(NETWORKS).stat().st_size < 20_000
