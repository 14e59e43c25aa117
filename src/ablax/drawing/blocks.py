"""The blocks of a network, in which the drawing groups its nodes.

A block is a name that holds layers (`inception_3a`). Deep networks have too many for one look:
neighbors that the paper numbers as one stage (`res4a`, `res4b1`, ...; `dense2_1`, `dense2_2`, ...)
form a block of their own, named after what their names share.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

Path = tuple[str, ...]

_STAGES = (
    re.compile(r"(.*[0-9])_(?:[0-9]+|dw|pw)"),  # dense2_12, conv3_1, conv2_dw
    re.compile(r"(.*[0-9])[a-z][0-9]*"),  # res4b12, inception_3a, conv_2b
    re.compile(r"(.*_[a-z])[0-9]+"),  # inception_a4
)


def stage(name: str) -> str | None:
    """The part of a layer's name that its stage shares, if it has one.

    Example:
        >>> [stage(name) for name in ("res4b12", "dense2_3", "inception_3a", "conv1", "fc7")]
        ['res4', 'dense2', 'inception_3', None, None]
    """
    for pattern in _STAGES:
        if found := pattern.fullmatch(name):
            return found[1]
    return None


def with_stages(paths: Sequence[Path], also: Sequence[Path] = ()) -> dict[Path, Path]:
    """Put the stage in front of each path whose neighbors belong to the same stage.

    Args:
        paths: Of the nodes, in the order of execution.
        also: Of another network that is drawn with the same blocks, as an ablated one.

    Returns:
        From each path to the blocks around it and its own name, outermost first. A stage is written
        `"res4 ..."`, so that it is never taken for a layer.

    Example:
        >>> grouped = with_stages([("conv1",), ("res2a", "conv"), ("res2b", "conv"), ("fc",)])
        >>> [list(path) for path in grouped.values()]
        [['conv1'], ['res2 ...', 'res2a', 'conv'], ['res2 ...', 'res2b', 'conv'], ['fc']]
    """
    stages: dict[str, str] = {}
    for each in (paths, also):
        top = dict.fromkeys(path[0] for path in each if path)
        for shared, run in groupby(top, key=stage):
            names = list(run)
            if shared is not None and len(names) > 1:
                stages |= dict.fromkeys(names, f"{shared} ...")
    return {
        path: (stages[path[0]], *path) if path and path[0] in stages else path
        for path in (*paths, *also)
    }
