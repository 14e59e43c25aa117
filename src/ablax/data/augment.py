"""Random distortions of pictures, as pure functions of a key and a batch.

They run inside the compiled training step, on every platform, with pictures scaled to [0, 1] and
not yet normalized. What enters from outside a picture is 0, black: the background of digits and
clothes, and what the usual CIFAR-10 crop pads with. An amount of 0 returns the pictures themselves.
Each picture gets its own draw, and each distortion its own key: to switch one off leaves the draws
of the others as they were, so runs with and without it can be compared seed by seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key, UInt32

from ablax.errors import AblaxError

# Displacement fields, and pictures read through them.
#
# A field says, for every pixel of the result, how far from its own place it is read. Fields can be
# added, so several distortions cost one interpolation and blur once.

Images = Float[Array, "N H W C"]
Displacement = Float[Array, "N H W 2"]
PRNGKey = Key[Array, ""] | UInt32[Array, "2"]

_EXACT = lax.Precision.HIGHEST  # TPUs and newer GPUs round the factors of a product otherwise


def affine_field(
    size: tuple[int, int],
    angle: Float[Array, "N"],
    factor: Float[Array, "N"],
    move: Float[Array, "N 2"],
) -> Displacement:
    """Where each pixel of a turned, scaled and moved picture comes from, relative to its place.

    With positions p counted from the center of the picture, `u(p) = R(-angle) (p - move) / factor
    - p`: the picture is turned counter-clockwise by an angle in degrees, made `factor` times larger
    and moved by so many pixels down and to the right. The size is height and width.
    """
    height, width = size
    radians = jnp.deg2rad(angle)[:, None, None]
    cosine, sine = (f(radians) / factor[:, None, None] for f in (jnp.cos, jnp.sin))
    y = (jnp.arange(height, dtype=angle.dtype) - (height - 1) / 2)[None, :, None]
    x = (jnp.arange(width, dtype=angle.dtype) - (width - 1) / 2)[None, None, :]
    down, right = move[:, 0, None, None], move[:, 1, None, None]
    # Written around the identity, so that no draw at all is a displacement of exactly zero.
    u = (cosine - 1) * y + sine * x - (cosine * down + sine * right)
    v = (cosine - 1) * x - sine * y - (cosine * right - sine * down)
    return jnp.stack([u, v], axis=-1)


def displacement_field(
    key: PRNGKey, size: tuple[int, int, int], amount: float, smoothness: float = 4.0
) -> Displacement:
    """Gaussian noise smoothed by a Gaussian: how far each pixel is displaced, down and right.

    The rows of the smoothing matrix have length one, so the displacement has a standard deviation
    of exactly `amount` pixels along each axis, at the border too. `smoothness`, the Gaussian's
    standard deviation in pixels, is about the distance over which the displacement changes. The
    size is number of pictures, height, width.

    References:
        P. Simard, D. Steinkraus and J. Platt, 2003. Best Practices for Convolutional Neural
        Networks Applied to Visual Document Analysis, section 2.
    """
    count, height, width = size
    # Drawn as rows and then folded: XLA on a CPU compiles a draw of four axes much more slowly.
    white = jax.random.normal(key, (2 * count, height * width)).reshape(2, count, height, width)
    rows, columns = _smoothing(height, smoothness), _smoothing(width, smoothness)
    field = jnp.einsum("anjk,ij,lk->nila", white, rows, columns, precision=_EXACT)
    return amount * field


def _smoothing(length: int, deviation: float) -> Float[np.ndarray, "L L"]:
    place = np.arange(length)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * deviation**2))
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)


def resample(images: Images, field: Displacement) -> Images:
    """The picture read at displaced positions, linearly between the four nearest pixels.

    `y(p) = x(p + u(p))`, and x is 0 outside the picture. A whole-numbered displacement is a copy.
    The field is in pixels, down and to the right.
    """
    _, height, width, _ = images.shape
    # A ring of zeros: whatever lies farther out is moved onto it.
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = jnp.clip(jnp.arange(1, height + 1)[:, None] + field[..., 0], 0, height + 1)
    x = jnp.clip(jnp.arange(1, width + 1)[None, :] + field[..., 1], 0, width + 1)
    top, left = jnp.minimum(jnp.floor(y), height), jnp.minimum(jnp.floor(x), width)
    down, right = (y - top)[..., None], (x - left)[..., None]
    i, j = top.astype(jnp.int32), left.astype(jnp.int32)

    # vmap keeps each gather within its picture: batches split over devices need no exchange.
    @jax.vmap
    def pick(image: Float[Array, "h w C"], i: Array, j: Array) -> Float[Array, "H W C"]:
        return image.at[i, j].get(mode="promise_in_bounds")

    upper = pick(padded, i, j) * (1 - right) + pick(padded, i, j + 1) * right
    lower = pick(padded, i + 1, j) * (1 - right) + pick(padded, i + 1, j + 1) * right
    return (upper * (1 - down) + lower * down).astype(images.dtype)


_LUMA = (0.299, 0.587, 0.114)


class AugmentationError(AblaxError):
    """An amount that makes no distortion: which field, what was given, what was expected."""


@dataclass(frozen=True)
class Augmentation:
    """How strongly training pictures are distorted. Every field at 0 is off."""

    crop_padding: int = 0
    """Pixels of black put around the picture before a window of its own size is cut out."""
    flip: bool = False
    """Mirror left and right with probability one half."""
    rotate: float = 0.0
    """Degrees, to either side."""
    scale: float = 0.0
    """Relative size, to either side: 0.1 draws from 0.9 to 1.1."""
    translate: float = 0.0
    """Pixels, to either side, along both axes."""
    elastic: float = 0.0
    """Standard deviation of the elastic displacement, in pixels along each axis."""
    elastic_smoothness: float = 4.0
    """Pixels over which the elastic displacement changes (standard deviation of the Gaussian)."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise, where 1 is the step from black to white."""
    brightness: float = 0.0
    """Relative: 0.4 multiplies the picture by 0.6 to 1.4."""
    contrast: float = 0.0
    """Relative: 0.4 multiplies the distance from the picture's mean gray by 0.6 to 1.4."""
    saturation: float = 0.0
    """Relative: 0.4 multiplies the distance of each pixel from its gray by 0.6 to 1.4."""

    def __post_init__(self) -> None:
        most = {"rotate": 180.0, "scale": 0.99, "brightness": 1.0, "contrast": 1.0}
        most |= {"saturation": 1.0, "noise": 1.0, "crop_padding": 256.0, "translate": 10_000.0}
        most |= {"elastic": 10_000.0, "elastic_smoothness": 1_000.0}
        for field in self.__dataclass_fields__:
            given, limit = getattr(self, field), most.get(field, math.inf)
            number = isinstance(given, (int, float)) and math.isfinite(given)
            if not (number and 0 <= given <= limit):
                range_ = f"from 0 to {limit:g}" if math.isfinite(limit) else "of 0 or more"
                name = "augment." + field.replace("_", "-")
                raise AugmentationError(f"{name} is {given!r}, and a number {range_} is expected")
        if self.elastic_smoothness == 0:
            raise AugmentationError(
                "augment.elastic-smoothness is 0, and a positive number of pixels is expected "
                "(augment.elastic 0 switches the elastic distortion off)"
            )


def augment(key: PRNGKey, images: Images, augmentation: Augmentation) -> Images:
    """Distort every picture by its own draw: crop, flip, bend, color, noise, in this order.

    Pictures are in [0, 1], before and after. The affine and the elastic distortion are one
    resampling: interpolating twice would blur twice.

    Example:
        >>> images = jnp.zeros((2, 8, 8, 1))
        >>> augment(jax.random.key(0), images, Augmentation(flip=True, rotate=10.0)).shape
        (2, 8, 8, 1)
    """
    a = augmentation
    crops, flips, affines, elastics, colors, noises = (jax.random.fold_in(key, i) for i in range(6))
    images = pad_and_crop(crops, images, a.crop_padding)
    if a.flip:
        images = flip(flips, images)
    fields = []
    count, height, width, _ = images.shape
    if a.rotate or a.scale or a.translate:
        draws = jax.random.uniform(affines, (count, 4), jnp.float32, -1.0, 1.0)
        angle, factor = draws[:, 0] * a.rotate, 1 + draws[:, 1] * a.scale
        fields.append(affine_field((height, width), angle, factor, draws[:, 2:] * a.translate))
    if a.elastic:
        size = (count, height, width)
        fields.append(displacement_field(elastics, size, a.elastic, a.elastic_smoothness))
    if fields:
        images = resample(images, sum(fields[1:], fields[0]))
    images = color(colors, images, a.brightness, a.contrast, a.saturation)
    return noise(noises, images, a.noise)


def pad_and_crop(key: PRNGKey, images: Images, padding: int) -> Images:
    """Put `padding` black pixels around each picture and cut a random window of its old size.

    Each of the (2 x padding + 1)² windows is equally likely.

    References:
        K. He et al., 2016. Deep Residual Learning for Image Recognition, section 4.2 (padding 4).
    """
    if padding == 0:
        return images
    count, height, width, channels = images.shape
    corners = jax.random.randint(key, (count, 2), 0, 2 * padding + 1)
    padded = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))

    def window(image: Float[Array, "h w C"], corner: Array) -> Float[Array, "H W C"]:
        return lax.dynamic_slice(image, (corner[0], corner[1], 0), (height, width, channels))

    return jax.vmap(window)(padded, corners)


def flip(key: PRNGKey, images: Images, probability: float = 0.5) -> Images:
    """Mirror each picture left and right with this probability."""
    mirrored = jax.random.bernoulli(key, probability, images.shape[:1])
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def noise(key: PRNGKey, images: Images, amount: float) -> Images:
    """Add Gaussian noise of standard deviation `amount`, then clip to [0, 1]."""
    if amount == 0:
        return images
    # Drawn as rows and then folded: with a last axis of 3, XLA on a CPU is slower.
    count, height, width, channels = images.shape
    drawn = jax.random.normal(key, (count, height * width * channels), images.dtype)
    return jnp.clip(images + amount * drawn.reshape(images.shape), 0, 1)


def color(
    key: PRNGKey,
    images: Images,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
) -> Images:
    """Multiply brightness, contrast and saturation of each picture by uniform draws.

    `brightness: f x`; `contrast: m + f (x - m)` with m the mean gray of the picture;
    `saturation: g + f (x - g)` with g the gray of the pixel (it leaves pictures of one channel as
    they are); each f from 1 - amount to 1 + amount. Each result is clipped to [0, 1]. Gray is
    0.299 R + 0.587 G + 0.114 B.
    """
    draws = jax.random.uniform(key, (3, len(images), 1, 1, 1), images.dtype, -1.0, 1.0)
    if brightness:
        images = jnp.clip((1 + brightness * draws[0]) * images, 0, 1)
    if contrast:
        mean = _gray(images.mean(axis=(1, 2), keepdims=True))
        images = jnp.clip(mean + (1 + contrast * draws[1]) * (images - mean), 0, 1)
    if saturation and images.shape[-1] == len(_LUMA):
        gray = _gray(images)
        images = jnp.clip(gray + (1 + saturation * draws[2]) * (images - gray), 0, 1)
    return images


def _gray(images: Images) -> Float[Array, "N H W 1"]:
    if images.shape[-1] != len(_LUMA):
        return images.mean(axis=-1, keepdims=True)
    red, green, blue = (images[..., i : i + 1] * weight for i, weight in enumerate(_LUMA))
    return red + green + blue
