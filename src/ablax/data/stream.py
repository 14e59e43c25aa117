"""Sets that do not fit on the device: read, decoded and cropped on the way, through grain.

The order of an epoch and every crop follow from (seed, step) alone, and any step can be reached
directly, so a run that stopped goes on at its step as if it had never stopped.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8

from ablax.data import tfds as tfds_folder
from ablax.data.images import DataError
from ablax.data.sources import EMBEDDED, parse
from ablax.data.tfds import as_array, center, decode, random_crop

Batch = tuple[UInt8[np.ndarray, "B H W C"], Int32[np.ndarray, "B"]]

TEST_MARGIN = 256 / 224
"""The shorter side of a test picture over the size of the middle that is shown."""

# Of the training pictures of ImageNet; the streams of other color sets use them too, since their
# own would need a pass over all pictures. Gray: the middle and half the range.
_MEAN = {1: (0.5,), 3: (0.485, 0.456, 0.406)}
_STD = {1: (0.25,), 3: (0.229, 0.224, 0.225)}


@dataclass(frozen=True, eq=False)
class ImageStream:
    """A prepared set, and its batches on demand.

    `image_shape` is (H, W, C) of the pictures it gives; mean and std, of each channel in [0, 1],
    are to normalize by; `note` is a sentence on what the pictures are, or empty.
    """

    name: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train_size: int
    test_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    _set: tfds_folder.PreparedSet
    note: str = ""

    def fingerprint(self) -> str:
        """Hexadecimal digits that change with the files of the set, as `PreparedSet` has them."""
        return self._set.fingerprint()

    @property
    def _part(self) -> Callable[..., tuple[np.ndarray, int]]:
        size, _, channels = self.image_shape
        classes = len(self.classes)
        return partial(_part, size=size, channels=channels, classes=classes, name=self.name)

    def train(
        self, *, batch: int, seed: int, start_step: int = 0, workers: int = 0
    ) -> Iterator[Batch]:
        """Batches of training pictures without end, each a random crop.

        An epoch is `train_size // batch` steps; its pictures are in an order of their own, and
        those left over are not shown in it. The seed fixes the orders and the crops; the first
        batch is number `start_step`, counted from 0 over all epochs; `workers` are processes that
        decode, 0 decodes in threads of this one.

        Raises:
            DataError: The batch is larger than the set, or a number is out of range.
        """
        _check(batch=batch, workers=workers)
        if not 0 <= seed < 2**32 or start_step < 0:
            raise DataError(
                f"seed is {seed} and start_step {start_step}; expected 0 to 2³² - 1, and 0 or more"
            )
        if batch > self.train_size:
            raise DataError(
                f"batch is {batch}; {self.name} has {self.train_size:,} training pictures: "
                "give a smaller batch"
            )
        import grain  # slow to import

        batches = (
            grain.MapDataset.source(self._set.train)
            .seed(seed)
            .shuffle()
            .random_map(self._part)
            .batch(batch, drop_remainder=True, batch_fn=_stack)
            .repeat()
        )
        return _read(grain, batches[start_step:], workers)

    def test(self, *, batch: int, workers: int = 0) -> Iterator[Batch]:
        """Every test picture once, in the order of the files; the last batch may be smaller."""
        _check(batch=batch, workers=workers)
        import grain  # slow to import

        pictures = grain.MapDataset.source(self._set.test).map(self._part)
        return _read(grain, pictures.batch(batch, batch_fn=_stack), workers)


def open_stream(source: str, *, folder: Path | None = None, image_size: int) -> ImageStream:
    """Sizes and classes of a prepared set, without reading its pictures.

    Source and folder are as for `ablax.data.sources.load`; `image_size` are the pixels along each
    side of the pictures to be given.

    Raises:
        DataError: The set is unknown, missing, unprepared or not for classification.
    """
    if source in EMBEDDED:
        raise DataError(f"{source!r} is embedded and is not streamed: expected tfds:NAME")
    if image_size < 1:
        raise DataError(f"image_size is {image_size}; expected at least 1 pixel")
    prepared = tfds_folder.open_set(parse(source), folder)
    return ImageStream(
        name=prepared.name,
        image_shape=(image_size, image_size, prepared.channels),
        classes=prepared.classes,
        train_size=len(prepared.train),
        test_size=len(prepared.test),
        mean=_MEAN[prepared.channels],
        std=_STD[prepared.channels],
        _set=prepared,
    )


def _part(
    record: tuple[bytes, int],
    random: np.random.Generator | None = None,
    *,
    size: int,
    channels: int,
    classes: int,
    name: str,
) -> tuple[np.ndarray, int]:
    """From a record to a picture and its label.

    In training a random crop, by the generator grain makes for its place; in the test the middle
    of the scaled picture.
    """
    data, label = record
    if not 0 <= label < classes:
        raise DataError(f"a picture of {name} has the label {label}; expected 0 to {classes - 1}")
    picture = decode(data, channels, f"a picture of {name}")
    if random is None:
        return as_array(center(picture, size, round(size * TEST_MARGIN))), label
    return as_array(random_crop(picture, size, random)), label


def _stack(records: Any) -> Batch:
    images, labels = zip(*records, strict=True)
    return np.stack(images), np.asarray(labels, np.int32)


def _check(*, batch: int, workers: int) -> None:
    if batch < 1 or workers < 0:
        raise DataError(
            f"batch is {batch} and workers {workers}; expected 1 or more, and 0 or more"
        )


def _end_with_parent(*_: int) -> None:
    """End this worker when the process that started it does, however that ends.

    By itself it would wait for work for ever, with the memory that it shares.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _read(grain: Any, batches: Any, workers: int) -> Iterator[Batch]:
    """Read ahead by a few batches, in threads of this process or in processes of their own."""
    ready = batches.to_iter_dataset(grain.ReadOptions(num_threads=4, prefetch_buffer_size=4))
    if workers:
        from absl import flags

        # Grain asks absl for flags, which only absl's own command lines read.
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(num_workers=workers)
        ready = ready.mp_prefetch(options, worker_init_fn=_end_with_parent)
    iterator = iter(ready)
    # Threads and processes must end before Python takes its modules apart.
    atexit.register(iterator.close)
    try:
        for images, labels in iterator:
            # A worker's arrays lie in memory it shares and takes back: they are copied, and let go
            # at once: held until the next batch, they would be there when Python ends.
            batch = (np.array(images), np.array(labels)) if workers else (images, labels)
            del images, labels
            yield batch
    finally:
        atexit.unregister(iterator.close)
        iterator.close()
