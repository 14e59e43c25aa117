"""How parameters start: named constants, so that equal layers compare equal."""

from __future__ import annotations

from jax.nn.initializers import Initializer as Initializer
from jax.nn.initializers import constant, glorot_uniform, he_normal, lecun_normal, normal
from jax.nn.initializers import ones as ones
from jax.nn.initializers import zeros as zeros

HE_NORMAL: Initializer = he_normal()
"""Variance 2 / fan-in, for layers followed by a ReLU (He et al. 2015, Delving Deep, eq. 10).

The normal distribution is cut at two standard deviations and rescaled, as JAX does.
"""

GLOROT_UNIFORM: Initializer = glorot_uniform()
"""Variance 2 / (fan-in + fan-out), for tanh and sigmoid (Glorot & Bengio 2010, eq. 16)."""

LECUN_NORMAL: Initializer = lecun_normal()
"""Variance 1 / fan-in (LeCun et al. 1998, Efficient BackProp, section 4.6)."""

GAUSSIAN_001: Initializer = normal(0.01)
"""Mean 0, standard deviation 0.01: every kernel of AlexNet (Krizhevsky et al. 2012, section 5)."""

GAUSSIAN_0005: Initializer = normal(0.005)
"""Mean 0, standard deviation 0.005: fc6 and fc7 of CaffeNet."""

ZEROS: Initializer = zeros
"""All zero: the usual start of a bias."""

ONES: Initializer = ones
"""All one: the biases of AlexNet's conv2, conv4, conv5 and hidden dense layers, which give the
ReLUs positive inputs at the start (Krizhevsky et al. 2012, section 5)."""

TENTHS: Initializer = constant(0.1)
"""All 0.1: the biases CaffeNet has where AlexNet has ones."""

QUARTERS: Initializer = constant(0.25)
"""All 0.25: the slopes of a PReLU (He et al. 2015, Delving Deep, section 2.1)."""
