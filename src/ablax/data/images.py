"""`ImageSet` and `Split`: labelled images as arrays, which of them are used; a file's picture."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int, Int32, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from ablax.errors import AblaxError, brief


class DataError(AblaxError):
    """The data cannot be had as asked: which set, which folder, and what to do."""


def open_picture(path: Path) -> Image.Image:
    """The picture in a file, as `read_picture` gives it; a DataError where there is none."""
    if not path.exists():
        raise DataError(f"there is no file {path}: give the path of a picture")
    if not path.is_file():
        raise DataError(f"{path} is no file: give the path of a picture")
    try:
        return read_picture(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no picture that can be read: {error}") from error


def read_picture(data: bytes) -> Image.Image:
    """The first picture in the bytes of a file (PNG, JPEG, ...), in gray or RGB of 8 bits.

    It is turned upright, as its camera noted. 16 bits are divided by 257, floats from 0 to 1
    multiplied by 255, and rounded. What is transparent shows white. Palettes, CMYK and the other
    color spaces that pillow knows become RGB.

    Raises:
        ValueError: The bytes are no picture, a damaged one, one too large to be opened, or of
            numbers whose black and white nobody knows.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            png = picture.format == "PNG"
            return _eight_bits(ImageOps.exif_transpose(picture) or picture, png)
    except UnidentifiedImageError as error:  # whose message is an address in memory
        raise ValueError("it is in no format of pictures that pillow knows") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(brief(error)) from error


def _eight_bits(picture: Image.Image, png: bool) -> Image.Image:
    mode = picture.mode
    if mode.startswith("I;16") or (mode == "I" and png):
        return _gray(np.asarray(picture).astype(np.uint16) / np.float64(65535))
    if mode == "I":
        raise ValueError("its levels are integers of 32 bits: save it with 8 or 16 bits")
    if mode == "F":
        levels = np.asarray(picture, np.float64)
        low, high = float(np.min(levels)), float(np.max(levels))
        if not (low >= 0 and high <= 1):  # of nan both are false
            raise ValueError(f"its levels are floats from {low:g} to {high:g}: expected 0 to 1")
        return _gray(levels)
    if mode in ("1", "L"):
        return picture.convert("L")
    if picture.has_transparency_data:
        colors = picture.convert("RGBA")
        white = Image.new("RGBA", colors.size, "white")
        colors = Image.alpha_composite(white, colors)
        return colors.convert("L" if mode in ("LA", "La") else "RGB")
    return picture.convert("L" if mode in ("LA", "La") else "RGB")


def _gray(levels: Float64[np.ndarray, "H W"]) -> Image.Image:
    return Image.fromarray(np.rint(255 * levels).astype(np.uint8))


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures and their labels, counted from 0, in one fixed order.

    Images may be mapped from a file: then they are read-only.
    """

    images: UInt8[np.ndarray, "N H W C"]
    labels: Int32[np.ndarray, "N"]

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A set for image classification: training pictures, test pictures, names of the classes.

    Mean and std are those of each channel of the training pictures, scaled to [0, 1]; std is at
    least one gray level (1/255), so that dividing by it is safe in a channel that never changes.
    `note` is a sentence on what the pictures are, for whoever reads a result; `held_out` are
    training pictures kept apart for validation, None where nobody asked for any.

    `others` are the same pictures split otherwise, so that all are tested by some split: `fold`
    chooses by a seed. Their number is that of all folds less this one; none as a rule. So many
    neighboring test pictures are of one and the same original as `copies` says.

    Raises:
        DataError: A label is that of no class.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str = ""
    held_out: Split | None = None
    others: tuple[ImageSet, ...] = ()
    copies: int = 1

    def __post_init__(self) -> None:
        parts = {"training": self.train, "test": self.test, "held-out": self.held_out}
        for name, part in parts.items():
            known = np.arange(len(self.classes))
            if part is not None and len(strange := np.setdiff1d(part.labels, known)):
                raise DataError(
                    f"the {name} images of {self.name} have the label {strange[0]}: expected the "
                    f"place of one of {len(self.classes)} classes, counted from 0"
                )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every picture."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def folds(self) -> tuple[ImageSet, ...]:
        """This split and the others."""
        return (self, *self.others)

    def fold(self, seed: int) -> ImageSet:
        """The split of a seed: its remainder by the number of folds."""
        return self.folds[seed % len(self.folds)]

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of all pixels and labels, and of the names of the classes.

        Of every fold. Not of the set's name, and not of the mean and std, which follow from the
        pixels.
        """
        content = hashlib.sha256("\0".join(self.classes).encode())
        for part in (self.train, self.test, self.held_out):
            if part is None:
                continue
            content.update(f"{part.images.shape}".encode())
            for first in range(0, len(part), _CHUNK):
                content.update(np.ascontiguousarray(part.images[first : first + _CHUNK]).data)
            content.update(np.ascontiguousarray(part.labels).data)
        for other in self.others:
            content.update(other.fingerprint().encode())
        return content.hexdigest()[:16]


_CHUNK = 1000


def refuse_unlearnable(images: ImageSet) -> None:
    """Refuse training images of one class, or that are all the same: nothing is to be learned.

    Raises:
        DataError: Which of both, and of which set.
    """
    labels = np.unique(images.train.labels)
    if len(labels) < 2:
        raise DataError(
            f"every training image of {images.name} is of the class "
            f"{images.classes[labels[0]]!r}: give data of two classes or more"
        )
    if all(std <= 1 / 255 for std in images.std):
        raise DataError(
            f"every training image of {images.name} is the same, within a gray level: give data "
            "with something to see"
        )


class ChannelStatistics:
    """Mean and standard deviation per channel, exact because they are sums of integers.

    Example:
        >>> statistics = ChannelStatistics.of(np.array([[[[0], [255]]]], np.uint8))
        >>> statistics.mean, statistics.std
        ((0.5,), (0.5,))
    """

    def __init__(self, channels: int) -> None:
        self._count = 0
        self._sum = np.zeros(channels, np.int64)
        self._squares = np.zeros(channels, np.int64)

    @classmethod
    def of(cls, images: UInt8[np.ndarray, "N H W C"]) -> ChannelStatistics:
        """Of these pictures, a portion at a time."""
        statistics = cls(images.shape[-1])
        for first in range(0, len(images), _CHUNK):
            statistics.add(images[first : first + _CHUNK])
        return statistics

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


def select(
    images: ImageSet,
    *,
    held_out: float = 0.0,
    share: float = 1.0,
    classes: tuple[int, ...] = (),
) -> ImageSet:
    """The set with fewer classes, fewer training images, and some of these kept apart.

    The training images stand in one random order, always the same, in which the classes take turns
    (`balanced_order`). Its end is held out, and training takes its beginning, so that a smaller
    share is a part of every larger one. The test images of the kept classes stay as they are; mean
    and standard deviation are those of the images that are trained on. Every fold is chosen from
    alike.

    `held_out` is the share of the training images for validation, in [0, 1), `share` that of the
    others to train on, in (0, 1]. `classes` are the labels to keep, all by default, which are
    counted again in this order.

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
    chosen = tuple(
        select(other, held_out=held_out, share=share, classes=classes) for other in images.others
    )
    whole = _keep(images, classes) if classes else images
    count = len(whole.train)
    kept_apart = round(held_out * count)
    used = round(share * (count - kept_apart))
    if used < 1 or (held_out and not kept_apart):
        few = "raise --data.share" if kept_apart < count else "lower --data.held-out"
        few = "raise --data.held-out" if held_out and not kept_apart else few
        raise DataError(
            f"{share:g} of {count - kept_apart:,} training images to train on and {held_out:g} of "
            f"{count:,} held out are asked for, and one of them is none: {few}"
        )
    order = balanced_order(whole.train.labels)
    train = _part(whole.train, order[:used])
    statistics = ChannelStatistics.of(train.images)
    return replace(
        whole,
        train=train,
        held_out=_part(whole.train, order[count - kept_apart :]) if kept_apart else None,
        mean=statistics.mean,
        std=statistics.std,
        note=_note(images, used, kept_apart, classes),
        others=chosen,
    )


def balanced_order(labels: Int[np.ndarray, " N"], seed: int = 0) -> Int[np.ndarray, " N"]:
    """A random order of images in which the classes take turns, by their labels.

    Any first n of it hold as many of each class, one more or less, while no class runs out.

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
