"""Residual and plain networks for CIFAR-10: depths, sizes, and that they train."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import seconds_to_compile
from derivations.resnet_cifar import layers as derived
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.analysis.cost import macs
from ablax.core import (
    abstract_variables,
    count_parameters,
    initialize,
    layer_shapes,
    parameter_shapes,
    paths,
)
from ablax.errors import AblaxError
from ablax.layers import Residual, fold, fold_variables
from ablax.zoo import find
from ablax.zoo.resnet import plain_cifar, resnet_cifar, resnet_cifar_bottleneck

SHAPE = (32, 32, 3)


@pytest.mark.parametrize(
    ("depth", "parameters"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018)]
)
def test_the_derivation_gives_the_exact_counts(depth, parameters):
    assert derived(depth).parameters == parameters


def test_parameters_and_macs_are_those_derived():
    network = resnet_cifar(8)
    variables = abstract_variables(network, SHAPE)
    image = jax.ShapeDtypeStruct((1, *SHAPE), jnp.float32)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == derived(8).parameters
    assert macs(network.apply, variables, image) == derived(8).macs


def test_the_maps_of_each_stage_are_those_of_section_4_2():
    shapes = layer_shapes(resnet_cifar(8), SHAPE)
    assert shapes["conv1"] == shapes["res2a"] == (32, 32, 16)
    assert shapes["res3a/subsample"] == (16, 16, 16)
    assert shapes["res3a"] == shapes["res3a/pad"] == (16, 16, 32)
    assert shapes["res4a"] == (8, 8, 64)
    assert shapes["average"] == (64,)
    assert shapes["classifier"] == (10,)


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        *((f"resnet{depth}", depth) for depth in (20, 32, 44, 56, 110)),
        *((f"plain{depth}", depth) for depth in (20, 32, 44, 56, 110)),
        pytest.param("resnet1202", 1202, marks=pytest.mark.slow),
    ],
)
def test_the_weight_layers_are_those_of_the_name(name, depth):
    assert sum(path.endswith("/conv") for path in paths(find(name).build())) + 1 == depth


def test_bottlenecks_have_the_weight_layers_of_the_name_and_three_projections():
    layers = [path for path in paths(find("resnet164").build()) if path.endswith("/conv")]
    projections = [path for path in layers if "projection" in path]
    assert projections == [f"res{stage}a/projection/conv" for stage in (2, 3, 4)]
    assert len(layers) - 3 + 1 == 164


def test_the_plain_network_has_the_same_leaves_of_the_same_shapes():
    """So both start bit-equal (see the tests of the ablations)."""
    residual, plain = resnet_cifar(8, 4, features=2), plain_cifar(8, 4, features=2)
    assert parameter_shapes(plain, (8, 8, 1)) == parameter_shapes(residual, (8, 8, 1))
    assert plain.body["res3a"] != residual.body["res3a"]


@pytest.mark.parametrize(
    ("build", "depth", "nearest"),
    [
        (resnet_cifar, 21, r"depth=21.*6n \+ 2; use 20 or 26"),
        (resnet_cifar, 25, r"use 20 or 26"),
        (plain_cifar, 1200, r"use 1196 or 1202"),
        (resnet_cifar, 2, r"use 8$"),
        (resnet_cifar, -4, r"use 8$"),
        (resnet_cifar_bottleneck, 163, r"depth=163.*9n \+ 2; use 155 or 164"),
    ],
)
def test_depths_that_do_not_exist_are_refused_with_the_nearest(build, depth, nearest):
    with pytest.raises(AblaxError, match=nearest):
        build(depth)


@pytest.mark.slow
def test_the_shallowest_trains_in_every_layer():
    assert leaves_without_gradient(resnet_cifar(8, 4, features=2), (8, 8, 1)) == []


@pytest.mark.slow
def test_the_shallowest_drives_a_small_batch_to_zero_error():
    assert wrong_after_training(resnet_cifar(8, 4, features=4), (32, 32, 3)) == 0


@pytest.mark.slow
def test_the_folded_network_gives_the_same_scores_and_gradients():
    network, shape = resnet_cifar(14, 4, features=4), (8, 8, 3)
    folded = fold(Residual)(network)
    assert list(folded.body) == ["res2a_to_res2b", "res3a", "res3b", "res4a", "res4b"]
    images = jnp.asarray(np.random.default_rng(1).normal(size=(2, *shape)), jnp.float32)
    variables = initialize(network, 0, shape)
    stacked = fold_variables(network, variables, Residual)

    def scores_and_gradient(network, variables):
        @jax.jit
        def both(params, statistics):
            def squares(params):
                everything = {"params": params, "batch_stats": statistics}
                scores, _ = network.apply(everything, images, mutable=["batch_stats"])
                return (scores**2).sum(), scores

            return jax.grad(squares, has_aux=True)(params)

        return both(variables["params"], variables["batch_stats"])

    gradient, scores = scores_and_gradient(network, variables)
    gradient2, scores2 = scores_and_gradient(folded, stacked)
    np.testing.assert_allclose(scores2, scores, rtol=1e-3, atol=1e-4)
    expected = fold_variables(network, {"params": gradient}, Residual)["params"]
    worst = jax.tree.map(lambda a, b: abs(a - b).max() / abs(a).max(), expected, gradient2)
    assert max(jax.tree.leaves(worst)) < 1e-2


@pytest.mark.slow
def test_resnet1202_is_counted_and_compiles_a_training_step_through_repeat():
    """600 blocks in three loops, and the two that halve the maps outside."""
    folded = fold(Residual)(find("resnet1202").build())
    assert len(folded.body) == 5
    assert count_parameters(folded, SHAPE) == derived(1202).parameters == 19_421_274
    variables = abstract_variables(folded, SHAPE)
    images = jax.ShapeDtypeStruct((1, *SHAPE), jnp.float32)
    assert macs(folded.apply, variables, images) == derived(1202).macs

    assert seconds_to_compile(folded, SHAPE) < 60
