"""What versions of JAX write down differently, read alike."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ablax.analysis.jax_versions import (
    bodies,
    constants_and_carry,
    double_precision,
    map_slices,
    results_of,
)

X = jnp.arange(12.0).reshape(3, 4)
W = jnp.linspace(-1, 1, 4)


def equations(fn, *args):
    return jax.make_jaxpr(fn)(*args).jaxpr.eqns


def test_constants_and_carry_of_a_scan_are_counted():
    def fn(x, w, b):
        return lax.scan(lambda c, row: ((c[0] + w * row, c[1] + 1), b + row), (w, 0), x)

    (scan,) = (eqn for eqn in equations(fn, X, W, 2 * W) if eqn.primitive.name == "scan")
    assert constants_and_carry(scan) == (2, 2)


def test_bodies_of_a_choice_are_its_branches():
    (cond,) = equations(lambda i, x: lax.switch(i, [jnp.sin, jnp.cos, jnp.tan], x), 0, W)[-1:]
    names = [[eqn.primitive.name for eqn in body.eqns] for body, _ in bodies(cond)]
    assert names == [["sin"], ["cos"], ["tan"]]


def test_a_body_comes_with_its_constants():
    table = np.arange(4.0)
    closed = jax.make_jaxpr(jax.jit(lambda x: x + table))(W)
    (call,) = closed.jaxpr.eqns
    ((body, consts),) = bodies(call)
    assert len(body.constvars) == len(consts)


@pytest.mark.parametrize("fn", [jnp.sin, lambda x: lax.top_k(x, 2), jax.jit(jnp.sin)])
def test_results_computed_anew_are_those_of_the_function(fn):
    *_, eqn = equations(fn, W)
    for result, expected in zip(results_of(eqn, [W]), jax.tree.leaves(fn(W)), strict=True):
        np.testing.assert_allclose(result, expected)


def test_double_precision_ends_with_its_context():
    with double_precision():
        assert jnp.asarray(np.ones(2)).dtype == jnp.float64
    assert jnp.asarray(np.ones(2)).dtype == jnp.float32


@jax.custom_jvp
def scaled(x, w):
    """Rows times weights, whose derivative is written with a loop that is linear in a tangent."""
    return x * w


@scaled.defjvp
def _scaled_jvp(primals, tangents):
    (x, w), (dx, dw) = primals, tangents
    along_x = map_slices(lambda row: row * jnp.cos(0.0) * w, dx)
    # one operand is read whole by every trip, and comes before one that is not known
    along_w = map_slices(lambda row: jax.checkpoint(jnp.multiply)(row, dw), x)
    return scaled(x, w), along_x + along_w


@pytest.mark.slow
@pytest.mark.parametrize("transform", [lambda fn: fn, jax.jit, jax.checkpoint])
def test_a_loop_over_slices_that_is_linear_in_a_tangent_is_transposed(transform):
    def loss(fn, x, w):
        return jnp.sum(jnp.sin(fn(x, w)))

    ours, theirs = (
        jax.grad(functools.partial(loss, fn), (0, 1))(X, W)
        for fn in (transform(scaled), jnp.multiply)
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_a_loop_over_slices_that_is_derived_by_jax_is_transposed_as_before():
    def loss(w, x):
        return jnp.sum(map_slices(lambda row: jnp.sin(row * w), x) ** 2)

    expected = jax.grad(lambda w, x: jnp.sum(jnp.sin(x * w) ** 2), (0, 1))(W, X)
    for one, other in zip(jax.grad(loss, (0, 1))(W, X), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
