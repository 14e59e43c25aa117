"""PyTorch's tensors in our layers: its law computed in its own layout, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from ablax.core import Layers, Network, leaves_by_path, sequential
from ablax.layers import BatchNormalization, Convolution, Dense, Flatten, Gate
from ablax.layers import GlobalAveragePool as Squeeze
from ablax.weights.load import WeightsError, from_torch, tensor_name, tensor_shapes

SHAPE = (4, 5, 2)
NAMES = {"conv1/conv": "features.0", "conv1/bn": "features.1", "fc6": "classifier"}


def network():
    return Network(
        tail=Layers(
            conv1=sequential(conv=Convolution(3, 3, padding="VALID"), bn=BatchNormalization())
        ),
        body=Layers(),
        head=Layers(vectorize=Flatten(), fc6=Dense(2)),
    )


def tensors():
    generator = np.random.default_rng(0)
    shapes = tensor_shapes(network(), SHAPE, NAMES.__getitem__)
    return {name: generator.uniform(0.5, 1.5, s).astype(np.float32) for name, s in shapes.items()}


def torchs_scores(weights, pixels):
    """conv2d, batch_norm, flatten, linear, as PyTorch's documentation defines them: NCHW."""
    kernel, bias = weights["features.0.weight"], weights["features.0.bias"]
    maps = np.zeros((1, 3, 2, 3))
    for row in range(2):
        for column in range(3):
            window = pixels[:, :, row : row + 3, column : column + 3]
            maps[:, :, row, column] = np.einsum("nchw,fchw->nf", window, kernel) + bias

    def of(name):
        return weights[f"features.1.{name}"][:, None, None]

    maps = (maps - of("running_mean")) / np.sqrt(of("running_var") + 1e-5)
    maps = maps * of("weight") + of("bias")
    return maps.reshape(1, -1) @ weights["classifier.weight"].T + weights["classifier.bias"]


def test_scores_are_those_that_pytorchs_layers_give_with_the_same_tensors():
    pixels = np.random.default_rng(1).normal(size=(1, 2, 4, 5)).astype(np.float32)
    variables = from_torch(network(), SHAPE, tensors(), NAMES.__getitem__)
    ours = network().apply(variables, jnp.asarray(pixels.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(ours, torchs_scores(tensors(), pixels), rtol=1e-5)


def test_shapes_are_pytorchs():
    assert tensor_shapes(network(), SHAPE, NAMES.__getitem__) == {
        "features.0.bias": (3,),
        "features.0.weight": (3, 2, 3, 3),
        "features.1.bias": (3,),
        "features.1.weight": (3,),
        "features.1.running_mean": (3,),
        "features.1.running_var": (3,),
        "classifier.bias": (2,),
        "classifier.weight": (2, 18),
    }


def test_a_dense_layer_may_be_kept_as_a_convolution_of_one_pixel():
    gate = Network(Layers(), Layers(se=Gate(Layers(squeeze=Squeeze(), fc=Dense(3)))), Layers())
    weights = {"fc.weight": np.arange(9.0).reshape(3, 3, 1, 1), "fc.bias": np.zeros(3)}
    variables = from_torch(gate, (2, 2, 3), weights, lambda _: "fc")
    kernel = leaves_by_path(variables)["params/se/fc/kernel"]
    np.testing.assert_array_equal(kernel, np.arange(9.0).reshape(3, 3).T)


def test_every_tensor_that_does_not_fit_is_named_and_nothing_is_loaded():
    wrong = tensors()
    del wrong["features.0.bias"]
    wrong["classifier.weight"] = np.zeros((2, 17), np.float32)
    wrong["fc7.weight"] = np.zeros(1, np.float32)
    with pytest.raises(WeightsError) as caught:
        from_torch(network(), SHAPE, wrong, NAMES.__getitem__)
    assert str(caught.value).splitlines() == [
        "the tensors do not fit the network: 1 missing, 1 of another shape, 1 left over",
        "  missing: features.0.bias (our params/conv1/conv/bias)",
        "  another shape: classifier.weight is (2, 17), our params/fc6/kernel is (18, 2)",
        "  left over: fc7.weight",
    ]


def test_numbers_that_no_weights_have_are_named_and_nothing_is_loaded():
    wrong = tensors()
    wrong["classifier.bias"][1] = np.nan
    wrong["features.0.weight"][0, 0] = np.inf
    wrong["features.1.running_var"][0] = -1
    wrong["classifier.weight"] = np.full((2, 18), 1e300)  # too large for 32 bits
    with pytest.raises(WeightsError) as caught:
        from_torch(network(), SHAPE, wrong, NAMES.__getitem__)
    title, *lines = str(caught.value).splitlines()
    assert title.endswith("0 left over, 4 with numbers that no weights have")
    assert sorted(lines) == [
        "  no numbers: classifier.bias has 1 of 2 that are not finite in float32",
        "  no numbers: classifier.weight has 36 of 36 that are not finite in float32",
        "  no numbers: features.0.weight has 9 of 54 that are not finite in float32",
        "  no numbers: features.1.running_var has a variance of -1",
    ]


def test_pytorchs_counter_of_batches_is_no_weight():
    counted = tensors() | {"features.1.num_batches_tracked": np.zeros((), np.float32)}
    from_torch(network(), SHAPE, counted, NAMES.__getitem__)


def test_two_layers_of_one_name_are_refused():
    with pytest.raises(WeightsError, match=r"both called 'same\.bias'"):
        tensor_shapes(network(), SHAPE, lambda _: "same")


def test_a_slope_and_an_unknown_leaf_keep_pytorchs_names():
    assert tensor_name("prelu/slope", lambda _: "act") == "act.weight"
    assert tensor_name("odd/gain", lambda _: "odd") == "odd.gain"
