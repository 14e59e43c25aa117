"""Transformations against numpy and scipy, and their refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from ablax.errors import AblaxError
from ablax.measurements.invariance import (
    contrast,
    illuminate,
    rotate,
    scale,
    translate,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 2)).astype(np.uint8)


@pytest.mark.parametrize("border", ["edge", "black"])
@pytest.mark.parametrize(
    "unchanged",
    [
        lambda images, border: translate(images, 0.0, 0.0, border),
        lambda images, border: scale(images, 1.0, border),
        lambda images, border: rotate(images, 0.0, border),
        lambda images, border: rotate(images, 360.0, border),
        lambda images, border: illuminate(images, 1.0, 0.0),
        lambda images, border: contrast(images, 1.0),
    ],
)
def test_an_amount_that_changes_nothing_changes_no_bit(unchanged, border):
    given = unchanged(IMAGES, border)
    assert given.dtype == np.float32
    np.testing.assert_array_equal(given, IMAGES)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, 2), (-3, 0), (2, -1), (0, 20)])
@pytest.mark.parametrize(("border", "mode"), [("edge", "edge"), ("black", "constant")])
def test_a_translation_by_whole_pixels_is_a_window_of_the_padded_image(down, right, border, mode):
    padded = np.pad(IMAGES, [(0, 0), (20, 20), (20, 20), (0, 0)], mode=mode)
    window = padded[:, 20 - down : 28 - down, 20 - right : 28 - right]
    np.testing.assert_array_equal(translate(IMAGES, down, right, border), window)


def test_a_translation_by_half_a_pixel_is_the_mean_of_two_neighbors():
    moved = translate(IMAGES, down=0.5)
    expected = (IMAGES[:, 1:].astype(float) + IMAGES[:, :-1]) / 2
    np.testing.assert_allclose(moved[:, 1:], expected)


@pytest.mark.parametrize("quarters", [-2, -1, 1, 2, 3, 5])
@pytest.mark.parametrize("border", ["edge", "black"])
def test_a_rotation_by_quarter_turns_is_rot90_bit_for_bit(quarters, border):
    turned = np.rot90(IMAGES, quarters, axes=(1, 2))
    np.testing.assert_array_equal(rotate(IMAGES, 90.0 * quarters, border), turned)


@pytest.mark.parametrize(("border", "mode"), [("edge", "nearest"), ("black", "grid-constant")])
@pytest.mark.parametrize("degrees", [20.0, -75.0, 200.0])
def test_a_rotation_by_any_angle_is_that_of_scipy(degrees, border, mode):
    angle = math.radians(degrees)
    # scipy reads the result's place p at `matrix p + offset`
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    offset = np.array([3.5, 3.5]) - matrix @ [3.5, 3.5]
    expected = ndimage.affine_transform(
        IMAGES[0, :, :, 1].astype(float), matrix, offset, order=1, mode=mode
    )
    np.testing.assert_allclose(rotate(IMAGES, degrees, border)[0, :, :, 1], expected, atol=1e-3)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.7])
def test_a_scaling_reads_at_places_divided_by_the_factor(factor):
    places = 3.5 + (np.arange(8) - 3.5) / factor
    grid = np.meshgrid(places, places, indexing="ij")
    expected = ndimage.map_coordinates(
        IMAGES[2, :, :, 0].astype(float), grid, order=1, mode="nearest"
    )
    np.testing.assert_allclose(scale(IMAGES, factor)[2, :, :, 0], expected, atol=1e-3)


def test_light_is_a_straight_line_between_black_and_white():
    given = illuminate(IMAGES, gain=1.5, offset=-20.0)
    np.testing.assert_allclose(given, np.clip(1.5 * IMAGES.astype(float) - 20, 0, 255), rtol=1e-6)
    assert given.min() == 0
    assert given.max() == 255


def test_contrast_keeps_the_mean_level_and_multiplies_the_deviation_where_nothing_is_clipped():
    given = contrast(IMAGES, 0.25)
    axes = (1, 2, 3)
    np.testing.assert_allclose(given.mean(axes), IMAGES.mean(axes), rtol=1e-5)
    np.testing.assert_allclose(given.std(axes), 0.25 * IMAGES.std(axes), rtol=1e-5)


def test_contrast_of_one_image_does_not_depend_on_the_others():
    np.testing.assert_array_equal(contrast(IMAGES, 2.0)[1:2], contrast(IMAGES[1:2], 2.0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: translate(IMAGES, math.nan), "down is nan, and a finite number is expected"),
        (lambda: translate(IMAGES, 0.0, math.inf), "right is inf, and a finite number"),
        (lambda: rotate(IMAGES, math.inf), "degrees is inf, and a finite number is expected"),
        (lambda: scale(IMAGES, 0.0), "factor is 0.0, and a finite factor above 0 is expected"),
        (lambda: illuminate(IMAGES, gain=-1.0), "gain is -1.0, and a finite factor above 0"),
        (lambda: contrast(IMAGES, math.inf), "factor is inf, and a finite factor above 0"),
    ],
)
def test_an_amount_that_makes_no_image_is_refused(call, words):
    with pytest.raises(AblaxError, match=words):
        call()


def test_an_unknown_border_is_refused_with_the_nearest_one():
    unchecked = getattr(rotate, "__wrapped__", rotate)  # before the type checker of the tests
    with pytest.raises(AblaxError, match="border is 'edges': did you mean 'edge'"):
        unchecked(IMAGES, 10.0, "edges")
