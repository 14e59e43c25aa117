"""A picture of the nonlinearities: each with its slope, and where it learns nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ablax.draw_layers.sheet import BLUE, ORANGE
from ablax.layers import activation
from ablax.report.figures import WIDTH, blank

Nonlinearity = Callable[[Float[Array, "n"]], Float[Array, "n"]]

FLAT = 0.005
"""A nonlinearity is saturated where its slope is below this part of its largest."""

SHADE = "#DDDDDD"

RANGES = {"shifted_sigmoid": (-200.0, 600.0)}
"""The rest is drawn from -8 to 8."""


def nonlinearities() -> dict[str, Nonlinearity]:
    """The functions of `ablax.layers.activation` by name; a PReLU with its first slope, 1/4."""
    found: dict[str, Nonlinearity] = {}
    for name, function in vars(activation).items():
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        if function.__module__ != activation.__name__:
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
