"""Convolution of each channel alone: the sum of the shifted images, each times a number a channel.

y[n, r, c, f] = sum over a, b of kernel[a, b, 0, f] x[n, S r + D a - P, S c + D b - P, f // M]

with M features a channel. Nothing is summed over channels, so this is no matrix product but a loop
over the image that reads it once a tap. XLA's CPU compiler makes such loops of sums of products,
where its own convolution takes a slow path. Each form below goes image by image in a `lax.map`: the
image stays in the cache, and nothing before or after is computed again for every tap.

Measured 2026-11-21 on 2 busy cores of an AMD EPYC, JAX 0.12.0.1: 3x3, 32 channels, images of (64,
32, 32): forward 31 ms plain and 1.7 ms so, gradient 63 and 18, in a `lax.scan` 2,868 and 17; with
stride 2, 64 channels, (64, 16, 16): gradient 52 and 2.3. `benchmarks/layers.py`, rows `convolution,
depthwise`, says when this file may be deleted: when the ratios are 1 or less.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from ablax.analysis.jax_versions import map_slices
from ablax.layers.forms import Form
from ablax.layers.windows import Pair, Windows

MOST_TAPS = 64
"""A window of more taps makes a long program: it is left to the form for groups."""

STRIPS = 8
"""At most so many products are summed for each place of a strip, in the gradient of the kernel."""


def value(x: Array, kernel: Array, windows: Windows) -> Array:
    """The sum of strided slices.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w 1 F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    weights = _weights(kernel)

    def one(image: Array) -> Array:
        products = map(jnp.multiply, _slices(image, windows), weights)
        return functools.reduce(lax.add, products).astype(x.dtype)

    return _each(one, x, kernel)


def along_images(x: Array, kernel: Array, windows: Windows) -> Array:
    """The image cut into S x S phases, each tap laid on a canvas where it belongs.

    The transpose of laying on a canvas is cutting out, so the gradient is a sum of slices again;
    that of a strided slice would be an image with holes, which XLA fills number by number.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w 1 F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    weights = _weights(kernel)
    rows, columns = (_taps(windows, axis) for axis in (0, 1))
    places = [(row, column) for row in rows for column in columns]
    reach = [
        (max(tap.place for tap in taps), min(tap.place for tap in taps)) for taps in (rows, columns)
    ]

    def one(image: Array) -> Array:
        phases = _phases(image.astype(weights.dtype), windows)
        parts = []
        for (row, column), weight in zip(places, weights, strict=True):
            sides = [
                (last - tap.place, tap.place - first)
                for tap, (last, first) in zip((row, column), reach, strict=True)
            ]
            parts.append(_pad(phases[row.phase][column.phase] * weight, sides))
        canvas = lax.optimization_barrier(functools.reduce(lax.add, parts))
        sides = [
            (-last, last + positions - size)
            for (last, _), positions, size in zip(reach, windows.output, canvas.shape, strict=False)
        ]
        return _pad(canvas, sides).astype(x.dtype)

    return _each(one, x, kernel)


def along_kernel(x: Array, kernel: Array, windows: Windows) -> Array:
    """The kernel spread over a strip of rows, which is laid on strip after strip of the image.

    The transpose of spreading is a sum over a strip, done once; that of the strips is a sum, for
    each place of a strip, over strips and images. So XLA adds whole rows of numbers to each other
    where it would reduce, number by number, to one sum a channel.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w 1 F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    height, width = windows.output
    strips = max(number for number in range(1, STRIPS + 1) if height % number == 0)
    weights = _weights(kernel)
    strip = (height // strips, width, kernel.shape[3])
    spread = lax.optimization_barrier([jnp.broadcast_to(weight, strip) for weight in weights])

    def one(image: Array) -> Array:
        cut = [jnp.split(tap, strips) for tap in _slices(image, windows)]
        sums = [
            functools.reduce(lax.add, map(jnp.multiply, taps, spread))
            for taps in zip(*cut, strict=True)
        ]
        return jnp.concatenate(sums).astype(x.dtype)

    return _each(one, x, kernel)


DEPTHWISE = Form(value, along_images, along_kernel)


def _weights(kernel: Array) -> Array:
    """The weights of one tap after the other, (h w, F), in float32 at least: they are summed so."""
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    return kernel.reshape(-1, kernel.shape[3]).astype(wide)


def _each(one: Callable[[Array], Array], x: Array, kernel: Array) -> Array:
    """A form for one image with a channel for each feature, on image after image.

    Of each image nothing but itself is kept for the way back.
    """
    x = jnp.repeat(x, kernel.shape[3] // x.shape[3], axis=3)
    return map_slices(jax.checkpoint(one, prevent_cse=False), x)


def _pad(image: Array, sides: Sequence[Pair]) -> Array:
    """Rows and columns of zeros around an image (H W F), or cut off where negative."""
    around = [*((low, high, 0) for low, high in sides), (0, 0, 0)]
    return lax.pad(image, jnp.zeros((), image.dtype), around)


def _slices(image: Array, windows: Windows) -> list[Array]:
    """What each tap sees of an image (H W F): (H2 W2 F).

    Behind the barrier the padded image is one array, which XLA does not pad again for every tap.
    """
    image = lax.optimization_barrier(_pad(image, windows.padding))
    (height, width), (down, right) = windows.output, windows.stride
    below, beside = (height - 1) * down + 1, (width - 1) * right + 1
    corners = [
        (row * windows.dilation[0], column * windows.dilation[1])
        for row in range(windows.window[0])
        for column in range(windows.window[1])
    ]
    return [
        image[row : row + below : down, column : column + beside : right] for row, column in corners
    ]


class _Tap(NamedTuple):
    """Where a tap meets an axis: x[S (r + place) + phase] for the position r of the window."""

    place: int
    phase: int


def _taps(windows: Windows, axis: int) -> list[_Tap]:
    (low, _), gap = windows.padding[axis], windows.dilation[axis]
    numbers = range(windows.window[axis])
    return [_Tap(*divmod(number * gap - low, windows.stride[axis])) for number in numbers]


def _phases(image: Array, windows: Windows) -> list[list[Array]]:
    """image[a::S, b::S] for all a and b, cut so that the transpose copies whole runs."""
    down, right = windows.stride
    image = _pad(
        image, [(0, -size % step) for size, step in zip(image.shape, (down, right), strict=False)]
    )
    h, w, f = image.shape
    rows = lax.split(image.reshape(h // down, down, w, f), (1,) * down, axis=1)
    return [
        list(lax.split(row.reshape(h // down, w // right, right * f), (f,) * right, axis=2))
        for row in rows
    ]
