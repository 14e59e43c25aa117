"""How parameters start: named constants, so that equal layers compare equal.

The draws are those of `jax.nn.initializers`, rounding apart, but taken in one row of a power of two
and cut to shape. XLA on a CPU takes 3 to 6 s to compile a truncated normal of shape (3, 3, 4, 10)
and 0.4 s for 360 in a row (JAX 0.10.2, two busy cores); rows of few lengths also share programs.
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
    default), so a longer row starts with the same numbers.
    """
    size = math.prod(shape)
    return draw(key, 1 << max(size - 1, 0).bit_length())[:size].reshape(shape)


def variance_scaling(gain: float, fan: Callable[[int, int], float]) -> Initializer:
    """Truncated normal of variance gain / fan(inputs, outputs), cut at two deviations.

    A kernel's inputs and outputs are its last two axes, times its window.

    Args:
        gain: Numerator of the variance.
        fan: From fan-in and fan-out to the denominator.
    """

    def initialize(
        key: Any, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None
    ) -> Array:
        del out_sharding
        taps = math.prod(shape[:-2])
        deviation = math.sqrt(gain / max(fan(shape[-2] * taps, shape[-1] * taps), 1))

        def draw(key: Any, length: int) -> Array:
            return jax.random.truncated_normal(key, -2.0, 2.0, (length,), dtype)

        return _in_a_row(draw, key, shape) * jnp.asarray(deviation / _CUT_DEVIATION, dtype)

    return initialize


def gaussian(deviation: float) -> Initializer:
    """Normal of mean 0 and the given standard deviation."""

    def initialize(
        key: Any, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None
    ) -> Array:
        del out_sharding

        def draw(key: Any, length: int) -> Array:
            return jax.random.normal(key, (length,), dtype)

        return _in_a_row(draw, key, shape) * jnp.asarray(deviation, dtype)

    return initialize


def orthogonal_blocks() -> Initializer:
    """For a kernel (F, k F): k orthogonal matrices side by side, each drawn uniformly.

    Such a matrix keeps the length of what it multiplies, however often. Q of the QR decomposition
    of a normal matrix, its columns turned so that the diagonal of R is positive.
    """

    def initialize(
        key: Any, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None
    ) -> Array:
        del out_sharding
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

    def initialize(
        key: Any, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None
    ) -> Array:
        del key, out_sharding
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
"""All zero: the usual start of a bias."""

ONES: Initializer = ones
"""All one: the biases of AlexNet's conv2, conv4, conv5 and hidden dense layers, which give the
ReLUs positive inputs at the start (Krizhevsky et al. 2012, section 5)."""

QUARTERS: Initializer = constant(0.25)
"""All 0.25: the slopes of a PReLU (He et al. 2015, Delving Deep, section 2.1)."""

ORTHOGONAL: Initializer = orthogonal_blocks()
"""Orthogonal, gate by gate: the kernel of a recurrent layer that multiplies its own past, so that
nothing fades or explodes at the start (Saxe, McClelland, Ganguli 2013, Exact solutions to the
nonlinear dynamics of learning in deep linear neural networks)."""

FORGET_ONES: Initializer = second_of_four(1.0)
"""One for the forget gate of an LSTM, zero for the others, so that it starts by remembering
(Jozefowicz, Zaremba, Sutskever 2015, An empirical exploration of recurrent network
architectures)."""
