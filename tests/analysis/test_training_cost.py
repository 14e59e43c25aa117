"""Training = 3 x forward - first input gradient, by the law and by taps counted in two jaxprs."""

import itertools
import math

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from ablax.analysis.cost import fold, macs, training_cost
from ablax.analysis.jaxpr import equations


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def conv(x, kernel, **options):
    options = {"window_strides": (1, 1), "padding": "SAME"} | options
    return lax.conv_general_dilated(
        x, kernel, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
    )


def taps_on_image(length, kernel, out, stride, low, gap, spread):
    """Pairs of an output and a tap that meets a number: no padding, no hole of a dilation."""
    places = (o * stride + k * gap - low for o, k in itertools.product(range(out), range(kernel)))
    return sum(0 <= p <= (length - 1) * spread and p % spread == 0 for p in places)


def useful_taps(equation):
    params, (x, kernel), (y,) = equation.params, equation.inputs, equation.outputs
    numbers = params["dimension_numbers"]
    images, _, *rows = numbers.lhs_spec
    features, channels, *sides = numbers.rhs_spec
    _, _, *places = numbers.out_spec
    each = [
        taps_on_image(x.shape[row], kernel.shape[side], y.shape[place], *where)
        for row, side, place, *where in zip(
            rows,
            sides,
            places,
            params["window_strides"],
            [low for low, _ in params["padding"]],
            params["rhs_dilation"],
            params["lhs_dilation"],
            strict=True,
        )
    ]
    batch = x.shape[images] // params["batch_group_count"]
    return math.prod(each) * batch * kernel.shape[features] * kernel.shape[channels]


def all_useful(fn, *args):
    found = [e for e in equations(fn, *args) if e.primitive == "conv_general_dilated"]
    return [useful_taps(equation) for equation in found]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window_strides": (2, 2)},
        {"window_strides": (2, 3), "padding": ((1, 2), (0, 1))},
        {"padding": "VALID"},
        {"rhs_dilation": (2, 1)},
        {"lhs_dilation": (2, 2), "padding": ((1, 2), (2, 2))},
        {"feature_group_count": 2},
        {"feature_group_count": 4, "window_strides": (2, 2)},
    ],
    ids=str,
)
def test_backward_convolutions_meet_as_many_numbers_as_the_forward_one(options):
    groups = options.get("feature_group_count", 1)
    first, second = shape(3, 3, 3, 4), shape(3, 3, 4 // groups, 8)

    def loss(kernels, x):
        return (conv(jnp.sin(conv(x, kernels[0])), kernels[1], **options) ** 2).sum()

    x = shape(2, 9, 8, 3)
    forward = all_useful(loss, (first, second), x)
    whole = all_useful(jax.grad(loss), (first, second), x)
    assert len(forward) == 2
    assert len(whole) == 5  # two forward, three gradients
    assert sum(whole) == 3 * sum(forward) - forward[0]


def test_rows_of_training_are_three_times_the_forward_pass_without_the_first_input_gradient():
    def two(kernels, x):
        return conv(jax.nn.relu(conv(x, kernels[0])), kernels[1])

    kernels, x = (shape(3, 3, 3, 4), shape(3, 3, 4, 5)), shape(1, 6, 6, 3)
    rows = training_cost(two, kernels, x)
    forward = macs(two, kernels, x)
    assert [row.by_input == 0 for row in rows if row.forward] == [True, False]
    assert sum(row.training for row in rows) == 3 * forward - rows[0].forward
    # valid windows pad nothing, so the gradient's own jaxpr has the same products
    assert sum(row.by_weights for row in rows) == forward


def test_product_of_two_activations_has_two_gradients_by_input():
    def attention(w, x):
        y = x @ w
        return y @ y.T

    _, product = training_cost(attention, shape(3, 3), shape(4, 3))
    assert (product.forward, product.by_input, product.by_weights) == (48, 96, 0)


def test_weights_that_are_not_learned_have_no_gradient():
    def fn(variables, x):
        return x @ variables["batch_stats"]["w"] @ variables["params"]["v"]

    variables = {"batch_stats": {"w": shape(3, 3)}, "params": {"v": shape(3, 2)}}
    first, second = training_cost(fn, variables, shape(1, 3))
    assert (first.by_input, first.by_weights) == (0, 0)
    assert (second.by_input, second.by_weights) == (0, 6)


def test_tanh_keeps_its_output_once_for_itself_and_for_the_next_layer():
    def fn(weights, x):
        with jax.named_scope("a"):
            x = jnp.tanh(x @ weights[0])
        with jax.named_scope("b"):
            return x @ weights[1]

    rows = training_cost(fn, (shape(3, 5), shape(5, 2)), shape(7, 3))
    kept = {}
    for row in rows:
        kept[row.path] = kept.get(row.path, 0) + row.kept
    # the output, which b's weights need, and 1 - y^2 or what JAX makes of it
    assert kept["b"] == 0
    assert kept["a"] in (35, 70, 105)
    assert kept["a"] * 4 == sum(row.kept_bytes for row in rows)


def test_scan_keeps_what_every_trip_leaves():
    def fn(w, x):
        return lax.scan(lambda c, _: (jnp.sin(c @ w), None), x, length=5)[0]

    rows = training_cost(fn, shape(3, 3), shape(2, 3))
    assert sum(row.forward for row in rows) == 5 * 2 * 9
    assert sum(row.by_input for row in rows) == 5 * 2 * 9
    # the carry and the cosine, of five trips
    assert sum(row.kept for row in rows) == 2 * 5 * 6


def test_folded_training_rows_keep_their_totals():
    def fn(w, x):
        with jax.named_scope("net"), jax.named_scope("block"):
            for name in ("a", "b"):
                with jax.named_scope(name):
                    x = x @ w
        return x

    rows = training_cost(fn, shape(3, 3), shape(1, 3))
    (block,) = fold(rows, 1)
    assert (block.path, block.forward, block.training) == ("block", 18, 45)
