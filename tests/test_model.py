"""A model prepares raw images and gives scores, features, losses and errors, whatever their number.

The network of most tests is one dense layer of weights of ours on images of two pixels, so that
every number can be computed by hand.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ablax.core import Layers, Network, abstract_variables, features
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, Flatten, GlobalAveragePool
from ablax.model import (
    PORTION,
    Model,
    Preprocessing,
    batches_of,
    error_rates,
    from_json,
    preprocessing_of,
)
from ablax.zoo import lenet5, resnet20, untrained

LINE = Network(Layers(flat=Flatten()), Layers(), Layers(scores=Dense(3, use_bias=False)))
KERNEL = np.array([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]], np.float32)


@pytest.fixture(scope="module")
def line():
    """s = (x1, 2 x2, -x1) of pixels x = (level / 255 - 0.5) / 0.25."""
    model = Model.untrained(LINE, (1, 2, 1), name="line", classes=("left", "right", "none"))
    return replace(model, variables={"params": {"scores": {"kernel": KERNEL}}, "batch_stats": {}})


def levels(*pairs):
    return np.array(pairs, np.uint8).reshape(-1, 1, 2, 1)


def test_scores_and_loss_are_those_computed_by_hand(line):
    # black is -2 and white 2
    found = line.scores(levels((255, 0), (0, 255)))
    np.testing.assert_allclose(found, [[2, -4, -2], [-2, 4, 2]], rtol=1e-6)
    expected = np.log(np.exp([2, -4, -2]).sum()) - 2
    assert line.loss(levels((255, 0)), np.array([0], np.int32)) == pytest.approx(expected, rel=1e-5)


def test_the_error_counts_the_images_whose_highest_score_is_another_class(line):
    images, labels = levels((255, 0), (0, 255), (255, 0)), np.array([0, 0, 2], np.int32)
    assert line.error(images, labels) == pytest.approx(200 / 3)
    rates = line.evaluate(images, labels)
    assert (rates.pictures, rates.top1, rates.top5) == (3, pytest.approx(200 / 3), 0.0)
    assert rates.top1_interval == pytest.approx((20.7660, 93.8510), abs=1e-3)  # Wilson, by hand
    assert rates.top5_interval[0] == 0 < rates.top5_interval[1] < 100


def test_a_picture_is_predicted_with_the_shares_of_the_softmax(line):
    shown = Image.fromarray(np.array([[255, 0]], np.uint8))
    ((first, second, last),) = line.predict([shown])
    assert (first.name, first.label) == ("left", 0)
    assert second.name == "none"
    shares = np.exp([2, -2, -4]) / np.exp([2, -2, -4]).sum()
    np.testing.assert_allclose([g.probability for g in (first, second, last)], shares, rtol=1e-5)
    assert len(line.predict([shown, shown], top=1)[1]) == 1


def test_the_precision_is_that_of_the_computation_and_scores_stay_float32(line):
    coarse = replace(line, precision="bfloat16")
    images = levels((201, 100))
    exact, rounded = line.scores(images), coarse.scores(images)
    assert rounded.dtype == np.float32
    x = jnp.asarray(line.normalized(images)).astype(jnp.bfloat16).reshape(1, 2)
    np.testing.assert_array_equal(rounded, x @ jnp.asarray(KERNEL, jnp.bfloat16))
    assert 0 < np.abs(exact - rounded).max() < 0.02


def test_portions_change_no_score_and_no_feature():
    network = Network(
        Layers(conv=Convolution(2, 3)),
        Layers(),
        Layers(average=GlobalAveragePool(), scores=Dense(3)),
    )
    model = Model.untrained(network, (8, 8, 1))
    images = np.random.default_rng(0).integers(0, 256, (PORTION + 5, 8, 8, 1)).astype(np.uint8)
    expected = network.apply(model.variables, jnp.asarray((images / 255.0 - 0.5) / 0.25))
    np.testing.assert_allclose(model.scores(images), expected, rtol=1e-4, atol=1e-5)
    found = model.features(images, at=["conv", "scores"])
    assert found["conv"].shape == (PORTION + 5, 8, 8, 2)
    np.testing.assert_allclose(found["scores"], expected, rtol=1e-4, atol=1e-5)


def test_a_layer_that_is_not_there_is_named_with_the_nearest(line):
    with pytest.raises(AblaxError, match=r"no layer 'score'.*'scores'"):
        line.features(levels((0, 0)), at=["score"])
    with pytest.raises(AblaxError, match=r"no layer 'score'.*'scores'"):
        line.cut("score")


@pytest.mark.slow
def test_a_cut_model_gives_the_features_of_the_whole_network():
    model = untrained("lenet5", 3)
    assert (model.title, len(model.classes)) == ("lenet5, untrained, seed 3", 10)
    images = jnp.float32(np.random.default_rng(0).normal(size=(1, 32, 32, 1)))
    whole = features(model.network, model.variables, images, at=["s4"])["s4"]
    np.testing.assert_allclose(model.cut("s4")(images), whole, rtol=1e-6)


def test_a_cut_model_takes_other_sizes_of_images():
    model = Model.untrained(lenet5(), (32, 32, 1), None)
    fn = replace(model, variables=jax.tree.map(lambda x: jnp.ones(x.shape), model.variables))
    assert jax.eval_shape(fn.cut("s4"), jnp.ones((2, 48, 40, 1))).shape == (2, 9, 7, 16)


def test_black_and_white_are_shown_as_they_were(line):
    low, high = line.range
    assert (low, high) == ((-2.0,), (2.0,))
    assert line.shown(np.full((1, 1, 1), low[0])).item() == 0
    assert line.shown(np.full((1, 1, 1), high[0])).item() == 1
    blue = replace(line, preprocessing=Preprocessing(1, None, channels="BGR"))
    pixel = blue.normalized(np.array([[[255, 51, 0]]], np.uint8))
    np.testing.assert_allclose(blue.shown(pixel)[0, 0], [1, 0.2, 0], atol=1e-6)


def test_parameters_come_in_the_order_of_the_network():
    network = resnet20()
    variables = abstract_variables(network, (16, 16, 3))
    found = list(Model("", network, variables, Preprocessing(16, 16), (), "").parameters())
    assert found[0].startswith("conv1/")
    assert found[-1].startswith("classifier/")


def test_without_a_seed_nothing_is_sampled():
    model = Model.untrained(lenet5(), (32, 32, 1), None, name="lenet5")
    leaves = jax.tree.leaves(model.variables)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)
    assert model.weights == "without weights"
    assert (model.what(), model.what(2)) == (
        "lenet5, 1 image of 32x32x1",
        "lenet5, 2 images of 32x32x1",
    )


def test_preprocessing_of_data_keeps_their_size_whatever_it_is():
    wide = preprocessing_of((4, 6, 3), (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    assert (wide.image_shape, wide.channels) == ((4, 6, 3), "RGB")
    assert wide.array(Image.new("RGB", (10, 8))).shape == (4, 6, 3)
    assert from_json({**wide.as_json(), "crop": [4, 6]}) == wide
    planes = preprocessing_of((4, 4, 5))
    assert planes.normalized(np.zeros((4, 4, 5), np.uint8)).shape == (4, 4, 5)
    with pytest.raises(AblaxError, match="takes 5 channels: expected pictures, of 1 or 3"):
        planes.array(Image.new("RGB", (4, 4)))


def as_scores(images):
    """A network that gives its images back, each of one pixel."""
    return jnp.asarray(images[:, 0, 0])


def test_of_equal_scores_the_first_class_counts():
    scores = np.array([[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0.0] * 6], np.float32)
    error = error_rates(as_scores, [(scores[:, None, None], np.array([0, 1, 5]))])
    assert (error.pictures, round(error.top1, 2), round(error.top5, 2)) == (3, 66.67, 33.33)


def test_the_last_batch_may_be_smaller_and_counts_no_more_than_it_has():
    pairs = [(np.eye(6, dtype=np.float32)[k, None, None], k) for k in range(5)]
    batches = list(batches_of(iter(pairs), 2))
    assert [len(labels) for _, labels in batches] == [2, 2, 1]
    sizes = []
    found = error_rates(lambda x: sizes.append(len(x)) or as_scores(x), batches)
    assert found[:3] == (5, 0.0, 0.0)
    assert sizes == [2, 2, 2]  # filled up, so that nothing compiles again
    with pytest.raises(AblaxError, match="no picture"):
        error_rates(as_scores, [])


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("classes", [3, 10])
def test_scores_that_are_no_numbers_are_wrong_in_top_1_and_top_5(broken, classes):
    scores = np.zeros((4, classes), np.float32)
    scores[:3, 1] = broken
    scores[3, 0] = -np.inf  # a class that cannot be: legal
    found = error_rates(as_scores, [(scores[:, None, None], np.array([0, 1, 2, 1]))])
    assert (found.top1, found.top5) == (75.0, 75.0)
