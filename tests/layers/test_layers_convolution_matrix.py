"""Convolution as a matrix product: the same numbers, and the structure of the matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from ablax.layers.convolution import convolution
from ablax.layers.textbook import (
    convolution_by_product,
    convolution_matrix,
    filter_matrix,
    input_matrix,
)
from ablax.layers.windows import ShapeError


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"padding": "VALID"},
        {"stride": (3, 1), "padding": ((2, 0), (0, 1)), "dilation": (1, 2)},
        {"groups": 2, "padding": "SAME", "stride": 2},
    ],
)
def test_both_matrix_products_are_the_convolution(options):
    x, kernel = draw(2, 6, 5, 4), draw(3, 2, 4 // options.get("groups", 1), 8, seed=1)

    @jax.jit
    def every(x, kernel):
        matrix = convolution_matrix(kernel, x.shape[1:], **options)
        return (
            convolution(x, kernel, **options),
            convolution_by_product(x, kernel, **options),
            x.reshape(2, -1) @ matrix.T,
        )

    expected, product, vectors = every(x, kernel)
    np.testing.assert_allclose(product, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(vectors.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


def test_both_matrix_products_give_the_lectures_numbers():
    x = jnp.array([[0.0, 80, 40], [20, 40, 0], [0, 0, 40]]).reshape(1, 3, 3, 1)
    flipped = jnp.array([[1.0, 0.5], [0.25, 0]]).reshape(2, 2, 1, 1)
    matrix = convolution_matrix(flipped, (3, 3, 1), padding="VALID")
    assert (np.asarray(matrix) @ np.asarray(x).ravel()).tolist() == [45, 110, 40, 40]
    product = jax.jit(lambda x, k: convolution_by_product(x, k, padding="VALID"))(x, flipped)
    assert product.ravel().tolist() == [45, 110, 40, 40]


def test_convolution_matrix_transposed_is_the_gradient_of_the_input():
    x, kernel = draw(1, 5, 4, 2), draw(3, 3, 2, 3, seed=1)
    dy = draw(1, 3, 2, 3, seed=2)

    @jax.jit
    def both(x, kernel, dy):
        _, back = jax.vjp(lambda x: convolution(x, kernel, stride=2), x)
        return back(dy)[0], dy.ravel() @ convolution_matrix(kernel, (5, 4, 2), stride=2)

    dx, vector = both(x, kernel, dy)
    np.testing.assert_allclose(vector, dx.ravel(), rtol=1e-4, atol=1e-5)


def test_convolution_matrix_of_a_signal_is_toeplitz():
    kernel = jnp.array([1.0, 2, 3])
    matrix = convolution_matrix(kernel.reshape(1, 3, 1, 1), (1, 6, 1), padding=(0, 1))
    expected = scipy.linalg.toeplitz([2, 1, 0, 0, 0, 0], [2, 3, 0, 0, 0, 0])
    assert matrix.tolist() == expected.tolist()


def test_convolution_matrix_of_an_image_is_a_toeplitz_arrangement_of_toeplitz_blocks():
    kernel = draw(3, 2, 1, 1)
    blocks = convolution_matrix(kernel, (4, 5, 1), padding="VALID")
    row = [
        scipy.linalg.toeplitz([taps[0], 0, 0, 0], [*taps, 0, 0, 0])
        for taps in np.asarray(kernel[:, :, 0, 0])
    ]
    nothing = np.zeros((4, 5))
    expected = np.array([[*row, nothing], [nothing, *row]]).transpose(0, 2, 1, 3)
    np.testing.assert_array_equal(blocks, expected.reshape(8, 20))


def test_convolution_matrix_with_a_stride_is_that_of_stride_1_without_the_rows_between():
    kernel = draw(3, 3, 1, 2)
    whole = np.asarray(convolution_matrix(kernel, (7, 6, 1), padding="VALID"))
    whole = whole.reshape(5, 4, 2, -1)
    strided = convolution_matrix(kernel, (7, 6, 1), padding="VALID", stride=(2, 3))
    np.testing.assert_array_equal(strided, whole[::2, ::3].reshape(strided.shape))


def test_convolution_matrix_of_groups_is_0_between_them():
    matrix = convolution_matrix(jnp.ones((1, 1, 2, 6)), (1, 1, 4), groups=2)
    assert matrix.tolist() == [[1, 1, 0, 0]] * 3 + [[0, 0, 1, 1]] * 3


def test_a_stride_takes_columns_out_of_the_input_matrix():
    x = draw(1, 7, 6, 2)

    @jax.jit
    def both(x):
        strided = input_matrix(x, 3, padding="VALID", stride=(2, 3))
        return input_matrix(x, 3, padding="VALID").reshape(1, 18, 5, 4), strided

    whole, strided = map(np.asarray, both(x))
    np.testing.assert_array_equal(strided, whole[:, :, ::2, ::3].reshape(1, 18, -1))


def test_a_dilation_takes_the_columns_of_0_and_their_rows_out_of_both_matrices():
    x, kernel = draw(1, 6, 6, 2), draw(2, 2, 2, 3, seed=1)
    holes = np.zeros((3, 3, 2, 3), np.float32)
    holes[::2, ::2] = kernel

    @jax.jit
    def both(x):
        expected = input_matrix(x, 2, padding="VALID", dilation=2)
        return input_matrix(x, 3, padding="VALID"), expected

    seen, expected = map(np.asarray, both(x))
    filters = np.asarray(filter_matrix(jnp.asarray(holes)))
    kept = np.flatnonzero(abs(filters).max(0))
    np.testing.assert_array_equal(filters[:, kept], filter_matrix(kernel))
    np.testing.assert_array_equal(seen[:, kept], expected)


def test_matrices_refuse_a_kernel_that_does_not_fit_the_channels():
    kernel = jnp.ones((3, 3, 2, 6))
    with pytest.raises(ShapeError, match=r"convolution_matrix .* 1 group\(s\): .* has 3"):
        convolution_matrix(kernel, (5, 5, 3))
    with pytest.raises(ShapeError, match=r"convolution_by_product .* 6 features in 4 groups"):
        convolution_by_product(jnp.ones((1, 5, 5, 8)), kernel, groups=4)
    with pytest.raises(ShapeError, match="larger than the padded image"):
        convolution_matrix(kernel, (2, 5, 2), padding="VALID")
