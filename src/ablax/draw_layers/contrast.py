"""Pictures of local contrast normalization and of the stage of Jarrett et al."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from ablax.data.digits import load_digits
from ablax.draw_layers.sheet import pixels
from ablax.layers.convolution import convolution
from ablax.layers.normalization import (
    divide_by_local_deviation,
    local_contrast_normalization,
    subtract_local_mean,
)
from ablax.layers.pooling import average_pool
from ablax.report.figures import WIDTH, blank, write_caption

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
    write_caption(
        figure,
        "Left: gray from 0 to 1.3 in all three. Middle and right: blue below 0, white 0, vermilion "
        "above, each to its largest; below each map its least and its largest number.",
    )
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
    write_caption(figure, "Blue below 0, white 0, vermilion above, each map to its largest number.")
    return figure


def _digit(label: int) -> Float[Array, "1 H W 1"]:
    train = load_digits().train
    return jnp.asarray(train.images[int(np.argmax(train.labels == label))][None], jnp.float32) / 255
