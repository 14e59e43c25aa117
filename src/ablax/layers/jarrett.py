"""The stage of Jarrett et al. 2009: filters, rectification, normalization, pooling.

The filters with their squashing are the simple cells of the eye's cortex, which find a feature at a
place; rectification and pooling are the complex cells, which find it anywhere near (L1).
"""

from __future__ import annotations

import flax.linen as nn

from ablax.core.network import Chain, chain
from ablax.layers.activation import Absolute, Tanh
from ablax.layers.contrast import LocalContrastNormalization
from ablax.layers.convolution import Convolution
from ablax.layers.element import Scale
from ablax.layers.initializers import LECUN_NORMAL
from ablax.layers.pooling import AveragePool
from ablax.layers.windows import Pair

POOL = AveragePool(window=10, stride=5)
"""The pool of the paper's first stage: the mean of 10x10, every fifth row and column."""


def filter_bank(features: int, window: int | Pair) -> Chain:
    """y_j = g_j tanh(sum over i of k_ij * x_i + b_j), where the whole kernel fits.

    The convolution does not flip its kernel, which a learned kernel does not mind. The gains start
    at 1, and let a squashed feature leave the range from -1 to 1.

    Args:
        features: Number of filters.
        window: Height and width of the filters.

    Returns:
        `convolution`, `tanh` and `gain`: h w C F + 2 F parameters.

    Raises:
        FieldError: No filters, or a window below 1.

    References:
        Jarrett et al. 2009, section 2, F_CSG; L0, "Discrete Convolution" ("can add bias").
    """
    return chain(
        convolution=Convolution(features, window, padding="VALID", kernel_init=LECUN_NORMAL),
        tanh=Tanh(),
        gain=Scale(),
    )


def jarrett_stage(features: int, window: int | Pair = 9, pool: nn.Module = POOL) -> Chain:
    """Filters, rectification, local contrast normalization, pooling: F_CSG - R_abs - N - P.

    The paper's other stages are edits of this one: `remove` the rectification, the normalization
    or both, and give a `MaxPool` for P_M.

    Args:
        features: Number of filters.
        window: Height and width of the filters.
        pool: The pool at the end.

    Returns:
        `filters`, `rectification`, `normalization` and `pool`.

    Raises:
        FieldError: No filters, or a window below 1.

    References:
        Jarrett, Kavukcuoglu, Ranzato, LeCun 2009, What is the best multi-stage architecture for
        object recognition?, sections 2 and 3; L0, "Discrete Convolution", "Pooling".

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.ones((1, 143, 143, 1))
        >>> jax.eval_shape(jarrett_stage(64).init_with_output, jax.random.key(0), x)[0].shape
        (1, 26, 26, 64)
    """
    return chain(
        filters=filter_bank(features, window),
        rectification=Absolute(),
        normalization=LocalContrastNormalization(),
        pool=pool,
    )
