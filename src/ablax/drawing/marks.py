"""What an ablation removed, added and changed, node by node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from ablax.analysis.graph import DataFlow, Node

Mark = Literal["", "removed", "added", "changed"]
_Key = tuple[tuple[str, ...], str, int]


def marks(parent: DataFlow, child: DataFlow) -> tuple[list[Mark], list[Mark]]:
    """Hold two graphs against each other: nodes of one path and family are the same layer.

    Args:
        parent: Before the ablation.
        child: After it.

    Returns:
        A mark for each node of the parent ("removed" where the child lacks it) and of the child
        ("added" where the parent lacks it). In both, "changed" stands where the operation or the
        shape of input or output differs, as behind a layer that was removed.

    Example:
        >>> def path(*names):
        ...     nodes = [Node((name,), "ReLU", "nonlinearity", (1, 8), (1, 8)) for name in names]
        ...     return DataFlow(tuple(nodes), ())
        >>> marks(path("conv1", "conv2", "conv3"), path("conv1", "conv3"))
        (['', 'removed', ''], ['', ''])
    """
    before, after = _by_key(parent.nodes), _by_key(child.nodes)
    return _against(before, after, "removed"), _against(after, before, "added")


def _by_key(nodes: Sequence[Node]) -> dict[_Key, Node]:
    seen: Counter[tuple[tuple[str, ...], str]] = Counter()
    found: dict[_Key, Node] = {}
    for node in nodes:
        place = (node.path, node.family)
        found[*place, seen[place]] = node
        seen[place] += 1
    return found


def _against(ours: dict[_Key, Node], theirs: dict[_Key, Node], alone: Mark) -> list[Mark]:
    found: list[Mark] = []
    for key, node in ours.items():
        other = theirs.get(key)
        if other is None:
            found.append(alone)
        else:
            found.append("" if _law(node) == _law(other) else "changed")
    return found


def _law(node: Node) -> tuple[object, ...]:
    return node.operation, node.input_shape, node.output_shape
