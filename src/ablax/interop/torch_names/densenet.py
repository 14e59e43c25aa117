"""What torchvision calls the layers of its DenseNets."""

from __future__ import annotations

import re

_DENSE = re.compile(r"dense(\d)_(\d+)/conv([12])/(conv|bn)")
_TRANSITION = re.compile(r"transition(\d)/(conv|bn)")
_KIND = {"conv": "conv", "bn": "norm"}


def densenet(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.densenet`.

    Dense layer n of block b is `features.denseblock{b}.denselayer{n}`, with `norm1`, `conv1`,
    `norm2` and `conv2`; transition t is `features.transition{t}`; the first convolution and the
    normalizations behind it and in front of the head are `conv0`, `norm0` and `norm5`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> densenet("dense3_24/conv2/bn"), densenet("transition1/conv")
        ('features.denseblock3.denselayer24.norm2', 'features.transition1.conv')
        >>> densenet("conv1/conv")
        'features.conv0'
    """
    known = {
        "conv1/conv": "features.conv0",
        "conv1/bn": "features.norm0",
        "activation/bn": "features.norm5",
    }
    if dense := _DENSE.fullmatch(path):
        block, number, layer, kind = dense.groups()
        return f"features.denseblock{block}.denselayer{number}.{_KIND[kind]}{layer}"
    if transition := _TRANSITION.fullmatch(path):
        number, kind = transition.groups()
        return f"features.transition{number}.{_KIND[kind]}"
    return known.get(path, path)
