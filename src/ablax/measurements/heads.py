"""Heads: what they cost, and how much each place counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from ablax.analysis.cost import USUAL, cost
from ablax.core import ImageShape, Network, abstract_variables, leaves_by_path
from ablax.errors import AblaxError
from ablax.layers.heads import PixelMixture, SpatialWeights
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report.figures import WIDTH, draw_map, panels, set_caption, settings, wrapped
from ablax.report.statistics import mean
from ablax.report.study import Picture, Quantity, Row, Section, Study, Variant, matching
from ablax.report.study_tables import variant_table
from ablax.report.tables import Table, number, scaled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


HEAD_MEMORY = "head_memory"
HEAD, REST = "head", "tail and body"


def head_memory() -> Measurement:
    """Parameters, activations and multiply-accumulates of the head, and of all in front of it.

    Counted for one image from the network's jaxpr (`ablax.analysis.cost`), not measured, so that
    neither seed nor training changes it.
    """
    return Measurement(
        name=HEAD_MEMORY,
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


def measure_head_memory(model: Model, sample: Sample) -> list[Row]:
    """A row for the head and one for tail and body; see `part_costs`."""
    shape = sample.test.images.shape[1:]
    costs = part_costs(model.network, (shape[0], shape[1], shape[2]))
    return [{"part": part, **figures} for part, figures in costs.items()]


def part_costs(network: Network, image_shape: ImageShape) -> dict[str, dict[str, float]]:
    """What `"head"` costs for one image, and what `"tail and body"` cost together.

    Each has `parameters`, `activations` (elements written for others to read), `macs`, and `moved`
    (elements read and written, parameters among them).

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

    def cells(variant: Variant) -> list[str] | None:
        parts = {row["part"]: row for row in study.rows(HEAD_MEMORY, variant=variant.name)}
        if not parts:
            return None
        head = parts[HEAD]
        intensity = head["macs"] / head["moved"] if head["moved"] else 0.0
        return [*_cells(head), *_cells(parts[REST]), number(intensity, 2)]

    return variant_table(
        study,
        "What the head costs beside tail and body",
        (
            *(f"{part}: {what}" for part in ("Head", "Tail and body") for what in _FIGURES),
            "Head: MACs per element moved",
        ),
        cells,
        "One image; 4 bytes per element. MACs: multiply-accumulates forward.",
    )


_FIGURES = ("parameters", "parameters, KiB", "activations, KiB", "MACs")


def _cells(part: Row) -> tuple[str, ...]:
    memory = map(kibibytes, (part["parameters"], part["activations"]))
    return (number(part["parameters"], 0), *memory, scaled(part["macs"]))


def kibibytes(numbers: float | int) -> str:
    """So many elements of four bytes, in KiB with about three digits.

    Example:
        >>> kibibytes(256), kibibytes(10_370), kibibytes(300_000)
        ('1.00', '40.5', '1,172')
    """
    size = 4 * numbers / 2**10
    digits = max(0, 2 - math.floor(math.log10(size))) if size else 0
    return number(size, digits)


PLACE_WEIGHTS = "place_weights"
SEEDS_SHOWN = 3
NUMBERED = 8
"""Pixels in a row up to which each has its number written on it."""

Weights = Float[np.ndarray, "H W"]


def place_weights(only: tuple[str, ...] = ()) -> Measurement:
    """The learned weights by place; quantities `center_weight` and `edge_weight`."""
    return Measurement(
        name=PLACE_WEIGHTS,
        measure=measure_place_weights,
        section=Section(
            title="Which places count",
            text=(
                "What the pixels of the last maps count after training, by their place. 1 is where "
                "every pixel started: the weight of a plain average. Spatial weights are factors "
                "on the features; a learned combination has shares of the vote, times the number "
                "of pixels."
            ),
            pictures=(
                Picture(
                    PLACE_WEIGHTS,
                    "Learned weights by place",
                    "Weights of the pixels of the last maps, mean over seeds and by seed.",
                    place_figure,
                ),
            ),
        ),
        quantities={
            "center_weight": Quantity("mean weight off the edge", partial(_mean, edge=False)),
            "edge_weight": Quantity("mean weight of the edge", partial(_mean, edge=True)),
        },
        only=only,
    )


def measure_place_weights(model: Model, _: Sample) -> list[Row]:
    """One row per pixel of `learned_weights`: `row`, `column`, `weight`, whether of the `edge`."""
    weights = learned_weights(model.network, model.variables["params"])
    height, width = weights.shape

    def edge(row: int, column: int) -> float:
        return float(row in (0, height - 1) or column in (0, width - 1))

    found = np.ndenumerate(weights)
    return [{"row": r, "column": c, "weight": float(w), "edge": edge(r, c)} for (r, c), w in found]


def learned_weights(network: Network, params: Any) -> Weights:
    """What each pixel counts in the head; 1 says "as initialized, and as in an average".

    `SpatialWeights` multiplies a pixel by 1 + v; `PixelMixture` gives it the share
    softmax(location) of the whole, here times the number of pixels.

    Raises:
        AblaxError: The head has neither `SpatialWeights` nor `PixelMixture`.

    Example:
        >>> from ablax.core import with_head
        >>> from ablax.zoo import heads, lenet5
        >>> network = with_head(heads.spatial_weights(10))(lenet5())
        >>> learned_weights(network, {"weights": {"deviation": np.array([[0.5, -0.25]])}})
        array([[1.5 , 0.75]])
    """
    leaves = leaves_by_path(params)
    for name, layer in network.head.items():
        if isinstance(layer, SpatialWeights):
            return 1 + np.asarray(leaves[f"{name}/deviation"], float)
        if isinstance(layer, PixelMixture):
            location = np.asarray(leaves[f"{name}/location"], float)
            return location.size * softmax(location)
    raise AblaxError(
        f"no layer of the head ({', '.join(network.head)}) weighs by place: measure only variants "
        "whose head has SpatialWeights or PixelMixture"
    )


@settings()
def place_figure(study: Study) -> Figure:
    """One row per variant: the mean over seeds, then single seeds; one scale per row."""
    found = {name: _shown(seeds) for name, seeds in by_variant_and_seed(study).items()}
    columns = max(map(len, found.values()), default=1)
    figure, drawn = panels(columns * len(found), columns, (WIDTH, 3.1), above=0.2, grid=None)
    for row, (variant, maps) in enumerate(found.items()):
        line = drawn[row * columns : (row + 1) * columns]
        furthest = max(float(np.max(np.abs(weights - 1))) for weights in maps.values()) or 1.0
        for axes, (title, weights) in zip(line, maps.items(), strict=False):
            numbered = max(weights.shape) <= NUMBERED
            image = draw_map(axes, weights, (1 - furthest, 1 + furthest), numbered=numbered)
            axes.set_title(title, loc="center", fontsize=13)
        for axes in line[len(maps) :]:
            axes.set_axis_off()
        line[0].set_ylabel(wrapped(study.variant(variant).label, 16), fontweight="bold")
        figure.colorbar(image, ax=line, shrink=0.85, pad=0.02).set_label("weight")
    return set_caption(
        figure,
        "As the image lies; 1, white, is the weight of a plain average. Left: mean over the seeds; "
        "beside it single seeds.",
    )


def _shown(seeds: dict[int, Weights]) -> dict[str, Weights]:
    """The mean and some seeds, by title; of a single seed that one."""
    single = {f"seed {seed}": weights for seed, weights in list(seeds.items())[:SEEDS_SHOWN]}
    middle = np.mean(list(seeds.values()), axis=0)
    return {f"mean, n = {len(seeds)}": middle, **single} if len(seeds) > 1 else single


def by_variant_and_seed(study: Study) -> dict[str, dict[int, Weights]]:
    """The measured weights as maps."""
    found: dict[str, dict[int, Weights]] = {}
    for name in study.names:
        rows = study.rows(PLACE_WEIGHTS, variant=name)
        for seed in sorted({int(row["seed"]) for row in rows}):
            found.setdefault(name, {})[seed] = _map(matching(rows, seed=seed))
    return found


def _map(rows: Sequence[Row]) -> Weights:
    weights = np.empty([1 + int(max(row[end] for row in rows)) for end in ("row", "column")])
    for row in rows:
        weights[int(row["row"]), int(row["column"])] = row["weight"]
    return weights


def _mean(rows: tuple[Row, ...], edge: bool) -> float:
    """Over the outermost pixels, or over the others."""
    return mean([float(row["weight"]) for row in matching(rows, edge=edge)])
