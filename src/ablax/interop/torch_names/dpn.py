"""What timm calls the layers of its dual path networks."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"(conv(\d)_\d+)/(\w+)/(conv|bn)")
_PARTS = {"conv1": "c1x1_a", "conv2": "c3x3_b", "conv3": "c1x1_c"}


def dpn(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.dpn`.

    A block has our name there, and `c1x1_a`, `c3x3_b`, `c1x1_c` for its convolutions; the
    projection is `c1x1_w_s1` or, with stride 2, `c1x1_w_s2`. The last normalization is
    `conv5_bn_ac`. timm's classifier is a 1x1 convolution.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> dpn("conv4_20/conv2/bn"), dpn("conv3_1/projection/conv")
        ('features.conv4_20.c3x3_b.bn', 'features.conv3_1.c1x1_w_s2.conv')
        >>> dpn("activation/bn")
        'features.conv5_bn_ac.bn'
    """
    known = {
        "conv1/conv": "features.conv1_1.conv",
        "conv1/bn": "features.conv1_1.bn",
        "activation/bn": "features.conv5_bn_ac.bn",
    }
    block = _BLOCK.fullmatch(path)
    if block is None:
        return known.get(path, path)
    name, stage, layer, kind = block.groups()
    projection = "c1x1_w_s1" if stage == "2" else "c1x1_w_s2"
    return f"features.{name}.{_PARTS.get(layer, projection)}.{kind}"
