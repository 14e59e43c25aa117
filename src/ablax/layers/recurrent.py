"""Layers over time, (N, T, C): the filters of signal processing with learned coefficients.

A fully connected layer over the last few moments is a filter of finite impulse response (FIR), a
recurrent layer one of infinite impulse response (IIR), each with a nonlinearity behind it. With
`identity` in its place they are those filters. All layers are causal: no output depends on a later
input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from ablax.layers.activation import sigmoid, tanh
from ablax.layers.initializers import (
    FORGET_ONES,
    GLOROT_NORMAL,
    ORTHOGONAL,
    ZEROS,
    Initializer,
)
from ablax.layers.windows import ShapeError, positive, takes

Nonlinearity = Callable[[Array], Array]


def identity(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The nonlinearity that is none: y = x, which leaves a linear filter.

    Args:
        x: Numbers.

    Returns:
        `x` itself.
    """
    return x


@takes("N T C")
def recurrent(
    x: Float[Array, "N T C"],
    kernel: Float[Array, "C F"],
    recurrent_kernel: Float[Array, "F F"],
    bias: Float[Array, "F"],
    nonlinearity: Nonlinearity = tanh,
    initial: Float[Array, "N F"] | None = None,
) -> Float[Array, "N T F"]:
    """Each output is made of the input of the moment and of the output before.

    y(t) = f(y(t-1) G + x(t) H + v)

    With f the identity, F units and a `Dense` layer behind them are any IIR filter of an order
    below F, y(t) = sum of b_k x(t-k) - sum of a_k y(t-k) with a_0 = 1: the first column of G is
    -a_1, -a_2, ..., its other columns pass each unit on to the next, H feeds the first unit, and
    the kernel of the `Dense` layer is b (direct form II).

    Args:
        x: Sequences.
        kernel: H.
        recurrent_kernel: G.
        bias: v.
        nonlinearity: f.
        initial: y(-1); zeros when left out. The last output of one stretch of time is the initial
            one of the next.

    Returns:
        The output at every moment.

    References:
        Elman 1990, Finding structure in time.

    Example:
        >>> one = jnp.ones((1, 1))
        >>> pulse = jnp.array([1.0, 0.0, 0.0]).reshape(1, 3, 1)
        >>> recurrent(pulse, one, 0.5 * one, jnp.zeros(1), identity)[0, :, 0]
        Array([1.  , 0.5 , 0.25], dtype=float32)
    """
    drive = x @ kernel.astype(x.dtype) + bias.astype(x.dtype)
    own = recurrent_kernel.astype(x.dtype)

    def step(y: Array, now: Array) -> tuple[Array, Array]:
        y = nonlinearity(y @ own + now)
        return y, y

    start = jnp.zeros_like(drive, shape=(x.shape[0], bias.shape[0])) if initial is None else initial
    return lax.scan(step, start, drive.swapaxes(0, 1))[1].swapaxes(0, 1)


class Memory(NamedTuple):
    """What an LSTM hands from one moment to the next.

    Attributes:
        output: y.
        cell: c.
    """

    output: Float[Array, "N F"]
    cell: Float[Array, "N F"]


@takes("N T C")
def lstm(
    x: Float[Array, "N T C"],
    kernel: Float[Array, "C F4"],
    recurrent_kernel: Float[Array, "F F4"],
    bias: Float[Array, "F4"],
    initial: Memory | None = None,
) -> tuple[Float[Array, "N T F"], Memory]:
    """Long short-term memory: a cell that gates write to, keep and read.

    (i, f, g, o) = y(t-1) G + x(t) H + v, four runs of F numbers, and with s the sigmoid

    c(t) = s(f) c(t-1) + s(i) tanh(g),   y(t) = s(o) tanh(c(t))

    The cell has no weights on its way: its derivative over time is the product of the forget gates
    s(f), as far as the gates do not feel y.

    Args:
        x: Sequences.
        kernel: H; columns in the order input gate, forget gate, candidate, output gate.
        recurrent_kernel: G, likewise.
        bias: v, likewise.
        initial: What went before; zeros when left out.

    Returns:
        The output y at every moment, and the memory after the last.

    References:
        Hochreiter, Schmidhuber 1997, Long short-term memory; Gers, Schmidhuber, Cummins 2000,
        Learning to forget (the forget gate). No peepholes.

    Example:
        >>> closed = jnp.array([0.0, 99.0, 0.0, 0.0])  # keeps all, writes tanh(0) = 0
        >>> before = Memory(jnp.zeros((1, 1)), jnp.ones((1, 1)))
        >>> y, after = lstm(jnp.ones((1, 9, 1)), *jnp.zeros((2, 1, 4)), closed, before)
        >>> after.cell
        Array([[1.]], dtype=float32)
    """
    features = recurrent_kernel.shape[0]
    drive = x @ kernel.astype(x.dtype) + bias.astype(x.dtype)
    own = recurrent_kernel.astype(x.dtype)

    def step(memory: Memory, now: Array) -> tuple[Memory, Array]:
        write, keep, candidate, read = jnp.split(memory.output @ own + now, 4, axis=-1)
        cell = sigmoid(keep) * memory.cell + sigmoid(write) * tanh(candidate)
        output = sigmoid(read) * tanh(cell)
        return Memory(output, cell), output

    zeros = jnp.zeros_like(drive, shape=(x.shape[0], features))
    start = Memory(zeros, zeros) if initial is None else initial
    memory, outputs = lax.scan(step, start, drive.swapaxes(0, 1))
    return outputs.swapaxes(0, 1), memory


@takes("N T C")
def time_windows(x: Float[Array, "N T C"], window: int) -> Float[Array, "N T windowC"]:
    """Lay the inputs of the last few moments beside each other, the newest first.

    y(t) = (x(t), x(t-1), ..., x(t - window + 1)), with zeros before the first. A `Dense` layer
    behind it is a bank of FIR filters of order window - 1: its kernel, cut into runs of C rows,
    holds the impulse responses.

    Args:
        x: Sequences.
        window: Number of moments.

    Returns:
        Sequences of window C channels.

    Raises:
        FieldError: The window is no positive integer.

    Example:
        >>> time_windows(jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1), window=2)[0]
        Array([[1., 0.],
               [2., 1.],
               [3., 2.]], dtype=float32)
    """
    positive("window", window)
    length = x.shape[1]
    padded = jnp.pad(x, ((0, 0), (window - 1, 0), (0, 0)))
    starts = range(window - 1, -1, -1)
    return jnp.concatenate([padded[:, start : start + length] for start in starts], axis=-1)


class Recurrent(nn.Module):
    """The module of `recurrent`: (N, T, C) -> (N, T, F), from zeros on.

    It has C F + F^2 + F parameters.

    Attributes:
        features: Numbers at each moment, F.
        nonlinearity: f; a function at module level, such as `tanh`, `relu` or `identity`.
        kernel_init: How H starts.
        recurrent_init: How G starts.
        bias_init: How v starts.
    """

    features: int
    nonlinearity: Nonlinearity = tanh
    kernel_init: Initializer = GLOROT_NORMAL
    recurrent_init: Initializer = ORTHOGONAL
    bias_init: Initializer = ZEROS

    def __post_init__(self) -> None:
        positive("features", self.features)
        super().__post_init__()

    @takes("N T C")
    @nn.compact
    def __call__(self, x: Float[Array, "N T C"]) -> Float[Array, "N T F"]:
        """Apply `recurrent`."""
        return recurrent(x, *_weights(self, x.shape, self.features), self.nonlinearity)


class LSTM(nn.Module):
    """The module of `lstm`: (N, T, C) -> (N, T, F), from zeros on.

    It has 4 (C F + F^2 + F) parameters.

    Attributes:
        features: Numbers at each moment, F.
        kernel_init: How H starts.
        recurrent_init: How G starts.
        bias_init: How v starts: the forget gate at 1, so that the cell remembers at first.
    """

    features: int
    kernel_init: Initializer = GLOROT_NORMAL
    recurrent_init: Initializer = ORTHOGONAL
    bias_init: Initializer = FORGET_ONES

    def __post_init__(self) -> None:
        positive("features", self.features)
        super().__post_init__()

    @takes("N T C")
    @nn.compact
    def __call__(self, x: Float[Array, "N T C"]) -> Float[Array, "N T F"]:
        """Apply `lstm`."""
        return lstm(x, *_weights(self, x.shape, 4 * self.features))[0]


def _weights(
    layer: Recurrent | LSTM, shape: tuple[int, ...], columns: int
) -> tuple[Array, Array, Array]:
    """The parameters `kernel`, `recurrent_kernel` and `bias` of a layer over time."""
    channels = shape[-1]
    if layer.has_variable("params", "kernel"):
        expected = layer.get_variable("params", "kernel").shape[0]
        if channels != expected:
            raise ShapeError(
                f"{type(layer).__name__} was given {shape}, {channels} channels a moment: its "
                f"kernel takes {expected}; initialize it again"
            )
    own = (layer.features, columns)
    return (
        layer.param("kernel", layer.kernel_init, (channels, columns), jnp.float32),
        layer.param("recurrent_kernel", layer.recurrent_init, own, jnp.float32),
        layer.param("bias", layer.bias_init, (columns,), jnp.float32),
    )


class TimeWindows(nn.Module):
    """The module of `time_windows`; put a `Dense` behind it for a bank of FIR filters.

    Attributes:
        window: Number of moments.
    """

    window: int

    def __post_init__(self) -> None:
        positive("window", self.window)
        super().__post_init__()

    @takes("N T C")
    def __call__(self, x: Float[Array, "N T C"]) -> Float[Array, "N T windowC"]:
        """Apply `time_windows`."""
        return time_windows(x, self.window)


class LastMoment(nn.Module):
    """The last moment of each sequence, (N, T, C) -> (N, C): what a classifier over time sees.

    Example:
        >>> LastMoment().apply({}, jnp.arange(6.0).reshape(1, 3, 2))
        Array([[4., 5.]], dtype=float32)
    """

    @takes("N T C")
    def __call__(self, x: Float[Array, "N T C"]) -> Float[Array, "N C"]:
        """Take it."""
        return x[:, -1]
