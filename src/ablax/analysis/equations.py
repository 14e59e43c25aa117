"""What a JAX function does, read from its jaxpr: each leaf equation, its layer and its trips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jax.extend.core import Jaxpr, JaxprEqn
from jax.extend.source_info_util import NameStack, new_name_stack

from ablax.analysis.jax_versions import jaxprs_in_params

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
