"""Linear probes: the classifiers, the averaging of maps, the rows of a network, what is shown."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import jax
import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from subjects import made_model, made_sample

from ablax.core import Layers, Network, sequential
from ablax.data.digits import load_digits
from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.layers import Convolution, Dense, Flatten, ReLU
from ablax.measurements import probes
from ablax.measurements import probes as probe_classifiers
from ablax.measurements.probes import (
    PublishedProbes,
    convergence_note,
    layer_probes,
    places,
    probe,
    probe_figure,
    probe_table,
    probed_layers,
)
from ablax.report.study import PlanRecord, Study, Variant

LAYERS = {1: "s2", 2: "f6"}
TINY = Network(
    tail=Layers(s2=sequential(conv=Convolution(4, 5, stride=3), relu=ReLU())),
    body=Layers(),
    head=Layers(vectorize=Flatten(), f6=Dense(20), output=Dense(10)),
)
BOTH = pytest.mark.parametrize("classifier", ["svm", "softmax"])


def clusters(seed, count=300, classes=3, apart=8.0, features=5):
    """Points around `classes` corners of a simplex, as channels of one place."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    points = apart * np.eye(classes, features)[labels] + random.standard_normal((count, features))
    return points[:, None], labels


@pytest.fixture(scope="module")
def given():
    """An untrained network, 200 training and 150 test digits."""
    data = load_digits()
    train, test = (
        Split(split.images[:count], split.labels[:count])
        for split, count in ((data.train, 200), (data.test, 150))
    )
    model = made_model(TINY, (32, 32, 1), data.mean, data.std, classes=data.classes)
    return model, made_sample(test, train)


def later(model, sample):
    """The same after ten steps, which here made all weights positive."""
    positive = jax.tree.map(abs, model.variables)
    return replace(model, variables=positive), replace(sample, step=10, epoch=1.0)


@BOTH
def test_classes_that_lie_apart_cost_no_error(classifier):
    found = probe(classifier, clusters(0), clusters(1))
    assert found == (0.0, 0.0, 5, True)


@BOTH
def test_noise_is_classified_by_chance(classifier):
    random = np.random.default_rng(0)
    draws = [(random.standard_normal((n, 1, 20)), random.integers(0, 10, n)) for n in (300, 2000)]
    # 90 %, and four standard deviations of a proportion of 2,000
    assert probe(classifier, *draws).error == pytest.approx(90, abs=400 * (0.09 / 2000) ** 0.5)


@pytest.mark.parametrize(
    ("classifier", "oracle"),
    [("svm", LinearSVC(C=1.0, dual=False, tol=1e-8)), ("softmax", LogisticRegression(C=10.0))],
)
def test_error_is_that_of_scikit_learn_on_standardized_features(classifier, oracle):
    train, test = clusters(0, apart=2.0, features=9), clusters(1, apart=2.0, features=9)
    scaler = StandardScaler().fit(train[0][:, 0])
    oracle.fit(scaler.transform(train[0][:, 0]) / 3, train[1])
    expected = 100 * (1 - oracle.score(scaler.transform(test[0][:, 0]) / 3, test[1]))
    found = probe(classifier, train, test)
    assert 0 < expected < 60
    assert found.error == pytest.approx(expected, abs=1e-9)


@BOTH
def test_units_of_the_features_do_not_matter(classifier):
    (seen, labels), (unseen, others) = clusters(0, apart=2.0), clusters(1, apart=2.0)
    units = np.array([1e-3, 1.0, 20.0, 3e4, 7.0])
    found = probe(classifier, (units * seen + 5, labels), (units * unseen + 5, others))
    assert found.error == probe(classifier, (seen, labels), (unseen, others)).error > 0


@BOTH
def test_features_that_are_constant_in_training_change_nothing(classifier):
    (seen, labels), (unseen, others) = clusters(0, apart=2.0), clusters(1, apart=2.0)
    dead = np.full((300, 1, 4), 0.3, np.float32)
    surprising = 100 * np.random.default_rng(2).standard_normal((300, 1, 4))
    with_dead = np.concatenate([seen, dead], axis=-1), labels
    found = probe(classifier, with_dead, (np.concatenate([unseen, surprising], axis=-1), others))
    assert found.error == probe(classifier, (seen, labels), (unseen, others)).error > 0


def test_a_channel_is_standardized_over_all_its_places():
    # two places of one channel, the second dark in training: 1, -1, 1, -1 about a mean of 0
    train = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])[..., None]
    found = probe_classifiers._standardization(train)(np.array([[[1.0], [1.0]]]))
    # the deviation of four ones and four zeros is 1 / sqrt(2), the count 2
    np.testing.assert_allclose(found, [[1.0, 1.0]])


def test_standardized_features_have_a_mean_squared_length_of_one():
    features = np.random.default_rng(0).exponential(3.0, (50, 7, 4))
    features[..., 2] = 5.0
    found = probe_classifiers._standardization(features)(features)
    assert found.shape == (50, 28)
    assert (found**2).sum(axis=1).mean() == pytest.approx(1.0)


@BOTH
def test_features_that_are_not_finite_have_no_error(classifier):
    seen, labels = clusters(0)
    seen[3, 0, 2] = np.inf
    found = probe(classifier, (seen, labels), clusters(1))
    assert math.isnan(found.error)
    assert not found.converged


@BOTH
def test_a_fit_that_is_cut_short_says_so(classifier, monkeypatch):
    monkeypatch.setattr(probe_classifiers, "_ITERATIONS", 1)
    assert not probe(classifier, clusters(0, apart=1.0), clusters(1, apart=1.0)).converged


def test_warnings_other_than_of_convergence_are_passed_on():
    class Model:
        def fit(self, features, labels):
            warnings.warn("the moon is full", UserWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="the moon is full"):
        assert probe_classifiers._fit(Model(), *clusters(0))


def test_a_classifier_needs_two_classes_and_a_known_name():
    seen, labels = clusters(0)
    with pytest.raises(AblaxError, match="the 300 training images are all of one class"):
        probe("svm", (seen, 0 * labels), clusters(1))
    with pytest.raises(AblaxError, match="no classifier 'tree': choose 'svm' or 'softmax'"):
        # past the types, where these are checked
        getattr(probe, "__wrapped__", probe)("tree", (seen, labels), clusters(1))


def test_maps_within_the_limit_are_flattened_and_no_more():
    maps = np.arange(48.0).reshape(2, 3, 4, 2)
    np.testing.assert_array_equal(places(maps, limit=24), maps.reshape(2, 12, 2))


def test_maps_beyond_the_limit_are_averaged_over_bins():
    maps = np.arange(16.0, dtype=np.float32).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(places(maps, limit=4)[..., 0], [[2.5, 4.5, 10.5, 12.5]])
    # bins of 5 pixels in 3: 0 to 1, 1 to 3, 3 to 4
    line = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    rows = (line[:, None] + 10 * line)[None, ..., None].astype(np.float32)
    spans = [slice(0, 2), slice(1, 4), slice(3, 5)]
    expected = [rows[0, a, b, 0].mean() for a in spans for b in spans]
    np.testing.assert_allclose(places(rows, limit=15)[0, :, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "limit", "numbers"),
    [
        ((15, 15, 96), 3072, 5 * 5 * 96),
        ((32, 32, 3), 3072, 3072),
        ((7, 7, 256), 3072, 3 * 3 * 256),
        ((7, 3, 2), 30, 3 * 3 * 2),
        ((4, 4, 50), 10, 50),
    ],
)
def test_the_bins_are_the_most_that_the_limit_allows_and_at_least_one(shape, limit, numbers):
    assert places(np.zeros((2, *shape), np.float32), limit)[0].size == numbers


def test_averages_keep_the_mean_of_every_channel():
    maps = np.random.default_rng(0).standard_normal((3, 8, 8, 4)).astype(np.float32)
    pooled = places(maps, limit=16).reshape(3, 2, 2, 4)
    np.testing.assert_allclose(pooled.mean((1, 2)), maps.mean((1, 2)), atol=1e-6)


def test_vectors_are_left_as_they_are_and_other_shapes_are_refused():
    assert places(np.zeros((2, 5000)), limit=10).shape == (2, 1, 5000)
    with pytest.raises(AblaxError, match=r"shape \(2, 3, 4\) cannot be probed"):
        places(np.zeros((2, 3, 4)))


def test_layers_are_numbered_from_one():
    with pytest.raises(AblaxError, match="at least one is expected"):
        layer_probes({})
    with pytest.raises(AblaxError, match=r"\{0: 's2'\}"):
        layer_probes({0: "s2"})


@pytest.mark.slow
def test_a_layer_that_is_not_there_is_refused(given):
    with pytest.raises(AblaxError, match="did you mean 's2'"):
        probed_layers(*given, {1: "s22"})


@pytest.mark.slow
def test_rows_are_the_probes_of_the_features(given, monkeypatch):
    model, sample = given
    monkeypatch.setattr(probes, "_CHUNK", 70)
    rows = probed_layers(model, sample, LAYERS, images=120)
    assert [(row["depth"], row["layer"], row["classifier"]) for row in rows] == [
        *((0, "pixels", "svm"), (0, "pixels", "softmax")),
        *((-1, "HOG", "svm"), (-1, "HOG", "softmax")),
        *((1, "s2", "svm"), (1, "s2", "softmax")),
        *((2, "f6", "svm"), (2, "f6", "softmax")),
    ]
    seen = model.features(sample.train.images[:120], ["s2"])["s2"].reshape(120, -1, 4)
    unseen = model.features(sample.test.images, ["s2"])["s2"].reshape(150, -1, 4)
    train, test = (seen, sample.train.labels[:120]), (unseen, sample.test.labels)
    expected = probe("softmax", train, test)
    assert rows[5]["error"] == pytest.approx(expected.error, abs=100 / 150)
    assert (rows[5]["features"], rows[5]["train_images"], rows[5]["test_images"]) == (
        11 * 11 * 4,
        120,
        150,
    )
    assert {row["trained"] for row in rows} == {0.0}
    assert {row["converged"] for row in rows} == {1.0}


@pytest.mark.slow
def test_trained_rows_differ_from_untrained_ones_and_leave_out_the_pixels(given):
    before, after = probed_layers(*given, LAYERS), probed_layers(*later(*given), LAYERS)
    assert [row["depth"] for row in after] == [1, 1, 2, 2]
    assert {row["trained"] for row in after} == {1.0}
    assert [row["error"] for row in after] != [row["error"] for row in before[4:]]


def made_rows(seeds=(0, 1)):
    """Untrained 30 + depth and 40 + depth percent, trained 10 less a layer; pixels 50."""
    rows = []
    for seed in seeds:
        alike = {"variant": "full", "seed": seed, "features": 7, "converged": 1.0}
        for classifier in ("svm", "softmax"):
            pixels = {"layer": "pixels", "depth": 0, "trained": 0.0, "error": 50.0, "step": 0}
            rows.append({**alike, **pixels, "classifier": classifier})
            for depth, layer in LAYERS.items():
                for trained in (0.0, 1.0):
                    error = 30 + 10 * seed + depth - 10 * trained * depth
                    there = {"layer": layer, "depth": depth, "trained": trained, "error": error}
                    rows.append({**alike, **there, "classifier": classifier, "step": 9 * trained})
    return tuple(rows)


def made_study(rows):
    """A study of one variant and no runs."""
    plan = PlanRecord(
        name="probing",
        question="?",
        prediction="?",
        source="?",
        recipe_name="digits",
        recipe={},
        variants=(Variant("full", "full", 10, 10),),
        baseline="full",
        data_note="Digits.",
    )
    return Study(plan, measured={"layer_probes": rows})


def test_quantities_are_the_errors_of_one_run():
    rows = made_rows(seeds=(1,))
    quantities = layer_probes(LAYERS).quantities
    found = {name: quantities[name].of(rows) for name in quantities}
    assert found["svm_1"] == 31.0
    assert found["softmax_2"] == 22.0
    assert found["untrained_svm_2"] == 42.0
    assert found["softmax_pixels"] == 50.0
    assert math.isnan(quantities["svm_1"].of(rows[:1]))


def test_the_table_has_the_rows_of_the_lecture_and_the_published_figures():
    published = PublishedProbes("Caltech", "slide", {("svm", 2): (66.2, 0.5)})
    table = probe_table(made_study(made_rows()), layers=LAYERS, published=[published])
    cells = {row[0]: row[1:] for row in table.rows}
    assert list(cells) == [
        *("SVM, raw pixels", "SVM (1)", "SVM (2)"),
        *("Softmax, raw pixels", "Softmax (1)", "Softmax (2)", "The network itself"),
    ]
    # accuracies of 88 and 78 trained, 68 and 58 untrained
    assert cells["SVM (2)"] == ("f6", "7", "83.0 ± 7.1", "63.0 ± 7.1", "66.2 ± 0.5")
    assert cells["SVM, raw pixels"] == ("–", "7", "50.0", "50.0", "–")
    assert cells["Softmax (2)"][-1] == "–"
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_fits_that_did_not_converge_are_counted():
    rows = made_rows()
    rows = ({**rows[0], "converged": 0.0}, {**rows[1], "error": math.nan}, *rows[2:])
    assert convergence_note(made_study(rows), "layer_probes") == "18 of 19 fits converged."


def test_the_picture_shows_means_ranges_and_names_inside_the_panels():
    figure = probe_figure(made_study(made_rows()), layers=LAYERS)
    figure.draw_without_rendering()
    for axes in figure.axes:
        lines = {to_hex(line.get_color()): line for line in axes.lines}
        untrained, trained, pixels = lines.values()
        np.testing.assert_allclose(untrained.get_ydata(), [64, 63])
        np.testing.assert_allclose(trained.get_ydata(), [74, 83])
        np.testing.assert_allclose(pixels.get_ydata(), [50, 50])
        low, high = axes.get_ylim()
        names = {text.get_text(): text.xy[1] for text in axes.texts}
        assert sorted(names, key=names.get) == ["raw pixels", "untrained", "trained"]
        assert low < min(names.values()) < max(names.values()) < high
        band = axes.collections[1].get_paths()[0].vertices[:, 1]
        assert (band.min(), band.max()) == (69, 88)


def test_a_study_that_measured_nothing_is_drawn_all_the_same():
    study = made_study(())
    assert "nothing was measured" in {
        t.get_text() for t in probe_figure(study, layers=LAYERS).axes[0].texts
    }
    assert probe_table(study, layers=LAYERS, published=[]).rows[1][2:] == ("–", "–", "–")
