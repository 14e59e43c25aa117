"""The gradient that reaches each layer, at initialization and in training."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import geometric_mean
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ablax.config import Recipe, with_fields
from ablax.core import Network, gradients, leaves_by_path, output_shapes, paths, role
from ablax.layers import Auxiliary
from ablax.measurements.measurement import Measurement, Pick, Sample, at_moment, grouped
from ablax.model import Model
from ablax.report import figures as kit
from ablax.report.study import Picture, Quantity, Row, Section, Study, Variant, matching
from ablax.report.study_tables import seeds_text, variant_table
from ablax.report.tables import Table, signed
from ablax.training.step import loss, objective_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


NAME = "gradient_norms"

_TWICE = 0.3
"""Decades by which sizes of gradients differ that are to be called different: a factor of two."""

Groups = Sequence[Sequence[str]]
Panels = Mapping[str, Groups]


@kit.settings()
def start_figure(study: Study, groups: Panels) -> Figure:
    """Before training: the gradient by the outputs, and by the kernels, against the place."""
    kept = {title: _present(study, own) for title, own in groups.items()}
    present = {title: own for title, own in kept.items() if own}
    # a panel of one group compares nothing that the others do not
    shown = {title: own for title, own in present.items() if len(own) > 1} or present
    count = len(shown)
    figure, drawn = kit.panels(2 * count, count, (kit.WIDTH, 4.5), above=1.2, sharey="row")
    below = ("block, counted from the images", "layer with weights,\ncounted from the images")
    for place, (title, own) in enumerate(shown.items()):
        above, under = drawn[place], drawn[count + place]
        for axes, of, words in zip((above, under), ("output", "kernel"), below, strict=True):
            _draw_groups(axes, study, own, of)
            axes.set_xlabel(words)
        above.set_title(title)
        above.legend(loc="lower left", bbox_to_anchor=(0, 1.1), ncols=2, fontsize=11)
    if shown:
        drawn[0].set_ylabel("by the block's output: |dl/dy|")
        drawn[count].set_ylabel("by the kernel: |dL/dW|")
        for axes in (drawn[0], drawn[count]):
            kit.logarithmic(axes, "y")
    return kit.set_caption(
        figure,
        "Above: root mean square over images of the norm of the gradient of an image's loss by "
        "the output of each outer layer; a line that falls to the left vanishes, one that rises to "
        "the left explodes. Below: norm of the mean loss's gradient by each kernel. Lines: "
        "geometric mean over seeds; bands: lowest to highest.",
    )


def _present(study: Study, groups: Groups) -> list[list[str]]:
    """The groups without the variants that were not measured, and without empty ones."""
    kept = [[name for name in group if study.rows(NAME, variant=name)] for group in groups]
    return [group for group in kept if group]


def _draw_groups(axes: Axes, study: Study, groups: list[list[str]], of: str) -> None:
    """The variants of a group share a color and differ in their line."""
    for color, group in zip(itertools.cycle(kit.COLORS), groups, strict=False):
        for line, name in enumerate(group):
            style = {"color": color, "linestyle": ("-", "--", ":")[line % 3]}
            style["marker"] = "o^s"[line % 3]
            rows = study.rows(NAME, variant=name, of=of, step=0)
            _draw_gradient(axes, rows, kit.wrapped(study.variant(name).label, 24), style)
    axes.set_yscale("log")
    kit.whole_numbers(axes)


@kit.settings()
def training_figure(study: Study) -> Figure:
    """The same at every moment it was measured, one panel per variant: from blue to orange."""
    shown = [v for v in study.variants if study.rows(NAME, variant=v.name)]
    figure, drawn = kit.panels(
        len(shown), 4, (kit.WIDTH, 2.9), above=0.7, x="block", y="|dl/dy|", sharey=True
    )
    for axes, variant in zip(drawn, shown, strict=False):
        rows = study.rows(NAME, variant=variant.name, of="output")
        epochs = sorted({row["epoch"] for row in rows})
        for at, epoch in enumerate(epochs):
            own, label = matching(rows, epoch=epoch), f"epoch {epoch:g}" if epoch else "start"
            style = {"color": kit.between(at / max(1, len(epochs) - 1))}
            _draw_gradient(axes, own, label, style, band=False)
        axes.set_title(kit.wrapped(variant.label, 20), fontsize=12)
        axes.set_yscale("log")
        kit.whole_numbers(axes)
    if shown:
        kit.logarithmic(drawn[0], "y")
    kit.legend(figure, drawn[0], 6)
    return kit.set_caption(
        figure,
        "Root mean square over images of the norm of the loss's gradient by the output of each "
        "block, counted from the images, at the moments of the legend; geometric mean over "
        "seeds. No line: the gradient is 0 or not finite.",
    )


def _draw_gradient(
    axes: Axes, rows: Sequence[Row], label: str, style: kit.Look, band: bool = True
) -> None:
    """The geometric mean over seeds of what is above 0, and its range."""
    values = grouped([row for row in rows if row["gradient"] > 0], "place", "gradient")
    if values:
        kit.draw_line(axes, values, label, style, "band" if band else "nothing", geometric_mean)


def decades_table(study: Study) -> Table:
    """A row a measured variant: how the gradient changes from the last layers to the first."""

    def cells(variant: Variant) -> list[str] | None:
        if not study.rows(NAME, variant=variant.name):
            return None
        asked = ("gradient_at_start", "gradient_at_end", "sensitivity_at_start")
        return [seeds_text(study, f"{variant.name}:{name}", show=signed) for name in asked]

    return variant_table(
        study,
        "Does the gradient reach the first layers?",
        (
            "First over last block, before training, log10",
            "The same after training",
            "|W| |dL/dW| before training, log10",
        ),
        cells,
        "First two columns: norm of the loss's gradient by the output of the first block over "
        "that by the output of the last, in powers of ten: below 0 it vanishes on its way "
        "down, above 0 it explodes. Last column: median over all kernels; to first order, by "
        "how much the loss changes when a kernel changes by its own size. Mean ± standard "
        "deviation over seeds; a dash where it is 0 or not finite.",
    )


IMAGES = 128
"""Training images of the loss."""


def kernel_norms(
    network: Network, weights: Mapping[str, Any], slopes: Mapping[str, Any]
) -> tuple[tuple[str, float, float], ...]:
    """Of every kernel, in the order of the network's layers: path of the layer, |dL/dW|, |W|."""
    held, pulled = leaves_by_path(weights), leaves_by_path(slopes)
    order = {path: place for place, path in enumerate(paths(network))}
    kernels = [path for path in held if role(path) == "kernel"]
    kernels.sort(key=lambda path: order.get(path.rpartition("/")[0], len(order)))

    def norm(leaf: Any) -> float:
        return float(np.linalg.norm(np.ravel(leaf)))

    return tuple((p.rpartition("/")[0], norm(pulled[p]), norm(held[p])) for p in kernels)


def measure_gradient_norms(
    model: Model, sample: Sample, images: int = IMAGES, sides: bool = False
) -> list[Row]:
    """The gradient of the mean loss of some training images, by outputs and by kernels.

    The loss is that of the training step (`ablax.training.step.loss`); batch normalization uses the
    batch's own statistics. Without distortions and dropout, so that all variants and moments are
    measured by the same function. With `sides`, auxiliary classifiers (`ablax.layers.Auxiliary`)
    add their losses by the weight that the recipe gives them, and pull on the layers below them.

    The two tell different things. The gradient by the outputs is what travels down: it fades or
    grows by one factor per layer. The gradient by a kernel is that times the layer's input; where
    activations shrink on their way up as the gradient does on its way down, the gradients of all
    kernels are equally large, and all too small.

    One row per outer layer, `of` "output": `layer`; `place` from 1; `gradient`, the root mean
    square over the images of |dl/dy|, the norm of the gradient of an image's own loss. One row per
    kernel, `of` "kernel": `gradient` is |dL/dW| of the mean loss, and `sensitivity` is |W| |dL/dW|,
    to first order by how much the loss changes when the kernel changes by its own size. Auxiliary
    classifiers have no rows, so that places count the same in every variant.

    References:
        Glorot, Bengio 2010, Understanding the difficulty of training deep feedforward neural
        networks, where both are plotted.
    """
    recipe = sample.recipe
    recipe = recipe if sides else with_fields(recipe, {"train.auxiliary_weight": 0.0})
    batch = jnp.asarray(model.normalized(sample.train.images[:images]))
    labels = jnp.asarray(sample.train.labels[:images])
    network, variables = model.network, model.variables
    outputs, slopes = jax.device_get(training_gradients(network, recipe, variables, batch, labels))
    weights = jax.device_get(variables["params"])
    outer = _outer_layers(network)
    rows: list[Row] = []
    for place, layer in enumerate(outer, start=1):
        # of the mean loss over N images: N times it is that of an image's own loss
        size = float(np.linalg.norm(np.ravel(outputs[layer]))) * math.sqrt(len(outputs[layer]))
        rows.append({"of": "output", "layer": layer, "place": place, "gradient": size})
    out = {*network.tail, *network.body} - set(outer)
    kernels = (k for k in kernel_norms(network, weights, slopes) if k[0].split("/")[0] not in out)
    for place, (layer, norm, size) in enumerate(kernels, start=1):
        found = {"of": "kernel", "layer": layer, "place": place, "gradient": norm}
        rows.append({**found, "sensitivity": norm * size})
    return rows


def _outer_layers(network: Network) -> tuple[str, ...]:
    """The layers of tail and body, whole, without auxiliary classifiers."""
    trunk = network.tail + network.body
    return tuple(name for name, layer in trunk.items() if not isinstance(layer, Auxiliary))


@partial(jax.jit, static_argnums=(0, 1))
def training_gradients(
    network: Network,
    recipe: Recipe,
    variables: Mapping[str, Any],
    images: Float[Array, "N H W C"],
    labels: Int[Array, " N"],
) -> tuple[dict[str, Array], Any]:
    """The derivatives of the training loss of normalized images: dL/dy by layer, and dL/dW.

    The layers are those of tail and body, whole, that are no auxiliary classifiers.
    """
    objective = objective_of(network, recipe)
    seen = images.astype(objective.precision)
    outputs = output_shapes(network, seen, _outer_layers(network))

    def total(params: Any) -> Float[Array, ""]:
        return loss(objective, params, variables["batch_stats"], seen, labels)[0]

    return gradients(total, variables["params"], outputs)


def decades(rows: tuple[Row, ...], moment: Pick = min) -> float:
    """What is left of the gradient when it reaches the first layers, in powers of ten.

    log10(a / z) with a the `gradient` by the output of the first outer layer and z by that of the
    last: below 0 it vanishes on its way down, above 0 it explodes. The moment is `min` for the
    start, `max` for the end.

    Example:
        >>> rows = tuple(
        ...     {"of": "output", "step": 0, "place": p, "gradient": 10.0**p} for p in (1, 2, 6)
        ... )
        >>> decades(rows)
        -5.0
    """
    chosen = sorted(at_moment(matching(rows, of="output"), moment), key=lambda row: row["place"])
    first, last = chosen[0]["gradient"], chosen[-1]["gradient"]
    if not (0 < first < math.inf and 0 < last < math.inf):
        return math.nan
    return math.log10(first / last)


def sensitivity(rows: tuple[Row, ...]) -> float:
    """log10 of the median `sensitivity` of all kernels before training.

    Example:
        >>> kernel = {"of": "kernel", "step": 0, "sensitivity": 100.0}
        >>> sensitivity((kernel, {"of": "output", "step": 0}))
        2.0
    """
    start = at_moment(matching(rows, of="kernel"), min)
    middle = float(np.median([row["sensitivity"] for row in start]))
    return math.log10(middle) if 0 < middle < math.inf else math.nan


def gradient_norms(panels: Panels) -> Measurement:
    """The gradient by layer before, during and after training.

    The picture of the start has a panel for each title and its groups of variants: those of a
    group share a color and differ in their line.
    """
    return Measurement(
        name=NAME,
        measure=measure_gradient_norms,
        section=Section(
            title="The gradient by layer",
            text="The gradient of the loss of 128 training images, without distortions and "
            "dropout, batch normalization as in training: by the output of each block, which is "
            "what travels down, and by each kernel, which is that times the layer's input.",
            pictures=(
                Picture(
                    "gradient_at_start",
                    "Gradient by layer before training",
                    "Gradient of the loss by the output of each block and by each kernel, before "
                    "training, against the place of block and layer; a line for each variant, "
                    "logarithmic.",
                    partial(start_figure, groups=panels),
                ),
                Picture(
                    "gradient_in_training",
                    "Gradient by layer during training",
                    "Gradient of the loss by the output of each block at several epochs, a panel "
                    "for each variant, logarithmic.",
                    training_figure,
                ),
            ),
            tables=(decades_table,),
        ),
        moments=("start", "training", "end"),
        quantities={
            "gradient_at_start": Quantity(
                "gradient at the first block over that at the last, before training, log10",
                decades,
                "decades",
                margin=_TWICE,
                trained=False,
            ),
            "gradient_at_end": Quantity(
                "gradient at the first block over that at the last, after training, log10",
                partial(decades, moment=max),
                "decades",
                margin=_TWICE,
            ),
            "sensitivity_at_start": Quantity(
                "|W| |dL/dW| before training, log10",
                sensitivity,
                "decades",
                margin=_TWICE,
                trained=False,
            ),
        },
    )


def training_gradient_norms(panels: Panels) -> Measurement:
    """`gradient_norms` of the training loss: with the losses of the auxiliary classifiers."""
    alone, measure = gradient_norms(panels), partial(measure_gradient_norms, sides=True)
    text = (
        f"{alone.section.text} The loss is that of the training: auxiliary classifiers add theirs, "
        "times their weight."
    )
    section = dataclasses.replace(alone.section, text=text)
    return dataclasses.replace(alone, measure=measure, section=section)
