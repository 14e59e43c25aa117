"""From the words behind `ablax COMMAND` to a call of the command's function, by tyro.

tyro makes parser and help of the function's parameters and docstring. Where it refuses the words,
its boxes become one sentence: what was given, what was expected, what to do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import io
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    UnsupportedTypeAnnotationError,
)

from ablax.commands.options import shown, spec, whole, word
from ablax.errors import AblaxError, nearest


class UsageError(AblaxError):
    """A command line that cannot be run: what was given, what was expected, what to do."""


def parse(
    function: Callable[..., None],
    words: Sequence[str],
    name: str,
    defaults: Mapping[str, Any] | None = None,
) -> functools.partial[None]:
    """The call that the words ask for; nothing of the command has run yet.

    Args:
        function: The command's: its parameters are the options, its docstring the help.
        words: Behind the command's name.
        name: Of the command.
        defaults: Of parameters whose default hangs on the words themselves.

    Raises:
        UsageError: Words that the function does not take, or values that its types refuse.
        SystemExit: With status 0, after `--help`.
    """
    bound = _bound(function, defaults or {})
    if {"-h", "--help"} & set(words):
        words = ["--help"]  # tyro leaves out of its help what was given before
    refusals: list[str] = []
    said = io.StringIO()
    told = _told(refusals, name, lambda: _options(bound, name))
    try:
        with contextlib.redirect_stderr(said), told:
            return _tyro(bound, words, name)
    except SystemExit as left:
        if not left.code:
            raise
    except AblaxError as error:  # a recipe names its field as in a file, without the dashes
        if f"--{str(error).split(' ')[0].strip(',')}" not in _options(bound, name):
            raise
        raise UsageError(f"--{error}") from error
    help_ = f"; ablax {name} --help explains the options"
    raise UsageError(refusals[0] if refusals else _plain(said.getvalue()) + help_)


def _tyro(function: Callable[..., Any], words: Sequence[str], name: str) -> Any:
    return tyro.cli(
        function,
        args=words,
        prog=f"ablax {name}",
        config=(tyro.conf.FlagCreatePairsOff,),
        registry=_REGISTRY,
    )


def _bound(function: Callable[..., None], defaults: Mapping[str, Any]) -> Callable[..., Any]:
    """The function that is called by no parser, but kept with its arguments for later.

    A parameter of type Any is no option: it has its default, or what the command has found.
    """
    hints = get_type_hints(function, include_extras=True)
    parameters = [
        each.replace(default=defaults.get(name, each.default), annotation=hints[name])
        for name, each in inspect.signature(function).parameters.items()
        if hints[name] is not Any
    ]
    held = {name: value for name, value in defaults.items() if hints[name] is Any}

    def kept(*positional: Any, **named: Any) -> functools.partial[None]:
        return functools.partial(function, *positional, **named, **held)

    vars(kept).pop("__wrapped__", None)  # of the tests' checker of types: tyro would look under it
    kept.__name__, kept.__annotations__ = function.__name__, hints
    kept.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    # tyro breaks its lines where an argument's text goes on in the docstring.
    kept.__doc__ = re.sub(r"\n {8,}(?=\S)", " ", inspect.getdoc(function) or "")
    return kept


def _options(function: Callable[..., Any], name: str) -> list[str]:
    """Every option of a command, as its help has them."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        _tyro(function, ["--help"], name)
    lines = re.findall(r"^\W*(--[a-z].*)", printed.getvalue(), re.MULTILINE)
    return [option for line in lines for option in re.findall(r"--[\w.-]+", line)]


@contextlib.contextmanager
def _told(refusals: list[str], name: str, options: Callable[[], list[str]]) -> Iterator[None]:
    """While tyro parses, `refusals` gets its refusal in our words.

    tyro's hook is young: where it is missing or of another form, its own words are taken instead.
    """
    try:
        from tyro._errors import on_parse_error
    except ImportError:
        yield
        return

    def tell(event: Any) -> None:
        with contextlib.suppress(AttributeError, IndexError):
            refusals.append(_refusal(event, name, options))

    with on_parse_error(tell):
        yield


def _refusal(event: Any, name: str, options: Callable[[], list[str]]) -> str:
    """What tyro's event says, in one sentence; an AttributeError where its form is not known."""
    kind = type(event).__name__
    if kind == "UnrecognizedArgs":
        return _unknown(event.tokens, name, options)
    if kind == "MissingArgs":
        if any(each.startswith("-") for each in event.unrecognized_tokens):
            return _unknown(event.unrecognized_tokens, name, options)
        missing = " and ".join(_named(each.arg) for each in event.missing_arguments)
        return f"{name} needs {missing}: ablax {name} --help explains what it takes"
    option = _named(event.argument)
    if kind == "InvalidChoice":
        return f"{option} {shown(event.value)}: {nearest(event.value, event.choices)}"
    if kind == "BadValue" and event.reason == "too_few_values":
        metavar = event.argument.lowered.metavar
        return f"{option} has no value: expected {option} {metavar}"
    return f"{option} {event.message}"


def _named(argument: Any) -> str:
    """An option as one types it, or the place of a word."""
    flags = [each for each in argument.lowered.name_or_flags if each.startswith("-")]
    name = min(flags, key=lambda each: "." in each, default="")
    return name or str(argument.lowered.metavar).strip("[]").split(" ")[0]


def _unknown(tokens: Sequence[str], name: str, options: Callable[[], list[str]]) -> str:
    """What to say of words that are left over."""
    unknown = [each for each in tokens if each.startswith("-")]
    if not unknown:
        return (
            f"{name} takes no further word, and {shown(tokens[0])} is one: ablax {name} --help "
            "explains what it takes"
        )
    given = unknown[0].partition("=")[0]
    hint = nearest(given, options())
    if not hint.startswith("did"):
        hint = f"ablax {name} --help lists those there are"
    return f"{name} has no option {given}: {hint}"


def _plain(said: str) -> str:
    """The text of tyro's box, on one line."""
    words = " ".join(re.sub(r"[╭╮╰╯│─]", " ", re.sub(r"\x1b\[[0-9;]*m", "", said)).split())
    return words.partition(" For full helptext")[0] or "the command line cannot be read"


_REGISTRY = ConstructorRegistry()
"""How plain types are read, in the recipe's fields above all, with refusals like `options`'."""


def _real(given: str) -> float:
    try:
        return float(given)
    except ValueError:
        raise ValueError("expected a number, such as 0.5") from None


_SCALARS: dict[Any, PrimitiveConstructorSpec[Any]] = {
    int: spec(whole, "INT", int),
    float: spec(_real, "FLOAT", (int, float)),
    str: spec(word, "TEXT", str),
    Path: spec(lambda given: Path(word(given)), "PATH", Path),
}


@_REGISTRY.primitive_rule
def _scalar(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    return _SCALARS.get(info.type)


@_REGISTRY.primitive_rule
def _choice(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    if info.type is bool:
        choices: dict[str, Any] = {"True": True, "False": False}
    elif get_origin(info.type) is Literal:
        choices = {str(each): each for each in get_args(info.type)}
    else:
        return None

    def chosen(given: str) -> Any:
        if given not in choices:
            raise ValueError(nearest(given, choices))
        return choices[given]

    return spec(chosen, f"{{{','.join(choices)}}}", object)


@_REGISTRY.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`X | None` takes what X takes, and the word None: X's refusal is the refusal."""
    if get_origin(info.type) not in (Union, types.UnionType):
        return None
    kinds = [each for each in get_args(info.type) if each is not type(None)]
    if len(kinds) != 1 or len(kinds) == len(get_args(info.type)):
        return None
    inner = _inner(kinds[0], info)
    return dataclasses.replace(
        inner,
        instance_from_str=lambda words: (
            None if words == ["None"] else inner.instance_from_str(words)
        ),
        is_instance=lambda value: value is None or inner.is_instance(value),
        str_from_instance=lambda value: (
            ["None"] if value is None else inner.str_from_instance(value)
        ),
    )


@_REGISTRY.primitive_rule
def _several(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`tuple[X, ...]` takes words as long as X does, and X's refusal is the refusal."""
    arguments = get_args(info.type)
    if get_origin(info.type) is not tuple or arguments[1:] != (...,):
        return None
    if tyro.conf.UseAppendAction in info.markers:
        return None
    inner = _inner(arguments[0], info)
    size = inner.nargs
    if not isinstance(size, int):
        return None

    def made(words: list[str]) -> tuple[Any, ...]:
        if not words:
            raise ValueError(f"has no value: expected {inner.metavar} ...")
        if len(words) % size:
            typed = " ".join(map(shown, words))
            raise ValueError(f"{typed}: expected {inner.metavar}, and as much again for each more")
        return tuple(
            inner.instance_from_str(words[start : start + size])
            for start in range(0, len(words), size)
        )

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"{inner.metavar} ...",
        instance_from_str=made,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [
            each for item in value for each in inner.str_from_instance(item)
        ],
    )


@_REGISTRY.primitive_rule
def _pair(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """`tuple[X, Y]` takes a word for each, and theirs are the refusals."""
    arguments = get_args(info.type)
    if get_origin(info.type) is not tuple or ... in arguments or not arguments:
        return None
    inner = [_inner(each, info) for each in arguments]
    if any(each.nargs != 1 for each in inner):
        return None
    return PrimitiveConstructorSpec(
        nargs=len(inner),
        metavar=" ".join(each.metavar for each in inner),
        instance_from_str=lambda words: tuple(
            each.instance_from_str([word]) for each, word in zip(inner, words, strict=True)
        ),
        is_instance=lambda value: isinstance(value, tuple) and len(value) == len(inner),
        str_from_instance=lambda value: [
            part
            for each, item in zip(inner, value, strict=True)
            for part in each.str_from_instance(item)
        ],
    )


def _inner(kind: Any, info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any]:
    """How tyro reads what stands inside another type."""
    found = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kind, info.markers))
    if isinstance(found, UnsupportedTypeAnnotationError):
        raise found
    return found
