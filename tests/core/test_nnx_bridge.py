"""Linen is a choice that stays cheap: a network crosses to Flax NNX unchanged."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ablax.zoo import lenet5


@pytest.mark.slow
def test_a_network_gives_the_same_scores_through_the_nnx_bridge():
    network = lenet5(10)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 32, 32, 1)), jnp.float32)
    bridged = nnx.bridge.ToNNX(network, rngs=nnx.Rngs(0)).lazy_init(images)
    params = nnx.to_pure_dict(nnx.state(bridged, nnx.Param))
    assert jnp.array_equal(bridged(images), network.apply({"params": params}, images))
