"""Deconvolution pictures: against loops by hand, and wherever a ReLU may stand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.analysis.saliency import backward_pictures, strongest, with_rectifier_rule
from ablax.layers.activation import relu, relu6
from ablax.layers.pooling import max_pool


def drawn(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


KERNEL = drawn(0, 3, 3, 2, 4)
IMAGES = drawn(1, 2, 6, 6, 2)


def network(images):
    return max_pool(relu(convolved(images)), 2, 2)


def convolved(images):
    return jax.lax.conv_general_dilated(
        images, KERNEL, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def by_hand(image, unit, rule):
    """Convolution, ReLU, 2x2 max pool; the strongest value of one map back through the switches."""
    image, kernel = np.asarray(image, np.float64), np.asarray(KERNEL, np.float64)
    before = np.zeros((4, 4, 4))
    for r, c in np.ndindex(4, 4):
        before[r, c] = np.einsum("hwi,hwif->f", image[r : r + 3, c : c + 3], kernel)
    after = np.maximum(before, 0)
    pooled = after.reshape(2, 2, 2, 2, 4).max((1, 3))
    top = np.unravel_index(np.argmax(pooled[..., unit]), (2, 2))
    signal = np.zeros((4, 4))
    window = after[2 * top[0] :, 2 * top[1] :, unit][:2, :2]
    switch = np.unravel_index(np.argmax(window), (2, 2))
    signal[2 * top[0] + switch[0], 2 * top[1] + switch[1]] = pooled[(*top, unit)]
    if rule != "gradient":
        signal = np.maximum(signal, 0)
    if rule != "deconvolution":
        signal = np.where(before[..., unit] > 0, signal, 0)
    picture = np.zeros_like(image)
    for r, c in np.ndindex(4, 4):
        picture[r : r + 3, c : c + 3] += signal[r, c] * kernel[..., unit]
    return picture


@pytest.mark.parametrize("rule", ["deconvolution", "guided", "gradient"])
def test_backward_picture_of_a_small_network_is_that_of_loops_by_hand(rule):
    found = jax.jit(lambda x: backward_pictures(network, x, strongest(2), rule))(IMAGES)
    expected = np.stack([by_hand(image, 2, rule) for image in IMAGES])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_rectifier_rules_differ_as_their_equations_say():
    x = jnp.array([-2.0, -1.0, 1.0, 2.0])
    signal = jnp.array([-3.0, 4.0, -5.0, 6.0])
    for rule, expected in (
        ("gradient", [0, 0, -5, 6]),
        ("deconvolution", [0, 4, 0, 6]),
        ("guided", [0, 0, 0, 6]),
    ):
        value, back = jax.vjp(with_rectifier_rule(relu, rule), x)
        assert value.tolist() == [0, 0, 1, 2]
        assert back(signal)[0].tolist() == expected


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: jax.jit(lambda y: relu(y) * 2)(x),
        lambda x: jax.checkpoint(lambda y: relu(y) * 2)(x),
        lambda x: jax.lax.cond(x[0] < 0, lambda y: relu(y) * 2, lambda y: y, x),
        lambda x: jax.lax.scan(lambda c, _: (relu(c), c), x, length=1)[0] * 2,
        lambda x: jax.lax.platform_dependent(x, cpu=jnp.sin, default=lambda y: relu(y) * 2),
        lambda x: jnp.maximum(jnp.zeros_like(x), x) * 2,
        lambda x: jax.vmap(relu)(x) * 2,
        lambda x: relu6(x) * 2,
        lambda x: jnp.clip(x, 0) * 2,
        lambda x: jnp.clip(x, 0, 6) * 2,
        lambda x: jax.lax.clamp(0.0, x, 6.0) * 2,
        lambda x: jax.jit(jnp.maximum)(x, 0.0) * 2,
        lambda x: jax.jit(lambda y, zeros: jax.jit(jnp.maximum)(zeros, y))(x, jnp.zeros(4)) * 2,
        lambda x: jnp.maximum(x, np.zeros(4, np.float32)) * 2,
        lambda x: jax.lax.scan(lambda c, z: (jnp.maximum(c, z), c), x, jnp.zeros((1, 4)))[0] * 2,
        lambda x: jax.lax.cond(x[0] < 0, jnp.maximum, jnp.add, x, jnp.zeros(4)) * 2,
    ],
    ids=[
        *("jit", "checkpoint", "cond", "scan", "platform", "zeros", "vmap", "relu6", "clip"),
        *("clip at 6", "clamp", "handed 0", "handed zeros", "held", "slices", "choice"),
    ],
)
def test_rectifier_rule_reaches_a_relu_wherever_it_stands(fn):
    x = jnp.array([-2.0, -1.0, 1.0, 2.0])
    value, back = jax.vjp(jax.jit(with_rectifier_rule(fn, "deconvolution")), x)
    assert value.tolist() == [0, 0, 2, 4]
    assert back(jnp.array([1.0, -1.0, 1.0, -1.0]))[0].tolist() == [2, 0, 2, 0]


def test_rectifier_rule_leaves_a_maximum_of_two_signals_alone():
    x = jnp.array([-2.0, 1.0])
    found = jax.vjp(with_rectifier_rule(lambda x: jnp.maximum(x, 2 * x), "deconvolution"), x)[1]
    assert found(-jnp.ones(2))[0].tolist() == [-1, -2]


def test_rectifier_rule_takes_what_is_0_for_some_arguments_alone_for_no_zero():
    x, zeros = jnp.array([-2.0, 1.0]), jnp.zeros(2)
    for fn in (jnp.maximum, jax.jit(jnp.maximum), lambda x, y: jnp.clip(x, y)):
        found = jax.vjp(with_rectifier_rule(fn, "deconvolution"), x, zeros)[1]
        assert found(-jnp.ones(2))[0].tolist() == [0, -1]


def test_what_holds_no_rectifier_keeps_its_own_derivative():
    @jax.custom_jvp
    def doubled_back(x):
        return jnp.maximum(x, 1)

    doubled_back.defjvp(lambda x, dx: (doubled_back(*x), 2 * dx[0]))
    found = jax.vjp(with_rectifier_rule(lambda x: doubled_back(relu(x)), "guided"), jnp.ones(1))[1]
    assert found(jnp.ones(1))[0].tolist() == [2]


def test_rectifier_rule_keeps_a_tree_of_results():
    fn = with_rectifier_rule(lambda x: {"a": relu(x), "b": (x, None)}, "guided")
    found = fn(jnp.array([-1.0, 2.0]))
    assert found["a"].tolist() == [0, 2]
    assert found["b"][1] is None


def test_strongest_keeps_one_value_of_one_map():
    features = np.random.default_rng(3).normal(size=(2, 3, 3, 4))
    signal = np.asarray(jax.jit(strongest(1))(features))
    assert np.count_nonzero(signal) == len(IMAGES)
    np.testing.assert_allclose(signal.max((1, 2, 3)), features[..., 1].max((1, 2)), rtol=1e-6)


def test_backward_pictures_refuse_an_unknown_rule_unit_or_signal():
    with pytest.raises(ValueError, match="expected one of deconvolution, guided, gradient"):
        with_rectifier_rule.__wrapped__(relu, "relu")  # before the type checker of the tests
    for signal, message in ((strongest(2), "unit 2 of 2"), (lambda x: x[0], "expected the same")):
        with pytest.raises(ValueError, match=message):
            backward_pictures(relu, IMAGES, signal)
