"""What torchvision calls the layers of ShuffleNet V2."""

from __future__ import annotations

import re

_UNIT = re.compile(
    r"stage(\d)_(\d)/branches/(shortcut|residual)/conv(\d)/(conv|bn)",
)
_LAYER = re.compile(r"conv([15])/(conv|bn)")
_PLACES = {"shortcut": (0, 2), "residual": (0, 3, 5)}
"""Of each convolution among the layers of a branch; its normalization is the next."""


def shufflenet_v2(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.shufflenet_v2`.

    The way round is `branch1`, the way through `branch2`; units and layers are numbered from 0, and
    `classifier` is `fc`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> shufflenet_v2("conv5/bn"), shufflenet_v2("stage2_1/branches/shortcut/conv2/conv")
        ('conv5.1', 'stage2.0.branch1.2')
        >>> shufflenet_v2("stage3_8/branches/residual/conv3/bn")
        'stage3.7.branch2.6'
    """
    if path == "classifier":
        return "fc"
    if layer := _LAYER.fullmatch(path):
        return f"conv{layer[1]}.{0 if layer[2] == 'conv' else 1}"
    unit = _UNIT.fullmatch(path)
    if unit is None:
        return path
    stage, number, way, layer_number, kind = unit.groups()
    branch = 1 if way == "shortcut" else 2
    place = _PLACES[way][int(layer_number) - 1] + (kind == "bn")
    return f"stage{stage}.{int(number) - 1}.branch{branch}.{place}"
