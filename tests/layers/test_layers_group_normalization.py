"""Group normalization, between layer and instance normalization."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.layers import FieldError, ShapeError
from ablax.layers.normalization import GroupNormalization, group_normalization


def numbers(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def by_loops(x, groups, scale, bias, epsilon):
    y = np.zeros_like(x)
    each = x.shape[-1] // groups
    for n in range(x.shape[0]):
        for group in range(groups):
            run = slice(group * each, (group + 1) * each)
            part = x[n, ..., run]
            y[n, ..., run] = (part - part.mean()) / np.sqrt(part.var() + epsilon)
    return scale * y + bias


def test_group_normalization_by_hand_in_value_and_gradient():
    x = jnp.array([[1.0, 3.0, 5.0, 5.0]])

    def first(x):
        return group_normalization(x, groups=2, bias=jnp.array([7.0, 0, 0, 0]), epsilon=3.0)[0, 0]

    value, gradient = jax.jit(jax.value_and_grad(first))(x)
    assert value == pytest.approx(7 - 1 / 2)  # mean 2, variance 1, sqrt(1 + 3) = 2
    # y_1 = -d / sqrt(d^2 + 3) with d = (x_2 - x_1) / 2 = 1: dy_1 / dd = -3 / 8.
    assert gradient[0].tolist() == pytest.approx([3 / 16, -3 / 16, 0, 0])


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(
    groups=st.integers(1, 4),
    each=st.integers(1, 3),
    size=st.lists(st.integers(1, 3), max_size=3),
    seed=st.integers(0, 9),
)
def test_group_normalization_equals_loops_at_any_rank(groups, each, size, seed):
    channels = groups * each
    x = 2 + np.random.default_rng(seed).normal(size=(2, *size, channels)).astype(np.float32)
    scale, bias = numbers(channels, seed=seed + 1), numbers(channels, seed=seed + 2)
    apply = jax.jit(functools.partial(group_normalization, groups=groups, epsilon=0.1))
    ours = apply(jnp.asarray(x), scale=scale, bias=bias)
    np.testing.assert_allclose(ours, by_loops(x, groups, scale, bias, 0.1), rtol=1e-4, atol=1e-5)


def test_group_normalization_equals_pytorchs_figures():
    # torch.nn.functional.group_norm(x, 2, scale, bias, 1e-5) of PyTorch 2.13, channels first.
    x = jnp.array([[[[0.5, -1.0, 2.0, 4.0]], [[1.5, 0.0, -3.0, 1.0]]]])
    y = group_normalization(
        x, 2, jnp.array([1.0, 2.0, 0.5, -1.0]), jnp.array([0.0, 0.5, -0.5, 1.0]), 1e-5
    )
    pytorch = [
        [0.27734843, -2.27348399, -0.30388400, -0.17669594],
        [1.38674200, -0.05469676, -1.28446388, 1.0],
    ]
    np.testing.assert_allclose(y[0, :, 0], pytorch, rtol=1e-5, atol=1e-6)


def test_one_group_is_layer_and_a_group_a_channel_instance_normalization():
    x = numbers(2, 3, 4, 6)
    for groups, axes in ((1, (1, 2, 3)), (6, (1, 2))):
        mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        expected = (x - mean) / jnp.sqrt(var + 1e-5)
        np.testing.assert_allclose(group_normalization(x, groups), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_group_normalization_equals_flax_in_value_and_gradient():
    x, weights = 1 + numbers(2, 3, 3, 8), numbers(2, 3, 3, 8, seed=1)
    parameters = {"scale": numbers(8, seed=2), "bias": numbers(8, seed=3)}

    def every(layer):
        def loss(parameters, x):
            return jnp.sum(layer.apply({"params": parameters}, x) * weights)

        return jax.tree.leaves(jax.jit(jax.value_and_grad(loss, (0, 1)))(parameters, x))

    ours = every(GroupNormalization(groups=4))
    theirs = every(nn.GroupNorm(num_groups=4, epsilon=1e-5))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_group_normalization_of_an_image_does_not_see_the_rest_of_the_batch():
    x = numbers(3, 2, 2, 4)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(group_normalization(x, 2)[0] ** 3)))(x)
    assert gradient[0].any()
    assert not gradient[1:].any()


@pytest.mark.slow
def test_group_normalization_forgets_the_scale_and_shift_of_each_image():
    x = numbers(2, 3, 3, 4)
    moved = x * jnp.array([5.0, 0.5]).reshape(2, 1, 1, 1) - 3
    one, other = (group_normalization(z, 2, epsilon=1e-9) for z in (x, moved))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_group_normalization_computes_in_float32_and_returns_the_type_it_was_given():
    x = (100 + numbers(2, 4, 4, 4)).astype(jnp.bfloat16)
    y = group_normalization(x, 2)
    assert y.dtype == jnp.bfloat16
    wide = group_normalization(x.astype(jnp.float32), 2)
    np.testing.assert_array_equal(y, wide.astype(jnp.bfloat16))


def test_group_normalization_has_a_scale_and_a_bias_a_channel_unless_told():
    x = numbers(1, 2, 2, 32)
    layer = GroupNormalization()
    variables = layer.init(jax.random.key(0), x)
    assert {name: leaf.tolist() for name, leaf in variables["params"].items()} == {
        "scale": [1] * 32,
        "bias": [0] * 32,
    }
    np.testing.assert_array_equal(layer.apply(variables, x), group_normalization(x, 32))
    bare = GroupNormalization(use_scale=False, use_bias=False)
    assert not bare.init(jax.random.key(0), x)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: GroupNormalization(groups=0), FieldError, "groups=0"),
        (lambda: GroupNormalization(epsilon=0.0), FieldError, r"epsilon=0\.0"),
        (lambda: group_normalization(jnp.ones((1, 6)), 4), ShapeError, r"\(1, 6\) and groups=4"),
        (lambda: group_normalization(jnp.ones(4), 2), ShapeError, "examples first"),
        (
            lambda: GroupNormalization(2).apply({"params": {"scale": jnp.ones(4)}}, numbers(1, 6)),
            ShapeError,
            r"its scale has shape \(4,\)",
        ),
    ],
)
def test_group_normalization_refuses_what_makes_no_groups(make, error, message):
    with pytest.raises(error, match=message):
        make()
