"""Networks that experiments compare at equal parameters have them, in every recipe that is run."""

from __future__ import annotations

import pytest

from ablax.core import count_parameters
from ablax.experiment import Inputs
from ablax.study.discovery import experiment

DIGITS = Inputs(16, 1, 10, 0.25)
COLOR = Inputs(32, 3, 10, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "one", "other", "inputs"),
    [
        ("separable", "standard_narrow", "depthwise_separable", DIGITS),
        ("dense_connections", "residual_small", "dense_small", DIGITS),
        ("dense_connections", "residual_medium", "dense_medium", DIGITS),
        ("dense_connections", "residual_large", "dense_large", DIGITS),
        ("dense_connections", "residual_large", "dense_large", COLOR),
        ("separable", "standard_narrow", "depthwise_separable", COLOR),
    ],
)
def test_pairs_have_equal_parameters_within_a_tenth(name, one, other, inputs):
    question = experiment(name)[1]
    counts = [
        count_parameters(question.network_of(variant, inputs), inputs.image_shape)
        for variant in (one, other)
    ]
    assert counts[0] == pytest.approx(counts[1], rel=0.1)
