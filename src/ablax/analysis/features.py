"""Feature maps in figures, and filters as pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

# ------------------------------------------------------------------------------------------
# Statistics of hidden units over samples: the features a healthy network should not have.
#
# The lecture asks that feature maps be sparse, uncorrelated and of high variance; units that ignore
# the input or move together mean bad training. Everything is summed up batch by batch, so the
# samples never lie in memory together.

SHARE_OF_RANGE = 0.01
"""A value is saturated within this share of the range from an end of it."""
CONSTANT = 1e-6
"""A unit ignores the input if its standard deviation is below this share of its largest value."""


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Of the units of one layer; a unit of a feature map has a value at each place.

    Shares, extremes and moments of each unit are over samples and places, which are rows times
    columns of the map, 1 for a vector.

    Attributes:
        small: Share of values no larger than `small_below` in size.
        saturated: Share of values near an end of the range; None where no range was given.
        variance: About the mean, divided by the count.
        correlated: The units whose correlations were measured, by number.
        correlation: Between them; NaN for units that are constant.
        responses: Of the first samples, at the place in the middle: rows are samples. (A mean over
            places would make the units of a healthy first layer look as if they ignored the input.)
    """

    samples: int
    places: int
    zeros: Float[np.ndarray, " units"]
    small: Float[np.ndarray, " units"]
    saturated: Float[np.ndarray, " units"] | None
    low: Float[np.ndarray, " units"]
    high: Float[np.ndarray, " units"]
    mean: Float[np.ndarray, " units"]
    variance: Float[np.ndarray, " units"]
    correlated: Int[np.ndarray, " shown"]
    correlation: Float[np.ndarray, "shown shown"]
    responses: Float[np.ndarray, "rows units"]
    small_below: float

    @property
    def units(self) -> int:
        """How many."""
        return len(self.mean)

    @property
    def dead(self) -> Bool[np.ndarray, " units"]:
        """Units that were 0 at every place of every sample."""
        return (self.low == 0) & (self.high == 0)

    @property
    def constant(self) -> Bool[np.ndarray, " units"]:
        """Units that ignore the input, the dead ones among them."""
        return _constant(self.low, self.high, self.variance)

    @property
    def sparsity(self) -> float:
        """The share of zeros of the whole layer."""
        return float(self.zeros.mean())

    @property
    def mean_correlation(self) -> float:
        """The mean size of the correlation of two units; NaN below two that are not constant."""
        above = np.abs(self.correlation[np.triu_indices(len(self.correlated), 1)])
        above = above[np.isfinite(above)]
        return float(above.mean()) if above.size else float("nan")

    @property
    def independent(self) -> float:
        """How many uncorrelated units would have as unequal a share of the variance.

        The participation ratio of the eigenvalues of the correlation matrix C of the n units that
        are not constant, n^2 / sum of C^2: n if they are uncorrelated, 1 if all move together.
        """
        kept, total = np.isfinite(np.diag(self.correlation)), np.nansum(self.correlation**2)
        return int(kept.sum()) ** 2 / float(total) if total else 0.0


def _constant(low: np.ndarray, high: np.ndarray, variance: np.ndarray) -> np.ndarray:
    return np.sqrt(variance) <= CONSTANT * np.maximum(np.abs(low), np.abs(high))


def evenly(count: int, most: int) -> Int[np.ndarray, " shown"]:
    """At most so many places below `count`, evenly from the first to the last: 0, 3, 6, 9 of 10."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


@dataclass
class _Running:
    """Statistics of one layer that grow batch by batch.

    The moments of two sets are merged by the mean of each (Chan, Golub, LeVeque 1983, Algorithms
    for computing the sample variance), in float64: no difference of large sums.
    """

    small_below: float
    bounds: tuple[float, float] | None
    most_correlated: int
    most_responses: int
    _samples: int = 0
    _count: int = 0
    _sums: dict[str, Any] = field(default_factory=dict)
    _responses: list[np.ndarray] = field(default_factory=list)
    _shape: tuple[int, ...] = ()

    def add(self, features: Any) -> None:
        values = np.asarray(features, np.float64)
        if values.ndim < 2 or not values.size:
            raise ValueError(
                f"features of shape {values.shape}: expected samples first and units last"
            )
        if self._shape and values.shape[1:] != self._shape:
            raise ValueError(
                f"features of shape {values.shape} after batches of {self._shape} a sample: "
                "expected the same layer and the same size of images"
            )
        if not np.isfinite(values).all():
            raise ValueError("the features hold a value that is not finite: the training diverged")
        first = not self._shape
        self._shape = values.shape[1:]
        wanted = self.most_responses - self._samples
        if wanted > 0:
            middle = tuple(length // 2 for length in values.shape[1:-1])
            self._responses.append(values[(slice(wanted), *middle)].astype(np.float32))
        self._samples += len(values)
        flat = values.reshape(-1, values.shape[-1])
        new = self._of_batch(flat)
        self._sums = new if first else self._merged(new, len(flat))
        self._count += len(flat)

    def _of_batch(self, flat: Float[np.ndarray, "values units"]) -> dict[str, Any]:
        mean = flat.mean(0)
        away = flat - mean
        some = away[:, evenly(flat.shape[1], self.most_correlated)]
        sums = {
            "zeros": (flat == 0).sum(0),
            "small": (np.abs(flat) <= self.small_below).sum(0),
            "low": flat.min(0),
            "high": flat.max(0),
            "mean": mean,
            "square": (away**2).sum(0),
            "product": some.T @ some,
        }
        if self.bounds is not None:
            low, high = self.bounds
            margin = SHARE_OF_RANGE * (high - low)
            sums["saturated"] = ((flat <= low + margin) | (flat >= high - margin)).sum(0)
        return sums

    def _merged(self, new: Mapping[str, Any], count: int) -> dict[str, Any]:
        old = self._sums
        total = self._count + count
        gap = new["mean"] - old["mean"]
        weight = self._count * count / total
        some = gap[evenly(len(gap), self.most_correlated)]
        merged = {
            "low": np.minimum(old["low"], new["low"]),
            "high": np.maximum(old["high"], new["high"]),
            "mean": old["mean"] + gap * (count / total),
            "square": old["square"] + new["square"] + weight * gap**2,
            "product": old["product"] + new["product"] + weight * np.outer(some, some),
        }
        counts = {k: old[k] + new[k] for k in ("zeros", "small", "saturated") if k in old}
        return merged | counts

    def result(self) -> FeatureStatistics:
        """The statistics of all batches so far, at least one."""
        sums, count = self._sums, self._count
        chosen = evenly(len(sums["mean"]), self.most_correlated)
        variance = sums["square"] / count
        # the correlation of a constant is one of its rounding errors
        constant = _constant(sums["low"], sums["high"], variance)
        deviation = np.where(constant, np.nan, np.sqrt(variance))[chosen]
        return FeatureStatistics(
            samples=self._samples,
            places=count // self._samples,
            zeros=sums["zeros"] / count,
            small=sums["small"] / count,
            saturated=sums["saturated"] / count if self.bounds is not None else None,
            low=sums["low"],
            high=sums["high"],
            mean=sums["mean"],
            variance=variance,
            correlated=chosen,
            correlation=sums["product"] / count / np.outer(deviation, deviation),
            responses=np.concatenate(self._responses),
            small_below=self.small_below,
        )


def feature_statistics(
    fn: Callable[[Any], Mapping[str, Any]],
    batches: Iterable[Any],
    *,
    small_below: float = 1e-3,
    bounds: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
    most_correlated: int = 512,
    most_responses: int = 256,
) -> dict[str, FeatureStatistics]:
    """The statistics of each layer over all batches of images.

    Each batch, of any size, is let go before the next. That they tell bad training is a hint of
    Ranzato 2014, Large-scale visual recognition with deep learning (CVPR tutorial), as the lecture
    quotes it.

    Args:
        fn: From a batch to the features of each layer by name, (N, ..., units).
        small_below: Values of at most this size are small.
        bounds: The ends of the nonlinearity's range, such as (-1, 1) for tanh; for all layers or
            by name.
        most_correlated: Units, spread over all of them, whose correlations are measured.
        most_responses: Samples to which responses are kept.

    Raises:
        ValueError: There is no batch, a value is not finite, a layer changed its shape, or its
            features have no axis of samples and one of units.

    Example:
        >>> images = np.random.default_rng(0).normal(size=(64, 8))
        >>> found = feature_statistics(lambda x: {"relu": np.maximum(x, 0)}, [images])
        >>> round(found["relu"].sparsity, 1), int(found["relu"].dead.sum())
        (0.5, 0)
    """
    running: dict[str, _Running] = {}
    for images in batches:
        for layer, values in fn(images).items():
            if layer not in running:
                ends = bounds.get(layer) if isinstance(bounds, Mapping) else bounds
                running[layer] = _Running(small_below, ends, most_correlated, most_responses)
            running[layer].add(values)
    if not running:
        raise ValueError("there is no batch of images: expected at least one")
    return {layer: each.result() for layer, each in running.items()}


BORDER = np.nan
"""What lies between the tiles; a picture leaves it blank."""


def first_kernel(leaves: Mapping[str, Any]) -> tuple[str, Float[np.ndarray, "h w I O"]]:
    """Path and kernel of the first convolution: the first leaf of four axes larger than 1 x 1.

    Raises:
        ValueError: There is no such leaf.

    Example:
        >>> first_kernel({"bn/scale": np.ones(1), "conv1/kernel": np.ones((3, 3, 1, 4))})[0]
        'conv1/kernel'
    """
    for path, leaf in leaves.items():
        if np.ndim(leaf) == 4 and max(leaf.shape[:2]) > 1:
            return path, np.asarray(leaf, np.float32)
    raise ValueError("no leaf has four axes (h, w, I, O): the network holds no such convolution")


def normalized(
    tiles: Float[np.ndarray, "tiles *axes"], signed: bool
) -> Float[np.ndarray, "tiles *axes"]:
    """Each tile stretched to [0, 1] on its own: the least becomes 0 and the greatest 1.

    A signed one keeps 0 at 1/2 and is divided by twice its largest size, so that a filter's sign
    can be seen.

    Example:
        >>> normalized(np.array([[-1.0, 0.0, 0.5]]), signed=True).tolist()
        [[0.0, 0.5, 0.75]]
    """
    axes = tuple(range(1, tiles.ndim))
    if signed:
        largest = np.abs(tiles).max(axes, keepdims=True)
        return 0.5 + tiles / np.where(largest > 0, 2 * largest, 1)
    low, high = tiles.min(axes, keepdims=True), tiles.max(axes, keepdims=True)
    return (tiles - low) / np.where(high > low, high - low, 1)


def mosaic(
    tiles: Float[np.ndarray, "tiles h w C"],
    columns: int | None = None,
    gap: int = 1,
    enlarge: int = 1,
) -> Float[np.ndarray, "H W C"]:
    """Tiles of one size in a grid, row by row; `BORDER` (NaN) lies between and behind the last.

    By default there are as many columns as make the grid square. The gap is in pixels of the
    result, of which each number is enlarged to a square.

    Raises:
        ValueError: No tile, or no column.

    Example:
        >>> mosaic(np.ones((3, 2, 2, 1)), columns=2)[..., 0].shape
        (5, 5)
    """
    count, height, width, channels = tiles.shape
    if not count or (columns is not None and columns < 1) or gap < 0 or enlarge < 1:
        raise ValueError(
            f"{count} tiles in {columns} columns, gap {gap}, enlarge {enlarge}: expected at least "
            "one tile and column, no gap below 0, and to enlarge by 1 or more"
        )
    tiles = tiles.repeat(enlarge, 1).repeat(enlarge, 2)
    height, width = height * enlarge, width * enlarge
    if columns is None:
        columns = min(count, math.ceil(math.sqrt(count * height / width)))
    rows = math.ceil(count / columns)
    down, across = height + gap, width + gap
    whole = np.full((rows * down - gap, columns * across - gap, channels), BORDER, np.float32)
    for number, tile in enumerate(tiles):
        top, left = number // columns * down, number % columns * across
        whole[top : top + height, left : left + width] = tile
    return whole


def filter_mosaic(
    kernel: Float[np.ndarray, "h w I O"], columns: int | None = None, most: int = 256
) -> Float[np.ndarray, "H W C"]:
    """The filters of a convolution, each stretched on its own about 0 (gray), in [0, 1].

    A filter of three input channels is shown in their colors. Of any other number each input
    channel is a tile of its own: the filters are then rows, the input channels columns. The first
    `most` tiles are shown, so many `columns` a row where a filter is one tile.
    """
    filters = np.moveaxis(np.asarray(kernel, np.float32), -1, 0)
    _, height, width, inputs = filters.shape
    filters = normalized(filters, signed=True)
    if inputs in (1, 3):
        return mosaic(filters[:most], columns, enlarge=_fine(height))
    shown = min(inputs, math.isqrt(most))
    filters = filters[: max(1, most // shown), ..., :shown]
    tiles = np.moveaxis(filters, -1, 1).reshape(-1, height, width, 1)
    return mosaic(tiles, shown, enlarge=_fine(height))


def _fine(height: int) -> int:
    """So that a line between small tiles is thin beside them."""
    return -(-16 // height)


def map_mosaic(
    maps: Float[np.ndarray, "h w units"], columns: int | None = None, most: int = 64
) -> Float[np.ndarray, "H W 1"]:
    """The feature maps of one image, each stretched on its own to [0, 1], so many `columns` a row.

    Of more than `most` those of the largest variance over the places are shown, in their order.
    """
    tiles = np.moveaxis(np.asarray(maps, np.float32), -1, 0)
    if len(tiles) > most:
        tiles = tiles[np.sort(np.argsort(-tiles.var((1, 2)), kind="stable")[:most])]
    tiles = normalized(tiles, signed=False)[..., None]
    height = tiles.shape[1]
    # a line of one pixel would be lost where large maps are shown small
    return mosaic(tiles, columns, gap=-(-height // 24), enlarge=_fine(height))
