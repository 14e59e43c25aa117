"""The lecture's table of SqueezeNet (L2), after Iandola et al. 2016, table 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ablax.analysis.cost import CostRow
from ablax.costs.lectures.comparison import Comparison, Line, blocks, maps, sums
from ablax.zoo import find

_SIZE = 227
"""At 224 pixels the first convolution gives 109 positions; 227 give the 111 of the table."""

# layer, our name, output, filter and stride, squeeze and expand widths, parameters, percent of the
# weights that pruning leaves, parameters then
_PRINTED: tuple[tuple[str, str, str, str, str, str, tuple[int, ...], str], ...] = (
    ("conv1", "conv1", "111x111x96", "7x7/2 (x96)", "", "14,208", (100,), "14,208"),
    ("maxpool1", "pool1", "55x55x96", "3x3/2", "", "", (), ""),
    ("fire2", "fire2", "55x55x128", "", "16 64 64", "11,920", (100, 100, 33), "5,746"),
    ("fire3", "fire3", "55x55x128", "", "16 64 64", "12,432", (100, 100, 33), "6,258"),
    ("fire4", "fire4", "55x55x256", "", "32 128 128", "45,344", (100, 100, 33), "20,646"),
    ("maxpool4", "pool4", "27x27x256", "3x3/2", "", "", (), ""),
    ("fire5", "fire5", "27x27x256", "", "32 128 128", "49,440", (100, 100, 33), "24,742"),
    ("fire6", "fire6", "27x27x384", "", "48 192 192", "104,880", (100, 50, 33), "44,700"),
    ("fire7", "fire7", "27x27x384", "", "48 192 192", "111,024", (50, 100, 33), "46,236"),
    ("fire8", "fire8", "27x27x512", "", "64 256 256", "188,992", (100, 50, 33), "77,581"),
    ("maxpool8", "pool8", "13x12x512", "3x3/2", "", "", (), ""),
    ("fire9", "fire9", "13x13x512", "", "64 256 256", "197,184", (50, 100, 30), "77,581"),
    ("conv10", "classifier", "13x13x1000", "1x1/1 (x1000)", "", "513,000", (20,), "103,400"),
    ("avgpool10", "average", "1x1x1000", "13x13/1", "", "", (), ""),
)

_REMARKS = {
    "fire8": "Slip: 33 % of the 3x3 weights leave 82,005; 30 %, as in fire9, leave the 77,581.",
    "pool8": "Slip: 13x12; the next line has 13x13.",
}


def comparison() -> Comparison:
    """Our `squeezenet_1_0` on images of 227 pixels."""
    ours = blocks("squeezenet_1_0", _SIZE)
    lines = []
    left = before = 0
    for layer, name, output, window, widths, count, shares, pruned in _PRINTED:
        rows = ours[name]
        macs, parameters = sums(rows)
        products = [row for row in rows if row.macs]
        kept = _pruned(products, shares)
        left, before = left + (int(pruned.replace(",", "")) if pruned else 0), before + parameters
        found = (
            maps(rows),
            _window(rows[0]) if window else "",
            " ".join(str(row.operation.features) for row in products) if widths else "",
            f"{parameters:,}" if count else "",
            f"{kept:,}" if pruned else "",
        )
        printed = (output, window, widths, count, pruned)
        lines.append(Line(layer, printed, found, macs, parameters, _REMARKS.get(name, "")))
    at_224 = find("squeezenet_1_0").macs
    return Comparison(
        title="SqueezeNet 1.0",
        source="L2, after Iandola et al. 2016, table 1",
        columns=(
            "output",
            "filter/stride",
            "squeeze, expand 1x1, 3x3",
            "parameters",
            "after pruning",
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


def _window(row: CostRow) -> str:
    operation = row.operation
    placed = f"{'x'.join(map(str, operation.window))}/{operation.stride[0]}"
    return f"{placed} (x{operation.features})" if operation.features else placed
