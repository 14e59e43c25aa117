"""JAX primitives that a CPU computes by oneDNN or loops in C++, or by XLA where it cannot.

They are for what XLA's CPU compiler does slowly; `ablax.native.library` compiles the C++ on the
machine that runs it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.ffi
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir
from jax.typing import ArrayLike

from ablax.analysis.jax_versions import map_slices, without_mesh
from ablax.native.library import HALVES, NUMBERS, ONEDNN, SWITCH, TARGETS, instructions, why_not

__all__ = [
    "HALVES",
    "ONEDNN",
    "SWITCH",
    "TARGETS",
    "by_platform",
    "instructions",
    "operation",
    "why_not",
]


def operation(
    target: str,
    plain: Callable[..., Any],
    otherwise: Callable[..., Any],
    attributes: Callable[..., Mapping[str, tuple[int, ...]]],
    *,
    served: Callable[..., bool] = lambda *_, **__: True,
    narrow: Callable[..., bool] = lambda *_, **__: True,
    several: bool = False,
) -> Primitive:
    """A JAX primitive that is a call of the library, or a function of XLA's operations.

    Which of them is decided when a program is lowered, never while it is traced: until then nothing
    is compiled or even looked for. A call of the library needs numbers of one of its types,
    `served`, and the library (`why_not`); without one of these a CPU runs `otherwise`. Programs for
    other platforms, for export (they run on other machines) and of no elements hold `plain`.

    Its derivatives are left to be defined. `vmap` calls it once for each slice: a call fills all
    cores. Its fields have to be hashable; one, `out`, is its type, a `jax.core.ShapedArray` (a
    tuple of them with `several`): a transpose gives what its function was given, with the same axes
    over devices.

    Args:
        target: One of `TARGETS`, without the type of its numbers.
        plain: The function in XLA's operations, from the arguments and the fields.
        otherwise: The same, in operations that are fast on a CPU.
        attributes: What the library is told beside the arrays, from the fields but `out`.
        served: Whether the library is the faster, from abstract arguments and the fields.
        narrow: Whether it is with bfloat16, too, or is given float32 then; from the same.
    """
    primitive = Primitive(target)
    primitive.multiple_results = several
    primitive.def_abstract_eval(lambda *_, out, **__: out)
    primitive.def_impl(functools.partial(_eagerly, primitive))

    def widened(*operands: Any, out: Any, **fields: Any) -> Any:
        wide = [operand.astype(jnp.float32) for operand in operands]
        found = primitive.bind(*wide, out=ShapedArray(out.shape, np.dtype("float32")), **fields)
        return found.astype(jnp.bfloat16)

    def lower(ctx: Any, *operands: Any, out: Any, **fields: Any) -> Any:
        elsewhere = tuple(ctx.platforms or ctx.module_context.platforms) != ("cpu",)
        exported = ctx.module_context.lowering_parameters.for_export
        some = all(isinstance(aval.size, int) and aval.size > 0 for aval in ctx.avals_in)
        if elsewhere or exported or not some:  # sizes may be symbols
            return _in_words(plain, ctx, operands, out=out, **fields)
        kinds = {str(aval.dtype) for aval in ctx.avals_in} - {"uint8"}  # bytes are the taps taken
        floats = len(kinds) == 1 and kinds <= set(NUMBERS)
        if not floats or not served(*ctx.avals_in, out=out, **fields) or why_not():
            return _in_words(otherwise, ctx, operands, out=out, **fields)
        if kinds == {"bfloat16"} and not narrow(*ctx.avals_in, out=out, **fields):
            return _in_words(widened, ctx, operands, out=out, **fields)
        numbers = {name: np.asarray(pair, np.int64) for name, pair in attributes(**fields).items()}
        return jax.ffi.ffi_lowering(f"{target}_{kinds.pop()}")(ctx, *operands, **numbers)

    mlir.register_lowering(primitive, lower)
    batching.primitive_batchers[primitive] = functools.partial(_one_after_the_other, primitive)
    return primitive


def _in_words(
    function: Callable[..., Any], ctx: Any, operands: Sequence[Any], **fields: Any
) -> Any:
    """A function of XLA's operations, to which it is left what lies on which device."""
    bare = [ShapedArray(aval.shape, aval.dtype) for aval in ctx.avals_in]
    several = ctx.primitive.multiple_results
    rule = mlir.lower_fun(functools.partial(function, **fields), multiple_results=several)
    with without_mesh():
        return rule(ctx.replace(avals_in=bare, jaxpr_eqn_ctx=None), *operands)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), inline=True)
def by_platform(
    on_cpu: Callable[..., Any], elsewhere: Callable[..., Any], windows: Any, *arrays: Array
) -> Any:
    """One function on a CPU, another on other platforms, which every analysis follows.

    Both take the arrays and then the windows, which are hashable. Compiled, so that layers of equal
    shapes that run outside `jax.jit` share one program.
    """
    return lax.platform_dependent(
        *arrays,
        cpu=lambda *arrays: on_cpu(*arrays, windows),
        default=lambda *arrays: elsewhere(*arrays, windows),
    )


def _eagerly(primitive: Primitive, *arguments: ArrayLike, **fields: Any) -> Any:
    with jax.disable_jit(False):
        return _compiled(primitive, why_not(), **fields)(*arguments)


@functools.lru_cache(maxsize=1024)
def _compiled(primitive: Primitive, reason: str, **fields: Any) -> Callable[..., Any]:
    del reason  # another program for each
    return jax.jit(functools.partial(primitive.bind, **fields))


def _one_after_the_other(
    primitive: Primitive,
    arguments: tuple[ArrayLike, ...],
    axes: tuple[int | None, ...],
    **fields: Any,
) -> tuple[Any, Any]:
    """`vmap` as a loop over the slices of those arguments that have an axis."""
    mapped = tuple(
        jnp.moveaxis(argument, axis, 0)
        for argument, axis in zip(arguments, axes, strict=True)
        if axis is not None
    )

    def one(slices: tuple[Array, ...]) -> Any:
        left = iter(slices)
        both = (
            argument if axis is None else next(left)
            for argument, axis in zip(arguments, axes, strict=True)
        )
        return primitive.bind(*both, **fields)

    results = map_slices(one, mapped)
    return results, [0] * len(results) if primitive.multiple_results else 0
