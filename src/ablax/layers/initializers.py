"""Initialization of parameters: named constants, so that equal layers compare equal.

The draws are those of `jax.nn.initializers`, rounding apart, but taken in one row of a power of two
and cut to shape. XLA on a CPU compiles a truncated normal of four axes many times slower than one
of a single axis, and rows of few lengths also share programs. What else an initializer is given, a
sharding, is not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer as Initializer
from jax.nn.initializers import constant
from jax.nn.initializers import ones as ones
from jax.nn.initializers import zeros as zeros
from jaxtyping import Array

_CUT_DEVIATION = 0.87962566103423978
"""Standard deviation of a standard normal cut at -2 and 2."""


def _in_a_row(draw: Callable[[Any, int], Array], key: Any, shape: tuple[int, ...]) -> Array:
    """A draw of that shape from one that takes a length.

    Element i of a row depends on the key and on i alone (`jax_threefry_partitionable`, JAX's
    default), so a longer row begins with the same values.
    """
    size = math.prod(shape)
    return draw(key, 1 << max(size - 1, 0).bit_length())[:size].reshape(shape)


def variance_scaling(gain: float, fan: Callable[[int, int], float]) -> Initializer:
    """Truncated normal of variance gain / fan(inputs, outputs), cut at two standard deviations.

    A kernel's inputs and outputs are its last two axes, times its window.
    """

    def initialize(key: Any, shape: Any, dtype: Any = jnp.float32, *_: Any, **__: Any) -> Array:
        taps = math.prod(shape[:-2])
        deviation = math.sqrt(gain / max(fan(shape[-2] * taps, shape[-1] * taps), 1))

        def draw(key: Any, length: int) -> Array:
            return jax.random.truncated_normal(key, -2.0, 2.0, (length,), dtype)

        return _in_a_row(draw, key, shape) * jnp.asarray(deviation / _CUT_DEVIATION, dtype)

    return initialize


GLOROT_TIMES_4 = variance_scaling(16.0, lambda inputs, outputs: (inputs + outputs) / 2)
"""Glorot's std times 4, the reciprocal of a sigmoid's slope at 0."""


def gaussian(deviation: float) -> Initializer:
    """Normal of mean 0 and the given standard deviation."""

    def initialize(key: Any, shape: Any, dtype: Any = jnp.float32, *_: Any, **__: Any) -> Array:
        def draw(key: Any, length: int) -> Array:
            return jax.random.normal(key, (length,), dtype)

        return _in_a_row(draw, key, shape) * jnp.asarray(deviation, dtype)

    return initialize


def orthogonal(gain: float = 1.0) -> Initializer:
    """A kernel as a matrix, window and inputs in its rows: `gain` times an orthogonal one.

    With as many rows as columns or more K^T K = gain^2 1, else K K^T = gain^2 1: a dense layer with
    as many features as inputs keeps every length, times the gain, and so does a chain of them. Q of
    the QR decomposition of a normal matrix, its columns turned so that the diagonal of R is
    positive, which makes the draw uniform. In front of a ReLU, which takes away half of the square
    of a length, the gain is about sqrt(2) (Saxe, McClelland, Ganguli 2013, Exact solutions to the
    nonlinear dynamics of learning in deep linear neural networks).

    Example:
        >>> kernel = orthogonal()(jax.random.key(0), (3, 3, 2, 4)).reshape(18, 4)
        >>> bool(jnp.allclose(kernel.T @ kernel, jnp.eye(4), atol=1e-5))
        True
    """

    def initialize(key: Any, shape: Any, dtype: Any = jnp.float32, *_: Any, **__: Any) -> Array:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        normal = _in_a_row(lambda key, length: jax.random.normal(key, (length,)), key, tall)
        q, r = jnp.linalg.qr(normal)
        q = q * jnp.where(jnp.diagonal(r) < 0, -gain, gain)[None]
        return (q if rows >= columns else q.T).reshape(shape).astype(dtype)

    return initialize


def all_equal() -> Initializer:
    """Every weight 1 / fan-in: each unit is initially the mean of its inputs, and all are the same.

    Units that are the same get the same gradient and stay the same for ever, however long they are
    trained: only random initialization breaks the symmetry.

    Example:
        >>> all_equal()(jax.random.key(0), (2, 3)).tolist()
        [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    """

    def initialize(key: Any, shape: Any, dtype: Any = jnp.float32, *_: Any, **__: Any) -> Array:
        del key
        return jnp.full(shape, 1 / max(math.prod(shape[:-1]), 1), dtype)

    return initialize


def orthogonal_blocks() -> Initializer:
    """For a kernel (F, k F): k orthogonal matrices side by side, uniform as of `orthogonal`."""

    def initialize(key: Any, shape: Any, dtype: Any = jnp.float32, *_: Any, **__: Any) -> Array:
        rows, columns = shape
        blocks = columns // rows
        if blocks * rows != columns:
            raise ValueError(f"orthogonal blocks of {rows} rows do not fill {shape}")
        normal = jax.random.normal(key, (blocks, rows, rows), jnp.float32)
        q, r = jnp.linalg.qr(normal)
        q = q * jnp.sign(jnp.diagonal(r, axis1=1, axis2=2))[:, None, :]
        return q.transpose(1, 0, 2).reshape(rows, columns).astype(dtype)

    return initialize


def second_of_four(value: float) -> Initializer:
    """For a bias of four equal parts: `value` in the second, zero in the others."""

    def initialize(key: Any, shape: Any, dtype: Any = jnp.float32, *_: Any, **__: Any) -> Array:
        del key
        (length,) = shape
        second = jnp.arange(length) * 4 // length == 1
        return jnp.where(second, value, 0.0).astype(dtype)

    return initialize


HE_NORMAL: Initializer = variance_scaling(2.0, lambda inputs, _: inputs)
"""Variance 2 / fan-in, for layers followed by a ReLU (He et al. 2015, Delving Deep, eq. 10)."""

LECUN_NORMAL: Initializer = variance_scaling(1.0, lambda inputs, _: inputs)
"""Variance 1 / fan-in (LeCun et al. 1998, Efficient BackProp, section 4.6)."""

GLOROT_NORMAL: Initializer = variance_scaling(1.0, lambda inputs, outputs: (inputs + outputs) / 2)
"""Variance 2 / (fan-in + fan-out), for tanh and sigmoid (Glorot & Bengio 2010, eq. 12)."""

GAUSSIAN_001: Initializer = gaussian(0.01)
"""Mean 0, standard deviation 0.01: every kernel of AlexNet (Krizhevsky et al. 2012, section 5)."""

GAUSSIAN_0005: Initializer = gaussian(0.005)
"""Mean 0, standard deviation 0.005: fc6 and fc7 of CaffeNet."""

ZEROS: Initializer = zeros
"""All zero: the usual initialization of a bias."""

ONES: Initializer = ones
"""All one: the biases of AlexNet's conv2, conv4, conv5 and hidden dense layers, which give the
ReLUs positive inputs at initialization (Krizhevsky et al. 2012, section 5)."""

QUARTERS: Initializer = constant(0.25)
"""All 0.25: the slopes of a PReLU (He et al. 2015, Delving Deep, section 2.1)."""

ORTHOGONAL: Initializer = orthogonal_blocks()
"""Orthogonal, gate by gate: the kernel of a recurrent layer that multiplies its own past, so that
nothing fades or explodes at initialization (Saxe et al. 2013, as `orthogonal`)."""

FORGET_ONES: Initializer = second_of_four(1.0)
"""One for the forget gate of an LSTM, zero for the others, so that it remembers at first
(Jozefowicz, Zaremba, Sutskever 2015, An empirical exploration of recurrent network
architectures)."""

ORTHOGONAL_RELU: Initializer = orthogonal(math.sqrt(2.0))
"""Orthogonal kernels of gain sqrt(2), for layers followed by a ReLU (Saxe et al. 2013; He's 2)."""

ALL_EQUAL: Initializer = all_equal()
"""Every weight 1 / fan-in: from it, nothing but one unit per layer is ever learned."""
