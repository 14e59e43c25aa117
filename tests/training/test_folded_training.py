"""What a parameter is, its name says: folded and unfolded networks train alike."""

import ast
import re
from functools import cache, partial
from pathlib import Path
from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.config import OptimizerConfig
from ablax.core import (
    Layers,
    Network,
    abstract_variables,
    initialize,
    leaves_by_path,
    role,
    stacks,
)
from ablax.errors import AblaxError
from ablax.layers import BatchNormalization, Dense, Flatten, LocallyConnected, Residual
from ablax.layers.loops import Repeat, fold, fold_variables
from ablax.training.optimizer import optimizer
from ablax.training.step import Objective, gradient
from ablax.zoo import CATALOG, resnet20

RULES = get_args(get_type_hints(OptimizerConfig)["name"])


def drawn(draw, shape):
    return jnp.asarray(draw.normal(size=shape), jnp.float32)


def config(name, **fields):
    given = {"rate": 0.01, "weight_decay": 0.5, "schedule": "constant", **fields}
    return OptimizerConfig(name=name, **given)


def block():
    return Residual(Layers(fc=Dense(3), bn=BatchNormalization()))


STACKED = Network(
    Layers(v=Flatten()), Layers(a=block(), b=block(), c=block()), Layers(scores=Dense(2))
)


@pytest.mark.parametrize("fields", [{}, {"clip": 0.5}, {"nesterov": True}])
@pytest.mark.parametrize("name", RULES)
def test_three_updates_of_folded_weights_are_those_of_the_unfolded_folded(name, fields):
    draw = np.random.default_rng(0)
    shapes = abstract_variables(STACKED, (1, 1, 3))["params"]
    weights = jax.tree.map(lambda leaf: drawn(draw, leaf.shape), shapes)
    folded = partial(fold_variables, STACKED)
    rules = [
        optimizer(config(name, **fields), 1, 10, stacks(net))
        for net in (STACKED, fold(Residual)(STACKED))
    ]
    ours, theirs = weights, folded({"p": weights}, Residual)["p"]
    states = [rule.init(tree) for rule, tree in zip(rules, (ours, theirs), strict=True)]
    for _ in range(3):
        slopes = jax.tree.map(lambda leaf: drawn(draw, leaf.shape), weights)
        stacked = folded({"p": slopes}, Residual)["p"]
        moved, states[0] = rules[0].update(slopes, states[0], ours)
        moved_too, states[1] = rules[1].update(stacked, states[1], theirs)
        ours, theirs = (
            jax.tree.map(jnp.add, *each) for each in ((ours, moved), (theirs, moved_too))
        )
    expected = leaves_by_path(folded({"p": ours}, Residual)["p"])
    for path, leaf in leaves_by_path(theirs).items():
        np.testing.assert_allclose(leaf, expected[path], rtol=1e-6, atol=1e-7, err_msg=path)


@cache
def pull(folded):
    """The compiled gradient of ResNet-20, folded or not."""
    network = fold(Residual)(resnet20()) if folded else resnet20()
    return network, jax.jit(partial(gradient, Objective(network)))


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_folded_and_unfolded_resnet_train_alike(name):
    """Five steps from the same weights: losses and weights agree but for the rounding of sums.

    That is some units of 2^-24 a step, and more where a gradient near 0 is divided by its size: so
    each leaf is compared in the norm of its movement.
    """
    images = jax.random.normal(jax.random.key(1), (8, 8, 8, 3))
    labels = jnp.arange(8) % 10
    start = initialize(resnet20(), 0, (8, 8, 3))
    losses, ends = [], []
    for folded in (False, True):
        network, of_batch = pull(folded)
        held = fold_variables(resnet20(), start, Residual) if folded else start
        params, statistics = held["params"], held["batch_stats"]
        rule = optimizer(config(name), 1, 10, stacks(network))
        state, told = rule.init(params), []
        update = jax.jit(rule.update)
        for _ in range(5):
            slopes, parts = of_batch(params, statistics, images, labels)
            moved, state = update(slopes, state, params)
            params, statistics = jax.tree.map(jnp.add, params, moved), parts.batch_stats
            told.append(float(parts.loss))
        losses.append(told)
        ends.append(params)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    first = leaves_by_path(fold_variables(resnet20(), start, Residual)["params"])
    expected = fold_variables(resnet20(), {"params": ends[0]}, Residual)["params"]
    found = leaves_by_path(ends[1])
    for path, leaf in leaves_by_path(expected).items():
        apart, moved = (np.linalg.norm(leaf - other) for other in (found[path], first[path]))
        assert apart < 1e-3 * moved, path


def decayed(network, shape):
    """The parameters that shrink under a gradient of 0."""
    shapes = abstract_variables(network, shape)["params"]
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes)
    rule = optimizer(config("sgd"), 1, 10, stacks(network))
    moved, _ = rule.update(jax.tree.map(jnp.zeros_like, params), rule.init(params), params)
    return {path for path, leaf in leaves_by_path(moved).items() if np.any(np.asarray(leaf))}


def test_kernels_alone_decay_whatever_their_shape():
    local = LocallyConnected(2, 1)
    network = Network(
        Layers(local=local, bn=BatchNormalization()),
        Layers(loop=Repeat(Layers(bn=BatchNormalization(), fc=Dense(2)), 3)),
        Layers(),
    )
    assert decayed(network, (4, 4, 2)) == {"local/kernel", "loop/fc/kernel"}


def test_a_loop_in_a_loop_has_a_length_for_each_kernel():
    inner = Repeat(Layers(fc=Dense(2)), 3)
    network = Network(Layers(), Layers(loop=Repeat(Layers(inner=inner), 2)), Layers())
    assert stacks(network) == ("loop", "loop/inner")
    draw = np.random.default_rng(0)
    kernel, slope = (drawn(draw, (2, 3, 2, 2)) for _ in range(2))
    rule = optimizer(config("lars", rate=1.0, weight_decay=0.0), 1, 10, stacks(network))
    params, slopes = ({"loop": {"inner": {"fc": {"kernel": x}}}} for x in (kernel, slope))
    moved, _ = rule.update(slopes, rule.init(params), params)
    lengths, expected = (
        np.linalg.norm(np.reshape(x, (6, 4)), axis=1)
        for x in (moved["loop"]["inner"]["fc"]["kernel"], kernel)
    )
    np.testing.assert_allclose(lengths, expected, rtol=1e-5)


SOURCES = Path(__file__).parents[2] / "src" / "ablax" / "layers"
NAMING = {"param", "learned", "kept_or_new"}
"""What layers make parameters by; the name is the first string among the arguments."""


def test_every_parameter_of_every_layer_has_a_role():
    names = set()
    for file in sorted(SOURCES.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                if called in NAMING and texts:
                    names.add(texts[0])
    weights = {"deviation", "kernel", "location", "recurrent_kernel"}
    assert names == weights | {"bias", "scale", "slope"}
    assert {name for name in names if role(name) == "kernel"} == weights


FAMILIES = {re.match(r"[a-z_]+", entry.name)[0]: entry for entry in reversed(CATALOG)}
"""The first network of each family."""


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(
            entry,
            id=entry.name,
            marks=[pytest.mark.slow if entry in FAMILIES.values() else pytest.mark.deep],
        )
        for entry in CATALOG
    ],
)
def test_every_parameter_of_every_network_has_a_role(entry):
    params = abstract_variables(entry.build(), entry.image_shape)["params"]
    for path, leaf in leaves_by_path(params).items():
        # in the zoo nothing is stacked and nothing is local: a kernel has axes
        assert (role(path) == "kernel") == (leaf.ndim > 1), path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("conv1/conv/kernel", "kernel"),
        ("kernels", "kernel"),
        ("words/embedding", "kernel"),
        ("a/input_bias", "bias"),
        ("bn_scale/scale", "scale"),
        ("kernel/slope", "scale"),
    ],
)
def test_the_last_word_of_a_name_says_what_a_parameter_is(path, expected):
    assert role(path) == expected


@pytest.mark.parametrize("name", ["w", "alpha", "kernel_", "scaled", "bias1"])
def test_a_name_that_says_nothing_is_refused_with_names_that_do(name):
    match = f"'block/{name}' may be .* call it {name}_kernel, {name}_bias or {name}_scale"
    with pytest.raises(AblaxError, match=match):
        role(f"block/{name}")
    params = {"block": {name: jnp.ones(2)}}
    with pytest.raises(AblaxError, match=match):
        optimizer(config("sgd"), 1, 10).init(params)
