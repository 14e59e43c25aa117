"""Rows of costs: worked by hand, held by laws, against the counts of `macs`."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from ablax.analysis.cost import LECTURE, USUAL, cost, fold, macs

NHWC = ("NHWC", "HWIO", "NHWC")


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def numbers(row):
    return (row.macs, row.parameters, row.input_memory, row.parameter_memory, row.output_memory)


def conv(x, kernel, strides=(1, 1), padding="VALID", **options):
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=NHWC, **options)


def small_network(weights, x):
    with jax.named_scope("net"):
        with jax.named_scope("conv1"):
            x = conv(x, weights["kernel"]) + weights["bias"]
        with jax.named_scope("relu1"):
            x = jax.nn.relu(x)
        with jax.named_scope("pool1"):
            return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")


SMALL = ({"kernel": shape(3, 3, 1, 2), "bias": shape(2)}, shape(1, 7, 7, 1))


def test_convolution_with_bias_relu_and_pool_cost_what_one_counts_by_hand():
    # 7x7 -> 5x5 places, 2 features, 9 taps; pool 3x3/2: 5x5 -> 2x2
    rows = cost(small_network, *SMALL)
    assert [(row.path, row.operation.name) for row in rows] == [
        ("conv1", "convolution 3x3"),
        ("relu1", "ReLU"),
        ("pool1", "max pool 3x3/2"),
    ]
    assert [numbers(row) for row in rows] == [
        (450, 20, 49, 20, 50),
        (0, 0, 50, 0, 50),
        (0, 0, 50, 0, 8),
    ]
    assert (rows[0].input_shape, rows[0].output_shape) == ((1, 7, 7, 1), (1, 5, 5, 2))
    assert (rows[0].memory, rows[0].bytes(), rows[0].intensity) == (119, 476, 450 / 119)


def test_lecture_adds_bias_nonlinearity_and_pool():
    rows = cost(small_network, *SMALL, convention=LECTURE)
    assert [row.macs for row in rows] == [450 + 50, 50, 9 * 8]
    # 18 weights, and a bias stored for each of 50 outputs
    assert [row.parameters for row in rows] == [18 + 50, 0, 0]


@pytest.mark.parametrize(
    ("x", "kernel", "options", "name", "cost_of_one"),
    [
        ((1, 8, 8, 4), (3, 3, 4, 6), {"strides": (2, 2)}, "convolution 3x3/2", 9 * 9 * 4 * 6),
        (
            (1, 8, 8, 4),
            (3, 3, 2, 6),
            {"feature_group_count": 2},
            "convolution 3x3, 2 groups",
            36 * 9 * 2 * 6,
        ),
        ((1, 8, 8, 4), (3, 3, 1, 4), {"feature_group_count": 4}, "depthwise 3x3", 36 * 9 * 4),
        (
            (1, 9, 9, 1),
            (3, 3, 1, 1),
            {"rhs_dilation": (2, 2)},
            "convolution 3x3, dilation 2",
            25 * 9,
        ),
        (
            (1, 4, 4, 1),
            (3, 3, 1, 1),
            {"lhs_dilation": (2, 2), "padding": ((0, 0), (0, 0))},
            "transposed convolution 3x3/2",
            225,
        ),
    ],
)
def test_convolutions_are_named_and_counted(x, kernel, options, name, cost_of_one):
    def fn(kernel, x):
        return conv(x, kernel, **options)

    (row,) = cost(fn, shape(*kernel), shape(*x))
    assert (row.operation.name, row.macs) == (name, cost_of_one)


def average(x):
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4.0


def response(x):
    square = lax.reduce_window(x * x, 0.0, lax.add, (1, 1, 1, 5), (1,) * 4, "SAME")
    return x * (2.0 + square) ** -0.75


@pytest.mark.parametrize(
    ("fn", "name", "lecture"),
    [
        (average, "average pool 2x2/2", 4 * 2 * 2 * 3),
        (lambda x: x.mean((1, 2)), "global average pool", 16 * 3),
        (response, "response normalization", 9 * 48),
        (jax.nn.softmax, "softmax", 48),
        (jax.nn.sigmoid, "sigmoid", 48),
        (jax.nn.relu6, "ReLU6", 48),
        (lambda x: x + 2 * x.mean((1, 2), keepdims=True), "global average pool", None),
        (lambda x: x.transpose(0, 3, 1, 2), "transpose", 0),
        (lambda x: jnp.concatenate([x, x], 3), "concatenate", 0),
    ],
)
def test_layers_without_products_are_named_and_free_in_the_usual_convention(fn, name, lecture):
    (row,) = cost(fn, shape(1, 4, 4, 3), parameters=None)
    assert (row.operation.name, row.macs, row.parameters) == (name, 0, 0)
    if lecture is not None:
        (counted,) = cost(fn, shape(1, 4, 4, 3), parameters=None, convention=LECTURE)
        assert counted.macs == lecture


def test_batch_normalization_with_kept_statistics_has_scale_and_bias_as_parameters():
    def normalize(variables, x):
        kept, own = variables["batch_stats"], variables["params"]
        return (x - kept["mean"]) * (own["scale"] * lax.rsqrt(kept["var"] + 1e-5)) + own["bias"]

    four = shape(4)
    variables = {
        "batch_stats": {"mean": four, "var": four},
        "params": {"bias": four, "scale": four},
    }
    (row,) = cost(normalize, variables, shape(1, 3, 3, 4))
    assert (row.operation.name, row.parameters, row.memory) == ("batch normalization", 8, 80)


def test_shared_weights_are_stored_once_and_read_twice():
    rows = cost(lambda w, x: (x @ w) @ w, shape(3, 3), shape(1, 3))
    assert [row.parameters for row in rows] == [9, 0]
    assert [row.parameter_memory for row in rows] == [9, 9]


def test_parameters_that_are_not_read_have_a_row_of_their_own():
    def fn(weights, x):
        return x @ weights["used"]

    product, rest = cost(fn, {"used": shape(3, 3), "aside": shape(7)}, shape(1, 3))
    assert (product.parameters, rest.parameters) == (9, 7)
    assert (rest.path, rest.memory, rest.macs) == ("(not read)", 0, 0)


def test_addition_of_a_shortcut_reads_both():
    def block(w, x):
        return x @ w + x

    product, addition = cost(block, shape(4, 4), shape(2, 4))
    assert (product.operation.name, addition.operation.name) == ("dense", "add")
    assert (addition.input_memory, addition.output_memory) == (16, 8)


def test_scan_costs_its_length_times_its_body():
    def repeated(w, x):
        return lax.scan(lambda c, v: (jnp.tanh(c @ v), None), x, w)[0]

    product, tanh = cost(repeated, shape(5, 3, 3), shape(2, 3))
    assert (product.macs, product.parameters) == (5 * 2 * 9, 5 * 9)
    assert (tanh.input_memory, tanh.note) == (5 * 6, "runs 5 times")


def test_cond_costs_its_dearest_branch_and_says_so():
    def choose(w, x, flag):
        return lax.cond(flag, lambda: x @ w @ w, lambda: x @ w)

    rows = cost(choose, shape(3, 3), shape(1, 3), jax.ShapeDtypeStruct((), bool))
    assert [row.macs for row in rows] == [9, 9]
    assert {row.note for row in rows} == {"dearest branch of a cond"}


def test_platform_choice_costs_its_default_branch_without_a_note():
    def choose(w, x):
        return lax.platform_dependent(x, w, cpu=lambda x, w: x @ w @ w, default=jnp.matmul)

    (row,) = cost(choose, shape(3, 3), shape(1, 3))
    assert (row.macs, row.note) == (9, "")


def test_while_loop_is_refused_with_its_layer():
    def forever(w, x):
        with jax.named_scope("loop"):
            return lax.while_loop(lambda y: y.sum() < 0, lambda y: jnp.tanh(y), x @ w)

    with pytest.raises(ValueError, match=r"`while` loop \(loop\).*use `jax.lax.scan`"):
        cost(forever, shape(3, 3), shape(1, 3))


def test_number_of_the_parameters_is_checked():
    with pytest.raises(ValueError, match="parameters=2, and the function is given 2 arguments"):
        cost(small_network, *SMALL, parameters=2)


def test_fold_keeps_the_totals_and_the_ends():
    rows = cost(small_network, *SMALL)
    renamed = fold([*rows, *rows], 1)
    assert sum(row.memory for row in renamed) == 2 * sum(row.memory for row in rows)
    assert (renamed[0].input_shape, renamed[-1].output_shape) == ((1, 7, 7, 1), (1, 2, 2, 2))
    with pytest.raises(ValueError, match="depth=0: expected at least 1"):
        fold(rows, 0)


@pytest.mark.parametrize("convention", [USUAL, LECTURE], ids=lambda each: each.name)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_costs_of_the_parts_sum_to_those_of_the_whole_at_every_depth(convention, depth):
    def deep(weights, x):
        for block in ("res2a", "res2b"):
            with jax.named_scope(block), jax.named_scope("branch"):
                x = small_network(weights, jnp.pad(x, ((0, 0), (3, 2), (3, 2), (0, 0))))[..., :1]
        return x

    rows = cost(deep, SMALL[0], shape(1, 2, 2, 1), convention=convention)
    blocks = fold(rows, depth)
    assert len(blocks) < len(rows)
    for field in ("macs", "parameters", "input_memory", "parameter_memory", "output_memory"):
        sums = [sum(getattr(row, field) for row in each) for each in (rows, blocks)]
        assert sums[0] == sums[1] > 0


@settings(max_examples=15, deadline=None)
@given(
    depth=st.integers(1, 3),
    widths=st.lists(st.integers(1, 5), min_size=4, max_size=4),
    stride=st.integers(1, 2),
)
def test_rows_add_up_to_macs_and_parameters_of_any_chain(depth, widths, stride):
    kernels = [shape(3, 3, widths[n], widths[n + 1]) for n in range(depth)]

    def sequential(kernels, x):
        for kernel in kernels:
            x = jax.nn.relu(conv(x, kernel, (stride, stride), "SAME"))
        return x

    x = shape(2, 9, 9, widths[0])
    rows = cost(sequential, kernels, x)
    assert sum(row.macs for row in rows) == macs(sequential, kernels, x)
    assert sum(row.parameters for row in rows) == sum(k.size for k in kernels)
    # what one writes is what the next reads
    assert [r.output_memory for r in rows[:-1]] == [r.input_memory for r in rows[1:]]
    assert USUAL.name == "usual"
