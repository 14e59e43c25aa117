"""What a data set is to the rest of the laboratory: two splits of pictures, and their classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, UInt8

from ablax.errors import AblaxError


class DataError(AblaxError):
    """The data cannot be had as asked: which set, which folder, and what to do."""


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures and their labels, in one fixed order.

    Attributes:
        images: Levels 0 to 255; may be mapped from a file, then it is read-only.
        labels: The class of each picture, counted from 0.
    """

    images: UInt8[np.ndarray, "N H W C"]
    labels: Int32[np.ndarray, "N"]

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A set for image classification: training pictures, test pictures, names of the classes.

    Attributes:
        name: The set, its version and the size of its pictures.
        train: The pictures to learn from.
        test: The pictures to be judged by.
        classes: The name of each label.
        mean: Per channel, over the training pictures scaled to [0, 1].
        std: The standard deviation likewise, at least one grey level (1/255), so that dividing by
            it is safe in a channel that never changes.
        note: A sentence on what the pictures are, for whoever reads a result; may be empty.
        held_out: Training pictures kept apart for validation; None where nobody asked for any.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str = ""
    held_out: Split | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every picture."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels


class ChannelStatistics:
    """Mean and deviation per channel, exact because they are sums of integers.

    Example:
        >>> statistics = ChannelStatistics(channels=1)
        >>> statistics.add(np.array([[[[0], [255]]]], np.uint8))
        >>> statistics.mean, statistics.std
        ((0.5,), (0.5,))
    """

    def __init__(self, channels: int) -> None:
        self._count = 0
        self._sum = np.zeros(channels, np.int64)
        self._squares = np.zeros(channels, np.int64)

    def add(self, images: UInt8[np.ndarray, "N H W C"]) -> None:
        """Count these pictures in."""
        pixels = images.reshape(-1, images.shape[-1]).astype(np.int64)
        self._count += len(pixels)
        self._sum += pixels.sum(axis=0)
        self._squares += (pixels * pixels).sum(axis=0)

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of each channel, in [0, 1]."""
        return tuple(float(total) / self._count / 255 for total in self._sum)

    @property
    def std(self) -> tuple[float, ...]:
        """The standard deviation of each channel, in [1/255, 1]."""
        pairs = zip(self._sum, self._squares, strict=True)
        # Whole numbers of any size: n Σx² − (Σx)² loses nothing before the root.
        spread = [self._count * int(squares) - int(total) ** 2 for total, squares in pairs]
        return tuple(max(value**0.5 / self._count, 1.0) / 255 for value in spread)
