"""Receptive fields of a network of ours: computed, published, as tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ablax.analysis.features import evenly
from ablax.analysis.receptive_field import (
    EffectiveReceptiveField,
    Measure,
    ReceptiveField,
    Span,
    effective_receptive_field,
    receptive_fields,
)
from ablax.core import ImageShape, Network, abstract_variables, features, refuse_unknown
from ablax.errors import AblaxError
from ablax.report.figures import COLORS, bare, legend, panels, set_caption, settings
from ablax.report.tables import Cell, Form, Table, render
from ablax.zoo import find

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def network_receptive_fields(
    network: Network, image_shape: ImageShape, depth: int | None = None
) -> dict[str, ReceptiveField]:
    """What the units of each layer see of an image, by the layer's path; nothing is computed.

    Paths of more than `depth` names are left out: 1 gives the paper's layers alone.

    Raises:
        LayerError: The network does not fit images of this shape.

    Example:
        >>> from ablax.zoo import lenet5
        >>> found = network_receptive_fields(lenet5(), (32, 32, 1), depth=1)
        >>> {layer: each.size for layer, each in found.items()}["s4"]
        (16, 16)
    """
    variables = abstract_variables(network, image_shape)
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    rows = receptive_fields(network.apply, variables, images)
    # the first name is the network's own
    return {
        "/".join(row.layer[1:]): row
        for row in rows
        if len(row.layer) > 1 and (depth is None or len(row.layer) <= depth + 1)
    }


def layers_named(
    fields: Mapping[str, ReceptiveField], names: Sequence[str]
) -> dict[str, ReceptiveField]:
    """The receptive fields of some layers.

    Raises:
        AblaxError: There is no such layer; the message names the nearest.
    """
    refuse_unknown(names, fields)
    return {name: fields[name] for name in names}


def maps(fields: Mapping[str, ReceptiveField]) -> dict[str, ReceptiveField]:
    """The layers that give maps with a stride of their own; vectors have none."""
    return {
        k: each for k, each in fields.items() if len(each.shape) == 4 and None not in each.stride
    }


def spread_over_depth(fields: Mapping[str, ReceptiveField], count: int) -> list[str]:
    """Some layers that give maps, evenly from the first to the last, no size twice."""
    sizes: dict[tuple[int, ...], str] = {}
    for path, each in maps(fields).items():
        if min(each.size) > 1:
            sizes.setdefault(each.size, path)
    paths = list(sizes.values())
    return [paths[place] for place in evenly(len(paths), count)]


def network_effective_field(
    network: Network,
    variables: Mapping[str, Any],
    images: Float[Array, "N H W C"],
    layer: str,
    *,
    seed: int = 0,
    measure: Measure = "absolute",
) -> EffectiveReceptiveField:
    """How much each pixel moves the unit in the middle of a layer's map.

    Weights and statistics may be trained or not. The seed is that of the directions in which the
    unit's features are added up.

    Raises:
        AblaxError: There is no such layer, or it does not give maps.
    """

    def fn(images: Array) -> Array:
        return features(network, variables, images, at=[layer])[layer]

    try:
        return effective_receptive_field(fn, images, seed=seed, measure=measure)
    except ValueError as error:
        raise AblaxError(f"the effective receptive field of {layer}: {error}") from error


ARAUJO = "Araujo et al. 2019"
HAND = "by hand"


@dataclass(frozen=True)
class PublishedField:
    """The theoretical receptive field of a layer of the zoo, a square, in pixels; and who says so.

    By hand, it was walked back through the paper's table.
    """

    network: str
    layer: str
    size: int
    stride: int
    source: str


PUBLISHED_FIELDS = (
    PublishedField("alexnet", "conv1", 11, 4, HAND),
    PublishedField("alexnet", "conv2", 51, 8, HAND),
    PublishedField("alexnet", "conv3", 99, 16, HAND),
    PublishedField("alexnet", "conv4", 131, 16, HAND),
    PublishedField("alexnet", "conv5", 163, 16, HAND),
    PublishedField("alexnet", "pool5", 195, 32, ARAUJO),
    PublishedField("vgg_a", "pool5", 150, 32, HAND),
    PublishedField("vgg_d", "conv5_3", 196, 16, HAND),
    PublishedField("vgg_d", "pool5", 212, 32, ARAUJO),
    PublishedField("vgg_e", "pool5", 268, 32, HAND),
    PublishedField("mobilenet_v1", "conv14_pw", 315, 32, ARAUJO),
    PublishedField("resnet18", "res5b", 435, 32, HAND),
    PublishedField("resnet34", "res5c", 899, 32, HAND),
    PublishedField("resnet50", "res5c", 427, 32, HAND),
    PublishedField("resnet50_v1", "res5c", 483, 32, ARAUJO),
    PublishedField("resnet101_v1", "res5c", 1027, 32, ARAUJO),
    PublishedField("resnet152_v1", "res5c", 1507, 32, ARAUJO),
    PublishedField("inception_v2", "inception_5b", 699, 32, ARAUJO),
    PublishedField("inception_v3", "mixed_7c", 1311, 32, ARAUJO),
    PublishedField("inception_v4", "inception_c3", 2071, 32, ARAUJO),
    PublishedField("inception_resnet_v2", "conv_7b", 3039, 32, ARAUJO),
)
"""Those of Araujo et al. are of the networks of TF-Slim."""


def published_table(form: Form) -> str:
    """Every published field beside ours, in one of the forms of a table."""
    fields = {
        name: network_receptive_fields(find(name).build(), find(name).image_shape, depth=1)
        for name in dict.fromkeys(each.network for each in PUBLISHED_FIELDS)
    }
    rows = []
    for each in PUBLISHED_FIELDS:
        ours = fields[each.network][each.layer]
        same = set(ours.size) == {each.size} and set(ours.stride) == {each.stride}
        rows.append(
            (
                *(each.network, each.layer, each.size, each.stride, each.source),
                *(ours.size[0], str(ours.stride[0]), "yes" if same else "no"),
            )
        )
    columns = ("network", "layer", "size", "stride", "source", "our size", "our stride", "equal")
    return render(Table("Theoretical receptive fields", columns, tuple(rows)), form)


def field_table(title: str, fields: Mapping[str, ReceptiveField]) -> Table:
    """One row per layer, by its path."""
    rows = []
    for layer, each in fields.items():
        shape = "x".join(map(str, each.shape[1:])) or "1"
        size = ("≤ " if each.bounded else "") + _sides(each.size)
        stride = "" if None in each.stride else _sides(each.stride)
        rows.append((layer, shape, size, stride, _sides(each.offset), f"{100 * each.share:.3g}"))
    columns = ("layer", "output", "size", "stride", "offset", "of the image, %")
    foot = [
        "Size: pixels that a unit depends on, as if the image had no end. Stride: pixels from a "
        "unit to the next. Offset: the center of the first unit; the first pixel is 0. Of the "
        "image: what the unit that sees most really sees, within the border."
    ]
    if any(each.bounded for each in fields.values()):
        foot += [
            "At most (≤): the units lie in no regular grid, or it is not known what they read."
        ]
    return Table(title, columns, tuple(rows), tuple(foot))


def _sides(sides: tuple[int | float | Fraction | None, ...]) -> str:
    """One number for a square, or height x width."""
    written = [str(side) if isinstance(side, Fraction) else f"{side:g}" for side in sides]
    return written[0] if len(set(written)) == 1 else " x ".join(written)


THEORY, GAUSSIAN = COLORS[1], COLORS[2]


@dataclass(frozen=True)
class Sighted:
    """One layer: what its middle unit may see, and what moves it."""

    layer: str
    theory: ReceptiveField
    effective: EffectiveReceptiveField

    @property
    def square(self) -> tuple[Span, ...]:
        """Rows and columns that the unit may see in an image without end."""
        return self.theory.theoretical(0, *self.effective.unit, 0)

    @property
    def side(self) -> float:
        """The side of the square of as many pixels as the theoretical receptive field."""
        return _side(self.square)

    @property
    def inside(self) -> float:
        """The same of the part of it that lies in the image."""
        return _side(self.theory.of(0, *self.effective.unit, 0))


def _side(spans: Sequence[Span]) -> float:
    return float(np.sqrt(np.prod([last - first + 1 for first, last in spans])))


def effective_table(sighted: Sequence[Sighted], title: str) -> Table:
    """Theory and measurement of each layer, and their ratio."""
    columns = (
        *("layer", "theoretical", "in the image", "effective", "ratio", "sigma down"),
        *("sigma right", "4 sigma / theoretical", "explained"),
    )
    rows: list[tuple[Cell, ...]] = []
    for each in sighted:
        size, fit = each.effective.size, each.effective.fit
        width = float(np.mean(fit.width))
        cells = (
            *(each.side, each.inside, size, size / each.side, *fit.sigma),
            *(width / each.side, fit.explained),
        )
        rows.append((each.layer, *(round(float(cell), 2) for cell in cells)))
    foot = (
        "Sides of squares, in pixels, for the unit in the middle of the map. In the image: the "
        "part of the theoretical field that lies in it; where the image is smaller, the ratio says "
        "more of the image than of the network. Effective: of as many pixels as move the unit by "
        "more than 4.55 % of the pixel that moves it most (Luo, Li, Urtasun, Zemel 2016).",
        "Ratio: effective to theoretical. Sigma: of the Gaussian nearest by least squares, which "
        "explains that part of the heat map's variance.",
    )
    return Table(f"Effective receptive fields: {title}", columns, tuple(rows), foot)


@settings()
def effective_figure(sighted: Sequence[Sighted], title: str, measure: Measure) -> Figure:
    """One column per layer: the heat map, and below it its sum over rows beside the Gaussian."""
    count = len(sighted)
    width = max(3.6 * count, 7.2)
    figure, drawn = panels(2 * count, count, (width, 3.6), grid=None, height_ratios=(1.25, 1))
    for each, above, below in zip(sighted, drawn, drawn[count:], strict=False):
        _draw_heat(above, each)
        _draw_profile(below, each)
    drawn[count].set_ylabel("gradient magnitude,\nrelative to the maximum")
    legend(figure, drawn[count], 3, "outside upper right", fontsize=14)
    return set_caption(
        figure,
        f"{title}. Above: mean {measure} gradient of the unit in the middle by each pixel, "
        "drawn as its square root; square: theoretical receptive field; ellipse: two sigma of "
        "the Gaussian. Below: the same along the columns, the rows added up.",
    )


def _draw_heat(axes: Axes, each: Sighted) -> None:
    from matplotlib.patches import Ellipse, Rectangle

    heat = each.effective.heat
    axes.imshow(np.sqrt(heat / heat.max()), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    (top, bottom), (left, right) = each.square
    corner, sides = (left - 0.5, top - 0.5), (right - left + 1, bottom - top + 1)
    axes.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=THEORY, lw=2.5))
    fit = each.effective.fit
    middle, size = fit.center[::-1], fit.width[::-1]
    axes.add_patch(Ellipse(middle, *size, fill=False, edgecolor=GAUSSIAN, lw=2.5, ls="--"))
    axes.set(xlim=(-0.5, heat.shape[1] - 0.5), ylim=(heat.shape[0] - 0.5, -0.5))
    bare(axes)
    cut = "" if each.inside == each.side else f" ({each.inside:.0f} in the image)"
    effective = each.effective.size
    axes.set_title(
        f"{each.layer}\ntheory {each.side:.0f}{cut}\n"
        f"effective {effective:.0f}, ratio {effective / each.side:.2f}",
        fontsize=13,
    )


def _draw_profile(axes: Axes, each: Sighted) -> None:
    heat, fit = each.effective.heat, each.effective.fit
    sums = heat.sum(axis=0)
    largest = sums.max()
    fine = np.linspace(-0.5, len(sums) - 0.5, 400)
    rows = np.exp(-(((np.arange(heat.shape[0]) - fit.center[0]) / fit.sigma[0]) ** 2) / 2)
    gaussian = fit.height * rows.sum() * np.exp(-(((fine - fit.center[1]) / fit.sigma[1]) ** 2) / 2)
    left, right = each.square[1]
    axes.axvspan(left - 0.5, right + 0.5, color=THEORY, alpha=0.12, lw=0, label="theory")
    # one step per pixel: a field of three pixels is no triangle
    edges = np.arange(len(sums) + 1) - 0.5
    axes.stairs(sums / largest, edges, color="#444444", lw=1.2, label="gradients")
    axes.plot(fine, gaussian / largest, color=GAUSSIAN, lw=2.2, ls="--", label="Gaussian")
    axes.set(xlim=(-0.5, len(sums) - 0.5), ylim=(0, 1.3), xlabel="column, pixels")
    axes.set_yticks([0, 0.5, 1])
    axes.grid()
