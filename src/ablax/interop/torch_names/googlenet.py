"""What torchvision calls the layers of GoogLeNet."""

from __future__ import annotations

import re

_MODULE = re.compile(r"inception_(\w\w)/branch(1x1|3x3|5x5|_pool)(?:/(\w+))?/(conv|bn)")
_SIDE = re.compile(r"auxiliary(\d)/(conv/conv|conv/bn|hidden/dense|classifier)")
_BRANCHES = ("1x1", "3x3", "5x5", "_pool")
_FIRST = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"}
_WITHIN_SIDE = {
    "conv/conv": "conv.conv",
    "conv/bn": "conv.bn",
    "hidden/dense": "fc1",
    "classifier": "fc2",
}


def googlenet(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.googlenet.googlenet_bn`.

    Module 3a is `inception3a`, with `branch1` to `branch4` in the order of the table; the side
    classifiers are `aux1` and `aux2`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> googlenet("conv2/conv"), googlenet("inception_3a/branch5x5/large/bn")
        ('conv3.conv', 'inception3a.branch3.1.bn')
        >>> googlenet("inception_5b/branch1x1/conv"), googlenet("auxiliary2/hidden/dense")
        ('inception5b.branch1.conv', 'aux2.fc1')
    """
    if path == "classifier/dense":
        return "fc"
    if side := _SIDE.fullmatch(path):
        return f"aux{side[1]}.{_WITHIN_SIDE[side[2]]}"
    if module := _MODULE.fullmatch(path):
        number, branch, step, kind = module.groups()
        place = f"inception{number}.branch{_BRANCHES.index(branch) + 1}"
        return f"{place}.{kind}" if step is None else f"{place}.{int(step != 'reduce')}.{kind}"
    first, _, kind = path.partition("/")
    return f"{_FIRST[first]}.{kind}" if first in _FIRST else path
