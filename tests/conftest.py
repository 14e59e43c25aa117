"""Where compiled programs are kept, and a cheaper check of every shape and type, not a weaker one.

`--jaxtyping-packages` (pyproject.toml) puts `jaxtyping.jaxtyped` on every function and dataclass.
Its own form calls the type checker twice a call, on the arguments and then on the arguments and the
result, and binds the arguments to the signature each time, to print a longer message. Here the
checker wraps the function itself, once, and sizes are remembered only where a signature has some.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import types
import typing
from pathlib import Path

import flax.linen as nn
import jax
import jaxtyping
from beartype import BeartypeConf

# Compiled programs are kept between runs, beside pytest's own cache (`make clean` removes both) and
# not in the user's, where a command run inside a test would put them. XLA's input is the key: a
# changed program is compiled. JAX reports a program that it read as one that it compiled, so that
# tests which count compilations see the same number.
COMPILED = Path(__file__).parents[1] / ".pytest_cache" / "xla"
for name, value in {
    "jax_compilation_cache_dir": str(COMPILED),
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}.items():
    jax.config.update(name, value)
    os.environ[name.upper()] = str(value)  # for the processes that tests start

ORIGINAL = jaxtyping.jaxtyped
SIZES = jaxtyping.jaxtyped("context")
REFUSAL = BeartypeConf(violation_type=jaxtyping.TypeCheckError)  # a TypeError


def resolved(hint, names):
    """The type an annotation means, or Any where it is only imported for a type checker."""
    holder = types.SimpleNamespace(__annotations__={"hint": hint})
    try:
        return typing.get_type_hints(holder, names, include_extras=True)["hint"]
    except Exception:
        return typing.Any


def has_sizes(hint):
    """Whether a type is an array of a shape, or holds one."""
    is_array = inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray)
    return is_array or any(has_sizes(part) for part in typing.get_args(hint))


def with_hints(fn, hints):
    """A copy of a function that has other annotations."""
    code = (fn.__code__, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
    copy = types.FunctionType(*code)
    copy.__kwdefaults__ = fn.__kwdefaults__
    copy.__module__, copy.__qualname__, copy.__annotations__ = fn.__module__, fn.__qualname__, hints
    return copy


class Text(str):
    """Is printed without quotes."""

    __repr__ = str.__str__


def taking(signature):
    """A function that takes what the signature says and does nothing."""
    empty = inspect.Parameter.empty
    given = signature.parameters.values()
    defaults = {p.name: p.default for p in given if p.default is not empty}
    plain = [
        p.replace(
            annotation=empty,
            default=Text(f"defaults[{p.name!r}]") if p.name in defaults else empty,
        )
        for p in given
    ]
    made = {"defaults": defaults}
    exec(f"def __init__{inspect.Signature(plain)}: pass", made)
    return made["__init__"]


def held_by_layers(value):
    """What a layer makes of NumPy's numbers and of lists before it holds them."""
    from ablax.layers.windows import as_python

    return as_python(value)


def checked_initializer(fn, typechecker, held):
    """The `__init__` of a dataclass, its arguments checked by the signature that it declares.

    Flax's takes *args and **kwargs, so that only the signature says what they are. `held` says what
    is made of an argument.
    """
    signature = inspect.signature(fn)
    stub = taking(signature)
    stub.__module__, stub.__qualname__ = fn.__module__, fn.__qualname__
    stub.__annotations__ = {
        p.name: resolved(p.annotation, fn.__globals__)
        for p in signature.parameters.values()
        if p.annotation is not inspect.Parameter.empty
    }
    check = typechecker(stub, conf=REFUSAL)

    @functools.wraps(fn)
    def initialize(*args, **kwargs):
        with SIZES:
            check(*map(held, args), **{name: held(value) for name, value in kwargs.items()})
            return fn(*args, **kwargs)

    initialize.checked_by_tests = True
    return initialize


def checked_function(fn, typechecker):
    """The function, its arguments and result checked; equal names of sizes are equal numbers."""
    if not fn.__annotations__ or getattr(fn, "__no_type_check__", False):
        return fn
    hints = {name: resolved(hint, fn.__globals__) for name, hint in fn.__annotations__.items()}
    checked = typechecker(with_hints(fn, hints), conf=REFUSAL)
    if not any(has_sizes(hint) for hint in hints.values()):
        return functools.update_wrapper(checked, fn)

    @functools.wraps(fn)
    def with_sizes(*args, **kwargs):
        with SIZES:
            return checked(*args, **kwargs)

    return with_sizes


def jaxtyped(fn=None, *, typechecker=None):
    """What the import hook decorates with, in place of `jaxtyping.jaxtyped`."""
    if fn is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    if inspect.isclass(fn) and dataclasses.is_dataclass(fn) and typechecker is not None:
        if not hasattr(fn.__init__, "checked_by_tests"):
            held = held_by_layers if issubclass(fn, nn.Module) else lambda value: value
            fn.__init__ = checked_initializer(fn.__init__, typechecker, held)
        return fn
    plain = inspect.isfunction(fn) and not inspect.isgeneratorfunction(fn)
    if not plain or typechecker is None:
        return ORIGINAL(fn, typechecker=typechecker)
    return checked_function(fn, typechecker)


jaxtyping.jaxtyped = jaxtyped
