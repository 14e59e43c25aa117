"""The second embedded data set: a fixed part of Fashion-MNIST, harder than digits.

6,000 training and 2,000 test pictures of clothes, 28 x 28 pixels, gray, as many of each of the ten
classes, chosen by lot once; `docs/scripts/embed_clothes.py` made the file. The training pictures
are of the original's training split, the test pictures of its test split. The whole set is
`tfds:fashion_mnist`.

References:
    H. Xiao, K. Rasul, R. Vollgraf, 2017. Fashion-MNIST, a novel image dataset for benchmarking
    machine learning algorithms.
"""

from __future__ import annotations

import io
from importlib import resources

import numpy as np

from ablax.data.images import ChannelStatistics, ImageSet, Split

CLOTHES = "clothes"
FILE = "clothes.npz"
"""Pictures and labels of both splits, beside this module."""
TRAINING, TEST = 600, 200
"""Pictures of each class."""
CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
NOTE = "a fixed part of Fashion-MNIST, 600 and 200 pictures of each class"
"""What a reader of a result must know about the pictures."""


def load_clothes() -> ImageSet:
    """The set, read again at every call.

    Example:
        >>> clothes = load_clothes()
        >>> clothes.train.images.shape, clothes.test.images.shape
        ((6000, 28, 28, 1), (2000, 28, 28, 1))
    """
    content = resources.files("ablax.data").joinpath(FILE).read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        train, test = (
            Split(held[f"{part}_images"][..., None], held[f"{part}_labels"].astype(np.int32))
            for part in ("train", "test")
        )
    statistics = ChannelStatistics.of(train.images)
    return ImageSet(
        name=CLOTHES,
        train=train,
        test=test,
        classes=CLASSES,
        mean=statistics.mean,
        std=statistics.std,
        note=NOTE,
    )
