"""Batches for the compiled loop: in memory or streamed, and samples of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from rich.console import Console

from ablax.config import ConfigError, Recipe
from ablax.core import ImageShape
from ablax.data.images import ImageSet, Split, refuse_unlearnable, select
from ablax.data.sources import load
from ablax.data.stream import ImageStream, open_stream
from ablax.errors import AblaxError
from ablax.training.step import State, StepFigures, Task, shuffle_key, train_step

Program = Callable[..., tuple[State, StepFigures]]
Batch = tuple[Any, Any, int]

LONGEST_STREAMED_CHUNK = 8
"""Batches handed to the device at once; 8 of 256 ImageNet crops are 0.3 GB."""


@runtime_checkable
class Dataset(Protocol):
    """What the training loop asks of its data: a program for a chunk of steps, and its arguments.

    Mean and std are of each channel over the training images, in [0, 1]. `steps_per_epoch` counts
    whole batches; a program takes `longest_chunk` steps at most, where it is not None. `note` says
    in a sentence what the data are, and `fingerprint` changes with the pixels and labels. Where the
    images are split in several ways, these are the `folds`, and a seed has one of them; so many
    neighboring test images are of one original as `copies` says.
    """

    image_shape: ImageShape
    classes: int
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    steps_per_epoch: int
    longest_chunk: int | None
    note: str
    fingerprint: str
    folds: int
    copies: int

    def arguments(self, seed: int, step: int, length: int) -> tuple[Any, ...]:
        """The arrays that the program of the `length` steps from `step` takes."""
        ...

    def program(self, task: Task, length: int) -> Program:
        """A function (state, *arguments) -> (state, figures of every step), to be compiled."""
        ...

    def test_batches(self, seed: int = 0) -> Iterator[Batch]:
        """All test images once: (images, labels, how many of them count), of equal shapes."""
        ...

    def held_out(self, seed: int = 0) -> Split | None:
        """Training images that are kept apart for validation; None where there are none."""
        ...


class _Sized:
    """What a dataset in memory and one that streams have in common."""

    def __init__(
        self,
        data: ImageSet | ImageStream,
        sizes: tuple[int, int],
        batch: int,
        mesh: Mesh,
        about: str,
    ) -> None:
        train, test = sizes
        check_batch(batch, train, mesh.size)
        self.image_shape = height, width, channels = data.image_shape
        self.classes, self.class_names = len(data.classes), tuple(data.classes)
        self.mean, self.std = data.mean, data.std
        self.steps_per_epoch = train // batch
        self.note = (
            f"{data.name}: {train:,} training and {test:,} test images of {height} x {width} "
            f"pixels, {channels} channel{'s' * (channels > 1)}, {self.classes} classes"
        ) + (f"; {about}" if about else "")
        self._batch, self._shared = batch, NamedSharding(mesh, P("data"))
        self.fingerprint = data.fingerprint()

    def _whole(self, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[Batch]:
        """Batches on the devices, the last filled up, with how many images count."""
        for images, labels in batches:
            yield (*_on(self._shared, *pad(images, labels, self._batch)), len(labels))


class InMemory(_Sized):
    """All images live on the device, as uint8; an epoch is a random permutation made there.

    Each epoch visits `steps_per_epoch * batch` different images; the few that do not fill a batch
    are others every epoch. Every device of the mesh holds all images, and takes its share of each
    batch. A fold goes to the devices when a seed asks for it first. Mean and std are those of the
    first, and every fold has as many training images as the smallest, so that one program is for
    all.
    """

    longest_chunk: int | None = None

    def __init__(self, data: ImageSet, batch: int, mesh: Mesh) -> None:
        self._count = min(len(fold.train) for fold in data.folds)
        super().__init__(data, (self._count, len(data.test)), batch, mesh, data.note)
        self.folds, self.copies = len(data.folds), data.copies
        self._data, self._everywhere = data, NamedSharding(mesh, P())
        self._train: dict[int, tuple[Any, Any]] = {}
        self._test: dict[int, list[Batch]] = {}

    def arguments(self, seed: int, step: int, length: int) -> tuple[Any, ...]:  # noqa: ARG002
        """The images and labels, whatever the step: the program picks."""
        fold = seed % self.folds
        if fold not in self._train:
            split = self._data.fold(fold).train
            kept = (split.images[: self._count], split.labels[: self._count])
            self._train[fold] = _on(self._everywhere, *kept)
        return self._train[fold]

    def program(self, task: Task, length: int) -> Program:
        """`length` steps within one epoch, in one loop."""

        def chunk(state: State, images: Any, labels: Any) -> tuple[State, StepFigures]:
            epoch = state.step // self.steps_per_epoch
            order = jax.random.permutation(shuffle_key(state.seed, epoch), self._count)

            def body(state: State, _: None) -> tuple[State, StepFigures]:
                first = (state.step % self.steps_per_epoch) * self._batch
                chosen = jax.lax.dynamic_slice_in_dim(order, first, self._batch)
                batch = (images[chosen], labels[chosen])
                return train_step(
                    task, state, *jax.lax.with_sharding_constraint(batch, self._shared)
                )

            return jax.lax.scan(body, state, None, length=length)

        return chunk

    def test_batches(self, seed: int = 0) -> Iterator[Batch]:
        """All test images once, from the device."""
        fold = seed % self.folds
        if fold not in self._test:
            test = self._data.fold(fold).test
            images, labels = map(np.asarray, (test.images, test.labels))
            starts = range(0, len(labels), self._batch)
            portions = (slice(first, first + self._batch) for first in starts)
            whole = self._whole((images[part], labels[part]) for part in portions)
            self._test[fold] = list(whole)
        return iter(self._test[fold])

    def held_out(self, seed: int = 0) -> Split | None:
        """Those of the seed's fold."""
        return self._data.fold(seed).held_out


class Streaming(_Sized):
    """The host decodes batches on the way and hands over a chunk of them at a time.

    Every device of the mesh takes its share of each batch; with 0 workers, threads decode.
    """

    longest_chunk: int | None = LONGEST_STREAMED_CHUNK
    folds = copies = 1

    def __init__(self, stream: ImageStream, batch: int, workers: int, mesh: Mesh) -> None:
        sizes = (stream.train_size, stream.test_size)
        super().__init__(stream, sizes, batch, mesh, "streamed")
        self._stream, self._workers = stream, workers
        self._stacked = NamedSharding(mesh, P(None, "data"))
        self._place: tuple[int, int] | None = None
        self._batches: Iterator[Any] = iter(())

    def arguments(self, seed: int, step: int, length: int) -> tuple[Any, ...]:
        """The next `length` batches, stacked; the stream is opened again only after a jump."""
        if self._place != (seed, step):
            self._batches = self._stream.train(
                batch=self._batch, seed=seed, start_step=step, workers=self._workers
            )
        chunk = [next(self._batches) for _ in range(length)]
        self._place = (seed, step + length)
        images, labels = (np.stack(part) for part in zip(*chunk, strict=True))
        return _on(self._stacked, images, labels)

    def program(self, task: Task, length: int) -> Program:
        """`length` steps over stacked batches, in one loop."""

        def chunk(state: State, images: Any, labels: Any) -> tuple[State, StepFigures]:
            def body(state: State, batch: tuple[Any, Any]) -> tuple[State, StepFigures]:
                return train_step(task, state, *batch)

            return jax.lax.scan(body, state, (images, labels), length=length)

        return chunk

    def test_batches(self, seed: int = 0) -> Iterator[Batch]:  # noqa: ARG002
        """All test images once, decoded again each time."""
        return self._whole(self._stream.test(batch=self._batch, workers=self._workers))

    def held_out(self, seed: int = 0) -> Split | None:  # noqa: ARG002
        """None."""
        return None


def pad(images: np.ndarray, labels: np.ndarray, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Fill a short batch up with black images of class 0, which nobody counts.

    Example:
        >>> images, labels = pad(np.ones((2, 4, 4, 1), np.uint8), np.ones(2, np.int32), 3)
        >>> images.shape, labels
        ((3, 4, 4, 1), array([1, 1, 0], dtype=int32))
    """
    missing = batch - len(labels)
    return np.pad(images, [(0, missing), (0, 0), (0, 0), (0, 0)]), np.pad(labels, (0, missing))


def _on(sharding: NamedSharding, images: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
    placed = jax.device_put((images, labels), sharding)
    return placed[0], placed[1]


def check_batch(batch: int, images: int, devices: int) -> None:
    """Refuse a batch that the data cannot fill or the devices cannot share."""
    if batch > images:
        raise ConfigError(
            f"train.batch is {batch}, and the data have {images} training images: use at most "
            f"--train.batch {images}"
        )
    if batch % devices:
        raise ConfigError(
            f"train.batch is {batch}, and it is split evenly over {devices} devices: use a "
            f"multiple of {devices}, such as --train.batch {max(batch // devices, 1) * devices}"
        )


def open_dataset(recipe: Recipe, mesh: Mesh, console: Console) -> Dataset:
    """The recipe's data, on the devices or streamed; decoded and cached the first time.

    Raises:
        DataError: The data are missing, unprepared or damaged, or fewer than are asked for.
        ConfigError: The batch does not fit the data or the devices, or gray images would be
            saturated.
    """
    data, batch = recipe.data, recipe.train.batch
    if data.stream and data.image_size is not None:
        stream = open_stream(data.source, folder=data.dir, image_size=data.image_size)
        return Streaming(stream, batch, data.workers, mesh)
    shown = _decoding(console, data.source)
    images = load(data.source, folder=data.dir, image_size=data.image_size, progress=shown)
    chosen = select(images, held_out=data.held_out, share=data.share, classes=data.classes)
    refuse_unlearnable(chosen)
    saturation, gray = recipe.augment.saturation, chosen.image_shape[2] == 1
    if saturation and gray:
        raise ConfigError(f"augment.saturation is {saturation}, and gray images have none: give 0")
    return InMemory(chosen, batch, mesh)


def _decoding(console: Console, source: str) -> Callable[[int, int], None]:
    """Say at every tenth how far decoding is; nothing where the cache is used."""
    tenth = -1

    def show(done: int, total: int) -> None:
        nonlocal tenth
        if done * 10 // total > tenth:
            tenth = done * 10 // total
            console.print(f"decoding {source}: {done:,} of {total:,} images", highlight=False)

    return show


def training_images(dataset: Dataset, count: int, seed: int = 0) -> Split:
    """A random sample of a seed's training images, in random order; all where there are fewer.

    Raises:
        AblaxError: The dataset gives something else than images and labels.
    """
    length = dataset.longest_chunk or 1
    given = jax.device_get(dataset.arguments(seed, 0, length))
    if len(given) != 2:
        raise AblaxError(f"the dataset gives {len(given)} arrays: expected images and labels")
    images, labels = np.asarray(given[0]), np.asarray(given[1])
    if images.ndim == 5:  # steps x batch
        images, labels = images.reshape(-1, *images.shape[2:]), labels.reshape(-1)
    chosen = np.random.default_rng(seed).permutation(len(images))[:count]
    return Split(images[chosen], labels[chosen].astype(np.int32))


def test_images(dataset: Dataset, count: int, seed: int = 0) -> Split:  # noqa: PT028
    """The first of a seed's test images, in the data's order; all where there are fewer."""
    images, labels, found = [], [], 0
    for some, classes, counting in dataset.test_batches(seed):
        images.append(np.asarray(some)[:counting])
        labels.append(np.asarray(classes)[:counting])
        found += counting
        if found >= count:
            break
    return Split(np.concatenate(images)[:count], np.concatenate(labels)[:count].astype(np.int32))
