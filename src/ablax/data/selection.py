"""Some of a data set: fewer classes, fewer training images, some of them kept for validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Int

from ablax.data.images import ChannelStatistics, DataError, ImageSet, Split

_CHUNK = 1000


def select(
    images: ImageSet,
    *,
    held_out: float = 0.0,
    share: float = 1.0,
    classes: tuple[int, ...] = (),
) -> ImageSet:
    """The set with fewer classes, fewer training images, and some of these kept apart.

    The training images stand in one random order, always the same, in which the classes take turns
    (`balanced_order`). Its end is held out, and training takes its start, so that a smaller share
    is a part of every larger one. The test images of the kept classes stay as they are.

    Args:
        images: The whole set.
        held_out: Share of the training images for validation, in [0, 1).
        share: Share of the others to train on, in (0, 1].
        classes: Labels to keep, which are counted anew in this order; all by default.

    Returns:
        The set; mean and deviation are those of the images that are trained on.

    Raises:
        DataError: A label that the set lacks, or no image is left.

    Example:
        >>> from ablax.data.sources import load
        >>> few = select(load("digits"), held_out=0.5, share=0.25, classes=(3, 8))
        >>> len(few.train), len(few.held_out), few.classes
        (36, 143, ('3', '8'))
    """
    if (held_out, share, classes) == (0, 1, ()):
        return images
    whole = _keep(images, classes) if classes else images
    count = len(whole.train)
    kept_apart = round(held_out * count)
    used = round(share * (count - kept_apart))
    if used < 1 or (held_out and not kept_apart):
        raise DataError(
            f"{share:g} of {count - kept_apart:,} training images to train on and {held_out:g} of "
            f"{count:,} held out are asked for, and one of them is none: raise --data.share or "
            "--data.held-out"
        )
    order = balanced_order(whole.train.labels)
    train = _part(whole.train, order[:used])
    statistics = ChannelStatistics(train.images.shape[-1])
    for first in range(0, used, _CHUNK):
        statistics.add(train.images[first : first + _CHUNK])
    return replace(
        whole,
        train=train,
        held_out=_part(whole.train, order[count - kept_apart :]) if kept_apart else None,
        mean=statistics.mean,
        std=statistics.std,
        note=_note(images, used, kept_apart, classes),
    )


def balanced_order(labels: Int[np.ndarray, " N"], seed: int = 0) -> Int[np.ndarray, " N"]:
    """A random order of images in which the classes take turns.

    Any first n of it hold as many of each class, one more or less, while no class runs out.

    Args:
        labels: The class of each image.
        seed: Of the order.

    Example:
        >>> labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
        >>> sorted(labels[balanced_order(labels)[:3]].tolist())
        [0, 1, 2]
    """
    draw = np.random.default_rng(seed)
    shuffled = draw.permutation(len(labels))
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        own = shuffled[labels[shuffled] == label]
        turn[own] = np.arange(len(own))
    return shuffled[np.argsort(turn[shuffled], kind="stable")]


def _keep(images: ImageSet, classes: tuple[int, ...]) -> ImageSet:
    known = len(images.classes)
    if unknown := [label for label in classes if label >= known]:
        raise DataError(
            f"data.classes names {unknown[0]}, and {images.name} has the labels 0 to {known - 1}"
        )
    new = np.full(known, -1, np.int32)
    new[list(classes)] = np.arange(len(classes))

    def kept(split: Split) -> Split:
        part = _part(split, np.flatnonzero(np.isin(split.labels, classes)))
        return Split(part.images, new[part.labels])

    names = tuple(images.classes[label] for label in classes)
    return replace(images, train=kept(images.train), test=kept(images.test), classes=names)


def _part(split: Split, places: Int[np.ndarray, " M"]) -> Split:
    return Split(split.images[places], split.labels[places])


def _note(images: ImageSet, used: int, kept_apart: int, classes: tuple[int, ...]) -> str:
    """What was chosen, in front of what the pictures are."""
    parts = []
    if classes:
        parts.append(f"classes {', '.join(images.classes[label] for label in classes)} alone")
    parts.append(f"a fixed choice of {used:,} of {len(images.train):,} training images")
    if kept_apart:
        parts.append(f"{kept_apart:,} held out for validation")
    return "; ".join([*parts, *([images.note] if images.note else [])])
