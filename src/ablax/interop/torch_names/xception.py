"""What timm's `legacy_xception` calls the layers of Xception."""

from __future__ import annotations

import re

_TAIL = re.compile(r"conv([12])/(conv|bn)")
_BLOCK = re.compile(r"(entry|middle|exit)(\d)/(?:sep(\d)/)?(depthwise|pointwise|bn)")
_PROJECTION = re.compile(r"(entry|exit)(\d)/projection/(conv|bn)")
_BEFORE = {"entry": 0, "middle": 3, "exit": 11}
"""Blocks in front of each flow."""


def xception(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.xception`.

    timm numbers the twelve residual blocks through, and the layers of a block: in `block1`, which
    begins without a ReLU, the separable convolutions are `rep.0` and `rep.3`, in the others `rep.1`
    and `rep.4` (and `rep.7`); the next number is the normalization. Projections are `skip` and
    `skipbn`, the last two separable convolutions `conv3` and `conv4`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> xception("entry1/sep2/depthwise"), xception("middle8/sep3/bn")
        ('block1.rep.3.conv1', 'block11.rep.8')
        >>> xception("exit1/projection/bn"), xception("exit3/pointwise")
        ('block12.skipbn', 'conv4.pointwise')
    """
    if path == "classifier/dense":
        return "fc"
    if tail := _TAIL.fullmatch(path):
        return f"{tail[2]}{tail[1]}"
    if projection := _PROJECTION.fullmatch(path):
        block = _BEFORE[projection[1]] + int(projection[2])
        return f"block{block}.skip{'bn' if projection[3] == 'bn' else ''}"
    layer = _BLOCK.fullmatch(path)
    if layer is None:
        return path
    flow, number, separable, kind = layer[1], int(layer[2]), layer[3], layer[4]
    inside = {"depthwise": ".conv1", "pointwise": ".pointwise"}.get(kind, "")
    if separable is None:  # the end of the exit flow
        return f"bn{number + 1}" if kind == "bn" else f"conv{number + 1}{inside}"
    place = 3 * int(separable) - (3 if path.startswith("entry1/") else 2) + (kind == "bn")
    return f"block{_BEFORE[flow] + number}.rep.{place}{inside}"
