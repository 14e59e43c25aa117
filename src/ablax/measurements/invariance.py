"""How far features and scores move when the image is shifted, scaled, turned or dimmed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import jax
import numpy as np
from jaxtyping import Float, Float64, Int32, UInt8

from ablax.data.augment import resample
from ablax.data.images import Split
from ablax.errors import AblaxError, nearest
from ablax.losses import predictions
from ablax.measurements.measurement import Measurement, Sample
from ablax.model import Model
from ablax.report import figures as kit
from ablax.report.study import Picture, Quantity, Row, Section, Study, matching, percentage
from ablax.report.study_tables import seeds_text, variant_table
from ablax.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Transformations of raw images by a given amount: move, resize, turn, light.
#
# They are exact where they can be: an amount that changes nothing gives the images themselves bit
# for bit, a whole number of pixels or quarter turns moves levels without mixing them. Everything
# else is read linearly between the four nearest pixels. Unlike `ablax.data.augment`, nothing is
# random, and all images get the same amount.
#
# What enters from outside an image is, by default, the nearest pixel of its edge: black for digits
# and clothes, and no new contour in photographs. The alternative is black, as in the augmentation.
#
# Every function takes levels from 0 to 255 and refuses an amount that is
# not finite, a factor that is not above 0, and an unknown border.

Levels = UInt8[np.ndarray, "N H W C"] | Float[np.ndarray, "N H W C"]
"""Raw images, with levels from 0 to 255."""
Transformed = Float[np.ndarray, "N H W C"]
"""The same in float32, not rounded to whole levels."""
Border = Literal["edge", "black"]
"""What lies outside an image: the nearest pixel of its edge, or 0."""
WHITE = 255.0


def translate(
    images: Levels, down: float | int = 0, right: float | int = 0, border: Border = "edge"
) -> Transformed:
    """The images moved by pixels: `y(p) = x(p - (down, right))`; negative is up, and to the left.

    Example:
        >>> row = np.array([1.0, 2, 3], np.float32).reshape(1, 1, 3, 1)
        >>> translate(row, right=1)[0, 0, :, 0].tolist()
        [1.0, 1.0, 2.0]
        >>> translate(row, right=1, border="black")[0, 0, :, 0].tolist()
        [0.0, 1.0, 2.0]
    """
    _finite("down", down)
    _finite("right", right)
    y, x = _places(images)
    return _read(images, y - down, x - right, border)


def scale(images: Levels, factor: float | int, border: Border = "edge") -> Transformed:
    """The images made `factor` times larger about their center: `y(p) = x(p / factor)`.

    Positions p count from the center. Nothing is smoothed before an image is made smaller.
    """
    _factor("factor", factor)
    y, x = _places(images)
    return _read(images, y / factor, x / factor, border)


def rotate(images: Levels, degrees: float | int, border: Border = "edge") -> Transformed:
    """The images turned counter-clockwise about their center: `y(p) = x(R(-degrees) p)`.

    Quarter turns of square images move whole pixels, as `np.rot90` does.

    Example:
        >>> square = np.arange(4.0, dtype=np.float32).reshape(1, 2, 2, 1)
        >>> rotate(square, 90.0)[0, :, :, 0].tolist()
        [[1.0, 3.0], [0.0, 2.0]]
    """
    _finite("degrees", degrees)
    cosine, sine = _cosine_and_sine(degrees)
    y, x = _places(images)
    return _read(images, cosine * y + sine * x, cosine * x - sine * y, border)


def illuminate(images: Levels, gain: float | int = 1, offset: float | int = 0) -> Transformed:
    """Other light on the images: `y = gain x + offset`, clipped to levels from 0 to 255.

    The offset is in levels, and is added to the background too.

    Example:
        >>> levels = np.array([0.0, 100, 200], np.float32).reshape(1, 1, 3, 1)
        >>> illuminate(levels, gain=2.0)[0, 0, :, 0].tolist()
        [0.0, 200.0, 255.0]
    """
    _factor("gain", gain)
    _finite("offset", offset)
    return np.clip(gain * np.asarray(images, np.float32) + np.float32(offset), 0, WHITE)


def contrast(images: Levels, factor: float | int) -> Transformed:
    """More or less contrast: `y = m + factor (x - m)`, clipped to levels from 0 to 255.

    m is the mean level of the image, over all its pixels and channels.
    """
    _factor("factor", factor)
    levels = np.asarray(images, np.float32)
    mean = levels.mean(axis=(1, 2, 3), keepdims=True)
    # Written around the identity, so that a factor of 1 changes no bit.
    return np.clip(levels + np.float32(factor - 1) * (levels - mean), 0, WHITE)


def _cosine_and_sine(degrees: float | int) -> tuple[float, float]:
    """Exact at quarter turns."""
    quarters, rest = divmod(degrees, 90.0)
    cosine, sine = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarters) % 4):
        cosine, sine = -sine, cosine
    return cosine, sine


def _places(images: Levels) -> tuple[Float64[np.ndarray, "H 1"], Float64[np.ndarray, "1 W"]]:
    """Row and column of each pixel, from the center."""
    _, height, width, _ = images.shape
    y, x = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    return y[:, None], x[None, :]


def _read(
    images: Levels, y: Float64[np.ndarray, "#H #W"], x: Float64[np.ndarray, "#H #W"], border: str
) -> Transformed:
    """The images read at these places, counted from the center."""
    if border not in get_args(Border):
        raise AblaxError(f"border is {border!r}: {nearest(border, get_args(Border))}")
    count, height, width, _ = images.shape
    lowest, rightmost = (height - 1) / 2, (width - 1) / 2
    if border == "edge":
        y, x = np.clip(y, -lowest, lowest), np.clip(x, -rightmost, rightmost)
    own_y, own_x = _places(images)
    moved = np.broadcast_arrays(y - own_y, x - own_x)
    field = np.stack(moved, axis=-1).astype(np.float32)
    fields = np.broadcast_to(field, (count, height, width, 2))
    return np.asarray(_resample(np.asarray(images, np.float32), fields))


_resample = jax.jit(resample)


def _finite(name: str, value: float | int) -> None:
    if not math.isfinite(value):
        raise AblaxError(f"{name} is {value}, and a finite number is expected")


def _factor(name: str, value: float | int) -> None:
    if not (math.isfinite(value) and value > 0):
        raise AblaxError(
            f"{name} is {value}, and a finite factor above 0 is expected (1 changes nothing)"
        )


def distortions(recipe: Mapping[str, object], changes: Iterable[str] = ()) -> str:
    """Which of these transformations the training images got by lot, if any.

    The recipe is given field by dotted name, and what variants change in it in words
    (`Variant.changes`).

    Example:
        >>> distortions({"augment.rotate": 15.0, "augment.translate": 2.0})
        'Distorted training images are turned by up to 15 degrees and moved by up to 2 pixels.'
        >>> distortions({"augment.rotate": 15.0}, ["augment.rotate: 30.0"])
        'Distorted training images are turned by up to 15 degrees, where a variant changes nothing.'
    """
    words = {
        "augment.rotate": "turned by up to {:g} degrees",
        "augment.scale": "scaled by up to {:g} of their size",
        "augment.translate": "moved by up to {:g} pixels",
        "augment.crop_padding": "cut after padding by {:g} pixels",
    }
    said = [text.format(recipe[name]) for name, text in words.items() if recipe.get(name)]
    if not said:
        return ""
    listed = " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)
    changed = any(change.startswith("augment.") for change in changes)
    where = ", where a variant changes nothing" if changed else ""
    return f"Distorted training images are {listed}{where}."


def distortions_of(study: Study) -> str:
    """The same of a study, for captions."""
    changes = [change for variant in study.variants for change in variant.changes]
    return distortions(study.plan.recipe, changes)


@dataclass(frozen=True)
class Transformation:
    """One transformation and its amounts.

    Attributes:
        kind: What it changes; each kind has its picture.
        axis: What an amount is, with its unit.
        amounts: From the height of the images in pixels to all amounts, ascending, with the
            `identity` among them.
        small_words: Which amounts count as small, as the end of a sentence; `wide_words`: all.
        identity: The amount that changes nothing: 0, or 1 for factors.
        small: Share of the range that counts as small: of the largest amount, or of the logarithm
            of the largest factor.
        ticks: Amounts that an axis names; chosen by the picture where empty.
    """

    name: str
    kind: Literal["place", "light"]
    axis: str
    apply: Callable[[Levels, float], Transformed]
    amounts: Callable[[int], tuple[float, ...]]
    small_words: str
    wide_words: str
    identity: float = 0.0
    small: float = 0.5
    ticks: tuple[float, ...] = ()

    def position(self, amount: float) -> float:
        """How far an amount is from changing nothing: itself, or the logarithm of a factor."""
        return math.log(amount) if self.identity == 1 else amount

    def small_reach(self, amounts: Iterable[float]) -> float:
        """The largest position that counts as small among these amounts."""
        return self.small * max((abs(self.position(a)) for a in amounts), default=0.0)

    def mean(self, values: Mapping[float, float], small: bool = True) -> float:
        """Over all amounts but the identity, or over the small ones of them; nan for none.

        Example:
            >>> rotation = next(t for t in TRANSFORMATIONS if t.name == "rotation")
            >>> values = {-180.0: 8.0, -30.0: 3.0, 0.0: 9.0, 30.0: 1.0, 180.0: 8.0}
            >>> rotation.mean(values), rotation.mean(values, small=False)
            (2.0, 5.0)
        """
        # the factor is for rounding: log(1.4) is small by its own bound
        reach = self.small_reach(values) * (1 + 1e-9) if small else math.inf
        chosen = [
            v for a, v in values.items() if a != self.identity if abs(self.position(a)) <= reach
        ]
        return sum(chosen) / len(chosen) if chosen else math.nan


def values_of(
    rows: Iterable[Row], transformation: Transformation, measure: str, layer: str = ""
) -> dict[float, float]:
    """Amount to value, ascending, of one transformation, measure and layer, in the rows of one run.

    The layer is empty for `probability` and `error`.
    """
    own = matching(rows, transformation=transformation.name, measure=measure, layer=layer)
    return dict(sorted((float(row["amount"]), float(row["value"])) for row in own))


def _pixels(height: int) -> tuple[float, ...]:
    """Whole pixels, to a quarter of the height on either side, about 17 of them."""
    step = max(1, height // 32)
    reach = height // 4 // step
    return tuple(float(step * place) for place in range(-reach, reach + 1))


def _always(*amounts: float) -> Callable[[int], tuple[float, ...]]:
    return lambda _height: amounts


def _factor_of(
    light: str, name: str, apply: Callable[[Levels, float], Transformed]
) -> Transformation:
    """By half octaves to a factor of four either way."""
    return Transformation(
        name=name,
        kind="light",
        axis=f"{light} factor, clipped",
        apply=apply,
        amounts=_always(*(2.0 ** (power / 2) for power in range(-4, 5))),
        identity=1.0,
        small_words=f"when {light} is multiplied by 1/2 to 2",
        wide_words=f"when {light} is multiplied by 1/4 to 4",
        ticks=(0.25, 0.5, 1.0, 2.0, 4.0),
    )


TRANSFORMATIONS: tuple[Transformation, ...] = (
    Transformation(
        name="translation",
        kind="place",
        axis="shift down, pixels",
        apply=translate,
        amounts=_pixels,
        small_words="when shifted by up to an eighth of the height",
        wide_words="when shifted by up to a quarter of the height",
    ),
    Transformation(
        name="scale",
        kind="place",
        axis="scale factor",
        apply=scale,
        amounts=_always(1 / 1.8, 1 / 1.6, 1 / 1.4, 1 / 1.2, 1.0, 1.2, 1.4, 1.6, 1.8),
        identity=1.0,
        small=math.log(1.4) / math.log(1.8),
        small_words="when scaled by 1/1.4 to 1.4",
        wide_words="when scaled by 1/1.8 to 1.8",
        ticks=(1 / 1.8, 1 / 1.4, 1.0, 1.4, 1.8),
    ),
    Transformation(
        name="rotation",
        kind="place",
        axis="rotation counter-clockwise, degrees",
        apply=rotate,
        amounts=_always(*(15.0 * step for step in range(-12, 13))),
        small=1 / 6,
        small_words="when rotated by up to 30 degrees",
        wide_words="when rotated by up to 180 degrees",
        ticks=(-180.0, -90.0, 0.0, 90.0, 180.0),
    ),
    _factor_of("brightness", name="gain", apply=illuminate),
    Transformation(
        name="offset",
        kind="light",
        axis="brightness offset, levels of 255, clipped",
        apply=lambda images, amount: illuminate(images, offset=amount),
        amounts=_always(*(32.0 * step for step in range(-4, 5))),
        small_words="when brightness is offset by up to 64 levels",
        wide_words="when brightness is offset by up to 128 levels",
        ticks=(-128.0, -64.0, 0.0, 64.0, 128.0),
    ),
    _factor_of("contrast", name="contrast", apply=contrast),
)
"""Translation (down, as in the source), scale, rotation; gain, offset and contrast of the light."""


NAME = "invariance"
"""Of the measurement, and of its rows in a study."""

_LAYER_COLORS = (kit.COLORS[1], kit.COLORS[2], kit.COLORS[3], kit.COLORS[4], kit.COLORS[5])
_PANEL_COLORS = (kit.COLORS[0], kit.COLORS[4], kit.COLORS[6], kit.COLORS[7])


@kit.settings()
def curves_figure(
    study: Study,
    chosen: Sequence[Transformation],
    layers: Sequence[str],
    groups: Mapping[str, Sequence[str]],
) -> Figure:
    """A row a transformation: distances of the layers, panel by panel, then the probability.

    The groups are a panel's title and its variants: the first solid, the second dashed.
    """
    ran = {title: [n for n in names if n in study.names] for title, names in groups.items()}
    shown = {title: names for title, names in ran.items() if names}
    columns = len(shown) + 1
    figure, drawn = kit.panels(columns * len(chosen), columns, (13.0, 3.4), above=0.8, grid="y")
    for place, transformation in enumerate(chosen):
        row = drawn[place * columns : (place + 1) * columns]
        ends = [
            _draw_distances(axes, study, transformation, names, layers)
            for axes, names in zip(row, shown.values(), strict=False)
        ]
        for color, names in zip(_PANEL_COLORS, shown.values(), strict=False):
            for line, name in zip(kit.LINES, names, strict=False):
                found = curves(study, name, transformation, "probability", "")
                style = {"color": color, "linestyle": line}
                kit.draw_line(row[-1], found, study.variant(name).label, style)
        row[-1].set_ylim(0, 1.02)
        for axes in row:
            _name_amounts(axes, study, transformation)
        top = max((axes.get_ylim()[1] for axes in row[:-1]), default=1.0)
        for axes, named in zip(row, ends, strict=False):
            axes.set_ylim(0, top)
            kit.name_ends(axes, named)
        row[0].set_ylabel("relative feature distance\n(1 = two different images)")
        row[-1].set_ylabel("probability of\nthe true class")
    for axes, title in zip(drawn, [*shown, "score of the true class"], strict=False):
        axes.set_title(title)
    kit.legend(figure, drawn[columns - 1], 2, handlelength=3.5)
    return kit.set_caption(
        figure,
        "Left: how far features move, mean |f(T x) - f(x)| over the mean distance between "
        "the features of two different test images (dotted); lines as in the legend. Gray: the "
        f"small amounts, over which the tables take means. {distortions_of(study)}",
    )


def _draw_distances(
    axes: Axes,
    study: Study,
    transformation: Transformation,
    names: Sequence[str],
    layers: Sequence[str],
) -> list[kit.End | None]:
    """A line for each variant and layer; the ends of the solid ones, which bear its name."""
    ends: list[kit.End | None] = []
    for line, name in zip(kit.LINES, names, strict=False):
        for color, layer in zip(_LAYER_COLORS, layers, strict=False):
            found = curves(study, name, transformation, "distance", layer)
            solid = line == kit.LINES[0]
            style = {"color": color, "linestyle": line}
            end = kit.draw_line(axes, found, layer if solid else "_", style)
            ends += [end] * solid
    axes.axhline(1, color="#444444", lw=1.2, ls=(0, (1, 2)), zorder=0)
    return ends


def curves(
    study: Study, variant: str, transformation: Transformation, measure: str, layer: str
) -> dict[float, list[float]]:
    """Position of each amount to the finite values of all seeds."""
    rows = study.rows(
        NAME, variant=variant, transformation=transformation.name, measure=measure, layer=layer
    )
    by_seed = sorted(rows, key=lambda row: row["seed"])
    at = transformation.position
    return kit.over_seeds({at(float(row["amount"])): float(row["value"])} for row in by_seed)


def _name_amounts(axes: Axes, study: Study, transformation: Transformation) -> None:
    """The axis of amounts, factors on a logarithmic scale, with the small ones shaded."""
    from matplotlib.ticker import MaxNLocator

    names = {row["amount"] for row in study.rows(NAME, transformation=transformation.name)}
    reach = transformation.small_reach(names)
    axes.axvspan(-reach, reach, color=kit.SHADE, lw=0, zorder=-2)
    if transformation.ticks:
        places = [transformation.position(amount) for amount in transformation.ticks]
        axes.set_xticks(places, [amount_words(amount) for amount in transformation.ticks])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 4, 5, 8, 10]))
    axes.margins(x=0.02)
    axes.set_xlabel(transformation.axis)


def amount_words(amount: float) -> str:
    """An amount as its axis names it, factors below one as fractions.

    Example:
        >>> amount_words(1 / 1.8), amount_words(4.0), amount_words(-90.0)
        ('1/1.8', '4', '−90')
    """
    if 0 < amount < 1:
        return f"1/{1 / amount:g}"
    return f"{amount:g}".replace("-", "−")


def errors_table(study: Study, transformations: Sequence[Transformation]) -> Table:
    """One row per variant: test error of untouched images, and over the small amounts of each."""
    asked = ["untouched_error", *(f"{t.name}_error" for t in transformations)]
    small = (f"{t.small_words.removeprefix('when ')} ({t.name})" for t in transformations)
    return variant_table(
        study,
        "Test error under small transformations",
        ("Untouched, %", *(f"{t.name.capitalize()}, %" for t in transformations)),
        lambda variant: [seeds_text(study, f"{variant.name}:{name}", 1) for name in asked],
        "Test error on the measured sample, mean ± standard deviation over seeds, of images "
        f"{'; '.join(small)}.",
    )


def distances_table(
    study: Study, transformations: Sequence[Transformation], layers: Sequence[str]
) -> Table:
    """One row per variant and layer: relative distance of its features, over the small amounts."""
    rows = []
    for variant in study.variants:
        for when, label in (("", variant.label), ("untrained_", f"{variant.label}, untrained")):
            for place, layer in (("first", layers[0]), ("last", layers[-1])):
                asked = [f"{variant.name}:{when}{t.name}_{place}" for t in transformations]
                if not when or any(study.values(name) for name in asked):
                    rows.append((label, layer, *(seeds_text(study, name) for name in asked)))
    return Table(
        "Relative feature distance under small transformations",
        ("Variant", "Layer", *(t.name.capitalize() for t in transformations)),
        tuple(rows),
        (
            "Mean over the same amounts; 1 is the mean distance between two different images; "
            "± standard deviation over seeds.",
        ),
        left=(0, 1),
    )


LAW = (
    "Every image x of a fixed sample of the test images, evenly spaced, is transformed by growing "
    "amounts a; T x is read linearly between pixels, and what enters from outside is the nearest "
    "pixel of the edge. Left, how far the features f of a layer move, mean |f(T x) - f(x)| over "
    "mean |f(x) - f(x')|: Euclidean distances, the second over all pairs of different images of "
    "the sample, so that layers can be compared: at 1 an image has moved as far as another image "
    "is away. (The plain distance, which the source plots, is this curve times one number for each "
    "layer of a run; it is in the rows of the measurement as `euclidean`.) Right, the mean "
    "probability that the network gives the true class. Gray: the small amounts over which the "
    "tables take their means, the untouched images not among them."
)
"""What the report says of it."""


def invariance(
    layers: Sequence[str],
    panels: Mapping[str, Sequence[str]],
    images: int = 256,
    transformations: Sequence[Transformation] = TRANSFORMATIONS,
    note: str = "",
) -> Measurement:
    """The measurement after training: curves of features and scores against each amount.

    Its rows have the columns `transformation`, `amount`, `measure`, `layer` (empty for what the
    output gives) and `value`. Measures are `distance` and `euclidean` of each layer, `probability`
    of the true class (0 to 1) and test `error` (percent). The error of the untouched sample is the
    quantity `untouched_error`. For each transformation T, means over its small amounts are
    quantities: `T_error`, `T_increase` (of the error, over untouched images), and the distances
    `T_first` and `T_last` of the first and the last layer; over all amounts `T_wide_error`. Before
    training the distances are measured too, as `untrained distance`: `untrained_T_first`,
    `untrained_T_last`.

    Args:
        layers: From the first to the last, such as `("pool1", "pool5", "fc7")`, of every variant.
        panels: Which variants' features are plotted together, by the panel's title; in each panel
            the first is solid, the second dashed.
        note: What the report says beside the definition.

    Raises:
        AblaxError: Fewer than two layers or images, or nothing to transform by.

    References:
        M. D. Zeiler and R. Fergus, 2014. Visualizing and understanding convolutional networks,
        section 4.1 and figure 5.
    """
    if len(set(layers)) < 2 or len(set(layers)) < len(layers):
        raise AblaxError(
            f"invariance is compared between layers, and {', '.join(layers) or 'none'} is given: "
            "name two or more different ones, the first nearest to the image"
        )
    if images < 2:
        raise AblaxError(
            f"invariance is measured on {images} image(s), and 2 or more are expected: the unit "
            "is the distance between two of them"
        )
    if not transformations:
        raise AblaxError("there is no transformation to measure by: give at least one")
    layers, transformations = tuple(layers), tuple(transformations)
    pictures = tuple(
        Picture(
            f"invariance_{kind}",
            title,
            f"{caption}: how far features move, and the probability of the true class, against the "
            "amount. Lines: mean over seeds; bands: lowest to highest.",
            partial(curves_figure, chosen=chosen, layers=layers, groups=panels),
        )
        for kind, title, caption in _KINDS
        if (chosen := tuple(t for t in transformations if t.kind == kind))
    )
    return Measurement(
        name=NAME,
        measure=partial(measure, layers=layers, images=images, transformations=transformations),
        section=Section(
            title="Invariance of the layers and of the score",
            text=f"{LAW} {note}".strip(),
            pictures=pictures,
            tables=(
                partial(errors_table, transformations=transformations),
                partial(distances_table, transformations=transformations, layers=layers),
            ),
        ),
        moments=("start", "end"),
        quantities=quantities(layers, transformations),
    )


_KINDS = (
    ("place", "Moved, resized and turned images", "Translation, scale, rotation"),
    ("light", "Images in other light", "Gain, offset, contrast"),
)


_UNTRAINED = "untrained distance"


def measure(
    model: Model,
    sample: Sample,
    layers: Sequence[str],
    images: int,
    transformations: Sequence[Transformation],
) -> list[Row]:
    """The rows of one run; see `invariance` for their columns.

    Raises:
        AblaxError: A layer that the network does not have.
    """
    chosen = evenly_spaced(sample.test, images)
    still, _ = _features_and_scores(model, chosen.images, layers)
    unit = {layer: mean_distance_between(still[layer]) for layer in layers}
    rows: list[Row] = []
    for transformation in transformations:
        for amount in transformation.amounts(chosen.images.shape[1]):
            transformed = transformation.apply(chosen.images, amount)
            moved, scores = _features_and_scores(model, transformed, layers)
            apart = {layer: mean_distance(still[layer], moved[layer]) for layer in layers}
            # features that are the same for all images have no unit to be measured in
            relative = {at: apart[at] / unit[at] if unit[at] > 0 else math.nan for at in layers}
            if sample.step == 0:
                found = [(_UNTRAINED, layer, relative[layer]) for layer in layers]
            else:
                error = 100 * float(np.mean(predictions(scores) != chosen.labels))
                found = [("error", "", error)]
                found.append(("probability", "", mean_probability(scores, chosen.labels)))
                for layer in layers:
                    found.append(("euclidean", layer, apart[layer]))
                    found.append(("distance", layer, relative[layer]))
            place = {"transformation": transformation.name, "amount": amount}
            rows += [place | {"measure": m, "layer": at, "value": value} for m, at, value in found]
    return rows


def evenly_spaced(split: Split, images: int) -> Split:
    """So many of the images at equal distances from the first to the last; all if there are fewer.

    The digits' test images come in fours that show one scan; so spaced, 256 of them are 256 scans.
    """
    count = min(images, len(split.images))
    chosen = np.linspace(0, len(split.images) - 1, count).round().astype(np.int64)
    return Split(split.images[chosen], split.labels[chosen])


def mean_distance(one: Float[np.ndarray, "N ..."], other: Float[np.ndarray, "N ..."]) -> float:
    """Euclidean distance of each row from its own row of the other array, on average.

    Example:
        >>> mean_distance(np.zeros((2, 2)), np.array([[3.0, 4.0], [0.0, 1.0]]))
        3.0
    """
    apart = other.astype(np.float64) - one.astype(np.float64)
    return float(np.linalg.norm(apart.reshape(len(apart), -1), axis=1).mean())


def mean_distance_between(features: Float[np.ndarray, "N ..."]) -> float:
    """Euclidean distance of two different rows, on average over all pairs.

    Example:
        >>> mean_distance_between(np.array([[0.0], [1.0], [3.0]]))
        2.0
    """
    from scipy.spatial.distance import pdist

    return float(pdist(features.reshape(len(features), -1).astype(np.float64)).mean())


def mean_probability(
    scores: Float[np.ndarray, "N classes"], labels: Int32[np.ndarray, " N"]
) -> float:
    """Of the true class, by the softmax of the scores, on average.

    Example:
        >>> mean_probability(np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([0, 1], np.int32))
        0.5
    """
    from scipy.special import softmax  # slow to import

    return float(softmax(scores.astype(np.float64), axis=1)[np.arange(len(labels)), labels].mean())


def _features_and_scores(
    model: Model, images: np.ndarray, layers: Sequence[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Of one forward pass: the last layer of a network gives its scores."""
    output = tuple(model.network.layers)[-1]
    found = model.features(images, at=list(dict.fromkeys([*layers, output])))
    return found, found[output]


def quantities(
    layers: Sequence[str], transformations: Sequence[Transformation] = TRANSFORMATIONS
) -> dict[str, Quantity]:
    """What claims may speak of; see `invariance` for the names."""
    untouched = partial(_untouched, transformations[0])
    words = "test error on untouched images of the sample"
    found = {"untouched_error": percentage(words, untouched)}
    for t in transformations:
        error, wide_error = (partial(_mean, t, "error", "", small=small) for small in (True, False))
        increase = percentage(f"increase of the test error {t.small_words}", partial(_increase, t))
        found[f"{t.name}_error"] = percentage(f"test error {t.small_words}", error)
        found[f"{t.name}_increase"] = increase
        found[f"{t.name}_wide_error"] = percentage(f"test error {t.wide_words}", wide_error)
        for place, layer in (("first", layers[0]), ("last", layers[-1])):
            found[f"{t.name}_{place}"] = Quantity(
                f"distance that {layer} moves {t.small_words}", partial(_mean, t, "distance", layer)
            )
            found[f"untrained_{t.name}_{place}"] = Quantity(
                f"distance that {layer} moves before training {t.small_words}",
                partial(_mean, t, _UNTRAINED, layer),
                trained=False,
            )
    return found


def _increase(transformation: Transformation, rows: tuple[Row, ...]) -> float:
    """Error over the small amounts less the error of untouched images."""
    return _mean(transformation, "error", "", rows) - _untouched(transformation, rows)


def _untouched(transformation: Transformation, rows: tuple[Row, ...]) -> float:
    """The error where the amount changes nothing."""
    return values_of(rows, transformation, "error").get(transformation.identity, math.nan)


def _mean(
    transformation: Transformation,
    measure: str,
    layer: str,
    rows: tuple[Row, ...],
    small: bool = True,
) -> float:
    return transformation.mean(values_of(rows, transformation, measure, layer), small)
