"""`ablax import`, `predict` and `evaluate`: from a stranger's file to classes and errors."""

import dataclasses
import json
from hashlib import sha256
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_weights import drawn
from made_up_set import encode, pictures, write
from odd_weights import GOOD, call, saved, under
from PIL import Image
from safetensors.numpy import save_file

from ablax.__main__ import main
from ablax.commands.evaluate import _hint
from ablax.core import leaves_by_path
from ablax.data.sources import open_test_images
from ablax.errors import AblaxError
from ablax.files import sealed
from ablax.model import ErrorRates, Model, Preprocessing, preprocessing_of, wilson
from ablax.study.load import load_model
from ablax.weights.load import import_tensors, tensor_shapes
from ablax.weights.names import cifar_resnet
from ablax.weights.sources import find_source
from ablax.zoo import resnet20, squeezenet_1_1


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory):
    """A residual network for CIFAR-10 as others name it."""
    shapes = tensor_shapes(resnet20(), (32, 32, 3), cifar_resnet)
    tensors = {name: drawn(name, shape, 1.0) for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("theirs") / "resnet20.safetensors"
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path)
    return path


@pytest.fixture(scope="module")
def folder(resnet_file, tmp_path_factory):
    place = tmp_path_factory.mktemp("weights") / "resnet20"
    main(["import", "resnet20", str(resnet_file), "--out", str(place)])
    return place


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten pictures of ten classes."""
    import tensorflow_datasets as tfds

    place = tmp_path_factory.mktemp("data")
    made = [
        {"image": encode(pixels), "label": k % 10}
        for k, pixels in enumerate(pictures(10, [(32, 32)]))
    ]
    features = {
        "image": tfds.features.Image(shape=(32, 32, 3)),
        "label": tfds.features.ClassLabel(names=[f"kind{k}" for k in range(10)]),
    }
    write(place, {"train": made, "test": made}, features, supervised=("image", "label"))
    return place


BEHIND = "BEHIND"
GRAY = ("--channels", "L", "--mean", "0.5", "--std", "0.5")


def fails(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    assert left.value.code == 2
    return capsys.readouterr().err


@pytest.mark.slow
def test_imported_weights_are_those_of_the_file(resnet_file, folder):
    from_file, from_folder = load_model(f"resnet20={resnet_file}"), load_model(folder)
    assert from_folder.network == from_file.network
    assert from_folder.preprocessing == from_file.preprocessing
    jax.tree.map(np.testing.assert_array_equal, from_folder.variables, from_file.variables)
    assert from_folder.classes[3] == "cat"


@pytest.mark.slow
def test_predict_prints_the_likeliest_classes_of_each_picture(folder, capsys, tmp_path):
    Image.fromarray(pictures(1, [(40, 36)])[0]).save(tmp_path / "one.png")
    main(["predict", str(folder), str(tmp_path / "one.png")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("one.png")
    assert len(lines) == 6
    shares = [float(line.split("%")[0]) for line in lines[1:]]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.slow
def test_predict_takes_a_file_and_another_preprocessing(resnet_file, capsys, tmp_path):
    Image.fromarray(pictures(1, [(40, 36)])[0]).save(tmp_path / "one.png")
    found = []
    for place, more in ((resnet_file, []), (resnet_file, ["--resize", "34"]), (BEHIND, [])):
        model = f"resnet20={place}".replace(BEHIND, f"zeros-behind:{resnet_file}")
        words = [model, str(tmp_path / "one.png"), *more, "--format", "json", "--top", "10"]
        main(["predict", *words])
        found.append(json.loads(capsys.readouterr().out)[0]["classes"])
        assert sum(each["probability"] for each in found[-1]) == pytest.approx(1, abs=1e-5)
    assert found[0] != found[1]
    assert found[0] != found[2]


@pytest.mark.slow
def test_evaluate_prints_the_errors_that_counting_by_hand_gives(folder, data, capsys):
    words = ["--data", "tfds:made_up", "--data-dir", str(data), "--batch", "4"]
    main(["evaluate", str(folder), *words, "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    weights = load_model(folder)
    images = np.stack(pictures(10, [(32, 32)]))
    prepared = jnp.asarray(weights.preprocessing.normalized(images))
    scores = weights.network.apply(weights.variables, prepared)
    order = np.argsort(-np.asarray(scores), axis=1)
    labels = np.arange(10)[:, None]
    assert found["pictures"] == 10
    assert found["top1"] == pytest.approx(100 * np.mean(order[:, :1] != labels))
    assert found["top5"] == pytest.approx(100 * np.mean(~(order[:, :5] == labels).any(1)))
    assert found["top1_interval"] == [100 * end for end in wilson(round(found["top1"] / 10), 10)]
    main(["evaluate", str(folder), *words, "--limit", "3"])
    assert "3 test images" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("predict", "resnet20=nowhere", "PICTURE"), "there is no file nowhere: give the path"),
        (("predict", "resnet20=.", "PICTURE"), ". is a folder, and says itself of which network"),
        (("predict", "./nowhere", "PICTURE"), "there is no ./nowhere: give a folder that"),
        (("predict", "resnet21=picture.png", "PICTURE"), "there is no network 'resnet21'"),
        (("predict", "./picture.png", "PICTURE"), "a file: say whose network it has the weights"),
        (("predict", "FOLDER", "nowhere.png"), "FILE nowhere.png: there is no such file"),
        (("predict", "FOLDER", "PICTURE", "--top", "0"), "--top 0: expected at least 1"),
        (("predict", "FOLDER", "PICTURE", "--std", "0"), "--std 0: expected a number above 0"),
        (("import", "resnet21", "FILE"), "no network 'resnet21'"),
        (("import", "resnet32", "FILE"), "missing: layer1.3.bn1"),
        (("import", "lenet5", "FILE"), "takes no weights of torch's form; it takes nobody's"),
        (
            ("import", "resnet20", "FILE", *GRAY),
            "--channels L: the weights of resnet20 are for 3 channels, RGB",
        ),
        (("import", "resnet20", "FILE", "--from", "timm"), "takes no weights of 'timm'"),
        (("import", "resnet20", "FILE", "--out", "DATA"), "holds something else"),
        (("import", "resnet20", "FILE", "--key", "ema"), "--key ema: "),
        (("import", "resnet20", "FILE", "--prefix", "net."), "--prefix net.: no name in "),
        (("import", "resnet32", "FILE"), "its names are rather those of resnet20"),
        (("evaluate", "FOLDER", "--data", "cifar10"), "'tfds:cifar10'"),
        (("evaluate", "FOLDER"), "on which data?"),
        (("show", "FOLDER", "--image-size", "8"), "--image-size is for random weights"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(
    words, message, folder, resnet_file, data, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32)).save("picture.png")
    places = {"FOLDER": folder, "FILE": resnet_file, "PICTURE": "picture.png", "DATA": data}
    assert message in fails(capsys, *(places.get(word, word) for word in words))
    assert not Path("weights").exists()


@pytest.mark.slow
def test_the_tensors_that_were_asked_for_are_taken_from_a_checkpoint(capsys, tmp_path):
    """By default the model, not its average; said, with how to have the other."""
    average = {name: np.asarray(array * 2) for name, array in GOOD.items()}
    nests = {"model": under("module."), "ema": average, "args": call("argparse.Namespace")}
    (tmp_path / "last.pth").write_bytes(saved(nests))
    kernels = []
    for words in ([], ["--key", "ema"], ["--key", "model", "--prefix", "module."]):
        main(
            ["import", "resnet20", str(tmp_path / "last.pth"), "--out", str(tmp_path / "w"), *words]
        )
        kernels.append(
            leaves_by_path(load_model(tmp_path / "w").variables)["params/conv1/conv/kernel"]
        )
    said = capsys.readouterr().out
    assert "last.pth: taken: --key model --prefix module.; --key ema would fit too" in said
    assert "not run: argparse.Namespace" in said
    assert "images: middle 32x32, RGB, mean 0.485 0.456 0.406, std 0.229 0.224 0.225" in said
    np.testing.assert_array_equal(kernels[0], GOOD["conv1.weight"].transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(kernels[1], 2 * kernels[0])
    np.testing.assert_array_equal(kernels[2], kernels[0])


@pytest.mark.parametrize(
    ("source", "name", "error", "published", "said"),
    [
        ("weights/resnet20", "resnet20", 90.2, None, "a guess errs in 90.00 %: try --mean"),
        ("weights/resnet20", "resnet20", 78.95, 8.75, "the published error is 8.75 %"),
        ("weights/resnet20", "resnet20", 78.95, 8.75, "--from zeros-behind"),
        ("resnet20=FILE", "resnet20", 78.95, 8.75, "or resnet20=zeros-behind:FILE"),
        ("weights/resnet20", "resnet20", 12.0, 8.75, ""),
        ("weights/resnet20", "resnet20", 78.95, None, ""),
    ],
)
def test_an_error_near_that_of_guessing_hints_at_the_preparation(
    source, name, error, published, said
):
    preparation = preprocessing_of((32, 32, 3))
    classes = tuple(f"class {k}" for k in range(10))
    model = Model(name, resnet20(), {}, preparation, classes, "weights of others")
    interval = (error - 1, error + 1)
    rates = ErrorRates(10_000, error, error, interval, interval)
    found = _hint(source, model, rates, published)
    assert said in found
    assert bool(found) == bool(said)
    assert not _hint(source, model, rates._replace(pictures=10, top1=90.0), None)


def test_fields_of_weights_json_that_nobody_knows_are_refused(tmp_path):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "checksums.sha256").write_text("")
    record = {
        **{"network": "resnet20", "library": "idelbayev", "model": "resnet20", "file": "r.pth"},
        **{"classes": 10, "preprocessing": Preprocessing(32, None).as_json()},
        "checkpoint": sha256(b"").hexdigest(),
    }
    for changes, message in (
        ({"colors": 3}, "the field 'colors', which this version of ablax does not know"),
        ({"classes": "ten"}, "classes is 'ten'"),
        ({"preprocessing": {"crop": 32, "warp": 1}}, "has the field 'warp'"),
        ({"preprocessing": {"crop": "a"}}, "is damaged"),
    ):
        (tmp_path / "weights.json").write_text(sealed({**record, **changes}))
        with pytest.raises(AblaxError, match=message):
            load_model(tmp_path)


@pytest.mark.slow
def test_data_of_another_number_of_classes_are_refused():
    test = open_test_images("digits", None)
    assert len(test.classes) == 10
    with pytest.raises(AblaxError, match="tell 1000 apart"):
        test.check("resnet20", 1000)


@pytest.mark.slow
def test_a_damaged_folder_says_so(folder, resnet_file, capsys, tmp_path):
    place = tmp_path / "copy"
    main(["import", "resnet20", str(resnet_file), "--out", str(place)])
    file = max(
        (each for each in place.rglob("*") if each.is_file()), key=lambda f: f.stat().st_size
    )
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    said = fails(capsys, "evaluate", place, "--data", "digits")
    assert "does not match its checksum" in said
    (place / "weights.json").write_text("{}")
    assert "is damaged" in fails(capsys, "evaluate", place, "--data", "digits")


def test_without_a_file_import_says_where_weights_are(capsys):
    main(["import", "resnet18"])
    assert "resnet18-f37072fd.pth  error 30.24 / 10.92 %" in capsys.readouterr().out
    main(["import", "lenet5"])
    assert "nobody publishes" in capsys.readouterr().out


@pytest.mark.slow
def test_as_many_classes_as_the_file_has_and_side_classifiers_are_left_out():
    source = find_source("squeezenet_1_1", "torchvision")
    shapes = tensor_shapes(squeezenet_1_1(7), (224, 224, 3), source.names)
    tensors = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    assert len(import_tensors("squeezenet_1_1", tensors, source).model.classes) == 7
    lenient = dataclasses.replace(source, left_out=("aux.",))
    found = import_tensors("squeezenet_1_1", {**tensors, "aux.weight": np.zeros(3)}, lenient)
    assert found.left_out == ("aux.weight",)
