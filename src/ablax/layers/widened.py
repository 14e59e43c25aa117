"""The gradient of a kernel as one matrix product, of images and gradient laid beside themselves.

k'[a, b, i, f] = sum over n, r, c of x[n, S r + D a - P, S c + D b - P, i] y'[n, r, c, f]

Every tap (a, b) is a product of matrices whose long axis is all pixels. A sliding window meets a
pixel h w times, and XLA's CPU compiler copies it as often, in a slow loop. Here what the taps see
is laid out once, and one product has all kernel matrices, in one of two ways:

- by columns and rows, with stride 1: the w columns of a row of x beside each other (w C numbers a
  pixel), the h rows of a column of y' beside each other (h F numbers); their product is
  (w C, h F), every tap once;
- by taps: all taps of x beside each other (h w C numbers a pixel of y'), times y' as it is.

The one that lays out fewer numbers is taken. A number is laid in its place by a choice between
shifted images (`jnp.where` on the number of the shift), one vector loop in XLA; `jnp.concatenate`
runs five times as long, and so does either when an axis is merged in the same loop: hence the
barriers, which also keep XLA from computing what lies before the images once for every tap.

Measured 2026-11-22 on 2 cores of an Intel Xeon, JAX 0.12.0.1, in a `lax.scan`, in ms, against the
convolution that JAX derives with its operands turned (what was here before): 3x3, images of (128,
32, 32), 16 -> 16 features, 8.5 and 16; (128, 16, 16), 32 -> 32, 5.3 and 15; (128, 8, 8), 64 -> 64,
5.4 and 8; stride 2, (128, 32, 32), 16 -> 32, 5.3 and 9.1; 11x11 with stride 4, (4, 227, 227), 3 ->
96, 12 and 24. A training step of ResNet-20 with batch 128: 348 and 477. `benchmarks/layers.py`,
rows `convolution`, says when this file may be deleted: when the ratios in the scan are 1 or less.
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
    by_columns = w * channels + h * features < h * w * channels
    form = _by_columns_and_rows if by_columns and windows.stride == (1, 1) else _by_taps
    return lax.optimization_barrier(form(lax.optimization_barrier(x), kernel, windows))


def _by_columns_and_rows(x: Array, kernel: Array, windows: Windows) -> Array:
    """Each pixel's row of columns times all rows of the kernel, then the rows' results are added.

    The transpose of the sum over rows lays the rows of the gradient beside each other.
    """
    h, w, channels, features = kernel.shape
    ((above, _), (left, _)), (down, right) = windows.padding, windows.dilation
    columns = _beside([_moved(x, 2, left - right * b, windows.output[1]) for b in range(w)])
    matrix = jnp.transpose(kernel, (1, 2, 0, 3)).reshape(w * channels, h * features)
    rows = _product(columns, matrix)
    rows = lax.optimization_barrier(rows.reshape(*rows.shape[:3], h, features))
    number = lax.broadcasted_iota(jnp.int32, (h, 1), 0)
    parts = []
    for a in range(h):
        row = jnp.where(number == a, rows, jnp.zeros((), rows.dtype)).sum(axis=3)
        parts.append(_moved(row, 1, above - down * a, windows.output[0]))
    return functools.reduce(lax.add, parts)


def _by_taps(x: Array, kernel: Array, windows: Windows) -> Array:
    """Everything a window sees, as one row, times the kernel as one matrix."""
    (height, width), (down, right) = windows.output, windows.stride
    around = [(0, 0, 0), *((*sides, 0) for sides in windows.padding), (0, 0, 0)]
    x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), around))
    below, beside = (height - 1) * down + 1, (width - 1) * right + 1
    taps = [
        x[:, row : row + below : down, column : column + beside : right]
        for row in range(0, kernel.shape[0] * windows.dilation[0], windows.dilation[0])
        for column in range(0, kernel.shape[1] * windows.dilation[1], windows.dilation[1])
    ]
    return _product(_beside(taps), kernel.reshape(-1, kernel.shape[3]))


WIDENED = Form(plain, along_images, along_kernel)


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


def _moved(x: Array, axis: int, low: int, length: int) -> Array:
    """Moved by `low` along an axis, filled with zeros or cut off to a length."""
    sides = [(0, 0, 0)] * x.ndim
    sides[axis] = (low, length - x.shape[axis] - low, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), sides)
