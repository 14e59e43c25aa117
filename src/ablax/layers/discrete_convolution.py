"""Convolution as mathematics has it, with a flipped kernel, beside cross-correlation.

Networks slide the kernel unflipped (`ablax.layers.convolution`): a learned kernel does not mind.
The functions here take a signal, an image or a volume, without channels.
"""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from ablax.layers.windows import FieldError, ShapeError, positive

Mode = Literal["valid", "same", "full"]


def discrete_convolution(
    x: Float[Array, "*d"], kernel: Float[Array, "*k"], mode: Mode = "valid"
) -> Float[Array, "*d2"]:
    """Slide a flipped kernel over a signal and sum the products.

    y[t] = sum over tau of x[t - tau] k[tau], in two dimensions
    y[s, t] = sum over sigma, tau of x[s - sigma, t - tau] k[sigma, tau], and so on.

    x is 0 outside. With d numbers and a kernel of k, the sum has d + k - 1 places where any tap
    meets x ("full"), d - k + 1 where all taps do ("valid"); "same" is the middle d of "full", one
    nearer the start where the middle is not whole.

    Args:
        x: Numbers along any number of axes, at least one.
        kernel: Weights along the same axes.
        mode: Which places are kept.

    Returns:
        The sums.

    Raises:
        FieldError: Another mode.
        ShapeError: Numbers of axes that differ, none at all, or a "valid" kernel larger than x.

    References:
        L0, "Discrete Convolution"; L3, "Convolutional Layers", d - k + 1. L0 indexes x forward and
        the kernel backward from its last tap r: the "valid" places of the same sum.

    Example:
        >>> x = jnp.array([[0.0, 80, 40], [20, 40, 0], [0, 0, 40]])
        >>> discrete_convolution(x, jnp.array([[0, 0.25], [0.5, 1]]))
        Array([[ 45., 110.],
               [ 40.,  40.]], dtype=float32)
    """
    _check("discrete_convolution", x, kernel, mode)
    return _slide(x, jnp.flip(kernel), mode)


def cross_correlation(
    x: Float[Array, "*d"], kernel: Float[Array, "*k"], mode: Mode = "valid"
) -> Float[Array, "*d2"]:
    """Slide a kernel over a signal as it is and sum the products.

    y[t] = sum over tau of x[t + tau] k[tau]: `discrete_convolution` with the flipped kernel.

    Args:
        x: Numbers along any number of axes, at least one.
        kernel: Weights along the same axes.
        mode: Which places are kept, as in `discrete_convolution`.

    Returns:
        The sums.

    Raises:
        FieldError: Another mode.
        ShapeError: Numbers of axes that differ, none at all, or a "valid" kernel larger than x.

    Example:
        >>> x, kernel = jnp.array([0.0, 1, 0, 0]), jnp.array([1.0, 2, 3])
        >>> cross_correlation(x, kernel, "same"), discrete_convolution(x, kernel, "same")
        (Array([3., 2., 1., 0.], dtype=float32), Array([1., 2., 3., 0.], dtype=float32))
    """
    _check("cross_correlation", x, kernel, mode)
    return _slide(x, kernel, mode)


def moving_average(x: Float[Array, "T"], window: int, mode: Mode = "valid") -> Float[Array, "T2"]:
    """The mean of the numbers in a window: a convolution with `window` weights of 1 / window.

    Args:
        x: A signal.
        window: Numbers in each mean.
        mode: Which places are kept; outside "valid" the zeros around x are averaged in.

    Returns:
        The means.

    Raises:
        FieldError: A window below 1, or another mode.
        ShapeError: A "valid" window longer than x.

    References:
        L3, "Moving Average".

    Example:
        >>> moving_average(jnp.array([2.0, 4, 6, 2]), window=2)
        Array([3., 5., 4.], dtype=float32)
    """
    positive("window", window)
    return discrete_convolution(x, jnp.full((window,), 1 / window, x.dtype), mode)


def _slide(x: Array, kernel: Array, mode: Mode) -> Array:
    sides = [_sides(taps, mode) for taps in kernel.shape]
    ones = (1,) * x.ndim
    y = lax.conv_general_dilated(x[None, None], kernel[None, None].astype(x.dtype), ones, sides)
    return y[0, 0]


def _sides(taps: int, mode: Mode) -> tuple[int, int]:
    """Zeros before and behind the signal; "same" leaves out (taps - 1) / 2 first places."""
    if mode == "valid":
        return 0, 0
    cut = (taps - 1) // 2 if mode == "same" else 0
    return taps - 1 - cut, cut if mode == "same" else taps - 1


def _check(who: str, x: Array, kernel: Array, mode: object) -> None:
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
