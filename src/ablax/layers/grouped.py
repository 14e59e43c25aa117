"""Convolution in groups, as some dense convolutions of neighboring groups.

A dense convolution is fast on a CPU from about 16 channels on; XLA's grouped one is not, and its
gradients less so. So neighboring groups are merged until a block has 16 channels: its kernel is
block-diagonal, zero where an input belongs to another group. The zeros are multiplied too, 4 times
the products for groups of 4 channels, which costs less than narrow convolutions do.

Up to 8 blocks are written one after the other, which runs fastest; more run in a loop, whose
program does not grow with their number.

Measured 2026-11-21 on 2 busy cores of an AMD EPYC, JAX 0.12.0.1, gradient: 8 groups of 4 channels,
images of (16, 16, 16), 121 ms plain and 2.9 ms so; 32 groups of 4, (16, 8, 8), 400 and 2.3; 1x1 in
4 groups of 16, (32, 16, 16), 34 and 2.4. `benchmarks/layers.py`, rows `convolution, ... groups`,
says when this file may be deleted: when the ratios are 1 or less.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array

from ablax.analysis.jax_versions import map_slices
from ablax.layers.forms import Bilinear, Form
from ablax.layers.pointwise import POINTWISE
from ablax.layers.widened import WIDENED
from ablax.layers.windows import Windows

WIDE = 16
"""Neighboring groups are merged until a block has so many channels or features."""

FEW = 8
"""Up to so many blocks are written one after the other."""


def by_blocks(one: Bilinear, x: Array, kernel: Array, windows: Windows) -> Array:
    """A convolution in groups as dense convolutions.

    Args:
        one: How a dense convolution is written.
        x: Images (N H W C).
        kernel: Weights (h w C/G F).
        windows: Where the windows lie.

    Returns:
        (N H2 W2 F).
    """
    groups = x.shape[3] // kernel.shape[2]
    blocks = number_of_blocks(x.shape[3], kernel.shape[3], groups)
    kernel = block_diagonal(kernel, groups, blocks)
    if blocks <= FEW:
        pairs = zip(jnp.split(x, blocks, axis=3), jnp.split(kernel, blocks, axis=3), strict=True)
        return jnp.concatenate([one(*pair, windows) for pair in pairs], axis=3)

    def block(pair: tuple[Array, Array]) -> Array:
        return one(*pair, windows)

    each = _blocks_first(x, blocks), _blocks_first(kernel, blocks)
    y = map_slices(jax.checkpoint(block, prevent_cse=False), each)
    return jnp.moveaxis(y, 0, 3).reshape(*y.shape[1:4], kernel.shape[3])


def number_of_blocks(channels: int, features: int, groups: int) -> int:
    """The most blocks of whole groups that are at least `WIDE`; one when there are none.

    Args:
        channels: Number of channels, which the groups divide.
        features: Number of features, which the groups divide.
        groups: Number of groups.

    Returns:
        A divisor of `groups`.

    Example:
        >>> number_of_blocks(128, 128, 32), number_of_blocks(512, 512, 8), number_of_blocks(6, 6, 2)
        (8, 8, 1)
    """
    wide = max(channels, features)
    fit = [n for n in range(1, groups + 1) if groups % n == 0 and wide // n >= WIDE]
    return max(fit, default=1)


def block_diagonal(kernel: Array, groups: int, blocks: int) -> Array:
    """The kernels of `blocks` dense convolutions, side by side.

    Args:
        kernel: Weights (h w C/G F) of a convolution in G groups.
        groups: G.
        blocks: A divisor of G.

    Returns:
        (h w C/blocks F), zero where a feature does not see a channel.

    Example:
        >>> block_diagonal(jnp.array([[1, 2, 3, 4]]).reshape(1, 1, 1, 4), groups=4, blocks=2)[0, 0]
        Array([[1, 0, 3, 0],
               [0, 2, 0, 4]], dtype=int32)
    """
    inputs, features = kernel.shape[2:]
    merged = groups // blocks
    rows = jnp.arange(merged * inputs) // inputs
    columns = jnp.arange(features) // (features // groups) % merged
    own = rows[:, None] == columns
    return jnp.where(own, jnp.tile(kernel, (1, 1, merged, 1)), jnp.zeros((), kernel.dtype))


def _blocks_first(x: Array, blocks: int) -> Array:
    split = x.reshape(*x.shape[:3], blocks, x.shape[3] // blocks)
    return jnp.moveaxis(split, 3, 0)


def _grouped(form: Form) -> Form:
    return Form(*(functools.partial(by_blocks, one) for one in form))


GROUPED = _grouped(WIDENED)
GROUPED_POINTWISE = _grouped(POINTWISE)
