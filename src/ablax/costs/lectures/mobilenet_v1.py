"""The lecture's table of MobileNet V1 (L2), after Howard et al. 2017, table 1."""

from __future__ import annotations

from collections.abc import Sequence

from ablax.analysis.cost import CostRow
from ablax.costs.lectures.comparison import Blocks, Comparison, Line, blocks, sums

# type and stride, filter, input; the line of five is printed once as a pair
_PRINTED: tuple[tuple[str, str, str], ...] = (
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

_SLIP = (
    "Slip: with stride 2 the next input would be 4x4, and it is printed as 7x7. The stride is 1."
)


def comparison() -> Comparison:
    """Our `mobilenet_v1` at width 1."""
    ours = blocks("mobilenet_v1")
    lines = []
    for (kind, window, size), (name, rows) in zip(_PRINTED, ours.items(), strict=True):
        found = _written(rows[0])
        macs, parameters = sums(rows)
        remark = "" if found == (kind, window, size) else _SLIP
        lines.append(Line(name, (kind, window, size), found, macs, parameters, remark))
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
    operation, sizes = row.operation, row.input_shape[1:]
    size = "x".join(map(str, (1,) * (3 - len(sizes)) + tuple(sizes)))
    if operation.family == "dense":
        return "FC / s1", f"{sizes[-1]}x{operation.features}", size
    window = "x".join(map(str, operation.window))
    if operation.family == "pool":
        return f"Avg Pool / s{operation.stride[0]}", f"Pool {window}", size
    channels = sizes[-1] // operation.groups
    if operation.groups > 1:
        return f"Conv dw / s{operation.stride[0]}", f"{window}x{sizes[-1]} dw", size
    shape = f"{window}x{channels}x{operation.features}"
    return f"Conv / s{operation.stride[0]}", shape, size


def _shares(ours: Blocks) -> str:
    """Where the multiply-accumulates are, as the lecture says of channels and space."""
    rows: Sequence[CostRow] = [row for inside in ours.values() for row in inside]
    whole, _ = sums(rows)
    narrow, _ = sums([row for row in rows if row.operation.name.startswith("convolution 1x1")])
    deep, _ = sums([row for row in rows if row.operation.name.startswith("depthwise")])
    return (
        f"Of {whole:,} multiply-accumulates {100 * narrow / whole:.1f} % mix channels (1x1) and "
        f"{100 * deep / whole:.1f} % mix space (3x3 depthwise)."
    )
