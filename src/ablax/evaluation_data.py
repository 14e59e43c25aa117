"""The test images of a data set, each prepared as its weights want it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ablax.data import tfds as tfds_folder
from ablax.data.digits import load_digits
from ablax.data.sources import EMBEDDED, parse
from ablax.data.tfds import decode
from ablax.errors import AblaxError
from ablax.interop.foreign import Foreign
from ablax.interop.preprocessing import Preprocessing

_CHUNK = 100


@dataclass(frozen=True)
class EvaluationImages:
    """The test split of a set, in its own order.

    Attributes:
        name: The set and its version.
        classes: Names of its classes.
        count: How many images.
        read: From first and last index to pictures and labels.
    """

    name: str
    classes: tuple[str, ...]
    count: int
    read: Callable[[int, int], list[tuple[Image.Image, int]]]

    def __len__(self) -> int:
        """How many images."""
        return self.count

    def check(self, weights: Foreign) -> None:
        """Refuse weights that tell other classes apart.

        Raises:
            AblaxError: The number of classes differs.
        """
        if len(self.classes) != len(weights.classes):
            raise AblaxError(
                f"{self.name} has {len(self.classes)} classes and the weights of {weights.name} "
                f"tell {len(weights.classes)} apart: give the data they were trained on"
            )

    def prepared(
        self, preprocessing: Preprocessing, count: int
    ) -> Iterator[tuple[np.ndarray, int]]:
        """The first `count` images as the network wants them, and their labels."""
        with ThreadPoolExecutor() as threads:
            for start in range(0, count, _CHUNK):
                chunk = self.read(start, min(start + _CHUNK, count))
                arrays = threads.map(preprocessing.array, [picture for picture, _ in chunk])
                yield from zip(arrays, (label for _, label in chunk), strict=True)


def open_test_images(source: str, folder: Path | None) -> EvaluationImages:
    """The test images of this set.

    Args:
        source: `digits`, `digits:distorted`, or `tfds:NAME`.
        folder: The prepared sets; by default as in `ablax.data.sources.load`.

    Raises:
        DataError: The set is unknown, missing or unprepared.
    """
    if source in EMBEDDED:  # their test images are the same
        digits = load_digits()

        def gray(start: int, stop: int) -> list[tuple[Image.Image, int]]:
            levels = digits.test.images[start:stop, ..., 0]
            labels = digits.test.labels[start:stop].tolist()
            return [(Image.fromarray(each), k) for each, k in zip(levels, labels, strict=True)]

        return EvaluationImages(digits.name, digits.classes, len(digits.test), gray)
    prepared = tfds_folder.open_set(parse(source), folder)

    def decoded(start: int, stop: int) -> list[tuple[Image.Image, int]]:
        records = prepared.test.read(range(start, stop))
        return [(decode(data, prepared.channels), label) for data, label in records]

    return EvaluationImages(prepared.name, prepared.classes, len(prepared.test), decoded)
