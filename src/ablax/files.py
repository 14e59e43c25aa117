"""Files that are whole or not there, and vouched for; the folder of the user's cache."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PARTIAL = ".partial"
"""How the name of a file ends that is not written to its end."""


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
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
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


def what_helps(number: int | None) -> str:
    """The beginning of a sentence: what a person can do about a disk that refuses a write.

    The number is that of the refusal, as `OSError.errno` has it.
    """
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space"
    if number == errno.EROFS:
        return "Look why the disk is read-only (a fault of it makes it so), mend that"
    return "Make it one that can be written"


def sync_folder(folder: Path) -> None:
    """Force the names in `folder` to the disk, where the system can do so (Windows cannot)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, where they are missing, and force their names to the disk."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def sync_tree(folder: Path) -> None:
    """Force every file below `folder`, and every name, to the disk."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            with (Path(place) / name).open("rb+") as file:
                os.fsync(file.fileno())
        sync_folder(Path(place))


def remove_partials(folder: Path) -> None:
    """Remove what writers that were killed left half-written in `folder` itself.

    Nobody else may be writing there.
    """
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------
# Records that vouch for themselves: JSON with the checksum of all the rest in it.

SEAL = "sha256"
"""The last entry of a sealed record: the SHA-256 of the others."""


def digest(record: Any) -> str:
    """SHA-256, in hexadecimal, of what JSON can hold: of equal content, whatever the order of keys.

    Example:
        >>> digest({"a": 1, "b": 2.5}) == digest({"b": 2.5, "a": 1})
        True
    """
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(record: Mapping[str, Any]) -> str:
    """The record as the text of a JSON file, with the checksum that `unsealed` compares.

    Example:
        >>> unsealed(sealed({"error": 1.5}))
        {'error': 1.5}
    """
    told = {name: value for name, value in record.items() if name != SEAL}
    plain = json.loads(json.dumps(told, allow_nan=False))
    return json.dumps({**plain, SEAL: digest(plain)}, indent=2, ensure_ascii=False) + "\n"


def unsealed(text: str | bytes) -> dict[str, Any]:
    """The record of which `sealed` gives this text, and no other text.

    Raises:
        ValueError: The text is no JSON object, has no checksum, or another than its content has.
    """
    text = text.decode() if isinstance(text, bytes) else text
    record = json.loads(text)
    if not isinstance(record, dict) or SEAL not in record:
        raise ValueError(f"it has no checksum ({SEAL!r})")
    if text != sealed(record):
        raise ValueError("it does not match its checksum: it was damaged or changed by hand")
    record.pop(SEAL)
    return record


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
