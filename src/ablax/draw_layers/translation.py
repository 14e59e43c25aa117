"""How far features move when the image does, and pictures of pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from ablax.data.digits import load_digits
from ablax.draw_layers.sheet import BLUE, GREEN, ORANGE, numbers, pixels
from ablax.layers.activation import relu
from ablax.layers.convolution import convolution
from ablax.layers.pooling import average_pool, bins_along, max_pool, min_pool
from ablax.report.figures import COLORS, WIDTH, blank, write_caption

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
    write_caption(
        figure,
        f"Features: the rectified response to edges of four directions (above: one of them). Line: "
        f"the mean over {DIGITS} digits; band: from the 10th to the 90th percentile.",
    )
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
    write_caption(figure, "Vermilion: bins. The darker a pixel, the more bins it is in: 1, 2 or 4.")
    return figure


def _roomy(images: Images) -> Maps:
    """The images with eight empty pixels more on every side."""
    return jnp.pad(images, ((0, 0), (8, 8), (8, 8), (0, 0)))
