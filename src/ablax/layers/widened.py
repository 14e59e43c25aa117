"""The gradient of a kernel as one matrix product, of images and gradient laid beside themselves.

k'[a, b, i, f] = sum over n, r, c of x[n, S r + D a - P, S c + D b - P, i] y'[n, r, c, f]

Every tap (a, b) is a product of matrices whose long axis is all pixels. A sliding window meets a
pixel h w times, and XLA's CPU compiler copies it as often, in a slow loop. Here what the taps see
is laid out once, and one product has all kernel matrices, in one of three ways:

- by columns and rows: the w columns of a row of x beside each other (w C numbers a pixel), the h
  rows of a column of y' beside each other (h F numbers); their product has every tap once;
- by results: all taps of y' beside each other (h w F numbers), times x as it is;
- by taps: all taps of x beside each other (h w C numbers), times y' as it is; with a stride, too.

The one that lays out the fewest numbers is taken. A number is laid in its place by a choice between
shifted images (`jnp.where` on the number of the shift), one vector loop in XLA; `jnp.stack` takes
half as long again. A loop that also merges axes takes twice as long, and XLA would compute what
lies before the images, such as a normalization, once for every tap: hence the barriers.

Measured 2026-11-22 on 2 cores of an Intel Xeon, JAX 0.12.0.1, in a `lax.scan`, in ms, against the
convolution that JAX derives, its operands turned beforehand: 3x3, images of (128, 32, 32), 16 -> 16
features, 8.5 and 16; (128, 16, 16), 32 -> 32, 5.3 and 15; (32, 32, 32), 160 -> 12, 10 and 21;
stride 2, (128, 32, 32), 16 -> 32, 5.3 and 9.1; 11x11 with stride 4, (4, 227, 227), 3 -> 96, 12 and
24. `benchmarks/layers.py`, rows `convolution`, says when this file may be deleted: when the ratios
in the scan are 1 or less.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax

from ablax.layers.forms import Form, plain
from ablax.layers.turned import along_images
from ablax.layers.windows import Windows

PARTS = 4
"""The batch is cut into so many: XLA divides several products among the cores, but not one sum."""


def along_kernel(x: Array, kernel: Array, windows: Windows) -> Array:
    """A convolution whose transpose in `kernel` is a matrix product.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w C F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    h, w, channels, features = kernel.shape
    laid_out = {
        _by_columns_and_rows: w * channels + h * features,
        _by_results: h * w * features,
        by_taps: h * w * channels,
    }
    form = min(laid_out, key=laid_out.__getitem__) if windows.stride == (1, 1) else by_taps
    return lax.optimization_barrier(form(lax.optimization_barrier(x), kernel, windows))


def _by_columns_and_rows(x: Array, kernel: Array, windows: Windows) -> Array:
    """Each pixel's row of columns times all rows of the kernel; the rows' results are added."""
    h, w, channels, features = kernel.shape
    matrix = jnp.transpose(kernel, (1, 2, 0, 3)).reshape(w * channels, h * features)
    columns = _beside([_moved(x, 2, -place, windows.output[1]) for place in _places(windows, 1)])
    return _added(_product(columns, matrix), 1, windows)


def _by_results(x: Array, kernel: Array, windows: Windows) -> Array:
    """Each pixel times the kernels of all taps; the taps' results are added where they belong."""
    matrix = jnp.transpose(kernel, (2, 0, 1, 3)).reshape(kernel.shape[2], -1)
    return _added(_added(_product(x, matrix), 1, windows), 2, windows)


def by_taps(x: Array, kernel: Array, windows: Windows) -> Array:
    """A convolution of everything a window sees, as one row, with the kernel as one matrix.

    Args:
        x: Images (N H W C).
        kernel: Weights (h w C F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    (height, width), (down, right) = windows.output, windows.stride
    around = [(0, 0, 0), *((*sides, 0) for sides in windows.padding), (0, 0, 0)]
    x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), around))
    below, beside = (height - 1) * down + 1, (width - 1) * right + 1
    places = (range(0, n * d, d) for n, d in zip(windows.window, windows.dilation, strict=True))
    rows, columns = places
    x = _beside([x[:, :, column : column + beside : right] for column in columns])
    x = _beside([x[:, row : row + below : down] for row in rows])
    return _product(x, kernel.reshape(-1, kernel.shape[3]))


WIDENED = Form(plain, along_images, along_kernel)

LARGE_WINDOW = Form(by_taps, by_taps, along_kernel)
"""Of windows higher and wider than the image, where XLA falls back to a naive loop.

3x3 with padding on 512 maps of 2x2, batch 32: 240 ms so and 4 ms as a product.
"""


def _product(columns: Array, matrix: Array) -> Array:
    """(N H W A) times (A B), in parts of the batch that are multiplied side by side."""
    *places, wide = columns.shape
    parts = math.gcd(columns.shape[0], PARTS)
    each = jnp.broadcast_to(matrix, (parts, *matrix.shape))
    y = jnp.matmul(columns.reshape(parts, -1, wide), each)
    return y.reshape(*places, matrix.shape[1])


def _beside(images: Sequence[Array]) -> Array:
    """Images (N H W C) beside each other, pixel by pixel: (N H W number C), as (N H W A)."""
    number = lax.broadcasted_iota(jnp.int32, (len(images), 1), 0)
    *others, chosen = (image[..., None, :] for image in images)
    for place, image in reversed(list(enumerate(others))):
        chosen = jnp.where(number == place, image, chosen)
    return lax.optimization_barrier(chosen).reshape(*images[0].shape[:3], -1)


def _added(results: Array, axis: int, windows: Windows) -> Array:
    """The results of each tap along an axis (N H W taps F), moved to its place, and added.

    The transpose lays what the taps see beside each other, as `_beside` does.
    """
    places = _places(windows, axis - 1)
    results = results.reshape(*results.shape[:3], len(places), -1)
    results = lax.optimization_barrier(results)
    number = lax.broadcasted_iota(jnp.int32, (len(places), 1), 0)
    moved = []
    for tap, place in enumerate(places):
        own = jnp.where(number == tap, results, jnp.zeros((), results.dtype)).sum(axis=3)
        moved.append(_moved(own, axis, -place, windows.output[axis - 1]))
    return lax.optimization_barrier(functools.reduce(lax.add, moved))


def _places(windows: Windows, axis: int) -> list[int]:
    """Where the taps of the first window lie along an axis, -P to D (taps - 1) - P."""
    low, gap = windows.padding[axis][0], windows.dilation[axis]
    return [gap * tap - low for tap in range(windows.window[axis])]


def _moved(x: Array, axis: int, low: int, length: int) -> Array:
    """Moved by `low` along an axis, filled with zeros or cut off to a length."""
    sides = [(0, 0, 0)] * x.ndim
    sides[axis] = (low, length - x.shape[axis] - low, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), sides)
