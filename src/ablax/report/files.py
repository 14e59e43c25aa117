"""Files of a report: either the old one or the whole new one, and an error a person can mend."""

from __future__ import annotations

from pathlib import Path

from ablax.errors import ReportError
from ablax.files import write_atomic


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Replaces `path` in one step; makes its folder when there is none.

    Args:
        path: Where to write.
        content: Text (written as UTF-8 with newlines as they are) or bytes.

    Raises:
        ReportError: When the folder cannot be made or written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise ReportError(
            f"{path} could not be written ({error.strerror or error}): "
            "free some space or choose a folder that can be written"
        ) from error
    return path
