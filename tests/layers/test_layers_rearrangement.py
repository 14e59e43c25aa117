"""Rearrangement: inverse pairs are the identity, and no number is lost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablax.layers import FieldError, ShapeError
from ablax.layers.shape import (
    ChannelShuffle,
    ChannelSplit,
    ChannelToSpace,
    SpaceToDepth,
    channel_shuffle,
    channel_to_space,
    concatenate,
    space_to_depth,
    split,
)


def counted(*shape):
    """Every number another one."""
    return jnp.asarray(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))


def test_shuffle_by_hand_in_value_and_gradient():
    x = jnp.array([[11.0, 12, 13, 21, 22, 23]])
    y, back = jax.vjp(lambda x: channel_shuffle(x, groups=2), x)
    assert y.tolist() == [[11, 21, 12, 22, 13, 23]]
    assert back(jnp.array([[1.0, 2, 3, 4, 5, 6]]))[0].tolist() == [[1, 3, 5, 2, 4, 6]]


@settings(max_examples=6, deadline=None)
@given(groups=st.integers(1, 5), each=st.integers(1, 5), rank=st.integers(0, 3))
def test_shuffle_in_as_many_groups_as_a_group_has_channels_undoes_it(groups, each, rank):
    x = counted(*(2,) * rank, groups * each)

    @jax.jit
    def there_and_back(x):
        dealt = channel_shuffle(x, groups)
        return dealt, channel_shuffle(dealt, each)

    dealt, back = there_and_back(x)
    np.testing.assert_array_equal(back, x)
    np.testing.assert_array_equal(dealt[..., :groups], np.asarray(x)[..., ::each])


def test_space_to_channel_by_hand_in_value_and_gradient():
    x = jnp.array([[1.0, 2, 5, 6], [3, 4, 7, 8]]).reshape(1, 2, 4, 1)
    y, back = jax.vjp(lambda x: space_to_depth(x, 2), x)
    assert y.tolist() == [[[[1, 2, 3, 4], [5, 6, 7, 8]]]]
    np.testing.assert_array_equal(back(y)[0], x)


def test_space_to_channel_has_the_order_of_space_to_depth():
    # The worked example in TensorFlow's documentation of `space_to_depth`, with three channels.
    x = (1 + counted(1, 2, 2, 3)).astype(jnp.float32)
    assert space_to_depth(x, 2).tolist() == [[[list(range(1, 13))]]]


@settings(max_examples=6, deadline=None)
@given(
    block=st.integers(1, 3),
    size=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    channels=st.integers(1, 3),
)
def test_space_to_channel_equals_loops_and_channel_to_space_undoes_it(block, size, channels):
    x = counted(2, size[0] * block, size[1] * block, channels)
    deep = counted(2, *size, block**2 * channels)

    @jax.jit
    def there_and_back(x, deep):
        y = space_to_depth(x, block)
        return y, channel_to_space(y, block), space_to_depth(channel_to_space(deep, block), block)

    expected = np.zeros((2, *size, block**2 * channels))
    for r, c, a, b in np.ndindex(*size, block, block):
        first = (a * block + b) * channels
        expected[:, r, c, first : first + channels] = np.asarray(x)[:, block * r + a, block * c + b]
    for ours, theirs in zip(there_and_back(x, deep), (expected, x, deep), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("axis", [-1, 1, 2])
@pytest.mark.parametrize("parts", [1, 2, 6, (1, 2, 3), (0, 6, 0)])
def test_split_and_concatenate_undo_each_other_over_channels_and_space(parts, axis):
    x = counted(2, 6, 6, 6)
    pieces = split(x, parts, axis)
    lengths = parts if isinstance(parts, tuple) else (6 // parts,) * parts
    assert tuple(piece.shape[axis] for piece in pieces) == lengths
    np.testing.assert_array_equal(concatenate(*pieces, axis=axis), x)


def test_split_gives_each_part_the_gradient_of_its_channels():
    left, right = jax.grad(lambda x: split(x, (1, 2))[1].sum() ** 2)(jnp.array([7.0, 1, 2])), 6
    assert left.tolist() == [0, right, right]


def test_parts_laid_behind_one_another_are_the_whole():
    x = counted(1, 2, 2, 6)
    parts = [ChannelSplit(index, parts=3).apply({}, x) for index in range(3)]
    np.testing.assert_array_equal(concatenate(*parts), x)


def test_modules_of_rearrangement_pass_their_fields_on():
    x = counted(1, 4, 4, 8)
    for module, expected in (
        (ChannelShuffle(4), channel_shuffle(x, 4)),
        (SpaceToDepth(2), space_to_depth(x, 2)),
        (ChannelToSpace(2), channel_to_space(x, 2)),
    ):
        np.testing.assert_array_equal(module.apply({}, x), expected)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ChannelShuffle(0), FieldError, "groups=0"),
        (lambda: SpaceToDepth(0), FieldError, "block=0"),
        (lambda: ChannelToSpace(True), FieldError, "block=True"),
        (
            lambda: ChannelSplit(2, parts=2),
            FieldError,
            "index=2 of parts=2: expected .* from 0 to 1",
        ),
        (lambda: channel_shuffle(jnp.ones(6), 4), ShapeError, r"\(6,\) and groups=4"),
        (lambda: space_to_depth(jnp.ones((1, 3, 4, 1)), 2), ShapeError, "the block divides"),
        (lambda: channel_to_space(jnp.ones((1, 2, 2, 6)), 2), ShapeError, "that 4 divides"),
        (lambda: split(jnp.ones(6), 4), ShapeError, r"parts=4: expected parts that add up to 6"),
        (lambda: split(jnp.ones(6), (2, -2, 6)), FieldError, r"parts=\(2, -2, 6\): expected"),
        (lambda: concatenate(), ShapeError, r"was given \(\)"),
        (
            lambda: concatenate(jnp.ones((1, 2)), jnp.ones((1, 3)), axis=0),
            ShapeError,
            r"\(1, 2\), \(1, 3\)\): expected arrays that agree in all axes but axis 0",
        ),
    ],
)
def test_rearrangement_refuses_what_does_not_divide(make, error, message):
    with pytest.raises(error, match=message):
        make()
