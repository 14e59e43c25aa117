"""A folder of results believes no file that was damaged, changed, lost, or is another run's."""

import random
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import ablax
from ablax.errors import AblaxError
from ablax.report.study_tables import results_csv
from ablax.study import runner
from ablax.study.discovery import experiment
from ablax.study.folder import rebuild

sys.path.insert(0, str(Path(__file__).parent / "torture"))
from run_tiny import RECIPE, TINY

pytestmark = pytest.mark.slow

BELIEVED = ("recipe.json", "study.json", "metrics.jsonl", "measurements/*/*.jsonl")
BELIEVED += ("runs/*.json", "predictions/*.npz")
"""The files that a report's numbers are made from."""
CASES = 200


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Finished runs under two recipes that differ in the rate, and the figures of the first."""
    place = tmp_path_factory.mktemp("results")
    other = replace(RECIPE, optimizer=replace(RECIPE.optimizer, rate=0.01))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "write_report", lambda _, folder: folder)
        for name, recipe in (("ours", RECIPE), ("others", other)):
            ablax.run(str(TINY), recipe, folder=place / name, recipe_name="tiny", progress=False)
    return place / "ours", place / "others", told(place / "ours")


def told(folder):
    """What a report would say of the runs."""
    study = rebuild(folder, experiment(str(TINY))[1])
    return results_csv(study.variants, study.runs), study.measured, study.environment


def believed(folder):
    return [path for pattern in BELIEVED for path in sorted(folder.glob(pattern))]


def damage(ours, others, chance):
    """Do something to one of the believed files; the files it was done to, in words too."""
    path = chance.choice(believed(ours))
    content = path.read_bytes()
    kind = chance.choice(("flip", "cut", "delete", "line", "swap", "foreign"))
    if kind == "flip":
        place, bit = chance.randrange(len(content)), chance.randrange(8)
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        kind += f" of bit {bit} of byte {place}"
    elif kind == "cut":
        path.write_bytes(content[: chance.randrange(len(content))])
    elif kind == "delete":
        path.unlink()
    elif kind == "line":
        lines = content.splitlines(keepends=True)
        del lines[chance.randrange(len(lines))]
        path.write_bytes(b"".join(lines))
    elif kind == "swap":
        like = [each for each in path.parent.glob(f"*{path.suffix}") if each != path]
        if not like:
            return damage(ours, others, chance)
        other = chance.choice(like)
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)
        return f"{kind} with {other.name}", (path, other)
    else:
        path.write_bytes((others / path.relative_to(ours)).read_bytes())
    return kind, (path,)


def test_two_hundred_damages_are_named_every_one(folders, tmp_path):
    ours, others, expected = folders
    chance, silent = random.Random(0), []
    assert len(believed(ours)) == 12
    for case in range(CASES):
        copy = Path(shutil.copytree(ours, tmp_path / str(case)))
        kind, paths = damage(copy, others, chance)
        try:
            found = told(copy)
        except AblaxError as error:
            if not any(path.name in str(error) for path in paths):
                silent.append(f"{kind} of {paths[0].name} is told as: {error}")
        else:
            word = "equal" if found == expected else "another result"
            silent.append(f"{kind} of {paths[0].name}: {word}")
        shutil.rmtree(copy)
    assert not silent, "\n".join(silent)


def test_what_was_not_damaged_is_believed(folders, tmp_path):
    ours, _, expected = folders
    assert told(Path(shutil.copytree(ours, tmp_path / "copy"))) == expected
