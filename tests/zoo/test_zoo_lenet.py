"""LeNet-5: the figures of section II.B and table I of the paper."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import (
    check,
    count_parameters,
    layer_shapes,
    parameter_sizes,
    with_head,
)
from ablax.errors import AblaxError
from ablax.layers.heads import CodeScores
from ablax.zoo.alexnet import alexnet_small
from ablax.zoo.lenet import DIGITS, code_head, lenet5, lenet5_codes

SHAPE = (32, 32, 1)

# Rows are the maps of S2, columns those of C3.
TABLE_I = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""


def sizes_by_layer(network):
    sizes = {}
    for path, size in parameter_sizes(network, SHAPE).items():
        name = path.split("/")[0]
        sizes[name] = sizes.get(name, 0) + size
    return sizes


@pytest.mark.parametrize("size", [28, 32])
def test_short_form_has_61706_parameters(size):
    assert count_parameters(lenet5(image_size=size), (size, size, 1)) == 61_706


def test_parameters_of_each_layer_are_those_of_the_paper_and_60000_together():
    assert sizes_by_layer(lenet5_codes()) == {
        **{"c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164},
    }
    assert sum(sizes_by_layer(lenet5_codes()).values()) == 60_000


def test_connections_are_the_340908_of_the_paper():
    """A convolution has its parameters once a pixel, a subsampling unit 4 inputs and a bias."""
    network = lenet5_codes()
    sizes, shapes = sizes_by_layer(network), layer_shapes(network, SHAPE)
    connections = {
        name: sizes[name] * math.prod(shapes[name][:2]) for name in ("c1", "c3", "c5")
    } | {name: 5 * math.prod(shapes[name]) for name in ("s2", "s4")}
    connections |= {"f6": sizes["f6"], "output": 84 * shapes["output"][0]}
    assert connections == {
        **{"c1": 122_304, "s2": 5_880, "c3": 151_600, "s4": 2_000, "c5": 48_120},
        **{"f6": 10_164, "output": 840},
    }
    assert sum(connections.values()) == 340_908


@pytest.mark.parametrize("build", [lenet5, lenet5_codes])
@pytest.mark.parametrize("size", [28, 32])
def test_both_forms_go_through_the_shapes_of_figure_2(build, size):
    shapes = layer_shapes(build(image_size=size), (size, size, 1))
    assert {name: shapes[name] for name in shapes if "/" not in name} == {
        **{"c1": (28, 28, 6), "s2": (14, 14, 6), "c3": (10, 10, 16), "s4": (5, 5, 16)},
        **{"c5": (1, 1, 120), "vectorize": (120,), "f6": (84,), "output": (10,)},
    }


@pytest.mark.slow
def test_maps_of_c3_see_the_maps_of_s2_of_table_i():
    """Found by showing one map at a time, not read off the layers."""
    c3 = lenet5_codes().layers["c3"]
    one_map_each = jnp.eye(6)[:, None, None, :] * jnp.ones((1, 5, 5, 1))
    shown = jnp.concatenate([one_map_each, jnp.zeros((1, 5, 5, 6))])
    shapes = jax.eval_shape(c3.init, jax.random.key(0), shown)
    weights = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.01), shapes)
    answers = c3.apply(weights, shown)[:, 0, 0]
    crosses = np.array([list(row) for row in TABLE_I.split()]) == "X"
    np.testing.assert_array_equal(answers[:6] != answers[6], crosses)


def test_subsampling_by_hand():
    """1.7159 tanh(2/3 (gain times the mean, plus bias))."""
    s2 = lenet5_codes().layers["s2"]
    x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    params = {"scale": {"scale": jnp.array([2.0])}, "offset": {"bias": jnp.array([-1.0])}}
    expected = 1.7159 * math.tanh(2 / 3 * (2 * 1.5 - 1))
    np.testing.assert_allclose(s2.apply({"params": params}, x), [[[[expected]]]], rtol=1e-6)


def test_digits_are_ten_codes_of_84_bits_of_which_any_two_differ_in_eight_or_more():
    codes = np.array(DIGITS.rows)
    assert codes.shape == (10, 84)
    assert set(codes.ravel()) == {-1.0, 1.0}
    differing = (codes[:, None] != codes[None]).sum(axis=-1)
    assert differing[~np.eye(10, dtype=bool)].min() == 8


def test_digit_one_is_a_vertical_line_on_a_foot():
    one = np.array(DIGITS.rows[1]).reshape(12, 7) > 0
    assert one[:, 3].all()
    assert one[11].all()
    assert one[5:11].sum() == 6


def test_a_picture_of_a_code_is_given_its_class():
    scores = CodeScores(DIGITS).apply({}, jnp.asarray(DIGITS.rows))
    np.testing.assert_array_equal(scores.argmax(axis=1), range(10))


def test_code_head_goes_on_another_network_and_ends_in_the_first_codes():
    network = with_head(code_head(4))(alexnet_small(4, 1 / 32))
    check(network, (28, 28, 3), classes=4)
    assert network.head["output"].codes.rows == DIGITS.rows[:4]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: lenet5(10, 64), "32 pixels, or 28.*64"),
        (lambda: lenet5_codes(10, 64), "32 pixels, or 28.*64"),
        (lambda: code_head(11), "codes for 11 classes.*there are 10"),
        (lambda: code_head(0), "codes for 0 classes"),
    ],
)
def test_sizes_and_classes_that_do_not_exist_are_refused(build, message):
    with pytest.raises(AblaxError, match=message):
        build()


@pytest.mark.slow
def test_every_parameter_trains():
    assert leaves_without_gradient(lenet5_codes(4), SHAPE) == []


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("build", [lenet5, lenet5_codes])
def test_lenet5_drives_a_small_batch_to_zero_error(build):
    assert wrong_after_training(build(4), SHAPE) == 0
