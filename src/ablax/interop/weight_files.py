"""Read a file of weights, whoever wrote it: PyTorch, safetensors, Caffe or Keras."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np

from ablax.errors import WeightsError

_HASHED = re.compile(r".*-([0-9a-f]{8,64})\.(?:pth|pt|bin|safetensors)")


def read_weights(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """The form of the file, `torch`, `caffe` or `keras`, and its tensors by name.

    What a file is, is read from its first bytes; the suffix says only whether bytes that could be
    anything are Caffe's. All tensors have PyTorch's order of axes. Where the file's name ends in
    the start of its SHA-256, as PyTorch's do, the two are compared.

    Args:
        path: The file.

    Raises:
        WeightsError: There is no such file; it is damaged, or of no known form; it needs code.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {path}: give the path of a file of weights")
    _check_hash(path)
    with path.open("rb") as file:
        head = file.read(16)
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        from ablax.interop.keras_file import read_keras

        return "keras", read_keras(path)
    if head[:2] == b"PK" or head[:1] == b"\x80":
        from ablax.interop.torch_file import read_torch

        return "torch", read_torch(path)
    if head[8:9] == b"{":
        return "torch", _read_safetensors(path)
    if path.suffix == ".caffemodel":
        from ablax.interop.caffe_file import read_caffe

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
