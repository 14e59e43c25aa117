"""The same layers with the same weights, applied again and again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import (
    LayerError,
    Layers,
    Network,
    count_parameters,
    describe,
    edit,
    features,
    initialize,
    paths,
    sequential,
)
from ablax.errors import AblaxError
from ablax.experiment import network_macs
from ablax.inspection.fields import network_receptive_fields
from ablax.inspection.page import network_graph
from ablax.layers import (
    Auxiliary,
    BatchNormalization,
    Convolution,
    Dense,
    Dropout,
    FieldError,
    GlobalAveragePool,
    GroupNormalization,
    ReLU,
    Repeat,
    Tied,
)
from ablax.layers.dense import Scale

BLOCK = Layers(fc=Dense(3), norm=GroupNormalization(1), relu=ReLU())
SHAPE = (6, 6, 2)


def network(times):
    head = Layers(average=GlobalAveragePool(), fc=Dense(4))
    loop = Tied(Layers(conv=Convolution(3, 3), relu=ReLU()), times)
    return Network(Layers(first=Convolution(3, 3)), Layers(loop=loop), head)


def test_tied_by_hand_in_value_and_gradients():
    """A scale of 2, three times: 2^3 x; the slope in the one scale is 3 times 2^2 x."""
    loop = Tied(Layers(scale=Scale()), times=3)
    params = {"params": {"scale": {"scale": jnp.array([2.0])}}}
    x = jnp.array([[7.0]])
    assert loop.apply(params, x).tolist() == [[56]]
    in_params, in_x = jax.grad(lambda p, x: loop.apply(p, x).sum(), (0, 1))(params, x)
    assert in_x.tolist() == [[8]]
    assert in_params["params"]["scale"]["scale"].tolist() == [84]


@pytest.mark.slow
def test_tied_is_the_untied_chain_with_copies_and_its_gradient_the_sum_of_theirs():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 2, 2, 3)), jnp.float32)
    tied, untied = (
        Tied(BLOCK, 3),
        sequential(a=sequential(**dict(BLOCK.items())), b=Repeat(BLOCK, 2)),
    )
    one = tied.init(jax.random.key(0), x)["params"]
    copies = {"a": one, "b": jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), one)}

    def slopes(layer, params):
        def loss(params):
            y = layer.apply({"params": params}, x)
            return (y**2).sum(), y

        (_, y), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
        return y, gradient

    (y, gradient), (z, apart) = slopes(tied, one), slopes(untied, copies)
    np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-6)
    summed = jax.tree.map(lambda first, rest: first + rest.sum(0), apart["a"], apart["b"])
    for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(summed), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_parameters_do_not_grow_with_times_and_macs_do():
    once, thrice = network(1), network(3)
    assert count_parameters(once, SHAPE) == count_parameters(thrice, SHAPE)
    # 36 places, 9 x 3 x 3 weights; padded taps count
    assert network_macs(thrice, SHAPE) - network_macs(once, SHAPE) == 2 * 36 * 81
    drawn = network_graph("tied", thrice, SHAPE)
    assert sum(row.macs for row in drawn.costs.values()) == network_macs(thrice, SHAPE)


def test_what_a_unit_sees_grows_with_times():
    for times in (1, 2):
        size = network_receptive_fields(network(times), (20, 20, 2), depth=1)["loop"].size
        assert size == (3 + 2 * times, 3 + 2 * times)


def test_each_pass_drops_units_of_its_own():
    twice = Tied(Layers(drop=Dropout(0.5)), times=2)
    y = twice.apply({}, jnp.ones((1, 1000)), rngs={"dropout": jax.random.key(0)})
    # One mask twice would leave 500 numbers, two masks leave about 250 of 4 each.
    assert 180 < int((y == 4).sum()) < 320


def test_an_edit_and_a_listing_reach_what_is_tied():
    wide = Layers(conv=Convolution(3, 5))
    changed = edit(network(2), lambda path, _: wide if path == "loop/conv" else None)
    assert changed.body["loop"].layers["conv"] == wide["conv"]
    assert "loop/relu" in paths(network(2))
    assert "84" in describe(network(5), SHAPE).splitlines()[4]


@pytest.mark.slow
def test_a_layer_inside_is_refused_where_one_output_is_asked_for():
    variables = initialize(network(2), 0, SHAPE)
    images = jnp.ones((1, *SHAPE))
    assert features(network(2), variables, images, at=["loop"])["loop"].shape == (1, 6, 6, 3)
    with pytest.raises(AblaxError, match="loop/conv runs in the loop of"):
        features(network(2), variables, images, at=["loop/conv"])


def test_layers_that_change_the_shape_are_refused():
    wrong = Network(Layers(), Layers(loop=Tied(Layers(fc=Dense(5)), 2)), Layers())
    with pytest.raises(LayerError, match=r"\(1, 1, 1, 4\) and its layers give \(1, 1, 1, 5\)"):
        wrong.init(jax.random.key(0), jnp.ones((1, 1, 1, 4)))
    with pytest.raises(FieldError, match="times=0: expected an integer of at least 1"):
        Tied(Layers(fc=Dense(5)), 0)


def test_what_keeps_something_of_each_pass_is_refused_at_any_depth():
    with pytest.raises(FieldError, match=r"'c/bn', a BatchNormalization, .* GroupNormalization"):
        Tied(Layers(c=sequential(bn=BatchNormalization())), 2)
    with pytest.raises(FieldError, match="'side', a Auxiliary, which would put scores aside"):
        Tied(Layers(side=Auxiliary(Layers(fc=Dense(2)))), 2)
