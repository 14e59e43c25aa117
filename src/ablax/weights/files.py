"""Files of weights as arrays by name. Nothing in them is run, and nothing is read before it fits.

A file is opened first: what it says of its tensors, names, shapes and types, is compared with the
file's own size, and a `Stored` stands for each. Only those that a network asks for are read, so
that a file becomes no larger than the network, whatever it claims.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import mmap
import pickletools
import re
import sys
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, cast

import ml_dtypes
import numpy as np

from ablax.errors import AblaxError, WeightsError, nearest

_HASHED = re.compile(r".*-([0-9a-f]{8,64})\.(?:pth|pt|bin|safetensors)")
_LEGACY = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""The number that `torch.save` before 1.6 began with, as a pickle has it."""
_STRAYS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file: `git lfs pull` fetches it",
    b"<!doctype": "is a web page, not the file: use the page's link that downloads the file",
    b"<html": "is a web page, not the file: use the page's link that downloads the file",
    b"\x1f\x8b": "is compressed by gzip: unpack it first (gunzip)",
    b'{"': "is JSON, perhaps the list of several files: give the file of weights itself",
}
_MOST_HEADER = 2**24
"""Bytes of a list of tensors; 100 of them are enough for one."""
MOST_TENSORS = 100_000
"""In one file; the largest network of the zoo has 7,000, and an optimizer keeps two for each."""


@dataclass(frozen=True)
class Stored:
    """A tensor of a file that is still to be read.

    Attributes:
        shape: Sizes, in PyTorch's order of axes.
        dtype: Of its numbers.
        read: Gives them; what it allocates is the tensor and no more than its part of the file.
        flaw: Why they cannot be used, in words; empty where they can.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]
    flaw: str = ""


class WeightsFile(NamedTuple):
    """A file of weights that is open.

    Attributes:
        path: Where it is.
        form: `torch` (safetensors too), `caffe` or `keras`.
        nests: Its tensors by name, under the key that leads to them: `""`, or as in a checkpoint of
            a training `state_dict`, `ema.model`.
        skipped: What it calls that was not run.
    """

    path: Path
    form: str
    nests: Mapping[str, Mapping[str, Stored]]
    skipped: tuple[str, ...] = ()


def short(name: object) -> str:
    r"""A stranger's name as a message shows it: on one line, and not long.

    Example:
        >>> short("conv1.weight"), short("two\nlines"), short("a" * 1000)[-6:]
        ('conv1.weight', "'two\\nlines'", 'aaa...')
    """
    text = name if isinstance(name, str) else type(name).__name__
    text = text if text.isprintable() else ascii(text[:80])
    return text if len(text) <= 80 else f"{text[:77]}..."


@contextlib.contextmanager
def open_file(path: Path, published: Collection[str] = ()) -> Iterator[WeightsFile]:
    """The file, of which tensors can be read while the context lasts.

    What a file is, is read from its bytes: first from what fixes many of them, last from what few
    could be by chance; the suffix says only whether bytes that could be anything are Caffe's. Where
    its name ends in the start of a SHA-256, as PyTorch's do, the two are compared; digits alone
    may be a date, unless the name is one of those `published`.

    Raises:
        WeightsError: There is no such file; it is damaged, or of no known form; it needs code.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {path}: give the path of a file of weights")
    with path.open("rb") as file:
        head = file.read(32)
    size = path.stat().st_size
    if not size:
        raise WeightsError(f"{path} is empty: download it again")
    _check_hash(path, published)
    with contextlib.ExitStack() as stack:
        yield _opened(path, head, size, stack)


def _opened(path: Path, head: bytes, size: int, stack: contextlib.ExitStack) -> WeightsFile:
    header = int.from_bytes(head[:8], "little")
    braced = head[8:9] == b"{"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return WeightsFile(path, "keras", {"": _keras(path, stack)})
    if _LEGACY in head:
        return _torch(path, _read_row, stack)
    if braced and header <= size - 8:
        return WeightsFile(path, "torch", {"": _safetensors(path, header, stack)})
    if head[:4] == b"PK\x03\x04":
        listed = _directory(path, size)
        if listed is None:
            raise WeightsError(
                f"{path} is cut off: it begins as a file of PyTorch's, and its end, the list of "
                "what is in it, is missing. Download it again, or take another copy"
            )
        if listed > _MOST_HEADER // 2:
            raise WeightsError(
                f"{path} lists its records in {listed:,} bytes: no weights need that"
            )
        return _torch(path, _read_archive, stack)
    if braced:
        raise WeightsError(
            f"{path} cannot be read as safetensors: its header claims {header:,} bytes, and the "
            f"file has {size:,}; it is cut off or damaged: download it again"
        )
    if head[:1] == b"\x80":
        return _torch(path, _read_row, stack)
    if path.suffix == ".caffemodel":
        return WeightsFile(path, "caffe", {"": _caffe(path)})
    for start, what in _STRAYS.items():
        if head.lstrip().lower().startswith(start):
            raise WeightsError(f"{path} {what}")
    raise WeightsError(
        f"{path} is no file of weights that ablax knows: expected PyTorch's .pth, .safetensors, "
        "Caffe's .caffemodel or Keras' .h5"
    )


def read_weights(path: Path, key: str | None = None) -> tuple[str, dict[str, np.ndarray]]:
    """The form of the file, `torch`, `caffe` or `keras`, and its tensors by name.

    All have PyTorch's order of axes. Of a training's checkpoint those under `key`, by default the
    outermost.

    Raises:
        WeightsError: There is no such file; it is damaged, or of no known form; it needs code.
    """
    with open_file(path) as file:
        nest = next(iter(file.nests.values())) if key is None else nest_of(file, key)
        for name, tensor in nest.items():
            if tensor.flaw:
                raise WeightsError(f"{path}: {short(name)} {tensor.flaw}")
        return file.form, read_all(nest, path)


def nest_of(file: WeightsFile, key: str) -> Mapping[str, Stored]:
    """The tensors under a key of the file, which a WeightsError names where there are none."""
    if key not in file.nests:
        keys = [short(each) for each in file.nests if each]
        known = nearest(key, keys) if keys else "its tensors are under none; leave it out"
        raise WeightsError(f"--key {key}: {file.path} has no tensors there: {known}")
    return file.nests[key]


def read_all(tensors: Mapping[str, Stored], path: Path) -> dict[str, np.ndarray]:
    """The tensors' numbers, whose shapes were looked at before.

    Raises:
        WeightsError: The file is damaged there.
    """
    found = {}
    for name, tensor in tensors.items():
        try:
            found[name] = tensor.read()
        except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
            raise WeightsError(
                f"{path} is damaged at {short(name)} ({error}): download it again"
            ) from error
    return found


def _safetensors(path: Path, header: int, stack: contextlib.ExitStack) -> dict[str, Stored]:
    from safetensors import SafetensorError, safe_open

    if header > _MOST_HEADER:
        raise WeightsError(f"{path} has a header of {header:,} bytes: no weights need that")
    try:
        file = stack.enter_context(safe_open(path, framework="numpy"))
        return {name: _of_safetensors(file, name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} cannot be read as safetensors ({error}): download it again"
        ) from error


_SAFE_DTYPES: dict[str, Any] = {
    **{"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16},
    **{"I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8},
    "BOOL": np.bool_,
}


def _of_safetensors(file: Any, name: str) -> Stored:
    about = file.get_slice(name)
    kind, shape = about.get_dtype(), tuple(about.get_shape())
    dtype = np.dtype(_SAFE_DTYPES.get(kind, np.void))
    flaw = "" if kind in _SAFE_DTYPES else f"has numbers of type {kind}, which ablax does not read"
    return Stored(shape, dtype, lambda: cast(np.ndarray, file.get_tensor(name)), flaw)


def _check_hash(path: Path, published: Collection[str]) -> None:
    named = _HASHED.fullmatch(path.name)
    if named is None or (named[1].isdecimal() and path.name not in published):
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(named[1]):
        raise WeightsError(
            f"{path} is damaged, or not what it is called: its SHA-256 begins with "
            f"{digest[: len(named[1])]} and its name says {named[1]}. Download it again; where the "
            "name means something else, rename it"
        )


# Caffe's files of weights, `.caffemodel`: protocol buffers, read without Caffe.
#
# Layout, which is PyTorch's too: a convolution is (features, channels of a group, height, width), a
# dense layer (outputs, inputs) with the maps laid out channel by channel. Caffe's `BatchNorm` keeps
# sums of means and variances and the number they have to be divided by; the learned scale and bias
# stand in a `Scale` layer behind it, and are put under the name of the `BatchNorm` here.
#
# A message is a row of fields, each a number, a kind and a value; the numbers are those of
# caffe.proto. Blobs stay where they are in the file until they are asked for.

_MOST_FIELDS = 200_000
_LAYER = {"name": 1, "type": 2, "bottom": 3, "top": 4, "blobs": 7}
_LAYER_OF_2013 = {"name": 4, "type": 5, "bottom": 2, "top": 3, "blobs": 6}
_LAYERS = {100: _LAYER, 2: _LAYER_OF_2013}
"""The layers' fields by the number under which a net has the layers."""

Fields = dict[int, list[Any]]


def _caffe(path: Path) -> dict[str, Stored]:
    """The blobs of a `.caffemodel` as tensors named like PyTorch's: `conv1.weight`, `conv1.bias`.

    The first version of the format (2013) is read too. A `BatchNorm` has `running_mean` and
    `running_var`, divided by their factor, with the `weight` and `bias` of the `Scale` behind it.
    """
    tensors: dict[str, Stored] = {}
    normalized: dict[str, str] = {}  # what a BatchNorm gives -> its name
    left = [_MOST_FIELDS]
    try:
        with path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        for number, message in _fields(data, left):
            if number in _LAYERS and isinstance(message, memoryview):
                tensors |= _layer(_grouped(message, left), _LAYERS[number], normalized, left)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as a file of Caffe's: {error}") from error
    if not tensors:
        raise WeightsError(f"{path} holds no weights of Caffe's")
    return tensors


def _fields(data: memoryview, left: list[int]) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message; `left` counts down for the whole file."""
    place = 0
    while place < len(data):
        left[0] -= 1
        if left[0] < 0:
            raise ValueError(f"it has more than {_MOST_FIELDS:,} fields")
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield tag >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, place = _varint(data, place)
        if size is None or size > len(data) - place:
            raise ValueError(f"a field of kind {kind} and size {size} stands at byte {place}")
        yield tag >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    raise ValueError(f"a number does not end at byte {place}")


def _grouped(data: Any, left: list[int]) -> Fields:
    if not isinstance(data, memoryview):
        raise ValueError("a number stands where a message should")  # noqa: TRY004
    found: Fields = {}
    for number, value in _fields(data, left):
        found.setdefault(number, []).append(value)
    return found


def _layer(
    layer: Fields, numbers: Mapping[str, int], normalized: dict[str, str], left: list[int]
) -> dict[str, Stored]:
    def texts(field: str) -> list[str]:
        values = layer.get(numbers[field], [])
        return [bytes(v).decode("utf-8", "replace") for v in values if isinstance(v, memoryview)]

    name, kind = (texts("name") or [""])[-1], (texts("type") or [""])[-1]
    try:
        blobs = [_blob(_grouped(each, left)) for each in layer.get(numbers["blobs"], [])]
        if kind == "BatchNorm" and blobs:
            mean, var, factor = _normalization(blobs)
            normalized.update(dict.fromkeys(texts("top")[:1], name))
            mean, var = _divided(mean, factor), _divided(var, factor)
            return {f"{name}.running_mean": mean, f"{name}.running_var": var}
    except ValueError as error:
        raise ValueError(f"it is damaged at layer {short(name)!r}: {error}") from error
    if kind == "Scale" and texts("bottom"):
        name = normalized.pop(texts("bottom")[0], name)
    flat = [blob if index == 0 else _divided(blob, 1.0) for index, blob in enumerate(blobs)]
    return {f"{name}.{kind}": blob for kind, blob in zip(("weight", "bias"), flat, strict=False)}


def _normalization(blobs: list[Stored]) -> tuple[Stored, Stored, float]:
    if len(blobs) < 3 or not math.prod(blobs[2].shape):
        raise ValueError("a BatchNorm needs means, variances and their factor")
    return blobs[0], blobs[1], float(blobs[2].read().ravel()[0])


def _divided(blob: Stored, factor: float) -> Stored:
    """The blob as a vector, divided by a factor that is not 0."""
    shape = (math.prod(blob.shape),)
    return Stored(shape, blob.dtype, lambda: blob.read().ravel() / np.float32(factor or 1.0))


def _blob(blob: Fields) -> Stored:
    """The blob in its shape; the old format has four axes for everything."""
    floats, doubles = blob.get(5, []), blob.get(8, [])
    dtype, parts = (np.dtype("<f4"), floats) if floats else (np.dtype("<f8"), doubles)
    if any(not isinstance(part, memoryview) or len(part) % dtype.itemsize for part in parts):
        raise ValueError("a blob has a part of a number")
    if 7 in blob:
        dims = [dim for each in blob[7] for dim in _dims(each)]
    else:
        axes = [(blob.get(number) or [0])[-1] for number in (1, 2, 3, 4)]
        dims = axes[2:] if axes[:2] == [1, 1] and axes[2] != 1 else axes
    count = sum(map(len, parts)) // dtype.itemsize
    if not all(isinstance(dim, int) and dim < 2**63 for dim in dims) or len(dims) > 32:
        raise ValueError("a blob's shape is none: negative sizes, or too many")
    if math.prod(dims) != count:
        raise ValueError(f"a blob of shape {tuple(dims)} holds {count:,} numbers")

    def read() -> np.ndarray:
        numbers = np.concatenate([np.frombuffer(part, dtype) for part in parts or [b""]])
        return numbers.astype(np.float32, copy=False).reshape(dims)

    return Stored(tuple(dims), np.dtype(np.float32), read)


def _dims(shape: Any) -> list[int]:
    """The sizes in a `BlobShape`: field 1, each by itself or all in a row."""
    found: list[int] = []
    for dim in _grouped(shape, [64]).get(1, []):
        if isinstance(dim, int):
            found.append(dim)
            continue
        place = 0
        while place < len(dim) and len(found) <= 32:
            size, place = _varint(dim, place)
            found.append(size)
    return found


# Keras' files of weights, `.h5`: HDF5, read without Keras.
#
# Layout: a convolution is (height, width, channels, features), a depthwise one (height, width,
# channels, multiplier), a dense layer (inputs, outputs). They are given back in PyTorch's order of
# axes, so that all weights of others go the same way from there.

_LEAVES = {
    "kernel": "weight",
    "depthwise_kernel": "depthwise.weight",
    "pointwise_kernel": "pointwise.weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _keras(path: Path, stack: contextlib.ExitStack) -> dict[str, Stored]:
    """The weights of an `.h5` file by layer and PyTorch's leaf: `conv1.weight`, `fc.bias`.

    The format is that of Keras 1 and 2 and of `model.save("....h5")` in Keras 3, in which the files
    of `keras.applications` are published; `.keras` and `.weights.h5` of Keras 3 are others.

    A `SeparableConv2D` has `layer.depthwise.weight` and `layer.pointwise.weight`.
    """
    import h5py

    try:
        file = stack.enter_context(h5py.File(path, "r"))
        place = _child(file, "model_weights") if "model_weights" in file else file
        if "layer_names" not in place.attrs:
            raise WeightsError(
                f"{path} has no list of layers: expected the format of keras.applications; "
                'in Keras 3, model.save("FILE.h5") writes it'
            )
        return _layers_of_keras(place, path.stat().st_size)
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} cannot be read as a file of Keras': {error}") from error


def _layers_of_keras(place: Any, size: int) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    for layer_name in _texts(place, "layer_names", size):
        layer = _child(place, layer_name)
        names = _texts(layer, "weight_names", size)
        # A depthwise layer of its own has no pointwise kernel beside it.
        separable = any("pointwise_kernel" in name for name in names)
        for name in names:
            leaf = name.rsplit("/", 1)[-1].split(":")[0]
            if leaf not in _LEAVES:
                raise ValueError(
                    f"layer {short(layer_name)!r} has a weight {short(leaf)!r}, which is unknown"
                )
            kind = _LEAVES[leaf] if separable else _LEAVES[leaf].removeprefix("depthwise.")
            if f"{layer_name}.{kind}" in found or len(found) >= MOST_TENSORS:
                raise ValueError(f"layer {short(layer_name)!r} has its {kind} twice")
            found[f"{layer_name}.{kind}"] = _dataset(_child(layer, name), leaf)
    return found


def _child(group: Any, path: str) -> Any:
    """What stands there in the file itself: links that may lead into other files are not taken."""
    import h5py

    for name in path.split("/"):
        if not isinstance(group, h5py.Group):
            raise ValueError(f"there is no {short(path)!r}")  # noqa: TRY004
        link = group.get(name, getlink=True) if name else h5py.HardLink()
        if link is None:
            raise ValueError(f"there is no {short(path)!r}")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(  # noqa: TRY004
                f"{short(path)!r} is a link to somewhere else, which is not followed"
            )
        group = group[name] if name else group
    return group


def _texts(place: Any, key: str, size: int) -> list[str]:
    """A list of names among the attributes."""
    about = place.attrs.get_id(key) if key in place.attrs else None
    if about is not None and about.shape == (0,):  # of any type: a layer without weights
        return []
    # Text of variable length may stand in the file once and be named often.
    if about is None or len(about.shape or ()) != 1 or about.dtype.kind not in "SO":
        raise ValueError(f"{key} is no list of names")
    if about.dtype.kind == "O" and about.shape[0] * size > 2**28:
        raise ValueError(f"{key} is a list of names of variable length; write them as bytes")
    names = [each.decode() if isinstance(each, bytes) else each for each in place.attrs[key]]
    if not all(isinstance(each, str) for each in names):
        raise ValueError(f"{key} is no list of names")
    return names


def _dataset(dataset: Any, leaf: str) -> Stored:
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"{short(dataset.name)!r} holds no numbers of its own")
    shape, dtype, flaw = dataset.shape, dataset.dtype, ""
    if shape is None:
        return Stored((), dtype, lambda: np.zeros(()), "has no shape")
    size, there = math.prod(shape) * dtype.itemsize, dataset.id.get_storage_size()
    if dtype.kind in "fiub" and dtype.itemsize <= 8:
        dtype = dtype.newbyteorder("=")
    else:
        flaw = f"has numbers of type {dtype}, which ablax does not read"
    if size and not there:
        flaw = "was never written"
    elif size > 16 * there + 2**20:
        flaw = f"would be {size:,} bytes, of which the file has {there:,}: no weights shrink so far"
    if math.prod(dataset.chunks or (0,)) * dtype.itemsize > 4 * size + 2**20:
        flaw = "is stored in pieces larger than itself"
    return Stored(_turned_shape(shape, leaf), dtype, lambda: _turned(dataset[()], leaf), flaw)


_TURNS: dict[int, tuple[int, ...]] = {4: (3, 2, 0, 1), 2: (1, 0)}


def _turned_shape(shape: tuple[int, ...], leaf: str) -> tuple[int, ...]:
    if _is_depthwise(shape, leaf):
        return (shape[2] * shape[3], 1, *shape[:2])
    return tuple(shape[axis] for axis in _TURNS.get(len(shape), range(len(shape))))


def _turned(array: np.ndarray, leaf: str) -> np.ndarray:
    """The array in PyTorch's order of axes."""
    if _is_depthwise(array.shape, leaf):
        return array.transpose(2, 3, 0, 1).reshape(_turned_shape(array.shape, leaf))
    return array.transpose(_TURNS.get(array.ndim, range(array.ndim)))


def _is_depthwise(shape: tuple[int, ...], leaf: str) -> bool:
    # Keras 3 calls it `kernel` too: one feature from many channels is a window for each channel.
    one = len(shape) == 4 and shape[3] == 1 < shape[2]
    return len(shape) == 4 and (leaf == "depthwise_kernel" or (leaf == "kernel" and one))


# Read a pickle as data: its instructions are interpreted here, and none of them can run code.
#
# A pickle is a program for a small stack machine, two of whose instructions look up any name in any
# module and call it. `pickletools` of the standard library takes the program apart without running
# it; the code here carries out the instructions that build data, and for a call consults a table of
# known names. Whatever is not in the table is refused by its name, or stands for itself as an
# `Inert` value. What the program may become is counted as it grows: a few bytes can name much.

Calls = Mapping[str, Callable[..., Any]]
"""From `module.name` to what a call of it means."""

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
# A set is read as a list: its members need not be told apart.
_EMPTY: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": list}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_MOST_LINE = 2**16
"""Bytes of a number or a name that is written as text."""
_MOST_PICKLED = 2**26
"""Bytes that a pickle may have, and its values take: one tensor is about two thousand."""


class CodeError(AblaxError):
    """The pickle calls a function, and running it would run a stranger's code."""


@dataclass(frozen=True)
class Name:
    """A name that a pickle mentions, `collections.OrderedDict`; it is not looked up."""

    path: str


class Inert(dict[Any, Any]):
    """What a call that was not carried out stands for; its items are those that it was given."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path


def read_pickle(
    file: BufferedIOBase,
    calls: Calls,
    persistent: Callable[[Any], Any],
    skipped: list[str] | None = None,
) -> Any:
    """The value that the next pickle of the file describes; the file is left behind its end.

    It may call the names in `calls`; one that is mentioned and not called stays a `Name`.
    `persistent` gives what a persistent identifier stands for. Where there is a list of what is
    `skipped`, other calls are put there and give `Inert` values. Sets are given as lists.

    Raises:
        CodeError: It calls another name, or makes an object of a class.
        ValueError: It is no pickle, is damaged, or would become too large.

    Example:
        >>> import io, os, pickle
        >>> read_pickle(io.BytesIO(pickle.dumps({"a": (1, 2.5)})), {}, lambda key: key)
        {'a': (1, 2.5)}
        >>> class Harm:
        ...     def __reduce__(self):
        ...         return os.system, ("echo harm",)
        >>> read_pickle(io.BytesIO(pickle.dumps(Harm())), {}, lambda key: key)
        Traceback (most recent call last):
        ablax.weights.files.CodeError: it calls posix.system
    """
    machine = _Machine(calls, persistent, skipped)
    try:
        for opcode, argument, _ in pickletools.genops(cast("IO[bytes]", _Bounded(file))):
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except (IndexError, KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        reason = short(str(error).partition("; use sys.")[0])
        raise ValueError(f"the pickle in it is damaged ({reason})") from error
    raise ValueError("the pickle in it has no end")


class _Bounded:
    """A file of which no more is read, nor asked for, than a pickle may have."""

    def __init__(self, file: BufferedIOBase) -> None:
        self.file, self.left = file, _MOST_PICKLED

    def read(self, count: int) -> bytes:
        part = self.file.read(min(count, self.left))
        self.left -= len(part)
        return part

    def readline(self) -> bytes:
        part = self.file.readline(min(self.left, _MOST_LINE))
        self.left -= len(part)
        return part


@dataclass
class _Machine:
    """The stack, the memory, and what calls mean."""

    calls: Calls
    persistent: Callable[[Any], Any]
    skipped: list[str] | None
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)
    size: int = 0

    def top(self) -> Any:
        if not self.stack or (self.marks and self.marks[-1] == len(self.stack)):
            raise ValueError("a value is missing")
        return self.stack[-1]

    def pop(self) -> Any:
        self.top()
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def count(self, size: int) -> None:
        self.size += size
        if self.size > _MOST_PICKLED:
            raise ValueError(f"its values take more than {_MOST_PICKLED:,} bytes of memory")

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction: it changes what is on top of the stack, or adds to it."""
        self.count(32)
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self.marks.append(len(self.stack))
            case "POP":
                self.pop()
            case "POP_MARK":
                self.pop_to_mark()
            case "APPEND":
                value = self.pop()
                self._extend([value])
            case "APPENDS" | "ADDITEMS":
                values = self.pop_to_mark()
                self._extend(values)
            case "SETITEM":
                value, key = self.pop(), self.pop()
                self._top(dict)[_key(key)] = value
            case "SETITEMS":
                values = self.pop_to_mark()
                self._top(dict).update(_pairs(values))
            case "BUILD":  # an object's attributes; only those of a dictionary may be dropped
                self.pop()
                self._top(dict)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memory[argument] = self.top()
            case "MEMOIZE":
                self.memory[len(self.memory)] = self.top()
            case "DUP":
                self.stack.append(self.top())
            case "GET" | "BINGET" | "LONG_BINGET":
                self.stack.append(self.memory[argument])
            case _:
                value = self._added(name, argument)
                self.count(sys.getsizeof(value))
                self.stack.append(value)

    def _added(self, name: str, argument: Any) -> Any:
        if name in _LITERALS:
            return argument
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name in _EMPTY:
            return _EMPTY[name]()
        if name in _TUPLES:
            return tuple([self.pop() for _ in range(_TUPLES[name])][::-1])
        match name:
            case "DICT":
                return dict(_pairs(self.pop_to_mark()))
            case "LIST":
                return self.pop_to_mark()
            case "TUPLE" | "FROZENSET":
                return tuple(self.pop_to_mark())
            case "GLOBAL":
                return Name(argument.replace(" ", "."))
            case "STACK_GLOBAL":
                last, module = self.pop(), self.pop()
                return Name(".".join((module, last)))
            case "BINPERSID":
                return self.persistent(self.pop())
            case "REDUCE" | "NEWOBJ":
                arguments, function = self.pop(), self.pop()
                return self._call(function, arguments)
        raise CodeError(f"it holds the instruction {name}, which no file of weights needs")

    def _extend(self, values: list[Any]) -> None:
        if not isinstance(self.top(), Inert):  # a list of another class: what is in it is dropped
            self._top(list).extend(values)

    def _top(self, kind: type) -> Any:
        if not isinstance(self.top(), kind):
            what = type(self.top()).__name__
            raise CodeError(f"it changes a {what} as if it were a {kind.__name__}")
        return self.top()

    def _call(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        path = function.path if isinstance(function, Name) else f"a {type(function).__name__}"
        if not isinstance(arguments, tuple):
            raise TypeError(f"{path} is called with no tuple of arguments")
        try:
            # A name among the arguments is passed as it is; only the table gives it a meaning.
            return (self.calls.get(path) or _uncalled(path))(*arguments)
        except CodeError as error:
            if self.skipped is None:
                raise
            called = str(error).removeprefix("it calls ")
            if called not in self.skipped and len(self.skipped) < 100:
                self.skipped.append(called)
            return Inert(path)


def _uncalled(path: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise CodeError(f"it calls {short(path)}")

    return refuse


def _key(key: Any) -> Any:
    """What a key may be: a nested one could take for ever to compare."""
    plain = (str, bytes, int, float, type(None), Name)
    parts = key if isinstance(key, tuple) and len(key) <= 16 else (key,)
    for part in parts:
        if not isinstance(part, plain) or (isinstance(part, int) and part.bit_length() > 64):
            raise ValueError(f"{type(part).__name__} is no key")
    return key


def _pairs(values: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(map(_key, values[::2]), values[1::2], strict=True)


# PyTorch's files of weights, `.pth` and `.pt`, read as data: nothing in them is run.
#
# Since version 1.6 `torch.save` writes an archive (zip) that holds a pickle and one file for each
# storage, a run of elements; before, all in one row. The pickle says which part of which storage is
# a tensor, and is read as above. Neither PyTorch nor `pickle` is needed.

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

_DTYPES: dict[str, Any] = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}

ByteOrder = Literal["<", ">"]


@dataclass(frozen=True)
class _Storage:
    """A run of elements in the file, `span` its bytes from one to another."""

    kind: str
    dtype: np.dtype
    count: int
    span: Callable[[int, int], bytes]


def _torch(path: Path, read: Callable[..., Any], stack: contextlib.ExitStack) -> WeightsFile:
    """The tensors of a file that `torch.save` of PyTorch 0.4 or later wrote, by their names.

    The file holds a `state_dict`, or a checkpoint of a training with one or more in it.
    """
    skipped: list[str] = []
    try:
        value = read(path, stack, skipped)
    except CodeError as error:
        raise _needs_code(path, error) from error
    except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as a file of PyTorch's: {error}") from error
    nests = _nests(value)
    if nests:
        return WeightsFile(path, "torch", nests, tuple(skipped))
    if skipped:
        raise _needs_code(path, f"it calls {skipped[0]}")
    keys = list(value)[:8] if isinstance(value, dict) else ["one tensor"]
    if not isinstance(value, (dict, Stored)):
        keys = [type(value).__name__]
    raise WeightsError(
        f"{path} holds no state_dict, a mapping of names to tensors; it holds: "
        f"{', '.join(map(short, keys)) or 'nothing'}. In PyTorch, "
        "torch.save(model.state_dict(), FILE) writes one"
    )


def _needs_code(path: Path, reason: object) -> WeightsError:
    return WeightsError(
        f"{path} needs code to be run: {reason}. ablax reads weights as data and runs nothing "
        "from a file. Where you trust it, save the tensors alone, in PyTorch: "
        "torch.save(model.state_dict(), FILE), or safetensors.torch.save_file"
    )


def _directory(path: Path, size: int) -> int | None:
    """Bytes of an archive's list of records; None where its end is missing."""
    with path.open("rb") as file:
        file.seek(max(0, size - 2**16 - 128))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        return None
    wide = tail.rfind(b"PK\x06\x06", 0, at)  # where there are many, or as PyTorch writes it
    part = tail[at + 12 : at + 16] if wide < 0 else tail[wide + 40 : wide + 48]
    return int.from_bytes(part, "little")


def _read_archive(path: Path, stack: contextlib.ExitStack, skipped: list[str]) -> Any:
    archive = stack.enter_context(zipfile.ZipFile(path))
    records = {name.partition("/")[2]: name for name in archive.namelist()}
    if "constants.pkl" in records:
        raise ValueError(
            "it is a program of TorchScript's (torch.jit.save). In PyTorch, "
            "torch.save(torch.jit.load(FILE).state_dict(), OTHER) saves its tensors alone"
        )
    if "data.pkl" not in records:
        held = ", ".join(short(name) for name in archive.namelist()[:4])
        raise ValueError(f"the archive holds no data.pkl; it holds: {held or 'nothing'}")
    if any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist()):
        # So nothing that is read can be larger than the file.
        raise ValueError("its records are compressed, which PyTorch's never are")
    if archive.NameToInfo[records["data.pkl"]].file_size > _MOST_PICKLED:
        raise ValueError(f"its data.pkl is larger than {_MOST_PICKLED:,} bytes")
    byteorder = archive.read(records["byteorder"])[:8] if "byteorder" in records else b""
    order: ByteOrder = ">" if byteorder.strip() == b"big" else "<"
    whole: set[str] = set()

    def part(name: str, start: int, end: int) -> bytes:
        with archive.open(name) as record:
            if name not in whole:  # to its end, where the checksum is compared
                while record.read(2**20):
                    pass
                whole.add(name)
                record.seek(0)
            record.seek(start)
            return record.read(end - start)

    def storage(identifier: Any) -> _Storage:
        kind, dtype, key, count = _identified(identifier, order)
        name = records.get(f"data/{key}")
        if name is None:
            raise ValueError(f"record data/{key} is missing")
        if dtype.itemsize and archive.NameToInfo[name].file_size != count * dtype.itemsize:
            raise ValueError(f"record data/{key} does not have its {count:,} elements")
        return _Storage(kind, dtype, count, lambda start, end: part(name, start, end))

    return read_pickle(io.BytesIO(archive.read(records["data.pkl"])), _calls(), storage, skipped)


def _read_row(path: Path, stack: contextlib.ExitStack, skipped: list[str]) -> Any:
    """The format before 1.6: magic number, protocol, system, value, keys, then the storages."""
    file = stack.enter_context(path.open("rb"))

    def plain(_: Any) -> Any:
        raise ValueError("a storage stands where none can")

    if read_pickle(file, {}, plain) != _LEGACY_MAGIC:
        raise ValueError("it does not begin as one; is it a pickle of something else?")
    if read_pickle(file, {}, plain) != _LEGACY_PROTOCOL:
        raise ValueError("its version is unknown")
    read_pickle(file, {}, plain)
    places: dict[str, int] = {}
    known: dict[str, _Storage] = {}

    def part(key: str, start: int, end: int) -> bytes:
        file.seek(places[key] + start)
        return file.read(end - start)

    def storage(identifier: Any) -> _Storage:
        kind, dtype, key, count = _identified(identifier, "<")
        if not dtype.itemsize:
            raise ValueError(f"it holds elements of an unknown type, {kind!r}")
        new = _Storage(kind, dtype, count, lambda start, end: part(key, start, end))
        if (known.setdefault(key, new).kind, known[key].count) != (kind, count):
            raise ValueError(f"storage {key} is told in two ways")
        return known[key]

    value = read_pickle(file, _calls(), storage, skipped)
    keys = read_pickle(file, {}, plain)
    named = isinstance(keys, list) and all(isinstance(key, (str, int)) for key in keys)
    if not named or sorted(map(str, keys)) != sorted(known):
        raise ValueError("its list of storages is not that of its tensors")
    size = path.stat().st_size
    for key in map(str, keys):
        count = int.from_bytes(file.read(8), "little")
        end = file.tell() + count * known[key].dtype.itemsize
        if count != known[key].count or end > size:
            raise ValueError(f"storage {short(key)} ends before its {known[key].count:,} elements")
        places[key] = file.tell()
        file.seek(end)
    return value


def _identified(identifier: Any, order: ByteOrder) -> tuple[str, np.dtype, str, int]:
    """Kind, type, key and length of ("storage", kind, key, device, length, ...)."""
    if not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage":
        raise ValueError("a persistent value is no storage")
    _, storage_type, key, _, count, *view = identifier
    plain = isinstance(storage_type, Name) and isinstance(key, (str, int)) and type(count) is int
    if not plain or any(view) or not 0 <= count < 2**63:
        raise ValueError("a storage has no name, length or type, or is part of another")
    kind = storage_type.path.rsplit(".", 1)[-1]
    dtype = np.dtype(_DTYPES.get(kind, np.void))
    return short(kind), dtype.newbyteorder(order), short(str(key)), count


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Stored:
    """A tensor whose storage, offset, size and stride agree with each other; else a ValueError."""
    numbers = [offset, *size, *stride]
    if not isinstance(storage, _Storage) or len(size) != len(stride) or len(size) > 32:
        raise ValueError("a tensor has no storage, or other sizes than strides")
    if any(type(each) is not int or not 0 <= each < 2**63 for each in numbers):
        raise ValueError(f"a tensor of size {_sizes(size)} reaches out of its storage")
    count, dtype = math.prod(size), storage.dtype
    ends = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1
    if count and ends > storage.count:
        raise ValueError(f"a tensor of size {_sizes(size)} reaches out of its storage")
    if count > storage.count:
        raise ValueError(f"a tensor of size {_sizes(size)} repeats its {storage.count:,} elements")

    def read() -> np.ndarray:
        data = storage.span(offset * dtype.itemsize, ends * dtype.itemsize) if count else b""
        if count and len(data) != (ends - offset) * dtype.itemsize:
            raise ValueError("the file ends too early")
        strides = [step * dtype.itemsize for step in stride]
        view = np.lib.stride_tricks.as_strided(np.frombuffer(data, dtype), size, strides)
        return np.array(view, dtype.newbyteorder("="))

    kind = "" if dtype.itemsize else f"has elements of an unknown type, {storage.kind!r}"
    return Stored(tuple(size), dtype, read, kind)


def _sizes(size: Any) -> str:
    return short(", ".join(str(n) if type(n) is int and abs(n) < 2**64 else "?" for n in size))


def _calls() -> Mapping[str, Callable[..., Any]]:
    """What the calls mean that a `state_dict` and a training's checkpoint need."""

    def of_type(function: Any, _: Any, arguments: Any, *__: Any) -> Any:
        if not isinstance(function, Name) or function.path not in table:
            raise CodeError(f"it calls {short(getattr(function, 'path', function))}")
        return table[function.path](*arguments)

    def typed(_storage: Any, _offset: Any, size: Any, *rest: Any) -> Stored:
        kind = next((each.path for each in rest if isinstance(each, Name)), "unknown")
        return _unreadable(size, f"has elements of an unknown type, {short(kind)!r}")

    def mapping(*arguments: Any) -> dict[Any, Any]:
        pairs = [each for each in arguments if not isinstance(each, Name)]  # a default's class
        items = pairs[0].items() if pairs and isinstance(pairs[0], dict) else [*pairs, ()][0]
        return {_key(key): value for key, value in items}

    def encoded(text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise CodeError("it encodes text in another way than PyTorch")
        return text.encode("latin-1")

    def nothing(*_: Any) -> None:
        return None

    table: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor_v3": typed,
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
        "torch._utils._rebuild_meta_tensor_no_storage": lambda _, size, *__: _unreadable(
            size, "was saved without its numbers, on the device meta"
        ),
        "torch._utils._rebuild_sparse_tensor": lambda *_: _unreadable((), "is sparse"),
        "torch._utils._rebuild_qtensor": lambda _, __, size, *___: _unreadable(
            size, "is quantized: save the model before it was"
        ),
        "torch.serialization._get_layout": nothing,
        "torch._tensor._rebuild_from_type_v2": of_type,
        "collections.OrderedDict": mapping,
        "collections.defaultdict": mapping,
        "torch.Size": tuple,
        "torch.device": nothing,
        # an accuracy or an epoch, which is no weight
        "_codecs.encode": encoded,
        "numpy.core.multiarray.scalar": nothing,
        "numpy._core.multiarray.scalar": nothing,
        "numpy.dtype": lambda *_: {},  # a dictionary, so that it may be given its attributes
    }
    return table


def _unreadable(size: Any, flaw: str) -> Stored:
    plain = isinstance(size, tuple) and all(type(n) is int and 0 <= n < 2**63 for n in size)
    return Stored(size if plain else (), np.dtype(np.void), lambda: np.zeros(()), flaw)


def _nests(value: Any) -> dict[str, dict[str, Stored]]:
    """The mappings of names to tensors, by the keys that lead to them, the outermost first."""
    found: dict[str, dict[str, Stored]] = {}
    waiting, seen = [("", value)], {id(value)}
    for key, place in waiting:
        if not isinstance(place, dict):
            continue
        inside: dict[str, Stored] = {}
        for name, each in place.items():
            if isinstance(name, str) and isinstance(each, Stored):
                inside[name] = each
            elif isinstance(name, str) and isinstance(each, dict) and id(each) not in seen:
                seen.add(id(each))
                waiting += [(f"{key}.{name}" if key else name, each)] * (key.count(".") < 2)
        if inside:
            found[key] = inside
    return found
