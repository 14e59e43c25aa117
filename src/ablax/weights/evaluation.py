"""Class scores of pictures, and the error on a test set, under somebody's weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from PIL import Image

from ablax.data import tfds as tfds_folder
from ablax.data.digits import load_digits
from ablax.data.sources import EMBEDDED, parse
from ablax.data.tfds import decode
from ablax.errors import AblaxError
from ablax.losses import predictions as predicted
from ablax.weights.load import Foreign
from ablax.weights.preprocessing import Preprocessing

# ------------------------------------------------------------------------------------------
# What trained weights say of pictures: probabilities of classes, and the error on a data set.


class Guess(NamedTuple):
    """A class, and the softmax of its score."""

    name: str
    label: int
    probability: float


class ErrorRates(NamedTuple):
    """Errors in percent over a number of pictures, with half the width of their 95 % interval.

    The interval is Wilson's for a proportion: it covers the choice of the pictures.
    """

    pictures: int
    top1: float
    top5: float
    top1_interval: tuple[float, float]
    top5_interval: tuple[float, float]


Batch = tuple[Float[np.ndarray, "_ H W C"], np.ndarray]
"""Prepared pictures and their labels."""

Score = Callable[[Float[np.ndarray, "N H W C"]], Float[Array, "N classes"]]
"""From prepared pictures to the scores of the classes."""


def predictions(weights: Foreign, pictures: list[Image.Image], top: int = 5) -> list[list[Guess]]:
    """The likeliest classes of each picture, the likeliest first.

    Args:
        weights: Of `open_weights`.
        pictures: Of any size.
        top: How many classes of each.
    """
    score = scorer(weights)
    found = []
    for picture in pictures:  # one by one: pictures on a command line are few
        scores = np.asarray(score(weights.preprocessing.array(picture)[None]))[0]
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        order = np.argsort(-scores, kind="stable")[:top]
        found.append([Guess(weights.classes[k], int(k), float(shares[k])) for k in order])
    return found


def evaluate(
    score: Score,
    batches: Iterable[Batch],
    progress: Callable[[int], None] | None = None,
) -> ErrorRates:
    """The share of pictures whose class is not the likeliest, and not among the five likeliest.

    Args:
        score: Of `scorer`.
        batches: Prepared pictures and their labels; none may be larger than the first.
        progress: Told how many pictures are done.

    Raises:
        AblaxError: There is no picture.
    """
    wrong1 = wrong5 = count = size = 0
    for images, labels in batches:
        size = max(size, len(images))
        missing = size - len(images)  # the last batch is filled up, so that nothing recompiles
        padded = np.concatenate([images, np.zeros((missing, *images.shape[1:]), images.dtype)])
        scores = np.asarray(score(padded))[: len(images)]
        # A class is among the best k if fewer than k score more; of equals the first counts.
        own = scores[np.arange(len(labels)), labels][:, None]
        earlier = np.arange(scores.shape[1]) < labels[:, None]
        rank = (scores > own).sum(1) + ((scores == own) & earlier).sum(1)
        # with a score that is no number nothing is right
        rank[np.asarray(predicted(scores)) < 0] = max(5, scores.shape[1])
        wrong1 += int((rank >= 1).sum())
        wrong5 += int((rank >= 5).sum())
        count += len(labels)
        if progress is not None:
            progress(count)
    if not count:
        raise AblaxError("there is no picture to evaluate")
    return ErrorRates(
        count,
        100 * wrong1 / count,
        100 * wrong5 / count,
        wilson(wrong1, count),
        wilson(wrong5, count),
    )


def wilson(wrong: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a proportion, in percent.

    References:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.

    Example:
        >>> low, high = wilson(10, 100)
        >>> round(low, 2), round(high, 2)
        (5.52, 17.44)
    """
    z = 1.959964
    share = wrong / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = (
        z
        * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
        / (1 + z * z / count)
    )
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


def batches_of(
    pictures: Iterator[tuple[Float[np.ndarray, "H W C"], int]], size: int
) -> Iterator[Batch]:
    """Prepared pictures and labels, `size` at a time; the last batch may be smaller."""
    images: list[np.ndarray] = []
    labels: list[int] = []
    for image, label in pictures:
        images.append(image)
        labels.append(label)
        if len(labels) == size:
            yield np.stack(images), np.asarray(labels)
            images, labels = [], []
    if labels:
        yield np.stack(images), np.asarray(labels)


def scorer(weights: Foreign) -> Score:
    """The compiled network with its weights: no dropout, running statistics."""
    apply = jax.jit(weights.network.apply)
    return lambda images: apply(weights.variables, jnp.asarray(images)).astype(jnp.float32)


# ------------------------------------------------------------------------------------------
# The test images of a data set, each prepared as its weights want it.

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
