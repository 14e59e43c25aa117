"""The lectures' cost tables beside ours, and where the lectures slip."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ablax.analysis.cost import LECTURE, USUAL, CostRow, Operation
from ablax.inspection.cost import lecture_table, network_cost
from ablax.report.tables import Form, Table, render
from ablax.zoo import find, untrained


@dataclass(frozen=True)
class Line:
    """A line of a lecture's table: the layer as the lecture calls it, its cells, and ours.

    Ours are written as the lecture writes them; multiply-accumulates and parameters are ours. The
    remark says why the cells differ, or that the lecture slipped; empty where they agree.
    """

    layer: str
    printed: tuple[str, ...]
    ours: tuple[str, ...]
    macs: int
    parameters: int
    remark: str = ""

    @property
    def agrees(self) -> bool:
        """Whether every cell of the lecture is ours."""
        return self.printed == self.ours


@dataclass(frozen=True)
class Comparison:
    """A lecture's table beside ours, with the headings of the lecture's cells."""

    title: str
    source: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    remarks: tuple[str, ...] = ()


Blocks = Mapping[str, Sequence[CostRow]]
"""The rows of a network by the outermost name of their paths."""


def blocks(name: str, image_size: int | None = None) -> Blocks:
    """The rows of a network of the zoo, layer by layer of its paper's table.

    On images of that many pixels along each side; of the paper's when left out.
    """
    rows = network_cost(untrained(name, None, image_size), USUAL)
    grouped = itertools.groupby(rows, key=lambda row: row.path.split("/")[0])
    return {layer: list(inside) for layer, inside in grouped}


def together(groups: Iterable[Sequence[CostRow]]) -> list[CostRow]:
    """The rows of several layers."""
    return [row for group in groups for row in group]


def cells(table: str) -> list[list[str]]:
    """A table written as text, a line a row, its cells between bars."""
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def across(sizes: Sequence[int]) -> str:
    """Such as `"56x56x64"`."""
    return "x".join(map(str, sizes))


def placed(operation: Operation) -> str:
    """Such as `"3x3/2"`."""
    return f"{across(operation.window)}/{operation.stride[0]}"


def maps(shape: Sequence[int]) -> str:
    """The size of maps without the batch; scores are maps of one pixel."""
    sizes = tuple(shape[1:])
    return across((1,) * (3 - len(sizes)) + sizes)


def sums(rows: Sequence[CostRow]) -> tuple[int, int]:
    """Multiply-accumulates and parameters of some rows."""
    return sum(row.macs for row in rows), sum(row.parameters for row in rows)


def comparison_table(comparison: Comparison) -> Table:
    """The table of a comparison: a cell that differs shows both."""
    lines = []
    for line in comparison.lines:
        pairs = zip(line.printed, line.ours, strict=True)
        both = (theirs if theirs == ours else f"{theirs} (ours: {ours})" for theirs, ours in pairs)
        lines.append((line.layer, *both, f"{line.macs:,}", f"{line.parameters:,}", line.remark))
    return Table(
        f"{comparison.title} ({comparison.source})",
        ("layer", *comparison.columns, "MACs (ours)", "parameters (ours)", "remark"),
        tuple(lines),
        comparison.remarks,
    )


# DenseNet: title, our network, units of each block
_DEPTHS = {
    "DenseNet-121": ("densenet121", (6, 12, 24, 16)),
    "DenseNet-169": ("densenet169", (6, 12, 32, 32)),
    "DenseNet-201": ("densenet201", (6, 12, 48, 32)),
    "DenseNet-264 (L2)": ("densenet264", (6, 12, 64, 48)),
    "DenseNet-161 (L0, k = 48)": ("densenet161", (6, 12, 36, 24)),
}
_SIZES = ("56x56", "28x28", "14x14", "7x7")


def densenet_comparison() -> Comparison:
    """Our five DenseNets; a line is a network and one of the rows of the table."""
    lines = []
    for title, (name, counts) in _DEPTHS.items():
        lines += _lines(title, counts, blocks(name))
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
        rows = together(units)
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
    lines.append(Line(f"{title}, in all", ("", ""), ("", ""), *sums(together(ours.values()))))
    return lines


def _line(layer: str, printed: tuple[str, str], rows: Sequence[CostRow]) -> Line:
    return Line(layer, printed, (_operations(rows), _size(rows)), *sums(rows))


def _size(rows: Sequence[CostRow]) -> str:
    """Height and width of the maps; of scores 1x1."""
    return across(rows[-1].output_shape[1:-1] or (1, 1))


def _operations(rows: Sequence[CostRow]) -> str:
    """The windows and the dense layer, as the table writes them."""
    words = []
    for row in rows:
        operation = row.operation
        window, stride = across(operation.window), operation.stride[:1]
        moved = "" if stride in ((), (1,)) else f", stride {stride[0]}"
        if operation.family == "convolution":
            words.append(f"{window} conv{moved}")
        elif operation.family == "pool":
            words.append(f"{window} {'max' if 'max' in operation.name else 'average'} pool{moved}")
        elif operation.family == "dense":
            words.append(f"{operation.features}D fc")
    return ", ".join(words)


_WIDTHS: tuple[str, ...] = ("branch1x1", "branch3x3/reduce", "branch3x3/large")
_WIDTHS += ("branch5x5/reduce", "branch5x5/large", "branch_pool/project")

# GoogLeNet: layer, our names, patch and stride, output, the six widths, params, ops
_GOOGLENET_PRINTED = """
  convolution    | conv1              | 7x7/2 | 112x112x64 |                        | 2.7K  | 34M
  max pool       | pool1              | 3x3/2 | 56x56x64   |                        |       |
  convolution    | conv2_reduce conv2 | 3x3/1 | 56x56x192  | 64 192                 | 112K  | 360M
  max pool       | pool2              | 3x3/2 | 28x28x192  |                        |       |
  inception (3a) | inception_3a       |       | 28x28x256  | 64 96 128 16 32 32     | 159K  | 128M
  inception (3b) | inception_3b       |       | 28x28x480  | 128 128 192 32 96 64   | 380K  | 304M
  max pool       | pool3              | 3x3/2 | 14x14x480  |                        |       |
  inception (4a) | inception_4a       |       | 14x14x512  | 192 96 208 16 48 64    | 364K  | 73M
  inception (4b) | inception_4b       |       | 14x14x512  | 160 112 224 24 64 64   | 437K  | 88M
  inception (4c) | inception_4c       |       | 14x14x512  | 128 128 256 24 64 64   | 463K  | 100M
  inception (4d) | inception_4d       |       | 14x14x528  | 112 144 288 32 64 64   | 580K  | 119M
  inception (4e) | inception_4e       |       | 14x14x832  | 256 160 320 32 128 128 | 840K  | 170M
  max pool       | pool4              | 3x3/2 | 7x7x832    |                        |       |
  inception (5a) | inception_5a       |       | 7x7x832    | 256 160 320 32 128 128 | 1072K | 54M
  inception (5b) | inception_5b       |       | 7x7x1024   | 384 192 384 48 128 128 | 1388K | 71M
  avg pool       | average            | 7x7/1 | 1x1x1024   |                        |       |
  linear         | classifier         |       | 1x1x1000   |                        | 1000K | 1M
"""

_SUM = "Slip in params: the widths of this line give the ops printed, but not these params."
_GOOGLENET_REMARKS = {
    "conv1": (
        "Slip in both: 7 x 7 x 3 x 64 = 9,408 weights. (7 + 7) x 3 x 64 = 2,688 would be 2.7 "
        "thousand and, at 112 x 112 places, the 34M: the sides seem added, not multiplied."
    ),
    "inception_3a": "159.5 K weights, cut off; ours is rounded.",
    "inception_3b": "379.0 K weights; with the 640 biases 379.6 K.",
    "inception_4a": (
        "Slip in both, 0.7 %: 375,552 weights; 364K at 14 x 14 places would be the 73M printed."
    ),
    "inception_4b": "438.0 K weights; the lecture has 1 K less.",
    "inception_4c": _SUM,
    "inception_4d": _SUM,
    "inception_4e": _SUM,
    "inception_5a": (
        "Slip in both, 5 %: the widths are those of 4e and give 1,042,432 weights; 1072K at 7 x 7 "
        "places would be the 54M printed, so the two belong to another module than the widths."
    ),
    "inception_5b": _SUM,
}


def googlenet_comparison() -> Comparison:
    """Our `googlenet`, the paper's form with 5x5 windows and biases, without auxiliary heads."""
    ours = blocks("googlenet")
    lines = []
    table = cells(_GOOGLENET_PRINTED)
    for layer, names, *printed in table:
        rows = together(ours[name] for name in names.split())
        (macs, parameters), windows = sums(rows), [r.operation for r in rows if r.operation.window]
        weights = sum(row.parameters - row.operation.features for row in rows if row.macs)
        found = (
            placed(windows[-1]) if windows else "",
            maps(rows[-1].output_shape),
            _widths(rows),
            _thousands(weights),
            f"{macs / 1e6:.0f}M",
        )
        # what the lecture leaves out is not compared
        compared = tuple(cell and its for cell, its in zip(printed, found, strict=True))
        remark = _GOOGLENET_REMARKS.get(names.split()[-1], "")
        lines.append(Line(layer, tuple(printed), compared, macs, parameters, remark))
    column = sum(float(params.removesuffix("K")) for *_, params, _ in table if params)
    total = sum(line.parameters for line in lines)
    return Comparison(
        title="GoogLeNet",
        source="L2, after Szegedy et al. 2014, table 1",
        columns=(
            *("patch/stride", "output", "1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool"),
            *("params", "ops"),
        ),
        lines=tuple(lines),
        remarks=(
            "The lecture's K is 1,024 weights without biases (112K = 114,688; 1000K = 1,024,000), "
            "its M a million multiply-accumulates; ours are rounded likewise.",
            "L0 and L4 say of the same network that it has 5 million parameters: ours has "
            f"{total:,}, and L2's own column adds up to {column:,} K.",
        ),
    )


def _widths(rows: Sequence[CostRow]) -> str:
    """The features of the six convolutions of a module, or of the two of the tail."""
    found = {row.path: row.operation.features for row in rows if row.operation.features}
    if len(found) < len(_WIDTHS):
        return " ".join(map(str, found.values()))
    ordered = [next(n for path, n in found.items() if f"/{width}/" in path) for width in _WIDTHS]
    return " ".join(map(str, ordered))


def _thousands(weights: int) -> str:
    return f"{weights / 1024:.1f}K" if weights < 10 * 1024 else f"{weights / 1024:.0f}K"


# MobileNet V1: type and stride, filter, input; the line of five is printed once as a pair
_MOBILENET_V1_PRINTED: tuple[tuple[str, str, str], ...] = (
    ("Conv / s2", "3x3x3x32", "224x224x3"),
    ("Conv dw / s1", "3x3x32 dw", "112x112x32"),
    ("Conv / s1", "1x1x32x64", "112x112x32"),
    ("Conv dw / s2", "3x3x64 dw", "112x112x64"),
    ("Conv / s1", "1x1x64x128", "56x56x64"),
    ("Conv dw / s1", "3x3x128 dw", "56x56x128"),
    ("Conv / s1", "1x1x128x128", "56x56x128"),
    ("Conv dw / s2", "3x3x128 dw", "56x56x128"),
    ("Conv / s1", "1x1x128x256", "28x28x128"),
    ("Conv dw / s1", "3x3x256 dw", "28x28x256"),
    ("Conv / s1", "1x1x256x256", "28x28x256"),
    ("Conv dw / s2", "3x3x256 dw", "28x28x256"),
    ("Conv / s1", "1x1x256x512", "14x14x256"),
    *(("Conv dw / s1", "3x3x512 dw", "14x14x512"), ("Conv / s1", "1x1x512x512", "14x14x512")) * 5,
    ("Conv dw / s2", "3x3x512 dw", "14x14x512"),
    ("Conv / s1", "1x1x512x1024", "7x7x512"),
    ("Conv dw / s2", "3x3x1024 dw", "7x7x1024"),
    ("Conv / s1", "1x1x1024x1024", "7x7x1024"),
    ("Avg Pool / s1", "Pool 7x7", "7x7x1024"),
    ("FC / s1", "1024x1000", "1x1x1024"),
)


def mobilenet_v1_comparison() -> Comparison:
    """Our `mobilenet_v1` at width 1."""
    ours = blocks("mobilenet_v1")
    slip = "Slip: with stride 2 the next input would be 4x4, and it is printed as 7x7. "
    slip += "The stride is 1."
    lines = []
    for printed, (name, rows) in zip(_MOBILENET_V1_PRINTED, ours.items(), strict=True):
        found = _written(rows[0])
        lines.append(Line(name, printed, found, *sums(rows), "" if found == printed else slip))
    return Comparison(
        title="MobileNet V1",
        source="L2, after Howard et al. 2017, table 1",
        columns=("type / stride", "filter", "input"),
        lines=tuple(lines),
        remarks=(
            _shares(ours),
            "The lecture's pair of 512 features, printed once with 5x, stands here five times; its "
            "last line, the softmax, belongs to our loss. It prints neither parameters nor "
            "multiply-accumulates; ours include batch normalization's scale and bias.",
        ),
    )


def _written(row: CostRow) -> tuple[str, str, str]:
    operation, channels, size = row.operation, row.input_shape[-1], maps(row.input_shape)
    if operation.family == "dense":
        return "FC / s1", f"{channels}x{operation.features}", size
    window, stride = across(operation.window), operation.stride[0]
    if operation.family == "pool":
        return f"Avg Pool / s{stride}", f"Pool {window}", size
    if operation.groups > 1:
        return f"Conv dw / s{stride}", f"{window}x{channels} dw", size
    return f"Conv / s{stride}", f"{window}x{channels}x{operation.features}", size


def _shares(ours: Blocks) -> str:
    """Where the multiply-accumulates are, as the lecture says of channels and space."""
    rows = together(ours.values())
    whole, _ = sums(rows)
    narrow, _ = sums([row for row in rows if row.operation.name.startswith("convolution 1x1")])
    deep, _ = sums([row for row in rows if row.operation.name.startswith("depthwise")])
    return (
        f"Of {whole:,} multiply-accumulates {100 * narrow / whole:.1f} % mix channels (1x1) and "
        f"{100 * deep / whole:.1f} % mix space (3x3 depthwise)."
    )


# ResNet: layers, our network, blocks per stage, bottleneck, FLOPs
_RESNET_PRINTED: tuple[tuple[str, str, tuple[int, ...], bool, str], ...] = (
    ("18-layer", "resnet18", (2, 2, 2, 2), False, "1.8"),
    ("34-layer", "resnet34", (3, 4, 6, 3), False, "3.6"),
    ("50-layer", "resnet50_v1", (3, 4, 6, 3), True, "3.8"),
    ("101-layer", "resnet101_v1", (3, 4, 23, 3), True, "7.6"),
    ("152-layer", "resnet152_v1", (3, 8, 36, 3), True, "11.3"),
)


def resnet_comparison() -> Comparison:
    """Our five ResNets with projections (option B), the stride of a bottleneck in its first 1x1."""
    lines = []
    for title, name, counts, bottleneck, flops in _RESNET_PRINTED:
        ours = blocks(name)
        lines += _resnet_lines(title, counts, bottleneck, ours)
        rows = together(ours.values())
        macs, parameters = sums(rows)
        found, printed = (f"{macs / 1e9:.1f}x10^9", ""), (f"{flops}x10^9", "")
        remark = "" if found == printed else _why(rows)
        lines.append(Line(f"{title}: FLOPs", printed, found, macs, parameters, remark))
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


def _why(rows: Sequence[CostRow]) -> str:
    macs, _ = sums(rows)
    without = sum(row.macs for row in rows if "/projection/" not in row.path) / 1e9
    if f"{without:.1f}" == "3.6":
        return (
            f"{macs / 1e9:.3f} with the projections of option B, {without:.3f} without, as in "
            "option A."
        )
    return f"{macs / 1e9:.3f}: cut off, where those of 101 and 152 layers are rounded."


def _resnet_lines(title: str, counts: Sequence[int], bottleneck: bool, ours: Blocks) -> list[Line]:
    tail = [*ours["conv1"], *ours["pool1"]]
    conv, pool = (row.operation for row in tail if row.operation.window)
    found = (f"{placed(conv)}, {conv.features}; max pool {placed(pool)}", _size(tail))
    lines = [Line(f"{title}: conv1", ("7x7/2, 64; max pool 3x3/2", "56x56"), found, *sums(tail))]
    for stage, (count, size) in enumerate(zip(counts, _SIZES, strict=True), 2):
        n = 32 * 2 ** (stage - 1)
        inside = f"1x1 {n}, 3x3 {n}, 1x1 {4 * n}" if bottleneck else f"3x3 {n}, 3x3 {n}"
        printed = (f"[{inside}] x {count}", size)
        units = [rows for name, rows in ours.items() if name.startswith(f"res{stage}")]
        rows = together(units)
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
    return ", ".join(
        f"{across(row.operation.window)} {row.operation.features}"
        for row in rows
        if row.operation.family == "convolution" and "/projection/" not in row.path
    )


# SqueezeNet: layer, our name, output, filter and stride, squeeze and expand widths, parameters,
# percent of the weights that pruning leaves, parameters then
_SQUEEZENET_PRINTED = """
  conv1     | conv1      | 111x111x96 | 7x7/2 (x96)   |            | 14,208  | 100        | 14,208
  maxpool1  | pool1      | 55x55x96   | 3x3/2         |            |         |            |
  fire2     | fire2      | 55x55x128  |               | 16 64 64   | 11,920  | 100 100 33 | 5,746
  fire3     | fire3      | 55x55x128  |               | 16 64 64   | 12,432  | 100 100 33 | 6,258
  fire4     | fire4      | 55x55x256  |               | 32 128 128 | 45,344  | 100 100 33 | 20,646
  maxpool4  | pool4      | 27x27x256  | 3x3/2         |            |         |            |
  fire5     | fire5      | 27x27x256  |               | 32 128 128 | 49,440  | 100 100 33 | 24,742
  fire6     | fire6      | 27x27x384  |               | 48 192 192 | 104,880 | 100 50 33  | 44,700
  fire7     | fire7      | 27x27x384  |               | 48 192 192 | 111,024 | 50 100 33  | 46,236
  fire8     | fire8      | 27x27x512  |               | 64 256 256 | 188,992 | 100 50 33  | 77,581
  maxpool8  | pool8      | 13x12x512  | 3x3/2         |            |         |            |
  fire9     | fire9      | 13x13x512  |               | 64 256 256 | 197,184 | 50 100 30  | 77,581
  conv10    | classifier | 13x13x1000 | 1x1/1 (x1000) |            | 513,000 | 20         | 103,400
  avgpool10 | average    | 1x1x1000   | 13x13/1       |            |         |            |
"""

_SQUEEZENET_REMARKS = {
    "fire8": "Slip: 33 % of the 3x3 weights leave 82,005; 30 %, as in fire9, leave the 77,581.",
    "pool8": "Slip: 13x12; the next line has 13x13.",
}


def squeezenet_comparison() -> Comparison:
    """Our `squeezenet_1_0` on images of 227 pixels, which give the 111 positions of the table."""
    ours = blocks("squeezenet_1_0", 227)
    lines = []
    left = before = 0
    for layer, name, *printed, shares, pruned in cells(_SQUEEZENET_PRINTED):
        rows = ours[name]
        macs, parameters = sums(rows)
        products = [row for row in rows if row.macs]
        kept = _pruned(products, [int(share) for share in shares.split()])
        left, before = left + int(pruned.replace(",", "") or 0), before + parameters
        found = (
            maps(rows[-1].output_shape),
            _window(rows[0].operation),
            " ".join(str(row.operation.features) for row in products),
            f"{parameters:,}",
            f"{kept:,}",
        )
        compared = tuple(cell and its for cell, its in zip([*printed, pruned], found, strict=True))
        remark = _SQUEEZENET_REMARKS.get(name, "")
        lines.append(Line(layer, (*printed, pruned), compared, macs, parameters, remark))
    at_224 = find("squeezenet_1_0").macs
    return Comparison(
        title="SqueezeNet 1.0",
        source="L2, after Iandola et al. 2016, table 1",
        columns=(
            *("output", "filter/stride", "squeeze, expand 1x1, 3x3"),
            *("parameters", "after pruning"),
        ),
        lines=tuple(lines),
        remarks=(
            "Slip: the table's images have 224 pixels, of which the 7x7/2 convolution makes 109 "
            "positions; the 111 printed come of 227, at which ours is counted here (at 224 it has "
            f"{at_224:,} multiply-accumulates). The parameters do not depend on it.",
            "After pruning: ours is biases and the printed percentages of the weights, rounded up.",
            f"The totals printed, 1,248,424 and 421,098, are those of the columns: {before:,} and "
            f"{left:,}. The lecture writes (7x7) and (3x3) behind the percentages of conv1 and "
            "conv10, which is a 1x1 convolution.",
        ),
    )


def _pruned(products: Sequence[CostRow], shares: Sequence[int]) -> int:
    """Biases, and of the weights of each convolution the share that pruning leaves, rounded up."""
    if not shares:
        return 0
    biases = sum(row.operation.features for row in products)
    hundredths = sum(
        share * (row.parameters - row.operation.features)
        for row, share in zip(products, shares, strict=True)
    )
    return biases + math.ceil(hundredths / 100)


def _window(operation: Operation) -> str:
    if not operation.window:
        return ""
    return placed(operation) + (f" (x{operation.features})" if operation.features else "")


_MAKERS = (
    googlenet_comparison,
    mobilenet_v1_comparison,
    squeezenet_comparison,
    densenet_comparison,
    resnet_comparison,
)
"""Every table of the lectures beside ours, but AlexNet's, which ours repeats."""


def page(form: Form) -> str:
    """All tables in one of the forms of `ablax.report.tables.render`."""
    alexnet = untrained("alexnet_ungrouped", None)
    first = lecture_table(alexnet, network_cost(alexnet, LECTURE, softmax=True), LECTURE)
    tables = [first, *(comparison_table(make()) for make in _MAKERS)]
    if form == "json":
        return json.dumps([json.loads(render(table, form)) for table in tables], indent=2)
    if form != "markdown":
        return "\n\n".join(render(table, form) for table in tables)
    sections = (f"## {table.title}\n\n{render(table, form, titled=False)}" for table in tables)
    return "\n\n".join(
        [
            "# What the networks cost",
            "<!-- Printed by `ablax table --lectures --format markdown`: do not edit. -->",
            "The tables of the lectures, each beside what our networks give. A cell that differs "
            "shows both, and the remark says why, or that the lecture slipped. Counts are of one "
            "image. `ablax table NETWORK` prints a network's table, one row per layer.",
            f"Two conventions. **{USUAL.name}**: {USUAL.says}. **{LECTURE.name}**: {LECTURE.says}.",
            *sections,
        ]
    )
