"""A network's written form and its fingerprint."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import (
    FingerprintError,
    Layers,
    Network,
    canonical,
    difference,
    fingerprint,
    remove,
    replace,
    sequential,
)
from ablax.layers import Convolution, Dense, Flatten, MaxPool, ReLU
from ablax.layers.initializers import GLOROT_NORMAL, HE_NORMAL, LECUN_NORMAL, gaussian
from ablax.zoo import CATALOG, vgg_small

SHAPE = (8, 8, 1)


def network(**changed):
    fields = {"features": 4, "window": 3, "kernel_init": HE_NORMAL, **changed}
    return Network(
        tail=Layers(conv1=sequential(conv=Convolution(**fields), relu=ReLU())),
        body=Layers(pool1=MaxPool(2)),
        head=Layers(vectorize=Flatten(), fc=Dense(3)),
    )


class Holder(nn.Module):
    """A layer that holds anything."""

    value: object

    @nn.compact
    def __call__(self, x):
        return x


def holding(value):
    return Network(Layers(holder=Holder(value)), Layers(), Layers())


def written(value):
    """The written form of a value, as text."""
    return json.dumps(canonical(holding(value)))


def test_equal_networks_built_twice_have_one_fingerprint():
    assert network() is not network()
    assert fingerprint(network(), SHAPE) == fingerprint(network(), SHAPE)
    assert canonical(vgg_small(classes=10)) == canonical(vgg_small(classes=10))


@pytest.mark.parametrize(
    "other",
    [
        network(features=5),
        network(window=(3, 3)),
        network(use_bias=False),
        network(kernel_init=GLOROT_NORMAL),
        network(kernel_init=LECUN_NORMAL),
        network().copy(body=Layers(pool=MaxPool(2))),
        network().copy(body=Layers(), head=network().body + network().head),
        network().copy(head=Layers(fc=Dense(3), vectorize=Flatten())),
        replace("fc", Dense(3, use_bias=False))(network()),
        remove("conv1/relu")(network()),
    ],
)
def test_a_value_a_name_the_order_or_the_part_changes_the_fingerprint(other):
    assert fingerprint(other, SHAPE) != fingerprint(network(), SHAPE)


def test_the_images_change_the_fingerprint_where_they_change_the_parameters():
    assert fingerprint(network(), (16, 16, 1)) != fingerprint(network(), SHAPE)


def test_a_fingerprint_does_not_depend_on_repr(monkeypatch):
    before = fingerprint(network(), SHAPE)
    for kind in (nn.Module, Layers, Network):
        monkeypatch.setattr(kind, "__repr__", lambda self: "x")
    assert repr(network()) == "x"
    assert fingerprint(network(), SHAPE) == before


def test_a_fingerprint_does_not_depend_on_where_a_class_is_defined(monkeypatch):
    before = fingerprint(network(), SHAPE)
    for kind in (Convolution, Dense, MaxPool):
        monkeypatch.setattr(kind, "__module__", "ablax.elsewhere")
    monkeypatch.setattr(HE_NORMAL, "__module__", "ablax.elsewhere")
    assert fingerprint(network(), SHAPE) == before


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (True, 1), (0.0, -0.0), ("1", 1), ((1,), [1]), (None, "None"), ({1}, (1,))],
)
def test_values_that_print_or_compare_alike_are_told_apart(one, other):
    assert written(one) != written(other)


def test_floats_are_exact():
    values = (0.1, 0.1 + 1e-17, 0.1 + 2e-17, 1e300, float("inf"), float("nan"))
    found = [written(gaussian(v)) for v in values]
    assert len(set(found)) == len({repr(v) for v in values})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (functools.partial(gaussian(0.1), dtype=jnp.float32), gaussian(0.1)),
        (functools.partial(gaussian(0.1)), functools.partial(gaussian(0.2))),
        (gaussian(0.1), gaussian(0.2)),
        (lambda *_: 1, lambda *_: 2),
        (lambda *_, a=1: a, lambda *_, a=2: a),
        (jnp.float32, jnp.bfloat16),
        (np.float32(1), np.float64(1)),
        (np.arange(3), np.arange(4)),
        (np.zeros(3), jnp.zeros(3)),
        (jax.nn.relu, jax.nn.relu6),
        (np.maximum, np.minimum),
        (Dense(3), Dense(4)),
        (Dense, ReLU),
        ({"a": 1}, {"a": 2}),
    ],
)
def test_what_a_field_may_hold_is_told_apart(one, other):
    assert written(one) != written(other)
    assert json.loads(written(one)) == canonical(holding(one))


SOURCE = """
import jax.numpy as jnp
SCALE = {scale}
def inner(x):
    return {inner}
def start(key, shape, dtype=jnp.float32):
    '''{told}'''
    # {told}
    return   {start}
class Start:
    pass
"""


def of_source(tmp_path, name="mine", **changed):
    """A function `start` from a file of that name."""
    given = {"scale": 2, "inner": "x + 1", "start": "inner(SCALE)", "told": "a"} | changed
    path = tmp_path / f"{name}.py"
    path.write_text(SOURCE.format(**given))
    scope = {"__name__": name}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    return scope["start"]


@pytest.mark.parametrize(
    "changed",
    [{"start": "inner(3)"}, {"scale": 3}, {"inner": "x + 2"}, {"start": "inner(*(SCALE,))"}],
)
def test_functions_of_a_user_of_one_name_are_told_apart_by_what_they_do(changed, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    plain = written(of_source(tmp_path / "a"))
    assert written(of_source(tmp_path / "b", **changed)) != plain


def test_functions_of_a_user_are_one_whatever_their_file_comments_and_form(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    plain = written(of_source(tmp_path / "a"))
    moved = of_source(tmp_path / "b", "elsewhere", told="b", start="inner( SCALE )")
    assert written(moved) == plain


def test_a_function_whose_source_cannot_be_read_is_its_name():
    scope = {"__name__": "nowhere"}
    exec("def start(key, shape): return 1", scope)
    [[_, layer]] = canonical(holding(scope["start"]))["fields"]["tail"]["layers"]
    assert layer["fields"]["value"] == {"function": "start"}
    assert written(scope["start"]) != written(HE_NORMAL)


def test_a_function_that_names_itself_has_an_end():
    def again(n):
        return again(n - 1) if n else 0

    assert written(again) == written(again)


def test_what_cannot_be_written_is_refused_by_its_place_and_without_an_address():
    class Odd:
        pass

    with pytest.raises(FingerprintError) as refused:
        canonical(Network(Layers(holder=sequential(held=Holder(Odd()))), Layers(), Layers()))
    assert str(refused.value).startswith(
        "layer holder/held, value, holds a value of type "
        "test_what_cannot_be_written_is_refused_by_its_place_and_without_an_address.<locals>.Odd, "
        "which has no written form"
    )
    assert "0x" not in str(refused.value)
    with pytest.raises(FingerprintError, match=r"value, in the closure of .*, held, holds"):
        canonical(holding((lambda held: lambda *_: held)(Odd())))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (network(features=5), "conv1/conv: features 4 there, 5 now"),
        (network(window=(3, 3)), "conv1/conv: window 3 there, [3,3] now"),
        (replace("fc", ReLU())(network()), "fc: Dense there, ReLU now"),
        (remove("pool1")(network()), "pool1 is a layer there, and none now"),
        (
            network().copy(head=Layers(fc=Dense(3), vectorize=Flatten())),
            'layers: the order ["vectorize","fc"] there, ["fc","vectorize"] now',
        ),
    ],
)
def test_a_difference_names_the_first_layer_and_field(other, said):
    there, now = (json.loads(json.dumps(canonical(one))) for one in (network(), other))
    assert difference(there, now) == said
    assert difference(there, there) is None


def test_a_difference_of_functions_says_what_they_hold():
    there, now = (canonical(network(kernel_init=gaussian(v))) for v in (0.1, 0.2))
    said = difference(there, now)
    assert said.startswith("conv1/conv: kernel_init gaussian.<locals>.initialize")
    assert "0.1" in said
    assert "0.2" in said


def test_networks_of_the_zoo_have_a_written_form_of_their_own():
    small = [entry for entry in CATALOG if entry.macs < 6e7]
    assert len({json.dumps(canonical(entry.build())) for entry in small}) == len(small) > 5


@pytest.mark.slow
def test_every_network_of_the_zoo_has_a_fingerprint_of_its_own():
    # written forms that differ are enough: shapes could only tell more networks apart
    assert len({json.dumps(canonical(entry.build())) for entry in CATALOG}) == len(CATALOG)


def twice(f):
    @functools.wraps(f)
    def both(*arguments):
        return 2 * f(*arguments)

    return both


class Own(nn.Module):
    """A layer that no library has."""

    size: int = 2
    share: float = 0.1
    start: object = twice(lambda key, shape: f"{key!r} {shape}")

    @nn.compact
    def __call__(self, x):
        return x * self.param("scale", nn.initializers.constant(0.25), (self.size,))


OWN = Network(Layers(own=Own(1)), Layers(), Layers())
PRINTED = "import test_fingerprint as t; print(t.fingerprint(t.OWN, t.SHAPE))"


def test_a_decorator_of_a_user_is_told():
    one, two = (lambda f: f), twice
    found = [written(each(Own)) for each in (one, two)]
    assert found[0] != found[1]


@pytest.mark.slow
def test_fingerprints_are_those_of_every_process_hash_seed_and_python():
    assert fingerprint(OWN, SHAPE) == "f2c14b2c36a3b272"
    for seed in ("1",):
        found = subprocess.run(
            [sys.executable, "-c", PRINTED],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout == "f2c14b2c36a3b272\n"
