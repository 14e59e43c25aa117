"""From picture to array: sizes, the middle, the order of channels, by hand."""

import numpy as np
import pytest
from PIL import Image

from ablax.data.images import open_picture
from ablax.errors import AblaxError
from ablax.model import Preprocessing, from_json

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3}


def ramp(width, height):
    """Red counts columns, green rows; blue is 200."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width)
    pixels[..., 1] = np.arange(height)[:, None]
    pixels[..., 2] = 200
    return Image.fromarray(pixels)


def levels(preprocessing, picture):
    return np.round(preprocessing.array(picture)).astype(int)


def test_the_middle_is_cut_out_and_halves_go_to_the_even_pixel():
    even = levels(Preprocessing(4, None, **PLAIN), ramp(10, 8))
    assert even[0, :, 0].tolist() == [3, 4, 5, 6]
    assert even[:, 0, 1].tolist() == [2, 3, 4, 5]
    # (9 - 4) / 2 = 2.5 -> 2 and (11 - 4) / 2 = 3.5 -> 4, as Python and torchvision round
    odd = levels(Preprocessing(4, None, **PLAIN), ramp(9, 11))
    assert (odd[0, 0, 0], odd[0, 0, 1]) == (2, 4)


@pytest.mark.parametrize(("size", "resized"), [((500, 333), (384, 256)), ((333, 500), (256, 384))])
def test_the_longer_side_is_cut_off_to_whole_pixels(size, resized, monkeypatch):
    """256 * 500 / 333 = 384.38"""
    asked = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, to, *rest: asked.append(to) or resize(self, to, *rest)
    )
    assert Preprocessing(224, 256).array(Image.new("RGB", size)).shape == (224, 224, 3)
    assert asked == [resized]


def test_a_picture_is_warped_where_its_shape_is_not_kept():
    picture = Image.new("RGB", (20, 10), (255, 0, 0))
    picture.paste((0, 0, 255), (10, 0, 20, 10))
    warped = levels(Preprocessing(4, 4, keep_aspect=False, **PLAIN), picture)
    assert warped[0, 0].tolist() == [255, 0, 0]  # the left end is still there
    assert warped[0, 3].tolist() == [0, 0, 255]


def test_normalization_is_by_channel_and_bgr_is_the_other_way_round():
    picture = Image.new("RGB", (2, 2), (255, 51, 0))
    rgb = Preprocessing(2, None, mean=(0.5, 0.1, 0.0), std=(0.5, 0.1, 1.0))
    np.testing.assert_allclose(rgb.array(picture)[0, 0], [1, 1, 0], atol=1e-6)
    bgr = Preprocessing(2, None, mean=(0.0, 0.0, 0.5), std=(1.0, 1.0, 0.5), channels="BGR")
    np.testing.assert_allclose(bgr.array(picture)[0, 0], [0, 0.2, 1], atol=1e-6)


def test_gray_pictures_become_rgb_and_rgb_becomes_gray():
    gray = Image.new("L", (3, 3), 51)
    assert levels(Preprocessing(2, None, **PLAIN), gray)[0, 0].tolist() == [51, 51, 51]
    one = Preprocessing(2, None, mean=(0.0,), std=(1 / 255,), channels="L")
    assert levels(one, Image.new("RGB", (2, 2), (51, 51, 51))).shape == (2, 2, 1)


def test_a_preprocessing_survives_json():
    import json

    caffe = Preprocessing(227, 256, "bicubic", (0.1, 0.2, 0.3), (1.0, 1.0, 1.0), "BGR", False)
    assert from_json(json.loads(json.dumps(caffe.as_json()))) == caffe


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop": 0}, "crop is 0"),
        ({"resize": -1}, "resize -1"),
        ({"interpolation": "nearest"}, "expected bilinear or bicubic"),
        ({"channels": "RBG"}, "expected RGB, BGR or L"),
        ({"mean": (0.5,)}, "1 means and 3 standard deviations"),
        ({"std": (0.0, 1.0, 1.0)}, "more than 0"),
    ],
)
def test_a_preprocessing_that_cannot_be_is_refused(fields, message):
    with pytest.raises(AblaxError, match=message):
        Preprocessing(**{"crop": 4, "resize": 4} | fields)


def test_a_photograph_is_turned_upright_as_its_camera_noted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    ramp(4, 2).save(tmp_path / "turned.jpg", exif=exif)
    assert open_picture(tmp_path / "turned.jpg").size == (2, 4)


def test_what_is_no_picture_is_named(tmp_path):
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(AblaxError, match="no picture that can be read"):
        open_picture(tmp_path / "no.png")
    with pytest.raises(AblaxError, match="there is no file"):
        open_picture(tmp_path / "nowhere.png")
