"""The lecture's table of ResNet (L2), after He et al. 2015, table 1."""

from __future__ import annotations

from collections.abc import Sequence

from ablax.analysis.cost import CostRow
from ablax.costs.lectures.comparison import Blocks, Comparison, Line, blocks, sums
from ablax.zoo import find

# layers, our network, blocks a stage, bottleneck, FLOPs
_PRINTED: tuple[tuple[str, str, tuple[int, ...], bool, str], ...] = (
    ("18-layer", "resnet18", (2, 2, 2, 2), False, "1.8"),
    ("34-layer", "resnet34", (3, 4, 6, 3), False, "3.6"),
    ("50-layer", "resnet50_v1", (3, 4, 6, 3), True, "3.8"),
    ("101-layer", "resnet101_v1", (3, 4, 23, 3), True, "7.6"),
    ("152-layer", "resnet152_v1", (3, 8, 36, 3), True, "11.3"),
)
_SIZES = ("56x56", "28x28", "14x14", "7x7")


def comparison() -> Comparison:
    """Our five ResNets with projections (option B), the stride of a bottleneck in its first 1x1."""
    lines = []
    for title, name, counts, bottleneck, flops in _PRINTED:
        ours = blocks(name)
        lines += _lines(title, counts, bottleneck, ours)
        rows = [row for inside in ours.values() for row in inside]
        macs, parameters = sums(rows)
        found = f"{macs / 1e9:.1f}x10^9"
        remark = "" if found == f"{flops}x10^9" else _why(macs, _projections(rows))
        printed = (f"{flops}x10^9", "")
        lines.append(Line(f"{title}: FLOPs", printed, (found, ""), macs, parameters, remark))
    in_3x3 = ("resnet50", "resnet101", "resnet152")
    later = [f"{find(name).macs / 1e9:.1f}" for name in in_3x3]
    return Comparison(
        title="ResNet",
        source="L2, after He et al. 2015, table 1",
        columns=("layers", "output"),
        lines=tuple(lines),
        remarks=(
            "Ours has projections (option B) where the shape changes, which the table does not "
            "print; they are in our counts. The lecture's FLOPs are multiply-accumulates, as in "
            "the paper. In 50 layers and more the stride of a stage stands in its first 1x1 "
            f"convolution, as in the paper; in the 3x3 the networks cost {later[0]}, {later[1]} "
            f"and {later[2]} G.",
        ),
    )


def _why(macs: int, projections: int) -> str:
    without = (macs - projections) / 1e9
    if f"{without:.1f}" == "3.6":
        return (
            f"{macs / 1e9:.3f} with the projections of option B, {without:.3f} without, as in "
            "option A."
        )
    return f"{macs / 1e9:.3f}: cut off, where those of 101 and 152 layers are rounded."


def _projections(rows: Sequence[CostRow]) -> int:
    return sum(row.macs for row in rows if "/projection/" in row.path)


def _lines(title: str, counts: Sequence[int], bottleneck: bool, ours: Blocks) -> list[Line]:
    tail = [*ours["conv1"], *ours["pool1"]]
    first = [row.operation for row in tail if row.operation.window]
    windows = [f"{'x'.join(map(str, op.window))}/{op.stride[0]}" for op in first]
    found = (f"{windows[0]}, {first[0].features}; max pool {windows[1]}", _size(tail))
    lines = [Line(f"{title}: conv1", ("7x7/2, 64; max pool 3x3/2", "56x56"), found, *sums(tail))]
    for stage, (count, size) in enumerate(zip(counts, _SIZES, strict=True), 2):
        width = 32 * 2 ** (stage - 1)
        windows = ["1x1", "3x3", "1x1"] if bottleneck else ["3x3", "3x3"]
        widths = [width, width, 4 * width] if bottleneck else [width, width]
        pairs = zip(windows, widths, strict=True)
        printed = ("[" + ", ".join(f"{w} {n}" for w, n in pairs) + f"] x {count}", size)
        units = [rows for name, rows in ours.items() if name.startswith(f"res{stage}")]
        rows = [row for unit in units for row in unit]
        kinds = {_convolutions(unit) for unit in units}
        ours_written = f"[{' or '.join(sorted(kinds))}] x {len(units)}"
        lines.append(Line(f"conv{stage}_x", printed, (ours_written, _size(rows)), *sums(rows)))
    ending = [*ours["average"], *ours["classifier"]]
    scores = f"average pool, {ending[-1].operation.features}-d fc"
    lines.append(
        Line("", ("average pool, 1000-d fc", "1x1"), (scores, _size(ending)), *sums(ending))
    )
    return lines


def _convolutions(rows: Sequence[CostRow]) -> str:
    """The convolutions of a block but the projection of its shortcut."""
    inside = [row for row in rows if row.operation.family == "convolution"]
    return ", ".join(
        f"{'x'.join(map(str, row.operation.window))} {row.operation.features}"
        for row in inside
        if "/projection/" not in row.path
    )


def _size(rows: Sequence[CostRow]) -> str:
    sizes = rows[-1].output_shape[1:-1] or (1, 1)
    return "x".join(map(str, sizes))
