"""Losses: how wrong an output is, as pure functions; the mean over a batch is the caller's.

Each gives one number per example, so that a caller can mask, weight or average.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from ablax.errors import AblaxError

Function = Callable[[Array], Array]
"""From a batch of inputs (N, ...) to outputs (N, K), example by example."""


def lp_loss(
    outputs: Real[Array, "N *rest"], targets: Real[Array, "N *rest"], p: float = 2.0
) -> Float[Array, " N"]:
    """The L_p distance of each example to the power of p: sum over outputs o of |t - o|^p.

    p = 1 is the sum of absolute errors, with derivative 0 where there is no error, p = 2 that of
    squares; the larger p, the more the largest error counts.

    Raises:
        AblaxError: An exponent below 1, where the loss is not convex, or not finite.

    Example:
        >>> lp_loss(jnp.array([[1.0, 5.0]]), jnp.array([[3.0, 4.0]]), p=3.0)
        Array([9.], dtype=float32)
    """
    if not 1 <= p < math.inf:
        raise AblaxError(f"p={p!r}: expected a finite exponent of at least 1")
    kind = jnp.result_type(outputs, targets, 1.0)  # no integers, whose differences wrap
    errors = (outputs.astype(kind) - targets.astype(kind)).reshape(outputs.shape[0], -1)
    sizes = errors * jnp.sign(errors)  # |t - o|, whose derivative at 0 is 1 in JAX, and here 0
    return jnp.sum(sizes**p, axis=1)


def softmax_cross_entropy(
    scores: Real[Array, "N classes"], labels: Int[Array, " N"], smoothing: float = 0.0
) -> Float[Array, " N"]:
    """How surprised the softmax of the scores is by the label.

    -sum over classes of q_c log p_c, with p = softmax(scores), q_c = s / K for K classes and 1 - s
    more for the label, in nats. Its gradient in the scores is p - q. Computed in float32 at least.
    A label that is no class gives NaN.

    The smoothing s is the share of the target that is spread evenly over all classes. Where it is
    above 0, a score of -inf costs infinitely much, whatever the label: every class has its share of
    the target. Without it, one of another class than the label's costs nothing (Szegedy, Vanhoucke,
    Ioffe, Shlens, Wojna 2015, Rethinking the Inception architecture, section 7, has s = 0.1).

    Raises:
        AblaxError: A smoothing outside [0, 1].

    Example:
        >>> scores = jnp.log(jnp.array([[0.75, 0.25]]))
        >>> jnp.exp(-softmax_cross_entropy(scores, jnp.array([0]))).round(4)
        Array([0.75], dtype=float32)
    """
    if not 0 <= smoothing <= 1:
        raise AblaxError(f"smoothing={smoothing!r}: expected a share from 0 to 1")
    wide = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    surprises = -jax.nn.log_softmax(wide, axis=1)
    own = labels[:, None] == jnp.arange(scores.shape[1])
    chosen = jnp.where(own.any(axis=1), jnp.where(own, surprises, 0).sum(axis=1), jnp.nan)
    if smoothing == 0:  # so that a class of probability 0 costs nothing where it is not the label
        return chosen
    return (1 - smoothing) * chosen + smoothing * surprises.mean(axis=1)


def predictions(
    scores: Float[Array, "N classes"] | Float[np.ndarray, "N classes"],
) -> Int[Array, " N"]:
    """The class of the highest score of each example; of equals the first. -1 where there is none.

    There is none where a score is NaN or +inf, or all are -inf: such an example is never right. A
    score of -inf beside finite ones is that of a class that cannot be.

    Example:
        >>> predictions(jnp.array([[0.0, -jnp.inf, 1.0], [0.0, jnp.nan, 1.0]]))
        Array([ 2, -1], dtype=int32)
    """
    broken = jnp.any(jnp.isnan(scores) | jnp.isposinf(scores), axis=1)
    told = ~broken & jnp.any(jnp.isfinite(scores), axis=1)
    return jnp.where(told, jnp.argmax(scores, axis=1), -1).astype(jnp.int32)


def squared_error(
    outputs: Real[Array, "N *rest"], targets: Real[Array, "N *rest"]
) -> Float[Array, " N"]:
    """Half the sum of the squared errors of each example: 1/2 sum over k of (t_k - o_k)^2.

    Its gradient in the outputs o is o - t.

    Example:
        >>> squared_error(jnp.array([[1.0, 5.0]]), jnp.array([[3.0, 4.0]]))
        Array([2.5], dtype=float32)
    """
    return 0.5 * lp_loss(outputs, targets, 2.0)


def slope_error(
    function: Function,
    inputs: Float[Array, "N *input"],
    target_slopes: Float[Array, "N K *input"],
) -> Float[Array, " N"]:
    """How wrong the slopes of a function are: 1/2 sum over k, j of (dt_k / dx_j - do_k / dx_j)^2.

    Training on target slopes as well as values minimizes

    E = sum over d of squared_error(o_d, t_d) + mu slope_error_d

    (Mitchell's form. The lecture prints the difference of the slopes without its square, which
    would have no least value, and outside the factor 1/2.) The whole Jacobian is computed, K
    reverse passes an example; for slopes along few directions see `directional_error`. The result
    is differentiable in whatever the function closes over. It may have no batch statistics: each
    example is given alone. The inputs are x, the target slopes dt_k / dx_j.

    Mitchell 1997, Machine learning, section 4.8.1; Czarnecki, Osindero, Jaderberg, Swirszcz,
    Pascanu 2017, Sobolev training for neural networks, section 3.

    Raises:
        AblaxError: The slopes of the function have another shape than the target's.

    Example:
        >>> def square(x):
        ...     return x**2
        >>> slope_error(square, jnp.array([[3.0]]), target_slopes=jnp.array([[[5.0]]]))
        Array([0.5], dtype=float32)
    """
    found = jax.vmap(jax.jacrev(lambda one: function(one[None])[0]))(inputs)
    _check_slopes("slope_error", found, target_slopes)
    return squared_error(found, target_slopes)


def directional_error(
    function: Function,
    inputs: Float[Array, "N *input"],
    directions: Float[Array, "N *input"],
    target_slopes: Float[Array, "N K"],
) -> Float[Array, " N"]:
    """How wrong the slopes of a function along one direction an example are.

    1/2 sum over k of (s_k - sum over j of v_j do_k / dx_j)^2, by one forward derivative, with the
    inputs x, the directions v and the target slopes s. With v the tangent of a transformation, such
    as the difference between an image and the same image moved by a little, and s = 0, the function
    learns not to feel the transformation (Simard, Victorri, LeCun, Denker 1991, Tangent prop: a
    formalism for specifying selected invariances in an adaptive network).

    Raises:
        AblaxError: The slopes of the function have another shape than the target's.

    Example:
        >>> def square(x):
        ...     return x**2
        >>> directional_error(square, jnp.array([[3.0]]), jnp.array([[2.0]]), jnp.zeros((1, 1)))
        Array([72.], dtype=float32)
    """
    _, found = jax.jvp(function, (inputs,), (directions,))
    _check_slopes("directional_error", found, target_slopes)
    return squared_error(found, target_slopes)


def _check_slopes(who: str, found: Array, target: Array) -> None:
    if found.shape != target.shape:
        raise AblaxError(
            f"{who} was given target slopes of shape {target.shape}: the function's have shape "
            f"{found.shape}"
        )
