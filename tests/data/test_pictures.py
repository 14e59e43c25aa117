"""Damaged pictures: whatever Pillow raises, the user reads one sentence."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ablax.data.images import DataError, open_picture
from ablax.data.tfds import decode


def png(size=8):
    noise = np.random.RandomState(0).randint(0, 256, (size, size, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def chunk(name, content):
    ended = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + ended


def header(width, height):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def broken_chunk():
    """A letter of the name of the second block of pixels is no letter: SyntaxError."""
    whole = png(200)
    return whole[: (second := whole.index(b"IDAT", 100))] + b"\0" + whole[second + 1 :]


def endless_text():
    """A comment that unpacks to 4 MiB: ValueError."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 22)))
    whole = png()
    return whole[:33] + text + whole[33:]


def bomb():
    """A header that promises 400 million pixels: DecompressionBombError."""
    return b"\x89PNG\r\n\x1a\n" + header(20_000, 20_000) + png()[33:]


def half():
    """A file cut in two: OSError."""
    return png(200)[:60_000]


DAMAGES = [
    (half, OSError),
    (broken_chunk, SyntaxError),
    (endless_text, ValueError),
    (bomb, Image.DecompressionBombError),
]


@pytest.mark.parametrize(("damaged", "cause"), DAMAGES)
def test_a_damaged_picture_is_refused_in_words_whatever_the_decoder_raises(damaged, cause):
    with pytest.raises(DataError, match=r"a picture, of \d+ bytes, .* `make data`") as refusal:
        decode(damaged(), 3)
    causes = [refusal.value.__cause__, refusal.value.__cause__.__cause__]
    assert any(isinstance(each, cause) for each in causes)


RAMP = np.linspace(0, 1, 64).reshape(8, 8)


def file_of(picture, form="PNG", **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def levels(maximum, kind):
    return Image.fromarray(np.rint(RAMP * maximum).astype(kind))


EIGHT = levels(255, np.uint8)
COLORS = Image.merge("RGB", (EIGHT, EIGHT.rotate(90), EIGHT.rotate(180)))


@pytest.mark.parametrize(
    ("data", "channels"),
    [
        (file_of(levels(65535, np.uint16)), 1),
        (file_of(levels(65535, np.uint16), "TIFF"), 1),
        (file_of(Image.fromarray(RAMP.astype(np.float32)), "TIFF"), 1),
        (file_of(levels(65535, np.uint16)), 3),
        (file_of(EIGHT), 3),
        (file_of(EIGHT.convert("LA")), 1),
        (file_of(EIGHT.convert("P")), 1),
        (file_of(EIGHT.convert("RGBA")), 3),
        (file_of(COLORS.convert("RGBA")), 3),
        (file_of(COLORS.quantize(256)), 3),
        (file_of(COLORS.convert("CMYK"), "TIFF"), 3),
    ],
)
def test_whatever_a_picture_is_kept_in_it_has_the_levels_of_eight_bits(data, channels):
    pixels = np.asarray(decode(data, channels)).reshape(8, 8, channels)
    gray = np.abs(pixels.astype(int) - np.asarray(EIGHT)[..., None]).max()
    colored = np.abs(pixels.astype(int) - np.asarray(COLORS)).max()
    assert min(gray, colored) <= 1


def test_what_is_transparent_shows_white_and_what_is_half_so_half():
    clear = Image.new("RGBA", (3, 1), (0, 0, 0, 0))
    clear.putpixel((1, 0), (0, 0, 0, 128))
    clear.putpixel((2, 0), (10, 20, 30, 255))
    found = np.asarray(decode(file_of(clear), 3))[0]
    assert found.tolist() == [[255, 255, 255], [127, 127, 127], [10, 20, 30]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([200, 0, 0, 0, 0, 200])
    palette.putpixel((1, 0), 1)
    shown = np.asarray(decode(file_of(palette, transparency=0), 3))[0]
    assert shown.tolist() == [[255, 255, 255], [0, 0, 200]]


def test_a_picture_of_a_data_set_is_turned_as_its_camera_noted():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    assert decode(file_of(Image.new("RGB", (4, 2)), "JPEG", exif=exif), 3).size == (2, 4)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (levels(10**6, np.int32), "integers of 32 bits: save it with 8 or 16 bits"),
        (Image.fromarray((RAMP * 300).astype(np.float32)), "floats from 0 to 300: expected 0 to 1"),
        (Image.fromarray((RAMP - np.nan).astype(np.float32)), "floats from nan to nan"),
    ],
)
def test_levels_whose_black_and_white_nobody_knows_are_refused(picture, words, tmp_path):
    with pytest.raises(DataError, match=words):
        decode(file_of(picture, "TIFF"), 1)
    (tmp_path / "picture.tif").write_bytes(file_of(picture, "TIFF"))
    with pytest.raises(DataError, match=words):
        open_picture(tmp_path / "picture.tif")


def test_a_pipe_is_no_picture_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="is no file"):
        open_picture(tmp_path / "pipe.png")
