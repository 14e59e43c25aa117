"""Some of a feed's images, for what looks at them outside training."""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Int32, UInt8

from ablax.errors import AblaxError
from ablax.training.feed import Feed


def training_images(
    feed: Feed, count: int, seed: int = 0
) -> tuple[UInt8[np.ndarray, "N H W C"], Int32[np.ndarray, " N"]]:
    """A random sample of the training images of a feed, in random order.

    Args:
        feed: Of images that lie on the device, or of a stream.
        count: How many; all where there are fewer.
        seed: Of the draw.

    Raises:
        AblaxError: The feed gives something else than images and labels.
    """
    length = feed.longest_chunk or 1
    given = jax.device_get(feed.arguments(seed, 0, length))
    if len(given) != 2:
        raise AblaxError(f"the feed gives {len(given)} arrays: expected images and labels")
    images, labels = np.asarray(given[0]), np.asarray(given[1])
    if images.ndim == 5:  # steps x batch
        images, labels = images.reshape(-1, *images.shape[2:]), labels.reshape(-1)
    chosen = np.random.default_rng(seed).permutation(len(images))[:count]
    return images[chosen], labels[chosen].astype(np.int32)


def test_images(
    feed: Feed, count: int
) -> tuple[UInt8[np.ndarray, "N H W C"], Int32[np.ndarray, " N"]]:
    """The first test images of a feed, in the data's order.

    Args:
        feed: Of images that lie on the device, or of a stream.
        count: How many; all where there are fewer.
    """
    images, labels, found = [], [], 0
    for some, classes, counting in feed.test_batches():
        images.append(np.asarray(some)[:counting])
        labels.append(np.asarray(classes)[:counting])
        found += counting
        if found >= count:
            break
    return np.concatenate(images)[:count], np.concatenate(labels)[:count].astype(np.int32)
