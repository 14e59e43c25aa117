"""What JAX has to know of a function of the library: shapes, how XLA is to call it, `vmap`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.ffi
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir
from jax.typing import ArrayLike

from ablax.analysis.jax_versions import map_slices
from ablax.errors import AblaxError
from ablax.native.library import why_not


class NativeError(AblaxError):
    """A function of the library was asked for where it cannot be had."""


def operation(
    target: str,
    shapes: Callable[..., Any],
    attributes: Callable[..., Mapping[str, tuple[int, ...]]],
    *,
    several: bool = False,
) -> Primitive:
    """A JAX primitive that XLA computes on a CPU by calling a function of the library.

    Its derivatives are left to be defined. `vmap` calls it once for each slice: a call fills all
    cores.

    Args:
        target: One of `TARGETS`.
        shapes: The abstract results from the abstract arguments and the primitive's fields.
        attributes: What the function is told beside its arrays, from the primitive's fields.
        several: Whether there is more than one result.

    Returns:
        A primitive, whose fields have to be hashable.
    """
    primitive = Primitive(target)
    primitive.multiple_results = several
    primitive.def_abstract_eval(shapes)
    primitive.def_impl(functools.partial(_eagerly, primitive))

    def lower(ctx: Any, *operands: Any, **fields: Any) -> Any:
        reason = why_not()
        if reason:
            raise NativeError(f"{target} cannot be called here: {reason}")
        numbers = {name: np.asarray(pair, np.int64) for name, pair in attributes(**fields).items()}
        return jax.ffi.ffi_lowering(target)(ctx, *operands, **numbers)

    mlir.register_lowering(primitive, lower, platform="cpu")
    batching.primitive_batchers[primitive] = functools.partial(_one_after_the_other, primitive)
    return primitive


def _eagerly(primitive: Primitive, *arguments: ArrayLike, **fields: Any) -> Any:
    return _compiled(primitive, **fields)(*arguments)


@functools.lru_cache(maxsize=1024)
def _compiled(primitive: Primitive, **fields: Any) -> Callable[..., Any]:
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
