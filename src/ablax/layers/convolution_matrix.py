"""Convolution as a product with a matrix: one large sparse one, or a small one with patches.

Both are ways to see a convolution, for small sizes; `ablax.layers.convolution` computes it.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from ablax.layers.patches import patches
from ablax.layers.windows import Padding, Pair, ShapeError, Windows, place, positive, takes


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

    vec lays an image out row by row, channels last, as `Vectorize` does. M[(r, c, f), (p, q, i)] =
    kernel[a, b, i, f] where p = S r + D a - P and q = S c + D b - P, and 0 elsewhere: each row is
    one position of the kernel. With stride 1, one channel and one feature it is Toeplitz in one
    dimension (constant along its diagonals), and a Toeplitz arrangement of Toeplitz blocks in two.
    Its transpose takes the gradient of the output to that of the input.

    It has (H2 W2 F) (H W C) entries, most of them 0: for small sizes.

    Args:
        kernel: Weights; `i` is the number of channels of one group.
        image_shape: (H, W, C).
        stride: Steps down and to the right.
        padding: As in `convolution`.
        dilation: Distance between the taps of the kernel.
        groups: Number of groups.

    Returns:
        M.

    Raises:
        FieldError: A stride, dilation, padding or number of groups that no convolution can have.
        ShapeError: The kernel is larger than the padded image, or does not fit the channels.

    Example:
        >>> kernel = jnp.array([1.0, 2, 3]).reshape(1, 3, 1, 1)
        >>> convolution_matrix(kernel, (1, 5, 1), padding="VALID")
        Array([[1., 2., 3., 0., 0.],
               [0., 1., 2., 3., 0.],
               [0., 0., 1., 2., 3.]], dtype=float32)
    """
    shape = (1, *image_shape)
    _check("convolution_matrix", shape, kernel, groups)
    window = kernel.shape[0], kernel.shape[1]
    windows = place("convolution_matrix", shape, window, stride, padding, dilation)
    down, right = (_meets(image_shape[axis], windows, axis) for axis in (0, 1))
    matrix = jnp.einsum(
        "rpa,cqb,abif->rcfpqi",
        jnp.asarray(down, kernel.dtype),
        jnp.asarray(right, kernel.dtype),
        _without_groups(kernel, groups),
    )
    return matrix.reshape(-1, math.prod(image_shape))


def filter_matrix(kernel: Float[Array, "h w C F"]) -> Float[Array, "F hwC"]:
    """The kernels as the rows of a matrix: a feature a row, its taps row by row, channels last.

    Args:
        kernel: Weights.

    Returns:
        The filter matrix of L2.

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
    """What the kernel sees as the columns of a matrix: a column a position ("im2col").

    Every number of the image stands in it as often as a tap of the kernel meets it. A stride takes
    columns out of the matrix of stride 1, a dilation takes the rows of the holes out of the matrix
    of a kernel with holes.

    Args:
        x: Images.
        window: Height and width of the kernel.
        stride: Steps down and to the right.
        padding: As in `convolution`.
        dilation: Distance between the taps of the kernel.

    Returns:
        The input matrix of L2, one an image; its rows are ordered as the columns of
        `filter_matrix`.

    Raises:
        FieldError: A window, stride, dilation or padding that no convolution can have.
        ShapeError: The window is larger than the padded image.

    References:
        L2, "Channel And Space": matrix create (Toeplitz style).

    Example:
        >>> input_matrix(jnp.arange(4.0).reshape(1, 1, 4, 1), (1, 2), padding="VALID")[0]
        Array([[0., 1., 2.],
               [1., 2., 3.]], dtype=float32)
    """
    windows = place("input_matrix", x.shape, window, stride, padding, dilation)
    return _input_matrix(x, windows)


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

    Args:
        x: Images.
        kernel: Weights; `i` is the number of channels of one group.
        stride: Steps down and to the right.
        padding: As in `convolution`.
        dilation: Distance between the taps of the kernel.
        groups: Number of groups.

    Returns:
        The numbers of `convolution`.

    Raises:
        FieldError: A stride, dilation, padding or number of groups that no convolution can have.
        ShapeError: The kernel is larger than the padded image, or does not fit the channels.

    References:
        L2, "Channel And Space": output feature map by filter matrix * input matrix.

    Example:
        >>> x, kernel = jnp.arange(4.0).reshape(1, 1, 4, 1), jnp.array([[10.0, 1]])
        >>> convolution_by_product(x, kernel.reshape(1, 2, 1, 1), padding="VALID")[0, 0, :, 0]
        Array([ 1., 12., 23.], dtype=float32)
    """
    _check("convolution_by_product", x.shape, kernel, groups)
    window = kernel.shape[0], kernel.shape[1]
    windows = place("convolution_by_product", x.shape, window, stride, padding, dilation)
    outputs = [
        filter_matrix(own.astype(x.dtype)) @ _input_matrix(seen, windows)
        for seen, own in zip(
            jnp.split(x, groups, axis=3), jnp.split(kernel, groups, axis=3), strict=True
        )
    ]
    maps = jnp.concatenate(outputs, axis=1)
    return maps.reshape(*maps.shape[:2], *windows.output).transpose(0, 2, 3, 1)


def _input_matrix(x: Array, windows: Windows) -> Array:
    seen = patches(x, windows).transpose(2, 3, 0, 1)
    return seen.reshape(*seen.shape[:2], -1)


def _meets(size: int, windows: Windows, axis: int) -> Bool[np.ndarray, "positions size taps"]:
    """Whether position r sees pixel p with tap a, along one axis."""
    stride, gap, low = windows.stride[axis], windows.dilation[axis], windows.padding[axis][0]
    starts = np.arange(windows.output[axis]) * stride - low
    seen = starts[:, None] + np.arange(windows.window[axis]) * gap
    return seen[:, None, :] == np.arange(size)[:, None]


def _without_groups(kernel: Float[Array, "h w i F"], groups: int) -> Float[Array, "h w C F"]:
    """The kernel of the same convolution without groups: 0 between different groups."""
    h, w, channels, features = kernel.shape
    runs = kernel.reshape(h, w, channels, groups, features // groups)
    apart = jnp.eye(groups, dtype=kernel.dtype)
    return jnp.einsum("abigf,kg->abkigf", runs, apart).reshape(h, w, -1, features)


def _check(who: str, shape: tuple[int, ...], kernel: Array, groups: int) -> None:
    positive("groups", groups)
    if kernel.shape[2] * groups != shape[3] or kernel.shape[3] % groups:
        raise ShapeError(
            f"{who} was given images {shape} and a kernel of shape {kernel.shape} with {groups} "
            f"group(s): expected (h w i F) with {groups} i = {shape[3]} channels and a number of "
            "features F that the groups divide"
        )
