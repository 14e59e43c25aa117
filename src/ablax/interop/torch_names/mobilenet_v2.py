"""What torchvision calls the layers of MobileNet V2."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"bottleneck(\d)_(\d)/(expand|depthwise|project)/(conv|bn)")
_KNOWN = {
    "conv1/conv": "features.0.0",
    "conv1/bn": "features.0.1",
    "conv9/conv": "features.18.0",
    "conv9/bn": "features.18.1",
    "classifier/dense": "classifier.1",
}
_FIRST_OF_LINE = {2: 1, 3: 2, 4: 4, 5: 7, 6: 11, 7: 14, 8: 17}
"""Where the blocks of each line of the paper's table begin among torchvision's `features`."""


def mobilenet_v2(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.mobilenet_v2`.

    torchvision numbers the blocks through, and the layers in a block: `conv.0` and `conv.1` are the
    widening and the depthwise convolution with their normalizations, `conv.2` and `conv.3` the
    narrowing one and its normalization; all one less in the first block, which does not widen.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> mobilenet_v2("bottleneck3_2/expand/bn"), mobilenet_v2("bottleneck2_1/project/conv")
        ('features.3.conv.0.1', 'features.1.conv.1')
    """
    block = _BLOCK.fullmatch(path)
    if block is None:
        return _KNOWN.get(path, path)
    line, number, layer, kind = int(block[1]), int(block[2]), block[3], block[4]
    first = 1 if line > 2 else 0
    place = f"features.{_FIRST_OF_LINE[line] + number - 1}.conv"
    if layer == "project":
        return f"{place}.{first + (1 if kind == 'conv' else 2)}"
    return f"{place}.{0 if layer == 'expand' else first}.{0 if kind == 'conv' else 1}"
