"""Scores by the distance to codes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.layers import FieldError, ShapeError
from ablax.layers.heads import Codes, CodeScores, code_scores

CODES = jnp.array([[1.0, 1.0, -1.0], [1.0, -1.0, -1.0]])


def drawn(count):
    return jnp.asarray(np.random.default_rng(0).normal(size=(count, 3)), jnp.float32)


def test_scores_by_hand_in_value_and_gradient():
    x = jnp.array([[1.0, 0.5, 0.0]])
    scores, back = jax.vjp(lambda x: code_scores(x, CODES), x)
    np.testing.assert_allclose(scores, [[-(0 + 0.25 + 1), -(0 + 2.25 + 1)]])
    np.testing.assert_allclose(back(jnp.array([[1.0, 0.0]]))[0], [[0, 1, -2]])
    np.testing.assert_allclose(back(jnp.array([[0.0, 1.0]]))[0], [[0, -3, -2]])


def test_a_code_has_score_zero_and_every_other_vector_less():
    np.testing.assert_array_equal(jnp.diagonal(code_scores(CODES, CODES)), [0, 0])
    others = drawn(50)
    assert (code_scores(others, CODES) < 0).all()


def test_softmax_of_equally_long_codes_is_that_of_a_dense_layer_of_the_codes():
    x = drawn(7)
    np.testing.assert_allclose(
        jax.nn.softmax(code_scores(x, CODES)), jax.nn.softmax(2 * x @ CODES.T), rtol=1e-5
    )


def test_distances_are_taken_in_float32_and_given_in_the_type_of_the_vectors():
    """In bfloat16 the code would be rounded to 1, and the distance to 0."""
    scores = code_scores(jnp.ones((1, 4), jnp.bfloat16), jnp.full((1, 4), 1 + 1 / 512))
    assert scores.dtype == jnp.bfloat16
    np.testing.assert_allclose(scores.astype(jnp.float32), [[-4 / 512**2]])


def test_codes_are_no_parameters_and_compare_by_value():
    codes = Codes(((1.0, 1.0), (1.0, -1.0)))
    assert CodeScores(codes).init(jax.random.key(0), jnp.ones((1, 2))) == {}
    assert CodeScores(codes) == CodeScores(Codes(((1.0, 1.0), (1.0, -1.0))))
    assert hash(codes) == hash(Codes(((1.0, 1.0), (1.0, -1.0))))


@pytest.mark.parametrize("rows", [(), ((),), ((1.0,), (1.0, -1.0))])
def test_codes_of_several_lengths_or_none_are_refused(rows):
    with pytest.raises(FieldError, match=f"{len(rows)} codes of the lengths.*all of one length"):
        Codes(rows)


def test_vectors_of_another_length_are_refused():
    with pytest.raises(ShapeError, match=r"given \(2, 4\).*expected vectors of 3 numbers"):
        code_scores(jnp.ones((2, 4)), CODES)
