"""Shift: a depthwise convolution with a single one in each kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.layers import FieldError, ShapeError, convolution
from ablax.layers.convolution import Shift, shift


def numbers(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(1, 9, size=shape), jnp.float32)


def shifted_by_loops(x, window, dilation):
    _, height, width, channels = x.shape
    each, y = channels // window**2, np.zeros_like(x)
    for r, c, m in np.ndindex(height, width, channels):
        place = m // each if m < each * window**2 else window**2 // 2
        row = r + dilation * (place // window - window // 2)
        column = c + dilation * (place % window - window // 2)
        if 0 <= row < height and 0 <= column < width:
            y[:, r, c, m] = x[:, row, column, m]
    return y


def test_shift_by_hand_in_value_and_gradient():
    x = jnp.tile(jnp.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, :, :, None], (1, 1, 1, 10))
    y, back = jax.vjp(jax.jit(shift), x)
    assert y[0, :, :, 0].tolist() == [[0, 0, 0], [0, 1, 2], [0, 4, 5]]  # above, left
    assert y[0, :, :, 5].tolist() == [[2, 3, 0], [5, 6, 0], [8, 9, 0]]  # right
    for unmoved in (4, 9):  # the middle, and the channel left over
        np.testing.assert_array_equal(y[..., unmoved], x[..., unmoved])
    dx = back(jnp.ones_like(y))[0]
    assert dx[0, :, :, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    window=st.sampled_from([1, 3, 5]),
    dilation=st.integers(1, 3),
    more=st.integers(0, 30),
)
def test_shift_equals_loops_also_where_it_moves_everything_out(size, window, dilation, more):
    x = numbers(2, *size, window**2 + more)
    expected = shifted_by_loops(np.asarray(x), window, dilation)
    ours = jax.jit(Shift(window, dilation).apply)({}, x)
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.slow
def test_shift_is_a_depthwise_convolution_in_value_gradient_and_second_derivative():
    kernel = np.zeros((3, 3, 1, 20), np.float32)
    for m in range(20):
        kernel[*divmod(m // 2 if m < 18 else 4, 3), 0, m] = 1
    x = numbers(1, 4, 5, 20)

    def depthwise(x):
        return convolution(x, jnp.asarray(kernel), padding=1, groups=20)

    def every(form):
        def loss(x):
            return jnp.sum(jnp.sin(form(x)) * numbers(1, 4, 5, 20, seed=1))

        dx = jnp.cos(x)
        gradient = jax.grad(loss)
        return jax.jit(
            lambda x: (form(x), jax.jvp(form, (x,), (dx,)), jax.jvp(gradient, (x,), (dx,)))
        )(x)

    for ours, theirs in zip(*(jax.tree.leaves(every(f)) for f in (shift, depthwise)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_shift_loses_only_what_leaves_the_image():
    x = jnp.zeros((1, 7, 7, 30)).at[:, 2:5, 2:5].set(numbers(1, 3, 3, 30))
    y = jax.jit(Shift(dilation=2).apply)({}, x)
    np.testing.assert_array_equal(jnp.sum(y, (1, 2)), jnp.sum(x, (1, 2)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Shift(window=4), FieldError, "window=4: expected an odd number"),
        (lambda: Shift(dilation=0), FieldError, "dilation=0"),
        (lambda: shift(jnp.ones((1, 4, 4, 8))), ShapeError, "expected at least 9 channels"),
        (lambda: shift(jnp.ones((4, 4, 9))), ShapeError, r"\(4, 4, 9\): expected \(N H W C\)"),
    ],
)
def test_shift_refuses_windows_without_a_middle_and_maps_that_would_not_move(make, error, message):
    with pytest.raises(error, match=message):
        make()
