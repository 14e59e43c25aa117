"""Stop between two steps, not inside one: Ctrl-C and SIGTERM become a flag."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@dataclass
class StopRequest:
    """Whether somebody asked the run to stop.

    Attributes:
        requested: `None`, `"Ctrl-C"` or `"SIGTERM"`: the first signal that came.
    """

    requested: str | None = None


@contextlib.contextmanager
def graceful_stop() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a flag that the training loop reads between chunks.

    A Ctrl-C when a stop is already asked for raises `KeyboardInterrupt` at once; a repeated SIGTERM
    changes nothing. The former handlers return at the end. A signal that was ignored before (as
    `nohup` and background jobs do) stays ignored. Outside the main thread, where Python can set no
    handler, the flag never rises.

    Yields:
        The flag.

    Raises:
        KeyboardInterrupt: At the second Ctrl-C.

    Example:
        >>> with graceful_stop() as stop:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     print(stop.requested)
        SIGTERM
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.requested is None:
            stop.requested = _NAMES[signal.Signals(number)]
            _say(f"{stop.requested}: saving, then stopping. Ctrl-C again stops at once.")
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    former = {number: signal.getsignal(number) for number in _NAMES}
    # None: set by something other than Python; we could not put it back.
    ours = [number for number, old in former.items() if old not in (signal.SIG_IGN, None)]
    try:
        for number in ours:
            signal.signal(number, note)
        yield stop
    finally:
        for number in ours:
            signal.signal(number, former[number])


def _say(text: str) -> None:
    """Write to the standard error without its buffer: a signal may arrive inside a `print`."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{text}\n".encode())
