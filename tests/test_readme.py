"""The README's code runs, is as short as it says, and names what exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ablax.__main__ import COMMANDS, main
from ablax.core import check, count_parameters
from ablax.experiment import Inputs
from ablax.study.discovery import experiment, names
from ablax.zoo import CATALOG, alexnet, alexnet_small

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SMALL = Inputs(image_size=32, channels=1, classes=10, width=1 / 32)


def section(title: str) -> str:
    return re.split(r"^## ", README.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def python(title: str) -> str:
    return re.search(r"```python\n(.*?)```", section(title), re.DOTALL).group(1)


def test_cutting_a_network_prints_what_the_readme_says(capsys):
    exec(python("Read a network, cut it"), {})
    said = capsys.readouterr().out.split("\n")
    assert said[0].startswith("['conv1', 'norm1', 'pool1', 'conv2'")
    assert said[1] == "1696512"


def test_the_listing_of_the_readme_is_what_the_command_prints(capsys):
    main(["show", "resnet20"])
    said = capsys.readouterr().out
    printed = re.search(r"```\n(images.*?)```", section("Look into a network"), re.DOTALL).group(1)
    above, below = printed.split("...\n")
    assert said.startswith(above)
    assert said.endswith(below)


def test_features_and_heads_print_what_the_readme_says(capsys):
    exec(python("Look into a network"), {})
    said = capsys.readouterr().out
    assert said.startswith("{'conv1': (8, 32, 32, 16), 'res3b': (8, 16, 16, 32), 'res4c/conv1'")
    assert "PixelVote()" in said


def test_the_analyses_print_what_they_find_in_any_function(capsys):
    exec(python("What a network costs, sees and hides"), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"[('conv', {16 * 16 * 8 * 5 * 5 * 3})]"
    assert "(5, 5)" in said[1]


def test_a_family_is_extended_in_under_20_lines_and_has_the_papers_parameters():
    code, scope = python("Extend a family"), {}
    assert sum(bool(line.strip()) for line in code.splitlines()) < 20
    exec(code, scope)
    millions = {
        (depth, width): round(
            count_parameters(scope["wide_resnet"](depth, width), (32, 32, 3)) / 1e6, 1
        )
        for depth, width in ((28, 10), (40, 4), (16, 8))
    }
    assert millions == {(28, 10): 36.5, (40, 4): 8.9, (16, 8): 11.0}  # Zagoruyko 2016, table 4


def test_the_table_of_networks_names_networks_and_files_that_exist():
    text = section("The networks")
    names = set(re.findall(r"`([a-z]\w+\d\w*)`", text))
    assert names
    assert names <= {entry.name for entry in CATALOG} | {"resnet1202"}
    for file in re.findall(r"`(\w+\.py)`", text):
        assert (ROOT / "src" / "ablax" / "zoo" / file).exists(), file


def test_the_page_of_networks_is_what_the_command_prints():
    command = [sys.executable, "-m", "ablax", "list", "--format", "markdown"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "networks.md").read_text() == printed


def test_an_ablation_is_added_in_under_20_lines_and_applies():
    code, scope = python("Add an ablation"), {}
    assert code.count("\n") < 20
    exec(code, scope)
    changed = scope["batch_for_response_normalization"](alexnet_small(10, 1 / 32))
    assert "norm1" not in changed.layers
    assert "norm" in changed.layers["conv1"].layers
    check(changed, (32, 32, 1), classes=10)


def test_a_question_is_added_in_under_20_lines_and_builds_its_networks(tmp_path):
    code = python("Add a question")
    assert code.count("\n") < 20
    path = tmp_path / "dropout.py"
    path.write_text(code)
    name, question = experiment(str(path))
    assert name == "dropout"
    assert question.title == "What dropout buys"
    assert list(question.networks(SMALL)) == ["full", "without_dropout"]


def test_the_table_of_recipes_names_them_all():
    rows = re.findall(r"^\| `(\w+)` \|", section("Other recipes, other data"), re.MULTILINE)
    assert sorted(rows) == names("configs")


def test_every_make_target_and_link_of_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", README, re.MULTILINE)
    targets = {one or other for one, other in commands}
    assert {"experiment", "test", "help", "setup", "data"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_every_command_of_the_readme_exists_and_takes_a_network_of_the_catalog():
    found = re.findall(r"(?:`|bin/)ablax\s+([a-z-]+)(?:\s+([a-z]\w*))?", README)
    assert {name for name, _ in found} <= set(COMMANDS)
    assert {name for name, _ in found} >= {"list", "show", "import", "predict", "evaluate"}
    networks = {entry.name for entry in CATALOG} | {""}
    others = ("list", "run", "keep", "plot-errors", "doctor")
    assert {word for command, word in found if command not in others} <= networks


@pytest.mark.parametrize("line", re.findall(r'ARGS="([^"]*)"', README.replace("\\\n", "")))
def test_the_arguments_of_the_readme_are_accepted(line, capsys, tmp_path, monkeypatch):
    """With a batch no data can fill the command gets past every argument and stops there."""
    monkeypatch.chdir(tmp_path)
    words = [w for w in line.split() if not w.startswith(("--data", "/where", "tfds:"))]
    with pytest.raises(SystemExit):
        main(["run", "alexnet_ablation", *words, "--train.batch", "99999"])
    assert "99999, and the data have" in capsys.readouterr().err


def test_the_ablations_remove_what_the_lecture_says_about():
    _, question = experiment("alexnet_ablation")
    full = count_parameters(alexnet(), (227, 227, 3))
    networks = question.networks(question.full_size)
    removed = {
        name: full - count_parameters(network, (227, 227, 3)) for name, network in networks.items()
    }
    assert round(removed["without_7"] / 1e6, 1) == 16.8
    assert round(removed["without_6_7"] / 1e6, 1) == 49.4
    assert round(removed["without_3_4"] / 1e6, 1) == 1.7


@pytest.mark.slow
def test_every_experiment_builds_its_variants_and_claims_name_them():
    for name in names("experiments"):
        _, question = experiment(name)
        built = question.networks(SMALL)
        claims = (*question.claims, *question.expectations)
        assert all(set(claim.variants) <= set(built) for claim in claims)
        for published in question.published:
            assert set(published.drops) <= set(built)
