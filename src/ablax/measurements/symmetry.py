"""How many units of a layer differ: equal ones learn as one, however wide the layer is."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float

from ablax.core import leaves_by_path, paths
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report.statistics import mean
from ablax.report.study import Quantity, Row, Section, Study
from ablax.report.tables import Column, Table, number

NAME = "symmetry"
TOLERANCE = 1e-6
"""Of a distance, as a share of the length of the layer's longest unit."""


def distinct_units(kernel: Float[np.ndarray, "*inputs F"]) -> int:
    """The number of units of a layer that differ from each other.

    A unit is its weights, one column of the kernel as a matrix. Two are equal where the length of
    their difference is at most `TOLERANCE` times that of the longest column; a unit counts when it
    is equal to none of those that were counted before it.

    Example:
        >>> distinct_units(np.array([[1.0, 1.0, 2.0], [0.0, 1e-9, 0.0]]))
        2
    """
    units = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1]).T
    least = TOLERANCE * float(np.max(np.linalg.norm(units, axis=1)))
    found: list[np.ndarray] = []
    for unit in units:
        if not any(np.linalg.norm(unit - other) <= least for other in found):
            found.append(unit)
    return len(found)


def measure_symmetry(model: Model, _: Sample) -> list[Row]:
    """One row per kernel: its `layer`, `place` from 1, `units`, and how many are `distinct`."""
    leaves = leaves_by_path(model.variables["params"])
    kernels = {
        path.rpartition("/")[0]: np.asarray(leaf)
        for path, leaf in leaves.items()
        if np.ndim(leaf) > 1
    }
    layers = [path for path in paths(model.network) if path in kernels]
    return [
        {
            "layer": layer,
            "place": place,
            "units": kernels[layer].shape[-1],
            "distinct": distinct_units(kernels[layer]),
        }
        for place, layer in enumerate(layers, start=1)
    ]


def distinct_share(rows: tuple[Row, ...]) -> float:
    """Distinct units of all layers but the last, after training, in percent of the units.

    Example:
        >>> rows = tuple(
        ...     {"step": 9, "place": place, "units": 4, "distinct": 1 + 3 * (place == 3)}
        ...     for place in (1, 2, 3)
        ... )
        >>> distinct_share(rows)
        25.0
    """
    end = max(row["step"] for row in rows)
    own = [row for row in rows if row["step"] == end]
    hidden = [row for row in own if row["place"] < max(row["place"] for row in own)]
    return 100 * sum(row["distinct"] for row in hidden) / sum(row["units"] for row in hidden)


def symmetry(only: tuple[str, ...] = ()) -> Measurement:
    """Distinct units of every layer before and after training; quantity `distinct_units`.

    Args:
        only: The variants that are measured; all where it is empty.
    """
    return Measurement(
        name=NAME,
        measure=measure_symmetry,
        section=Section(
            title="Units that stay equal",
            text=(
                "Units of a layer that start equal, behind units that start equal, compute the "
                "same and get the same gradient, so that no training tells them apart: the layer "
                "is one unit wide. Two units are counted as one where their weights differ by at "
                "most a millionth of the longest unit's. The units of the last layer are the "
                "classes, which the labels tell apart."
            ),
            tables=(partial(symmetry_table, names=only),),
        ),
        moments=("start", "end"),
        quantities={
            "distinct_units": Quantity(
                "distinct units of the hidden layers", distinct_share, "percentage points", 1
            )
        },
        only=only,
    )


def symmetry_table(study: Study, names: tuple[str, ...] = ()) -> Table:
    """Distinct units of every layer, before and after training: mean over seeds."""
    shown = [name for name in study.names if name in (names or study.names)]
    rows = [row for name in shown for row in study.rows(NAME, variant=name)]
    layers = list(dict.fromkeys(row["layer"] for row in sorted(rows, key=lambda r: r["place"])))
    cells = []
    for name in shown:
        steps = sorted({row["step"] for row in rows if row["variant"] == name})
        for moment, step in zip(("before", "after"), steps, strict=False):
            own = [row for row in rows if row["variant"] == name and row["step"] == step]
            counts = [_count([row for row in own if row["layer"] == layer]) for layer in layers]
            cells.append((study.variant(name).label, moment, *counts))
    return Table(
        title="Distinct units of every layer",
        columns=(
            Column("Variant", "left"),
            Column("Training", "left"),
            *(Column(layer.partition("/")[0]) for layer in layers),
        ),
        rows=tuple(cells),
        notes=("Distinct units of all units: mean over seeds.",),
    )


def _count(rows: list[Row]) -> str:
    if not rows:
        return number(float("nan"))
    distinct = mean([float(row["distinct"]) for row in rows])
    return f"{number(distinct, int(distinct % 1 > 0))} of {rows[0]['units']}"
