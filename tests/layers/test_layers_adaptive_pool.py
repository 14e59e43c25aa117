"""Adaptive averages: the bins, their means, and the two pools they agree with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.layers import FieldError, ShapeError, average_pool, global_average_pool
from ablax.layers.pooling import AdaptiveAveragePool, adaptive_average_pool


def maps(height, width):
    return jnp.asarray(np.random.default_rng(0).normal(0, 1, (2, height, width, 3)), jnp.float32)


def test_bins_that_overlap_share_a_pixel_worked_by_hand():
    """Of 1 2 3 in two bins: (1 + 2) / 2 and (2 + 3) / 2, and the gradient of the middle is 1."""
    x = jnp.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)

    def halves(x):
        return adaptive_average_pool(x, 2)[0, 0, :, 0]

    np.testing.assert_array_equal(halves(x), [1.5, 2.5])
    gradient = jax.grad(lambda x: halves(x).sum())(x)
    np.testing.assert_array_equal(gradient.ravel(), [0.5, 1.0, 0.5])


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width", "bins"), [(14, 14, 4), (5, 9, 2), (3, 4, 5)])
def test_every_bin_is_the_mean_of_its_pixels(height, width, bins):
    x = np.asarray(maps(height, width))
    ours = adaptive_average_pool(jnp.asarray(x), bins)
    for row in range(bins):
        for column in range(bins):
            top, left = row * height // bins, column * width // bins
            below = int(np.ceil((row + 1) * height / bins))
            right = int(np.ceil((column + 1) * width / bins))
            mean = x[:, top:below, left:right].mean((1, 2))
            np.testing.assert_allclose(ours[:, row, column], mean, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_one_bin_is_the_global_average_and_bins_that_fit_are_an_average_pool():
    x = maps(6, 9)
    whole = adaptive_average_pool(x, 1)[:, 0, 0]
    np.testing.assert_allclose(whole, global_average_pool(x), rtol=1e-5, atol=1e-6)
    thirds = AdaptiveAveragePool(3).apply({}, x)
    np.testing.assert_allclose(thirds, average_pool(x, (2, 3)), rtol=1e-5, atol=1e-6)


def test_fewer_than_one_bin_and_maps_without_pixels_are_refused():
    with pytest.raises(FieldError, match="bins=0"):
        AdaptiveAveragePool(0)
    with pytest.raises(ShapeError, match=r"\(1, 0, 3, 1\): expected at least one pixel"):
        adaptive_average_pool(jnp.ones((1, 0, 3, 1)), 2)
