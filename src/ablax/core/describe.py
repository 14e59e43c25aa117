"""A network as a listing that one can read: one line per layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import flax.linen as nn

from ablax.core.edits import inner_layers
from ablax.core.features import layer_shapes
from ablax.core.network import ImageShape, Layers, Network, parameter_sizes

_WIDEST = 88
"""Characters of a layer's description; a longer one names its inner layers only."""


def describe(network: Network, image_shape: ImageShape, depth: int | None = 1) -> str:
    """The network as text: name, layer, shape of what it gives, parameters.

    Nothing is computed or allocated.

    Args:
        network: Any network.
        image_shape: (H, W, C) in pixels and channels.
        depth: How far to look into layers that hold others: 1 lists the paper's names alone, None
            everything.

    Returns:
        Lines without a final newline.

    Raises:
        LayerError: The network does not fit images of this shape.

    Example:
        >>> from ablax.core import with_head
        >>> from ablax.layers import Dense, Flatten
        >>> from ablax.zoo import lenet5
        >>> short = with_head(Layers(vectorize=Flatten(), output=Dense(10)))(lenet5())
        >>> print(describe(short, (32, 32, 1)))
        images                                                32x32x1  parameters
        tail
          c1         Convolution(6, 5, padding=0), Tanh()     28x28x6         156
          s2         AveragePool(2, stride=2)                 14x14x6           0
        body
          c3         Convolution(16, 5, padding=0), Tanh()   10x10x16       2,416
          s4         AveragePool(2, stride=2)                  5x5x16           0
          c5         Convolution(120, 5, padding=0), Tanh()   1x1x120      48,120
        head
          vectorize  Flatten()                                  120           0
          output     Dense(10)                                     10       1,210
        all                                                        10      51,902
    """
    shapes = layer_shapes(network, image_shape)
    sizes = parameter_sizes(network, image_shape)
    rows = [("images", "", _shape(image_shape), "parameters")]
    for part in ("tail", "body", "head"):
        rows.append((part, "", "", ""))
        rows += _rows(getattr(network, part), "", 1, depth, shapes, sizes)
    scores = shapes[list(network.layers)[-1]] if len(network.layers) else image_shape
    rows.append(("all", "", _shape(scores), f"{sum(sizes.values()):,}"))
    names, layers, outputs, counts = (max(len(row[i]) for row in rows) for i in range(4))
    lines = (
        f"{name:<{names}}  {layer:<{layers}}  {output:>{outputs}}  {count:>{counts}}"
        for name, layer, output, count in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _rows(
    layers: Layers,
    prefix: str,
    level: int,
    depth: int | None,
    shapes: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, int],
) -> Iterator[tuple[str, str, str, str]]:
    for name, layer in layers.items():
        path = prefix + name
        count = sum(size for leaf, size in sizes.items() if leaf.startswith(path + "/"))
        inner = list(inner_layers(layer).values())
        opened = bool(inner) and (depth is None or level < depth)
        what = type(layer).__name__ if opened else _written(layer)
        output = _shape(shapes[path]) if path in shapes else "in a loop"
        yield "  " * level + name, what, output, f"{count:,}"
        if opened:
            for below in inner:
                yield from _rows(below, f"{path}/", level + 1, depth, shapes, sizes)


def _written(layer: nn.Module) -> str:
    """The layer as one would write it, what it leaves at its default left out."""
    inner = Layers()
    for layers in inner_layers(layer).values():
        inner = inner + layers
    fields = _fields(layer)
    if not inner_layers(layer):
        return f"{type(layer).__name__}({', '.join(fields)})"
    plain = type(layer).__name__ == "Sequential"
    full = ", ".join(_written(below) for below in dict(inner.items()).values())
    if plain and 0 < len(full) <= _WIDEST:
        return full
    names = [f"{len(inner)} layers"] if len(", ".join(inner)) > _WIDEST else list(inner)
    return f"{type(layer).__name__}({', '.join([*names, *fields])})"


def _fields(layer: nn.Module) -> list[str]:
    """The fields that say what the layer does; how it starts and what it holds are left out."""
    written = []
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        if field.name in ("parent", "name") or isinstance(value, Layers) or value == field.default:
            continue
        if callable(value):
            if field.name.endswith("_init"):
                continue
            value = getattr(value, "__name__", value)
        required = field.default is dataclasses.MISSING
        written.append(f"{value}" if required else f"{field.name}={value}")
    return written


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape) or "1"
