"""Seconds of each operation of a compiled program, from JAX's own trace of the device."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from ablax.errors import AblaxError

_INSTRUCTION = re.compile(r"\s*(?:ROOT )?%?([\w.\-]+) = .*?\s([a-z][\w\-]*)\(")
_NAME = re.compile(r'op_name="([^"]*)"')
# They hold operations that have events of their own.
_CONTAINERS = {"while", "call", "conditional", "async-start", "async-done"}


@dataclass(frozen=True)
class Operation:
    """One instruction of a compiled program.

    Attributes:
        opcode: XLA's: `fusion`, `convolution`, `while`, ...
        scope: The name stack of what it came from; of a fusion, that of its last operation.
    """

    opcode: str
    scope: str


@dataclass(frozen=True)
class Event:
    """Something that a trace saw.

    Attributes:
        name: The operation's, or the span's of the host (`jax.profiler.TraceAnnotation`).
        operation: The instruction of a compiled program; None where the host did something.
        start: Seconds; all events of a trace share a clock.
        seconds: How long it took.
    """

    name: str
    operation: str | None
    start: float
    seconds: float


def operations(text: str) -> dict[str, Operation]:
    """The instructions of a compiled program by their names.

    Args:
        text: `compiled.as_text()`.

    Example:
        >>> line = 'ROOT %fusion.3 = f32[4]{0} fusion(%a), metadata={op_name="jit(f)/fc6/add"}'
        >>> operations(line)
        {'fusion.3': Operation(opcode='fusion', scope='jit(f)/fc6/add')}
    """
    found = {}
    for line in text.splitlines():
        if instruction := _INSTRUCTION.match(line):
            name = _NAME.search(line)
            found[instruction[1]] = Operation(instruction[2], name[1] if name else "")
    return found


def traced_seconds(run: Callable[[], Any], text: str) -> dict[Operation, float]:
    """Seconds that the device spends in each operation while `run` runs.

    Loops and calls are left out: what they hold is counted by itself. Operations that run side by
    side, in threads of a CPU or streams of a GPU, are each counted whole, so that the sum can be
    more than the time that passes.

    Args:
        run: Runs the program, already compiled, and waits for its end.
        text: The program's text.

    Raises:
        AblaxError: The trace holds none of its operations.
    """
    known = operations(text)
    seconds: defaultdict[Operation, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        for event in events(Path(folder)):
            operation = known.get(event.operation or "")
            if operation is not None and operation.opcode not in _CONTAINERS:
                seconds[operation] += event.seconds
    if not seconds:
        raise AblaxError(
            "the trace of the device holds no operation of the program: this JAX or this device "
            "gives none; time the layers alone with `ablax roofline`"
        )
    return dict(seconds)


def events(folder: Path) -> list[Event]:
    """Every event of a trace: operations of the device, and what the host did meanwhile.

    Args:
        folder: What `jax.profiler.trace` was given.
    """
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of jaxlib's own types
        for path in folder.rglob("*.xplane.pb"):
            data = jax.profiler.ProfileData.from_file(str(path))
            for plane in data.planes:
                for line in plane.lines:
                    for event in line.events:
                        operation = dict(event.stats).get("hlo_op")
                        found.append(
                            Event(
                                event.name,
                                None if operation is None else str(operation),
                                event.start_ns / 1e9,
                                event.duration_ns / 1e9,
                            )
                        )
    return found
