"""What timm calls the layers of Inception V4."""

from __future__ import annotations

import re

_PATH = re.compile(
    r"(conv_\d[ab]|mixed_[345]a|inception_[abc]\d|reduction_[ab])"
    r"(?:/branch(1x1|3x3|7x7|_double|_pool))?"
    r"(?:/(conv\d|conv(?=/)|fork/row|fork/column|project))?/(conv|bn)"
)
_FIRST = {"inception_a": 5, "inception_b": 10, "inception_c": 18}
"""What stands in front of the first module of a kind, in timm's `features`."""
_ALONE = {
    **{name: number for number, name in enumerate(("conv_1a", "conv_2a", "conv_2b"))},
    **{name: number for number, name in enumerate(("mixed_3a", "mixed_4a", "mixed_5a"), start=3)},
    "reduction_a": 10,
    "reduction_b": 18,
}
_BRANCHES = {"1x1": 0, "3x3": 1, "7x7": 1, "_double": 2, "_pool": 3}
_FORKS = {("3x3", "fork/row"): "1a", ("3x3", "fork/column"): "1b"} | {
    ("_double", "fork/row"): "3a",
    ("_double", "fork/column"): "3b",
}


def inception_v4(path: str) -> str:
    """The name in timm of a layer of `ablax.zoo.inception_v4`.

    All layers and modules in front of the average are numbered `features.0` to `features.21`, the
    branches of a module `branch0` to `branch3`.

    Args:
        path: Our path of a layer that holds parameters, without the leaf.

    Returns:
        The module there; `path` itself where nothing is known of it.

    Example:
        >>> inception_v4("inception_b1/branch_double/conv5/bn"), inception_v4("mixed_3a/conv/conv")
        ('features.11.branch2.4.bn', 'features.3.conv.conv')
        >>> inception_v4("inception_c3/branch_double/fork/column/conv")
        'features.21.branch2_3b.conv'
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return "last_linear" if path == "classifier/dense" else path
    layer, branch, step, kind = found.groups()
    number = _ALONE[layer] if layer in _ALONE else _FIRST[layer[:-1]] + int(layer[-1])
    inside = _branch(layer, branch, step) if branch else ("conv" if step else "")
    return ".".join(part for part in ("features", str(number), inside, kind) if part)


def _branch(layer: str, branch: str, step: str | None) -> str:
    place = _BRANCHES[branch]
    if layer in ("mixed_4a", "reduction_b"):  # two branches with weights, of which none is 1x1
        place = ("3x3", "7x7").index(branch)
    elif layer == "reduction_a":
        place = ("3x3", "_double").index(branch)
    if step is None:
        return f"branch{place}"
    if step == "project":
        return f"branch{place}.1"
    order = _FORKS[branch, step] if step.startswith("fork") else str(int(step[-1]) - 1)
    return f"branch{place}{'_' if layer.startswith('inception_c') else '.'}{order}"
