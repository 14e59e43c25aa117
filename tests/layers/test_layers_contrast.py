"""Local contrast normalization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.analysis.cost import macs
from ablax.analysis.jax_versions import double_precision
from ablax.layers import normalization as contrast
from ablax.layers.normalization import LocalContrastNormalization
from ablax.layers.windows import FieldError

subtract_local_mean = jax.jit(contrast.subtract_local_mean, static_argnums=(1, 2))
divide_by_local_deviation = jax.jit(contrast.divide_by_local_deviation, static_argnums=(1, 2, 3))
local_contrast_normalization = jax.jit(
    contrast.local_contrast_normalization, static_argnums=(1, 2, 3)
)


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def one_by_one(x, window, deviation):
    """Mean and mean square around each pixel, the window cut off at the border."""
    x = np.asarray(x, float)
    _, height, width, _ = x.shape
    mean, square = np.zeros((2, *x.shape[:3]))
    half = window // 2
    for r, c in np.ndindex(height, width):
        total = 0.0
        for p, q in np.ndindex(window, window):
            row, column = r + p - half, c + q - half
            if 0 <= row < height and 0 <= column < width:
                weight = np.exp(-((p - half) ** 2 + (q - half) ** 2) / (2 * deviation**2))
                total += weight
                mean[:, r, c] += weight * x[:, row, column].mean(-1)
                square[:, r, c] += weight * (x[:, row, column] ** 2).mean(-1)
        mean[:, r, c] /= total
        square[:, r, c] /= total
    return mean[..., None], square[..., None]


@pytest.mark.parametrize(("size", "window", "deviation"), [((9, 7), 5, 1.3), ((4, 3), 9, 2.25)])
def test_local_contrast_normalization_equals_loops(size, window, deviation):
    x = draw(2, *size, 3)
    v = np.asarray(x) - one_by_one(x, window, deviation)[0]
    spread = np.sqrt(one_by_one(v, window, deviation)[1])
    expected = v / np.maximum(spread, spread.mean((1, 2), keepdims=True))
    y = local_contrast_normalization(x, window, deviation)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_subtract_local_mean_makes_a_constant_0_at_the_border_too():
    v = subtract_local_mean(jnp.full((1, 5, 6, 2), 7.0))
    np.testing.assert_allclose(v, 0, atol=2e-6)


def test_subtract_local_mean_takes_a_slope_of_light_away_where_its_window_fits():
    slope = jnp.broadcast_to(jnp.linspace(0.0, 12.0, 13)[:, None], (1, 10, 13, 1))
    v = np.asarray(subtract_local_mean(slope))
    np.testing.assert_allclose(v[0, :, 4:9], 0, atol=1e-5)
    assert (v[0, :, 0] < -0.5).all()


def test_subtract_local_mean_takes_the_mean_over_all_channels():
    x = jnp.zeros((1, 5, 6, 2)).at[..., 1].set(2)
    np.testing.assert_allclose(subtract_local_mean(x)[0, 0, 0], [-1, 1], rtol=1e-6)


def test_local_contrast_normalization_does_not_see_brightness_or_contrast():
    x = draw(1, 12, 12, 2)
    y = local_contrast_normalization(x)
    np.testing.assert_allclose(local_contrast_normalization(3 * x + 5), y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(local_contrast_normalization(-x), -y, rtol=1e-6)


def test_divide_by_local_deviation_scales_down_only_what_is_above_the_mean_spread():
    quiet = draw(1, 24, 24, 1)
    v = quiet.at[:, :, 12:].multiply(50)
    y = divide_by_local_deviation(v)
    far = np.s_[0, :, :6], np.s_[0, :, 18:]
    before, after = (float(a[far[1]].std() / a[far[0]].std()) for a in (v, y))
    assert before == pytest.approx(50, rel=0.2)
    assert after < before / 1.5
    # Left, where the spread is below the image's mean, one number divides all.
    ratio = (v / y)[far[0]]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)


def test_local_contrast_normalization_of_a_constant_is_0_with_a_finite_gradient():
    x = jnp.zeros((1, 6, 6, 1))
    y, dx = jax.jit(jax.value_and_grad(lambda x: contrast.local_contrast_normalization(x).sum()))(x)
    assert y == 0
    assert jnp.isfinite(dx).all()


@pytest.mark.slow
def test_local_contrast_normalization_gradient_equals_differences():
    with double_precision():
        x, v = (jnp.asarray(draw(1, 6, 6, 2, seed=s), jnp.float64) for s in (0, 1))

        @jax.jit
        def along(t):
            return jnp.sum(jnp.sin(local_contrast_normalization(x + t * v, 5, 1.25)))

        step = 1e-5
        expected = (along(step) - along(-step)) / (2 * step)
        assert float(jax.grad(along)(0.0)) == pytest.approx(float(expected), rel=1e-6)


def test_local_contrast_normalization_sums_in_float32_and_returns_its_type():
    x = draw(1, 12, 12, 2).astype(jnp.bfloat16)
    y = local_contrast_normalization(x)
    assert y.dtype == jnp.bfloat16
    wide = local_contrast_normalization(x.astype(jnp.float32))
    np.testing.assert_allclose(y.astype(jnp.float32), wide, rtol=0.02, atol=0.02)
    text = str(jax.make_jaxpr(contrast.local_contrast_normalization)(x))
    assert "bf16[1,12,12,1]" not in text


def test_the_local_mean_of_other_platforms_is_that_of_a_cpu():
    band, x = contrast._band(6, 5, 1.5), draw(1, 6, 4, 1)
    y, turned = jax.jit(
        lambda x: (
            contrast._by_slices(x, 1, 5, band),
            contrast._by_slices(x.transpose(0, 2, 1, 3), 2, 5, band).transpose(0, 2, 1, 3),
        )
    )(x)
    np.testing.assert_allclose(y, np.einsum("rp,npqi->nrqi", band, x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(turned, y, rtol=1e-5, atol=1e-6)


def test_local_contrast_normalization_module_passes_its_fields_on_learns_nothing_costs_no_macs():
    x = draw(1, 12, 12, 2)
    layer = LocalContrastNormalization(window=3, deviation=0.8, floor=0.5)
    assert jax.tree.leaves(jax.eval_shape(layer.init, jax.random.key(0), x)) == []
    expected = local_contrast_normalization(x, 3, 0.8, 0.5)
    np.testing.assert_array_equal(jax.jit(layer.apply)({}, x), expected)
    assert macs(lambda x: layer.apply({}, x), x) == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"window": 4}, "window=4: expected an odd number"),
        ({"window": 0}, "window=0"),
        ({"deviation": 0.0}, "deviation=0.0"),
        ({"floor": 0.0}, "floor=0.0"),
    ],
)
def test_a_field_no_contrast_normalization_can_have_is_refused(fields, message):
    with pytest.raises(FieldError, match=message):
        LocalContrastNormalization(**fields)
