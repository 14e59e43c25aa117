"""A jaxpr, read: its equations with the names of the layers, and how values flow through it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
from jax.extend.core import Jaxpr, JaxprEqn
from jax.extend.core import Literal as Number
from jax.extend.source_info_util import NameStack, new_name_stack

from ablax.analysis.jax_versions import constants_and_carry, jaxprs_in_params

# ------------------------------------------------------------------------------------------
# What a JAX function does, read from its jaxpr: each leaf equation, its layer and its trips.

# Primitives that only call what they hold, once.
CALLS = frozenset(
    {
        "jit",
        "call",
        "closed_call",
        "remat2",
        "checkpoint",  # the name of remat2 in other versions of JAX
        "custom_jvp_call",
        "custom_vjp_call",
        "custom_vmap_call",
    }
)

# The class of a name in a name stack; the other class marks a transformation such as jvp.
_Name = type(new_name_stack("name").stack[0])
# Names that JAX itself puts on the stack.
_NAMES_OF_JAX = frozenset({"rematted_computation"})


@dataclass(frozen=True)
class Equation:
    """One leaf equation: a primitive that calls no other equations (or none that we follow).

    Attributes:
        primitive: The name of the primitive, such as `"dot_general"`.
        params: Its parameters, as JAX gives them.
        inputs: The abstract values (`shape`, `dtype`) of the operands, in order.
        outputs: The same of the results.
        scope: The layer it belongs to, outermost name first: `("AlexNet", "conv1", "conv")`.
        trips: How often it runs, or None inside a `while` loop: the jaxpr does not tell.
    """

    primitive: str
    params: Mapping[str, Any]
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    scope: tuple[str, ...]
    trips: int | None


Weight = Callable[[Equation], float]


def equations(
    fn: Callable[..., Any], *args: Any, weight: Weight | None = None
) -> Iterator[Equation]:
    r"""Every leaf equation of `fn(*args)`, in the order of execution; nothing is computed.

    Inside a call (`jit`, `custom_jvp`, `custom_vjp`, `remat`, ...) the equations are those of the
    function called. Of the constructs that choose or repeat:

    - `scan`: the body, with `trips` times the length.
    - `while_loop`: condition and body, with `trips` None.
    - `cond`, `switch`: every branch; with a `weight`, only the branch whose equations weigh most in
      sum (the first of equals).
    - `platform_dependent`: the default branch, on whatever machine; without a default, as `switch`.

    A primitive that holds a jaxpr of another kind (`reduce`, `custom_linear_solve`, `shard_map`,
    ...) is a leaf. Equations whose result nobody reads are listed too, though XLA drops them.

    The layer names come from `jax.named_scope`, which Flax Linen opens for every module. The
    marks of transformations (`jvp`, `transpose`, `vmap`) are no layers: a backward equation has
    the scope of the layer it differentiates.

    Args:
        fn: Any function that JAX can trace.
        *args: Its arguments: arrays, or `jax.ShapeDtypeStruct`, in any pytree.
        weight: What an equation costs, trips included; decides between the branches of a `cond`.

    Returns:
        An iterator over the leaf equations.

    Example:
        >>> import jax.numpy as jnp
        >>> def powers(a):
        ...     with jax.named_scope("powers"):
        ...         return jax.lax.scan(lambda b, _: (b @ a, None), a, length=5)[0]
        >>> a = jax.ShapeDtypeStruct((2, 2), jnp.float32)
        >>> [(e.primitive, e.scope, e.trips) for e in equations(powers, a)]
        [('dot_general', ('powers',), 5)]
    """
    return _walk(jax.make_jaxpr(fn)(*args).jaxpr, (), 1, weight)


def _walk(
    jaxpr: Jaxpr, scope: tuple[str, ...], trips: int | None, weight: Weight | None
) -> Iterator[Equation]:
    """The leaf equations of one jaxpr that runs `trips` times inside `scope`."""
    for eqn in jaxpr.eqns:
        # JAX starts an empty name stack in each inner jaxpr, so the names add up.
        here = scope + layer_names(eqn.source_info.name_stack)
        name = eqn.primitive.name
        if name == "cond":
            yield from _branch(eqn, here, trips, weight)
        elif name in CALLS or name in ("scan", "while"):
            for body in jaxprs_in_params(eqn.params):
                yield from _walk(body, here, _trips_inside(eqn, trips), weight)
        else:
            yield _leaf(eqn, here, trips)


def _trips_inside(eqn: JaxprEqn, trips: int | None) -> int | None:
    """How often the body of a call or loop runs, when the equation itself runs `trips` times."""
    if trips is None or eqn.primitive.name == "while":
        return None
    return trips * eqn.params["length"] if eqn.primitive.name == "scan" else trips


def _branch(
    eqn: JaxprEqn, scope: tuple[str, ...], trips: int | None, weight: Weight | None
) -> Iterator[Equation]:
    """The equations of the branch of a `cond` that counts; of all branches without a `weight`."""
    branches = list(jaxprs_in_params(eqn.params))
    # `platform_dependent` becomes a `cond` that remembers its platforms; None stands for default.
    platforms = eqn.params.get("branches_platforms") or ()
    if None in platforms:
        branches = [branches[platforms.index(None)]]
    followed = [_walk(branch, scope, trips, weight) for branch in branches]
    if weight is None or len(followed) == 1:
        for branch in followed:
            yield from branch
        return
    yield from max(map(list, followed), key=lambda branch: sum(map(weight, branch)))


def _leaf(eqn: JaxprEqn, scope: tuple[str, ...], trips: int | None) -> Equation:
    return Equation(
        primitive=eqn.primitive.name,
        params=eqn.params,
        inputs=tuple(var.aval for var in eqn.invars),
        outputs=tuple(var.aval for var in eqn.outvars),
        scope=scope,
        trips=trips,
    )


def layer_names(stack: NameStack) -> tuple[str, ...]:
    """The layer names on a name stack, without the marks of transformations.

    The backward equations of a `custom_jvp` or `remat` carry the path twice, as
    `transpose(jvp(net))/conv/jvp(net)/conv`; it is given once. A module that holds another of the
    same name has no mark between the two, and keeps both.

    Args:
        stack: What `eqn.source_info.name_stack` holds.

    Returns:
        The names, outermost first.
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


# ------------------------------------------------------------------------------------------
# Which leaf equation of a jaxpr reads what another has written: `equations` with its arrows.

Kind = Literal["activation", "parameter", "constant"]

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

    Attributes:
        shape: Its sizes, in one trip of the loops around it.
        kind: Whether it depends on an argument that is no parameter, only on parameters, or on
            neither.
        leaves: The parameters that it is or was made of, by number, when it is no activation.
        literal: The number, when it stands in the jaxpr itself.
        width: Bytes of a number.
        whole: The array of which a loop takes this one as a slice, or gathers it from such slices.
        rooted: Whether a root was taken of a parameter on the way to it, as of a kept variance.
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


@dataclass(frozen=True, eq=False)
class Step:
    """A leaf equation with the values it reads and writes.

    Attributes:
        equation: The equation.
        reads: Its operands.
        writes: Its results.
        chosen: Whether it stands in the branch of a `cond` that was taken to be the one to count.
    """

    equation: Equation
    reads: tuple[Value, ...]
    writes: tuple[Value, ...]
    chosen: bool = False


@dataclass(frozen=True)
class Flow:
    """A function as steps.

    Attributes:
        steps: Every leaf equation that is not free, in the order of execution.
        inputs: The arguments that are no parameters.
        outputs: The results.
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


def flow(fn: Callable[..., Any], *args: Any, parameters: int | None, weight: Weight) -> Flow:
    """Trace `fn(*args)` and follow every value; nothing is computed.

    What is followed is what `equations` follows: calls and loops are entered, of a `cond` the
    branch of greatest weight, of a `platform_dependent` choice the default branch.

    Args:
        fn: Any function that JAX can trace.
        *args: Its arguments: arrays, or `jax.ShapeDtypeStruct`, in any pytree.
        parameters: Which argument holds the parameters, or None.
        weight: What an equation costs, trips included.

    Returns:
        The steps.

    Example:
        >>> import jax.numpy as jnp
        >>> w, x = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((3, 4), (2, 3)))
        >>> traced = flow(lambda w, x: (x @ w).sum(), w, x, parameters=0, weight=lambda _: 1.0)
        >>> [(s.equation.primitive, [v.kind for v in s.reads]) for s in traced.steps]
        [('dot_general', ['activation', 'parameter']), ('reduce_sum', ['activation'])]
    """
    jaxpr = jax.make_jaxpr(fn)(*args).jaxpr
    reads: list[Value] = []
    sizes: list[int] = []
    paths: list[tuple[str, ...]] = []
    for place, argument in enumerate(args):
        for path, leaf in jax.tree.leaves_with_path(argument):
            shape = tuple(jax.numpy.shape(leaf))
            if place == parameters:
                reads.append(Value(shape, "parameter", frozenset({len(sizes)})))
                sizes.append(math.prod(shape))
                paths.append(tuple(_key(key) for key in path))
            else:
                reads.append(Value(shape, "activation"))
    inputs = tuple(value for value in reads if value.kind == "activation")
    walk = _Walk(weight)
    outputs = walk.jaxpr(jaxpr, reads, (), 1, False)
    return Flow(
        steps=tuple(walk.steps),
        inputs=inputs,
        outputs=tuple(outputs),
        escaped=tuple(walk.escaped),
        scopes=walk.scopes,
        sizes=tuple(sizes),
        paths=tuple(paths),
    )


def _key(key: Any) -> str:
    return str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))))


class _Walk:
    """The steps found so far, in a function and in what it calls."""

    def __init__(self, weight: Weight) -> None:
        self.weight = weight
        self.steps: list[Step] = []
        self.escaped: list[Value] = []  # what a body hands to its loop
        self.scopes: dict[Value, tuple[str, ...]] = {}

    def jaxpr(
        self,
        jaxpr: Jaxpr,
        reads: Sequence[Value],
        scope: tuple[str, ...],
        trips: int | None,
        chosen: bool,
    ) -> list[Value]:
        """Walk through one jaxpr that runs `trips` times; its results."""
        known: dict[Any, Value] = dict(zip(jaxpr.invars, reads, strict=True))
        for variable in jaxpr.constvars:
            known[variable] = Value(_shape(variable), "constant")
        for eqn in jaxpr.eqns:
            operands = [_read(known, variable) for variable in eqn.invars]
            here = scope + layer_names(eqn.source_info.name_stack)
            results = self.equation(eqn, operands, here, trips, chosen)
            known.update(zip(eqn.outvars, results, strict=True))
        return [_read(known, variable) for variable in jaxpr.outvars]

    def equation(
        self,
        eqn: JaxprEqn,
        reads: list[Value],
        scope: tuple[str, ...],
        trips: int | None,
        chosen: bool,
    ) -> list[Value]:
        """Walk through one equation; its results."""
        name = eqn.primitive.name
        if name == "cond":
            return self.branch(eqn, reads[1:], scope, trips, chosen)
        if name == "scan":
            return self.scan(eqn, reads, scope, trips, chosen)
        if name == "while":
            return self.repeat(eqn, reads, scope, chosen)
        if name in CALLS:
            (body,) = jaxprs_in_params(eqn.params)
            return self.jaxpr(body, reads, scope, trips, chosen)
        if name in FREE and len(reads) == len(eqn.outvars):
            pairs = zip(reads, eqn.outvars, strict=True)
            return [
                replace(value, shape=_shape(variable), source=value.origin)
                for value, variable in pairs
            ]
        equation = Equation(
            primitive=name,
            params=eqn.params,
            inputs=tuple(variable.aval for variable in eqn.invars),
            outputs=tuple(variable.aval for variable in eqn.outvars),
            scope=scope,
            trips=trips,
        )
        results = [_made(name, reads, variable) for variable in eqn.outvars]
        self.steps.append(Step(equation, tuple(reads), tuple(results), chosen))
        self.scopes.update(dict.fromkeys(results, scope))
        return results

    def branch(
        self,
        eqn: JaxprEqn,
        reads: list[Value],
        scope: tuple[str, ...],
        trips: int | None,
        chosen: bool,
    ) -> list[Value]:
        """Walk through the branch that counts."""
        branches = list(jaxprs_in_params(eqn.params))
        platforms = eqn.params.get("branches_platforms") or ()
        by_platform = None in platforms
        if by_platform:
            branches = [branches[platforms.index(None)]]
        best: tuple[float, _Walk, list[Value]] | None = None
        for branch in branches:
            walk = _Walk(self.weight)
            marked = chosen or not by_platform
            results = walk.jaxpr(branch, reads, scope, trips, marked)
            total = sum(self.weight(step.equation) for step in walk.steps)
            if best is None or total > best[0]:
                best = total, walk, results
        assert best is not None, "a cond has a branch"
        _, walk, results = best
        self.steps += walk.steps
        self.escaped += walk.escaped
        self.scopes.update(walk.scopes)
        return results

    def scan(
        self,
        eqn: JaxprEqn,
        reads: list[Value],
        scope: tuple[str, ...],
        trips: int | None,
        chosen: bool,
    ) -> list[Value]:
        """Walk once through the body of a scan, which runs its length times."""
        (body,) = jaxprs_in_params(eqn.params)
        constants, carried = constants_and_carry(eqn)
        entering = [
            *reads[:constants],
            *(_carried(value) for value in reads[constants:][:carried]),
            *(
                Value(
                    *(_shape(variable), value.kind, value.leaves),
                    width=_width(variable),
                    whole=value.origin,
                )
                for value, variable in zip(
                    reads[constants + carried :], body.invars[constants + carried :], strict=True
                )
            ),
        ]
        inside = None if trips is None else trips * eqn.params["length"]
        leaving = self.jaxpr(body, entering, scope, inside, chosen)
        self.escaped += leaving
        # a carry is what the steps have made of it, whatever it began as
        made: list[tuple[Kind, frozenset[int]]] = [("activation", frozenset())] * carried
        made += [(value.kind, value.leaves) for value in leaving[carried:]]
        results = [
            Value(_shape(variable), *kind, width=_width(variable), whole=value.origin)
            for variable, kind, value in zip(eqn.outvars, made, leaving, strict=True)
        ]
        for result, value in zip(results, leaving, strict=True):
            self.scopes[result] = self.scopes.get(value.origin, scope)
        return results

    def repeat(
        self, eqn: JaxprEqn, reads: list[Value], scope: tuple[str, ...], chosen: bool
    ) -> list[Value]:
        """Walk once through a while loop, of which nobody knows how often it runs."""
        tested, looped = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
        carry = [_carried(value) for value in reads[tested + looped :]]
        condition, body = eqn.params["cond_jaxpr"].jaxpr, eqn.params["body_jaxpr"].jaxpr
        self.jaxpr(condition, [*reads[:tested], *carry], scope, None, chosen)
        between = reads[tested : tested + looped]
        self.escaped += self.jaxpr(body, [*between, *carry], scope, None, chosen)
        return [Value(_shape(variable), "activation") for variable in eqn.outvars]


def _carried(value: Value) -> Value:
    """What a loop carries, inside its body: it depends on the trip, whatever it began as."""
    return Value(value.shape, "activation", began=value.origin)


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(getattr(variable.aval, "shape", ()))


def _width(variable: Any) -> int:
    return int(getattr(getattr(variable.aval, "dtype", None), "itemsize", 4))


def _read(known: dict[Any, Value], variable: Any) -> Value:
    if isinstance(variable, Number):
        number = complex(variable.val) if _shape(variable) == () else None
        return Value(_shape(variable), "constant", literal=number)
    return known[variable]


def _made(primitive: str, reads: list[Value], variable: Any) -> Value:
    """What an equation makes of its operands."""
    kinds = {value.kind for value in reads}
    if "activation" in kinds:
        return Value(_shape(variable), "activation", width=_width(variable))
    leaves = frozenset().union(*(value.leaves for value in reads))
    rooted = primitive in ROOTS or any(value.rooted for value in reads)
    return Value(_shape(variable), "parameter" if leaves else "constant", leaves, rooted=rooted)
