"""The one exception a user of ablax sees without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AblaxError(Exception):
    """Something a person can mend: what was given, what was expected, what to do.

    The command line prints the message alone and leaves with status 2. A subclass says which part
    of the laboratory refused; the message must stand without the traceback.
    """


class ReportError(AblaxError):
    """A study that contradicts itself, or a file of results that cannot be read or written."""


def nearest(given: str, names: Iterable[str]) -> str:
    """A sentence that names what `given` may have meant, or all there is to choose from.

    Args:
        given: The name nobody knows.
        names: The names that exist.

    Returns:
        `"did you mean 'fc7'?"` when one is close, else `"choose from: ..."`.

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


# ------------------------------------------------------------------------------------------
# The one error of weights that come from elsewhere.


class WeightsError(AblaxError):
    """Weights that cannot be read, or do not belong to the network, listed by name."""
