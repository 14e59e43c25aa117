"""The embedded part of Fashion-MNIST: the same bits, as many of each class, and of the real set."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from real_sets import REAL, real

from ablax.data.clothes import load_clothes
from ablax.data.sources import load, open_test_images


@pytest.fixture(scope="module")
def clothes():
    return load_clothes()


def test_clothes_are_the_same_bits_everywhere(clothes):
    parts = (clothes.train.images, clothes.train.labels, clothes.test.images, clothes.test.labels)
    digest = hashlib.sha256(b"".join(part.astype("<i4").tobytes() for part in parts))
    assert digest.hexdigest()[:16] == "7ac9fa50d7b913ea"


def test_clothes_have_as_many_of_each_class_and_no_picture_twice(clothes):
    assert np.bincount(clothes.train.labels).tolist() == [600] * 10
    assert np.bincount(clothes.test.labels).tolist() == [200] * 10
    every = {image.tobytes() for part in (clothes.train, clothes.test) for image in part.images}
    assert len(every) == 8000


def test_clothes_are_a_source_as_digits_are(clothes):
    assert load("clothes").note == clothes.note
    assert load("clothes", image_size=32).image_shape == (32, 32, 1)
    test = open_test_images("clothes", None)
    (picture, label), *_ = test.read(range(1))
    assert (test.count, test.classes[label]) == (2000, clothes.classes[clothes.test.labels[0]])
    np.testing.assert_array_equal(np.asarray(picture), clothes.test.images[0, ..., 0])


@real("fashion_mnist")
@pytest.mark.slow
def test_clothes_are_pictures_of_the_real_set_with_their_labels(clothes, tmp_path):
    whole = load("tfds:fashion_mnist", folder=REAL, cache=tmp_path)
    assert whole.classes == clothes.classes
    for part in ("train", "test"):
        all_of_it, ours = getattr(whole, part), getattr(clothes, part)
        known = zip(all_of_it.images, all_of_it.labels, strict=True)
        labels = {image.tobytes(): int(label) for image, label in known}
        for image, label in zip(ours.images, ours.labels, strict=True):
            assert labels[image.tobytes()] == label
