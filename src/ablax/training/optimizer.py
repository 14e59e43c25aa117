"""Optimizers and learning-rate schedules, composed from optax."""

from __future__ import annotations

from typing import assert_never

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from ablax.config import ConfigError, OptimizerConfig


def schedule(config: OptimizerConfig, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """The learning rate at every step: a linear warm-up from rate / steps, then the named fall.

    constant: rate. step: rate * drop_factor^k after the k-th of `drops`. cosine:
    rate * (1 + cos(pi * t)) / 2, with t from 0 after the warm-up to 1 at the end.

    Args:
        config: Names the schedule.
        epochs: Length of the training; the fall is measured against it.
        steps_per_epoch: Steps in one of them.

    Returns:
        Step to rate.

    Raises:
        ConfigError: The warm-up is as long as the training.

    References:
        Goyal et al. (2017): Accurate, large minibatch SGD, section 2.2 (warm-up).
        Loshchilov, Hutter (2017): SGDR: stochastic gradient descent with warm restarts (cosine).

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
    if config.schedule == "constant":
        fall = optax.constant_schedule(config.rate)
    elif config.schedule == "cosine":
        fall = optax.cosine_decay_schedule(config.rate, total - warmup)
    elif config.schedule == "step":
        fall = optax.piecewise_constant_schedule(config.rate, _drops(config, total, warmup))
    else:
        assert_never(config.schedule)
    if warmup == 0:
        return fall
    return optax.join_schedules([lambda step: config.rate * (step + 1) / warmup, fall], [warmup])


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
    config: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.GradientTransformation:
    """The update rule: clip, decay kernels, gather momentum, scale by the schedule.

    sgd: v' = momentum * v + (g + weight_decay * w), w' = w - rate * v'. adamw: w' = w - rate *
    (adam(g) + weight_decay * w). Weights decay outside the loss, and only kernels do: not biases,
    and not the scales of normalization.

    Raises:
        ConfigError: As `schedule`.

    References:
        Krizhevsky, Sutskever, Hinton (2012): ImageNet classification with deep convolutional neural
        networks, section 5 (sgd). Loshchilov, Hutter (2019): Decoupled weight decay (adamw).
    """
    rate = schedule(config, epochs, steps_per_epoch)
    decay = optax.add_decayed_weights(config.weight_decay, mask=_kernels)
    if config.name == "sgd":
        rule = [decay, optax.trace(config.momentum, nesterov=config.nesterov)]
    elif config.name == "adamw":
        rule = [optax.scale_by_adam(), decay]
    else:
        assert_never(config.name)
    clip = [] if config.clip is None else [optax.clip_by_global_norm(config.clip)]
    return optax.chain(*clip, *rule, optax.scale_by_learning_rate(rate))


def _kernels(params: PyTree) -> PyTree:
    """Which leaves decay: those of two axes and more."""
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) > 1, params)
