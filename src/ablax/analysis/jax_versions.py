"""What the supported versions and settings of JAX do differently, in one form."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.experimental
from jax import Array, lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jax.extend.core.primitives import scan_p
from jax.interpreters import ad


def double_precision() -> AbstractContextManager[None]:
    """A context in which JAX computes with 64 bits, wherever it is asked to.

    Example:
        >>> import numpy as np
        >>> with double_precision():
        ...     print(jax.numpy.asarray(np.ones(2)).dtype)
        float64
    """
    home: Any = jax if hasattr(jax, "enable_x64") else jax.experimental
    return home.enable_x64(True)


def random_key(seed: Any) -> Array:
    """`jax.random.key` by threefry2x32, whatever generator `JAX_DEFAULT_PRNG_IMPL` asks for.

    Example:
        >>> jax.random.key_data(random_key(3)).tolist()
        [0, 3]
    """
    return jax.random.key(seed, impl="threefry2x32")


def numerics() -> str:
    """The settings of JAX on which the numbers of a program depend, in words."""
    settings: Any = jax.config
    precision = settings.jax_default_matmul_precision or "default"
    parted = "partitionable" if settings.jax_threefry_partitionable else "not partitionable"
    bits = 64 if settings.jax_enable_x64 else 32
    return f"up to {bits} bits, products in {precision} precision, random bits {parted}"


def without_mesh() -> AbstractContextManager[object]:
    """A context in which arrays are traced as if there were one device, inside any mesh."""
    return jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), ()))


def varying_alike(*arrays: Array) -> tuple[Array, ...]:
    """Arrays that, inside `jax.shard_map`, all differ from device to device if one of them does.

    JAX's own operations do so by themselves; the transpose is a sum over the devices.
    """
    types: list[Any] = [jax.typeof(array) for array in arrays]
    own = [each.vma if hasattr(each, "vma") else each.mat.varying for each in types]
    missing = [frozenset().union(*own) - varying for varying in own]

    def vary(array: Array, axes: frozenset[Any]) -> Array:
        home: Any = lax
        if not hasattr(home, "pcast"):  # to JAX 0.7
            return home.pvary(array, tuple(axes))
        return home.pcast(array, tuple(axes), to="varying")

    return tuple(
        vary(array, axes) if axes else array for array, axes in zip(arrays, missing, strict=True)
    )


def bodies(eqn: JaxprEqn) -> list[tuple[Jaxpr, Sequence[Any]]]:
    """The functions that a call, a choice or a loop holds, each with its constants."""
    held = []
    for value in eqn.params.values():
        for each in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(each, (ClosedJaxpr, Jaxpr)):
                # A function holds its constants itself from JAX 0.10 on, or is wrapped with them.
                either: Any = each
                held.append((getattr(either, "jaxpr", either), getattr(either, "consts", ())))
    return held


def constants_and_carry(scan: JaxprEqn) -> tuple[int, int]:
    """How many operands of a `scan` every trip reads whole, and how many it carries on."""
    if "num_consts" in scan.params:  # to JAX 0.10
        return scan.params["num_consts"], scan.params["num_carry"]
    constants, carry, _ = scan.params["ft_in"].unpack()  # JAX 0.12
    return len(constants), len(carry)


def results_of(eqn: JaxprEqn, operands: Sequence[Any]) -> Sequence[Any]:
    """The results of an equation, computed again from other operands."""
    given: Any = eqn.primitive.get_bind_params(eqn.params)
    # In older versions functions stand apart from the parameters, before the operands.
    functions, params = given if isinstance(given, tuple) else ((), given)
    results = eqn.primitive.bind(*functions, *operands, **params)
    return results if eqn.primitive.multiple_results else [results]


def map_slices(fn: Callable[[Any], Any], xs: Any) -> Any:
    """`jax.lax.map`, which may stand in the rule of a derivative, where it is given tangents.

    JAX before 0.10 can transpose a `scan` only when it made the scan itself, as the derivative of
    another. One that was written for tangents, as in the `jvp` rule of a linear function, fails
    with an `AssertionError`. From the first call on, the rule of those versions takes them too.
    """
    if jax.__version_info__ < (0, 10):
        _transpose_every_scan()
    return lax.map(fn, xs)


@functools.cache
def _transpose_every_scan() -> None:
    """Let the transpose of `scan` see for itself which of its operands are linear."""
    rules: Any = ad.primitive_transposes
    if scan_p not in rules:  # JAX 0.8 and 0.9
        rules = importlib.import_module("jax._src.interpreters.ad").fancy_transposes
    rules[scan_p] = functools.partial(_scan_transpose, rules[scan_p])


def _scan_transpose(
    rule: Callable[..., Sequence[Any] | None],
    cts: Sequence[Any],
    *operands: Any,
    jaxpr: ClosedJaxpr,
    linear: Sequence[bool],
    num_consts: int,
    num_carry: int,
    **params: Any,
) -> Sequence[Any] | None:
    """The transpose of a scan, by JAX's rule, with its operands in the order that it expects.

    That is known constants before linear ones, and linear slices before known ones; and it believes
    `linear`, which is false for whatever was not derived.
    """
    unknown = [_is_linear(operand) for operand in operands]
    options = {**params, "num_consts": num_consts, "num_carry": num_carry}
    if all(told for told, is_linear in zip(linear, unknown, strict=True) if is_linear):
        return rule(cts, *operands, jaxpr=jaxpr, linear=linear, **options)
    places = range(len(operands))
    slices = num_consts + num_carry
    order = [
        *sorted(places[:num_consts], key=lambda place: unknown[place]),
        *places[num_consts:slices],
        *sorted(places[slices:], key=lambda place: not unknown[place]),
    ]
    found = rule(
        cts,
        *(operands[place] for place in order),
        jaxpr=_with_arguments_in_order(jaxpr, order),
        linear=tuple(unknown[place] for place in order),
        **options,
    )
    if found is None:  # JAX 0.8 and 0.9 add up the results where the operands say
        return None
    back = dict(zip(order, found, strict=True))
    return [back[place] for place in places]


def _is_linear(operand: Any) -> bool:
    """Whether an operand of a transpose is what it is to be transposed in, not a number."""
    names = {kind.__name__ for kind in type(operand).__mro__}
    return not names.isdisjoint({"UndefinedPrimal", "GradAccum"})


def _with_arguments_in_order(closed: ClosedJaxpr, order: Sequence[int]) -> ClosedJaxpr:
    """The same function, whose first argument is the one that was number `order[0]`, and so on."""
    jaxpr = closed.jaxpr
    info = jaxpr.debug_info._replace(arg_names=None)
    variables = [jaxpr.invars[place] for place in order]
    return ClosedJaxpr(jaxpr.replace(invars=variables, debug_info=info), closed.consts)
