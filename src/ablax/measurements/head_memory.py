"""What the head costs beside the rest of the network: weights, maps and multiply-accumulates.

Counted for one image from the network's jaxpr (`ablax.analysis.cost`), not measured, so that
neither seed nor training changes it.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from ablax.analysis.cost import USUAL, cost
from ablax.core import ImageShape, Network, abstract_variables
from ablax.measurements.measurement import Measurement, Subject
from ablax.report.study import Row, Section, Study
from ablax.report.tables import Column, Table, number, scaled

NAME = "head_memory"
BYTES = 4
"""Of a number in float32."""
HEAD, REST = "head", "tail and body"


def head_memory() -> Measurement:
    """Parameters, activations and multiply-accumulates of the head, and of all in front of it."""
    return Measurement(
        name=NAME,
        measure=measure_head_memory,
        section=Section(
            title="What the head costs",
            text=(
                "Counted for one image in float32. Activations are the elements that layers write "
                "for others to read; training keeps them for each image of the batch. "
                "Multiply-accumulates per element moved (activations read and written, and "
                "parameters read) say what bounds the speed: few of them, and it is the memory."
            ),
            tables=(head_table,),
        ),
        moments=("start",),
        every_seed=False,
    )


def measure_head_memory(subject: Subject) -> list[Row]:
    """A row for the head and one for tail and body; see `part_costs`."""
    shape = subject.test.images.shape[1:]
    costs = part_costs(subject.network, (shape[0], shape[1], shape[2]))
    return [{"part": part, **figures} for part, figures in costs.items()]


def part_costs(network: Network, image_shape: ImageShape) -> dict[str, dict[str, float]]:
    """What the head costs for one image, and what tail and body cost together.

    Args:
        network: Any network.
        image_shape: (H, W, C).

    Returns:
        Under `"tail and body"` and `"head"`: `parameters`, `activations` (elements written for
        others to read), `macs`, and `moved` (elements read and written, parameters among them).

    Raises:
        LayerError: The network does not fit the images.

    Example:
        >>> from ablax.zoo import lenet5
        >>> part_costs(lenet5(), (32, 32, 1))["head"]["parameters"]
        11014.0
    """
    variables = abstract_variables(network, image_shape)
    kept = {name: tree for name, tree in variables.items() if name in ("params", "batch_stats")}
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    rows = cost(network.apply, kept, image, convention=USUAL)
    found = {}
    for part in (REST, HEAD):
        own = [row for row in rows if (row.path.split("/")[0] in network.head) == (part == HEAD)]
        found[part] = {
            "parameters": float(sum(row.parameters for row in own)),
            "activations": float(sum(row.output_memory for row in own)),
            "macs": float(sum(row.macs for row in own)),
            "moved": float(sum(row.memory for row in own)),
        }
    return found


def head_table(study: Study) -> Table:
    """One row per variant: the head's figures beside those of tail and body."""
    found: dict[str, dict[str, Row]] = {}
    for row in study.rows(NAME):
        found.setdefault(row["variant"], {})[row["part"]] = row
    rows = []
    for variant, parts in found.items():
        head = parts[HEAD]
        cells = [cell for part in (head, parts[REST]) for cell in _cells(part)]
        intensity = head["macs"] / head["moved"] if head["moved"] else 0.0
        rows.append((study.variant(variant).label, *cells, number(intensity, 2)))
    headings = [f"{part}: {what}" for part in ("Head", "Tail and body") for what in _FIGURES]
    headings.append("Head: MACs per element moved")
    return Table(
        title="What the head costs beside tail and body",
        columns=(Column("Variant", "left"), *map(Column, headings)),
        rows=tuple(rows),
        notes=("One image; 4 bytes per element. MACs: multiply-accumulates forward.",),
    )


_FIGURES = ("parameters", "parameters, KiB", "activations, KiB", "MACs")


def _cells(part: Row) -> tuple[str, ...]:
    return (
        number(part["parameters"], 0),
        kibibytes(part["parameters"]),
        kibibytes(part["activations"]),
        scaled(part["macs"]),
    )


def kibibytes(numbers: float | int) -> str:
    """So many elements of four bytes, in KiB with about three digits.

    Example:
        >>> kibibytes(256), kibibytes(10_370), kibibytes(300_000)
        ('1.00', '40.5', '1,172')
    """
    size = BYTES * numbers / 2**10
    digits = max(0, 2 - math.floor(math.log10(size))) if size else 0
    return number(size, digits)
