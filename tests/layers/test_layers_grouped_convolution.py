"""Depthwise and grouped convolution: the plain primitive's numbers, without its slow program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ablax.analysis.cost import macs
from ablax.layers import convolution
from ablax.layers.windows import place

# channels, features, groups, window, options
CASES = {
    "depthwise": (6, 6, 6, (3, 3), {}),
    "depthwise, stride 2": (6, 6, 6, (3, 3), {"stride": 2, "padding": 1}),
    "depthwise, even window": (4, 4, 4, (2, 3), {"padding": "VALID"}),
    "depthwise, dilation": (4, 4, 4, (3, 3), {"dilation": 2, "padding": 2}),
    "depthwise, stride and dilation": (4, 4, 4, (3, 2), {"stride": (2, 1), "dilation": (1, 2)}),
    "depthwise, 2 features a channel": (3, 6, 3, (3, 3), {"padding": ((2, 0), (1, 1))}),
    "depthwise, 1x1": (5, 5, 5, (1, 1), {"stride": 2}),
    "3 groups": (6, 9, 3, (3, 3), {}),
    "12 groups": (24, 36, 12, (3, 2), {"stride": 2}),
    "20 groups of 2": (40, 40, 20, (3, 3), {"padding": 1, "stride": (1, 2)}),
    "10 groups of 16": (160, 160, 10, (1, 2), {}),
    "4 groups, 1x1": (8, 12, 4, (1, 1), {}),
    "4 groups, 1x1, stride 2": (8, 12, 4, (1, 1), {"stride": 2, "padding": 1}),
}
FEW = ("depthwise, stride 2", "12 groups", "4 groups, 1x1")


def plain(x, kernel, *, stride=1, padding="SAME", dilation=1, groups=1):
    windows = place("plain", x.shape, kernel.shape[:2], stride, padding, dilation)
    return lax.conv_general_dilated(
        x,
        kernel,
        windows.stride,
        windows.padding,
        rhs_dilation=windows.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def pieces(name):
    channels, features, groups, window, options = CASES[name]
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(2, 7, 6, channels)))
    kernel = jnp.asarray(generator.normal(size=(*window, channels // groups, features)))
    return x, kernel, {"groups": groups, **options}


def everything(form, options):
    """Value, both gradients, a tangent of each argument, and the gradient of a gradient."""

    def apply(x, kernel):
        def loss(x, kernel):
            return jnp.sum(jnp.sin(form(x, kernel, **options)))

        def curved(x, kernel):
            return sum(jnp.sum(slope**2) for slope in jax.grad(loss, (0, 1))(x, kernel))

        def along(position):
            tangents = [jnp.zeros_like(x), jnp.zeros_like(kernel)]
            tangents[position] = jnp.cos((x, kernel)[position])
            return jax.jvp(lambda *a: form(*a, **options), (x, kernel), tuple(tangents))[1]

        second = jax.grad(curved, (0, 1))(x, kernel)
        return (
            form(x, kernel, **options),
            jax.grad(loss, (0, 1))(x, kernel),
            along(0),
            along(1),
            second,
        )

    return apply


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradients_are_those_of_the_plain_primitive(name):
    x, kernel, options = pieces(name)

    def both(form):
        def loss(x, kernel):
            y = form(x, kernel, **options)
            return jnp.sum(jnp.sin(y)), y

        return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(x, kernel)

    ours, theirs = both(convolution), both(plain)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_derivatives_of_every_kind_are_those_of_the_plain_primitive(name):
    x, kernel, options = pieces(name)
    ours, theirs = (jax.jit(everything(form, options))(x, kernel) for form in (convolution, plain))
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_a_batch_of_images_and_a_batch_of_kernels_can_be_mapped_over(name):
    x, kernel, options = pieces(name)
    images, kernels = jnp.stack([x, 2 * x]), jnp.stack([kernel, -kernel])

    def slopes(form):
        def loss(x, kernel):
            return jnp.sum(jnp.sin(form(x, kernel, **options)))

        return jax.jit(jax.vmap(jax.grad(loss, (0, 1))))(images, kernels)

    for one, other in zip(slopes(convolution), slopes(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_a_depthwise_window_with_a_one_in_the_middle_is_the_identity():
    x, _, _ = pieces("depthwise")
    middle = jnp.zeros((3, 3, 1, 6)).at[1, 1].set(1.0)
    np.testing.assert_array_equal(convolution(x, middle, groups=6), x)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["depthwise", "12 groups", "4 groups, 1x1"])
def test_the_first_features_do_not_see_the_channels_of_other_groups(name):
    x, kernel, options = pieces(name)
    own = kernel.shape[3] // options["groups"]
    slope = jax.grad(lambda x: jnp.sum(convolution(x, kernel, **options)[..., :own] ** 2))(x)
    assert jnp.any(slope[..., : kernel.shape[2]])
    assert not jnp.any(slope[..., kernel.shape[2] :])


@pytest.mark.parametrize("name", FEW)
def test_a_cpus_program_holds_no_convolution_in_groups_and_a_gpus_the_plain_one(name, computed_by):
    x, kernel, options = pieces(name)
    gradient = jax.grad(lambda x, kernel: jnp.sum(convolution(x, kernel, **options) ** 2), (0, 1))

    def grouped(platform):
        traced = jax.jit(gradient).trace(x, kernel).lower(lowering_platforms=(platform,))
        text = traced.as_text()
        lines = [line for line in text.splitlines() if "stablehlo.convolution" in line]
        in_groups = [
            line
            for line in lines
            if "feature_group_count = 1 :" not in line or "batch_group_count = 1 :" not in line
        ]
        return len(in_groups)

    assert grouped("cpu") == 0
    assert grouped("cuda") == grouped("tpu") == 3


@pytest.mark.parametrize("name", FEW)
def test_the_cost_is_that_of_the_plain_primitive(name):
    x, kernel, options = pieces(name)
    ours, theirs = (
        macs(lambda x, k, f=f: f(x, k, **options), x, kernel) for f in (convolution, plain)
    )
    assert ours == theirs > 0
