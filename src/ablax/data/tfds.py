"""Image-classification sets of tensorflow-datasets, read without TensorFlow."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ablax.data.images import DataError, read_picture
from ablax.errors import brief, listed, nearest, silenced

_ADDRESS = re.compile(
    r"tfds:(?P<name>\w+)(?:/(?P<config>[\w.\-]+))?(?::(?P<version>\d+\.\d+\.\d+))?"
)
_TEST_SPLITS = ("test", "validation")


@dataclass(frozen=True)
class Address:
    """`tfds:NAME`, `tfds:NAME:1.0.0`, `tfds:NAME/config` or `tfds:NAME/config:1.0.0`."""

    name: str
    config: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        config = f"/{self.config}" if self.config else ""
        return f"tfds:{self.name}{config}" + (f":{self.version}" if self.version else "")

    @property
    def advice(self) -> str:
        """How to get the set."""
        return (
            f"`make data DATA={self.name}` prepares it in ./data (needs a network), "
            "and --data.dir or TFDS_DATA_DIR names the folder where it is prepared already"
        )


def parse(source: str) -> Address:
    """The address written in `source`.

    Raises:
        DataError: It is not of that form.

    Example:
        >>> parse("tfds:cifar10:3.0.2")
        Address(name='cifar10', config=None, version='3.0.2')
    """
    match = _ADDRESS.fullmatch(source)
    if match is None:
        raise DataError(
            f"{source!r} is no data set of tensorflow-datasets: "
            "expected tfds:NAME, tfds:NAME/config or tfds:NAME/config:1.0.0"
        )
    return Address(**match.groupdict())


def data_folder(address: Address, folder: Path | None) -> Path:
    """Where to look: `folder`, else TFDS_DATA_DIR, else ./data, else ~/tensorflow_datasets.

    The last two only count if they hold the set; the last is named when nothing does.
    """
    if folder is not None:
        return Path(folder).expanduser()
    if given := os.environ.get("TFDS_DATA_DIR"):
        return Path(given).expanduser()
    here = Path("data")
    return here if (here / address.name).is_dir() else Path.home() / "tensorflow_datasets"


def locate(address: Address, folder: Path | None) -> Path:
    """The folder of one version of one set: the version asked for, else the newest."""
    root = data_folder(address, folder)
    if not root.is_dir():
        fault = "is no folder" if os.path.lexists(root) else "does not exist"
        raise DataError(f"{address} is looked for in {root}, which {fault}: {address.advice}")
    if not (root / address.name).is_dir():
        others = sorted(path.name for path in root.iterdir() if _versions_below(path))
        holds = f"it holds {listed(others, 10)}" if others else "it holds no prepared set"
        hint = nearest(address.name, others)
        hint = f" ({hint})" if hint.startswith("did you mean") else ""
        raise DataError(f"{address} is not in {root}; {holds}{hint}: {address.advice}")

    found = _versions_below(root / address.name)
    if not found:
        raise DataError(f"{root / address.name} holds no prepared version: {address.advice}")
    wanted = [
        path
        for path in found
        if (address.version in (None, path.name))
        and (address.config is None or _config(path, root / address.name) == address.config)
    ]
    configs = sorted({_config(path, root / address.name) or "" for path in wanted})
    if len(configs) == 1:
        return max(wanted, key=lambda path: tuple(map(int, path.name.split("."))))
    there = listed((str(path.relative_to(root)) for path in found), 10)
    if not wanted:
        raise DataError(f"{address} is not prepared; {root} holds {there}: {address.advice}")
    raise DataError(
        f"{address} has several configurations in {root} ({there}): "
        f"name one, for example tfds:{address.name}/{configs[0]}"
    )


def _versions_below(path: Path) -> list[Path]:
    found = [*path.glob("*/dataset_info.json"), *path.glob("*/*/dataset_info.json")]
    return sorted(file.parent for file in found if re.fullmatch(r"\d+\.\d+\.\d+", file.parent.name))


def _config(version: Path, root: Path) -> str | None:
    return version.parent.name if version.parent != root else None


class RecordSplit:
    """One split: the bytes of the picture and the label of any record, by its number.

    The name is for messages: `the train split of cifar10/3.0.2`. It can be pickled, so worker
    processes may hold it.
    """

    def __init__(self, records: Any, image_key: str, label_key: str, name: str) -> None:
        self._records, self._image_key, self._label_key = records, image_key, label_key
        self.name = name

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        return self.read([index])[0]

    def read(self, indices: Sequence[int]) -> list[tuple[bytes, int]]:
        """The records of these numbers, in this order; a DataError where the file is damaged."""
        try:
            found = self._records.__getitems__(list(indices))
            return [(each[self._image_key], int(each[self._label_key])) for each in found]
        except Exception as error:  # the reader raises whatever its format library raises
            raise DataError(
                f"records {indices[0]} to {indices[-1]} of {self.name} cannot be read "
                f"({brief(error)}): a file of it is damaged; delete its folder and prepare it again"
            ) from error


@dataclass(frozen=True)
class PreparedSet:
    """What the metadata of a prepared set says, and its two splits.

    The name has configuration and version; channels are 1 or 3; `test` are the records of `test`,
    or of `validation` where `test` is missing or has no labels.
    """

    name: str
    path: Path
    channels: int
    classes: tuple[str, ...]
    train: RecordSplit
    test: RecordSplit

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with the files of the set.

        Of the metadata every byte counts; of the record files name, size, beginning and end.
        """
        digest = hashlib.sha256()
        try:
            for path in sorted(filter(Path.is_file, self.path.iterdir())):
                size = path.stat().st_size
                digest.update(f"{path.name}:{size}:".encode())
                with path.open("rb") as file:
                    digest.update(file.read(1 << 16))
                    file.seek(max(size - (1 << 16), 0))
                    digest.update(file.read())
        except OSError as error:
            raise DataError(f"the data set cannot be read: {error}") from error
        return digest.hexdigest()[:12]


def open_set(address: Address, folder: Path | None) -> PreparedSet:
    """Read the metadata of a prepared set and open its splits.

    Raises:
        DataError: It is not there, or it is no set for image classification this package can read.
    """
    path = locate(address, folder)
    with silenced("absl", "tensorflow_datasets"):
        import tensorflow_datasets as tfds  # slow to import

        try:
            builder = tfds.builder_from_directory(str(path))
            info = builder.info
            features = dict(info.features)
        except Exception as error:  # whatever TFDS meets in a file it cannot read
            raise DataError(
                f"the metadata in {path} cannot be read ({brief(error)}): {address.advice}"
            ) from error
        if info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
            raise DataError(
                f"{path} is prepared in the format {info.file_format.value}, which only TensorFlow "
                f"reads; expected array_record: delete it, then {address.advice}"
            )
        image_key, label_key = _keys(info, tfds, address)
        image = features[image_key]
        if image.np_dtype != "uint8" or image.shape[-1] not in (1, 3):
            raise DataError(
                f"the pictures of {address} have type {image.np_dtype} and {image.shape[-1]} "
                "channels; expected uint8 with 1 or 3"
            )

        def split(name: str) -> RecordSplit:
            for shard in map(Path, info.splits[name].filepaths):
                if not shard.is_file():
                    raise DataError(f"{shard} is missing: the set is incomplete; {address.advice}")
            called = f"the {name} split of {info.full_name}"
            if info.splits[name].num_examples < 1:
                return RecordSplit([], image_key, label_key, called)
            decoders = {image_key: tfds.decode.SkipDecoding()}
            records = builder.as_data_source(split=name, decoders=decoders)
            found = RecordSplit(records, image_key, label_key, called)
            found.read([0, len(found) - 1])  # fewer than the metadata say are missed here
            return found

        classes = features[label_key].names
        if len(classes) < 2:
            raise DataError(
                f"{address} has {len(classes)} class{'es' * (len(classes) != 1)}, and at least 2 "
                "are expected: give another set"
            )

        train, test = _train_and_test(address, list(info.splits), split)
        return PreparedSet(
            name=info.full_name,
            path=path,
            channels=image.shape[-1],
            classes=tuple(classes),
            train=train,
            test=test,
        )


def _train_and_test(
    address: Address, names: list[str], split: Any
) -> tuple[RecordSplit, RecordSplit]:
    tests = [name for name in _TEST_SPLITS if name in names]
    if "train" not in names or not tests:
        raise DataError(
            f"{address} has the splits {', '.join(names) or 'none'}; "
            "expected train, and test or validation"
        )
    train = split("train")
    for test in map(split, tests):
        # Sets of a contest publish a test split without labels: -1.
        if len(test) and test[0][1] >= 0:
            if not len(train) or train[0][1] < 0:
                raise DataError(f"the training split of {address} has no labeled pictures")
            return train, test
    raise DataError(f"{address} has no labels in {' or '.join(tests)}: nothing can be tested")


def _keys(info: Any, tfds: Any, address: Address) -> tuple[str, str]:
    """The names of the picture and of its label."""
    kinds = {"picture": tfds.features.Image, "label": tfds.features.ClassLabel}
    supervised = info.supervised_keys or ()
    chosen = []
    for kind, feature in kinds.items():
        # Exactly this class: a segmentation mask, say, is a subclass of Image.
        names = [name for name, each in dict(info.features).items() if type(each) is feature]
        if len(names) > 1:
            names = [name for name in names if name in supervised] or names
        if len(names) != 1:
            listed = ", ".join(f"{n} ({type(f).__name__})" for n, f in dict(info.features).items())
            raise DataError(
                f"{address} is no set for image classification: expected one {kind} "
                f"({feature.__name__}), found {len(names)} among {listed}"
            )
        chosen += names
    return chosen[0], chosen[1]


_MODES = {1: "L", 3: "RGB"}


def decode(data: bytes, channels: int, what: str = "a picture") -> Image.Image:
    """The picture in these bytes (`read_picture`), as gray (1 channel) or RGB (3).

    A DataError where there is none, which says of `what`.
    """
    try:
        return read_picture(data).convert(_MODES[channels])
    except ValueError as error:
        raise DataError(
            f"{what}, of {len(data)} bytes, cannot be read ({error}): the data set is damaged; "
            "prepare it again with `make data`"
        ) from error


def as_array(picture: Image.Image) -> UInt8[np.ndarray, "H W C"]:
    """Levels 0 to 255, with an axis for the channels even if there is one."""
    pixels = np.asarray(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def center(picture: Image.Image, size: int, shorter: int | None = None) -> Image.Image:
    """The middle `size` x `size` of the picture, once its shorter side is made `shorter` long.

    By default nothing of the shorter side is lost: it is made `size` long.
    """
    shorter = size if shorter is None else shorter
    width, height = picture.size
    ratio = shorter / min(width, height)
    if ratio != 1:
        width, height = round(width * ratio), round(height * ratio)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return picture.crop((left, top, left + size, top + size))


def random_crop(picture: Image.Image, size: int, random: np.random.Generator) -> Image.Image:
    """A random part of the picture, of random area and aspect, made `size` x `size`.

    The area is 8 to 100 % of the picture, the aspect 3/4 to 4/3 (uniform in its logarithm). A draw
    that does not fit is sampled again; after ten, the largest middle square is taken.

    References:
        C. Szegedy et al., 2015. Going Deeper with Convolutions, section 6.
    """
    width, height = picture.size
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1.0)
        aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left = int(random.integers(0, width - w + 1))
            top = int(random.integers(0, height - h + 1))
            break
    else:
        w = h = min(width, height)
        left, top = (width - w) // 2, (height - h) // 2
    box = (left, top, left + w, top + h)
    return picture.resize((size, size), Image.Resampling.BILINEAR, box=box)
