"""Locally connected layers: no weight sharing, and what that costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import Layers, Network, count_parameters
from ablax.layers.convolution import Convolution, LocallyConnected, convolution, locally_connected
from ablax.layers.dense import Dense, Flatten
from ablax.layers.windows import FieldError, ShapeError, place


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def one_by_one(x, kernels, windows):
    """The sum, tap by tap."""
    x, kernels = np.asarray(x, float), np.asarray(kernels, float)
    y = np.zeros((x.shape[0], *windows.output, kernels.shape[5]))
    for r, c, a, b in np.ndindex(*windows.output, *windows.window):
        row = r * windows.stride[0] + a - windows.padding[0][0]
        column = c * windows.stride[1] + b - windows.padding[1][0]
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            y[:, r, c] += x[:, row, column] @ kernels[r, c, a, b]
    return y


@pytest.mark.parametrize(("stride", "padding"), [(1, "SAME"), ((2, 3), ((2, 0), (0, 1)))])
def test_locally_connected_equals_loops_in_value_and_gradient(stride, padding):
    x = draw(2, 5, 6, 2)
    windows = place("loops", x.shape, (3, 2), stride, padding)
    kernels = draw(*windows.output, 3, 2, 2, 3, seed=1)
    dy = draw(2, *windows.output, 3, seed=2)

    @jax.jit
    def both(x, kernels, dy):
        y, back = jax.vjp(
            lambda x, kernels: locally_connected(x, kernels, stride=stride, padding=padding),
            x,
            kernels,
        )
        return y, *back(dy)

    y, dx, dkernels = both(x, kernels, dy)
    np.testing.assert_allclose(y, one_by_one(x, kernels, windows), rtol=1e-4, atol=1e-5)
    # The layer is linear in each: <dy, f(v)> = <gradient, v> for any v.
    v, u = draw(*x.shape, seed=3), draw(*kernels.shape, seed=4)
    for own, one, other in ((v, dx, (v, kernels)), (u, dkernels, (x, u))):
        expected = float(np.sum(np.asarray(dy) * one_by_one(*other, windows)))
        assert float(jnp.sum(one * own)) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_locally_connected_with_one_kernel_everywhere_is_the_convolution():
    @jax.jit
    def both(x, kernel):
        expected = convolution(x, kernel, stride=2, padding=1)
        kernels = jnp.broadcast_to(kernel, (*expected.shape[1:3], *kernel.shape))
        return expected, locally_connected(x, kernels, stride=2, padding=1)

    expected, y = both(draw(2, 5, 6, 2), draw(3, 2, 2, 3, seed=1))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_kernel_of_a_locally_connected_layer_learns_from_its_own_window_alone():
    x = jnp.arange(1.0, 5.0).reshape(1, 1, 4, 1)
    y, back = jax.vjp(
        lambda k: locally_connected(x, k, padding="VALID"), jnp.ones((1, 3, 1, 2, 1, 1))
    )
    assert y[0, 0, :, 0].tolist() == [3, 5, 7]
    dkernels = back(jnp.zeros_like(y).at[0, 0, 1].set(1))[0]
    assert dkernels[0, :, 0, :, 0, 0].tolist() == [[0, 0], [2, 3], [0, 0]]


def weights(image_shape, *layers):
    named = {f"layer{place}": layer for place, layer in enumerate(layers)}
    return count_parameters(Network(Layers(), Layers(named), Layers()), image_shape)


def test_weights_of_fully_and_locally_connected_layers_are_those_of_lecture_0():
    # "~2B parameters!" stands there for the first; 200 * 200 * 40,000 is 1.6e9.
    dense = weights((200, 200, 1), Flatten(), Dense(40_000, use_bias=False))
    local = weights((200, 200, 1), LocallyConnected(1, 10, use_bias=False))
    assert (dense, local) == (1_600_000_000, 4_000_000)


def test_weights_of_30_units_of_5x5_are_those_of_lecture_1():
    options = {"features": 30, "window": 5, "padding": 1, "use_bias": False}
    local, shared = LocallyConnected(**options), Convolution(**options)
    y, _ = jax.eval_shape(local.init_with_output, jax.random.key(0), jnp.ones((1, 32, 32, 3)))
    assert y.size == 30 * 30 * 30 == 27_000
    assert weights((32, 32, 3), local) == 27_000 * 75 == 2_025_000
    assert weights((32, 32, 3), shared) == 30 * 75 == 2_250


def test_weights_of_the_dense_network_are_those_of_lecture_3():
    layers = Flatten(), Dense(1000, use_bias=False), Dense(10, use_bias=False)
    assert weights((400, 400, 3), *layers) == 480_010_000


def test_locally_connected_module_adds_a_bias_a_unit():
    x, kernels = draw(1, 2, 2, 1), draw(2, 2, 3, 3, 1, 2, seed=1)
    bias = draw(2, 2, 2, seed=2)
    y = jax.jit(LocallyConnected(2, 3).apply)({"params": {"kernel": kernels, "bias": bias}}, x)
    np.testing.assert_allclose(
        y, jax.jit(locally_connected)(x, kernels) + bias, rtol=1e-5, atol=1e-6
    )


@pytest.mark.slow
def test_locally_connected_kernels_are_drawn_apart_with_the_variance_of_one_kernel():
    layer = LocallyConnected(8, 3, padding="VALID", use_bias=False)
    variables = layer.lazy_init(jax.random.key(0), jnp.ones((1, 8, 8, 4)))
    kernels = np.asarray(variables["params"]["kernel"])
    assert kernels.shape == (6, 6, 3, 3, 4, 8)
    assert kernels.std() == pytest.approx((2 / 36) ** 0.5, rel=0.05)
    assert len(np.unique(kernels[..., 0, 0, 0, 0])) == 36


def test_locally_connected_fits_one_image_size_alone_and_says_so():
    kernels = jnp.ones((4, 4, 3, 3, 1, 2))
    with pytest.raises(ShapeError, match=r"\(5, 5\) positions, and kernels for \(4, 4\)"):
        locally_connected(jnp.ones((1, 5, 5, 1)), kernels)
    with pytest.raises(ShapeError, match=r"initialize it again.* fits one image size alone"):
        LocallyConnected(2, 3).apply({"params": {"kernel": kernels}}, jnp.ones((1, 5, 5, 1)))
    with pytest.raises(ShapeError, match=r"\(H2 W2 h w i F\) with i = 2 channels"):
        locally_connected(jnp.ones((1, 4, 4, 2)), kernels)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"features": 0, "window": 3}, "features=0"),
        ({"features": 1, "window": 0}, "window=0"),
        ({"features": 1, "window": 3, "stride": 0}, "stride=0"),
        ({"features": 1, "window": 3, "padding": "same"}, "padding='same'"),
    ],
)
def test_a_field_no_locally_connected_layer_can_have_is_refused(fields, message):
    with pytest.raises(FieldError, match=message):
        LocallyConnected(**fields)
