"""The largest number of each window, with a gradient that goes to the first of several.

XLA's derivative of a maximum over windows, select-and-scatter, obeys this rule everywhere but is
slow on a CPU. There it is a loop in C++ (`native_pool`) or, where that cannot be had, two passes of
strided slices, along the rows and then down the columns: the first maximum of a window, row by row,
is the first column of the first row that holds it. Each pass keeps the index of the tap it took,
and its derivative picks that tap. On other platforms XLA's own primitive runs.

The passes were measured 2026-11-21 on 2 cores of an AMD EPYC, value and gradient of a 3x3/2 pool of
(128, 32, 32, 32): 160 ms plain and 16 ms so on JAX 0.12.0.1, 88 and 11 ms on 0.10.2 (the machine
was busy: 47 and 4.7 ms on 0.12.0.1 in a quieter hour); in a `lax.scan` 9.5 and 5.5 times faster.
`benchmarks/layers.py`, rows `max pool`, says when this file may be deleted: when the ratio in the
scan is 1 or less.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax

from ablax.layers import native_pool
from ablax.layers.windows import Pair, Windows


def plain(x: Array, windows: Windows) -> Array:
    """The maximum over windows as one XLA primitive."""
    return lax.reduce_window(
        x,
        -jnp.inf,
        lax.max,
        (1, *windows.window, 1),
        (1, *windows.stride, 1),
        ((0, 0), *windows.padding, (0, 0)),
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def first_maximum(x: Array, windows: Windows) -> Array:
    """The maximum over windows; its derivative is that of the first maximum, row by row.

    Args:
        x: (N, H, W, C).
        windows: Where the windows lie.

    Returns:
        (N, H2, W2, C).
    """
    if native_pool.usable(x, windows):
        on_cpu = functools.partial(native_pool.maximum, windows=windows)
        elsewhere = functools.partial(plain, windows=windows)
        return lax.platform_dependent(x, cpu=on_cpu, default=elsewhere)
    return plain(x, windows)


@first_maximum.defjvp
def _first_maximum_jvp(
    windows: Windows, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    def on_cpu(x: Array, dx: Array) -> tuple[Array, Array]:
        if native_pool.usable(x, windows):
            return native_pool.maximum_and_tangent(x, dx, windows)
        for axis in (2, 1):
            x, dx = _along(x, dx, axis, windows)
        return x, dx

    def elsewhere(x: Array, dx: Array) -> tuple[Array, Array]:
        return jax.jvp(lambda x: plain(x, windows), (x,), (dx,))

    return lax.platform_dependent(*primals, *tangents, cpu=on_cpu, default=elsewhere)


def _along(x: Array, dx: Array, axis: int, windows: Windows) -> tuple[Array, Array]:
    """One pass: the maximum along one axis, and the tangent of the tap that is the first one."""
    where = (windows.window[axis - 1], windows.stride[axis - 1], windows.padding[axis - 1])
    xs = strided(x, axis, *where, fill=-jnp.inf)
    y, tap = xs[0], jnp.zeros(xs[0].shape, jnp.int32 if len(xs) > 127 else jnp.int8)
    for number, candidate in enumerate(xs[1:], 1):
        # A NaN wins and stays, as it does in lax.max.
        wins = (candidate > y) | (jnp.isnan(candidate) & ~jnp.isnan(y))
        y = jnp.where(wins, candidate, y)
        tap = jnp.where(wins, jnp.asarray(number, tap.dtype), tap)
    # Without the barrier XLA looks for the maximum again for every tap of the gradient.
    y, tap = lax.optimization_barrier((y, tap))
    dy = jnp.zeros_like(y)
    for number, candidate in enumerate(taps(dx, axis, *where, fill=0.0)):
        dy = dy + jnp.where(tap == number, candidate, jnp.zeros((), dy.dtype))
    # On the way back what comes from behind is computed once, not for every tap.
    return y, lax.optimization_barrier(dy)


def strided(x: Array, axis: int, window: int, stride: int, sides: Pair, fill: float) -> list[Array]:
    """What each tap of a window sees along one axis, as strided slices: fast as a value.

    Args:
        x: (N, H, W, C).
        axis: 1 for rows, 2 for columns.
        window: Number of taps.
        stride: Step of the window.
        sides: Padding before and behind; negative behind cuts off.
        fill: What the padding holds.

    Returns:
        One array a tap.
    """
    padded = _pad(x, axis, sides, fill)
    reach = (padded.shape[axis] - window) // stride * stride + 1
    return [lax.slice_in_dim(padded, tap, tap + reach, stride, axis=axis) for tap in range(window)]


def taps(x: Array, axis: int, window: int, stride: int, sides: Pair, fill: float) -> list[Array]:
    """What `strided` gives, by splitting the axis into `stride` phases: fast as a gradient.

    The transpose of a strided slice is a pad with holes, which XLA evaluates element by element;
    that of a split is a concatenation, which it copies.

    Args:
        x: (N, H, W, C).
        axis: 1 for rows, 2 for columns.
        window: Number of taps.
        stride: Step of the window.
        sides: Padding before and behind; negative behind cuts off.
        fill: What the padding holds.

    Returns:
        One array a tap.
    """
    size, channels = x.shape[axis], x.shape[3]
    positions = (size + sum(sides) - window) // stride + 1
    length = positions + (window - 1) // stride
    x = _pad(x, axis, (sides[0], length * stride - size - sides[0]), fill)
    n, h, w, _ = x.shape
    if stride == 1:
        phases: Sequence[Array] = [x]
    elif axis == 2:
        # Beside each other in the channels, so that whole runs are copied.
        phases = lax.split(x.reshape(n, h, length, stride * channels), (channels,) * stride, axis=3)
    else:
        rows = lax.split(x.reshape(n, length, stride, w, channels), (1,) * stride, axis=2)
        phases = [row.reshape(n, length, w, channels) for row in rows]
    return [
        lax.slice_in_dim(phases[tap % stride], tap // stride, tap // stride + positions, axis=axis)
        for tap in range(window)
    ]


def _pad(x: Array, axis: int, sides: Pair, fill: float) -> Array:
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (*sides, 0)
    return lax.pad(x, jnp.asarray(fill, x.dtype), config)
