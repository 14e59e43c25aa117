"""What timm calls the layers of MobileNet V1."""

from __future__ import annotations

import re

_SEPARABLE = re.compile(r"conv(\d+)_(dw|pw)/(conv|bn)")
_FIRST_OF_BLOCK = (2, 3, 5, 7, 13)
"""Our number of the first separable layer of each of timm's blocks."""


def mobilenet_v1(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.mobilenet_v1`.

    timm gathers the separable layers of as many features in a block: `blocks.3.1.conv_pw` is the
    1x1 convolution of our `conv8_pw`; its batch normalization is `bn2`, that of the depthwise one
    `bn1`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> mobilenet_v1("conv2_dw/conv"), mobilenet_v1("conv8_pw/bn"), mobilenet_v1("fc")
        ('blocks.0.0.conv_dw', 'blocks.3.1.bn2', 'classifier')
    """
    known = {"conv1/conv": "conv_stem", "conv1/bn": "bn1", "fc": "classifier"}
    layer = _SEPARABLE.fullmatch(path)
    if layer is None:
        return known.get(path, path)
    number, which, kind = int(layer[1]), layer[2], layer[3]
    block = sum(first <= number for first in _FIRST_OF_BLOCK) - 1
    place = f"blocks.{block}.{number - _FIRST_OF_BLOCK[block]}"
    return f"{place}.conv_{which}" if kind == "conv" else f"{place}.bn{1 + (which == 'pw')}"
