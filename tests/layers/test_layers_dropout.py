"""Dropout."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.layers import Dropout, FieldError, dropout

KEY = jax.random.key(3)


def test_dropout_keeps_a_number_scaled_up_or_drops_it_and_its_gradient_alike():
    x = jnp.linspace(1.0, 2.0, 1000)
    y, back = jax.vjp(lambda x: dropout(KEY, x, 0.2), x)
    kept = np.asarray(y) != 0
    np.testing.assert_allclose(y[kept], x[kept] / 0.8, rtol=1e-6)
    np.testing.assert_allclose(back(jnp.ones(1000))[0], kept / 0.8, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_the_fraction_asked_and_keeps_the_mean(rate):
    y = dropout(KEY, jnp.ones(100_000), rate)
    # Five standard errors of the mean of 100,000 numbers.
    slack = 5 * np.sqrt(rate * (1 - rate) / 100_000)
    assert abs((y == 0).mean() - rate) < slack
    assert abs(y.mean() - 1) < slack / (1 - rate)


def test_dropout_acts_exactly_when_it_is_granted_a_key():
    x = jnp.ones((4, 5))
    np.testing.assert_array_equal(Dropout(0.5).apply({}, x), x)
    y = Dropout(0.5).apply({}, x, rngs={"dropout": KEY})
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(Dropout(0.0).apply({}, x, rngs={"dropout": KEY}), x)
    assert jax.make_jaxpr(lambda x: Dropout(0.5).apply({}, x))(x).eqns == []


def test_dropout_masks_depend_on_the_path_and_on_nothing_around_it():
    class Two(nn.Module):
        names: tuple[str, ...]

        @nn.compact
        def __call__(self, x):
            return [Dropout(0.5).copy(name=name)(x) for name in self.names]

    x = jnp.ones(200)
    six, seven = Two(("fc6", "fc7")).apply({}, x, rngs={"dropout": KEY})
    (alone,) = Two(("fc7",)).apply({}, x, rngs={"dropout": KEY})
    np.testing.assert_array_equal(seven, alone)
    assert (six != seven).any()


def test_dropout_keeps_the_type_it_is_given():
    assert dropout(KEY, jnp.ones(4, jnp.bfloat16), 0.3).dtype == jnp.bfloat16


@pytest.mark.parametrize("rate", [1.0, np.float32(1)])
def test_dropout_of_everything_leaves_zeros_and_no_gradient(rate):
    y, back = jax.vjp(lambda x: dropout(KEY, x, rate), jnp.ones(4))
    assert not y.any()
    assert not back(jnp.ones(4))[0].any()
    assert Dropout(rate).apply({}, jnp.ones(2)).tolist() == [1, 1]


@pytest.mark.parametrize("rate", [-0.1, 1.01, float("nan")])
def test_dropout_refuses_a_rate_outside_its_range(rate):
    with pytest.raises(FieldError, match="expected a number from 0 to 1"):
        Dropout(rate)
    with pytest.raises(FieldError, match="rate="):
        dropout(KEY, jnp.ones(3), rate)
