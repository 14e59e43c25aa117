"""SHA-256 of every file in a folder, written beside them, so that a flipped bit is noticed.

The list has the format of the command `sha256sum`: `sha256sum --check checksums.sha256` inside the
folder verifies it without ablax.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ablax.files import write_atomic

LIST_NAME = "checksums.sha256"


def write_checksums(folder: Path) -> None:
    """List the SHA-256 of every file under `folder` in `folder/checksums.sha256`, atomically.

    Args:
        folder: A folder that nobody writes to any more.

    Raises:
        OSError: A file cannot be read, or the list cannot be written.
    """
    write_atomic(folder / LIST_NAME, "".join(_line(folder, name) for name in _names(folder)))


def find_damage(folder: Path) -> str | None:
    """What differs between `folder` and its list of checksums; `None` when every bit agrees.

    The list itself is covered: it must be, character for character, what the files it names would
    give today. Hidden files that are not listed (a desktop's `.DS_Store`) do not count.

    Args:
        folder: A folder that `write_checksums` has seen.

    Returns:
        A sentence that names the first file at fault, or `None`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "weights").write_bytes(b"1234")
        >>> write_checksums(folder)
        >>> find_damage(folder) is None
        True
        >>> _ = (folder / "weights").write_bytes(b"1235")
        >>> find_damage(folder)
        'weights does not match its checksum'
    """
    try:
        text = (folder / LIST_NAME).read_bytes().decode("utf-8")
    except FileNotFoundError:
        return f"{LIST_NAME} is missing (it was not written to the end)"
    except (OSError, UnicodeDecodeError) as error:
        return f"{LIST_NAME} cannot be read ({error})"
    listed = [line[66:] for line in text.split("\n")[:-1]]
    unlisted = [name for name in _names(folder) if name not in listed]
    for name in unlisted:
        if not Path(name).name.startswith("."):
            return f"{name} is not in {LIST_NAME}"
    for name, line in zip(listed, text.split("\n")[:-1], strict=True):
        try:
            now = _line(folder, name)
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError)
            return f"{name} is missing" if missing else f"{name} cannot be read ({error})"
        if now != line + "\n":
            return f"{name} does not match its checksum"
    return None if listed and text.endswith("\n") else f"{LIST_NAME} is damaged"


def _names(folder: Path) -> list[str]:
    """Every file under `folder` but the list itself, sorted, with forward slashes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    return [name for name in names if name != LIST_NAME]


def _line(folder: Path, name: str) -> str:
    with (folder / name).open("rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n"
