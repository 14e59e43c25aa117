"""Effective receptive field: how much each pixel really moves a unit, and its Gaussian fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Measure = Literal["absolute", "squared"]

THRESHOLD = 1 - 0.9545
"""Of the largest value; 0.9545 of a Gaussian lies within two standard deviations."""


@dataclass(frozen=True)
class GaussianFit:
    """A Gaussian whose axes are those of the image.

    Attributes:
        center: Row and column, in pixels.
        sigma: Standard deviation down and to the right, in pixels.
        height: Its value at the center.
        explained: The part of the heat map's variance that it explains, at most 1.
    """

    center: tuple[float, float]
    sigma: tuple[float, float]
    height: float
    explained: float

    @property
    def width(self) -> tuple[float, float]:
        """Four standard deviations, height and width: 95.45 % of the Gaussian along each axis."""
        return 4 * self.sigma[0], 4 * self.sigma[1]


@dataclass(frozen=True, eq=False)
class EffectiveReceptiveField:
    """How much each pixel moves one unit.

    Attributes:
        heat: One number per pixel; they add up to 1.
        unit: Row and column of the unit in its map.
        fit: The Gaussian nearest to `heat`.
    """

    heat: Float[np.ndarray, "H W"]
    unit: tuple[int, int]
    fit: GaussianFit

    @property
    def size(self) -> float:
        """The side, in pixels, of a square of as many pixels as count.

        A pixel counts whose value exceeds 4.55 % of the largest, as in the paper.
        """
        return math.sqrt(int((self.heat > THRESHOLD * self.heat.max()).sum()))


def effective_receptive_field(
    fn: Callable[[Array], Array],
    images: Float[Array, "N H W C"],
    *,
    seed: int = 0,
    directions: int = 1,
    measure: Measure = "absolute",
    unit: tuple[int, int] | None = None,
    batch: int = 8,
) -> EffectiveReceptiveField:
    r"""The heat map of a unit: the mean size of its gradient by each pixel.

    heat[r, c] = mean over images and directions d of sum over channels i of
    |derivative of (sum over f of d[f] maps[u, v, f]) by images[r, c, i]|

    A direction is a random sign for each feature, so that all features of the place count alike.
    With random weights the squared gradient estimates the variance of which the paper shows that
    it has the shape of a Gaussian; the absolute value falls off more slowly, by sqrt(2) in sigma.

    The Gaussian is fitted by least squares, from the moments of the map.

    Args:
        fn: From images to maps (N, h, w, F); images must not depend on one another in it.
        images: What it is shown.
        seed: Of the directions.
        directions: How many for each image.
        measure: "absolute" or "squared".
        unit: Row and column in the map; the middle when left out.
        batch: Images whose gradients are held in memory at once.

    Returns:
        Heat map and fit.

    Raises:
        ValueError: `fn` does not give maps, the unit lies outside them, no image, or no direction;
            or no pixel moves the unit.

    References:
        Luo, Li, Urtasun, Zemel 2016, Understanding the effective receptive field in deep
        convolutional neural networks.

    Example:
        >>> mean = lambda x: jax.lax.reduce_window(
        ...     x, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
        >>> found = effective_receptive_field(lambda x: mean(mean(x)), jnp.ones((1, 9, 9, 1)))
        >>> found.unit, found.heat[4, 2:7] * 81
        ((4, 4), array([3., 6., 9., 6., 3.], dtype=float32))
    """
    maps = jax.eval_shape(fn, images)
    if len(getattr(maps, "shape", ())) != 4 or images.shape[0] < 1 or directions < 1:
        raise ValueError(
            f"images of shape {images.shape} gave {maps}, {directions} direction(s): expected at "
            "least one image and one direction, and maps (N, h, w, F)"
        )
    size = maps.shape[1:3]
    row, column = (size[0] // 2, size[1] // 2) if unit is None else unit
    if not (0 <= row < size[0] and 0 <= column < size[1]):
        raise ValueError(f"unit {unit} of maps of {size[0]} rows and {size[1]} columns")

    @jax.jit
    def heat_of(images: Array, key: Array) -> Array:
        found, back = jax.vjp(fn, images)
        signs = jax.random.rademacher(key, (found.shape[0], found.shape[3]), found.dtype)
        (gradient,) = back(jnp.zeros_like(found).at[:, row, column, :].set(signs))
        moved = jnp.abs(gradient) if measure == "absolute" else jnp.square(gradient)
        # each image alone: one whose gradients are large is no better a witness
        each = moved.sum(axis=3)
        total = each.sum(axis=(1, 2), keepdims=True)
        return (each / jnp.where(total > 0, total, 1)).sum(axis=0)

    keys = jax.random.split(jax.random.key(seed), directions)
    heat = np.zeros(images.shape[1:3], np.float32)
    for start in range(0, images.shape[0], batch):
        for key in keys:
            part = images[start : start + batch]
            heat += np.asarray(heat_of(part, jax.random.fold_in(key, start)))
    if not heat.sum() > 0:
        raise ValueError(
            f"no pixel moves the unit {(row, column)}: its gradient is 0 for all {len(images)} "
            "images; show it more images, or ask for another unit"
        )
    heat = heat / heat.sum()
    return EffectiveReceptiveField(heat, (row, column), gaussian_fit(heat))


def gaussian_fit(heat: Float[np.ndarray, "H W"]) -> GaussianFit:
    r"""The Gaussian nearest to a heat map, by least squares.

    height exp(-(r - r0)^2 / (2 sigma_r^2) - (c - c0)^2 / (2 sigma_c^2))

    Args:
        heat: Numbers of at least 0, not all 0.

    Returns:
        Center, standard deviations and height. A map too narrow to tell (one pixel) keeps the
        standard deviations of its moments.

    Example:
        >>> place = np.arange(21.0)
        >>> down, right = np.exp(-((place - 9) ** 2) / 8), np.exp(-((place - 10) ** 2) / 32)
        >>> found = gaussian_fit(np.outer(down, right))
        >>> [round(each, 3) for each in (*found.center, *found.sigma, found.explained)]
        [9.0, 10.0, 2.0, 4.0, 1.0]
    """
    from scipy.optimize import curve_fit  # slow to import, and of use here alone

    heat = np.asarray(heat, np.float64)
    start = _moments(heat)
    rows, columns = np.indices(heat.shape, dtype=np.float64)
    if min(start[2:4]) < 0.1:  # a single pixel, row or column
        return _as_fit(heat, (*start, float(heat.max())))
    peak = float(heat.max())
    places = np.stack([rows.ravel(), columns.ravel()])
    bounds = ([-np.inf, -np.inf, 1e-3, 1e-3, 0], np.inf)
    found, _ = curve_fit(_gaussian, places, heat.ravel() / peak, (*start, 1.0), bounds=bounds)
    return _as_fit(heat, (*map(float, found[:4]), float(found[4]) * peak))


def _moments(heat: Float[np.ndarray, "H W"]) -> tuple[float, float, float, float]:
    """Center and standard deviations of a map taken as a density."""
    centers, sigmas = [], []
    for axis in (1, 0):
        density = heat.sum(axis=axis) / heat.sum()
        place = np.arange(len(density))
        center = float(density @ place)
        centers.append(center)
        sigmas.append(math.sqrt(max(float(density @ (place - center) ** 2), 0.0)))
    return centers[0], centers[1], sigmas[0], sigmas[1]


def _gaussian(
    places: np.ndarray, row: float, column: float, down: float, right: float, height: float
) -> np.ndarray:
    far = ((places[0] - row) / down) ** 2 + ((places[1] - column) / right) ** 2
    return height * np.exp(-far / 2)


def _as_fit(heat: np.ndarray, found: tuple[float, ...]) -> GaussianFit:
    row, column, down, right, height = found
    rows, columns = np.indices(heat.shape, dtype=np.float64)
    explained = 0.0
    if down > 0 and right > 0 and heat.std() > 0:
        left = heat - _gaussian(np.stack([rows, columns]), *found)
        explained = 1 - float((left**2).sum() / ((heat - heat.mean()) ** 2).sum())
    return GaussianFit((row, column), (down, right), height, explained)
