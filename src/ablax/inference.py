"""What trained weights say of pictures: probabilities of classes, and the error on a data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from PIL import Image

from ablax.errors import AblaxError
from ablax.interop.foreign import Foreign


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
