"""Auxiliary classifiers: silent unless asked, and what they add to the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import (
    Layers,
    Network,
    abstract_variables,
    count_parameters,
    initialize,
    insert_after,
    sequential,
    without,
)
from ablax.errors import AblaxError
from ablax.layers import BatchNormalization, Dense, Dropout, GlobalAveragePool
from ablax.layers.blocks import Auxiliary

SIDE = Auxiliary(Layers(classifier=Dense(1, use_bias=False)))
X = jnp.array([[1.0, 2.0], [3.0, 4.0]])
SIDE_KERNEL = {"params": {"classifier": {"kernel": jnp.array([[10.0], [1.0]])}}}


IMAGES = X.reshape(2, 1, 1, 2)


def network():
    body = Layers(fc1=Dense(2), side=SIDE)
    return Network(Layers(pool=GlobalAveragePool()), body, Layers(fc2=Dense(3)))


def scores_aside(net, variables, x):
    scores, aside = net.apply(variables, x, mutable=["auxiliary"])
    return scores, jax.tree.leaves(aside)


def test_the_input_passes_unchanged_and_the_scores_stand_aside():
    """10 x 1 + 2 = 12, 10 x 3 + 4 = 34."""
    y, aside = SIDE.apply(SIDE_KERNEL, X, mutable=["auxiliary"])
    np.testing.assert_array_equal(y, X)
    (scores,) = aside["auxiliary"]["scores"]
    np.testing.assert_array_equal(scores, [[12.0], [34.0]])


def test_the_loss_aside_adds_its_gradient_to_that_of_the_loss():
    """Of sum(y^2) / 2 + 0.3 sum(scores): x + 0.3 (10, 1)."""

    def loss(x):
        y, aside = SIDE.apply(SIDE_KERNEL, x, mutable=["auxiliary"])
        return (y**2).sum() / 2 + 0.3 * sum(s.sum() for s in jax.tree.leaves(aside))

    np.testing.assert_allclose(jax.grad(loss)(X), X + jnp.array([3.0, 0.3]), rtol=1e-6)


def test_nothing_is_computed_for_a_caller_who_does_not_ask():
    def products(mutable):
        trace = jax.make_jaxpr(lambda x: SIDE.apply(SIDE_KERNEL, x, mutable=mutable))(X)
        return str(trace).count("dot_general")

    assert products(["auxiliary"]) == 1
    assert products(False) == products(["batch_stats", "intermediates"]) == 0


def test_the_state_of_a_network_has_its_weights_and_no_scores():
    images = (1, 1, 2)
    assert set(initialize(network(), 0, images)) == {"params"}
    assert set(abstract_variables(network(), images)) == {"params"}
    assert count_parameters(network(), images) == (2 * 2 + 2) + 2 + (2 * 3 + 3)


def test_scores_of_a_network_do_not_depend_on_its_side_classifiers():
    plain = without(Auxiliary)(network())
    variables = initialize(network(), 0, (1, 1, 2))
    kept = {name: leaf for name, leaf in variables["params"].items() if name != "side"}
    expected = plain.apply({"params": kept}, IMAGES)
    np.testing.assert_array_equal(network().apply(variables, IMAGES), expected)
    scores, (side,) = scores_aside(network(), variables, IMAGES)
    np.testing.assert_array_equal(scores, expected)
    assert side.shape == (2, 1)


def test_an_edit_puts_it_behind_a_layer_and_redraws_nothing():
    plain = without(Auxiliary)(network())
    again = insert_after("fc1", side=SIDE)(plain)
    assert again == network()
    ours, theirs = (initialize(net, 3, (1, 1, 2))["params"] for net in (again, plain))
    for name in theirs:
        jax.tree.map(np.testing.assert_array_equal, ours[name], theirs[name])


@pytest.mark.slow
def test_inside_it_batch_normalization_and_dropout_train_when_granted():
    head = Layers(
        bn=BatchNormalization(), drop=sequential(dropout=Dropout(0.5)), classifier=Dense(1)
    )
    side = Auxiliary(head)
    variables = side.init(jax.random.key(0), X)
    grant = {"mutable": ["auxiliary", "batch_stats"]}
    draws = [
        side.apply(variables, X, rngs={"dropout": jax.random.key(seed)}, **grant)[1]
        for seed in range(4)
    ]
    moved = draws[0]["batch_stats"]["bn"]["mean"]
    np.testing.assert_allclose(moved, 0.1 * X.mean(0), rtol=1e-5)
    assert len({float(draw["auxiliary"]["scores"][0].sum()) for draw in draws}) > 1
    _, kept = side.apply(variables, X, mutable=["batch_stats"])  # a step that does not ask
    jax.tree.map(np.testing.assert_array_equal, kept["batch_stats"], variables["batch_stats"])


def test_one_without_a_head_is_refused():
    with pytest.raises(AblaxError, match="no head: give it layers that end in class scores"):
        Auxiliary(Layers())
