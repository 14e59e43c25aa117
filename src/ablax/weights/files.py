"""Files of weights as arrays by name. Nothing in them is run."""

from __future__ import annotations

import hashlib
import math
import pickletools
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, Literal, cast

import ml_dtypes
import numpy as np

from ablax.errors import AblaxError, WeightsError

_HASHED = re.compile(r".*-([0-9a-f]{8,64})\.(?:pth|pt|bin|safetensors)")


def read_weights(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """The form of the file, `torch`, `caffe` or `keras`, and its tensors by name.

    What a file is, is read from its first bytes; the suffix says only whether bytes that could be
    anything are Caffe's. All tensors have PyTorch's order of axes. Where the file's name ends in
    the start of its SHA-256, as PyTorch's do, the two are compared.

    Raises:
        WeightsError: There is no such file; it is damaged, or of no known form; it needs code.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {path}: give the path of a file of weights")
    _check_hash(path)
    with path.open("rb") as file:
        head = file.read(16)
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "keras", read_keras(path)
    if head[:2] == b"PK" or head[:1] == b"\x80":
        return "torch", read_torch(path)
    if head[8:9] == b"{":
        return "torch", _read_safetensors(path)
    if path.suffix == ".caffemodel":
        return "caffe", read_caffe(path)
    raise WeightsError(
        f"{path} is no file of weights that ablax knows: expected PyTorch's .pth, .safetensors, "
        "Caffe's .caffemodel or Keras' .h5"
    )


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from error


def _check_hash(path: Path) -> None:
    named = _HASHED.fullmatch(path.name)
    if named is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(named[1]):
        raise WeightsError(
            f"{path} is damaged, or not what it is called: its SHA-256 begins with "
            f"{digest[: len(named[1])]} and its name says {named[1]}. Download it again, or rename "
            "it"
        )


# Caffe's files of weights, `.caffemodel`: protocol buffers, read without Caffe.
#
# Layout, which is PyTorch's too: a convolution is (features, channels of a group, height, width), a
# dense layer (outputs, inputs) with the maps laid out channel by channel. Caffe's `BatchNorm` keeps
# sums of means and variances and the number they have to be divided by; the learned scale and bias
# stand in a `Scale` layer behind it, and are put under the name of the `BatchNorm` here.

_MESSAGES = {
    "BlobShape": "int64 dim* 1",
    "BlobProto": "int32 num 1, int32 channels 2, int32 height 3, int32 width 4, float data* 5, "
    "BlobShape shape 7, double double_data* 8",
    "LayerParameter": "string name 1, string type 2, string bottom* 3, string top* 4, "
    "BlobProto blobs* 7",
    "V1LayerParameter": "string bottom* 2, string top* 3, string name 4, int32 type 5, "
    "BlobProto blobs* 6",
    "NetParameter": "string name 1, V1LayerParameter layers* 2, LayerParameter layer* 100",
}
"""The messages of caffe.proto as far as weights need them; `*` is what may be there repeatedly."""


def read_caffe(path: Path) -> dict[str, np.ndarray]:
    """The blobs of a `.caffemodel` as tensors named like PyTorch's: `conv1.weight`, `conv1.bias`.

    The first version of the format (2013) is read too. A `BatchNorm` has `running_mean` and
    `running_var`, divided by their factor, with the `weight` and `bias` of the `Scale` behind it.

    Raises:
        WeightsError: It is no such file, or holds no weights.
    """
    from google.protobuf.message import DecodeError

    message = _net_message()()
    try:
        message.ParseFromString(path.read_bytes())
    except (DecodeError, OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as a file of Caffe's: {error}") from error
    tensors: dict[str, np.ndarray] = {}
    normalized: dict[str, str] = {}  # what a BatchNorm gives -> its name
    for layer in [*message.layer, *message.layers]:
        try:
            blobs = [_array(blob) for blob in layer.blobs]
            if blobs:
                tensors |= _tensors(layer, blobs, normalized)
        except (ValueError, IndexError) as error:
            raise WeightsError(f"{path} is damaged at layer {layer.name!r}: {error}") from error
    if not tensors:
        raise WeightsError(f"{path} holds no weights of Caffe's")
    return tensors


def _tensors(
    layer: Any, blobs: list[np.ndarray], normalized: dict[str, str]
) -> dict[str, np.ndarray]:
    if layer.type == "BatchNorm":
        normalized[layer.top[0]] = layer.name
        factor = float(blobs[2].ravel()[0])
        mean, var = (blob.ravel() / factor if factor else blob.ravel() for blob in blobs[:2])
        return {f"{layer.name}.running_mean": mean, f"{layer.name}.running_var": var}
    name = layer.name
    if layer.type == "Scale":
        name = normalized.pop(layer.bottom[0], name)
    flat = [blob if index == 0 else blob.ravel() for index, blob in enumerate(blobs)]
    return {f"{name}.{kind}": blob for kind, blob in zip(("weight", "bias"), flat, strict=False)}


def _array(blob: Any) -> np.ndarray:
    """The blob in its shape; the old format has four axes for everything."""
    data = np.array(blob.data or blob.double_data, np.float32)
    if blob.HasField("shape"):
        return data.reshape(tuple(blob.shape.dim))
    shape = (blob.num, blob.channels, blob.height, blob.width)
    array = data.reshape(shape)
    return array[0, 0] if shape[:2] == (1, 1) and shape[2] > 1 else array


def _net_message() -> Any:
    """The class of `NetParameter`, made from the table above."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="caffe_weights.proto", package="caffe")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for kind, written, number in (each.split() for each in fields.split(", ")):
            field = message.field.add(name=written.rstrip("*"), number=int(number))
            field.label = kinds.LABEL_REPEATED if "*" in written else kinds.LABEL_OPTIONAL
            if kind in _MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".caffe.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


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


def read_keras(path: Path) -> dict[str, np.ndarray]:
    """The weights of an `.h5` file by layer and PyTorch's leaf: `conv1.weight`, `fc.bias`.

    The format is that of Keras 1 and 2 and of `model.save("....h5")` in Keras 3, in which the files
    of `keras.applications` are published; `.keras` and `.weights.h5` of Keras 3 are others.

    A `SeparableConv2D` has `layer.depthwise.weight` and `layer.pointwise.weight`.

    Raises:
        WeightsError: It is no such file.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            if "layer_names" not in group.attrs:
                raise WeightsError(
                    f"{path} has no list of layers: expected the format of keras.applications; "
                    'in Keras 3, model.save("FILE.h5") writes it'
                )
            return dict(_keras_tensors(group))
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as a file of Keras': {error}") from error


def _keras_tensors(group: Any) -> list[tuple[str, np.ndarray]]:
    found = []
    for layer_name in map(_text, group.attrs["layer_names"]):
        names = [_text(each) for each in group[layer_name].attrs["weight_names"]]
        # A depthwise layer of its own has no pointwise kernel beside it.
        separable = any("pointwise_kernel" in name for name in names)
        for name in names:
            leaf = name.rsplit("/", 1)[-1].split(":")[0]
            if leaf not in _LEAVES:
                raise WeightsError(f"layer {layer_name!r} has a weight {leaf!r}, which is unknown")
            array = np.asarray(group[layer_name][name])
            kind = _LEAVES[leaf] if separable else _LEAVES[leaf].removeprefix("depthwise.")
            found.append((f"{layer_name}.{kind}", _turned(array, leaf)))
    return found


def _turned(array: np.ndarray, leaf: str) -> np.ndarray:
    """The array in PyTorch's order of axes."""
    # Keras 3 calls it `kernel` too: one feature from many channels is a window for each channel.
    depthwise = array.ndim == 4 and array.shape[3] == 1 < array.shape[2]
    if leaf == "depthwise_kernel" or (leaf == "kernel" and depthwise):
        height, width, channels, multiplier = array.shape
        return array.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return array.transpose({4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, range(array.ndim)))


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


# Read a pickle as data: its instructions are interpreted here, and none of them can run code.
#
# A pickle is a program for a small stack machine, two of whose instructions look up any name in any
# module and call it. `pickletools` of the standard library takes the program apart without running
# it; the code here carries out the instructions that build data, and for a call consults a table of
# known names. Whatever is not in the table is refused by its name.

Calls = Mapping[str, Callable[..., Any]]
"""From `module.name` to what a call of it means."""

_MARK = object()

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": set}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}


class CodeError(AblaxError):
    """The pickle calls a function, and running it would run a stranger's code."""


@dataclass(frozen=True)
class Name:
    """A name that a pickle mentions, `collections.OrderedDict`; it is not looked up."""

    path: str


def read_pickle(file: BufferedIOBase, calls: Calls, persistent: Callable[[Any], Any]) -> Any:
    """The value that the next pickle of the file describes; the file is left behind its end.

    It may call the names in `calls`; one that is mentioned and not called stays a `Name`.
    `persistent` gives what a persistent identifier stands for.

    Raises:
        CodeError: It calls another name, or makes an object of a class.
        ValueError: It is no pickle, or is damaged.

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
    machine = _Machine(calls, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(cast("IO[bytes]", file)):
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except (IndexError, KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"the pickle in it is damaged ({error})") from error
    raise ValueError("the pickle in it has no end")


@dataclass
class _Machine:
    """The stack, the memory, and what calls mean."""

    calls: Calls
    persistent: Callable[[Any], Any]
    stack: list[Any] = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)

    def pop(self) -> Any:
        if self.stack[-1] is _MARK:
            raise ValueError("a value is missing")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        start = max(place for place, value in enumerate(self.stack) if value is _MARK)
        values = self.stack[start + 1 :]
        del self.stack[start:]
        return values

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction: it changes what is on top of the stack, or adds to it."""
        match name:
            case "PROTO" | "FRAME":
                pass
            case "POP":
                self.pop()
            case "POP_MARK":
                self.pop_to_mark()
            case "APPEND":
                value = self.pop()
                self._top(list).append(value)
            case "APPENDS":
                values = self.pop_to_mark()
                self._top(list).extend(values)
            case "ADDITEMS":
                values = self.pop_to_mark()
                self._top(set).update(values)
            case "SETITEM":
                value, key = self.pop(), self.pop()
                self._top(dict)[key] = value
            case "SETITEMS":
                values = self.pop_to_mark()
                self._top(dict).update(_pairs(values))
            case "BUILD":  # an object's attributes; only those of a dictionary may be dropped
                self.pop()
                self._top(dict)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memory[argument] = self.stack[-1]
            case "MEMOIZE":
                self.memory[len(self.memory)] = self.stack[-1]
            case _:
                self.stack.append(self._added(name, argument))

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
            case "MARK":
                return _MARK
            case "DUP":
                return self.stack[-1]
            case "DICT":
                return dict(_pairs(self.pop_to_mark()))
            case "LIST":
                return self.pop_to_mark()
            case "TUPLE":
                return tuple(self.pop_to_mark())
            case "GET" | "BINGET" | "LONG_BINGET":
                return self.memory[argument]
            case "GLOBAL":
                return Name(argument.replace(" ", "."))
            case "STACK_GLOBAL":
                last = self.pop()
                return Name(f"{self.pop()}.{last}")
            case "BINPERSID":
                return self.persistent(self.pop())
            case "REDUCE" | "NEWOBJ":
                arguments, function = self.pop(), self.pop()
                return self._call(function, arguments)
        raise CodeError(f"it holds the instruction {name}, which no file of weights needs")

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            what = type(self.stack[-1]).__name__
            raise CodeError(f"it changes a {what} as if it were a {kind.__name__}")
        return self.stack[-1]

    def _call(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        if not isinstance(function, Name) or function.path not in self.calls:
            path = function.path if isinstance(function, Name) else f"a {type(function).__name__}"
            raise CodeError(f"it calls {path}")
        if not isinstance(arguments, tuple):
            raise TypeError(f"{function.path} is called with no tuple of arguments")
        # A name among the arguments is passed as it is; only the table gives it a meaning.
        return self.calls[function.path](*arguments)


def _pairs(values: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(values[::2], values[1::2], strict=True)


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
_STATE_DICTS = ("state_dict", "model_state_dict", "model", "net", "weights", "state")
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile

Storage = Callable[[], np.ndarray]
"""A storage, read when a tensor asks for it."""

ByteOrder = Literal["<", ">"]


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file that `torch.save` of PyTorch 0.4 or later wrote, by their names.

    The file holds a `state_dict`, or a checkpoint of a training with one in it under `state_dict`,
    `model` or the like. Prefixes of `DataParallel` and `torch.compile` are taken off.

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
            "from a file. Where you trust it, save the tensors alone, in PyTorch: "
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
        byteorder = archive.read(records["byteorder"]) if "byteorder" in records else b""
        order: ByteOrder = ">" if byteorder.strip() == b"big" else "<"

        def storage(identifier: Any) -> Storage:
            dtype, key, count = _identified(identifier, order)
            name = records.get(f"data/{key}")
            if name is None:
                raise ValueError(f"record data/{key} is missing")
            if archive.NameToInfo[name].file_size != count * dtype.itemsize:
                raise ValueError(f"record data/{key} does not have its {count} elements")
            return lambda: np.frombuffer(archive.read(name), dtype)

        with archive.open(records["data.pkl"]) as file:
            return _arrays(read_pickle(cast("BufferedIOBase", file), _calls(), storage))


def _read_row(file: BufferedIOBase) -> Any:
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
        raise ValueError(f"it holds elements of an unknown type, {name or identifier!r}")
    return np.dtype(_DTYPES[name]).newbyteorder(order), str(key), int(count)


@dataclass(frozen=True)
class _Tensor:
    """A tensor that is still to be read: some storages stand behind the pickle."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self) -> np.ndarray:
        numbers = self.storage()
        count = math.prod(self.size)
        ends = sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        outside = self.offset < 0 or self.offset + ends >= len(numbers) if count else False
        if min(self.size, default=0) < 0 or min(self.stride, default=0) < 0 or outside:
            raise ValueError(f"a tensor of size {self.size} reaches out of its storage")
        if count > len(numbers):
            raise ValueError(f"a tensor of size {self.size} repeats its {len(numbers)} elements")
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

    def nothing(*_: Any) -> None:
        return None

    table: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch._tensor._rebuild_from_type_v2": of_type,
        "collections.OrderedDict": mapping,
        "collections.defaultdict": mapping,
        "torch.Size": tuple,
        "torch.device": nothing,
        "_codecs.encode": encoded,
        # an accuracy or an epoch, which is no weight
        "numpy.core.multiarray.scalar": nothing,
        "numpy._core.multiarray.scalar": nothing,
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
        if isinstance(place, dict) and set(map(type, place.values())) == {np.ndarray}:
            return {_bare(name, place): array for name, array in place.items()}
    held = ", ".join(map(str, list(value)[:8])) if isinstance(value, dict) else type(value).__name__
    raise WeightsError(
        f"{path} holds no state_dict, a mapping of names to tensors; it holds: {held or 'nothing'}"
    )


def _bare(name: str, names: Mapping[str, Any]) -> str:
    for prefix in _PREFIXES:
        if all(each.startswith(prefix) for each in names):
            name = name.removeprefix(prefix)
    return name
