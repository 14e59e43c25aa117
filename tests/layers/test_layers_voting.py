"""Combining the classes of pixels: averages, votes and mixtures."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ablax.layers.heads import PixelMixture, pixel_average, pixel_mixture, pixel_vote
from ablax.layers.windows import ShapeError

average, vote = jax.jit(pixel_average), jax.jit(pixel_vote)
SHAPE = (2, 3, 3, 4)


def pixels(*probabilities):
    """The scores of a row of pixels with these class probabilities."""
    return jnp.asarray(np.log(np.array(probabilities, np.float32))[None, None])


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)


def probabilities(z):
    powers = np.exp(z)
    return powers / powers.sum(-1, keepdims=True)


def test_the_average_by_hand_in_value_and_gradient():
    z = pixels([0.9, 0.1], [0.5, 0.5])
    np.testing.assert_allclose(np.exp(average(z))[0], [0.7, 0.3], atol=1e-6)
    # d log(mean)[0] / dz[p, c] = p[0] (1[c = 0] - p[c]) / (2 mean[0])
    slope = jax.jit(jax.grad(lambda z: pixel_average(z)[0, 0]))(z)[0, 0]
    np.testing.assert_allclose(slope, [[0.09 / 1.4, -0.09 / 1.4], [0.25 / 1.4, -0.25 / 1.4]], 1e-5)


def test_the_softmax_of_the_average_is_the_mean_probability():
    z = random(*SHAPE)
    mean = probabilities(z).mean((1, 2))
    np.testing.assert_allclose(probabilities(average(z)), mean, rtol=1e-5)


def test_certain_pixels_give_finite_scores_and_slopes():
    z = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], np.float32)[None, None]

    def both(z):
        return pixel_average(z).sum() + pixel_vote(z).sum()

    for number in jax.tree.leaves(jax.jit(jax.value_and_grad(both))(z)):
        assert np.isfinite(number).all()


def test_scores_have_the_type_of_their_input():
    z = jax.ShapeDtypeStruct(SHAPE, jnp.bfloat16)
    assert jax.eval_shape(pixel_average, z).dtype == jnp.bfloat16
    assert jax.eval_shape(pixel_vote, z).dtype == jnp.bfloat16


def test_a_vote_by_hand():
    """Two votes to one, though the one is surer: the average decides otherwise."""
    z = pixels([0.6, 0.4], [0.6, 0.4], [1e-9, 1.0])
    np.testing.assert_allclose(np.exp(vote(z))[0], [(2 + 0.4) / 4, (1 + 0.6) / 4], atol=1e-6)
    assert vote(z).argmax() == 0
    assert average(z).argmax() == 1


@pytest.mark.slow
def test_a_vote_equals_counting_in_a_loop():
    z = random(*SHAPE, seed=3)
    expected = probabilities(z).mean((1, 2))
    for n, r, c in np.ndindex(*SHAPE[:3]):
        expected[n, z[n, r, c].argmax()] += 1
    np.testing.assert_allclose(np.exp(vote(z)), expected / 10, rtol=1e-5)


def test_between_equal_counts_the_mean_probability_decides():
    z = np.concatenate([pixels([0.6, 0.4], [0.1, 0.9]), pixels([0.9, 0.1], [0.4, 0.6])])
    assert vote(z).argmax(1).tolist() == [1, 0]


def test_of_equal_classes_a_pixel_votes_for_the_first():
    np.testing.assert_allclose(
        np.exp(vote(np.zeros(SHAPE, np.float32)))[0], [9.25 / 10, *[0.25 / 10] * 3], rtol=1e-6
    )


@pytest.mark.slow
def test_the_derivative_of_the_vote_is_that_of_the_average_forwards_and_backwards():
    z, direction, cotangent = random(*SHAPE), random(*SHAPE, seed=1), random(2, 4, seed=2)

    @functools.partial(jax.jit, static_argnums=0)
    def slopes(combine, z):
        value, pull = jax.vjp(combine, z)
        return value, jax.jvp(combine, (z,), (direction,))[1], pull(cotangent)

    hard, soft = slopes(pixel_vote, z), slopes(pixel_average, z)
    np.testing.assert_allclose(hard[1], soft[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(hard[2], soft[2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(hard[0], vote(z), rtol=1e-6)
    assert np.abs(hard[0] - soft[0]).max() > 0.1


@pytest.mark.slow
def test_training_on_votes_wins_the_vote():
    z, labels = random(*SHAPE), np.array([0, 2])

    def loss(z):
        return optax.softmax_cross_entropy_with_integer_labels(pixel_vote(z), labels).sum()

    @jax.jit
    def trained(z):
        return jax.lax.scan(lambda z, _: (z - 2 * jax.grad(loss)(z), None), z, None, length=60)[0]

    assert (vote(z).argmax(1) != labels).all()
    assert (vote(trained(z)).argmax(1) == labels).all()


def test_a_mixture_by_hand_in_value_and_gradient():
    """d log m[c] / d location[p] = w[p] (q[p, c] / m[c] - 1)."""
    z, location = pixels([0.9, 0.1], [0.5, 0.5]), np.log(np.array([[3.0, 1.0]], np.float32))

    def first(location):
        scores = pixel_mixture(z, location)
        return scores[0, 0], scores

    slope, scores = jax.jit(jax.grad(first, has_aux=True))(location)
    np.testing.assert_allclose(np.exp(scores)[0], [0.8, 0.2], atol=1e-6)
    expected = [[0.75 * (0.9 / 0.8 - 1), 0.25 * (0.5 / 0.8 - 1)]]
    np.testing.assert_allclose(slope, expected, atol=1e-6)


@pytest.mark.slow
def test_the_mixture_starts_as_the_average_and_takes_maps_of_another_size():
    variables = PixelMixture().init(jax.random.key(0), jnp.zeros((1, 5, 2, 4)))
    assert variables["params"]["location"].shape == (5, 2)
    z = random(*SHAPE)
    y = jax.jit(PixelMixture().apply)(variables, z)
    np.testing.assert_allclose(y, average(z), rtol=1e-6)


def test_only_a_pixel_that_counts_decides():
    z, location = random(*SHAPE), np.zeros((3, 3), np.float32)
    location[1, 2] = 200
    mixed = jax.jit(pixel_mixture)(z, location)
    np.testing.assert_allclose(np.exp(mixed), probabilities(z)[:, 1, 2], rtol=1e-5)


def test_locations_of_another_size_are_refused():
    with pytest.raises(ShapeError, match=r"pixel_mixture was given \(1, 4, 4, 2\).*\(2, 2\).*`res"):
        pixel_mixture(jnp.ones((1, 4, 4, 2)), jnp.ones((2, 2)))
