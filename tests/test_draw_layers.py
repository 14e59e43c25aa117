"""The page about the layers: its pictures are what the command draws, its sentences have tests."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draw_layers import (
    FLAT,
    PICTURES,
    POOLS,
    main,
    movement,
    movements,
    nonlinearities,
    slope_and_saturation,
)
from PIL import Image

from ablax.core import Layers, Network, count_parameters
from ablax.layers import activation
from ablax.layers.activation import shifted_sigmoid
from ablax.layers.convolution import Convolution, LocallyConnected
from ablax.layers.dense import Dense, Flatten

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "layers.md").read_text("utf-8")


def test_every_law_of_the_page_names_a_test_that_exists():
    tests = "".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"^def (test_\w+)", tests, re.MULTILINE))
    laws = [line for line in PAGE.splitlines() if line.startswith("- ")]
    named = [re.search(r"<!-- (test_\w+) -->$", law) for law in laws]
    assert len(laws) > 30
    assert [law for law, name in zip(laws, named, strict=True) if not name] == []
    assert {name[1] for name in named} - known == set()


def test_the_page_shows_every_picture():
    assert re.findall(r"\(layers/(\w+)\.png\)", PAGE) == list(PICTURES)


@pytest.mark.slow
def test_the_command_draws_the_pictures_and_prints_the_table_of_the_documentation(tmp_path, capsys):
    assert main(["--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count(".png") == len(list(tmp_path.iterdir())) == len(PICTURES)
    rows = [line for line in printed.splitlines() if line.startswith("|")]
    assert len(rows) == len(POOLS)
    for row in rows:
        assert row in PAGE
    for name in PICTURES:
        kept, new = ROOT / "docs" / "layers" / f"{name}.png", tmp_path / f"{name}.png"
        assert kept.stat().st_size < 100_000
        # Fonts and the last bit of a number may differ; another law or another layout shows.
        old, fresh = (np.asarray(Image.open(path).convert("L"), float) for path in (kept, new))
        assert old.shape == fresh.shape
        if jax.default_backend() == "cpu":
            assert np.abs(old - fresh).mean() < 2


@pytest.mark.slow
def test_pooled_features_move_less_than_unpooled_ones():
    found = {name: far[1:].mean(axis=1) for name, far in movements().items()}
    none, strided, means, maxima = found.values()
    assert (maxima < none - 0.1).all()
    assert (maxima < means + 0.005).all()
    assert (strided > none - 0.03).all()


def test_movement_is_0_for_features_that_do_not_notice_and_the_root_of_2_for_unrelated_ones():
    images = jnp.zeros((1, 4, 8, 1)).at[0, 1, 2, 0].set(3)
    assert movement(lambda x: x, images, 2).tolist() == [pytest.approx(2**0.5)]
    assert movement(lambda x: x.max(axis=2, keepdims=True), images, 2).tolist() == [0]


@pytest.mark.slow
def test_every_nonlinearity_is_drawn():
    x, drawn = jnp.linspace(-2, 2, 5), nonlinearities()
    assert {"relu", "prelu", "sigmoid", "tanh", "shifted_sigmoid"} <= set(drawn)
    modules = {n.lower() for n, v in vars(activation).items() if isinstance(v, type)}
    assert {name.replace("_", "") for name in drawn} <= modules
    for function in drawn.values():  # of each number alone
        assert function(x[:2]).tolist() == function(x)[:2].tolist()


@pytest.mark.slow
def test_saturation_is_where_the_slope_is_below_the_printed_part_of_the_largest():
    assert f"below {100 * FLAT:g} % of the largest" in PAGE
    x = jnp.linspace(-8, 8, 401)
    slopes, flat = slope_and_saturation(activation.sigmoid, x)
    s = activation.sigmoid(x)
    np.testing.assert_allclose(slopes, s * (1 - s), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(flat, np.asarray(s * (1 - s)) <= FLAT / 4)


@pytest.mark.slow
def test_which_nonlinearities_saturate_and_where():
    x = np.linspace(-8, 8, 1602)
    names = "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "absolute"
    functions, x32 = nonlinearities(), jnp.asarray(x, jnp.float32)
    flat = {name: slope_and_saturation(functions[name], x32)[1] for name in names}
    for name, edge in (("sigmoid", 6.7), ("tanh", 3.4)):
        assert f"{edge}" in PAGE
        assert abs(x[flat[name]]).min() == pytest.approx(edge, abs=0.06)
    np.testing.assert_array_equal(flat["relu"], x < 0)
    assert not any(flat[name].any() for name in ("leaky_relu", "prelu", "absolute"))


def test_the_lectures_detector_is_one_half_at_200():
    assert float(shifted_sigmoid(jnp.array([200.0]))[0]) == 0.5


def test_the_table_of_weights_counts_our_modules():
    def weights(image, *layers):
        named = Layers({f"layer{place}": layer for place, layer in enumerate(layers)})
        return count_parameters(Network(Layers(), named, Layers()), image)

    bare = {"use_bias": False}
    for image, units, features, window, padding in (
        ((200, 200, 1), 40_000, 1, 10, "SAME"),
        ((32, 32, 3), 27_000, 30, 5, 1),
    ):
        counts = (
            weights(image, Flatten(), Dense(units, **bare)),
            weights(image, LocallyConnected(features, window, padding=padding, **bare)),
            weights(image, Convolution(features, window, padding=padding, **bare)),
        )
        assert f"| {' | '.join(f'{count:,}' for count in counts)} |" in PAGE
