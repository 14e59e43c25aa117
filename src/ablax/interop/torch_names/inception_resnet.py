"""What timm calls the layers of Inception-ResNet V2."""

from __future__ import annotations

import re

_STEM = re.compile(r"conv_(\d[ab])/(conv|bn)")
_LINEAR = re.compile(r"inception_resnet_([abc])(\d+)/linear")
_MODULE = re.compile(
    r"(mixed_5b|reduction_[ab]|inception_resnet_[abc]\d+/module)"
    r"/branch(1x1|3x3|5x5|7x7|_second|_double|_pool)(?:/(conv(\d)|project))?/(conv|bn)"
)
_REPEATED = {"a": "repeat", "b": "repeat_1", "c": "repeat_2"}
_ALONE = {"mixed_5b": "mixed_5b", "reduction_a": "mixed_6a", "reduction_b": "mixed_7a"}
_BRANCHES = {"1x1": 0, "3x3": 1, "5x5": 1, "7x7": 1, "_second": 1, "_double": 2, "_pool": 3}


def inception_resnet(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.inception_v4.inception_resnet_v2`.

    The blocks are `repeat`, `repeat_1` and `repeat_2`, the last of all `block8`, each with branches
    `branch0` to `branch2` and the convolution in front of the sum `conv2d`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> inception_resnet("inception_resnet_b20/module/branch7x7/conv3/bn")
        'repeat_1.19.branch1.2.bn'
        >>> inception_resnet("inception_resnet_c10/linear"), inception_resnet("conv_7b/conv")
        ('block8.conv2d', 'conv2d_7b.conv')
    """
    if stem := _STEM.fullmatch(path):
        return f"conv2d_{stem[1]}.{stem[2]}"
    if linear := _LINEAR.fullmatch(path):
        return f"{_block(linear[1], int(linear[2]))}.conv2d"
    module = _MODULE.fullmatch(path)
    if module is None:
        return "classif" if path == "classifier/dense" else path
    layer, branch, step, number, kind = module.groups()
    if layer in _ALONE:
        place = _ALONE[layer]
    else:
        name = layer.removesuffix("/module").removeprefix("inception_resnet_")
        place = _block(name[0], int(name[1:]))
    index = _BRANCHES[branch]
    if layer == "reduction_a" or (layer == "reduction_b" and branch == "3x3"):
        index = int(branch == "_double")
    order = "" if step is None else f".{int(number) - 1 if number else 1}"
    return f"{place}.branch{index}{order}.{kind}"


def _block(kind: str, number: int) -> str:
    """The last block of the last kind stands alone."""
    return "block8" if (kind, number) == ("c", 10) else f"{_REPEATED[kind]}.{number - 1}"
