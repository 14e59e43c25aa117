"""Files that PyTorch itself wrote (`files/write_files.py`), read without it; and damaged ones."""

import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from ablax.errors import WeightsError
from ablax.weights.files import read_weights


def read_torch(path):
    form, tensors = read_weights(path)
    assert form == "torch"
    return tensors


FILES = Path(__file__).parent / "files"


@pytest.mark.parametrize("name", ["archive.pth", "row.pth"])
def test_tensors_of_both_formats_have_their_numbers_shapes_and_types(name):
    found = read_torch(FILES / name)
    expected = {
        "whole": np.array([[0, 1, 2], [3, 4, 5]], np.float32),
        "turned": np.array([[0, 3], [1, 4], [2, 5]], np.float32),
        "first": np.array([0, 1, 2], np.float32),
        "last": np.array([3, 4, 5], np.float32),
        "half": np.array([0.5, -2], np.float16),
        "brain": np.array([0.5, -2], ml_dtypes.bfloat16),
        "double": np.array(1.25),
        "count": np.array(7),
        "flags": np.array([True, False]),
        "empty": np.zeros((0, 4), np.float32),
        "parameter": np.ones(2, np.float32),
    }
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape), key
        np.testing.assert_array_equal(found[key], array)


def test_a_training_checkpoint_gives_its_weights_as_they_are_called():
    found = read_torch(FILES / "checkpoint.pth")
    assert list(found) == ["module.weight", "module.bias"]
    np.testing.assert_allclose(
        found["module.weight"], np.full((1, 2), 2.9), rtol=1e-6
    )  # after one step


def test_a_whole_model_needs_code_and_is_refused_with_what_to_do():
    with pytest.raises(WeightsError, match=r"(?s)calls torch\.nn.*Linear.*model\.state_dict\(\)"):
        read_torch(FILES / "whole_model.pth")


def rewritten(tmp_path, change):
    """The archive with `change(name, data)` for the contents of each record, None to drop it."""
    path = tmp_path / "changed.pth"
    with zipfile.ZipFile(FILES / "archive.pth") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name, data: None if name.endswith("data/0") else data, "record data/0 is missing"),
        (lambda name, data: data[:-4] if name.endswith("data/0") else data, "does not have its"),
        (lambda name, data: None if name.endswith("data.pkl") else data, "no data.pkl"),
        (lambda name, data: data[:40] if name.endswith("data.pkl") else data, "damaged"),
        (
            lambda name, data: data.replace(b"FloatStorage", b"OddlyStorage"),
            "unknown type, 'OddlyStorage'",
        ),
    ],
)
def test_a_damaged_archive_is_named_with_what_is_wrong(change, message, tmp_path):
    with pytest.raises(WeightsError, match=message):
        read_torch(rewritten(tmp_path, change))


def test_a_tensor_that_reaches_out_of_its_storage_is_refused(tmp_path):
    # `whole` is 2 x 3 with strides 3 and 1: K\x02K\x03 is its size in the pickle.
    def longer(name, data):
        return data.replace(b"K\x02K\x03", b"K\x09K\x03") if name.endswith("data.pkl") else data

    with pytest.raises(WeightsError, match="reaches out of its storage"):
        read_torch(rewritten(tmp_path, longer))


def test_a_row_that_ends_early_is_refused(tmp_path):
    path = tmp_path / "short.pth"
    path.write_bytes((FILES / "row.pth").read_bytes()[:-8])
    with pytest.raises(WeightsError, match="ends before its"):
        read_torch(path)


def test_other_pickles_and_values_that_are_no_weights_are_refused(tmp_path):
    import pickle

    path = tmp_path / "list.pkl"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(WeightsError, match="does not begin as one"):
        read_torch(path)


@pytest.mark.parametrize("name", ["data.pkl", "data/0"])
def test_compressed_records_are_refused_before_they_are_unpacked(name, tmp_path):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/version", b"3")
        archive.writestr(f"archive/{name}", b"\0" * 1000, zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="compressed"):
        read_torch(path)
