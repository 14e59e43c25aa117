"""Selecting channels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import count_parameters, sequential
from ablax.core.network import Layers, Network
from ablax.layers import Convolution, FieldError, ShapeError
from ablax.layers.shape import SelectChannels, select_channels


def test_selection_by_hand_in_value_and_gradient():
    x = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y, back = jax.vjp(lambda x: select_channels(x, (2, 0, 2)), x)
    np.testing.assert_array_equal(y, [[3, 1, 3], [6, 4, 6]])
    slopes = back(jnp.array([[1.0, 10, 100], [2, 20, 200]]))[0]
    np.testing.assert_array_equal(slopes, [[10, 0, 101], [20, 0, 202]])


def test_selection_and_groups_are_a_convolution_whose_other_weights_are_zero():
    """Of channels 0 and 1 for one feature, and 1 and 2 for the other."""
    partial = sequential(select=SelectChannels((0, 1, 1, 2)), conv=Convolution(2, 3, groups=2))
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(2, 5, 4, 3)), jnp.float32)
    kept = jnp.asarray(draw.normal(size=(3, 3, 2, 2)), jnp.float32)
    bias = jnp.array([0.5, -0.5])
    dense = np.zeros((3, 3, 3, 2), np.float32)
    dense[:, :, :2, 0], dense[:, :, 1:, 1] = kept[..., 0], kept[..., 1]
    y = partial.apply({"params": {"conv": {"kernel": kept, "bias": bias}}}, x)
    whole = Convolution(2, 3).apply({"params": {"kernel": jnp.asarray(dense), "bias": bias}}, x)
    np.testing.assert_allclose(y, whole, rtol=1e-5, atol=1e-5)
    network = Network(Layers(), Layers(partial=partial), Layers())
    assert count_parameters(network, (5, 4, 3)) == 2 * 2 * 9 + 2


@pytest.mark.parametrize("channels", [(), (0, -1), (True,)])
def test_selection_refuses_what_is_no_index(channels):
    with pytest.raises(FieldError, match="expected a tuple of at least one index"):
        SelectChannels(channels)


def test_selection_refuses_a_channel_that_is_not_there():
    with pytest.raises(ShapeError, match="channel 3 is not among 0 to 2"):
        select_channels(jnp.ones((2, 3)), (0, 3))
