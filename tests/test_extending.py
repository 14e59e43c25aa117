"""The package of a stranger, `tests/stranger`: the commands work on what it adds, as told."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.__main__ import main
from ablax.core import Layers, Network, canonical, count_parameters, difference, fingerprint
from ablax.study.discovery import experiment, names, recipe
from ablax.zoo import find

ROOT = Path(__file__).parents[1]
STRANGER = ROOT / "tests" / "stranger"
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if not line.startswith("ablax run")  # by the slow test of the wheel
]


@pytest.fixture(autouse=True)
def stranger(tmp_path, monkeypatch):
    """As if the package were installed, in an empty folder."""
    project = tomllib.loads((STRANGER / "pyproject.toml").read_text("utf-8"))["project"]
    metadata = tmp_path / "site" / f"stranger-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Name: stranger\nVersion: {project['version']}\n")
    (metadata / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in points.items())
            for group, points in project["entry-points"].items()
        )
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(STRANGER / "src")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path


def said(capsys, *words):
    main(words)
    return capsys.readouterr().out


def fails(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("language", ["python", "toml"])
def test_what_the_page_shows_stands_in_the_package(language):
    ending = {"python": ".py", "toml": ".toml"}[language]
    sources = [path.read_text("utf-8") for path in STRANGER.rglob(f"*{ending}")]
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for block in blocks:
        assert any(block in source for source in sources), block


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_works(line, capsys):
    command, *words = shlex.split(line)
    assert command == "ablax"
    assert said(capsys, *words)


def test_the_table_of_a_strangers_network_counts_its_layer(capsys):
    table = json.loads(said(capsys, "table", "stranger:tiny_net", "--format", "json"))
    convolutions = 8 * (9 + 1) + 16 * (9 * 8 + 1)
    assert table["totals"]["parameters"] == convolutions + 10 * (16 + 1)
    blurs = 9 * (16 * 16 * 8 + 8 * 8 * 16)
    convolved = 9 * 8 * (32 * 32 + 16 * 16 * 16)
    assert table["totals"]["MACs"] == convolved + blurs + 16 * 10


def test_the_receptive_field_reaches_through_a_strangers_layer(capsys):
    text = said(capsys, "receptive-field", "stranger:tiny_net", "--layer", "pool1")
    # 3 of the convolution, 1 more of the maximum, 2 more of the blur
    assert text.splitlines()[2].split()[:4] == ["pool1", "16x16x8", "6", "2"]


def test_the_drawing_has_a_strangers_network_and_its_ablation(capsys):
    words = ("stranger:tiny_net", "--ablation", "stranger:without_blur", "--out", "blur.html")
    said(capsys, "draw", *words)
    page = Path("blur.html").read_text("utf-8")
    assert "stranger:tiny_net, without_blur" in page
    assert '"path":["pool1","blur"],"operation":"depthwise 3x3/2"' in page


def test_an_entry_point_and_module_function_find_the_same_network():
    named, written = find("tiny_net"), find("stranger.networks:tiny_net")
    assert named.build() == written.build()
    assert named.image_shape == written.image_shape == (32, 32, 1)
    assert (named.name, written.name) == ("tiny_net", "stranger.networks:tiny_net")
    assert count_parameters(named.build(), named.image_shape) == 1418


def test_a_function_of_the_zoo_keeps_its_images_when_it_is_written_with_its_module():
    assert find("ablax.zoo:lenet5").image_shape == find("lenet5").image_shape


def test_the_list_names_what_packages_add(capsys):
    listed = json.loads(said(capsys, "list", "--format", "json"))
    assert listed["other_networks"] == {"tiny_net": "stranger.networks:tiny_net"}
    assert "blur_ablation" in listed["experiments"]
    assert "stranger.networks:tiny_net" in said(capsys, "list")


@pytest.mark.parametrize("name", ["blur_ablation", "stranger.blur_ablation"])
def test_an_experiment_of_a_package_is_found_again_by_the_name_it_is_given(name):
    found, question = experiment(name)
    assert found == name
    assert question.names == ("full", "without_blur")
    assert experiment("stranger.blur_ablation:EXPERIMENT")[0] == "stranger.blur_ablation"


def test_a_file_here_comes_before_an_entry_point():
    Path("experiments").mkdir()
    source = (STRANGER / "src" / "stranger" / "blur_ablation.py").read_text("utf-8")
    Path("experiments", "blur_ablation.py").write_text(source.replace('"without_blur', '"mine'))
    assert experiment("blur_ablation")[1].names == ("full", "mine")
    assert names("experiments").count("blur_ablation") == 1


def test_a_recipe_may_come_from_a_module_here():
    Path("quick_recipes.py").write_text((ROOT / "configs" / "smoke.py").read_text("utf-8"))
    assert recipe("quick_recipes:RECIPE")[1] == recipe("smoke")[1]


def test_one_file_here_is_enough_for_a_network(capsys):
    Path("one_file.py").write_text(
        "from ablax.zoo import lenet5\n\ndef net(classes=10):\n    return lenet5(classes)\n"
    )
    said_of = fails(capsys, "table", "one_file:net")
    assert "does not say for which images it is: give --image-size 32" in said_of
    table = said(capsys, "table", "one_file:net", "--image-size", "32")
    assert table.startswith("Cost of one_file:net, 1 image of 32x32x3")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stranger:tiny_nett", "'stranger' has no 'tiny_nett': did you mean 'tiny_net'?"),
        ("strangers:tiny_net", "cannot import 'strangers': ModuleNotFoundError"),
        ("stranger:", "expected module:name, such as my_networks:tiny"),
        ("stranger:BlurPool", "expected a function that returns a Network"),
        ("stranger.networks:convolution", "fails with TypeError"),
        ("stranger.networks:blurred_pool", "gives Sequential: expected a Network"),
        ("tiny_nett", "there is no network 'tiny_nett': did you mean 'tiny_net'"),
    ],
)
def test_what_is_no_network_is_refused(name, message, capsys):
    assert message in fails(capsys, "table", name, "--image-size", "32")


def test_two_packages_with_one_name_are_refused(stranger, capsys):
    metadata = stranger / "site" / "other-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: other\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[ablax.networks]\ntiny_net = other:tiny_net\n")
    text = fails(capsys, "table", "tiny_net")
    assert "several packages offer 'tiny_net' (other:tiny_net, stranger.networks:tiny_net)" in text


def test_a_strangers_layer_that_computes_something_else_has_another_fingerprint(stranger):
    from stranger import BlurPool, tiny_net, without_blur

    source = (STRANGER / "src" / "stranger" / "layers.py").read_text("utf-8")
    changed = source.replace("[0.25, 0.5, 0.25]", "[0.0, 1.0, 0.0]")
    (stranger / "site" / "other_layers.py").write_text(changed)
    (stranger / "site" / "same_layers.py").write_text(source)
    from other_layers import BlurPool as Changed
    from same_layers import BlurPool as Same

    prints = [
        fingerprint(Network(Layers(pool=kind()), Layers(), Layers()), (8, 8, 1))
        for kind in (BlurPool, Same, Changed)
    ]
    assert prints[0] == prints[1] != prints[2]
    told = difference(canonical(tiny_net()), canonical(without_blur(tiny_net())))
    assert told.startswith("pool1: ")


def test_a_blurred_pool_is_the_sum_of_its_formula_and_its_gradient_the_transpose():
    from stranger import BlurPool

    x = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2, 0].set(16.0)
    expected = np.zeros((3, 3))
    expected[1, 1] = 4.0  # 16 times 2/4 times 2/4: rows and columns 0, 2 and 4 are kept
    np.testing.assert_allclose(BlurPool().apply({}, x)[0, :, :, 0], expected)
    np.testing.assert_allclose(
        BlurPool(stride=1).apply({}, x)[0, 1:4, 1:4, 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    )
    gradient = jax.grad(lambda x: BlurPool().apply({}, x)[0, 1, 1, 0])(x)
    np.testing.assert_allclose(16 * gradient[0, 1:4, 1:4, 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]])
