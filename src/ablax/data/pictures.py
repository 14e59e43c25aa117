"""From the bytes of one picture file to an array of one size."""

from __future__ import annotations

import io
import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ablax.data.images import DataError

_MODES = {1: "L", 3: "RGB"}

AREA = (0.08, 1.0)
"""The part of the picture a random crop covers."""
ASPECT = (3 / 4, 4 / 3)
"""The width over the height of a random crop."""


def decode(data: bytes, channels: int) -> Image.Image:
    """The picture in these bytes (PNG, JPEG, ...), as gray (1 channel) or RGB (3).

    ImageNet holds a few files in other color spaces; they are converted.

    Raises:
        DataError: The bytes are no picture, a damaged one, or one too large to be opened.
    """
    try:
        return Image.open(io.BytesIO(data)).convert(_MODES[channels])
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{len(data)} bytes that should be a picture cannot be read ({error}): "
            "the data set is damaged; prepare it again with `make data`"
        ) from error


def as_array(picture: Image.Image) -> UInt8[np.ndarray, "H W C"]:
    """Levels 0 to 255, with an axis for the channels even if there is one."""
    pixels = np.asarray(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def center(picture: Image.Image, size: int, shorter: int | None = None) -> Image.Image:
    """The middle `size` x `size` of the picture, once its shorter side is made `shorter` long.

    Args:
        picture: Any size.
        size: Pixels along each side of the result.
        shorter: Pixels, at least `size`; by default `size`: nothing of the shorter side is lost.
    """
    shorter = size if shorter is None else shorter
    width, height = picture.size
    ratio = shorter / min(width, height)
    if ratio != 1:
        width, height = round(width * ratio), round(height * ratio)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return picture.crop((left, top, left + size, top + size))


def random_crop(picture: Image.Image, size: int, random: np.random.Generator) -> Image.Image:
    """A random part of the picture, of random area and aspect, made `size` x `size`.

    The area is 8 to 100 % of the picture, the aspect 3/4 to 4/3 (uniform in its logarithm). A draw
    that does not fit is drawn again; after ten, the largest middle square is taken.

    References:
        C. Szegedy et al., 2015. Going Deeper with Convolutions, section 6.
    """
    width, height = picture.size
    box = None
    for _ in range(10):
        area = width * height * random.uniform(*AREA)
        aspect = math.exp(random.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left = int(random.integers(0, width - w + 1))
            top = int(random.integers(0, height - h + 1))
            box = (left, top, left + w, top + h)
            break
    if box is None:
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
    return picture.resize((size, size), Image.Resampling.BILINEAR, box=box)
