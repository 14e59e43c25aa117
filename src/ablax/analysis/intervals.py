"""Which input elements an output depends on: a rule for every operation."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, SupportsIndex, TypeVar

import jax
import numpy as np
from jax.extend.core import Primitive
from jaxtyping import Float

# ------------------------------------------------------------------------------------------
# Intervals of one axis of an image, one for each element of an array, and how they move.
#
# An array that a network computes is described by two numbers per element: the first and the last
# row of the image that the element depends on. Operations on arrays become operations on these
# numbers: a window takes the least and the greatest of its taps, a concatenation concatenates.
#
# Theory asks what a unit would see of an image without end, so padding is not nothing: it holds the
# units that would be there. They are found from the law of an axis: `(period, advance)` says that
# `period` elements further along the intervals lie `advance` rows further down. A convolution has
# period 1, an upsampling by f has period f. On an axis without a law (`None`) padding holds
# nothing: that is how the part of the real image is found that a unit sees.

Ends = Float[np.ndarray, "..."]
"""The first or the last row that each element of an array depends on."""

T = TypeVar("T")

Law = tuple[int, int] | None
"""(period, advance): elements along the array, rows of the image. None: no such law."""

STILL: Law = (1, 0)
"""The law of an axis along which nothing changes; it is stored with length 1."""


@dataclass(frozen=True, eq=False)
class Intervals:
    """For each element of an array the rows of the image from `low` to `high`, both included.

    They have as many axes as the array, each with a law; one along which nothing changes has length
    1. Where the element depends on no row, infinity is the low and minus infinity the high end. The
    image has so many `rows`. If `bounded`, they are not exact: the truth lies within, or there is
    no law.
    """

    low: Ends
    high: Ends
    laws: tuple[Law, ...]
    rows: int
    bounded: bool = False

    @property
    def moves(self) -> bool:
        """Whether some axis of the array runs along the image, by a law."""
        return any(law is not None and law[1] != 0 for law in self.laws)

    @property
    def everywhere_whole(self) -> bool:
        """Whether every element depends on every row."""
        return bool((self.low <= 0).all() and (self.high >= self.rows - 1).all())

    def same(self, other: Intervals) -> bool:
        """Whether intervals and laws are the same."""
        sides = ((self.low, other.low), (self.high, other.high))
        return self.laws == other.laws and all(itertools.starmap(np.array_equal, sides))

    def each(self, change: Callable[[Ends], Ends], laws: Iterable[Law]) -> Intervals:
        """Both ends changed alike, under other laws."""
        return replace(self, low=change(self.low), high=change(self.high), laws=tuple(laws))


def of_image(rank: int, axis: int, rows: int, *, endless: bool) -> Intervals:
    """Each pixel sees itself, along one axis of length `rows` of images of that rank.

    `endless`: the image goes on behind its border, as theory has it.
    """
    place = np.arange(rows, dtype=float).reshape(_put((1,) * rank, axis, rows))
    return Intervals(place, place, _put((STILL,) * rank, axis, (1, 1) if endless else None), rows)


def _put(values: Sequence[T], axis: int, value: T) -> tuple[T, ...]:
    """The values with another one for this axis."""
    return (*values[:axis], value, *values[axis + 1 :])


def whole(rank: int, rows: int, *, bounded: bool) -> Intervals:
    """Every element sees all rows."""
    zero = np.zeros((1,) * rank)
    return Intervals(zero, zero + rows - 1, (STILL,) * rank, rows, bounded)


def changed(x: Intervals, low: Ends, high: Ends, laws: Sequence[Law], bounded: bool) -> Intervals:
    """New intervals; where no axis runs along the image any more, they end at its border."""
    found = Intervals(low, high, tuple(laws), x.rows, x.bounded or bounded)
    if found.moves:
        return found
    low = np.where(low == np.inf, low, np.maximum(low, 0))
    high = np.where(high == -np.inf, high, np.minimum(high, x.rows - 1))
    return replace(found, low=low, high=high)


def still(x: Intervals, axis: int) -> bool:
    """Whether nothing changes along an axis."""
    return x.laws[axis] == STILL and x.low.shape[axis] == 1


def merged_law(one: Law, other: Law) -> tuple[Law, bool]:
    """The law that holds for both, and whether one was lost."""
    if one == other:
        return one, False
    if one is None or other is None:
        kept = one or other
        return None, kept is not None and kept[1] != 0
    period = math.lcm(one[0], other[0])
    advances = [law[1] * (period // law[0]) for law in (one, other)]
    return ((period, advances[0]), False) if advances[0] == advances[1] else (None, True)


def union(xs: Sequence[Intervals]) -> Intervals:
    """What depends on all of them: the hull, element by element."""
    return functools.reduce(_union, xs)


def _union(a: Intervals, b: Intervals) -> Intervals:
    if a is b:
        return a
    merged = [merged_law(*pair) for pair in zip(a.laws, b.laws, strict=True)]
    lost = any(each[1] for each in merged)
    if lost and (a.everywhere_whole or b.everywhere_whole):
        return whole(a.low.ndim, a.rows, bounded=a.bounded or b.bounded)
    low, high = np.minimum(a.low, b.low), np.maximum(a.high, b.high)
    return changed(a, low, high, [each[0] for each in merged], b.bounded or lost)


def extended(x: Intervals, axis: int, before: int, after: int) -> Intervals:
    """The axis continued at both ends: by its law, or by elements that depend on nothing."""
    if still(x, axis) or (before == 0 and after == 0):
        return x
    length, law = x.low.shape[axis], x.laws[axis]
    place = np.arange(-before, length + after)
    period, advance = law or (1, 0)
    # how many periods away the nearest element stands that exists
    behind = np.where(place >= length, (place - length) // period + 1, 0)
    away = np.where(place < 0, -(place // period), -behind)
    source = place + away * period
    there = (source >= 0) & (source < length) if law else (place >= 0) & (place < length)
    shape = _put((1,) * x.low.ndim, axis, len(place))
    shift, there = (-away * advance).reshape(shape), there.reshape(shape)
    taken = np.clip(source, 0, length - 1)
    low = np.where(there, np.take(x.low, taken, axis) + shift, np.inf)
    high = np.where(there, np.take(x.high, taken, axis) + shift, -np.inf)
    return replace(x, low=low, high=high, bounded=x.bounded or (bool(law) and not there.all()))


def padded(x: Intervals, axis: int, before: int, after: int, between: int = 0) -> Intervals:
    """`lax.pad` along one axis: elements before, after (negative: cut off) and between."""
    if still(x, axis):
        return x
    step = between + 1
    ends = [-(-max(side, 0) // step) if x.laws[axis] else max(side, 0) for side in (before, after)]
    if step == 1 or x.laws[axis]:
        x = extended(x, axis, *ends)
    length = x.low.shape[axis]
    if step > 1:
        law = x.laws[axis]
        # behind the last element of an endless axis stand the holes before the next one
        shape = _put(x.low.shape, axis, length * step if law else (length - 1) * step + 1)
        low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
        where = _put((slice(None),) * x.low.ndim, axis, slice(None, None, step))
        low[where], high[where] = x.low, x.high
        laws = _put(x.laws, axis, law and (law[0] * step, law[1]))
        x = replace(x, low=low, high=high, laws=laws)
        if law is None:
            return padded(x, axis, before, after)
    source = length - sum(ends)
    start = ends[0] * step - before
    return strided(x, axis, start, start + (source - 1) * step + 1 + before + after, 1)


def strided(x: Intervals, axis: int, start: int, stop: int, step: int) -> Intervals:
    """Every `step`-th element from `start` to before `stop`; a negative step counts down."""
    if still(x, axis):
        return x
    law = x.laws[axis]
    if law is not None:
        period = law[0] // math.gcd(law[0], step)
        law = period, law[1] * (step * period // law[0])
    taken = np.arange(start, stop, step)
    return x.each(lambda side: np.take(side, taken, axis), _put(x.laws, axis, law))


def flipped(x: Intervals, axis: int) -> Intervals:
    """An axis in the other direction."""
    return strided(x, axis, x.low.shape[axis] - 1, -1, -1)


def windowed(
    x: Intervals,
    axis: int,
    window: SupportsIndex,
    stride: SupportsIndex = 1,
    padding: Sequence[SupportsIndex] = (0, 0),
    base_dilation: SupportsIndex = 1,
    dilation: SupportsIndex = 1,
) -> Intervals:
    """A window of `window` taps slides along an axis: each place depends on all its taps."""
    if still(x, axis):
        return x
    window, stride, dilation = int(window), int(stride), int(dilation)  # from numpy's, perhaps
    before, after = map(int, padding)
    x = padded(x, axis, before, after, int(base_dilation) - 1)
    reach = x.low.shape[axis] - (window - 1) * dilation
    taps = [
        strided(x, axis, tap * dilation, tap * dilation + reach, stride) for tap in range(window)
    ]
    low = functools.reduce(np.minimum, [tap.low for tap in taps])
    high = functools.reduce(np.maximum, [tap.high for tap in taps])
    return changed(x, low, high, taps[0].laws, bounded=False)


def reduced(x: Intervals, axes: Sequence[int]) -> Intervals:
    """What depends on all elements along some axes, which disappear."""
    if not axes:
        return x
    laws = [law for axis, law in enumerate(x.laws) if axis not in axes]
    low, high = x.low.min(axis=tuple(axes)), x.high.max(axis=tuple(axes))
    return changed(x, np.asarray(low), np.asarray(high), laws, bounded=False)


def hull_along(x: Intervals, axis: int, *, bounded: bool = False) -> Intervals:
    """Every element depends on all of its axis, which stays."""
    if still(x, axis):
        return x
    found = with_axes(reduced(x, [axis]), axis, 1)
    return replace(found, bounded=found.bounded or bounded)


def with_axes(x: Intervals, place: int, count: int) -> Intervals:
    """Axes put in along which nothing changes."""
    axes = tuple(range(place, place + count))
    laws = (*x.laws[:place], *[STILL] * count, *x.laws[place:])
    return x.each(lambda side: np.expand_dims(side, axes), laws)


def concatenated(xs: Sequence[Intervals | None], lengths: Sequence[int], axis: int) -> Intervals:
    """Arrays behind one another along an axis; None stands for one that depends on nothing."""
    present = [x for x in xs if x is not None]
    first = present[0]
    if still(first, axis) and all(x is not None and x.same(first) for x in xs):
        return replace(first, bounded=any(x.bounded for x in present))
    laws, lost = list(first.laws), False
    for other in present[1:]:
        merged = [merged_law(*pair) for pair in zip(laws, other.laws, strict=True)]
        lost = lost or any(each[1] for place, each in enumerate(merged) if place != axis)
        laws = [each[0] for each in merged]
    bounded = any(each.bounded for each in present)
    if lost and any(each.everywhere_whole for each in present):
        return whole(first.low.ndim, first.rows, bounded=bounded)
    shape = np.broadcast_shapes(*(np.take(each.low, [0], axis).shape for each in present))
    parts = []
    for x, length in zip(xs, lengths, strict=True):
        full = (*shape[:axis], length, *shape[axis + 1 :])
        low, high = (x.low, x.high) if x is not None else (np.array(np.inf), np.array(-np.inf))
        parts.append((np.broadcast_to(low, full), np.broadcast_to(high, full)))
    low, high = (np.concatenate(sides, axis) for sides in zip(*parts, strict=True))
    along = [each.laws[axis] for each in present]
    ran = any(law is not None and law[1] != 0 for law in along)
    laws[axis] = laws[axis] if ran and holds(laws[axis], low, high, axis) else None
    return changed(first, low, high, laws, bounded or lost or (ran and laws[axis] is None))


def holds(law: Law, low: Ends, high: Ends, axis: int) -> bool:
    """Whether the intervals obey a law along an axis."""
    if law is None:
        return False
    length = low.shape[axis]
    for side in (low, high):
        earlier = np.take(side, np.arange(0, max(length - law[0], 0)), axis)
        later = np.take(side, np.arange(law[0], max(length, law[0])), axis)
        if not np.array_equal(earlier + law[1], later):
            return False
    return True


def with_laws_found(x: Intervals, low: Ends, high: Ends) -> Intervals:
    """New ends, with the law that their middle obeys along each axis; bounded if `x` alone has one.

    They were made of `x`, and need not have its axes. A resize repeats its pattern in the middle of
    the image and bends it at the border; of an endless image the middle goes on.
    """
    for axis in range(low.ndim):
        firsts = [np.take(side, [0], axis) for side in (low, high)]
        if (low == firsts[0]).all() and (high == firsts[1]).all():
            low, high = firsts
    lawless = tuple(STILL if length == 1 else None for length in low.shape)
    if not x.moves:
        return changed(x, low, high, lawless, bounded=False)
    found = replace(x, low=low, high=high, laws=lawless)
    for axis, length in enumerate(low.shape):
        side = length // 4
        middle = strided(found, axis, side, length - side, 1)
        law = _law(middle.low, middle.high, axis) if length > 1 else None
        if law is not None:
            laws = _put(found.laws, axis, law)
            found = extended(replace(middle, laws=laws), axis, side, side)
    irregular = not found.moves and None in found.laws
    return changed(found, found.low, found.high, found.laws, bounded=irregular)


def _law(low: Ends, high: Ends, axis: int) -> Law:
    """The law of the shortest period, at most half the axis, that moves; None if there is none."""
    length = low.shape[axis]
    for period in range(1, length // 2 + 1):
        earlier = np.take(low, np.arange(length - period), axis)
        later = np.take(low, np.arange(period, length), axis)
        there = np.isfinite(earlier) & np.isfinite(later)
        moved = later[there] - earlier[there]
        law = (period, int(moved[0])) if moved.size and moved[0] else None
        if holds(law, low, high, axis):
            return law
    return None


@dataclass(frozen=True)
class Operand:
    """An operand of a primitive, with its intervals if it depends on the image.

    `value` computes it, where it is the same for all arguments.
    """

    shape: tuple[int, ...]
    intervals: Intervals | None
    value: Callable[[], Any] | None = None


Params = Mapping[str, Any]
Operands = Sequence[Operand]
Shapes = Sequence[tuple[int, ...]]
Found = list[Intervals | None]
"""Intervals of each result; None where it does not depend on the image."""

Rule = Callable[[Params, Operands, Shapes], Found]
Alone = Callable[[Params, Intervals, tuple[int, ...], tuple[int, ...]], Intervals]
"""A rule for one operand and one result: from intervals and both shapes to intervals."""


def given(operands: Operands) -> list[Intervals]:
    """The intervals of the operands that depend on the image."""
    return [x.intervals for x in operands if x.intervals is not None]


def _unknown(operands: Operands, shapes: Shapes) -> Found:
    """All of the image, which is surely enough."""
    rows = given(operands)[0].rows
    return [whole(len(shape), rows, bounded=True) for shape in shapes]


def transposed(x: Intervals, order: Sequence[int]) -> Intervals:
    """The axes in another order."""
    return x.each(lambda side: side.transpose(order), [x.laws[axis] for axis in order])


def of_rank(x: Intervals, rank: int) -> Intervals:
    """A number that every element of an array depends on, as intervals of that array."""
    if x.low.ndim == rank:
        return x
    return x.each(lambda side: side.reshape((1,) * rank), (STILL,) * rank)


Group = tuple[tuple[int, ...], tuple[int, ...]]


def reshaped(x: Intervals, old: Sequence[int], new: Sequence[int]) -> Intervals:
    """The intervals of `lax.reshape(array, new)`, of an array of shape `old`.

    Only axes that change are written out; those of a group that the image does not run along stay
    of length 1.
    """
    from_shape: list[int] = []
    to_shape: list[int] = []
    laws: list[Law] = []
    for before, after in groups(old, new):
        if all(still(x, axis) for axis in before):
            from_shape += [1] * len(before)
            to_shape += [1] * len(after)
            laws += [STILL] * len(after)
            continue
        sizes = [new[axis] for axis in after]
        from_shape += [old[axis] for axis in before]
        to_shape += sizes
        if len(before) == len(after) == 1:
            laws.append(x.laws[before[0]])
        else:
            laws += _split_law(_merged(x.laws, before, old), sizes)
    return x.each(lambda side: np.broadcast_to(side, from_shape).reshape(to_shape), laws)


def groups(old: Sequence[int], new: Sequence[int]) -> Iterator[Group]:
    """The smallest runs of axes, old and new, that hold equally many elements.

    Example:
        >>> list(groups((2, 6, 5), (2, 3, 2, 5)))
        [((0,), (0,)), ((1,), (1, 2)), ((2,), (3,))]
    """
    i = j = 0
    while i < len(old) and j < len(new):
        start, begin = i, j
        left, right = old[i], new[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right and i < len(old):
                left, i = left * old[i], i + 1
            else:
                right, j = right * new[j], j + 1
        if i < len(old) and j == len(new):  # axes of length 1 that are left over
            i = len(old)
        if j < len(new) and i == len(old):
            j = len(new)
        yield tuple(range(start, i)), tuple(range(begin, j))
    if i < len(old) or j < len(new):
        yield tuple(range(i, len(old))), tuple(range(j, len(new)))


def _merged(laws: Sequence[Law], axes: Sequence[int], shape: Sequence[int]) -> Law:
    """The law of several axes laid into one, the last running fastest."""
    whole: Law = STILL
    length = 1
    for axis in axes:
        law, size = laws[axis], shape[axis]
        whole = law if length == 1 else _behind(whole, law, size)
        length *= size
    return whole


def _behind(outer: Law, inner: Law, size: int) -> Law:
    """The law of an axis whose blocks of `size` elements are laid behind one another."""
    if outer is None or inner is None:
        return None
    period, advance = inner
    # the inner law goes on from block to block when a block moves as far as its elements do
    if outer[0] == 1 and size % period == 0 and outer[1] * period == advance * size:
        return inner
    return outer[0] * size, outer[1]


def _split_law(law: Law, sizes: Sequence[int]) -> list[Law]:
    """The laws of one axis cut into several, the last running fastest."""
    if law is None:
        return [None] * len(sizes)
    laws: list[Law] = []
    for place, size in enumerate(sizes):
        step = math.prod(sizes[place + 1 :])
        period = math.lcm(law[0], step)
        laws.append((period // step, law[1] * (period // law[0])) if size > 1 else STILL)
    return laws


LARGEST_TABLE = 2**22
"""Elements of an array that is worth moving to know what a gather reads."""


def _placed(
    x: Intervals,
    shape: tuple[int, ...],
    places: Sequence[int],
    kept: Sequence[int],
    result: tuple[int, ...],
) -> Intervals:
    """The axes `kept` at these places of the result, along whose other axes nothing changes."""
    sizes, laws = [1] * len(result), [STILL] * len(result)
    for axis, place in zip(kept, places, strict=True):
        sizes[place] = x.low.shape[axis]
        if shape[axis] == result[place]:
            laws[place] = x.laws[axis]
    return changed(x, x.low.reshape(sizes), x.high.reshape(sizes), laws, bounded=False)


def _reshape(
    params: Params, x: Intervals, shape: tuple[int, ...], result: tuple[int, ...]
) -> Intervals:
    if params.get("dimensions") and "new_sizes" in params:
        return whole(len(result), x.rows, bounded=True)
    return reshaped(x, shape, result)


def _reverse(params: Params, x: Intervals, *_: Any) -> Intervals:
    """The law of an axis runs the other way."""
    for axis in params["dimensions"]:
        x = flipped(x, axis)
    return x


def _slice(params: Params, x: Intervals, *_: Any) -> Intervals:
    steps = params["strides"] or (1,) * x.low.ndim
    spans = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    for axis, span in enumerate(spans):
        x = strided(x, axis, *map(int, span))
    return x


def _pad(params: Params, operands: Operands, shapes: Shapes) -> Found:
    array, filling = operands
    if array.intervals is None or filling.intervals is not None:
        return _unknown(operands, shapes)
    x = array.intervals
    for axis, sides in enumerate(params["padding_config"]):
        if any(sides):
            x = padded(x, axis, *map(int, sides))
    return [x]


def _concatenate(params: Params, operands: Operands, _: Shapes) -> Found:
    axis = int(params["dimension"])
    lengths = [x.shape[axis] for x in operands]
    return [concatenated([x.intervals for x in operands], lengths, axis)]


def _split(params: Params, operands: Operands, _: Shapes) -> Found:
    (x,), axis = given(operands), params["axis"]
    ends = np.cumsum(params["sizes"]).tolist()
    return [
        strided(x, axis, end - size, end, 1)
        for end, size in zip(ends, params["sizes"], strict=True)
    ]


def _sort(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """Every element depends on all along the axis, of all operands."""
    x = union(given(operands))
    axis = params.get("dimension", params.get("axis", -1))
    return [hull_along(x, axis % x.low.ndim)] * len(shapes)


def _dynamic_slice(_: Params, operands: Operands, shapes: Shapes) -> Found:
    """Along a sliced axis anything may be read."""
    x = operands[0].intervals
    if x is None or any(index.intervals is not None for index in operands[1:]):
        return _unknown(operands, shapes)
    return [_anywhere(x, operands[0].shape, shapes[0])]


def _anywhere(x: Intervals, shape: tuple[int, ...], part: tuple[int, ...]) -> Intervals:
    """The hull along each axis of which a part is taken or changed, nobody knows where."""
    for axis, (length, size) in enumerate(zip(shape, part, strict=True)):
        if length != size and not still(x, axis):
            x = hull_along(x, axis, bounded=True)
    return x


def _dynamic_update_slice(_: Params, operands: Operands, shapes: Shapes) -> Found:
    """Both arrays, along a changed axis anywhere."""
    array, update = operands[:2]
    if any(index.intervals is not None for index in operands[2:]):
        return _unknown(operands, shapes)
    return [union([_anywhere(x, array.shape, update.shape) for x in given((array, update))])]


def _gather(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """Along an axis that is indexed anything may be read; others stay as they are."""
    x, shape = operands[0].intervals, operands[0].shape
    if x is None or operands[1].intervals is not None:
        return _unknown(operands, shapes)
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    gone = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    kept = [axis for axis in range(len(shape)) if axis not in gone]
    x = _anywhere(x, shape, sizes)
    return [_placed(x, sizes, list(map(int, numbers.offset_dims)), kept, shapes[0])]


def _by_table(primitive: Any, params: Params, operands: Operands) -> Found | None:
    """A gather or dynamic slice with known indices: the same, of the intervals.

    None if they are not known before the run, or the array is too large to find out.
    """
    array, *indices = operands
    x, known = array.intervals, [index.value for index in indices if index.value is not None]
    if x is None or len(known) < len(indices) or math.prod(array.shape) > LARGEST_TABLE:
        return None
    where = [value() for value in known]
    sides = []
    for side, nothing in ((x.low, np.inf), (x.high, -np.inf)):
        full = jax.numpy.asarray(np.broadcast_to(side, array.shape), np.float32)
        taken = np.asarray(primitive.bind(full, *where, **params), float)
        sides.append(np.where(np.isnan(taken), nothing, taken))
    return [with_laws_found(x, *sides)]


def _convolution(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """Exact where the kernel does not depend on the image."""
    images, kernel = operands
    if images.intervals is None or kernel.intervals is not None or params["batch_group_count"] > 1:
        return _unknown(operands, shapes)
    numbers = params["dimension_numbers"]
    x = transposed(images.intervals, numbers.lhs_spec)
    channels, features = images.shape[numbers.lhs_spec[1]], kernel.shape[numbers.rhs_spec[0]]
    x = _grouped(x, params["feature_group_count"], channels, features)
    for place, axis in enumerate(numbers.rhs_spec[2:]):
        x = windowed(
            x,
            2 + place,
            kernel.shape[axis],
            params["window_strides"][place],
            params["padding"][place],
            params["lhs_dilation"][place],
            params["rhs_dilation"][place],
        )
    return [transposed(x, np.argsort(numbers.out_spec).tolist())]


def _grouped(x: Intervals, groups: int, channels: int, features: int) -> Intervals:
    """Each feature depends on the channels (axis 1) of its group."""
    if groups == 1 or x.low.shape[1] == 1:
        return hull_along(x, 1)
    shape = x.low.shape
    cut = (shape[0], groups, channels // groups, *shape[2:])
    low, high = x.low.reshape(cut).min(axis=2), x.high.reshape(cut).max(axis=2)
    low, high = (np.repeat(side, features // groups, axis=1) for side in (low, high))
    return changed(x, low, high, (x.laws[0], None, *x.laws[2:]), bounded=False)


def _dot(params: Params, operands: Operands, _: Shapes) -> Found:
    """All along the contracted axes, but for where a known matrix is 0."""
    contracted, batch = params["dimension_numbers"]
    free = [
        [axis for axis in range(len(x.shape)) if axis not in (*contracted[side], *batch[side])]
        for side, x in enumerate(operands)
    ]
    found = []
    for side, x in enumerate(operands):
        if x.intervals is None:
            continue
        other = 1 - side
        y, axes = x.intervals, contracted[side]
        matrix = _matrix(operands[other], contracted[other], batch[other])
        if matrix is not None and y.low.shape[axes[0]] > 1:
            y = _through(y, axes[0], matrix)
            order = [*free[side], axes[0]] if side == 0 else [axes[0], *free[side]]
            found.append(transposed(y, order))
            continue
        rank = y.low.ndim
        y = transposed(y, [*batch[side], *free[side], *axes])
        y = reduced(y, range(rank - len(axes), rank))
        # the free axes of the left operand come first
        place = len(batch[side]) + (len(free[side]) if side == 0 else 0)
        found.append(with_axes(y, place, len(free[other])))
    return [union(found)]


def _matrix(x: Operand, contracted: Sequence[int], batch: Sequence[int]) -> Any:
    """A known matrix as (what is contracted, what is free); None where there is none."""
    if x.value is None or len(x.shape) != 2 or len(contracted) != 1 or batch:
        return None
    value = np.asarray(x.value())
    return value if contracted[0] == 0 else value.T


def _through(x: Intervals, axis: int, matrix: Any) -> Intervals:
    """Along one axis each new place depends on the old ones whose weight is not 0."""
    low, high = (np.moveaxis(side, axis, 0) for side in (x.low, x.high))
    chosen = [np.flatnonzero(column) for column in matrix.T]
    low = np.stack([low[each].min(axis=0, initial=np.inf) for each in chosen])
    high = np.stack([high[each].max(axis=0, initial=-np.inf) for each in chosen])
    return with_laws_found(x, np.moveaxis(low, 0, axis), np.moveaxis(high, 0, axis))


# ------------------------------------------------------------------------------------------
# What each primitive of JAX does to the intervals of an image that its operands depend on.
#
# Structure alone counts: a unit depends on all that an operation reads for it, whatever the values,
# except where they are known before the function runs (the weights of a resize, the indices of a
# gather). What is not known here is answered by all of the image, and marked as bounded.

_ELEMENTWISE = """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp
    clz complex conj convert_element_type copy copy_p cos cosh digamma div eq eq_to erf erf_inv erfc
    exp exp2 expm1 floor ge gt igamma igammac imag integer_pow is_finite le le_to lgamma log log1p
    logistic lt lt_to max min mul name ne neg nextafter not or polygamma population_count pow
    real reduce_precision regularized_incomplete_beta rem round rsqrt select_n shift_left
    shift_right_arithmetic shift_right_logical sign sin sinh sqrt square stop_gradient sub tan tanh
    xor zeta
"""
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
"""Primitives whose result at a place depends on the operands at that place alone."""


def dependence(primitive: Primitive, params: Params, operands: Operands, shapes: Shapes) -> Found:
    """The intervals of each result, of these shapes, of a primitive that calls no function."""
    if not given(operands):
        return [None] * len(shapes)
    name = primitive.name
    tabled = name in ("gather", "dynamic_slice") and _by_table(primitive, params, operands)
    if tabled:
        return tabled
    if name in ALONE:
        (x,) = given(operands)
        return [ALONE[name](params, x, operands[0].shape, shapes[0])]
    if name in ELEMENTWISE:
        return [union([of_rank(x, len(shapes[0])) for x in given(operands)])] * len(shapes)
    return RULES[name](params, operands, shapes) if name in RULES else _unknown(operands, shapes)


def _reduction(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """All along some axes; what a reduction starts from is a number."""
    axes = [int(axis) for axis in params.get("axes", params.get("dimensions"))]
    rank = len(shapes[0])
    found = [
        reduced(x, axes) if x.low.ndim == rank + len(axes) else of_rank(x, rank)
        for x in given(operands)
    ]
    return [union(found)] * len(shapes)


def _cumulative(params: Params, x: Intervals, *_: Any) -> Intervals:
    """Each element depends on all before it, itself included."""
    axis, law = params["axis"], x.laws[params["axis"]]
    if x.low.shape[axis] == 1:
        return x
    if params["reverse"]:
        return flipped(_cumulative({"axis": axis, "reverse": False}, flipped(x, axis)), axis)
    low, high = np.minimum.accumulate(x.low, axis), np.maximum.accumulate(x.high, axis)
    laws = _put(x.laws, axis, None)
    return changed(x, low, high, laws, bounded=law is not None and law[1] != 0)


def _window_reduction(params: Params, operands: Operands, shapes: Shapes) -> Found:
    """A window slides over every axis."""
    return [union([_windowed(params, x) for x in given(operands)])] * len(shapes)


def _windowed(params: Params, x: Intervals) -> Intervals:
    windows = params["window_dimensions"]
    if x.low.ndim != len(windows):  # what the reduction starts from
        return of_rank(x, len(windows))
    names = ("window_strides", "padding", "base_dilation", "window_dilation")
    for axis, window in enumerate(windows):
        x = windowed(x, axis, window, *(params[name][axis] for name in names))
    return x


def _by_name(rules: Mapping[str, T]) -> dict[str, T]:
    """The rule of each of the primitives named before it."""
    return {name: rule for names, rule in rules.items() for name in names.split()}


ALONE: dict[str, Alone] = _by_name(
    {
        "broadcast_in_dim": lambda params, x, shape, result: _placed(
            x, shape, list(map(int, params["broadcast_dimensions"])), range(len(shape)), result
        ),
        "cumlogsumexp cummax cummin cumprod cumsum": _cumulative,
        "expand_dims reshape squeeze": _reshape,
        "rev": _reverse,
        "slice": _slice,
        "transpose": lambda params, x, *_: transposed(x, params["permutation"]),
    }
)

RULES: dict[str, Rule] = _by_name(
    {
        "argmax argmin reduce reduce_and reduce_max reduce_min": _reduction,
        "concatenate": _concatenate,
        "conv_general_dilated": _convolution,
        "device_put mesh_cast optimization_barrier sharding_constraint": (
            lambda _, operands, __: [x.intervals for x in operands]
        ),
        "dot_general": _dot,
        "dynamic_slice": _dynamic_slice,
        "dynamic_update_slice": _dynamic_update_slice,
        "gather": _gather,
        "pad": _pad,
        "reduce_or reduce_prod reduce_sum reduce_xor": _reduction,
        "reduce_window reduce_window_max reduce_window_min reduce_window_sum": _window_reduction,
        "sort top_k": _sort,
        "split": _split,
    }
)
"""Every other primitive is elementwise, or unknown."""
