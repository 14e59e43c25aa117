"""Pictures of what is inside a network: filters, features, what activates it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ablax.analysis.features import (
    FeatureStatistics,
    evenly,
    feature_statistics,
    filter_mosaic,
    first_kernel,
    map_mosaic,
)
from ablax.analysis.maximization import Ascent, deep_dream, maximize, noise
from ablax.analysis.saliency import (
    Rule,
    backward_pictures,
    occlusion_map,
    saliency_map,
    spread,
    strongest,
)
from ablax.core import LayerError, features, layer_shapes, refuse_unknown
from ablax.errors import AblaxError
from ablax.model import Model
from ablax.report import figures as kit
from ablax.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def chosen_layers(model: Model, asked: Sequence[str], count: int = 4) -> list[str]:
    """The layers asked for; by default some that give maps, from the first to the last.

    Raises:
        AblaxError: There is no such layer, or it gives no maps.
    """
    shapes = layer_shapes(model.network, model.image_shape)
    refuse_unknown(asked, shapes)
    for name in asked:
        if len(shapes[name]) != 3:
            raise AblaxError(
                f"{name} gives {shapes[name]} for an image: choose a layer that gives maps"
            )
    if asked:
        return list(asked)
    maps = [
        name
        for name, shape in shapes.items()
        if "/" not in name and len(shape) == 3 and max(shape[:2]) > 1
    ]
    return [maps[place] for place in evenly(len(maps), count)]


def top_layers(model: Model) -> list[str]:
    """Every layer of the first level that gives features, the scores left out."""
    shapes = layer_shapes(model.network, model.image_shape)
    return [name for name in shapes if "/" not in name][:-1]


def as_batch(pictures: Iterable[Float[np.ndarray, "H W C"]]) -> Float[Array, "N H W C"]:
    """Prepared pictures as one array."""
    return jnp.asarray(np.stack(list(pictures)))


Draw = Callable[["Axes"], None]


@kit.settings()
def gallery(
    rows: Sequence[Sequence[Draw | None]],
    caption: str,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    size: float = 1.9,
) -> Figure:
    """A grid of panels of `size` inches, each drawn by its function; None leaves one empty.

    Labels stand left of the rows and above the columns.
    """
    columns = max(map(len, rows))
    figure = kit.blank(max(5.5, columns * size + 1.0), len(rows) * size + 0.5)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        for axes, draw in zip(line, [*row, *[None] * (columns - len(row))], strict=True):
            kit.bare(axes)
            if draw is None:
                axes.axis("off")
            else:
                draw(axes)
    for axes, label in zip(grid[:, 0], row_labels, strict=False):
        place = {"xycoords": "axes fraction", "ha": "right", "va": "center", "fontsize": 11}
        axes.annotate(_lines(label, 16), (-0.06, 0.5), **place)
    for axes, label in zip(grid[0], column_labels, strict=False):
        axes.set_title(_lines(label, int(9 * size)), fontsize=11, loc="center")
    return kit.set_caption(figure, caption)


def _lines(label: str, width: int) -> str:
    """Wrapped line by line."""
    return "\n".join(kit.wrapped(line, width) for line in label.split("\n"))


Box = tuple[int, int, int, int]
"""First row, last row + 1, first column, last column + 1."""


def image(picture: Float[np.ndarray, "H W C"], title: str = "", box: Box | None = None) -> Draw:
    """Levels in [0, 1] of one or three channels; NaN is white; with a part of it framed."""

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        levels = np.where(np.isfinite(picture), picture, 1.0)
        colors = np.repeat(levels, 3, axis=2) if levels.shape[2] == 1 else levels
        # pixels stay squares when enlarged; a picture larger than its panel is averaged
        axes.imshow(np.clip(colors, 0, 1), interpolation="antialiased")
        if box is not None:
            top, bottom, left, right = box
            corner, size = (left - 0.5, top - 0.5), (right - left, bottom - top)
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=kit.COLORS[2], lw=2))
        if title:
            axes.set_title(kit.wrapped(title, 20), fontsize=10, loc="center")

    return draw


def heat(
    values: Float[np.ndarray, "H W"], picture: Float[np.ndarray, "H W C"] | None = None
) -> Draw:
    """From 0, dark, to the largest; over a gray picture where one is given."""
    # one pixel far above all others would leave the rest black
    top = float(np.quantile(values, 0.995)) or float(values.max()) or 1.0
    return _colored(values, (0.0, top), kit.HEAT, picture)


def signed(
    values: Float[np.ndarray, "H W"],
    picture: Float[np.ndarray, "H W C"] | None = None,
    note: str = "",
) -> Draw:
    """Purple above 0, orange below; over a gray picture where one is given; a note below."""
    largest = float(np.nanmax(np.abs(values))) or 1.0
    return _colored(values, (-largest, largest), kit.SIGNED, picture, note)


def _colored(
    values: Float[np.ndarray, "H W"],
    ends: tuple[float, float],
    colors: str,
    picture: Float[np.ndarray, "H W C"] | None,
    note: str = "",
) -> Draw:
    def draw(axes: Axes) -> None:
        if picture is not None:
            axes.imshow(picture.mean(2), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        kit.draw_map(axes, values, ends, colors).set_alpha(1.0 if picture is None else 0.67)
        if note:
            axes.set_xlabel(note, fontsize=9, labelpad=2)

    return draw


Named = Mapping[str, Float[np.ndarray, "H W C"]]
"""Prepared pictures by name."""


def filters_figure(model: Model) -> Figure:
    """The filters of the first convolution that is larger than a pixel."""
    path, kernel = first_kernel(model.parameters())
    if kernel.shape[2] == 3 and model.preprocessing.channels == "BGR":
        kernel = kernel[:, :, ::-1]
    kind = "in the colors of their channels" if kernel.shape[2] == 3 else "one channel each"
    return gallery(
        [[image(filter_mosaic(kernel))]],
        f"{path}: {kernel.shape[3]} filters of {kernel.shape[0]}x{kernel.shape[1]}, {kind}, "
        f"each scaled on its own about 0 (gray). {model.title}.",
        size=5.0,
    )


def features_figure(model: Model, pictures: Named, layers: Sequence[str]) -> Figure:
    """The feature maps of some layers for the first picture."""
    name, picture = next(iter(pictures.items()))
    draws: list[Draw | None] = [image(model.shown(picture))]
    labels = [name]
    for layer in layers:
        maps = np.asarray(model.cut(layer)(jnp.asarray(picture)[None]))[0]
        draws.append(image(map_mosaic(maps)))
        height, width, units = maps.shape
        shown = f"{min(units, 64)} of {units}" if units > 64 else f"{units}"
        labels.append(f"{layer}\n{shown} maps, {height}x{width}")
    return gallery(
        [draws],
        "Maps of one picture, each scaled on its own from its least (black) to its greatest "
        f"(white); of more than 64 those that vary most. {model.title}.",
        column_labels=labels,
        size=3.4,
    )


def _likely(model: Model, best: int, share: float) -> str:
    """Such as `"ship: 93 %"`."""
    return f"{model.classes[best]}: {100 * share:.0f}\N{NO-BREAK SPACE}%"


def _by_picture(
    model: Model,
    pictures: Named,
    draws: Callable[[np.ndarray, int], Sequence[Draw]],
    caption: str,
    columns: Sequence[str],
) -> Figure:
    """A row for each picture: itself, and what is drawn of it and its most likely class."""
    rows, labels = [], []
    for name, picture in pictures.items():
        shares = np.asarray(jax.nn.softmax(jax.jit(model.apply)(jnp.asarray(picture)[None])[0]))
        best = int(np.argmax(shares))
        labels.append(f"{name}\n→ {_likely(model, best, float(shares[best]))}")
        rows.append([image(model.shown(picture)), *draws(picture, best)])
    return gallery(rows, f"{caption} {model.title}.", labels, ("picture", *columns))


def saliency_figure(model: Model, pictures: Named) -> Figure:
    """Saliency of the most likely class, by the gradient and by the guided rule."""
    rules: tuple[Rule, ...] = ("gradient", "guided")

    @functools.partial(jax.jit, static_argnums=2)
    def mapped(images: Array, best: Array, rule: Rule) -> Array:
        return saliency_map(lambda x: jnp.take(model.apply(x), best, axis=1), images, rule)

    def draws(picture: np.ndarray, best: int) -> list[Draw]:
        found = (mapped(jnp.asarray(picture)[None], best, rule)[0] for rule in rules)
        return [heat(np.asarray(each)) for each in found]

    return _by_picture(
        model,
        pictures,
        draws,
        "Largest size over the channels of the derivative of the most likely class's score by "
        "each pixel; bright: the score changes most. Guided: signals below 0 are stopped at "
        "each ReLU. Each map to its own scale.",
        rules,
    )


def occlusion_figure(model: Model, pictures: Named, window: int | None = None) -> Figure:
    """How far the score of the most likely class decreases when a square is covered."""
    side = min(model.image_shape[:2])
    window = max(2, side // 4) if window is None else window
    stride = max(1, window // 4)

    def draws(picture: np.ndarray, best: int) -> list[Draw]:
        def score(images: Array) -> Array:
            return jax.nn.log_softmax(model.apply(images))[:, best]

        falls = occlusion_map(score, jnp.asarray(picture), window, stride)
        over = np.asarray(spread(falls, window, stride, *picture.shape[:2]))
        largest = float(np.nanmax(np.abs(over)))
        return [signed(over, note=f"scale: ±{largest:.2g}"), signed(over, model.shown(picture))]

    return _by_picture(
        model,
        pictures,
        draws,
        "Decrease of the log probability of the most likely class under a gray square of "
        f"{window} pixels, the mean of all squares over each pixel. Purple: the class needs "
        "this place; orange: it speaks against.",
        ("decrease", "over the picture"),
    )


def deconvolution_figure(
    model: Model, pictures: Named, layers: Sequence[str], units: int = 3
) -> Figure:
    """The strongest units of some layers, sent back to the pixels of their preferred picture."""
    batch = as_batch(pictures.values())
    rules: tuple[Rule, ...] = ("deconvolution", "guided", "gradient")
    columns: list[list[Draw | None]] = []
    labels = []
    alike = True
    for layer in layers:
        fn = model.cut(layer)
        strength = np.asarray(fn(batch)).max((1, 2))
        # units stand out against the other pictures' and units' usual strength
        order = np.argsort(-(strength.max(0) / (strength.max(0).mean() + strength.mean(0))))
        for unit in map(int, order[:units]):
            liked = int(np.argmax(strength[:, unit]))
            signal = strongest(unit)
            backs = [
                np.asarray(backward_pictures(fn, batch[liked][None], signal, rule)[0])
                for rule in rules
            ]
            alike = alike and all(np.array_equal(back, backs[0]) for back in backs)
            top, bottom, left, right = box = _reached(backs)
            part, seen = np.s_[top:bottom, left:right], model.shown(batch[liked])
            found = [seen[part], *(_about_gray(model, back[part]) for back in backs)]
            columns.append([image(seen, box=box), *map(image, found)])
            labels.append(f"{layer}\nunit {unit}")
    rows = [list(row) for row in zip(*columns, strict=True)]
    return gallery(
        rows,
        "For each unit the picture that excites it most, the part of it that its strongest "
        "place there sees, and what that place sends back to this part, through the switches "
        "of the max pools: ReLUs pass what is positive in the signal (deconvolution), in "
        "signal and features (guided), in the features (gradient). Each scaled about gray. "
        f"{'The three are the same here: no ReLU stands below. ' if alike else ''}"
        f"{model.title}.",
        ("picture", "part", *rules),
        labels,
        size=1.5,
    )


def _reached(backs: Sequence[Float[np.ndarray, "H W C"]]) -> Box:
    """The square around what is more than a hundredth of the largest in one of the pictures."""
    height, width, _ = backs[0].shape
    sizes = np.stack([np.abs(back).max(2) for back in backs])
    rows, columns = np.nonzero((sizes > 0.01 * sizes.max((1, 2), keepdims=True)).any(0))
    if not rows.size:
        return 0, height, 0, width
    side = min(max(int(np.ptp(rows)), int(np.ptp(columns))) + 1, height, width)
    top, left = (
        max(0, min((int(np.min(at) + np.max(at)) - side + 1) // 2, length - side))
        for at, length in ((rows, height), (columns, width))
    )
    return top, top + side, left, left + side


def _about_gray(model: Model, values: Float[np.ndarray, "H W C"]) -> Float[np.ndarray, "H W C"]:
    if model.preprocessing.channels == "BGR":
        values = values[..., ::-1]
    largest = float(np.quantile(np.abs(values), 0.998)) or float(np.abs(values).max()) or 1.0
    return np.clip(0.5 + values / (2 * largest), 0, 1)


def maximization_figure(model: Model, classes: Sequence[int], seed: int, ascent: Ascent) -> Figure:
    """For each class an image that climbed from noise to a high score."""
    shape = (len(classes), *model.image_shape)
    chosen = jnp.asarray(classes)

    def objective(images: Array) -> Array:
        return jnp.take_along_axis(model.apply(images), chosen[:, None], axis=1)[:, 0]

    images, _ = maximize(objective, noise(seed, shape), seed, ascent)
    shares = np.asarray(jax.nn.softmax(jax.jit(model.apply)(images)))
    draws: list[Draw | None] = [
        image(seen, _likely(model, k, float(share[k])))
        for seen, k, share in zip(model.shown(images), classes, shares, strict=True)
    ]
    rows = [draws[start : start + 5] for start in range(0, len(draws), 5)]
    return gallery(
        rows,
        f"Images made from noise by {ascent.steps} steps up the score of a class (before the "
        f"softmax), with L2 decay {ascent.decay:g}, blur {ascent.blur:g}, total variation "
        f"{ascent.total_variation:g}, jitter {ascent.jitter}, seed {seed}; above each: the "
        f"class and its probability. {model.title}.",
    )


def dream_figure(
    model: Model, pictures: Named, layers: Sequence[str], seed: int, steps: int
) -> Figure:
    """The first picture with more of what each layer sees in it."""
    name, picture = next(iter(pictures.items()))
    low, high = model.range
    ascent = Ascent(
        steps=steps, rate=0.05, decay=0.0, blur=0.0, total_variation=0.2, low=low, high=high
    )
    draws: list[Draw | None] = [image(model.shown(picture))]
    labels = [name]
    for layer in layers:
        fn = model.cut(layer)
        octaves = _octaves(fn, picture.shape)
        dreamt = deep_dream(fn, jnp.asarray(picture), seed, ascent, octaves=octaves)
        labels.append(f"{layer}\n{octaves} octave" + "s" * (octaves > 1))
        draws.append(image(model.shown(dreamt)))
    return gallery(
        [draws],
        f"Gradient ascent from the picture on the mean square of a layer's features, {steps} "
        f"steps per octave, seed {seed} (deep dream). {model.title}.",
        column_labels=labels,
        size=2.4,
    )


def _octaves(fn: Callable[[Array], Array], shape: tuple[int, ...], scale: float = 1.4) -> int:
    """How many sizes of a picture the layer takes: three at most."""
    for octaves in (3, 2):
        sides = [round(side / scale ** (octaves - 1)) for side in shape[:2]]
        try:
            jax.eval_shape(fn, jax.ShapeDtypeStruct((1, *sides, shape[2]), jnp.float32))
        except LayerError:
            continue
        if min(sides) >= 8:
            return octaves
    return 1


def network_statistics(
    model: Model, layers: Sequence[str], batches: Iterable[Any]
) -> dict[str, FeatureStatistics]:
    """The statistics of these layers over batches of prepared pictures."""
    return feature_statistics(
        lambda images: features(model.network, model.variables, images, at=layers), batches
    )


def statistics_table(title: str, found: Mapping[str, FeatureStatistics]) -> Table:
    """One row per layer."""
    columns = (
        *("layer", "units", "places", "zeros %", "small %", "dead", "constant", "variance"),
        *("correlation", "independent"),
    )
    rows = [
        (
            *(layer, each.units, each.places, round(100 * each.sparsity, 1)),
            *(round(100 * float(each.small.mean()), 1), int(each.dead.sum())),
            *(int(each.constant.sum()), float(f"{each.variance.mean():.4g}")),
            round(each.mean_correlation, 3) if np.isfinite(each.mean_correlation) else "-",
            round(each.independent, 1),
        )
        for layer, each in found.items()
    ]
    first = next(iter(found.values()))
    return Table(
        title,
        columns,
        tuple(rows),
        (
            f"Over {first.samples:,} samples and all places. Small: at most {first.small_below:g} "
            "in size. Dead: 0 everywhere; constant: without variance, the dead among them.",
            "Correlation: mean size between two units; independent: the uncorrelated units that "
            "would share the variance so, of at most "
            f"{max(len(each.correlated) for each in found.values())} measured.",
        ),
    )


@kit.settings()
def statistics_figure(
    model: Model, found: Mapping[str, FeatureStatistics], layers: Sequence[str]
) -> Figure:
    """Samples x units and the correlations of some layers: what the lecture calls good and bad."""
    figure = kit.blank(max(6.0, 3.1 * len(layers) + 0.6), 7.4)
    grid = figure.subplots(2, len(layers), squeeze=False, height_ratios=(1.3, 1))
    for layer, above, below in zip(layers, *grid, strict=True):
        _draw_responses(above, layer, found[layer])
        below.set_facecolor("#BBBBBB")
        last = kit.draw_map(below, found[layer].correlation, (-1.0, 1.0))
    grid[0, 0].set_ylabel("sample", fontsize=12)
    grid[1, 0].set_ylabel("unit", fontsize=12)
    bar = figure.colorbar(last, ax=grid[1, :].tolist(), shrink=0.8, aspect=18)
    bar.set_label("correlation", fontsize=12)
    return kit.set_caption(
        figure,
        "Above: one row per sample, one column per unit; dark: a strong activation (at the "
        "middle position; white is the least, black the 99.5 % quantile of the layer). Good "
        "training: sparse rows that differ. Bad: columns of one shade (units that ignore the "
        "input), or columns alike. Below: correlations between units over all positions; gray: "
        f"constant units. {model.title}.",
    )


def _draw_responses(axes: Axes, layer: str, each: FeatureStatistics) -> None:
    low, high = float(each.responses.min()), float(np.quantile(each.responses, 0.995))
    high = high if high > low else low + 1
    shades = {"cmap": "gray_r", "vmin": low, "vmax": high}
    axes.imshow(each.responses, aspect="auto", interpolation="nearest", **shades)  # type: ignore[arg-type]
    axes.tick_params(labelsize=9)
    axes.set_xlabel(f"unit, {each.units} in all", fontsize=11)
    axes.set_title(
        f"{kit.wrapped(layer, 20)}\n"
        f"{100 * each.sparsity:.0f} % zeros, {int(each.dead.sum())} dead\n"
        f"correlation {each.mean_correlation:.2f}",
        fontsize=11,
        loc="center",
    )
