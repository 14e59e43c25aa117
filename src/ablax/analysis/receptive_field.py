"""Receptive fields: which pixels a unit may see, read from a jaxpr, and which really move it."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ablax.analysis.intervals import (
    ELEMENTWISE,
    Intervals,
    Operand,
    concatenated,
    dependence,
    of_image,
    of_rank,
    reduced,
    still,
    strided,
    union,
    with_axes,
    with_laws_found,
)
from ablax.analysis.jax_versions import random_key, results_of
from ablax.analysis.jaxpr import Equation, Round, Rules, Run, interpret

Sight = tuple[Intervals | None, ...]
"""Intervals of each axis of the image; without end first, then those of the real one."""

_KNOWABLE = ELEMENTWISE | {
    *("iota", "broadcast_in_dim", "concatenate", "expand_dims", "reshape", "rev", "slice"),
    *("reduce_sum", "squeeze", "transpose", "dot_general", "device_put"),
}
"""Primitives that are worth computing when all their operands are known."""

LARGEST_KNOWN = 2**20
"""Elements of an array that is kept as known."""


@dataclass(frozen=True, eq=False)
class Value:
    """An array on its way through the function, and the layer that computed it.

    Its sight is empty if it does not depend on the image; its number is that of the equations
    before it; `known` computes it, where it is the same for all arguments.
    """

    shape: tuple[int, ...]
    sight: Sight = ()
    scope: tuple[str, ...] = ()
    number: int = 0
    known: Callable[[], Any] | None = None


Values = Sequence[Value]


class _Sights(Rules[Value]):
    """What each layer gives, noted when something outside the layer reads it."""

    def __init__(self, places: int) -> None:
        self.places = places  # how many intervals a sight has
        self.count = 0
        self.given: dict[tuple[str, ...], Value | None] = {(): None}

    def read(self, value: Value, reader: tuple[str, ...] | None) -> None:
        """A value is read by a layer, or (None) returned: it leaves the layers around it."""
        if not value.sight or value.number == 0:
            return
        shared = -1
        if reader is not None:
            pairs = zip(value.scope, reader, strict=False)
            shared = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))
        for depth in range(shared + 1, len(value.scope) + 1):
            kept = self.given.get(value.scope[:depth])
            if kept is None or kept.number <= value.number:
                self.given[value.scope[:depth]] = value

    def constant(self, value: Any) -> Value:
        """Tables of indices are known, weights are not looked at."""
        shape, kind = tuple(np.shape(value)), getattr(value, "dtype", float)
        indices = any(jax.numpy.issubdtype(kind, each) for each in (np.integer, np.bool_))
        known = indices and math.prod(shape) <= LARGEST_KNOWN
        return Value(shape, known=(lambda: value) if known else None)

    def literal(self, value: Any) -> Value:
        return Value(tuple(np.shape(value)), known=lambda: value)

    def enters(self, equation: Equation, operands: Values) -> bool:  # noqa: ARG002
        return equation.primitive != "while"  # nobody knows how often it runs

    def leaf(self, equation: Equation, operands: Values) -> Values:
        scope = equation.scope
        for depth in range(1, len(scope) + 1):
            self.given.setdefault(scope[:depth], None)
        for operand in operands:
            self.read(operand, scope)
        shapes = [tuple(array.shape) for array in equation.outputs]
        self.count += 1
        if not any(operand.sight for operand in operands):
            known = _computed(equation, operands, shapes)
            return [Value(shape, (), scope, self.count, known) for shape in shapes]
        axes = []
        for place in range(self.places):
            given = [
                Operand(x.shape, x.sight[place] if x.sight else None, x.known) for x in operands
            ]
            axes.append(dependence(equation.eqn.primitive, equation.params, given, shapes))
        sights = [tuple(found) for found in zip(*axes, strict=True)]
        return [
            Value(shape, () if sight[0] is None else sight, scope, self.count)
            for shape, sight in zip(shapes, sights, strict=True)
        ]

    def choice(self, branches: Sequence[Run[Value]], index: Value, operands: Values) -> Values:
        """All branches, and what chooses."""
        runs = [branch(operands) for branch in branches]
        return [_joined(results, index) for results in zip(*runs, strict=True)]

    def scan(self, equation: Equation, body: Round[Value], carry: Values, arrays: Values) -> Values:
        """The body, until nothing changes any more, or as often as the loop runs."""
        length, backwards = equation.params["length"], equation.params["reverse"]
        alike = all(x is None or still(x, 0) for array in arrays for x in array.sight)
        rounds: list[list[Value]] = []
        for trip in range(length):
            place = length - 1 - trip if backwards else trip
            last, results = body(carry, [_slice(array, place) for array in arrays])
            rounds.append(results)
            settled = alike and all(map(_same, carry, last))
            carry = last
            if settled:
                break
        shapes = [tuple(array.shape) for array in equation.outputs[len(carry) :]]
        steps = [list(step) for step in zip(*rounds, strict=True)] or [[] for _ in shapes]
        moving = next((x.sight for x in arrays if x.sight), ())
        stacks = [
            self.stacked(step, shape, length, backwards, moving)
            for step, shape in zip(steps, shapes, strict=True)
        ]
        return [*carry, *stacks]

    def stacked(
        self, steps: Values, shape: tuple[int, ...], length: int, backwards: bool, moving: Sight
    ) -> Value:
        """The results of all rounds as one array; the last round stands for those left out."""
        scope = steps[-1].scope if steps else ()
        if not any(step.sight for step in steps):
            return Value(shape, (), scope, self.count)
        lengths = [1] * (len(steps) - 1) + [length - len(steps) + 1]
        if backwards:
            steps, lengths = steps[::-1], lengths[::-1]
        sight = []
        for place in range(self.places):
            seen = [step.sight[place] if step.sight else None for step in steps]
            stack = concatenated([x and with_axes(x, 0, 1) for x in seen], lengths, 0)
            moved = moving[place] if moving else None
            if moved is not None and not still(moved, 0):
                stack = with_laws_found(moved, stack.low, stack.high)
            sight.append(stack)
        return Value(shape, tuple(sight), scope, self.count)


def _joined(values: Values, index: Value) -> Value:
    """What may be any of the values, as the index decides."""
    first = max(values, key=lambda value: value.number)
    seeing = [value.sight for value in (*values, index) if value.sight]
    rank = len(first.shape)
    sight = tuple(
        union([of_rank(x, rank) for x in place if x is not None])
        for place in zip(*seeing, strict=True)
    )
    return Value(first.shape, sight, first.scope, first.number)


def _computed(
    equation: Equation, operands: Sequence[Value], shapes: Sequence[tuple[int, ...]]
) -> Callable[[], Any] | None:
    """How to compute the only result of an equation, if its operands are known."""
    thunks = [operand.known for operand in operands]
    knowable = equation.primitive in _KNOWABLE and len(shapes) == 1
    if not knowable or None in thunks or math.prod(shapes[0]) > LARGEST_KNOWN:
        return None

    @functools.cache
    def compute() -> Any:
        with jax.ensure_compile_time_eval():
            return results_of(equation.eqn, [thunk() for thunk in thunks if thunk])[0]

    return compute


def _slice(array: Value, place: int) -> Value:
    """What one round of a loop is given of an array."""
    sight = tuple(x and reduced(strided(x, 0, place, place + 1, 1), [0]) for x in array.sight)
    return Value(array.shape[1:], sight, array.scope, array.number)


def _same(one: Value, other: Value) -> bool:
    """Whether two values see the same."""
    if len(one.sight) != len(other.sight):
        return False
    pairs = [(a, b) for a, b in zip(one.sight, other.sight, strict=True) if a and b]
    return all(a.bounded == b.bounded and a.same(b) for a, b in pairs)


Span = tuple[int, int]
"""First and last row (or column), both included; the first greater than the last: none."""


@dataclass(frozen=True)
class ReceptiveField:
    """What the units of one layer see; tuples have one entry per spatial axis, rows first.

    Attributes:
        layer: Its scope, outermost name first; empty for the whole function.
        size: The theoretical receptive field in pixels, as if the image had no end; that of the
            unit that sees most.
        stride: Pixels from a unit to the next: 1/2 where a map is finer than the image. None for
            units that do not lie in a map.
        offset: The center of what the first unit sees, its channels together, in pixels; the first
            pixel is 0.
        seen: The largest part of this image, in pixels, that a unit really sees: within its
            border, padding left out.
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
        """First and last row, and column, of this image that one unit depends on.

        The unit is named by its place in the array that the layer gives.

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
    what the places S i - P to S i - P + F - 1 span; branches that meet give the hull of both
    (Araujo, Norris, Sim 2019, Computing receptive fields of convolutional neural networks). A
    layer is a scope of the name stack, which Flax opens for every module; what it gives is the last
    array that something outside it reads.

    A unit depends on what an operation reads for it, whatever the weights. Of a platform choice the
    default is followed, of any other `cond` all branches; a `scan` is unrolled until nothing
    changes. After a gather whose indices are not known before the run, a `while` loop, or a
    primitive unknown here, a unit is said to see all it could, and the row is `bounded`.

    The arguments are arrays, or `jax.ShapeDtypeStruct`, in any pytree; the one of number `image` is
    the batch of images, whose `spatial` axes have receptive fields. Outer layers come first, in the
    order of execution, before all the whole function. Layers that do not depend on the image, or
    that nobody reads, have no row.

    Raises:
        ValueError: There is no such argument, it is no array, or it has no such axis.

    Example:
        >>> def two(x):
        ...     one = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (3,), (2,), "VALID")
        ...     return jax.lax.reduce_window(one, -jnp.inf, jax.lax.max, (3,), (1,), "VALID")
        >>> (found,) = receptive_fields(two, jnp.zeros(9), spatial=[0])
        >>> found.size, found.stride, found.offset, found.of(0), found.of(1)
        ((7,), (Fraction(2, 1),), (3.0,), ((0, 6),), ((2, 8),))
    """
    axes = _checked(args, image, spatial)
    shape = args[image].shape
    jaxpr = jax.make_jaxpr(fn)(*args)
    values = [Value(tuple(array.shape)) for array in jaxpr.in_avals]
    sight: Sight = tuple(
        of_image(len(shape), axis, shape[axis], endless=endless)
        for endless in (True, False)
        for axis in axes
    )
    values[len(jax.tree.leaves(args[: image % len(args)]))] = Value(shape, sight)
    walk = _Sights(len(sight))
    for value in interpret(jaxpr, walk, values):
        walk.read(value, None)
    sides = tuple(shape[axis] for axis in axes)
    return tuple(_row(scope, value, sides) for scope, value in walk.given.items() if value)


def chain_receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """The receptive field of a chain of layers, in pixels, walked back from its last one by hand.

    R = 1 at the end; then, from the last layer to the first, R <- (R - 1) S + F: each step back
    multiplies the distances between neighbors by the stride S and adds F - 1 for the window F.
    `layers` are (F, S) of each, the first one first.

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


def _row(layer: tuple[str, ...], value: Value, image: tuple[int, ...]) -> ReceptiveField:
    kept = [x for x in value.sight if x is not None]
    endless, real = tuple(kept[: len(image)]), tuple(kept[len(image) :])
    return ReceptiveField(
        layer=layer,
        shape=value.shape,
        size=_largest(endless),
        stride=tuple(_stride(x, endless) for x in endless),
        offset=tuple(_center(x) for x in endless),
        seen=_largest(real),
        image=image,
        bounded=any(x.bounded for x in kept),
        _endless=endless,
        _real=real,
    )


def _stride(x: Intervals, endless: Sequence[Intervals]) -> Fraction | None:
    """Pixels from a unit to the next, along the axis of the array that moves farthest.

    Of those alone that run along this axis of the image and along no other.
    """
    others = [other for other in endless if other is not x]
    steps = (
        Fraction(law[1], law[0])
        for axis, law in enumerate(x.laws)
        if law is not None and law[1] != 0 and all(still(other, axis) for other in others)
    )
    return max(steps, default=None)


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


Measure = Literal["absolute", "squared"]

THRESHOLD = 1 - 0.9545
"""Of the largest value; 0.9545 of a Gaussian lies within two standard deviations."""


@dataclass(frozen=True)
class GaussianFit:
    """A Gaussian whose axes are those of the image: down and to the right, in pixels.

    It has this height at the center, and explains that part of the heat map's variance, at most 1.
    """

    center: tuple[float, float]
    sigma: tuple[float, float]
    height: float
    explained: float

    @property
    def width(self) -> tuple[float, float]:
        """Four standard deviations, height and width: 95.45 % of the Gaussian along each axis."""
        return 4 * self.sigma[0], 4 * self.sigma[1]


@dataclass(frozen=True, eq=False)
class EffectiveReceptiveField:
    """How much each pixel moves one unit, at that row and column of its map.

    The numbers of `heat` add up to 1; `fit` is the Gaussian nearest to it.
    """

    heat: Float[np.ndarray, "H W"]
    unit: tuple[int, int]
    fit: GaussianFit

    @property
    def size(self) -> float:
        """The side, in pixels, of a square of as many pixels as exceed 4.55 % of the largest."""
        return math.sqrt(int((self.heat > THRESHOLD * self.heat.max()).sum()))


def effective_receptive_field(
    fn: Callable[[Array], Array],
    images: Float[Array, "N H W C"],
    *,
    seed: int = 0,
    directions: int = 1,
    measure: Measure = "absolute",
    unit: tuple[int, int] | None = None,
    batch: int = 8,
) -> EffectiveReceptiveField:
    r"""The heat map of a unit: the mean size of its gradient by each pixel.

    heat[r, c] = mean over images and directions d of sum over channels i of
    |derivative of (sum over f of d[f] maps[u, v, f]) by images[r, c, i]|

    A direction is a random sign for each feature, so that all features of the place count alike.
    With random weights the squared gradient estimates the variance, of which Luo, Li, Urtasun,
    Zemel 2016 (Understanding the effective receptive field in deep convolutional neural networks)
    show that it has the shape of a Gaussian; the absolute value falls off more slowly, by sqrt(2)
    in sigma.

    `fn` gives maps (N, h, w, F), in which images must not depend on one another. The unit is named
    by row and column in the map; the middle when left out. Gradients of a batch of images are held
    in memory at once; the seed is that of the directions.

    Raises:
        ValueError: `fn` does not give maps, the unit lies outside them, no image, or no direction;
            or no pixel moves the unit.

    Example:
        >>> mean = lambda x: jax.lax.reduce_window(
        ...     x, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
        >>> found = effective_receptive_field(lambda x: mean(mean(x)), jnp.ones((1, 9, 9, 1)))
        >>> found.unit, found.heat[4, 2:7] * 81
        ((4, 4), array([3., 6., 9., 6., 3.], dtype=float32))
    """
    maps = jax.eval_shape(fn, images)
    if len(getattr(maps, "shape", ())) != 4 or images.shape[0] < 1 or directions < 1:
        raise ValueError(
            f"images of shape {images.shape} gave {maps}, {directions} direction(s): expected at "
            "least one image and one direction, and maps (N, h, w, F)"
        )
    rows, columns = maps.shape[1:3]
    row, column = (rows // 2, columns // 2) if unit is None else unit
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(f"unit {unit} of maps of {rows} rows and {columns} columns")

    @jax.jit
    def heat_of(images: Array, key: Array) -> Array:
        found, back = jax.vjp(fn, images)
        signs = jax.random.rademacher(key, (found.shape[0], found.shape[3]), found.dtype)
        (gradient,) = back(jnp.zeros_like(found).at[:, row, column, :].set(signs))
        moved = jnp.abs(gradient) if measure == "absolute" else jnp.square(gradient)
        # each image alone: one whose gradients are large is no better a witness
        each = moved.sum(axis=3)
        total = each.sum(axis=(1, 2), keepdims=True)
        return (each / jnp.where(total > 0, total, 1)).sum(axis=0)

    keys = jax.random.split(random_key(seed), directions)
    heat = np.zeros(images.shape[1:3], np.float32)
    for start in range(0, images.shape[0], batch):
        for key in keys:
            part = images[start : start + batch]
            heat += np.asarray(heat_of(part, jax.random.fold_in(key, start)))
    if not heat.sum() > 0:
        raise ValueError(
            f"no pixel moves the unit {(row, column)}: its gradient is 0 for all {len(images)} "
            "images; show it more images, or ask for another unit"
        )
    heat = heat / heat.sum()
    return EffectiveReceptiveField(heat, (row, column), gaussian_fit(heat))


def gaussian_fit(heat: Float[np.ndarray, "H W"]) -> GaussianFit:
    r"""The Gaussian nearest to a heat map, by least squares.

    height exp(-(r - r0)^2 / (2 sigma_r^2) - (c - c0)^2 / (2 sigma_c^2))

    A map too narrow to tell (one pixel) keeps the standard deviations of its moments.

    Example:
        >>> place = np.arange(21.0)
        >>> down, right = np.exp(-((place - 9) ** 2) / 8), np.exp(-((place - 10) ** 2) / 32)
        >>> found = gaussian_fit(np.outer(down, right))
        >>> [round(each, 3) for each in (*found.center, *found.sigma, found.explained)]
        [9.0, 10.0, 2.0, 4.0, 1.0]
    """
    from scipy.optimize import curve_fit  # slow to import, and of use here alone

    heat = np.asarray(heat, np.float64)
    start, peak = _moments(heat), float(heat.max())
    row, column, down, right, height = (*start, peak)
    places = np.indices(heat.shape, dtype=np.float64)
    if min(down, right) >= 0.1:  # else a single pixel, row or column
        bounds = ([-np.inf, -np.inf, 1e-3, 1e-3, 0], np.inf)
        flat, levels = places.reshape(2, -1), heat.ravel() / peak
        found, _ = curve_fit(_gaussian, flat, levels, (*start, 1.0), bounds=bounds)
        row, column, down, right, height = (*map(float, found[:4]), float(found[4]) * peak)
    explained = 0.0
    if down > 0 and right > 0 and heat.std() > 0:
        left = heat - _gaussian(places, row, column, down, right, height)
        explained = 1 - float((left**2).sum() / ((heat - heat.mean()) ** 2).sum())
    return GaussianFit((row, column), (down, right), height, explained)


def _moments(heat: Float[np.ndarray, "H W"]) -> tuple[float, float, float, float]:
    """Center and standard deviations of a map taken as a density."""
    centers, sigmas = [], []
    for axis in (1, 0):
        density = heat.sum(axis=axis) / heat.sum()
        place = np.arange(len(density))
        center = float(density @ place)
        centers.append(center)
        sigmas.append(math.sqrt(max(float(density @ (place - center) ** 2), 0.0)))
    return centers[0], centers[1], sigmas[0], sigmas[1]


def _gaussian(
    places: np.ndarray, row: float, column: float, down: float, right: float, height: float
) -> np.ndarray:
    far = ((places[0] - row) / down) ** 2 + ((places[1] - column) / right) ** 2
    return height * np.exp(-far / 2)
