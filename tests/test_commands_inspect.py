"""`ablax inspect` and `ablax check-gradient`: every picture is written, and says whose weights."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ablax.commands.options import parse
from ablax.core import abstract_variables
from ablax.errors import AblaxError
from ablax.inspection.pictures import (
    _reached,
    chosen_layers,
    filters_figure,
    network_statistics,
    statistics_figure,
    statistics_table,
    top_layers,
)
from ablax.model import Model, Preprocessing
from ablax.native import why_not
from ablax.report.figures import caption_of
from ablax.zoo import lenet5


def command(name, *words):
    module = importlib.import_module(f"ablax.commands.{name}")
    parse(getattr(module, name), list(map(str, words)), name)()


@pytest.fixture(scope="module")
def lenet():
    network, random = lenet5(), np.random.default_rng(0)
    shapes = abstract_variables(network, (32, 32, 1))
    variables = jax.tree.map(lambda x: jnp.float32(0.2 * random.normal(size=x.shape)), shapes)
    gray = Preprocessing(32, 32, mean=(0.5,), std=(0.25,), channels="L")
    classes = tuple(f"class {k}" for k in range(10))
    return Model("lenet5", network, variables, gray, classes, "drawn by numpy")


def test_chosen_layers_spread_from_the_first_map_to_the_last(lenet):
    assert chosen_layers(lenet, [], 2) == ["c1", "s4"]
    assert top_layers(lenet)[0] == "c1"
    with pytest.raises(AblaxError, match="no layer 'c9'"):
        chosen_layers(lenet, ["c9"])
    with pytest.raises(AblaxError, match="choose a layer that gives maps"):
        chosen_layers(lenet, ["f6"])


def test_deconvolution_shows_the_square_that_was_reached():
    back = np.zeros((8, 9, 1))
    back[2, 3] = back[4, 4] = 1.0
    assert _reached([back, 0 * back]) == (2, 5, 2, 5)
    assert _reached([0 * back]) == (0, 8, 0, 9)


def test_filters_figure_says_whose_weights_it_shows(lenet):
    text = caption_of(filters_figure(lenet))
    assert "c1/conv/kernel: 6 filters of 5x5" in text
    assert "drawn by numpy" in text


@pytest.mark.slow
def test_statistics_of_a_network_have_a_row_a_layer(lenet):
    images = jnp.float32(np.random.default_rng(1).normal(size=(4, 32, 32, 1)))
    found = network_statistics(lenet, ["c1", "f6"], [images[:3], images[3:]])
    table = statistics_table("LeNet", found)
    assert [row[:3] for row in table.rows] == [("c1", 6, 784), ("f6", 84, 1)]
    assert "Over 4 samples" in table.notes[0]
    assert len(statistics_figure(lenet, found, ["c1"]).axes) == 3


@pytest.mark.slow
def test_inspect_refuses_what_it_cannot_show(tmp_path):
    with pytest.raises(AblaxError, match="give pictures, or --data"):
        command("inspect", "lenet5", "--out", tmp_path)
    with pytest.raises(AblaxError, match="--steps 0: expected at least 1"):
        command("inspect", "lenet5", "--out", tmp_path, "--steps", 0)
    with pytest.raises(AblaxError, match="no class 'cat'"):
        command(
            "inspect", "lenet5", "--out", tmp_path, "--only", "maximization", "--classes", "cat"
        )


def test_check_gradient_refuses_to_check_nothing():
    with pytest.raises(AblaxError, match="at least one of either"):
        command("check_gradient", "lenet5", "--directions", 0)
    with pytest.raises(AblaxError, match="--images 0: expected at least 1"):
        command("check_gradient", "lenet5", "--images", 0)


@pytest.mark.slow
def test_check_gradient_of_a_network_agrees_leaf_by_leaf_in_both_precisions(capsys):
    command("check_gradient", "resnet20", "--image-size", 8, "--directions", 1)
    printed = capsys.readouterr().out
    agree = "59 leaves agree, 0 disagree, 0 inconclusive."
    assert f"differences: {agree}" in printed
    assert f"As it trains: {agree}" in printed


@pytest.mark.slow
def test_check_gradient_sees_the_kernels_that_train(monkeypatch, capsys):
    """The loops in C++ serve float32 alone: a check in float64 never calls them."""
    if why_not():
        pytest.skip(why_not())
    loops = importlib.import_module("ablax.layers.convolution")._kernel_gradient
    right = loops.bind

    def wrong(*given, **fields):
        return right(*given, **fields) * (3 if given[0].dtype == np.float32 else 1)

    monkeypatch.setattr(loops, "bind", wrong)
    with pytest.raises(AblaxError, match=r"in float32, as it trains here, .* in 3 leaves, c1/conv"):
        command("check_gradient", "lenet5", "--directions", 1)
    printed = capsys.readouterr().out
    assert "differences: 10 leaves agree, 0 disagree, 0 inconclusive." in printed
    assert "As it trains: 7 leaves agree, 3 disagree, 0 inconclusive." in printed
    rows = [line.split() for line in printed.splitlines() if "/conv/kernel" in line]
    assert [(row[-2], row[-1]) for row in rows] == [("2.0e+00", "disagrees")] * 3


@pytest.mark.slow
def test_inspect_writes_every_picture_of_an_untrained_network(tmp_path, capsys):
    picture = tmp_path / "stripes.png"
    Image.fromarray(np.kron(np.eye(8), np.full((5, 4), 255)).astype(np.uint8)).save(picture)
    out = tmp_path / "pictures"
    words = ("--data", "digits", "--samples", 20, "--steps", 16, "--classes", 3, 7)
    command("inspect", "lenet5", picture, "--out", out, *words)
    kinds = importlib.import_module("ablax.commands.inspect").KINDS
    assert {path.name for path in out.iterdir()} == {f"{kind}.png" for kind in kinds} | {
        "statistics.csv"
    }
    assert "Over 20 samples" in capsys.readouterr().out
    assert (out / "statistics.csv").read_text().startswith("layer,units,places")
