"""Resampling: pixels are squares, and their numbers stand at their middles."""

import functools
import itertools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.layers import FieldError, average_pool
from ablax.layers.shape import Bilinear, Nearest, nearest_pixels, resize_bilinear, resize_nearest


def numbers(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def nearest_along(x, size, axis):
    places = np.floor((np.arange(size) + 0.5) * x.shape[axis] / size).astype(int)
    return np.take(x, places, axis)


def linear_along(x, size, axis):
    length = x.shape[axis]
    places = (np.arange(size) + 0.5) * length / size - 0.5
    low = np.floor(places).astype(int)
    far = (places - low).reshape(-1, *(1,) * (x.ndim - 1 - axis))
    near = np.take(x, np.clip(low, 0, length - 1), axis)
    return (1 - far) * near + far * np.take(x, np.clip(low + 1, 0, length - 1), axis)


def test_nearest_follows_its_law_in_fractions_for_all_sizes_up_to_64():
    sizes = range(1, 65)
    for before, after in itertools.product(sizes, sizes):
        law = [(2 * o + 1) * Fraction(before, 2 * after) // 1 for o in range(after)]
        assert nearest_pixels(before, after).tolist() == law


@pytest.mark.parametrize(("before", "after", "pixel", "expected"), [(2, 41, 20, 1), (6, 61, 30, 3)])
def test_nearest_takes_the_pixel_behind_a_tie(before, after, pixel, expected):
    x = jnp.arange(before).reshape(1, before, 1, 1)
    assert resize_nearest(x, size=(after, 1))[0, pixel, 0, 0] == expected
    assert resize_nearest(x.swapaxes(1, 2), size=(1, after))[0, 0, pixel, 0] == expected


def test_nearest_by_hand_in_value_and_gradient():
    x = jnp.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
    y, back = jax.vjp(lambda x: resize_nearest(x, factor=(1, 2)), x)
    assert y[0, :, :, 0].tolist() == [[1, 1, 2, 2], [3, 3, 4, 4]]
    dx = back(jnp.arange(8.0).reshape(y.shape))[0]
    assert dx[0, :, :, 0].tolist() == [[0 + 1, 2 + 3], [4 + 5, 6 + 7]]


def test_bilinear_by_hand_in_value_and_gradient():
    x = jnp.array([[0.0, 4], [8, 4]]).reshape(1, 2, 2, 1)
    y, back = jax.vjp(jax.jit(lambda x: resize_bilinear(x, factor=2)), x)
    assert y[0, :, :, 0].tolist() == [
        [0, 1, 3, 4],
        [2, 2.5, 3.5, 4],
        [6, 5.5, 4.5, 4],
        [8, 7, 5, 4],
    ]
    only = back(jnp.zeros_like(y).at[0, 1, 1, 0].set(16.0))[0]
    assert only[0, :, :, 0].tolist() == [[9, 3], [3, 1]]


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    target=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_resizing_equals_numpy_between_any_two_sizes(size, target):
    x = numbers(1, *size, 2)

    @jax.jit
    def both(x):
        return resize_nearest(x, size=target), resize_bilinear(x, size=target)

    for ours, along in zip(both(x), (nearest_along, linear_along), strict=True):
        expected = along(along(np.asarray(x), target[0], 1), target[1], 2)
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_resizing_equals_pytorchs_figures():
    # torch.nn.functional.interpolate of PyTorch 2.13, size=4: "nearest-exact", and "bilinear" with
    # align_corners=False, of a row of three and of a row of six numbers.
    three = jnp.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1)
    six = jnp.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]).reshape(1, 1, 6, 1)
    resized = [
        form(x, size=(1, 4))[0, 0, :, 0].tolist()
        for x in (three, six)
        for form in (resize_nearest, resize_bilinear)
    ]
    assert resized == [
        [1, 2, 2, 4],
        [1, 1.625, 2.75, 4],
        [1, 4, 8, 32],
        [1.25, 3.5, 10, 28],
    ]


@pytest.mark.parametrize("factor", [1, 2, (3, 2)])
def test_average_pooling_undoes_nearest(factor):
    x = numbers(2, 3, 4, 2)
    undone = jax.jit(lambda x: average_pool(Nearest(factor).apply({}, x), factor))(x)
    np.testing.assert_allclose(undone, x, rtol=1e-6)


def test_bilinear_keeps_planes_inside_and_constants_everywhere():
    plane = np.arange(5.0)[:, None] * 3 + np.arange(6.0)[None, :]
    y = Bilinear(factor=3).apply({}, jnp.asarray(np.stack([plane, np.ones((5, 6))], -1)[None]))[0]
    inside, constant = np.asarray(y)[1:-1, 1:-1, 0], np.asarray(y)[..., 1]
    np.testing.assert_allclose(np.diff(inside, axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(np.diff(inside, axis=1), 1 / 3, rtol=1e-4)
    np.testing.assert_allclose(constant, 1, rtol=1e-6)


def test_bilinear_gradient_is_the_transpose_and_shares_all_weight_out():
    x = numbers(1, 3, 4, 1)
    form = functools.partial(resize_bilinear, factor=2)
    weights = numbers(1, 6, 8, 1, seed=1)
    y, back = jax.vjp(jax.jit(form), x)
    np.testing.assert_allclose(jnp.vdot(y, weights), jnp.vdot(x, back(weights)[0]), rtol=1e-4)
    np.testing.assert_allclose(back(jnp.ones_like(y))[0].sum(), 48, rtol=1e-6)


def test_resizing_modules_pass_their_fields_on_and_keep_the_type():
    x = numbers(1, 2, 3, 1).astype(jnp.bfloat16)
    for module, form in ((Nearest, resize_nearest), (Bilinear, resize_bilinear)):
        y = jax.eval_shape(module(size=(3, 5)).apply, {}, x)
        assert (y.shape, y.dtype) == ((1, 3, 5, 1), jnp.bfloat16)
        np.testing.assert_array_equal(module((1, 2)).apply({}, x), form(x, factor=(1, 2)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Nearest(), "factor=None and size=None: expected one of them"),
        (lambda: Bilinear(2, size=4), "factor=2 and size=4"),
        (lambda: Nearest(factor=0), "factor=0: expected an integer of at least 1"),
        (lambda: resize_bilinear(numbers(1, 2, 2, 1), size=(0, 5)), r"size=\(0, 5\)"),
    ],
)
def test_resizing_refuses_sizes_that_make_no_sense(make, message):
    with pytest.raises(FieldError, match=message):
        make()
