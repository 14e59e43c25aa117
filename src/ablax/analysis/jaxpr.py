"""A jaxpr, read: one walk through its equations, which carries whatever one asks about."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jax.extend.core import Literal as Number
from jax.extend.source_info_util import NameStack, new_name_stack

from ablax.analysis.jax_versions import bodies, constants_and_carry

# Primitives that call what they hold, choose or loop.
_HOLDERS = {
    *("jit", "call", "closed_call", "custom_jvp_call", "custom_vjp_call", "custom_vmap_call"),
    *("remat2", "checkpoint"),  # one primitive, by its names in the versions of JAX
    *("cond", "scan", "while"),
}
# The class of a name in a name stack; the other class marks a transformation such as jvp.
_Name = type(new_name_stack("name").stack[0])
# Names that JAX itself puts on the stack.
_NAMES_OF_JAX = frozenset({"rematted_computation"})


class Equation(NamedTuple):
    """An equation, as JAX has it, and the layer it belongs to: `("AlexNet", "conv1", "conv")`.

    It runs so many `trips`; None inside a `while` loop, of which the jaxpr does not tell.
    """

    eqn: JaxprEqn
    scope: tuple[str, ...]
    trips: int | None

    @property
    def primitive(self) -> str:
        """The name of the primitive, such as `"dot_general"`."""
        return self.eqn.primitive.name

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters of the primitive, as JAX gives them."""
        return self.eqn.params

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The abstract values (`shape`, `dtype`) of the operands."""
        return tuple(variable.aval for variable in self.eqn.invars)

    @property
    def outputs(self) -> tuple[Any, ...]:
        """The abstract values of the results."""
        return tuple(variable.aval for variable in self.eqn.outvars)


V = TypeVar("V")
"""What a walk carries for each array."""
Run = Callable[[Sequence[V]], list[V]]
"""Walks through a function that an equation holds: from its arguments to its results."""
Round = Callable[[Sequence[V], Sequence[V]], tuple[list[V], list[V]]]
"""One round of a `scan`: from what it carries and its slices to the next carry and its results."""


class Rules(Generic[V]):
    """What a walk carries for each array, and what equations make of it.

    What is called or chosen for a platform needs no rule: the walk enters it.
    """

    def constant(self, value: Any) -> V:
        """An array that the function holds."""
        raise NotImplementedError

    def literal(self, value: Any) -> V:
        """A number that stands in an equation."""
        return self.constant(value)

    def enters(self, equation: Equation, operands: Sequence[V]) -> bool:  # noqa: ARG002
        """Whether a call, choice or loop is entered; else it is a leaf."""
        return True

    def leaf(self, equation: Equation, operands: Sequence[V]) -> Sequence[V]:
        """The results of an equation that is not entered."""
        raise NotImplementedError

    def choice(self, branches: Sequence[Run[V]], index: V, operands: Sequence[V]) -> Sequence[V]:
        """The results of a `cond` or `switch`."""
        raise NotImplementedError

    def scan(
        self, equation: Equation, body: Round[V], carry: Sequence[V], arrays: Sequence[V]
    ) -> Sequence[V]:
        """The results of a `scan`: the last carry, then the stacked results of its rounds."""
        raise NotImplementedError

    def loop(
        self, equation: Equation, condition: Run[V], body: Run[V], carry: Sequence[V]
    ) -> Sequence[V]:
        """The results of a `while` loop: the last carry."""
        raise NotImplementedError


def interpret(jaxpr: ClosedJaxpr, rules: Rules[V], arguments: Sequence[V]) -> list[V]:
    """Walk through a function, in the order of execution.

    Calls (`jit`, `custom_jvp`, `custom_vjp`, `remat`, ...) are entered; of a `platform_dependent`
    choice the default branch is, on whatever machine. Of a choice at run time and of loops the
    rules decide what to make. A primitive that holds a jaxpr of another kind (`reduce`,
    `custom_linear_solve`, `shard_map`, ...) is a leaf. Equations whose result nobody reads are
    walked through too, though XLA drops them.

    The names of layers come from `jax.named_scope`, which Flax Linen opens for every module. The
    marks of transformations (`jvp`, `transpose`, `vmap`) are no layers: a backward equation has
    the scope of the layer it differentiates.

    It gives what is carried for the results, from what is carried for the flat arguments.
    """
    return _run((jaxpr.jaxpr, jaxpr.consts), rules, (), 1, arguments)


def _run(
    body: tuple[Jaxpr, Sequence[Any]],
    rules: Rules[V],
    scope: tuple[str, ...],
    trips: int | None,
    arguments: Sequence[V],
) -> list[V]:
    """The results of one jaxpr that runs `trips` times inside `scope`."""
    jaxpr, constants = body
    held: dict[Any, V] = dict(zip(jaxpr.invars, arguments, strict=True))
    held.update(zip(jaxpr.constvars, map(rules.constant, constants), strict=True))

    def values(variables: Sequence[Any]) -> list[V]:
        return [rules.literal(x.val) if isinstance(x, Number) else held[x] for x in variables]

    for eqn in jaxpr.eqns:
        # JAX starts an empty name stack in each inner jaxpr, so the names add up.
        here = Equation(eqn, scope + layer_names(eqn.source_info.name_stack), trips)
        held.update(zip(eqn.outvars, follow(here, rules, values(eqn.invars)), strict=True))
    return values(jaxpr.outvars)


def follow(equation: Equation, rules: Rules[V], operands: Sequence[V]) -> Sequence[V]:
    """The results of one equation: the step of `interpret`."""
    eqn, name, trips = equation.eqn, equation.eqn.primitive.name, equation.trips
    if name not in _HOLDERS or not rules.enters(equation, operands):
        return rules.leaf(equation, operands)
    if name == "while":
        trips = None
    elif name == "scan" and trips is not None:
        trips *= eqn.params["length"]
    runs = [functools.partial(_run, body, rules, equation.scope, trips) for body in bodies(eqn)]
    if name == "cond":
        index, *given = operands
        # `platform_dependent` becomes a `cond` that remembers its platforms; None is the default
        platforms = eqn.params.get("branches_platforms") or ()
        if None in platforms:
            return runs[platforms.index(None)](given)
        return rules.choice(runs, index, given)
    if name == "scan":
        fixed, carried = constants_and_carry(eqn)

        def body(carry: Sequence[V], slices: Sequence[V]) -> tuple[list[V], list[V]]:
            results = runs[0]([*operands[:fixed], *carry, *slices])
            return results[:carried], results[carried:]

        carry, arrays = operands[fixed : fixed + carried], operands[fixed + carried :]
        return rules.scan(equation, body, carry, arrays)
    if name == "while":
        tested, looped = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
        ends = ((0, tested), (tested, tested + looped))
        test, repeat = (
            lambda carry, run=run, begin=begin, end=end: run([*operands[begin:end], *carry])
            for run, (begin, end) in zip(runs, ends, strict=True)
        )
        return rules.loop(equation, test, repeat, operands[tested + looped :])
    (run,) = runs
    return run(operands)


def layer_names(stack: NameStack) -> tuple[str, ...]:
    """The layer names on a name stack, outermost first, without the marks of transformations.

    The backward equations of a `custom_jvp` or `remat` carry the path twice, as
    `transpose(jvp(net))/conv/jvp(net)/conv`; it is given once. A module that holds another of the
    same name has no mark between the two, and keeps both.
    """
    names: list[str] = []
    marked: list[bool] = []  # does a mark stand right before this name?
    marks: set[str] = set()
    mark = False
    for part in stack.stack:
        if not isinstance(part, _Name):
            marks.add(part.name)
            mark = mark or part.name in ("jvp", "transpose")
        elif part.name not in _NAMES_OF_JAX:
            for name in part.name.split("/"):
                names.append(name)
                marked.append(mark)
                mark = False
    if "transpose" in marks:
        _drop_marked_repeats(names, marked)
    return tuple(names)


def _drop_marked_repeats(names: list[str], marked: list[bool]) -> None:
    """Shorten `a b a' b` to `a b`, in place, wherever the second copy holds a mark."""
    length = 1
    while 2 * length <= len(names):
        for first in range(len(names) - 2 * length + 1):
            second = slice(first + length, first + 2 * length)
            if names[first : first + length] == names[second] and any(marked[second]):
                del names[second], marked[second]
                length = 0  # look again from the shortest repeats
                break
        length += 1


Kind = Literal["activation", "parameter", "constant"]
Weight = Callable[[Equation], float]

# What only says how elements are looked at; none is computed, and none has to move.
FREE = frozenset(
    {
        *("reshape", "squeeze", "broadcast_in_dim", "expand_dims", "convert_element_type"),
        *("stop_gradient", "copy", "copy_p", "optimization_barrier", "reduce_precision", "name"),
    }
)
ROOTS = frozenset({"rsqrt", "sqrt", "pow", "cbrt"})


@dataclass(frozen=True, eq=False)
class Value:
    """An array on its way through a function; equal to nothing but itself.

    Its shape is that in one trip of the loops around it; a number of it has `width` bytes. An
    activation depends on an argument that is no parameter.

    Attributes:
        leaves: The parameters that it is or was made of, by number, when it is no activation.
        literal: The number, when it stands in the jaxpr itself.
        rooted: Whether a root was taken of a parameter on the way to it, as of a kept variance.
        whole: The array of which a loop takes this one as a slice, or gathers it from such slices.
        began: What a loop carries as this one was before its first trip.
        source: The value of which this one is another look, or itself when None.
    """

    shape: tuple[int, ...]
    kind: Kind
    leaves: frozenset[int] = frozenset()
    literal: complex | None = None
    rooted: bool = False
    width: int = 4
    whole: Value | None = field(default=None, repr=False)
    began: Value | None = field(default=None, repr=False)
    source: Value | None = field(default=None, repr=False)

    @property
    def origin(self) -> Value:
        """The value as it was written."""
        return self if self.source is None else self.source

    @property
    def size(self) -> int:
        """How many elements were written: a broadcast or a new shape writes none."""
        return math.prod(self.origin.shape)


Values = Sequence[Value]


class Step(NamedTuple):
    """A leaf equation with the values it reads and writes.

    It is `chosen` in the branch of a `cond` that was taken to be the one to count.
    """

    equation: Equation
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    chosen: bool = False

    @property
    def primitive(self) -> str:
        """The name of the equation's primitive."""
        return self.equation.eqn.primitive.name


@dataclass(frozen=True)
class Flow:
    """A function as steps: every leaf equation that is not free, in the order of execution.

    Attributes:
        inputs: The arguments that are no parameters.
        escaped: What leaves the body of a loop.
        scopes: The names around what made each value that a step or a loop gives.
        sizes: Numbers of each parameter.
        paths: The place of each parameter in its tree, such as `("params", "conv1", "kernel")`.
    """

    steps: tuple[Step, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    escaped: tuple[Value, ...]
    scopes: Mapping[Value, tuple[str, ...]]
    sizes: tuple[int, ...]
    paths: tuple[tuple[str, ...], ...]


def equations(fn: Callable[..., Any], *args: Any, weight: Weight | None = None) -> list[Equation]:
    """Every leaf equation of `fn(*args)`, in the order of execution; nothing is computed.

    What is entered says `interpret`. The body of a `scan` stands there once, with `trips` times
    its length; condition and body of a `while` loop, with `trips` None; of a `cond` every branch.

    With a `weight`, which is what an equation costs, trips included, there is only the branch of a
    `cond` whose equations weigh most in sum (the first of equals).

    Example:
        >>> import jax.numpy as jnp
        >>> def powers(a):
        ...     with jax.named_scope("powers"):
        ...         return jax.lax.scan(lambda b, _: (b @ a, None), a, length=5)[0]
        >>> a = jax.ShapeDtypeStruct((2, 2), jnp.float32)
        >>> [(e.primitive, e.scope, e.trips) for e in equations(powers, a)]
        [('dot_general', ('powers',), 5)]
    """
    jaxpr, record = jax.make_jaxpr(fn)(*args), _Record(weight, free=True)
    interpret(jaxpr, record, [Value(_shape(array), "activation") for array in jaxpr.in_avals])
    return [step.equation for step in record.steps]


def flow(fn: Callable[..., Any], *args: Any, parameters: int | None, weight: Weight) -> Flow:
    """Trace `fn(*args)` and follow every value, of a `cond` through its branch of greatest weight.

    `parameters` says which argument holds them, if one does.

    Raises:
        ValueError: There is no such argument.

    Example:
        >>> import jax.numpy as jnp
        >>> w, x = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((3, 4), (2, 3)))
        >>> traced = flow(lambda w, x: (x @ w).sum(), w, x, parameters=0, weight=lambda _: 1.0)
        >>> [(s.equation.primitive, [v.kind for v in s.reads]) for s in traced.steps]
        [('dot_general', ['activation', 'parameter']), ('reduce_sum', ['activation'])]
    """
    if parameters is not None and not 0 <= parameters < len(args):
        raise ValueError(
            f"parameters={parameters}, and the function is given {len(args)} arguments: expected "
            "the number of the argument that holds the parameters, or None"
        )
    reads: list[Value] = []
    sizes: list[int] = []
    paths: list[tuple[str, ...]] = []
    for place, argument in enumerate(args):
        for path, leaf in jax.tree.leaves_with_path(argument):
            shape = tuple(jax.numpy.shape(leaf))
            if place == parameters:
                reads.append(Value(shape, "parameter", frozenset({len(sizes)})))
                sizes.append(math.prod(shape))
                paths.append(tuple(jax.tree_util.keystr((key,), simple=True) for key in path))
            else:
                reads.append(Value(shape, "activation"))
    record = _Record(weight)
    outputs = interpret(jax.make_jaxpr(fn)(*args), record, reads)
    return Flow(
        steps=tuple(record.steps),
        inputs=tuple(value for value in reads if value.kind == "activation"),
        outputs=tuple(outputs),
        escaped=tuple(record.escaped),
        scopes=record.scopes,
        sizes=tuple(sizes),
        paths=tuple(paths),
    )


def _shape(array: Any) -> tuple[int, ...]:
    return tuple(getattr(array, "shape", ()))


def _width(array: Any) -> int:
    """Bytes of a number."""
    return int(getattr(getattr(array, "dtype", None), "itemsize", 4))


class _Record(Rules[Value]):
    """Writes down the leaf equations with what each reads and writes; loops are entered once."""

    def __init__(self, weight: Weight | None, free: bool = False) -> None:
        self.weight, self.free = weight, free
        self.chosen = False
        self.steps: list[Step] = []
        self.escaped: list[Value] = []
        self.scopes: dict[Value, tuple[str, ...]] = {}

    def constant(self, value: Any) -> Value:
        return Value(np.shape(value), "constant")

    def literal(self, value: Any) -> Value:
        shape = np.shape(value)
        return Value(shape, "constant", literal=None if shape else complex(value))

    def leaf(self, equation: Equation, operands: Values) -> Values:
        results = [_made(equation.primitive, operands, array) for array in equation.outputs]
        looks = equation.primitive in FREE and len(operands) == len(results)
        if self.free or not looks:
            self.scopes.update(dict.fromkeys(results, equation.scope))
            self.steps.append(Step(equation, tuple(operands), tuple(results), self.chosen))
            return results
        return [
            replace(value, shape=_shape(array), source=value.origin)
            for value, array in zip(operands, equation.outputs, strict=True)
        ]

    def choice(self, branches: Sequence[Run[Value]], index: Value, operands: Values) -> Values:  # noqa: ARG002
        outer, self.chosen = self.chosen, True
        done, left = len(self.steps), len(self.escaped)
        found = []
        for branch in branches:
            results = branch(operands)
            found.append((results, self.steps[done:], self.escaped[left:]))
            if self.weight is not None:
                del self.steps[done:], self.escaped[left:]
        self.chosen = outer
        if self.weight is None:
            return found[0][0]
        weights = [sum(self.weight(step.equation) for step in steps) for _, steps, _ in found]
        results, steps, escaped = found[weights.index(max(weights))]
        self.steps += steps
        self.escaped += escaped
        return results

    def scan(self, equation: Equation, body: Round[Value], carry: Values, arrays: Values) -> Values:
        whole = equation.inputs[len(equation.inputs) - len(arrays) :]
        slices = [
            Value(_shape(array)[1:], x.kind, x.leaves, width=_width(array), whole=x.origin)
            for x, array in zip(arrays, whole, strict=True)
        ]
        last, stacked = body([_carried(value) for value in carry], slices)
        # a carry is what the rounds have made of it, whatever it began as
        made: list[tuple[Kind, frozenset[int]]] = [("activation", frozenset())] * len(last)
        made += [(value.kind, value.leaves) for value in stacked]
        results = []
        for value, kind, array in zip((*last, *stacked), made, equation.outputs, strict=True):
            result = Value(_shape(array), *kind, width=_width(array), whole=value.origin)
            self.scopes[result] = self.scopes.get(value.origin, equation.scope)
            results.append(result)
        self.escaped += [*last, *stacked]
        return results

    def loop(
        self, equation: Equation, condition: Run[Value], body: Run[Value], carry: Values
    ) -> Values:
        carried = [_carried(value) for value in carry]
        condition(carried)
        self.escaped += body(carried)
        return [Value(_shape(array), "activation") for array in equation.outputs]


def _carried(value: Value) -> Value:
    """What a loop carries, inside its body: it depends on the trip, whatever it began as."""
    return Value(value.shape, "activation", began=value.origin)


def _made(primitive: str, reads: Values, array: Any) -> Value:
    """What an equation makes of its operands."""
    shape = _shape(array)
    if "activation" in [value.kind for value in reads]:
        return Value(shape, "activation", width=_width(array))
    leaves = frozenset[int]().union(*(value.leaves for value in reads))
    rooted = primitive in ROOTS or any(value.rooted for value in reads)
    return Value(shape, "parameter" if leaves else "constant", leaves, rooted=rooted)
