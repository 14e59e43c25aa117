"""What a network is, as a tree for JSON: to know it again, and to say where two networks differ."""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import hashlib
import inspect
import json
import linecache
import math
import sys
import textwrap
import types
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from ablax.core.network import ImageShape, Layers, Network, parameter_shapes
from ablax.errors import AblaxError

Tree = Any
"""None, bool, int, float, str, and lists and dictionaries of them: what JSON can hold."""

_LIBRARIES = {"ablax", "jax", "jaxlib", "flax", "numpy", "builtins", *sys.stdlib_module_names}
"""Packages whose functions and classes are what their name says."""
_LONGEST = 60
"""Characters of a value in a sentence."""


class FingerprintError(AblaxError):
    """A network that holds something nobody can write down."""


def fingerprint(network: Network, image_shape: ImageShape) -> str:
    """16 hexadecimal digits of SHA-256 of `canonical` and of the parameters' paths and shapes.

    The same in every process, on every Python, and wherever the files of the network's classes are.

    Raises:
        FingerprintError: As `canonical`.
        LayerError: The network does not fit images of this shape, (H, W, C).

    Example:
        >>> from ablax.core import remove
        >>> from ablax.zoo import lenet5
        >>> fingerprint(lenet5(10), (32, 32, 1)) == fingerprint(lenet5(10), (32, 32, 1))
        True
        >>> short = remove("f6")(lenet5(10))
        >>> fingerprint(lenet5(10), (32, 32, 1)) == fingerprint(short, (32, 32, 1))
        False
    """
    told = {"network": canonical(network), "parameters": parameter_shapes(network, image_shape)}
    return _digest(_text(told))


def canonical(network: Network) -> Tree:
    """A network with all that it holds, as a tree for JSON.

    A module is its class's name and every field, by name; `Layers` are names and modules, in
    order; a function is its qualified name with what its closure holds. Names of modules and files
    are not in it. A function or class that is neither Python's nor of ablax, JAX, Flax or NumPy,
    and every lambda, also has a hash of its source (without comments, docstrings and form), and
    the functions and plain values of its module that the source names. What it reaches through an
    attribute (`module.helper`) is not followed; where the source cannot be read, it is left out.

    Raises:
        FingerprintError: It holds something without a written form; the message names the place.

    Example:
        >>> from ablax.layers import MaxPool
        >>> tree = canonical(Network(Layers(pool=MaxPool(2)), Layers(), Layers()))
        >>> name, layer = tree["fields"]["tail"]["layers"][0]
        >>> name, layer["class"], layer["fields"]["window"]
        ('pool', 'MaxPool', 2)
    """
    return _tree(network, "the network", ())


def difference(there: Tree, now: Tree) -> str | None:
    """The first difference of two networks in words; None where there is none.

    Each is given as `canonical` gives it, or as JSON gives that back.

    Example:
        >>> from ablax.layers import MaxPool
        >>> two, three = (Network(Layers(pool=MaxPool(n)), Layers(), Layers()) for n in (2, 3))
        >>> difference(canonical(two), canonical(three))
        'pool: window 2 there, 3 now'
    """
    return next(_differences(there, now, "", ""), None)


def _tree(value: Any, where: str, above: tuple[Any, ...]) -> Tree:
    """The tree of any value; `above` are the functions and classes that lead to it."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}

    def tree(part: Any) -> Tree:
        return _tree(part, where, above)

    match value:
        case Layers():
            held = [[name, _tree(one, _joined(where, name), above)] for name, one in value.items()]
            return {"layers": held}
        case enum.Enum():
            return {"enum": f"{type(value).__qualname__}.{value.name}"}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _dataclass(value, where, above)
        case np.dtype():
            return {"dtype": value.name}
        case types.ModuleType():
            return {"module": value.__name__.rpartition(".")[2]}
        case np.generic():
            return {"dtype": value.dtype.name, "value": tree(value.item())}
        case np.ndarray() | jax.Array():
            return _array(value, where)
        case tuple() | list():
            items = [tree(one) for one in value]
            return items if type(value) is tuple else {type(value).__qualname__: items}
        case set() | frozenset():
            return {"set": sorted(map(tree, value), key=_text)}
        case Mapping():
            pairs = ([tree(key), tree(one)] for key, one in value.items())
            return {"mapping": sorted(pairs, key=_text)}
        case functools.partial(func=function, args=arguments, keywords=named):
            given = {"arguments": tree(arguments), "named": tree(named)}
            return {"partial": tree(function), **given}
        case types.MethodType():
            return {"method": tree(value.__func__), "of": tree(value.__self__)}
        # a type of numpy, or of jax.numpy
        case type() if issubclass(value, np.generic) or isinstance(
            getattr(value, "dtype", None), np.dtype
        ):
            return {"dtype": np.dtype(value).name}
        case type():
            return {"type": value.__qualname__, **_foreign(value, where, above)}
    if callable(value):
        return _callable(value, where, above)
    raise _refusal(value, where)


def _joined(where: str, name: str) -> str:
    return f"{where.rstrip(',')}/{name}" if where.startswith("layer ") else f"layer {name}"


def _refusal(value: Any, where: str) -> FingerprintError:
    return FingerprintError(
        f"{where} holds a value of type {type(value).__qualname__}, which has no written form, so "
        "nobody could tell this network from others: use numbers, strings, tuples, functions, "
        "functools.partial or frozen dataclasses"
    )


def _dataclass(value: Any, where: str, above: tuple[Any, ...]) -> Tree:
    fields = {}
    for field in sorted(dataclasses.fields(value), key=lambda field: field.name):
        if isinstance(value, nn.Module) and field.name in ("parent", "name"):
            continue
        held = getattr(value, field.name)
        place = where if isinstance(held, Layers) else f"{where}, {field.name},"
        fields[field.name] = _tree(held, place, above)
    kind = type(value)
    return {"class": kind.__qualname__, "fields": fields, **_foreign(kind, where, above)}


def _array(value: Any, where: str) -> Tree:
    if isinstance(value, jax.core.Tracer) or np.asarray(value).dtype.hasobject:
        raise _refusal(value, where)
    held = np.ascontiguousarray(value)
    data = held.astype(held.dtype.newbyteorder("<")).tobytes()
    return {"array": _digest(data), "dtype": held.dtype.name, "shape": list(np.shape(value))}


def _callable(value: Any, where: str, above: tuple[Any, ...]) -> Tree:
    function = value
    while hasattr(function, "__wrapped__") and not _a_decorator_of_a_user(function):
        function = function.__wrapped__
    if isinstance(function, np.ufunc):
        return {"function": f"numpy:{function.__name__}"}
    name = getattr(function, "__qualname__", getattr(function, "__name__", None))
    plain = isinstance(function, types.FunctionType)
    if name is None or not (plain or _of_a_library(function)):
        raise _refusal(value, where)
    if any(function is one for one in above):
        return {"function": name, "again": True}
    package = f"{_package(function)}:" if _of_a_library(function) else ""
    found: dict[str, Tree] = {"function": f"{package}{name}"}
    if not plain:
        return found
    within = (*above, function)
    held = {}
    for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            held[free] = cell.cell_contents
        except ValueError:  # not set yet
            continue
    if held:
        found["holds"] = {
            key: _tree(held[key], f"{where} in the closure of {name}, {key},", within)
            for key in sorted(held)
        }
    if not _of_a_library(function):
        defaults = (function.__defaults__, function.__kwdefaults__)
        if defaults != (None, None):
            found["defaults"] = _tree(defaults, f"{where} in the defaults of {name}", within)
    return found | _foreign(function, where, above)


def _a_decorator_of_a_user(function: Any) -> bool:
    """Whether what wraps a function does something that its name does not say."""
    if not isinstance(function, types.FunctionType) or _of_a_library(function):
        return False  # of jax.jit and its like
    where = str(function.__globals__.get("__name__")).partition(".")[0]
    return where not in _LIBRARIES | {"jaxtyping", "beartype"}


def _package(thing: Any) -> str:
    return str(getattr(thing, "__module__", None) or "builtins").partition(".")[0].lstrip("_")


def _of_a_library(thing: Any) -> bool:
    return _package(thing) in _LIBRARIES


def _foreign(thing: Any, where: str, above: tuple[Any, ...]) -> dict[str, Tree]:
    """The source of a function or class whose name does not say what it is, and what it names."""
    kinds = thing.__mro__ if isinstance(thing, type) else (thing,)
    own = [one for one in kinds if not _of_a_library(one) or one.__qualname__.endswith("<lambda>")]
    if not own or any(thing is one for one in above):
        return {}
    nodes = [node for node in map(_source, own) if node is not None]
    if not nodes:
        return {}
    found: dict[str, Tree] = {"source": _digest("".join(map(_dump, nodes)))}
    within = (*above, thing)
    names = sorted(
        {part.id for node in nodes for part in ast.walk(node) if isinstance(part, ast.Name)}
    )
    module = vars(sys.modules.get(thing.__module__, types.ModuleType("")))
    scope = getattr(thing, "__globals__", module)
    named = {name: scope[name] for name in names if name in scope and _told(scope[name])}
    if named:
        found["names"] = {
            name: _tree(value, f"{where} in {name}", within) for name, value in named.items()
        }
    return found


def _told(value: Any) -> bool:
    """Whether a value of a function's module is written down with the function."""
    if isinstance(value, tuple):
        return all(map(_told, value))
    if value is None or type(value) in (bool, int, float, str):
        return True
    return isinstance(value, types.FunctionType | type) and not _of_a_library(value)


@functools.cache
def _source(thing: Any) -> ast.AST | None:
    """The syntax tree of a function or class; None where its source cannot be read."""
    try:
        if getattr(thing, "__name__", "") == "<lambda>":
            return _lambda(thing)
        own = thing if isinstance(thing, type) else thing.__code__  # not of what it wraps
        if inspect.getsourcefile(own) == "<string>":  # of `exec`: its lines are not to be had
            return None
        return ast.parse(textwrap.dedent(inspect.getsource(own)))
    except (OSError, TypeError, SyntaxError):
        return None


def _lambda(function: types.FunctionType) -> ast.AST | None:
    """A lambda's own node, among all that may stand on its line."""
    lines = linecache.getlines(inspect.getsourcefile(function) or "", function.__globals__)
    code = function.__code__
    columns = [
        (line, column)
        for line, _, column, _ in code.co_positions()
        if line is not None and column is not None and (line, column) != (code.co_firstlineno, 0)
    ]
    found = [
        node
        for node in ast.walk(ast.parse("".join(lines)))
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno
    ]
    holding = [
        node
        for node in found
        if all(
            (node.body.lineno, node.body.col_offset)
            <= place
            <= (node.body.end_lineno or 0, node.body.end_col_offset or 0)
            for place in columns
        )
    ]
    # of lambdas one inside the other, the innermost that holds all of the code is the one
    return min(holding or found, key=lambda node: len(ast.dump(node)), default=None)


def _dump(node: Any) -> str:
    """A syntax tree as text, the same on every Python: without positions, comments, docstrings."""
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        fields["body"] = node.body[ast.get_docstring(node, clean=False) is not None :]
    kept = {
        name: value
        for name, value in fields.items()
        if value is not None and value != [] and name not in ("type_comment", "kind")
    }
    return f"{type(node).__name__}({','.join(f'{k}={_dump(v)}' for k, v in kept.items())})"


def _text(tree: Tree) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()[:16]


def _differences(there: Tree, now: Tree, path: str, field: str) -> Iterator[str]:
    """What differs, in words, from the first on."""
    if _text(there) == _text(now):
        return
    start = f"{path or 'the network'}: "
    if not (isinstance(there, dict) and isinstance(now, dict)):
        yield f"{start}{field or 'value'} {_words(there)} there, {_words(now)} now"
        return
    kinds = there.get("class"), now.get("class")
    if kinds[0] is not None and kinds[0] == kinds[1]:
        fields, fields_now = there["fields"], now["fields"]
        # its own fields first, then what it holds
        names = sorted({*fields, *fields_now})
        for name in sorted(names, key=lambda name: (_holds(fields.get(name)), _PARTS.find(name))):
            if name not in fields or name not in fields_now:
                yield f"{start}{name} is a field {'now' if name in fields_now else 'there'} alone"
            else:
                inner = field if not path and name in _PARTS else name
                yield from _differences(fields[name], fields_now[name], path, inner)
        yield f"{start}{kinds[0]} has another source"
    elif "layers" in there and "layers" in now:
        yield from _layers_differ(dict(there["layers"]), dict(now["layers"]), path)
    else:
        yield f"{start}{f'{field} ' * bool(field)}{_words(there)} there, {_words(now)} now"


_PARTS = "tail body head"


def _holds(tree: Tree) -> bool:
    return isinstance(tree, dict) and "layers" in tree


def _layers_differ(there: dict[str, Tree], now: dict[str, Tree], path: str) -> Iterator[str]:
    for name in dict.fromkeys([*there, *now]):
        whole = f"{path}/{name}" if path else name
        if name not in now:
            yield f"{whole} is a layer there, and none now"
        elif name not in there:
            yield f"{whole} is a layer now, and none there"
        else:
            yield from _differences(there[name], now[name], whole, "")
    yield f"{path or 'layers'}: the order {_words([*there])} there, {_words([*now])} now"


def _words(tree: Tree) -> str:
    """A tree as a person would write it, cut short."""
    if isinstance(tree, dict):
        for key in ("class", "function", "type", "dtype", "enum", "float"):
            if key in tree:
                name = str(tree[key]).partition(":")[2] or str(tree[key])
                held = {k: v for k, v in tree.items() if k in ("holds", "value", "source")}
                told = f"{name} {_text(held)}" if held else name
                break
        else:
            told = _text(tree)
    else:
        told = repr(tree) if isinstance(tree, str) else _text(tree)
    return told if len(told) <= _LONGEST else told[: _LONGEST - 3] + "..."
