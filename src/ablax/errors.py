"""The one exception a user of ablax sees without a traceback, and what no user should see."""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


class AblaxError(Exception):
    """Something a person can mend: what was given, what was expected, what to do.

    The command line prints the message alone and leaves with `status`. A subclass says which part
    of the laboratory refused; the message must stand without the traceback.
    """

    status: int = 2


class ReportError(AblaxError):
    """A study that contradicts itself, or a file of results that cannot be read or written."""


class WeightsError(AblaxError):
    """Weights that cannot be read, or do not belong to the network, listed by name."""


def nearest(given: str, names: Iterable[str]) -> str:
    """What `given` may have meant, `"did you mean 'fc7'?"`, or all there is to choose from.

    Example:
        >>> nearest("fc_7", ["fc6", "fc7"])
        "did you mean 'fc7'?"
        >>> nearest("x", ["fc6", "fc7"])
        'choose from: fc6, fc7'
    """
    known = list(names)
    same = [name for name in known if name.lower() == given.lower()]
    close = same or difflib.get_close_matches(given, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"choose from: {listed(known)}" if known else "there is none to choose from"


def listed(names: Iterable[str], most: int = 24) -> str:
    """The names with commas between, and of a long list the first ones.

    Example:
        >>> listed("abcde", 3)
        'a, b, c and 2 more'
    """
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def brief(text: object, most: int = 200) -> str:
    """What `str` makes of it, on one line, and of a long one its beginning.

    Example:
        >>> brief("a line, and   another", 12)
        'a line, and ...'
    """
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[:most]}..."


@contextlib.contextmanager
def others_code(what: str, remedy: str = "") -> Iterator[None]:
    """Run what a person wrote: whatever it raises, and be it to leave, is an AblaxError.

    Our own refusals and Ctrl-C pass through.

    Raises:
        AblaxError: `what`, followed by what was raised, and in which line of whose file.

    Example:
        >>> with others_code("mine.py fails with"):
        ...     raise SystemExit(0)
        Traceback (most recent call last):
        ablax.errors.AblaxError: mine.py fails with SystemExit: 0
    """
    try:
        yield
    except (AblaxError, KeyboardInterrupt):
        raise
    except BaseException as error:
        from traceback import extract_tb

        ours, pythons = str(Path(__file__).parent), str(Path(os.__file__).parent)
        where = [
            f" (line {frame.lineno} of {Path(frame.filename).name})"
            for frame in extract_tb(error.__traceback__)
            if Path(frame.filename).is_file()
            and not frame.filename.startswith((ours, pythons))
            and "site-packages" not in frame.filename
        ]
        said = f"{type(error).__name__}: {brief(error)}"
        place = where[-1] if where else ""
        raise AblaxError(f"{what} {said}{place}{remedy}") from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether a memory did not suffice. JAX's error is known by its name: nothing imports JAX."""
    return isinstance(error, MemoryError) or (
        type(error).__name__ in ("JaxRuntimeError", "XlaRuntimeError")
        and ("RESOURCE_EXHAUSTED" in str(error) or "Out of memory" in str(error))
    )


def memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its container's where less."""
    if not hasattr(os, "sysconf"):  # Windows: nobody knows, and nothing is refused
        return 2**63
    there = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # "max" where there is none
            there.append(int(Path("/sys/fs/cgroup", limit).read_text()))
    return min(there)


def refuse_beyond_memory(least: int, what: str, remedy: str, there: int | None = None) -> None:
    """Refuse what needs at least so many bytes, where fewer are `there`, before it is tried.

    Raises:
        AblaxError: It cannot fit; the estimate, and the field to lower.

    Example:
        >>> refuse_beyond_memory(8 * 10**9, "weights", "--width", there=2**32)
        Traceback (most recent call last):
        ablax.errors.AblaxError: weights need 8.0 GB at least, and there are 4.3 GB: lower --width
    """
    there = memory() if there is None else there
    if least > there:
        raise AblaxError(
            f"{what} need {least / 1e9:,.1f} GB at least, and there are {there / 1e9:,.1f} GB: "
            f"lower {remedy}"
        )


@contextlib.contextmanager
def silenced(*loggers: str) -> Iterator[None]:
    """Keep libraries from logging advice that no user of ours can follow."""
    found = [logging.getLogger(name) for name in loggers]
    levels = [each.level for each in found]
    for each in found:
        each.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for each, level in zip(found, levels, strict=True):
            each.setLevel(level)
