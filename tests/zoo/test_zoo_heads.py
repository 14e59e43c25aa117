"""Heads: on any network, at any image size where they say so, and what each can do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from memorizing import leaves_without_gradient, wrong_after_training

from ablax.core import (
    LayerError,
    Layers,
    Network,
    abstract_variables,
    check,
    count_parameters,
    initialize,
    layer_shapes,
    remove,
    with_head,
)
from ablax.errors import AblaxError
from ablax.layers import Convolution
from ablax.layers.heads import ensemble, stack
from ablax.layers.shape import split
from ablax.zoo import heads
from ablax.zoo.alexnet import alexnet_small
from ablax.zoo.lenet import lenet5
from ablax.zoo.resnet import BASIC, resnet_cifar
from ablax.zoo.resnext import resnext_cifar
from ablax.zoo.senet import gated

HEADS = {
    "vectorize": lambda classes: heads.vectorize(classes, hidden=(6,)),
    "global_average_pool": heads.global_average_pool,
    "convolution": heads.convolution,
    "pixel_average": heads.pixel_average,
    "pixel_vote": heads.pixel_vote,
    "pixel_learned": heads.pixel_learned,
    "spatial_weights": heads.spatial_weights,
    "spatial_pyramid": lambda classes: heads.spatial_pyramid(classes, (2, 1), hidden=(6,)),
}
NETWORKS = {
    "lenet5": lenet5(),
    "alexnet_small": alexnet_small(3, 1 / 32),
    "resnext_cifar": resnext_cifar(11, cardinality=2, width=32, features=4, classes=3),
    "se_resnet_cifar": resnet_cifar(8, block=gated(BASIC)),
}
SHORT = Network(Layers(), Layers(conv=Convolution(8, 3, stride=4)), Layers())
"""Stride 4 and 8 features: 8 x 8 x 8 = 512 numbers of 32 pixels, 12 x 12 x 8 = 1152 of 48."""
CLASSES = 5


def alone(head):
    """A network of the head alone: its images are the maps."""
    return Network(Layers(), Layers(), head)


def maps(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32))


def scores(network, variables, x):
    return np.asarray(jax.jit(network.apply)(variables, x))


def params(**leaves):
    """Parameters by layer: `classifier=(kernel, bias)`."""
    return {
        "params": {
            name: dict(zip(("kernel", "bias"), two, strict=True)) for name, two in leaves.items()
        }
    }


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_any_head_goes_on_any_network(network):
    """All of them beside one another, to look through the network once."""
    together = heads.several(**{name: head(CLASSES) for name, head in HEADS.items()})
    check(with_head(together)(network), (32, 32, 3), classes=CLASSES * len(HEADS))
    for head in HEADS.values():
        assert list(with_head(head(CLASSES))(network).body) == list(network.body)


def test_convolutional_heads_take_other_image_sizes_with_the_same_weights():
    convolutional = {name: head(CLASSES) for name, head in HEADS.items() if name != "vectorize"}
    network = with_head(heads.several(**convolutional))(SHORT)
    variables = abstract_variables(network, (32, 32, 3))
    for height, width in ((32, 32), (48, 48), (24, 40)):
        images = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
        assert jax.eval_shape(network.apply, variables, images).shape == (2, 7 * CLASSES)


def test_the_vectorize_head_refuses_other_image_sizes_with_layer_and_both_sizes():
    network = with_head(HEADS["vectorize"](CLASSES))(SHORT)
    variables = abstract_variables(network, (32, 32, 3))
    images = jax.ShapeDtypeStruct((2, 48, 48, 3), jnp.float32)
    with pytest.raises(LayerError, match=r"'hidden1/dense' \(Dense\).*\(1152, .*\(512, .*; init"):
        jax.eval_shape(network.apply, variables, images)


@pytest.mark.parametrize(
    ("head", "counted"),
    [
        (heads.vectorize(5, hidden=(7, 6)), (84 * 7 + 7) + (7 * 6 + 6) + (6 * 5 + 5)),
        (heads.vectorize(5, hidden=()), 84 * 5 + 5),
        (heads.global_average_pool(5), 7 * 5 + 5),
        (heads.convolution(5), 7 * 5 + 5),
        (heads.pixel_average(5), 7 * 5 + 5),
        (heads.pixel_vote(5), 7 * 5 + 5),
        (heads.pixel_learned(5), (7 * 5 + 5) + 12 + (5 * 5 + 5)),
        (heads.spatial_weights(5), 12 + (7 * 5 + 5)),
        (heads.spatial_pyramid(5, (3, 2, 1), hidden=(6,)), (7 * 14 * 6 + 6) + (6 * 5 + 5)),
        (heads.several(a=heads.global_average_pool(5), b=heads.pixel_vote(2)), 40 + 16),
    ],
)
def test_parameters_counted_by_hand(head, counted):
    """Of maps of 3 by 4 pixels and 7 features: 84 numbers."""
    assert count_parameters(alone(head), (3, 4, 7)) == counted


def test_a_global_average_is_a_vectorize_head_with_equal_weights_at_every_pixel():
    x, kernel, bias = maps(2, 3, 4, 6), maps(6, 5, seed=1), maps(5, seed=2)
    pooled = scores(alone(heads.global_average_pool(5)), params(classifier=(kernel, bias)), x)
    spread = jnp.tile(kernel / 12, (12, 1))
    whole = scores(alone(heads.vectorize(5, hidden=())), params(classifier=(spread, bias)), x)
    np.testing.assert_allclose(whole, pooled, rtol=1e-4, atol=1e-5)


def test_averaged_scores_of_pixels_are_a_global_average():
    """So idea 1 averages probabilities; and SqueezeNet's head differs by its ReLU alone."""
    x, kernel, bias = maps(2, 3, 4, 6), maps(6, 5, seed=1), maps(5, seed=2)
    pooled = scores(alone(heads.global_average_pool(5)), params(classifier=(kernel, bias)), x)
    shared = {"params": {"classifier": {"conv": {"kernel": kernel[None, None], "bias": bias}}}}
    squeezenet = alone(heads.convolution(5))
    linear = scores(remove("classifier/relu")(squeezenet), shared, x)
    np.testing.assert_allclose(linear, pooled, rtol=1e-4, atol=1e-5)
    assert np.abs(scores(squeezenet, shared, x) - pooled).max() > 0.1
    assert scores(squeezenet, shared, x).min() >= 0


@pytest.mark.slow
def test_with_one_pixel_all_heads_of_idea_1_decide_as_a_global_average():
    x, learned = maps(20, 1, 1, 6), alone(heads.pixel_learned(5))
    start = initialize(learned, 0, (1, 1, 6))
    kernel, bias = start["params"]["classifier"]["kernel"], maps(5, seed=2)
    start["params"]["classifier"]["bias"] = bias
    shared = params(classifier=(kernel, bias))
    pooled = params(classifier=(kernel[0, 0], bias))
    scored = scores(alone(heads.global_average_pool(5)), pooled, x)
    average = scores(alone(heads.pixel_average(5)), shared, x)
    for found in (average, scores(alone(heads.pixel_vote(5)), shared, x)):
        np.testing.assert_array_equal(found.argmax(1), scored.argmax(1))
    chances = np.exp(scored) / np.exp(scored).sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(average), chances, rtol=1e-5)
    np.testing.assert_allclose(np.exp(scores(learned, start, x)), chances, rtol=1e-5)


@pytest.mark.slow
def test_the_learned_combination_starts_as_the_average():
    x, learned = maps(2, 3, 4, 6), alone(heads.pixel_learned(5))
    start = initialize(learned, 0, (3, 4, 6))
    shared = {"params": {"classifier": start["params"]["classifier"]}}
    average = scores(alone(heads.pixel_average(5)), shared, x)
    np.testing.assert_allclose(scores(learned, start, x), average, rtol=1e-5)


@pytest.mark.slow
def test_spatial_weights_start_as_a_global_average_bit_for_bit():
    plain = Network(Layers(), Layers(conv=Convolution(6, 3)), heads.global_average_pool(CLASSES))
    weighted = with_head(heads.spatial_weights(CLASSES))(plain)
    x = maps(2, 3, 4, 6)
    ours, theirs = (
        scores(network, initialize(network, 3, (3, 4, 6)), x) for network in (weighted, plain)
    )
    np.testing.assert_array_equal(ours, theirs)


def test_equal_spatial_weights_scale_the_average():
    x, kernel, bias = maps(2, 3, 4, 6), maps(6, 5, seed=1), maps(5, seed=2)
    variables = params(classifier=(kernel, bias))
    variables["params"]["weights"] = {"deviation": jnp.full((3, 4), 0.5)}
    ours = scores(alone(heads.spatial_weights(5)), variables, x)
    scaled = params(classifier=(1.5 * kernel, bias))
    theirs = scores(alone(heads.global_average_pool(5)), scaled, x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_heads_of_one_classifier_start_from_the_same_numbers():
    draws = {}
    for name in ("global_average_pool", "pixel_average", "pixel_vote", "spatial_weights"):
        variables = initialize(alone(HEADS[name](CLASSES)), 7, (3, 4, 6))
        draws[name] = np.asarray(variables["params"]["classifier"]["kernel"]).ravel()
    for other in draws.values():
        np.testing.assert_array_equal(other, draws["global_average_pool"])


def test_several_heads_give_what_each_gives_alone():
    parts = {"kind": heads.pixel_average(4), "color": heads.global_average_pool(3)}
    both, x = alone(heads.several(**parts)), maps(2, 3, 4, 6)
    shapes = abstract_variables(both, (3, 4, 6))
    variables = jax.tree.map(lambda leaf: maps(*leaf.shape, seed=leaf.size), shapes)
    merged = scores(both, variables, x)
    assert merged.shape == (2, 7)
    for (name, head), part in zip(parts.items(), split(jnp.asarray(merged), (4, 3)), strict=True):
        own = {"params": variables["params"]["heads"][name]}
        np.testing.assert_allclose(scores(alone(head), own, x), part, rtol=1e-5, atol=1e-6)


def test_the_loss_of_one_task_moves_its_own_head_and_the_body_alone():
    tasks = heads.several(kind=heads.global_average_pool(4), color=heads.global_average_pool(3))
    network = Network(Layers(), Layers(conv=Convolution(4, 3)), tasks)
    shapes, x = abstract_variables(network, (4, 4, 2)), maps(2, 4, 4, 2)
    variables = jax.tree.map(lambda leaf: maps(*leaf.shape, seed=leaf.size), shapes)

    def loss(variables):
        kind, _ = split(network.apply(variables, x), (4, 3))
        return optax.softmax_cross_entropy_with_integer_labels(kind, jnp.array([0, 3])).sum()

    slopes = jax.jit(jax.grad(loss))(variables)["params"]
    assert np.abs(slopes["conv"]["kernel"]).max() > 0
    assert np.abs(slopes["heads"]["kind"]["classifier"]["kernel"]).max() > 0
    assert np.abs(slopes["heads"]["color"]["classifier"]["kernel"]).max() == 0


@pytest.mark.parametrize(("merge", "shape"), [(stack, (2, 5)), (ensemble, (5,))])
def test_heads_of_equal_classes_may_be_stacked_or_averaged(merge, shape):
    two = heads.several(merge, first=heads.pixel_vote(5), merge=heads.global_average_pool(5))
    assert layer_shapes(alone(two), (3, 4, 6))["heads"] == shape


def test_several_refuses_no_head_and_stacks_of_other_classes():
    with pytest.raises(AblaxError, match="give it at least one"):
        heads.several()
    other = heads.several(stack, a=heads.pixel_vote(5), b=heads.pixel_vote(4))
    with pytest.raises(LayerError, match=r"layer 'heads' \(Parallel\).*expected heads of equally"):
        check(alone(other), (3, 4, 6))


def test_a_head_whose_names_the_body_has_is_refused():
    body = Layers(classifier=Convolution(4, 3))
    with pytest.raises(AblaxError, match="both sides have classifier: rename one"):
        with_head(heads.pixel_vote(5))(Network(Layers(), body, Layers()))


@pytest.mark.slow
def test_every_parameter_of_every_head_learns():
    together = heads.several(ensemble, **{name: head(4) for name, head in HEADS.items()})
    assert leaves_without_gradient(alone(together), (3, 4, 6)) == []


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_network_with_any_head_drives_a_small_batch_to_zero_error(head):
    assert wrong_after_training(with_head(head(4))(SHORT), (16, 16, 1), steps=150) == 0
