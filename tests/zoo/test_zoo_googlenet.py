"""GoogLeNet: table 1, the two figures of the module, auxiliary classifiers, and that it trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_head import heads_that_do_not_fit
from memorizing import leaves_without_gradient, wrong_after_training
from narrowing import narrowed, shortened

from ablax.core import (
    EditError,
    Layers,
    Network,
    count_parameters,
    initialize,
    layer_shapes,
    leaves_by_path,
    parameter_sizes,
    with_head,
    without,
)
from ablax.errors import AblaxError
from ablax.layers import LocalResponseNormalization, ReLU
from ablax.layers.blocks import Auxiliary
from ablax.layers.normalization import rectified
from ablax.zoo import heads
from ablax.zoo.googlenet import (
    auxiliary_head,
    auxiliary_head_bn,
    googlenet,
    googlenet_bn,
    googlenet_small,
    naive,
    reduced,
    with_auxiliary,
)

IMAGENET = (224, 224, 3)
TABLE_1 = {
    "conv1": (112, 112, 64),
    "pool1": (56, 56, 64),
    "conv2_reduce": (56, 56, 64),
    "conv2": (56, 56, 192),
    "pool2": (28, 28, 192),
    "inception_3a": (28, 28, 256),
    "inception_3b": (28, 28, 480),
    "pool3": (14, 14, 480),
    "inception_4a": (14, 14, 512),
    "inception_4b": (14, 14, 512),
    "inception_4c": (14, 14, 512),
    "inception_4d": (14, 14, 528),
    "inception_4e": (14, 14, 832),
    "pool4": (7, 7, 832),
    "inception_5a": (7, 7, 832),
    "inception_5b": (7, 7, 1024),
    "average": (1024,),
    "classifier": (1000,),
}


def alone(module):
    """A network of the module alone: its images are the maps."""
    return Network(Layers(), Layers(module=module), Layers())


@pytest.mark.slow
@pytest.mark.parametrize("build", [googlenet, googlenet_bn])
def test_maps_are_those_of_table_1(build):
    shapes = layer_shapes(build(), IMAGENET)
    assert {name: shapes[name] for name in TABLE_1} == TABLE_1


@pytest.mark.slow
def test_the_lectures_params_column_disagrees_with_its_table():
    """L2 prints 2.7K for conv1, 463K for 4c and 1072K for 5a."""
    sizes = parameter_sizes(googlenet(), IMAGENET)
    assert sizes["conv1/conv/kernel"] == 9_408
    for name, counted in (("inception_4c", 510_104), ("inception_5a", 1_043_456)):
        assert sum(size for path, size in sizes.items() if path.startswith(name)) == counted


def test_response_normalization_stands_around_the_second_convolution():
    """Caffe's alpha of 1e-4 is divided by the 5 channels, ours multiplies the sum."""
    body = googlenet().body
    assert list(body)[:5] == ["norm1", "conv2_reduce", "conv2", "norm2", "pool2"]
    assert body["norm1"] == body["norm2"] == LocalResponseNormalization(5, 2e-5, 0.75, 1.0)
    assert not any(isinstance(layer, LocalResponseNormalization) for layer in googlenet_bn().body)


def test_reduction_makes_a_module_cheaper_and_keeps_the_pool_from_growing_it():
    """Module 3a by figure 2(a): 387,072 weights, 416 features; by 2(b): 163,328 and 256."""
    shape = (28, 28, 192)
    whole, short = alone(naive(64, 128, 32)), alone(reduced(64, 96, 128, 16, 32, 32))
    assert layer_shapes(whole, shape)["module"] == (28, 28, 64 + 128 + 32 + 192)
    assert layer_shapes(short, shape)["module"] == (28, 28, 256)
    biases = 64 + 128 + 32
    assert (64 + 9 * 128 + 25 * 32) * 192 == 387_072
    assert count_parameters(whole, shape) == 387_072 + biases
    weights = (64 + 96 + 16 + 32) * 192 + 9 * 96 * 128 + 25 * 16 * 32
    assert weights == 163_328
    assert count_parameters(short, shape) == weights + biases + 96 + 16 + 32


@pytest.mark.slow
def test_a_module_lays_its_branches_behind_one_another():
    """Worked by hand on 3x3 pixels, value and gradient: x, sums over 3x3 and 5x5, the maximum."""
    x = jnp.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    module = naive(1, 1, 1)
    params = jax.tree.map(
        lambda leaf: jnp.ones(leaf.shape) if leaf.ndim == 4 else jnp.zeros(leaf.shape),
        jax.eval_shape(module.init, jax.random.key(0), x),
    )
    y = module.apply(params, x)
    np.testing.assert_array_equal(y[0, :, :, 0], x[0, :, :, 0])
    assert y[0, 1, 1].tolist() == [5.0, 45.0, 45.0, 9.0]
    assert y[0, 0, 0].tolist() == [1.0, 1 + 2 + 4 + 5, 45.0, 5.0]
    gradient = jax.grad(lambda x: module.apply(params, x)[0, 0, 0].sum())(x)
    # Of the first pixel: itself, its 2x2 neighbors, all, and the largest of the neighbors.
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[3, 2, 1], [2, 3, 1], [1, 1, 1]])


def test_torchvisions_form_has_3x3_windows_in_the_third_branch_and_a_2x2_pool():
    branch = googlenet_bn().body["inception_3a"].branches["branch5x5"].layers
    assert branch["large"].layers["conv"].window == 3
    assert googlenet().body["inception_3a"].branches["branch5x5"].layers["large"] == rectified(
        32, 5
    )
    assert googlenet_bn().body["pool4"].window == 2
    assert googlenet().body["pool4"].window == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "head", "counted"),
    [(googlenet, auxiliary_head, 13_378_280), (googlenet_bn, auxiliary_head_bn, 13_004_888)],
)
def test_side_classifiers_stand_behind_4a_and_4d_of_maps_of_14_pixels(build, head, counted):
    """13,004,888 are torchvision's with them; 13,378,280 = 6,998,552 + 3,188,840 + 3,190,888."""
    network = with_auxiliary(head())(build())
    assert count_parameters(network, IMAGENET) == counted
    names = list(network.body)
    assert names[names.index("auxiliary1") - 1] == "inception_4a"
    assert names[names.index("auxiliary2") - 1] == "inception_4d"
    assert layer_shapes(network, IMAGENET)["auxiliary1"] == (14, 14, 512)
    assert without(Auxiliary)(network) == build()
    maps = layer_shapes(Network(Layers(), Layers(), head()), (14, 14, 512))
    assert maps["average"] == (4, 4, 512)
    assert maps["vectorize"] == (2048,)
    assert maps["classifier"] == (1000,)


def test_side_classifiers_are_refused_where_there_is_no_module_4a():
    with pytest.raises(EditError, match="no layer 'inception_4a'"):
        with_auxiliary(auxiliary_head())(shortened(googlenet(), "inception_3a"))


@pytest.mark.slow
def test_scores_aside_reach_the_layers_in_front_of_them_and_change_no_score():
    small = shortened(googlenet_small(4, 1 / 16), "inception_4a", "inception_4d")
    network = with_auxiliary(heads.global_average_pool(4))(small)
    variables = initialize(network, 0, (8, 8, 3))
    statistics = {"batch_stats": variables["batch_stats"]}
    images = jnp.asarray(np.random.default_rng(1).normal(size=(2, 8, 8, 3)), jnp.float32)

    def side(params):
        grant = ["auxiliary", "batch_stats"]
        scores, aside = network.apply({"params": params, **statistics}, images, mutable=grant)
        sides = jax.tree.leaves(aside["auxiliary"])
        return sum((each**2).sum() for each in sides), (scores, sides)

    gradient, (_, sides) = jax.jit(jax.grad(side, has_aux=True))(variables["params"])
    assert [each.shape for each in sides] == [(2, 4), (2, 4)]
    reached = {
        path.split("/")[0] for path, leaf in leaves_by_path(gradient).items() if np.any(leaf)
    }
    assert reached == {
        *("conv1", "inception_4a", "auxiliary1", "inception_4d", "auxiliary2"),
    }
    shared = {name: variables["params"][name] for name in ("conv1", *small.body, "classifier")}
    plain_scores = small.apply({"params": shared, **statistics}, images)
    np.testing.assert_array_equal(network.apply(variables, images), plain_scores)


def test_equal_calls_build_equal_networks_and_others_differ():
    assert googlenet() == googlenet()
    assert hash(googlenet_bn()) == hash(googlenet_bn())
    assert googlenet_small(10, 0.5) != googlenet_small()
    assert with_head(heads.vectorize(5))(googlenet()).body == googlenet().body


@pytest.mark.slow
def test_the_small_form_keeps_32_pixels_and_halves_twice():
    shapes = layer_shapes(googlenet_small(10, 1 / 4), (28, 28, 1))
    assert [shapes[f"inception_{name}"][0] for name in ("3b", "4e", "5b")] == [28, 14, 7]
    assert shapes["inception_5b"] == (7, 7, 256)
    with pytest.raises(AblaxError, match=r"the width is 0\.0"):
        googlenet_small(10, 0.0)


@pytest.mark.slow
def test_every_head_goes_on_it():
    assert heads_that_do_not_fit(googlenet(), IMAGENET) == []
    assert heads_that_do_not_fit(googlenet_small(10, 1 / 16), (32, 32, 3)) == []


@pytest.mark.slow
def test_every_block_trains():
    """The paper's without ReLU, which in so narrow layers can be dead at the start."""
    small = shortened(googlenet_small(4, 1 / 8), "inception_3a")
    assert leaves_without_gradient(small, (8, 8, 3)) == []
    kept = ("norm1", "conv2_reduce", "conv2", "norm2", "pool2", "inception_3a")
    linear = without(ReLU)(narrowed(shortened(googlenet(), *kept), 8))
    assert leaves_without_gradient(linear, (32, 32, 3)) == []


@pytest.mark.slow
@pytest.mark.deep
def test_the_small_form_drives_a_small_batch_to_zero_error():
    network = shortened(googlenet_small(4, 1 / 8), "inception_3a", "pool3", "inception_4a")
    assert wrong_after_training(network, (32, 32, 3)) == 0
