"""Pictures of convolution: the lecture's numbers, an average, a detector, and the matrices."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ablax.data.digits import load_digits
from ablax.draw_layers.sheet import BLUE, GREEN, ORANGE, numbers, pixels
from ablax.layers.activation import relu, shifted_sigmoid
from ablax.layers.textbook import (
    Mode,
    convolution_matrix,
    cross_correlation,
    discrete_convolution,
    moving_average,
)
from ablax.report.figures import WIDTH, blank, write_caption

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
    caption = (
        "White: 0. Dark blue, gray, yellow: the taps of the kernel in their order, row by row."
    )
    write_caption(figure, caption)
    return figure


def _taps(axes: Axes, matrix: np.ndarray, count: int) -> None:
    """White for 0, and from dark to light blue, gray and yellow for the taps in their order."""
    from matplotlib import colormaps

    shades = ["white", *colormaps["cividis"](np.linspace(0, 1, count))]
    axes.imshow(matrix, cmap=ListedColormap(shades), vmin=0, vmax=count, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(visible=True, color="#999999")
