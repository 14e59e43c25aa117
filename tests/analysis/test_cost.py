from __future__ import annotations

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from ablax.analysis.cost import macs, macs_by_scope

NHWC = ("NHWC", "HWIO", "NHWC")


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def convolution(strides=(1, 1), padding="VALID", **options):
    def fn(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, strides, padding, dimension_numbers=NHWC, **options
        )

    return fn


@pytest.mark.parametrize(
    ("strides", "padding", "places"),
    [
        ((1, 1), "VALID", 5 * 5),
        ((2, 2), "VALID", 3 * 3),
        ((1, 2), "VALID", 5 * 3),
        ((1, 1), "SAME", 7 * 7),
        ((2, 2), "SAME", 4 * 4),
        ((1, 1), ((1, 1), (0, 0)), 7 * 5),
    ],
)
def test_convolution_costs_nine_per_place_of_a_3x3_kernel_on_7x7(strides, padding, places):
    conv = convolution(strides, padding)
    assert macs(conv, shape(1, 7, 7, 1), shape(3, 3, 1, 1)) == 9 * places
    # 2 images, 4 input channels, 6 features
    assert macs(conv, shape(2, 7, 7, 4), shape(3, 3, 4, 6)) == 9 * places * 2 * 4 * 6


def test_convolution_dilated_by_two_costs_nine_at_the_nine_places_where_it_fits():
    conv = convolution(rhs_dilation=(2, 2))
    assert macs(conv, shape(1, 7, 7, 1), shape(3, 3, 1, 1)) == 9 * 3 * 3


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_grouped_convolution_costs_dense_divided_by_groups(groups):
    conv = convolution(padding="SAME", feature_group_count=groups)
    dense = 9 * 6 * 6 * 8 * 16
    assert macs(conv, shape(1, 6, 6, 8), shape(3, 3, 8 // groups, 16)) == dense // groups


@pytest.mark.parametrize("numbers", [NHWC, ("NCHW", "OIHW", "NCHW"), ("HWNC", "OHWI", "CHWN")])
def test_convolution_costs_the_same_in_every_layout(numbers):
    sizes = {"N": 2, "H": 7, "W": 5, "C": 3}
    taps = {"H": 3, "W": 2, "I": 3, "O": 4}

    def conv(x, kernel):
        return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=numbers)

    x, kernel = (sizes[axis] for axis in numbers[0]), (taps[axis] for axis in numbers[1])
    assert macs(conv, shape(*x), shape(*kernel)) == 2 * (5 * 4 * 4) * (3 * 2 * 3)


@pytest.mark.parametrize(
    ("x", "kernel", "options"),
    [
        ((4, 6, 6, 3), (3, 3, 3, 8), {"batch_group_count": 2}),
        ((8, 6, 6, 3), (3, 3, 3, 8), {"batch_group_count": 8}),
        ((2, 6, 6, 4), (3, 2, 2, 6), {"feature_group_count": 2}),
        ((2, 9, 8, 4), (3, 2, 1, 4), {"feature_group_count": 4, "rhs_dilation": (3, 2)}),
    ],
)
def test_convolution_of_ones_sums_to_its_cost(x, kernel, options):
    # Without padding each multiply-accumulate of ones adds one to one output.
    conv = convolution((2, 1), **options)
    assert macs(conv, shape(*x), shape(*kernel)) == int(conv(jnp.ones(x), jnp.ones(kernel)).sum())


def taps_counted_one_by_one(size, window, stride, padding, dilation, images, groups, i, o):
    """Multiply-accumulates by loops over places, taps, images, groups and channels."""

    def places(axis):
        """Where the window starts, in padded coordinates, while its last tap is inside."""
        start = 0
        while start + dilation * (window[axis] - 1) < size[axis] + 2 * padding:
            yield start
            start += stride

    count = 0
    for _ in itertools.product(
        range(images), places(0), places(1), range(window[0]), range(window[1])
    ):
        count += sum(1 for _ in itertools.product(range(groups), range(i), range(o)))
    return count


few = st.integers(1, 3)


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    window=st.tuples(few, few),
    stride=few,
    padding=st.integers(0, 2),
    dilation=few,
    images=st.integers(1, 2),
    groups=few,
    i=st.integers(1, 2),
    o=st.integers(1, 2),
)
def test_convolution_costs_its_taps_counted_one_by_one(
    size, window, stride, padding, dilation, images, groups, i, o
):
    conv = convolution(
        (stride, stride),
        [(padding, padding)] * 2,
        rhs_dilation=(dilation, dilation),
        feature_group_count=groups,
    )
    counted = taps_counted_one_by_one(size, window, stride, padding, dilation, images, groups, i, o)
    assert macs(conv, shape(images, *size, groups * i), shape(*window, i, groups * o)) == counted


@pytest.mark.parametrize(
    ("expression", "a", "b", "cost"),
    [
        ("mk,kn->mn", (2, 3), (3, 5), 2 * 3 * 5),
        ("bmk,bkn->bmn", (7, 2, 3), (7, 3, 5), 7 * 2 * 3 * 5),
        ("abmk,abkn->abmn", (7, 4, 2, 3), (7, 4, 3, 5), 7 * 4 * 2 * 3 * 5),
        ("mjk,jkn->mn", (2, 3, 4), (3, 4, 5), 2 * 3 * 4 * 5),
        ("k,k->", (6,), (6,), 6),
        ("m,n->mn", (6,), (7,), 6 * 7),
    ],
)
def test_matrix_product_costs_batch_times_rows_times_columns_times_inner(expression, a, b, cost):
    assert macs(functools.partial(jnp.einsum, expression), shape(*a), shape(*b)) == cost


def test_elementwise_reduction_and_pooling_are_free():
    def fn(x):
        x = jax.nn.relu(x + 1) * 2
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")
        return jax.nn.log_softmax(x.mean((1, 2)))

    assert macs(fn, shape(1, 7, 7, 2)) == 0
    assert macs_by_scope(fn, shape(1, 7, 7, 2)) == {}


def test_cost_of_an_empty_batch_is_zero():
    assert macs(convolution(), shape(0, 7, 7, 1), shape(3, 3, 1, 1)) == 0
    assert macs(convolution(), shape(1, 7, 7, 1), shape(3, 3, 1, 0)) == 0


def test_cost_is_an_exact_python_integer():
    assert macs(lambda a: a @ a, shape(10**7, 10**7)) == 10**21


def test_scan_costs_its_length_times_its_body():
    def fn(a):
        return lax.scan(lambda b, _: (b @ a, None), a, length=7)[0]

    assert macs(fn, shape(3, 3)) == 7 * 27


def test_cond_costs_its_dearest_branch():
    def thrice(a):
        return a @ a @ a @ a

    def fn(i, a):
        return lax.switch(i, [lambda a: a @ a, thrice, lambda a: a], a)

    assert macs(fn, jax.ShapeDtypeStruct((), jnp.int32), shape(2, 2)) == 3 * 8


def test_cond_weighs_a_scan_by_its_length():
    def loop(a):
        return lax.scan(lambda b, _: (b @ a, None), a, length=5)[0]

    def fn(positive, a):
        return lax.cond(positive, loop, lambda a: a @ a @ a, a)

    assert macs(fn, jax.ShapeDtypeStruct((), jnp.bool_), shape(2, 2)) == 5 * 8


def test_platform_choice_costs_its_default_branch():
    def fn(a):
        return lax.platform_dependent(a, cpu=lambda a: a @ a @ a, default=lambda a: a @ a)

    assert macs(fn, shape(2, 2)) == 8


def test_custom_jvp_and_jit_cost_what_they_hold():
    @jax.custom_jvp
    def square(a):
        return jax.jit(lambda a: a @ a)(a)

    square.defjvp(lambda primals, tangents: (square(*primals), tangents[0] @ primals[0]))
    assert macs(jax.jit(square), shape(2, 2)) == 8
    assert macs(jax.grad(lambda a: square(a).sum()), shape(2, 2)) == 8 + 8


def test_gradient_of_dense_layers_costs_two_more_forwards_but_the_first_input_gradient():
    images = 4

    def loss(weights, x):
        for w in weights:
            x = jax.nn.relu(x @ w)
        return x.sum()

    weights = [shape(5, 7), shape(7, 11), shape(11, 3)]
    forward = images * (5 * 7 + 7 * 11 + 11 * 3)
    assert macs(loss, weights, shape(images, 5)) == forward
    assert macs(jax.grad(loss), weights, shape(images, 5)) == 3 * forward - images * 5 * 7


# The lecture's AlexNet table (L2) counts a bias as one multiply-accumulate per output:
# its figure, minus the outputs, is the usual one.
LECTURE = {
    "conv1": (105_705_600, 96 * 55 * 55),
    "conv2": (448_084_224, 256 * 27 * 27),
    "conv3": (149_585_280, 384 * 13 * 13),
    "conv4": (224_345_472, 384 * 13 * 13),
    "conv5": (149_563_648, 256 * 13 * 13),
    "fc6": (37_752_832, 4096),
    "fc7": (16_781_312, 4096),
    "fc8": (4_097_000, 1000),
}


class AlexNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(96, (11, 11), 4, [(1, 2), (1, 2)], name="conv1")(x))
        x = nn.max_pool(x, (3, 3), (2, 2))
        x = nn.relu(nn.Conv(256, (5, 5), name="conv2")(x))
        x = nn.max_pool(x, (3, 3), (2, 2))
        x = nn.relu(nn.Conv(384, (3, 3), name="conv3")(x))
        x = nn.relu(nn.Conv(384, (3, 3), name="conv4")(x))
        x = nn.relu(nn.Conv(256, (3, 3), name="conv5")(x))
        x = nn.max_pool(x, (3, 3), (2, 2)).reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(4096, name="fc6")(x))
        x = nn.relu(nn.Dense(4096, name="fc7")(x))
        return nn.Dense(1000, name="fc8")(x)


def test_alexnet_costs_what_the_lecture_prints_minus_its_biases():
    x = shape(1, 224, 224, 3)
    variables = jax.eval_shape(AlexNet().init, jax.random.key(0), x)
    layers = macs_by_scope(AlexNet().apply, variables, x)
    expected = {
        f"AlexNet/{name}": printed - outputs for name, (printed, outputs) in LECTURE.items()
    }
    assert list(layers.items()) == list(expected.items())
    assert layers["AlexNet/conv1"] == 105_415_200
    assert macs(AlexNet().apply, variables, x) == 1_135_256_096


def test_cost_by_scope_adds_equations_of_one_layer_and_keeps_products_outside():
    def fn(a):
        with jax.named_scope("twice"):
            b = a @ a @ a
        return b @ a

    assert macs_by_scope(fn, shape(2, 2)) == {"twice": 16, "": 8}


def test_product_in_a_while_loop_is_refused():
    def fn(a):
        with jax.named_scope("fc6"):
            return lax.while_loop(lambda b: b.sum() < 1, lambda b: b @ a, a)

    with pytest.raises(ValueError, match=r"dot_general stands in a `while` loop \(fc6\).*scan"):
        macs(fn, shape(2, 2))


def test_while_loop_without_products_is_free():
    def fn(a):
        return lax.while_loop(lambda b: b.sum() < 1, lambda b: b + 1, a) @ a

    assert macs(fn, shape(2, 2)) == 8


def test_product_inside_an_unknown_primitive_is_refused():
    def fn(a, b):
        return lax.custom_linear_solve(lambda x: a @ x, b, lambda _, b: b, symmetric=True)

    message = r"dot_general stands inside `custom_linear_solve` \(outside every layer\)"
    with pytest.raises(ValueError, match=message):
        macs(fn, shape(2, 2), shape(2))
