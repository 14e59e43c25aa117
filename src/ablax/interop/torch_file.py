"""PyTorch's files of weights, `.pth` and `.pt`, read as data: nothing in them is run.

Since version 1.6 `torch.save` writes an archive (zip) that holds a pickle and one file for each
storage, a run of numbers; before, all in one row. The pickle says which part of which storage is a
tensor (`ablax.interop.pickled_data`). Neither PyTorch nor `pickle` is needed.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import ml_dtypes
import numpy as np

from ablax.errors import WeightsError
from ablax.interop.pickled_data import ByteStream, CodeError, Name, read_pickle

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
_STATE_DICTS = ("state_dict", "model_state_dict", "model", "net", "weights", "state")
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile

Storage = Callable[[], np.ndarray]
"""A storage, read when a tensor asks for it."""

ByteOrder = Literal["<", ">"]


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file that `torch.save` wrote, by their names.

    The file holds a `state_dict`, or a checkpoint of a training with one in it under `state_dict`,
    `model` or the like. Prefixes of `DataParallel` and `torch.compile` are taken off.

    Args:
        path: A `.pth` or `.pt` file of any version of PyTorch since 0.4.

    Returns:
        Arrays of the tensors' own types.

    Raises:
        WeightsError: The file needs code to be run, is damaged, or holds no tensors.
    """
    try:
        with path.open("rb") as file:
            in_archive = zipfile.is_zipfile(path)
            value = _read_archive(path) if in_archive else _read_row(file)
    except CodeError as error:
        raise WeightsError(
            f"{path} needs code to be run: {error}. ablax reads weights as data and runs nothing "
            "from a file. Where you trust it, save the numbers alone, in PyTorch: "
            "torch.save(model.state_dict(), FILE), or safetensors.torch.save_file"
        ) from error
    except (ValueError, EOFError, RecursionError, zipfile.BadZipFile, OSError) as error:
        raise WeightsError(f"{path} cannot be read as a file of PyTorch's: {error}") from error
    return _state_dict(value, path)


def _read_archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        records = {name.partition("/")[2]: name for name in archive.namelist()}
        if any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist()):
            # So nothing that is read can be larger than the file.
            raise ValueError("its records are compressed, which PyTorch's never are")
        if "data.pkl" not in records:
            raise ValueError("the archive holds no data.pkl")
        order: ByteOrder = ">" if _text(archive, records.get("byteorder")) == "big" else "<"

        def storage(identifier: Any) -> Storage:
            dtype, key, count = _identified(identifier, order)
            name = records.get(f"data/{key}")
            if name is None:
                raise ValueError(f"record data/{key} is missing")
            if archive.NameToInfo[name].file_size != count * dtype.itemsize:
                raise ValueError(f"record data/{key} does not have its {count} numbers")
            return lambda: np.frombuffer(archive.read(name), dtype)

        with archive.open(records["data.pkl"]) as file:
            return _arrays(read_pickle(file, _calls(), storage))


def _text(archive: zipfile.ZipFile, name: str | None) -> str:
    return "" if name is None else archive.read(name).decode("ascii", "replace").strip()


def _read_row(file: ByteStream) -> Any:
    """The format before 1.6: magic number, protocol, system, value, keys, then the storages."""

    def plain(identifier: Any) -> Any:
        raise ValueError(f"a storage {identifier!r} stands in its head")

    if read_pickle(file, {}, plain) != _LEGACY_MAGIC:
        raise ValueError("it does not begin as one; is it a pickle of something else?")
    if read_pickle(file, {}, plain) != _LEGACY_PROTOCOL:
        raise ValueError("its version is unknown")
    read_pickle(file, {}, plain)
    found: dict[str, np.ndarray] = {}
    dtypes: dict[str, np.dtype] = {}

    def storage(identifier: Any) -> Storage:
        dtype, key, _ = _identified(identifier, "<")
        dtypes[key] = dtype
        return lambda: found[key]

    value = read_pickle(file, _calls(), storage)
    for key in read_pickle(file, {}, plain):
        count = int.from_bytes(file.read(8), "little")
        dtype = dtypes[key]
        data = file.read(count * dtype.itemsize)
        if len(data) != count * dtype.itemsize:
            raise ValueError(f"storage {key} ends after {len(data)} bytes")
        found[key] = np.frombuffer(data, dtype)
    return _arrays(value)


def _identified(identifier: Any, order: ByteOrder) -> tuple[np.dtype, str, int]:
    """Type, key and length of ("storage", type, key, device, length, ...)."""
    kind, storage_type, key, _, count, *_ = identifier
    name = storage_type.path.rsplit(".", 1)[-1] if isinstance(storage_type, Name) else ""
    if kind != "storage" or name not in _DTYPES:
        raise ValueError(f"it holds numbers of an unknown type, {name or identifier!r}")
    return np.dtype(_DTYPES[name]).newbyteorder(order), str(key), int(count)


class _Tensor:
    """A tensor that is still to be read: some storages stand behind the pickle."""

    def __init__(
        self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def read(self) -> np.ndarray:
        numbers = self.storage()
        count = math.prod(self.size)
        ends = sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        outside = self.offset < 0 or self.offset + ends >= len(numbers) if count else False
        if min(self.size, default=0) < 0 or min(self.stride, default=0) < 0 or outside:
            raise ValueError(f"a tensor of size {self.size} reaches out of its storage")
        if count > len(numbers):
            raise ValueError(f"a tensor of size {self.size} repeats its {len(numbers)} numbers")
        strides = [step * numbers.itemsize for step in self.stride]
        view = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.size, strides, writeable=False
        )
        return np.array(view, numbers.dtype.newbyteorder("="))


def _calls() -> Mapping[str, Callable[..., Any]]:
    """What the calls mean that a `state_dict` and a training's checkpoint need."""

    def tensor(storage: Storage, offset: int, size: Any, stride: Any, *_: Any) -> _Tensor:
        return _Tensor(storage, offset, tuple(size), tuple(stride))

    def of_type(function: Name, _: Any, arguments: tuple[Any, ...], *__: Any) -> Any:
        if not isinstance(function, Name) or function.path not in table:
            raise CodeError(f"it calls {getattr(function, 'path', function)}")
        return table[function.path](*arguments)

    def mapping(*arguments: Any) -> dict[Any, Any]:
        pairs = [each for each in arguments if not isinstance(each, Name)]  # a default's class
        return dict(*pairs)

    def encoded(text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise CodeError(f"it encodes text as {encoding}")
        return text.encode(encoding)

    def scalar(*_: Any) -> None:
        return None  # numpy's: an accuracy or an epoch, which is no weight

    table: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch._tensor._rebuild_from_type_v2": of_type,
        "collections.OrderedDict": mapping,
        "collections.defaultdict": mapping,
        "torch.Size": tuple,
        "torch.device": lambda *_: None,
        "_codecs.encode": encoded,
        "numpy.core.multiarray.scalar": scalar,
        "numpy._core.multiarray.scalar": scalar,
        "numpy.dtype": lambda *_: {},  # a dictionary, so that it may be given its attributes
    }
    return table


def _arrays(value: Any) -> Any:
    """The value with its tensors read, in mappings, lists and tuples."""
    if isinstance(value, _Tensor):
        return value.read()
    if isinstance(value, Mapping):
        return {key: _arrays(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_arrays(each) for each in value]
    return value


def _state_dict(value: Any, path: Path) -> dict[str, np.ndarray]:
    """The mapping of names to arrays, wherever it stands."""
    places = [value, *(value.get(key) for key in _STATE_DICTS)] if isinstance(value, dict) else []
    for place in places:
        if isinstance(place, dict) and place and all(_is_weight(each) for each in place.values()):
            return {_bare(name, place): array for name, array in place.items()}
    held = ", ".join(map(str, list(value)[:8])) if isinstance(value, dict) else type(value).__name__
    raise WeightsError(
        f"{path} holds no state_dict, a mapping of names to tensors; it holds: {held or 'nothing'}"
    )


def _is_weight(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _bare(name: str, names: Mapping[str, Any]) -> str:
    for prefix in _PREFIXES:
        if all(each.startswith(prefix) for each in names):
            name = name.removeprefix(prefix)
    return name
