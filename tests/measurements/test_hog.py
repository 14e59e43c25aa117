"""Histograms of oriented gradients, by hand and by their laws."""

from __future__ import annotations

import numpy as np
import pytest

from ablax.measurements.probes import BINS, oriented_gradients


def edge(angle: float, size: int = 16) -> np.ndarray:
    """A ramp that rises in that direction, degrees from the right, downwards."""
    at = np.arange(size) - size / 2
    turn = np.deg2rad(angle)
    levels = 128 + 6 * (np.sin(turn) * at[:, None] + np.cos(turn) * at)
    return np.clip(levels, 0, 255).astype(np.uint8)[None, ..., None]


@pytest.mark.parametrize("place", range(BINS))
def test_a_ramp_in_the_middle_of_a_bin_votes_for_it_alone(place):
    angle = (place + 0.5) * 180 / BINS
    first = oriented_gradients(edge(angle))[0, 4, :BINS]
    assert first.argmax() == place
    assert first[place] > 0.8 * first.sum()


def test_a_ramp_between_two_bins_votes_for_both():
    first = oriented_gradients(edge(40.0))[0, 4, :BINS]
    assert set(np.argsort(first)[-2:]) == {1, 2}
    assert first[1] == pytest.approx(first[2], rel=0.2)


def test_dark_to_light_and_light_to_dark_are_one_direction():
    image = edge(30.0)
    np.testing.assert_allclose(
        oriented_gradients(image), oriented_gradients(255 - image), atol=1e-6
    )


def test_contrast_and_brightness_change_nothing_but_noise():
    image = edge(70.0) // 2
    np.testing.assert_allclose(oriented_gradients(image), oriented_gradients(image * 2), atol=0.05)


def test_blocks_overlap_and_have_length_1_at_most():
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 30, 3), np.uint8)
    found = oriented_gradients(images)
    assert found.shape == (3, 6 * 6, 4 * BINS)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, rtol=1e-4)
    # the right half of a block is the left half of its neighbour, but for the length
    left, right = found[0, 0].reshape(4, BINS)[1], found[0, 1].reshape(4, BINS)[0]
    np.testing.assert_allclose(left / left.sum(), right / right.sum(), rtol=0.3)


def test_nothing_to_see_has_no_direction():
    assert not oriented_gradients(np.full((1, 8, 8, 1), 77, np.uint8)).any()


def test_the_first_block_is_that_of_a_sum_over_pixels():
    """The votes of one cell, one pixel after the other."""
    image = np.random.default_rng(1).integers(0, 256, (1, 8, 8, 1), np.uint8)
    levels = np.pad(image[0, ..., 0] / 255, 1, mode="edge")
    cells = np.zeros((2, 2, BINS))
    for y in range(8):
        for x in range(8):
            down = levels[y + 2, x + 1] - levels[y, x + 1]
            right = levels[y + 1, x + 2] - levels[y + 1, x]
            place = np.degrees(np.arctan2(down, right)) % 180 / 20 - 0.5
            low = int(np.floor(place))
            cells[y // 4, x // 4, low % BINS] += (low + 1 - place) * np.hypot(down, right)
            cells[y // 4, x // 4, (low + 1) % BINS] += (place - low) * np.hypot(down, right)
    block = cells.reshape(-1) / np.linalg.norm(cells)
    block = np.minimum(block, 0.2)
    np.testing.assert_allclose(
        oriented_gradients(image)[0, 0], block / np.linalg.norm(block), rtol=1e-4
    )
