"""The gradient that reaches each layer, at initialization and in training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from ablax.core import Layers, Network, gradients, inner_layers, leaves_by_path, paths
from ablax.errors import AblaxError
from ablax.layers import Auxiliary
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report.figures import (
    COLORS,
    WIDTH,
    blank,
    logarithmic,
    settings,
    where,
    wrapped,
    write_caption,
)
from ablax.report.statistics import deviation, mean
from ablax.report.study import Picture, Quantity, Row, Section, Study
from ablax.report.tables import Column, Table, number, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# ------------------------------------------------------------------------------------------
# The gradient by layer as pictures: at initialization, and as training goes on.

NAME = "gradient_norms"
PANEL = 4
"""Panels in a row of the second picture."""

Groups = Sequence[Sequence[str]]
Panels = Mapping[str, Groups]


def start_figure(study: Study, panels: Panels) -> Figure:
    """Before training: the gradient by the outputs, and by the kernels, against the place."""
    with settings():
        present = {title: _present(study, groups) for title, groups in panels.items()}
        # a panel of one group compares nothing that the others do not
        shown = {title: groups for title, groups in present.items() if len(groups) > 1} or present
        figure = blank(WIDTH + 2, 10.5)
        axes = figure.subplots(2, max(1, len(shown)), sharey="row", squeeze=False)
        for column, (title, groups) in enumerate(shown.items()):
            for row, of in enumerate(("output", "kernel")):
                _draw_groups(axes[row, column], study, groups, of)
            axes[0, column].set_title(title)
            axes[0, column].set_xlabel("block, counted from the images")
            axes[1, column].set_xlabel("layer with weights, counted from the images")
            axes[0, column].legend(
                loc="lower left", bbox_to_anchor=(0, 1.1), ncols=2, fontsize=11, frameon=False
            )
        axes[0, 0].set_ylabel("by the block's output: |dl/dy|")
        axes[1, 0].set_ylabel("by the kernel: |dL/dW|")
        for row in axes:
            logarithmic(row[0], "y")
        write_caption(
            figure,
            "Gradient before training, logarithmic. Above: root mean square over images of the "
            "norm of the gradient of an image's loss by the output of each outer layer; a line "
            "that falls to the left vanishes, one that rises to the left explodes. Below: norm of "
            "the mean loss's gradient by each kernel. Lines: geometric mean over seeds; bands: "
            f"lowest to highest. {where(study)}",
        )
        return figure


def _present(study: Study, groups: Groups) -> list[list[str]]:
    """The groups without the variants that were not measured, and without empty ones."""
    kept = [[name for name in group if study.rows(NAME, variant=name)] for group in groups]
    return [group for group in kept if group]


def _draw_groups(axes: Axes, study: Study, groups: list[list[str]], of: str) -> None:
    for color, group in enumerate(groups):
        for line, name in enumerate(group):
            style: dict[str, object] = {
                "color": COLORS[color % len(COLORS)],
                "linestyle": ("-", "--", ":")[line % 3],
                "marker": "o^s"[line % 3],
            }
            rows = study.rows(NAME, variant=name, of=of, step=0)
            _draw_line(axes, rows, wrapped(study.variant(name).label, 34), style)
    _whole_places(axes)
    axes.set_yscale("log")
    axes.grid(color="#E4E4E4")


def training_figure(study: Study) -> Figure:
    """The same at every moment it was measured, one panel per variant: from blue to orange."""
    with settings():
        names = [v for v in study.variants if study.rows(NAME, variant=v.name)]
        down = max(1, math.ceil(len(names) / PANEL))
        figure = blank(WIDTH + 2, 1.6 + 2.9 * down)
        panels = np.ravel(figure.subplots(down, PANEL, sharey=True, squeeze=False))
        for panel in panels[len(names) :]:
            panel.set_axis_off()
        for at, variant in enumerate(names):
            _draw_moments(panels[at], study, variant.name)
            panels[at].set_title(wrapped(variant.label, 24), fontsize=12)
            if at % PANEL == 0:
                panels[at].set_ylabel("|dl/dy|")
            if at + PANEL >= len(names):
                panels[at].set_xlabel("block")
        if names:
            logarithmic(panels[0], "y")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False)
        write_caption(
            figure,
            "Root mean square over images of the norm of the loss's gradient by the output of each "
            "block, counted from the images, at the moments of the legend; geometric mean over "
            f"seeds. No line: the gradient is 0 or not finite. {where(study)}",
        )
        return figure


def _draw_moments(axes: Axes, study: Study, variant: str) -> None:
    rows = study.rows(NAME, variant=variant, of="output")
    epochs = sorted({row["epoch"] for row in rows})
    for at, epoch in enumerate(epochs):
        own = [row for row in rows if row["epoch"] == epoch]
        shade = at / max(1, len(epochs) - 1)
        style: dict[str, object] = {
            "color": _between(COLORS[1], COLORS[5], shade),
            "linestyle": "-",
            "marker": "",
        }
        _draw_line(axes, own, "start" if epoch == 0 else f"epoch {epoch:g}", style, band=False)
    _whole_places(axes)
    axes.set_yscale("log")
    axes.grid(color="#E4E4E4")


def _whole_places(axes: Axes) -> None:
    """Ticks at whole numbers: there is no half of a layer."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _between(first: str, second: str, share: float) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    pairs = zip(to_rgb(first), to_rgb(second), strict=True)
    return tuple((1 - share) * a + share * b for a, b in pairs)


def _draw_line(
    axes: Axes, rows: Sequence[Row], label: str, style: dict[str, object], band: bool = True
) -> None:
    """The geometric mean over seeds of the gradient, and its range."""
    places = sorted({int(row["place"]) for row in rows})
    values = [
        [
            row["gradient"]
            for row in rows
            if row["place"] == place and 0 < row["gradient"] < math.inf
        ]
        for place in places
    ]
    kept = [(place, found) for place, found in zip(places, values, strict=True) if found]
    if not kept:
        return
    at = [place for place, _ in kept]
    middle = [float(np.exp(np.mean(np.log(found)))) for _, found in kept]
    every = max(1, len(at) // 6)
    axes.plot(at, middle, lw=2, ms=6, markevery=every, label=label, **style)  # type: ignore[arg-type]
    if band:
        low, high = [min(found) for _, found in kept], [max(found) for _, found in kept]
        axes.fill_between(at, low, high, color=str(style["color"]), alpha=0.12, lw=0)


def decades_table(study: Study) -> Table:
    """A row a measured variant: how the gradient changes from the last layers to the first."""
    rows = []
    for variant in study.variants:
        if not study.rows(NAME, variant=variant.name):
            continue
        cells = [variant.label]
        for quantity in ("gradient_at_start", "gradient_at_end", "sensitivity_at_start"):
            found = list(study.values(f"{variant.name}:{quantity}").values())
            spread = f" ± {number(deviation(found))}" if len(found) > 1 else ""
            cells.append(signed(mean(found)) + spread if found else number(math.nan))
        rows.append(tuple(cells))
    return Table(
        title="Does the gradient reach the first layers?",
        columns=(
            Column("Variant", "left"),
            Column("First over last block, before training, log10"),
            Column("The same after training"),
            Column("|W| |dL/dW| before training, log10"),
        ),
        rows=tuple(rows),
        notes=(
            "First two columns: norm of the loss's gradient by the output of the first block over "
            "that by the output of the last, in powers of ten: below 0 it vanishes on its way "
            "down, above 0 it explodes. Last column: median over all kernels; to first order, by "
            "how much the loss changes when a kernel changes by its own size. Mean ± standard "
            "deviation over seeds; a dash where it is 0 or not finite.",
        ),
    )


def section(panels: Panels) -> Section:
    """Both pictures and the table; `panels` as for `gradient_norms`."""
    return Section(
        title="The gradient by layer",
        text="The gradient of the loss of 128 training images, without distortions and dropout, "
        "batch normalization as in training: by the output of each block, which is what travels "
        "down, and by each kernel, which is that times the layer's input.",
        pictures=(
            Picture(
                "gradient_at_start",
                "Gradient by layer before training",
                "Gradient of the loss by the output of each block and by each kernel, before "
                "training, against the place of block and layer; a line for each variant, "
                "logarithmic.",
                partial(start_figure, panels=panels),
            ),
            Picture(
                "gradient_in_training",
                "Gradient by layer during training",
                "Gradient of the loss by the output of each block at several epochs, a panel for "
                "each variant, logarithmic.",
                training_figure,
            ),
        ),
        tables=(decades_table,),
    )


# ------------------------------------------------------------------------------------------
# The gradient by layer: does it vanish, does it explode, and when?

IMAGES = 128
"""Training images of the loss."""


def kernel_norms(
    network: Network, weights: Mapping[str, Any], slopes: Mapping[str, Any]
) -> tuple[tuple[str, float, float], ...]:
    """Of every kernel, in the order of the layers: its layer, the norm of its gradient, its own.

    Args:
        network: Gives the order.
        weights: The parameters.
        slopes: The gradient of a loss by them.

    Returns:
        Path of the layer, |dL/dW|, |W|; kernels are parameters of two axes and more.
    """
    held, pulled = leaves_by_path(weights), leaves_by_path(slopes)
    order = {path: place for place, path in enumerate(paths(network))}
    kernels = [path for path, leaf in held.items() if np.ndim(leaf) > 1]
    kernels.sort(key=lambda path: order.get(path.rpartition("/")[0], len(order)))
    return tuple(
        (
            path.rpartition("/")[0],
            float(np.linalg.norm(np.ravel(pulled[path]))),
            float(np.linalg.norm(np.ravel(held[path]))),
        )
        for path in kernels
    )


def measure_gradient_norms(model: Model, sample: Sample, images: int = IMAGES) -> list[Row]:
    """The gradient of the mean loss of some training images, by outputs and by kernels.

    As in a training step: batch normalization uses the batch's own statistics. Without distortions
    and dropout, so that all variants and moments are measured by the same function.

    The two tell different things. The gradient by the outputs is what travels down: it fades or
    grows by one factor per layer. The gradient by a kernel is that times the layer's input; where
    activations shrink on their way up as the gradient does on its way down, the gradients of all
    kernels are equally large, and all too small.

    Args:
        model: The network at one moment.
        sample: Its training images.
        images: How many training images.

    Returns:
        One row per outer layer, `of` "output": `layer`; `place` from 1; `gradient`, the root mean
        square over the images of |dl/dy|, the norm of the gradient of an image's own loss. One row
        per kernel, `of` "kernel": `gradient` is |dL/dW| of the mean loss, and `sensitivity` is
        |W| |dL/dW|, to first order by how much the loss changes when the kernel changes by its own
        size.

    References:
        Glorot, Bengio 2010, Understanding the difficulty of training deep feedforward neural
        networks, where both are plotted.
    """
    batch = jnp.asarray(model.normalized(sample.train.images[:images]))
    labels = jnp.asarray(sample.train.labels[:images])
    found = jax.device_get(_gradients(model.network, model.variables, batch, labels))
    outputs, slopes = found
    weights = jax.device_get(model.variables["params"])
    kernels = kernel_norms(model.network, weights, slopes)
    places = enumerate(_outer_layers(model.network), start=1)
    return [output_row(place, layer, outputs[layer]) for place, layer in places] + [
        kernel_row(place, layer, norm, size)
        for place, (layer, norm, size) in enumerate(kernels, start=1)
    ]


def output_row(place: int, layer: str, gradient: Float[np.ndarray, "N *rest"]) -> Row:
    """The row of one layer's output: root mean square over images of their own losses' gradients.

    Args:
        place: Of the layer, from 1.
        layer: Its name.
        gradient: Of the mean loss over N images; N times it is that of an image's own loss.
    """
    size = math.sqrt(len(gradient)) * float(np.linalg.norm(np.ravel(gradient)))
    return {"of": "output", "layer": layer, "place": place, "gradient": size}


def kernel_row(place: int, layer: str, gradient: float, size: float) -> Row:
    """The row of one kernel: |dL/dW|, and its `sensitivity` |W| |dL/dW|.

    Args:
        place: Of the kernel, from 1.
        layer: Path of the layer that holds it.
        gradient: |dL/dW|.
        size: |W|.
    """
    found = {"of": "kernel", "layer": layer, "place": place}
    return {**found, "gradient": gradient, "sensitivity": gradient * size}


def _outer_layers(network: Network) -> tuple[str, ...]:
    """The layers of tail and body, whole: blocks, not what is in them."""
    return (*network.tail, *network.body)


@partial(jax.jit, static_argnums=0)
def _gradients(
    network: Network,
    variables: Mapping[str, Any],
    images: Float[Array, "N H W C"],
    labels: Int[Array, " N"],
) -> tuple[dict[str, Array], Any]:
    """Of the mean loss: by the outputs of the outer layers, and by the parameters."""

    def loss_of(scores: Float[Array, "N classes"]) -> Float[Array, ""]:
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    return gradients(network, variables, images, loss_of, _outer_layers(network))


def decades(rows: tuple[Row, ...], moment: Callable[[list[float]], float] = min) -> float:
    """What is left of the gradient when it reaches the first layers, in powers of ten.

    log10(a / z) with a the `gradient` by the output of the first outer layer and z by that of the
    last: below 0 it vanishes on its way down, above 0 it explodes.

    Args:
        rows: Of one run.
        moment: Picks a step among all steps: `min` the start, `max` the end.

    Example:
        >>> rows = tuple(
        ...     {"of": "output", "step": 0, "place": p, "gradient": 10.0**p} for p in (1, 2, 6)
        ... )
        >>> decades(rows)
        -5.0
    """
    own = [row for row in rows if row["of"] == "output"]
    step = moment([row["step"] for row in own])
    chosen = sorted((row for row in own if row["step"] == step), key=lambda row: row["place"])
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
    own = [row for row in rows if row["of"] == "kernel"]
    start = min(row["step"] for row in own)
    middle = float(np.median([row["sensitivity"] for row in own if row["step"] == start]))
    return math.log10(middle) if 0 < middle < math.inf else math.nan


def gradient_norms(panels: Panels) -> Measurement:
    """The gradient by layer before, during and after training.

    Args:
        panels: Title to groups of variants, for the picture of the start: a panel for each title;
            the variants of a group share a color and differ in their line.
    """
    return Measurement(
        name=NAME,
        measure=measure_gradient_norms,
        section=section(panels),
        moments=("start", "training", "end"),
        quantities={
            "gradient_at_start": Quantity(
                "gradient at the first block over that at the last, before training, log10",
                decades,
                "decades",
            ),
            "gradient_at_end": Quantity(
                "gradient at the first block over that at the last, after training, log10",
                partial(decades, moment=max),
                "decades",
            ),
            "sensitivity_at_start": Quantity(
                "|W| |dL/dW| before training, log10", sensitivity, "decades"
            ),
        },
    )


# ------------------------------------------------------------------------------------------
# The gradient of the whole training loss by layer, that of auxiliary classifiers included.
#
# An auxiliary classifier (`ablax.layers.Auxiliary`) on an inner layer ends a shorter network: the
# layers up to there, then the auxiliary head. So the gradient of the training loss
#
#     L = L(scores) + weight (L(auxiliary scores 1) + L(auxiliary scores 2) + ...)
#
# is the sum of the gradients of the whole network and of these shorter ones. `gradient_norms` alone
# takes that of L(scores), which auxiliary classifiers do not change before training.

Outputs = dict[str, Array]
Slopes = dict[str, Any]
Loss = Callable[[Float[Array, "N classes"]], Float[Array, ""]]


def training_gradients(
    network: Network,
    variables: Mapping[str, Any],
    images: Float[Array, "N H W C"],
    loss: Loss,
    weight: float | Float[Array, ""],
) -> tuple[Outputs, Slopes]:
    """The derivatives of the training loss by the outputs of the outer layers and by parameters.

    Args:
        network: Its auxiliary classifiers, if any, stand among the layers of tail and body.
        variables: `params`, and `batch_stats` where there are any.
        images: What to show it.
        loss: From the scores of the network, or of an auxiliary classifier, to one number.
        weight: Of the loss of each auxiliary classifier.

    Returns:
        dL/dy by the name of each layer of tail and body that is no auxiliary classifier; dL/dW as
        the parameters lie.

    Raises:
        AblaxError: An auxiliary classifier inside a chain or a block.
    """
    _refuse_inner(network.layers)
    outputs, slopes = gradients(network, variables, images, loss, outer_layers(network))
    for name, shorter in auxiliary_networks(network).items():
        head = tuple(shorter.head)
        own = _of_side(variables, name)
        more, pulled = gradients(shorter, own, images, loss, outer_layers(shorter))
        for layer, gradient in more.items():
            outputs[layer] = outputs[layer] + weight * gradient
        slopes = _added(slopes, name, head, pulled, weight)
    return outputs, slopes


def auxiliary_networks(network: Network) -> dict[str, Network]:
    """By the name of each auxiliary classifier, the network that ends in it.

    Example:
        >>> from ablax.core import insert_after
        >>> from ablax.zoo import heads, lenet5
        >>> side = Auxiliary(heads.global_average_pool(10))
        >>> shorter = auxiliary_networks(insert_after("c1", side=side)(lenet5()))
        >>> [list(found.layers) for found in shorter.values()]
        [['c1', 'average', 'classifier']]
    """
    trunk = network.tail + network.body
    names = list(trunk)
    found = {}
    for at, name in enumerate(names):
        layer = trunk[name]
        if isinstance(layer, Auxiliary):
            below = {n: trunk[n] for n in names[:at] if not isinstance(trunk[n], Auxiliary)}
            found[name] = Network(Layers(below), Layers(), layer.head)
    return found


def outer_layers(network: Network) -> tuple[str, ...]:
    """The layers of tail and body, whole, without auxiliary classifiers."""
    trunk = network.tail + network.body
    return tuple(name for name in trunk if not isinstance(trunk[name], Auxiliary))


def _refuse_inner(layers: Layers, depth: int = 0) -> None:
    for name, layer in layers.items():
        if depth and isinstance(layer, Auxiliary):
            raise AblaxError(
                f"the auxiliary classifier {name!r} stands inside another layer: put it behind "
                "that layer, in the tail or the body"
            )
        for inner in inner_layers(layer).values():
            _refuse_inner(inner, depth + 1)


def _of_side(variables: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The variables with those of an auxiliary head in the place of the network's head."""
    return {kind: {**tree, **tree.get(name, {})} for kind, tree in variables.items()}


def _added(
    slopes: Slopes,
    name: str,
    head: tuple[str, ...],
    pulled: Mapping[str, Any],
    weight: float | Float[Array, ""],
) -> Slopes:
    """The slopes of an auxiliary loss, times its weight, added where each parameter lies."""

    def add(total: Any, more: Any) -> Any:
        return jax.tree.map(lambda a, b: a + weight * b, total, more)

    trunk = {
        layer: add(tree, pulled[layer]) if layer in pulled and layer not in head else tree
        for layer, tree in slopes.items()
    }
    side = {layer: add(tree, pulled[layer]) for layer, tree in slopes.get(name, {}).items()}
    return {**trunk, **({name: side} if side else {})}


@partial(jax.jit, static_argnums=0)
def _auxiliary_gradients(
    network: Network,
    variables: Mapping[str, Any],
    images: Float[Array, "N H W C"],
    labels: Int[Array, " N"],
    weight: Float[Array, ""],
) -> tuple[Outputs, Slopes]:
    def mean_loss(scores: Float[Array, "N classes"]) -> Float[Array, ""]:
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    return training_gradients(network, variables, images, mean_loss, weight)


def measure_auxiliary_losses(model: Model, sample: Sample, images: int = IMAGES) -> list[Row]:
    """The gradient of the training loss of some images, by outputs and by kernels.

    The rows are those of `measure_gradient_norms`; layers and
    kernels of auxiliary classifiers have none, so that places count the same in every variant.

    Args:
        model: The network at one moment.
        sample: Its training images; the recipe has the weight of the auxiliary losses.
        images: How many training images.
    """
    batch = jnp.asarray(model.normalized(sample.train.images[:images]))
    labels = jnp.asarray(sample.train.labels[:images])
    weight = jnp.asarray(sample.recipe.train.auxiliary_weight)
    found = _auxiliary_gradients(model.network, model.variables, batch, labels, weight)
    outputs, slopes = jax.device_get(found)
    weights = jax.device_get(model.variables["params"])
    sides = auxiliary_networks(model.network)
    kernels = [
        kernel
        for kernel in kernel_norms(model.network, weights, slopes)
        if kernel[0].split("/")[0] not in sides
    ]
    return [
        output_row(place, layer, outputs[layer])
        for place, layer in enumerate(outer_layers(model.network), start=1)
    ] + [
        kernel_row(place, layer, norm, size)
        for place, (layer, norm, size) in enumerate(kernels, start=1)
    ]


def training_gradient_norms(panels: Panels) -> Measurement:
    """`gradient_norms` of the training loss: with the losses of the auxiliary classifiers.

    Args:
        panels: As for `gradient_norms`.
    """
    alone = gradient_norms(panels)
    text = (
        f"{alone.section.text} The loss is that of the training: auxiliary classifiers add theirs, "
        "times their weight."
    )
    return dataclasses.replace(
        alone,
        measure=measure_auxiliary_losses,
        section=dataclasses.replace(alone.section, text=text),
    )
