"""Damaged pictures: whatever Pillow raises, the user reads one sentence."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ablax.data.images import DataError
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
    with pytest.raises(
        DataError, match=r"bytes that should be a picture .* `make data`"
    ) as refusal:
        decode(damaged(), 3)
    assert isinstance(refusal.value.__cause__, cause)
