"""The operations of a program put to the layers they came from, forward and backward."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ablax.profiling.device_trace import Operation

REST = "(rest)"
"""What belongs to no layer: the loss, the optimizer, shuffling and augmentation."""

_MARK = re.compile(r"(?:jit|jvp|transpose|vmap|remat|checkpoint)\((.*)\)")


@dataclass
class Times:
    """Seconds of one layer.

    Attributes:
        forward: Of its forward pass.
        backward: Of both gradients, and of what is computed again for them.
    """

    forward: float = 0.0
    backward: float = 0.0

    @property
    def both(self) -> float:
        """Their sum."""
        return self.forward + self.backward


def layer_of(scope: str, layers: Collection[str]) -> tuple[str, bool]:
    """The layer of a name stack, and whether it is of the backward pass.

    Args:
        scope: As XLA keeps it, with the marks of JAX's transformations.
        layers: Paths of the layers that there are.

    Returns:
        The longest path that stands in the name stack in one piece; `REST` where there is none.

    Example:
        >>> layer_of("jit(step)/transpose(jvp(Network))/res2a/conv1/conv/mul", {"res2a"})
        ('res2a', True)
        >>> layer_of("jit(step)/jvp(Network)/res2a/conv1/add", {"res2a", "res2a/conv1"})
        ('res2a/conv1', False)
        >>> layer_of("jit(step)/add", {"res2a"})
        ('(rest)', False)
    """
    backward = "transpose(" in scope or "rematted_computation" in scope
    names = [_bare(part) for part in scope.split("/")]
    best = ""
    for start in range(len(names)):
        path = ""
        for name in names[start:]:
            path = f"{path}/{name}" if path else name
            if path in layers and len(path) > len(best):
                best = path
    return best or REST, backward


def _bare(part: str) -> str:
    while found := _MARK.fullmatch(part):
        part = found[1]
    return part


def times_by_layer(seconds: Mapping[Operation, float], layers: Collection[str]) -> dict[str, Times]:
    """Seconds of each layer, in the order given; last what belongs to none.

    Args:
        seconds: Of each operation.
        layers: Paths of the layers, none within another.
    """
    times = {layer: Times() for layer in (*layers, REST)}
    for operation, spent in seconds.items():
        layer, backward = layer_of(operation.scope, layers)
        if backward:
            times[layer].backward += spent
        else:
            times[layer].forward += spent
    return times
