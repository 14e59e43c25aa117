"""Images that a network likes: gradient ascent on a score or a unit, and deep dream.

Pixels are in the units of what the function takes: for normalized images 0 is the mean gray and 1 a
standard deviation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.analysis.jax_versions import random_key

Objective = Callable[[Float[Array, "N H W C"]], Float[Array, " N"]]
"""From images to what each is to make large."""


@dataclass(frozen=True)
class Ascent:
    """How images are changed, step by step.

    A step: the image is rolled by up to `jitter` pixels each way; the gradient of the objective, of
    which `total_variation` times that of |differences of neighbors|^2 / 2 is taken away, both of
    root mean square 1, moves the image by `rate`, which falls linearly to a tenth; it is shrunk by
    1 - `decay`, and rolled back. Every `blur_every` steps it is blurred by a Gaussian of standard
    deviation `blur`, in pixels; 0 leaves that out. No pixel leaves the range from `low` to `high`,
    of each channel or of all.

    Raises:
        ValueError: A number out of its range.

    References:
        Simonyan, Vedaldi, Zisserman 2013 (arXiv 1312.6034), section 2: an L2 penalty.
        Yosinski, Clune, Nguyen, Fuchs, Lipson 2015, Understanding neural networks through deep
        visualization (arXiv 1506.06579): decay and blur. Mahendran, Vedaldi 2014, Understanding
        deep image representations by inverting them (arXiv 1412.0035): total variation.
        Mordvintsev, Olah, Tyka 2015, Inceptionism: jitter and octaves.
    """

    steps: int = 256
    rate: float = 0.15
    decay: float = 0.01
    blur: float = 0.5
    blur_every: int = 4
    total_variation: float = 0.1
    jitter: int = 2
    low: float | tuple[float, ...] = -math.inf
    high: float | tuple[float, ...] = math.inf

    def __post_init__(self) -> None:
        if self.steps < 1 or self.blur_every < 1 or self.rate <= 0 or not 0 <= self.decay < 1:
            raise ValueError(
                f"steps={self.steps}, blur_every={self.blur_every}, rate={self.rate}, "
                f"decay={self.decay}: expected at least 1 step, a positive rate, decay in [0, 1)"
            )
        if min(self.blur, self.total_variation, self.jitter) < 0:
            raise ValueError(
                f"blur={self.blur}, total_variation={self.total_variation}, jitter={self.jitter}: "
                "expected none below 0"
            )


def maximize(
    objective: Objective, images: Float[Array, "N H W C"], seed: int, ascent: Ascent | None = None
) -> tuple[Float[Array, "N H W C"], Float[Array, "steps N"]]:
    """Climb from these images, such as `noise(0, shape)`; all steps are one compiled loop.

    The objective is asked image by image: of class 3, `lambda x: scores(x)[:, 3]`. The seed is that
    of the jitter. Also the objective before each step is given.

    Raises:
        ValueError: The objective is not one number per image.

    Example:
        >>> dark = jnp.zeros((1, 8, 8, 1))
        >>> plain = Ascent(steps=10, rate=0.1, decay=0.0, blur=0.0, total_variation=0.0)
        >>> bright, climbed = maximize(lambda x: x.mean((1, 2, 3)), dark, 0, plain)
        >>> climbed.shape, bool(bright.mean() > 0.5)
        ((10, 1), True)
    """
    ascent = Ascent() if ascent is None else ascent
    shape = jax.eval_shape(objective, images).shape
    if shape != images.shape[:1]:
        raise ValueError(
            f"the objective has shape {shape} for {images.shape[0]} images: expected one number "
            "per image"
        )

    def step(x: Array, at: tuple[Array, Array]) -> tuple[Array, Array]:
        number, key = at
        shift = jax.random.randint(key, (2,), -ascent.jitter, ascent.jitter + 1)
        x = jnp.roll(x, shift, (1, 2))
        values, back = jax.vjp(objective, x)
        direction = _unit(back(jnp.ones_like(values))[0])
        if ascent.total_variation:
            direction = _unit(direction - ascent.total_variation * _unit(roughness_gradient(x)))
        rate = ascent.rate * (1 - 0.9 * number / ascent.steps)
        x = (x + rate * direction) * (1 - ascent.decay)
        if ascent.blur:
            x = jnp.where((number + 1) % ascent.blur_every == 0, blurred(x, ascent.blur), x)
        x = jnp.clip(x, jnp.asarray(ascent.low, x.dtype), jnp.asarray(ascent.high, x.dtype))
        return jnp.roll(x, -shift, (1, 2)), values

    numbers = jnp.arange(ascent.steps)
    # not inside `jit`: there the weights that the objective holds would be constants of the program
    return jax.lax.scan(step, images, (numbers, jax.random.split(random_key(seed), ascent.steps)))


def _unit(x: Float[Array, "N H W C"]) -> Float[Array, "N H W C"]:
    """Of root mean square 1, image by image; 0 stays 0."""
    size = jnp.sqrt(jnp.mean(x**2, (1, 2, 3), keepdims=True))
    return x / jnp.where(size > 0, size, 1)


def noise(seed: int, shape: tuple[int, ...], deviation: float = 0.1) -> Float[Array, "N H W C"]:
    """Images of Gaussian noise about 0, to begin from."""
    return deviation * jax.random.normal(random_key(seed), shape)


def roughness_gradient(x: Float[Array, "N H W C"]) -> Float[Array, "N H W C"]:
    """The gradient of sum |differences of neighbors|^2 / 2, down and to the right."""

    def roughness(x: Array) -> Array:
        return sum(jnp.sum(jnp.diff(x, axis=axis) ** 2) for axis in (1, 2)) / 2  # type: ignore[return-value]

    return jax.grad(roughness)(x)


def blurred(x: Float[Array, "N H W C"], deviation: float) -> Float[Array, "N H W C"]:
    """A Gaussian blur of that many pixels, cut off at three deviations; edges repeat."""
    reach = max(1, math.ceil(3 * deviation))
    taps = jnp.exp(-(jnp.arange(-reach, reach + 1) ** 2) / (2 * deviation**2)).astype(x.dtype)
    taps = taps / taps.sum()
    for axis in (1, 2):
        widths = [(reach, reach) if place == axis else (0, 0) for place in range(4)]
        padded = jnp.pad(x, widths, mode="edge")
        x = sum(
            tap * jax.lax.slice_in_dim(padded, place, place + x.shape[axis], axis=axis)
            for place, tap in enumerate(taps)
        )  # type: ignore[assignment]
    return x


def deep_dream(
    fn: Callable[[Float[Array, "N H W C"]], Float[Array, "N *features"]],
    image: Float[Array, "H W C"],
    seed: int,
    ascent: Ascent | None = None,
    *,
    octaves: int = 4,
    scale: float = 1.4,
) -> Float[Array, "H W C"]:
    """A picture that shows more of what a layer already sees in it ("deep dream").

    After Mordvintsev, Olah, Tyka 2015, Inceptionism: going deeper into neural networks (blog).
    Gradient ascent on the mean square of the features `fn`, first on a small version of the
    picture, then on larger ones, by this scale, each with the details that were found before,
    enlarged. If there are several octaves, `fn` must take images of any size. The ascent is by
    default of 20 steps an octave that keep the picture: without decay and blur.

    Raises:
        ValueError: No octave, a scale that does not enlarge, or a smallest picture below 8 pixels.
    """
    height, width, channels = image.shape
    sizes = [(round(height / scale**k), round(width / scale**k)) for k in range(octaves)][::-1]
    if octaves < 1 or scale <= 1 or min(sizes[0]) < 8:
        raise ValueError(
            f"{octaves} octaves of scale {scale} for a picture of {height}x{width}: expected at "
            "least 1, a scale above 1, and no picture below 8 pixels"
        )
    if ascent is None:
        ascent = Ascent(steps=20, rate=0.05, decay=0.0, blur=0.0, total_variation=0.1)
    resize: Callable[..., Any] = functools.partial(jax.image.resize, method="cubic")

    def liked(images: Array) -> Array:
        found = fn(images)
        return jnp.mean(found**2, axis=tuple(range(1, found.ndim)))

    details = jnp.zeros((1, *sizes[0], channels), image.dtype)
    for number, size in enumerate(sizes):
        base = resize(image[None], (1, *size, channels))
        start = base + resize(details, base.shape)
        changed, _ = maximize(liked, start, seed + number, ascent)
        details = changed - base
    return (image[None] + details)[0]
