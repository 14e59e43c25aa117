"""Files that are either the old one or the whole new one, never half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ablax.report.results import ReportError


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Replaces `path` in one step; makes its folder when there is none.

    The content goes to a temporary file in the same folder, which is then renamed: a process
    killed half-way leaves the old file as it was.

    Args:
        path: Where to write.
        content: Text (written as UTF-8 with newlines as they are) or bytes.

    Raises:
        ReportError: When the folder cannot be made or written, or the disk is full.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp hides the file from others; a report is for everyone the folder is for
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise ReportError(
            f"{path} could not be written ({error.strerror or error}): "
            "free some space or choose a folder that can be written"
        ) from error
    return path
