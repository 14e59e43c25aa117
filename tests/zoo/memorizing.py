"""Does a network train at all? Shared by the tests of the families."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ablax.core import initialize, leaves_by_path


def _loss(network, params, statistics, images, labels):
    """Cross-entropy with batch normalization in training, dropout off, and the new statistics."""
    variables = {"params": params, **statistics}
    scores, changed = network.apply(variables, images, mutable=list(statistics))
    loss = optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()
    return loss, (dict(changed), scores)


def _start(network, image_shape, batch, classes):
    variables = initialize(network, 0, image_shape)
    statistics = {name: tree for name, tree in variables.items() if name != "params"}
    images = jax.random.uniform(jax.random.key(0), (batch, *image_shape)) * 2 - 1
    return variables["params"], statistics, images, jnp.arange(batch) % classes


def wrong_after_training(network, image_shape, *, classes=4, batch=8, steps=60, rate=3e-3):
    """How many of a small batch of noise images are still wrong after training on it alone.

    Args:
        network: With `classes` scores.
        image_shape: (H, W, C).
        classes: Labels 0, 1, ... in turn.
        batch: How many images.
        steps: Of Adam, in one compiled loop.
        rate: Learning rate.
    """
    params, statistics, images, labels = _start(network, image_shape, batch, classes)
    optimizer = optax.adam(rate)

    def step(carry, _):
        params, statistics, state = carry
        gradient = jax.grad(lambda p: _loss(network, p, statistics, images, labels), has_aux=True)
        slopes, (statistics, scores) = gradient(params)
        updates, state = optimizer.update(slopes, state)
        return (optax.apply_updates(params, updates), statistics, state), scores

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=steps)[1][-1])
    scores = run((params, statistics, optimizer.init(params)))
    return int((scores.argmax(1) != labels).sum())


def leaves_without_gradient(network, image_shape, *, classes=4, batch=4):
    """Paths of the parameters that no image moves: a layer that does not train."""
    params, statistics, images, labels = _start(network, image_shape, batch, classes)
    gradient = jax.jit(jax.grad(lambda p: _loss(network, p, statistics, images, labels)[0]))
    leaves = leaves_by_path(gradient(params))
    assert all(np.isfinite(leaf).all() for leaf in leaves.values())
    return [path for path, leaf in leaves.items() if not np.any(np.asarray(leaf))]
