"""Errors on shifted and resized images: laws of networks that commute with shifts, refusals."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from studies import study_of
from subjects import made_model, made_sample

from ablax.core import Layers, Network, initialize
from ablax.data.images import Split
from ablax.errors import AblaxError
from ablax.layers import Convolution
from ablax.measurements.measurement import Sample
from ablax.measurements.robustness import (
    errors_when_resized,
    errors_when_shifted,
    resized,
    shift_error,
    shifted_in_turn,
    size_error,
)
from ablax.model import Model
from ablax.report.study import Study
from ablax.zoo import heads

SIZE, BLOB = 16, slice(5, 11)
RANDOM = np.random.default_rng(0)


def blobs(count: int = 24) -> np.ndarray:
    """Random blobs, five pixels of black around each."""
    images = np.zeros((count, SIZE, SIZE, 1), np.uint8)
    images[:, BLOB, BLOB] = RANDOM.integers(0, 256, (count, 6, 6, 1))
    return images


IMAGES = blobs()


def given(head: Layers, images: np.ndarray = IMAGES) -> tuple[Model, Sample]:
    """A 3x3 convolution and a head, with the labels that it gives to half of the images."""
    network = Network(Layers(conv=Convolution(6, 3, use_bias=False)), Layers(), head)
    variables = initialize(network, 0, images.shape[1:])
    pixels = jnp.asarray(images / np.float32(255))
    labels = np.asarray(network.apply(variables, pixels)).argmax(1).astype(np.int32)
    labels[::2] = (labels[::2] + 1) % 4
    model = made_model(network, images.shape[1:], mean=(0.0,), std=(1.0,))
    return model, made_sample(Split(images, labels))


AVERAGE = given(heads.global_average_pool(4))
VECTORIZED = given(heads.vectorize(4, ()))


@pytest.mark.parametrize("measured", [AVERAGE, VECTORIZED], ids=["average", "vectorize"])
def test_a_shift_by_nothing_and_a_factor_of_one_give_the_plain_error(measured):
    model, sample = measured
    plain = model.error(sample.test.images, sample.test.labels)
    assert plain == 50.0
    assert errors_when_shifted(*measured, [0])[0] == {"shift": 0.0, "error": plain}
    assert errors_when_resized(*measured, [1.0])[0]["error"] == plain


def test_global_average_pool_over_a_convolution_does_not_see_a_shift_that_loses_nothing():
    # five black pixels around a blob: a shift of four leaves one for the convolution's window
    rows = errors_when_shifted(*AVERAGE, [0, 1, 2, 3, 4])
    assert [row["error"] for row in rows] == [50.0] * 5


def test_global_average_pool_sees_a_shift_that_drives_the_blob_over_the_border():
    shifted = AVERAGE[0].scores(shifted_in_turn(IMAGES, 8))
    assert np.abs(shifted - AVERAGE[0].scores(IMAGES)).max() > 0.01


def test_vectorize_sees_a_shift_that_global_average_pool_does_not():
    assert errors_when_shifted(*VECTORIZED, [4])[0]["error"] > 50.0


@pytest.mark.parametrize("shift", [1, 5])
def test_images_are_shifted_down_right_up_left_in_turn_and_black_enters(shift):
    images = RANDOM.integers(1, 256, (6, SIZE, SIZE, 2)).astype(np.uint8)
    moves = [(shift, 0), (0, shift), (-shift, 0), (0, -shift), (shift, 0), (0, shift)]
    expected = [
        ndimage.shift(image.astype(float), (*move, 0), order=0, mode="constant", cval=0)
        for image, move in zip(images, moves, strict=True)
    ]
    np.testing.assert_array_equal(shifted_in_turn(images, shift), expected)


def test_a_shift_changes_no_image_in_place():
    images = IMAGES.copy()
    shifted_in_turn(images, 3)
    np.testing.assert_array_equal(images, IMAGES)


@pytest.mark.parametrize("shift", [-1, 16])
def test_a_shift_that_leaves_nothing_is_refused(shift):
    with pytest.raises(AblaxError, match=f"the shift is {shift} pixels and the images have 16"):
        shifted_in_turn(IMAGES, shift)


def test_resizing_to_the_same_size_is_the_identity():
    np.testing.assert_array_equal(resized(IMAGES, (SIZE, SIZE)), IMAGES)


def test_resizing_is_linear_interpolation_between_centers_of_pixels():
    line = RANDOM.integers(0, 256, 8).astype(np.uint8)
    centers = (np.arange(20) + 0.5) / 20 * 8 - 0.5
    expected = np.interp(centers, np.arange(8), line)
    found = resized(np.tile(line, (1, 3, 1))[..., None], (6, 20))
    np.testing.assert_allclose(found[0, :, :, 0], np.tile(expected, (6, 1)), atol=1e-3)


def test_a_size_that_the_head_refuses_is_reported_as_such_and_not_as_an_error():
    smaller, own, larger = errors_when_resized(*VECTORIZED, [0.75, 1.0, 1.5])
    assert [row["image_size"] for row in (smaller, own, larger)] == [12.0, 16.0, 24.0]
    assert [row["refused"] for row in (smaller, own, larger)] == [1.0, 0.0, 1.0]
    assert math.isnan(smaller["error"])
    assert math.isnan(larger["error"])


@pytest.mark.slow
@pytest.mark.parametrize("head", [heads.pixel_learned(4), heads.spatial_weights(4)])
def test_heads_with_weights_by_place_take_other_sizes(head):
    rows = errors_when_resized(*given(head), [0.5, 2.0])
    assert all(row["refused"] == 0.0 and 0 <= row["error"] <= 100 for row in rows)


def test_the_error_at_another_size_is_that_of_all_images_whatever_the_portions(monkeypatch):
    whole = errors_when_resized(*AVERAGE, [1.5])
    monkeypatch.setattr("ablax.measurements.robustness.PORTION", 7)
    assert errors_when_resized(*AVERAGE, [1.5])[0]["error"] == pytest.approx(whole[0]["error"])


def test_quantities_pick_the_error_of_their_shift_and_size():
    shifts, sizes = shift_error((2, 4)), size_error((0.75, 1.5))
    rows = ({"shift": 2.0, "error": 7.0}, {"shift": 4.0, "error": 9.0})
    assert {name: q.of(rows) for name, q in shifts.quantities.items()} == {
        "shift_2": 7.0,
        "shift_4": 9.0,
    }
    assert list(sizes.quantities) == ["size_0_75", "size_1_5"]
    refused = ({"factor": 1.5, "error": math.nan},)
    assert math.isnan(sizes.quantities["size_1_5"].of(refused))


def test_a_negative_shift_and_a_factor_of_nothing_are_refused_before_anything_runs():
    with pytest.raises(AblaxError, match="a shift is -1"):
        shift_error((-1,))
    with pytest.raises(AblaxError, match=r"a factor on the image size is 0\.0"):
        size_error((0.0,))


def shown(name: str, measure, *arguments) -> Study:
    """Two heads and two seeds, measured."""
    heads_of = {"average": AVERAGE, "vectorize": VECTORIZED}
    rows = [
        {"variant": variant, "seed": seed, "step": 1, "epoch": 1.0, **row}
        for variant, of in heads_of.items()
        for seed in (0, 1)
        for row in measure(*of, *arguments)
    ]
    return study_of(name, tuple(heads_of), 2, rows)


def table_of(measurement, study):
    return measurement.section.tables[0](study)


def figure_of(measurement, study):
    return measurement.section.pictures[0].draw(study)


def test_the_table_says_who_refuses_and_the_figure_draws_only_what_was_measured():
    study = shown("size_error", errors_when_resized, [0.75, 1.0])
    table = table_of(size_error(), study)
    assert list(table.columns) == ["Variant", "12 x 12", "16 x 16", "n"]
    assert table.rows[1] == ("Vectorize", "refuses", "50.00 ± 0.00", "2")
    assert any("no error" in note for note in table.notes)
    (axes,) = figure_of(size_error(), study).axes
    labels = [line.get_label() for line in axes.lines if not line.get_label().startswith("_")]
    assert labels == ["Average", "Vectorize\n(refuses the others)"]
    assert axes.get_xlabel() == "height and width of the test images, pixels"


def test_the_shift_figure_has_a_line_a_variant_and_begins_at_no_shift():
    study = shown("shift_error", errors_when_shifted, [0, 4])
    (axes,) = figure_of(shift_error(), study).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "4"]
    assert len(axes.get_legend_handles_labels()[0]) == 2
    assert table_of(shift_error(), study).rows[0][1] == "50.00 ± 0.00"
