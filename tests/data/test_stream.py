"""The stream: every picture counted once, every step reachable, on photographs of any size."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path

import made_up_set
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from real_sets import REAL, real

from ablax.data.images import DataError
from ablax.data.stream import open_stream
from ablax.data.tfds import center, decode, random_crop

SIZES = [(60, 80), (45, 33), (100, 40), (32, 32)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder like ImageNet's: JPEG files of several sizes, a test split without labels."""
    folder = tmp_path_factory.mktemp("imagenet")
    features = {
        "file_name": tfds.features.Text(),
        "image": tfds.features.Image(encoding_format="jpeg"),
        "label": tfds.features.ClassLabel(names=["red", "green", "blue"]),
    }
    splits = {}
    for split, count, seed in (("train", 22, 0), ("validation", 11, 1), ("test", 5, 2)):
        records = made_up_set.examples(made_up_set.pictures(count, SIZES, seed=seed), "JPEG")
        for i, record in enumerate(records):
            record["file_name"] = f"{split}_{i}.JPEG"
            if split == "test":
                record["label"] = -1
        splits[split] = records
    # One gray file and one in CMYK, as there are in ImageNet.
    splits["train"][3]["image"] = made_up_set.encode(np.full((50, 50, 1), 90, np.uint8), "JPEG")
    splits["train"][4]["image"] = made_up_set.encode_cmyk(np.full((50, 40, 3), 90, np.uint8))
    made_up_set.write(folder, splits, features, name="imagenet2012", version="5.1.0", shards=2)
    return folder


@pytest.fixture(scope="module")
def images(folder):
    return open_stream("tfds:imagenet2012", folder=folder, image_size=16)


def test_a_stream_knows_its_sizes_before_it_reads(images):
    assert images.image_shape == (16, 16, 3)
    assert (images.train_size, images.test_size) == (22, 11)
    assert images.classes == ("red", "green", "blue")
    assert images.name == "imagenet2012/5.1.0"
    assert len(images.mean) == len(images.std) == 3
    assert images.note == ""


def test_the_test_pictures_come_once_each_and_the_last_batch_is_smaller(images):
    batches = list(images.test(batch=4))
    assert [len(labels) for _, labels in batches] == [4, 4, 3]
    labels = np.concatenate([labels for _, labels in batches])
    # Written to two files in turn, labels 0 1 2 0 1 2 ...
    expected = [i % 3 for i in range(11)]
    assert labels.tolist() == expected[0::2] + expected[1::2]
    assert all(pixels.shape[1:] == (16, 16, 3) for pixels, _ in batches)
    assert {pixels.dtype for pixels, _ in batches} == {np.dtype(np.uint8)}
    assert {labels.dtype for _, labels in batches} == {np.dtype(np.int32)}


def test_the_test_pictures_do_not_depend_on_the_batch(images):
    one = np.concatenate([pixels for pixels, _ in images.test(batch=1)])
    all_at_once = next(images.test(batch=100))[0]
    assert np.array_equal(one, all_at_once)


def test_a_test_picture_is_its_middle_seven_eighths(images, folder):
    big = open_stream("tfds:imagenet2012", folder=folder, image_size=28)
    pixels = next(big.test(batch=1))[0][0]
    first = made_up_set.encode(made_up_set.pictures(1, SIZES, seed=1)[0], "JPEG")
    assert np.array_equal(pixels, np.asarray(center(decode(first, 3), 28, shorter=32)))


def test_training_goes_on_at_any_step_bit_for_bit(images):
    straight = list(itertools.islice(images.train(batch=5, seed=7), 11))  # two epochs and a half
    for start in (1, 4, 9):
        resumed = itertools.islice(images.train(batch=5, seed=7, start_step=start), 11 - start)
        for (pixels, labels), (again, labels_again) in zip(straight[start:], resumed, strict=True):
            assert np.array_equal(pixels, again)
            assert np.array_equal(labels, labels_again)


def test_an_epoch_shows_no_picture_twice_and_each_epoch_has_its_own_order(folder):
    made_up = made_up_set.pictures(12, [(8, 8)])
    flat = [np.full((8, 8, 3), 20 * i, np.uint8) for i in range(len(made_up))]
    splits = dict.fromkeys(["train", "test"], made_up_set.examples(flat))
    made_up_set.write(folder, splits, made_up_set.standard_features(), name="flat")
    images = open_stream("tfds:flat", folder=folder, image_size=4)
    batches = images.train(batch=5, seed=3)
    steps = [pixels[:, 0, 0, 0] // 20 for pixels, _ in itertools.islice(batches, 6)]
    epochs = [np.concatenate(steps[i : i + 2]).tolist() for i in (0, 2, 4)]
    assert all(len(set(epoch)) == 10 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_labels_stay_with_their_pictures(folder):
    flat = [np.full((8, 8, 3), 80 * (i % 3), np.uint8) for i in range(12)]
    splits = dict.fromkeys(["train", "test"], made_up_set.examples(flat))
    made_up_set.write(folder, splits, made_up_set.standard_features(), name="labeled")
    images = open_stream("tfds:labeled", folder=folder, image_size=4)
    for batches in (images.train(batch=5, seed=0), images.test(batch=5)):
        for pixels, labels in itertools.islice(batches, 2):
            assert np.array_equal(pixels[:, 2, 2, 1] // 80, labels)


def test_other_seeds_give_other_orders_and_crops(images):
    one, other = (next(images.train(batch=22, seed=seed))[0] for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_the_crops_of_a_picture_differ_from_epoch_to_epoch(folder):
    gradient = np.arange(64, dtype=np.uint8)[:, None, None] * np.ones((1, 64, 3), np.uint8)
    splits = dict.fromkeys(["train", "test"], made_up_set.examples([gradient]))
    made_up_set.write(folder, splits, made_up_set.standard_features((64, 64, 3)), name="one")
    images = open_stream("tfds:one", folder=folder, image_size=16)
    seen = {pixels.tobytes() for pixels, _ in itertools.islice(images.train(batch=1, seed=0), 8)}
    assert len(seen) == 8


def test_a_random_crop_covers_the_published_areas_and_aspects():
    # The picture holds its own coordinates, so a crop tells where it was cut.
    height, width = 200, 240
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    picture = Image.fromarray(np.stack([rows, columns, rows], axis=-1))
    random = np.random.default_rng(0)
    areas, aspects = [], []
    for _ in range(300):
        crop = np.asarray(random_crop(picture, 64, random)).astype(float)
        h = (crop[-1, :, 0] - crop[0, :, 0]).mean() * 64 / 63
        w = (crop[:, -1, 1] - crop[:, 0, 1]).mean() * 64 / 63
        areas.append(h * w / (height * width))
        aspects.append(w / h)
    assert 0.07 < min(areas) < 0.11
    assert 0.85 < max(areas) < 1.02
    assert 0.73 < min(aspects) < 0.8
    assert 1.25 < max(aspects) < 1.37


def test_a_random_crop_of_a_strip_falls_back_to_its_middle_square():
    strip = np.zeros((4, 400, 3), np.uint8)
    strip[:, 198:202] = 255
    crop = random_crop(Image.fromarray(strip), 4, np.random.default_rng(0))
    assert np.array_equal(np.asarray(crop), np.full((4, 4, 3), 255))


def test_the_center_is_cut_after_the_shorter_side_is_scaled():
    # 32 x 64, shorter side to 16: 16 x 32; the middle 14 x 14 spans 2 to 30 rows of the original.
    rows, columns = np.mgrid[:32, :64].astype(np.uint8)
    picture = Image.fromarray(np.stack([rows, columns, rows], axis=-1))
    cut = np.asarray(center(picture, 14, shorter=16)).astype(float)
    assert cut.shape == (14, 14, 3)
    np.testing.assert_allclose(cut[:, 0, 0], 2.5 + 2 * np.arange(14), atol=0.6)
    np.testing.assert_allclose(cut[0, :, 1], 18.5 + 2 * np.arange(14), atol=0.6)


@pytest.mark.slow
def test_workers_give_the_same_batches(folder):
    program = (
        "import sys, itertools, hashlib; from pathlib import Path\n"
        "from ablax.data.stream import open_stream\n"
        "def main():\n"
        "    images = open_stream('tfds:imagenet2012', folder=Path(sys.argv[1]), image_size=16)\n"
        "    batches = images.train(batch=5, seed=7, start_step=2, workers=2)\n"
        "    for pixels, labels in itertools.islice(batches, 3):\n"
        "        print(hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest())\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    script = folder / "program.py"
    script.write_text(program)
    command = [sys.executable, str(script), str(folder)]
    with_workers = subprocess.run(command, capture_output=True, text=True, check=False)
    script.write_text(program.replace("workers=2", "workers=0"))
    without = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (with_workers.stderr, with_workers.returncode) == ("", 0)
    assert with_workers.stdout == without.stdout
    assert len(set(without.stdout.split())) == 3


def of_group(group):
    """The processes of a group that are still there, by their numbers."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, number = place.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(number) == group and state != "Z":
            found.append(int(place.parent.name))
    return found


def shared():
    return set(Path("/dev/shm").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="needs Linux")
def test_a_killed_run_leaves_no_worker_and_no_shared_memory(folder):
    script = folder / "endless.py"
    script.write_text(
        "import sys; from pathlib import Path\n"
        "from ablax.data.stream import open_stream\n"
        "def main():\n"
        "    images = open_stream('tfds:imagenet2012', folder=Path(sys.argv[1]), image_size=16)\n"
        "    for pixels, labels in images.train(batch=5, seed=7, workers=2):\n"
        "        print('batch', flush=True)\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    before = shared()
    command = [sys.executable, str(script), str(folder)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert run.stdout.readline() == b"batch\n"
    assert len(of_group(run.pid)) >= 3
    run.kill()
    run.communicate(timeout=30)  # whoever is left has its output open
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (of_group(run.pid) or shared() - before):
        time.sleep(0.1)
    assert of_group(run.pid) == []
    assert shared() - before == set()


def test_a_batch_larger_than_the_set_and_numbers_out_of_range_are_refused(images):
    with pytest.raises(DataError, match=r"batch is 23; imagenet2012/5\.1\.0 has 22 training"):
        images.train(batch=23, seed=0)
    for wrong in ({"batch": 0, "seed": 0}, {"batch": 2, "seed": 0, "workers": -1}):
        with pytest.raises(DataError, match=r"batch is .* expected 1 or more"):
            images.train(**wrong)
    for wrong in ({"seed": -1}, {"seed": 2**32}, {"seed": 0, "start_step": -1}):
        with pytest.raises(DataError, match="expected 0 to 2³² - 1"):
            images.train(batch=2, **wrong)
    with pytest.raises(DataError, match="batch is 0"):
        images.test(batch=0)


def test_what_cannot_be_streamed_is_refused(folder):
    with pytest.raises(DataError, match="'digits' is embedded"):
        open_stream("digits", image_size=16)
    with pytest.raises(DataError, match="image_size is 0"):
        open_stream("tfds:imagenet2012", folder=folder, image_size=0)
    with pytest.raises(DataError, match="make data DATA=imagenet"):
        open_stream("tfds:imagenet", folder=folder, image_size=16)


@pytest.mark.slow
@real("cifar10")
def test_the_real_cifar10_streams():
    images = open_stream("tfds:cifar10", folder=REAL, image_size=28)
    assert (images.train_size, images.test_size) == (50_000, 10_000)
    pixels, labels = next(images.train(batch=64, seed=0, start_step=1000))
    assert pixels.shape == (64, 28, 28, 3)
    assert len(set(labels.tolist())) > 5
    pixels, _ = next(images.test(batch=64))
    assert 60 < pixels.mean() < 180
