"""Parameters and multiply-accumulates by hand, from a paper's table: no network is built here."""

from __future__ import annotations

from typing import NamedTuple


class Count(NamedTuple):
    """Numbers learned, and multiply-accumulates for one image."""

    parameters: int
    macs: int

    def __add__(self, other):  # of counts, not of tuples
        return Count(self.parameters + other.parameters, self.macs + other.macs)

    def __mul__(self, times):
        return Count(self.parameters * times, self.macs * times)


NOTHING = Count(0, 0)


def conv(inputs, features, window, size, *, groups=1, bias=False, norm=True):
    """A convolution with `size` x `size` results; with its batch normalization unless told.

    Args:
        inputs: Channels it sees.
        features: Channels it gives.
        window: Side of its window, or (height, width).
        size: Side of its result, or (height, width).
        groups: Number of groups.
        bias: Whether it has one bias a feature.
        norm: Whether a batch normalization (two numbers a feature) follows.
    """
    height, width = window if isinstance(window, tuple) else (window, window)
    rows, columns = size if isinstance(size, tuple) else (size, size)
    weights = height * width * (inputs // groups) * features
    return Count(weights + features * (bias + 2 * norm), weights * rows * columns)


def norm(channels):
    """The scale and the bias of a batch normalization."""
    return Count(2 * channels, 0)


def dense(inputs, features, *, bias=True):
    """A fully connected layer."""
    return Count(inputs * features + features * bias, inputs * features)


def total(counts):
    """The sum."""
    result = NOTHING
    for count in counts:
        result = result + count
    return result
