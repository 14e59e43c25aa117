"""Pooling: values, and a gradient that ties do not split."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from ablax.analysis.jax_versions import double_precision
from ablax.layers import (
    AveragePool,
    FieldError,
    GlobalAveragePool,
    MaxPool,
    average_pool,
    global_average_pool,
    max_pool,
)
from ablax.layers.pooling import MinPool, min_pool
from ablax.layers.windows import ShapeError, place


def ties(*shape, seed=0):
    """Few different numbers, so that most windows hold a tie."""
    return jnp.asarray(np.random.default_rng(seed).integers(-1, 2, size=shape).astype(float))


def one_by_one(x, weights, window, stride, padding, ceil_mode):
    """Maximum and the gradient of their weighted sum, the first maximum taking all."""
    where = place("loops", x.shape, window, stride, padding, ceil_mode=ceil_mode)
    y = np.zeros((x.shape[0], *where.output, x.shape[3]))
    dx = np.zeros(x.shape)
    for n, r, c, f in np.ndindex(*y.shape):
        best, taken = -np.inf, None
        for a in range(where.window[0]):
            for b in range(where.window[1]):
                row = r * where.stride[0] + a - where.padding[0][0]
                column = c * where.stride[1] + b - where.padding[1][0]
                inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
                if inside and x[n, row, column, f] > best:
                    best, taken = x[n, row, column, f], (n, row, column, f)
        y[n, r, c, f] = best
        dx[taken] += weights[n, r, c, f]
    return y, dx


def plain(x, window, stride, padding):
    where = place("plain", x.shape, window, stride, padding)
    return lax.reduce_window(
        x,
        -jnp.inf,
        lax.max,
        (1, *where.window, 1),
        (1, *where.stride, 1),
        ((0, 0), *where.padding, (0, 0)),
    )


def close(one, other):
    for ours, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("computed_by")
def test_max_pool_by_hand_in_value_and_gradient():
    x = jnp.array([[1.0, 5, 2, 0], [3, 4, 7, 7], [0, 0, 1, 1], [0, 0, 1, 9]]).reshape(1, 4, 4, 1)
    value, gradient = jax.value_and_grad(lambda x: max_pool(x, 2).sum())(x)
    assert value == 5 + 7 + 0 + 9
    assert gradient[0, :, :, 0].tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]


@pytest.mark.slow
@pytest.mark.usefixtures("computed_by")
def test_max_pool_gives_nine_equal_inputs_gradient_at_the_first_alone():
    x = jnp.ones((1, 3, 3, 1))
    for gradient in (jax.grad, lambda f: jax.jit(jax.grad(f))):
        dx = gradient(lambda x: max_pool(x, 3).sum())(x)
        assert dx[0, :, :, 0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.slow
@pytest.mark.usefixtures("computed_by")
def test_max_pool_takes_the_first_row_before_the_first_column():
    x = jnp.array([[0.0, 2], [2, 0]]).reshape(1, 2, 2, 1)
    dx = jax.grad(lambda x: max_pool(x, 2).sum())(x)
    assert dx[0, :, :, 0].tolist() == [[0, 1], [0, 0]]


@pytest.mark.usefixtures("computed_by")
@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padded=st.booleans(),
    ceil_mode=st.booleans(),
    seed=st.integers(0, 99),
)
def test_max_pool_and_its_gradient_equal_loops_with_ties(
    size, window, stride, padded, ceil_mode, seed
):
    padding = ((window[0] - 1, 0), (0, window[1] - 1)) if padded else "VALID"
    x = ties(2, *size, 2, seed=seed)
    pool = functools.partial(
        max_pool, window=window, stride=stride, padding=padding, ceil_mode=ceil_mode
    )
    weights = ties(*jax.eval_shape(pool, x).shape, seed=seed + 1) + 0.5
    expected = one_by_one(np.asarray(x), np.asarray(weights), window, stride, padding, ceil_mode)

    @jax.jit
    def both(x, weights):
        y, back = jax.vjp(pool, x)
        return y, *back(weights)

    close(both(x, weights), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("window", "stride", "padding"), [(3, 2, 0), ((3, 2), (1, 3), ((1, 0), (0, 1)))]
)
def test_max_pool_derivatives_of_every_kind_equal_those_of_the_plain_form(window, stride, padding):
    def every(form, x):
        def curved(x):
            return jnp.sum(jnp.sin(form(x, window, stride, padding)))

        first = jax.grad(curved)
        dx = jnp.cos(x)
        return (
            jax.jvp(lambda x: form(x, window, stride, padding), (x,), (dx,)),
            first(x),
            jax.jvp(first, (x,), (dx,)),
            jax.grad(lambda x: jnp.sum(first(x) ** 2))(x),
        )

    with double_precision():
        x = jnp.asarray(np.random.default_rng(0).permutation(2 * 7 * 6 * 3) / 50.0)
        x = x.reshape(2, 7, 6, 3)
        # XLA's forward derivative of a maximum has none of its own: compare it without ties.
        ours, theirs = (jax.jit(functools.partial(every, f))(x) for f in (max_pool, plain))
        close(ours, theirs)


@pytest.mark.slow
@pytest.mark.usefixtures("computed_by")
def test_max_pool_jacobians_forward_and_reverse_agree_on_ties():
    x = ties(1, 5, 5, 2)

    def pool(x):
        return max_pool(x, 3, 2, 1)

    close(jax.jit(jax.jacfwd(pool))(x), jax.jit(jax.jacrev(pool))(x))


@pytest.mark.slow
@pytest.mark.usefixtures("computed_by")
def test_max_pool_and_its_gradient_can_be_mapped():
    x = ties(3, 2, 5, 5, 2)
    for function in (
        lambda x: max_pool(x, 3, 2),
        jax.grad(lambda x: jnp.sum(max_pool(x, 3, 2) ** 2)),
        lambda x: average_pool(x, 3, 2),
        jax.grad(lambda x: jnp.sum(average_pool(x, 3, 2) ** 2)),
    ):
        compiled = jax.jit(function)
        close(jax.jit(jax.vmap(function))(x), jnp.stack([compiled(one) for one in x]))


@pytest.mark.usefixtures("computed_by")
def test_max_pool_passes_a_nan_on_with_its_gradient():
    x = jnp.array([[1.0, jnp.nan], [3, 2]]).reshape(1, 2, 2, 1)
    y, back = jax.vjp(lambda x: max_pool(x, 2), x)
    assert jnp.isnan(y).all()
    assert jax.jit(back)(jnp.ones_like(y))[0][0, :, :, 0].tolist() == [[0, 1], [0, 0]]


def test_max_pool_on_a_tpu_or_gpu_is_the_plain_primitive_and_its_derivative():
    x = ties(1, 7, 7, 2)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(max_pool(x, 3, 2) ** 2)))
    for platform, scatters in (("tpu", 1), ("cuda", 1), ("cpu", 0)):
        text = gradient.trace(x).lower(lowering_platforms=(platform,)).as_text()
        assert text.count("select_and_scatter") == scatters


def test_max_pool_does_not_move_when_its_image_moves_by_the_stride():
    x = ties(1, 8, 8, 3)
    moved = jnp.roll(x, (2, 2), axis=(1, 2))
    close(max_pool(moved, 3, 2)[:, 1:, 1:], max_pool(x, 3, 2)[:, :-1, :-1])


@pytest.mark.parametrize(("size", "expected"), [(55, 27), (27, 13), (13, 6)])
def test_max_pool_3x3_2_gives_alexnets_published_sizes(size, expected):
    y = jax.eval_shape(MaxPool(3, 2).apply, {}, jnp.ones((1, size, size, 2)))
    assert y.shape == (1, expected, expected, 2)


def test_max_pool_rounded_up_hangs_a_window_over_the_end():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    assert max_pool(x, 3, 2)[0, :, :, 0].tolist() == [[10]]
    assert max_pool(x, 3, 2, ceil_mode=True)[0, :, :, 0].tolist() == [[10, 11], [14, 15]]


@pytest.mark.usefixtures("computed_by")
def test_min_pool_by_hand_in_value_and_gradient_with_ties():
    x = jnp.array([[1.0, 5, 2, 0], [3, 4, 0, 7], [0, 0, 1, 1], [0, 0, 1, 9]]).reshape(1, 4, 4, 1)
    y, back = jax.vjp(lambda x: min_pool(x, 2), x)
    assert y[0, :, :, 0].tolist() == [[1, 0], [0, 1]]
    dx = back(jnp.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1))[0]
    assert dx[0, :, :, 0].tolist() == [[1, 0, 0, 2], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]


def test_min_pool_is_max_pool_of_the_negative_and_its_padding_is_never_taken():
    x = ties(2, 5, 6, 2)
    options = {"window": 3, "stride": 2, "padding": 1, "ceil_mode": True}
    close(min_pool(x, **options), -max_pool(-x, **options))
    close(MinPool(**options).apply({}, x), min_pool(x, **options))
    assert (min_pool(x + 5, 3, 1, 2) <= 6).all()


def test_min_pool_refuses_in_its_own_name():
    with pytest.raises(ShapeError, match=r"min_pool was given \(1, 2, 2, 1\): a window of 3x3"):
        min_pool(jnp.ones((1, 2, 2, 1)), 3)
    with pytest.raises(FieldError, match="padding=2 with window=2"):
        MinPool(2, padding=2)


def test_average_pool_by_hand_in_value_and_gradient():
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    y, back = jax.vjp(lambda x: average_pool(x, 2, 1), x)
    assert y[0, :, :, 0].tolist() == [[2, 3], [5, 6]]
    dx = back(jnp.ones_like(y))[0]
    assert dx[0, :, :, 0].tolist() == [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]]


@pytest.mark.parametrize(("count_include_pad", "corner"), [(False, 1.0), (True, 4 / 9)])
def test_average_pool_counts_the_padding_only_when_asked(count_include_pad, corner):
    y = average_pool(jnp.ones((1, 4, 4, 1)), 3, 1, 1, count_include_pad=count_include_pad)
    assert y[0, 0, 0, 0] == pytest.approx(corner)
    assert y[0, 1, 1, 0] == pytest.approx(1)


def test_average_pool_rounded_up_never_counts_what_hangs_over():
    x = jnp.ones((1, 4, 4, 1))
    for count_include_pad in (False, True):
        y = average_pool(x, 3, 2, ceil_mode=True, count_include_pad=count_include_pad)
        assert y.shape == (1, 2, 2, 1)
        np.testing.assert_allclose(y, 1)


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(3, 7),
    window=st.integers(1, 3),
    stride=st.integers(1, 4),
    pad=st.integers(0, 2),
    seed=st.integers(0, 9),
)
def test_average_pool_equals_numpy(size, window, stride, pad, seed):
    pad = min(pad, window - 1)
    x = np.random.default_rng(seed).normal(size=(2, size, size, 2)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (window, window), axis=(1, 2))
    expected = np.nanmean(windows[:, ::stride, ::stride], axis=(-2, -1))
    ours = jax.jit(lambda x: average_pool(x, window, stride, pad))(x)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_average_pool_sums_in_float32_and_returns_the_type_it_was_given():
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 13, 13, 8)), jnp.bfloat16)

    def pool(x):
        return average_pool(x, 13)

    y, back = jax.vjp(pool, x)
    assert y.dtype == jnp.bfloat16
    assert back(y)[0].dtype == jnp.bfloat16
    np.testing.assert_array_equal(y, pool(x.astype(jnp.float32)).astype(jnp.bfloat16))


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_average_pool_adds_no_bfloat16_on_any_platform(platform):
    x = jnp.ones((1, 13, 13, 8), jnp.bfloat16)
    lowered = jax.jit(lambda x: average_pool(x, 13)).trace(x).lower(lowering_platforms=(platform,))
    adds = [line for line in lowered.as_text().splitlines() if "stablehlo.add" in line]
    assert adds
    assert not [line for line in adds if "bf16" in line]


def test_average_pool_gradient_gives_every_output_its_weight():
    x = ties(1, 7, 7, 2)

    def pool(x):
        return average_pool(x, 3, 2, 1)

    forward, reverse = jax.jit(jax.jacfwd(pool))(x), jax.jit(jax.jacrev(pool))(x)
    close(forward, reverse)
    np.testing.assert_allclose(forward.sum((-4, -3, -2, -1)), 1, rtol=1e-6)


def test_global_average_pool_is_the_mean_of_each_map():
    x = ties(2, 5, 4, 3)
    np.testing.assert_allclose(global_average_pool(x), np.asarray(x).mean((1, 2)), rtol=1e-6)
    assert GlobalAveragePool().apply({}, x).shape == (2, 3)
    np.testing.assert_allclose(
        average_pool(x, (5, 4))[:, 0, 0], GlobalAveragePool().apply({}, x), rtol=1e-6
    )


def test_pool_modules_pass_all_their_fields_on():
    x = ties(1, 6, 6, 2)
    options = {"window": 3, "stride": 2, "padding": 1, "ceil_mode": True}
    close(MaxPool(**options).apply({}, x), max_pool(x, **options))
    close(
        AveragePool(**options, count_include_pad=True).apply({}, x),
        average_pool(x, **options, count_include_pad=True),
    )


def test_a_pool_refuses_windows_of_nothing_but_padding():
    with pytest.raises(FieldError, match="smaller than the window"):
        max_pool(jnp.ones((1, 4, 4, 1)), 2, padding=((0, 2), (0, 0)))
