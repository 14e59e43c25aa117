from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ablax.analysis.receptive_field import (
    THRESHOLD,
    effective_receptive_field,
    gaussian_fit,
    receptive_fields,
)


def mean_of_nine(x):
    return lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME") / 9


def sequential(depth):
    def fn(x):
        for _ in range(depth):
            x = mean_of_nine(x)
        return x

    return fn


@pytest.mark.slow
def test_two_means_of_three_weigh_the_pixels_one_two_three_two_one():
    found = effective_receptive_field(sequential(2), jnp.ones((2, 9, 9, 1)))
    weights = np.array([0, 0, 1, 2, 3, 2, 1, 0, 0]) / 9
    np.testing.assert_allclose(found.heat, np.outer(weights, weights), rtol=1e-5)
    assert found.unit == (4, 4)
    # of the 25 pixels the corners alone, 1/9 of the middle, and all others exceed 4.55 %
    assert found.size == 5.0


def test_squared_gradients_are_the_squares():
    found = effective_receptive_field(sequential(2), jnp.ones((1, 9, 9, 1)), measure="squared")
    weights = np.array([0, 0, 1, 4, 9, 4, 1, 0, 0]) / 19
    np.testing.assert_allclose(found.heat, np.outer(weights, weights), rtol=1e-5)


@pytest.mark.slow
def test_a_chain_of_equal_weights_tends_to_a_gaussian_that_grows_as_the_root_of_the_depth():
    image = jnp.ones((1, 61, 61, 1))
    ratios = []
    for depth in (6, 24):
        found = effective_receptive_field(sequential(depth), image)
        # a step of -1, 0 or 1 has variance 2/3; the sum of n has n times as much
        assert found.fit.sigma == pytest.approx([math.sqrt(2 * depth / 3)] * 2, rel=0.04)
        assert found.fit.center == pytest.approx((30, 30), abs=1e-3)
        assert found.fit.explained > 0.995
        theory = receptive_fields(sequential(depth), image)[0]
        assert theory.size == (2 * depth + 1,) * 2
        ratios.append(found.size / theory.size[0])
    # the field grows as the root of the depth, theory as the depth
    assert ratios[1] == pytest.approx(ratios[0] / 2, rel=0.1)
    # the disc in which a Gaussian exceeds 4.55 % of its height, as a square, of side c sigma
    side = math.sqrt(2 * math.pi * -math.log(THRESHOLD)) * math.sqrt(2 * 24 / 3)
    assert ratios[1] == pytest.approx(side / 49, rel=0.03)


def test_heat_lies_within_the_theoretical_field():
    def fn(x):
        x = lax.conv_general_dilated(
            *(x, jnp.array(np.cos(np.arange(90.0)).reshape(3, 3, 2, 5)), (2, 2), "SAME"),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return mean_of_nine(jnp.maximum(x, 0))

    images = jnp.array(np.sin(np.arange(2 * 17 * 17 * 2.0)).reshape(2, 17, 17, 2))
    found = effective_receptive_field(fn, images, directions=2, unit=(2, 5), batch=2)
    (rows, columns) = receptive_fields(fn, images)[0].of(0, 2, 5, 0)
    inside = np.zeros((17, 17), bool)
    inside[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = True
    assert (found.heat[~inside] == 0).all()
    assert found.heat.sum() == pytest.approx(1)


def test_fit_finds_the_gaussian_that_made_the_map():
    place = np.arange(31.0)
    heat = 5 * np.outer(np.exp(-((place - 12) ** 2) / 18), np.exp(-((place - 17.5) ** 2) / 50))
    found = gaussian_fit(heat)
    assert (*found.center, *found.sigma, found.height) == pytest.approx((12, 17.5, 3, 5, 5))
    assert found.width == pytest.approx((12, 20))
    assert found.explained == pytest.approx(1)


def test_one_pixel_has_no_width():
    found = effective_receptive_field(lambda x: x, jnp.ones((1, 5, 5, 1)))
    assert (found.size, found.fit.sigma, found.fit.center) == (1.0, (0.0, 0.0), (2.0, 2.0))


@pytest.mark.parametrize(
    ("fn", "options", "message"),
    [
        (lambda x: x.mean((1, 2)), {}, r"expected at least one image.*maps \(N, h, w, F\)"),
        (lambda x: x, {"directions": 0}, r"0 direction\(s\)"),
        (lambda x: x, {"unit": (0, 5)}, r"unit \(0, 5\) of maps of 5 rows and 5 columns"),
        (lambda x: x * 0, {}, r"no pixel moves the unit \(2, 2\)"),
    ],
)
def test_field_of_nothing_is_refused(fn, options, message):
    with pytest.raises(ValueError, match=message):
        effective_receptive_field(fn, jnp.ones((1, 5, 5, 1)), **options)
