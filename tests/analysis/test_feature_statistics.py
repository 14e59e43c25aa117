"""Feature statistics: by hand, against numpy, and the same however the samples are cut up."""

import numpy as np
import pytest

from ablax.analysis.features import feature_statistics


def of(*batches, **options):
    return feature_statistics(lambda x: {"layer": x}, batches, **options)["layer"]


def test_feature_statistics_of_four_samples_by_hand():
    # units: dead; constant; on in 1 of 4; its opposite
    features = np.array([[0, 2, 4, -4], [0, 2, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0.0]])
    found = of(features, small_below=2.0)
    assert found.zeros.tolist() == [1, 0, 0.75, 0.75]
    assert found.small.tolist() == [1, 1, 0.75, 0.75]
    assert found.mean.tolist() == [0, 2, 1, -1]
    assert found.variance.tolist() == [0, 0, 3, 3]
    assert found.dead.tolist() == [True, False, False, False]
    assert found.constant.tolist() == [True, True, False, False]
    assert found.sparsity == 0.625
    assert found.correlation[2, 3] == pytest.approx(-1)
    assert np.isnan(found.correlation[0]).all()
    assert found.mean_correlation == pytest.approx(1)
    assert found.independent == pytest.approx(1)
    assert found.responses.tolist() == features.tolist()


def test_feature_statistics_do_not_depend_on_how_the_samples_are_cut():
    # far from 0, where a difference of sums of squares would lose everything
    features = np.random.default_rng(0).normal(size=(50, 3, 4, 6)) + 1e4
    features[..., 1] = features[..., 0] * 2 + features[..., 2]
    whole, parts = of(features), of(features[:7], features[7:8], features[8:])
    flat = features.reshape(-1, 6)
    for found in (whole, parts):
        np.testing.assert_allclose(found.variance, flat.var(0), rtol=1e-8)
        np.testing.assert_allclose(found.correlation, np.corrcoef(flat.T), atol=1e-8)
        np.testing.assert_allclose(found.mean, flat.mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.responses, features[:, 1, 2], rtol=1e-6)
        assert (found.samples, found.places, found.units) == (50, 12, 6)
    assert parts.low.tolist() == flat.min(0).tolist()
    assert parts.high.tolist() == flat.max(0).tolist()


def test_feature_statistics_count_independent_units():
    signal = np.random.default_rng(1).normal(size=(4000, 3))
    assert of(np.repeat(signal[:, :1], 5, axis=1)).independent == pytest.approx(1)
    assert of(signal).independent == pytest.approx(3, rel=0.01)
    assert of(np.repeat(signal, 2, axis=1)).independent == pytest.approx(3, rel=0.01)


def test_feature_statistics_count_saturated_values():
    features = np.array([[-0.99, 0.0], [0.5, 0.985]])
    assert of(features, bounds=(-1.0, 1.0)).saturated.tolist() == [0.5, 0.5]
    assert of(features, bounds={"other": (0.0, 1.0)}).saturated is None


def test_feature_statistics_keep_a_bounded_number_of_units_and_samples():
    found = of(
        *[np.random.default_rng(2).normal(size=(9, 100))] * 3, most_correlated=5, most_responses=20
    )
    assert found.correlated.tolist() == [0, 25, 50, 74, 99]
    assert found.correlation.shape == (5, 5)
    assert found.responses.shape == (20, 100)
    assert found.samples == 27


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "no batch of images"),
        ([np.ones(3)], "samples first and units last"),
        ([np.ones((2, 3)), np.ones((2, 4))], "the same layer"),
        ([np.array([[np.inf]])], "not finite"),
    ],
)
def test_feature_statistics_refuse_what_are_no_features(batches, message):
    with pytest.raises(ValueError, match=message):
        of(*batches)
