"""The stage of Jarrett et al.: simple cells, then complex cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import Layers, Network, count_parameters, layer_shapes, remove, sequential
from ablax.layers.activation import Absolute
from ablax.layers.normalization import local_contrast_normalization
from ablax.layers.pooling import AveragePool, MaxPool, average_pool
from ablax.layers.textbook import discrete_convolution, filter_bank, jarrett_stage
from ablax.layers.windows import FieldError


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def bank_variables(kernel, gain):
    bias = jnp.zeros(kernel.shape[3])
    return {"params": {"convolution": {"kernel": kernel, "bias": bias}, "gain": {"scale": gain}}}


@pytest.mark.slow
def test_filter_bank_is_the_formula_of_the_lecture():
    x, kernel, gain = draw(5, 6, 2), draw(3, 3, 2, 4, seed=1), jnp.array([1.0, -2, 0.5, 3])
    variables = bank_variables(kernel[::-1, ::-1], gain)
    y = jax.jit(filter_bank(4, 3).apply)(variables, x[None])
    flipped = jax.jit(discrete_convolution)
    for j in range(4):
        total = sum(flipped(x[..., i], kernel[..., i, j]) for i in range(2))
        np.testing.assert_allclose(y[0, ..., j], gain[j] * jnp.tanh(total), rtol=1e-4, atol=1e-5)


def test_the_gain_starts_at_1_and_its_gradient_is_the_squashed_feature():
    x, gain = draw(1, 4), filter_bank(2, 3).layers["gain"]
    variables = gain.init(jax.random.key(0), x)
    assert jax.tree.leaves(variables)[0].tolist() == [1] * 4
    gradient = jax.grad(lambda v: gain.apply(v, jnp.tanh(x)).sum())(variables)
    np.testing.assert_allclose(jax.tree.leaves(gradient)[0], np.tanh(x[0]), rtol=1e-5)


@pytest.fixture(scope="module")
def answers():
    """What a stage and its filters say to an image and to its negative."""
    stage, x = jarrett_stage(2, window=3, pool=AveragePool(4, 2)), draw(1, 12, 12, 1)
    filters = bank_variables(draw(3, 3, 1, 2, seed=1) / 3, jnp.array([1.0, -2]))

    @jax.jit
    def both(x):
        variables = {"params": {"filters": filters["params"]}}
        return stage.apply(variables, x), filter_bank(2, 3).apply(filters, x)

    return both(x), both(-x)


@pytest.mark.slow
def test_jarrett_stage_is_filters_rectification_normalization_pool(answers):
    (y, simple), _ = answers
    expected = jax.jit(
        lambda simple: average_pool(local_contrast_normalization(abs(simple)), 4, 2)
    )(simple)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_a_complex_cell_answers_alike_to_both_polarities_and_a_simple_cell_does_not(answers):
    (y, simple), (negative_y, negative_simple) = answers
    np.testing.assert_allclose(negative_y, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(negative_simple, -simple, rtol=1e-5)


def test_two_stages_take_143_pixels_to_4():
    network = Network(
        Layers(),
        Layers(
            stage1=jarrett_stage(64),
            stage2=jarrett_stage(256, pool=AveragePool(6, 4)),
        ),
        Layers(),
    )
    shapes = layer_shapes(network, (143, 143, 1))
    assert shapes["stage1"] == (26, 26, 64)
    assert shapes["stage2"] == (4, 4, 256)
    expected = 64 * (81 + 2) + 256 * (81 * 64 + 2)
    assert count_parameters(network, (143, 143, 1)) == expected


def test_a_complex_cell_answers_alike_to_a_bar_anywhere_in_its_window_and_a_simple_cell_does_not():
    kernel = jnp.array([[-1.0, 2, -1]] * 3).reshape(3, 3, 1, 1)
    filters = bank_variables(kernel, jnp.ones(1))
    simple = filter_bank(1, 3)
    cell = sequential(rectification=Absolute(), pool=MaxPool(6))
    bars = jnp.asarray(0.3 * np.eye(8, dtype=np.float32)[2:6])  # columns 2 to 5
    bars = jnp.broadcast_to(bars[:, None, :, None], (4, 8, 8, 1))

    @jax.jit
    def both(bars):
        found = simple.apply(filters, bars)
        return found, cell.apply({}, found)

    found, pooled = map(np.asarray, both(bars))
    assert all(abs(one - found[0]).max() > 0.5 for one in found[1:])
    np.testing.assert_allclose(pooled.ravel(), [np.tanh(1.8)] * 4, rtol=1e-5)


def test_the_other_stages_of_the_paper_are_edits():
    network = Network(Layers(), Layers(stage=jarrett_stage(2)), Layers())
    edited = remove("stage/normalization", "stage/rectification")(network)
    assert list(edited.body["stage"].layers) == ["filters", "pool"]


def test_a_jarrett_stage_refuses_what_it_cannot_be():
    with pytest.raises(FieldError, match="features=0"):
        jarrett_stage(0)
    with pytest.raises(FieldError, match="window=0"):
        jarrett_stage(1, window=0)
