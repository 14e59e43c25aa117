"""README and docs: their code runs, is as short as they say, and names what exists."""

import contextlib
import re
import shlex
import subprocess
import sys
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from ablax.__main__ import COMMANDS, main
from ablax.core import check, count_parameters
from ablax.experiment import Inputs
from ablax.study.discovery import experiment, names
from ablax.zoo import CATALOG, alexnet, alexnet_small

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
TEXTS = {path: path.read_text("utf-8") for path in PAGES}
ALL = "\n".join(TEXTS.values())
README = TEXTS[ROOT / "README.md"]
SMALL = Inputs(image_size=32, channels=1, classes=10, width=1 / 32)


def page(name: str) -> str:
    return TEXTS[DOCS / f"{name}.md"]


def section(text: str, title: str) -> str:
    return re.split(r"^## ", text.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def python(text: str, title: str) -> str:
    return re.search(r"```python\n(.*?)```", section(text, title), re.DOTALL).group(1)


def commands(text: str) -> list[list[str]]:
    """The words behind `ablax` of every command of the page, in a block or between backticks."""
    block = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    shown = "\n".join(lines for language, lines in block.findall(text) if language in ("", "sh"))
    lines = shown.replace("\\\n", " ").split("\n")
    prose = block.sub("", text)
    lines += [" ".join(words.split()) for words in re.findall(r"`([^`]+)`", prose)]
    found = [re.match(r"(?:\.venv/bin/)?ablax ([a-z].*)", line) for line in lines]
    return [shlex.split(line.group(1), comments=True) for line in found if line]


@cache
def options(command: str) -> set[str]:
    """All that the help of the command names."""
    with contextlib.redirect_stdout(StringIO()) as said, contextlib.suppress(SystemExit):
        main([command, "--help"])
    return set(re.findall(r"--[a-z][\w.-]*", said.getvalue()))


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 200


@pytest.mark.slow
def test_the_python_of_the_readme_is_fourteen_lines_and_does_what_it_says(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code = python(README, "Fourteen lines of Python")
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) == 14
    assert sum("import" in line for line in lines) == 2
    scope = {}
    exec(code, scope)
    said = capsys.readouterr().out
    assert "output" in said
    assert "f6" not in said
    assert "{'c1': (8, 28, 28, 6), 'c5': (8, 1, 1, 120)}" in said
    assert "MACs 406,800; parameters 51,902" in said
    history = scope["history"]
    assert [row.epoch for row in history] == [1, 2]
    assert history[-1].test_error < 50  # chance is 90
    # computed anew from the file, in other portions: a near tie may fall otherwise
    assert abs(float(said.splitlines()[-1]) - history[-1].test_error) < 0.2


def test_the_readme_asks_the_question_of_every_experiment():
    rows = re.findall(r"^\| `(\w+)` \|", section(README, "The experiments"), re.MULTILINE)
    assert rows == names("experiments")


def test_cutting_a_network_prints_what_the_page_says(capsys):
    exec(python(page("building_networks"), "Read a network, cut it"), {})
    said = capsys.readouterr().out.split("\n")
    assert said[0].startswith("['conv1', 'norm1', 'pool1', 'conv2'")
    assert said[1] == "1696512"


def test_the_listing_of_the_page_is_what_the_command_prints(capsys):
    main(["show", "resnet20"])
    said = capsys.readouterr().out
    text = section(page("building_networks"), "Look into a network")
    printed = re.search(r"```\n(images.*?)```", text, re.DOTALL).group(1)
    above, below = printed.split("...\n")
    assert said.startswith(above)
    assert said.endswith(below)


@pytest.mark.slow
def test_features_and_heads_print_what_the_page_says(capsys):
    exec(python(page("building_networks"), "Look into a network"), {})
    said = capsys.readouterr().out
    assert said.startswith("{'conv1': (8, 32, 32, 16), 'res3b': (8, 16, 16, 32), 'res4c/conv1'")
    assert "PixelVote()" in said


def test_the_analyses_print_what_they_find_in_any_function(capsys):
    exec(python(page("analysis"), "Any JAX function"), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"[('conv', {16 * 16 * 8 * 5 * 5 * 3})]"
    assert "(5, 5)" in said[1]


@pytest.mark.slow
def test_a_family_is_extended_in_under_20_lines_and_has_the_papers_parameters():
    code, scope = python(page("building_networks"), "Extend a family"), {}
    assert sum(bool(line.strip()) for line in code.splitlines()) < 20
    exec(code, scope)
    millions = {
        (depth, width): round(
            count_parameters(scope["wide_resnet"](depth, width), (32, 32, 3)) / 1e6, 1
        )
        for depth, width in ((28, 10), (40, 4), (16, 8))
    }
    assert millions == {(28, 10): 36.5, (40, 4): 8.9, (16, 8): 11.0}  # Zagoruyko 2016, table 4


@pytest.mark.slow
def test_another_initialization_and_an_ensemble_make_a_network_of_the_same_scores():
    scope = {}
    exec(python(page("building_networks"), "Initialization, ensembles, tied weights"), scope)
    check(scope["orthogonal"], (32, 32, 1), classes=10)
    check(scope["five"], (32, 32, 1), classes=10)


def test_the_fields_of_the_augmentation_page_are_fields():
    code = re.search(r"```python\n(.*?)```", page("augmentation"), re.DOTALL).group(1)
    exec(code, {})


def test_every_block_of_python_runs_in_a_test_of_this_file():
    counts = {str(path.relative_to(ROOT)): text.count("```py") for path, text in TEXTS.items()}
    assert {name: count for name, count in counts.items() if count} == {
        "README.md": 1,
        "docs/analysis.md": 1,
        "docs/augmentation.md": 1,
        "docs/building_networks.md": 4,
        "docs/extending.md": 4,  # in test_extending.py
        "docs/running.md": 1,
        "docs/weights.md": 1,  # in test_load.py
        "docs/writing_experiments.md": 2,
    }


def test_the_table_of_families_names_networks_and_files_that_exist():
    text = section(page("building_networks"), "The families")
    table = "\n".join(line for line in text.splitlines() if line.startswith("| "))
    found = set(re.findall(r"`([a-z]\w+\d\w*)`", table))
    assert found
    assert found <= {entry.name for entry in CATALOG}
    files = set(re.findall(r"`(\w+\.py)`", table))
    assert files == {f"{entry.build.__module__.rpartition('.')[2]}.py" for entry in CATALOG}


@pytest.mark.slow
def test_the_page_of_networks_is_what_the_command_prints():
    command = [sys.executable, "-m", "ablax", "list", "--format", "markdown"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert page("networks") == printed


def test_an_ablation_is_added_in_under_20_lines_and_applies():
    code, scope = python(page("writing_experiments"), "Add an ablation"), {}
    assert code.count("\n") < 20
    exec(code, scope)
    changed = scope["batch_for_response_normalization"](alexnet_small(10, 1 / 32))
    assert "norm1" not in changed.layers
    assert "norm" in changed.layers["conv1"].layers
    check(changed, (32, 32, 1), classes=10)


def test_a_question_is_added_in_under_20_lines_and_builds_its_networks(tmp_path):
    code = python(page("writing_experiments"), "Add a question")
    assert code.count("\n") < 20
    path = tmp_path / "dropout.py"
    path.write_text(code)
    name, question = experiment(str(path))
    assert name == "dropout"
    assert question.title == "What dropout buys"
    assert list(question.networks(SMALL)) == ["full", "without_dropout"]


@pytest.mark.slow
def test_a_run_from_python_prints_what_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```py\n(.*?)```", page("running"), re.DOTALL).group(1)
    exec(code, {})
    assert (tmp_path / "results" / "short" / "report.html").exists()
    *_, named, counted = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"without 7 \d+\.\d+", named)
    assert counted == "2 2"


def test_the_table_of_recipes_names_them_all():
    rows = re.findall(r"^\| `(\w+)` \|", section(page("running"), "Recipes"), re.MULTILINE)
    assert sorted(rows) == names("configs")


def test_the_page_of_the_layout_names_every_folder_and_file_at_the_top_of_the_source():
    text = section(page("layout"), "src/ablax")
    rows = re.findall(r"^\| `([\w./]+)` \|", text, re.MULTILINE)
    tree = [
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "src" / "ablax").iterdir()
        if path.name != "__pycache__"
    ]
    assert sorted(rows) == sorted(tree)
    beside = re.findall(r"`([\w./]+/)`", section(page("layout"), "Beside it"))
    assert all((ROOT / name).is_dir() for name in beside)


def test_the_index_names_every_page():
    links = set(re.findall(r"\]\(([\w.]+)\)", page("README")))
    assert links | {"README.md"} == {path.name for path in DOCS.glob("*.md")}


def test_every_make_target_of_the_pages_exists():
    makefile = (ROOT / "Makefile").read_text()
    found = re.findall(r"^make ([a-z-]+)|`make\s([a-z-]+)", ALL, re.MULTILINE)
    targets = {one or other for one, other in found}
    assert {"experiment", "test", "help", "setup", "data"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def anchors(path: Path) -> set[str]:
    """What a link may name behind `#`: the headings, as GitHub writes them."""
    heads = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(path):
    for link in re.findall(r"\]\(([^)]+)\)", TEXTS[path]):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_pages_show_these_commands_at_least():
    found = {words[0] for words in commands(ALL)}
    assert found >= {"list", "show", "import", "predict", "evaluate", "draw", "doctor", "report"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_page_exists_with_its_options_and_its_network(path):
    networks = {entry.name for entry in CATALOG} | {"tiny_net"}  # of extending.md
    others = ("list", "run", "keep", "plot-errors", "doctor", "report")
    for command, *words in commands(TEXTS[path]):
        assert command in COMMANDS
        for word in words:
            assert not word.startswith("--") or word in options(command), (command, word)
        if command not in others and words and re.fullmatch(r"[a-z]\w*", words[0]):
            assert words[0] in networks, (command, words)


@pytest.mark.slow
@pytest.mark.parametrize("line", re.findall(r'ARGS="([^"]*)"', ALL.replace("\\\n", "")))
def test_the_arguments_of_the_pages_are_accepted(line, capsys, tmp_path, monkeypatch):
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
