"""Fewer classes, fewer training images, some of them held out."""

from dataclasses import replace

import numpy as np
import pytest

from ablax.config import ConfigError, DataConfig
from ablax.data.digits import load_digits
from ablax.data.images import DataError, balanced_order, refuse_unlearnable, select


def test_nothing_asked_for_is_the_set_itself():
    digits = load_digits()
    assert select(digits) is digits


def test_a_smaller_share_is_the_beginning_of_a_larger_one():
    few, more = (select(load_digits(), held_out=1 / 6, share=share) for share in (1 / 12, 1 / 3))
    assert (len(few.train), len(more.train)) == (100, 399)
    np.testing.assert_array_equal(few.train.images, more.train.images[:100])
    np.testing.assert_array_equal(few.train.labels, more.train.labels[:100])


def test_a_share_holds_as_many_of_each_class():
    few = select(load_digits(), share=0.1)
    counts = np.bincount(few.train.labels)
    assert counts.max() - counts.min() <= 1


def test_held_out_and_training_images_are_different_ones_and_together_all():
    whole, chosen = load_digits(), select(load_digits(), held_out=0.25)
    parts = np.concatenate([chosen.train.images, chosen.held_out.images])
    ours = sorted(image.tobytes() for image in parts)
    assert ours == sorted(image.tobytes() for image in whole.train.images)
    assert len(chosen.held_out) == round(0.25 * len(whole.train))
    np.testing.assert_array_equal(chosen.test.images, whole.test.images)


def test_labels_stay_with_their_images():
    whole = load_digits()
    label = {image.tobytes(): int(name) for image, name in zip(*_parts(whole.train), strict=True)}
    chosen = select(whole, held_out=0.1, share=0.5, classes=(7, 2))
    for split in (chosen.train, chosen.held_out):
        for image, name in zip(*_parts(split), strict=True):
            assert label[image.tobytes()] == (7, 2)[name]
    assert set(chosen.test.labels) == {0, 1}
    assert len(chosen.test) == np.isin(whole.test.labels, (7, 2)).sum()
    assert chosen.classes == ("7", "2")


def _parts(split):
    return split.images, split.labels


def test_mean_and_deviation_are_those_of_the_images_trained_on():
    chosen = select(load_digits(), held_out=0.5, share=0.2)
    pixels = chosen.train.images / 255
    np.testing.assert_allclose(chosen.mean, [pixels.mean()])
    np.testing.assert_allclose(chosen.std, [pixels.std()])


def test_the_note_says_what_was_chosen():
    note = select(load_digits(), held_out=0.5, share=0.1, classes=(3, 8)).note
    assert note.startswith("classes 3, 8 alone; a fixed choice of 14 of 1,437 training images; 14")


def test_the_classes_take_turns_until_one_runs_out():
    labels = np.array([0] * 9 + [1] * 2)
    ordered = labels[balanced_order(labels)]
    assert ordered[:4].sum() == 2
    assert set(ordered[4:]) == {0}


def test_a_class_that_the_set_lacks_is_refused():
    with pytest.raises(
        DataError, match=r"data\.classes names 12, and digits has the labels 0 to 9"
    ):
        select(load_digits(), classes=(3, 12))


def test_a_share_of_no_image_is_refused():
    with pytest.raises(DataError, match=r"none: raise --data\.share"):
        select(load_digits(), share=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"share": 0.0}, "data.share is 0.0, and above 0 and at most 1"),
        ({"held_out": 1.0}, "data.held-out is 1.0, and 0 or more, below 1"),
        ({"classes": (3,)}, "two or more different labels"),
        ({"classes": (3, 3)}, "two or more different labels"),
        ({"stream": True, "image_size": 8, "share": 0.5}, "data.stream is True, and False"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_its_field(fields, message):
    with pytest.raises(ConfigError, match=message):
        DataConfig(**fields)


@pytest.mark.parametrize("label", [-1, 10])
@pytest.mark.parametrize("part", ["train", "test", "held_out"])
def test_a_label_of_no_class_is_refused_with_the_data(part, label):
    whole = select(load_digits(), held_out=0.25)
    labels = getattr(whole, part).labels.copy()
    labels[7] = label
    name = {"train": "training", "test": "test", "held_out": "held-out"}[part]
    with pytest.raises(DataError, match=f"the {name} images of .* have the label {label}: .*10 cl"):
        replace(whole, **{part: replace(getattr(whole, part), labels=labels)})


def test_too_much_held_out_is_to_be_lowered():
    with pytest.raises(DataError, match=r"none: lower --data\.held-out"):
        select(load_digits(), held_out=0.9999)
    with pytest.raises(DataError, match=r"none: raise --data\.held-out"):
        select(load_digits(), held_out=1e-9)


def test_training_images_of_one_class_or_without_a_difference_are_refused():
    whole = load_digits()
    refuse_unlearnable(whole)
    ones = replace(whole, train=replace(whole.train, labels=np.ones_like(whole.train.labels)))
    with pytest.raises(DataError, match="every training image of digits is of the class '1': give"):
        refuse_unlearnable(ones)
    with pytest.raises(DataError, match="every training image of digits is the same"):
        refuse_unlearnable(replace(whole, std=(1 / 255,)))
