"""Data sets by name, whole in memory or mapped from a file.

`digits`, `digits:distorted` and `clothes` are embedded; `tfds:NAME` is any set for image
classification that tensorflow-datasets has prepared in the ArrayRecord format. The first call
decodes it, later calls map the cache.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ablax.data import tfds as tfds_folder
from ablax.data.clothes import CLOTHES, load_clothes
from ablax.data.digits import DISTORTED, load_digits
from ablax.data.images import ChannelStatistics, DataError, ImageSet, Split
from ablax.data.tfds import as_array, center, decode
from ablax.errors import nearest, refuse_beyond_memory
from ablax.files import default_root, sealed, unsealed

try:
    import fcntl
except ImportError:  # Windows: processes may decode twice, yet none sees half a cache
    fcntl = None  # type: ignore[assignment]

Progress = Callable[[int, int], None]
"""Called with the number of pictures decoded and the number of all."""

EMBEDDED: Mapping[str, Callable[[], ImageSet]] = {
    "digits": load_digits,
    DISTORTED: functools.partial(load_digits, distorted=True),
    CLOTHES: load_clothes,
}
"""The sources that need no files, and what loads them."""
_CHUNK = 500


def load(
    source: str,
    *,
    folder: Path | None = None,
    cache: Path | None = None,
    image_size: int | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """The data set of this name; pictures of a `tfds:` set are mapped from the cache, read-only.

    Args:
        source: `digits`, `digits:distorted`, `clothes`, or `tfds:NAME`, `tfds:NAME/config`,
            `tfds:NAME/config:1.0.0`.
        folder: The prepared sets; by default TFDS_DATA_DIR, else `./data` if it holds the set,
            else `~/tensorflow_datasets`.
        cache: Where decoded sets are kept; by default ABLAX_CACHE, else `~/.cache/ablax`.
        image_size: Pixels along each side: the shorter side is scaled to it, then the middle is
            cut out. By default pictures keep their size, which must be the same for all.
        progress: Told how far decoding is. It is not called when the cache is used.

    Raises:
        DataError: The set is unknown, missing, unprepared, damaged or not for classification.

    Example:
        >>> load("digits").image_shape
        (32, 32, 1)
    """
    if image_size is not None and image_size < 1:
        raise DataError(f"image_size is {image_size}; expected at least 1 pixel")
    if source in EMBEDDED:
        return _resized(EMBEDDED[source](), image_size)
    address = parse(source)
    prepared = tfds_folder.open_set(address, folder)
    _refuse_too_large(len(prepared.train) + len(prepared.test), image_size, prepared.channels)
    label = f"{image_size}" if image_size else "native"
    name = f"{prepared.name.replace('/', '-')}-{label}-{prepared.fingerprint()}"
    place = (default_root() if cache is None else Path(cache)) / name
    about = build_once(place, lambda new: _decode_into(new, prepared, image_size, progress))

    def split(part: str) -> Split:
        images = np.load(place / f"{part}_images.npy", mmap_mode="r")
        return Split(images, np.load(place / f"{part}_labels.npy"))

    return ImageSet(
        name=about["name"],
        train=split("train"),
        test=split("test"),
        classes=tuple(about["classes"]),
        mean=tuple(about["mean"]),
        std=tuple(about["std"]),
    )


@dataclass(frozen=True)
class EvaluationImages:
    """The test split of a set, in its own order: `read` gives pictures and labels by number."""

    name: str
    classes: tuple[str, ...]
    count: int
    read: Callable[[range], list[tuple[Image.Image, int]]]

    def check(self, network: str, classes: int) -> None:
        """Refuse a network that tells another number of classes apart."""
        if len(self.classes) != classes:
            raise DataError(
                f"{self.name} has {len(self.classes)} classes and the weights of {network} "
                f"tell {classes} apart: give the data they were trained on"
            )

    def prepared(
        self, prepare: Callable[[Image.Image], np.ndarray], count: int
    ) -> Iterator[tuple[np.ndarray, int]]:
        """The first `count` images as the network wants them, and their labels."""
        with ThreadPoolExecutor() as threads:
            for start in range(0, count, 100):
                pictures, labels = zip(
                    *self.read(range(start, min(start + 100, count))), strict=True
                )
                yield from zip(threads.map(prepare, pictures), labels, strict=True)


def open_test_images(source: str, folder: Path | None) -> EvaluationImages:
    """The test images of a set, named and refused as in `load`, each as it was drawn or kept."""
    if source in EMBEDDED:
        held = EMBEDDED[source]()

        def drawn(places: range) -> list[tuple[Image.Image, int]]:
            levels, labels = held.test.images[places, ..., 0], held.test.labels[places].tolist()
            return [(Image.fromarray(each), k) for each, k in zip(levels, labels, strict=True)]

        return EvaluationImages(held.name, held.classes, len(held.test), drawn)
    prepared = tfds_folder.open_set(parse(source), folder)

    def decoded(places: range) -> list[tuple[Image.Image, int]]:
        whose = (f"picture {place} of {prepared.test.name}" for place in places)
        read = zip(prepared.test.read(places), whose, strict=True)
        return [(decode(data, prepared.channels, of), label) for (data, label), of in read]

    return EvaluationImages(prepared.name, prepared.classes, len(prepared.test), decoded)


def parse(source: str) -> tfds_folder.Address:
    """The address of a tensorflow-datasets source; a DataError where no source has such a name."""
    if source.startswith("tfds:"):
        return tfds_folder.parse(source)
    hint = nearest(source, EMBEDDED)
    if not hint.startswith("did you mean"):
        hint = f"did you mean 'tfds:{source}'?" if source.replace("_", "").isalnum() else ""
    raise DataError(
        f"{source!r} is no data set: expected 'digits', 'clothes' or 'tfds:NAME'; {hint}".rstrip(
            "; "
        )
    )


def _refuse_too_large(count: int, size: int | None, channels: int) -> None:
    if size is not None:
        what = f"{count:,} images of {size}x{size}x{channels}"
        refuse_beyond_memory(count * size * size * channels, what, "--data.image-size")


def _resized(images: ImageSet, size: int | None) -> ImageSet:
    if size is None or images.image_shape[:2] == (size, size):
        return images
    count = len(images.folds) * (len(images.train) + len(images.test))
    _refuse_too_large(count, size, images.image_shape[2])

    def resize(split: Split) -> Split:
        pictures = [center(Image.fromarray(each[..., 0]), size) for each in split.images]
        return Split(np.stack([as_array(each) for each in pictures]), split.labels)

    train, test = resize(images.train), resize(images.test)
    statistics = ChannelStatistics.of(train.images)
    others = tuple(_resized(other, size) for other in images.others)
    mean, std = statistics.mean, statistics.std
    return replace(images, train=train, test=test, mean=mean, std=std, others=others)


def _decode_into(
    place: Path,
    prepared: tfds_folder.PreparedSet,
    image_size: int | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Write both splits as `.npy` files and return what the manifest says about them."""
    statistics = ChannelStatistics(prepared.channels)
    total, done = len(prepared.train) + len(prepared.test), 0
    shape: tuple[int, ...] | None = None
    for part, records in (("train", prepared.train), ("test", prepared.test)):
        labels: list[int] = []
        # Written by and by, not mapped: a full disk is then an error and not a dead process.
        with (place / f"{part}_images.npy").open("wb") as file:
            for images, more in _decoded(records, prepared, image_size):
                if shape is None:
                    shape = images.shape[1:]
                if not labels:
                    about = {"descr": "|u1", "fortran_order": False}
                    about |= {"shape": (len(records), *shape)}
                    np.lib.format.write_array_header_1_0(file, about)
                if images.shape[1:] != shape:
                    raise _several_sizes(prepared.name, shape, images.shape[1:])
                file.write(images.tobytes())
                labels += more
                if part == "train":
                    statistics.add(images)
                done += len(more)
                if progress is not None:
                    progress(done, total)
        if wrong := [label for label in labels if not 0 <= label < len(prepared.classes)]:
            raise DataError(
                f"{len(wrong):,} of {len(labels):,} pictures in the {part} split of "
                f"{prepared.name} have no label of 0 to {len(prepared.classes) - 1} (the first is "
                f"{wrong[0]})"
            )
        np.save(place / f"{part}_labels.npy", np.asarray(labels, np.int32))
    return {
        "name": prepared.name,
        "classes": prepared.classes,
        "mean": statistics.mean,
        "std": statistics.std,
    }


def _decoded(
    records: tfds_folder.RecordSplit, prepared: tfds_folder.PreparedSet, image_size: int | None
) -> Iterator[tuple[UInt8[np.ndarray, "N H W C"], list[int]]]:
    def picture(record: tuple[bytes, int], number: int) -> UInt8[np.ndarray, "H W C"]:
        what = f"picture {number} of {records.name}"
        image = decode(record[0], prepared.channels, what)
        return as_array(image if image_size is None else center(image, image_size))

    with ThreadPoolExecutor() as threads:
        for start in range(0, len(records), _CHUNK):
            chunk = records.read(range(start, min(start + _CHUNK, len(records))))
            # Threads pay for photographs; for icons the handing over costs more than it saves.
            large = sum(len(data) for data, _ in chunk) > len(chunk) * 16_384
            numbers = range(start, start + len(chunk))
            pictures = list((threads.map if large else map)(picture, chunk, numbers))
            for each in pictures:
                if each.shape != pictures[0].shape:
                    raise _several_sizes(prepared.name, pictures[0].shape, each.shape)
            yield np.stack(pictures), [label for _, label in chunk]


def _several_sizes(name: str, one: tuple[int, ...], other: tuple[int, ...]) -> DataError:
    return DataError(
        f"{name} has pictures of several sizes ({one[0]} x {one[1]} and {other[0]} x {other[1]}): "
        "give the size to bring them to with --data.image-size"
    )


# A folder that is either whole or not there.
#
# Decoding tens of thousands of pictures takes a while, so it is done once. What is decoded goes to
# a temporary folder beside the final place, then a manifest with the size and checksum of every
# file, then one rename. A process that is killed leaves a temporary folder, never half a cache; a
# file that was cut or changed later does not match the manifest, and the folder is built again.

MANIFEST = "manifest.json"
_FORMAT = 2
_NO_ROOM = (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_log = logging.getLogger(__name__)


def build_once(place: Path, build: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """What `build` returned when it filled `place`; it is called only if `place` is not whole.

    It writes files into the folder it is given and returns what JSON can hold; what it raises
    passes through, unless it could not write there. Processes that ask for the same place wait for
    the first. A DataError says that the folder cannot be read or written.
    """
    place = place.absolute()
    with _in_words(place):
        # Before the lock, which is a file: a cache that many share may be read-only.
        if _flaw(place) is None:
            return _manifest(place)["about"]
        place.parent.mkdir(parents=True, exist_ok=True)
    with _alone(place):
        with _in_words(place):
            flaw = _flaw(place)
            if flaw is None:
                return _manifest(place)["about"]
            if place.exists():
                _log.warning("the cache %s is damaged (%s): decoding again", place, flaw)
            for left_over in place.parent.glob(f".{place.name}.new-*"):
                shutil.rmtree(left_over, ignore_errors=True)
            new = Path(tempfile.mkdtemp(prefix=f".{place.name}.new-", dir=place.parent))
        return _fill(place, new, build)


def _fill(place: Path, new: Path, build: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    try:
        with _in_words(place, only=new):
            about = dict(build(new))
        with _in_words(place):
            files = {path.name: _measure(path) for path in sorted(new.iterdir())}
            manifest = {"format": _FORMAT, "about": about, "files": files}
            # Read back: the first answer has the types of all later ones (lists, not tuples).
            text = sealed(manifest)
            (new / MANIFEST).write_text(text, "utf-8")
            new.chmod(0o755)
            if place.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{place.name}.new-", dir=place.parent))
                place.replace(old / "damaged")
                shutil.rmtree(old, ignore_errors=True)
            new.replace(place)
            return unsealed(text)["about"]
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


@contextlib.contextmanager
def _in_words(place: Path, only: Path | None = None) -> Iterator[None]:
    """Say what to do when the file system refuses; `only` what concerns the files in that folder.

    A write that finds no room names no file, and NumPy's has no number either.
    """
    try:
        yield
    except OSError as error:
        if only is not None:
            if error.filename is None or isinstance(error.filename, int):
                ours = error.errno in _NO_ROOM
            else:
                ours = Path(os.fsdecode(error.filename)).is_relative_to(only)
            if not ours:
                raise
        raise DataError(
            f"the cache {place} cannot be read or written ({error.strerror or error}): make room, "
            "or name another folder in the environment variable ABLAX_CACHE"
        ) from error


def _flaw(place: Path) -> str | None:
    """Why the folder is not whole, or None."""
    if not place.is_dir():
        return "there is none"
    try:
        manifest = _manifest(place)
        if manifest["format"] != _FORMAT:
            return f"written in format {manifest['format']}, this is {_FORMAT}"
        for name, expected in manifest["files"].items():
            if not (place / name).is_file():
                return f"{name} is missing"
            size = (place / name).stat().st_size
            if size != expected["bytes"]:
                return f"{name} has {size:,} bytes instead of {expected['bytes']:,}"
            if _measure(place / name) != expected:
                return f"{name} has another checksum"
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} cannot be read"
    return None


def _manifest(place: Path) -> dict[str, Any]:
    return unsealed((place / MANIFEST).read_bytes())


def _measure(path: Path) -> dict[str, int]:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            checksum = zlib.crc32(block, checksum)
    return {"bytes": path.stat().st_size, "crc32": checksum}


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the lock of this folder; the system lets go of it when the process dies."""
    with _in_words(place):
        lock = (place.parent / f".{place.name}.lock").open("a")
    with lock as file:
        if fcntl is not None:
            # Some network file systems have no locks: then two processes may both decode.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
