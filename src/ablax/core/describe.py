"""A network as a listing that one can read: one line per layer."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterator, Mapping, Sequence

import flax.linen as nn

from ablax.core.edits import inner_layers
from ablax.core.features import layer_shapes
from ablax.core.network import ImageShape, Layers, Network, parameter_sizes

_WIDEST = 88
"""Characters of a layer's description; a longer one names its inner layers only."""
_LONGEST = 33
"""Lines of the layers of a network in its `repr`, so that all of it fits a screen."""


def describe(network: Network, image_shape: ImageShape, depth: int | None = 1) -> str:
    """The network as text: name, layer, shape of what it gives, parameters.

    Nothing is computed or allocated. `depth` is how far to look into layers that hold others: 1
    lists the paper's names alone, None everything.

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
          vectorize  Flatten()                                    120           0
          output     Dense(10)                                     10       1,210
        all                                                        10      51,902
    """
    shapes = layer_shapes(network, image_shape)
    sizes = parameter_sizes(network, image_shape)
    rows = [("images", "", _shape(image_shape), "parameters")]
    for part, layers in inner_layers(network).items():
        rows.append((part, "", "", ""))
        rows += _rows(layers, "", 1, depth, shapes, sizes)
    scores = shapes[list(network.layers)[-1]] if len(network.layers) else image_shape
    rows.append(("all", "", _shape(scores), f"{sum(sizes.values()):,}"))
    names, whats, outputs, counts = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = (
        f"{name:<{names}}  {layer:<{whats}}  {output:>{outputs}}  {count:>{counts}}"
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
        inner = _held(layer)
        opened = len(inner) > 0 and (depth is None or level < depth)
        what = type(layer).__name__ if opened else _written(layer)
        output = _shape(shapes[path]) if path in shapes else "in a loop"
        yield "  " * level + name, what, output, f"{count:,}"
        if opened:
            yield from _rows(inner, f"{path}/", level + 1, depth, shapes, sizes)


def _held(layer: nn.Module) -> Layers:
    return sum(inner_layers(layer).values(), start=Layers())


def layers_text(layers: Layers) -> str:
    """What `repr(layers)` gives: one line as code where that is short, else a line a layer."""
    code = f"Layers({', '.join(f'{name}={_code(layer)}' for name, layer in layers.items())})"
    if len(code) <= _WIDEST:
        return code
    return "\n".join(["Layers(", *_aligned(_shortened(_folded(layers), _LONGEST), "  "), ")"])


def network_text(network: Network) -> str:
    """What `repr(network)` gives: the layers of each part, those that repeat on one line."""
    parts = _parts(network)
    lines = iter(_aligned([row for rows in parts.values() for row in rows], "    "))
    told = [line for name in parts for line in (f"  {name}", *(next(lines) for _ in parts[name]))]
    return "\n".join([f"{type(network).__name__}(", *told, ")"])


def network_html(network: Network) -> str:
    """What a notebook shows: the lines of `network_text` as a table, in the notebook's colors."""
    rows = []
    for part, found in _parts(network).items():
        for place, row in enumerate(found):
            heading = f'<th rowspan="{len(found)}" style="{_CELL}">{part}</th>' * (place == 0)
            name, what = (html.escape(cell) for cell in row)
            cells = f'<td style="{_CELL}">{name}</td><td style="{_CELL}">{what}</td>'
            rows.append(f"<tr>{heading}{cells}</tr>")
    return f'<table style="background: none; color: inherit">{"".join(rows)}</table>'


_CELL = "background: none; text-align: left; vertical-align: top; padding: 0.1em 0.8em"

Row = tuple[str, str]
"""Name or names, and the layer."""


def _parts(network: Network) -> dict[str, list[Row]]:
    """The lines of each part, no more than fit a screen together."""
    parts = {name: _folded(layers) for name, layers in inner_layers(network).items()}
    counts = [len(rows) for rows in parts.values()]
    most = _LONGEST  # of one part, so that short ones stay whole
    while sum(min(count, most) for count in counts) > _LONGEST:
        most -= 1
    return {name: _shortened(rows, most) for name, rows in parts.items()}


def _folded(layers: Layers) -> list[Row]:
    """A row a layer; equal neighbors share one: `res2b ... res2f`."""
    runs: list[tuple[list[str], nn.Module]] = []
    for name, layer in layers.items():
        if runs and runs[-1][1] == layer:
            runs[-1][0].append(name)
        else:
            runs.append(([name], layer))
    rows = []
    for names, layer in runs:
        what = re.sub(r"\s+", " ", _written(layer))
        if len(what) > _WIDEST:
            what = what[: _WIDEST - 3] + "..."
        several = len(names) > 1
        rows.append(
            (f"{names[0]} ... {names[-1]}", f"{len(names)} x {what}")
            if several
            else (names[0], what)
        )
    return rows


def _shortened(rows: list[Row], most: int) -> list[Row]:
    """The rows with those in the middle left out, where there are more than `most`."""
    if len(rows) <= most:
        return rows
    first, last = most // 2, most - most // 2 - 1
    return [*rows[:first], ("...", f"{len(rows) - first - last} more lines"), *rows[-last:]]


def _aligned(rows: Sequence[Row], indent: str) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{indent}{name:<{width}}  {what}" for name, what in rows]


def _code(layer: nn.Module) -> str:
    """The layer as one would write it, the layers inside by name and value."""
    inner = [f"{name}={_code(below)}" for name, below in _held(layer).items()]
    return f"{type(layer).__name__}({', '.join([*inner, *_fields(layer)])})"


def _written(layer: nn.Module) -> str:
    """The layer as one would write it, what it leaves at its default left out."""
    inner = _held(layer)
    if type(layer).__name__ == "Sequential":
        full = ", ".join(_written(below) for _, below in inner.items())
        if 0 < len(full) <= _WIDEST:
            return full
    names = [f"{len(inner)} layers"] if len(", ".join(inner)) > _WIDEST else list(inner)
    return f"{type(layer).__name__}({', '.join([*names, *_fields(layer)])})"


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
