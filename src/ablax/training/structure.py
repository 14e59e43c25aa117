"""What a saved state is made of: the path and type of every leaf, compared before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree


def describe(tree: PyTree) -> dict[str, str]:
    """The dotted path and the type of every leaf.

    Args:
        tree: Arrays, `jax.ShapeDtypeStruct` and Python numbers, in any containers.

    Returns:
        Path -> type, in the order of the leaves.

    Raises:
        TypeError: A leaf is a PRNG key, or no array and no number.
        ValueError: Two leaves have the same dotted path, as in `{"a.b": 1, "a": {"b": 2}}`.

    Example:
        >>> describe({"bias": np.zeros(64, np.float32), "step": 3})
        {'bias': 'float32[64]', 'step': 'int'}
    """
    described: dict[str, str] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        if name in described:
            raise ValueError(f"two leaves of the state have the path {name}: rename one of them")
        described[name] = _leaf_type(name, leaf)
    return described


def differences(found: Mapping[str, str], expected: Mapping[str, str], *, most: int = 5) -> str:
    """Where two descriptions differ, a line each; empty when they agree.

    Args:
        found: What is there.
        expected: What should be.
        most: How many lines to give before `... and 7 more`.

    Example:
        >>> print(differences({"w": "float32[3]"}, {"w": "float32[4]", "b": "float32[4]"}))
        2 of 2 leaves differ:
          w: found float32[3], expected float32[4]
          b: found nothing, expected float32[4]
    """
    both = {**expected, **found}
    names = [name for name in both if found.get(name) != expected.get(name)]
    if not names:
        return ""
    lines = [f"{len(names)} of {len(both)} leaves differ:"]
    for name in names[:most]:
        there, wanted = found.get(name, "nothing"), expected.get(name, "nothing")
        lines.append(f"  {name}: found {there}, expected {wanted}")
    if len(names) > most:
        lines.append(f"  ... and {len(names) - most} more")
    return "\n".join(lines)


def _leaf_type(name: str, leaf: Any) -> str:
    if isinstance(leaf, (bool, int, float)) and not isinstance(leaf, np.generic):
        return type(leaf).__name__
    if not isinstance(leaf, (jax.Array, jax.ShapeDtypeStruct, np.ndarray, np.generic)):
        raise TypeError(f"{name} is a {type(leaf).__name__}: a state holds arrays and numbers")
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        raise TypeError(f"{name} is a PRNG key: save jax.random.key_data of it")
    return f"{leaf.dtype}[{','.join(str(size) for size in leaf.shape)}]"
