"""The named initial values: JAX's numbers, drawn in a row."""

import jax
import jax.numpy as jnp
import pytest
from jax.nn import initializers as jaxs

from ablax.layers import initializers as ours

PAIRS = [
    (ours.HE_NORMAL, jaxs.he_normal()),
    (ours.LECUN_NORMAL, jaxs.lecun_normal()),
    (ours.GLOROT_NORMAL, jaxs.glorot_normal()),
    (ours.GAUSSIAN_001, jaxs.normal(0.01)),
]


@pytest.mark.parametrize(("mine", "jax_own"), PAIRS)
def test_the_draws_are_those_of_jax(mine, jax_own):
    key = jax.random.key(3)
    drawn, expected = mine(key, (2, 3, 5, 7)), jax_own(key, (2, 3, 5, 7))
    assert jnp.allclose(drawn, expected, rtol=3e-7, atol=0)


def test_he_normal_has_variance_two_over_fan_in():
    kernel = ours.HE_NORMAL(jax.random.key(0), (3, 3, 32, 256))
    assert jnp.isclose(kernel.var(), 2 / (3 * 3 * 32), rtol=0.02)
    assert jnp.isclose(kernel.mean(), 0, atol=1e-3)


def test_a_longer_row_starts_with_the_same_numbers():
    key = jax.random.key(1)
    short, long = (ours.GAUSSIAN_001(key, (size,)) for size in (5, 33))
    assert jnp.array_equal(short, long[:5])


def test_initializers_give_the_type_that_is_asked_for():
    assert ours.HE_NORMAL(jax.random.key(0), (4, 4), jnp.bfloat16).dtype == jnp.bfloat16
