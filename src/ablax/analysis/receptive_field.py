"""Receptive fields: which part of the image a unit of each layer sees, for any JAX function."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from ablax.analysis.intervals import Intervals, of_image, still
from ablax.analysis.sight_walk import Sight, Walk

Span = tuple[int, int]
"""First and last row (or column), both included; the first greater than the last: none."""


@dataclass(frozen=True)
class ReceptiveField:
    """What the units of one layer see.

    All tuples have one entry for each spatial axis, rows before columns.

    Attributes:
        layer: Its scope, outermost name first; empty for the whole function.
        shape: Of what it gives.
        size: The theoretical receptive field in pixels, as if the image had no end; that of the
            unit that sees most.
        stride: Pixels from a unit to the next: 1/2 where a map is finer than the image. None for
            units that do not lie in a map.
        offset: The center of what the first unit sees, its channels together, in pixels; the first
            pixel is 0.
        seen: The largest part of this image, in pixels, that a unit really sees: within its
            border, padding left out.
        image: Height and width of the image.
        bounded: The size is not exact: a unit sees this much or less, or its layer has no regular
            grid.
    """

    layer: tuple[str, ...]
    shape: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[Fraction | None, ...]
    offset: tuple[float, ...]
    seen: tuple[int, ...]
    image: tuple[int, ...]
    bounded: bool
    _endless: tuple[Intervals, ...]
    _real: tuple[Intervals, ...]

    @property
    def share(self) -> float:
        """The part of the image, from 0 to 1, that a unit sees at most."""
        return math.prod(self.seen) / math.prod(self.image)

    def of(self, *index: int) -> tuple[Span, ...]:
        """The rows and columns of this image that one unit sees.

        Args:
            *index: Its place in the array that the layer gives, an integer for each axis.

        Returns:
            For each spatial axis the first and the last row it depends on.

        Raises:
            ValueError: Not as many integers as the array has axes.
        """
        return self._spans(self._real, index)

    def theoretical(self, *index: int) -> tuple[Span, ...]:
        """As `of`, in an image without end: the span may begin before 0."""
        return self._spans(self._endless, index)

    def _spans(self, sight: Sequence[Intervals], index: tuple[int, ...]) -> tuple[Span, ...]:
        if len(index) != len(self.shape):
            raise ValueError(
                f"the index {index} of a unit of {self.layer}: expected {len(self.shape)} integers "
                f"for an array of shape {self.shape}"
            )
        ends = []
        for x in sight:
            lengths = zip(index, x.low.shape, strict=True)
            place = tuple(0 if length == 1 else i for i, length in lengths)
            ends.append((x.low[place], x.high[place]))
        if any(low > high for low, high in ends):  # no rows, so no pixels
            return tuple((0, -1) for _ in ends)
        return tuple((int(low), int(high)) for low, high in ends)


def receptive_fields(
    fn: Callable[..., Any], *args: Any, image: int = -1, spatial: Sequence[int] = (1, 2)
) -> tuple[ReceptiveField, ...]:
    """The theoretical receptive field of every layer of `fn(*args)`; nothing is computed.

    Every intermediate array carries, for each of its elements, the first and the last row and
    column that it depends on. A convolution of window F, stride S and padding P at place i spans
    what the places S i - P to S i - P + F - 1 span; branches that meet give the hull of both. A
    layer is a scope of the name stack, which Flax opens for every module; what it gives is the last
    array that something outside it reads.

    A unit depends on what an operation reads for it, whatever the weights. Calls are followed, of a
    platform choice the default, of any other `cond` all branches; a `scan` is unrolled until
    nothing changes. After a gather whose indices are not known before the run, a `while` loop, or
    a primitive unknown here, a unit is said to see all it could, and the row is `bounded`.

    Args:
        fn: Any function that JAX can trace.
        *args: Its arguments: arrays, or `jax.ShapeDtypeStruct`, in any pytree.
        image: Which argument is the batch of images, an array.
        spatial: Its axes of which receptive fields are asked.

    Returns:
        A row a layer, outer layers first, in the order of execution; the whole function first.
        Layers that do not depend on the image, or that nobody reads, have no row.

    Raises:
        ValueError: There is no such argument, it is no array, or it has no such axis.

    References:
        Araujo, Norris, Sim 2019, Computing receptive fields of convolutional neural networks.

    Example:
        >>> def two(x):
        ...     one = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (3,), (2,), "VALID")
        ...     return jax.lax.reduce_window(one, -jnp.inf, jax.lax.max, (3,), (1,), "VALID")
        >>> import jax.numpy as jnp
        >>> (found,) = receptive_fields(two, jnp.zeros(9), spatial=[0])
        >>> found.size, found.stride, found.offset, found.of(0), found.of(1)
        ((7,), (Fraction(2, 1),), (3.0,), ((0, 6),), ((2, 8),))
    """
    axes = _checked(args, image, spatial)
    shape = args[image].shape
    closed = jax.make_jaxpr(fn)(*args)
    flat = [jax.tree.leaves(each) for each in args]
    before = sum(map(len, flat[: image % len(args)]))
    sight: Sight = tuple(
        of_image(len(shape), axis, shape[axis], endless=endless)
        for endless in (True, False)
        for axis in axes
    )
    found = Walk(closed, before, sight).layers()
    rows = (_row(layer, *each, tuple(shape[axis] for axis in axes)) for layer, each in found)
    return tuple(rows)


def chain_receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """The receptive field of a chain of layers, walked back from its last one by hand.

    R = 1 at the end; then, from the last layer to the first, R <- (R - 1) S + F: each step back
    multiplies the distances between neighbors by the stride S and adds F - 1 for the window F.

    Args:
        layers: (window, stride) of each layer, the first one first; at least 1.

    Returns:
        Pixels.

    Raises:
        ValueError: A window or stride below 1.

    Example:
        >>> chain_receptive_field([(11, 4), (3, 2), (5, 1)])  # AlexNet up to conv2
        51
    """
    size = 1
    for window, stride in reversed(layers):
        if window < 1 or stride < 1:
            raise ValueError(f"window {window}, stride {stride}: expected integers of at least 1")
        size = (size - 1) * stride + window
    return size


def _checked(args: Sequence[Any], image: int, spatial: Sequence[int]) -> list[int]:
    """The spatial axes, counted from the front."""
    if not -len(args) <= image < len(args):
        raise ValueError(f"image={image} of {len(args)} arguments: expected the place of one")
    shape = getattr(args[image], "shape", None)
    if shape is None:
        raise ValueError(
            f"argument {image} is {type(args[image]).__name__}: expected the images, an array or "
            "jax.ShapeDtypeStruct; name their place with image="
        )
    if any(not -len(shape) <= axis < len(shape) for axis in spatial) or not spatial:
        raise ValueError(
            f"spatial={tuple(spatial)} for images of shape {shape}: expected axes of that array"
        )
    return [axis % len(shape) for axis in spatial]


def _row(
    layer: tuple[str, ...], shape: tuple[int, ...], sight: Sight, image: tuple[int, ...]
) -> ReceptiveField:
    kept = [x for x in sight if x is not None]
    endless, real = tuple(kept[: len(image)]), tuple(kept[len(image) :])
    return ReceptiveField(
        layer=layer,
        shape=shape,
        size=_largest(endless),
        stride=_strides(endless),
        offset=tuple(_center(x) for x in endless),
        seen=_largest(real),
        image=image,
        bounded=any(x.bounded for x in kept),
        _endless=endless,
        _real=real,
    )


def _strides(endless: Sequence[Intervals]) -> tuple[Fraction | None, ...]:
    """Pixels from a unit to the next, along the axis of the array that moves farthest."""
    return tuple(max(_own_steps(x, endless), default=None) for x in endless)


def _own_steps(x: Intervals, endless: Sequence[Intervals]) -> list[Fraction]:
    """The strides along the axes that run along this axis of the image and along no other."""
    others = [other for other in endless if other is not x]
    return [
        Fraction(law[1], law[0])
        for axis, law in enumerate(x.laws)
        if law is not None and law[1] != 0 and all(still(other, axis) for other in others)
    ]


def _largest(sight: Sequence[Intervals]) -> tuple[int, ...]:
    """The most rows, and columns, that a unit sees which sees anything."""
    sizes = [x.high - x.low + 1 for x in sight]
    if any(np.isinf(size).any() for size in sizes):
        blind = functools.reduce(np.logical_or, [np.isinf(size) for size in sizes])
        sizes = [np.where(blind, 0, size) for size in sizes]
    return tuple(int(size.max(initial=0)) for size in sizes)


def _center(x: Intervals) -> float:
    """Of what the first unit of a map sees, all its channels together."""
    lawless = tuple(axis for axis, law in enumerate(x.laws) if law is None)
    first = x.low.min(axis=lawless).flat[0]
    last = x.high.max(axis=lawless).flat[0]
    return float(first + last) / 2 if first <= last else math.nan
