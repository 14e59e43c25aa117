"""The named initial values: JAX's numbers, drawn in a row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import initializers as jaxs

from ablax.layers import initializers as ours

PAIRS = [
    (ours.HE_NORMAL, jaxs.he_normal()),
    (ours.LECUN_NORMAL, jaxs.lecun_normal()),
    (ours.GLOROT_NORMAL, jaxs.glorot_normal()),
    (ours.GAUSSIAN_001, jaxs.normal(0.01)),
]


@pytest.mark.slow
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


@pytest.mark.slow
def test_orthogonal_draws_are_orthogonal_block_by_block_and_differ():
    kernel = ours.ORTHOGONAL(jax.random.key(0), (4, 12))
    blocks = kernel.reshape(4, 3, 4).transpose(1, 0, 2)
    assert jnp.allclose(blocks @ blocks.transpose(0, 2, 1), jnp.eye(4), atol=1e-5)
    assert not jnp.allclose(blocks[0], blocks[1])
    with pytest.raises(ValueError, match=r"of 4 rows do not fill \(4, 6\)"):
        ours.ORTHOGONAL(jax.random.key(0), (4, 6))


def test_forget_gates_start_open_and_the_other_gates_at_zero():
    assert ours.FORGET_ONES(jax.random.key(0), (12,)).tolist() == [0] * 3 + [1] * 3 + [0] * 6


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 3, 2, 5), (2, 7), (6, 6), (1, 1, 4, 9)])
def test_an_orthogonal_kernel_keeps_lengths_and_angles_times_its_gain(shape):
    kernel = ours.orthogonal(1.5)(jax.random.key(0), shape).reshape(-1, shape[-1])
    matrix = kernel if kernel.shape[0] >= kernel.shape[1] else kernel.T
    assert jnp.allclose(matrix.T @ matrix, 2.25 * jnp.eye(matrix.shape[1]), atol=1e-5)
    other = ours.orthogonal(1.5)(jax.random.key(1), shape).reshape(-1, shape[-1])
    assert not jnp.allclose(kernel, other, atol=0.1)


def test_orthogonal_draws_are_uniform_over_rotations_and_reflections():
    keys = jax.random.split(jax.random.key(2), 2000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: ours.orthogonal()(key, (2, 2))))(keys))
    angles = np.arctan2(drawn[:, 1, 0], drawn[:, 0, 0])
    assert np.all(np.abs(np.histogram(angles, 8, (-np.pi, np.pi))[0] - 250) < 75)
    assert abs(np.mean(np.linalg.det(drawn))) < 0.1


def test_all_equal_averages_the_inputs():
    kernel = ours.ALL_EQUAL(jax.random.key(0), (3, 3, 2, 5))
    assert jnp.allclose(kernel, 1 / 18)
