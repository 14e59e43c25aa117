"""Optimizers and learning-rate schedules, composed from optax; the penalty of large weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, assert_never

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from ablax.config import ConfigError, OptimizerConfig
from ablax.core import leaves_by_path, role
from ablax.errors import AblaxError, nearest
from ablax.losses import squared_error


def schedule(config: OptimizerConfig, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """The learning rate at every step: a linear warm-up from rate / steps, then the named decay.

    With t from 0 after the warm-up to 1 at the end, the rate is multiplied by

    constant: 1. step: drop_factor^k after the k-th of `drops`. cosine: (1 + cos(pi t)) / 2.
    exponential: drop_factor^t. linear: 1 - t (Caffe's "poly" of power 1). inverse:
    1 / (1 + (1 / drop_factor - 1) t) (Caffe's "inv" of power 1).

    Raises:
        ConfigError: The warm-up is as long as the training.

    References:
        Goyal et al. (2017): Accurate, large minibatch SGD, section 2.2 (warm-up).
        Loshchilov, Hutter (2017): SGDR: stochastic gradient descent with warm restarts (cosine).
        Bottou (2012): Stochastic gradient descent tricks (inverse).

    Example:
        >>> rate = schedule(OptimizerConfig(rate=1.0, schedule="step", drops=(0.5,)), 2, 10)
        >>> [round(float(rate(step)), 2) for step in (0, 9, 10, 19)]
        [1.0, 1.0, 0.1, 0.1]
    """
    total = epochs * steps_per_epoch
    warmup = round(config.warmup * steps_per_epoch)
    if warmup >= total:
        raise ConfigError(
            f"optimizer.warmup is {config.warmup} epochs of {epochs}: it must end before the "
            "training does, so lower it or raise train.epochs"
        )
    fall = _fall(config, total, warmup)
    if warmup == 0:
        return fall
    return optax.join_schedules([lambda step: config.rate * (step + 1) / warmup, fall], [warmup])


def _fall(config: OptimizerConfig, total: int, warmup: int) -> optax.Schedule:
    """The rate by steps since the warm-up."""
    left, last = total - warmup, config.drop_factor
    if config.schedule == "constant":
        return optax.constant_schedule(config.rate)
    if config.schedule == "cosine":
        return optax.cosine_decay_schedule(config.rate, left)
    if config.schedule == "step":
        return optax.piecewise_constant_schedule(config.rate, _drops(config, total, warmup))
    if config.schedule == "exponential":
        return optax.exponential_decay(config.rate, left, last)
    if config.schedule == "linear":
        return optax.linear_schedule(config.rate, 0.0, left)
    if config.schedule == "inverse":
        return lambda step: config.rate / (1 + (1 / last - 1) * step / left)
    assert_never(config.schedule)


def _drops(config: OptimizerConfig, total: int, warmup: int) -> dict[int, float]:
    """Step after the warm-up to the factor there; drops that fall on one step multiply."""
    at: dict[int, float] = {}
    for share in config.drops:
        step = round(share * total) - warmup
        if step <= 0:
            raise ConfigError(
                f"optimizer.drops is {config.drops}, and {share} of {total} steps is no later than "
                f"the warm-up's end at step {warmup}: drop later, or train longer"
            )
        at[step] = at.get(step, 1.0) * config.drop_factor
    return at


def optimizer(
    config: OptimizerConfig, epochs: int, steps_per_epoch: int, stacks: Sequence[str] = ()
) -> optax.GradientTransformation:
    """The update rule: clip, decay kernels, gather momentum, scale by the schedule and the factors.

    w' = w - rate * factor * step, where the factor is the product of the `rate_factors` that match
    the parameter's path, g is the gradient, h = g + weight_decay * w, and the step is

    sgd: v' = momentum * v + h; with `nesterov`, h + momentum * v'.
    lars: as sgd, with h scaled to the length of its kernel: h |w| / |h|. The rate is then the
    share of its length by which a kernel moves; You et al. write it as a product of two, the second
    about 0.001. Biases and scales of normalization move as with sgd.
    adamw: m' / (sqrt(v') + 1e-8) + weight_decay * w, with m and v the averages of g and g^2 over
    about 10 and 1000 steps, corrected for their start at 0.
    adagrad: g / sqrt(sum of all g^2 + 1e-10) + weight_decay * w.
    rmsprop: g / sqrt(v' + 1e-8) + weight_decay * w, with v' = 0.9 v + 0.1 g^2 from v = 0.

    Weights decay outside the loss, and only kernels do: not biases, and not the scales of
    normalization. What a parameter is, its name says (`ablax.core.role`). Where a layer stacks the
    kernels of several, each has its own length: folded and unfolded networks train alike.

    `stacks` are the paths of the layers that stack the parameters of others (`ablax.core.stacks`).

    Raises:
        ConfigError: As `schedule`.
        AblaxError: When parameters are given: the name of one does not say what it is.

    References:
        Krizhevsky, Sutskever, Hinton (2012): ImageNet classification with deep convolutional neural
        networks, section 5 (sgd). Sutskever, Martens, Dahl, Hinton (2013): On the importance of
        initialization and momentum in deep learning (nesterov). Duchi, Hazan, Singer (2011):
        Adaptive subgradient methods for online learning and stochastic optimization (adagrad).
        Tieleman, Hinton (2012): Lecture 6.5, rmsprop. Kingma, Ba (2015): Adam: a method for
        stochastic optimization. Loshchilov, Hutter (2019): Decoupled weight decay regularization
        (adamw). You, Gitman, Ginsburg (2017): Large batch training of convolutional networks
        (lars).
    """
    rate = schedule(config, epochs, steps_per_epoch)
    clip = [] if config.clip is None else [optax.clip_by_global_norm(config.clip)]
    factors = [_scale_by_factors(config)] if config.rate_factors else []
    return optax.chain(*clip, *_rule(config, stacks), *factors, optax.scale_by_learning_rate(rate))


def _rule(config: OptimizerConfig, stacks: Sequence[str]) -> list[optax.GradientTransformation]:
    """The step of the named optimizer, before rate and factors."""
    decay = optax.add_decayed_weights(config.weight_decay, mask=_kernels)
    momentum = optax.trace(config.momentum, nesterov=config.nesterov)
    if config.name == "sgd":
        return [decay, momentum]
    if config.name == "lars":
        return [decay, _scale_to_length(stacks), momentum]
    if config.name == "adamw":
        return [optax.scale_by_adam(), decay]
    if config.name == "adagrad":
        return [optax.scale_by_rss(initial_accumulator_value=0.0, eps=1e-10), decay]
    if config.name == "rmsprop":
        return [optax.scale_by_rms(decay=0.9, eps=1e-8), decay]
    assert_never(config.name)


def rate_factor(config: OptimizerConfig, path: str) -> float:
    """The factor on the rate of one parameter: the product of all whose pattern matches its path.

    Patterns are those of a shell: `*` stands for anything, `/` too.

    Example:
        >>> config = OptimizerConfig(rate_factors=(("*/bias", 2.0), ("fc*", 0.1)))
        >>> [rate_factor(config, path) for path in ("conv1/kernel", "conv1/bias", "fc8/bias")]
        [1.0, 2.0, 0.2]
    """
    factors = [factor for pattern, factor in config.rate_factors if fnmatchcase(path, pattern)]
    return math.prod(factors, start=1.0)


def frozen(config: OptimizerConfig) -> tuple[str, ...]:
    """The patterns whose factor on the rate is 0: parameters and statistics that match stay.

    Example:
        >>> frozen(OptimizerConfig(rate_factors=(("conv1/*", 0.0), ("*/bias", 2.0))))
        ('conv1/*',)
    """
    return tuple(pattern for pattern, factor in config.rate_factors if factor == 0)


def check_rate_factors(config: OptimizerConfig, paths: Iterable[str]) -> None:
    """Refuse a factor whose pattern matches no parameter's path, such as `conv1/conv/kernel`."""
    known = list(paths)
    for pattern, _ in config.rate_factors:
        if not any(fnmatchcase(path, pattern) for path in known):
            layers = [f"{path.partition('/')[0]}/*" for path in known]
            kinds = [f"*/{path.rpartition('/')[2]}" for path in known]
            would_match = list(dict.fromkeys([*layers, *kinds, *known]))
            raise ConfigError(
                f"optimizer.rate-factors has {pattern!r}, which matches no parameter of the "
                f"network: {nearest(pattern, would_match)}"
            )


def _scale_by_factors(config: OptimizerConfig) -> optax.GradientTransformation:
    """Multiplies every step by the factor of its parameter; keeps no state."""

    def scale(updates: PyTree, params: PyTree | None) -> PyTree:
        del params
        return _by_path(lambda path, leaf: leaf * rate_factor(config, path), updates)

    return optax.stateless(scale)


def _by_path(change: Callable[..., Any], *trees: PyTree) -> PyTree:
    """The leaves changed, each given its path as `ablax.core.leaves_by_path` has it."""

    def changed(path: tuple[Any, ...], *leaves: Any) -> Any:
        return change(jax.tree_util.keystr(path, simple=True, separator="/"), *leaves)

    return jax.tree_util.tree_map_with_path(changed, *trees)


def _kernels(params: PyTree) -> PyTree:
    """Which leaves are kernels, by their names."""
    return _by_path(lambda path, _: role(path) == "kernel", params)


def _scale_to_length(stacks: Sequence[str]) -> optax.GradientTransformation:
    """Multiplies every step of a kernel by its length over that of the step: h |w| / |h|."""

    def scale(updates: PyTree, params: PyTree | None) -> PyTree:
        return _by_path(partial(_to_length, stacks), updates, params)

    return optax.stateless(scale)


def _to_length(
    stacks: Sequence[str], path: str, step: Float[Array, "..."], weights: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The step of one leaf, or of each of the leaves that it stacks."""
    if role(path) != "kernel":
        return step
    rule = optax.scale_by_trust_ratio()

    def scaled(step: Array, weights: Array) -> Array:
        return rule.update(step, rule.init(weights), weights)[0]

    for _ in filter(path.startswith, (f"{name}/" for name in stacks)):
        scaled = jax.vmap(scaled)
    return scaled(step, weights)


def weight_penalty(parameters: Any) -> Float[Array, ""]:
    """The sum of the squares of all weights: sum of w^2, with gradient 2 w, in float32 at least.

    Weights are the leaves of the tree whose name says that they are kernels (`ablax.core.role`).
    Biases, scales and slopes are left out: they have no fan-in to keep small. (The optimizer's
    weight decay acts on the same leaves, outside the loss.)

    Raises:
        AblaxError: There is no weight in the tree, or a leaf whose name says nothing.

    Example:
        >>> weight_penalty({"fc": {"kernel": jnp.array([[3.0, 4.0]]), "bias": jnp.ones(2)}})
        Array(25., dtype=float32)
    """
    named = leaves_by_path(parameters)
    weights = [leaf for path, leaf in named.items() if role(path) == "kernel"]
    if not weights:
        names = ", ".join(sorted({path.rpartition("/")[2] for path in named})) or "none at all"
        raise AblaxError(
            f"weight_penalty was given leaves named {names}: expected one named kernel at least"
        )
    wide = (weight.astype(jnp.promote_types(weight.dtype, jnp.float32)) for weight in weights)
    return sum((jnp.sum(jnp.square(weight)) for weight in wide), jnp.float32(0))


def penalized_squared_error(
    outputs: Float[Array, "N *rest"],
    targets: Float[Array, "N *rest"],
    parameters: Any,
    gamma: float,
) -> Float[Array, ""]:
    """The lecture's error that penalizes large weights, over a whole set of examples.

    E = 1/2 sum over d, k of (t_kd - o_kd)^2 + gamma sum over i, j of w_ji^2

    with the outputs o and targets t of every example d, and w as in `weight_penalty`.

    Raises:
        AblaxError: A negative gamma, or no weight in the tree.

    References:
        Mitchell 1997, Machine learning, section 4.8.1; L1, Alternative error functions.

    Example:
        >>> parameters = {"kernel": jnp.array([[3.0, 4.0]])}
        >>> penalized_squared_error(jnp.ones((2, 1)), jnp.zeros((2, 1)), parameters, gamma=0.1)
        Array(3.5, dtype=float32)
    """
    if not gamma >= 0:
        raise AblaxError(f"gamma={gamma!r}: expected a number of at least 0")
    return squared_error(outputs, targets).sum() + gamma * weight_penalty(parameters)
