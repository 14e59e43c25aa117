"""What torchvision calls the layers of SqueezeNet: numbers that depend on where the pools stand."""

from __future__ import annotations

import re

_FIRE = re.compile(r"fire(\d)/(?:expand/)?(squeeze|expand1x1|expand3x3)/conv")
# The fire module behind each pool within the body, counted from 2.
_POOLED_1_0 = (5, 9)
_POOLED_1_1 = (4, 6)


def squeezenet_1_0(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.squeezenet.squeezenet_1_0`.

    `features` counts the first convolution, its ReLU, every pool and every fire module.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> squeezenet_1_0("conv1/conv"), squeezenet_1_0("fire9/expand/expand3x3/conv")
        ('features.0', 'features.12.expand3x3')
    """
    return _squeezenet(path, _POOLED_1_0)


def squeezenet_1_1(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.squeezenet.squeezenet_1_1`.

    As `squeezenet_1_0`, with the pools where version 1.1 has them.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> squeezenet_1_1("fire4/squeeze/conv"), squeezenet_1_1("classifier/conv")
        ('features.6.squeeze', 'classifier.1')
    """
    return _squeezenet(path, _POOLED_1_1)


def _squeezenet(path: str, pooled: tuple[int, ...]) -> str:
    known = {"conv1/conv": "features.0", "classifier/conv": "classifier.1"}
    fire = _FIRE.fullmatch(path)
    if fire is None:
        return known.get(path, path)
    number = int(fire[1])
    return f"features.{number + 1 + sum(first <= number for first in pooled)}.{fire[2]}"
