"""Merges of several heads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.layers.heads import ensemble, stack
from ablax.layers.windows import ShapeError


def test_stacked_scores_keep_a_row_a_head():
    first, second = np.ones((3, 4), np.float32), np.zeros((3, 4), np.float32)
    both = np.asarray(jax.jit(stack)(first, second))
    np.testing.assert_array_equal(both[:, 0], first)
    np.testing.assert_array_equal(both[:, 1], second)


def test_an_ensemble_has_the_mean_probability():
    scores = np.random.default_rng(0).normal(0, 2, (3, 5, 7)).astype(np.float32)
    mean = (np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)).mean(0)
    np.testing.assert_allclose(np.exp(jax.jit(ensemble)(*scores)), mean, rtol=1e-5)


@pytest.mark.parametrize("merge", [stack, ensemble])
def test_heads_of_other_classes_are_refused(merge):
    with pytest.raises(ShapeError, match=r"\(\(2, 3\), \(2, 4\)\): expected heads of equally many"):
        merge(jnp.ones((2, 3)), jnp.ones((2, 4)))
