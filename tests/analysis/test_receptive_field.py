from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from ablax.analysis.receptive_field import chain_receptive_field, receptive_fields

NHWC = ("NHWC", "HWIO", "NHWC")
IMAGE = jax.ShapeDtypeStruct((1, 16, 12, 4), jnp.float32)
LINE = jax.ShapeDtypeStruct((20,), jnp.float32)


def convolved(x, window, stride=1, padding="VALID", **options):
    kernel = jnp.ones((window, window, x.shape[3] // options.get("feature_group_count", 1), 4))
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=NHWC, **options
    )


def summed(x, window, stride=1, padding="VALID"):
    """A window along a line."""
    return lax.reduce_window(x, 0.0, lax.add, (window,), (stride,), padding)


def seen(fn, *args, **options):
    return receptive_fields(fn, *args, **options)[0]


def test_two_windows_of_three_see_five_and_behind_a_stride_of_two_seven():
    two = seen(lambda x: summed(summed(x, 3), 3), LINE, spatial=[0])
    assert (two.size, two.stride, two.offset, two.of(0)) == ((5,), (1,), (2.0,), ((0, 4),))
    strided = seen(lambda x: summed(summed(x, 3, 2), 3), LINE, spatial=[0])
    assert (strided.size, strided.stride, strided.offset) == ((7,), (2,), (3.0,))
    assert strided.of(1) == ((2, 8),)


def test_alexnet_by_hand_walks_back_to_195():
    tail = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)]
    assert [chain_receptive_field(tail[:depth]) for depth in range(9)] == [
        *(1, 11, 19, 51, 67, 99, 131, 163, 195)
    ]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 3)), max_size=5))
def test_chain_by_hand_is_what_the_jaxpr_says(layers):
    def fn(x):
        for window, stride in layers:
            x = summed(x, window, stride, "SAME")
        return x * 1.0

    found = seen(fn, jax.ShapeDtypeStruct((400,), jnp.float32), spatial=[0])
    assert found.size == (chain_receptive_field(layers),)
    assert found.stride == (np.prod([stride for _, stride in layers], dtype=int),)


def test_chain_with_a_window_of_zero_is_refused():
    with pytest.raises(ValueError, match="window 0, stride 1: expected integers of at least 1"):
        chain_receptive_field([(3, 2), (0, 1)])


def test_padding_moves_the_first_unit_out_of_the_image_and_not_what_it_really_sees():
    found = seen(lambda x: convolved(x, 5, 2, [(1, 2), (3, 0)]), IMAGE)
    assert (found.size, found.stride, found.offset) == ((5, 5), (2, 2), (1.0, -1.0))
    assert found.theoretical(0, 0, 0, 0) == ((-1, 3), (-3, 1))
    assert found.of(0, 0, 0, 0) == ((0, 3), (0, 1))


def test_same_padding_with_a_stride_is_asymmetric():
    found = seen(lambda x: convolved(x, 3, 2, "SAME"), IMAGE)
    assert found.offset == (1.0, 1.0)


def test_dilation_spreads_the_window():
    found = seen(lambda x: convolved(x, 3, rhs_dilation=(2, 3)), IMAGE)
    assert found.size == (5, 7)


def test_transposed_convolution_halves_the_stride():
    found = seen(
        lambda x: convolved(convolved(x, 3, 2), 4, 1, [(0, 0)] * 2, lhs_dilation=(2, 2)), IMAGE
    )
    assert found.stride == (1, 1)
    # four taps on every other place: two units of stride 2 that see three pixels each
    assert found.size == (5, 5)


def test_stride_between_pixels_is_a_fraction():
    assert seen(lambda x: jnp.repeat(x, 3, axis=1), IMAGE).stride == (Fraction(1, 3), 1)


def test_branches_of_other_windows_meet_in_their_hull():
    def fn(x):
        wide = convolved(x, 5, 1, [(4, 0), (2, 2)])
        return jnp.concatenate([convolved(x, 3, 1, "SAME"), wide], axis=3) + x.sum(3, keepdims=True)

    found = seen(fn, IMAGE)
    # rows -1 to 1 or -4 to 0: the unit of the second branch joins the pixel itself alone
    assert found.theoretical(0, 8, 6, 0) == ((7, 9), (5, 7))
    assert found.theoretical(0, 8, 6, 4) == ((4, 8), (4, 8))
    assert (found.size, found.stride, found.bounded) == ((5, 5), (1, 1), False)


def test_channels_are_kept_apart_until_something_mixes_them():
    def apart(x):
        return jnp.concatenate([x[..., :2], convolved(x, 3, 1, "SAME")[..., :2]], axis=3)

    assert seen(lambda x: apart(x)[..., :2], IMAGE).size == (1, 1)
    grouped = seen(lambda x: convolved(apart(x), 3, 1, "SAME", feature_group_count=2), IMAGE)
    assert grouped.of(0, 8, 6, 0) == ((7, 9), (5, 7))
    assert grouped.of(0, 8, 6, 2) == ((6, 10), (4, 8))
    assert seen(lambda x: convolved(apart(x), 1), IMAGE).size == (3, 3)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x - x.mean(axis=(1, 2), keepdims=True),
        lambda x: x.reshape(1, -1) @ jnp.ones((16 * 12 * 4, 3)),
        lambda x: jax.nn.softmax(x, axis=(1, 2)),
        lambda x: convolved(x, 3) * x.max(axis=(1, 2), keepdims=True),
        lambda x: jnp.sort(x.reshape(1, -1)),
    ],
)
def test_what_reads_all_of_a_map_sees_the_whole_image(fn):
    found = seen(fn, IMAGE)
    assert (found.size, found.seen, found.share) == ((16, 12), (16, 12), 1.0)
    assert found.stride == (None, None)
    assert not found.bounded


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: jax.nn.softmax(x),
        lambda x: jnp.maximum(x, 0) * jnp.ones(4) + 3.0,
        lambda x: x @ jnp.ones((4, 8)),
        lambda x: x / (1 + jnp.cumsum(x**2, axis=-1)),
        lambda x: jax.vmap(lambda image: image * image.mean(-1, keepdims=True))(x),
        lambda x: jnp.flip(x[..., None].transpose(0, 1, 2, 4, 3), 3)[:, :, :, 0],
        lambda x: x.reshape(1, 16, 12, 2, 2).swapaxes(3, 4).reshape(1, 16, 12, 4),
        lambda x: lax.cond(True, lambda x: x, lambda x: 2 * x, x),
        jax.checkpoint(jnp.sin),
    ],
)
def test_what_stays_at_its_pixel_sees_one_pixel(fn):
    found = seen(fn, IMAGE)
    assert (found.size, found.stride, found.offset, found.bounded) == (
        *((1, 1), (1, 1), (0.0, 0.0), False),
    )


def test_blocks_of_pixels_in_the_channels_see_a_pixel_each_and_together_their_block():
    def blocks(x):
        return x.reshape(1, 8, 2, 6, 2, 4).transpose(0, 1, 3, 2, 4, 5).reshape(1, 8, 6, 16)

    apart = seen(blocks, IMAGE)
    assert (apart.size, apart.stride) == ((1, 1), (2, 2))
    assert apart.of(0, 3, 2, 15) == ((7, 7), (5, 5))
    together = seen(lambda x: blocks(x).sum(-1), IMAGE)
    assert (together.size, together.stride, together.offset) == ((2, 2), (2, 2), (0.5, 0.5))


@pytest.mark.slow
def test_resizing_reads_the_pixels_whose_weights_are_not_zero():
    bilinear = seen(lambda x: jax.image.resize(x, (1, 32, 24, 4), "linear"), IMAGE)
    assert (bilinear.size, bilinear.stride) == ((2, 2), (Fraction(1, 2), Fraction(1, 2)))
    assert bilinear.of(0, 0, 23, 0) == ((0, 0), (11, 11))
    nearest = seen(lambda x: jax.image.resize(x, (1, 24, 6, 4), "nearest"), IMAGE)
    assert (nearest.size, nearest.stride) == ((1, 1), (Fraction(2, 3), 2))


def test_scan_sees_what_its_rounds_see_one_after_another():
    def body(y, _):
        return convolved(y, 3, 1, "SAME"), None

    looped = seen(lambda x: lax.scan(body, x, length=5)[0], IMAGE)
    assert looped.size == (11, 11)
    still = seen(lambda x: lax.scan(lambda y, _: (2 * y, y), x, length=10**6)[0], IMAGE)
    assert still.size == (1, 1)
    rows = seen(lambda x: lax.map(lambda row: jnp.sin(row), x[0]), IMAGE)
    assert (rows.size, rows.stride, rows.of(3, 2, 0)) == ((1, 1), (1, 1), ((3, 3), (2, 2)))


def test_platform_choice_is_its_default_and_another_choice_all_branches():
    def plain(x):
        return convolved(x, 3, 1, "SAME")

    def platform(x):
        return lax.platform_dependent(x, cpu=lambda x: x, default=plain)

    assert seen(platform, IMAGE).size == (3, 3)

    def choice(x, which):
        return lax.cond(which, plain, lambda x: x, x)

    assert seen(choice, IMAGE, True, image=0).size == (3, 3)
    by_image = seen(lambda x: lax.cond(x.sum() > 0, plain, lambda x: x, x), IMAGE)
    assert by_image.seen == (16, 12)


@pytest.mark.parametrize(
    ("fn", "size"),
    [
        (lambda x, i: lax.dynamic_slice_in_dim(x, i, 3, axis=1), (16, 1)),
        (lambda x, i: jnp.take(x, i[None], axis=2), (1, 12)),
        (lambda x, i: x.at[:, i].set(0.0), (16, 12)),
        (lambda x, i: lax.while_loop(lambda y: y.sum() < i, lambda y: y + 1, x), (16, 12)),
        (lambda x, i: jnp.fft.fft(x, axis=1).real, (16, 12)),
    ],
)
def test_what_cannot_be_known_is_bounded(fn, size):
    found = seen(fn, IMAGE, jnp.array(3), image=0)
    assert found.bounded
    assert found.size == size


def test_known_indices_are_exact():
    found = seen(lambda x: x[:, np.array([3, 3, 8])], IMAGE)
    assert [found.of(0, row, 0, 0)[0] for row in range(3)] == [(3, 3), (3, 3), (8, 8)]


def test_image_rolled_round_has_no_regular_grid_and_says_so():
    found = seen(lambda x: convolved(jnp.roll(x, 1, axis=1), 3), IMAGE)
    assert found.bounded
    assert found.of(0, 0, 0, 0) == ((0, 15), (0, 2))


def test_each_layer_gives_what_its_last_reader_outside_gets():
    def fn(weight, x):
        with jax.named_scope("block"):
            with jax.named_scope("one"):
                y = convolved(x, 3, 1, "SAME")
                jnp.sort(y, axis=1)  # read by nobody
            with jax.named_scope("two"):
                y = convolved(y, 3, 2, "SAME") * weight
        with jax.named_scope("weights"):
            weight = weight + 1
        return y * weight

    rows = receptive_fields(fn, 2.0, IMAGE)
    assert [(row.layer, row.size, row.shape[1]) for row in rows] == [
        ((), (5, 5), 8),
        (("block",), (5, 5), 8),
        (("block", "one"), (3, 3), 16),
        (("block", "two"), (5, 5), 8),
    ]


def test_axes_of_the_image_are_those_named():
    image = jax.ShapeDtypeStruct((1, 4, 9, 11), jnp.float32)

    def fn(x):
        return lax.conv(x, jnp.ones((2, 4, 3, 5)), (2, 1), "SAME")

    found = seen(fn, image, spatial=(2, 3))
    assert (found.size, found.stride, found.image) == ((3, 5), (2, 1), (9, 11))


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((IMAGE,), {"image": 1}, "image=1 of 1 arguments"),
        ((IMAGE, {"kernel": 1.0}), {}, "argument -1 is dict: expected the images"),
        ((IMAGE,), {"spatial": (1, 4)}, r"spatial=\(1, 4\) for images of shape \(1, 16, 12, 4\)"),
    ],
)
def test_image_that_is_none_is_refused(args, options, message):
    with pytest.raises(ValueError, match=message):
        receptive_fields(lambda *args: args[0], *args, **options)


def test_unit_that_does_not_exist_is_refused():
    found = seen(jnp.sin, IMAGE)
    with pytest.raises(ValueError, match="expected 4 integers"):
        found.of(0, 0)
