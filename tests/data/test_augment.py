"""Random distortions: each an identity at amount 0, a known motion otherwise, and repeatable."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.data.augment import (
    Augmentation,
    AugmentationError,
    affine_field,
    augment,
    color,
    displacement_field,
    flip,
    noise,
    pad_and_crop,
    resample,
)

KEY = jax.random.key(0)
EVERYTHING = Augmentation(
    crop_padding=2,
    flip=True,
    rotate=20.0,
    scale=0.2,
    translate=1.5,
    elastic=1.0,
    noise=0.1,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
)
ONE_AT_A_TIME = [
    Augmentation(crop_padding=3),
    Augmentation(flip=True),
    Augmentation(rotate=30.0),
    Augmentation(scale=0.3),
    Augmentation(translate=3.0),
    Augmentation(elastic=1.0),
    Augmentation(noise=0.2),
    Augmentation(brightness=0.5),
    Augmentation(contrast=0.5),
    Augmentation(saturation=0.5),
]


def pictures(n=16, height=8, width=10, channels=3, seed=0):
    shape = (n, height, width, channels)
    return jnp.asarray(np.random.RandomState(seed).uniform(size=shape), jnp.float32)


@jax.jit
def turned(images, angle, factor, move):
    return resample(images, affine_field(images.shape[1:3], angle, factor, move))


def turn(images, angle=0.0, factor=1.0, move=(0.0, 0.0)):
    n = len(images)
    amounts = np.full(n, angle), np.full(n, factor), np.tile(move, (n, 1))
    return turned(images, *(jnp.asarray(amount, jnp.float32) for amount in amounts))


def test_augment_with_every_amount_zero_returns_the_same_bits():
    images = pictures()
    assert np.array_equal(augment(KEY, images, Augmentation()), images)


@pytest.mark.parametrize(
    ("distort", "amount"),
    [(pad_and_crop, 0), (noise, 0.0), (color, 0.0)],
)
def test_each_distortion_at_amount_zero_returns_the_same_bits(distort, amount):
    images = pictures()
    assert np.array_equal(distort(KEY, images, amount), images)


@pytest.mark.slow
def test_a_field_of_zeros_returns_the_same_bits():
    images = pictures()
    assert np.array_equal(resample(images, jnp.zeros((*images.shape[:3], 2))), images)


@pytest.mark.slow
def test_an_affine_field_without_motion_is_exactly_zero():
    field = affine_field((7, 9), jnp.zeros(2), jnp.ones(2), jnp.zeros((2, 2)))
    assert not np.any(field)


def test_flip_twice_is_the_identity_and_once_is_the_mirror():
    images = pictures()
    once = flip(KEY, images, 1.0)
    assert np.array_equal(once, np.asarray(images)[:, :, ::-1])
    assert np.array_equal(flip(KEY, once, 1.0), images)


def test_flip_mirrors_about_half_of_the_pictures_and_leaves_the_rest():
    images = pictures(n=400, height=2, width=3, channels=1)
    flipped = np.asarray(flip(KEY, images))
    same = (flipped == images).all(axis=(1, 2, 3))
    mirrored = (flipped == np.asarray(images)[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 150 < mirrored.sum() < 250  # five standard deviations


@pytest.mark.slow
@pytest.mark.parametrize("padding", [1, 4])
def test_a_crop_is_a_window_of_the_padded_picture_and_every_window_occurs(padding):
    images = pictures(n=600, height=5, width=4, channels=2)
    cropped = np.asarray(pad_and_crop(KEY, images, padding))
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    seen = set()
    for picture, around in zip(cropped, padded, strict=True):
        windows = {
            (i, j)
            for i in range(2 * padding + 1)
            for j in range(2 * padding + 1)
            if np.array_equal(picture, around[i : i + 5, j : j + 4])
        }
        assert windows
        seen |= windows
    assert len(seen) == (2 * padding + 1) ** 2


def test_a_turn_by_90_degrees_is_counter_clockwise():
    images = pictures(height=9, width=9)
    expected = np.rot90(np.asarray(images), axes=(1, 2))
    np.testing.assert_allclose(turn(images, angle=90.0), expected, atol=1e-5)


def test_a_turn_by_180_degrees_mirrors_both_axes_of_any_rectangle():
    images = pictures()
    np.testing.assert_allclose(turn(images, angle=180.0), images[:, ::-1, ::-1], atol=1e-5)


@given(down=st.integers(-9, 9), right=st.integers(-11, 11))
@settings(deadline=None, max_examples=25)
def test_a_move_by_whole_pixels_shifts_and_fills_with_black(down, right):
    images = pictures()
    padded = np.pad(images, ((0, 0), (12, 12), (12, 12), (0, 0)))
    expected = np.roll(padded, (down, right), axis=(1, 2))[:, 12:-12, 12:-12]
    assert np.array_equal(turn(images, move=(float(down), float(right))), expected)


def test_a_factor_of_two_doubles_the_distance_from_the_center():
    line = jnp.zeros((1, 1, 9, 1)).at[0, 0, 6, 0].set(1.0)  # two pixels right of the center
    assert np.argmax(turn(line, factor=2.0)[0, 0, :, 0]) == 8
    assert np.argmax(turn(line, factor=0.5)[0, 0, :, 0]) == 5


@pytest.mark.slow
def test_resample_agrees_with_scipy():
    images = pictures()
    field = jnp.asarray(np.random.default_rng(1).normal(0, 2, (*images.shape[:3], 2)), jnp.float32)
    places = np.moveaxis(np.asarray(field, np.float64), -1, 1) + np.mgrid[:8, :10]
    expected = [
        scipy.ndimage.map_coordinates(
            np.asarray(image[..., 0], np.float64), place, order=1, mode="grid-constant"
        )
        for image, place in zip(images, places, strict=True)
    ]
    np.testing.assert_allclose(resample(images, field)[..., 0], expected, atol=1e-5)


@pytest.mark.slow
def test_the_gradient_of_resample_is_its_transpose():
    # <resample(x), g> = <x, gradient>: the function is linear in the pictures.
    images, upstream = pictures(seed=1), pictures(seed=2)
    field = displacement_field(KEY, images.shape[:3], 2.0)
    value, gradient = jax.jit(
        lambda x, g: (resample(x, field), jax.vjp(lambda x: resample(x, field), x)[1](g)[0])
    )(images, upstream)
    left, right = jnp.vdot(value, upstream), jnp.vdot(images, gradient)
    np.testing.assert_allclose(left, right, rtol=1e-5)


def test_the_displacement_has_the_given_deviation_at_every_pixel():
    field = np.asarray(displacement_field(KEY, (4000, 6, 5), 1.5, 2.0))
    # The deviation of a deviation from 4000 draws is 1.1 %.
    np.testing.assert_allclose(field.std(axis=0), 1.5, rtol=0.06)
    np.testing.assert_allclose(field.mean(axis=0), 0.0, atol=0.12)


def test_the_displacement_is_smooth_over_the_given_distance():
    # White noise smoothed by a Gaussian s is correlated as exp(-d² / 4 s²).
    field = np.asarray(displacement_field(KEY, (300, 40, 40), 1.0, 4.0))[:, 12:28, 12:28, 0]
    for distance in (1, 4, 8):
        measured = (field[:, distance:] * field[:, :-distance]).mean()
        assert measured == pytest.approx(np.exp(-(distance**2) / 64), abs=0.08)


def test_the_noise_has_the_given_deviation():
    gray = jnp.full((8, 16, 16, 3), 0.5)
    added = np.asarray(noise(KEY, gray, 0.05)) - 0.5
    assert added.std() == pytest.approx(0.05, rel=0.05)
    assert abs(added.mean()) < 0.003


def test_brightness_multiplies_each_picture_by_one_factor():
    images = pictures() / 4
    ratio = np.asarray(color(KEY, images, brightness=0.5)) / np.asarray(images)
    factors = ratio.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(
        ratio, np.broadcast_to(factors[:, None, None, None], ratio.shape), rtol=1e-5
    )
    assert len(np.unique(factors.round(4))) == len(images)
    assert (np.abs(factors - 1) <= 0.5).all()


def test_contrast_keeps_the_mean_gray_of_each_picture():
    images = pictures() / 4 + 0.375
    luma = np.array([0.299, 0.587, 0.114])
    changed = np.asarray(color(KEY, images, contrast=0.5))
    before, after = (np.asarray(x) @ luma for x in (images, changed))
    np.testing.assert_allclose(after.mean(axis=(1, 2)), before.mean(axis=(1, 2)), atol=1e-5)
    assert not np.allclose(after, before, atol=1e-2)


def test_saturation_keeps_the_gray_of_each_pixel_and_all_pictures_of_one_channel():
    images = pictures() / 4 + 0.375
    luma = np.array([0.299, 0.587, 0.114])
    changed = np.asarray(color(KEY, images, saturation=0.5))
    np.testing.assert_allclose(changed @ luma, np.asarray(images) @ luma, atol=1e-5)
    assert not np.allclose(changed, images, atol=1e-2)
    gray = pictures(channels=1)
    assert np.array_equal(color(KEY, gray, saturation=0.5), gray)


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", [*ONE_AT_A_TIME, EVERYTHING])
def test_augment_keeps_shape_type_and_range(augmentation):
    images = jnp.round(pictures())  # only 0 and 1: the ends of the range
    result = augment(KEY, images, augmentation)
    assert (result.shape, result.dtype) == (images.shape, images.dtype)
    assert 0 <= float(result.min()) <= float(result.max()) <= 1


@pytest.mark.parametrize("augmentation", ONE_AT_A_TIME)
def test_equal_keys_give_equal_results_and_other_keys_others(augmentation):
    images = pictures()
    result = augment(KEY, images, augmentation)
    assert np.array_equal(result, augment(KEY, images, augmentation))
    assert not np.array_equal(result, augment(jax.random.key(1), images, augmentation))


@pytest.mark.slow
def test_pictures_of_one_channel_are_distorted_too():
    images = pictures(channels=1)
    result = augment(KEY, images, EVERYTHING)
    assert result.shape == images.shape
    assert not np.array_equal(result, images)


@pytest.mark.parametrize("augmentation", ONE_AT_A_TIME)
def test_equal_pictures_of_a_batch_get_different_draws(augmentation):
    images = jnp.tile(pictures(n=1), (16, 1, 1, 1))
    result = np.asarray(augment(KEY, images, augmentation))
    expected = 2 if augmentation.flip else 8
    assert len({picture.tobytes() for picture in result}) >= expected


def test_switching_one_distortion_off_leaves_the_draws_of_the_others():
    images = pictures()
    both = augment(KEY, images, Augmentation(crop_padding=2, flip=True, rotate=10.0))
    less = augment(KEY, images, Augmentation(crop_padding=2, rotate=10.0))
    same = [np.array_equal(a, b) for a, b in zip(both, less, strict=True)]
    assert 0 < sum(same) < len(same)  # those that flip did not mirror


def test_no_two_distortions_share_a_key(monkeypatch):
    keys = []

    def record(key, images, *amounts):
        keys.append(jax.random.key_data(key).tolist())
        return images

    for name in ("pad_and_crop", "flip", "color", "noise"):
        monkeypatch.setattr(f"ablax.data.augment.{name}", record)
    for name, shape in (
        ("jax.random.uniform", (16, 4)),  # of the affine distortion
        ("ablax.data.augment.displacement_field", (16, 8, 10, 2)),
    ):
        monkeypatch.setattr(name, lambda key, *_, shape=shape: record(key, jnp.zeros(shape)))
    augment(KEY, pictures(), EVERYTHING)
    assert len(keys) == len({tuple(key) for key in keys}) == 6


def test_affine_and_elastic_are_one_resampling():
    jaxpr = str(jax.make_jaxpr(lambda x: augment(KEY, x, EVERYTHING))(pictures()))
    alone = str(jax.make_jaxpr(lambda x: augment(KEY, x, Augmentation(rotate=5.0)))(pictures()))
    crop = str(jax.make_jaxpr(lambda x: pad_and_crop(KEY, x, 2))(pictures()))
    assert jaxpr.count("gather[") == alone.count("gather[") + crop.count("gather[")


@pytest.mark.slow
def test_augment_is_the_same_compiled_mapped_and_scanned():
    images = pictures()
    keys = jax.random.split(KEY, 2)
    some = Augmentation(crop_padding=2, rotate=20.0, noise=0.1)

    @jax.jit
    def mapped(keys):
        return jax.vmap(lambda key: augment(key, images, some))(keys)

    @jax.jit
    def scanned(keys):
        return jax.lax.scan(lambda c, key: (c, augment(key, images, some)), 0, keys)[1]

    # Compiled code may fuse products and sums, so the last bits differ; the draws do not.
    plain = np.stack([augment(key, images, some) for key in keys])
    np.testing.assert_allclose(mapped(keys), plain, atol=2e-5)
    np.testing.assert_allclose(scanned(keys), plain, atol=2e-5)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("crop_padding", -1, "augment.crop-padding is -1, and a number from 0 to 256 is expected"),
        ("rotate", 181.0, "augment.rotate is 181.0, and a number from 0 to 180 is expected"),
        ("scale", 1.0, "augment.scale is 1.0, and a number from 0 to 0.99 is expected"),
        ("noise", float("nan"), "augment.noise is nan, and a number from 0 to 1 is expected"),
        ("elastic_smoothness", 0.0, "augment.elastic-smoothness is 0, and a positive number"),
    ],
)
def test_augmentation_refuses_amounts_out_of_range(field, value, message):
    with pytest.raises(AugmentationError, match=message.replace(".", r"\.")):
        Augmentation(**{field: value})


def test_every_field_of_augmentation_is_tested_above():
    tested = {name for each in ONE_AT_A_TIME for name, value in vars(each).items() if value}
    assert tested == {field.name for field in dataclasses.fields(Augmentation)}
