"""Which earlier features the kernels of a dense network use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ablax.core import Network, leaves_by_path
from ablax.errors import AblaxError
from ablax.layers.blocks import DenselyConnected
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report.figures import WIDTH, draw_map, panels, set_caption, settings, wrapped
from ablax.report.statistics import mean
from ablax.report.study import Picture, Quantity, Row, Section, Study, matching

if TYPE_CHECKING:
    from matplotlib.figure import Figure


NAME = "feature_reuse"


@settings()
def reuse_figure(study: Study) -> Figure:
    """One row per variant, one panel per block: mean over seeds; one scale for all of it."""
    measured = [name for name in study.names if study.rows(NAME, variant=name)]
    blocks = sorted({int(row["block"]) for row in study.rows(NAME)})
    cells = [(name, block) for name in measured for block in blocks]
    figure, drawn = panels(len(cells), len(blocks), (WIDTH, 3.3), above=0.6, grid=None)
    maps = [reuse_map(study.rows(NAME, variant=name, block=block)) for name, block in cells]
    furthest = max((float(np.nanmax(np.abs(found - 1))) for *_, found in maps), default=1.0) or 1.0
    for axes, (name, block), (readers, sources, found) in zip(drawn, cells, maps, strict=False):
        image = draw_map(axes, found, (1 - furthest, 1 + furthest), colors="PuOr_r")
        columns = ["in", *map(str, range(1, len(sources)))]
        axes.set_xticks(range(len(sources)), columns)
        axes.set_yticks(range(len(readers)), [*columns[1:], "out"])
        axes.tick_params(length=0, labelsize=12)
        axes.spines[:].set_visible(False)
        axes.set_title(f"Block {block}", loc="center", fontsize=14)
        if block == blocks[0]:
            axes.set_ylabel(wrapped(f"{study.variant(name).label}: read by", 24), fontsize=13)
        if name == measured[-1]:
            axes.set_xlabel("read from", fontsize=13)
    if cells:
        bar = figure.colorbar(image, ax=drawn, shrink=0.6, pad=0.02, aspect=30)
        bar.set_label("weight over the mean of the kernel")
    return set_caption(
        figure,
        "Mean over seeds; 1, white, is the mean and the start. In: the block's input; out: the "
        "first kernel behind the block.",
    )


def reuse_map(
    rows: Sequence[Row],
) -> tuple[list[str], list[str], Float[np.ndarray, "readers sources"]]:
    """Readers, sources, and the mean over seeds of what is relative, in one block; nan for none."""
    readers = list(dict.fromkeys(str(row["layer"]) for row in rows))
    sources = list(dict.fromkeys(str(row["source"]) for row in rows))
    means = [
        [mean([row["relative"] for row in matching(rows, layer=to, source=of)]) for of in sources]
        for to in readers
    ]
    return readers, sources, np.array(means)


INPUT = "input"
"""What a block's own input is called among the sources."""


class Use(NamedTuple):
    """How much one layer uses the maps of one source; see `uses` for the weights.

    Blocks count from 1. The reader is a layer of the block, or the first one behind it that has a
    kernel; the source is `"input"` or a layer of the block; `back` is 1 for the source right in
    front of the reader, 2 for the one before it, and so on.
    """

    block: int
    layer: str
    source: str
    back: int
    weight: float
    relative: float


def feature_reuse(only: tuple[str, ...] = ()) -> Measurement:
    """Use of every earlier layer, of variants with dense blocks; and quantities that sum it up.

    The weights of a channel that is of no use decay. The quantities are of single channels on
    average, each in relation to the mean of the layer that reads them:

    * `reuse_transition` of the inputs of all blocks but the first, which are outputs of
      transitions, without the first layer of a block, which reads nothing else;
    * `reuse_inside` of layers' outputs in the same blocks;
    * `reuse_nearest` of the layer right in front, and `reuse_distant` of layers farther back, both
      without inputs of blocks;
    * `classifier_early` and `classifier_late` of the first and the second half of the sources that
      the classifier reads.

    References:
        Huang, Liu, van der Maaten, Weinberger 2016, Densely connected convolutional networks,
        "Feature reuse" and figure 5.
    """
    return Measurement(
        name=NAME,
        measure=measure_feature_reuse,
        section=Section(
            title="Which earlier features are used",
            text=(
                "Mean absolute weight of each layer's kernel on the maps of each earlier layer of "
                "its block, after training, over the mean of the whole kernel. At the start all "
                "are 1 but for chance; 0 would be a layer whose maps are not used. The scale of "
                "the batch normalization in front is a part of the weight, because a network can "
                "move a factor from one to the other. A weight says how much is taken, not how "
                "much the answer depends on it."
            ),
            pictures=(
                Picture(
                    NAME,
                    "Weight on each earlier layer",
                    "One panel per block: rows are layers that read, columns the layers they read "
                    "from; mean absolute weight over the mean of the row's kernel.",
                    reuse_figure,
                ),
            ),
        ),
        quantities=_QUANTITIES,
        only=only,
    )


def measure_feature_reuse(model: Model, _: Sample) -> list[Row]:
    """A row for each layer and each source that it reads: the fields of `Use`, by `uses`."""
    return [use._asdict() for use in uses(model.network, model.variables["params"])]


def uses(network: Network, params: Mapping[str, Any]) -> list[Use]:
    """How much each layer of every dense block uses the sources in front of it.

    With the kernel w of the first convolution of a layer, and the scale g of the batch
    normalization in front of it (1 without one), a channel c weighs a_c = mean |g_c w_c| over
    the kernel's places and features. A source weighs the mean of a_c over its channels, and in
    relation that over the mean of a_c over all channels. So relations, averaged over channels,
    are 1, and they do not change when a factor moves from g_c to w_c.

    Raises:
        AblaxError: The network has no `DenselyConnected` layer at its top level.

    Example:
        >>> import jax
        >>> from ablax.core import Layers, abstract_variables
        >>> from ablax.zoo.densenet import blocks, plain
        >>> from ablax.zoo.heads import global_average_pool
        >>> network = Network(Layers(), blocks((2,), 3, 1, plain), global_average_pool(2))
        >>> shapes = abstract_variables(network, (8, 8, 1))["params"]
        >>> found = uses(network, jax.tree.map(lambda leaf: np.ones(leaf.shape), shapes))
        >>> [(use.layer, use.source) for use in found[:3]]
        [('dense1_1', 'input'), ('dense1_2', 'input'), ('dense1_2', 'dense1_1')]
        >>> [(use.layer, use.source) for use in found[3:]][-1]
        ('classifier', 'dense1_2')
    """
    leaves = leaves_by_path(params)
    names = list(network.layers)
    found: list[Use] = []
    for number, block in enumerate(_blocks(network), start=1):
        behind = names[names.index(block[-1]) + 1 :]
        readers = dict(_first_kernel(leaves, own) for own in (*([n] for n in block), behind))
        ends = [len(weights) for weights in readers.values()]
        slices = [slice(0, ends[0]), *(slice(*pair) for pair in pairwise(ends))]
        sources = dict(zip((INPUT, *block), slices, strict=True))
        for place, (layer, weights) in enumerate(readers.items(), start=1):
            for index, (source, channels) in enumerate(list(sources.items())[:place]):
                weight = float(weights[channels].mean())
                relative = weight / float(weights.mean())
                found.append(Use(number, layer, source, place - index, weight, relative))
    return found


def _blocks(network: Network) -> list[list[str]]:
    """The names of neighboring dense layers, block by block."""
    runs = groupby(network.layers.items(), lambda item: isinstance(item[1], DenselyConnected))
    found = [[name for name, _ in block] for dense, block in runs if dense]
    if not found:
        raise AblaxError(
            "no layer of the network is DenselyConnected: measure only variants with dense blocks"
        )
    return found


def _first_kernel(
    leaves: Mapping[str, Any], names: Sequence[str]
) -> tuple[str, Float[np.ndarray, " channels"]]:
    """The first of the layers with a kernel, and mean |scale x kernel| of its input channels."""
    scale: Any = 1.0
    for name in names:
        for path in sorted(leaves):
            if _is_leaf(path, name, "scale"):
                scale = np.abs(np.asarray(leaves[path], float))
            if _is_leaf(path, name, "kernel"):
                kernel = np.abs(np.asarray(leaves[path], float))
                places = tuple(axis for axis in range(kernel.ndim) if axis != kernel.ndim - 2)
                return name, np.asarray(scale * kernel.mean(axis=places))
    raise AblaxError(f"none of the layers {', '.join(names)} has a kernel to read a block with")


def _is_leaf(path: str, layer: str, leaf: str) -> bool:
    return path.startswith(f"{layer}/") and path.endswith(f"/{leaf}")


def _of(wanted: Callable[[Row], bool]) -> Callable[[tuple[Row, ...]], float]:
    """The mean of what is relative, over the rows wanted."""
    return lambda rows: mean([float(row["relative"]) for row in rows if wanted(row)])


def _classifier_half(late: bool) -> Callable[[tuple[Row, ...]], float]:
    """Mean of one half of the sources that the last reader reads; the middle one in neither."""

    def of(rows: tuple[Row, ...]) -> float:
        last = sorted(matching(rows, layer=rows[-1]["layer"]), key=lambda row: float(row["back"]))
        half = len(last) // 2
        chosen = last[:half] if late else last[len(last) - half :]
        return mean([float(row["relative"]) for row in chosen])

    return of


_QUANTITIES = {
    "reuse_transition": Quantity(
        "relative weight on a transition's output",
        _of(lambda row: row["source"] == INPUT and row["block"] > 1 and row["back"] > 1),
    ),
    "reuse_inside": Quantity(
        "relative weight on a layer's output",
        _of(lambda row: row["source"] != INPUT and row["block"] > 1),
    ),
    "reuse_nearest": Quantity(
        "relative weight on the layer right in front",
        _of(lambda row: row["source"] != INPUT and row["back"] == 1),
    ),
    "reuse_distant": Quantity(
        "relative weight on layers farther back",
        _of(lambda row: row["source"] != INPUT and row["back"] > 1),
    ),
    "classifier_early": Quantity(
        "relative weight of the classifier on early layers", _classifier_half(late=False)
    ),
    "classifier_late": Quantity(
        "relative weight of the classifier on late layers", _classifier_half(late=True)
    ),
}
