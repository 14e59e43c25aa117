"""Our networks with the drawn weights in them: scores, and the norms of their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
from drawn_weights import cotangent, drawn, images

from ablax.core import leaves_by_path
from ablax.weights.load import from_torch, tensor_name, tensor_shapes


def our_variables(case, network):
    """Variables initialized by PyTorch's names, imported as a stranger's weights would be."""
    shapes = tensor_shapes(network, case.image_shape, case.torch_name)
    tensors = {name: drawn(name, shape, case.gain) for name, shape in shapes.items()}
    tensors = case.prepare(tensors) if case.prepare else tensors
    return from_torch(network, case.image_shape, tensors, case.torch_name)


def our_scores(case):
    """The scores of one image, in float32."""
    network = case.build()
    return np.asarray(
        jax.jit(network.apply)(our_variables(case, network), jnp.asarray(images(case.image_shape)))[
            0
        ]
    )


def our_gradient_norms(case):
    """From PyTorch's tensor names to the norm of the gradient of a weighted sum of the scores."""
    network = case.build()
    variables = our_variables(case, network)
    statistics = {name: tree for name, tree in variables.items() if name != "params"}
    pixels = jnp.asarray(images(case.image_shape))

    def weighted_sum(params):
        scores = network.apply({"params": params, **statistics}, pixels)
        return (scores * cotangent(scores.shape[1])).sum()

    gradients = leaves_by_path(jax.jit(jax.grad(weighted_sum))(variables["params"]))
    return {
        tensor_name(path, case.torch_name): float(jnp.linalg.norm(leaf.ravel()))
        for path, leaf in gradients.items()
    }


def worst(ours, theirs):
    """The largest difference, relative to the largest number of the reference."""
    return float(np.max(np.abs(np.asarray(ours, np.float64) - theirs)) / np.max(np.abs(theirs)))


def worst_norm(ours, theirs):
    """The largest relative difference of two norms of the same tensor."""
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    return max(
        abs(ours[name] - norm) / max(norm, 1e-6 * max(theirs.values()))
        for name, norm in theirs.items()
    )
