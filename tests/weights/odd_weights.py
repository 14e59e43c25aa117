"""Odd and hostile files of weights: each is read rightly or refused in words, in bounds.

`make odd-weights` writes every kind and imports it in a child that watches time and memory. The
files are made of the standard library, numpy, h5py and safetensors; a `.pth` is written here
instruction by instruction, as PyTorch writes it or as an enemy would. None would do harm.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import pickle
import resource
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import ml_dtypes
import numpy as np
from safetensors.numpy import save

SECONDS = 10
"""For one file, on one core that has nothing else to do."""
WEIGHTS_OF_RESNET20 = 4 * 270_000
SLACK = 16 * 2**20
"""Bytes that the allocator keeps or gives back as it likes."""

READ, REFUSED = "read", "refused"


class Odd(NamedTuple):
    """A file: what is to happen with it, words of its refusal, and how it is made."""

    outcome: str
    words: str
    make: Callable[[], bytes]


FILES: dict[str, Odd] = {}


def add(name: str, outcome: str, make: Callable[[], bytes], words: str = "") -> None:
    assert name not in FILES, name
    FILES[name] = Odd(outcome, words, make)


# The tensors of a residual network for CIFAR-10, as others name them.


def resnet(depth: int = 20, classes: int = 10, last: str = "linear") -> dict[str, np.ndarray]:
    made: dict[str, np.ndarray] = {}
    generator = np.random.default_rng(depth)

    def conv(name: str, out: int, into: int) -> None:
        made[f"{name}.weight"] = generator.normal(0, 0.1, (out, into, 3, 3)).astype(np.float32)

    def norm(name: str, size: int) -> None:
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            made[f"{name}.{leaf}"] = generator.uniform(0.5, 1.5, size).astype(np.float32)
        made[f"{name}.num_batches_tracked"] = np.array(7)

    conv("conv1", 16, 3)
    norm("bn1", 16)
    into = 16
    for stage, out in enumerate((16, 32, 64), start=1):
        for block in range((depth - 2) // 6):
            for layer, channels in ((1, into), (2, out)):
                conv(f"layer{stage}.{block}.conv{layer}", out, channels)
                norm(f"layer{stage}.{block}.bn{layer}", out)
            into = out
    made[f"{last}.weight"] = generator.normal(0, 0.1, (classes, 64)).astype(np.float32)
    made[f"{last}.bias"] = np.zeros(classes, np.float32)
    return made


GOOD = resnet()


def but(**changes: Any) -> dict[str, Any]:
    """The good tensors with others in their place; `__` is a dot, None takes one out."""
    renamed = {name.replace("__", "."): value for name, value in changes.items()}
    found = {**GOOD, **renamed}
    return {name: value for name, value in found.items() if value is not None}


def under(prefix: str, tensors: dict[str, Any] = GOOD) -> dict[str, Any]:
    return {prefix + name: array for name, array in tensors.items()}


# Pickles by hand.


class Raw(bytes):
    """Instructions that push one value."""


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def name(path: str) -> Raw:
    module, _, last = path.rpartition(".")
    return Raw(b"c" + f"{module}\n{last}\n".encode())


def call(path: str, *arguments: Any) -> Raw:
    return Raw(name(path) + push(tuple(arguments)) + b"R")


def push(value: Any) -> bytes:
    match value:
        case Raw():
            return value
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int() if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        case int():
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8b" + struct.pack("<i", len(data)) + data
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            return text(value)
        case tuple():
            return b"(" + b"".join(map(push, value)) + b"t"
        case list():
            return b"](" + b"".join(map(push, value)) + b"e"
        case dict():
            return b"}(" + b"".join(push(each) for pair in value.items() for each in pair) + b"u"
    raise TypeError(type(value))


def pickled(value: Any) -> bytes:
    return b"\x80\x02" + push(value) + b"."


KINDS = {
    **{"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16"},
    **{"int64": "Long", "int8": "Char", "uint8": "Byte"},
}


class Torch:
    """What `torch.save` writes: the storages are collected while the value is made."""

    def __init__(self) -> None:
        self.storages: list[bytes] = []
        self.counts: list[int] = []

    def storage(
        self, data: bytes, kind: Any, count: Any, key: Any = None, place: str = "cpu"
    ) -> Raw:
        self.storages.append(data)
        self.counts.append(count)
        key = str(len(self.storages) - 1) if key is None else key
        kind = name(f"torch.{kind}") if isinstance(kind, str) else push(kind[0])
        return Raw(push(("storage", Raw(kind), key, place, count)) + b"Q")

    def tensor(self, array: Any, **odd: Any) -> Raw:
        """The array, with anything in the place of what PyTorch would write."""
        array = np.asarray(array)
        kind = odd.get("kind", KINDS.get(array.dtype.name, "Float") + "Storage")
        held = odd.get("storage") or self.storage(
            odd.get("data", np.ascontiguousarray(array).tobytes()),
            kind,
            odd.get("count", array.size),
        )
        steps = tuple(np.cumprod((1, *array.shape[:0:-1]))[::-1].tolist()) if array.ndim else ()
        size, stride = odd.get("size", array.shape), odd.get("stride", steps)
        ordered = call("collections.OrderedDict")
        function = odd.get("function", "torch._utils._rebuild_tensor_v2")
        more = odd.get("more", (False, ordered))
        return call(function, held, odd.get("offset", 0), size, stride, *more)

    def value(self, value: Any) -> Any:
        """The value with a tensor for each array in it."""
        if isinstance(value, np.ndarray):
            return self.tensor(value)
        if isinstance(value, dict):
            return {key: self.value(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)) and not isinstance(value, Raw):
            return type(value)(self.value(each) for each in value)
        return value

    def archive(self, value: Any, **changes: Any) -> bytes:
        return zipped(
            {
                "data.pkl": changes.get("pickle") or pickled(value),
                "byteorder": b"little",
                **{f"data/{key}": data for key, data in enumerate(self.storages)},
                "version": b"3\n",
            },
            **{key: each for key, each in changes.items() if key != "pickle"},
        )

    def row(self, value: Any, keys: Any = None, counts: Any = None) -> bytes:
        said = keys if keys is not None else [str(key) for key in range(len(self.storages))]
        head = pickled(0x1950A86A20F9469CFC6C) + pickled(1001) + pickled({"little_endian": True})
        held = b"".join(
            struct.pack("<Q", count) + data
            for data, count in zip(self.storages, counts or self.counts, strict=True)
        )
        return head + pickled(value) + pickled(said) + held


def zipped(records: dict[str, bytes], top: str = "archive", how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for key, data in records.items():
            archive.writestr(f"{top}/{key}" if top else key, data)
    return file.getvalue()


def saved(value: Any) -> bytes:
    """An archive of the value, with tensors for its arrays."""
    torch = Torch()
    return torch.archive(torch.value(value))


def one(tensor: str = "conv1.weight", **odd: Any) -> Callable[[], bytes]:
    """The good tensors, one of which is stored oddly."""

    def make() -> bytes:
        torch = Torch()
        value = torch.value(GOOD)
        if odd.pop("again", False):
            odd["storage"] = torch.storage(GOOD[tensor].tobytes(), "FloatStorage", 432)
        value[tensor] = torch.tensor(GOOD[tensor], **odd)
        return torch.archive(value)

    return make


def crafted(instructions: bytes) -> Callable[[], bytes]:
    """An archive whose pickle is these instructions."""
    return lambda: Torch().archive(None, pickle=b"\x80\x02" + instructions)


def of(value: Any) -> Callable[[], bytes]:
    return lambda: saved(value)


def cast(kind: Any) -> dict[str, np.ndarray]:
    return {n: a.astype(kind) if a.dtype == np.float32 else a for n, a in GOOD.items()}


# What people have: plain, wrapped, prefixed, of other types.

for each, value in {
    "ok_plain.pth": GOOD,
    "no_suffix": GOOD,
    "renamed_to_caffemodel.caffemodel": GOOD,
    "renamed_to_h5.h5": GOOD,
    "renamed_to_safetensors.safetensors": GOOD,
    "resnet20-20251130.pth": GOOD,
    "resnet20-cifar10-12345678.pth": GOOD,
    "ok_wrapped.pth": {"epoch": 9, "state_dict": GOOD},
    "bf16.pth": cast(ml_dtypes.bfloat16),
    "fp16.pth": cast(np.float16),
    "fp64.pth": cast(np.float64),
    "cifar100.pth": resnet(classes=100),
    "epoch_beside_tensors.pth": {**GOOD, "epoch": 12},
    "t_plain.pth": GOOD,
    "t_bf16.pth": cast(ml_dtypes.bfloat16),
    "t_half.pth": cast(np.float16),
    "t_double.pth": cast(np.float64),
    "t_cifar100.pth": resnet(classes=100),
    "t_epoch_beside.pth": {"epoch": 3, **GOOD},
    "t_extra_none.pth": {**GOOD, "ema": None},
    "t_dataparallel.pth": under("module."),
    "t_compiled.pth": under("_orig_mod."),
    "t_averaged_model.pth": {"n_averaged": np.array(3), **under("module.")},
    "t_both_ema.pth": {"state_dict": GOOD, "state_dict_ema": GOOD},
    "t_model_state.pth": {"model_state": GOOD},
    "t_params.pth": {"params": GOOD},
    "t_unknown_key.pth": {"classifier": GOOD, "epoch": 1},
    "t_lightning.ckpt": {
        "epoch": 2,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {**under("model."), "val_acc.total": np.array(5.0, np.float32)},
        "callbacks": {"ModelCheckpoint": {"best_model_score": 0.9}},
        "optimizer_states": [{"state": {0: {"momentum_buffer": GOOD["conv1.weight"]}}}],
    },
    "t_imagenet_example.pth.tar": {
        **{"epoch": 90, "arch": "resnet20", "best_acc1": np.array(91.0, np.float32)},
        **{"state_dict": under("module."), "optimizer": {"state": {}, "param_groups": []}},
    },
    **{f"wrap_{key}.pth": {key: GOOD} for key in ("ema", "model_ema", "model_state", "params")},
    "wrap_state_dict_ema.pth": {"state_dict_ema": GOOD},
    "wrap_two_nests.pth": {"checkpoint": {"model": {"module": GOOD}}},
    "pre_backbone.pth": under("backbone."),
    "pre_lightning.pth": {"state_dict": under("model.")},
    "pre_model.pth": under("model."),
    "pre_module.pth": under("module."),
    "pre_module_orig_mod.pth": under("module._orig_mod."),
    "pre_net.pth": under("net."),
    "pre_orig_mod.pth": under("_orig_mod."),
    "pre_orig_mod_module.pth": under("_orig_mod.module."),
    "thop.pth": {
        **GOOD,
        **{"total_ops": np.array([1.0]), "total_params": np.array([1.0])},
        **{"layer1.0.conv1.total_ops": np.array([1.0])},
    },
}.items():
    add(each, READ, of(value))

BELOW_ZERO = -np.ones(16, np.float32)
for each, words, value in (
    ("fc_instead_of_linear.pth", "left over: fc.bias", resnet(last="fc")),
    ("t_fc.pth", "missing: linear.bias", resnet(last="fc")),
    ("t_gray.pth", "conv1.weight is (16, 1, 3, 3)", but(conv1__weight=np.zeros((16, 1, 3, 3)))),
    ("t_no_bias.pth", "missing: linear.bias", but(linear__bias=None)),
    ("t_normalize_buffer.pth", "left over: mean", but(mean=np.zeros(3))),
    (
        *("t_named_parameters.pth", "missing: bn1.running_mean"),
        {n: a for n, a in GOOD.items() if "running" not in n and "num_" not in n},
    ),
    ("missing_one.pth", "missing: layer2.1.bn2.bias", but(layer2__1__bn2__bias=None)),
    ("left_one.pth", "left over: extra.weight", but(extra__weight=np.zeros((4, 4)))),
    (
        *("shape_one.pth", "layer3.0.conv2.weight is (64, 64, 5, 5)"),
        but(layer3__0__conv2__weight=np.zeros((64, 64, 5, 5), np.float32)),
    ),
    ("t_bn_narrow.pth", "layer2.0.bn2.bias is (16,)", but(layer2__0__bn2__bias=np.ones(16))),
    (
        *("t_conv_narrow.pth", "layer2.1.conv1.weight is (32, 16, 3, 3)"),
        but(layer2__1__conv1__weight=np.zeros((32, 16, 3, 3))),
    ),
    ("t_linear_narrow.pth", "linear.weight is (10, 32)", but(linear__weight=np.zeros((10, 32)))),
    ("resnet32_of_another.pth", "are rather those of resnet32", resnet(32)),
    ("nan_bias.pth", "linear.bias has 10 of 10", but(linear__bias=np.full(10, np.nan))),
    ("inf_conv1.pth", "conv1.weight has 432", but(conv1__weight=np.full((16, 3, 3, 3), np.inf))),
    ("negative_variance.pth", "a variance of -1", but(bn1__running_var=BELOW_ZERO)),
    ("fp64_overflow.pth", "not finite in float32", but(linear__bias=np.full(10, 1e300))),
    ("int8_weights.pth", "holds int8", cast(np.int8)),
    ("zero_classes.pth", "another shape", resnet(classes=0)),
    ("empty_dict.pth", "it holds: nothing", {}),
    ("list_of_tensors.pth", "no state_dict", list(GOOD.values())),
    ("t_values.pth", "no state_dict", list(GOOD.values())),
    ("t_in_a_list.pth", "no state_dict", [GOOD]),
    ("t_bare_tensor.pth", "no state_dict", GOOD["conv1.weight"]),
    (
        *("t_optimizer_only.pth", "no state_dict"),
        {"state": {0: {"momentum_buffer": np.ones(3)}}, "param_groups": [{"lr": 0.1}]},
    ),
    ("t_int_keys.pth", "it holds: int", dict(enumerate(GOOD.values()))),
    ("integer_keys.pth", "missing: conv1.weight", {0: GOOD["bn1.bias"], **but(conv1__weight=None)}),
    ("none_key.pth", "no state_dict", {None: GOOD["bn1.bias"]}),
    ("name_of_two_lines.pth", "left over: 'a\\nb", but(**{"a\nb" * 2000: np.ones(1)})),
    ("name_is_no_text.pth", "left over: '\\ud800", but(**{"\ud800": np.ones(1)})),
):
    add(each, REFUSED, of(value), words)

NAMESPACE = Raw(
    name("argparse.Namespace") + b")\x81" + push({"lr": 0.1, "data": "/data", "amp": True}) + b"b"
)
PATHS = call("pathlib.PosixPath", "/", "data", "runs")
GENERATOR = (
    call(
        "numpy._core.multiarray._reconstruct",
        name("numpy.ndarray"),
        (0,),
        call("_codecs.encode", "b", "latin1"),
    )
    + push((1, (624,), None, False, call("_codecs.encode", "\x00" * 20, "latin1")))
    + b"b"
)
OTHER_CLASS = Raw(name("mmengine.config.ConfigDict") + b")\x81" + b"(" + push("a") + push(1) + b"u")
for each, value in {
    "t_torchvision_reference.pth": {"model": GOOD, "epoch": 9, "args": NAMESPACE},
    "t_timm_train.pth.tar": {
        **{"epoch": 1, "arch": "resnet20", "state_dict": GOOD, "state_dict_ema": GOOD},
        **{"args": NAMESPACE, "version": 2, "metric": 91.2},
    },
    "t_numpy_rng.pth": {"model": GOOD, "rng": ("MT19937", Raw(GENERATOR), 3, 0, 0.0)},
    "t_pathlib.pth": {"model": GOOD, "out": PATHS},
    "config_of_a_library.pth": {"state_dict": GOOD, "meta": OTHER_CLASS},
    "harm_beside_weights.pth": {"model": GOOD, "args": call("posix.system", "echo harm")},
}.items():
    add(each, READ, of(value))

add("t_legacy.pth", READ, lambda: (torch := Torch()).row(torch.value(GOOD)))
add(
    "t_parameter.pth",
    READ,
    lambda: (torch := Torch()).archive(
        {
            n: call(
                "torch._utils._rebuild_parameter",
                torch.tensor(a),
                True,
                call("collections.OrderedDict"),
            )
            for n, a in GOOD.items()
        }
    ),
)
FIRST = GOOD["conv1.weight"]
LINEAR = GOOD["linear.weight"]
add(
    "t_channels_last.pth",
    READ,
    one(data=FIRST.transpose(0, 2, 3, 1).tobytes(), stride=(27, 1, 9, 3)),
)
add("t_transposed_view.pth", READ, one("linear.weight", data=LINEAR.T.tobytes(), stride=(1, 10)))
add(
    "t_slice_of_larger.pth",
    READ,
    one("linear.bias", data=np.arange(1000, dtype=np.float32).tobytes(), count=1000, offset=500),
)

# Stored in ways that are not read.

REBUILD = "torch._utils._rebuild_"
for each, words, odd in (
    ("fp8.pth", "'Float8_e4m3fnStorage'", {"kind": "Float8_e4m3fnStorage", "data": bytes(432)}),
    ("quint8.pth", "'QUInt8Storage'", {"kind": "QUInt8Storage", "data": bytes(432)}),
    ("unknown_dtype.pth", "'ComplexFloatStorage'", {"kind": "ComplexFloatStorage"}),
    ("t_complex.pth", "'ComplexFloatStorage'", {"kind": "ComplexFloatStorage"}),
    (
        *("t_fp8.pth", "torch.float8_e4m3fn"),
        {
            **{"kind": "storage.UntypedStorage", "function": f"{REBUILD}tensor_v3"},
            "more": (False, {}, name("torch.float8_e4m3fn")),
        },
    ),
    ("t_quantized.pth", "is quantized", {"function": f"{REBUILD}qtensor", "kind": "QInt8Storage"}),
    ("t_sparse.pth", "is sparse", {"function": f"{REBUILD}sparse_tensor"}),
):
    add(each, REFUSED, one(**odd), words)
add(
    "t_meta.pth",
    REFUSED,
    of(
        {
            n: call(
                f"{REBUILD}meta_tensor_no_storage", name("torch.float32"), a.shape, a.shape, False
            )
            for n, a in GOOD.items()
        }
    ),
    "without its numbers",
)

# Crafted tensors: sizes, strides, offsets and counts that lie.

HUGE = 2**62
for each, words, odd in (
    ("negative_offset.pth", "reaches out", {"offset": -1}),
    ("negative_size.pth", "reaches out", {"size": (-16, 3, 3, 3)}),
    ("negative_stride.pth", "reaches out", {"stride": (-27, 9, 3, 1)}),
    ("offset_huge.pth", "reaches out", {"offset": 2**80}),
    ("offset_outside.pth", "reaches out", {"offset": 400}),
    ("offset_is_text.pth", "reaches out", {"offset": "1"}),
    ("size_is_text.pth", "reaches out", {"size": ("16", 3, 3, 3)}),
    ("size_is_nested.pth", "reaches out", {"size": ((16,), [3], 3, 3)}),
    ("size_is_a_number.pth", "damaged", {"size": 432}),
    ("rank_70.pth", "other sizes than strides", {"size": (1,) * 70, "stride": (1,) * 70}),
    ("rank_mismatch.pth", "other sizes than strides", {"size": (16, 27)}),
    ("size_zero_and_2_62.pth", "another shape", {"size": (0, HUGE), "stride": (1, 1)}),
    ("size_zero_and_huge.pth", "reaches out", {"size": (0, 2**90), "stride": (1, 1)}),
    ("stride_zero.pth", "", {"size": (16, 3, 3, 3), "stride": (0, 0, 0, 0)}),
    ("stride_zero_bomb.pth", "repeats its", {"size": (10**6, 10**6), "stride": (0, 0)}),
    ("count_lies.pth", "does not have its 1,000,000,000,000", {"count": 10**12}),
    ("count_is_text.pth", "no name, length or type", {"count": "432"}),
    ("storage_is_text.pth", "no storage", {"storage": Raw(push("storage"))}),
    ("storage_type_is_text.pth", "no name, length or type", {"kind": ["FloatStorage"]}),
):
    outcome = READ if each == "stride_zero.pth" else REFUSED
    add(each, outcome, one(**odd), words)
add(
    "billion_classes.pth",
    REFUSED,
    one("linear.weight", data=b"", count=0, size=(10**9, 0), stride=(1, 1)),
    "another shape: linear.weight is (1000000000, 0)",
)


def shared_storage() -> bytes:
    torch = Torch()
    held = torch.storage(bytes(4_000_000), "FloatStorage", 10**6)
    tensors = {
        f"t{k}.weight": torch.tensor(0, storage=held, size=(1000, 1000), stride=(1000, 1))
        for k in range(2000)
    }
    return torch.archive({**torch.value(GOOD), **tensors})


add("shared_storage_x2000.pth", REFUSED, shared_storage, "left over")


def shared_by_all() -> bytes:
    """Every tensor of the network in one storage of the largest's size."""
    torch = Torch()
    held = torch.storage(np.ones(36_864, np.float32).tobytes(), "FloatStorage", 36_864)
    real = {n: a for n, a in GOOD.items() if "num_" not in n}
    return torch.archive({n: torch.tensor(a, storage=held) for n, a in real.items()})


add("shared_by_all.pth", READ, shared_by_all)

# Crafted pickles: no end, no sense, much from little.


def doubling(levels: int, first: bytes = b"]", two: bytes = b"](h\x00h\x00e") -> bytes:
    """A list of two lists of two lists ...: 2 to the `levels` in the end."""
    return first + b"q\x000" + levels * (two + b"q\x000") + b"h\x00"


for each, words, instructions in (
    ("billion_laughs.pth", "no state_dict", doubling(60) + b"."),
    (
        "billion_laughs_key.pth",
        "is no key",
        b"}" + doubling(60, b")", b"h\x00h\x00\x86") + b"Ns.",
    ),
    ("deep_lists.pth", "no state_dict", b"]" * 200_000 + b"a" * 199_999 + b"."),
    ("deep_tuples.pth", "no state_dict", b")" + b"\x85" * 200_000 + b"."),
    ("deep_tuple_key.pth", "is no key", b"})" + b"\x85" * 200_000 + b"Ns."),
    ("list_in_itself.pth", "no state_dict", b"]q\x00h\x00a."),
    ("many_marks.pth", "the pickle in it", b"(" * 1_000_000 + b"t" * 999_999 + b"."),
    ("many_sets.pth", "bytes of memory", b"\x8f" * 3_000_000 + b"."),
    (
        *("dict_copied.pth", "bytes of memory"),
        b"]("
        + b"".join(push([str(k), k]) for k in range(20_000))
        + b"eq\x000"
        + (name("collections.OrderedDict") + b"h\x00\x85R0") * 500
        + b"N.",
    ),
    ("huge_long.pth", "it holds: int", push(2 ** (8 * 10**6)) + b"."),
    ("huge_dec.pth", "the pickle in it is damaged", b"L" + b"9" * 5_000_000 + b"L\n."),
    ("huge_int_key.pth", "is no key", b"}" + push(2**4000) + b"Ns."),
    ("unicode_lies.pth", "the pickle in it", b"\x8d" + struct.pack("<Q", HUGE) + b"text."),
    ("bytes_lie.pth", "the pickle in it", b"B" + struct.pack("<I", 2**32 - 1) + b"text."),
    ("persistent_bomb.pth", "no storage", doubling(60) + b"Q."),
    (
        *("persistent_key_bomb.pth", "no name, length or type"),
        b"("
        + text("storage")
        + name("torch.FloatStorage")
        + doubling(60)
        + b"N"
        + push(1)
        + b"tQ.",
    ),
    (
        "harm_build.pth",
        "it holds: nothing",
        b"}" + push({"__setstate__": name("posix.system")}) + b"b.",
    ),
    ("harm_eval.pth", "calls builtins.eval", call("builtins.eval", "1 / 0") + b"."),
    (
        *("harm_fromtype.pth", "os.system"),
        call("torch._tensor._rebuild_from_type_v2", name("os.system"), None, ("echo harm",), None)
        + b".",
    ),
    (
        "harm_getattr.pth",
        "calls builtins.getattr",
        call("builtins.getattr", name("os.system"), "x") + b".",
    ),
    ("harm_inst.pth", "INST", b"(" + text("echo harm") + b"iposix\nsystem\n."),
    (
        "harm_reduce.pth",
        "calls posix.system",
        push({"a": call("posix.system", "echo harm")}) + b".",
    ),
    (
        "t_whole_model.pth",
        "calls torch.nn.modules.container.Sequential",
        Raw(
            name("torch.nn.modules.container.Sequential")
            + b")\x81"
            + push({"training": True})
            + b"b."
        ),
    ),
):
    add(each, REFUSED, crafted(bytes(instructions)), words)

add("harm_bare.pth", REFUSED, lambda: pickled(call("posix.system", "echo harm")), "needs code")
add("harm_p0.pth", REFUSED, lambda: b"cposix\nsystem\n(S'echo harm'\ntR.", "no file of weights")


# The format before 1.6.


def row(**odd: Any) -> bytes:
    torch = Torch()
    value = torch.value({"a.weight": np.ones(3, np.float32)})
    return torch.row(value, **odd)


for power in (34, 40, 62, 64):
    add(
        f"row_count_2_{power}.pth",
        REFUSED,
        lambda power=power: row(counts=[min(2**power, 2**64 - 1)]),
        "ends before its",
    )
add("row_keys_no_list.pth", REFUSED, lambda: row(keys=3), "list of storages")
add("row_unknown_key.pth", REFUSED, lambda: row(keys=["nokey"]), "list of storages")
add("row_twice.pth", REFUSED, lambda: row(keys=["0", "0"], counts=None), "list of storages")
add("row_keys_bomb.pth", REFUSED, lambda: row(keys=[Raw(doubling(60))]), "list of storages")
add("row_ok.pth", REFUSED, row, "97 missing")


def told_twice() -> bytes:
    torch = Torch()
    first = torch.tensor(np.ones(3, np.float32))
    other = Raw(push(("storage", name("torch.DoubleStorage"), "0", "cpu", 10**9)) + b"Q")
    return torch.row({"a": first, "b": torch.tensor(0, storage=other, size=(10**9,), stride=(1,))})


add("row_told_twice.pth", REFUSED, told_twice, "is told in two ways")
add(
    "row_complex.pth",
    REFUSED,
    lambda: (t := Torch()).row({"a": t.tensor(np.ones(3), kind="ComplexFloatStorage")}),
    "'ComplexFloatStorage'",
)
add("row_cut.pth", REFUSED, lambda: row()[:-6], "ends before its")

# Archives: cut off, damaged, bombs, of something else.


def plain() -> bytes:
    return saved(GOOD)


def flipped() -> bytes:
    data = bytearray(plain())
    data[data.index(FIRST.tobytes()[:64]) + 100] ^= 1
    return bytes(data)


def edited(end: bytes, change: Callable[[int], int]) -> bytes:
    """An archive whose end of the directory has another number at `end`'s place."""
    data = bytearray(plain())
    at = data.rindex(b"PK\x05\x06") + end[0]
    (old,) = struct.unpack_from("<I", data, at)
    struct.pack_into("<I", data, at, change(old))
    return bytes(data)


add("truncated_1.pth", REFUSED, lambda: plain()[:-1], "is cut off")
add("truncated_22.pth", REFUSED, lambda: plain()[:-22], "is cut off")
add("truncated_half.pth", REFUSED, lambda: plain()[: len(plain()) // 2], "is cut off")
add("header_only.pth", REFUSED, lambda: plain()[:30], "is cut off")
add("empty.pth", REFUSED, lambda: b"", "is empty")
add("bitflip.pth", REFUSED, flipped, "is damaged at conv1.weight")
add("directory_lies.pth", REFUSED, lambda: edited(b"\x0c", lambda _: 2**31), "no weights need that")
add("directory_elsewhere.pth", REFUSED, lambda: edited(b"\x10", lambda old: old + 9), "")
add(
    "zip_bomb.pth",
    REFUSED,
    lambda: Torch().archive({}, how=zipfile.ZIP_DEFLATED),
    "records are compressed",
)
add(
    "zip_bomb_storage.pth",
    REFUSED,
    lambda: (t := Torch()).archive({"a": t.tensor(np.ones(1), data=b"\0" * 100, count=10**8)}),
    "does not have its 100,000,000",
)
add("weights.npz", REFUSED, lambda: zipped({"a.npy": b"\x93NUMPY"}, top=""), "it holds: a.npy")
add(
    "model.keras",
    REFUSED,
    lambda: zipped({"config.json": b"{}", "model.weights.h5": b""}, top=""),
    "it holds: config.json",
)
add(
    "t_script.pt",
    REFUSED,
    lambda: zipped(
        {"data.pkl": b".", "constants.pkl": b".", "code/a.py": b"x"}, how=zipfile.ZIP_DEFLATED
    ),
    "program of TorchScript's",
)
add("html.pth", REFUSED, lambda: b"<!DOCTYPE html><html>Sign in</html>", "is a web page")
add(
    "lfs_pointer.pth",
    REFUSED,
    lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "git lfs pull",
)
add("model.safetensors.index.json", REFUSED, lambda: b'{"weight_map": {}}', "the list of several")
add("pickle_of_a_list.pth", REFUSED, lambda: pickle.dumps([1, 2]), "does not begin as one")
add("resnet20-0badc0de.pth", REFUSED, plain, "is damaged, or not what it is called")

# safetensors.


def safe(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    said = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(said) if length is None else length) + said + data


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def in_safetensors(tensors: dict[str, np.ndarray], start: bytes = b"") -> bytes:
    """As the library writes it, the header filled up until the file begins with `start`."""
    data = save({n: np.ascontiguousarray(a) for n, a in tensors.items()})
    length = int.from_bytes(data[:8], "little")
    spaces = (int.from_bytes(start, "little") - length) % 256 ** len(start)
    head = struct.pack("<Q", length + spaces) + data[8 : 8 + length]
    return head + b" " * spaces + data[8 + length :]


for each, make in {
    "ok.safetensors": lambda: in_safetensors(GOOD),
    "bf16.safetensors": lambda: in_safetensors(cast(ml_dtypes.bfloat16)),
    "fp16.safetensors": lambda: in_safetensors(cast(np.float16)),
    "t_bf16.safetensors": lambda: in_safetensors(cast(ml_dtypes.bfloat16)),
    "t_half.safetensors": lambda: in_safetensors(cast(np.float16)),
    "module.safetensors": lambda: in_safetensors(under("module.")),
    "begins_as_a_pickle.safetensors": lambda: in_safetensors(GOOD, b"\x80"),
    "begins_as_an_archive.safetensors": lambda: in_safetensors(GOOD, b"PK"),
}.items():
    add(each, READ, make)


def alone(dtype: str, size: int) -> Callable[[], bytes]:
    return lambda: safe({"conv1.weight": entry(dtype, [16, 3, 3, 3], 0, size)}, bytes(size))


CANNOT = "cannot be read as safetensors"
for each, words, make in (
    ("st_f8.safetensors", "type F8_E4M3", alone("F8_E4M3", 432)),
    ("t_fp8.safetensors", "type F8_E4M3", alone("F8_E4M3", 432)),
    ("st_f4.safetensors", "", alone("F4", 216)),
    ("st_c64.safetensors", "", alone("C64", 3456)),
    ("st_bf16.safetensors", "96 missing", alone("BF16", 864)),
    ("st_unknown_dtype.safetensors", CANNOT, alone("X99", 432)),
    ("st_bad_json.safetensors", CANNOT, lambda: safe(b'{"a": {"dtype"')),
    ("st_beyond.safetensors", CANNOT, lambda: safe({"a": entry("F32", [4], 0, 16)}, bytes(8))),
    ("st_deep_json.safetensors", CANNOT, lambda: safe(b'{"a":' * 50_000)),
    ("st_header_2_60.safetensors", "claims 1,152", lambda: safe({}, length=2**60)),
    ("st_hole.safetensors", CANNOT, lambda: safe({"a": entry("F32", [1], 4, 8)}, bytes(8))),
    (
        "st_index.json",
        "97 missing",
        lambda: safe({"weight_map": entry("F32", [1], 0, 4)}, bytes(4)),
    ),
    ("st_negative.safetensors", CANNOT, lambda: safe({"a": entry("F32", [1], -8, -4)})),
    ("st_only_metadata.safetensors", "", lambda: safe({"__metadata__": {"format": "pt"}})),
    (
        *("st_overlap.safetensors", CANNOT),
        lambda: safe({k: entry("F32", [2], 0, 8) for k in "ab"}, bytes(8)),
    ),
    (
        "st_shape_lies.safetensors",
        CANNOT,
        lambda: safe({"a": entry("F32", [2**40], 0, 8)}, bytes(8)),
    ),
    (
        *("st_shape_overflow.safetensors", CANNOT),
        lambda: safe({"a": entry("F32", [2**40, 2**40], 0, 8)}, bytes(8)),
    ),
    ("st_truncated.safetensors", CANNOT, lambda: in_safetensors(GOOD)[:-100]),
    ("st_cut_in_header.safetensors", "it is cut off", lambda: in_safetensors(GOOD)[:500]),
    (
        "st_large_header.safetensors",
        "no weights need that",
        lambda: safe(b"{" + b" " * 2**24 + b"}"),
    ),
):
    add(each, REFUSED, make, words)

# Caffe.


def varint(number: int) -> bytes:
    number %= 2**64
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob(array: Any, shape: tuple[int, ...] | None = None) -> bytes:
    array = np.asarray(array, np.float32)
    sizes = b"".join(map(varint, array.shape if shape is None else shape))
    return field(7, field(7, field(1, sizes)) + field(5, array.tobytes()))


def layer(called: Any, kind: str, *blobs: bytes) -> bytes:
    called = called if isinstance(called, bytes) else called.encode()
    head = field(1, called) + field(2, kind.encode()) + field(3, b"data") + field(4, b"out")
    return field(100, head + b"".join(blobs))


def conv(shape: tuple[int, ...], called: Any = "conv1") -> Callable[[], bytes]:
    return lambda: layer(called, "Convolution", blob(np.ones(4), shape))


FOUR = np.ones((2, 2))
for each, words, make in (
    ("caffe_absurd_shape", "holds 4 numbers", conv((2**31, 2**31, 2**31, 1))),
    ("caffe_batchnorm_1_blob", "a BatchNorm needs", lambda: layer("bn", "BatchNorm", blob(FOUR))),
    (
        *("caffe_batchnorm_empty_factor", "a BatchNorm needs"),
        lambda: layer("bn", "BatchNorm", blob(FOUR), blob(FOUR), blob([])),
    ),
    ("caffe_deep_groups", "a field of kind 3", lambda: b"\x0b" * 100_000),
    ("caffe_empty", "is empty", lambda: b""),
    ("caffe_length_lies", "size 1000", lambda: varint(100 << 3 | 2) + varint(1000) + b"abc"),
    ("caffe_minus1_shape", "a blob's shape is none", conv((-1, 2))),
    ("caffe_name_no_utf8", "", conv((2, 2), b"\xff\xfe")),
    ("caffe_negative_shape", "a blob's shape is none", conv((-2, -2))),
    (
        "caffe_one",
        "missing: conv2",
        lambda: layer("conv1", "Convolution", blob(np.ones((96, 3, 11, 11))), blob(np.ones(96))),
    ),
    ("caffe_random", "cannot be read", lambda: np.random.default_rng(0).bytes(1000)),
    ("caffe_rank_100", "a blob's shape is none", conv((1,) * 100)),
    ("caffe_text_prototxt", "cannot be read", lambda: b'name: "AlexNet"\nlayer { name: "data" }\n'),
    ("caffe_zero_shape", "holds 4 numbers", conv((0, 2**62, 2**62))),
    (
        "caffe_zero_shape2",
        "another shape",
        lambda: layer("conv1", "Convolution", blob([], (0, 2**40))),
    ),
    ("caffe_endless_number", "does not end", lambda: b"\xff" * 1000),
    ("caffe_many_fields", "more than", lambda: b"\x08\x00" * 2_000_000),
    ("caffe_many_layers", "", lambda: field(100, field(7, b"")) * 200_000),
    (
        "caffe_part_of_a_number",
        "a part of a number",
        lambda: field(100, field(7, field(5, b"abc"))),
    ),
):
    add(f"{each}.caffemodel", REFUSED, make, words)

# HDF5.


def h5(fill: Callable[[h5py.File], None]) -> Callable[[], bytes]:
    def make() -> bytes:
        held = io.BytesIO()
        with h5py.File(held, "w") as file:
            fill(file)
        return held.getvalue()

    return make


def with_kernel(make: Callable[[h5py.Group], Any] | None, **names: Any) -> Callable[[], bytes]:
    """A layer `conv1` whose kernel `make` makes; `layers` and `weights` are the lists of names."""

    def fill(file: h5py.File) -> None:
        file.attrs["layer_names"] = names.get("layers", [b"conv1"])
        group = file.create_group("conv1")
        group.attrs["weight_names"] = names.get("weights", [b"conv1/kernel:0"])
        if make is not None:
            make(group.require_group("conv1"))

    return h5(fill)


def kernel(**fields: Any) -> Callable[[], bytes]:
    return with_kernel(lambda group: group.create_dataset("kernel:0", **fields))


def compressed_zeros(group: h5py.Group) -> None:
    """2 GB in 2 MB: one chunk, compressed once and written often."""
    import zlib

    fields = {"chunks": (1, 2**24), "compression": "gzip", "dtype": "f4"}
    dataset = group.create_dataset("kernel:0", (32, 2**24), **fields)
    chunk = zlib.compress(bytes(2**26), 9)
    for place in range(32):
        dataset.id.write_direct_chunk((place, 0), chunk)


def wide_chunks(group: h5py.Group) -> None:
    import zlib

    fields = {"chunks": (2**28,), "maxshape": (None,), "compression": "gzip", "dtype": "f4"}
    dataset = group.create_dataset("kernel:0", (32,), **fields)
    dataset.id.write_direct_chunk((0,), zlib.compress(bytes(2**20), 9))


FITTING = np.ones((3, 3, 3, 32), np.float32)
SMALL = np.ones((2, 2), np.float32)
MISFIT = "conv1.weight"
LINKED = "is a link to somewhere else"


def linked(link: Any) -> Callable[[], bytes]:
    return with_kernel(lambda group: group.__setitem__("kernel:0", link))


def external(group: h5py.Group) -> None:
    group.create_dataset("kernel:0", (4,), "f4", external=[("/etc/hostname", 0, 16)])


def virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", (4,))
    group.create_virtual_dataset("kernel:0", layout)


def without_layers(file: h5py.File) -> None:
    file["a"] = SMALL


def layer_is_dataset(file: h5py.File) -> None:
    file.attrs["layer_names"] = [b"conv1"]
    file["conv1"] = SMALL


def weights_is_dataset(file: h5py.File) -> None:
    file["model_weights"] = SMALL


def soft_loop(file: h5py.File) -> None:
    file.attrs["layer_names"] = [b"conv1"]
    file["conv1"] = h5py.SoftLink("/conv1")


def keras3(file: h5py.File) -> None:
    file.create_group("layers/conv2d/vars")["0"] = SMALL


def long_names() -> bytes:
    """A list of names that are all the same megabyte of text, which stands there once."""

    def fill(file: h5py.File) -> None:
        names = np.array(["a" * 10**6, *"b" * 999], object)
        file.attrs.create("layer_names", names, dtype=h5py.string_dtype())

    data = h5(fill)()
    at = data.index(struct.pack("<I", 10**6))  # length, place and number of each text
    return data[:at] + 1000 * data[at : at + 16] + data[at + 16_000 :]


COMPOUND = np.zeros(4, [("a", "f4"), ("b", "i4")])
for each, words, make in (
    ("h5_complex", "type complex64", kernel(data=SMALL.astype(np.complex64))),
    ("h5_compound", "conv1.weight has numbers", kernel(data=COMPOUND)),
    ("h5_dangling_external", LINKED, linked(h5py.ExternalLink("nowhere.h5", "/a"))),
    ("h5_dangling_soft", LINKED, linked(h5py.SoftLink("/nowhere"))),
    ("h5_empty_dataspace", "has no shape", kernel(data=h5py.Empty("f4"))),
    ("h5_external_link", LINKED, linked(h5py.ExternalLink("ok.h5", "/a"))),
    ("h5_external_raw", "no numbers of its own", with_kernel(external)),
    ("h5_virtual", "no numbers of its own", with_kernel(virtual)),
    (
        "h5_group_for_dataset",
        "no numbers of its own",
        with_kernel(lambda g: g.create_group("kernel:0")),
    ),
    ("h5_layer_is_dataset", "weight_names is no list", h5(layer_is_dataset)),
    ("h5_layer_missing", "'nothere'", with_kernel(None, layers=[b"nothere"])),
    ("h5_layer_names_ints", "layer_names is no list", with_kernel(None, layers=[1, 2])),
    ("h5_layer_names_number", "layer_names is no list", with_kernel(None, layers=5)),
    ("h5_layer_names_text", "layer_names is no list", with_kernel(None, layers="conv1")),
    ("h5_weight_names_number", "weight_names is no list", with_kernel(None, weights=5)),
    ("h5_weight_names_up", "../conv1", with_kernel(None, weights=[b"../conv1/kernel:0"])),
    ("h5_model_weights_is_dataset", "", h5(weights_is_dataset)),
    ("h5_no_layers", "no list of layers", h5(without_layers)),
    ("h5_one_layer", "136 missing", kernel(data=FITTING)),
    ("h5_rank5", MISFIT, kernel(data=np.ones((1, 1, 1, 1, 2), np.float32))),
    (
        "h5_reference",
        MISFIT,
        with_kernel(lambda g: g.create_dataset("kernel:0", (2,), h5py.ref_dtype)),
    ),
    ("h5_scalar", MISFIT, kernel(data=np.float32(1))),
    ("h5_soft_loop", LINKED, h5(soft_loop)),
    ("h5_text_dataset", MISFIT, kernel(data=np.array([b"abc", b"def"]))),
    (
        "h5_vlen_text",
        MISFIT,
        kernel(data=np.array(["abc", "def"], object), dtype=h5py.string_dtype()),
    ),
    ("h5_unknown_leaf", "'magic', which is unknown", with_kernel(None, weights=[b"conv1/magic:0"])),
    (
        "h5_twice",
        "twice",
        with_kernel(
            lambda g: g.create_dataset("kernel:0", data=SMALL), layers=[b"conv1", b"conv1"]
        ),
    ),
    ("h5_unwritten_4TB", "was never written", kernel(shape=(10**6, 10**6), dtype="f4")),
    ("h5_unwritten_64GB", "was never written", kernel(shape=(100_000, 40_000, 4), dtype="f4")),
    ("h5_unwritten_8GB", "was never written", kernel(shape=(2**16, 2**15), dtype="f4")),
    ("h5_gzip_2GB", "no weights shrink so far", with_kernel(compressed_zeros)),
    ("h5_wide_chunks", "in pieces larger than itself", with_kernel(wide_chunks)),
    ("h5_long_names", "layer_names is a list of names of variable length", long_names),
    ("h5_header", "cannot be read", lambda: b"\x89HDF\r\n\x1a\n" + b"\x00" * 60),
    ("h5_truncated", "cannot be read", lambda: kernel(data=FITTING)()[:3000]),
    ("h5_garbled", "cannot be read", lambda: kernel(data=FITTING)()[:40] + b"\xff" * 4000),
):
    add(f"{each}.h5", REFUSED, make, words)
add("keras3.weights.h5", REFUSED, h5(keras3), "no list of layers")

add("a_folder.pth", REFUSED, lambda: b"", "there is no file")

# The networks that the others' forms are of.
NETWORKS = {".caffemodel": "alexnet", ".h5": "mobilenet_v1"}


ALONE = ("many_marks.pth", "many_sets.pth", "dict_copied.pth", "shared_storage_x2000.pth")
"""What leaves a process larger than it was, though in bounds."""
OTHER_NUMBERS = ("cifar100.pth", "t_cifar100.pth", "t_slice_of_larger.pth", "shared_by_all.pth")
OTHER_NUMBERS += ("stride_zero.pth",)


def network_of(file: str) -> str:
    suffix = "" if file.startswith("renamed_") else Path(file).suffix
    return NETWORKS.get(suffix, "resnet20")


def write(folder: Path, names: list[str]) -> dict[str, Path]:
    found = {each: folder / each for each in names}
    for each, path in found.items():
        if each == "a_folder.pth":
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(FILES[each].make())
    return found


# One child imports many files, and watches itself.


class Outcome(NamedTuple):
    """What happened with a file: `read`, `refused`, `traceback`, with seconds and peak bytes."""

    name: str
    outcome: str
    message: str
    seconds: float
    peak: int
    numbers: float = 0.0


def numbers_in(tree: Any) -> float:
    """One number of all numbers of a tree and of their places."""
    import jax

    leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)]
    return float(sum(leaf @ np.linspace(1, 2, leaf.size) for leaf in leaves))


def peak() -> int:
    """The most memory since it was last asked for, where the system can say so; else since ever."""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        Path("/proc/self/clear_refs").write_text("5")
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def import_all(folder: Path, names: list[str], report: Callable[[Outcome], None]) -> None:
    """Import each file as the command does, without writing a folder of weights."""
    from ablax.errors import AblaxError
    from ablax.weights.load import import_file

    for each in names:
        peak()
        start, outcome, message, numbers = time.process_time(), READ, "", 0.0
        try:
            found = import_file(network_of(each), folder / each)
            message, numbers = found.taken, numbers_in(found.model.variables)
        except AblaxError as error:
            outcome, message = REFUSED, str(error)
        except Exception:
            outcome, message = "traceback", traceback.format_exc()
        seconds = time.process_time() - start
        report(Outcome(each, outcome, message, seconds, peak(), numbers))


def in_child(folder: Path, names: list[str], limit: float = 900) -> list[Outcome]:
    """What a child of its own found; a file at which it died or hung is one of the outcomes."""
    found: list[Outcome] = []
    while left := names[len(found) :]:
        words = [sys.executable, __file__, "--child", str(folder), *left]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            try:
                said = child.communicate(timeout=limit)[0]
            except subprocess.TimeoutExpired as error:
                child.kill()
                said = (error.stdout or b"").decode() if isinstance(error.stdout, bytes) else ""
        found += [Outcome(*json.loads(line)) for line in said.splitlines() if line[:1] == "["]
        if len(found) < len(names):
            if child.returncode == 0:
                break
            found.append(Outcome(names[len(found)], "killed", f"{child.returncode}", limit, 0))
    return found


def measured(folder: Path, names: list[str], limit: float = 900) -> tuple[Outcome, list[Outcome]]:
    """What became of a good file, and of each of these: most in one child, some in their own."""
    together = [each for each in names if each not in ALONE]
    # The first import of a process compiles, the second is what an import needs.
    _, good, *found = in_child(folder, ["ok_plain.pth", "ok_plain.pth", *together], limit)
    for each in names:
        found += in_child(folder, [each], limit) if each in ALONE else []
    return good, found


def complaints(found: list[Outcome], good: Outcome) -> list[str]:
    """What is wrong with the outcomes, beside that of a good file."""
    wrong = []
    most = good.peak + 4 * WEIGHTS_OF_RESNET20 + SLACK
    for each in found:
        odd = FILES[each.name]
        if each.outcome != odd.outcome:
            wrong.append(f"{each.name}: {each.outcome}, not {odd.outcome}: {each.message}")
        elif odd.words not in each.message:
            wrong.append(f"{each.name} does not say {odd.words!r}: {each.message}")
        same = abs(each.numbers - good.numbers) < 1e-3 * abs(good.numbers)
        if each.outcome == READ and not same and each.name not in OTHER_NUMBERS:
            wrong.append(f"{each.name}: other numbers than the good file's")
        if len(each.message.splitlines()) > 10:
            wrong.append(f"{each.name}: {len(each.message.splitlines())} lines")
        if each.seconds > SECONDS:
            wrong.append(f"{each.name}: {each.seconds:.1f} s")
        if each.peak > most and network_of(each.name) == "resnet20":
            wrong.append(
                f"{each.name}: {each.peak / 1e6:.0f} MB, {good.peak / 1e6:.0f} MB of a good file"
            )
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help="write the files into this folder, and keep them")
    parser.add_argument("--show", action="store_true", help="print what is said of every file")
    parser.add_argument("names", nargs="*", help="files of the list; all by default")
    given = parser.parse_args()
    if given.child:
        resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, 16 * 2**30))
        import_all(given.child, given.names, lambda each: print(json.dumps(each), flush=True))
        return
    names = given.names or list(FILES)
    with tempfile.TemporaryDirectory() as place:
        folder = given.keep or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        write(folder, list({"ok_plain.pth", *names}))
        good, found = measured(folder, names)
    wrong = complaints(found, good)
    if given.show:
        for each in found:
            print(
                f"{each.name:36}|{each.outcome:9}|{each.seconds:.1f}s {each.peak / 1e6:.0f}MB|",
                end="",
            )
            print(" / ".join(each.message.splitlines()))
    counts = {kind: sum(each.outcome == kind for each in found) for kind in (READ, REFUSED)}
    other = len(found) - sum(counts.values())
    print(
        f"{len(found)} files of weights: {counts[READ]} read, {counts[REFUSED]} refused, "
        f"{other} otherwise"
    )
    print("\n".join(wrong) or "each as it should be, in bounds of time and memory")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
