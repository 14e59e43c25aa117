"""Gradient ascent climbs; each regularizer does what its equation says."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from ablax.analysis.maximization import Ascent, blurred, deep_dream, maximize, roughness_gradient


def drawn(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


PLAIN = Ascent(steps=3, rate=0.1, decay=0.0, blur=0.0, total_variation=0.0, jitter=0)
PATTERN = drawn(0, 6, 6, 2)


def alike(images):
    return jnp.sum(images * PATTERN, (1, 2, 3))


def test_ascent_of_a_linear_score_goes_along_its_weights_by_hand():
    found, climbed = maximize(alike, jnp.zeros((1, 6, 6, 2)), 0, PLAIN)
    # rates 0.1, 0.07 and 0.04 along the pattern of root mean square 1
    unit = PATTERN / jnp.sqrt(jnp.mean(PATTERN**2))
    np.testing.assert_allclose(found[0], 0.21 * unit, atol=1e-6)
    expected = np.array([0.0, 0.1, 0.17]) * float(jnp.sum(unit * PATTERN))
    np.testing.assert_allclose(climbed[:, 0], expected, atol=1e-4)


def test_ascent_decays_by_the_share_asked_for():
    found, _ = maximize(
        lambda x: 0 * x.sum((1, 2, 3)),
        jnp.ones((1, 6, 6, 2)),
        0,
        dataclasses.replace(PLAIN, decay=0.5),
    )
    np.testing.assert_allclose(found, 0.125)


@pytest.mark.slow
def test_ascent_keeps_within_the_range_of_each_channel():
    ascent = dataclasses.replace(PLAIN, rate=5.0, low=(-0.5, -0.25), high=(0.5, 0.25))
    found, _ = maximize(alike, drawn(6, 2, 6, 6, 2), 0, ascent)
    assert jnp.abs(found).max((0, 1, 2)).tolist() == [0.5, 0.25]


@pytest.mark.slow
def test_ascent_with_jitter_climbs_and_repeats_for_a_seed():
    ascent = dataclasses.replace(PLAIN, jitter=2, steps=8)
    results = [maximize(alike, drawn(6, 1, 6, 6, 2), seed, ascent)[0] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


@pytest.mark.slow
def test_total_variation_makes_a_smoother_image():
    rough = drawn(3, 1, 6, 6, 2)
    smooth = [
        maximize(alike, rough, 0, dataclasses.replace(PLAIN, total_variation=weight))[0]
        for weight in (0.0, 3.0)
    ]
    assert jnp.sum(jnp.diff(smooth[1], axis=1) ** 2) < jnp.sum(jnp.diff(smooth[0], axis=1) ** 2)


def test_roughness_gradient_by_hand():
    image = jnp.array([1.0, 4.0, 2.0]).reshape(1, 1, 3, 1)
    # differences 3 and -2
    assert jax.jit(roughness_gradient)(image).ravel().tolist() == [-3, 5, -2]


def test_blur_is_scipys_gaussian():
    images = drawn(4, 2, 9, 8, 3)
    expected, found = np.asarray(images), jax.jit(blurred, static_argnums=1)(images, 1.0)
    for axis in (1, 2):
        expected = gaussian_filter1d(expected, 1.0, axis=axis, mode="nearest", radius=3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_inceptionism_raises_the_features_and_keeps_the_picture():
    image = drawn(5, 16, 20, 1)
    kernel = jnp.array([-1.0, 1.0]).reshape(1, 2, 1, 1)

    def edges(images):
        return jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    ascent = dataclasses.replace(PLAIN, steps=2, jitter=1)
    found = deep_dream(edges, image, 0, ascent, octaves=2)
    assert found.shape == image.shape
    assert jnp.mean(edges(found[None]) ** 2) > jnp.mean(edges(image[None]) ** 2)
    assert jnp.corrcoef(found.ravel(), image.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"rate": 0.0}, {"decay": 1.0}, {"blur": -1.0}])
def test_ascent_refuses_numbers_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Ascent(**wrong)


def test_maximize_and_inceptionism_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="one number per image"):
        maximize(lambda x: x, jnp.ones((1, 8, 8, 1)), 0)
    with pytest.raises(ValueError, match="no picture below 8 pixels"):
        deep_dream(lambda x: x, jnp.ones((8, 8, 1)), 0)
