"""The maximum of windows as a loop in C++: against XLA's, on ties, and as a linear choice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ablax.layers import max_pool
from ablax.layers.pooling import maximum, maximum_and_tangent, plain_maximum
from ablax.layers.windows import place

pytestmark = pytest.mark.usefixtures("native")

# images, window, stride, padding
CASES = {
    "2x2": ((2, 6, 8, 16), 2, 2, "VALID"),
    "3x3/2": ((2, 9, 11, 40), 3, 2, "SAME"),
    "few channels": ((3, 7, 7, 3), 3, 2, 1),
    "overlapping": ((1, 5, 6, 17), (3, 2), 1, "SAME"),
    "stride longer than the window": ((2, 9, 9, 5), 2, 3, "VALID"),
    "padding uneven": ((2, 6, 7, 20), (4, 3), (1, 2), ((2, 1), (0, 2))),
}


def pieces(name):
    shape, window, stride, padding = CASES[name]
    random = np.random.default_rng(0)
    x = jnp.asarray(random.integers(-2, 3, size=shape), jnp.float32)  # most windows hold a tie
    windows = place("test", shape, window, stride, padding)
    y = jnp.asarray(random.normal(size=(shape[0], *windows.output, shape[3])), jnp.float32)
    return x, y, windows


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_equal_xlas_select_and_scatter_on_ties(name):
    x, gradient, windows = pieces(name)
    y, back = jax.vjp(lambda x: maximum(x, windows), x)
    expected, expected_back = jax.vjp(lambda x: plain_maximum(x, windows), x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(back(gradient)[0], expected_back(gradient)[0], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_bfloat16_takes_the_same_taps(name):
    x, gradient, windows = pieces(name)
    halves = x.astype(jnp.bfloat16), gradient.astype(jnp.bfloat16)
    ours, expected = (
        (y, back(g)[0])
        for x, g in (halves, [half.astype(jnp.float32) for half in halves])
        for y, back in [jax.vjp(lambda x: maximum(x, windows), x)]
    )
    np.testing.assert_array_equal(ours[0], expected[0])
    assert ours[1].dtype == jnp.bfloat16
    np.testing.assert_allclose(ours[1].astype(jnp.float32), expected[1], rtol=1 / 256, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_tangent_and_gradient_are_transposes_and_of_no_second_order(name):
    x, gradient, windows = pieces(name)
    dx = jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape)
    y, dy = maximum_and_tangent(x, dx, windows)
    np.testing.assert_array_equal(y, maximum(x, windows))
    _, back = jax.vjp(lambda x: maximum(x, windows), x)
    np.testing.assert_allclose(jnp.vdot(gradient, dy), jnp.vdot(back(gradient)[0], dx), rtol=1e-4)
    through_both = jax.grad(
        lambda x: jnp.vdot(gradient, jax.jvp(lambda x: maximum(x, windows), (x,), (dx,))[1])
    )
    assert not through_both(x).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_gradient_of_a_gradient_equals_xlas_without_ties(name):
    x, _, windows = pieces(name)
    x = jnp.asarray(np.random.default_rng(1).permutation(x.size), jnp.float32).reshape(x.shape)
    x = x / x.size
    dx = jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape)

    def second(form):
        gradient = jax.grad(lambda x: jnp.sum(form(x, windows) ** 3))
        return jax.grad(lambda x: jnp.vdot(gradient(x), dx))(x)

    np.testing.assert_allclose(second(maximum), second(plain_maximum), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_nan_wins_wherever_a_window_sees_it():
    x, _, windows = pieces("3x3/2")
    x = x.at[0, 4, 4, 20].set(jnp.nan)
    y = maximum(x, windows)
    # Rows 4 and 5 of 9 padded by (1, 1): results 1 and 2, and so the columns.
    assert jnp.isnan(y[0, :, :, 20]).sum() == jnp.isnan(y).sum() > 0
    gradient = jax.grad(
        lambda x: jnp.nansum(maximum(x, windows)) * 0 + maximum(x, windows)[jnp.isnan(y)].sum()
    )(x)
    assert gradient[0, 4, 4, 20] == jnp.isnan(y).sum()


@pytest.mark.slow
def test_it_is_mapped_in_value_and_gradient():
    x, _, windows = pieces("few channels")
    xs = jnp.stack([x, -x])
    gradient = jax.grad(lambda x: jnp.sum(maximum(x, windows) ** 2))
    for number, own in enumerate(jax.vmap(gradient)(xs)):
        np.testing.assert_array_equal(own, gradient(xs[number]))


def test_a_layer_takes_the_loops_for_their_numbers_and_as_many_taps_as_a_byte_tells_apart():
    x, _, _ = pieces("2x2")

    def text(x, window):
        return jax.jit(lambda x: max_pool(x, window)).lower(x).as_text()

    assert "ablax_maximum" in text(x, 2)
    assert "ablax_maximum_bfloat16" in text(x.astype(jnp.bfloat16), 2)
    assert "ablax" not in text(x.astype(jnp.float16), 2)
    assert "ablax_maximum" in text(jnp.zeros((1, 20, 20, 1)), 16)
    assert "ablax" not in text(jnp.zeros((1, 20, 20, 1)), 17)


def test_on_an_accelerator_it_is_the_plain_primitive():
    x, _, _ = pieces("2x2")
    gradient = jax.jit(jax.grad(lambda x: max_pool(x, 2).sum()))
    for platform in ("cuda", "tpu"):
        text = gradient.trace(x).lower(lowering_platforms=(platform,)).as_text()
        assert "ablax" not in text
        assert "select_and_scatter" in text


def test_a_window_of_minus_infinities_gives_minus_infinity():
    x = jnp.full((1, 4, 4, 3), -jnp.inf)
    assert jnp.isneginf(lax.stop_gradient(max_pool(x, 2))).all()
