"""Local response and batch normalization."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.analysis.jax_versions import double_precision
from ablax.layers import (
    BatchNormalization,
    FieldError,
    LocalResponseNormalization,
    ShapeError,
    local_response_normalization,
)
from ablax.layers.initializers import ZEROS


def numbers(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def response_by_loops(x, size, alpha, beta, k):
    y = np.zeros_like(x)
    channels = x.shape[-1]
    for i in range(channels):
        first, last = max(0, i - size // 2), min(channels, i - size // 2 + size)
        strength = k + alpha * (x[..., first:last] ** 2).sum(-1)
        y[..., i] = x[..., i] / strength**beta
    return y


def test_response_normalization_by_hand_in_value_and_gradient():
    x = jnp.array([[3.0, 4.0]])

    def first(x):
        return local_response_normalization(x, size=3, alpha=1.0, beta=0.5, k=11.0)[0, 0]

    value, gradient = jax.value_and_grad(first)(x)
    assert value == pytest.approx(3 / 6)  # 11 + 9 + 16 = 36
    assert gradient[0].tolist() == pytest.approx([1 / 6 - 9 / 216, -12 / 216])


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    channels=st.integers(1, 9),
    size=st.integers(1, 6),
    beta=st.sampled_from([0.5, 0.75, 1.0]),
    seed=st.integers(0, 9),
)
def test_response_normalization_equals_loops(channels, size, beta, seed):
    x = np.random.default_rng(seed).normal(size=(2, 2, 2, channels)).astype(np.float32)
    ours = local_response_normalization(jnp.asarray(x), size, 0.3, beta, 2.0)
    np.testing.assert_allclose(ours, response_by_loops(x, size, 0.3, beta, 2.0), rtol=1e-5)


def test_response_normalization_has_alexnets_constants_and_does_not_divide_alpha():
    x = 100 * numbers(1, 2, 2, 8)
    expected = response_by_loops(np.asarray(x), 5, 1e-4, 0.75, 2.0)
    np.testing.assert_allclose(LocalResponseNormalization().apply({}, x), expected, rtol=1e-5)


@pytest.mark.slow
def test_response_normalization_gradients_forward_and_reverse_equal_those_of_the_formula():
    def formula(x):
        padded = jnp.pad(x * x, ((0, 0), (2, 2)))
        total = sum(padded[:, tap : tap + x.shape[1]] for tap in range(5))
        return x * (2.0 + 0.3 * total) ** -0.75

    def ours(x):
        return local_response_normalization(x, alpha=0.3)

    with double_precision():
        x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6)))
        for transform in (jax.jacfwd, jax.jacrev, jax.hessian):
            np.testing.assert_allclose(
                jax.jit(transform(ours))(x), jax.jit(transform(formula))(x), rtol=1e-8, atol=1e-12
            )


def test_response_normalization_sums_in_float32_and_returns_the_type_it_was_given():
    x = numbers(1, 1, 1, 8).astype(jnp.bfloat16)
    y = local_response_normalization(x, alpha=1.0)
    assert y.dtype == jnp.bfloat16
    wide = local_response_normalization(x.astype(jnp.float32), alpha=1.0)
    np.testing.assert_array_equal(y, wide.astype(jnp.bfloat16))


def trained(layer, x, **variables):
    return layer.apply(variables, x, mutable=["batch_stats"])


def test_batch_normalization_by_hand_moves_its_statistics():
    x = jnp.array([[1.0], [3.0]])
    layer = BatchNormalization(momentum=0.75, epsilon=1e-12)
    variables = layer.init(jax.random.key(0), x)
    y, changed = trained(layer, x, **variables)
    assert y[:, 0].tolist() == pytest.approx([-1, 1])
    assert changed["batch_stats"]["mean"][0] == pytest.approx(0.25 * 2)
    assert changed["batch_stats"]["var"][0] == pytest.approx(0.75 + 0.25 * 1)


def test_batch_normalization_trains_exactly_when_its_statistics_may_change():
    x = 3 + 2 * numbers(8, 3, 3, 4)
    layer = BatchNormalization(epsilon=1e-9)
    variables = layer.init(jax.random.key(0), x)
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], jnp.zeros(4))
    np.testing.assert_allclose(layer.apply(variables, x), x, rtol=1e-6)
    y, _ = trained(layer, x, **variables)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var((0, 1, 2)), 1, rtol=1e-5)


def test_batch_normalization_forgets_the_scale_and_shift_of_its_input():
    x = numbers(16, 4)
    layer = BatchNormalization(epsilon=1e-9)
    variables = layer.init(jax.random.key(0), x)
    one, other = (trained(layer, z, **variables)[0] for z in (x, 5 * x - 7))
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_batch_normalization_equals_flax_in_value_gradient_and_statistics():
    x = 1 + numbers(6, 3, 3, 4)
    parameters = {"scale": numbers(4, seed=1), "bias": numbers(4, seed=2)}
    kept = {"mean": numbers(4, seed=3), "var": 1 + numbers(4, seed=4) ** 2}
    weights = numbers(6, 3, 3, 4, seed=5)

    def loss(layer):
        def apply(parameters, x):
            y, changed = trained(layer, x, params=parameters, batch_stats=kept)
            return jnp.sum(y * weights), changed

        return jax.jit(jax.value_and_grad(apply, (0, 1), has_aux=True))(parameters, x)

    ours = loss(BatchNormalization(momentum=0.9))
    theirs = loss(nn.BatchNorm(use_running_average=False, momentum=0.9))
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_batch_normalization_derivative_forward_agrees_with_reverse():
    layer = BatchNormalization()
    x = numbers(4, 3)
    variables = layer.init(jax.random.key(0), x)

    def apply(x):
        return trained(layer, x, **variables)[0]

    np.testing.assert_allclose(jax.jacfwd(apply)(x), jax.jacrev(apply)(x), atol=1e-5)


def plainly_normalized(x, scale, bias, epsilon=1e-5):
    """As algorithm 1 of the paper is written; JAX finds its derivatives."""
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    return (x - mean) / jnp.sqrt(var + epsilon) * scale + bias, mean, var


def test_batch_normalization_has_the_derivatives_of_the_plain_formula_in_every_order():
    """Also those of the statistics, by which a loss that looks at them would be moved."""
    random = np.random.default_rng(5)
    x, scale, bias = (jnp.asarray(random.normal(1, 2, s)) for s in ((3, 2, 2), (2,), (2,)))
    weights = jnp.asarray(random.normal(size=x.shape))

    def ours(x, scale, bias):
        layer = BatchNormalization(momentum=0.0)
        held = {"mean": jnp.zeros(2), "var": jnp.ones(2)}
        variables = {"params": {"scale": scale, "bias": bias}, "batch_stats": held}
        y, changed = layer.apply(variables, x, mutable=["batch_stats"])
        return y, *changed["batch_stats"].values()

    def loss(normalized):
        def of(x, scale, bias):
            y, mean, var = normalized(x, scale, bias)
            return jnp.sum(jnp.sin(y) * weights) + jnp.sum(mean * var)

        return of

    arguments = (0, 1, 2)
    for derivative in (jax.grad, jax.jacfwd, jax.hessian):
        found = derivative(loss(ours), arguments)(x, scale, bias)
        expected = derivative(loss(plainly_normalized), arguments)(x, scale, bias)
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


def test_batch_normalization_keeps_float32_statistics_of_narrow_inputs():
    x = (1000 + numbers(64, 2)).astype(jnp.bfloat16)
    layer = BatchNormalization(momentum=0.0)
    variables = layer.init(jax.random.key(0), x)
    variables["params"] = jax.tree.map(lambda leaf: leaf.astype(x.dtype), variables["params"])
    y, changed = trained(layer, x, **variables)
    assert y.dtype == jnp.bfloat16
    assert changed["batch_stats"]["mean"].dtype == jnp.float32
    np.testing.assert_allclose(
        changed["batch_stats"]["mean"], np.asarray(x, np.float64).mean(0), rtol=1e-6
    )


def test_batch_normalization_leaves_out_the_scale_and_the_bias_when_told():
    x = numbers(4, 3)
    bare = BatchNormalization(use_scale=False, use_bias=False)
    assert "params" not in bare.init(jax.random.key(0), x)
    whole = BatchNormalization()
    assert set(whole.init(jax.random.key(0), x)["params"]) == {"scale", "bias"}


def test_batch_normalization_refuses_another_number_of_channels():
    layer = BatchNormalization()
    variables = layer.init(jax.random.key(0), numbers(4, 3))
    with pytest.raises(ShapeError, match=r"its mean has shape \(3,\)"):
        layer.apply(variables, numbers(4, 5))


def test_batch_normalization_refuses_to_train_on_nothing_and_otherwise_takes_it():
    layer = BatchNormalization()
    variables = layer.init(jax.random.key(0), numbers(4, 2, 2, 3))
    nothing = jnp.zeros((0, 2, 2, 3))
    with pytest.raises(
        ShapeError, match=r"BatchNormalization was given \(0, 2, 2, 3\) to train on"
    ):
        trained(layer, nothing, **variables)
    assert layer.apply(variables, nothing).shape == (0, 2, 2, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchNormalization(momentum=1.5), r"momentum=1\.5"),
        (lambda: BatchNormalization(epsilon=0.0), r"epsilon=0\.0"),
        (lambda: LocalResponseNormalization(size=0), "size=0"),
        (lambda: LocalResponseNormalization(k=-1.0), r"k=-1\.0"),
        (lambda: LocalResponseNormalization(k=0.0), r"k=0\.0: expected a positive number"),
        (lambda: LocalResponseNormalization(alpha=-0.1), r"alpha=-0\.1: expected .* at least 0"),
        (
            lambda: local_response_normalization(jnp.ones((1, 2)), alpha=float("nan")),
            "alpha=nan",
        ),
    ],
)
def test_normalization_refuses_fields_that_make_no_sense(make, message):
    with pytest.raises(FieldError, match=message):
        make()


def test_a_scale_may_begin_at_0_so_that_a_block_is_its_shortcut():
    x = jax.random.normal(jax.random.key(0), (4, 2, 2, 3))
    layer = BatchNormalization(scale_init=ZEROS)
    variables = layer.init(jax.random.key(1), x)
    np.testing.assert_array_equal(variables["params"]["scale"], jnp.zeros(3))
    y, _ = layer.apply(variables, x, mutable=["batch_stats"])
    np.testing.assert_array_equal(y, jnp.zeros_like(x))
