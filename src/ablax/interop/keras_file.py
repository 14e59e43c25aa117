"""Keras' files of weights, `.h5`: HDF5, read without Keras.

Layout: a convolution is (height, width, channels, features), a depthwise one (height, width,
channels, multiplier), a dense layer (inputs, outputs). They are given back in PyTorch's order of
axes, so that all weights of others go the same way from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ablax.errors import WeightsError

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

    Args:
        path: The file.

    Returns:
        Arrays in PyTorch's order of axes.

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
            return dict(_tensors(group))
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as a file of Keras': {error}") from error


def _tensors(group: Any) -> list[tuple[str, np.ndarray]]:
    found = []
    for layer in group.attrs["layer_names"]:
        layer_name = _text(layer)
        for each in group[layer_name].attrs["weight_names"]:
            name = _text(each)
            leaf = name.rsplit("/", 1)[-1].split(":")[0]
            if leaf not in _LEAVES:
                raise WeightsError(f"layer {layer_name!r} has a weight {leaf!r}, which is unknown")
            array = np.asarray(group[layer_name][name])
            # A depthwise layer of its own has no pointwise kernel beside it.
            names = [_text(other) for other in group[layer_name].attrs["weight_names"]]
            separable = any("pointwise_kernel" in other for other in names)
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
