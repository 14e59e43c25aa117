"""The lectures' tables of DenseNet (L0, L2), after Huang et al. 2016, table 1."""

from __future__ import annotations

from collections.abc import Sequence

from ablax.analysis.cost import CostRow
from ablax.costs.lectures.comparison import Blocks, Comparison, Line, blocks, sums

_DEPTHS = {
    "DenseNet-121": ("densenet121", (6, 12, 24, 16)),
    "DenseNet-169": ("densenet169", (6, 12, 32, 32)),
    "DenseNet-201": ("densenet201", (6, 12, 48, 32)),
    "DenseNet-264 (L2)": ("densenet264", (6, 12, 64, 48)),
    "DenseNet-161 (L0, k = 48)": ("densenet161", (6, 12, 36, 24)),
}
_SIZES = ("56x56", "28x28", "14x14", "7x7")


def comparison() -> Comparison:
    """Our five DenseNets; a line is a network and one of the rows of the table."""
    lines = []
    for title, (name, counts) in _DEPTHS.items():
        ours = blocks(name)
        lines += _lines(title, counts, ours)
    return Comparison(
        title="DenseNet",
        source="L2 and L0, after Huang et al. 2016, table 1",
        columns=("layers", "output"),
        lines=tuple(lines),
        remarks=(
            "The lectures print neither parameters nor multiply-accumulates: every line agrees, "
            "and the counts are ours. L2 prints 264 in place of L0's 161; it does not say the "
            "growth rate, which is 32 here for all of its networks (L0: 32, and 48 for 161).",
            "A transition's 1x1 convolution halves the channels, which the tables do not print.",
        ),
    )


def _lines(title: str, counts: Sequence[int], ours: Blocks) -> list[Line]:
    lines = [
        _line(f"{title}: convolution", ("7x7 conv, stride 2", "112x112"), ours["conv1"]),
        _line("pooling", ("3x3 max pool, stride 2", "56x56"), ours["pool1"]),
    ]
    for stage, (count, size) in enumerate(zip(counts, _SIZES, strict=True), 1):
        units = [rows for name, rows in ours.items() if name.startswith(f"dense{stage}_")]
        rows = [row for unit in units for row in unit]
        printed = (f"[1x1 conv, 3x3 conv] x {count}", size)
        found = (f"[{_operations(units[0])}] x {len(units)}", _size(rows))
        alike = {_operations(unit) for unit in units} == {_operations(units[0])}
        lines.append(
            Line(f"dense block ({stage})", printed, found if alike else ("", ""), *sums(rows))
        )
        if stage < len(counts):
            layers = ("1x1 conv, 2x2 average pool, stride 2", _SIZES[stage])
            lines.append(_line(f"transition ({stage})", layers, ours[f"transition{stage}"]))
    ending = [*ours["activation"], *ours["average"], *ours["classifier"]]
    lines.append(_line("classification", ("7x7 average pool, 1000D fc", "1x1"), ending))
    rows = [row for inside in ours.values() for row in inside]
    lines.append(Line(f"{title}, in all", ("", ""), ("", ""), *sums(rows)))
    return lines


def _line(layer: str, printed: tuple[str, str], rows: Sequence[CostRow]) -> Line:
    return Line(layer, printed, (_operations(rows), _size(rows)), *sums(rows))


def _size(rows: Sequence[CostRow]) -> str:
    """Height and width of the maps; of scores 1x1."""
    sizes = rows[-1].output_shape[1:-1] or (1, 1)
    return "x".join(map(str, sizes))


def _operations(rows: Sequence[CostRow]) -> str:
    """The windows and the dense layer, as the table writes them."""
    words = []
    for row in rows:
        operation = row.operation
        window = "x".join(map(str, operation.window))
        moved = (
            f", stride {operation.stride[0]}"
            if operation.stride and operation.stride[0] > 1
            else ""
        )
        if operation.family == "convolution":
            words.append(f"{window} conv{moved}")
        elif operation.family == "pool":
            words.append(f"{window} {'max' if 'max' in operation.name else 'average'} pool{moved}")
        elif operation.family == "dense":
            words.append(f"{operation.features}D fc")
    return ", ".join(words)
