"""The embedded digits: the same bits everywhere, split fairly, and not cut at the border."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits as scans_of_sklearn

from ablax.data import digits as module
from ablax.data.digits import draw, load_digits
from ablax.data.sources import load


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_digits_have_the_sizes_of_the_recipe(digits):
    assert digits.train.images.shape == (1437, 32, 32, 1)
    assert digits.test.images.shape == (4 * 360, 32, 32, 1)
    assert digits.image_shape == (32, 32, 1)
    assert digits.classes == tuple("0123456789")


def test_digits_are_the_same_bits_everywhere(digits):
    parts = (digits.train.images, digits.train.labels, digits.test.images, digits.test.labels)
    digest = hashlib.sha256(b"".join(part.astype("<i4").tobytes() for part in parts))
    assert digest.hexdigest()[:16] == "7540e6c84494dbbf"


def test_digits_say_what_their_test_pictures_are(digits):
    assert digits.note == load("digits", image_size=28).note
    assert digits.note == (
        "the test images are 4 fixed distortions of each of 360 held-out scans; seed s is tested "
        "on fold s mod 5 of the 1,797; split not writer-disjoint"
    )


def test_digits_of_every_class_are_held_out_in_proportion(digits):
    train = np.bincount(digits.train.labels)
    test = np.bincount(digits.test.labels) / 4
    assert np.array_equal(train + test, np.bincount(scans_of_sklearn().target))
    assert np.abs(test - (train + test) / 5).max() <= 1


def test_digits_of_training_and_test_are_different_scans(monkeypatch):
    monkeypatch.setattr(module, "distort", lambda images, random: images)
    for upright in module._digits.__wrapped__(False).folds:
        train = {image.tobytes() for image in upright.train.images}
        test = [image.tobytes() for image in upright.test.images]
        assert len(set(test)) == len(test) / 4
        assert not train & set(test)


def test_every_scan_is_tested_by_one_of_five_seeds(monkeypatch):
    monkeypatch.setattr(module, "distort", lambda images, random: images)
    digits = module._digits.__wrapped__(False)
    assert [digits.fold(seed) for seed in (0, 3, 8, 5)] == [
        digits.folds[place] for place in (0, 3, 3, 0)
    ]
    tested = [image.tobytes() for each in digits.folds for image in each.test.images[::4]]
    assert len(tested) == 1800
    assert len(set(tested)) == 1797
    for each in digits.folds:
        assert (len(each.train), len(each.test)) == (1437, 1440)
        classes = np.bincount(each.test.labels) / 4 - np.bincount(scans_of_sklearn().target) / 5
        assert np.abs(classes).max() < 4  # three of them, of one class, twice


def test_folds_are_distorted_apart(digits):
    turned = [each.test.images[:4].tobytes() for each in digits.folds]
    assert len(set(turned)) == 5


def test_a_drawing_interpolates_between_the_centers_of_the_scanned_pixels():
    scan = np.zeros((1, 8, 8), np.int64)
    scan[0, 2, 5] = 16
    drawing = draw(scan)[0]
    assert drawing[4 + 7, 4 + 16] == 255  # the middle of the enlarged pixel
    assert drawing[4 + 8, 4 + 16] == 170  # two thirds
    assert drawing[4 + 9, 4 + 17] == 57  # one third of two thirds, rounded
    assert drawing[4 + 10, 4 + 16] == 0
    assert draw(np.full((1, 8, 8), 16))[0, 16, 16] == 255


def test_training_digits_leave_a_margin_and_distorted_ones_are_hardly_cut(digits):
    border = np.ones((32, 32), bool)
    border[3:-3, 3:-3] = False
    assert digits.train.images[:, border].max() == 0
    outermost = np.ones((32, 32), bool)
    outermost[1:-1, 1:-1] = False
    test = digits.test.images[..., 0].astype(np.float64)
    assert test[:, outermost].sum() / test.sum() < 0.005


def test_each_test_digit_appears_in_four_different_distortions(digits):
    for four in digits.test.images.reshape(360, 4, 32, 32):
        assert len({picture.tobytes() for picture in four}) == 4


def test_a_distortion_keeps_the_digit_recognizable(digits):
    # The nearest upright training digit, by plain distance, names most distorted test digits.
    train = digits.train.images.reshape(1437, -1).astype(np.float32) / 255
    test = digits.test.images.reshape(1440, -1).astype(np.float32) / 255
    distance = (train**2).sum(1) - 2 * test @ train.T
    right = digits.train.labels[distance.argmin(axis=1)] == digits.test.labels
    assert 0.6 < right.mean() < 0.98  # distorted enough to be worth learning


def test_training_digits_distorted_once_are_other_pictures_of_the_same_scans(digits):
    once = load_digits(distorted=True)
    np.testing.assert_array_equal(once.test.images, digits.test.images)
    np.testing.assert_array_equal(once.train.labels, digits.train.labels)
    ours, upright = (each.train.images.astype(float).reshape(1437, -1) for each in (once, digits))
    assert np.all(np.any(ours != upright, axis=1))
    # a distorted digit is more like its own scan than like the next one
    own = np.linalg.norm(ours - upright, axis=1)
    other = np.linalg.norm(ours - np.roll(upright, 1, axis=0), axis=1)
    assert np.mean(own < other) > 0.9
    np.testing.assert_allclose(once.mean, [once.train.images.mean() / 255])


def test_the_statistics_are_those_of_the_training_digits(digits):
    scaled = digits.train.images.astype(np.float64) / 255
    assert digits.mean == pytest.approx((scaled.mean(),), rel=1e-9)
    assert digits.std == pytest.approx((scaled.std(),), rel=1e-9)


def test_digits_of_another_size_are_scaled_with_their_statistics():
    small = load("digits", image_size=28)
    assert small.image_shape == (28, 28, 1)
    assert small.train.images.shape == (1437, 28, 28, 1)
    assert small.mean == pytest.approx(((small.train.images / 255).mean(),), rel=1e-6)
