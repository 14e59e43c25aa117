"""Pictures to show a network: a file's, the test images of a set; and the names of classes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from ablax.data import tfds as tfds_folder
from ablax.data.digits import load_digits
from ablax.data.sources import EMBEDDED, parse
from ablax.data.tfds import decode
from ablax.errors import AblaxError
from ablax.model import Model, Preprocessing


def open_picture(path: Path) -> Image.Image:
    """The picture in the file, turned upright as its camera noted; an AblaxError where none is."""
    from PIL import ImageOps

    try:
        with Image.open(path) as picture:
            return ImageOps.exif_transpose(picture) or picture
    except FileNotFoundError as error:
        raise AblaxError(f"there is no file {path}: give the path of a picture") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise AblaxError(f"{path} is no picture that can be read: {error}") from error


_CHUNK = 100


@dataclass(frozen=True)
class EvaluationImages:
    """The test split of a set, in its own order.

    `read` gives the pictures and labels from a first to a last index.
    """

    name: str
    classes: tuple[str, ...]
    count: int
    read: Callable[[int, int], list[tuple[Image.Image, int]]]

    def __len__(self) -> int:
        """How many images."""
        return self.count

    def check(self, model: Model) -> None:
        """Refuse a model that tells another number of classes apart."""
        if len(self.classes) != len(model.classes):
            raise AblaxError(
                f"{self.name} has {len(self.classes)} classes and the weights of {model.name} "
                f"tell {len(model.classes)} apart: give the data they were trained on"
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
    """The test images of this set, `digits`, `digits:distorted`, or `tfds:NAME`.

    The folder is that of the prepared sets; by default as in `ablax.data.sources.load`.

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


CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def class_names(data: str, classes: int) -> tuple[str, ...]:
    """The name of each class, in the order of the labels; `class 0`, ... where they are not known.

    `data` is what the weights were trained on, `imagenet` or `cifar10`; a network with another
    number of scores was trained on something else.

    Example:
        >>> class_names("cifar10", 10)[3]
        'cat'
        >>> class_names("imagenet", 1000)[0], class_names("imagenet", 3)
        ('tench, Tinca tinca', ('class 0', 'class 1', 'class 2'))
    """
    known = imagenet() if data == "imagenet" else CIFAR10 if data == "cifar10" else ()
    return known if len(known) == classes else tuple(f"class {each}" for each in range(classes))


@functools.cache
def imagenet() -> tuple[str, ...]:
    """The lemmas of WordNet of the 1000 classes of ImageNet's challenge."""
    return tuple(lemmas for _, lemmas in _imagenet_rows())


def imagenet_synsets() -> tuple[str, ...]:
    """The synsets of WordNet of the 1000 classes, `n01440764` for the first."""
    return tuple(synset for synset, _ in _imagenet_rows())


def _imagenet_rows() -> list[tuple[str, str]]:
    text = resources.files("ablax.weights").joinpath("imagenet_classes.txt").read_text("utf-8")
    rows = [line.partition("\t") for line in text.splitlines() if not line.startswith("#")]
    return [(synset, lemmas) for synset, _, lemmas in rows]
