"""What timm's `legacy_` networks call the layers of squeeze-and-excitation networks."""

from __future__ import annotations

import re

from ablax.interop.torch_names.resnet import resnet

_GATE = re.compile(r"(\w+)/se/(reduce|excite)")
_TAIL = re.compile(r"conv1(?:_(\d))?/(conv|bn)")


def senet(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.senet`.

    The blocks are called as in torchvision's ResNet, with `se_module.fc1` and `fc2` for the gate;
    the tail is `layer0`, the classifier `last_linear`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> senet("res2b/conv1/conv"), senet("res2b/se/excite"), senet("conv1_3/bn")
        ('layer1.1.conv1', 'layer1.1.se_module.fc2', 'layer0.bn3')
    """
    if path in ("classifier", "classifier/dense"):
        return "last_linear"
    if tail := _TAIL.fullmatch(path):
        return f"layer0.{tail[2]}{tail[1] or 1}"
    if gate := _GATE.fullmatch(path):
        block = resnet(f"{gate[1]}/conv1/conv").removesuffix(".conv1")
        return f"{block}.se_module.{'fc1' if gate[2] == 'reduce' else 'fc2'}"
    return resnet(path)
