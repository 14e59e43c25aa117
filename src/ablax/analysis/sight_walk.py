"""The walk through a jaxpr that carries what each array sees of the image."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from ablax.analysis.dependence import ELEMENTWISE, dependence
from ablax.analysis.equations import CALLS, layer_names
from ablax.analysis.intervals import Intervals, concatenated, reduced, still, strided, union
from ablax.analysis.jax_versions import bodies, constants_and_carry, results_of
from ablax.analysis.laws import with_laws_found
from ablax.analysis.operands import Operand, of_rank, unknown
from ablax.analysis.regrouping import reshaped

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
