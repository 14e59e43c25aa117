"""What torchvision calls the layers of Inception V3."""

from __future__ import annotations

import re

_STEM = re.compile(r"conv_(1a|2a|2b|3b|4a)/(conv|bn)")
_MODULE = re.compile(
    r"mixed_(\w\w)/branch(1x1|3x3|5x5|7x7|_double|_pool)"
    r"(?:/(?:conv(\d)|fork/(row|column)|project))?/(conv|bn)"
)
_SIDE = re.compile(r"auxiliary/(conv[01])/(conv|bn)")
_LETTERS = {"row": "a", "column": "b"}


def inception_v3(path: str) -> str:
    """The name in torchvision of a layer of `ablax.zoo.inception_v3`.

    A branch of several convolutions numbers them: `branch5x5_1`. Those that end side by side have
    letters: `branch3x3_2a` for 1x3 and `branch3x3_2b` for 3x1.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> inception_v3("conv_3b/conv"), inception_v3("mixed_6b/branch_double/conv4/bn")
        ('Conv2d_3b_1x1.conv', 'Mixed_6b.branch7x7dbl_4.bn')
        >>> inception_v3("mixed_7c/branch_double/fork/column/conv")
        'Mixed_7c.branch3x3dbl_3b.conv'
    """
    known = {"classifier/dense": "fc", "auxiliary/classifier": "AuxLogits.fc"}
    if stem := _STEM.fullmatch(path):
        return f"Conv2d_{stem[1]}_{'1x1' if stem[1] == '3b' else '3x3'}.{stem[2]}"
    if side := _SIDE.fullmatch(path):
        return f"AuxLogits.{side[1]}.{side[2]}"
    if module := _MODULE.fullmatch(path):
        return _within(*module.groups())
    return known.get(path, path)


def _within(module: str, branch: str, number: str | None, fork: str | None, kind: str) -> str:
    double = "7x7dbl" if module in ("6b", "6c", "6d", "6e") else "3x3dbl"
    there = {"_double": double, "7x7": "7x7x3" if module == "7a" else "7x7"}.get(branch, branch)
    if fork is not None:
        number = ("3" if branch == "_double" else "2") + _LETTERS[fork]
    step = "" if number is None else f"_{number}"
    return f"Mixed_{module}.branch{there}{step}.{kind}"
