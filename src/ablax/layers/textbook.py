"""Definitions as the lectures write them: sums, matrices, and Jarrett's stage."""

from __future__ import annotations

import math
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float

from ablax.core.network import Sequential, sequential
from ablax.layers.activation import Absolute, Tanh
from ablax.layers.convolution import Convolution, check_kernel
from ablax.layers.dense import Scale
from ablax.layers.initializers import LECUN_NORMAL
from ablax.layers.normalization import LocalContrastNormalization
from ablax.layers.pooling import AveragePool
from ablax.layers.windows import (
    FieldError,
    Padding,
    Pair,
    ShapeError,
    Windows,
    place,
    positive,
    promoted,
    takes,
)
from ablax.layers.xla_convolution import block_diagonal, patches

# Convolution as a product with a matrix: one large sparse one, or a small one with patches.
#
# Both are ways to see a convolution, for small sizes; `ablax.layers.convolution` computes it.


@takes("...")
def convolution_matrix(
    kernel: Float[Array, "h w i F"],
    image_shape: tuple[int, int, int],
    *,
    stride: int | Pair = 1,
    padding: Padding = "SAME",
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Float[Array, "H2W2F HWC"]:
    """The matrix M of a convolution: vec(convolution(x, kernel)) = M vec(x).

    vec lays an image out row by row, channels last, as `Flatten` does. M[(r, c, f), (p, q, i)] =
    kernel[a, b, i, f] where p = S r + D a - P and q = S c + D b - P, and 0 elsewhere: each row is
    one position of the kernel. With stride 1, one channel and one feature it is Toeplitz in one
    dimension (constant along its diagonals), and a Toeplitz arrangement of Toeplitz blocks in two.
    Its transpose takes the gradient of the output to that of the input.

    It has (H2 W2 F) (H W C) entries, most of them 0: for small sizes.

    `image_shape` is (H, W, C); the other arguments and refusals are those of `convolution`.

    Example:
        >>> kernel = jnp.array([1.0, 2, 3]).reshape(1, 3, 1, 1)
        >>> convolution_matrix(kernel, (1, 5, 1), padding="VALID")
        Array([[1., 2., 3., 0., 0.],
               [0., 1., 2., 3., 0.],
               [0., 0., 1., 2., 3.]], dtype=float32)
    """
    shape = (1, *image_shape)
    check_kernel("convolution_matrix", shape, kernel, groups)
    window = kernel.shape[0], kernel.shape[1]
    windows = place("convolution_matrix", shape, window, stride, padding, dilation)
    down, right = (_meets(*along) for along in zip(image_shape[:2], *windows, strict=True))
    matrix = jnp.einsum(
        "rpa,cqb,abif->rcfpqi",
        jnp.asarray(down, kernel.dtype),
        jnp.asarray(right, kernel.dtype),
        block_diagonal(kernel, groups, blocks=1),
    )
    return matrix.reshape(-1, math.prod(image_shape))


@takes("...")
def filter_matrix(kernel: Float[Array, "h w C F"]) -> Float[Array, "F hwC"]:
    """The kernels as the rows of a matrix: a feature a row, its taps row by row, channels last.

    Example:
        >>> filter_matrix(jnp.arange(8.0).reshape(1, 2, 2, 2))
        Array([[0., 2., 4., 6.],
               [1., 3., 5., 7.]], dtype=float32)
    """
    return kernel.reshape(-1, kernel.shape[3]).T


@takes("N H W C")
def input_matrix(
    x: Float[Array, "N H W C"],
    window: int | Pair,
    *,
    stride: int | Pair = 1,
    padding: Padding = "SAME",
    dilation: int | Pair = 1,
) -> Float[Array, "N hwC H2W2"]:
    """What the kernel sees as the columns of a matrix: one column per position ("im2col").

    Every number of the image stands in it as often as a tap of the kernel meets it. A stride takes
    columns out of the matrix of stride 1, a dilation takes the rows of the holes out of the matrix
    of a kernel with holes.

    The arguments and refusals are those of `convolution`; the rows are ordered as the columns of
    `filter_matrix` (L2, "Channel And Space": matrix create, Toeplitz style).

    Example:
        >>> input_matrix(jnp.arange(4.0).reshape(1, 1, 4, 1), (1, 2), padding="VALID")[0]
        Array([[0., 1., 2.],
               [1., 2., 3.]], dtype=float32)
    """
    return _input_matrix(x, place("input_matrix", x.shape, window, stride, padding, dilation))


@takes("N H W C")
def convolution_by_product(
    x: Float[Array, "N H W C"],
    kernel: Float[Array, "h w i F"],
    *,
    stride: int | Pair = 1,
    padding: Padding = "SAME",
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Float[Array, "N H2 W2 F"]:
    """`convolution` as L2 draws it: output = filter matrix x input matrix, one pair a group.

    The arguments and refusals are those of `convolution` (L2, "Channel And Space").

    Example:
        >>> x, kernel = jnp.arange(4.0).reshape(1, 1, 4, 1), jnp.array([[10.0, 1]])
        >>> convolution_by_product(x, kernel.reshape(1, 2, 1, 1), padding="VALID")[0, 0, :, 0]
        Array([ 1., 12., 23.], dtype=float32)
    """
    check_kernel("convolution_by_product", x.shape, kernel, groups)
    window = kernel.shape[0], kernel.shape[1]
    windows = place("convolution_by_product", x.shape, window, stride, padding, dilation)
    x, kernel = promoted(x, kernel)
    outputs = [
        filter_matrix(own) @ _input_matrix(seen, windows)
        for seen, own in zip(
            jnp.split(x, groups, axis=3), jnp.split(kernel, groups, axis=3), strict=True
        )
    ]
    maps = jnp.concatenate(outputs, axis=1)
    return maps.reshape(*maps.shape[:2], *windows.output).transpose(0, 2, 3, 1)


def _input_matrix(x: Array, windows: Windows) -> Array:
    seen = patches(x, windows).transpose(2, 3, 0, 1)
    return seen.reshape(*seen.shape[:2], -1)


def _meets(
    size: int, taps: int, stride: int, sides: Pair, gap: int, positions: int
) -> Bool[np.ndarray, "positions size taps"]:
    """Whether position r sees pixel p with tap a, along one axis."""
    starts = np.arange(positions) * stride - sides[0]
    seen = starts[:, None] + np.arange(taps) * gap
    return seen[:, None, :] == np.arange(size)[:, None]


# Convolution as mathematics has it, with a flipped kernel, beside cross-correlation. Networks slide
# the kernel unflipped (`ablax.layers.convolution`): a learned kernel does not mind. The functions
# here take a signal, an image or a volume, without channels.

Mode = Literal["valid", "same", "full"]


@takes("...")
def discrete_convolution(
    x: Float[Array, "*d"], kernel: Float[Array, "*k"], mode: Mode = "valid"
) -> Float[Array, "*d2"]:
    """Slide a flipped kernel over a signal and sum the products.

    y[t] = sum over tau of x[t - tau] k[tau], in two dimensions
    y[s, t] = sum over sigma, tau of x[s - sigma, t - tau] k[sigma, tau], and so on.

    x is 0 outside. With d elements and a kernel of k, the sum has d + k - 1 places where any tap
    meets x ("full"), d - k + 1 where all taps do ("valid"); "same" is the middle d of "full", one
    nearer the start where the middle is not whole. x and kernel have equally many axes.

    L0, "Discrete Convolution"; L3, "Convolutional Layers", d - k + 1. L0 indexes x forward and the
    kernel backward from its last tap r: the "valid" places of the same sum.

    Raises:
        FieldError: Another mode.
        ShapeError: Numbers of axes that differ, none at all, or a "valid" kernel larger than x.

    Example:
        >>> x = jnp.array([[0.0, 80, 40], [20, 40, 0], [0, 0, 40]])
        >>> discrete_convolution(x, jnp.array([[0, 0.25], [0.5, 1]]))
        Array([[ 45., 110.],
               [ 40.,  40.]], dtype=float32)
    """
    _discrete_check("discrete_convolution", x, kernel, mode)
    return _slide(x, jnp.flip(kernel), mode)


@takes("...")
def cross_correlation(
    x: Float[Array, "*d"], kernel: Float[Array, "*k"], mode: Mode = "valid"
) -> Float[Array, "*d2"]:
    """Slide a kernel over a signal as it is and sum the products.

    y[t] = sum over tau of x[t + tau] k[tau]: `discrete_convolution` with the flipped kernel.

    The arguments and refusals are those of `discrete_convolution`.

    Example:
        >>> x, kernel = jnp.array([0.0, 1, 0, 0]), jnp.array([1.0, 2, 3])
        >>> cross_correlation(x, kernel, "same"), discrete_convolution(x, kernel, "same")
        (Array([3., 2., 1., 0.], dtype=float32), Array([1., 2., 3., 0.], dtype=float32))
    """
    _discrete_check("cross_correlation", x, kernel, mode)
    return _slide(x, kernel, mode)


@takes("...")
def moving_average(x: Float[Array, "T"], window: int, mode: Mode = "valid") -> Float[Array, "T2"]:
    """The mean of the elements in a window: a convolution with `window` weights of 1 / window.

    Outside the mode "valid" the zeros around x are averaged in (L3, "Moving Average").

    Raises:
        FieldError: A window below 1, or another mode.
        ShapeError: A "valid" window longer than x.

    Example:
        >>> moving_average(jnp.array([2.0, 4, 6, 2]), window=2)
        Array([3., 5., 4.], dtype=float32)
    """
    positive("window", window)
    return discrete_convolution(x, jnp.full((window,), 1 / window, x.dtype), mode)


def _slide(x: Array, kernel: Array, mode: Mode) -> Array:
    sides = [_sides(taps, mode) for taps in kernel.shape]
    ones = (1,) * x.ndim
    x, kernel = promoted(x, kernel)
    y = lax.conv_general_dilated(x[None, None], kernel[None, None], ones, sides)
    return y[0, 0]


def _sides(taps: int, mode: Mode) -> tuple[int, int]:
    """Zeros before and behind the signal; "same" leaves out (taps - 1) / 2 first places."""
    if mode == "valid":
        return 0, 0
    cut = (taps - 1) // 2 if mode == "same" else 0
    return taps - 1 - cut, cut if mode == "same" else taps - 1


def _discrete_check(who: str, x: Array, kernel: Array, mode: object) -> None:
    if mode not in ("valid", "same", "full"):
        raise FieldError(f'mode={mode!r}: expected "valid", "same" or "full"')
    if x.ndim != kernel.ndim or not x.ndim:
        raise ShapeError(
            f"{who} was given {x.shape} and a kernel of shape {kernel.shape}: expected the same "
            "number of axes, at least one"
        )
    if mode == "valid" and any(k > d for k, d in zip(kernel.shape, x.shape, strict=True)):
        raise ShapeError(
            f"{who} was given {x.shape} and a kernel of shape {kernel.shape}, which fits nowhere: "
            'enlarge the one, shrink the other, or ask for "same" or "full"'
        )


# The stage of Jarrett et al. 2009: filters, rectification, normalization, pooling.
#
# The filters with their squashing are the simple cells of the eye's cortex, which find a feature at
# a place; rectification and pooling are the complex cells, which find it anywhere near (L1).

POOL = AveragePool(window=10, stride=5)
"""The pool of the paper's first stage: the mean of 10x10, every fifth row and column."""


def filter_bank(features: int, window: int | Pair) -> Sequential:
    """y_j = g_j tanh(sum over i of k_ij * x_i + b_j), where the whole kernel fits.

    The gains g are initially 1, and let a squashed feature leave the range from -1 to 1. There are
    h w C F + 2 F parameters (Jarrett et al. 2009, section 2, F_CSG; L0, "Discrete Convolution":
    "can add bias").

    Raises:
        FieldError: No filters, or a window below 1.
    """
    return sequential(
        convolution=Convolution(features, window, padding="VALID", kernel_init=LECUN_NORMAL),
        tanh=Tanh(),
        gain=Scale(),
    )


def jarrett_stage(features: int, window: int | Pair = 9, pool: nn.Module = POOL) -> Sequential:
    """Filters, rectification, local contrast normalization, pooling: F_CSG - R_abs - N - P.

    The paper's other stages are edits of this one: `remove` the rectification, the normalization
    or both, and give a `MaxPool` for P_M.

    Jarrett, Kavukcuoglu, Ranzato, LeCun 2009, What is the best multi-stage architecture for object
    recognition?, sections 2 and 3; L0, "Discrete Convolution", "Pooling".

    Raises:
        FieldError: No filters, or a window below 1.

    Example:
        >>> import jax
        >>> x = jnp.ones((1, 143, 143, 1))
        >>> jax.eval_shape(jarrett_stage(64).init_with_output, jax.random.key(0), x)[0].shape
        (1, 26, 26, 64)
    """
    return sequential(
        filters=filter_bank(features, window),
        rectification=Absolute(),
        normalization=LocalContrastNormalization(),
        pool=pool,
    )
