"""The cost of a network with a block that cannot be counted is refused, not a traceback."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from ablax.core import insert_after
from ablax.errors import AblaxError
from ablax.experiment import network_macs
from ablax.zoo import lenet5


class Forever(nn.Module):
    @nn.compact
    def __call__(self, x):
        square = jnp.eye(x.shape[-1])
        return jax.lax.while_loop(lambda y: y.sum() < 0, lambda y: y @ square, x)


def test_a_product_in_a_loop_of_unknown_length_is_refused_by_its_name():
    network = insert_after("vectorize", forever=Forever())(lenet5(10))
    with pytest.raises(AblaxError, match=r"cost cannot be counted.*while"):
        network_macs(network, (32, 32, 1))
