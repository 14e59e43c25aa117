"""Features by name: the same numbers as a run that stops there, and clear refusals."""

import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import (
    Layers,
    Network,
    features,
    initialize,
    layer_shapes,
    output_gradients,
    paths,
    sequential,
)
from ablax.errors import AblaxError
from ablax.layers import (
    BatchNormalization,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Parallel,
    ReLU,
    Residual,
    Tanh,
    fold,
)
from ablax.zoo import lenet5

SHAPE = (6, 6, 3)


def block():
    return Residual(
        Layers(conv=Convolution(4, 3), bn=BatchNormalization()), after=Layers(relu=ReLU())
    )


def network():
    return Network(
        tail=Layers(conv1=sequential(conv=Convolution(4, 3), relu=ReLU(), dropout=Dropout(0.5))),
        body=Layers(
            res2a=block(),
            res2b=block(),
            both=Parallel(Layers(left=Convolution(2, 1), right=Convolution(3, 1))),
        ),
        head=Layers(pool=GlobalAveragePool(), fc=Dense(2)),
    )


@pytest.fixture(scope="module")
def variables():
    return initialize(network(), 0, SHAPE)


IMAGES = jnp.asarray(np.random.default_rng(1).normal(size=(2, *SHAPE)), jnp.float32)


@pytest.mark.slow
def test_features_of_a_layer_are_what_the_network_cut_behind_it_gives(variables):
    cut = network().copy(body=Layers(res2a=block()), head=Layers())
    kept = {
        collection: {name: tree[name] for name in ("conv1", "res2a") if name in tree}
        for collection, tree in variables.items()
    }
    found = features(network(), variables, IMAGES, at=["res2a"])
    np.testing.assert_allclose(found["res2a"], cut.apply(kept, IMAGES), rtol=1e-5)


def test_features_at_the_last_layer_are_the_scores_of_a_test_run(variables):
    scores = network().apply(variables, IMAGES)
    found = features(network(), variables, IMAGES, at=["fc"])
    np.testing.assert_allclose(found["fc"], scores, rtol=1e-5)


def test_features_come_in_the_order_asked_for_from_any_depth(variables):
    found = features(network(), variables, IMAGES, at=["fc", "both/right", "conv1/conv"])
    shapes = {name: value.shape for name, value in found.items()}
    assert list(shapes.items()) == [
        ("fc", (2, 2)),
        ("both/right", (2, 6, 6, 3)),
        ("conv1/conv", (2, 6, 6, 4)),
    ]


def test_features_before_a_relu_are_negative_somewhere_and_behind_it_nowhere(variables):
    found = features(network(), variables, IMAGES, at=["conv1/conv", "conv1"])
    assert found["conv1/conv"].min() < 0 <= found["conv1"].min()
    np.testing.assert_array_equal(found["conv1"], jnp.maximum(found["conv1/conv"], 0))


def test_layers_behind_the_last_named_one_are_not_computed(variables):
    from ablax.core.features import _compiled

    compiled = _compiled.lower(network(), ("conv1/conv",), variables, IMAGES).compile()
    assert "dot" not in compiled.as_text()


def test_a_name_that_no_layer_has_is_refused_with_the_nearest(variables):
    with pytest.raises(AblaxError, match=r"no layer 'res2c'.*res2[ab]"):
        features(network(), variables, IMAGES, at=["res2c"])


@pytest.mark.slow
def test_a_layer_inside_a_repeat_is_refused_and_the_repeat_itself_is_not():
    folded = fold(Residual)(network())
    variables = initialize(folded, 0, SHAPE)
    name = "res2a_to_res2b"
    assert features(folded, variables, IMAGES, at=[name])[name].shape == (2, 6, 6, 4)
    with pytest.raises(AblaxError, match="in the loop of a Repeat or a Tied"):
        features(folded, variables, IMAGES, at=[f"{name}/block/conv"])


def test_layer_shapes_name_every_layer_in_order():
    shapes = layer_shapes(network(), SHAPE)
    assert tuple(shapes) == paths(network())
    assert shapes["both"] == (6, 6, 5)
    assert shapes["pool"] == (5,)


@pytest.mark.slow
def test_gradients_by_outputs_are_what_a_change_of_the_output_does_to_the_loss():
    network = Network(
        Layers(fc1=sequential(dense=Dense(5), tanh=Tanh())), Layers(), Layers(scores=Dense(3))
    )
    images = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2, 3, 1)), jnp.float32)
    flat = Network(Layers(vector=Flatten()) + network.tail, network.body, network.head)
    variables = initialize(flat, 0, (2, 3, 1))

    def loss(scores):
        return (scores**2).sum()

    found = output_gradients(flat, variables, images, loss, at=["scores", "fc1", "fc1/dense"])
    scores = flat.apply(variables, images)
    kernel = variables["params"]["scores"]["kernel"]
    hidden = features(flat, variables, images, at=["fc1"])["fc1"]
    np.testing.assert_allclose(found["scores"], 2 * scores, rtol=1e-5)
    np.testing.assert_allclose(found["fc1"], 2 * scores @ kernel.T, rtol=1e-5)
    inner = 2 * scores @ kernel.T * (1 - hidden**2)
    np.testing.assert_allclose(found["fc1/dense"], inner, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_gradients_by_the_output_of_no_layer_name_the_nearest():
    with pytest.raises(AblaxError, match=r"no layer 'f66'.*did you mean 'f6'"):
        output_gradients(
            lenet5(),
            initialize(lenet5(), 0, (32, 32, 1)),
            jnp.ones((1, 32, 32, 1)),
            jnp.sum,
            ["f66"],
        )
