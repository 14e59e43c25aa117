"""The receptive field of every layer of any JAX function, read from its jaxpr."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from ablax.analysis.intervals import (
    ELEMENTWISE,
    Intervals,
    Operand,
    concatenated,
    dependence,
    of_image,
    of_rank,
    reduced,
    reshaped,
    still,
    strided,
    union,
    unknown,
    with_laws_found,
)
from ablax.analysis.jax_versions import bodies, constants_and_carry, results_of
from ablax.analysis.jaxpr import CALLS, layer_names

# ------------------------------------------------------------------------------------------
# The walk through a jaxpr that carries what each array sees of the image.

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
    """An array on its way through the function.

    Attributes:
        shape: Its shape.
        sight: What it sees of the image; empty if it does not depend on it.
        scope: The layer that computed it.
        number: Of the equations before it.
        known: Computes it, where it is the same for all arguments; or None.
    """

    shape: tuple[int, ...]
    sight: Sight = ()
    scope: tuple[str, ...] = ()
    number: int = 0
    known: Callable[[], Any] | None = None


class Walk:
    """One walk: what each layer gives, noted when something outside the layer reads it."""

    def __init__(self, closed: ClosedJaxpr, image: int, sight: Sight) -> None:
        """Prepare to walk.

        Args:
            closed: The function.
            image: Which of its flat arguments is the image.
            sight: What the image sees of itself.
        """
        self._closed = closed
        self._image = image
        self._sight = sight
        self._count = 0
        self._given: dict[tuple[str, ...], Value | None] = {}

    def layers(self) -> list[tuple[tuple[str, ...], tuple[tuple[int, ...], Sight]]]:
        """Walk; each scope with the shape and the sight of what it gives."""
        jaxpr = self._closed.jaxpr
        values = [
            Value(_shape(var), self._sight if place == self._image else ())
            for place, var in enumerate(jaxpr.invars)
        ]
        self._given[()] = None
        for value in self._run(jaxpr, self._closed.consts, values, ()):
            self._read(value, None)
        return [
            (scope, (value.shape, value.sight))
            for scope, value in self._given.items()
            if value is not None
        ]

    def _read(self, value: Value, reader: tuple[str, ...] | None) -> None:
        """A value is read by a layer, or (None) returned: it leaves the layers around it."""
        if not value.sight or value.number == 0:
            return
        shared = -1
        if reader is not None:
            shared = 0
            for one, other in zip(value.scope, reader, strict=False):
                if one != other:
                    break
                shared += 1
        for depth in range(shared + 1, len(value.scope) + 1):
            scope = value.scope[:depth]
            kept = self._given.get(scope)
            if kept is None or kept.number <= value.number:
                self._given[scope] = value

    def _run(
        self, jaxpr: Jaxpr, consts: Sequence[Any], values: Sequence[Value], scope: tuple[str, ...]
    ) -> list[Value]:
        """The results of one jaxpr, from its arguments."""
        held: dict[Any, Value] = dict(zip(jaxpr.invars, values, strict=True))
        held.update(zip(jaxpr.constvars, map(_constant, consts), strict=True))

        def value_of(var: Any) -> Value:
            return _literal(var) if isinstance(var, Literal) else held[var]

        for eqn in jaxpr.eqns:
            here = scope + layer_names(eqn.source_info.name_stack)
            operands = [value_of(var) for var in eqn.invars]
            held.update(zip(eqn.outvars, self._results(eqn, operands, here), strict=True))
        return [value_of(var) for var in jaxpr.outvars]

    def _results(
        self, eqn: JaxprEqn, operands: Sequence[Value], scope: tuple[str, ...]
    ) -> list[Value]:
        name = eqn.primitive.name
        if name == "cond":
            return self._cond(eqn, operands, scope)
        if name == "scan":
            return self._scan(eqn, operands, scope)
        if name in CALLS:
            (body,) = bodies(eqn)
            return self._run(*body, operands, scope)
        for depth in range(1, len(scope) + 1):
            self._given.setdefault(scope[:depth], None)
        for operand in operands:
            self._read(operand, scope)
        shapes = [_shape(var) for var in eqn.outvars]
        self._count += 1
        return self._leaf(eqn, operands, shapes, scope)

    def _leaf(
        self,
        eqn: JaxprEqn,
        operands: Sequence[Value],
        shapes: Sequence[tuple[int, ...]],
        scope: tuple[str, ...],
    ) -> list[Value]:
        if not any(operand.sight for operand in operands):
            known = _computed(eqn, operands, shapes)
            return [Value(shape, (), scope, self._count, known) for shape in shapes]
        axes = []
        for place in range(len(self._sight)):
            given = [
                Operand(x.shape, x.sight[place] if x.sight else None, x.known) for x in operands
            ]
            if eqn.primitive.name == "while":
                axes.append(unknown(eqn.params, given, shapes))  # nobody knows how often it runs
            else:
                axes.append(dependence(eqn.primitive, eqn.params, given, shapes))
        sights = [tuple(found) for found in zip(*axes, strict=True)]
        return [
            Value(shape, () if sight[0] is None else sight, scope, self._count)
            for shape, sight in zip(shapes, sights, strict=True)
        ]

    def _cond(
        self, eqn: JaxprEqn, operands: Sequence[Value], scope: tuple[str, ...]
    ) -> list[Value]:
        """The default branch of a platform choice; of another all branches, and what chooses."""
        held = bodies(eqn)
        platforms = eqn.params.get("branches_platforms") or ()
        if None in platforms:
            held = [held[platforms.index(None)]]
        runs = [self._run(*body, operands[1:], scope) for body in held]
        if len(runs) == 1:
            return runs[0]
        return [self._joined([*results, operands[0]]) for results in zip(*runs, strict=True)]

    def _joined(self, values: Sequence[Value]) -> Value:
        """What may be any of the values but the last, which decides."""
        first = max(values[:-1], key=lambda value: value.number)
        seeing = [value.sight for value in values if value.sight]
        if not seeing:
            return Value(first.shape, (), first.scope, first.number)
        rank = len(first.shape)
        sight = tuple(
            union([of_rank(x, rank) for x in place if x is not None])
            for place in zip(*seeing, strict=True)
        )
        return Value(first.shape, sight, first.scope, first.number)

    def _scan(
        self, eqn: JaxprEqn, operands: Sequence[Value], scope: tuple[str, ...]
    ) -> list[Value]:
        """The body, run until nothing changes, or as often as the loop runs."""
        (body,) = bodies(eqn)
        consts, carried = constants_and_carry(eqn)
        length = eqn.params["length"]
        fixed, carry = list(operands[:consts]), list(operands[consts : consts + carried])
        arrays = operands[consts + carried :]
        alike = all(x is None or still(x, 0) for array in arrays for x in array.sight)
        rounds: list[list[Value]] = []
        for trip in range(length):
            place = length - 1 - trip if eqn.params["reverse"] else trip
            slices = [_slice(array, place) for array in arrays]
            results = self._run(*body, [*fixed, *carry, *slices], scope)
            rounds.append(results[carried:])
            settled = alike and all(map(_same, carry, results[:carried]))
            carry = results[:carried]
            if settled:
                break
        shapes = [_shape(var) for var in eqn.outvars[carried:]]
        steps = [list(step) for step in zip(*rounds, strict=True)] or [[] for _ in shapes]
        reference = next((x.sight for x in arrays if x.sight), ())
        stacks = [
            self._stacked(step, shape, length, eqn.params["reverse"], reference)
            for step, shape in zip(steps, shapes, strict=True)
        ]
        return [*carry, *stacks]

    def _stacked(
        self,
        steps: list[Value],
        shape: tuple[int, ...],
        length: int,
        backwards: bool,
        reference: Sight,
    ) -> Value:
        """The results of all rounds as one array; the last round stands for those left out."""
        if not any(step.sight for step in steps):
            return Value(shape, (), steps[-1].scope if steps else (), self._count)
        lengths = [1] * (len(steps) - 1) + [length - len(steps) + 1]
        if backwards:
            steps, lengths = steps[::-1], lengths[::-1]
        sight = []
        for place in range(len(self._sight)):
            parts = [_lifted(step, place) for step in steps]
            stack = concatenated(parts, lengths, 0)
            moved = reference[place] if reference else None
            if moved is not None and not still(moved, 0):
                stack = with_laws_found(moved, stack.low, stack.high)
            sight.append(stack)
        return Value(shape, tuple(sight), steps[-1].scope, self._count)


def _shape(var: Any) -> tuple[int, ...]:
    return tuple(var.aval.shape)


def _constant(value: Any) -> Value:
    """A constant of the function: tables of indices are known, weights are not looked at."""
    shape = tuple(np.shape(value))
    kind = getattr(value, "dtype", float)
    indices = any(jax.numpy.issubdtype(kind, each) for each in (np.integer, np.bool_))
    known = indices and math.prod(shape) <= LARGEST_KNOWN
    return Value(shape, known=(lambda: value) if known else None)


def _literal(var: Any) -> Value:
    return Value(tuple(np.shape(var.val)), known=lambda: var.val)


def _computed(
    eqn: JaxprEqn, operands: Sequence[Value], shapes: Sequence[tuple[int, ...]]
) -> Callable[[], Any] | None:
    """How to compute the only result of an equation, if its operands are known."""
    if eqn.primitive.name not in _KNOWABLE or len(shapes) != 1:
        return None
    known = [operand.known for operand in operands]
    if math.prod(shapes[0]) > LARGEST_KNOWN:
        return None
    thunks = [each for each in known if each is not None]
    if len(thunks) != len(known):
        return None

    @functools.cache
    def compute() -> Any:
        with jax.ensure_compile_time_eval():
            return results_of(eqn, [thunk() for thunk in thunks])[0]

    return compute


def _slice(array: Value, place: int) -> Value:
    """What one round of a loop is given of an array."""
    sight = tuple(x and reduced(strided(x, 0, place, place + 1, 1), [0]) for x in array.sight)
    return Value(array.shape[1:], sight, array.scope, array.number)


def _lifted(step: Value, place: int) -> Intervals | None:
    """The result of one round with an axis in front."""
    x = step.sight[place] if step.sight else None
    return x and reshaped(x, step.shape, (1, *step.shape))


def _same(one: Value, other: Value) -> bool:
    """Whether two values see the same."""
    if len(one.sight) != len(other.sight):
        return False
    pairs = [(a, b) for a, b in zip(one.sight, other.sight, strict=True) if a and b]
    return all(
        a.laws == b.laws
        and a.bounded == b.bounded
        and np.array_equal(a.low, b.low)
        and np.array_equal(a.high, b.high)
        for a, b in pairs
    )


# ------------------------------------------------------------------------------------------
# Receptive fields: which part of the image a unit of each layer sees, for any JAX function.

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
        One row per layer, outer layers first, in the order of execution; the whole function first.
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
