"""Weights of `keras.applications`, whose authors published them there: MobileNet V1 and Xception.

Levels from -1 to 1; padding and epsilon are TensorFlow's (`tensorflow_conventions`).
"""

from __future__ import annotations

import re

from ablax.core import Network
from ablax.interop.origins.origin import Origin, Origins, Tensors
from ablax.interop.preprocessing import Preprocessing
from ablax.interop.tensorflow_conventions import tensorflow_conventions
from ablax.zoo.mobilenet_v1 import clipped

_HALF = (0.5, 0.5, 0.5)
_SEPARABLE = re.compile(r"conv(\d+)_(dw|pw)/(conv|bn)")
_XCEPTION = re.compile(r"(entry|middle|exit)(\d+)/(?:sep(\d)/)?(depthwise|pointwise|bn)")
_PROJECTION = re.compile(r"(entry|exit)(\d)/projection/(conv|bn)")
_BLOCKS = {"entry": 1, "middle": 4, "exit": 12}
_NUMBERED = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?\.(.*)")


def mobilenet_v1_names(path: str) -> str:
    """The names of the layers of `mobilenet_v1` in Keras.

    Example:
        >>> mobilenet_v1_names("conv2_dw/conv"), mobilenet_v1_names("conv14_pw/bn")
        ('conv_dw_1', 'conv_pw_13_bn')
    """
    known = {"conv1/conv": "conv1", "conv1/bn": "conv1_bn", "fc": "conv_preds"}
    separable = _SEPARABLE.fullmatch(path)
    if separable is None:
        return known.get(path, path)
    number, kind, leaf = separable.groups()
    return f"conv_{kind}_{int(number) - 1}{'_bn' if leaf == 'bn' else ''}"


def mobilenet_v1_of_keras(network: Network) -> Network:
    """The edit that cuts every ReLU off at 6, and pads as TensorFlow does."""
    return tensorflow_conventions(clipped(network))


def xception_names(path: str) -> str:
    """The names of the layers of `xception` in Keras; its projections after `numbered_in_order`.

    Example:
        >>> xception_names("entry2/sep1/depthwise"), xception_names("middle8/sep3/bn")
        ('block3_sepconv1.depthwise', 'block12_sepconv3_bn')
        >>> xception_names("exit1/projection/conv"), xception_names("exit3/pointwise")
        ('projection4', 'block14_sepconv2.pointwise')
    """
    known = {
        **{"conv1/conv": "block1_conv1", "conv1/bn": "block1_conv1_bn"},
        **{"conv2/conv": "block1_conv2", "conv2/bn": "block1_conv2_bn"},
        "classifier/dense": "predictions",
    }
    if projection := _PROJECTION.fullmatch(path):
        flow, number, kind = projection.groups()
        place = 4 if flow == "exit" else int(number)
        return f"projection{place}{'_bn' if kind == 'bn' else ''}"
    found = _XCEPTION.fullmatch(path)
    if found is None:
        return known.get(path, path)
    flow, number, separable, leaf = found.groups()
    block, unit = _BLOCKS[flow] + int(number), separable
    if separable is None:  # the last two separable convolutions share block 14
        block, unit = 14, str(int(number) - 1)
    name = f"block{block}_sepconv{unit}"
    return f"{name}_bn" if leaf == "bn" else f"{name}.{leaf}"


def numbered_in_order(tensors: Tensors) -> Tensors:
    """Keras numbers its unnamed layers, the four projections, anew in every process.

    Args:
        tensors: With `conv2d_7.weight` and the like.

    Returns:
        With `projection1` to `projection4` and `projection1_bn` and so on, in the same order.

    Example:
        >>> import numpy as np
        >>> theirs = ("conv2d_7.weight", "conv2d_10.weight", "fc.bias")
        >>> list(numbered_in_order(dict.fromkeys(theirs, np.zeros(1))))
        ['projection1.weight', 'projection2.weight', 'fc.bias']
    """
    found = {name: match for name in tensors if (match := _NUMBERED.fullmatch(name))}
    numbers = {
        kind: sorted({int(match[2] or 0) for match in found.values() if match[1] == kind})
        for kind in ("conv2d", "batch_normalization")
    }

    def renamed(name: str) -> str:
        match = found.get(name)
        if match is None:
            return name
        kind, number, leaf = match.groups()
        place = numbers[kind].index(int(number or 0)) + 1
        return f"projection{place}{'' if kind == 'conv2d' else '_bn'}.{leaf}"

    return {renamed(name): array for name, array in tensors.items()}


ORIGINS: Origins = {
    "mobilenet_v1": (
        Origin(
            *("keras", "MobileNet", "keras", mobilenet_v1_names),
            Preprocessing(224, 256, "bilinear", _HALF, _HALF),
            change=mobilenet_v1_of_keras,
        ),
    ),
    "xception": (
        Origin(
            *("keras", "Xception", "keras", xception_names),
            Preprocessing(299, 341, "bilinear", _HALF, _HALF),
            change=tensorflow_conventions,
            prepare=numbered_in_order,
        ),
    ),
}
