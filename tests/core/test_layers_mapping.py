"""`Layers` is a frozen, ordered, hashable mapping, and `run` binds each layer to its name."""

import jax
import jax.numpy as jnp
import pytest

from ablax.core import LayerError, Layers, Network, leaves_by_path, run, sequential
from ablax.core.network import _check_entry
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, Dropout, Flatten, MaxPool, ReLU


def test_layers_keep_the_order_in_which_they_were_written():
    assert list(Layers(b=ReLU(), a=ReLU(), c=ReLU())) == ["b", "a", "c"]


def test_equal_layers_are_equal_and_hash_alike_and_the_order_counts():
    one = Layers(conv=Convolution(4, 3), relu=ReLU())
    assert one == Layers(conv=Convolution(4, 3), relu=ReLU())
    assert hash(one) == hash(Layers(conv=Convolution(4, 3), relu=ReLU()))
    assert one != Layers(relu=ReLU(), conv=Convolution(4, 3))


def test_layers_are_frozen():
    with pytest.raises(AttributeError):
        Layers(relu=ReLU()).entries = ()


def test_layers_add_up_and_refuse_a_name_that_stands_twice():
    assert list(Layers(a=ReLU()) + Layers(b=ReLU())) == ["a", "b"]
    with pytest.raises(AblaxError, match="both sides have a"):
        Layers(a=ReLU()) + Layers(a=ReLU())
    with pytest.raises(AblaxError, match="two layers are named 'a'"):
        Layers({"a": ReLU()}, a=ReLU())


def test_layers_refuse_what_is_no_name_or_no_module():
    with pytest.raises(AblaxError, match="'fc 7' cannot name a layer"):
        Layers({"fc 7": ReLU()})
    with pytest.raises(AblaxError, match="a Linen module is expected"):
        _check_entry("relu", jax.nn.relu, set())


def test_layers_name_the_nearest_when_asked_for_one_that_is_not_there():
    with pytest.raises(AblaxError, match="did you mean 'fc7'"):
        Layers(fc6=Dense(2), fc7=Dense(2))["fc_7"]


def test_one_instance_under_two_names_has_two_sets_of_weights():
    shared = Dense(3)
    network = Network(Layers(vectorize=Flatten()), Layers(), Layers(a=shared, b=shared))
    variables = network.init(jax.random.key(0), jnp.ones((1, 1, 1, 3)))
    assert set(variables["params"]) == {"a", "b"}
    kernels = [variables["params"][name]["kernel"] for name in "ab"]
    assert not jnp.array_equal(*kernels)


def test_a_chain_puts_its_layers_below_its_name():
    network = Network(
        Layers(conv1=sequential(conv=Convolution(2, 3), relu=ReLU())), Layers(), Layers(v=Flatten())
    )
    variables = network.init(jax.random.key(0), jnp.ones((1, 4, 4, 1)))
    assert set(leaves_by_path(variables["params"])) == {"conv1/conv/bias", "conv1/conv/kernel"}


def test_a_chain_computes_the_composition_of_its_layers():
    block = sequential(dense=Dense(2), relu=ReLU())
    x = jnp.array([[1.0, -2.0]])
    variables = {"params": {"dense": {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}}}
    assert block.apply(variables, x).tolist() == [[1.0, 0.0]]


def test_run_of_nothing_is_the_identity():
    x = jnp.ones((2, 3))
    assert run(Layers(), x) is x


def test_a_misfit_is_refused_with_the_path_and_the_shape_before_anything_is_computed():
    block = sequential(pool=MaxPool(5, 1, padding="VALID"))
    network = Network(Layers(stage1=block), Layers(), Layers())
    with pytest.raises(LayerError, match=r"'stage1/pool' \(MaxPool\).*\(1, 3, 3, 1\)"):
        jax.eval_shape(network.init, jax.random.key(0), jnp.ones((1, 3, 3, 1)))


def test_dropout_is_removed_together_with_the_layer_it_belongs_to():
    layers = Layers(fc=sequential(dense=Dense(2), dropout=Dropout(0.5)))
    assert len(layers) == 1
