"""The receptive field is the support of the gradient by the image, unit by unit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jax import lax

from ablax.analysis.receptive_field import receptive_fields

MAPS = ("NHWC", "HWIO", "NHWC")


def positive(*shape):
    """Weights without cancellation."""
    return jnp.ones(shape)


def convolved(x, window, stride, padding, dilation=(1, 1), groups=1, holes=1):
    channels = x.shape[3]
    return lax.conv_general_dilated(
        *(x, positive(*window, channels // groups, 2), stride, padding),
        lhs_dilation=(holes, holes),
        rhs_dilation=dilation,
        dimension_numbers=MAPS,
        feature_group_count=groups,
    )


def summed(x, window, stride, padding):
    return lax.reduce_window(x, 0.0, lax.add, (1, *window, 1), (1, *stride, 1), padding)


def inception(x, window):
    wide = convolved(x, (window, window), (1, 1), "SAME")
    deep = convolved(convolved(x, (1, window), (1, 1), "SAME"), (3, 1), (1, 1), "SAME")
    return jnp.concatenate([x, wide, deep], axis=3)[..., :4]


def repeated(x, trips):
    def body(y, _):
        return y + convolved(y, (3, 2), (1, 1), "SAME", groups=2), None

    x = jnp.concatenate([x, x], axis=3)[..., :2]
    return lax.scan(body, x, length=trips)[0]


def upsampled(x):
    n, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c)).reshape(n, 2 * h, 2 * w, c)


def blocks_to_channels(x):
    n, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    blocks = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, h // 2, w // 2, 4 * c)[..., ::2]


def by_rows(x):
    """A loop over the rows, each convolved along the columns."""
    ones = jnp.ones((3, x.shape[3], 2))
    row = ("NWC", "WIO", "NWC")
    rows = lax.map(
        lambda each: lax.conv_general_dilated(each, ones, (1,), "SAME", dimension_numbers=row),
        x.swapaxes(0, 1),
    )
    return rows.swapaxes(0, 1)


KINDS = (*["conv"] * 3, *["pool", "branch", "skip", "scan", "up", "down", "crop", "rows"])

SMALL = st.integers(1, 3)
PAIRS = st.tuples(SMALL, SMALL)
STRIDES = st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 2), (3, 2)])


@st.composite
def paddings(draw, window):
    if draw(st.booleans()):
        return draw(st.sampled_from(["SAME", "VALID"]))
    return [(draw(st.integers(0, each - 1)), draw(st.integers(0, each - 1))) for each in window]


@st.composite
def steps(draw):
    """One operation, as a function of maps, and the least size it is made for."""
    kind = draw(st.sampled_from(KINDS))
    window, stride = draw(PAIRS), draw(STRIDES)
    padding = draw(paddings(window))
    dilation = draw(st.sampled_from([(1, 1), (2, 1), (2, 3)])) if kind == "conv" else (1, 1)
    holes = draw(st.sampled_from([1, 1, 1, 2])) if kind == "conv" else 1
    trips = draw(SMALL)
    sides = [(0, 0), *padding, (0, 0)] if isinstance(padding, list) else padding
    explicit = padding if holes == 1 or isinstance(padding, list) else [(0, 1), (1, 0)]
    first, last = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    return {
        "conv": lambda x: convolved(x, window, stride, explicit, dilation, holes=holes),
        "pool": lambda x: summed(x, window, stride, sides),
        "branch": lambda x: inception(x, trips + 1),
        "skip": lambda x: x.sum(3, keepdims=True) + convolved(x, window, (1, 1), "SAME"),
        "scan": lambda x: repeated(x, trips),
        "up": upsampled,
        "down": blocks_to_channels,
        "crop": lambda x: jnp.flip(x[:, first : x.shape[1] - last, ::trips], 1),
        "rows": by_rows,
    }[kind]


def network(sequential, least=8, most=24):
    def fn(x):
        for step in sequential:
            # a smaller map may hold a window of padding alone, which sees rows but no columns
            if least <= min(x.shape[1:3]) and max(x.shape[1:3]) <= most:
                x = step(x)
        return x

    return fn


def spans(gradient):
    """First and last row, and column, at which a gradient is not 0."""
    found = []
    for axes in ((0, 2, 3), (0, 1, 3)):
        (seen,) = np.nonzero(np.abs(gradient).sum(axis=axes))
        found.append((int(seen[0]), int(seen[-1])) if len(seen) else (0, -1))
    return tuple(found)


def check_every_unit(sequential, shape):
    fn, x = network(sequential), jnp.ones((1, *shape))
    (found,) = receptive_fields(fn, x)
    gradients = np.asarray(jax.jit(jax.jacrev(fn))(x))
    assert gradients.shape[:4] == found.shape
    assert not found.bounded
    sizes = [[], []]
    for index in np.ndindex(found.shape):
        seen = spans(gradients[index])
        assert found.of(*index) == seen
        for axis, (first, last) in enumerate(seen):
            sizes[axis].append(last - first + 1)
        for one, other in zip(found.theoretical(*index), seen, strict=True):
            if other != (0, -1):  # theory has no border, so it sees this and more
                assert one[0] <= other[0] <= other[1] <= one[1]
    assert found.seen == tuple(map(max, sizes))


def check_middle_unit(sequential, length=72, margin=10):
    fn, x = network(sequential, most=length), jnp.ones((1, length, length, 1))
    (found,) = receptive_fields(fn, x)
    index = tuple(size // 2 for size in found.shape)
    theory = found.theoretical(*index)
    assume(all(margin <= first and last < length - margin for first, last in theory))
    gradient = jax.jit(jax.grad(lambda x: fn(x)[index]))(x)
    assert theory == spans(gradient)


@pytest.mark.slow
@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.lists(steps(), min_size=3, max_size=3))
def test_receptive_field_of_every_unit_of_a_random_network_is_the_support_of_its_gradient(
    sequential,
):
    check_every_unit(sequential, (12, 11, 1))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(steps(), min_size=1, max_size=6), st.integers(9, 16), st.integers(9, 16))
def test_receptive_field_of_every_unit_of_many_random_networks_is_the_support(sequential, h, w):
    check_every_unit(sequential, (h, w, 2))


@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(st.lists(steps(), min_size=1, max_size=7))
def test_theory_is_the_support_of_the_gradient_far_from_the_border(sequential):
    check_middle_unit(sequential)
