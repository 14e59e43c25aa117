"""What timm calls the layers of its pre-activated ResNets, `resnetv2_*`."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"res(\d)([a-f])(\d*)/(\w+)/(conv|bn)")


def resnet_preactivation(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.resnet_preactivation`.

    Block n of stage s is `stages.{s-2}.blocks.{n}`; the normalization in front of `conv1` is
    `norm1`, and so on. timm's classifier is a 1x1 convolution, `head.fc`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> resnet_preactivation("res2a/preactivation/bn"), resnet_preactivation("res4b22/conv2/bn")
        ('stages.0.blocks.0.norm1', 'stages.2.blocks.22.norm2')
        >>> resnet_preactivation("res3a/projection/conv")
        'stages.1.blocks.0.downsample.conv'
    """
    known = {"conv1/conv": "stem.conv", "activation/bn": "norm", "classifier": "head.fc"}
    block = _BLOCK.fullmatch(path)
    if block is None:
        return known.get(path, path)
    stage, letter, number, layer, kind = block.groups()
    place = f"stages.{int(stage) - 2}.blocks.{number or 'abcdef'.index(letter)}"
    if layer == "projection":
        return f"{place}.downsample.conv"
    if layer == "preactivation":
        return f"{place}.norm1"
    return f"{place}.{'norm' if kind == 'bn' else 'conv'}{layer.removeprefix('conv')}"
