"""A model and a sample small enough to measure in a test."""

from __future__ import annotations

import numpy as np

from ablax.config import Recipe, with_fields
from ablax.core import Network
from ablax.data.images import Split
from ablax.measurements.measurement import Sample
from ablax.model import Model, preprocessing_of


def made_model(network: Network, image_shape, mean=None, std=None, seed=0, classes=()) -> Model:
    """An untrained network, for images of any mean and deviation."""
    prepared = preprocessing_of(image_shape, mean or (), std or ())
    return Model.untrained(network, image_shape, seed, preprocessing=prepared, classes=classes)


def made_sample(test: Split, train: Split | None = None, variant="full", seed=0) -> Sample:
    """What an untrained network is measured on."""
    recipe = with_fields(Recipe(), {"train.batch": 8})
    return Sample(variant, seed, 0, 0.0, recipe, test if train is None else train, test)


def made_subject(
    network: Network, size: int = 8, count: int = 24, seed: int = 0
) -> tuple[Model, Sample]:
    """An untrained network and random images of three classes, of one channel."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, size, size, 1)).astype(np.uint8)
    labels = (np.arange(count) % 3).astype(np.int32)
    train, test = Split(images, labels), Split(images[::-1], labels[::-1])
    model = made_model(network, (size, size, 1), seed=seed, classes=("a", "b", "c"))
    return model, made_sample(test, train, seed=seed)
