"""`python docs/scripts/draw_layers.py --folder docs/layers`: pictures of what the layers do."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch, Rectangle

from ablax.data.digits import load_digits
from ablax.layers import activation
from ablax.layers.activation import relu, shifted_sigmoid
from ablax.layers.convolution import convolution
from ablax.layers.normalization import (
    divide_by_local_deviation,
    local_contrast_normalization,
    subtract_local_mean,
)
from ablax.layers.pooling import average_pool, bins_along, max_pool, min_pool
from ablax.layers.textbook import (
    Mode,
    convolution_matrix,
    cross_correlation,
    discrete_convolution,
    moving_average,
)
from ablax.report.figures import COLORS, WIDTH, bare, blank, save, settings

# ------------------------------------------------------------------------------------------
# What the pictures share: grids of numbers, maps of pixels, and a small file.

BLUE, ORANGE, GREEN = COLORS[1], COLORS[2], COLORS[3]
SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "white", ORANGE])
"""Blue below 0, white at 0, vermilion above: colors that any common color vision tells apart."""

Box = tuple[int, int, int, int]
"""Row, column, height and width in cells."""


def numbers(
    axes: Axes,
    matrix: Float[np.ndarray, "rows columns"],
    title: str,
    boxes: Iterable[tuple[Box, str]] = (),
    span: int = 0,
) -> None:
    """A matrix as a table, with cells boxed in colors; with the room of `span` cells each way."""
    rows, columns = matrix.shape
    for row, column in np.ndindex(rows, columns):
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor="white", edgecolor="#999999"))
        text = f"{matrix[row, column]:g}"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=12)
    for (row, column, height, width), color in boxes:
        axes.add_patch(
            Rectangle((column, row), width, height, fill=False, edgecolor=color, lw=3, zorder=3)
        )
    right, below = (max(0, span - length) / 2 + 0.06 for length in (columns, rows))
    axes.set(xlim=(-right, columns + right), ylim=(rows + 2 * below, -0.06), aspect="equal")
    axes.set_title(title, fontsize=13, loc="center")
    axes.axis("off")


def pixels(
    axes: Axes, picture: Float[np.ndarray, "rows columns"], title: str = "", signed: bool = False
) -> None:
    """A map: gray from 0 to its largest, or blue, white and vermilion about 0."""
    largest = float(np.max(np.abs(picture))) or 1.0
    low, colors = (-largest, SIGNED) if signed else (min(0.0, float(picture.min())), "gray")
    axes.imshow(picture, cmap=colors, vmin=low, vmax=largest, interpolation="nearest")
    bare(axes)
    if title:
        axes.set_title(title, fontsize=13, loc="center")


# ------------------------------------------------------------------------------------------
# A picture of the nonlinearities: each with its slope, and where it learns nothing.

Nonlinearity = Callable[[Float[Array, "n"]], Float[Array, "n"]]

FLAT = 0.005
"""A nonlinearity is saturated where its slope is below this part of its largest."""

SHADE = "#DDDDDD"

RANGES = {"shifted_sigmoid": (-200.0, 600.0)}
"""The rest is drawn from -8 to 8."""


NOT_ELEMENTWISE = {"softmax", "dropout"}
"""Of `ablax.layers.activation`: they see more than one number."""


def nonlinearities() -> dict[str, Nonlinearity]:
    """The functions of `ablax.layers.activation` by name; a PReLU with its first slope, 1/4."""
    found: dict[str, Nonlinearity] = {}
    for name, function in vars(activation).items():
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        if function.__module__ != activation.__name__ or name in NOT_ELEMENTWISE:
            continue
        parameters = inspect.signature(function).parameters.values()
        needed = [each.name for each in parameters if each.default is each.empty]
        if needed == ["x"]:
            found[name] = function
        elif needed == ["x", "slope"]:
            found[name] = _at_a_quarter(function)
    return found


def _at_a_quarter(prelu: Callable[..., Array]) -> Nonlinearity:
    return lambda x: prelu(x[:, None], jnp.full(1, 0.25))[:, 0]


def slope_and_saturation(
    function: Nonlinearity, x: Float[Array, "n"]
) -> tuple[Float[np.ndarray, "n"], np.ndarray]:
    """The derivative at each x, and whether the function is saturated there.

    Args:
        function: Any function of one number, applied to many.
        x: Where to look; the largest slope is looked for here.

    Returns:
        Slopes, and true where a slope is below 0.5 % of the largest.

    Example:
        >>> slopes, flat = slope_and_saturation(activation.tanh, jnp.array([0.0, 1.0, 4.0]))
        >>> flat.tolist()
        [False, False, True]
    """
    slopes = np.asarray(jax.grad(lambda x: function(x).sum())(x))
    steep = np.abs(slopes)
    return slopes, ~(steep > FLAT * np.max(steep))


def curves() -> Figure:
    """Every nonlinearity with its slope; shaded where it is saturated."""
    functions = nonlinearities()
    rows = -(-len(functions) // 4)
    figure = blank(WIDTH, 0.9 + 2.5 * rows)
    grid = figure.subplots(rows, 4, squeeze=False)
    for axes, (name, function) in zip(grid.flat, functions.items(), strict=False):
        _curve(axes, name, function)
    for axes in grid.flat[len(functions) :]:
        axes.axis("off")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(
        [*handles, Patch(facecolor=SHADE)],
        [*labels, f"saturated: slope below {100 * FLAT:g} % of the largest"],
        loc="outside upper center",
        ncols=3,
        fontsize=12,
        frameon=False,
    )
    figure.supxlabel("x", fontsize=14)
    return figure


def _curve(axes: Axes, name: str, function: Nonlinearity) -> None:
    low, high = RANGES.get(name, (-8.0, 8.0))
    x = jnp.linspace(low, high, 802)  # an even number: no point stands on a kink at 0
    y, (slopes, flat) = np.asarray(function(x)), slope_and_saturation(function, x)
    full_height = axes.get_xaxis_transform()
    axes.fill_between(x, 0, 1, where=flat.tolist(), transform=full_height, color=SHADE, lw=0)
    axes.axhline(0, color="#999999", lw=0.8)
    axes.axvline(0, color="#999999", lw=0.8)
    axes.plot(x, y, color=BLUE, lw=2.5, label="y")
    scale = 50 if name in RANGES else 1
    axes.plot(x, scale * slopes, "--", color=ORANGE, lw=2, label="slope dy/dx")
    title = name if scale == 1 else f"{name}\n(slope times {scale})"
    axes.set_title(title, fontsize=12, loc="center")
    axes.set_xlim(low, high)
    axes.tick_params(labelsize=11)


# ------------------------------------------------------------------------------------------
# Pictures of convolution: the lecture's numbers, an average, a detector, and the matrices.

LECTURE = jnp.array([[0.0, 80, 40], [20, 40, 0], [0, 0, 40]])
KERNEL = jnp.array([[0, 0.25], [0.5, 1]])
EDGES = jnp.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
"""A detector of edges from dark to bright, left to right; flipped by the convolution."""


def example() -> Figure:
    """The lecture's convolution beside the cross-correlation of the same matrices."""
    figure = blank(WIDTH, 6.0)
    flipped = jnp.flip(KERNEL)
    rows = (
        ("convolution: k flipped", flipped, discrete_convolution(LECTURE, KERNEL)),
        ("cross-correlation: k as it is", KERNEL, cross_correlation(LECTURE, KERNEL)),
    )
    for axes, (title, laid_over, y) in zip(figure.subplots(2, 4), rows, strict=True):
        first = (0, 0, 2, 2), ORANGE
        numbers(axes[0], np.asarray(LECTURE), "x", [first], span=3)
        numbers(axes[1], np.asarray(KERNEL), "k", span=3)
        numbers(axes[2], np.asarray(laid_over), "laid over x", [first], span=3)
        numbers(axes[3], np.asarray(y), title, [((0, 0, 1, 1), ORANGE)], span=3)
        terms = zip(np.ravel(laid_over), np.ravel(LECTURE[:2, :2]), strict=True)
        text = " + ".join(f"{k:g}·{x:g}" for k, x in terms) + f"\n= {y[0, 0]:g}"
        axes[3].text(1, 2.45, text, ha="center", va="center", fontsize=11, color=ORANGE)
    return figure


def average() -> Figure:
    """A noisy signal and its moving averages; and what the zeros outside do to a constant."""
    figure = blank(WIDTH, 4.6)
    left, right = figure.subplots(1, 2)
    t = np.arange(120)
    signal = np.sin(t / 9) + np.random.RandomState(0).normal(scale=0.4, size=t.size)
    left.plot(t, signal, ".", color="#999999", ms=6, label="x")
    for window, color, line in ((5, ORANGE, "--"), (21, BLUE, "-")):
        means = moving_average(jnp.asarray(signal, jnp.float32), window)
        places = t[window // 2 : t.size - window // 2]
        left.plot(places, means, line, color=color, lw=2.5, label=f"mean of {window}")
    left.set(title='noise: "valid" keeps d − k + 1 means', xlabel="t", ylim=(-2, 2.4))
    modes: tuple[Mode, ...] = ("full", "same", "valid")
    styles = ((ORANGE, ":o", 13), (GREEN, "--s", 9), (BLUE, "-D", 5))
    for mode, (color, line, size) in zip(modes, styles, strict=True):
        y = moving_average(jnp.ones(12), 5, mode)
        start = {"full": -2, "same": 0, "valid": 2}[mode]
        places, label = np.arange(start, start + y.size), f'"{mode}": {y.size}'
        right.plot(places, y, line, label=label, color=color, ms=size, mfc="none", mew=2)
    right.set(title="twelve ones: mean of 5", xlabel="t", ylim=(0, 1.3), xticks=(0, 5, 11))
    for axes in (left, right):
        axes.legend(fontsize=11, frameon=False, ncols=3, loc="upper center")
    return figure


def detector() -> Figure:
    """A filter over a digit, and two nonlinearities that make a detector of it."""
    figure = blank(WIDTH, 5.2)
    grid = figure.subplots(2, 5, width_ratios=(4, 2, 4, 4, 4))
    train = load_digits().train
    x = jnp.asarray(train.images[int(np.argmax(train.labels == 4)), :, :, 0], jnp.float32)
    for row, (axes, kernel) in enumerate(zip(grid, (EDGES, EDGES.T), strict=True)):
        y = discrete_convolution(x, kernel, "same")
        titles = ("x, gray 0 to 255", "k", "x * k", "sigm(0.02 (x * k) − 4)", "ReLU(x * k)")
        titles = titles if row == 0 else ("",) * 5
        pixels(axes[0], np.asarray(x), titles[0])
        numbers(axes[1], np.asarray(kernel), titles[1])
        pixels(axes[2], np.asarray(y), titles[2], signed=True)
        pixels(axes[3], np.asarray(shifted_sigmoid(y)), titles[3])
        pixels(axes[4], np.asarray(relu(y)), titles[4])
        span = f"{float(y.min()):.0f} … {float(y.max()):.0f}"
        axes[2].set_xlabel(f"{span}\nblue < 0, vermilion > 0", fontsize=11)
        axes[3].set_xlabel("0 … 1", fontsize=11)
        axes[4].set_xlabel(f"0 … {float(relu(y).max()):.0f}", fontsize=11)
    return figure


def matrices() -> Figure:
    """The matrices of convolutions: the color says which tap of the kernel an entry is."""
    figure = blank(WIDTH, 7.2)
    grid = figure.subplots(2, 3)
    line = jnp.arange(1.0, 4).reshape(1, 3, 1, 1)
    square = jnp.arange(1.0, 10).reshape(3, 3, 1, 1)
    cases: tuple[tuple[str, Array, tuple[int, int, int], dict[str, Any]], ...] = (
        ("1-D, 3 taps, 10 numbers", line, (1, 10, 1), {"padding": "VALID"}),
        ("2-D, 3x3 over 6x6", square, (6, 6, 1), {"padding": "VALID"}),
        ("2-D, zero padding 1", square, (6, 6, 1), {"padding": 1}),
        ("stride 2", square, (7, 7, 1), {"padding": "VALID", "stride": 2}),
        ("dilation 2", square, (6, 6, 1), {"padding": "VALID", "dilation": 2}),
        (
            "1-D, 4 channels in 2 groups",
            jnp.tile(line, (1, 1, 2, 4)),
            (1, 6, 4),
            {"padding": "VALID", "groups": 2},
        ),
    )
    for axes, (title, kernel, shape, options) in zip(grid.flat, cases, strict=True):
        matrix = convolution_matrix(kernel, shape, **options)
        _taps(axes, np.asarray(matrix), int(kernel.max()))
        axes.set_title(title, fontsize=13, loc="center")
        axes.set_xlabel(f"{matrix.shape[1]} inputs", fontsize=11)
        axes.set_ylabel(f"{matrix.shape[0]} outputs", fontsize=11)
    return figure


def _taps(axes: Axes, matrix: np.ndarray, count: int) -> None:
    """White for 0, and from dark to light blue, gray and yellow for the taps in their order."""
    from matplotlib import colormaps

    shades = ["white", *colormaps["cividis"](np.linspace(0, 1, count))]
    axes.imshow(matrix, cmap=ListedColormap(shades), vmin=0, vmax=count, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(visible=True, color="#999999")


# ------------------------------------------------------------------------------------------
# How far features move when the image does, and pictures of pooling.

Images = Float[Array, "N H W C"]
Maps = Float[Array, "N H2 W2 F"]
Features = Callable[[Array], Array]

SHIFTS = tuple(range(9))
WINDOW = 4
DIGITS = 200


def edges(images: Images) -> Maps:
    """The response to edges of four directions, rectified: one map a direction."""
    across = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32) / 4
    kernels = np.stack([across, -across, across.T, -across.T], axis=-1)
    return relu(convolution(images, jnp.asarray(kernels[:, :, None])))


POOLS: dict[str, Features] = {
    "no pooling": lambda x: x,
    "every 4th row and column": lambda x: x[:, ::WINDOW, ::WINDOW],
    "average of 4x4": lambda x: average_pool(x, WINDOW),
    "maximum of 4x4": lambda x: max_pool(x, WINDOW),
}


def movement(features: Features, images: Images, shift: int) -> Float[np.ndarray, "N"]:
    """How far the features of each image move when it moves to the right.

    |f(shifted x) - f(x)| / |f(x)|: 0 for features that do not notice, about the root of 2 for
    features that have nothing to do with each other any more.

    Args:
        features: Any function of images.
        images: Images whose last `shift` columns are empty, so that nothing is lost.
        shift: Pixels.

    Returns:
        One number an image.
    """
    there = features(jnp.roll(images, shift, axis=2))
    here = features(images)
    far = jnp.sqrt(jnp.sum((there - here) ** 2, axis=(1, 2, 3)))
    return np.asarray(far / jnp.sqrt(jnp.sum(here**2, axis=(1, 2, 3))))


def movements(shifts: Sequence[int] = SHIFTS) -> dict[str, Float[np.ndarray, "shifts N"]]:
    """`movement` of the edges of the first 200 training digits, for each pool and shift."""
    images = _roomy(jnp.asarray(load_digits().train.images[:DIGITS], jnp.float32) / 255)
    return {
        name: np.stack([movement(_after_edges(pool), images, shift) for shift in shifts])
        for name, pool in POOLS.items()
    }


def movement_lines(shifts: Sequence[int] = (1, 2, 4)) -> list[str]:
    """The mean movements in percent, a table row a pool: as the documentation prints them."""
    found = movements(shifts)
    rows = {name: (100 * far.mean(axis=1)).round().astype(int) for name, far in found.items()}
    return [f"| {name} | {' | '.join(map(str, row))} |" for name, row in rows.items()]


def _after_edges(pool: Features) -> Features:
    return jax.jit(lambda images: pool(edges(images)))


def moving() -> Figure:
    """The maps of a digit and of the same one a pixel further; and the curves of all digits."""
    figure = blank(WIDTH, 9.0)
    halves = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.1, 1))
    _maps(halves[0][0])
    _curves(halves[1][0])
    return figure


def _maps(figure: SubFigure) -> None:
    train = load_digits().train
    four = train.images[int(np.argmax(train.labels == 4))]
    image = _roomy(jnp.asarray(four[None], jnp.float32) / 255)
    for axes, shift in zip(figure.subplots(2, 5), (0, 1), strict=True):
        moved = jnp.roll(image, shift, axis=2)
        pixels(axes[0], np.asarray(moved[0, :, :, 0]), "" if shift else "image")
        axes[0].set_ylabel("1 pixel further" if shift else "in the middle", fontsize=12)
        for cell, (name, pool) in zip(axes[1:], POOLS.items(), strict=True):
            title = "" if shift else name.replace(" row", "\nrow")
            pixels(cell, np.asarray(pool(edges(moved))[0, :, :, 0]), title)
            if shift:
                far = movement(_after_edges(pool), image, shift)[0]
                cell.set_xlabel(f"moved by {100 * far:.0f} %", fontsize=12)


def _curves(figure: SubFigure) -> None:
    axes = figure.subplots()
    styles = ((COLORS[0], "o", "-"), (COLORS[4], "v", ":"), (GREEN, "s", "--"), (BLUE, "D", "-"))
    for (name, far), (color, marker, line) in zip(movements().items(), styles, strict=True):
        low, high = np.percentile(100 * far, (10, 90), axis=1)
        axes.fill_between(SHIFTS, low, high, color=color, alpha=0.1, lw=0)
        mean = 100 * far.mean(axis=1)
        axes.plot(SHIFTS, mean, line, marker=marker, color=color, ms=7, lw=2, label=name)
    axes.set(
        xlabel="image moved to the right by, pixels",
        ylabel="features moved by, %",
        ylim=(0, None),
        xticks=SHIFTS,
    )
    axes.grid(axis="y", color="#DDDDDD")
    axes.legend(fontsize=12, frameon=False, loc="lower right")


def pools() -> Figure:
    """One map, pooled in three ways."""
    figure = blank(WIDTH, 3.0)
    panels = figure.subplots(1, 4)
    x = np.array([[1, 3, 0, 2], [5, 2, 4, 6], [7, 0, 1, 1], [2, 3, 9, 5]], np.float32)
    corners = ((0, 0, COLORS[1]), (0, 1, COLORS[2]), (1, 0, COLORS[3]), (1, 1, COLORS[4]))
    numbers(panels[0], x, "x", [((2 * r, 2 * c, 2, 2), color) for r, c, color in corners], 4)
    named = (
        ("max_pool(x, 2)", max_pool),
        ("average_pool(x, 2)", average_pool),
        ("min_pool(x, 2)", min_pool),
    )
    for axes, (title, pool) in zip(panels[1:], named, strict=True):
        y = np.asarray(pool(jnp.asarray(x)[None, :, :, None], 2))[0, :, :, 0]
        numbers(axes, y, title, [((r, c, 1, 1), color) for r, c, color in corners], 4)
    return figure


def pyramid() -> Figure:
    """The bins of a pyramid over maps of two sizes; darker pixels are in several bins."""
    figure = blank(WIDTH, 5.4)
    levels, sizes = (6, 3, 2, 1), ((13, 13), (10, 16))
    grid = figure.subplots(2, 4)
    for axes, size in zip(grid, sizes, strict=True):
        for cell, bins in zip(axes, levels, strict=True):
            counts = np.zeros(size)
            spans = [bins_along(length, bins) for length in size]
            for top, below in spans[0]:
                for left, right in spans[1]:
                    counts[top:below, left:right] += 1
                    cell.add_patch(
                        Rectangle(
                            (left - 0.38, top - 0.38), right - left - 0.24, below - top - 0.24,
                            fill=False, edgecolor=ORANGE, lw=1.5,
                        )
                    )  # fmt: skip
            cell.imshow(counts, cmap="Blues", vmin=0, vmax=6)
            for axis, length in ((cell.xaxis, size[1]), (cell.yaxis, size[0])):
                axis.set_ticks(np.arange(length - 1) + 0.5, labels=[])
            cell.grid(color="white", lw=0.8)
            cell.tick_params(length=0)
            cell.spines[:].set_visible(False)
            if size == sizes[0]:
                cell.set_title(f"{bins}x{bins} bins", fontsize=13, loc="center")
        axes[0].set_ylabel(f"{size[0]}x{size[1]} pixels", fontsize=13)
    return figure


def _roomy(images: Images) -> Maps:
    """The images with eight empty pixels more on every side."""
    return jnp.pad(images, ((0, 0), (8, 8), (8, 8), (0, 0)))


# ------------------------------------------------------------------------------------------
# Pictures of local contrast normalization and of the stage of Jarrett et al.

EDGE = jnp.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def lit() -> dict[str, Float[Array, "1 H W 1"]]:
    """A digit in even light, in dim light, and in light from one side with a bright ground."""
    x = _digit(3)
    across = jnp.linspace(0.1, 1, x.shape[2])[:, None]
    return {
        "even light": x,
        "a fifth of the light": 0.2 * x,
        "lit from the right": across * (x + 1),
    }


def normalization() -> Figure:
    """What is left of three lights after each step of the normalization."""
    figure = blank(WIDTH, 8.2)
    grid = figure.subplots(3, 3)
    for axes, (name, x) in zip(grid, lit().items(), strict=True):
        v = subtract_local_mean(x)
        for cell, title, found in zip(
            axes,
            ("x", "x − local mean", "divided by local deviation"),
            (x, v, divide_by_local_deviation(v)),
            strict=True,
        ):
            heading = title if name == "even light" else ""
            pixels(cell, np.asarray(found[0, :, :, 0]), heading, signed=found is not x)
            span = f"{float(found.min()):.2g} … {float(found.max()):.2g}"
            cell.set_xlabel(span, fontsize=11)
        axes[0].images[0].set_clim(0, 1.3)
        axes[0].set_ylabel(name, fontsize=13)
    return figure


def stage() -> Figure:
    """The steps of a Jarrett stage for a digit and for its negative, with one filter."""
    figure = blank(WIDTH, 4.9)
    grid = figure.subplots(2, 5)
    titles = ("x", "tanh(k * x)", "absolute value", "contrast normalized", "average of 4x4")
    for axes, sign in zip(grid, (1, -1), strict=True):
        x = sign * _digit(3)
        simple = jnp.tanh(convolution(x, EDGE[:, :, None, None], padding="VALID"))
        rectified = abs(simple)
        normalized = local_contrast_normalization(rectified)
        steps = (x, simple, rectified, normalized, average_pool(normalized, 4))
        for cell, title, found in zip(axes, titles, steps, strict=True):
            pixels(cell, np.asarray(found[0, :, :, 0]), title if sign > 0 else "", signed=True)
        axes[0].set_ylabel("digit" if sign > 0 else "its negative", fontsize=13)
    return figure


def _digit(label: int) -> Float[Array, "1 H W 1"]:
    train = load_digits().train
    return jnp.asarray(train.images[int(np.argmax(train.labels == label))][None], jnp.float32) / 255


PICTURES: dict[str, Callable[[], Figure]] = {
    "convolution": example,
    "moving_average": average,
    "detector": detector,
    "matrices": matrices,
    "pools": pools,
    "translation": moving,
    "pyramid": pyramid,
    "nonlinearities": curves,
    "contrast": normalization,
    "stage": stage,
}


def draw_all(folder: Path) -> list[Path]:
    """One PNG for each picture, in `folder`; the same bytes every time.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with settings():
        for name, draw in PICTURES.items():
            save(draw(), folder / f"{name}.png", 100, small=True)
            written.append(folder / f"{name}.png")
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python docs/scripts/draw_layers.py", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/layers"))
    for path in draw_all(parser.parse_args(arguments).folder):
        print(path)
    print("features moved by, %, when the image moves by 1, 2, 4 pixels:")
    print(*movement_lines(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
