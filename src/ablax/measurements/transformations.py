"""Transformations of raw images by a given amount: move, resize, turn, light.

They are what invariance is measured under, so they are exact where they can be: an amount that
changes nothing gives the images themselves bit for bit, a whole number of pixels or quarter turns
moves levels without mixing them. Everything else is read linearly between the four nearest pixels.
Unlike `ablax.data.augment`, nothing is random, and all images get the same amount.

What enters from outside an image is, by default, the nearest pixel of its edge: black for digits
and clothes, and no new contour in photographs. The alternative is black, as in the augmentation.

Every function takes levels from 0 to 255 and refuses (`TransformationError`) an amount that is not
finite, a factor that is not above 0, and an unknown border.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import jax
import numpy as np
from jaxtyping import Float, Float64, UInt8

from ablax.data.augment import resample
from ablax.errors import AblaxError, nearest
from ablax.report.study import Study

Levels = UInt8[np.ndarray, "N H W C"] | Float[np.ndarray, "N H W C"]
"""Raw images, with levels from 0 to 255."""
Transformed = Float[np.ndarray, "N H W C"]
"""The same in float32, not rounded to whole levels."""
Border = Literal["edge", "black"]
"""What lies outside an image: the nearest pixel of its edge, or 0."""
WHITE = 255.0


class TransformationError(AblaxError):
    """An amount by which no image can be transformed."""


def translate(
    images: Levels, down: float | int = 0, right: float | int = 0, border: Border = "edge"
) -> Transformed:
    """The images moved by pixels: `y(p) = x(p - (down, right))`; negative is up, and to the left.

    Example:
        >>> row = np.array([1.0, 2, 3], np.float32).reshape(1, 1, 3, 1)
        >>> translate(row, right=1)[0, 0, :, 0].tolist()
        [1.0, 1.0, 2.0]
        >>> translate(row, right=1, border="black")[0, 0, :, 0].tolist()
        [0.0, 1.0, 2.0]
    """
    _finite("down", down)
    _finite("right", right)
    y, x = _places(images)
    return _read(images, y - down, x - right, border)


def scale(images: Levels, factor: float | int, border: Border = "edge") -> Transformed:
    """The images made `factor` times larger about their center: `y(p) = x(p / factor)`.

    Positions p count from the center. Nothing is smoothed before an image is made smaller.
    """
    _factor("factor", factor)
    y, x = _places(images)
    return _read(images, y / factor, x / factor, border)


def rotate(images: Levels, degrees: float | int, border: Border = "edge") -> Transformed:
    """The images turned counter-clockwise about their center: `y(p) = x(R(-degrees) p)`.

    Quarter turns of square images move whole pixels, as `np.rot90` does.

    Example:
        >>> square = np.arange(4.0, dtype=np.float32).reshape(1, 2, 2, 1)
        >>> rotate(square, 90.0)[0, :, :, 0].tolist()
        [[1.0, 3.0], [0.0, 2.0]]
    """
    _finite("degrees", degrees)
    cosine, sine = _cosine_and_sine(degrees)
    y, x = _places(images)
    return _read(images, cosine * y + sine * x, cosine * x - sine * y, border)


def illuminate(images: Levels, gain: float | int = 1, offset: float | int = 0) -> Transformed:
    """Other light on the images: `y = gain x + offset`, clipped to levels from 0 to 255.

    The offset is in levels, and is added to the background too.

    Example:
        >>> levels = np.array([0.0, 100, 200], np.float32).reshape(1, 1, 3, 1)
        >>> illuminate(levels, gain=2.0)[0, 0, :, 0].tolist()
        [0.0, 200.0, 255.0]
    """
    _factor("gain", gain)
    _finite("offset", offset)
    return np.clip(gain * np.asarray(images, np.float32) + np.float32(offset), 0, WHITE)


def contrast(images: Levels, factor: float | int) -> Transformed:
    """More or less contrast: `y = m + factor (x - m)`, clipped to levels from 0 to 255.

    m is the mean level of the image, over all its pixels and channels.
    """
    _factor("factor", factor)
    levels = np.asarray(images, np.float32)
    mean = levels.mean(axis=(1, 2, 3), keepdims=True)
    # Written around the identity, so that a factor of 1 changes no bit.
    return np.clip(levels + np.float32(factor - 1) * (levels - mean), 0, WHITE)


def _cosine_and_sine(degrees: float | int) -> tuple[float, float]:
    """Exact at quarter turns."""
    quarters, rest = divmod(degrees, 90.0)
    cosine, sine = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarters) % 4):
        cosine, sine = -sine, cosine
    return cosine, sine


def _places(images: Levels) -> tuple[Float64[np.ndarray, "H 1"], Float64[np.ndarray, "1 W"]]:
    """Row and column of each pixel, from the center."""
    _, height, width, _ = images.shape
    y, x = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    return y[:, None], x[None, :]


def _read(
    images: Levels,
    y: Float64[np.ndarray, "#H #W"],
    x: Float64[np.ndarray, "#H #W"],
    border: str,
) -> Transformed:
    """The images read at these places, counted from the center."""
    if border not in get_args(Border):
        raise TransformationError(f"border is {border!r}: {nearest(border, get_args(Border))}")
    count, height, width, _ = images.shape
    lowest, rightmost = (height - 1) / 2, (width - 1) / 2
    if border == "edge":
        y, x = np.clip(y, -lowest, lowest), np.clip(x, -rightmost, rightmost)
    own_y, own_x = _places(images)
    moved = np.broadcast_arrays(y - own_y, x - own_x)
    field = np.stack(moved, axis=-1).astype(np.float32)
    fields = np.broadcast_to(field, (count, height, width, 2))
    return np.asarray(_resample(np.asarray(images, np.float32), fields))


_resample = jax.jit(resample)


def _finite(name: str, value: float | int) -> None:
    if not math.isfinite(value):
        raise TransformationError(f"{name} is {value}, and a finite number is expected")


def _factor(name: str, value: float | int) -> None:
    if not (math.isfinite(value) and value > 0):
        raise TransformationError(
            f"{name} is {value}, and a finite factor above 0 is expected (1 changes nothing)"
        )


# ------------------------------------------------------------------------------------------
# What training images were distorted by, in words, beside errors on distorted test images.


def distortions(recipe: Mapping[str, object], changes: Iterable[str] = ()) -> str:
    """Which of these transformations the training images got by lot, if any.

    The recipe is given field by dotted name, and what variants change in it in words
    (`Variant.changes`).

    Example:
        >>> distortions({"augment.rotate": 15.0, "augment.translate": 2.0})
        'Distorted training images are turned by up to 15 degrees and moved by up to 2 pixels.'
        >>> distortions({"augment.rotate": 15.0}, ["augment.rotate: 30.0"])
        'Distorted training images are turned by up to 15 degrees, where a variant changes nothing.'
    """
    words = {
        "augment.rotate": "turned by up to {:g} degrees",
        "augment.scale": "scaled by up to {:g} of their size",
        "augment.translate": "moved by up to {:g} pixels",
        "augment.crop_padding": "cut after padding by {:g} pixels",
    }
    said = [text.format(recipe[name]) for name, text in words.items() if recipe.get(name)]
    if not said:
        return ""
    listed = " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)
    changed = any(change.startswith("augment.") for change in changes)
    where = ", where a variant changes nothing" if changed else ""
    return f"Distorted training images are {listed}{where}."


def distortions_of(study: Study) -> str:
    """The same of a study, for captions."""
    changes = [change for variant in study.variants for change in variant.changes]
    return distortions(study.plan.recipe, changes)
