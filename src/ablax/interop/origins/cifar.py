"""Residual networks for CIFAR-10 that others trained in PyTorch, with option A shortcuts.

Their tensors are called `conv1`, `bn1`, `layer1.0.conv1`, ..., `linear`. Where maps halve, the
identity gets channels of zeros, and the two ways of adding them cannot be told from the tensors:

* `idelbayev`: half in front and half behind, as in akamaster/pytorch_resnet_cifar10, from which
  most such files come;
* `zeros-behind`: all behind, as in our networks and the paper's code.

The first is our network with the channels of the second and third stage in another order: the
zeros, and with them everything that reads the stage, change places. `zeros_behind` reorders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from ablax.errors import WeightsError
from ablax.interop.origins.origin import Origin, Origins, Tensors
from ablax.interop.preprocessing import Preprocessing
from ablax.interop.torch_names.resnet import resnet

_BLOCK = re.compile(r"layer([123])\.(\d+)\.(conv1|conv2|bn2)\.(\w+)")

DEPTHS = (20, 32, 44, 56, 110, 1202)


def names(path: str) -> str:
    """The names of the layers: torchvision's, but `linear` for the classifier.

    Example:
        >>> names("res3b/conv2/bn"), names("classifier")
        ('layer2.1.bn2', 'linear')
    """
    return "linear" if path == "classifier" else resnet(path)


def zeros_behind(tensors: Tensors) -> Tensors:
    """Reorder the channels so that the zeros of the shortcuts stand behind the others.

    Args:
        tensors: Of a network whose shortcuts put half of the zeros in front.

    Returns:
        Tensors of a network that computes the same scores with all zeros behind.

    Raises:
        WeightsError: A stage does not have twice the channels of the one before.
    """
    orders = _orders(tensors)
    return {name: _reordered(name, array, orders) for name, array in tensors.items()}


def _orders(tensors: Tensors) -> dict[int, np.ndarray]:
    """Of each stage: which of their channels is our first, second, ..."""
    order = np.arange(_features(tensors, 1))
    orders = {1: order}
    for stage in (2, 3):
        channels, features = len(order), _features(tensors, stage)
        if features != 2 * channels:
            raise WeightsError(
                f"stage {stage} has {features} channels behind {channels}: expected twice as many"
            )
        front = (features - channels) // 2
        zeros = [*range(front), *range(front + channels, features)]
        order = np.array([*(front + order), *zeros])
        orders[stage] = order
    return orders


def _features(tensors: Tensors, stage: int) -> int:
    name = f"layer{stage}.0.conv2.weight"
    if name not in tensors:
        raise WeightsError(f"missing: {name}; expected a residual network for CIFAR-10")
    return int(tensors[name].shape[0])


def _reordered(name: str, array: np.ndarray, orders: dict[int, np.ndarray]) -> np.ndarray:
    if name == "linear.weight":
        return array[:, orders[3]]
    found = _BLOCK.fullmatch(name)
    if found is None or not array.ndim:
        return array
    stage, number, layer, _ = found.groups()
    if layer == "conv1":  # reads the stage, or in its first block the one before
        return array[:, orders[max(1, int(stage) - (number == "0"))]]
    return array[orders[int(stage)]]  # writes it


def _origins(depth: int) -> Iterator[Origin]:
    # Their training normalizes with ImageNet's mean and deviation.
    preprocessing = Preprocessing(32, None)
    for library, prepare in (("idelbayev", zeros_behind), ("zeros-behind", None)):
        yield Origin(
            *(library, f"resnet{depth}", "torch", names, preprocessing, "cifar10"), prepare=prepare
        )


ORIGINS: Origins = {f"resnet{depth}": tuple(_origins(depth)) for depth in DEPTHS}
