"""A network and a data set small enough to train in a test."""

import numpy as np

from ablax.core import Layers, Network, sequential
from ablax.data.images import ImageSet, Split
from ablax.layers import (
    BatchNormalization,
    Convolution,
    Dense,
    Dropout,
    GlobalAveragePool,
    MaxPool,
    ReLU,
)


def tiny_network(classes: int = 3) -> Network:
    return Network(
        tail=Layers(
            conv1=sequential(conv=Convolution(4, 3), norm=BatchNormalization(), relu=ReLU())
        ),
        body=Layers(pool1=MaxPool(2, 2), drop=Dropout(0.25)),
        head=Layers(pool=GlobalAveragePool(), scores=Dense(classes)),
    )


def tiny_split(count: int, seed: int) -> Split:
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % 3
    images = random.integers(0, 100, (count, 8, 8, 1)).astype(np.uint8)
    images[labels == 1] += 100
    images[labels == 2, ::2] += 150
    return Split(images, labels)


def tiny_images(train: int = 48, test: int = 21) -> ImageSet:
    return ImageSet(
        "tiny", tiny_split(train, 0), tiny_split(test, 1), ("a", "b", "c"), (0.4,), (0.25,)
    )
