"""A subject small enough to measure in a test."""

from __future__ import annotations

import numpy as np

from ablax.config import Recipe, with_fields
from ablax.core import Network, initialize
from ablax.data.images import Split
from ablax.measurements.measurement import Subject


def made_subject(network: Network, size: int = 8, count: int = 24, seed: int = 0) -> Subject:
    """An untrained network and random images of three classes, of one channel."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, size, size, 1)).astype(np.uint8)
    labels = (np.arange(count) % 3).astype(np.int32)
    variables = initialize(network, seed, (size, size, 1))
    return Subject(
        variant="full",
        seed=seed,
        step=0,
        epoch=0.0,
        network=network,
        variables={
            "params": variables.get("params", {}),
            "batch_stats": variables.get("batch_stats", {}),
        },
        recipe=with_fields(Recipe(), {"train.batch": 8}),
        train=Split(images, labels),
        test=Split(images[::-1], labels[::-1]),
        classes=3,
        mean=(0.5,),
        std=(0.25,),
    )
