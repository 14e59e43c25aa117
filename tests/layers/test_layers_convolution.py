"""Convolution: value, derivatives of every kind, and what they cost."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import lax
from scipy.signal import correlate2d

from ablax.analysis.jax_versions import double_precision
from ablax.layers import Convolution, ShapeError, convolution
from ablax.layers.initializers import ONES, ZEROS
from ablax.layers.windows import place

CASES = {
    "plain": {},
    "stride": {"stride": 2},
    "oblong stride": {"stride": (1, 3), "padding": (2, 0)},
    "explicit padding": {"padding": ((2, 0), (1, 1))},
    "valid": {"padding": "VALID"},
    "dilation": {"dilation": 2, "padding": 2},
    "stride and dilation": {"stride": 2, "dilation": (2, 1), "padding": "SAME"},
    "2 groups": {"groups": 2},
    "2 groups and stride": {"groups": 2, "stride": 2},
}
FAST = ("stride and dilation", "2 groups and stride")


def numbers(*shape):
    return jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape))


def pieces(options):
    groups = options.get("groups", 1)
    return numbers(2, 7, 6, 4), numbers(3, 2, 4 // groups, 4)


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


def loops(x, kernel, stride, sides, dilation, groups):
    (above, below), (left, right) = sides
    x = np.pad(x, ((0, 0), (above, below), (left, right), (0, 0)))
    h, w, inputs, features = kernel.shape
    rows = (x.shape[1] - (h - 1) * dilation - 1) // stride + 1
    columns = (x.shape[2] - (w - 1) * dilation - 1) // stride + 1
    y = np.zeros((x.shape[0], rows, columns, features))
    for r in range(rows):
        for c in range(columns):
            for f in range(features):
                first = f // (features // groups) * inputs
                patch = x[
                    :,
                    r * stride : r * stride + (h - 1) * dilation + 1 : dilation,
                    c * stride : c * stride + (w - 1) * dilation + 1 : dilation,
                    first : first + inputs,
                ]
                y[:, r, c, f] = (patch * kernel[None, :, :, :, f]).sum((1, 2, 3))
    return y


def close(one, other):
    one, other = jax.tree.leaves(one), jax.tree.leaves(other)
    assert len(one) == len(other)
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def count(function, *arguments):
    """Convolutions, matrix products and loops of ours in the program for a CPU."""
    text = jax.jit(function).lower(*arguments).as_text()
    words = ("stablehlo.convolution", "stablehlo.dot_general", "custom_call @ablax_")
    return sum(text.count(word) for word in words)


def test_convolution_gives_the_lectures_numbers_and_their_gradient():
    x = jnp.array([[0.0, 80, 40], [20, 40, 0], [0, 0, 40]]).reshape(1, 3, 3, 1)
    kernel = jnp.array([[1.0, 0.5], [0.25, 0]]).reshape(2, 2, 1, 1)

    def total(x, kernel):
        return convolution(x, kernel, padding="VALID").sum()

    y = convolution(x, kernel, padding="VALID")[0, :, :, 0]
    assert y.tolist() == [[45, 110], [40, 40]]
    dx, dkernel = jax.grad(total, (0, 1))(x, kernel)
    assert dkernel[:, :, 0, 0].tolist() == [[140, 160], [60, 80]]
    assert dx[0, :, :, 0].tolist() == [[1, 1.5, 0.5], [1.25, 1.75, 0.5], [0.25, 0.25, 0]]


@settings(max_examples=25, deadline=None)
@given(
    data=st.data(),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    sides=st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 9]),
)
def test_convolution_equals_loops(data, size, window, stride, sides, dilation, groups):
    for axis in (0, 1):
        assume(size[axis] + sum(sides[axis]) > (window[axis] - 1) * dilation)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    with double_precision():
        x = rng.normal(size=(2, *size, 2 * groups))
        kernel = rng.normal(size=(*window, 2, groups))
        ours = convolution(
            jnp.asarray(x),
            jnp.asarray(kernel),
            stride=stride,
            padding=sides,
            dilation=dilation,
            groups=groups,
        )
        close(ours, loops(x, kernel, stride, sides, dilation, groups))


def test_convolution_of_one_channel_is_scipys_correlation():
    x, kernel = numbers(7, 8), numbers(3, 2)
    ours = convolution(x[None, :, :, None], kernel[:, :, None, None], padding="VALID")
    np.testing.assert_allclose(ours[0, :, :, 0], correlate2d(x, kernel, "valid"), rtol=2e-5)


def test_convolution_moves_with_its_image():
    x, kernel = numbers(1, 9, 9, 2), numbers(3, 3, 2, 3)
    moved = jnp.roll(x, (1, 2), axis=(1, 2))
    y, y_moved = (convolution(image, kernel, padding="VALID") for image in (x, moved))
    np.testing.assert_allclose(y_moved[:, 1:, 2:], y[:, :-1, :-2], rtol=1e-6)


def every_derivative(form, x, kernel):
    """Value and tangent, gradients in both, in one alone, and the tangent of the gradient."""

    def curved(x, kernel):
        return jnp.sum(jnp.sin(form(x, kernel)))

    both = jax.grad(curved, (0, 1))
    tangents = jnp.cos(x), jnp.cos(kernel)
    return (
        jax.jvp(form, (x, kernel), tangents),
        both(x, kernel),
        jax.grad(curved, 0)(x, kernel),
        jax.grad(curved, 1)(x, kernel),
        jax.jvp(both, (x, kernel), tangents),
    )


def check_every_derivative(options):
    with double_precision():
        x, kernel = pieces(options)
        close(
            jax.jit(functools.partial(every_derivative, functools.partial(convolution, **options)))(
                x, kernel
            ),
            jax.jit(functools.partial(every_derivative, functools.partial(plain, **options)))(
                x, kernel
            ),
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_convolution_derivatives_of_every_kind_equal_those_of_the_plain_form(name):
    check_every_derivative(CASES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CASES.keys() - set(FAST)))
def test_convolution_derivatives_equal_those_of_the_plain_form_in_the_other_cases(name):
    check_every_derivative(CASES[name])


@pytest.mark.slow
def test_convolution_gradient_of_a_gradient_equals_that_of_the_plain_form():
    def twice(form):
        first = jax.grad(lambda x, kernel: jnp.sum(jnp.sin(form(x, kernel))), (0, 1))
        return jax.grad(lambda *p: sum(jnp.sum(g**2) for g in first(*p)), (0, 1))

    with double_precision():
        x, kernel = pieces({})
        close(jax.jit(twice(convolution))(x, kernel), jax.jit(twice(plain))(x, kernel))


@pytest.mark.slow
@pytest.mark.parametrize("options", [CASES["stride"], CASES["2 groups"]], ids=["stride", "groups"])
def test_convolution_jacobians_forward_and_reverse_agree(options):
    with double_precision():
        x, kernel = pieces(options)
        form = functools.partial(convolution, **options)
        for argument in (0, 1):
            close(
                jax.jit(jax.jacfwd(form, argument))(x[:1], kernel),
                jax.jit(jax.jacrev(form, argument))(x[:1], kernel),
            )


@pytest.mark.slow
@pytest.mark.parametrize("options", [CASES["stride"], CASES["2 groups"]], ids=["stride", "groups"])
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_convolution_and_its_gradient_can_be_mapped_over_either_argument(options, axes):
    with double_precision():
        x, kernel = pieces(options)
        many = [
            one if axis is None else jnp.stack([one, one**2])
            for one, axis in zip((x, kernel), axes, strict=True)
        ]
        form = functools.partial(convolution, **options)
        for function in (form, jax.grad(lambda *p: jnp.sum(form(*p) ** 2), (0, 1))):
            compiled = jax.jit(function)
            one_by_one = [
                compiled(*[a if axis is None else a[i] for a, axis in zip(many, axes, strict=True)])
                for i in range(2)
            ]
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *one_by_one)
            close(jax.jit(jax.vmap(function, axes))(*many), stacked)


def test_convolution_weight_gradient_costs_exactly_two_convolutions():
    x, kernel = pieces({})

    def loss(x, kernel):
        return jnp.sum(jnp.square(convolution(x, kernel)))

    assert count(loss, x, kernel) == 1
    assert count(jax.grad(loss, 1), x, kernel) == 2
    assert count(jax.grad(loss, 0), x, kernel) == 2
    assert count(jax.grad(loss, (0, 1)), x, kernel) == 3


def test_convolution_tangent_of_the_weights_alone_costs_exactly_two_convolutions():
    x, kernel = pieces({})

    def along(x, kernel):
        return jax.jvp(lambda kernel: convolution(x, kernel), (kernel,), (kernel,))

    assert count(along, x, kernel) == 2


def test_convolution_on_a_tpu_or_gpu_is_the_plain_primitive_and_its_derivative(by_xla):
    x, kernel = pieces({"groups": 2})

    def program(form, platform):
        gradient = jax.grad(lambda x, kernel: jnp.sum(form(x, kernel, groups=2) ** 2), (0, 1))
        lowered = jax.jit(gradient).trace(x, kernel).lower(lowering_platforms=(platform,))
        words = ("convolution", "dot_general", "select", "optimization_barrier")
        return tuple(lowered.as_text().count(f"stablehlo.{word}") for word in words)

    for platform in ("tpu", "cuda"):
        assert program(convolution, platform) == program(plain, platform) == (3, 0, 0, 0)
    # Two groups of two channels are merged into one dense block, whose gradients are turned round.
    assert program(convolution, "cpu")[:2] == (3, 0)


def test_convolution_gradient_is_written_so_that_a_cpu_is_fast(by_xla):
    x, kernel = pieces({})
    gradient = jax.grad(lambda x, kernel: jnp.sum(convolution(x, kernel) ** 2), (0, 1))
    lines = [
        line
        for line in jax.jit(gradient).lower(x, kernel).as_text().splitlines()
        if "stablehlo.convolution" in line
    ]
    assert len(lines) == 3
    assert all("[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in line for line in lines)


def test_convolution_gradient_inside_a_loop_equals_that_outside():
    x, kernel = pieces({})
    gradient = jax.grad(lambda kernel, x: jnp.sum(convolution(x, kernel) ** 2))

    def step(kernel, _):
        kernel = kernel - 1e-3 * gradient(kernel, x)
        return kernel, None

    looped = jax.jit(lambda kernel: lax.scan(step, kernel, None, length=3)[0])(kernel)
    for _ in range(3):
        kernel, _ = step(kernel, None)
    np.testing.assert_allclose(looped, kernel, rtol=1e-4)


def test_convolution_module_adds_its_bias_and_counts_its_parameters():
    layer = Convolution(6, (3, 2), groups=2, bias_init=ONES)
    x = jnp.ones((1, 5, 5, 4))
    parameters = layer.init(jax.random.key(0), x)["params"]
    assert jax.tree.map(jnp.shape, parameters) == {"kernel": (3, 2, 2, 6), "bias": (6,)}
    expected = convolution(x, parameters["kernel"], groups=2) + 1
    np.testing.assert_array_equal(layer.apply({"params": parameters}, x), expected)
    without = Convolution(6, 3, use_bias=False, kernel_init=ZEROS)
    assert set(without.init(jax.random.key(0), x)["params"]) == {"kernel"}


def test_convolution_module_computes_in_the_type_of_its_input_and_its_parameters(by_xla):
    layer = Convolution(6, 3)
    x = jnp.ones((1, 5, 5, 4), jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x)
    assert variables["params"]["kernel"].dtype == jnp.float32
    assert jax.eval_shape(layer.apply, variables, x).dtype == jnp.float32
    variables = jax.tree.map(lambda leaf: leaf.astype(x.dtype), variables)
    text = jax.jit(layer.apply).lower(variables, x).as_text()
    line = next(line for line in text.splitlines() if "stablehlo.convolution" in line)
    assert "bf16" in line
    assert "f32" not in line
    assert layer.apply(variables, x).dtype == jnp.bfloat16


def test_convolution_refuses_a_kernel_of_other_channels_and_other_ranks():
    with pytest.raises(ShapeError, match="the kernel takes 3 channels, the image has 4"):
        convolution(jnp.ones((1, 5, 5, 4)), jnp.ones((3, 3, 3, 2)))


@pytest.mark.slow
def test_images_smaller_than_the_window_are_padded_before_a_cpus_convolution(by_xla):
    x, kernel = numbers(3, 2, 3, 4), numbers(4, 5, 4, 3)
    text = jax.jit(convolution).lower(x, kernel).as_text()
    (line,) = (line for line in text.splitlines() if "stablehlo.convolution(" in line)
    assert "tensor<3x5x7x4xf32>, tensor<4x5x4x3xf32>" in line  # of 2x3 pixels

    def gradients(form):
        return jax.grad(lambda *pieces: jnp.sum(jnp.sin(form(*pieces))), (0, 1))(x, kernel)

    with double_precision():
        x, kernel = numbers(3, 2, 3, 4), numbers(4, 5, 4, 3)
        close(convolution(x, kernel), plain(x, kernel))
        close(gradients(convolution), gradients(plain))
