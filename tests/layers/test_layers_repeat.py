"""Identical blocks in one loop, and networks folded into such loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import (
    EditError,
    LayerError,
    Layers,
    Network,
    count_parameters,
    initialize,
    leaves_by_path,
    parameter_shapes,
    sequential,
)
from ablax.layers import (
    BatchNormalization,
    Convolution,
    Dense,
    Dropout,
    FieldError,
    ReLU,
    Repeat,
    Residual,
    fold,
    fold_variables,
)
from ablax.layers.dense import Scale


def block(features=3):
    """A residual block with statistics."""
    convolution = sequential(conv=Convolution(features, 3), bn=BatchNormalization(), relu=ReLU())
    return Residual(Layers(conv=convolution))


def stack(blocks=4):
    """Equal neighbors `b0`, `b1`, ... between a first layer and a head, and one that differs."""
    equal = {f"b{number}": block() for number in range(blocks)}
    other = Residual(Layers(conv=Convolution(3, 1)))
    return Network(
        tail=Layers(first=Convolution(3, 3)),
        body=Layers({**equal, "other": other}),
        head=Layers(last=Convolution(2, 1)),
    )


def test_repeat_by_hand_in_value_and_gradients():
    """Three scales 2, 3 and 5: 30 x; the slope in each is x times the other two."""
    loop = Repeat(Layers(scale=Scale()), times=3)
    params = {"params": {"scale": {"scale": jnp.array([[2.0], [3.0], [5.0]])}}}
    x = jnp.array([[7.0]])
    assert loop.apply(params, x).tolist() == [[210]]
    in_params, in_x = jax.grad(lambda p, x: loop.apply(p, x).sum(), (0, 1))(params, x)
    assert in_x.tolist() == [[30]]
    assert in_params["params"]["scale"]["scale"].ravel().tolist() == [105, 70, 42]


@pytest.mark.slow
def test_every_repetition_draws_weights_and_masks_of_its_own():
    loop = Repeat(Layers(fc=Dense(4)), times=3)
    kernel = loop.init(jax.random.key(0), jnp.ones((1, 4)))["params"]["fc"]["kernel"]
    assert kernel.shape == (3, 4, 4)
    assert len({np.asarray(each).tobytes() for each in kernel}) == 3
    twice = Repeat(Layers(drop=Dropout(0.5)), times=2)
    y = twice.apply({}, jnp.ones((1, 1000)), rngs={"dropout": jax.random.key(0)})
    # One mask twice would leave 500 numbers, two masks leave about 250 of 4 each.
    assert 180 < int((y == 4).sum()) < 320


@pytest.mark.slow
def test_what_is_computed_again_is_the_same_in_value_gradients_and_statistics():
    network = stack()
    kept, again = (fold(Residual, rematerialize=choice)(network) for choice in (False, True))
    variables = initialize(kept, 0, (8, 8, 2))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 8, 8, 2)), jnp.float32)

    def loss(params, folded):
        held = {**variables, "params": params}
        y, updated = folded.apply(held, x, mutable=["batch_stats"])
        return (y * x).sum(), updated

    ours, theirs = (
        jax.value_and_grad(loss, has_aux=True)(variables["params"], each) for each in (kept, again)
    )
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_computing_again_needs_the_memory_of_one_block_more_for_ten_blocks_more():
    def kept_for_the_way_back(blocks, rematerialize):
        network = fold(Residual, rematerialize=rematerialize)(stack(blocks))
        shapes = jax.eval_shape(lambda: initialize(network, 0, (32, 32, 2)))
        images = jax.ShapeDtypeStruct((16, 32, 32, 2), jnp.float32)

        def loss(params, statistics, x):
            y, _ = network.apply(
                {"params": params, "batch_stats": statistics}, x, mutable=["batch_stats"]
            )
            return y.mean()

        lowered = jax.jit(jax.grad(loss)).lower(shapes["params"], shapes["batch_stats"], images)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    maps = 16 * 32 * 32 * 3 * 4
    grown = {
        choice: kept_for_the_way_back(12, choice) - kept_for_the_way_back(2, choice)
        for choice in (False, True)
    }
    assert grown[True] < 1.5 * 10 * maps < grown[False]


def test_a_block_that_changes_the_shape_is_refused():
    network = Network(Layers(), Layers(loop=Repeat(Layers(fc=Dense(5)), 2)), Layers())
    with pytest.raises(LayerError, match=r"\(1, 1, 1, 4\) and its layers give \(1, 1, 1, 5\)"):
        network.init(jax.random.key(0), jnp.ones((1, 1, 1, 4)))
    with pytest.raises(FieldError, match="times=0: expected an integer of at least 1"):
        Repeat(Layers(fc=Dense(5)), 0)


def test_fold_joins_equal_neighbors_and_leaves_the_rest():
    folded = fold(Residual)(stack())
    assert list(folded.body) == ["b0_to_b3", "other"]
    assert folded.body["b0_to_b3"] == Repeat(Layers(block=block()), 4)
    assert folded.body["other"] == stack().body["other"]
    assert (folded.tail, folded.head) == (stack().tail, stack().head)


def test_fold_joins_neighbors_of_the_classes_asked_for_alone():
    network = Network(Layers(), Layers(r1=ReLU(), r2=ReLU(), c1=block(), c2=block()), Layers())
    assert list(fold(Residual)(network).body) == ["r1", "r2", "c1_to_c2"]
    assert list(fold(ReLU, Residual)(network).body) == ["r1_to_r2", "c1_to_c2"]


def test_fold_keeps_equal_blocks_apart_that_are_no_neighbors():
    body = Layers(a=block(), b=block(), between=ReLU(), c=block(), d=block())
    folded = fold(Residual)(Network(Layers(), body, Layers()))
    assert list(folded.body) == ["a_to_b", "between", "c_to_d"]


def test_fold_refuses_a_network_without_equal_neighbors():
    with pytest.raises(EditError, match="no two equal neighbors of class Residual to fold"):
        fold(Residual)(stack(blocks=1))


def test_the_folded_network_has_the_parameters_of_the_unfolded():
    network, shape = stack(), (4, 4, 3)
    folded = fold(Residual)(network)
    assert count_parameters(folded, shape) == count_parameters(network, shape)
    assert parameter_shapes(folded, shape)["b0_to_b3/block/conv/conv/kernel"] == (4, 3, 3, 3, 3)


@pytest.mark.slow
def test_the_folded_network_computes_the_same_function_of_folded_weights():
    """Scores, statistics and gradients, in training."""
    network, shape = stack(), (4, 4, 3)
    folded = fold(Residual)(network)
    images = jnp.asarray(np.random.default_rng(1).normal(size=(2, *shape)), jnp.float32)
    variables = initialize(network, 0, shape)

    @jax.jit
    def both(variables, stacked):
        def score(network, params, statistics):
            y, changed = network.apply(
                {"params": params, "batch_stats": statistics}, images, mutable=["batch_stats"]
            )
            return (y**2).sum(), (y, changed)

        return tuple(
            jax.value_and_grad(lambda p, n=n, v=v: score(n, p, v["batch_stats"]), has_aux=True)(
                v["params"]
            )
            for n, v in ((network, variables), (folded, stacked))
        )

    stacked = fold_variables(network, variables, Residual)
    ((_, (y, changed)), gradient), ((_, (y2, changed2)), gradient2) = both(variables, stacked)
    np.testing.assert_allclose(y2, y, rtol=2e-5, atol=1e-6)
    expected = fold_variables(network, {"params": gradient, **changed}, Residual)
    found = leaves_by_path({"params": gradient2, **changed2})
    assert set(found) == set(leaves_by_path(expected))
    for path, leaf in leaves_by_path(expected).items():
        np.testing.assert_allclose(found[path], leaf, rtol=1e-3, atol=1e-4, err_msg=path)


@pytest.mark.slow
def test_a_folded_network_can_be_initialized():
    variables = initialize(fold(Residual)(stack()), 0, (4, 4, 3))
    kernels = variables["params"]["b0_to_b3"]["block"]["conv"]["conv"]["kernel"]
    assert len({np.asarray(each).tobytes() for each in kernels}) == 4
