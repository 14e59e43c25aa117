"""Patches: what each position of a sliding window sees, laid out for a matrix product."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from ablax.layers.windows import Windows


def patches(x: Float[Array, "N H W C"], windows: Windows) -> Float[Array, "H2 W2 N hwC"]:
    """What each position of a window sees, one row an image: positions first, channels last.

    p[r, c, n, (a, b, i)] = x[n, S r + D a - P, S c + D b - P, i], 0 outside the image.

    The taps of a window follow each other row by row, each with all its channels, as in a kernel
    (h, w, C, F) reshaped to (h w C, F).

    Args:
        x: Images.
        windows: Where the windows lie.

    Returns:
        The patches. With the positions in front every tap is a slice of whole runs of N C numbers,
        and a product with weights of each position's own needs no transposition.

    Example:
        >>> from ablax.layers.windows import place
        >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
        >>> patches(x, place("patches", x.shape, 2, 1, "VALID"))[0, :, 0]
        Array([[0., 1., 3., 4.],
               [1., 2., 4., 5.]], dtype=float32)
    """
    none = (0, 0)
    high = jnp.pad(x.transpose(1, 2, 0, 3), (*windows.padding, none, none))
    rows, columns = (
        [range(tap * gap, tap * gap + (places - 1) * step + 1, step) for tap in range(taps)]
        for taps, gap, places, step in zip(
            windows.window, windows.dilation, windows.output, windows.stride, strict=True
        )
    )
    seen = [
        lax.slice(
            high,
            (row.start, column.start, 0, 0),
            (row.stop, column.stop, *high.shape[2:]),
            (row.step, column.step, 1, 1),
        )
        for row in rows
        for column in columns
    ]
    return jnp.concatenate(seen, axis=3)
