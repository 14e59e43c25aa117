"""A subject gives features and scores of raw images, whatever their number."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from subjects import made_subject

from ablax.core import Layers, Network
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, GlobalAveragePool
from ablax.measurements.measurement import PORTION

NETWORK = Network(
    Layers(conv=Convolution(2, 3)), Layers(), Layers(average=GlobalAveragePool(), scores=Dense(3))
)
SUBJECT = made_subject(NETWORK, count=PORTION + 5)


def test_portions_change_no_score_and_no_feature():
    images = SUBJECT.train.images
    whole = jnp.asarray((images / 255.0 - 0.5) / 0.25, jnp.float32)
    expected = NETWORK.apply(SUBJECT.variables, whole)
    np.testing.assert_allclose(SUBJECT.scores(images), expected, rtol=1e-4, atol=1e-5)
    found = SUBJECT.features(images, at=["conv", "scores"])
    assert found["conv"].shape == (PORTION + 5, 8, 8, 2)
    np.testing.assert_allclose(found["scores"], expected, rtol=1e-4, atol=1e-5)


def test_the_error_counts_the_images_whose_highest_score_is_another_class():
    right = SUBJECT.scores(SUBJECT.test.images).argmax(axis=1).astype(np.int32)
    assert SUBJECT.error(SUBJECT.test.images, right) == 0.0
    assert SUBJECT.error(SUBJECT.test.images, (right + 1) % 3) == 100.0


def test_a_layer_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(AblaxError, match=r"no layer 'convv'.*'conv'"):
        SUBJECT.features(SUBJECT.train.images, at=["convv"])
