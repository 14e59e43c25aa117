"""Spatial pyramid pooling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablax.layers.pooling import (
    GlobalMaxPool,
    SpatialPyramidPool,
    bins_along,
    global_max_pool,
    max_pool,
    spatial_pyramid_pool,
)
from ablax.layers.windows import FieldError, ShapeError


def ties(*shape, seed=0):
    """Few different numbers, so that most bins hold a tie."""
    return jnp.asarray(np.random.default_rng(seed).integers(-1, 2, size=shape), jnp.float32)


@given(size=st.integers(1, 40), bins=st.integers(1, 12))
def test_bins_cover_every_pixel_and_none_is_empty(size, bins):
    spans = bins_along(size, bins)
    assert len(spans) == bins
    assert all(start < stop for start, stop in spans)
    assert set().union(*(range(*span) for span in spans)) == set(range(size))
    if size % bins == 0:
        assert sum(stop - start for start, stop in spans) == size


def test_bins_are_the_papers_sliding_windows_for_13_pixels_and_not_for_10():
    def windows(size, bins):
        window, stride = -(-size // bins), size // bins
        return tuple((i * stride, i * stride + window) for i in range(bins))

    assert all(bins_along(13, bins) == windows(13, bins) for bins in (6, 3, 2, 1))
    assert windows(10, 6)[-1][1] == 7
    assert bins_along(10, 6)[-1][1] == 10


@pytest.mark.parametrize(
    ("size", "levels"),
    [
        ((5, 4), (3,)),
        pytest.param((5, 7), (3, 1), marks=pytest.mark.slow),
        pytest.param((2, 3), (4, 2), marks=pytest.mark.slow),
    ],
)
def test_spatial_pyramid_pool_and_its_gradient_equal_loops_with_ties(size, levels):
    x = ties(2, *size, 2)
    y, back = jax.jit(lambda x: jax.vjp(lambda x: spatial_pyramid_pool(x, levels), x))(x)
    weights = ties(*y.shape, seed=1) + 0.5
    expected, dx = [], np.zeros(x.shape)
    for n in range(2):
        row = []
        for bins in levels:
            for i, j in np.ndindex(bins, bins):
                top, left = i * size[0] // bins, j * size[1] // bins
                below, right = -(-(i + 1) * size[0] // bins), -(-(j + 1) * size[1] // bins)
                for f in range(2):
                    seen = np.asarray(x)[n, top:below, left:right, f]
                    a, b = np.unravel_index(np.argmax(seen), seen.shape)
                    dx[n, top + a, left + b, f] += weights[n, len(row)]
                    row.append(seen.max())
        expected.append(row)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(back(weights)[0], dx, rtol=1e-6)


# torch 2.13: torch.nn.AdaptiveMaxPool2d(3) of sin(0..34) laid out on 5 x 7.
def test_spatial_pyramid_pool_equals_torchs_adaptive_maximum():
    x = jnp.sin(jnp.arange(35.0)).reshape(1, 5, 7, 1)
    expected = [0.989358, 0.909297, 0.420167, 0.990607, 0.412118]
    expected += [0.956376, 0.836656, 0.551427, 0.999912]
    y = jax.jit(lambda x: spatial_pyramid_pool(x, (3,)))(x)
    np.testing.assert_allclose(y[0], expected, rtol=1e-5)


def test_spatial_pyramid_pool_has_one_length_for_every_image_size():
    pool = SpatialPyramidPool()
    shapes = {
        jax.eval_shape(lambda x: pool.apply({}, x), jnp.ones((2, *size, 256))).shape
        for size in ((13, 13), (10, 10), (3, 40), (1, 1))
    }
    assert shapes == {(2, 256 * (36 + 9 + 4 + 1))}


def test_spatial_pyramid_pool_of_bins_that_fit_is_max_pool():
    x = ties(2, 6, 4, 3)
    y, expected = jax.jit(lambda x: (spatial_pyramid_pool(x, (2,)), max_pool(x, (3, 2))))(x)
    np.testing.assert_array_equal(y, expected.reshape(2, -1))


def test_global_max_pool_does_not_see_where_a_feature_is_and_max_pool_not_where_in_a_window():
    moved = np.zeros((3, 8, 8, 1), np.float32)
    moved[[0, 1, 2], [0, 3, 7], [0, 1, 7]] = 1
    everywhere, windows = jax.jit(lambda x: (global_max_pool(x), max_pool(x, 4)))(moved)
    assert everywhere.tolist() == [[1]] * 3
    np.testing.assert_array_equal(windows[0], windows[1])
    assert abs(windows[0] - windows[2]).max() == 1


def test_spatial_pyramid_pool_passes_a_nan_on_with_its_gradient():
    x = jnp.array([[1.0, jnp.nan], [3, 2]]).reshape(1, 2, 2, 1)
    y, dx = jax.jit(jax.value_and_grad(lambda x: global_max_pool(x).sum()))(x)
    assert jnp.isnan(y)
    assert dx[0, :, :, 0].tolist() == [[0, 1], [0, 0]]


def test_pyramid_modules_pass_their_fields_on():
    x = ties(2, 5, 5, 2)
    y, expected, largest = jax.jit(
        lambda x: (
            SpatialPyramidPool((2, 1)).apply({}, x),
            spatial_pyramid_pool(x, (2, 1)),
            GlobalMaxPool().apply({}, x),
        )
    )(x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(largest, np.asarray(x).max((1, 2)))


def test_a_pyramid_refuses_levels_and_maps_it_cannot_have():
    with pytest.raises(FieldError, match=r"levels=\(\): expected a tuple"):
        SpatialPyramidPool(())
    with pytest.raises(FieldError, match="levels=0"):
        SpatialPyramidPool((2, 0))
    with pytest.raises(ShapeError, match="at least one pixel"):
        spatial_pyramid_pool(jnp.ones((1, 0, 3, 1)))
    with pytest.raises(ShapeError, match=r"expected \(N H W C\)"):
        GlobalMaxPool().apply({}, jnp.ones((2, 3)))
