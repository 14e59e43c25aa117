"""The one exception a user of ablax sees without a traceback, and what no user should see."""

from __future__ import annotations

import contextlib
import difflib
import logging
from collections.abc import Iterable, Iterator


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
    close = difflib.get_close_matches(given, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return "choose from: " + ", ".join(known) if known else "there is none to choose from"


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
