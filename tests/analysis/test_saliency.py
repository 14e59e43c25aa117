"""Saliency is the gradient's size, occlusion the fall of the score, square by square."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.analysis.saliency import occlusion_map, saliency_map, spread


def drawn(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


WEIGHTS = drawn(0, 6, 7, 3)


def linear(images):
    return jnp.sum(images * WEIGHTS, (1, 2, 3))


def test_saliency_of_a_linear_score_is_its_largest_weight():
    images = drawn(1, 2, 6, 7, 3)
    expected = np.abs(WEIGHTS).max(-1)
    found = jax.jit(lambda x: saliency_map(linear, x))(images)
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-6)


def test_saliency_is_the_gradient_of_each_image_alone():
    images = drawn(2, 3, 6, 7, 3)

    def score(x):
        return linear(jax.nn.relu(x))

    gradient = jnp.abs(jnp.where(images > 0, WEIGHTS, 0)).max(-1)
    np.testing.assert_allclose(
        jax.jit(lambda x: saliency_map(score, x))(images), gradient, atol=1e-6
    )
    guided = jnp.where(images > 0, jnp.maximum(WEIGHTS, 0), 0).max(-1)
    np.testing.assert_allclose(
        jax.jit(lambda x: saliency_map(score, x, "guided"))(images), guided, atol=1e-6
    )


@pytest.mark.slow
def test_occlusion_of_a_linear_score_is_what_the_square_held():
    image = drawn(3, 6, 7, 3)
    fill = (0.5, -1.0, 2.0)
    found = occlusion_map(linear, image, window=3, stride=2, fill=fill, batch=3)
    assert found.shape == (2, 3)
    lost = np.asarray((image - jnp.array(fill)) * WEIGHTS)
    for row, column in np.ndindex(2, 3):
        held = lost[2 * row : 2 * row + 3, 2 * column : 2 * column + 3].sum()
        assert found[row, column] == pytest.approx(held, abs=1e-4)


def test_spread_gives_each_pixel_the_mean_of_its_squares():
    spread_out = jax.jit(lambda falls: spread(falls, 2, 2, 5, 4))
    found = spread_out(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    expected = np.kron([[1.0, 2.0], [3.0, 4.0]], np.ones((2, 2)))
    np.testing.assert_array_equal(found[:4], expected)
    assert np.isnan(found[4]).all()


def test_saliency_and_occlusion_refuse_more_than_one_number_an_image():
    images = jnp.ones((2, 6, 7, 3))
    with pytest.raises(ValueError, match="one number per image"):
        saliency_map(lambda x: x.sum((1, 2)), images)
    with pytest.raises(ValueError, match="one number per image"):
        occlusion_map(lambda x: x.sum((1, 2)), images[0], window=2)


def test_occlusion_refuses_a_square_larger_than_the_image():
    with pytest.raises(ValueError, match="expected a window that fits"):
        occlusion_map(linear, jnp.ones((6, 7, 3)), window=7)
