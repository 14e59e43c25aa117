"""How long does a training step take to compile? Shared by the tests of very deep networks."""

import time

import jax
import jax.numpy as jnp

from ablax.core import abstract_variables


def seconds_to_compile(network, image_shape):
    """Processor seconds to trace, lower and compile the gradient of a training step.

    Of all threads of this process, so that other work on the machine does not count.

    Args:
        network: One with batch normalization.
        image_shape: (H, W, C).
    """
    variables = abstract_variables(network, image_shape)
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)

    def loss(params, statistics, images):
        everything = {"params": params, "batch_stats": statistics}
        scores, changed = network.apply(everything, images, mutable=["batch_stats"])
        return jax.nn.log_softmax(scores)[:, 0].sum(), changed

    step = jax.jit(jax.grad(loss, has_aux=True))
    start = time.process_time()
    step.lower(variables["params"], variables["batch_stats"], images).compile()
    return time.process_time() - start
