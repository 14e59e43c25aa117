"""What torchvision calls the layers of its ResNets."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"res(\d)([a-f])(\d*)/(\w+)/(conv|bn)")


def resnet(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.resnet`.

    `conv1` and `classifier` are `conv1`, `bn1` and `fc`; block n of stage s is `layer{s-1}.{n}`,
    with `conv1`, `conv2`, `conv3`, `bn1` and so on, and `downsample` for the projection.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> resnet("res2a/conv1/conv"), resnet("res4b22/conv3/bn")
        ('layer1.0.conv1', 'layer3.22.bn3')
        >>> resnet("res3a/projection/bn")
        'layer2.0.downsample.1'
    """
    known = {"conv1/conv": "conv1", "conv1/bn": "bn1", "classifier": "fc"}
    block = _BLOCK.fullmatch(path)
    if block is None:
        return known.get(path, path)
    stage, letter, number, layer, kind = block.groups()
    place = f"layer{int(stage) - 1}.{number or 'abcdef'.index(letter)}"
    if layer == "projection":
        return f"{place}.downsample.{('conv', 'bn').index(kind)}"
    return f"{place}.{kind}{layer.removeprefix('conv')}"
