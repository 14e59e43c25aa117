"""The lecture's table of GoogLeNet (L2), after Szegedy et al. 2014, table 1."""

from __future__ import annotations

from collections.abc import Sequence

from ablax.analysis.cost import CostRow
from ablax.costs.lectures.comparison import Comparison, Line, blocks, maps, sums

_WIDTHS: tuple[str, ...] = ("branch1x1", "branch3x3/reduce", "branch3x3/large")
_WIDTHS += ("branch5x5/reduce", "branch5x5/large", "branch_pool/project")

# layer, our names, patch and stride, output, the six widths, params, ops
_PRINTED: tuple[tuple[str, tuple[str, ...], str, str, str, str, str], ...] = (
    ("convolution", ("conv1",), "7x7/2", "112x112x64", "", "2.7K", "34M"),
    ("max pool", ("pool1",), "3x3/2", "56x56x64", "", "", ""),
    ("convolution", ("conv2_reduce", "conv2"), "3x3/1", "56x56x192", "64 192", "112K", "360M"),
    ("max pool", ("pool2",), "3x3/2", "28x28x192", "", "", ""),
    ("inception (3a)", ("inception_3a",), "", "28x28x256", "64 96 128 16 32 32", "159K", "128M"),
    ("inception (3b)", ("inception_3b",), "", "28x28x480", "128 128 192 32 96 64", "380K", "304M"),
    ("max pool", ("pool3",), "3x3/2", "14x14x480", "", "", ""),
    ("inception (4a)", ("inception_4a",), "", "14x14x512", "192 96 208 16 48 64", "364K", "73M"),
    ("inception (4b)", ("inception_4b",), "", "14x14x512", "160 112 224 24 64 64", "437K", "88M"),
    ("inception (4c)", ("inception_4c",), "", "14x14x512", "128 128 256 24 64 64", "463K", "100M"),
    ("inception (4d)", ("inception_4d",), "", "14x14x528", "112 144 288 32 64 64", "580K", "119M"),
    (
        "inception (4e)",
        ("inception_4e",),
        "",
        "14x14x832",
        "256 160 320 32 128 128",
        "840K",
        "170M",
    ),
    ("max pool", ("pool4",), "3x3/2", "7x7x832", "", "", ""),
    ("inception (5a)", ("inception_5a",), "", "7x7x832", "256 160 320 32 128 128", "1072K", "54M"),
    ("inception (5b)", ("inception_5b",), "", "7x7x1024", "384 192 384 48 128 128", "1388K", "71M"),
    ("avg pool", ("average",), "7x7/1", "1x1x1024", "", "", ""),
    ("linear", ("classifier",), "", "1x1x1000", "", "1000K", "1M"),
)

_SUM = "Slip in `params`: the widths of this line give the ops printed, but not these params."
_REMARKS = {
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


def comparison() -> Comparison:
    """Our `googlenet`, the paper's form with 5x5 windows and biases, without auxiliary heads."""
    ours = blocks("googlenet")
    lines = []
    for layer, names, patch, output, widths, params, ops in _PRINTED:
        rows = [row for name in names for row in ours[name]]
        macs, parameters = sums(rows)
        weights = sum(row.parameters - row.operation.features for row in rows if row.macs)
        lines.append(
            Line(
                layer,
                (patch, output, widths, params, ops),
                (
                    _patch(rows) if patch else "",
                    maps(rows),
                    _widths(rows) if widths else "",
                    _thousands(weights) if params else "",
                    f"{macs / 1e6:.0f}M" if ops else "",
                ),
                macs,
                parameters,
                _REMARKS.get(names[-1], ""),
            )
        )
    column = sum(float(params.removesuffix("K")) for *_, params, _ in _PRINTED if params)
    total = sum(line.parameters or 0 for line in lines)
    return Comparison(
        title="GoogLeNet",
        source="L2, after Szegedy et al. 2014, table 1",
        columns=(
            "patch/stride",
            "output",
            "1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool",
            "params",
            "ops",
        ),
        lines=tuple(lines),
        remarks=(
            "The lecture's K is 1,024 weights without biases (112K = 114,688; 1000K = 1,024,000), "
            "its M a million multiply-accumulates; ours are rounded likewise.",
            "L0 and L4 say of the same network that it has 5 million parameters: ours has "
            f"{total:,}, and L2's own column adds up to {column:,} K.",
        ),
    )


def _patch(rows: Sequence[CostRow]) -> str:
    operation = [row for row in rows if row.operation.window][-1].operation
    return f"{'x'.join(map(str, operation.window))}/{operation.stride[0]}"


def _widths(rows: Sequence[CostRow]) -> str:
    """The features of the six convolutions of a module, or of the two of the tail."""
    found = {row.path: row.operation.features for row in rows if row.operation.features}
    if len(found) == 2:
        return " ".join(map(str, found.values()))
    ordered = [next(n for path, n in found.items() if f"/{width}/" in path) for width in _WIDTHS]
    return " ".join(map(str, ordered))


def _thousands(weights: int) -> str:
    return f"{weights / 1024:.1f}K" if weights < 10 * 1024 else f"{weights / 1024:.0f}K"
