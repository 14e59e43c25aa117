"""Whoever wrote a file of weights, it is known by its bytes; Caffe's and Keras' layouts by hand."""

import hashlib
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from odd_weights import call, in_safetensors, saved
from safetensors.numpy import save_file

from ablax.errors import WeightsError
from ablax.weights.files import open_file, read_weights

FILES = Path(__file__).parent / "files"


def varint(number):
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def field(number, data):
    """A field of a protocol buffer that holds bytes: tag, length, bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob(array):
    """caffe.proto: BlobProto.shape = 7 (BlobShape.dim = 1, packed), data = 5, packed floats."""
    numbers = struct.pack(f"<{array.size}f", *array.ravel())
    shape = field(1, b"".join(varint(size) for size in array.shape))
    return field(7, shape) + field(5, numbers)


def layer(name, kind, *arrays, bottom="data", top=None):
    """LayerParameter: name 1, type 2, bottom 3, top 4, blobs 7; NetParameter.layer = 100."""
    data = field(1, name.encode()) + field(2, kind.encode()) + field(3, bottom.encode())
    data += field(4, (top or name).encode())
    return field(100, data + b"".join(field(7, blob(array)) for array in arrays))


def test_caffes_blobs_are_tensors_of_the_same_axes(tmp_path):
    kernel = np.arange(12, dtype=np.float32).reshape(2, 3, 2, 1)
    path = tmp_path / "net.caffemodel"
    path.write_bytes(
        field(1, b"net")
        + layer("data", "Input")
        + layer("conv1", "Convolution", kernel, kernel[:, 0, 0, 0])
    )
    form, found = read_weights(path)
    assert (form, list(found)) == ("caffe", ["conv1.weight", "conv1.bias"])
    np.testing.assert_array_equal(found["conv1.weight"], kernel)
    np.testing.assert_array_equal(found["conv1.bias"], [0, 6])


def test_caffes_batch_normalization_is_divided_by_its_factor_and_gets_the_scale_behind_it(tmp_path):
    sums = np.array([10.0, 20.0], np.float32)
    path = tmp_path / "net.caffemodel"
    path.write_bytes(
        layer("bn1", "BatchNorm", sums, 2 * sums, np.array([5.0], np.float32), top="conv1")
        + layer("scale1", "Scale", sums, sums + 1, bottom="conv1", top="conv1")
    )
    found = read_weights(path)[1]
    assert {name: array.tolist() for name, array in found.items()} == {
        "bn1.running_mean": [2.0, 4.0],
        "bn1.running_var": [4.0, 8.0],
        "bn1.weight": [10.0, 20.0],
        "bn1.bias": [11.0, 21.0],
    }


def test_the_first_format_of_caffe_has_four_axes_for_everything(tmp_path):
    # NetParameter.layers = 2; V1LayerParameter: name 4, blobs 6; BlobProto: 1 to 4 are the axes.
    def old(shape, numbers):
        axes = b"".join(varint(k << 3) + varint(size) for k, size in enumerate(shape, start=1))
        return axes + field(5, struct.pack(f"<{len(numbers)}f", *numbers))

    weight = field(6, old((1, 1, 2, 3), range(6)))
    bias = field(6, old((1, 1, 1, 2), range(2)))
    path = tmp_path / "old.caffemodel"
    path.write_bytes(field(2, field(4, b"fc8") + weight + bias))
    found = read_weights(path)[1]
    assert found["fc8.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["fc8.bias"].tolist() == [0, 1]


def keras_file(path, layers, group=None):
    """The format of keras.applications: attributes name the layers, and in each its weights."""
    with h5py.File(path, "w") as file:
        place = file.create_group(group) if group else file
        place.attrs["layer_names"] = [name.encode() for name in layers]
        for name, weights in layers.items():
            inner = place.create_group(name)
            inner.attrs["weight_names"] = [f"{name}/{leaf}:0".encode() for leaf in weights]
            for leaf, array in weights.items():
                inner[f"{name}/{leaf}:0"] = array
    return path


@pytest.mark.parametrize("group", [None, "model_weights"])
def test_kerass_kernels_come_in_pytorchs_order_of_axes(tmp_path, group):
    kernel = np.arange(24.0).reshape(1, 2, 3, 4)
    layers = {
        "relu": {},
        "conv": {"kernel": kernel},
        "dw": {"depthwise_kernel": kernel[..., :1]},
        "sep": {"depthwise_kernel": kernel[..., :2], "pointwise_kernel": kernel[:, :1]},
        "fc": {"kernel": kernel[0, 0], "bias": kernel[0, 0, 0]},
        "bn": {"gamma": kernel[0, 0, 0], "moving_variance": kernel[0, 0, 1]},
    }
    form, found = read_weights(keras_file(tmp_path / "w.h5", layers, group))
    assert form == "keras"
    np.testing.assert_array_equal(found["conv.weight"], kernel.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(found["dw.weight"], kernel[..., 0].transpose(2, 0, 1)[:, None])
    depthwise = found["sep.depthwise.weight"]
    assert depthwise.shape == (6, 1, 1, 2)
    # Feature c * multiplier + m is window m of channel c.
    np.testing.assert_array_equal(depthwise[2 * 2 + 1, 0], kernel[:, :, 2, 1])
    assert found["sep.pointwise.weight"].shape == (4, 3, 1, 1)
    np.testing.assert_array_equal(found["fc.weight"], kernel[0, 0].T)
    assert set(found) >= {"fc.bias", "bn.weight", "bn.running_var"}


def test_a_weight_of_keras_that_nobody_knows_is_refused(tmp_path):
    path = keras_file(tmp_path / "w.h5", {"rnn": {"recurrent_kernel": np.zeros((2, 2))}})
    with pytest.raises(WeightsError, match="'rnn' has a weight 'recurrent_kernel'"):
        read_weights(path)


def test_safetensors_are_read(tmp_path):
    save_file({"a.weight": np.arange(3, dtype=np.float32)}, tmp_path / "w.safetensors")
    form, found = read_weights(tmp_path / "w.safetensors")
    assert (form, found["a.weight"].tolist()) == ("torch", [0, 1, 2])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("w.bin", b"something else", "is no file of weights that ablax knows"),
        ("w.caffemodel", b"\xff" * 20, "cannot be read as a file of Caffe's"),
        ("w.caffemodel", b"\x0a\x01a", "holds no weights"),
        ("w.pth", b"", "is empty: download it again"),
        ("w.pth", b"PK\x03\x04" + b"\0" * 200, "is cut off"),
        ("w.pth", b"<!DOCTYPE html><title>Sign in</title>", "is a web page"),
        ("w.safetensors", struct.pack("<Q", 10**6) + b"{}", "cannot be read as safetensors"),
        ("w.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "cannot be read as a file of Keras'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_form(name, data, message, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(WeightsError, match=message):
        read_weights(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match="there is no file"):
        read_weights(tmp_path / "nowhere.pth")


def test_a_file_named_after_its_checksum_is_held_to_it(tmp_path):
    data = (FILES / "archive.pth").read_bytes()
    good = tmp_path / f"net-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    good.write_bytes(data)
    assert "whole" in read_weights(good)[1]
    bad = tmp_path / "net-0123456f.pth"
    bad.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256 begins with"):
        read_weights(bad)


@pytest.mark.parametrize("name", ["net-20251130.pth", "net-12345678.pth", "net-2025113012.pth"])
def test_digits_that_may_be_a_date_are_no_checksum(name, tmp_path):
    path = tmp_path / name
    path.write_bytes((FILES / "archive.pth").read_bytes())
    assert "whole" in read_weights(path)[1]
    # but where somebody publishes a file of that name, they are
    with pytest.raises(WeightsError, match="SHA-256 begins with"), open_file(path, {name}):
        pass


@pytest.mark.parametrize("start", [b"\x80", b"PK"])
def test_a_header_whose_length_looks_like_another_form_is_safetensors(start, tmp_path):
    """0x80 begins a pickle and "PK" an archive; the low bytes of a length may be either."""
    path = tmp_path / "w.safetensors"
    path.write_bytes(in_safetensors({"a.weight": np.arange(3, dtype=np.float32)}, start))
    form, found = read_weights(path)
    assert (form, found["a.weight"].tolist()) == ("torch", [0, 1, 2])


def test_tensors_in_nests_are_found_under_their_keys_and_nothing_is_read_before(tmp_path):
    tensors = {"a.weight": np.ones(2, np.float32)}
    value = {"epoch": 1, "model": tensors, "ema": {"inner": {"a.bias": tensors["a.weight"]}}}
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(saved(value))
    with open_file(path) as file:
        assert {key: list(nest) for key, nest in file.nests.items()} == {
            "model": ["a.weight"],
            "ema.inner": ["a.bias"],
        }
    assert read_weights(path, "ema.inner")[1]["a.bias"].tolist() == [1, 1]
    with pytest.raises(
        WeightsError, match=r"--key emma: .*did you mean 'ema.inner'|choose from: model, ema.inner"
    ):
        read_weights(path, "emma")


def test_what_is_called_beside_the_tensors_is_not_run_and_is_told(tmp_path):
    path = tmp_path / "checkpoint.pth"
    args = call("argparse.Namespace")
    path.write_bytes(saved({"model": {"a.weight": np.ones(2, np.float32)}, "args": args}))
    with open_file(path) as file:
        assert (list(file.nests), file.skipped) == (["model"], ("argparse.Namespace",))
