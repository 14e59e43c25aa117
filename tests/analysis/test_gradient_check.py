"""Gradient check: healthy gradients are healthy, a wrong factor is found, a kink is called one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.analysis.gradient_check import check_gradient, check_precision, compare


def drawn(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def scaled_back(x, factor):
    """The identity, whose gradient is too large by a factor."""
    return x


scaled_back.defvjp(lambda x, factor: (x, None), lambda factor, _, g: (factor * g,))


def layers(p, images, factor=1.0):
    hidden = jnp.tanh(images @ p["first"]["kernel"] + p["first"]["bias"])
    scores = scaled_back(hidden, factor) @ p["second"]
    return -jnp.mean(jax.nn.log_softmax(scores)[:, 0])


def parameters(seed=0):
    return {
        "first": {"kernel": drawn(seed, 5, 4), "bias": jnp.zeros(4)},
        "second": drawn(seed + 1, 4, 3),
    }


IMAGES = drawn(2, 6, 5)


def test_gradient_check_of_a_cube_gives_the_slopes_by_hand():
    # f = sum of p^3 at (1, 2): the slopes along the axes are 3 and 12.
    found = check_gradient(
        lambda p: jnp.sum(p**3), jnp.array([1.0, 2.0]), directions=0, entries={"": [(0,), (1,)]}
    )
    one, two = found.leaves[0].slopes
    assert (one.gradient, two.gradient) == (3.0, 12.0)
    assert one.difference == pytest.approx(3.0, rel=1e-9)
    assert two.difference == pytest.approx(12.0, rel=1e-9)
    assert (one.along, two.along, found.value) == ("[0]", "[1]", 9.0)
    # h = 2^-17 of the root mean square, and its half is what is reported
    assert one.step == pytest.approx(2**-18 * np.sqrt(2.5))


def test_gradient_check_calls_healthy_layers_healthy_leaf_by_leaf():
    found = check_gradient(layers, parameters(), IMAGES, entries=2)
    assert found.verdict == "agrees"
    assert [row.leaf for row in found.leaves] == ["first/bias", "first/kernel", "second"]
    assert max(row.error for row in found.leaves) < 1e-7
    assert all(len(row.slopes) == 4 for row in found.leaves)


@pytest.mark.parametrize("factor", [0.0, 1.0001])
def test_gradient_check_finds_a_wrong_factor_in_the_leaves_below_it(factor):
    found = check_gradient(functools.partial(layers, factor=factor), parameters(), IMAGES)
    assert found.verdict == "disagrees"
    verdicts = {row.leaf: row.verdict for row in found.leaves}
    assert verdicts == {
        "first/bias": "disagrees",
        "first/kernel": "disagrees",
        "second": "agrees",
    }


def test_slope_is_inconclusive_at_a_kink():
    # the slopes of ReLU at 0 are 0 and 1: no gradient between them is wrong
    for expected in (0.0, 0.25, 1.0):
        found = compare("", lambda t: max(t, 0.0) + 3.0, expected, 1.0, 3.0, 1e-5)
        assert found.verdict == "inconclusive"
        assert found.kink == pytest.approx(1)
        assert found.difference == pytest.approx(0.5)


def test_gradient_check_disagrees_with_a_gradient_that_is_not_finite():
    found = check_gradient(lambda p: jnp.sum(jnp.sqrt(p * p)) + 1.0, jnp.zeros(2))
    assert found.verdict == "disagrees"
    assert not found.leaves[0].slopes[0].moved


def test_gradient_check_moves_off_the_kinks_at_the_point_itself():
    # ReLUs of 0, whose kinks cancel in the one-sided slopes
    signs = jnp.array([1.0, -1.0, 1.0, -1.0])
    found = check_gradient(lambda p: jnp.sum(signs * jax.nn.relu(p)) + 3.0, jnp.zeros(4))
    assert found.verdict == "agrees"
    assert any(slope.moved for slope in found.leaves[0].slopes)


def test_gradient_check_disagrees_at_a_kink_beyond_what_it_explains():
    found = check_gradient(lambda p: jnp.sum(scaled_back(jax.nn.relu(p) + p, 30.0)), jnp.zeros(1))
    assert found.verdict == "disagrees"


@pytest.mark.parametrize("distance", [*np.geomspace(1e-9, 1e-4, 21), 0.0])
def test_slope_is_never_wrong_because_of_a_kink_nearby(distance):
    for kink in (-distance, distance):
        found = compare(
            "",
            lambda t, kink=kink: max(t - kink, 0.0) + 0.1 * (1 + t) ** 2,
            0.2 + (kink < 0),
            1.0,
            max(-kink, 0.0) + 0.1,
            1e-5,
        )
        assert found.verdict in ("agrees", "inconclusive")


def test_gradient_check_takes_a_gradient_within_rounding_as_zero():
    # a constant added to all scores leaves their softmax as it is
    found = check_gradient(lambda p: jax.nn.log_softmax(jnp.arange(3.0) + p)[0], jnp.float32(0.3))
    assert found.verdict == "agrees"
    assert found.leaves[0].error == 0


def test_gradient_check_leaves_integers_alone():
    found = check_gradient(lambda p: p["w"][p["row"]] ** 2, {"w": jnp.ones(3), "row": 1})
    assert [row.leaf for row in found.leaves] == ["w"]


@pytest.mark.parametrize(
    ("fn", "given", "message"),
    [
        (lambda p: p * 2, jnp.ones(2), "expected one number of float64"),
        (lambda p: jnp.sum(p.astype(jnp.float32)), jnp.ones(2), "rounds float64 to float32"),
        (lambda p: jnp.log(-p), jnp.float32(1), "choose parameters where it is finite"),
        (lambda p: p * 1.0, 3, "nothing to check"),
    ],
)
def test_gradient_check_refuses_what_cannot_be_checked(fn, given, message):
    with pytest.raises(ValueError, match=message):
        check_gradient(fn, given)


def test_gradient_check_refuses_an_entry_or_a_leaf_that_is_not_there():
    for entries, message in (({"b": [(0,)]}, "no leaf 'b'"), ({"a": [(3,)]}, "no such entry")):
        with pytest.raises(ValueError, match=message):
            check_gradient(lambda p: jnp.sum(p["a"]), {"a": jnp.ones(3)}, entries=entries)
    with pytest.raises(ValueError, match="at least one of either"):
        check_gradient(jnp.sum, jnp.ones(3), directions=0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def scaled_back_in_float32(x, factor):
    """The identity, whose gradient is too large by a factor in float32 alone."""
    return x


scaled_back_in_float32.defvjp(
    lambda x, factor: (x, None),
    lambda factor, _, g: (g if g.dtype == jnp.float64 else factor * g,),
)


def layers_in_float32(p, images, factor=1.0):
    hidden = jnp.tanh(images @ p["first"]["kernel"] + p["first"]["bias"])
    scores = scaled_back_in_float32(hidden, factor) @ p["second"]
    return -jnp.mean(jax.nn.log_softmax(scores)[:, 0])


def test_check_precision_by_hand():
    """f = sum of p^3: g = 3 p^2; float32 rounds 3 (1 / 3)^2."""
    p = jnp.array([1.0, 1 / 3], jnp.float32)
    (row,) = check_precision(lambda p: jnp.sum(p**3), lambda p: jnp.sum(p**3), p)
    exact = 3 * np.asarray(p, np.float64) ** 2
    found = np.asarray(3 * p**2, np.float64)
    assert row.norm == pytest.approx(np.linalg.norm(exact), rel=1e-12)
    assert row.error == pytest.approx(np.linalg.norm(found - exact) / row.norm, rel=1e-3)
    # moved by 2^-24 of itself, each term changes by 2^-23: 16 times that, and 2^-20 of the whole
    assert row.noise == pytest.approx(row.norm * (16 * 2**-23 + 2**-20), rel=1e-5)
    assert row.verdict == "agrees"


@pytest.mark.parametrize("factor", [1.005, 0.0, 3.0, float("nan")])
def test_check_precision_finds_a_factor_that_only_float32_has_in_the_leaves_below_it(factor):
    fn = functools.partial(layers_in_float32, factor=factor)
    assert check_gradient(fn, parameters(), IMAGES).verdict == "agrees"
    rows = {row.leaf: row for row in check_precision(fn, fn, parameters(), IMAGES)}
    assert {leaf: row.verdict for leaf, row in rows.items()} == {
        "first/bias": "disagrees",
        "first/kernel": "disagrees",
        "second": "agrees",
    }
    expected = pytest.approx(abs(factor - 1), rel=1e-3, nan_ok=True)
    assert rows["first/kernel"].error == expected


def test_check_precision_is_inconclusive_where_all_that_is_left_is_rounding():
    def cancels(p):
        """No constant is seen behind the mean's removal."""
        moved = p["kernel"] * jnp.arange(1.0, 9.0) + p["bias"]
        return jnp.sum((moved - moved.mean()) ** 2)

    rows = check_precision(cancels, cancels, {"bias": jnp.ones(()), "kernel": jnp.float32(0.7)})
    assert {row.leaf: row.verdict for row in rows} == {
        "bias": "inconclusive",
        "kernel": "agrees",
    }


def test_check_precision_asks_nearby_where_a_kink_falls_on_two_sides():
    def kinked(p):
        """1 + 2^-30 - 1 is 0 in float32."""
        lifted = (p["at"] + 2.0**-30) - p["at"]
        return p["slope"] * jnp.where(lifted + 0.1 * (p["at"] - 1) > 0, 2.0, 1.0)

    (_, row) = check_precision(kinked, kinked, {"at": jnp.float32(1), "slope": jnp.float32(1)})
    assert row.leaf == "slope"
    assert row.verdict == "agrees"
