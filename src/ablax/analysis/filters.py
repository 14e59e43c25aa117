"""Filters and feature maps laid out side by side, as arrays that can be shown as pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

BORDER = np.nan
"""What lies between the tiles; a picture leaves it blank."""


def first_kernel(leaves: Mapping[str, Any]) -> tuple[str, Float[np.ndarray, "h w I O"]]:
    """The kernel of the first convolution: the first leaf of four axes that is larger than 1 x 1.

    Args:
        leaves: Parameters by path, in the order of the network.

    Returns:
        Its path, such as `"conv1/conv/kernel"`, and the kernel.

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
    """Each tile stretched to [0, 1] on its own.

    Args:
        tiles: Filters or maps.
        signed: Keep 0 at 1/2, and divide by twice the largest size: a filter's sign can be seen.
            Else the least becomes 0 and the greatest 1.

    Example:
        >>> normalized(np.array([[-1.0, 0.0, 0.5]]), signed=True).tolist()
        [[0.0, 0.5, 0.75]]
        >>> normalized(np.array([[1.0, 2.0, 5.0]]), signed=False).tolist()
        [[0.0, 0.25, 1.0]]
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
    """Tiles in a grid, row by row, with blank lines between and blank tiles at the end.

    Args:
        tiles: Of one size.
        columns: How many a row; by default the grid is as square as the tiles allow.
        gap: Width of the lines, in pixels of the result.
        enlarge: Pixels of the result along each side of a number.

    Returns:
        One array; `BORDER` (NaN) where there is no tile.

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
    """The filters of a convolution, each stretched on its own about 0 (gray).

    A filter of three input channels is shown in their colors. Of any other number each input
    channel is a tile of its own: the filters are then rows, the input channels columns.

    Args:
        kernel: The weights.
        columns: Filters a row, where a filter is one tile.
        most: Show at most so many tiles: the first.

    Returns:
        Values in [0, 1], NaN between the tiles; C is 3 or 1.
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
    """The feature maps of one image, each stretched on its own from its least to its greatest.

    Args:
        maps: Of one layer.
        columns: Maps a row.
        most: Show at most so many: those of the largest variance over the places, in their order.

    Returns:
        Values in [0, 1], NaN between the tiles.
    """
    tiles = np.moveaxis(np.asarray(maps, np.float32), -1, 0)
    if len(tiles) > most:
        tiles = tiles[np.sort(np.argsort(-tiles.var((1, 2)), kind="stable")[:most])]
    tiles = normalized(tiles, signed=False)[..., None]
    height = tiles.shape[1]
    # a line of one pixel would be lost where large maps are shown small
    return mosaic(tiles, columns, gap=-(-height // 24), enlarge=_fine(height))
