"""Files that are whole or not there, and the folder of the user's cache."""

from __future__ import annotations

import contextlib
import gzip
import os
from pathlib import Path


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content` so that a reader sees the old file or the new one, never a part.

    The content goes to a hidden neighbor, is forced to the disk, and takes the place of `path` in
    one rename. A failed write (an OSError) leaves the old file as it was and no neighbor behind.
    Text is written as UTF-8 with the newlines it has.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "recipe.json"
        >>> write_atomic(target, "{}")
        >>> target.read_text()
        '{}'
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Force the names in `folder` to the disk, where the system can do so (Windows cannot)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def compressed(content: bytes) -> bytes:
    """The content as a gzip file without time, name or system: equal contents give equal bytes.

    Example:
        >>> compressed(b"a") == compressed(b"a"), gzip.decompress(compressed(b"a"))
        (True, b'a')
    """
    file = bytearray(gzip.compress(content, 9, mtime=0))
    file[9] = 255  # the system, which Python's versions write differently: unknown
    return bytes(file)


def default_root() -> Path:
    """`ABLAX_CACHE`, else `ablax` in the user's cache folder (`XDG_CACHE_HOME` or `~/.cache`)."""
    if given := os.environ.get("ABLAX_CACHE"):
        return Path(given).expanduser()
    user = os.environ.get("XDG_CACHE_HOME")
    return (Path(user) if user else Path.home() / ".cache") / "ablax"
