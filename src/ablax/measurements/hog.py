"""Histograms of oriented gradients: features made by hand, as before they were learned."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

BINS = 9
"""Directions from 0 to 180 degrees; light to dark and dark to light are one."""
_CLIP = 0.2


def oriented_gradients(
    images: UInt8[np.ndarray, "N H W channels"], cell: int = 4
) -> Float[np.ndarray, "N blocks features"]:
    """The descriptor of each block of 2 x 2 cells: 4 histograms of 9 directions, in [0, 1].

    The gradient is that of central differences, in the channel where it is longest. Its length is
    voted into the two nearest directions of its cell, of `cell` x `cell` pixels; pixels that fill
    no cell are left out. Blocks overlap by half; each is divided by its length, cut at 0.2, and
    divided again.

    Dalal, Triggs 2005, Histograms of oriented gradients for human detection, section 6; their cells
    have 8 x 8 pixels, of images of 64 x 128.

    Example:
        >>> edge = np.zeros((1, 8, 8, 1), np.uint8)
        >>> edge[:, :, 4:] = 255  # it rises to the right: direction 0, between two bins
        >>> np.flatnonzero(oriented_gradients(edge)[0, 0, :9]).tolist()
        [0, 8]
    """
    levels = images.astype(np.float32) / np.float32(255)
    padded = np.pad(levels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    right = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    lengths = np.hypot(down, right)
    longest = lengths.argmax(axis=-1, keepdims=True)
    down, right, lengths = (
        np.take_along_axis(each, longest, axis=-1)[..., 0] for each in (down, right, lengths)
    )
    place = np.mod(np.arctan2(down, right), np.pi) / np.pi * BINS - 0.5
    lower = np.floor(place)
    upper_share = place - lower
    count, rows, columns = len(images), images.shape[1] // cell, images.shape[2] // cell
    cells = np.zeros((count, rows, columns, BINS), np.float32)
    for bins, share in ((lower, 1 - upper_share), (lower + 1, upper_share)):
        for number in range(BINS):
            votes = np.where(np.mod(bins, BINS) == number, share * lengths, 0)
            votes = votes[:, : rows * cell, : columns * cell]
            cells[..., number] += votes.reshape(count, rows, cell, columns, cell).sum(axis=(2, 4))
    corners = (cells[:, :-1, :-1], cells[:, :-1, 1:], cells[:, 1:, :-1], cells[:, 1:, 1:])
    blocks = np.concatenate(corners, axis=-1).reshape(count, -1, 4 * BINS)
    return _of_length_1(np.minimum(_of_length_1(blocks), _CLIP))


def _of_length_1(blocks: Float[np.ndarray, "N B F"]) -> Float[np.ndarray, "N B F"]:
    return blocks / np.sqrt(np.square(blocks).sum(axis=-1, keepdims=True) + 1e-10)
