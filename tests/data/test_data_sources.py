"""Prepared sets: made-up ones, the real ones where they are at hand, and every refusal."""

from __future__ import annotations

import subprocess
import sys

import made_up_set
import numpy as np
import pytest
import tensorflow_datasets as tfds
from real_sets import REAL, real

from ablax.data.images import ChannelStatistics
from ablax.data.sources import DataError, load, open_test_images


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def write_small(folder, **options):
    train = made_up_set.pictures(7, [(8, 8)])
    test = made_up_set.pictures(4, [(8, 8)], seed=1)
    splits = {"train": made_up_set.examples(train), "test": made_up_set.examples(test)}
    place = made_up_set.write(folder, splits, made_up_set.standard_features(), **options)
    return train, test, place


def test_a_prepared_set_gives_its_pictures_labels_and_classes(folder, cache):
    train, test, _ = write_small(folder)
    images = load("tfds:made_up", folder=folder, cache=cache)
    assert np.array_equal(images.train.images, np.stack(train))
    assert np.array_equal(images.test.images, np.stack(test))
    assert images.train.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert images.test.labels.dtype == np.int32
    assert images.classes == ("red", "green", "blue")
    assert images.image_shape == (8, 8, 3)
    assert images.name == "made_up/1.0.0"
    scaled = np.stack(train) / 255
    assert images.mean == pytest.approx(scaled.mean(axis=(0, 1, 2)), rel=1e-9)
    assert images.std == pytest.approx(scaled.std(axis=(0, 1, 2)), rel=1e-9)


def test_pictures_of_several_files_and_chunks_are_all_there_once(folder, cache, monkeypatch):
    monkeypatch.setattr("ablax.data.sources._CHUNK", 3)
    train, _, _ = write_small(folder, shards=2)
    seen = []
    images = load(
        "tfds:made_up",
        folder=folder,
        cache=cache,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert sorted(images.train.images[:, 0, 0, 0]) == list(range(7))
    assert sorted(image.tobytes() for image in images.train.images) == sorted(
        image.tobytes() for image in train
    )
    assert seen == [(3, 11), (6, 11), (7, 11), (10, 11), (11, 11)]


def test_the_second_load_maps_what_the_first_decoded(folder, cache):
    write_small(folder)
    first = load("tfds:made_up", folder=folder, cache=cache)

    def not_again(done, total):
        raise AssertionError

    second = load("tfds:made_up", folder=folder, cache=cache, progress=not_again)
    assert isinstance(second.train.images, np.memmap)
    assert not second.train.images.flags.writeable
    assert np.array_equal(first.train.images, second.train.images)
    assert np.array_equal(first.test.labels, second.test.labels)
    assert (first.mean, first.std, first.classes) == (second.mean, second.std, second.classes)


def test_a_damaged_cache_is_decoded_again(folder, cache):
    train, _, _ = write_small(folder)
    load("tfds:made_up", folder=folder, cache=cache)
    (file,) = cache.glob("*/train_images.npy")
    file.write_bytes(file.read_bytes()[:-1])
    images = load("tfds:made_up", folder=folder, cache=cache)
    assert np.array_equal(images.train.images, np.stack(train))


def test_another_content_of_the_same_name_is_not_taken_from_the_cache(tmp_path, cache):
    write_small(tmp_path / "one")
    others = made_up_set.examples(made_up_set.pictures(7, [(8, 8)], seed=9))
    splits = {"train": others, "test": others[:4]}
    made_up_set.write(tmp_path / "two", splits, made_up_set.standard_features())
    one = load("tfds:made_up", folder=tmp_path / "one", cache=cache)
    two = load("tfds:made_up", folder=tmp_path / "two", cache=cache)
    assert not np.array_equal(one.train.images, two.train.images)


def test_the_cache_is_used_by_default_where_the_environment_says(folder, cache, monkeypatch):
    write_small(folder)
    monkeypatch.setenv("ABLAX_CACHE", str(cache))
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    load("tfds:made_up")
    assert list(cache.glob("made_up-1.0.0-native-*/manifest.json"))


def test_a_set_in_the_data_folder_here_is_found(tmp_path, cache, monkeypatch):
    write_small(tmp_path / "data")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert load("tfds:made_up", cache=cache).name == "made_up/1.0.0"


def test_the_newest_version_is_taken_unless_one_is_named(folder, cache):
    write_small(folder, version="9.0.0")
    write_small(folder, version="10.0.0")
    assert load("tfds:made_up", folder=folder, cache=cache).name == "made_up/10.0.0"
    assert load("tfds:made_up:9.0.0", folder=folder, cache=cache).name == "made_up/9.0.0"
    with pytest.raises(DataError, match=r"made_up:8.0.0 is not prepared; .* holds .*made_up/9.0.0"):
        load("tfds:made_up:8.0.0", folder=folder, cache=cache)


def test_a_configuration_must_be_named_when_there_are_several(folder, cache):
    write_small(folder, config="big")
    assert load("tfds:made_up", folder=folder, cache=cache).name == "made_up/big/1.0.0"
    write_small(folder, config="small")
    with pytest.raises(DataError, match=r"several configurations .*made_up/big/1\.0\.0"):
        load("tfds:made_up", folder=folder, cache=cache)
    assert load("tfds:made_up/small", folder=folder, cache=cache).name == "made_up/small/1.0.0"
    assert load("tfds:made_up/small:1.0.0", folder=folder, cache=cache).train.images.shape[0] == 7


def test_gray_pictures_have_one_channel(folder, cache):
    gray = made_up_set.pictures(3, [(6, 5)], channels=1)
    splits = dict.fromkeys(["train", "test"], made_up_set.examples(gray))
    made_up_set.write(folder, splits, made_up_set.standard_features((6, 5, 1)))
    images = load("tfds:made_up", folder=folder, cache=cache)
    assert np.array_equal(images.train.images, np.stack(gray))
    assert len(images.mean) == 1


def test_pictures_of_several_sizes_need_an_image_size(folder, cache):
    mixed = made_up_set.examples(made_up_set.pictures(4, [(8, 6), (7, 9)]))
    features = made_up_set.standard_features((None, None, 3))
    made_up_set.write(folder, {"train": mixed, "test": mixed[:1]}, features)
    with pytest.raises(DataError, match=r"several sizes \(8 x 6 and 7 x 9\).*--data\.image-size"):
        load("tfds:made_up", folder=folder, cache=cache)
    images = load("tfds:made_up", folder=folder, cache=cache, image_size=5)
    assert images.train.images.shape == (4, 5, 5, 3)


def test_several_sizes_are_noticed_across_chunks_and_splits(folder, cache, monkeypatch):
    monkeypatch.setattr("ablax.data.sources._CHUNK", 1)
    mixed = made_up_set.examples(made_up_set.pictures(2, [(8, 6), (7, 9)]))
    features = made_up_set.standard_features((None, None, 3))
    made_up_set.write(folder, {"train": mixed, "test": mixed}, features, name="a")
    made_up_set.write(folder, {"train": mixed[:1], "test": mixed[1:]}, features, name="b")
    for name in ("a", "b"):
        with pytest.raises(DataError, match="several sizes"):
            load(f"tfds:{name}", folder=folder, cache=cache)


def test_a_resized_picture_keeps_its_middle(folder, cache):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 200  # the middle square
    splits = dict.fromkeys(["train", "test"], made_up_set.examples([pixels]))
    made_up_set.write(folder, splits, made_up_set.standard_features((None, None, 3)))
    images = load("tfds:made_up", folder=folder, cache=cache, image_size=20).train.images
    assert np.array_equal(images[0], np.full((20, 20, 3), 200))


def test_validation_is_the_test_where_the_test_has_no_labels(folder, cache):
    labeled = made_up_set.examples(made_up_set.pictures(3, [(8, 8)]))
    unlabeled = [each | {"label": -1} for each in labeled]
    splits = {"train": labeled, "test": unlabeled, "validation": labeled[:2]}
    made_up_set.write(folder, splits, made_up_set.standard_features())
    assert len(load("tfds:made_up", folder=folder, cache=cache).test) == 2


def test_the_supervised_label_is_taken_where_there_are_several(folder, cache):
    features = made_up_set.standard_features()
    features["coarse"] = tfds.features.ClassLabel(names=["x", "y"])
    both = [
        each | {"coarse": 1} for each in made_up_set.examples(made_up_set.pictures(3, [(8, 8)]))
    ]
    splits = {"train": both, "test": both}
    made_up_set.write(folder, splits, features, supervised=("image", "label"))
    assert load("tfds:made_up", folder=folder, cache=cache).classes == ("red", "green", "blue")
    made_up_set.write(folder, splits, features, name="unclear")
    with pytest.raises(DataError, match=r"expected one label .*found 2 among .*coarse"):
        load("tfds:unclear", folder=folder, cache=cache)


def test_a_set_without_labels_or_without_pictures_is_refused(folder, cache):
    standard = made_up_set.standard_features()
    example = made_up_set.examples(made_up_set.pictures(1, [(8, 8)]))[0]
    for missing, kind in (("label", "label"), ("image", "picture")):
        features = {name: each for name, each in standard.items() if name != missing}
        records = [{name: value for name, value in example.items() if name != missing}]
        splits = {"train": records, "test": records}
        made_up_set.write(folder, splits, features, name=f"no_{missing}")
        with pytest.raises(
            DataError, match=f"no set for image classification: expected one {kind}"
        ):
            load(f"tfds:no_{missing}", folder=folder, cache=cache)


def test_a_set_without_a_test_split_is_refused(folder, cache):
    records = made_up_set.examples(made_up_set.pictures(2, [(8, 8)]))
    made_up_set.write(folder, {"train": records}, made_up_set.standard_features())
    with pytest.raises(DataError, match="has the splits train; expected train, and test or valid"):
        load("tfds:made_up", folder=folder, cache=cache)


def test_a_set_whose_training_pictures_lack_labels_is_refused(folder, cache):
    records = made_up_set.examples(made_up_set.pictures(4, [(8, 8)]))
    some = [*records[:2], records[2] | {"label": -1}]
    splits = {"train": some, "test": records}
    made_up_set.write(folder, splits, made_up_set.standard_features())
    with pytest.raises(DataError, match=r"1 of 3 pictures in the train split .*no label of 0 to 2"):
        load("tfds:made_up", folder=folder, cache=cache)
    assert not list(cache.glob("*/manifest.json"))


def test_the_tfrecord_format_is_refused(folder, cache):
    write_small(folder, file_format="tfrecord")
    with pytest.raises(DataError, match=r"format tfrecord.*expected array_record.*make data DATA="):
        load("tfds:made_up", folder=folder, cache=cache)


def test_a_missing_and_a_damaged_record_file_are_refused(folder, cache):
    _, _, place = write_small(folder, shards=2)
    file = place / "made_up-train.array_record-00001-of-00002"
    content = bytearray(file.read_bytes())
    start = content.index(b"IDAT") + 4
    content[start : start + 40] = bytes(40)
    file.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        load("tfds:made_up", folder=folder, cache=cache)
    file.unlink()
    with pytest.raises(DataError, match=r"00001-of-00002 is missing.*make data DATA=made_up"):
        load("tfds:made_up", folder=folder, cache=cache)


def test_a_damaged_picture_is_named_by_number_split_and_set(folder, cache):
    train = made_up_set.examples(made_up_set.pictures(7, [(8, 8)]))
    splits = {"train": train, "test": train[:3]}
    train[5] = {"image": b"no picture", "label": 0}
    made_up_set.write(folder, splits, made_up_set.standard_features())
    with pytest.raises(DataError, match=r"picture 5 of the train split of made_up/1\.0\.0, of 10 "):
        load("tfds:made_up", folder=folder, cache=cache)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_without_pictures_is_refused(split, folder, cache):
    some = made_up_set.examples(made_up_set.pictures(7, [(8, 8)]))
    splits = {"train": some, "test": some, split: []}
    made_up_set.write(folder, splits, made_up_set.standard_features())
    with pytest.raises(
        DataError, match=r"tfds:made_up has no label|of tfds:made_up has no labeled"
    ):
        load("tfds:made_up", folder=folder, cache=cache)


def test_fewer_records_than_the_metadata_say_are_missed_when_the_set_is_opened(folder):
    _, _, place = write_small(folder)
    path = place / "dataset_info.json"
    path.write_text(path.read_text().replace('["7"]', '["99"]'))
    with pytest.raises(DataError, match=r"records 0 to 98 of the train split of made_up/1\.0\.0"):
        open_test_images("tfds:made_up", folder)


def test_a_set_that_may_not_be_read_is_refused_with_the_file(folder, cache, monkeypatch):
    write_small(folder)

    def forbidden(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("ablax.data.tfds.Path.iterdir", forbidden)
    with pytest.raises(DataError, match=r"cannot be read: .*Permission denied.*made_up/1\.0\.0"):
        load("tfds:made_up", folder=folder, cache=cache)


def test_metadata_that_cannot_be_read_are_refused(folder, cache):
    _, _, place = write_small(folder)
    (place / "dataset_info.json").write_text("{")
    with pytest.raises(DataError, match=r"metadata in .*made_up/1\.0\.0 cannot be read"):
        load("tfds:made_up", folder=folder, cache=cache)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("cifar10", r"'cifar10' is no data set: .* did you mean 'tfds:cifar10'\?"),
        ("digit", r"did you mean 'digits'\?"),
        ("tfds:", "expected tfds:NAME"),
        ("tfds:a b", "expected tfds:NAME"),
        ("tfds:made_up:one", "expected tfds:NAME"),
        ("", "expected 'digits', 'clothes' or 'tfds:NAME'"),
        ("tfds:mnist", r"holds made_up: `make data DATA=mnist`.*TFDS_DATA_DIR"),
        ("tfds:made_upp", r"did you mean 'made_up'\?"),
    ],
)
def test_a_wrong_name_is_refused_with_what_to_do(folder, source, message):
    write_small(folder)
    with pytest.raises(DataError, match=message):
        load(source, folder=folder)


def test_a_missing_or_empty_data_folder_is_refused_with_the_command(tmp_path):
    with pytest.raises(DataError, match=r"which does not exist: `make data DATA=mnist`.*needs a "):
        load("tfds:mnist", folder=tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no prepared set"):
        load("tfds:mnist", folder=tmp_path)
    (tmp_path / "mnist" / "half").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no prepared version"):
        load("tfds:mnist", folder=tmp_path)


@pytest.mark.parametrize("size", [0, -3])
def test_an_image_size_below_one_is_refused(size):
    with pytest.raises(DataError, match=f"image_size is {size}; expected at least 1"):
        load("digits", image_size=size)


def test_a_channel_that_never_changes_has_a_deviation_to_divide_by():
    statistics = ChannelStatistics(channels=2)
    statistics.add(np.full((2, 3, 3, 2), 255, np.uint8))
    assert statistics.mean == (1.0, 1.0)
    assert statistics.std == (1 / 255, 1 / 255)


def test_importing_the_sources_loads_no_slow_library():
    program = (
        "import sys, ablax.data.sources;"
        "slow = {'jax', 'sklearn', 'tensorflow', 'tensorflow_datasets', 'grain', 'flax'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_loading_prints_nothing(folder, cache):
    write_small(folder)
    program = (
        "import sys; from pathlib import Path; from ablax.data.sources import load;"
        "from absl import logging; logging.set_verbosity(logging.INFO);"
        "load('tfds:made_up', folder=Path(sys.argv[1]), cache=Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, str(folder), str(cache)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def real_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
@real("fashion_mnist")
def test_fashion_mnist_has_its_published_sizes_and_statistics(real_cache):
    images = load("tfds:fashion_mnist", folder=REAL, cache=real_cache)
    assert images.train.images.shape == (60_000, 28, 28, 1)
    assert images.test.images.shape == (10_000, 28, 28, 1)
    assert np.bincount(images.train.labels).tolist() == [6000] * 10
    assert np.bincount(images.test.labels).tolist() == [1000] * 10
    assert images.classes[0] == "T-shirt/top"
    assert images.classes[9] == "Ankle boot"
    assert images.mean == pytest.approx((0.2860,), abs=5e-5)
    assert images.std == pytest.approx((0.3530,), abs=5e-5)
    again = load("tfds:fashion_mnist", folder=REAL, cache=real_cache)
    assert isinstance(again.train.images, np.memmap)
    assert np.array_equal(again.train.images, images.train.images)


@pytest.mark.slow
@real("cifar10")
def test_cifar10_has_its_published_sizes_and_statistics(real_cache):
    images = load("tfds:cifar10", folder=REAL, cache=real_cache)
    assert images.train.images.shape == (50_000, 32, 32, 3)
    assert images.test.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(images.train.labels).tolist() == [5000] * 10
    assert np.bincount(images.test.labels).tolist() == [1000] * 10
    assert images.classes[::3] == ("airplane", "cat", "frog", "truck")
    assert images.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=1e-4)
    assert images.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=1e-4)
