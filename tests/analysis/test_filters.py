"""Mosaics: every number where it belongs, and each filter stretched about 0."""

import numpy as np
import pytest

from ablax.analysis.features import filter_mosaic, first_kernel, map_mosaic, mosaic, normalized


def test_mosaic_of_three_tiles_by_hand():
    tiles = np.arange(3.0).reshape(3, 1, 1, 1) * np.ones((1, 1, 2, 1))
    blank = np.nan
    expected = [[0, 0, blank, 1, 1], [blank] * 5, [2, 2, blank, blank, blank]]
    np.testing.assert_array_equal(mosaic(tiles, columns=2)[..., 0], expected)


def test_mosaic_is_about_square_by_default():
    assert mosaic(np.ones((64, 5, 5, 3))).shape == (47, 47, 3)
    high, wide = mosaic(np.ones((12, 2, 8, 1)), gap=0).shape[:2]
    assert high == wide * 12 // 16


def test_normalized_filters_keep_zero_gray_and_dead_ones_too():
    tiles = np.array([[-2.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert normalized(tiles, signed=True).tolist() == [[0, 0.5, 0.75], [0.5] * 3]
    assert normalized(tiles, signed=False)[1].tolist() == [0, 0, 0]


def test_mosaic_enlarges_tiles_and_not_the_lines():
    tiles = np.arange(4.0).reshape(2, 1, 2, 1)
    expected = [[0, 0, 1, 1, np.nan, 2, 2, 3, 3]] * 2
    np.testing.assert_array_equal(mosaic(tiles, columns=2, enlarge=2)[..., 0], expected)


def test_filter_mosaic_shows_three_channels_in_color_and_others_one_by_one():
    random = np.random.default_rng(0)
    color = filter_mosaic(random.normal(size=(16, 16, 3, 4)))
    assert color.shape == (33, 33, 3)
    kernel = random.normal(size=(16, 16, 5, 4))
    gray = filter_mosaic(kernel)
    assert gray.shape == (4 * 17 - 1, 5 * 17 - 1, 1)
    # row 2, column 3 is input channel 3 of filter 2
    expected = 0.5 + kernel[..., 3, 2] / (2 * np.abs(kernel[..., 2]).max())
    np.testing.assert_allclose(gray[34:50, 51:67, 0], expected, rtol=1e-5)


def test_map_mosaic_keeps_the_maps_that_vary_most_in_their_order():
    maps = np.zeros((16, 16, 3))
    maps[0, 0] = [4.0, 0.0, 8.0]
    maps[1, 1] = [2.0, 0.0, 0.0]
    found = map_mosaic(maps, columns=2, most=2)
    assert found.shape == (16, 33, 1)
    assert found[1, 1, 0] == 0.5
    assert found[0, [0, 17], 0].tolist() == [1, 1]


def test_first_kernel_is_the_first_larger_than_a_pixel():
    leaves = {"fc": (3, 4), "one": (1, 1, 3, 4), "stem": (7, 7, 3, 4), "a": (3, 3, 4, 4)}
    path, kernel = first_kernel({name: np.ones(shape) for name, shape in leaves.items()})
    assert (path, kernel.shape) == ("stem", (7, 7, 3, 4))


def test_filters_refuse_a_network_without_any_and_an_empty_mosaic():
    with pytest.raises(ValueError, match="holds no such convolution"):
        first_kernel({"fc": np.ones((3, 4))})
    with pytest.raises(ValueError, match="expected at least one"):
        mosaic(np.ones((0, 2, 2, 1)))
