"""Size arithmetic."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.errors import AblaxError
from ablax.layers import (
    AveragePool,
    Convolution,
    Dense,
    FieldError,
    Flatten,
    MaxPool,
    ShapeError,
    convolution,
    max_pool,
    output_size,
)
from ablax.layers.windows import explicit_padding, place


@pytest.mark.parametrize(
    ("stride", "padding", "expected"), [(1, 0, 5), (2, 0, 3), (3, 0, 2), (1, 1, 7)]
)
def test_output_size_is_the_lectures_for_3x3_on_7x7(stride, padding, expected):
    assert output_size(7, 3, stride, padding) == expected
    layer = Convolution(features=2, window=3, stride=stride, padding=padding)
    y, _ = jax.eval_shape(layer.init_with_output, jax.random.key(0), jnp.ones((1, 7, 7, 1)))
    assert y.shape == (1, expected, expected, 2)


def test_output_size_strict_refuses_what_the_lecture_says_does_not_fit():
    with pytest.raises(ShapeError, match=r"window of 3 with stride 3 .* does not fit 7 exactly"):
        output_size(7, 3, 3, strict=True)
    assert output_size(7, 3, 2, strict=True) == 3


@given(
    size=st.integers(1, 20),
    window=st.integers(1, 5),
    stride=st.integers(1, 4),
    low=st.integers(0, 2),
    high=st.integers(0, 2),
    dilation=st.integers(1, 3),
)
def test_output_size_counts_the_positions_of_the_window(size, window, stride, low, high, dilation):
    reach = (window - 1) * dilation + 1
    starts = range(-low, size + high - reach + 1, stride)
    counted = output_size(size, window, stride, (low, high), dilation)
    assert max(counted, 0) == len(starts)
    hanging = output_size(size, window, stride, (low, high), dilation, ceil_mode=True)
    if starts and high < reach:
        rest = starts[-1] + reach < size + high
        inside = starts[-1] + stride < size
        assert hanging == len(starts) + (rest and inside)


@given(size=st.integers(1, 30), reach=st.integers(1, 7), stride=st.integers(1, 5))
def test_same_padding_keeps_the_size_over_the_stride_rounded_up(size, reach, stride):
    sides = explicit_padding("SAME", (size, size), (reach, reach), (stride, stride))
    assert output_size(size, reach, stride, sides[0]) == -(-size // stride)
    assert 0 <= sides[0][1] - sides[0][0] <= 1


@pytest.mark.parametrize(
    ("size", "window", "stride", "padding", "expected"),
    [
        (224, 11, 4, 2, 55),
        (227, 11, 4, 0, 55),
        (55, 3, 2, 0, 27),
        (27, 3, 2, 0, 13),
        (13, 3, 2, 0, 6),
    ],
)
def test_output_size_gives_alexnets_published_sizes(size, window, stride, padding, expected):
    assert output_size(size, window, stride, padding) == expected


def test_output_size_rounded_up_gives_googlenets_published_sizes():
    sizes = [112]
    for _ in range(4):
        sizes.append(output_size(sizes[-1], 3, 2, ceil_mode=True))
    assert sizes == [112, 56, 28, 14, 7]


def test_place_reaches_the_last_window_when_rounding_up():
    windows = place("max_pool", (1, 6, 6, 1), 3, 2, "VALID", ceil_mode=True)
    assert windows.output == (3, 3)
    assert windows.padding == ((0, 1), (0, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Convolution(0, 3), "features=0: expected an integer of at least 1"),
        (lambda: Convolution(True, 3), "features=True"),
        (lambda: Convolution(3, 0), "window=0"),
        (lambda: Convolution(3, (3, -1)), r"window=\(3, -1\)"),
        (lambda: Convolution(3, 3, stride=0), "stride=0"),
        (lambda: Convolution(3, 3, dilation=0), "dilation=0"),
        (lambda: Convolution(3, 3, padding="same"), "padding='same'"),
        (lambda: Convolution(3, 3, padding=-1), "padding=-1"),
        (lambda: Convolution(3, 3, padding=((0, 0), (1,))), r"padding=\(1,\)"),
        (lambda: Convolution(3, 3, groups=0), "groups=0"),
        (lambda: Convolution(6, 3, groups=4), "features=6 with groups=4"),
        (lambda: MaxPool(0), "window=0"),
        (lambda: MaxPool(2, stride=0), "stride=0"),
        (lambda: MaxPool(2, padding=2), "padding=2 with window=2"),
        (lambda: Dense(0), "features=0"),
    ],
)
def test_a_field_no_layer_can_have_is_refused_at_construction(make, message):
    with pytest.raises(FieldError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Convolution(2, 3),
            (5, 5, 3),
            r"Convolution was given .*\(5, 5, 3\): expected \(N H W C\)",
        ),
        (
            Convolution(2, 7, padding="VALID"),
            (1, 5, 6, 3),
            r"Convolution was given \(1, 5, 6, 3\): a window of 7x7 .* at least 7x7",
        ),
        (Convolution(2, 3, padding=0, dilation=3), (1, 6, 7, 3), "spans 7x7"),
        (Convolution(2, 3, 3, padding=0, strict=True), (1, 7, 7, 3), "does not fit 7 exactly"),
        (Convolution(4, 3, groups=2), (1, 5, 5, 3), "3 channels and 4 features in 2 groups"),
        (MaxPool(3), (1, 2, 2, 1), r"max_pool was given \(1, 2, 2, 1\): a window of 3x3"),
        (MaxPool(3, 3, strict=True), (1, 7, 7, 1), "does not fit 7 exactly"),
        (AveragePool(3), (1, 2, 2, 1), "average_pool was given"),
        (Flatten(), (2, 3), r"Flatten was given .*\(2, 3\): expected \(N H W C\)"),
        (Dense(2), (), r"Dense was given an array of shape \(\)"),
    ],
)
def test_a_shape_a_layer_cannot_take_is_refused_before_anything_compiles(layer, shape, message):
    with pytest.raises(ShapeError, match=message) as refusal:
        jax.eval_shape(layer.init, jax.random.key(0), jnp.ones(shape))
    assert isinstance(refusal.value, AblaxError)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (MaxPool(5, 2, strict=True), (1, 2, 8, 1)),
        (Convolution(2, 5, 2, padding=0, strict=True), (1, 2, 2, 3)),
    ],
)
def test_a_strict_layer_says_that_the_window_is_larger_before_that_it_leaves_a_rest(layer, shape):
    with pytest.raises(ShapeError, match="is larger than the padded image; expected at least 5x5"):
        jax.eval_shape(layer.init, jax.random.key(0), jnp.ones(shape))


def test_output_size_strict_refuses_a_window_larger_than_the_axis():
    with pytest.raises(ShapeError, match=r"window of 5 spans 9 and is larger than 4 with .* 1\+0"):
        output_size(4, 5, 2, padding=(1, 0), dilation=2, strict=True)


def test_functions_called_by_keywords_alone_refuse_a_wrong_rank_in_words():
    with pytest.raises(
        ShapeError, match=r"max_pool was given an array of shape \(4, 4\): expected"
    ):
        max_pool(x=jnp.ones((4, 4)), window=2)
    image, kernel = jnp.ones((5, 5, 1)), jnp.ones((3, 3, 1, 2))
    for call in ({"x": image, "kernel": kernel}, {"kernel": kernel, "x": image}):
        with pytest.raises(
            ShapeError, match=r"convolution was given an array of shape \(5, 5, 1\)"
        ):
            convolution(**call)
    with pytest.raises(ShapeError, match=r"MaxPool was given an array of shape \(4, 4\)"):
        MaxPool(2).apply({}, x=jnp.ones((4, 4)))
    assert max_pool(window=2, x=jnp.ones((1, 4, 4, 1))).shape == (1, 2, 2, 1)


@pytest.mark.parametrize("layer", [Convolution(2, 3), Dense(2)])
def test_a_layer_refuses_inputs_of_another_number_of_channels(layer):
    variables = layer.init(jax.random.key(0), jnp.ones((1, 4, 4, 3)))
    with pytest.raises(ShapeError, match="initialize it again"):
        layer.apply(variables, jnp.ones((1, 4, 4, 5)))


@settings(max_examples=20)
@given(window=st.integers(1, 3), stride=st.integers(1, 3))
def test_layers_with_equal_fields_are_equal_and_hash_alike(window, stride):
    one, other = Convolution(4, window, stride), Convolution(4, window, stride)
    assert one == other
    assert hash(one) == hash(other.copy())
    assert one != Convolution(5, window, stride)
