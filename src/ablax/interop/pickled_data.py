"""Read a pickle as data: its instructions are interpreted here, and none of them can run code.

A pickle is a program for a small stack machine, two of whose instructions look up any name in any
module and call it. `pickletools` of the standard library takes the program apart without running
it; this file carries out the instructions that build data, and for a call consults a table of known
names. Whatever is not in the table is refused by its name.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, cast, runtime_checkable

from ablax.errors import AblaxError

Calls = Mapping[str, Callable[..., Any]]
"""From `module.name` to what a call of it means."""

_MARK = object()

_CONSTANTS = {
    **{"NONE": None, "NEWTRUE": True, "NEWFALSE": False},
    **{"EMPTY_TUPLE": ()},
}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_NOTHING = {"PROTO", "FRAME"}


@runtime_checkable
class ByteStream(Protocol):
    """What `pickletools` reads from: a file, or an `io.BytesIO`."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        ...

    def readline(self, size: int = -1, /) -> bytes:
        """The next bytes up to the end of a line."""
        ...


class CodeError(AblaxError):
    """The pickle calls a function, and running it would run a stranger's code."""


@dataclass(frozen=True)
class Name:
    """A name that a pickle mentions, `collections.OrderedDict`; it is not looked up.

    Attributes:
        path: Module and name, joined by a dot.
    """

    path: str


def read_pickle(file: ByteStream, calls: Calls, persistent: Callable[[Any], Any]) -> Any:
    """The value that the next pickle of the file describes; the file is left behind its end.

    Args:
        file: Binary.
        calls: What the names mean that it may call. A name that is mentioned and not called stays
            a `Name`.
        persistent: From a persistent identifier to what it stands for.

    Raises:
        CodeError: It calls another name, or makes an object of a class.
        ValueError: It is no pickle, or is damaged.

    Example:
        >>> import io, os, pickle
        >>> read_pickle(io.BytesIO(pickle.dumps({"a": (1, 2.5)})), {}, lambda key: key)
        {'a': (1, 2.5)}
        >>> class Harm:
        ...     def __reduce__(self):
        ...         return os.system, ("echo harm",)
        >>> read_pickle(io.BytesIO(pickle.dumps(Harm())), {}, lambda key: key)
        Traceback (most recent call last):
        ablax.interop.pickled_data.CodeError: it calls posix.system
    """
    machine = _Machine(calls, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(cast("IO[bytes]", file)):
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except (IndexError, KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"the pickle in it is damaged ({error})") from error
    raise ValueError("the pickle in it has no end")


@dataclass
class _Machine:
    """The stack, the memory, and what calls mean."""

    calls: Calls
    persistent: Callable[[Any], Any]
    stack: list[Any] = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)

    def pop(self) -> Any:
        if self.stack[-1] is _MARK:
            raise ValueError("a value is missing")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        start = max(place for place, value in enumerate(self.stack) if value is _MARK)
        values = self.stack[start + 1 :]
        del self.stack[start:]
        return values

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name in _NOTHING:
            return
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            self.stack.append(argument)
        elif handler := getattr(self, f"do_{name.lower()}", None):
            handler(argument)
        else:
            raise CodeError(f"it holds the instruction {name}, which no file of weights needs")

    def do_mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def do_pop(self, _: Any) -> None:
        self.stack.pop()

    def do_pop_mark(self, _: Any) -> None:
        self.pop_to_mark()

    def do_dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def do_empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def do_empty_list(self, _: Any) -> None:
        self.stack.append([])

    def do_empty_set(self, _: Any) -> None:
        self.stack.append(set())

    def do_dict(self, _: Any) -> None:
        values = self.pop_to_mark()
        self.stack.append(dict(zip(values[::2], values[1::2], strict=True)))

    def do_list(self, _: Any) -> None:
        self.stack.append(self.pop_to_mark())

    def do_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def do_tuple1(self, _: Any) -> None:
        self.stack.append((self.pop(),))

    def do_tuple2(self, _: Any) -> None:
        second = self.pop()
        self.stack.append((self.pop(), second))

    def do_tuple3(self, _: Any) -> None:
        third, second = self.pop(), self.pop()
        self.stack.append((self.pop(), second, third))

    def do_append(self, _: Any) -> None:
        value = self.pop()
        self._top(list).append(value)

    def do_appends(self, _: Any) -> None:
        values = self.pop_to_mark()
        self._top(list).extend(values)

    def do_additems(self, _: Any) -> None:
        values = self.pop_to_mark()
        self._top(set).update(values)

    def do_setitem(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self._top(dict)[key] = value

    def do_setitems(self, _: Any) -> None:
        values = self.pop_to_mark()
        self._top(dict).update(zip(values[::2], values[1::2], strict=True))

    def do_put(self, argument: int) -> None:
        self.memory[argument] = self.stack[-1]

    do_binput = do_long_binput = do_put

    def do_memoize(self, _: Any) -> None:
        self.memory[len(self.memory)] = self.stack[-1]

    def do_get(self, argument: int) -> None:
        self.stack.append(self.memory[argument])

    do_binget = do_long_binget = do_get

    def do_global(self, argument: str) -> None:
        self.stack.append(Name(argument.replace(" ", ".")))

    def do_stack_global(self, _: Any) -> None:
        name = self.pop()
        self.stack.append(Name(f"{self.pop()}.{name}"))

    def do_binpersid(self, _: Any) -> None:
        self.stack.append(self.persistent(self.pop()))

    def do_reduce(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        self.stack.append(self._call(function, arguments))

    do_newobj = do_reduce

    def do_build(self, _: Any) -> None:
        """Give an object its attributes; only those of a dictionary may be dropped."""
        self.pop()
        self._top(dict)

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            what = type(self.stack[-1]).__name__
            raise CodeError(f"it changes a {what} as if it were a {kind.__name__}")
        return self.stack[-1]

    def _call(self, function: Any, arguments: tuple[Any, ...]) -> Any:
        if not isinstance(function, Name) or function.path not in self.calls:
            path = function.path if isinstance(function, Name) else f"a {type(function).__name__}"
            raise CodeError(f"it calls {path}")
        if not isinstance(arguments, tuple):
            raise TypeError(f"{function.path} is called with no tuple of arguments")
        # A name among the arguments is passed as it is; only the table gives it a meaning.
        return self.calls[function.path](*arguments)
