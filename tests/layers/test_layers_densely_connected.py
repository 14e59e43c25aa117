"""Dense connections: what is handed on, what is new, and that it is a Parallel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import LayerError, Layers, Network, Sequential, parameter_shapes, sequential
from ablax.layers import Convolution, Dense, MaxPool, Parallel, ReLU
from ablax.layers.blocks import DenselyConnected
from ablax.layers.dense import Scale


def test_a_densely_connected_layer_by_hand_in_value_and_gradient():
    """x and 2 relu(x): slope 1 + 2 [x > 0] of their sum."""
    layer = DenselyConnected(Layers(relu=ReLU(), double=Scale(2.0)))
    x = jnp.array([[-1.0, 3.0]])
    assert layer.apply({}, x).tolist() == [[-1, 3, 0, 6]]
    assert jax.grad(lambda x: layer.apply({}, x).sum())(x).tolist() == [[1, 3]]


def test_each_layer_of_a_chain_sees_all_before_it():
    """Equation 2 of the paper: x_l = f_l(concatenate(x_0, ..., x_{l-1}))."""
    names = ("f1", "f2", "f3")
    stack = sequential(**{name: DenselyConnected(Layers(fc=Dense(2))) for name in names})
    x = jnp.asarray(np.random.default_rng(0).normal(0, 1, (5, 4)), jnp.float32)
    y, variables = stack.init_with_output(jax.random.key(0), x)
    seen = [x]
    for name in names:
        weights = variables["params"][name]["fc"]
        seen.append(np.concatenate(seen, axis=1) @ weights["kernel"] + weights["bias"])
    np.testing.assert_allclose(y, np.concatenate(seen, axis=1), rtol=1e-5, atol=1e-5)


def test_it_is_a_parallel_of_the_identity_and_the_layers():
    x = jnp.asarray(np.random.default_rng(0).normal(0, 1, (1, 4, 4, 3)), jnp.float32)
    inside = Layers(conv=Convolution(2, 3))
    dense, two = DenselyConnected(inside), Parallel(Layers(x=sequential(), new=Sequential(inside)))
    params = dense.init(jax.random.key(0), x)["params"]
    ours = dense.apply({"params": params}, x)
    np.testing.assert_array_equal(ours, two.apply({"params": {"new": params}}, x))


def test_parameters_are_right_under_its_name():
    network = Network(
        Layers(), Layers(dense1_1=DenselyConnected(Layers(conv1=Convolution(4, 3)))), Layers()
    )
    assert parameter_shapes(network, (8, 8, 3)) == {
        "dense1_1/conv1/bias": (4,),
        "dense1_1/conv1/kernel": (3, 3, 3, 4),
    }


def test_layers_that_shrink_the_maps_are_refused_with_the_path_and_both_shapes():
    network = Network(Layers(), Layers(dense1_1=DenselyConnected(Layers(p=MaxPool(2)))), Layers())
    with pytest.raises(LayerError, match=r"'dense1_1' .*\(1, 8, 8, 3\), \(1, 4, 4, 3\)"):
        parameter_shapes(network, (8, 8, 3))


def test_the_barrier_is_for_a_cpu_alone():
    layer, x = DenselyConnected(Layers(double=Scale(2.0))), jnp.ones((1, 2))

    def barriers(platform):
        traced = jax.jit(jax.grad(lambda x: layer.apply({}, x).sum())).trace(x)
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        return text.count("optimization_barrier")

    assert barriers("cpu") == 1
    assert barriers("cuda") == barriers("tpu") == 0
