"""Layers under JAX's strict promotion: they broadcast and convert only what they say."""

import doctest
import importlib
import pkgutil

import jax
import jax.numpy as jnp
import pytest

from ablax import layers, zoo

NETWORKS = {
    "lenet5": (32, 1),
    "resnet20": (32, 3),
    "alexnet": (227, 3),
    "shufflenet_v1_g3": (64, 3),
}
MODULES = sorted(found.name for found in pkgutil.iter_modules(layers.__path__))


@pytest.fixture
def strict():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_every_example_holds(strict, name):
    module = importlib.import_module(f"ablax.layers.{name}")
    names = {"jax": jax, "jnp": jnp}
    assert not doctest.testmod(module, extraglobs=names).failed


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_initialized_applied_and_differentiated(strict, name):
    network = getattr(zoo, name)()
    size, channels = NETWORKS[name]
    x, key = jax.ShapeDtypeStruct((2, size, size, channels), jnp.float32), jax.random.key(0)
    variables = dict(jax.eval_shape(network.init, key, x))
    parameters = variables.pop("params")

    def loss(parameters, rest, x):
        given = {"params": parameters, **rest}
        y, _ = network.apply(given, x, mutable=["batch_stats"], rngs={"dropout": key})
        return jnp.sum(y)

    gradients = jax.eval_shape(jax.grad(loss), parameters, variables, x)
    assert jax.tree.map(jnp.shape, gradients) == jax.tree.map(jnp.shape, parameters)


@pytest.mark.parametrize("shape", [(2, 5, 5, 4), (2, 4)])
def test_bias_scale_and_normalization_are_added_to_maps_and_vectors(strict, shape):
    x = jnp.ones(shape)
    for layer in (layers.Bias(), layers.Scale(), layers.PReLU(), layers.BatchNormalization()):
        assert layer.init_with_output(jax.random.key(0), x)[0].shape == shape
