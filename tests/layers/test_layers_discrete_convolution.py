"""Discrete convolution: the lecture's numbers, scipy's, and what sets it apart from correlation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from ablax.layers.convolution import convolution
from ablax.layers.textbook import cross_correlation, discrete_convolution, moving_average
from ablax.layers.windows import FieldError, ShapeError

LECTURE = jnp.array([[0.0, 80, 40], [20, 40, 0], [0, 0, 40]])
KERNEL = jnp.array([[0, 0.25], [0.5, 1]])
MODES = ("valid", "same", "full")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_discrete_convolution_gives_the_lectures_numbers():
    assert discrete_convolution(LECTURE, KERNEL).tolist() == [[45, 110], [40, 40]]


def test_cross_correlation_of_the_lectures_matrices_differs():
    # 0.25 * 80 + 0.5 * 20 + 1 * 40, and so on: the kernel as it is printed.
    assert cross_correlation(LECTURE, KERNEL).tolist() == [[70, 30], [10, 40]]


def test_discrete_convolution_is_the_formula_of_lecture_3():
    x, k = draw(4, 5), draw(2, 3, seed=1)
    expected = np.zeros((5, 7))
    for s, t in np.ndindex(*expected.shape):
        for sigma, tau in np.ndindex(*k.shape):
            if 0 <= s - sigma < 4 and 0 <= t - tau < 5:
                expected[s, t] += x[s - sigma, t - tau] * k[sigma, tau]
    y = discrete_convolution(jnp.asarray(x), jnp.asarray(k), "full")
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("size", "window"), [((5,), (4,)), ((4, 5), (2, 3)), ((3, 4, 2), (2, 2, 1))]
)
def test_discrete_convolution_and_cross_correlation_equal_scipys(size, window, mode):
    x, k = draw(*size), draw(*window, seed=1)

    @jax.jit
    def both(x, k):
        return discrete_convolution(x, k, mode), cross_correlation(x, k, mode)

    for ours, theirs in zip(
        both(x, k), (scipy.signal.convolve, scipy.signal.correlate), strict=True
    ):
        np.testing.assert_allclose(ours, theirs(x, k, mode, "direct"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("mode", "length"), [("valid", 7 - 3 + 1), ("same", 7), ("full", 9)])
def test_discrete_convolution_of_d_numbers_by_k_has_the_length_of_its_mode(mode, length):
    x, k = jnp.ones(7), jnp.ones(3)
    assert jax.eval_shape(lambda: discrete_convolution(x, k, mode)).shape == (length,)


def test_discrete_convolution_commutes_and_cross_correlation_does_not():
    x, k = jnp.asarray(draw(4)), jnp.asarray(draw(3, seed=1))
    one, other = discrete_convolution(x, k, "full"), discrete_convolution(k, x, "full")
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert abs(cross_correlation(x, k, "full") - cross_correlation(k, x, "full")).max() > 0.1


def test_discrete_convolution_with_a_point_moves_the_kernel_there_and_correlation_turns_it():
    x, k = jnp.zeros(5).at[2].set(1), jnp.array([1.0, 2, 3])
    assert discrete_convolution(x, k, "same").tolist() == [0, 1, 2, 3, 0]
    assert cross_correlation(x, k, "same").tolist() == [0, 3, 2, 1, 0]


def test_discrete_convolution_is_the_networks_convolution_with_the_kernel_flipped():
    x, k = jnp.asarray(draw(5, 6)), jnp.asarray(draw(3, 2, seed=1))
    network = convolution(x[None, :, :, None], k[::-1, ::-1, None, None], padding="VALID")
    np.testing.assert_allclose(
        network[0, :, :, 0], discrete_convolution(x, k), rtol=1e-5, atol=1e-6
    )
    network = convolution(x[None, :, :, None], k[:, :, None, None], padding="VALID")
    np.testing.assert_allclose(network[0, :, :, 0], cross_correlation(x, k), rtol=1e-5, atol=1e-6)


def test_moving_average_by_hand_in_value_and_gradient():
    x = jnp.array([3.0, 0, 6, 3])
    y, back = jax.vjp(lambda x: moving_average(x, 3), x)
    np.testing.assert_allclose(y, [3, 3], rtol=1e-6)
    np.testing.assert_allclose(back(jnp.array([3.0, 6.0]))[0], [1, 3, 3, 2], rtol=1e-6)


def test_moving_average_keeps_a_constant_where_the_whole_window_fits():
    np.testing.assert_allclose(moving_average(jnp.full(9, 5.0), 4), 5, rtol=1e-6)
    same = moving_average(jnp.full(9, 5.0), 4, "same")
    assert same.shape == (9,)
    assert same[0] < 5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: moving_average(jnp.ones(3), 0), FieldError, "window=0"),
        (lambda: moving_average(jnp.ones(3), 4), ShapeError, r"\(3,\) .* \(4,\), which fits"),
        (lambda: discrete_convolution(LECTURE, jnp.ones(2)), ShapeError, "same number of axes"),
        (lambda: cross_correlation(jnp.ones(()), jnp.ones(())), ShapeError, "at least one"),
    ],
)
def test_a_kernel_that_fits_nowhere_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
