"""The embedded data set: scikit-learn's scanned digits, drawn on 32 x 32.

The 1,797 scans of 8 x 8 pixels are split into 1,437 for training and 360 for the test, class by
class, in five ways, so that every scan is tested once in five seeds: seed s has fold s mod 5. (Five
times 360 are 1,800: three scans are in two tests.)

Each is drawn three times larger in the middle of a 32 x 32 picture, so about three empty
pixels are left on every side to turn and move the digit in. Training pictures
stand upright: the training step distorts them afresh for every sample
(`ablax.data.augment.augment` with `ROTATE`, `SCALE` and `TRANSLATE`). The test pictures are four
fixed distortions of each held-out digit, sampled from the same ranges. Where a question is about
what a network learns without distortions, `digits:distorted` has training pictures that are
distorted once and for all from the same ranges, so that they are of one kind with those of the
test.

Every number is a whole number or a short binary fraction, so the pictures are the same to the last
bit with every version of NumPy and on every machine.

References:
    E. Alpaydin and C. Kaynak, 1998. Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64, UInt8

from ablax.data.images import ChannelStatistics, ImageSet, Split

SIZE = 32
ROTATE = 15.0
"""Degrees, to either side."""
SCALE = 0.15
"""Relative, to either side."""
TRANSLATE = 2.0
"""Pixels, to either side."""
DISTORTIONS = 4
"""Pictures made of each test digit."""
FOLDS = 5

NOTE = (
    "the test images are 4 fixed distortions of each of 360 held-out scans; seed s is tested on "
    "fold s mod 5 of the 1,797; split not writer-disjoint"
)
"""What a reader of a result must know about the pictures."""

DISTORTED = "digits:distorted"
_ONCE = "each training image is distorted once, in the same way as the test images"
_ENLARGE = 3
_FRACTION = 2.0**-12


def load_digits(*, distorted: bool = False) -> ImageSet:
    """The set, a copy at every call: the first fold, and the others.

    `distorted` distorts each training picture too, once, as a test picture is.

    Example:
        >>> digits = load_digits()
        >>> digits.train.images.shape, digits.test.images.shape
        ((1437, 32, 32, 1), (1440, 32, 32, 1))
        >>> len(digits.folds)
        5
    """
    return copy.deepcopy(_digits(distorted))


@functools.cache
def _digits(distorted: bool) -> ImageSet:
    from sklearn.datasets import load_digits as scans_of_sklearn  # slow to import

    scans, labels = scans_of_sklearn(return_X_y=True)
    drawings = draw(scans.reshape(-1, 8, 8).astype(np.int64))
    labels = labels.astype(np.int32)

    # RandomState, not Generator: NumPy promises that its stream never changes.
    parts = stratified(labels.astype(np.int64), np.random.RandomState(0))
    first, *others = (_fold(drawings, labels, part, distorted, n) for n, part in enumerate(parts))
    return replace(first, others=tuple(others))


def _fold(
    drawings: UInt8[np.ndarray, "N 32 32"],
    labels: Int32[np.ndarray, "N"],
    held_out: Bool[np.ndarray, "N"],
    distorted: bool,
    number: int,
) -> ImageSet:
    """One split; the test pictures of each are distorted by its own draws."""
    random = np.random.RandomState(number)
    random.permutation(len(labels))  # of the first fold, the draws go on behind those of the split
    upright, test = drawings[~held_out], np.repeat(drawings[held_out], DISTORTIONS, axis=0)
    turned = distort(test, random)[..., None]
    seen = distort(upright, random) if distorted else upright
    train = Split(seen[..., None], labels[~held_out])
    statistics = ChannelStatistics.of(train.images)
    return ImageSet(
        name=DISTORTED if distorted else "digits",
        train=train,
        test=Split(turned, np.repeat(labels[held_out], DISTORTIONS)),
        classes=tuple("0123456789"),
        mean=statistics.mean,
        std=statistics.std,
        note=f"{_ONCE}; {NOTE}" if distorted else NOTE,
        copies=DISTORTIONS,
    )


def stratified(
    labels: Int64[np.ndarray, "N"], random: np.random.RandomState
) -> Bool[np.ndarray, "folds N"]:
    """One in five of every class, chosen by lot, in five ways: True where a sample is held out.

    Each holds out equally many, a fifth rounded up, and together they hold out all samples.
    """
    by_class = np.lexsort((random.permutation(len(labels)), labels))
    held_out = np.zeros((FOLDS, len(labels)), bool)
    size = -(-len(labels) // FOLDS)
    for fold, chosen in enumerate(np.resize(by_class, size * FOLDS).reshape(size, FOLDS).T):
        held_out[fold, chosen] = True
    return held_out


def draw(scans: Int64[np.ndarray, "N 8 8"]) -> UInt8[np.ndarray, "N 32 32"]:
    """Scans of levels 0 to 16, three times larger by linear interpolation, centered on 32 x 32.

    The centers of the new pixels lie at thirds of the old ones, so the weights are thirds and the
    sum is exact in whole numbers.
    """
    margin = (SIZE - 8 * _ENLARGE) // 2
    thirds = np.arange(SIZE) - margin - 1  # the place of each new pixel, in thirds of an old one
    weights = np.maximum(3 - np.abs(thirds[:, None] - 3 * np.arange(8)), 0)
    levels = np.einsum("in,bnm,jm->bij", weights, scans, weights)
    return ((levels * 255 + 72) // 144).astype(np.uint8)


def distort(
    images: UInt8[np.ndarray, "N H W"], random: np.random.RandomState
) -> UInt8[np.ndarray, "N H W"]:
    """Each picture turned, scaled and moved by its own draw; background outside.

    The matrix is rounded to 2⁻¹², so that positions, weights and products are exact in float64.
    """
    count, size = images.shape[0], images.shape[1]
    angle = np.deg2rad(random.uniform(-ROTATE, ROTATE, count))
    scale = 1 + random.uniform(-SCALE, SCALE, count)
    move = random.uniform(-TRANSLATE, TRANSLATE, (2, count))

    def short(value: Float64[np.ndarray, "N"]) -> Float64[np.ndarray, "N 1 1"]:
        return (np.round(value / _FRACTION) * _FRACTION)[:, None, None]

    cosine, sine = short(np.cos(angle) / scale), short(np.sin(angle) / scale)
    center = (size - 1) / 2
    y = np.arange(size)[:, None] - center - short(move[0])
    x = np.arange(size)[None, :] - center - short(move[1])
    return _sample(images, cosine * y + sine * x + center, cosine * x - sine * y + center)


def _sample(
    images: UInt8[np.ndarray, "N H W"],
    y: Float64[np.ndarray, "N H W"],
    x: Float64[np.ndarray, "N H W"],
) -> UInt8[np.ndarray, "N H W"]:
    """Linear interpolation between the four neighbors, zero outside, rounded to levels."""
    size = images.shape[1]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1))).astype(np.float64)
    y, x = np.clip(y + 1, 0, size + 1), np.clip(x + 1, 0, size + 1)
    top, left = np.minimum(np.floor(y), size), np.minimum(np.floor(x), size)
    down, right = y - top, x - left
    i, j = top.astype(np.int64), left.astype(np.int64)
    n = np.arange(len(images))[:, None, None]
    upper = padded[n, i, j] * (1 - right) + padded[n, i, j + 1] * right
    lower = padded[n, i + 1, j] * (1 - right) + padded[n, i + 1, j + 1] * right
    return np.floor(upper * (1 - down) + lower * down + 0.5).astype(np.uint8)
