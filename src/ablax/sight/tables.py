"""The receptive fields of a network as a table."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ablax.analysis.receptive_field import ReceptiveField
from ablax.costs.tables import Cell, Table

COLUMNS = ("layer", "output", "size", "stride", "offset", "of the image, %")

FOOT = (
    "Size: pixels that a unit depends on, as if the image had no end. Stride: pixels from a unit "
    "to the next. Offset: the center of the first unit; the first pixel is 0. Of the image: what "
    "the unit that sees most really sees, within the border.",
)
BOUNDED = "At most (≤): the units lie in no regular grid, or it is not known what they read."


def field_table(title: str, fields: Mapping[str, ReceptiveField]) -> Table:
    """A row a layer.

    Args:
        title: What the table shows.
        fields: From the path of each layer to what its units see.
    """
    rows = tuple((layer, *_cells(each)) for layer, each in fields.items())
    bounded = (BOUNDED,) if any(each.bounded for each in fields.values()) else ()
    return Table(title, COLUMNS, rows, (*FOOT, *bounded))


def _cells(field: ReceptiveField) -> tuple[Cell, ...]:
    mark = "≤ " if field.bounded else ""
    shape = "x".join(map(str, field.shape[1:])) or "1"
    stride = "" if None in field.stride else _sides(field.stride)
    return (
        *(shape, mark + _sides(field.size), stride, _sides(field.offset)),
        f"{100 * field.share:.3g}",
    )


def _sides(sides: tuple[int | float | Fraction | None, ...]) -> str:
    """One number for a square, or height x width."""
    written = [str(side) if isinstance(side, Fraction) else f"{side:g}" for side in sides]
    return written[0] if len(set(written)) == 1 else " x ".join(written)
